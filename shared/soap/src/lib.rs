//! The SOAP door of an actor: which line of its table a message is for, and how its answer goes back.
//!
//! Lives here: a message read from a request while it arrives, its documents poured into the store; the table of lines; answers
//! and faults in the format of the request; answers that are sent later to a configured address.
//! Where it differs from the text: DIVERGENCES.md.
//! Does not live here: what an envelope or a package looks like (`ebxml`), what a transaction does (the actors).
//! Doors: `xds`, `ebxml`, `store`, `web`, `audit`, `actor`.

mod answer;
mod call;
mod door;
mod later;
mod line;
mod told;

pub use answer::{Chunks, Document};
pub use call::Call;
pub use door::{Door, elsewhere};
pub use later::{KEYS, Settings};
pub use line::{Line, Refusing};
pub use told::reason;

pub use ebxml::mtom::Piece;
