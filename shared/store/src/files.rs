//! Large documents, each in a file of its own.
//!
//! ```text
//! magic 8 · format u32 · 0 u32 · size u64 · SHA-256 32 · id 32 · xxh3-64 of these 8 · then the content · then xxh3-64 of each 64 KiB
//! ```
//! A file is received under `staging/`, synced, and gets its second name under `blobs/` before the commit that cites it.
//! The name under `staging/` goes only after that commit: a start that finds one of a document no commit cites removes both.

use std::collections::{BTreeSet, HashSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use xxhash_rust::xxh3::xxh3_64;

use crate::blob::{CHUNK, checks};
use crate::encode::{Put, Take};
use crate::error::Error;
use crate::failpoint;
use crate::halt::Halt;
use crate::space::Space;

const MAGIC: &[u8; 8] = b"docblob\n";
const FORMAT: u32 = 1;
const HEADER: usize = 96;

/// Hexadecimal digits of an id.
const ID: usize = 32;

/// So many documents of up to 1 MiB may be in memory at once.
const HELD: usize = 32;

/// The directories of large documents.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    sync: bool,
    halt: Arc<Halt>,
    space: Arc<Space>,
    /// Each is the leave of one document to be in memory beyond its first chunk until its commit.
    held: Arc<Semaphore>,
    /// Directories below `blobs/` whose own names are known to be synced.
    named: Mutex<HashSet<PathBuf>>,
    /// What is being received, or waits for its commit.
    staged: Mutex<HashSet<String>>,
}

/// A large document in its own file; the file goes with this value unless a commit kept it.
#[derive(Debug)]
pub(crate) struct StagedFile {
    files: Arc<Files>,
    id: String,
    pub(crate) kept: bool,
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.kept {
            self.files.discard(&self.id);
            self.files.unstage(&self.id);
        }
        self.files.staged.lock().remove(&self.id);
    }
}

/// A file that is being received; it goes with this value unless it is finished.
#[derive(Debug)]
pub(crate) struct Incoming {
    files: Arc<Files>,
    id: String,
    file: File,
    written: u64,
    checks: Vec<u64>,
    finished: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished {
            // Its second name goes first: it is found by the one under `staging/` if this is where the process ends.
            self.files.discard(&self.id);
            self.files.unstage(&self.id);
            self.files.staged.lock().remove(&self.id);
        }
    }
}

impl Files {
    pub(crate) fn open(root: &Path, sync: bool, halt: Arc<Halt>, space: Arc<Space>) -> Result<Files, Error> {
        let files = Files {
            root: root.to_owned(),
            sync,
            halt,
            space,
            held: Arc::new(Semaphore::new(HELD)),
            named: Mutex::default(),
            staged: Mutex::default(),
        };
        for name in ["staging", "blobs", "trash"] {
            make_directory(&root.join(name))?;
        }
        Ok(files)
    }

    /// Leave to keep a document in memory until its commit, if there is any.
    pub(crate) fn leave_to_hold(&self) -> Option<OwnedSemaphorePermit> {
        self.held.clone().try_acquire_owned().ok()
    }

    fn staging_path(&self, id: &str) -> PathBuf {
        self.root.join("staging").join(id)
    }

    /// Ids are made here, 32 hexadecimal digits; two levels of directories keep each of them small.
    pub(crate) fn blob_path(&self, id: &str) -> PathBuf {
        self.root.join(blob_name(id))
    }

    fn trash_path(&self, id: &str) -> PathBuf {
        self.root.join("trash").join(id)
    }

    pub(crate) fn receive(self: &Arc<Files>, id: &str) -> Result<Incoming, Error> {
        self.space.check()?;
        let path = self.staging_path(id);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(Error::io("making a file for a document"))?;
        self.staged.lock().insert(id.to_owned());
        Ok(Incoming {
            files: self.clone(),
            id: id.to_owned(),
            file,
            written: 0,
            checks: Vec::new(),
            finished: false,
        })
    }

    /// Removes the name a document had while it was received; whether it is gone.
    pub(crate) fn unstage(&self, id: &str) -> bool {
        let removed = std::fs::remove_file(self.staging_path(id));
        removed.is_ok() || !self.staging_path(id).exists()
    }

    /// Removes the file of a document that no commit cites.
    pub(crate) fn discard(&self, id: &str) {
        let _ = std::fs::remove_file(self.blob_path(id));
    }

    /// Whether a document has the name under which it is received.
    pub(crate) fn is_staged(&self, id: &str) -> bool {
        self.staging_path(id).exists()
    }

    /// What lies under `staging/` and is neither being received nor waiting for its commit.
    pub(crate) fn forgotten(&self) -> Result<BTreeSet<String>, Error> {
        let mut lying = ids_in(&self.root.join("staging"))?;
        // Asked afterwards: what came meanwhile is in it.
        let staged = self.staged.lock();
        lying.retain(|id| !staged.contains(id));
        Ok(lying)
    }

    /// What lies in the trash.
    pub(crate) fn in_trash(&self) -> Result<BTreeSet<String>, Error> {
        ids_in(&self.root.join("trash"))
    }

    /// Deletes a document out of the trash.
    pub(crate) fn delete(&self, id: &str) -> Result<(), Error> {
        std::fs::remove_file(self.trash_path(id)).map_err(Error::io("deleting a document out of the trash"))
    }

    /// Deletes a document out of the trash, if it lies there.
    pub(crate) fn delete_if_there(&self, id: &str) -> Result<(), Error> {
        match self.delete(id) {
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Puts a document in the trash back in its place, unless there is one; answers whether it did.
    pub(crate) fn put_back(&self, id: &str) -> Result<bool, Error> {
        let place = self.blob_path(id);
        if place.exists() {
            return Ok(false);
        }
        std::fs::rename(self.trash_path(id), place)
            .map_err(Error::io("putting a document back that lay in the trash"))?;
        Ok(true)
    }

    /// The directories that hold documents.
    pub(crate) fn leaves(&self) -> Result<Vec<PathBuf>, Error> {
        let mut leaves = Vec::new();
        for middle in directories_in(&self.root.join("blobs"))? {
            leaves.extend(directories_in(&middle)?);
        }
        Ok(leaves)
    }

    /// The documents of one of these directories.
    pub(crate) fn documents_in(&self, leaf: &Path) -> Result<BTreeSet<String>, Error> {
        ids_in(leaf)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Moves a document to the trash; done again without harm.
    pub(crate) fn trash(&self, id: &str) -> Result<(), Error> {
        let from = self.blob_path(id);
        match std::fs::rename(&from, self.trash_path(id)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("moving a document to the trash")(error))
            }
            Err(_) => Ok(()),
            Ok(()) => {
                failpoint!("trash.moved");
                Ok(())
            }
        }
    }

    /// Removes what was being received when the process ended, with the names of documents that no commit cites.
    pub(crate) fn sweep(&self, cited: impl Fn(&str) -> Result<bool, Error>) -> Result<(), Error> {
        let attempt = || Error::io("clearing the staging directory");
        for entry in std::fs::read_dir(self.root.join("staging")).map_err(attempt())? {
            let name = entry.map_err(attempt())?.file_name();
            let Some(id) = name.to_str() else { continue };
            if is_id(id) && !cited(id)? {
                self.discard(id);
            }
            self.unstage(id);
        }
        Ok(())
    }

    fn name(&self, id: &str) -> Result<(), Error> {
        let path = self.blob_path(id);
        let leaf = path.parent().expect("a document has a directory");
        let middle = leaf.parent().expect("a document's directory has a parent");
        for directory in [middle, leaf] {
            self.make_named(directory)?;
        }
        std::fs::hard_link(self.staging_path(id), &path).map_err(Error::io("naming a document's file"))?;
        failpoint!("blob.post_rename");
        self.sync_directory(leaf)?;
        failpoint!("blob.post_dirsync");
        Ok(())
    }

    /// A directory that is there may have been made by somebody who has not synced its name yet, be it another thread or a
    /// process that was killed, so each is synced once by this process, one after the other.
    fn make_named(&self, directory: &Path) -> Result<(), Error> {
        let mut named = self.named.lock();
        if !named.contains(directory) {
            make_below(directory)?;
            self.sync_directory(directory.parent().expect("below the data directory"))?;
            named.insert(directory.to_owned());
        }
        Ok(())
    }

    fn sync_directory(&self, path: &Path) -> Result<(), Error> {
        if !self.sync {
            return Ok(());
        }
        sync_directory(path, &self.halt)
    }

    /// A document's file, its header verified.
    pub(crate) fn read(&self, id: &str, size: u64, sha256: &[u8; 32]) -> Result<LargeDocument, Error> {
        open_document(&self.blob_path(id), id, size, sha256)
    }
}

/// The file of a document, its header verified.
pub(crate) fn open_document(
    path: &Path,
    id: &str,
    size: u64,
    sha256: &[u8; 32],
) -> Result<LargeDocument, Error> {
    let attempt = || Error::io(format!("opening the file of document {id}"));
    let damaged = |what: &str| Error::Damaged(format!("document {id}: {what}"));
    let file = match File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(damaged("its file is missing"));
        }
        opened => opened.map_err(attempt())?,
    };
    // What is not there is damage; what the system does not give just now may be whole.
    let reading = |what: &'static str| {
        move |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => damaged(what),
            _ => Error::io(format!("reading the file of document {id}"))(error),
        }
    };
    let mut head = [0; HEADER];
    file.read_exact_at(&mut head, 0).map_err(reading("its file has no header"))?;
    if head != header(id, size, sha256) {
        return Err(damaged("its file has another header"));
    }
    let mut table =
        vec![0; 8 * usize::try_from(size.div_ceil(CHUNK as u64)).map_err(|_| damaged("too large"))?];
    file.read_exact_at(&mut table, HEADER as u64 + size).map_err(reading("its file is cut"))?;
    let mut rest = Take::new(&table);
    let mut checks = Vec::with_capacity(table.len() / 8);
    while !rest.is_empty() {
        checks.push(rest.u64()?);
    }
    Ok(LargeDocument { file, checks })
}

/// Where a document lies below the data directory.
pub(crate) fn blob_name(id: &str) -> PathBuf {
    let (first, rest) = id.split_at(2.min(id.len()));
    let second = &rest[..2.min(rest.len())];
    ["blobs", first, second, id].iter().collect()
}

/// An open file of a large document.
#[derive(Debug)]
pub(crate) struct LargeDocument {
    pub(crate) file: File,
    pub(crate) checks: Vec<u64>,
}

impl LargeDocument {
    /// Offset of the content in the file.
    pub(crate) const CONTENT: u64 = HEADER as u64;
}

impl Incoming {
    /// Appends content. All but the last call give a multiple of [`CHUNK`].
    pub(crate) fn append(&mut self, content: &[u8]) -> Result<(), Error> {
        self.files.space.check()?;
        self.file
            .write_all_at(content, HEADER as u64 + self.written)
            .map_err(Error::io("writing a document"))?;
        self.written += content.len() as u64;
        self.checks.extend(checks(content));
        Ok(())
    }

    /// Completes, syncs and names the file.
    pub(crate) fn finish(mut self, sha256: &[u8; 32]) -> Result<StagedFile, Error> {
        let attempt = || Error::io("completing a document's file");
        let mut table = Vec::with_capacity(8 * self.checks.len());
        for check in &self.checks {
            table.put_u64(*check);
        }
        self.file.write_all_at(&table, HEADER as u64 + self.written).map_err(attempt())?;
        self.file.write_all_at(&header(&self.id, self.written, sha256), 0).map_err(attempt())?;
        let syncing = "syncing a document's file";
        failpoint!("blob.pre_sync", error => self.files.halt.synced(Err(error), syncing)?);
        if self.files.sync {
            self.files.halt.synced(self.file.sync_all(), syncing)?;
        }
        failpoint!("blob.post_sync");
        self.files.name(&self.id)?;
        self.finished = true;
        Ok(StagedFile { files: self.files.clone(), id: self.id.clone(), kept: false })
    }
}

/// The names in a directory that are ids of documents; none if it is not there.
fn ids_in(directory: &Path) -> Result<BTreeSet<String>, Error> {
    let names = list(directory)?.into_iter().filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    Ok(names.filter(|name| is_id(name)).collect())
}

/// Whether a name is one that documents have.
fn is_id(name: &str) -> bool {
    name.len() == ID && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn directories_in(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut found = list(directory)?;
    found.retain(|path| path.is_dir());
    Ok(found)
}

fn list(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let attempt = || Error::io(format!("listing {}", directory.display()));
    match std::fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries.map_err(attempt())?.map(|entry| Ok(entry.map_err(attempt())?.path())).collect(),
    }
}

pub(crate) fn header(id: &str, size: u64, sha256: &[u8; 32]) -> [u8; HEADER] {
    let mut out = Vec::with_capacity(HEADER);
    out.extend_from_slice(MAGIC);
    out.put_u32(FORMAT);
    out.put_u32(0);
    out.put_u64(size);
    out.extend_from_slice(sha256);
    out.extend_from_slice(id.as_bytes());
    out.resize(HEADER - 8, 0);
    let check = xxh3_64(&out);
    out.put_u64(check);
    out.try_into().expect("the header has its length")
}

/// Makes a directory that only its owner may enter.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(Error::io(format!("making the directory {}", path.display())))
}

/// The same in a directory that must be there: one that was taken away is not made again.
pub(crate) fn make_below(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(Error::io(format!("making the directory {}", path.display()))),
    }
}

/// Syncs the names in a directory.
pub(crate) fn sync_directory(path: &Path, halt: &Halt) -> Result<(), Error> {
    let attempt = || format!("syncing the directory {}", path.display());
    let directory = File::open(path).map_err(Error::io(attempt()))?;
    halt.synced(directory.sync_all(), attempt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_sync_of_a_document_the_store_stops() {
        let root = tempfile::tempdir().unwrap();
        let halt = Arc::new(Halt::default());
        let lock = File::create(root.path().join("lock")).unwrap();
        let space = Arc::new(Space::new(root.path(), &lock, 0).unwrap());
        let files = Arc::new(Files::open(root.path(), true, halt.clone(), space).unwrap());
        let mut incoming = files.receive("0123456789abcdef0123456789abcdef").unwrap();
        // It takes every write and cannot be synced.
        incoming.file = OpenOptions::new().write(true).open("/dev/null").unwrap();
        incoming.append(b"content").unwrap();
        assert!(matches!(incoming.finish(&[0; 32]), Err(Error::Io { .. })));
        assert!(matches!(halt.check(), Err(Error::Stopped(why)) if why.contains("syncing a document")));
    }

    #[test]
    fn a_disk_that_fills_up_is_no_reason_to_stop() {
        let halt = Halt::default();
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert!(matches!(halt.synced(Err(full), "syncing"), Err(Error::NoRoom(_))));
        halt.check().unwrap();
    }
}
