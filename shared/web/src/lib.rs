//! HTTP plumbing: a server, a client, and the values that pass between them and the faces.
//!
//! Lives here: requests and answers free of any framework, the router of a table, the guard that reads heads strictly, bodies
//! that stream under limits, ranges and content dispositions, request ids and trace context, values with units, peers with
//! deadlines and breakers.
//! Does not live here: FHIR, SOAP, anything about documents or patients.
//! Doors: none of our crates.

mod answer;
mod breaker;
mod carrier;
mod chunks;
mod coding;
mod connections;
mod cors;
mod disposition;
mod error;
mod guard;
mod head;
mod incoming;
mod limits;
mod peer;
pub mod range;
mod refusal;
mod request;
mod router;
mod send;
mod server;
mod site;
mod trace;
pub mod units;

pub use answer::{Answer, AnswerBody};
pub use carrier::{Carrier, Letter};
pub use cors::Origin;
pub use disposition::content_disposition;
pub use error::Error;
pub use limits::Limits;
pub use peer::{Begun, ClientTls, Peer, PeerAnswer, PeerSettings, peer_counts};
pub use refusal::Refusal;
pub use request::{Body, BodySource, Params, Request};
pub use router::{Found, Router};
pub use server::{Server, ServerSettings, Service};
pub use site::{Network, below_base};
