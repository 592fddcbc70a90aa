//! Small records and an engine to put them into.

use bytes::Bytes;
use futures_util::TryStreamExt;
use store::{
    AnyOf, Ask, Batch, Edge, Fact, IndexKind, Kind, Options, Order, Page, Put, Reach, Scope, Store, Test,
};

/// The sort of most sample records.
pub(crate) const NOTE: Kind = Kind("note");

/// What is being tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Memory,
    Redb,
    Sled,
}

/// A directory in memory where there is one: thousands of stores are opened here.
pub(crate) fn directory() -> tempfile::TempDir {
    let made = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    made.expect("a temporary directory can be made")
}

/// A store with the directory it lives in.
pub(crate) struct Home {
    pub(crate) store: Store,
    pub(crate) directory: tempfile::TempDir,
    pub(crate) engine: Engine,
}

impl Home {
    pub(crate) fn new(engine: Engine) -> Home {
        let directory = directory();
        let store = match options(engine, directory.path()) {
            None => Store::memory(),
            Some(options) => Store::open(&options).expect("an empty directory can be opened"),
        };
        Home { store, directory, engine }
    }

    /// Drops the store as a kill would, and opens its directory again.
    pub(crate) fn reopened(self) -> Home {
        let options =
            options(self.engine, self.directory.path()).expect("only an embedded store is opened again");
        drop(self.store);
        let store = Store::open(&options).expect("what was kept can be opened");
        Home { store, directory: self.directory, engine: self.engine }
    }
}

/// Small segments and checkpoints after every commit, so that tests cross from one to the next; no sync, because
/// no machine is switched off here.
pub(crate) fn options(engine: Engine, directory: &std::path::Path) -> Option<Options> {
    let index = match engine {
        Engine::Memory => return None,
        Engine::Redb => IndexKind::Redb,
        Engine::Sled => IndexKind::Sled,
    };
    let options = Options::new(directory.join("data"));
    Some(Options {
        index,
        cache_bytes: 4 << 20,
        segment_bytes: 64 << 10,
        news_bytes: 0,
        reserve_bytes: 0,
        sync: false,
        ..options
    })
}

pub(crate) fn put(id: &str, version: u64) -> Put {
    Put {
        kind: NOTE,
        id: id.to_owned(),
        version,
        partition: "p".to_owned(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: Bytes::from(format!("{id} at {version}")),
        rendering: Bytes::new(),
        deleted: false,
    }
}

pub(crate) fn batch(puts: impl IntoIterator<Item = Put>) -> Batch {
    Batch { puts: puts.into_iter().collect(), instant: 1, ..Batch::default() }
}

pub(crate) fn term(name: &'static str, space: &str, value: &str, reach: Reach) -> Fact {
    Fact::Term { name, space: space.to_owned(), value: value.to_owned(), reach }
}

pub(crate) fn text(name: &'static str, exact: &str, reach: Reach) -> Fact {
    Fact::Text { name, folded: exact.to_lowercase(), exact: exact.to_owned(), reach }
}

pub(crate) fn edge(name: &'static str, target: &str) -> Edge {
    Edge { name, target: target.to_owned() }
}

/// Everything of the partition `p`.
pub(crate) fn ask() -> Ask {
    Ask {
        kind: NOTE,
        scope: Scope::Partitions(vec!["p".to_owned()]),
        all: Vec::new(),
        order: Order::Natural,
        after: None,
        limit: 100,
        as_of: None,
        total: false,
    }
}

pub(crate) fn everywhere(tests: impl IntoIterator<Item = Test>) -> Ask {
    Ask { scope: Scope::Everywhere, ..asking(tests) }
}

/// All of these tests.
pub(crate) fn asking(tests: impl IntoIterator<Item = Test>) -> Ask {
    let all = tests.into_iter().map(|test| AnyOf { tests: vec![test], negated: false }).collect();
    Ask { all, ..ask() }
}

pub(crate) fn ids(page: &Page) -> Vec<&str> {
    page.rows.iter().map(|row| row.id.as_str()).collect()
}

pub(crate) fn found(store: &Store, ask: &Ask) -> Vec<String> {
    ids(&store.find(ask).expect("the question can be answered")).into_iter().map(str::to_owned).collect()
}

/// Bytes that do not repeat with any chunk.
pub(crate) fn content(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let step = |state: &mut u64| {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state as u8
    };
    (0..length).map(|_| step(&mut state)).collect()
}

pub(crate) async fn staged(store: &Store, content: &[u8]) -> store::blob::Staged {
    let mut sink = store.stage(u64::MAX);
    for piece in content.chunks(100_000) {
        sink.write(piece).await.expect("the document is taken");
    }
    sink.finish().await.expect("the document is complete")
}

/// Stages and commits a document; answers its id.
pub(crate) async fn kept(store: &Store, content: &[u8]) -> String {
    let blob = staged(store, content).await;
    let id = blob.id().to_owned();
    store.apply(Batch { blobs: vec![blob], ..Batch::default() }).await.expect("the document is committed");
    id
}

pub(crate) async fn read(
    store: &Store,
    id: &str,
    range: std::ops::Range<u64>,
) -> Result<Vec<u8>, store::Error> {
    let blob = store.blob(id)?.expect("the document is there");
    let chunks: Vec<Bytes> = store.read(&blob, range).await?.try_collect().await?;
    Ok(chunks.concat())
}
