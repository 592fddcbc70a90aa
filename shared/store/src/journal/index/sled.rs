//! The index in `sled`, which is never trusted after an unclean end under another boot: single entries may be missing then.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::error::Error;
use crate::index::overlay::{Run, Visit};
use crate::index::view::Base;
use crate::journal::index::Library;

/// Names the boot during which the files were written.
const BOOT: &str = "written-during-boot";
/// Stands while the files were closed and synced.
const CLEAN: &str = "closed-cleanly";

/// How long a lock that is being given back is waited for.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Sled {
    database: sled::Db,
    directory: PathBuf,
}

impl Sled {
    pub(crate) fn open(directory: &Path, cache_bytes: u64) -> Result<Sled, Error> {
        let files = directory.join("files");
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let clean = directory.join(CLEAN).exists();
        let same_boot = !boot.is_empty()
            && std::fs::read_to_string(directory.join(BOOT)).is_ok_and(|written| written == boot);
        if files.exists() && !clean && !same_boot {
            return Err(Error::Damaged("its last end was unclean, and the machine was started anew".into()));
        }
        let marking = || Error::io("marking the index as open");
        if !same_boot {
            std::fs::write(directory.join(BOOT), &boot).map_err(marking())?;
        }
        if clean {
            std::fs::remove_file(directory.join(CLEAN)).map_err(marking())?;
        }
        sync_directory(directory)?;
        let database = open_when_free(&files, cache_bytes)?;
        Ok(Sled { database, directory: directory.to_owned() })
    }
}

/// Threads of a database that was just closed may hold its lock a moment longer. Ours is the only process here.
fn open_when_free(files: &Path, cache_bytes: u64) -> Result<sled::Db, Error> {
    let config = sled::Config::new()
        .path(files)
        .cache_capacity(cache_bytes)
        .mode(sled::Mode::HighThroughput)
        .flush_every_ms(None);
    for _ in 0..TRIES {
        match config.open() {
            Err(sled::Error::Io(source)) if source.to_string().contains("could not acquire lock") => {
                std::thread::sleep(PAUSE);
            }
            Err(sled::Error::Io(source)) if source.kind() != std::io::ErrorKind::InvalidData => {
                return Err(Error::io("opening the index")(source));
            }
            opened => return opened.map_err(|error| Error::Damaged(error.to_string())),
        }
    }
    Err(Error::Unusable("the index is open in another process".into()))
}

impl Library for Sled {
    fn base(&self) -> Result<Arc<dyn Base>, Error> {
        Ok(Arc::new(Live { tree: (*self.database).clone() }))
    }
    fn write(&mut self, run: &Run) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        for (key, value) in run.entries() {
            match value {
                Some(value) => batch.insert(key.as_ref(), value.as_ref()),
                None => batch.remove(key.as_ref()),
            }
        }
        self.database.apply_batch(batch).map_err(failed)?;
        self.database.flush().map_err(failed)?;
        Ok(())
    }
    fn shows_writes_at_once(&self) -> bool {
        true
    }
    fn close(self: Box<Self>) -> Result<(), Error> {
        self.database.flush().map_err(failed)?;
        let directory = self.directory.clone();
        drop(self);
        // `flush` does not sync; the mark may only stand over files that are.
        sync_files(&directory.join("files"))?;
        std::fs::write(directory.join(CLEAN), b"").map_err(Error::io("marking the index as closed"))?;
        sync_directory(&directory)
    }
}

fn sync_files(directory: &Path) -> Result<(), Error> {
    let attempt = || Error::io("syncing the files of the index");
    for entry in std::fs::read_dir(directory).map_err(attempt())? {
        let path = entry.map_err(attempt())?.path();
        if path.is_dir() {
            sync_files(&path)?;
        } else {
            std::fs::File::open(&path).and_then(|file| file.sync_all()).map_err(attempt())?;
        }
    }
    sync_directory(directory)
}

/// The index as it is now; the checkpoint waits for readers before it writes.
struct Live {
    tree: sled::Tree,
}

impl Base for Live {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        Ok(self.tree.get(key).map_err(failed)?.map(|value| Bytes::copy_from_slice(&value)))
    }
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, Error> {
        if from >= to {
            return Ok(ControlFlow::Continue(()));
        }
        for entry in self.tree.range(from..to) {
            let (key, value) = entry.map_err(failed)?;
            if visit(&key, &value)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    std::fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(Error::io("syncing a directory of the index"))
}

fn failed(error: sled::Error) -> Error {
    match error {
        sled::Error::Io(source) => Error::io("using the index")(source),
        other => Error::Damaged(format!("the index: {other}")),
    }
}
