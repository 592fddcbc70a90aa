//! What is written in one commit, wholly or not at all.

use bytes::Bytes;

use crate::blob::Staged;
use crate::record::{Edge, Fact, Instant, Kind, Sequence, Version};

/// One commit. `Store::apply` makes it durable and visible at once, or refuses it whole.
#[derive(Debug, Default)]
pub struct Batch {
    /// The time of the commit, from the caller's clock. Never goes back: the store keeps the later of this and its last.
    pub instant: Instant,
    /// Names that must be free, or already stand for the same value. Decided inside the commit.
    pub claims: Vec<Claim>,
    /// Names given free again; a claim in the same batch is judged after these.
    pub releases: Vec<String>,
    /// New versions of records.
    pub puts: Vec<Put>,
    /// Messages to peers, delivered at least once and in order per `stream`.
    pub outgoing: Vec<Outgoing>,
    /// Messages that have been delivered: (peer, sequence, position) as in [`Pending`].
    pub delivered: Vec<(String, Sequence, u32)>,
    /// Documents that become durable with this commit.
    pub blobs: Vec<Staged>,
    /// Ids of documents that leave: to the trash, not yet gone.
    pub trash: Vec<String>,
    /// Audit records, opaque here.
    pub audit: Vec<Bytes>,
    /// Whether the batch only concludes what was begun, though it brings new records (the fence of an attempt, say): then
    /// it is taken as long as there is any room, that which is kept back included.
    pub concluding: bool,
}

/// A new version of a record. Its version must be one more than the current one (1 for a new record):
/// otherwise somebody else was first, and the whole batch is refused with `Error::Lost`.
#[derive(Debug, Clone)]
pub struct Put {
    /// The sort of the record.
    pub kind: Kind,
    /// Id within the kind.
    pub id: String,
    /// The version this put makes.
    pub version: Version,
    /// The partition it belongs to from now on.
    pub partition: String,
    /// Key of the default order (largest first, then id).
    pub order: i64,
    /// What it can be found by.
    pub facts: Vec<Fact>,
    /// What it points to.
    pub edges: Vec<Edge>,
    /// The owner's bytes.
    pub body: Bytes,
    /// The reader's bytes.
    pub rendering: Bytes,
    /// True when this version says that the record is no more: facts and edges no longer count.
    pub deleted: bool,
}

/// A name taken for a value. A second claim of the same name is fine for the same value, refused for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What is claimed, e.g. `submission-set/1.2.3`.
    pub name: String,
    /// For what.
    pub value: Vec<u8>,
}

/// A message for a peer.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Which peer, by its name in the configuration.
    pub peer: String,
    /// Messages of one stream keep their order, e.g. the patient.
    pub stream: String,
    /// The message.
    pub payload: Bytes,
}

/// A message not yet delivered.
#[derive(Debug, Clone)]
pub struct Pending {
    /// The commit that left it.
    pub sequence: Sequence,
    /// Its place among the messages of that commit.
    pub position: u32,
    /// When it was left.
    pub instant: Instant,
    /// Which peer.
    pub peer: String,
    /// Which stream.
    pub stream: String,
    /// The message.
    pub payload: Bytes,
}

/// How much waits for a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    /// Messages not yet delivered.
    pub messages: u64,
    /// When the oldest of them was left.
    pub oldest: Option<Instant>,
}

/// What became of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Applied {
    /// Its place in the journal.
    pub sequence: Sequence,
    /// The instant it carries.
    pub instant: Instant,
}

/// An audit record as it was kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLine {
    /// The entry of the journal that holds it; several records may share one.
    pub entry: u64,
    /// When it was written.
    pub instant: Instant,
    /// The record.
    pub record: Bytes,
}
