//! HTTP plumbing: a server, a client, and the values that pass between them and the faces.
//!
//! Lives here: requests and answers free of any framework, the router of a table, bodies that stream under limits,
//! ranges, request ids and trace context, peers with deadlines and breakers.
//! Does not live here: FHIR, SOAP, anything about documents or patients.
//! Doors: none of our crates.

mod answer;
mod error;
mod limits;
mod peer;
mod request;

pub use answer::{Answer, AnswerBody};
pub use error::Error;
pub use limits::Limits;
pub use peer::{Peer, PeerAnswer, PeerSettings};
pub use request::{Body, BodySource, Params, Request};
