//! What happened to a patient, and who is told: whatever changes one leaves its messages in the outbox in the same commit.

use bytes::Bytes;
use store::Outgoing;

use crate::records::{Kept, REGISTRY, held_only};

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

/// Who is told of patients.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receivers {
    /// Whether a registry is.
    pub(crate) registry: bool,
}

/// The messages an event leaves, in the order in which they are sent.
pub(crate) fn outgoing(event: &Event, receivers: &Receivers) -> Vec<Outgoing> {
    let registry = receivers.registry.then(|| Outgoing {
        peer: REGISTRY.to_owned(),
        stream: event.stood.id.clone(),
        payload: held_only(&event.stood.kept, &event.stood.rendering),
    });
    registry.into_iter().collect()
}
