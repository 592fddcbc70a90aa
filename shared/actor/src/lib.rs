//! The runner of an actor process, and the corridor every transaction walks.
//!
//! Lives here: configuration, telemetry, signals, health and the admin port; the corridor (who, read, allow, act, write);
//! the trail that makes an unaudited answer impossible.
//! Does not live here: any transaction.
//! Doors: `store`, `web`, `access`, `audit`.

mod admin;
mod clock;
mod command;
mod config;
mod corridor;
mod fault;
mod front;
mod host;
mod log;
pub mod meter;
mod opening;
#[cfg(feature = "failpoints")]
pub mod points;
mod process;
mod reconcile;
mod reference;
mod report;
mod run;
mod settings;
mod trail;

pub use clock::Clock;
pub use command::main;
pub use corridor::{Codec, Context, Corridor, Opening, Transaction};
pub use fault::{Fault, Told};
pub use report::{Finding, Report};
pub use run::{Actor, Check, Door, Doors, House, Route, Running, Setup, start, start_with};
pub use trail::{Audited, Subject, Trail};

pub use store::failpoint;

/// The system of our own error codes, where `server.doc_url` says nothing else.
pub const ERRORS: &str = "https://docshare.example/errors";

/// Where the pages about our error codes are published, as `server.doc_url` of this process says it; none: nowhere.
pub fn errors() -> Option<&'static str> {
    DOCUMENTED.get().map(String::as_str)
}

static DOCUMENTED: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Where an actor's table of keys and its settings disagree; empty when every key has words and every word a key. For a test
/// of each actor.
pub fn differences<A: Actor>() -> Vec<String> {
    reference::differences(&config::Shape::<A::Settings>::new(A::NAME, A::PORT, A::keys()))
}

/// The manual page of an actor's configuration, in Markdown.
pub fn reference<A: Actor>() -> String {
    reference::page(A::NAME, &config::Shape::<A::Settings>::new(A::NAME, A::PORT, A::keys()))
}
