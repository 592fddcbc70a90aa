//! What a simulation puts between an actor and its store: writes that wait, fail, or never come back because the process ends.

use futures_util::future::BoxFuture;

use crate::error::Error;

/// A write on its way to storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Write {
    /// A commit, to be durable before it is answered.
    Commit,
    /// Audit records alone.
    Note,
}

/// Stands between an actor and its store. A future that never ends is a process that ended at this place.
pub trait Interference: Send + Sync {
    /// Before a write: an error is told instead, and nothing is written.
    fn before(&self, write: Write) -> BoxFuture<'_, Result<(), Error>>;
    /// After a write, before its caller hears of it: an error is told although it is written.
    fn after(&self, write: Write) -> BoxFuture<'_, Result<(), Error>>;
}
