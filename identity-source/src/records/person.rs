//! Everything a person goes by.

use store::Row;
use xds::Identifier;

use super::Records;
use crate::links;

/// What the records of a person are called.
pub(crate) struct Names {
    /// Ids of the active records, the one asked about first.
    pub(crate) ids: Vec<String>,
    /// Their identifiers; those of one domain stand together.
    pub(crate) identifiers: Vec<Identifier>,
}

impl Records {
    /// The names of the person this record is of. None where more records hang together than are looked at: half a person is no
    /// answer.
    pub(crate) fn names_of_person(&self, row: &Row) -> Result<Option<Names>, store::Error> {
        let links::Person { records, is_whole } = links::person(self, &row.id)?;
        if !is_whole {
            return Ok(None);
        }
        let mut domains: Vec<(String, Vec<Identifier>)> = Vec::new();
        for identifier in records.iter().flat_map(|(_, kept)| kept.held()).map(|known| known.identifier()) {
            let identifier = self.authorities().identifier(&identifier);
            match domains.iter_mut().find(|(system, _)| *system == identifier.system) {
                Some((_, all)) if all.contains(&identifier) => {}
                Some((_, all)) => all.push(identifier),
                None => domains.push((identifier.system.clone(), vec![identifier])),
            }
        }
        let ids = records.into_iter().map(|(row, _)| row.id).collect();
        Ok(Some(Names { ids, identifiers: domains.into_iter().flat_map(|(_, all)| all).collect() }))
    }
}
