//! Which documents a stretch of the journal brings and has not let go again.

use std::collections::HashMap;

use crate::commit::Commit;
use crate::error::Error;
use crate::journal::entry::Sort;
use crate::journal::look::Seen;

/// The documents the entries seen so far keep.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cited {
    documents: HashMap<u128, Document>,
    /// Commits, and entries of any sort.
    pub(crate) commits: u64,
    pub(crate) entries: u64,
    /// Documents that were let go.
    pub(crate) let_go: u64,
}

/// What the journal says of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) size: u64,
    /// Of one in a file of its own; one in the journal was looked at with its entry.
    pub(crate) file: Option<[u8; 32]>,
}

impl Cited {
    pub(crate) fn take(&mut self, seen: &Seen) -> Result<(), Error> {
        let (Seen::Whole(entry) | Seen::DocumentsDamaged(entry)) = seen;
        self.entries += 1;
        if entry.head.sort != Sort::Commit {
            return Ok(());
        }
        self.commits += 1;
        let commit = Commit::read(&entry.meta)?;
        for document in &commit.documents {
            let file = (!document.in_entry).then_some(document.sha256);
            self.documents.insert(key(document.id)?, Document { size: document.size, file });
        }
        for id in &commit.trash {
            self.let_go += u64::from(self.documents.remove(&key(id)?).is_some());
        }
        Ok(())
    }

    /// What is kept of a document.
    pub(crate) fn get(&self, id: &str) -> Option<Document> {
        self.documents.get(&key(id).ok()?).copied()
    }

    /// Documents in files of their own, in the order of their ids: id, size and SHA-256.
    pub(crate) fn in_files(&self) -> Vec<(String, u64, [u8; 32])> {
        let named = |(id, document): (&u128, &Document)| {
            document.file.map(|sha256| (format!("{id:032x}"), document.size, sha256))
        };
        let mut files: Vec<_> = self.documents.iter().filter_map(named).collect();
        files.sort_unstable();
        files
    }

    /// How many documents are kept, and their bytes.
    pub(crate) fn sum(&self) -> (u64, u64) {
        let bytes = self.documents.values().map(|document| document.size).sum();
        (self.documents.len() as u64, bytes)
    }
}

/// Ids are made by this room, 32 hexadecimal digits.
fn key(id: &str) -> Result<u128, Error> {
    u128::from_str_radix(id, 16)
        .map_err(|_| Error::Damaged("a commit names a document by no id of ours".into()))
}
