//! The scrub of the journal: every entry along the chain, with the documents it holds.

use std::collections::BTreeSet;

use crate::blob::{CHUNK, checks};
use crate::commit::{Commit, Document};
use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::index::view::View;
use crate::journal::entry::{ALIGNMENT, HEADER, Head, Sort};
use crate::journal::replay::{Entry, read_at, read_head};
use crate::journal::segment::{FIRST, Segment};
use crate::journal::tail;
use crate::scrub::compare::{Compare, claims_missing};
use crate::scrub::{Place, Scrubbed};

/// A place between two entries.
pub(crate) struct Walk {
    segment: Segment,
    offset: u64,
    /// The last entry and its hash; none where the journal could not be read.
    entry: u64,
    hash: Option<[u8; 32]>,
    /// Names that commits claimed and the index does not know: released later, or missing.
    unclaimed: BTreeSet<String>,
}

impl Walk {
    pub(crate) fn beginning(shared: &Shared) -> Place {
        Place::Journal { segment: 1, offset: FIRST, entry: 0, hash: shared.segments.root() }
    }

    pub(crate) fn at(
        shared: &Shared,
        segment: u32,
        offset: u64,
        entry: u64,
        hash: [u8; 32],
    ) -> Result<Walk, Error> {
        let segment = shared.segments.segment(segment)?;
        Ok(Walk { segment, offset, entry, hash: Some(hash), unclaimed: BTreeSet::new() })
    }

    /// Where another walk can go on: not where the chain is lost.
    pub(crate) fn place(&self) -> Option<Place> {
        let (segment, offset, entry) = (self.segment.number, self.offset, self.entry);
        self.hash.map(|hash| Place::Journal { segment, offset, entry, hash })
    }

    /// Reads the next entry; answers how many bytes that were, or none at the end of what is visible.
    pub(crate) fn step(
        &mut self,
        shared: &Shared,
        found: &mut Scrubbed,
        going: &dyn Fn() -> bool,
    ) -> Result<Option<u64>, Error> {
        // Taken before anything is read: whatever it shows as written must be there.
        let view = shared.view()?;
        if self.entry >= view.state.entry {
            let missing = claims_missing(&view, &std::mem::take(&mut self.unclaimed))?;
            missing.into_iter().for_each(|what| found.missing(shared, what));
            return Ok(None);
        }
        match self.read(shared) {
            Ok(Some(entry)) => self.entry(shared, &view, &entry, found, going).map(Some),
            Ok(None) if self.go_to_next_segment(shared)? => Ok(Some(0)),
            Ok(None) => {
                found.broken(shared, format!("segment {}, offset {}", self.segment.number, self.offset));
                self.resume(shared, &view).map(Some)
            }
            Err(error) => {
                found.broken(shared, error.to_string());
                self.give_up_segment(shared, &view)?;
                Ok(Some(0))
            }
        }
    }

    /// The entry at this place, if its head and its commit are what the chain says.
    fn read(&self, shared: &Shared) -> Result<Option<Entry>, Error> {
        let Some(head) = self.head(shared, &self.segment, self.offset)? else { return Ok(None) };
        let mut meta = vec![0; head.meta as usize];
        read_at(&self.segment, &mut meta, self.offset + HEADER as u64)?;
        if self.hash.is_some_and(|hash| !head.follows(&hash, &meta)) {
            return Ok(None);
        }
        Ok(Some(Entry { head, meta: meta.into(), segment: self.segment.number, start: self.offset }))
    }

    /// The head at a place, if it can be the next one.
    fn head(&self, shared: &Shared, segment: &Segment, offset: u64) -> Result<Option<Head>, Error> {
        let head = read_head(segment, offset, shared.segments.seed())?;
        let next = |head: &Head| {
            offset + head.length() <= segment.size
                && match self.hash {
                    Some(_) => head.number == self.entry + 1,
                    None => head.number > self.entry,
                }
        };
        Ok(head.filter(next))
    }

    fn go_to_next_segment(&mut self, shared: &Shared) -> Result<bool, Error> {
        let number = self.segment.number + 1;
        if !shared.segments.exists(number) {
            return Ok(false);
        }
        let Ok(segment) = shared.segments.segment(number) else { return Ok(false) };
        if self.head(shared, &segment, FIRST)?.is_none() {
            return Ok(false);
        }
        // What is still in memory says nothing about the disk.
        let _ = rustix::fs::fadvise(&segment.file, 0, None, rustix::fs::Advice::DontNeed);
        (self.segment, self.offset) = (segment, FIRST);
        Ok(true)
    }

    /// Goes on behind a place that cannot be read, with whatever entry comes next.
    fn resume(&mut self, shared: &Shared, view: &View) -> Result<u64, Error> {
        let from = self.offset + ALIGNMENT;
        let next = tail::next_head(&self.segment, from, self.entry, shared.segments.seed())?;
        self.hash = None;
        match next {
            Some(offset) => self.offset = offset,
            None => self.give_up_segment(shared, view)?,
        }
        Ok(0)
    }

    /// Goes on with the next segment that can be opened at all, or ends.
    fn give_up_segment(&mut self, shared: &Shared, view: &View) -> Result<(), Error> {
        self.hash = None;
        for number in self.segment.number + 1..=view.state.segment {
            if let Ok(segment) = shared.segments.segment(number) {
                (self.segment, self.offset) = (segment, FIRST);
                return Ok(());
            }
        }
        self.entry = view.state.entry;
        Ok(())
    }

    fn entry(
        &mut self,
        shared: &Shared,
        view: &View,
        entry: &Entry,
        found: &mut Scrubbed,
        going: &dyn Fn() -> bool,
    ) -> Result<u64, Error> {
        if entry.head.sort == Sort::Commit {
            let commit = Commit::read(&entry.meta)?;
            let compare = Compare { view, entry, commit: &commit };
            match compare.missing(&mut self.unclaimed) {
                // What cannot be read in the index is as good as not there: the journal has it.
                Ok(Some(what)) | Err(Error::Damaged(what)) => found.missing(shared, what),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
            let mut offset = entry.place().documents;
            for document in commit.documents.iter().filter(|document| document.in_entry) {
                match compare.keeps(document.id) {
                    Ok(true) => {
                        let outcome = self.document(document, offset, going);
                        found.document(shared, document.id, outcome)?;
                    }
                    Ok(false) => {}
                    Err(Error::Damaged(what)) => found.missing(shared, what),
                    Err(error) => return Err(error),
                }
                offset += document.size;
            }
        }
        found.entries += 1;
        self.entry = entry.head.number;
        self.hash = Some(entry.head.hash);
        self.offset += entry.head.length();
        Ok(entry.head.length())
    }

    fn document(&self, document: &Document<'_>, offset: u64, going: &dyn Fn() -> bool) -> Result<(), Error> {
        let mut chunk = vec![0; CHUNK];
        let (mut at, mut left) = (offset, document.size);
        for check in &document.checks {
            let length = left.min(CHUNK as u64);
            let chunk = &mut chunk[..length as usize];
            read_at(&self.segment, chunk, at)?;
            if checks(chunk).next() != Some(*check) {
                let begin = document.size - left;
                return Err(Error::Damaged(format!("document {}, from byte {begin}", document.id)));
            }
            at += length;
            left -= length;
        }
        if going() { Ok(()) } else { Err(Error::Stopped("the scrub was ended".into())) }
    }
}
