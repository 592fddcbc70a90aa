//! How far a start is: told while the journal is walked, for whoever waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Given to [`crate::Options`] and looked at from elsewhere while the store opens.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    entries: AtomicU64,
    segment: AtomicU32,
    segments: AtomicU32,
}

impl Progress {
    pub(crate) fn begins(&self, segments: usize) {
        self.0.segments.store(u32::try_from(segments).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    pub(crate) fn taken(&self, segment: u32) {
        self.0.entries.fetch_add(1, Ordering::Relaxed);
        self.0.segment.store(segment, Ordering::Relaxed);
    }

    /// Entries of the journal that the index has taken up since the start.
    pub fn entries(&self) -> u64 {
        self.0.entries.load(Ordering::Relaxed)
    }

    /// In words.
    pub fn words(&self) -> String {
        let segments = self.0.segments.load(Ordering::Relaxed);
        if segments == 0 {
            return "the data directory is being opened".to_owned();
        }
        let segment = self.0.segment.load(Ordering::Relaxed);
        let entries = self.entries();
        format!("the index takes up the journal: segment {segment} of {segments}, {entries} entries so far")
    }
}
