//! Room kept back on the volume: a file that is given up when the volume is full, so that what was begun can be concluded.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use rustix::fs::FallocateFlags;

use crate::space::Room;

/// At most this part of a volume is kept back.
const PART: u64 = 16;

/// Written where room can be taken in no other way.
const PIECE: usize = 1 << 20;

/// The file, and how large it is meant to be.
#[derive(Debug)]
pub(crate) struct Reserve {
    path: PathBuf,
    wanted: u64,
    held: Mutex<u64>,
}

impl Reserve {
    /// What an earlier process kept back is kept.
    pub(crate) fn new(directory: &Path, wanted: u64) -> Reserve {
        let path = directory.join("reserve");
        // A file with a length and no room behind it is what a process left that ended while it took the room.
        let held = std::fs::metadata(&path).map_or(0, |found| found.len().min(found.blocks() * 512));
        Reserve { path, wanted, held: Mutex::new(held) }
    }

    pub(crate) fn is_held(&self) -> bool {
        *self.held.lock() > 0
    }

    /// Gives the room up; answers whether there was any.
    pub(crate) fn release(&self) -> bool {
        let mut held = self.held.lock();
        if *held == 0 {
            return false;
        }
        match std::fs::remove_file(&self.path) {
            Ok(()) => {
                tracing::warn!(bytes = *held, "the volume is full: the room that was kept back is given up")
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::error!(%error, "the room that was kept back cannot be given up");
                return false;
            }
        }
        *held = 0;
        true
    }

    /// Takes the room, if so much is there that nothing else is refused for it.
    pub(crate) fn take(&self, room: &Room) {
        let wanted = self.wanted.min(room.all / PART);
        let mut held = self.held.lock();
        if *held == wanted || *held < wanted && room.free < room.hard() + (wanted - *held) {
            return;
        }
        match self.resize(wanted) {
            Ok(()) => *held = wanted,
            Err(error) => {
                // What it took of a disk that is nearly full is given back.
                let _ = std::fs::remove_file(&self.path);
                *held = 0;
                tracing::warn!(%error, wanted, "no room can be kept back");
            }
        }
    }

    fn resize(&self, wanted: u64) -> std::io::Result<()> {
        if wanted == 0 {
            return std::fs::remove_file(&self.path);
        }
        let file =
            OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&self.path)?;
        file.set_len(wanted)?;
        match rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, wanted) {
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => fill(&file, wanted),
            done => Ok(done?),
        }
    }
}

fn fill(file: &File, wanted: u64) -> std::io::Result<()> {
    let piece = vec![0; PIECE];
    let mut at = 0;
    while at < wanted {
        let length = (wanted - at).min(PIECE as u64) as usize;
        file.write_all_at(&piece[..length], at)?;
        at += length as u64;
    }
    Ok(())
}
