//! The walk over the journal from a known place: every entry verified against the one before, up to the tail.

use std::os::unix::fs::FileExt;

use bytes::Bytes;

use crate::blob::{CHUNK, checks};
use crate::commit::Commit;
use crate::error::Error;
use crate::index::derive::EntryPlace;
use crate::index::values::State;
use crate::journal::entry::{HEADER, Head, Sort};
use crate::journal::segment::{FIRST, Segment, Segments};
use crate::journal::tail;

/// An entry that was read and found whole.
pub(crate) struct Entry {
    pub(crate) head: Head,
    pub(crate) meta: Bytes,
    pub(crate) segment: u32,
    /// Offset of its head.
    pub(crate) start: u64,
}

impl Entry {
    pub(crate) fn place(&self) -> EntryPlace {
        let meta = self.start + HEADER as u64;
        EntryPlace { segment: self.segment, meta, documents: meta + u64::from(self.head.meta) }
    }
}

/// Where the journal ends: the next entry goes here.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) segment: Segment,
    pub(crate) offset: u64,
}

/// Why there is no further entry at a place.
pub(crate) enum Gap {
    /// No entry with the expected number and chain.
    Nothing,
    /// The entry is there but its documents are not what it says.
    Documents(Entry),
}

/// Walks on from `state` (the last entry the index holds), gives each entry to `take`, answers where the journal ends.
/// A tail that was never acknowledged is wiped; anything missing that was acknowledged is refused.
pub(crate) fn replay(
    segments: &Segments,
    numbers: &[u32],
    state: &State,
    mut take: impl FnMut(Entry) -> Result<(), Error>,
) -> Result<End, Error> {
    let mut walk = Walk::start(segments, numbers, state)?;
    loop {
        match walk.next()? {
            Ok(entry) => take(entry)?,
            Err(Gap::Documents(entry))
                if tail::was_durable(&walk, entry.head.number, entry.start + HEADER as u64)? =>
            {
                tracing::error!(
                    segment = entry.segment,
                    offset = entry.start,
                    "a document in the journal is damaged"
                );
                walk.accept(&entry);
                take(entry)?;
            }
            Err(_) if walk.go_to_next_segment()? => {}
            Err(_) => return tail::settle(walk),
        }
    }
}

/// A place between two entries.
pub(crate) struct Walk<'a> {
    pub(crate) segments: &'a Segments,
    pub(crate) numbers: &'a [u32],
    pub(crate) segment: Segment,
    pub(crate) offset: u64,
    /// The last entry and its hash.
    pub(crate) number: u64,
    hash: [u8; 32],
}

impl<'a> Walk<'a> {
    pub(crate) fn start(
        segments: &'a Segments,
        numbers: &'a [u32],
        state: &State,
    ) -> Result<Walk<'a>, Error> {
        let beginning = Walk {
            segments,
            numbers,
            segment: segments.segment(1)?,
            offset: FIRST,
            number: 0,
            hash: segments.root(),
        };
        if state.entry == 0 {
            return Ok(beginning);
        }
        let ahead = || {
            Error::Unusable(format!(
                "the index holds entry {} of the journal, which is not at segment {}, offset {}",
                state.entry, state.segment, state.start
            ))
        };
        if !numbers.contains(&state.segment) {
            return Err(ahead());
        }
        let segment = segments.segment(state.segment)?;
        let head = read_head(&segment, state.start, segments.seed())?.ok_or_else(ahead)?;
        if (head.number, head.hash, state.start + head.length()) != (state.entry, state.hash, state.end) {
            return Err(ahead());
        }
        Ok(Walk { segment, offset: state.end, number: state.entry, hash: state.hash, ..beginning })
    }

    pub(crate) fn next(&mut self) -> Result<Result<Entry, Gap>, Error> {
        let Some(head) = read_head(&self.segment, self.offset, self.segments.seed())? else {
            return Ok(Err(Gap::Nothing));
        };
        if head.number != self.number + 1 || self.offset + head.length() > self.segment.size {
            return Ok(Err(Gap::Nothing));
        }
        let mut meta = vec![0; head.meta as usize];
        read_at(&self.segment, &mut meta, self.offset + HEADER as u64)?;
        if !head.follows(&self.hash, &meta) {
            return Ok(Err(Gap::Nothing));
        }
        let entry = Entry { head, meta: meta.into(), segment: self.segment.number, start: self.offset };
        if !documents_are_whole(&self.segment, &entry)? {
            return Ok(Err(Gap::Documents(entry)));
        }
        self.accept(&entry);
        Ok(Ok(entry))
    }

    pub(crate) fn accept(&mut self, entry: &Entry) {
        self.offset += entry.head.length();
        self.number = entry.head.number;
        self.hash = entry.head.hash;
    }

    /// The chain may go on at the beginning of the next segment.
    pub(crate) fn go_to_next_segment(&mut self) -> Result<bool, Error> {
        let next = self.segment.number + 1;
        if !self.numbers.contains(&next) {
            return Ok(false);
        }
        let Some(segment) = self.segments.unless_blank(next)? else { return Ok(false) };
        let Some(head) = read_head(&segment, FIRST, self.segments.seed())? else { return Ok(false) };
        let mut meta = vec![0; head.meta as usize];
        if head.number != self.number + 1 || FIRST + head.length() > segment.size {
            return Ok(false);
        }
        read_at(&segment, &mut meta, FIRST + HEADER as u64)?;
        if !head.follows(&self.hash, &meta) {
            return Ok(false);
        }
        self.segment = segment;
        self.offset = FIRST;
        Ok(true)
    }
}

/// The head at a place, if there is one.
pub(crate) fn read_head(segment: &Segment, offset: u64, seed: u64) -> Result<Option<Head>, Error> {
    if offset + HEADER as u64 > segment.size {
        return Ok(None);
    }
    let mut bytes = [0; HEADER];
    read_at(segment, &mut bytes, offset)?;
    Ok(Head::read(&bytes, seed))
}

/// Reads bytes of a segment; what is behind the end of a shortened file counts as zeros.
pub(crate) fn read_at(segment: &Segment, bytes: &mut [u8], offset: u64) -> Result<(), Error> {
    let mut filled = 0;
    while filled < bytes.len() {
        let read = segment
            .file
            .read_at(&mut bytes[filled..], offset + filled as u64)
            .map_err(Error::io(format!("reading segment {}, offset {offset}", segment.number)))?;
        if read == 0 {
            bytes[filled..].fill(0);
            break;
        }
        filled += read;
    }
    Ok(())
}

fn documents_are_whole(segment: &Segment, entry: &Entry) -> Result<bool, Error> {
    if entry.head.sort == Sort::Note {
        return Ok(true);
    }
    let Ok(commit) = Commit::read(&entry.meta) else { return Ok(false) };
    let mut offset = entry.place().documents;
    let mut chunk = vec![0; CHUNK];
    for document in commit.documents.iter().filter(|document| document.in_entry) {
        let mut left = document.size;
        for check in &document.checks {
            let length = left.min(CHUNK as u64) as usize;
            read_at(segment, &mut chunk[..length], offset)?;
            if checks(&chunk[..length]).next() != Some(*check) {
                return Ok(false);
            }
            offset += length as u64;
            left -= length as u64;
        }
    }
    Ok(true)
}
