//! The files of the journal: preallocated, numbered from 1.
//!
//! ```text
//! magic 8 · format u32 · number u32 · id of the journal 16 · size u64 · xxh3-64 of these · zeros up to 64 · then the entries
//! ```

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use rustix::fs::FallocateFlags;
use xxhash_rust::xxh3::xxh3_64;

use crate::encode::{Put, Take};
use crate::error::Error;
use crate::files;
use crate::halt::Halt;

const MAGIC: &[u8; 8] = b"docjrnl\n";
const FORMAT: u32 = 1;

/// Offset of the first entry.
pub(crate) const FIRST: u64 = 64;

/// At most so many segments are kept open for reading.
const OPEN: usize = 256;

/// The directory of the journal.
#[derive(Debug)]
pub(crate) struct Segments {
    directory: PathBuf,
    /// Made with the journal; other files, and documents that look like entries, do not have it.
    id: [u8; 16],
    sync: bool,
    /// Whether segments are opened for writing too.
    writable: bool,
    halt: Arc<Halt>,
    open: RwLock<HashMap<u32, Arc<File>>>,
}

/// A segment that can be written.
#[derive(Debug, Clone)]
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) file: Arc<File>,
    pub(crate) size: u64,
}

impl Segments {
    /// Opens the directory; answers the numbers of the segments that are there, in order.
    pub(crate) fn open(directory: &Path, sync: bool, halt: Arc<Halt>) -> Result<(Segments, Vec<u32>), Error> {
        files::make_directory(directory)?;
        Segments::at(directory, sync, true, halt)
    }

    /// Opens a directory that somebody else may be writing, only to look at it: nothing is made or changed.
    pub(crate) fn look(directory: &Path) -> Result<(Segments, Vec<u32>), Error> {
        Segments::at(directory, false, false, Arc::default())
    }

    fn at(
        directory: &Path,
        sync: bool,
        writable: bool,
        halt: Arc<Halt>,
    ) -> Result<(Segments, Vec<u32>), Error> {
        let numbers = numbers(directory)?;
        for (expected, number) in (1u32..).zip(&numbers) {
            if *number != expected {
                return Err(Error::Unusable(format!("segment {expected} of the journal is missing")));
            }
        }
        let mut segments = Segments {
            directory: directory.to_owned(),
            id: uuid::Uuid::new_v4().into_bytes(),
            sync,
            writable,
            halt,
            open: RwLock::default(),
        };
        if !numbers.is_empty() {
            segments.id = read_header(&*segments.file(1)?, 1)?.id;
        }
        Ok((segments, numbers))
    }

    /// Seed of the check sums of heads.
    pub(crate) fn seed(&self) -> u64 {
        xxh3_64(&self.id)
    }

    /// The hash before the first entry.
    pub(crate) fn root(&self) -> [u8; 32] {
        blake3::hash(&self.id).into()
    }

    /// The id of the journal.
    pub(crate) fn id(&self) -> [u8; 16] {
        self.id
    }

    fn path(&self, number: u32) -> PathBuf {
        self.directory.join(name(number))
    }

    /// A segment for reading.
    pub(crate) fn file(&self, number: u32) -> Result<Arc<File>, Error> {
        if let Some(file) = self.open.read().get(&number) {
            return Ok(file.clone());
        }
        let file = OpenOptions::new()
            .read(true)
            .write(self.writable)
            .open(self.path(number))
            .map_err(Error::io(format!("opening segment {number} of the journal")))?;
        let file = Arc::new(file);
        let mut open = self.open.write();
        if open.len() >= OPEN
            && let Some(other) = open.keys().next().copied()
        {
            open.remove(&other);
        }
        open.insert(number, file.clone());
        Ok(file)
    }

    /// An existing segment for writing.
    pub(crate) fn segment(&self, number: u32) -> Result<Segment, Error> {
        let file = self.file(number)?;
        let header = read_header(&file, number)?;
        if header.id != self.id {
            return Err(Error::Unusable(format!("segment {number} belongs to another journal")));
        }
        Ok(Segment { number, file, size: header.size })
    }

    /// A segment for writing; none if its header is damaged and nothing was ever written behind it. One that holds something
    /// and cannot be read is never taken for one that holds nothing.
    pub(crate) fn unless_blank(&self, number: u32) -> Result<Option<Segment>, Error> {
        match self.segment(number) {
            Err(Error::Unusable(_)) if self.is_blank(number)? => Ok(None),
            opened => opened.map(Some),
        }
    }

    fn is_blank(&self, number: u32) -> Result<bool, Error> {
        let attempt = || Error::io(format!("reading segment {number} of the journal"));
        let file = self.file(number)?;
        let mut bytes = vec![0; 1 << 20];
        let mut at = FIRST;
        loop {
            let length = file.read_at(&mut bytes, at).map_err(attempt())?;
            match bytes[..length].iter().any(|byte| *byte != 0) {
                true => return Ok(false),
                false if length == 0 => return Ok(true),
                false => at += length as u64,
            }
        }
    }

    /// Makes a segment: its whole room is taken, synced and named before this answers.
    pub(crate) fn make(&self, number: u32, size: u64) -> Result<Segment, Error> {
        let temporary = self.directory.join("next.tmp");
        let made = self.make_at(&temporary, number, size);
        if made.is_err() {
            // What it took of a disk that is nearly full is given back.
            let _ = std::fs::remove_file(&temporary);
        }
        made
    }

    fn make_at(&self, temporary: &Path, number: u32, size: u64) -> Result<Segment, Error> {
        let attempt = || Error::io(format!("making segment {number} of the journal"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(temporary)
            .map_err(attempt())?;
        reserve(&file, size).map_err(attempt())?;
        file.write_all_at(&self.header(number, size), 0).map_err(attempt())?;
        if self.sync {
            self.halt.synced(file.sync_all(), format!("syncing the new segment {number} of the journal"))?;
        }
        std::fs::rename(temporary, self.path(number)).map_err(attempt())?;
        if self.sync {
            files::sync_directory(&self.directory, &self.halt)?;
        }
        let file = Arc::new(file);
        self.open.write().insert(number, file.clone());
        Ok(Segment { number, file, size })
    }

    /// Gives a segment that holds nothing yet room for a very large entry.
    pub(crate) fn enlarge(&self, segment: &Segment, size: u64) -> Result<Segment, Error> {
        let attempt = || Error::io(format!("enlarging segment {} of the journal", segment.number));
        reserve(&segment.file, size).map_err(attempt())?;
        segment.file.write_all_at(&self.header(segment.number, size), 0).map_err(attempt())?;
        if self.sync {
            let number = segment.number;
            self.halt.synced(segment.file.sync_all(), format!("syncing the enlarged segment {number}"))?;
        }
        Ok(Segment { size, ..segment.clone() })
    }

    /// Whether there is a segment of this number.
    pub(crate) fn exists(&self, number: u32) -> bool {
        self.path(number).exists()
    }

    fn header(&self, number: u32, size: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        out.extend_from_slice(MAGIC);
        out.put_u32(FORMAT);
        out.put_u32(number);
        out.extend_from_slice(&self.id);
        out.put_u64(size);
        let check = xxh3_64(&out);
        out.put_u64(check);
        out
    }

    /// Removes a segment that holds nothing that was acknowledged.
    pub(crate) fn remove(&self, number: u32) -> Result<(), Error> {
        self.open.write().remove(&number);
        std::fs::remove_file(self.path(number))
            .map_err(Error::io(format!("removing segment {number} of the journal")))?;
        files::sync_directory(&self.directory, &self.halt)
    }
}

/// The name of a segment's file.
pub(crate) fn name(number: u32) -> String {
    format!("{number:010}.segment")
}

/// How large a segment says it is.
pub(crate) fn size_of(path: &Path) -> Result<u64, Error> {
    let named = path.file_stem().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let number = named.ok_or_else(|| Error::Unusable(format!("{} is no segment", path.display())))?;
    let file = File::open(path).map_err(Error::io(format!("opening {}", path.display())))?;
    Ok(read_header(&file, number)?.size)
}

struct Header {
    id: [u8; 16],
    size: u64,
}

fn read_header(file: &File, number: u32) -> Result<Header, Error> {
    let unusable = |what: &str| Error::Unusable(format!("segment {number} of the journal {what}"));
    let mut bytes = [0; 48];
    file.read_exact_at(&mut bytes, 0).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => unusable("has no header"),
        _ => Error::io(format!("reading the header of segment {number} of the journal"))(error),
    })?;
    let mut rest = Take::new(&bytes);
    let magic = rest.slice(8)?;
    let (format, found, id, size) = (rest.u32()?, rest.u32()?, rest.array()?, rest.u64()?);
    if magic != MAGIC || rest.u64()? != xxh3_64(&bytes[..40]) {
        return Err(unusable("has a damaged header (offset 0)"));
    }
    if format != FORMAT {
        return Err(unusable(&format!("is of format {format}; this program knows {FORMAT}")));
    }
    if found != number {
        return Err(unusable(&format!("says that it is segment {found}")));
    }
    Ok(Header { id, size })
}

/// Takes the room of a segment, so that writing it changes no file length.
pub(crate) fn reserve(file: &File, size: u64) -> std::io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, size) {
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => file.set_len(size),
        done => Ok(done?),
    }
}

fn numbers(directory: &Path) -> Result<Vec<u32>, Error> {
    let attempt = || Error::io("listing the journal");
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(attempt())? {
        let name = entry.map_err(attempt())?.file_name();
        let number: Option<u32> =
            name.to_str().and_then(|name| name.strip_suffix(".segment")).and_then(|name| name.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}
