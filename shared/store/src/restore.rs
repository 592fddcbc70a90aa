//! Putting a backup back in the place of a data directory.
//!
//! The backup is looked through wholly before anything is touched. Then a note, `restoring`, is put into the directory and
//! stays until the last byte is synced: no actor starts in a directory with that note, and a restore that was broken off is
//! done again from the beginning. What was there before is kept aside, below `replaced.1`, `replaced.2` and so on.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::aside;
use crate::backup::{Manifest, SMALL};
use crate::engine::embedded::start::lock;
use crate::error::Error;
use crate::files;
use crate::incarnation::{self, Incarnation, Mark, Restored};
use crate::index::values::State;
use crate::journal::look::{Ended, Look};
use crate::journal::segment;
use crate::pass::{self, Copy};
use crate::space::Room;

/// The note of a restore that is not complete.
const NOTE: &str = "restoring";

/// What was there before goes to directories that are called so and numbered.
const REPLACED: &str = "replaced.";

/// A restore to be made.
#[derive(Debug, Clone, Copy)]
pub struct Restore<'a> {
    /// The backup.
    pub from: &'a Path,
    /// The data directory.
    pub directory: &'a Path,
    /// The mark beside it.
    pub mark: Option<&'a Path>,
    /// Whose data it is to be.
    pub actor: &'a str,
    /// Whether a data directory that holds something, or the mark of another one, gives way.
    pub force: bool,
}

/// A restore that was made.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The life that begins.
    pub incarnation: Incarnation,
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Where what was there before is kept.
    pub replaced: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "lowercase")]
enum Note {
    /// What was there is being moved aside.
    Moving { to: String },
    /// The backup is being copied.
    Copying { replaced: Option<String> },
}

/// Refuses a directory in which a restore was begun and not completed.
pub(crate) fn refuse_unfinished(directory: &Path) -> Result<(), Error> {
    if directory.join(NOTE).exists() {
        return Err(Error::Unusable(format!(
            "a restore into {} was not completed; run `restore --from DIR` again",
            directory.display()
        )));
    }
    Ok(())
}

impl Restore<'_> {
    /// Makes it. On an error that came before the first change, nothing was changed; the words say which it is.
    pub fn make(&self) -> Result<Outcome, Error> {
        if self.directory.join("lock").exists() {
            // Looking through a backup may take long; that somebody uses the directory can be told at once.
            drop(lock(self.directory)?);
        }
        let manifest = self.verified()?;
        let there = self.mark.map(Mark::read).transpose()?.flatten();
        self.judge_mark(&manifest, there.as_ref())?;
        files::make_directory(self.directory)?;
        let _lock = lock(self.directory)?;
        let before = self.marks_before()?;
        let note = self.begin()?;
        if !self.directory.join(NOTE).exists() {
            self.judge_room(&manifest)?;
        }
        let replaced = self.clear(note)?;
        self.copy(&manifest).map_err(|error| self.unfinished(error))?;
        let of_this = |mark: &&Mark| mark.id == manifest.incarnation;
        let known = there.iter().chain(&before).filter(of_this).map(|mark| mark.number).max();
        let number = known.unwrap_or(0).max(manifest.number) + 1;
        let restored = Some(Restored { from: manifest.sequence, lost_after: manifest.last_instant });
        let mark = Mark { id: manifest.incarnation.clone(), number, restored };
        self.end(&mark).map_err(|error| self.unfinished(error))?;
        let replaced = replaced.map(|name| self.directory.join(name));
        Ok(Outcome { incarnation: mark.into(), manifest, replaced })
    }

    /// The backup, looked through wholly.
    fn verified(&self) -> Result<Manifest, Error> {
        let manifest = Manifest::read(self.from)?;
        if manifest.actor != self.actor {
            return Err(Error::Unusable(format!(
                "{} is a backup of the {}, not of the {}; nothing was changed",
                self.from.display(),
                manifest.actor,
                self.actor
            )));
        }
        let (flaws, _) = manifest.check(self.from, false)?;
        match flaws.first() {
            None => Ok(manifest),
            Some(flaw) => Err(Error::Unusable(format!(
                "the backup {} is damaged ({}: {}: {}; {} findings in all, `verify --from {}` tells them); nothing was \
                 changed",
                self.from.display(),
                flaw.kind,
                flaw.subject,
                flaw.words,
                flaws.len(),
                self.from.display()
            ))),
        }
    }

    fn judge_mark(&self, manifest: &Manifest, there: Option<&Mark>) -> Result<(), Error> {
        match there {
            Some(there) if there.id != manifest.incarnation && !self.force => Err(Error::Unusable(format!(
                "the place belongs to incarnation {}, the backup is of {}; nothing was changed. With --force it takes \
                 the place all the same",
                there.id, manifest.incarnation
            ))),
            _ => Ok(()),
        }
    }

    /// The marks of lives that took place in this directory: of the one that is there, and of those that were put aside.
    fn marks_before(&self) -> Result<Vec<Mark>, Error> {
        let attempt = || Error::io("listing the data directory");
        let mut marks: Vec<Mark> = Mark::read(&self.directory.join(incarnation::NAME))?.into_iter().collect();
        for entry in std::fs::read_dir(self.directory).map_err(attempt())? {
            let entry = entry.map_err(attempt())?;
            if entry.file_name().to_string_lossy().starts_with(REPLACED) {
                marks.extend(Mark::read(&entry.path().join(incarnation::NAME))?);
            }
        }
        Ok(marks)
    }

    /// What is to be done first. Refuses a directory that holds something.
    fn begin(&self) -> Result<Note, Error> {
        match std::fs::read(self.directory.join(NOTE)) {
            // One that cannot be read says nothing about what is there, so that is kept.
            Ok(note) => return Ok(serde_json::from_slice(&note).unwrap_or_else(|_| self.moving())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("reading the note of a restore")(error)),
        }
        if self.contents()?.is_empty() {
            return Ok(Note::Copying { replaced: None });
        }
        if !self.force {
            return Err(Error::Unusable(format!(
                "{} holds something; nothing was changed. Name an empty data directory; or, to put the backup in its \
                 place and keep what is there below {REPLACED}N, use --force",
                self.directory.display()
            )));
        }
        Ok(self.moving())
    }

    /// What is there goes to the first name that is free.
    fn moving(&self) -> Note {
        let free = |number: &u32| !self.directory.join(format!("{REPLACED}{number}")).exists();
        let number = (1..).find(free).unwrap_or(u32::MAX);
        Note::Moving { to: format!("{REPLACED}{number}") }
    }

    /// What a data directory consists of, without what a restore leaves alone.
    fn contents(&self) -> Result<Vec<String>, Error> {
        let attempt = || Error::io("listing the data directory");
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.directory).map_err(attempt())? {
            let name = entry.map_err(attempt())?.file_name().to_string_lossy().into_owned();
            let left_alone = ["lock", "lost+found", NOTE, "restoring.new"].contains(&name.as_str());
            if !left_alone && !name.starts_with(REPLACED) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn judge_room(&self, manifest: &Manifest) -> Result<(), Error> {
        let free = Room::of(self.directory)?.free;
        if free < manifest.bytes {
            return Err(Error::NoRoom(format!(
                "the backup takes {} bytes, {free} are free for {}; nothing was changed",
                manifest.bytes,
                self.directory.display()
            )));
        }
        Ok(())
    }

    /// Makes the directory empty: moves what was there aside, or removes what a restore before has left half done.
    fn clear(&self, note: Note) -> Result<Option<String>, Error> {
        self.put(&note)?;
        let replaced = match note {
            Note::Moving { to } => {
                let place = self.directory.join(&to);
                files::make_directory(&place)?;
                for name in self.contents()? {
                    let attempt = || Error::io(format!("moving {name} to {}", place.display()));
                    // The room kept back holds nothing.
                    match name.as_str() {
                        "reserve" => std::fs::remove_file(self.directory.join(&name)).map_err(attempt())?,
                        _ => std::fs::rename(self.directory.join(&name), place.join(&name))
                            .map_err(attempt())?,
                    }
                }
                self.sync(&place)?;
                self.sync(self.directory)?;
                self.put(&Note::Copying { replaced: Some(to.clone()) })?;
                Some(to)
            }
            Note::Copying { replaced } => replaced,
        };
        for name in self.contents()? {
            let path = self.directory.join(&name);
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            removed.map_err(Error::io(format!("removing {name} of a restore before")))?;
        }
        Ok(replaced)
    }

    fn put(&self, note: &Note) -> Result<(), Error> {
        let bytes = serde_json::to_vec(note).expect("a note is made of text");
        aside::replace(&self.directory.join(NOTE), &bytes).map_err(Error::io("writing the note of a restore"))
    }

    fn sync(&self, directory: &Path) -> Result<(), Error> {
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            .map_err(Error::io(format!("syncing {}", directory.display())))
    }

    /// Copies every file, measured again on the way.
    fn copy(&self, manifest: &Manifest) -> Result<(), Error> {
        for part in &manifest.files {
            let (from, to) = (self.from.join(&part.path), self.directory.join(&part.path));
            let mut copy = Copy::begin(&to)?;
            let measured = pass::over(&from, part.bytes, &mut |bytes| copy.write(bytes))?;
            if !part.is(&measured) {
                return Err(Error::Damaged(format!("{} of the backup changed meanwhile", part.path)));
            }
            if part.path.starts_with("journal/") {
                // Segments have their whole room from the beginning.
                let size = segment::size_of(&from)?.max(part.bytes);
                segment::reserve(copy.file(), size).map_err(Error::io("taking the room of a segment"))?;
            }
            copy.end()?;
        }
        Ok(())
    }

    /// Gives the directory its mark, and last takes the note away.
    fn end(&self, mark: &Mark) -> Result<(), Error> {
        mark.write(&self.directory.join(incarnation::NAME))?;
        give_to_owner(self.directory)?;
        for name in ["journal", "blobs"] {
            let path = self.directory.join(name);
            if path.exists() {
                pass::sync_directories(&path)?;
            }
        }
        self.sync(self.directory)?;
        mark_beside(self.directory, self.mark, mark)?;
        std::fs::remove_file(self.directory.join(NOTE))
            .map_err(Error::io("removing the note of the restore"))?;
        self.sync(self.directory)
    }

    fn unfinished(&self, error: Error) -> Error {
        let words = crate::backup::in_words(&error);
        Error::Unusable(format!(
            "{words}. The restore into {} is not complete and nothing starts there; run it again",
            self.directory.display()
        ))
    }
}

/// Takes a data directory that was put back by hand for what it is: an older copy, whose life begins anew.
pub fn adopt(directory: &Path, mark: Option<&Path>) -> Result<Incarnation, Error> {
    refuse_unfinished(directory)?;
    let look = Look::open(&directory.join("journal"))?;
    let _lock = lock(directory)?;
    let (state, ended) = look.walk(State::default(), u64::MAX, |_| Ok(()))?;
    if let Ended::Broken { entry, segment, offset } = ended {
        return Err(Error::Unusable(format!(
            "the journal is broken at {}: entry {entry} cannot be read; nothing was changed",
            crate::backup::place(segment, offset)
        )));
    }
    let there = mark.map(Mark::read).transpose()?.flatten();
    let here = Mark::read(&directory.join(incarnation::NAME))?.or_else(|| there.clone());
    let here = here.unwrap_or_else(Mark::first);
    let known = there.filter(|there| there.id == here.id).map_or(0, |there| there.number);
    let restored = Some(Restored { from: state.sequence, lost_after: state.instant });
    let adopted = Mark { id: here.id, number: here.number.max(known) + 1, restored };
    // A copy made by hand may hold an index that is not of the same moment; it is built again.
    match std::fs::remove_dir_all(directory.join("index")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Error::io("removing the index of a copy")(error));
        }
        _ => {}
    }
    adopted.write(&directory.join(incarnation::NAME))?;
    give_to_owner(directory)?;
    mark_beside(directory, mark, &adopted)?;
    Ok(adopted.into())
}

/// The account the actor runs under, which owns the directory, if an administrator works for it here.
fn account(directory: &Path) -> Result<Option<(u32, u32)>, Error> {
    let owner =
        std::fs::metadata(directory).map_err(Error::io("looking at the owner of the data directory"))?;
    let works_for = rustix::process::geteuid().is_root() && owner.uid() != 0;
    Ok(works_for.then(|| (owner.uid(), owner.gid())))
}

fn give(path: &Path, (user, group): (u32, u32)) -> Result<(), Error> {
    std::os::unix::fs::lchown(path, Some(user), Some(group))
        .map_err(Error::io(format!("giving {} to the owner of the data directory", path.display())))
}

/// Gives what was restored to the account that is to use it.
fn give_to_owner(directory: &Path) -> Result<(), Error> {
    let Some(account) = account(directory)? else { return Ok(()) };
    let mut directories: Vec<PathBuf> = ["journal", "blobs"].map(|name| directory.join(name)).into();
    directories.retain(|directory| directory.exists());
    while let Some(directory) = directories.pop() {
        give(&directory, account)?;
        let attempt = || Error::io(format!("listing {}", directory.display()));
        for entry in std::fs::read_dir(&directory).map_err(attempt())?.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => directories.push(entry.path()),
                _ => give(&entry.path(), account)?,
            }
        }
    }
    let small = SMALL.iter().chain(&["lock"]).map(|name| directory.join(name));
    small.filter(|path| path.exists()).try_for_each(|path| give(&path, account))
}

/// Writes the mark beside; that there can be none is no reason to stop, but one that says otherwise would be.
fn mark_beside(directory: &Path, beside: Option<&Path>, mark: &Mark) -> Result<(), Error> {
    let Some(beside) = beside else { return Ok(()) };
    match mark.write(beside) {
        Err(error) if Mark::read(beside)?.is_some_and(|there| there.id != mark.id) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "there is no incarnation mark beside the data directory");
            Ok(())
        }
        // A start that may not read it is refused.
        Ok(()) => match account(directory)? {
            Some(account) => give(beside, account),
            None => Ok(()),
        },
    }
}

#[cfg(test)]
mod tests;
