//! Giving out documents: every chunk is verified before it leaves.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::blob::{CHUNK, Chunks, checks};
use crate::error::Error;
use crate::files::{Files, LargeDocument};
use crate::index::values::StoredBlob;
use crate::receive::blocking;

/// Up to so many bytes are verified whole before the first of them is given out.
const VERIFIED_FIRST: u64 = 16 << 20;

/// So many chunks of a large document are read at once.
const STEP: u64 = 4;

/// Content with its check sums, wherever it lies.
struct Source<'a> {
    id: &'a str,
    file: &'a File,
    offset: u64,
    size: u64,
    checks: &'a [u64],
}

impl Source<'_> {
    /// One chunk, verified.
    fn chunk(&self, number: u64) -> Result<Bytes, Error> {
        let begin = number * CHUNK as u64;
        let length = (self.size - begin).min(CHUNK as u64);
        let mut content = vec![0; length as usize];
        let damaged = || Error::Damaged(format!("document {}, from byte {begin}", self.id));
        self.file.read_exact_at(&mut content, self.offset + begin).map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(),
            _ => Error::io(format!("reading document {}", self.id))(error),
        })?;
        let expected = usize::try_from(number).ok().and_then(|number| self.checks.get(number));
        if checks(&content).next().as_ref() != expected {
            return Err(damaged());
        }
        Ok(Bytes::from(content))
    }

    /// What a range takes of one chunk.
    fn part(&self, number: u64, range: &Range<u64>) -> Result<Bytes, Error> {
        let chunk = self.chunk(number)?;
        let begin = number * CHUNK as u64;
        let start = range.start.saturating_sub(begin).min(chunk.len() as u64) as usize;
        let end = (range.end - begin).min(chunk.len() as u64) as usize;
        Ok(chunk.slice(start..end))
    }
}

/// All chunks of a large document, each verified.
pub(crate) fn verified<'a>(
    id: &'a str,
    size: u64,
    document: &'a LargeDocument,
) -> impl Iterator<Item = Result<Bytes, Error>> + 'a {
    let source = large(id, size, document);
    (0..size.div_ceil(CHUNK as u64)).map(move |number| source.chunk(number))
}

/// The numbers of the chunks that hold a range.
fn chunks_of(range: &Range<u64>) -> Range<u64> {
    if range.is_empty() {
        return 0..0;
    }
    range.start / CHUNK as u64..range.end.div_ceil(CHUNK as u64)
}

/// A range that lies within the document.
pub(crate) fn within(range: Range<u64>, size: u64) -> Range<u64> {
    let end = range.end.min(size);
    range.start.min(end)..end
}

/// A document in the journal: at most 1 MiB, read at once.
pub(crate) fn from_journal(
    id: &str,
    stored: &StoredBlob,
    file: &File,
    offset: u64,
    range: Range<u64>,
) -> Result<Chunks, Error> {
    let source = Source { id, file, offset, size: stored.size, checks: &stored.checks };
    let parts = chunks_of(&range).map(|number| source.part(number, &range)).collect::<Result<Vec<_>, _>>()?;
    Ok(stream::iter(parts.into_iter().map(Ok)).boxed())
}

/// A document in its own file: read step by step, on a thread that may wait.
pub(crate) async fn from_file(
    files: Arc<Files>,
    id: String,
    stored: StoredBlob,
    range: Range<u64>,
) -> Result<Chunks, Error> {
    let size = stored.size;
    let wanted = range.clone();
    let (document, id) = blocking(move || {
        let document = files.read(&id, size, &stored.sha256)?;
        if wanted.end - wanted.start <= VERIFIED_FIRST {
            let source = large(&id, size, &document);
            chunks_of(&wanted).try_for_each(|number| source.chunk(number).map(drop))?;
        }
        Ok((document, id))
    })
    .await?;
    let document = Arc::new(document);
    let id: Arc<str> = id.into();
    let all = chunks_of(&range);
    let steps = all.clone().step_by(STEP as usize).map(move |first| first..(first + STEP).min(all.end));
    let read = move |step: Range<u64>| {
        let (document, id, range) = (document.clone(), id.clone(), range.clone());
        blocking(move || {
            let source = large(&id, size, &document);
            step.map(|number| source.part(number, &range)).collect::<Result<Vec<_>, _>>()
        })
    };
    let parts = stream::iter(steps).then(read).flat_map(|step| {
        stream::iter(match step {
            Ok(parts) => parts.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    });
    Ok(parts.boxed())
}

fn large<'a>(id: &'a str, size: u64, document: &'a LargeDocument) -> Source<'a> {
    Source { id, file: &document.file, offset: LargeDocument::CONTENT, size, checks: &document.checks }
}
