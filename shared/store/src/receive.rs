//! Receiving a document: counted and hashed as it comes, in memory up to 1 MiB, beyond in a file. However many come at
//! once, only so many of them wait for their commit in memory; the others go to files sooner.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use crate::blob::{CHUNK, Content, INLINE, Sink, Staged, checks};
use crate::error::Error;
use crate::files::{Files, Incoming};

/// Pieces of a large document are written in this size.
const PIECE: usize = 4 * CHUNK;

/// Takes one document.
pub(crate) struct Receiver {
    id: String,
    limit: u64,
    size: u64,
    sha1: Sha1,
    sha256: Sha256,
    buffer: Vec<u8>,
    large: Large,
    /// Leave to keep more than a chunk in memory.
    held: Option<OwnedSemaphorePermit>,
    /// Whether it goes to a file however small it is.
    apart: bool,
}

/// What happens beyond 1 MiB.
enum Large {
    /// It stays in memory.
    Memory,
    /// A file will take it.
    Possible(Arc<Files>),
    /// A file takes it.
    File(Incoming),
    /// A write did not succeed; nothing more is taken.
    Failed,
}

impl Receiver {
    /// With no place for files everything stays in memory.
    pub(crate) fn new(limit: u64, files: Option<Arc<Files>>) -> Receiver {
        Receiver {
            id: uuid::Uuid::new_v4().simple().to_string(),
            limit,
            size: 0,
            sha1: Sha1::new(),
            sha256: Sha256::new(),
            buffer: Vec::new(),
            large: files.map_or(Large::Memory, Large::Possible),
            held: None,
            apart: false,
        }
    }

    /// Every document goes to a file of its own, be it as small as it may.
    pub(crate) fn apart(limit: u64, files: Arc<Files>) -> Receiver {
        Receiver { apart: true, ..Receiver::new(limit, Some(files)) }
    }

    async fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.size += bytes.len() as u64;
        if self.size > self.limit {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = match self.large {
                Large::Memory => usize::MAX,
                Large::Possible(_) if self.held.is_some() => INLINE,
                Large::Possible(_) => CHUNK,
                Large::File(_) | Large::Failed => PIECE,
            };
            let (now, later) = rest.split_at(rest.len().min(most.saturating_sub(self.buffer.len())));
            self.buffer.extend_from_slice(now);
            rest = later;
            if !rest.is_empty() && !self.may_hold_more() {
                self.spill().await?;
            }
        }
        Ok(())
    }

    /// Asks for leave to keep more than a chunk in memory, once.
    fn may_hold_more(&mut self) -> bool {
        let Large::Possible(files) = &self.large else { return false };
        if self.held.is_none() {
            self.held = files.leave_to_hold();
            return self.held.is_some();
        }
        false
    }

    /// Moves the buffer, a multiple of a chunk, to the file.
    async fn spill(&mut self) -> Result<(), Error> {
        let large = std::mem::replace(&mut self.large, Large::Failed);
        let buffer = std::mem::take(&mut self.buffer);
        let id = self.id.clone();
        let (file, mut buffer) = blocking(move || {
            let mut file = match large {
                Large::Possible(files) => files.receive(&id)?,
                Large::File(file) => file,
                Large::Memory | Large::Failed => {
                    return Err(Error::Stopped("a document was not written".into()));
                }
            };
            file.append(&buffer)?;
            Ok((file, buffer))
        })
        .await?;
        buffer.clear();
        buffer.shrink_to(PIECE);
        self.buffer = buffer;
        self.large = Large::File(file);
        self.held = None;
        Ok(())
    }

    /// A file takes what is in memory so far, which stays in the buffer.
    async fn begin_file(&mut self) -> Result<(), Error> {
        let Large::Possible(files) = std::mem::replace(&mut self.large, Large::Failed) else { return Ok(()) };
        let id = self.id.clone();
        self.large = Large::File(blocking(move || files.receive(&id)).await?);
        Ok(())
    }

    async fn end(mut self) -> Result<Staged, Error> {
        if self.apart && matches!(self.large, Large::Possible(_)) {
            self.begin_file().await?;
        }
        let sha256: [u8; 32] = self.sha256.finalize().into();
        let sha1: [u8; 20] = self.sha1.finalize().into();
        let mut inline_checks = Vec::new();
        let content = match self.large {
            Large::File(mut file) => {
                let buffer = self.buffer;
                let file = blocking(move || {
                    file.append(&buffer)?;
                    file.finish(&sha256)
                });
                Content::File(file.await?)
            }
            Large::Memory | Large::Possible(_) => {
                inline_checks.extend(checks(&self.buffer));
                Content::Inline(Bytes::from(self.buffer))
            }
            Large::Failed => return Err(Error::Stopped("a document was not written".into())),
        };
        let held = self.held;
        Ok(Staged { id: self.id, size: self.size, sha1, sha256, checks: inline_checks, content, _held: held })
    }
}

impl Sink for Receiver {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<(), Error>> {
        async move { self.take(bytes).await.map_err(Error::unwritten) }.boxed()
    }
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<Staged, Error>> {
        async move { self.end().await.map_err(Error::unwritten) }.boxed()
    }
}

/// Runs work that waits for the disk on a thread that may wait.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::Stopped("a storage task was ended".into())),
    }
}
