//! Where an engine is chosen.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, embedded};
use crate::error::Error;
use crate::progress::Progress;

/// Which library keeps the index of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// `redb`, the default.
    Redb,
    /// `sled`: rebuilt after every unclean end under another boot id.
    Sled,
}

/// How to open an embedded store.
#[derive(Debug, Clone)]
pub struct Options {
    /// The data directory; made if it is not there.
    pub directory: PathBuf,
    /// Where the incarnation mark beside the directory lies, usually [`crate::mark_beside`]; without one a directory that
    /// is missing is made anew.
    pub mark: Option<PathBuf>,
    /// The library of the index.
    pub index: IndexKind,
    /// Bytes of memory the index may use as its cache.
    pub cache_bytes: u64,
    /// Bytes of a journal segment.
    pub segment_bytes: u64,
    /// Bytes of the newest part of the index that stay in memory before they go to the library.
    pub news_bytes: usize,
    /// Bytes kept back on the volume, so that what was begun can be concluded when it is full.
    pub reserve_bytes: u64,
    /// Tells others how far the start is.
    pub progress: Progress,
    /// Told how long each sync of the journal took.
    pub on_sync: Option<fn(Duration)>,
    /// How long a document lies in the trash before it is deleted.
    pub trash_period: Duration,
    /// Everything that is stored is read again within this time.
    pub scrub_period: Duration,
    /// Whether a commit is synced before it is answered. Off only for measurements and tests.
    pub sync: bool,
}

impl Options {
    /// The usual settings for a directory.
    pub fn new(directory: impl Into<PathBuf>) -> Options {
        Options {
            directory: directory.into(),
            mark: None,
            index: IndexKind::Redb,
            cache_bytes: 64 << 20,
            segment_bytes: 64 << 20,
            news_bytes: 16 << 20,
            reserve_bytes: 256 << 20,
            progress: Progress::default(),
            on_sync: None,
            trash_period: Duration::from_hours(7 * 24),
            scrub_period: Duration::from_hours(30 * 24),
            sync: true,
        }
    }
}

pub(crate) fn open(options: &Options) -> Result<Arc<dyn Engine>, Error> {
    Ok(Arc::new(embedded::open(options)?))
}
