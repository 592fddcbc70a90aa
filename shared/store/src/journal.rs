//! The journal: what was committed, in order, chained by hashes. It is the truth; the index can be built again from it.
//!
//! Lives here: entries and segments, the walk over them at the start, the committer, the checkpoints of the index.

pub(crate) mod audit;
pub(crate) mod checkpoint;
pub(crate) mod committer;
pub(crate) mod entry;
pub(crate) mod index;
pub(crate) mod look;
pub(crate) mod queue;
pub(crate) mod replay;
pub(crate) mod segment;
pub(crate) mod tail;
