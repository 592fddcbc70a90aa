//! What an actor is told about time, and what becomes of its syncs: changed while it runs, through a file it has mapped.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Places in the file; the same as in `faults/control.c`.
const CLOCK_OFFSET: u64 = 0;
const SYNCS_TO_FAIL: u64 = 8;
const SYNCS_FAILED: u64 = 16;
const SYNC_DELAY: u64 = 24;
const LENGTH: u64 = 32;

/// The hand on one actor's clock and syncs. The clock stays as it was set when the actor starts again.
#[derive(Debug)]
pub(super) struct Control {
    path: PathBuf,
    file: File,
}

impl Control {
    pub(super) fn create(path: &Path) -> Result<Control> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
        let file = file.context("making a control file")?;
        file.set_len(LENGTH).context("sizing a control file")?;
        Ok(Control { path: path.to_owned(), file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the wall clock this far from the true one.
    pub(super) fn set_clock(&self, seconds: i64) -> Result<()> {
        self.write(CLOCK_OFFSET, seconds * 1_000_000_000)
    }

    /// The next so many syncs fail.
    pub(super) fn fail_syncs(&self, count: i64) -> Result<()> {
        self.write(SYNCS_TO_FAIL, count)
    }

    /// Syncs that were made to fail so far.
    pub(super) fn failed_syncs(&self) -> Result<i64> {
        let mut bytes = [0; 8];
        self.file.read_exact_at(&mut bytes, SYNCS_FAILED).context("reading a control file")?;
        Ok(i64::from_le_bytes(bytes))
    }

    /// Each sync waits so long first.
    pub(super) fn delay_syncs(&self, milliseconds: i64) -> Result<()> {
        self.write(SYNC_DELAY, milliseconds * 1000)
    }

    fn write(&self, at: u64, value: i64) -> Result<()> {
        self.file.write_all_at(&value.to_le_bytes(), at).context("writing a control file")
    }
}
