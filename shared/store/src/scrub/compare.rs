//! Whether the index holds what a commit of the journal says. The index is derived, and a library may lose a key without
//! noticing: this is where it is noticed.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::commit::Commit;
use crate::error::Error;
use crate::index::derive::fact_keys;
use crate::index::keys;
use crate::index::values::{self, Pointer, StoredBlob};
use crate::index::view::{Lookup as _, View};
use crate::journal::replay::Entry;
use crate::row::RowView;

/// At most so many names are watched for their release.
const NAMES: usize = 10_000;

/// A commit, and a state of the index that is no older.
pub(crate) struct Compare<'a> {
    pub(crate) view: &'a View,
    pub(crate) entry: &'a Entry,
    pub(crate) commit: &'a Commit<'a>,
}

impl Compare<'_> {
    /// What the index lacks of this commit, in words. Names that are not claimed any more may have been released by a
    /// later commit; they are gathered.
    pub(crate) fn missing(&self, unclaimed: &mut BTreeSet<String>) -> Result<Option<String>, Error> {
        let what = |what: &str| Ok(Some(format!("{what} of entry {}", self.entry.head.number)));
        for range in &self.commit.rows {
            match self.row(&self.entry.meta.slice(range.clone())) {
                Ok(true) => {}
                Ok(false) | Err(Error::Damaged(_)) => return what("a record"),
                Err(error) => return Err(error),
            }
        }
        for document in &self.commit.documents {
            if !self.holds(keys::blob(document.id.as_bytes()))? {
                return what("a document");
            }
        }
        for name in &self.commit.releases {
            unclaimed.remove(*name);
        }
        for (name, _) in &self.commit.claims {
            if unclaimed.len() < NAMES && !self.holds(keys::claim(name))? {
                unclaimed.insert((*name).to_owned());
            }
        }
        Ok(None)
    }

    /// Whether a document of this commit is kept.
    pub(crate) fn keeps(&self, id: &str) -> Result<bool, Error> {
        let found = self.view.get(&keys::blob(id.as_bytes()))?;
        Ok(match found {
            Some(found) => !StoredBlob::from_bytes(&found)?.trashed,
            None => false,
        })
    }

    fn holds(&self, key: Vec<u8>) -> Result<bool, Error> {
        Ok(self.view.get(&key)?.is_some())
    }

    fn row(&self, bytes: &Bytes) -> Result<bool, Error> {
        let row = RowView::new(bytes)?;
        let Some(pointer) = self.view.get(&keys::pointer(row.kind(), row.id()))? else { return Ok(false) };
        let pointer = Pointer::from_bytes(&pointer)?;
        if pointer.version > row.version() {
            return self.holds(keys::past(row.kind(), row.id(), row.version()));
        }
        if pointer.version < row.version() || pointer.sequence != self.entry.head.sequence {
            return Ok(false);
        }
        let Some(value) = self.view.get(&pointer.key)? else { return Ok(false) };
        if values::verified(&pointer.key, &value)? != bytes.as_ref()
            || !self.holds(keys::changed(row.kind(), pointer.sequence, row.id()))?
        {
            return Ok(false);
        }
        for (edge, target) in row.edges() {
            if !self.holds(keys::sources(row.kind(), edge, target).last(row.id()).done())? {
                return Ok(false);
            }
        }
        for fact in row.facts() {
            for key in fact_keys(&row, &fact) {
                if !self.holds(key)? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// Names that were claimed, never released up to this state of the index, and stand for nothing in it.
pub(crate) fn claims_missing(view: &View, unclaimed: &BTreeSet<String>) -> Result<Vec<String>, Error> {
    let mut missing = Vec::new();
    for name in unclaimed {
        if view.get(&keys::claim(name))?.is_none() {
            missing.push("a name that was claimed".to_owned());
        }
    }
    Ok(missing)
}
