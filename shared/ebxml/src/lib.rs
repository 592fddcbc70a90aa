//! The face codec of XDS.b.
//!
//! Lives here: SOAP 1.2 envelopes and faults, WS-Addressing, MTOM/XOP packages read and written as streams, the ebRIM form of
//! document entries, submission sets, folders and associations, one module per transaction number.
//! Does not live here: HTTP, storage, rules that would also hold on another face.
//! Doors: `xds`.

pub mod addressing;
pub mod element;
pub mod iti18;
pub mod iti41;
pub mod iti42;
pub mod iti43;
pub mod iti57;
pub mod iti62;
pub mod mtom;
pub mod names;
pub mod reader;
pub mod response;
pub mod rim;
pub mod soap;
pub mod writer;

pub use element::Element;
pub use writer::Writer;
