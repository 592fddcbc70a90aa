//! The runner of an actor process, and the corridor every transaction walks.
//!
//! Lives here: configuration, telemetry, signals, health and the admin port; the corridor (who, read, allow, act, write);
//! the trail that makes an unaudited answer impossible.
//! Does not live here: any transaction.
//! Doors: `store`, `web`, `access`, `audit`.

mod clock;
mod corridor;
mod fault;
mod trail;

pub use clock::Clock;
pub use corridor::{Codec, Context, Corridor, Transaction};
pub use fault::Fault;
pub use trail::{Audited, Subject, Trail};

mod run;
pub use run::{Actor, Check, House, Route, Running, main, start};
