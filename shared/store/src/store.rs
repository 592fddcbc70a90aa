//! The one handle every caller holds.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use crate::ask::{Ask, Page};
use crate::batch::{Applied, AuditLine, Backlog, Batch, Pending};
use crate::blob::{Blob, Chunks, Sink};
use crate::engine::Engine;
use crate::error::Error;
use crate::incarnation::Incarnation;
use crate::interference::{Interference, Write};
use crate::open::Options;
use crate::quarantine::Quarantined;
use crate::record::{Instant, Kind, Row, Sequence, Version};
use crate::scrub::Scrubbed;

/// Storage of one actor. Cheap to clone. Reads are quick and made on the caller's thread; writes wait for the sync.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    interference: Option<Arc<dyn Interference>>,
    looked_at: Arc<AtomicU64>,
}

/// How the store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// False after a failed sync or a closed door, on a full volume, and when the data directory is gone or read-only.
    pub writable: bool,
    /// True once the store has stopped for good: only a fresh start can tell what is on storage.
    pub stopped: bool,
    /// What stands in the way of writing, in words.
    pub reason: Option<String>,
    /// Free bytes on the volume.
    pub free_bytes: u64,
    /// Which mark they are below.
    pub mark: Mark,
    /// Whether room is kept back for what must be concluded on a full volume.
    pub keeps_back: bool,
    /// Last sequence that is durable.
    pub sequence: Sequence,
    /// Documents and their bytes.
    pub documents: u64,
    /// Bytes of all documents.
    pub document_bytes: u64,
    /// Documents that are not given out because their bytes were found damaged.
    pub quarantined: u64,
    /// What the last whole scrub since the start found wrong with the journal or the index, in words.
    pub damage: Option<String>,
    /// How often the scrub has found damage since the start.
    pub integrity_failures: u64,
    /// Files of documents that no commit cites, found by the last scrub; they are in the trash.
    pub uncited: u64,
}

/// The marks of free room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mark {
    /// Above all of them.
    #[default]
    Enough,
    /// Below a tenth of the volume: the operator is warned.
    Soft,
    /// Nothing new is accepted.
    Hard,
}

impl Store {
    /// A store that forgets everything at the end. For tests.
    pub fn memory() -> Store {
        Store::over(Arc::new(crate::engine::memory::Memory::default()))
    }

    /// Opens (or makes) the data directory: takes the lock, replays the journal's tail into the index.
    pub fn open(options: &Options) -> Result<Store, Error> {
        Ok(Store::over(crate::open::open(options)?))
    }

    /// The same store, reached through an interference. For simulations.
    pub fn through(&self, interference: Arc<dyn Interference>) -> Store {
        Store { interference: Some(interference), ..self.clone() }
    }

    fn over(engine: Arc<dyn Engine>) -> Store {
        Store { engine, interference: None, looked_at: Arc::default() }
    }

    /// How many rows questions and reads have looked at since the start: what they cost, whatever they found.
    pub fn looked_at(&self) -> u64 {
        self.looked_at.load(Ordering::Relaxed)
    }

    fn look(&self, rows: u64) {
        self.looked_at.fetch_add(rows, Ordering::Relaxed);
    }

    /// Commits a batch: durable and visible when this answers. Staged documents of a batch that is refused are gone.
    pub async fn apply(&self, batch: Batch) -> Result<Applied, Error> {
        let Some(interference) = &self.interference else { return self.engine.apply(batch).await };
        interference.before(Write::Commit).await?;
        let applied = self.engine.apply(batch).await?;
        interference.after(Write::Commit).await?;
        Ok(applied)
    }

    /// Appends audit records without waiting for the sync: written (a killed process keeps them) when this answers,
    /// synced within 100 ms.
    pub async fn note(&self, instant: Instant, audit: Vec<Bytes>) -> Result<(), Error> {
        let Some(interference) = &self.interference else { return self.engine.note(instant, audit).await };
        interference.before(Write::Note).await?;
        self.engine.note(instant, audit).await?;
        interference.after(Write::Note).await
    }

    /// Audit records of commits and notes behind an entry, in order, verified against the chain. At most `limit`, but
    /// an entry is never cut in two. Walks the journal from its beginning: for auditors, not for serving.
    pub fn audited(&self, after: u64, limit: usize) -> Result<Vec<AuditLine>, Error> {
        self.engine.audited(after, limit)
    }

    /// The record as it stands; a deleted one is given with `deleted` set.
    pub fn get(&self, kind: Kind, id: &str) -> Result<Option<Row>, Error> {
        self.look(1);
        self.engine.get(kind, id)
    }

    /// One version of a record.
    pub fn version(&self, kind: Kind, id: &str, version: Version) -> Result<Option<Row>, Error> {
        self.engine.version(kind, id, version)
    }

    /// All versions, newest first.
    pub fn history(&self, kind: Kind, id: &str) -> Result<Vec<Row>, Error> {
        self.engine.history(kind, id)
    }

    /// Answers a question.
    pub fn find(&self, ask: &Ask) -> Result<Page, Error> {
        let page = self.engine.find(ask)?;
        self.look(page.scanned);
        Ok(page)
    }

    /// Ids of the records that those point to which a question asks for, along edges of these names. Order, place and
    /// limit of the question do not count.
    pub fn targets(&self, ask: &Ask, edges: &[&'static str]) -> Result<HashSet<String>, Error> {
        let (targets, scanned) = self.engine.targets(ask, edges)?;
        self.look(scanned);
        Ok(targets)
    }

    /// Ids of the records of this kind that have an edge of this name to the target.
    pub fn sources(&self, kind: Kind, edge: &'static str, target: &str) -> Result<Vec<String>, Error> {
        self.engine.sources(kind, edge, target)
    }

    /// What a name stands for.
    pub fn claimed(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.engine.claimed(name)
    }

    /// Current rows written after `since`, in the order of their last write: the change feed. At most `limit`, but a
    /// commit is never cut in two, so the sequence of the last row is a safe next `since`; a first commit of more
    /// rows than the limit is given whole. Deleted records come with their mark.
    pub fn changes(&self, kind: Kind, since: Sequence, limit: usize) -> Result<Vec<Row>, Error> {
        self.engine.changes(kind, since, limit)
    }

    /// The partitions that have records of this kind, in order, those behind `after` (`""`: from the first), at most `limit`.
    /// Costs one look-up each, however many records are in them. One whose records have all left is not among them.
    pub fn partitions(&self, kind: Kind, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        self.engine.partitions(kind, after, limit)
    }

    /// Messages not yet delivered to a peer, oldest first, at most `limit`.
    pub fn pending(&self, peer: &str, limit: usize) -> Result<Vec<Pending>, Error> {
        self.engine.pending(peer, None, limit)
    }

    /// The same behind a message, by its sequence and position. What is left later always comes behind what was left before.
    pub fn pending_behind(
        &self,
        peer: &str,
        behind: Option<(Sequence, u32)>,
        limit: usize,
    ) -> Result<Vec<Pending>, Error> {
        self.engine.pending(peer, behind, limit)
    }

    /// How many messages wait for a peer, and since when. Looks at each of them.
    pub fn backlog(&self, peer: &str) -> Result<Backlog, Error> {
        self.engine.backlog(peer)
    }

    /// Begins to receive a document of at most `limit` bytes.
    pub fn stage(&self, limit: u64) -> Box<dyn Sink> {
        self.engine.stage(limit)
    }

    /// The same for what is let go again before long: it never becomes part of the journal, which keeps what it holds.
    pub fn stage_apart(&self, limit: u64) -> Box<dyn Sink> {
        self.engine.stage_apart(limit)
    }

    /// Deletes documents out of the trash at once: for what can be made again, or has served. What is not there, or is
    /// kept, stays as it is.
    pub fn discard(&self, ids: &[String]) -> Result<(), Error> {
        self.engine.discard(ids)
    }

    /// A document that is kept (not one in the trash).
    pub fn blob(&self, id: &str) -> Result<Option<Blob>, Error> {
        self.engine.blob(id)
    }

    /// The bytes of a range of a document. Up to 16 MiB the whole range is verified before this answers;
    /// beyond, chunk by chunk while it streams.
    pub async fn read(&self, blob: &Blob, range: Range<u64>) -> Result<Chunks, Error> {
        self.engine.read(blob, range).await
    }

    /// Last visible sequence.
    pub fn sequence(&self) -> Sequence {
        self.engine.sequence()
    }

    /// Instant of the last commit; a caller's clock starts no earlier.
    pub fn last_instant(&self) -> Instant {
        self.engine.last_instant()
    }

    /// Which life of the data directory this is.
    pub fn incarnation(&self) -> Incarnation {
        self.engine.incarnation()
    }

    /// Whether something new can be accepted: quick to ask, before anything of it is received.
    pub fn room(&self) -> Result<(), Error> {
        self.engine.room()
    }

    /// Documents that are not given out because their bytes were found damaged.
    pub fn quarantined(&self) -> Vec<Quarantined> {
        self.engine.quarantined()
    }

    /// Reads everything that is stored now, as quickly as it goes, and tells what was found. A document that is found
    /// whole again leaves quarantine.
    pub async fn scrub_now(&self) -> Result<Scrubbed, Error> {
        self.engine.scrub().await
    }

    /// How the store is.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Makes the index durable up to now and closes; further calls answer `Stopped`.
    pub async fn close(&self) -> Result<(), Error> {
        self.engine.close().await
    }
}
