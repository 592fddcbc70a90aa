//! What was done to the actors, how they came back, and what they say about themselves.

use serde::{Deserialize, Serialize};

/// Kinds of faults, as far as judging needs to tell them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// `kill -9`, or a failpoint that ends the process.
    Kill,
    /// The power went.
    PowerCut,
    /// SIGTERM.
    Terminate,
    /// Stopped and continued.
    Pause,
    /// No room on the disk.
    DiskFull,
    /// A sync failed. `begin`: it is known to have failed; `end`: the process had ended.
    SyncFailed,
    /// Something on the way between two actors.
    Network,
    /// The wall clock was set.
    Clock,
    /// Anything else.
    Other,
}

/// Something was done to an actor, from `begin` to `end` of its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// To whom: name of the actor, or of a way between two of them.
    pub actor: String,
    /// In words: failpoint, size, jump.
    pub detail: String,
    /// True if it ends the process, which then has to come back.
    pub ends_process: bool,
    /// Exit status, where it is known and the process ended by itself.
    pub exit: Option<i32>,
}

/// An actor was started (`begin`) and became ready (`end`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// Name of the actor.
    pub actor: String,
    /// What it recovered from.
    pub from: FaultKind,
    /// False if it was ended again on purpose before it was ready, which is no failure to recover.
    pub ready: bool,
    /// True if somebody had to do something by hand.
    pub by_hand: bool,
}

/// Another part of the run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Faults.
    Storm,
    /// No more faults; all actors are ready, what is in doubt may still settle.
    Settling,
    /// Quiet: every promise has to hold at once.
    Quiet,
}

/// What an actor says about its submissions in doubt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gauge {
    /// Name of the actor.
    pub actor: String,
    /// How many.
    pub in_doubt: u64,
    /// Age of the oldest in milliseconds, where it is told.
    pub oldest_ms: Option<u64>,
}

/// What an actor holds in the end, as its `verify` or a walk of its files tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Inventory {
    /// Name of the actor.
    pub actor: String,
    /// Documents whose bytes it holds.
    pub blobs: u64,
    /// Submissions in doubt.
    pub in_doubt: u64,
    /// Names of bytes on disk that nothing refers to; the trash does not count.
    pub unreferenced: Vec<String>,
    /// Names of bytes that are referred to and not there.
    pub missing: Vec<String>,
    /// Names of bytes that are not what they should be.
    pub damaged: Vec<String>,
    /// Names of files left in `staging/`.
    pub staging: Vec<String>,
    /// Names of bytes that were put into quarantine.
    pub quarantined: Vec<String>,
}
