//! What happened to a patient, and who is told: whatever changes one leaves its messages in the outbox in the same commit.

use bytes::Bytes;

use crate::records::Kept;

/// A patient as it stands after a change, or stood before one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stood {
    /// Its id here.
    pub(crate) id: String,
    /// Its version.
    pub(crate) version: u64,
    /// What is kept of it.
    pub(crate) kept: Kept,
    /// As readers get it.
    pub(crate) rendering: Bytes,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    /// It was not known before.
    Created,
    /// Its source says something else of it, or another record took one of its identifiers over.
    Revised {
        /// As it stood.
        before: Box<Stood>,
    },
    /// Another one took its place.
    Merged {
        /// Who, after all merges.
        survivor: Box<Stood>,
        /// As it stood; none: it was not known before.
        before: Option<Box<Stood>>,
    },
    /// It has its place again.
    Unmerged {
        /// Who had it.
        from: Box<Stood>,
    },
    /// It is no more.
    Removed {
        /// As it stood.
        before: Box<Stood>,
    },
}

/// One change of one patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    /// What happened.
    pub(crate) happened: Happened,
    /// The patient from now on.
    pub(crate) stood: Stood,
    /// Ids of other records that lose an identifier to this one, or get one from it, in the same commit.
    pub(crate) touches: Vec<String>,
}

impl Event {
    /// Every patient whose messages must keep their order beside those of this change: its own first.
    pub(crate) fn patients(&self) -> impl Iterator<Item = &str> {
        let beside = match &self.happened {
            Happened::Merged { survivor: other, .. } | Happened::Unmerged { from: other } => Some(&other.id),
            Happened::Created | Happened::Revised { .. } | Happened::Removed { .. } => None,
        };
        std::iter::once(&self.stood.id).chain(beside).chain(&self.touches).map(String::as_str)
    }
}
