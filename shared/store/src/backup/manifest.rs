//! What a backup says of itself; written last, so that a backup without it is none.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::aside;
use crate::cited::Cited;
use crate::error::Error;
use crate::files;
use crate::incarnation::{self, Mark};
use crate::index::values::State;
use crate::journal::look::{Ended, Look, Seen};
use crate::journal::segment;
use crate::pass;
use crate::record::{Instant, Sequence};
use crate::verify::Flaw;

/// Name of the manifest in a backup.
pub(crate) const NAME: &str = "backup.json";

/// The format of backups this program writes and reads.
const FORMAT: u32 = 1;

/// The manifest of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the backup.
    pub format: u32,
    /// Whose data it holds: `registry`.
    pub actor: String,
    /// The version of the program that made it.
    pub version: String,
    /// When it was begun, in microseconds since 1970.
    pub begun: Instant,
    /// Id of the incarnation of the data directory.
    pub incarnation: String,
    /// Number of the incarnation.
    pub number: u64,
    /// The last commit it holds.
    pub sequence: Sequence,
    /// The last entry of the journal it holds, and its hash.
    pub entry: u64,
    /// The hash of that entry: the chain up to it leads to this value and no other.
    pub hash: String,
    /// The instant of that entry.
    pub last_instant: Instant,
    /// Documents kept, in the journal and in files of their own.
    pub documents: u64,
    /// Bytes of their content.
    pub document_bytes: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Id of the journal.
    pub(crate) journal: String,
    /// What was damaged when the backup was made, and is not in it or not whole.
    pub damaged: Vec<Flaw>,
    /// The files.
    pub(crate) files: Vec<Part>,
}

/// A file of a backup. One that is longer than it says was continued by a later backup; what is behind is not part of this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) blake3: String,
}

impl Manifest {
    /// The manifest of a backup; refuses what is none, or not complete.
    pub fn read(backup: &Path) -> Result<Manifest, Error> {
        let path = backup.join(NAME);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Unusable(format!(
                    "there is no {}: this is no backup, or one that was not completed",
                    path.display()
                )));
            }
            read => read.map_err(Error::io(format!("reading {}", path.display())))?,
        };
        let manifest: Manifest = serde_json::from_slice(&bytes)
            .map_err(|error| Error::Unusable(format!("{} cannot be read: {error}", path.display())))?;
        if manifest.format != FORMAT {
            return Err(Error::Unusable(format!(
                "the backup is of format {}; this program knows {FORMAT}",
                manifest.format
            )));
        }
        match manifest.files.iter().find(|part| !part.is_ours()) {
            // A restore writes where this says, perhaps as root.
            Some(part) => Err(Error::Unusable(format!(
                "{} names a file that belongs to no backup: {:?}",
                path.display(),
                part.path
            ))),
            None => Ok(manifest),
        }
    }

    pub(crate) fn write(&self, backup: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec_pretty(self).expect("a manifest is made of numbers and text");
        aside::replace(&backup.join(NAME), &bytes).map_err(Error::io("writing the manifest of the backup"))
    }

    /// Nothing but what the walk and the mark say; files and sums are filled in as they are copied.
    pub(crate) fn of(look: &Look, state: &State, mark: &Mark, cited: &Cited) -> Manifest {
        let (documents, document_bytes) = cited.sum();
        Manifest {
            format: FORMAT,
            actor: String::new(),
            version: String::new(),
            begun: 0,
            incarnation: mark.id.clone(),
            number: mark.number,
            sequence: state.sequence,
            entry: state.entry,
            hash: blake3::Hash::from(state.hash).to_hex().to_string(),
            last_instant: state.instant,
            documents,
            document_bytes,
            bytes: 0,
            journal: hex(&look.segments().id()),
            damaged: Vec::new(),
            files: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, path: String, measured: &pass::Measured) {
        self.bytes += measured.bytes;
        self.files.push(Part { path, bytes: measured.bytes, blake3: measured.hash.to_hex().to_string() });
    }

    /// A segment of the journal; they come first.
    pub(crate) fn segment(&self, path: &str) -> Option<&Part> {
        self.files.iter().find(|part| part.path == path)
    }

    /// Checks that everything the backup says it holds is there: files, chain, every document. Answers what is not.
    pub(crate) fn check(&self, backup: &Path, deep: bool) -> Result<(Vec<Flaw>, Cited), Error> {
        let mut flaws = Vec::new();
        let mut flaw = |kind: &str, subject: &str, words: String| {
            flaws.push(Flaw { kind: kind.to_owned(), subject: subject.to_owned(), words });
        };
        for part in self.files.iter().filter(|part| !part.path.starts_with("blobs/")) {
            match pass::over(&backup.join(&part.path), part.bytes, &mut pass::nowhere) {
                Ok(measured) if part.is(&measured) => {}
                Ok(_) => flaw("file-damaged", &part.path, "does not hold the bytes that were copied".into()),
                Err(error) => flaw("file-missing", &part.path, in_words(&error)),
            }
        }
        let mut cited = Cited::default();
        let look = Look::open(&backup.join("journal"))?;
        let (state, ended) = look.walk(State::default(), self.entry, |seen| {
            if let Seen::DocumentsDamaged(entry) = seen {
                let at = place(entry.segment, entry.start);
                if !self.damaged.iter().any(|flaw| flaw.subject == at) {
                    let words = format!("a document in entry {} is not what was stored", entry.head.number);
                    flaw("document-damaged", &at, words);
                }
            }
            cited.take(seen)
        })?;
        match ended {
            Ended::Broken { entry, segment, offset } => {
                flaw("journal-broken", &place(segment, offset), format!("entry {entry} cannot be read"));
            }
            Ended::Complete if state.entry < self.entry => {
                let words = format!("it ends with entry {}, before {}", state.entry, self.entry);
                flaw("journal-broken", &place(state.segment, state.end), words);
            }
            Ended::Complete if blake3::Hash::from(state.hash).to_hex().as_str() != self.hash => {
                let words = "the chain leads to another hash than the backup's".to_owned();
                flaw("journal-broken", &place(state.segment, state.start), words);
            }
            Ended::Complete => {}
        }
        let parts: HashMap<&str, &Part> = self.files.iter().map(|part| (part.path.as_str(), part)).collect();
        for (id, size, sha256) in cited.in_files() {
            let path = files::blob_name(&id).display().to_string();
            let known = parts.get(path.as_str());
            if known.is_none() && self.damaged.iter().any(|flaw| flaw.subject == id) {
                continue;
            }
            match pass::over_document(&backup.join(&path), (&id, size, &sha256), deep, &mut pass::nowhere) {
                Ok(measured) if known.is_some_and(|part| part.is(&measured)) => {}
                Ok(_) => flaw("file-damaged", &path, "does not hold the bytes that were copied".into()),
                Err(error) => flaw("file-damaged", &path, in_words(&error)),
            }
        }
        Ok((flaws, cited))
    }
}

impl Part {
    /// Whether the path is one that a data directory has.
    fn is_ours(&self) -> bool {
        let plain = |part: &&str| !part.is_empty() && !part.starts_with('.');
        let parts: Vec<&str> = self.path.split('/').collect();
        parts.iter().all(plain)
            && match parts[..] {
                [name] => SMALL.contains(&name),
                ["journal", _] | ["blobs", _, _, _] => true,
                _ => false,
            }
    }

    pub(crate) fn is(&self, measured: &pass::Measured) -> bool {
        self.bytes == measured.bytes && self.blake3 == measured.hash.to_hex().as_str()
    }
}

/// The path of a segment in a backup or a data directory.
pub(crate) fn segment_path(number: u32) -> String {
    format!("journal/{}", segment::name(number))
}

/// Small files that belong to a data directory.
pub(crate) const SMALL: [&str; 2] = ["secret", incarnation::NAME];

pub(crate) fn place(segment: u32, offset: u64) -> String {
    format!("segment {segment}, offset {offset}")
}

/// An error with its causes.
pub(crate) fn in_words(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
