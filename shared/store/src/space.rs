//! Room on the volume of the data directory, asked at most once a second, and whether that directory can be written at all.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::fs::StatVfsMountFlags;

use crate::error::Error;
use crate::reserve::Reserve;
use crate::store::Mark;

const FRESH: Duration = Duration::from_secs(1);
const HARD_BYTES: u64 = 1 << 30;

/// A segment takes at most this part of its volume.
const SEGMENTS: u64 = 16;

/// So many names must stay free where the volume has only so many.
const NAMES: u64 = 256;

/// Watches one volume, and keeps a part of it back.
#[derive(Debug)]
pub(crate) struct Space {
    directory: PathBuf,
    /// Device and number of the lock that is held: what lies at its path must be it.
    lock: (u64, u64),
    reserve: Reserve,
    last: Mutex<Option<(Instant, Room)>>,
}

/// What the volume said.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    pub(crate) free: u64,
    pub(crate) all: u64,
    /// Names that can still be given to files, and all of them; 0 of 0 where that has no bound.
    pub(crate) names: (u64, u64),
    pub(crate) read_only: bool,
}

impl Room {
    /// What the volume of a directory says now.
    pub(crate) fn of(directory: &Path) -> Result<Room, Error> {
        let found = rustix::fs::statvfs(directory)
            .map_err(|errno| Error::io("asking for the free room of the volume")(errno.into()))?;
        Ok(Room {
            free: found.f_bavail * found.f_frsize,
            all: found.f_blocks * found.f_frsize,
            names: (found.f_favail, found.f_files),
            read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
        })
    }
    /// Below this nothing that takes room is accepted.
    pub(crate) fn hard(&self) -> u64 {
        (self.all / 50).max(HARD_BYTES).min(self.all / 2)
    }
    fn soft(&self) -> u64 {
        (self.all / 10).max(self.hard())
    }
    pub(crate) fn mark(&self) -> Mark {
        let few_names = self.names.1 > 0 && self.names.0 < NAMES.min(self.names.1 / 16);
        match self.free {
            free if free < self.hard() || few_names => Mark::Hard,
            free if free < self.soft() => Mark::Soft,
            _ => Mark::Enough,
        }
    }
}

impl Space {
    /// Watches the volume of a directory whose lock is held, with so many bytes kept back.
    pub(crate) fn new(directory: &Path, lock: &File, reserve: u64) -> Result<Space, Error> {
        let lock = lock.metadata().map_err(Error::io("looking at the lock of the data directory"))?;
        Ok(Space {
            directory: directory.to_owned(),
            lock: (lock.dev(), lock.ino()),
            reserve: Reserve::new(directory, reserve),
            last: Mutex::new(None),
        })
    }

    /// The room there is.
    pub(crate) fn room(&self) -> Result<Room, Error> {
        let mut last = self.last.lock();
        if let Some((asked, room)) = *last
            && asked.elapsed() < FRESH
        {
            return Ok(room);
        }
        let room = Room::of(&self.directory)?;
        let before = last.map_or(Mark::Enough, |(_, before)| before.mark());
        tell_crossing(before, &room);
        *last = Some((Instant::now(), room));
        Ok(room)
    }

    /// Which mark the free room is below.
    pub(crate) fn mark(&self) -> Mark {
        self.room().map_or(Mark::Enough, |room| room.mark())
    }

    /// Whether so many bytes are free, or a good part of a small volume. One that does not say is taken at its best.
    pub(crate) fn has(&self, bytes: u64) -> bool {
        self.room().map_or(true, |room| room.free >= bytes.min(room.all / 4))
    }

    /// A size of segments that suits the volume.
    pub(crate) fn segment(&self, size: u64) -> u64 {
        self.room().map_or(size, |room| size.min(room.all / SEGMENTS))
    }

    /// From now on the volume seems to have this much room.
    #[cfg(test)]
    pub(crate) fn pretend(&self, room: Room) {
        *self.last.lock() = Some((Instant::now() + Duration::from_hours(1), room));
    }

    /// Refuses what is new when the volume is full to its hard mark.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.ground()?;
        let room = self.room()?;
        if room.mark() == Mark::Hard {
            return Err(Error::NoRoom(format!(
                "{} bytes and {} names of files are free on the volume; {} bytes must stay so",
                room.free,
                room.names.0,
                room.hard()
            )));
        }
        Ok(())
    }

    /// Refuses everything when the data directory is not the one that was opened any more, or lets nobody write. What is
    /// written to files nobody can find again would be as good as lost.
    pub(crate) fn ground(&self) -> Result<(), Error> {
        let away = |what: &str| Err(Error::Unwritable(format!("{} {what}", self.directory.display())));
        match std::fs::metadata(self.directory.join("lock")) {
            Ok(found) if (found.dev(), found.ino()) == self.lock => {}
            Ok(_) => return away("has been replaced by another directory"),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return away("is gone"),
            Err(error) => return away(&format!("cannot be looked at: {error}")),
        }
        if self.room()?.read_only { away("is on a volume that can only be read") } else { Ok(()) }
    }

    /// Gives up what was kept back, so that what was begun can be concluded; answers whether there was anything.
    pub(crate) fn give_way(&self) -> bool {
        let given = self.reserve.release();
        if given {
            // Asked again at the next question, since there is more room now.
            self.last.lock().take_if(|(asked, _)| *asked <= Instant::now());
        }
        given
    }

    /// Takes back what was given up, once there is room.
    pub(crate) fn keep_back(&self) {
        if self.ground().is_ok()
            && let Ok(room) = self.room()
        {
            self.reserve.take(&room);
        }
    }

    /// Whether something is kept back.
    pub(crate) fn keeps_back(&self) -> bool {
        self.reserve.is_held()
    }
}

fn tell_crossing(before: Mark, room: &Room) {
    match room.mark() {
        mark if mark <= before => {}
        Mark::Hard => tracing::error!(
            free = room.free,
            names = room.names.0,
            "the volume of the data directory is full to its last mark; nothing new is accepted until there is room"
        ),
        _ => tracing::warn!(free = room.free, "the volume of the data directory is nearly full"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    fn room(free: u64, all: u64) -> Room {
        Room { free, all, names: (0, 0), read_only: false }
    }

    #[test]
    fn the_marks_follow_the_size_of_the_volume() {
        assert_eq!(room(11 * GIB, 100 * GIB).mark(), Mark::Enough);
        assert_eq!(room(9 * GIB, 100 * GIB).mark(), Mark::Soft);
        assert_eq!(room(3 * GIB / 2, 100 * GIB).mark(), Mark::Hard);
        assert_eq!(room(40 << 20, 64 << 20).mark(), Mark::Enough, "of a small volume a half is left to use");
        assert_eq!(room(30 << 20, 64 << 20).mark(), Mark::Hard);
        let names = Room { names: (10, 10_000), ..room(11 * GIB, 100 * GIB) };
        assert_eq!(names.mark(), Mark::Hard, "no names are left");
    }

    fn watched() -> (tempfile::TempDir, Space) {
        let directory = tempfile::tempdir().unwrap();
        let lock = File::create(directory.path().join("lock")).unwrap();
        let space = Space::new(directory.path(), &lock, 1 << 20).unwrap();
        (directory, space)
    }

    #[test]
    fn a_directory_that_is_gone_replaced_or_read_only_takes_no_writes() {
        let (directory, space) = watched();
        space.ground().unwrap();
        let path = directory.path().join("lock");
        std::fs::rename(&path, directory.path().join("other")).unwrap();
        assert!(matches!(space.ground(), Err(Error::Unwritable(why)) if why.contains("is gone")));
        std::fs::write(&path, "").unwrap();
        assert!(matches!(space.check(), Err(Error::Unwritable(why)) if why.contains("replaced")));
        std::fs::rename(directory.path().join("other"), &path).unwrap();
        space.check().unwrap();
        space.pretend(Room { read_only: true, ..room(GIB, GIB) });
        assert!(matches!(space.check(), Err(Error::Unwritable(why)) if why.contains("only be read")));
    }

    #[test]
    fn a_length_without_room_behind_it_is_not_room_that_is_kept_back() {
        let (directory, space) = watched();
        let path = directory.path().join("reserve");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let lock = File::open(directory.path().join("lock")).unwrap();
        drop(space);
        let space = Space::new(directory.path(), &lock, 1 << 20).unwrap();
        assert!(!space.keeps_back());
        space.pretend(room(GIB, GIB));
        space.keep_back();
        assert!(space.keeps_back());
        assert!(std::fs::metadata(&path).unwrap().blocks() * 512 >= 1 << 20);
    }

    #[test]
    fn what_is_kept_back_is_given_up_and_taken_again_when_there_is_room() {
        let (directory, space) = watched();
        let file = directory.path().join("reserve");
        space.keep_back();
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 1 << 20);
        assert!(space.keeps_back() && space.give_way() && !file.exists() && !space.give_way());
        space.pretend(room(0, GIB));
        space.keep_back();
        assert!(!file.exists() && !space.keeps_back());
        space.pretend(room(GIB, GIB));
        space.keep_back();
        assert!(file.exists() && space.keeps_back());
    }
}
