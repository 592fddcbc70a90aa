//! Documents whose stored bytes were found damaged: told once, remembered across starts, given out no more until they are
//! found whole again. Their bytes stay where they are, for whoever mends them.
//!
//! Each is a small file `quarantine/<id>` that holds what was found.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use crate::error::Error;
use crate::files::make_below;

/// A document that is not given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Its id.
    pub id: String,
    /// What was found.
    pub why: String,
}

/// The list.
#[derive(Debug)]
pub(crate) struct Quarantine {
    directory: PathBuf,
    kept: RwLock<BTreeMap<String, String>>,
    /// How often the scrub found damage since the start.
    failures: AtomicU64,
}

impl Quarantine {
    /// Reads what earlier processes found.
    pub(crate) fn open(root: &Path) -> Result<Quarantine, Error> {
        let directory = root.join("quarantine");
        let attempt = || Error::io("reading the list of documents in quarantine");
        let mut kept = BTreeMap::new();
        match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            entries => {
                for entry in entries.map_err(attempt())? {
                    let entry = entry.map_err(attempt())?;
                    if let Ok(id) = entry.file_name().into_string() {
                        // The name says which; what was found can be said again.
                        let why = std::fs::read(entry.path()).unwrap_or_else(|error| {
                            tracing::warn!(document = id, %error, "why it is in quarantine cannot be read");
                            b"found damaged".to_vec()
                        });
                        kept.insert(id, String::from_utf8_lossy(&why).trim_end().to_owned());
                    }
                }
            }
        }
        Ok(Quarantine { directory, kept: RwLock::new(kept), failures: AtomicU64::new(0) })
    }

    /// Refuses a document that is in quarantine.
    pub(crate) fn check(&self, id: &str) -> Result<(), Error> {
        match self.kept.read().get(id) {
            Some(why) => Err(Error::Damaged(why.clone())),
            None => Ok(()),
        }
    }

    /// Puts a document into quarantine, for this process even if the list cannot be written. Answers whether it is new there.
    pub(crate) fn put(&self, id: &str, why: &str) -> bool {
        if self.kept.write().insert(id.to_owned(), why.to_owned()).is_some() {
            return false;
        }
        tracing::error!(document = id, why, "a stored document is damaged and is not given out any more");
        if let Err(error) = self.write(id, why) {
            tracing::error!(document = id, %error, "the quarantine of a document is known to this process only");
        }
        true
    }

    /// Counts what the scrub found.
    pub(crate) fn found(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// The document was found whole, or is not kept any more.
    pub(crate) fn lift(&self, id: &str) -> bool {
        if !self.kept.read().contains_key(id) {
            return false;
        }
        match std::fs::remove_file(self.directory.join(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                tracing::error!(document = id, %error, "the quarantine of a document cannot be lifted");
                false
            }
            _ => {
                tracing::warn!(document = id, "the quarantine of a document is lifted");
                self.kept.write().remove(id).is_some()
            }
        }
    }

    pub(crate) fn list(&self) -> Vec<Quarantined> {
        let kept = self.kept.read();
        kept.iter().map(|(id, why)| Quarantined { id: id.clone(), why: why.clone() }).collect()
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.kept.read().len() as u64
    }

    pub(crate) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn write(&self, id: &str, why: &str) -> Result<(), Error> {
        let attempt = || Error::io("writing the list of documents in quarantine");
        make_below(&self.directory)?;
        let path = self.directory.join(id);
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(attempt())?;
        writeln!(file, "{why}").and_then(|()| file.sync_all()).map_err(attempt())?;
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(attempt())
    }
}
