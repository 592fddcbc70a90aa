//! What else an answer holds: the steps of `_include` and `_revinclude`, each within one patient's objects.

use std::collections::HashSet;

use fhir::search::{Follow, Following};
use store::{Kind, Row};

use super::{MAX_INCLUDED, Query, kind};
use crate::records::{DOCUMENT, LIST, MEMBER_EDGES, PATIENT, RELATION_EDGES};

/// What is included, and whether there would be more.
type Included = (Vec<(Kind, Row)>, bool);

/// What has been found already, and what is new.
struct Gathered {
    seen: HashSet<(&'static str, String)>,
    fresh: Vec<(Kind, Row)>,
}

impl Query {
    pub(super) fn follow(
        &self,
        of: Kind,
        matches: &[Row],
        steps: &[Following],
    ) -> Result<Included, store::Error> {
        let mut included: Vec<(Kind, Row)> = Vec::new();
        if steps.is_empty() {
            return Ok((included, false));
        }
        let seen = matches.iter().map(|row| (of.0, row.id.clone())).collect();
        let mut gathered = Gathered { seen, fresh: Vec::new() };
        for row in matches {
            self.step(of, row, steps.iter(), &mut gathered)?;
        }
        loop {
            let fresh = std::mem::take(&mut gathered.fresh);
            if fresh.is_empty() {
                return Ok((included, false));
            }
            for (kind, row) in &fresh {
                self.step(*kind, row, steps.iter().filter(|step| step.iterate), &mut gathered)?;
            }
            included.extend(fresh);
            if included.len() + gathered.fresh.len() > MAX_INCLUDED {
                included.extend(gathered.fresh);
                let more = included.len() > MAX_INCLUDED;
                included.truncate(MAX_INCLUDED);
                return Ok((included, more));
            }
        }
    }

    /// Goes every step that begins at such a row.
    fn step<'s>(
        &self,
        of: Kind,
        row: &Row,
        steps: impl Iterator<Item = &'s Following>,
        gathered: &mut Gathered,
    ) -> Result<(), store::Error> {
        for step in steps.filter(|step| kind(step.from) == of) {
            match step.to {
                Follow::Patient => self.gather(PATIENT, &row.partition, row, gathered)?,
                Follow::Relations => {
                    for (_, target) in row.edges().filter(|(name, _)| RELATION_EDGES.contains(name)) {
                        self.gather(DOCUMENT, target, row, gathered)?;
                    }
                }
                Follow::Members => {
                    for (_, target) in row.edges().filter(|(name, _)| MEMBER_EDGES.contains(name)) {
                        self.gather(DOCUMENT, target, row, gathered)?;
                        self.gather(LIST, target, row, gathered)?;
                    }
                }
                Follow::Lists => self.gather_back(LIST, MEMBER_EDGES, row, gathered)?,
                Follow::Relating => self.gather_back(DOCUMENT, RELATION_EDGES, row, gathered)?,
            }
        }
        Ok(())
    }

    fn gather_back(
        &self,
        kind: Kind,
        edges: &[&'static str],
        row: &Row,
        gathered: &mut Gathered,
    ) -> Result<(), store::Error> {
        for edge in edges {
            for id in self.store.sources(kind, edge, &row.id)? {
                self.gather(kind, &id, row, gathered)?;
            }
        }
        Ok(())
    }

    /// Takes one record in, if there is such a one, of the same patient, and it is not there yet.
    fn gather(&self, kind: Kind, id: &str, from: &Row, gathered: &mut Gathered) -> Result<(), store::Error> {
        // One folder may have more members than are ever given out.
        if gathered.fresh.len() > MAX_INCLUDED || !gathered.seen.insert((kind.0, id.to_owned())) {
            return Ok(());
        }
        let row = self.store.get(kind, id)?;
        let shown = |row: &Row| !row.deleted && row.partition == from.partition && !row.rendering.is_empty();
        gathered.fresh.extend(row.filter(shown).map(|row| (kind, row)));
        Ok(())
    }
}
