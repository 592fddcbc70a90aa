//! The libraries that can keep the index.

mod redb;
mod sled;

use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::index::keys;
use crate::index::overlay::Run;
use crate::index::values::State;
use crate::index::view::Base;
use crate::open::IndexKind;

/// An ordered key-value library under the index.
pub(crate) trait Library: Send {
    /// The state after the last write, for readers.
    fn base(&self) -> Result<Arc<dyn Base>, Error>;
    /// Writes all of a run or nothing, durably.
    fn write(&mut self, run: &Run) -> Result<(), Error>;
    /// Whether readers of an older base see a write.
    fn shows_writes_at_once(&self) -> bool;
    /// Ends cleanly: nothing is lost whatever happens afterwards.
    fn close(self: Box<Self>) -> Result<(), Error>;
}

/// Opens the index of a data directory. One that does not open, or cannot be trusted, is begun anew: it will be built from the journal.
pub(crate) fn open(kind: IndexKind, directory: &Path, cache_bytes: u64) -> Result<Box<dyn Library>, Error> {
    crate::files::make_directory(directory)?;
    begin_anew_if_marked(directory)?;
    let (path, name) = match kind {
        IndexKind::Redb => (directory.join("redb"), "redb"),
        IndexKind::Sled => (directory.join("sled"), "sled"),
    };
    let attempt = || open_at(kind, &path, cache_bytes);
    match attempt() {
        Err(Error::Damaged(why)) => {
            tracing::warn!(index = name, why, "the index does not open and is built again from the journal");
            std::fs::remove_dir_all(&path).map_err(Error::io("removing a damaged index"))?;
            attempt()
        }
        opened => opened,
    }
}

/// Stands in the directory of an index that was found to lack something.
const LACKING: &str = "build-again";

/// The index of this data directory lacks something: the next start builds it again from the journal.
pub(crate) fn build_again_at_next_start(root: &Path) -> Result<(), Error> {
    crate::aside::replace(&root.join("index").join(LACKING), b"the scrub found that it lacks something\n")
        .map_err(Error::io("marking the index to be built again"))
}

fn begin_anew_if_marked(directory: &Path) -> Result<(), Error> {
    let mark = directory.join(LACKING);
    if !mark.exists() {
        return Ok(());
    }
    tracing::warn!("the index lacked what the journal holds and is built again from it");
    let attempt = || Error::io("removing an index that lacks something");
    for name in ["redb", "sled"] {
        match std::fs::remove_dir_all(directory.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(attempt()(error)),
            _ => {}
        }
    }
    // Removed last: a start that ends before this begins with it again.
    std::fs::remove_file(mark).map_err(attempt())
}

/// How far the library is.
pub(crate) fn held_by(library: &dyn Library) -> Result<State, Error> {
    match library.base()?.get(&keys::state())? {
        Some(bytes) => State::from_bytes(&bytes),
        None => Ok(State::default()),
    }
}

/// A library may panic over damaged files instead of saying so.
fn open_at(kind: IndexKind, path: &Path, cache_bytes: u64) -> Result<Box<dyn Library>, Error> {
    crate::files::make_directory(path)?;
    let open = || -> Result<Box<dyn Library>, Error> {
        match kind {
            IndexKind::Redb => Ok(Box::new(redb::Redb::open(path, cache_bytes)?)),
            IndexKind::Sled => Ok(Box::new(sled::Sled::open(path, cache_bytes)?)),
        }
    };
    let open = || {
        let library = open()?;
        // One that opens and cannot say how far it is does not count as open.
        held_by(&*library)?;
        Ok(library)
    };
    std::panic::catch_unwind(open)
        .unwrap_or_else(|_| Err(Error::Damaged("opening the index panicked".into())))
}
