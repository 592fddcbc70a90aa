//! Which life of a data directory this is: an id made with it, and a number that each restore of a backup raises.
//!
//! The mark is kept twice, in the directory (`incarnation`) and beside it (`<directory>.incarnation`). The one beside tells
//! a directory that was never there from one that is missing now, for example because its volume is not mounted, and a
//! directory of today from an older copy of it that somebody has put back.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::aside;
use crate::error::Error;
use crate::record::{Instant, Sequence};

/// Name of the mark in a data directory.
pub(crate) const NAME: &str = "incarnation";

/// Which life of a data directory this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incarnation {
    /// Made with the data directory; a restored one keeps it.
    pub id: String,
    /// 1, and one more after each restore.
    pub number: u64,
    /// The last sequence of the backup this life began from: what was committed behind it in the life before may be lost.
    pub restored_sequence: Option<Sequence>,
}

/// An incarnation as it is written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) id: String,
    pub(crate) number: u64,
    #[serde(default)]
    pub(crate) restored: Option<Restored>,
}

/// From what a life began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restored {
    /// The last sequence of the backup.
    pub(crate) from: Sequence,
    /// The instant of its last entry, in microseconds since 1970: what was committed later may be lost.
    pub(crate) lost_after: Instant,
}

/// Where the mark beside a data directory lies.
pub fn mark_beside(directory: &Path) -> PathBuf {
    // `.`, `..` and a slash at the end name a directory without saying what it is called.
    let whole = match directory.file_name() {
        Some(_) => directory.to_owned(),
        None => directory.canonicalize().unwrap_or_else(|_| directory.to_owned()),
    };
    let mut name = whole.file_name().map_or_else(OsString::new, ToOwned::to_owned);
    name.push(format!(".{NAME}"));
    whole.with_file_name(name)
}

impl Incarnation {
    /// That of a store that forgets everything at the end.
    pub(crate) fn of_memory() -> Incarnation {
        Incarnation { id: uuid::Uuid::nil().to_string(), number: 1, restored_sequence: None }
    }
}

impl From<Mark> for Incarnation {
    fn from(mark: Mark) -> Incarnation {
        let restored_sequence = mark.restored.map(|restored| restored.from);
        Incarnation { id: mark.id, number: mark.number, restored_sequence }
    }
}

impl Mark {
    /// The first life of a new directory.
    pub(crate) fn first() -> Mark {
        Mark { id: uuid::Uuid::new_v4().to_string(), number: 1, restored: None }
    }

    /// The mark at a place, if there is one.
    pub(crate) fn read(path: &Path) -> Result<Option<Mark>, Error> {
        let bytes = match std::fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            // A component of the path that is a file is for the caller to find out.
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return Ok(None),
            read => read.map_err(Error::io(format!("reading the incarnation mark {}", path.display())))?,
        };
        let damaged =
            |error| Error::Unusable(format!("{} is no incarnation mark any more ({error})", path.display()));
        serde_json::from_slice(&bytes).map(Some).map_err(damaged)
    }

    /// Writes the mark, synced.
    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let attempt = Error::io(format!("writing the incarnation mark {}", path.display()));
        aside::replace(path, &self.to_bytes()).map_err(attempt)
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("a mark is made of numbers and text");
        bytes.push(b'\n');
        bytes
    }

    fn in_words(&self) -> String {
        format!("{}, number {}", self.id, self.number)
    }
}

/// Refuses a directory that is missing, empty or another one than the mark beside it knows. Looks only: nothing may be made
/// on what is perhaps not even the right volume.
pub(crate) fn judge(directory: &Path, beside: Option<&Path>) -> Result<(), Error> {
    crate::restore::refuse_unfinished(directory)?;
    let Some(beside) = beside else { return Ok(()) };
    let Some(there) = Mark::read(beside)? else { return Ok(()) };
    let here = Mark::read(&directory.join(NAME))?;
    if here.is_some() || has_journal(directory) {
        return refuse_if_they_disagree(directory, here.as_ref(), beside, &there);
    }
    let what = if directory.is_dir() { "is empty" } else { "is missing" };
    Err(Error::Unusable(format!(
        "{} {what}, but {} knows it (incarnation {}); nothing was written. Mount or put back what belongs there; or \
         restore a backup (`restore --from DIR`); or, to begin anew and give up what was stored, remove {}",
        directory.display(),
        beside.display(),
        there.in_words(),
        beside.display(),
    )))
}

/// The incarnation of a data directory, if it was begun; refused as a start would be refused. Looks only.
pub fn examine(directory: &Path, beside: &Path) -> Result<Option<Incarnation>, Error> {
    judge(directory, Some(beside))?;
    Ok(Mark::read(&directory.join(NAME))?.map(Incarnation::from))
}

/// Whether there is anything of a journal.
pub(crate) fn has_journal(directory: &Path) -> bool {
    let Ok(list) = std::fs::read_dir(directory.join("journal")) else { return false };
    list.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "segment"))
}

/// Reads both marks of a directory that has a journal, makes those that are missing, and refuses marks that disagree.
/// The one inside is written first, so that there is never one beside a directory that does not know of it.
pub(crate) fn settle(directory: &Path, beside: Option<&Path>) -> Result<Incarnation, Error> {
    judge(directory, beside)?;
    let inside = directory.join(NAME);
    let mark = match Mark::read(&inside)? {
        Some(mark) => mark,
        None => {
            let mark = Mark::first();
            mark.write(&inside)?;
            mark
        }
    };
    if let Some(beside) = beside
        && Mark::read(beside)?.as_ref() != Some(&mark)
        && let Err(error) = mark.write(beside)
    {
        tracing::warn!(
            error = %error,
            cause = ?std::error::Error::source(&error),
            "there is no incarnation mark beside the data directory: should the directory be missing one day, a start would not notice"
        );
    }
    Ok(mark.into())
}

fn refuse_if_they_disagree(
    directory: &Path,
    here: Option<&Mark>,
    beside: &Path,
    there: &Mark,
) -> Result<(), Error> {
    let why = match here {
        None => "has no incarnation mark".to_owned(),
        Some(here) if here.id != there.id => {
            format!("is another one (incarnation {})", here.in_words())
        }
        Some(here) if here.number < there.number => {
            format!("is an older copy (incarnation {})", here.in_words())
        }
        Some(_) => return Ok(()),
    };
    Err(Error::Unusable(format!(
        "{} {why}, but {} knows incarnation {}; nothing was written. Put back what belongs there; or take this \
         directory as it is, as a restored one, which tells the other actors to compare (`restore --adopt`)",
        directory.display(),
        beside.display(),
        there.in_words(),
    )))
}

#[cfg(test)]
mod tests;
