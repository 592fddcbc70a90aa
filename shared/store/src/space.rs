//! Free room on the volume, asked at most once a second.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::error::Error;

const FRESH: Duration = Duration::from_secs(1);
const HARD_BYTES: u64 = 1 << 30;

/// Watches one volume.
#[derive(Debug)]
pub(crate) struct Space {
    path: PathBuf,
    last: Mutex<Option<(Instant, Room)>>,
}

/// What the volume said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) all: u64,
}

impl Room {
    /// Below this nothing that takes room is accepted.
    pub(crate) fn hard(&self) -> u64 {
        (self.all / 50).max(HARD_BYTES).min(self.all / 2)
    }
    fn soft(&self) -> u64 {
        self.all / 10
    }
}

impl Space {
    pub(crate) fn new(path: &Path) -> Space {
        Space { path: path.to_owned(), last: Mutex::new(None) }
    }

    /// The room there is.
    pub(crate) fn room(&self) -> Result<Room, Error> {
        let mut last = self.last.lock();
        if let Some((asked, room)) = *last
            && asked.elapsed() < FRESH
        {
            return Ok(room);
        }
        let found = rustix::fs::statvfs(&self.path)
            .map_err(|errno| Error::io("asking for the free room of the volume")(errno.into()))?;
        let room = Room { free: found.f_bavail * found.f_frsize, all: found.f_blocks * found.f_frsize };
        let was_enough = last.is_none_or(|(_, before)| before.free >= before.soft());
        if was_enough && room.free < room.soft() {
            tracing::warn!(free = room.free, "the volume of the data directory is nearly full");
        }
        *last = Some((Instant::now(), room));
        Ok(room)
    }

    /// Whether so many bytes are free, or a good part of a small volume. One that does not say is taken at its best.
    pub(crate) fn has(&self, bytes: u64) -> bool {
        self.room().map_or(true, |room| room.free >= bytes.min(room.all / 4))
    }

    /// From now on the volume seems to have this much room.
    #[cfg(test)]
    pub(crate) fn pretend(&self, room: Room) {
        *self.last.lock() = Some((Instant::now() + Duration::from_hours(1), room));
    }

    /// Refuses when the volume is full to its hard mark.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let room = self.room()?;
        if room.free < room.hard() {
            return Err(Error::NoRoom(format!(
                "{} bytes are free on the volume, {} must stay so",
                room.free,
                room.hard()
            )));
        }
        Ok(())
    }
}
