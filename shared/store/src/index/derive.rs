//! What a commit changes in the index. Used when it is made and when it is replayed, so both come to the same.

use std::collections::HashSet;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use crate::commit::{Commit, Document};
use crate::encode::Put as _;
use crate::error::Error;
use crate::index::keys::{self, Key};
use crate::index::values::{self, Location, Past, Place, Pointer, State, StoredBlob};
use crate::index::view::{Lookup as _, Working};
use crate::record::{Instant, Reach, Sequence};
use crate::row::{RowView, StoredFact, StoredValue};

/// Where the parts of a commit's entry lie in the journal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EntryPlace {
    pub(crate) segment: u32,
    /// Offset of the commit's own bytes.
    pub(crate) meta: u64,
    /// Offset of its first document.
    pub(crate) documents: u64,
}

/// Which sorts of facts have been written; saves asking the index for every fact.
pub(crate) type SeenFacts = HashSet<Vec<u8>>;

/// One commit on its way into the index.
pub(crate) struct Derive<'a> {
    pub(crate) meta: &'a Bytes,
    pub(crate) sequence: Sequence,
    pub(crate) instant: Instant,
    /// Absent where there is no journal.
    pub(crate) place: Option<EntryPlace>,
    pub(crate) working: &'a mut Working,
    pub(crate) state: &'a mut State,
    pub(crate) seen: &'a mut SeenFacts,
}

impl Derive<'_> {
    /// Writes the changes into the working view. Does not end a batch.
    pub(crate) fn run(mut self) -> Result<(), Error> {
        let meta = self.meta.clone();
        let commit = Commit::read(&meta)?;
        for name in &commit.releases {
            self.working.remove(keys::claim(name));
        }
        for (name, value) in &commit.claims {
            self.working.set(keys::claim(name), Bytes::copy_from_slice(value));
        }
        for range in &commit.rows {
            self.put(meta.slice(range.clone()), range.start as u64)?;
        }
        for (position, (peer, stream, payload)) in (0u32..).zip(&commit.outgoing) {
            let key = keys::outgoing(peer.as_bytes(), self.sequence, position);
            self.working.set(key, message(self.instant, stream, payload));
        }
        for (peer, sequence, position) in &commit.delivered {
            self.working.remove(keys::outgoing(peer.as_bytes(), *sequence, *position));
        }
        self.documents(&commit.documents);
        for id in &commit.trash {
            self.trash(id)?;
        }
        self.state.sequence = self.sequence;
        self.state.instant = self.instant;
        Ok(())
    }

    fn put(&mut self, bytes: Bytes, at: u64) -> Result<(), Error> {
        let row = RowView::new(&bytes)?;
        let pointer = keys::pointer(row.kind(), row.id());
        let key = if row.deleted() {
            keys::grave(row.kind(), row.id())
        } else {
            keys::row(row.kind(), row.partition(), row.order(), row.id())
        };
        if let Some(old) = self.working.get(&pointer)? {
            self.supersede(&Pointer::from_bytes(&old)?, &row, &key)?;
        }
        let location = self.place.map_or_else(Location::default, |place| Location {
            segment: place.segment,
            offset: place.meta + at,
            length: bytes.len() as u64,
            check: xxh3_64(&bytes),
        });
        let now = Pointer {
            version: row.version(),
            sequence: self.sequence,
            location,
            key: Bytes::copy_from_slice(&key),
        };
        self.working.set(pointer, now.to_bytes());
        let version = row.version().to_le_bytes().to_vec();
        self.working.set(keys::changed(row.kind(), self.sequence, row.id()), version);
        for (edge, target) in row.edges() {
            self.working.set(keys::sources(row.kind(), edge, target).last(row.id()).done(), Bytes::new());
        }
        for fact in row.facts() {
            self.remember(row.kind(), &fact)?;
            for key in fact_keys(&row, &fact) {
                self.working.set(key, Bytes::new());
            }
        }
        let value = values::guarded(&key, &bytes);
        self.working.set(key, value);
        Ok(())
    }

    /// Takes the version before out of the index and keeps where it was.
    fn supersede(&mut self, old: &Pointer, new: &RowView<'_>, new_key: &[u8]) -> Result<(), Error> {
        let missing = || Error::Damaged("a pointer leads to no record".into());
        let bytes = self.working.get(&old.key)?.ok_or_else(missing)?;
        let bytes = bytes.slice_ref(values::verified(&old.key, &bytes)?);
        let row = RowView::new(&bytes)?;
        for (edge, target) in row.edges() {
            self.working.remove(keys::sources(row.kind(), edge, target).last(row.id()).done());
        }
        for fact in row.facts() {
            for key in fact_keys(&row, &fact) {
                self.working.remove(key);
            }
        }
        if old.key != new_key {
            self.working.remove(old.key.to_vec());
            if !row.deleted() {
                let key = keys::departed(row.kind(), row.partition(), self.sequence, row.id());
                self.working.set(key, Bytes::new());
            }
        }
        self.working.remove(keys::changed(new.kind(), old.sequence, new.id()));
        let past = match self.place {
            Some(_) => Past::Journal { sequence: old.sequence, location: old.location },
            None => Past::Here(bytes.clone()),
        };
        self.working.set(keys::past(new.kind(), new.id(), old.version), past.to_bytes());
        Ok(())
    }

    /// Notes that facts of this sort exist, with their reach, so that a question knows which index is complete.
    fn remember(&mut self, kind: &[u8], fact: &StoredFact<'_>) -> Result<(), Error> {
        let key = keys::reach(kind, fact.name, class(&fact.value), fact.reach);
        if self.seen.contains(&key) {
            return Ok(());
        }
        if self.working.view.get(&key)?.is_some() {
            self.seen.insert(key);
        } else {
            self.working.set(key, Bytes::new());
        }
        Ok(())
    }

    fn documents(&mut self, documents: &[Document<'_>]) {
        let mut offset = self.place.map_or(0, |place| place.documents);
        for document in documents {
            let place = match self.place {
                None => Place::Memory,
                Some(_) if !document.in_entry => Place::File,
                Some(place) => Place::Journal { segment: place.segment, offset },
            };
            if document.in_entry {
                offset += document.size;
            }
            let blob = StoredBlob {
                place,
                trashed: false,
                size: document.size,
                instant: self.instant,
                sha1: document.sha1,
                sha256: document.sha256,
                checks: if document.in_entry { document.checks.clone() } else { Vec::new() },
            };
            self.working.set(keys::blob(document.id.as_bytes()), blob.to_bytes());
            self.state.documents += 1;
            self.state.document_bytes += document.size;
        }
    }

    fn trash(&mut self, id: &str) -> Result<(), Error> {
        let key = keys::blob(id.as_bytes());
        let Some(found) = self.working.get(&key)? else { return Ok(()) };
        let mut blob = StoredBlob::from_bytes(&found)?;
        if !blob.trashed {
            blob.trashed = true;
            self.state.documents = self.state.documents.saturating_sub(1);
            self.state.document_bytes = self.state.document_bytes.saturating_sub(blob.size);
            self.working.set(key, blob.to_bytes());
        }
        Ok(())
    }
}

/// The class of a fact, as it stands in the keys of the index.
pub(crate) fn class(value: &StoredValue<'_>) -> u8 {
    match value {
        StoredValue::Term { .. } => keys::TERM,
        StoredValue::Stretch { .. } => keys::STRETCH,
        StoredValue::Text { .. } => keys::FOLDED,
    }
}

/// The keys under which a fact of global reach is found.
pub(crate) fn fact_keys(row: &RowView<'_>, fact: &StoredFact<'_>) -> Vec<Vec<u8>> {
    if fact.reach == Reach::Partition {
        return Vec::new();
    }
    let key = |table: u8| Key::new(table).part(row.kind()).part(fact.name);
    match fact.value {
        StoredValue::Term { space, value } => {
            vec![key(keys::TERM).part(value).part(space).last(row.id()).done()]
        }
        StoredValue::Stretch { from, to } => {
            vec![key(keys::STRETCH).instant(from).instant(to).last(row.id()).done()]
        }
        StoredValue::Text { folded, exact } => vec![
            key(keys::FOLDED).part(folded).last(row.id()).done(),
            key(keys::EXACT).part(exact).last(row.id()).done(),
        ],
    }
}

fn message(instant: Instant, stream: &str, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + stream.len() + payload.len());
    out.put_i64(instant);
    out.put_bytes(stream.as_bytes());
    out.put_bytes(payload);
    out
}
