//! Looking through a data directory: is every entry chained to the one before, is every document what was stored, and is
//! there anything that belongs to nothing? Looks only, and may look while the actor runs.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backup::{Manifest, in_words, place};
use crate::blob::CHUNK;
use crate::cited::Cited;
use crate::commit::Commit;
use crate::error::Error;
use crate::files;
use crate::index::values::State;
use crate::journal::entry::Sort;
use crate::journal::look::{Ended, Look, Seen};
use crate::journal::replay::{Entry, read_at};
use crate::pass;
use crate::record::Instant;
use crate::store::Mark;

/// What lies in `staging/` so long belongs to no submission that is under way.
const STAGED_AT_MOST: i64 = 60 * 60 * 1_000_000;

/// Within this time a commit that is under way is through.
const UNDER_WAY: Duration = Duration::from_millis(500);

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flaw {
    /// Its sort, a stable name: `document-damaged`, `document-missing`, `journal-broken`, `file-uncited`, `file-damaged`,
    /// `file-missing`, `staging-left`, `quarantined`.
    pub kind: String,
    /// The id of a document, or a place.
    pub subject: String,
    /// In words.
    pub words: String,
}

/// What a look through a data directory or a backup told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// What was looked at, under stable names.
    pub counts: Vec<(&'static str, u64)>,
    /// What is not as it should be.
    pub flaws: Vec<Flaw>,
}

impl Inspection {
    fn flaw(&mut self, kind: &str, subject: impl Into<String>, words: impl Into<String>) {
        self.flaws.push(Flaw { kind: kind.to_owned(), subject: subject.into(), words: words.into() });
    }

    /// How many of something were looked at.
    pub fn count(&self, name: &str) -> u64 {
        self.counts.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count)
    }
}

/// Free room on the volume of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes of the whole volume.
    pub all: u64,
    /// Which mark that is below.
    pub mark: Mark,
}

/// The room there is for a data directory.
pub fn room(directory: &Path) -> Result<Room, Error> {
    let room = crate::space::Room::of(directory)?;
    Ok(Room { free: room.free, all: room.all, mark: room.mark() })
}

/// Refuses a data directory whose format this program does not know.
pub fn readable(directory: &Path) -> Result<(), Error> {
    let look = Look::open(&directory.join("journal"))?;
    look.numbers().iter().rev().take(1).try_for_each(|number| look.segments().segment(*number).map(drop))
}

/// Looks through a data directory. With `deep` the SHA-256 of every document is computed too; its check sums are always
/// compared. `now` judges the age of what is left in `staging/`.
pub fn directory(directory: &Path, deep: bool, now: Instant) -> Result<Inspection, Error> {
    crate::restore::refuse_unfinished(directory)?;
    let look = Look::open(&directory.join("journal"))?;
    let mut found = Inspection::default();
    // Listed before the walk: what is named later may belong to a commit the walk does not see.
    let named = files_below(&directory.join("blobs"))?;
    let mut cited = Cited::default();
    let (state, ended) = look.walk(State::default(), u64::MAX, |seen| {
        look_at_documents(&look, seen, deep, &mut found)?;
        cited.take(seen)
    })?;
    if let Ended::Broken { entry, segment, offset } = &ended {
        let words = format!(
            "entry {entry} was acknowledged and cannot be read; what is behind it was not looked at, and the actor will not \
             start: restore a backup"
        );
        found.flaw("journal-broken", place(*segment, *offset), words);
    }
    let in_files = cited.in_files();
    let mut missing = Vec::new();
    for (id, size, sha256) in &in_files {
        let path = directory.join(files::blob_name(id));
        if !path.exists() {
            missing.push(id.clone());
        } else if let Err(error) = pass::over_document(&path, (id, *size, sha256), deep, &mut pass::nowhere)
            && path.exists()
        {
            found.flaw("document-damaged", id, in_words(&error));
        }
    }
    // What went to the trash meanwhile was let go by a later entry, perhaps in a segment that was not there yet.
    let mut end = walk_on(directory, state, &mut cited)?;
    for id in missing {
        if cited.get(&id).is_some() && !directory.join(files::blob_name(&id)).exists() {
            found.flaw("document-missing", id, "its file is missing: put it back, or restore a backup");
        }
    }
    let mut uncited = Vec::new();
    if ended == Ended::Complete {
        uncited = not_cited(directory, &named, &cited);
    }
    if !uncited.is_empty() {
        // A commit that is on its way, to keep the file or to let it go, is through by then.
        std::thread::sleep(UNDER_WAY);
        end = walk_on(directory, end, &mut cited)?;
        uncited = not_cited(directory, &uncited, &cited);
    }
    for path in &uncited {
        let subject = path.strip_prefix(directory).unwrap_or(path).display().to_string();
        found.flaw("file-uncited", subject, "no commit keeps this file; it takes room for nothing");
    }
    let (documents, document_bytes) = cited.sum();
    found.counts = vec![
        ("segments", look.numbers().len() as u64),
        ("entries", cited.entries),
        ("commits", cited.commits),
        ("last_entry", end.entry),
        ("last_sequence", end.sequence),
        ("documents", documents),
        ("document_bytes", document_bytes),
        ("documents_in_files", in_files.len() as u64),
        ("documents_let_go", cited.let_go),
        ("files_in_blobs", named.len() as u64),
        ("files_uncited", uncited.len() as u64),
    ];
    leftovers(directory, now, &mut found)?;
    let damaged = found.flaws.iter().filter(|flaw| flaw.kind.starts_with("document-")).count();
    found.counts.push(("documents_damaged_or_missing", damaged as u64));
    Ok(found)
}

/// Looks through a backup.
pub fn backup(from: &Path, deep: bool) -> Result<Inspection, Error> {
    let manifest = Manifest::read(from)?;
    let (mut flaws, cited) = manifest.check(from, deep)?;
    let (documents, document_bytes) = cited.sum();
    let counts = vec![
        ("files", manifest.files.len() as u64),
        ("bytes", manifest.bytes),
        ("entries", cited.entries),
        ("commits", cited.commits),
        ("last_sequence", manifest.sequence),
        ("documents", documents),
        ("document_bytes", document_bytes),
    ];
    flaws.extend(manifest.damaged.into_iter().map(|flaw| {
        let words = format!("damaged when the backup was taken: {}", flaw.words);
        Flaw { words, ..flaw }
    }));
    Ok(Inspection { counts, flaws })
}

/// Documents that lie in the journal with their entry.
fn look_at_documents(look: &Look, seen: &Seen, deep: bool, found: &mut Inspection) -> Result<(), Error> {
    match seen {
        Seen::Whole(entry) if !deep || entry.head.sort != Sort::Commit => Ok(()),
        Seen::Whole(entry) | Seen::DocumentsDamaged(entry) => each_document(look, entry, deep, found),
    }
}

fn each_document(look: &Look, entry: &Entry, deep: bool, found: &mut Inspection) -> Result<(), Error> {
    use sha2::Digest as _;

    let commit = Commit::read(&entry.meta)?;
    let segment = look.segments().segment(entry.segment)?;
    let mut offset = entry.place().documents;
    for document in commit.documents.iter().filter(|document| document.in_entry) {
        let mut content = vec![0; usize::try_from(document.size).unwrap_or(0)];
        read_at(&segment, &mut content, offset)?;
        let whole = content.chunks(CHUNK).map(xxhash_rust::xxh3::xxh3_64).eq(document.checks.iter().copied());
        let at = place(entry.segment, offset);
        if !whole {
            let words = format!("its bytes at {at} are not those that were stored: restore a backup");
            found.flaw("document-damaged", document.id, words);
        } else if deep && <[u8; 32]>::from(sha2::Sha256::digest(&content)) != document.sha256 {
            let words = format!("its SHA-256 at {at} is not the registered one: restore a backup");
            found.flaw("document-damaged", document.id, words);
        }
        offset += document.size;
    }
    Ok(())
}

/// Goes on over what was written since.
fn walk_on(directory: &Path, from: State, cited: &mut Cited) -> Result<State, Error> {
    let look = Look::open(&directory.join("journal"))?;
    Ok(look.walk(from, u64::MAX, |seen| cited.take(seen))?.0)
}

/// Files of documents that no commit keeps. One that still has its second name in `staging/` is on its way to a commit.
fn not_cited(directory: &Path, named: &[PathBuf], cited: &Cited) -> Vec<PathBuf> {
    let belongs = |path: &PathBuf| {
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        cited.get(&id).is_some_and(|document| document.file.is_some())
            || directory.join("staging").join(&id).exists()
            || !path.exists()
    };
    named.iter().filter(|path| !belongs(path)).cloned().collect()
}

/// What is left in the other directories.
fn leftovers(directory: &Path, now: Instant, found: &mut Inspection) -> Result<(), Error> {
    let staged = files_below(&directory.join("staging"))?;
    for path in &staged {
        let Some(changed) = changed(path) else { continue };
        if now - changed > STAGED_AT_MOST {
            let subject = path.strip_prefix(directory).unwrap_or(path).display().to_string();
            let words = "of a document that was never completed; the next start removes it";
            found.flaw("staging-left", subject, words);
        }
    }
    found.counts.push(("files_in_staging", staged.len() as u64));
    found.counts.push(("files_in_trash", files_below(&directory.join("trash"))?.len() as u64));
    let quarantined = files_below(&directory.join("quarantine"))?;
    for path in &quarantined {
        let id = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        found.flaw("quarantined", id, "set aside because it was found damaged; it is answered 503");
    }
    found.counts.push(("documents_in_quarantine", quarantined.len() as u64));
    Ok(())
}

/// When a file was last changed, in microseconds since 1970.
fn changed(path: &Path) -> Option<Instant> {
    let changed = std::fs::metadata(path).ok()?.modified().ok()?;
    let since = changed.duration_since(std::time::SystemTime::UNIX_EPOCH).ok()?;
    i64::try_from(since.as_micros()).ok()
}

/// All files below a directory, in no order; none if it is not there. What goes away meanwhile is not missed.
pub(crate) fn files_below(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut files = HashSet::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        let list = match std::fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            list => list.map_err(Error::io(format!("listing {}", directory.display())))?,
        };
        for entry in list {
            let entry = entry.map_err(Error::io(format!("listing {}", directory.display())))?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(_) => drop(files.insert(entry.path())),
                Err(_) => {}
            }
        }
    }
    Ok(files.into_iter().collect())
}

#[cfg(test)]
mod tests;
