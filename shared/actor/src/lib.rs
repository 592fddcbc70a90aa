//! The runner of an actor process, and the corridor every transaction walks.
//!
//! Lives here: configuration, telemetry, signals, health and the admin port; the corridor (who, read, allow, act, write);
//! the trail that makes an unaudited answer impossible.
//! Does not live here: any transaction.
//! Doors: `store`, `web`, `access`, `audit`.

mod admin;
mod clock;
mod corridor;
mod fault;
mod front;
mod host;
pub mod meter;
mod process;
mod run;
mod trail;

pub use clock::Clock;
pub use corridor::{Codec, Context, Corridor, Transaction};
pub use fault::{Fault, Told};
pub use run::{Actor, Check, House, Route, Running, Setup, start, start_with};
pub use trail::{Audited, Subject, Trail};

/// The system of our own error codes.
pub const ERRORS: &str = "https://docshare.example/errors";

/// Runs an actor as a process.
pub fn main<A: Actor>() -> std::process::ExitCode {
    std::process::ExitCode::from(70)
}
