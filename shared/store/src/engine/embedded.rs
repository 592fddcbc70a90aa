//! One data directory: the journal, the index over it, large documents beside it. Used by one process at a time.

pub(crate) mod start;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt, StreamExt};
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(crate) use start::open;

use crate::ask::{Ask, Page};
use crate::batch::{Applied, AuditLine, Backlog, Batch, Pending};
use crate::blob::{Blob, Chunks, Sink};
use crate::commit::Prepared;
use crate::engine::Engine;
use crate::error::Error;
use crate::files::Files;
use crate::find::{find, targets};
use crate::halt::Halt;
use crate::incarnation::Incarnation;
use crate::index::keys;
use crate::index::layers::Layers;
use crate::index::values::{Location, Place, StoredBlob};
use crate::index::view::{Lookup as _, View};
use crate::journal::audit;
use crate::journal::checkpoint::{Checkpoint, Ending};
use crate::journal::index::Library;
use crate::journal::queue::{Queue, Request};
use crate::journal::segment::Segments;
use crate::quarantine::{Quarantine, Quarantined};
use crate::read::{Archive, Reader};
use crate::receive::{Receiver, blocking};
use crate::record::{Instant, Kind, Row, Sequence, Version};
use crate::scrub::{self, Scrubbed};
use crate::serve;
use crate::space::Space;
use crate::store::Health;
use crate::upkeep::Upkeep;

/// What callers, the committer and the checkpoints share.
pub(crate) struct Shared {
    pub(crate) segments: Segments,
    pub(crate) files: Arc<Files>,
    pub(crate) layers: Layers,
    pub(crate) queue: Queue,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) space: Arc<Space>,
    pub(crate) upkeep: Upkeep,
    pub(crate) quarantine: Quarantine,
    /// What the last whole scrub found.
    pub(crate) scrubbed: Mutex<Option<Scrubbed>>,
    /// Told how long each sync of the journal took.
    pub(crate) on_sync: Option<fn(std::time::Duration)>,
    /// Bytes of a usual segment.
    pub(crate) segment_bytes: u64,
    /// Whether commits are synced.
    pub(crate) sync: bool,
    halt: Arc<Halt>,
}

impl Shared {
    /// Stops for good: what storage did not take must not be followed by anything.
    pub(crate) fn stop(&self, error: &Error) {
        self.halt.stop(error);
    }

    /// Refuses once the store has stopped or was closed.
    pub(crate) fn stopped(&self) -> Result<(), Error> {
        self.halt.check()
    }

    /// The index as it is now.
    pub(crate) fn view(&self) -> Result<Arc<View>, Error> {
        let view = self.layers.view();
        // Asked after the view was taken: one taken while the store closes is empty, and must not be answered from.
        self.stopped()?;
        Ok(view)
    }

    pub(crate) fn stored_blob(&self, id: &str) -> Result<Option<StoredBlob>, Error> {
        let found = self.view()?.get(&keys::blob(id.as_bytes()))?;
        found.map(|found| StoredBlob::from_bytes(&found)).transpose()
    }

    /// Whether a commit brought this document, be it kept or removed since.
    pub(crate) fn knows(&self, id: &str) -> Result<bool, Error> {
        Ok(self.stored_blob(id)?.is_some())
    }

    /// Whether this document is kept.
    pub(crate) fn keeps(&self, id: &str) -> Result<bool, Error> {
        Ok(self.stored_blob(id)?.is_some_and(|blob| !blob.trashed))
    }

    /// Whether the last scrub has compared the whole journal with the index and found that it lacks nothing: only then does
    /// it mean something that a document is not known.
    pub(crate) fn knows_all(&self) -> bool {
        let scrubbed = self.scrubbed.lock();
        scrubbed.as_ref().is_some_and(|found| found.missing.is_empty() && found.broken.is_empty())
    }

    /// Bytes of everything the scrub reads.
    pub(crate) fn stored_bytes(&self) -> u64 {
        let state = self.layers.view().state;
        state.document_bytes + u64::from(state.segment) * self.segment_bytes
    }

    /// Reading a document did not succeed. If its bytes are damaged, and it was not removed meanwhile, nobody is given
    /// them any more.
    pub(crate) fn suspect(&self, id: &str, error: Error) -> Error {
        let Error::Damaged(why) = error else { return error };
        // All of them seem to be missing when the directory is.
        if let Err(away) = self.space.ground() {
            return away;
        }
        if self.keeps(id).is_ok_and(|kept| kept) {
            self.quarantine.put(id, &why);
        }
        Error::Damaged(why)
    }

    /// A whole scrub is done.
    pub(crate) fn scrubbed(&self, found: Scrubbed) {
        *self.scrubbed.lock() = Some(found);
    }

    /// What is wrong with the journal or the index, in words.
    fn damage(&self) -> Option<String> {
        let scrubbed = self.scrubbed.lock();
        let found = scrubbed.as_ref()?;
        let mut words = Vec::new();
        if let Some(place) = found.broken.first() {
            words.push(format!(
                "{} places of the journal cannot be read, the first: {place}",
                found.broken.len()
            ));
        }
        if !found.missing.is_empty() {
            words.push(
                "the index lacks what the journal holds; it is built again at the next start".to_owned(),
            );
        }
        Some(words.join("; ")).filter(|words| !words.is_empty())
    }
}

impl Archive for Segments {
    fn past(&self, location: &Location) -> Result<Bytes, Error> {
        let file = self.file(location.segment)?;
        let damaged = || {
            Error::Damaged(format!(
                "a past version at segment {}, offset {}",
                location.segment, location.offset
            ))
        };
        let mut bytes = vec![0; usize::try_from(location.length).map_err(|_| damaged())?];
        std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, location.offset).map_err(Error::io(
            format!("reading segment {}, offset {}", location.segment, location.offset),
        ))?;
        if xxhash_rust::xxh3::xxh3_64(&bytes) != location.check {
            return Err(damaged());
        }
        Ok(bytes.into())
    }
}

/// The engine.
pub(crate) struct Embedded {
    shared: Arc<Shared>,
    incarnation: Incarnation,
    threads: Arc<Mutex<Option<Threads>>>,
}

/// What runs, and what is held, as long as the store is open.
struct Threads {
    committer: JoinHandle<()>,
    checkpoints: JoinHandle<Box<dyn Library>>,
    segments: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    lock: std::fs::File,
}

impl Threads {
    /// Ends everything and lets the data directory go.
    fn end(self, shared: &Shared, ending: Ending) -> Result<(), Error> {
        shared.queue.close();
        shared.upkeep.end();
        let ended = || Error::Stopped("a thread of the store panicked".into());
        let committed = self.committer.join().map_err(|_| ended());
        // It ends with the committer; nothing may be made here once the lock is given back.
        let made = self.segments.join().map_err(|_| ended());
        let kept = self.upkeep.join().map_err(|_| ended());
        shared.checkpoint.end(ending);
        let library = self.checkpoints.join().map_err(|_| ended())?;
        let result = committed.and(made).and(kept).and_then(|()| shared.stopped());
        shared.halt.close();
        shared.layers.detach();
        let closed = match ending {
            Ending::Complete if result.is_ok() => library.close(),
            Ending::Complete | Ending::AtOnce => {
                drop(library);
                Ok(())
            }
        };
        drop(self.lock);
        result.and(closed)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        if let Some(threads) = self.threads.lock().take() {
            let _ = threads.end(&self.shared, Ending::AtOnce);
        }
    }
}

impl Embedded {
    #[cfg(test)]
    pub(crate) fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    fn reader(&self) -> Result<Reader<'_>, Error> {
        Ok(Reader { view: self.shared.view()?, archive: &self.shared.segments })
    }

    async fn commit(&self, prepared: Prepared) -> Result<Applied, Error> {
        self.shared.stopped()?;
        if prepared.grows {
            self.shared.space.check()?;
        }
        let (answer, answered) = oneshot::channel();
        self.shared.queue.push(Request::Commit { prepared, answer }).await?;
        answered.await.unwrap_or_else(|_| Err(self.ended()))
    }

    async fn append(&self, instant: Instant, audit: Vec<Bytes>) -> Result<(), Error> {
        self.shared.stopped()?;
        if audit.is_empty() {
            return Ok(());
        }
        let (answer, answered) = oneshot::channel();
        self.shared.queue.push(Request::Note { instant, audit, answer }).await?;
        answered.await.unwrap_or_else(|_| Err(self.ended()))
    }

    /// Why a request was never answered.
    fn ended(&self) -> Error {
        self.shared.stopped().err().unwrap_or_else(|| Error::Stopped("the committer has ended".into()))
    }

    async fn chunks(&self, id: &str, range: Range<u64>) -> Result<Chunks, Error> {
        self.shared.quarantine.check(id)?;
        let suspect = {
            let (shared, id) = (self.shared.clone(), id.to_owned());
            move |error| shared.suspect(&id, error)
        };
        let chunks = self.unguarded(id, range).await.map_err(&suspect)?;
        Ok(chunks.map(move |chunk| chunk.map_err(&suspect)).boxed())
    }

    async fn unguarded(&self, id: &str, range: Range<u64>) -> Result<Chunks, Error> {
        let missing = || Error::Damaged(format!("document {id} is not kept"));
        let stored = self.reader()?.stored_blob(id)?.ok_or_else(missing)?;
        let range = serve::within(range, stored.size);
        match stored.place {
            Place::Journal { segment, offset } => {
                serve::from_journal(id, &stored, &*self.shared.segments.file(segment)?, offset, range)
            }
            Place::File => serve::from_file(self.shared.files.clone(), id.to_owned(), stored, range).await,
            Place::Memory => Err(missing()),
        }
    }
}

impl Engine for Embedded {
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Applied, Error>> {
        let prepared = Prepared::new(batch);
        // Whatever it could not do: a batch that was perhaps written is answered with `Stopped` and nothing else.
        async move { self.commit(prepared).await.map_err(Error::unwritten) }.boxed()
    }
    fn note(&self, instant: Instant, audit: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>> {
        async move { self.append(instant, audit).await.map_err(Error::unwritten) }.boxed()
    }
    fn audited(&self, after: u64, limit: usize) -> Result<Vec<AuditLine>, Error> {
        let visible = self.shared.layers.view().state.entry;
        self.shared.stopped()?;
        audit::lines(&self.shared.segments, visible, after, limit)
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
        Box::new(Receiver::new(limit, Some(self.shared.files.clone())))
    }
    fn stage_apart(&self, limit: u64) -> Box<dyn Sink> {
        Box::new(Receiver::apart(limit, self.shared.files.clone()))
    }
    fn discard(&self, ids: &[String]) -> Result<(), Error> {
        for id in ids {
            // What is not known, or is kept after all, is left to the upkeep, which has seen more.
            if self.shared.knows(id)? && !self.shared.keeps(id)? {
                self.shared.files.delete_if_there(id)?;
            }
        }
        Ok(())
    }
    fn blob(&self, id: &str) -> Result<Option<Blob>, Error> {
        self.reader()?.blob(id)
    }
    fn read(&self, blob: &Blob, range: Range<u64>) -> BoxFuture<'_, Result<Chunks, Error>> {
        let id = blob.id.clone();
        async move { self.chunks(&id, range).await }.boxed()
    }
    fn sequence(&self) -> Sequence {
        self.shared.layers.view().state.sequence
    }
    fn last_instant(&self) -> Instant {
        self.shared.layers.view().state.instant
    }
    fn incarnation(&self) -> Incarnation {
        self.incarnation.clone()
    }
    fn room(&self) -> Result<(), Error> {
        self.shared.stopped()?;
        self.shared.space.check().map_err(Error::unwritten)
    }
    fn quarantined(&self) -> Vec<Quarantined> {
        self.shared.quarantine.list()
    }
    fn scrub(&self) -> BoxFuture<'_, Result<Scrubbed, Error>> {
        let shared = self.shared.clone();
        blocking(move || scrub::whole(&shared, &|| shared.upkeep.goes_on())).boxed()
    }
    fn health(&self) -> Health {
        let state = self.shared.layers.view().state;
        let stands_in_the_way = self.room().err();
        let space = &self.shared.space;
        Health {
            writable: stands_in_the_way.is_none(),
            stopped: self.shared.stopped().is_err(),
            reason: stands_in_the_way.map(|error| error.to_string()),
            free_bytes: space.room().map_or(0, |room| room.free),
            mark: space.mark(),
            keeps_back: space.keeps_back(),
            sequence: state.sequence,
            documents: state.documents,
            document_bytes: state.document_bytes,
            quarantined: self.shared.quarantine.count(),
            damage: self.shared.damage(),
            integrity_failures: self.shared.quarantine.failures(),
            uncited: self.shared.scrubbed.lock().as_ref().map_or(0, |found| found.uncited),
        }
    }
    fn close(&self) -> BoxFuture<'_, Result<(), Error>> {
        async {
            let (threads, shared) = (self.threads.clone(), self.shared.clone());
            blocking(move || match threads.lock().take() {
                Some(threads) => threads.end(&shared, Ending::Complete),
                None => shared.stopped(),
            })
            .await
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::Options;

    #[tokio::test]
    async fn after_a_failed_sync_nothing_is_answered_any_more() {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let engine = open(&Options::new(directory.path())).expect("an empty directory can be opened");
        let batch = || Batch { instant: 1, ..Batch::default() };
        engine.apply(batch()).await.expect("the disk takes it");
        engine.shared.stop(&Error::io("syncing the journal")(std::io::Error::other("no")));
        let stopped = |outcome: Result<(), Error>| matches!(outcome, Err(Error::Stopped(why)) if why.contains("syncing"));
        assert!(stopped(engine.apply(batch()).await.map(drop)));
        assert!(stopped(engine.note(1, vec![Bytes::from_static(b"x")]).await));
        assert!(stopped(engine.claimed("x").map(drop)));
        assert!(engine.health().reason.is_some_and(|reason| reason.contains("syncing the journal")));
        assert!(stopped(engine.close().await));
        open(&Options::new(directory.path())).expect("the next start reads what is there");
    }

    fn put(id: u64, version: u64, length: usize) -> crate::batch::Put {
        crate::batch::Put {
            kind: Kind("note"),
            id: id.to_string(),
            version,
            partition: "p".into(),
            order: 0,
            facts: Vec::new(),
            edges: Vec::new(),
            body: vec![b'b'; length].into(),
            rendering: Bytes::new(),
            deleted: false,
        }
    }

    fn commit(puts: impl IntoIterator<Item = crate::batch::Put>) -> Batch {
        Batch { puts: puts.into_iter().collect(), ..Batch::default() }
    }

    const EMPTY: crate::space::Room =
        crate::space::Room { free: 1 << 40, all: 1 << 40, names: (0, 0), read_only: false };
    const FULL: crate::space::Room = crate::space::Room { free: 0, ..EMPTY };

    async fn until_all_is_in_the_library(engine: &Embedded) {
        let arrived = async {
            while engine.shared.layers.backlog() != (0, false) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), arrived)
            .await
            .expect("a checkpoint is made");
    }

    #[tokio::test]
    async fn a_full_volume_refuses_what_is_new_and_lets_what_is_under_way_be_concluded() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(&Options::new(directory.path())).unwrap();
        engine.apply(commit([put(1, 1, 10)])).await.unwrap();
        engine.shared.space.pretend(FULL);
        assert!(matches!(engine.room(), Err(Error::NoRoom(_))));
        assert!(matches!(engine.apply(commit([put(2, 1, 10)])).await, Err(Error::NoRoom(_))));
        engine.apply(commit([put(1, 2, 10)])).await.unwrap();
        engine.apply(Batch { concluding: true, ..commit([put(3, 1, 10)]) }).await.unwrap();
        let mut large = engine.stage(u64::MAX);
        assert!(matches!(large.write(&vec![7; 3 << 20]).await, Err(Error::NoRoom(_))), "nothing is staged");
        drop(large);
        assert_eq!(std::fs::read_dir(directory.path().join("staging")).unwrap().count(), 0);
        assert_eq!(engine.get(Kind("note"), "1").unwrap().unwrap().version, 2);
        engine.shared.space.pretend(EMPTY);
        engine.apply(commit([put(2, 1, 10)])).await.unwrap();
    }

    #[tokio::test]
    async fn an_index_that_opens_and_cannot_say_how_far_it_is_is_built_again() {
        use crate::index::{keys, overlay::Run};
        for kind in [crate::open::IndexKind::Redb, crate::open::IndexKind::Sled] {
            let directory = tempfile::tempdir().unwrap();
            let options = Options { index: kind, ..Options::new(directory.path()) };
            let engine = open(&options).unwrap();
            engine.apply(commit([put(1, 1, 10)])).await.unwrap();
            engine.close().await.unwrap();
            drop(engine);
            let index = directory.path().join("index");
            let mut library = crate::journal::index::open(kind, &index, 1 << 20).unwrap();
            let damage = [(keys::state(), Some(Bytes::from_static(b"half")))];
            library.write(&Run::new(damage.into_iter().collect())).unwrap();
            library.close().unwrap();
            let engine = open(&options).expect("the journal holds everything");
            assert_eq!(engine.get(Kind("note"), "1").unwrap().unwrap().version, 1);
        }
    }

    #[tokio::test]
    async fn an_index_that_lost_a_key_is_noticed_by_the_scrub_and_built_again_at_the_next_start() {
        use crate::index::{keys, overlay::Run};
        for kind in [crate::open::IndexKind::Redb, crate::open::IndexKind::Sled] {
            let lost = match kind {
                crate::open::IndexKind::Redb => {
                    vec![keys::pointer(b"note", b"1"), keys::past(b"note", b"2", 1), keys::claim("name")]
                }
                crate::open::IndexKind::Sled => vec![keys::pointer(b"note", b"1")],
            };
            for lost in lost {
                let directory = tempfile::tempdir().unwrap();
                let options = Options {
                    index: kind,
                    segment_bytes: 1 << 20,
                    reserve_bytes: 0,
                    sync: false,
                    ..Options::new(directory.path())
                };
                let engine = open(&options).unwrap();
                let claims = vec![crate::batch::Claim { name: "name".into(), value: vec![1] }];
                engine.apply(Batch { claims, ..commit([put(1, 1, 10), put(2, 1, 10)]) }).await.unwrap();
                engine.apply(commit([put(2, 2, 10)])).await.unwrap();
                assert!(engine.scrub().await.unwrap().is_clean());
                engine.close().await.unwrap();
                drop(engine);
                let index = directory.path().join("index");
                let mut library = crate::journal::index::open(kind, &index, 1 << 20).unwrap();
                library.write(&Run::new([(lost, None)].into_iter().collect())).unwrap();
                library.close().unwrap();
                let engine = open(&options).unwrap();
                let scrubbed = engine.scrub().await.unwrap();
                assert_eq!(scrubbed.missing.len(), 1, "{scrubbed:?}");
                assert!(engine.health().damage.is_some_and(|words| words.contains("built again")));
                drop(engine);
                let engine = open(&options).unwrap();
                assert!(engine.scrub().await.unwrap().is_clean());
                assert_eq!(engine.get(Kind("note"), "1").unwrap().unwrap().version, 1);
            }
        }
    }

    #[tokio::test]
    async fn an_index_with_something_that_cannot_be_read_ends_no_scrub_and_is_built_again() {
        use crate::index::{keys, overlay::Run};
        for length in [10, 1_500_000] {
            let directory = tempfile::tempdir().unwrap();
            let options = Options { reserve_bytes: 0, ..Options::new(directory.path()) };
            let engine = open(&options).unwrap();
            let mut sink = engine.stage(u64::MAX);
            sink.write(&vec![7; length]).await.unwrap();
            let blob = sink.finish().await.unwrap();
            let id = blob.id().to_owned();
            engine.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
            engine.apply(commit([put(1, 1, 10)])).await.unwrap();
            engine.close().await.unwrap();
            drop(engine);
            let index = directory.path().join("index");
            let mut library = crate::journal::index::open(options.index, &index, 1 << 20).unwrap();
            let damage = [(keys::blob(id.as_bytes()), Some(Bytes::from_static(b"half")))];
            library.write(&Run::new(damage.into_iter().collect())).unwrap();
            library.close().unwrap();
            let engine = open(&options).unwrap();
            let scrubbed = engine.scrub().await.unwrap();
            assert!(!scrubbed.missing.is_empty() && scrubbed.entries >= 2, "{scrubbed:?}");
            assert!(engine.health().damage.is_some_and(|words| words.contains("built again")));
            drop(engine);
            let engine = open(&options).unwrap();
            assert!(engine.scrub().await.unwrap().is_clean());
            assert_eq!(engine.blob(&id).unwrap().map(|blob| blob.size), Some(length as u64));
        }
    }

    #[tokio::test]
    async fn a_document_that_cannot_be_moved_to_the_trash_stops_nothing_and_is_moved_later() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(&Options::new(directory.path())).unwrap();
        let mut sink = engine.stage(u64::MAX);
        sink.write(&vec![7; 1_500_000]).await.unwrap();
        let blob = sink.finish().await.unwrap();
        let id = blob.id().to_owned();
        engine.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
        let trash = directory.path().join("trash");
        std::fs::remove_dir(&trash).unwrap();
        std::fs::write(&trash, "in the way").unwrap();
        engine.apply(Batch { trash: vec![id.clone()], ..Batch::default() }).await.unwrap();
        assert_eq!(engine.blob(&id).unwrap(), None);
        std::fs::remove_file(&trash).unwrap();
        std::fs::create_dir(&trash).unwrap();
        engine.apply(Batch::default()).await.unwrap();
        assert!(trash.join(&id).exists());
    }

    #[tokio::test]
    async fn a_document_that_was_put_back_leaves_quarantine_without_a_whole_scrub() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(&Options { reserve_bytes: 0, ..Options::new(directory.path()) }).unwrap();
        let mut ids = Vec::new();
        for length in [1_500_000, 10_000, 1_500_001] {
            let mut sink = engine.stage(u64::MAX);
            sink.write(&vec![7; length]).await.unwrap();
            let blob = sink.finish().await.unwrap();
            ids.push(blob.id().to_owned());
            engine.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
        }
        let shared = engine.shared();
        let away = |id: &str| shared.files.blob_path(id).with_extension("away");
        for id in [&ids[0], &ids[2]] {
            std::fs::rename(shared.files.blob_path(id), away(id)).unwrap();
            let blob = engine.blob(id).unwrap().unwrap();
            assert!(matches!(engine.read(&blob, 0..1).await, Err(Error::Damaged(_))));
        }
        shared.quarantine.put(&ids[1], "said by mistake");
        let mut after = String::new();
        let mut look = || scrub::look_again(&shared, &mut after, &|| true).unwrap();
        look();
        let listed = || engine.quarantined().into_iter().map(|found| found.id).collect::<Vec<_>>();
        let mut missing = vec![ids[0].clone(), ids[2].clone()];
        missing.sort();
        assert_eq!(listed(), missing);
        std::fs::rename(away(&ids[0]), shared.files.blob_path(&ids[0])).unwrap();
        look();
        assert_eq!(listed(), [ids[2].clone()]);
        let blob = engine.blob(&ids[0]).unwrap().unwrap();
        assert!(engine.read(&blob, 0..1).await.is_ok());
        engine.apply(Batch { trash: vec![ids[2].clone()], ..Batch::default() }).await.unwrap();
        look();
        assert!(listed().is_empty());
    }

    #[tokio::test]
    async fn a_document_that_keeps_the_name_it_was_received_under_loses_it_later() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(&Options::new(directory.path())).unwrap();
        let mut sink = engine.stage(u64::MAX);
        sink.write(&vec![7; 1_500_000]).await.unwrap();
        let blob = sink.finish().await.unwrap();
        let staged = directory.path().join("staging").join(blob.id());
        std::fs::remove_file(&staged).unwrap();
        // What is no file cannot be removed like one.
        std::fs::create_dir(&staged).unwrap();
        engine.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.unwrap();
        assert!(staged.exists());
        std::fs::remove_dir(&staged).unwrap();
        std::fs::write(&staged, "the same name").unwrap();
        engine.apply(Batch::default()).await.unwrap();
        assert!(!staged.exists());
    }

    #[tokio::test]
    async fn the_index_is_not_written_to_a_full_volume_and_catches_up_without_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options { news_bytes: 0, ..Options::new(directory.path()) };
        let engine = open(&options).unwrap();
        engine.apply(commit((0..12).map(|id| put(id, 1, 1 << 20)))).await.unwrap();
        until_all_is_in_the_library(&engine).await;
        engine.shared.space.pretend(FULL);
        engine.apply(commit((0..12).map(|id| put(id, 2, 1 << 20)))).await.unwrap();
        // What is new stays in memory, but not without bound; what is concluded has a bound of its own.
        assert!(matches!(engine.apply(commit([put(1, 3, 10)])).await, Err(Error::NoRoom(_))));
        let conclude = |id| Batch { concluding: true, ..commit([put(id, 3, 3 << 20)]) };
        engine.apply(conclude(2)).await.unwrap();
        engine.apply(conclude(3)).await.unwrap();
        assert!(matches!(engine.apply(conclude(4)).await, Err(Error::NoRoom(_))));
        engine.note(1, vec![Bytes::from_static(b"read")]).await.unwrap();
        assert_eq!(engine.get(Kind("note"), "1").unwrap().unwrap().version, 2);
        engine.shared.space.pretend(EMPTY);
        until_all_is_in_the_library(&engine).await;
        engine.apply(commit([put(1, 3, 10)])).await.unwrap();
        engine.close().await.unwrap();
    }
}
