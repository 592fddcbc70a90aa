//! Persons: what standing links and merges hold together.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use store::Row;

use super::record::{Link, Pair, linked};
use crate::records::{Kept, PATIENT, REPLACED_BY, Records};

/// Records looked at for one person, those that were merged away among them. Far beyond any real person: a link that would
/// make one larger is not made, so that nobody's answer is ever cut short.
pub(crate) const MOST: usize = 200;

/// The records of one person.
pub(crate) struct Person {
    /// Those in use, the one asked for first if it is among them.
    pub(crate) records: Vec<(Row, Kept)>,
    /// Whether these are all: false where more than [`MOST`] hang together, and the rest was not looked at.
    pub(crate) is_whole: bool,
}

/// Why nobody is told what a person goes by that is not whole.
pub(crate) fn too_many_linked() -> String {
    format!(
        "more than {MOST} records are linked as this person, which is too many to be true; a steward has to look at its links \
         (docshare patient links)"
    )
}

/// Which cross-references changed, for those who want to be told [ITI-10]. Left in the commit of the change itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CrossReferenceChanged {
    /// The persons that come of it, each as the ids of its records in use: one where a link was made, those on either side
    /// where one was broken.
    pub(crate) groups: Vec<Vec<String>>,
}

/// The active records of the person this record is of: itself, what is linked with it, over however many links, and what
/// stands for or was replaced by those. Empty if there is no such record.
pub(crate) fn person(records: &Records, id: &str) -> Result<Person, store::Error> {
    let reached = Graph::new(records).reach(id)?;
    let mut found = Vec::with_capacity(reached.ids.len());
    for id in &reached.ids {
        let Some(row) = records.patient(id)?.filter(|row| !row.deleted) else { continue };
        let kept = Kept::of(&row)?;
        if kept.active {
            found.push((row, kept));
        }
    }
    Ok(Person { records: found, is_whole: reached.is_whole })
}

/// What hangs together with a record.
pub(super) struct Reached {
    /// The ids, the one asked for first.
    pub(super) ids: Vec<String>,
    /// Whether these are all.
    pub(super) is_whole: bool,
}

/// Links and merges as they stand, and as they will be once some links have changed.
pub(super) struct Graph<'a> {
    records: &'a Records,
    /// Pairs that will be linked no longer.
    broken: HashSet<Pair>,
    /// Who will be linked with whom, from either side.
    made: HashMap<String, Vec<String>>,
    /// Records that are being written, and whether they will be in use.
    written: HashMap<&'a str, bool>,
}

impl<'a> Graph<'a> {
    /// As things stand.
    pub(super) fn new(records: &'a Records) -> Graph<'a> {
        Graph { records, broken: HashSet::new(), made: HashMap::new(), written: HashMap::new() }
    }

    /// As they will be with these records.
    pub(super) fn writing(mut self, written: impl IntoIterator<Item = (&'a str, bool)>) -> Graph<'a> {
        self.written.extend(written);
        self
    }

    /// As they will be with these links.
    pub(super) fn with<'l>(mut self, links: impl IntoIterator<Item = &'l Link>) -> Graph<'a> {
        for link in links {
            if link.held_by().is_none() {
                self.broken.insert(link.pair.clone());
                continue;
            }
            for id in link.pair.both() {
                self.made.entry(id.to_owned()).or_default().push(link.pair.other(id).to_owned());
            }
        }
        self
    }

    /// All that hangs together with this record.
    pub(super) fn reach(&self, id: &str) -> Result<Reached, store::Error> {
        let mut ids = vec![id.to_owned()];
        let mut seen = HashSet::from([id.to_owned()]);
        let mut queue = VecDeque::from([id.to_owned()]);
        while let Some(next) = queue.pop_front() {
            for neighbour in self.neighbours(&next)? {
                if seen.contains(&neighbour) {
                    continue;
                }
                if ids.len() == MOST {
                    return Ok(Reached { ids, is_whole: false });
                }
                seen.insert(neighbour.clone());
                ids.push(neighbour.clone());
                queue.push_back(neighbour);
            }
        }
        Ok(Reached { ids, is_whole: true })
    }

    fn neighbours(&self, id: &str) -> Result<BTreeSet<String>, store::Error> {
        let store = self.records.store();
        let mut neighbours = BTreeSet::new();
        for pair in linked(store, id)? {
            if !self.broken.contains(&pair) {
                neighbours.insert(pair.other(id).to_owned());
            }
        }
        neighbours.extend(self.made.get(id).into_iter().flatten().cloned());
        neighbours.extend(store.sources(PATIENT, REPLACED_BY, id)?);
        if let Some(row) = self.records.patient(id)?.filter(|row| !row.deleted) {
            neighbours.extend(Kept::of(&row)?.replaced_by);
        }
        Ok(neighbours)
    }

    /// The persons these records are of, as ids of records in use.
    pub(super) fn groups<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i str>,
    ) -> Result<CrossReferenceChanged, store::Error> {
        let mut groups: Vec<Vec<String>> = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        for id in ids {
            if seen.contains(id) {
                continue;
            }
            let mut group = Vec::new();
            for id in self.reach(id)?.ids {
                if self.is_active(&id)? {
                    group.push(id.clone());
                }
                seen.insert(id);
            }
            if !group.is_empty() {
                groups.push(group);
            }
        }
        Ok(CrossReferenceChanged { groups })
    }

    fn is_active(&self, id: &str) -> Result<bool, store::Error> {
        if let Some(active) = self.written.get(id) {
            return Ok(*active);
        }
        let Some(row) = self.records.patient(id)?.filter(|row| !row.deleted) else { return Ok(false) };
        Ok(Kept::of(&row)?.active)
    }
}
