//! Everything a person goes by.

use store::Row;
use xds::Identifier;

use super::Records;
use crate::links;

impl Records {
    /// Ids and identifiers of the active records of the person this one is of, its own first; identifiers of one domain stand
    /// together. None where more records hang together than are looked at: half a person is no answer.
    pub(crate) fn names_of_person(
        &self,
        row: &Row,
    ) -> Result<Option<(Vec<String>, Vec<Identifier>)>, store::Error> {
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
        Ok(Some((ids, domains.into_iter().flat_map(|(_, all)| all).collect())))
    }
}
