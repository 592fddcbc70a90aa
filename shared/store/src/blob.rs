//! Documents: bytes written once, under an id made here, and read back verified.

use bytes::Bytes;
use futures_util::stream::BoxStream;

use crate::error::Error;
use crate::record::Instant;

/// Documents up to this size are written into the journal with their commit.
pub(crate) const INLINE: usize = 1 << 20;

/// Each piece of a document of this size has its own check sum, verified before it is given out.
pub(crate) const CHUNK: usize = 64 << 10;

/// The check sum of each chunk.
pub(crate) fn checks(content: &[u8]) -> impl Iterator<Item = u64> {
    content.chunks(CHUNK).map(xxhash_rust::xxh3::xxh3_64)
}

/// A document that is being received. Up to 1 MiB stays in memory, or 64 KiB while many others do; beyond, a file under
/// `staging/` takes it.
/// Dropped without `finish`, it leaves nothing behind.
pub trait Sink: Send {
    /// Takes the next bytes, counting and hashing them. Fails when the limit is passed.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> futures_util::future::BoxFuture<'a, Result<(), Error>>;
    /// Ends the document; a large one is synced and named before this answers.
    fn finish(self: Box<Self>) -> futures_util::future::BoxFuture<'static, Result<Staged, Error>>;
}

/// A document received, not yet part of a commit. Dropped without a commit, it leaves nothing behind.
#[derive(Debug)]
pub struct Staged {
    pub(crate) id: String,
    pub(crate) size: u64,
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    /// xxh3-64 of each chunk, of a document that is written with its commit.
    pub(crate) checks: Vec<u64>,
    pub(crate) content: Content,
    /// Leave to be in memory, given back with this value.
    pub(crate) _held: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// Where a staged document is.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory, to be written with the commit's own journal entry.
    Inline(Bytes),
    /// In a file of its own, already synced and named; removed on drop unless a commit took it.
    File(crate::files::StagedFile),
}

impl Staged {
    /// Id of the document: 32 hexadecimal digits that tell nothing.
    pub fn id(&self) -> &str {
        &self.id
    }
    /// Bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
    /// SHA-1, for the wire.
    pub fn sha1(&self) -> [u8; 20] {
        self.sha1
    }
    /// SHA-256, for equality.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}

/// A document that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Its id.
    pub id: String,
    /// Bytes.
    pub size: u64,
    /// SHA-1.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: [u8; 32],
    /// When the commit that holds it was made.
    pub instant: Instant,
}

/// The bytes of a document, in order, each chunk verified before it is given out.
pub type Chunks = BoxStream<'static, Result<Bytes, Error>>;
