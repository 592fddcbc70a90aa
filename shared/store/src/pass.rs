//! Passing once over a file: checked, measured and, where it is wanted, copied on the way.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::blob::{CHUNK, checks};
use crate::encode::Put as _;
use crate::error::Error;
use crate::files::{self, LargeDocument};

/// So much of a file is read at once.
const PIECE: usize = 256 << 10;

/// What a pass has measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) bytes: u64,
    pub(crate) hash: blake3::Hash,
}

/// What a pass does with what it reads.
pub(crate) type Take<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), Error>;

/// Takes nothing.
pub(crate) fn nowhere(_: &[u8]) -> Result<(), Error> {
    Ok(())
}

/// Passes over the first bytes of a file.
pub(crate) fn over(path: &Path, bytes: u64, take: Take<'_>) -> Result<Measured, Error> {
    let attempt = || Error::io(format!("reading {}", path.display()));
    let mut file = File::open(path).map_err(attempt())?.take(bytes);
    let mut hasher = blake3::Hasher::new();
    let mut piece = vec![0; PIECE];
    let mut measured = 0;
    loop {
        let length = file.read(&mut piece).map_err(attempt())?;
        if length == 0 {
            return Ok(Measured { bytes: measured, hash: hasher.finalize() });
        }
        hasher.update(&piece[..length]);
        take(&piece[..length])?;
        measured += length as u64;
    }
}

/// Passes over the file of a document: header, every check sum, and with `deep` the SHA-256 of the content.
pub(crate) fn over_document(
    path: &Path,
    (id, size, sha256): (&str, u64, &[u8; 32]),
    deep: bool,
    take: Take<'_>,
) -> Result<Measured, Error> {
    let damaged = |what: String| Error::Damaged(format!("document {id}: {what}"));
    let reading = || Error::io(format!("reading the file of document {id}"));
    let document = files::open_document(path, id, size, sha256)?;
    let mut hasher = blake3::Hasher::new();
    let mut content_hash = Sha256::new();
    let mut give = |bytes: &[u8]| {
        hasher.update(bytes);
        take(bytes)
    };
    give(&files::header(id, size, sha256))?;
    let mut chunk = vec![0; CHUNK];
    let mut at = 0;
    for check in &document.checks {
        let length = (size - at).min(CHUNK as u64) as usize;
        let content = &mut chunk[..length];
        document.file.read_exact_at(content, LargeDocument::CONTENT + at).map_err(|error| {
            match error.kind() {
                std::io::ErrorKind::UnexpectedEof => damaged("its file is cut".into()),
                _ => reading()(error),
            }
        })?;
        if checks(content).next() != Some(*check) {
            return Err(damaged(format!("its bytes from {at} on are not those that were stored")));
        }
        if deep {
            content_hash.update(&*content);
        }
        give(content)?;
        at += length as u64;
    }
    if deep && <[u8; 32]>::from(content_hash.finalize()) != *sha256 {
        return Err(damaged("its SHA-256 is not the registered one".into()));
    }
    let mut table = Vec::with_capacity(8 * document.checks.len());
    document.checks.iter().for_each(|check| table.put_u64(*check));
    give(&table)?;
    let bytes = LargeDocument::CONTENT + size + table.len() as u64;
    if document.file.metadata().map_err(reading())?.len() != bytes {
        return Err(damaged("its file goes on behind its end".into()));
    }
    Ok(Measured { bytes, hash: hasher.finalize() })
}

/// A file that is being written aside: synced and named in the end, or removed.
pub(crate) struct Copy<'a> {
    path: &'a Path,
    aside: std::path::PathBuf,
    file: File,
    named: bool,
}

impl Drop for Copy<'_> {
    fn drop(&mut self) {
        if !self.named {
            let _ = std::fs::remove_file(&self.aside);
        }
    }
}

impl<'a> Copy<'a> {
    /// Begins a file, with the directories above it.
    pub(crate) fn begin(path: &'a Path) -> Result<Copy<'a>, Error> {
        let attempt = || Error::io(format!("writing {}", path.display()));
        let above = path.parent().expect("a copy lies in a directory");
        DirBuilder::new().recursive(true).mode(0o700).create(above).map_err(attempt())?;
        let aside = path.with_extension("new");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&aside)
            .map_err(attempt())?;
        Ok(Copy { path, aside, file, named: false })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(Error::io(format!("writing {}", self.path.display())))
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Syncs the file and gives it its name; the name itself is synced by [`sync_directories`].
    pub(crate) fn end(mut self) -> Result<(), Error> {
        let attempt = || Error::io(format!("completing {}", self.path.display()));
        self.file.sync_all().map_err(attempt())?;
        std::fs::rename(&self.aside, self.path).map_err(attempt())?;
        self.named = true;
        Ok(())
    }
}

/// Syncs the names in a directory and in those below it.
pub(crate) fn sync_directories(directory: &Path) -> Result<(), Error> {
    let attempt = || Error::io(format!("syncing {}", directory.display()));
    for entry in std::fs::read_dir(directory).map_err(attempt())? {
        let entry = entry.map_err(attempt())?;
        if entry.file_type().map_err(attempt())?.is_dir() {
            sync_directories(&entry.path())?;
        }
    }
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(attempt())
}
