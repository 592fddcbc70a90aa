//! HL7 v2 messages over connections of MLLP, plain or with TLS.
//!
//! Lives here: the listener (connections, frames, limits, idle time, one answer to each message, in order), what an answer is
//! written with, the client that sends a message and waits for its answer, certificates.
//! Does not live here: what messages look like (`hl7v2`), what they do (the actor that hears them).
//! Doors: `hl7v2`, `store`, `web`, `access`, `actor`.

mod client;
mod hearing;
mod listener;
mod settings;
mod tls;

pub use client::{Answer, Client, PeerSettings, Unsent};
pub use hearing::{Hearing, code, told};
pub use listener::{Ear, Heard, Receiver, carried, serve};
pub use settings::{KEYS, LISTEN, Settings, Tls};
