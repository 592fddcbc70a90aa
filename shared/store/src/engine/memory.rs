//! Everything in memory, gone at the end. For tests.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt, stream};
use parking_lot::{Mutex, RwLock};

use crate::ask::{Ask, Page};
use crate::batch::{Applied, AuditLine, Backlog, Batch, Pending};
use crate::blob::{Blob, Chunks, Content, Sink};
use crate::commit::{Commit, Prepared};
use crate::engine::Engine;
use crate::error::Error;
use crate::find::{find, targets};
use crate::incarnation::Incarnation;
use crate::index::derive::{Derive, SeenFacts};
use crate::index::keys;
use crate::index::layers::Layers;
use crate::index::overlay::Run;
use crate::index::values::{Location, State};
use crate::index::view::Working;
use crate::quarantine::Quarantined;
use crate::read::{Archive, Reader};
use crate::receive::Receiver;
use crate::record::{Instant, Kind, Row, Sequence, Version};
use crate::scrub::Scrubbed;
use crate::store::{Health, Mark};

/// The index without a journal under it.
pub(crate) struct Memory {
    layers: Layers,
    writer: Mutex<Writer>,
    documents: RwLock<HashMap<String, Bytes>>,
    closed: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Writer {
    seen: SeenFacts,
    entries: u64,
    instant: Instant,
    audit: Vec<AuditLine>,
}

impl Writer {
    fn audit(&mut self, instant: Instant, records: impl Iterator<Item = Bytes>) {
        self.entries += 1;
        self.instant = self.instant.max(instant);
        let (entry, instant) = (self.entries, self.instant);
        self.audit.extend(records.map(|record| AuditLine { entry, instant, record }));
    }
}

/// There is no journal, so no past version is in it.
struct NoArchive;

impl Archive for NoArchive {
    fn past(&self, _: &Location) -> Result<Bytes, Error> {
        Err(Error::Damaged("a past version is said to be in a journal, and there is none".into()))
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory {
            layers: Layers::new(None, State::default()),
            writer: Mutex::default(),
            documents: RwLock::default(),
            closed: false.into(),
        }
    }
}

impl Memory {
    fn reader(&self) -> Result<Reader<'static>, Error> {
        self.open()?;
        Ok(Reader { view: self.layers.view(), archive: &NoArchive })
    }

    fn open(&self) -> Result<(), Error> {
        if self.closed.load(std::sync::atomic::Ordering::Acquire) {
            return Err(Error::Stopped("it was closed".into()));
        }
        Ok(())
    }

    fn commit(&self, mut prepared: Prepared) -> Result<Applied, Error> {
        self.open()?;
        let mut writer = self.writer.lock();
        let mut working = Working::new(self.layers.view());
        prepared.conditions.judge(&working)?;
        let mut state = working.view.state;
        let sequence = state.sequence + 1;
        let instant = prepared.instant.max(writer.instant);
        prepared.place(sequence, instant);
        let meta = Bytes::from(std::mem::take(&mut prepared.meta));
        let derive = Derive {
            meta: &meta,
            sequence,
            instant,
            place: None,
            working: &mut working,
            state: &mut state,
            seen: &mut writer.seen,
        };
        derive.run()?;
        writer.audit(instant, Commit::read(&meta)?.audit.into_iter().map(|record| meta.slice_ref(record)));
        working.set(keys::state(), state.to_bytes());
        working.accept();
        self.keep_documents(prepared);
        self.layers.publish(Run::new(working.group), state);
        Ok(Applied { sequence, instant })
    }

    fn keep_documents(&self, prepared: Prepared) {
        let mut documents = self.documents.write();
        for id in &prepared.trash {
            documents.remove(id);
        }
        for staged in prepared.blobs {
            if let Content::Inline(bytes) = &staged.content {
                documents.insert(staged.id.clone(), bytes.clone());
            }
        }
    }

    fn chunks(&self, blob: &Blob, range: Range<u64>) -> Result<Chunks, Error> {
        self.open()?;
        let missing = || Error::Damaged(format!("document {}: its content is missing", blob.id));
        let content = self.documents.read().get(&blob.id).cloned().ok_or_else(missing)?;
        let end = usize::try_from(range.end).unwrap_or(usize::MAX).min(content.len());
        let start = usize::try_from(range.start).unwrap_or(usize::MAX).min(end);
        Ok(stream::iter([Ok(content.slice(start..end))]).boxed())
    }
}

impl Engine for Memory {
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Applied, Error>> {
        let prepared = Prepared::new(batch);
        async move { self.commit(prepared) }.boxed()
    }
    fn note(&self, instant: Instant, audit: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>> {
        async move {
            self.open()?;
            self.writer.lock().audit(instant, audit.into_iter());
            Ok(())
        }
        .boxed()
    }
    fn audited(&self, after: u64, limit: usize) -> Result<Vec<AuditLine>, Error> {
        self.open()?;
        let writer = self.writer.lock();
        let mut lines: Vec<AuditLine> =
            writer.audit.iter().filter(|line| line.entry > after).cloned().collect();
        if let Some(last) = lines.get(limit.saturating_sub(1)).map(|line| line.entry) {
            lines.retain(|line| line.entry <= last);
        }
        Ok(lines)
    }
    fn get(&self, kind: Kind, id: &str) -> Result<Option<Row>, Error> {
        self.reader()?.get(kind, id)
    }
    fn version(&self, kind: Kind, id: &str, version: Version) -> Result<Option<Row>, Error> {
        self.reader()?.version(kind, id, version)
    }
    fn history(&self, kind: Kind, id: &str) -> Result<Vec<Row>, Error> {
        self.reader()?.history(kind, id)
    }
    fn find(&self, ask: &Ask) -> Result<Page, Error> {
        find(&self.reader()?, ask)
    }
    fn targets(&self, ask: &Ask, edges: &[&'static str]) -> Result<(HashSet<String>, u64), Error> {
        targets(&self.reader()?, ask, edges)
    }
    fn sources(&self, kind: Kind, edge: &'static str, target: &str) -> Result<Vec<String>, Error> {
        self.reader()?.sources(kind, edge, target)
    }
    fn claimed(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        self.reader()?.claimed(name)
    }
    fn changes(&self, kind: Kind, since: Sequence, limit: usize) -> Result<Vec<Row>, Error> {
        self.reader()?.changes(kind, since, limit)
    }
    fn partitions(&self, kind: Kind, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        self.reader()?.partitions(kind, after, limit)
    }
    fn pending(
        &self,
        peer: &str,
        behind: Option<(Sequence, u32)>,
        limit: usize,
    ) -> Result<Vec<Pending>, Error> {
        self.reader()?.pending(peer, behind, limit)
    }
    fn backlog(&self, peer: &str) -> Result<Backlog, Error> {
        self.reader()?.backlog(peer)
    }
    fn stage(&self, limit: u64) -> Box<dyn Sink> {
        Box::new(Receiver::new(limit, None))
    }
    fn stage_apart(&self, limit: u64) -> Box<dyn Sink> {
        self.stage(limit)
    }
    fn discard(&self, _: &[String]) -> Result<(), Error> {
        Ok(())
    }
    fn blob(&self, id: &str) -> Result<Option<Blob>, Error> {
        self.reader()?.blob(id)
    }
    fn read(&self, blob: &Blob, range: Range<u64>) -> BoxFuture<'_, Result<Chunks, Error>> {
        let chunks = self.chunks(blob, range);
        async move { chunks }.boxed()
    }
    fn sequence(&self) -> Sequence {
        self.layers.view().state.sequence
    }
    fn last_instant(&self) -> Instant {
        self.layers.view().state.instant
    }
    fn incarnation(&self) -> Incarnation {
        Incarnation::of_memory()
    }
    fn room(&self) -> Result<(), Error> {
        self.open()
    }
    fn quarantined(&self) -> Vec<Quarantined> {
        Vec::new()
    }
    fn scrub(&self) -> BoxFuture<'_, Result<Scrubbed, Error>> {
        async { self.open().map(|()| Scrubbed::default()) }.boxed()
    }
    fn health(&self) -> Health {
        let state = self.layers.view().state;
        let closed = self.open().is_err();
        Health {
            writable: !closed,
            stopped: closed,
            reason: closed.then(|| "it was closed".to_owned()),
            free_bytes: u64::MAX,
            mark: Mark::Enough,
            keeps_back: true,
            sequence: state.sequence,
            documents: state.documents,
            document_bytes: state.document_bytes,
            ..Health::default()
        }
    }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        self.closed.store(true, std::sync::atomic::Ordering::Release);
        async { Ok(()) }.boxed()
    }
}
