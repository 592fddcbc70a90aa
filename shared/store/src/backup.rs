//! A copy of a data directory, taken while its actor goes on.
//!
//! The journal only grows, and every entry is chained to the one before. So a copy of it up to any entry, with the files of
//! the documents those entries cite, is what the store was at that entry: nobody has to hold still for it. The index is
//! not copied; it is built again. The manifest is written last, so that a copy that was broken off is none.
//!
//! Taken again into the same directory, only what is new is copied. The backup before stays whole until the new manifest
//! takes the place of its own, because what it holds is only continued.

mod manifest;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use crate::cited::Cited;
use crate::engine::embedded::start::lock_file;
use crate::error::Error;
use crate::files;
use crate::halt::Halt;
use crate::incarnation::{self, Mark};
use crate::index::values::State;
use crate::journal::look::{Ended, Look, Seen};
use crate::journal::segment::FIRST;
use crate::pass::{self, Copy, Measured};
use crate::record::Instant;
use crate::verify::Flaw;

pub use manifest::Manifest;
pub(crate) use manifest::{SMALL, in_words, place, segment_path};

/// The lock of a directory backups are taken into; it also says that the directory is ours.
const LOCK: &str = "backup.lock";
/// How often a backup goes on to a later entry, because documents were let go and deleted while it was copied.
const ROUNDS: u32 = 16;

/// A backup to be taken.
#[derive(Debug, Clone, Copy)]
pub struct Backup<'a> {
    /// The data directory.
    pub directory: &'a Path,
    /// Where the copy goes.
    pub to: &'a Path,
    /// Whose data it is.
    pub actor: &'a str,
    /// The version of this program.
    pub version: &'a str,
    /// Now.
    pub now: Instant,
}

/// A backup that was taken.
#[derive(Debug, Clone)]
pub struct Taken {
    /// What it says of itself.
    pub manifest: Manifest,
    /// Files that were copied; the others were there from a backup before.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
}

impl Backup<'_> {
    /// Takes it. What is damaged in the data directory is told in the manifest; a journal that is broken is refused.
    pub fn take(&self) -> Result<Taken, Error> {
        crate::restore::refuse_unfinished(self.directory)?;
        let look = Look::open(&self.directory.join("journal"))?;
        let mark = Mark::read(&self.directory.join(incarnation::NAME))?.ok_or_else(|| {
            let words = "has no incarnation mark yet; start the actor once with this version";
            Error::Unusable(format!("{} {words}", self.directory.display()))
        })?;
        self.prepare()?;
        let _lock = lock_file(&self.to.join(LOCK), self.to)?;
        let mut before = self.before(&mark)?;
        let mut walked = walk(&look, before.as_ref())?;
        if !walked.continues {
            before = None;
        }
        let manifest = self.manifest(&look, &walked, &mark);
        let mut copying =
            Copying { order: self, before, manifest, done: HashMap::new(), copied: 0, copied_bytes: 0 };
        let mut missing = copying.documents(&walked.cited)?;
        let mut rounds = 0;
        // What was deleted while we copied was let go by an entry behind those we saw: the backup is taken as of a later one,
        // which does not cite it any more.
        while !missing.is_empty() && rounds < ROUNDS && walked.go_on(self.directory, &missing)? {
            let earlier = std::mem::replace(&mut copying.manifest, self.manifest(&look, &walked, &mark));
            copying.done.extend(earlier.files.into_iter().map(|part| (part.path.clone(), part)));
            missing = copying.documents(&walked.cited)?;
            rounds += 1;
        }
        for (number, end) in walked.ends {
            copying.segment(number, end)?;
        }
        for name in SMALL {
            copying.small(name)?;
        }
        let Copying { mut manifest, copied, copied_bytes, .. } = copying;
        // The journal first, as everything else is found by it.
        manifest.files.sort_by_key(|part| !part.path.starts_with("journal"));
        // Not what else may lie there: `lost+found` lets nobody in.
        for name in ["journal", "blobs"] {
            let path = self.to.join(name);
            if path.exists() {
                pass::sync_directories(&path)?;
            }
        }
        files::sync_directory(self.to, &Halt::default())?;
        manifest.write(self.to)?;
        self.prune(&manifest)?;
        Ok(Taken { manifest, copied, copied_bytes })
    }

    fn manifest(&self, look: &Look, walked: &Walked, mark: &Mark) -> Manifest {
        let mut manifest = Manifest::of(look, &walked.state, mark, &walked.cited);
        self.actor.clone_into(&mut manifest.actor);
        self.version.clone_into(&mut manifest.version);
        manifest.begun = self.now;
        manifest.damaged.clone_from(&walked.damaged);
        manifest
    }

    /// Makes the directory; refuses one that holds something else.
    fn prepare(&self) -> Result<(), Error> {
        files::make_directory(self.to)?;
        let whole =
            |path: &Path| path.canonicalize().map_err(Error::io(format!("finding {}", path.display())));
        let (to, directory) = (whole(self.to)?, whole(self.directory)?);
        if to.starts_with(&directory) || directory.starts_with(&to) {
            return Err(Error::Unusable(format!(
                "{} and the data directory lie in each other; nothing was copied",
                self.to.display()
            )));
        }
        let ours = self.to.join(LOCK).exists();
        let mut list = std::fs::read_dir(self.to).map_err(Error::io("listing the backup's directory"))?;
        if !ours && list.any(|entry| entry.is_ok_and(|entry| entry.file_name() != "lost+found")) {
            return Err(Error::Unusable(format!(
                "{} holds something that is no backup; nothing was copied. Name an empty directory",
                self.to.display()
            )));
        }
        Ok(())
    }

    /// The backup that is there already.
    fn before(&self, mark: &Mark) -> Result<Option<Manifest>, Error> {
        if !self.to.join(manifest::NAME).exists() {
            return Ok(None);
        }
        let before = Manifest::read(self.to)?;
        if (&before.incarnation, before.number, before.actor.as_str()) != (&mark.id, mark.number, self.actor)
        {
            return Err(Error::Unusable(format!(
                "{} holds a backup of the {} of incarnation {}, number {}; this is the {} of {}, number {}. Nothing \
                 was copied: name another directory",
                self.to.display(),
                before.actor,
                before.incarnation,
                before.number,
                self.actor,
                mark.id,
                mark.number
            )));
        }
        Ok(Some(before))
    }

    /// Removes documents that were let go since the backup before.
    fn prune(&self, manifest: &Manifest) -> Result<(), Error> {
        let kept: std::collections::HashSet<&str> =
            manifest.files.iter().map(|part| part.path.as_str()).collect();
        for path in crate::verify::files_below(&self.to.join("blobs"))? {
            let name = path.strip_prefix(self.to).unwrap_or(&path).display().to_string();
            if !kept.contains(name.as_str()) {
                std::fs::remove_file(&path).map_err(Error::io(format!("removing {}", path.display())))?;
            }
        }
        Ok(())
    }
}

/// What a walk over the journal told.
#[derive(Clone)]
struct Walked {
    state: State,
    cited: Cited,
    /// Where the entries of each segment end.
    ends: BTreeMap<u32, u64>,
    damaged: Vec<Flaw>,
    /// Whether the journal continues the one the backup before copied.
    continues: bool,
}

fn walk(look: &Look, before: Option<&Manifest>) -> Result<Walked, Error> {
    let mut walked = Walked {
        state: State::default(),
        cited: Cited::default(),
        ends: BTreeMap::from([(1, FIRST)]),
        damaged: Vec::new(),
        continues: before.is_some_and(|before| before.entry == 0),
    };
    walked.reach_end(look, before)?;
    Ok(walked)
}

impl Walked {
    /// Goes on to the end there is now, if one of these documents was let go on the way there; answers whether it did.
    fn go_on(&mut self, directory: &Path, missing: &[String]) -> Result<bool, Error> {
        let mut later = self.clone();
        later.reach_end(&Look::open(&directory.join("journal"))?, None)?;
        let lets_go = missing.iter().any(|id| later.cited.get(id).is_none());
        if lets_go {
            *self = later;
        }
        Ok(lets_go)
    }

    fn reach_end(&mut self, look: &Look, before: Option<&Manifest>) -> Result<(), Error> {
        let (state, ended) = look.walk(self.state, u64::MAX, |seen| self.take(seen, before))?;
        if let Ended::Broken { entry, segment, offset } = ended {
            return Err(Error::Unusable(format!(
                "the journal is broken at {}: entry {entry} was acknowledged and cannot be read; no backup was taken, the \
                 one before is as it was",
                place(segment, offset)
            )));
        }
        self.state = state;
        Ok(())
    }

    fn take(&mut self, seen: &Seen, before: Option<&Manifest>) -> Result<(), Error> {
        let (Seen::Whole(entry) | Seen::DocumentsDamaged(entry)) = seen;
        self.ends.insert(entry.segment, entry.start + entry.head.length());
        if let Some(before) = before
            && before.entry == entry.head.number
        {
            self.continues = blake3::Hash::from(entry.head.hash).to_hex().as_str() == before.hash;
        }
        if matches!(seen, Seen::DocumentsDamaged(_)) {
            self.damaged.push(Flaw {
                kind: "document-damaged".to_owned(),
                subject: place(entry.segment, entry.start),
                words: format!("a document in entry {} is not what was stored", entry.head.number),
            });
        }
        self.cited.take(seen)
    }
}

/// A backup while it is copied.
struct Copying<'a> {
    order: &'a Backup<'a>,
    /// The backup before, whose files need not be copied again.
    before: Option<Manifest>,
    manifest: Manifest,
    /// Files that were copied in an earlier round.
    done: HashMap<String, manifest::Part>,
    copied: u64,
    copied_bytes: u64,
}

impl Copying<'_> {
    /// The entries of a segment.
    fn segment(&mut self, number: u32, end: u64) -> Result<(), Error> {
        let path = segment_path(number);
        if let Some(part) = self.before.as_ref().and_then(|before| before.segment(&path))
            && part.bytes == end
            // What was damaged may have been mended in its place since.
            && !self.before_was_damaged(number)
            && let Ok(there) = pass::over(&self.order.to.join(&path), end, &mut pass::nowhere)
            && part.is(&there)
        {
            self.manifest.add(path, &there);
            return Ok(());
        }
        let from = self.order.directory.join(&path);
        self.copy(path, |take| pass::over(&from, end, take))
    }

    fn before_was_damaged(&self, number: u32) -> bool {
        let of_this = format!("segment {number}, ");
        let mut damaged = self.before.iter().flat_map(|before| &before.damaged);
        damaged.any(|flaw| flaw.subject.starts_with(&of_this))
    }

    /// Every document in a file of its own; answers those that are not there.
    fn documents(&mut self, cited: &Cited) -> Result<Vec<String>, Error> {
        let mut missing = Vec::new();
        for document in cited.in_files() {
            if !self.document(&document)? {
                missing.push(document.0);
            }
        }
        Ok(missing)
    }

    /// A document in a file of its own: from the trash if it went there meanwhile. Answers whether it is there, be it damaged.
    fn document(&mut self, (id, size, sha256): &(String, u64, [u8; 32])) -> Result<bool, Error> {
        let name = files::blob_name(id);
        let (path, expected) = (name.display().to_string(), (id.as_str(), *size, sha256));
        if let Some(part) = self.done.get(&path) {
            self.manifest.bytes += part.bytes;
            self.manifest.files.push(part.clone());
            return Ok(true);
        }
        let there = self.order.to.join(&name);
        if there.exists()
            && let Ok(measured) = pass::over_document(&there, expected, false, &mut pass::nowhere)
        {
            self.manifest.add(path, &measured);
            return Ok(true);
        }
        let (mut why, mut seen) = (None, false);
        // It may move while it is looked for: to the trash, or back.
        for place in [&name, &Path::new("trash").join(id), &name] {
            let from = self.order.directory.join(place);
            let copied = self.copy(path.clone(), |take| pass::over_document(&from, expected, false, take));
            let is_there = from.exists();
            seen |= is_there;
            match copied {
                // That it is not in one place says less than that it is damaged in another.
                Err(Error::Damaged(words)) if why.is_none() || is_there => why = Some(words),
                Err(Error::Damaged(_)) => {}
                copied => return copied.map(|()| true),
            }
        }
        let (kind, words) = ("document-damaged".to_owned(), why.unwrap_or_default());
        self.manifest.damaged.push(Flaw { kind, subject: id.clone(), words });
        Ok(seen)
    }

    /// The secret and the mark.
    fn small(&mut self, name: &str) -> Result<(), Error> {
        let from = self.order.directory.join(name);
        if !from.exists() {
            return Ok(());
        }
        self.copy(name.to_owned(), |take| pass::over(&from, u64::MAX, take))
    }

    fn copy(
        &mut self,
        path: String,
        pass: impl FnOnce(pass::Take<'_>) -> Result<Measured, Error>,
    ) -> Result<(), Error> {
        let to = self.order.to.join(&path);
        let mut copy = Copy::begin(&to)?;
        let measured = pass(&mut |bytes| copy.write(bytes))?;
        copy.end()?;
        crate::failpoint!("backup.mid");
        self.copied += 1;
        self.copied_bytes += measured.bytes;
        self.manifest.add(path, &measured);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
