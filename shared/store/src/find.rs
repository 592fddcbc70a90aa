//! How a question is answered from one state of the index. The same for every engine.

mod collect;
pub(crate) mod digest;
pub(crate) mod evaluate;
mod everywhere;
pub(crate) mod plan;
mod sort;

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use crate::ask::{Ask, Page, Scope};
use crate::error::Error;
use crate::find::collect::Collector;
use crate::find::digest::Digest;
use crate::find::everywhere::Everywhere;
use crate::index::digests::Known;
use crate::index::keys;
use crate::index::values::verified;
use crate::read::Reader;
use crate::record::Sequence;
use crate::row::RowView;

/// Answers a question.
pub(crate) fn find(reader: &Reader<'_>, ask: &Ask) -> Result<Page, Error> {
    let now = reader.view.state.sequence;
    let search = Search { reader, ask, as_of: ask.as_of.unwrap_or(now).min(now) };
    let mut found = Collector::new(ask, search.as_of, search.after()?);
    search.run(&mut found)?;
    found.into_page()
}

/// Which records those point to that a question asks for, along edges of these names, and how many rows were looked at.
pub(crate) fn targets(
    reader: &Reader<'_>,
    ask: &Ask,
    edges: &[&'static str],
) -> Result<(HashSet<String>, u64), Error> {
    let now = reader.view.state.sequence;
    let search = Search { reader, ask, as_of: ask.as_of.unwrap_or(now).min(now) };
    let mut found = Collector::following(ask, search.as_of, edges);
    search.run(&mut found)?;
    Ok(found.into_targets())
}

struct Search<'a> {
    reader: &'a Reader<'a>,
    ask: &'a Ask,
    as_of: Sequence,
}

impl Search<'_> {
    fn run(&self, found: &mut Collector<'_>) -> Result<(), Error> {
        match &self.ask.scope {
            Scope::Partitions(partitions) => self.partitions(partitions, found),
            Scope::Everywhere => self.everywhere(found),
            Scope::Indexed(most) => self.indexed(*most, found),
        }
    }

    /// Where the answer goes on. A place that would be long is told by the record that stands there.
    fn after(&self) -> Result<Option<Vec<u8>>, Error> {
        match sort::read_cursor(self.ask)? {
            None => Ok(None),
            Some(sort::Stand::Place(place)) => Ok(Some(place.to_vec())),
            Some(sort::Stand::Record(id)) => {
                let row = self.reader.version_at(self.kind(), id, self.as_of)?.ok_or(Error::BadCursor)?;
                Ok(Some(sort::place(&self.ask.order, &RowView::new(&row)?)))
            }
        }
    }

    fn indexed(&self, most: usize, found: &mut Collector<'_>) -> Result<(), Error> {
        match plan::within(self.reader, self.ask, most)? {
            Some(ids) => self.by_id(&ids, found, None),
            None => Err(Error::TooBroad { most }),
        }
    }

    fn kind(&self) -> &'static [u8] {
        self.ask.kind.0.as_bytes()
    }

    fn in_the_past(&self) -> bool {
        self.as_of < self.reader.view.state.sequence
    }

    fn partitions(&self, partitions: &[String], found: &mut Collector<'_>) -> Result<(), Error> {
        let partitions: BTreeSet<&str> = partitions.iter().map(String::as_str).collect();
        if !self.in_the_past()
            && let Some(ids) = plan::few(self.reader, self.ask)?
        {
            let ranges = partitions.iter().map(|one| keys::partition(self.kind(), one.as_bytes()).done());
            return self.by_id(&ids, found, Some(&ranges.collect::<Vec<_>>()));
        }
        for partition in partitions {
            self.partition(partition.as_bytes(), found)?;
        }
        Ok(())
    }

    /// One range of the index, and what has left it since the state that is asked for.
    fn partition(&self, partition: &[u8], found: &mut Collector<'_>) -> Result<(), Error> {
        let range = keys::partition(self.kind(), partition).done();
        match self.reader.view.digests.of(&range, self.as_of) {
            Known::Digest(digest) => return self.digested(&digest, found),
            Known::Wanted if !self.in_the_past() => return self.digest(&range, found),
            Known::Wanted | Known::Nothing => {}
        }
        let before = found.scanned();
        self.range(partition, found)?;
        self.reader.view.digests.was_read(&range, (found.scanned() - before) as usize);
        Ok(())
    }

    /// Makes a digest of a partition, keeps it, and answers from it.
    fn digest(&self, range: &[u8], found: &mut Collector<'_>) -> Result<(), Error> {
        let mut digest = Digest::default();
        let _ = self.reader.view.scan_beginning(range, &mut |key, value| {
            digest.add(verified(key, value)?)?;
            Ok(ControlFlow::Continue(()))
        })?;
        let digest = Arc::new(digest);
        self.reader.view.digests.keep(range, &digest, self.reader.view.state.sequence);
        self.digested(&digest, found)
    }

    fn digested(&self, digest: &Digest, found: &mut Collector<'_>) -> Result<(), Error> {
        let checks = digest.checks(&self.ask.all);
        found.begin_range();
        let mut from = 0;
        loop {
            let place = checks.next(from, digest.rows.len());
            found.pass_over(place - from);
            let Some(row) = digest.rows.get(place) else { break };
            if found.offer_digested(digest, row, &checks)?.is_break() {
                break;
            }
            from = place + 1;
        }
        Ok(())
    }

    fn range(&self, partition: &[u8], found: &mut Collector<'_>) -> Result<(), Error> {
        if self.in_the_past() {
            self.departed(partition, found)?;
        }
        let beginning = keys::partition(self.kind(), partition).done();
        let end = keys::behind(&beginning);
        let start = match found.start_of_range() {
            Some(place) => [beginning.as_slice(), place].concat(),
            None => beginning,
        };
        found.begin_range();
        let _ = self
            .reader
            .view
            .scan(&start, &end, &mut |key, value| self.offer(verified(key, value)?, found))?;
        Ok(())
    }

    fn departed(&self, partition: &[u8], found: &mut Collector<'_>) -> Result<(), Error> {
        let start = keys::departed(self.kind(), partition, self.as_of + 1, b"");
        let end = keys::behind(&keys::Key::new(keys::DEPARTED).part(self.kind()).part(partition).done());
        let mut ids = BTreeSet::new();
        let _ = self.reader.view.scan(&start, &end, &mut |key, _| {
            if let Some(id) = keys::after_parts(key, 2).and_then(|rest| rest.get(8..)) {
                ids.insert(id.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for id in ids {
            if let Some(old) = self.reader.version_at(self.kind(), &id, self.as_of)? {
                let row = RowView::new(&old)?;
                if row.partition() == partition && !self.stands_in_its_place(&row)? {
                    found.offer_aside(&row, &old)?;
                }
            }
        }
        Ok(())
    }

    /// Whether the scan of the range will come by this record at the key of this old version.
    fn stands_in_its_place(&self, old: &RowView<'_>) -> Result<bool, Error> {
        let key = keys::row(old.kind(), old.partition(), old.order(), old.id());
        Ok(self.reader.pointer(old.kind(), old.id())?.is_some_and(|pointer| pointer.key == key))
    }

    /// One row of a range: as it stands, or as it stood.
    fn offer(&self, value: &[u8], found: &mut Collector<'_>) -> Result<ControlFlow<()>, Error> {
        let row = RowView::new(value)?;
        if row.sequence() <= self.as_of {
            return found.offer(&row, value);
        }
        if row.version() > 1
            && let Some(old) = self.reader.version_at(row.kind(), row.id(), self.as_of)?
        {
            let old_row = RowView::new(&old)?;
            if old_row.partition() == row.partition() && old_row.order() == row.order() {
                return found.offer(&old_row, &old);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn everywhere(&self, found: &mut Collector<'_>) -> Result<(), Error> {
        if let Some(ids) = plan::sharp(self.reader, self.ask)? {
            if self.in_the_past() {
                self.changed_since(found)?;
            }
            return self.by_id(&ids, found, None);
        }
        let after = found.after().map(<[u8]>::to_vec);
        let (reader, ask, as_of, after) = (self.reader, self.ask, self.as_of, after.as_deref());
        if (Everywhere { reader, ask, as_of, after }).answer(found)? {
            return Ok(());
        }
        if self.in_the_past() {
            self.changed_since(found)?;
        }
        if let Some(ids) = plan::all(self.reader, self.ask)? {
            return self.by_id(&ids, found, None);
        }
        let beginning = keys::Key::new(keys::ROW).part(self.kind()).done();
        let _ = self.reader.view.scan_beginning(&beginning, &mut |key, value| {
            let value = verified(key, value)?;
            let row = RowView::new(value)?;
            if row.sequence() <= self.as_of {
                found.offer_aside(&row, value)?;
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(())
    }

    /// Records as they stood before what changed since the state that is asked for.
    fn changed_since(&self, found: &mut Collector<'_>) -> Result<(), Error> {
        let mut ids = Vec::new();
        let start = keys::changed(self.kind(), self.as_of + 1, b"");
        let end = keys::behind(&keys::Key::new(keys::CHANGED).part(self.kind()).done());
        let _ = self.reader.view.scan(&start, &end, &mut |key, value| {
            let new = value == 1u64.to_le_bytes();
            if !new && let Some(id) = keys::after_parts(key, 1).and_then(|rest| rest.get(8..)) {
                ids.push(id.to_vec());
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for id in ids {
            if let Some(old) = self.reader.version_at(self.kind(), &id, self.as_of)? {
                found.offer_aside(&RowView::new(&old)?, &old)?;
            }
        }
        Ok(())
    }

    fn by_id(
        &self,
        ids: &BTreeSet<Vec<u8>>,
        found: &mut Collector<'_>,
        ranges: Option<&[Vec<u8>]>,
    ) -> Result<(), Error> {
        for id in ids {
            // Where a record lies says whose it is: those of others are not even looked at.
            if let Some(ranges) = ranges {
                let Some(pointer) = self.reader.pointer(self.kind(), id)? else { continue };
                if !ranges.iter().any(|range| pointer.key.starts_with(range)) {
                    continue;
                }
            }
            let Some(bytes) = self.reader.current(self.kind(), id)? else { continue };
            let row = RowView::new(&bytes)?;
            if row.sequence() <= self.as_of {
                found.offer_aside(&row, &bytes)?;
            }
        }
        Ok(())
    }
}
