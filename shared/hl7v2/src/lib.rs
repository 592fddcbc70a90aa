//! The codec of HL7 v2, as far as patient identity speaks it.
//!
//! Lives here: segments, fields and their escapes, character sets, questions about patients (PIX, PDQ) and answers to them,
//! acknowledgements, the MLLP frame.
//! Does not live here: sockets, what a message does, anything of a patient beyond what its message says.
//! Doors: none of our crates.
//!
//! Messages are read liberally (any separators, any line ends, a byte order mark, any version 2.x) and written strictly. What
//! cannot be read is a [`Refusal`]: a condition of HL7 table 0357, the place, and words; [`Acknowledgement`] says it in the form
//! of the sender's version.

mod acknowledgement;
mod charset;
mod identifier;
mod message;
pub mod mllp;
mod query;
mod refusal;
mod response;

pub use acknowledgement::{Acknowledgement, Code};
pub use charset::Charset;
pub use identifier::{Authority, Cx};
pub use message::{Header, Limits, Message, Part, Segment, Separators, Unread};
pub use query::{Candidates, Corresponding, Criterion, Question, cancelled};
pub use refusal::{Condition, Location, Refusal};
pub use response::{Response, Status};
