//! Everything a person goes by.

use store::Row;
use xds::Identifier;

use super::Records;
use crate::links;

impl Records {
    /// Ids and identifiers of the active records of the person this one is of, its own first; identifiers of one domain stand
    /// together.
    pub(crate) fn names_of_person(&self, row: &Row) -> Result<(Vec<String>, Vec<Identifier>), store::Error> {
        let records = links::person(self, &row.id)?.records;
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
        Ok((ids, domains.into_iter().flat_map(|(_, all)| all).collect()))
    }
}
