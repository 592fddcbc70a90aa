//! Digests of the partitions that are asked about again and again, within a bounded memory; let go before a commit that
//! changes them becomes visible.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::find::digest::Digest;
use crate::index::keys;
use crate::index::overlay::Run;
use crate::record::Sequence;

/// Memory of all digests, bytes, about.
const BYTES: usize = 64 << 20;

/// A partition with fewer rows is read as quickly as a digest of it.
const ROWS: usize = 64;

/// Changes of partitions that are remembered: a digest that was made of an older state is not kept.
const CHANGES: usize = 1 << 16;

/// Partitions that are remembered to have been read.
const READ: usize = 1 << 12;

/// The digests.
#[derive(Debug, Default)]
pub(crate) struct Digests(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    digests: HashMap<u64, Entry>,
    bytes: usize,
    /// The last commit that touched a partition.
    changed: HashMap<u64, Sequence>,
    /// Of commits up to this one it is no longer known what they touched.
    forgotten: Sequence,
    /// Partitions that have been read once.
    read: HashMap<u64, ()>,
    clock: u64,
}

#[derive(Debug)]
struct Entry {
    digest: Arc<Digest>,
    /// The partition, as the keys of its rows begin.
    range: Vec<u8>,
    /// It stands for every state from this commit on.
    since: Sequence,
    used: u64,
}

/// What is known of a partition.
pub(crate) enum Known {
    /// A digest of it as it was then.
    Digest(Arc<Digest>),
    /// It is read often enough for one to be made.
    Wanted,
    /// Nothing yet.
    Nothing,
}

impl Digests {
    /// Digests of states from this commit on: what those before it touched is not known.
    pub(crate) fn after(sequence: Sequence) -> Digests {
        Digests(Mutex::new(Kept { forgotten: sequence, ..Kept::default() }))
    }

    /// What is known of the partition whose row keys begin so, as it was after a commit.
    pub(crate) fn of(&self, range: &[u8], as_of: Sequence) -> Known {
        let mut guard = self.0.lock();
        let kept = &mut *guard;
        let place = xxh3_64(range);
        kept.clock += 1;
        let clock = kept.clock;
        match kept.digests.get_mut(&place) {
            Some(entry) if entry.range == range && entry.since <= as_of => {
                entry.used = clock;
                Known::Digest(Arc::clone(&entry.digest))
            }
            Some(_) => Known::Nothing,
            None if kept.read.contains_key(&place) => Known::Wanted,
            None => Known::Nothing,
        }
    }

    /// A partition was read, so many rows of it.
    pub(crate) fn was_read(&self, range: &[u8], rows: usize) {
        if rows < ROWS {
            return;
        }
        let mut kept = self.0.lock();
        if kept.read.len() >= READ {
            kept.read.clear();
        }
        kept.read.insert(xxh3_64(range), ());
    }

    /// Keeps a digest that was made of the state after a commit, unless the partition has changed since.
    pub(crate) fn keep(&self, range: &[u8], digest: &Arc<Digest>, made_of: Sequence) {
        if digest.weight() > BYTES / 4 || digest.rows.len() < ROWS {
            return;
        }
        let mut kept = self.0.lock();
        let place = xxh3_64(range);
        let since = kept.changed.get(&place).copied().unwrap_or(kept.forgotten);
        if since > made_of {
            return;
        }
        kept.drop_one(place);
        kept.bytes += digest.weight();
        kept.clock += 1;
        let used = kept.clock;
        kept.digests.insert(place, Entry { digest: Arc::clone(digest), range: range.to_vec(), since, used });
        while kept.bytes > BYTES {
            let oldest = kept.digests.iter().min_by_key(|(_, entry)| entry.used).map(|(place, _)| *place);
            match oldest {
                Some(oldest) => kept.drop_one(oldest),
                None => break,
            }
        }
    }

    /// Lets go what a group of commits changes. Called before anybody can see it.
    pub(crate) fn let_go(&self, run: &Run, sequence: Sequence) {
        let rows = run.entries().iter().filter(|(key, _)| key.first() == Some(&keys::ROW));
        let mut places: Vec<u64> = rows.filter_map(|(key, _)| range_of(key)).map(xxh3_64).collect();
        if places.is_empty() {
            return;
        }
        places.dedup();
        let mut kept = self.0.lock();
        if kept.changed.len() + places.len() > CHANGES {
            // Sequences only grow: whatever was touched before is older than this.
            kept.forgotten = sequence.saturating_sub(1).max(kept.forgotten);
            kept.changed.clear();
            let floor = kept.forgotten;
            kept.digests.values_mut().for_each(|entry| entry.since = entry.since.max(floor));
        }
        for place in places {
            kept.drop_one(place);
            kept.changed.insert(place, sequence);
        }
    }
}

impl Kept {
    fn drop_one(&mut self, place: u64) {
        if let Some(entry) = self.digests.remove(&place) {
            self.bytes -= entry.digest.weight();
        }
    }
}

/// The beginning of a row's key: table, kind and partition.
fn range_of(key: &[u8]) -> Option<&[u8]> {
    let rest = keys::after_parts(key, 2)?;
    Some(&key[..key.len() - rest.len()])
}
