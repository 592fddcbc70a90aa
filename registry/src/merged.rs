//! Patients that were merged into another one: whose objects belong to whom.
//!
//! A merge is told by the FHIR feed (`link` replaced-by), by ADT^A40 [ITI-8] or by PRPA_IN201304UV02 [ITI-44]. What was registered
//! for the subsumed patient stays where it is; it is found for the survivor and shown as the survivor's (TF-2 3.8.4.2.3 leaves that
//! choice). Chains are followed to their end.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Value, json};
use store::{Row, Store};
use xds::Identifier;

use crate::authorities::Authorities;
use crate::records::{MERGED_AWAY, MERGED_INTO, PATIENT, patient_row};

/// Merges in a row that are followed; a longer chain is a circle.
const MOST: usize = 1000;

/// Who took the place of a patient whose row this is.
fn next(row: &Row) -> Option<String> {
    row.edges().find(|(name, _)| *name == MERGED_INTO).map(|(_, target)| target.to_owned())
}

/// Whether a patient was merged into another one.
pub(crate) fn is_away(store: &Store, id: &str) -> Result<bool, store::Error> {
    Ok(!store.sources(PATIENT, MERGED_AWAY, id)?.is_empty())
}

/// Who stands for a patient after all merges; none: the patient itself does.
pub(crate) fn survivor(store: &Store, id: &str) -> Result<Option<String>, store::Error> {
    if !is_away(store, id)? {
        return Ok(None);
    }
    let mut last = None;
    let mut at = id.to_owned();
    for _ in 0..MOST {
        let row = store.get(PATIENT, &at)?.filter(|row| !row.deleted);
        let Some(into) = row.as_ref().and_then(next).filter(|into| into != id) else { return Ok(last) };
        at.clone_from(&into);
        last = Some(into);
    }
    Ok(last)
}

/// A patient who was not merged away, and everybody who was merged into it: the partitions that hold what is its.
pub(crate) fn chain(store: &Store, id: &str) -> Result<Vec<String>, store::Error> {
    let mut ids = vec![id.to_owned()];
    let mut at = 0;
    while let Some(id) = ids.get(at).filter(|_| at < MOST) {
        let before = store.sources(PATIENT, MERGED_INTO, id)?;
        for source in before {
            if !ids.contains(&source) {
                ids.push(source);
            }
        }
        at += 1;
    }
    Ok(ids)
}

/// The identifier a patient is known by in the affinity domain, or elsewhere if it has none there.
fn known_by(store: &Store, authorities: &Authorities, id: &str) -> Result<Option<Identifier>, store::Error> {
    let Some((_, record)) = patient_row(store, id)? else { return Ok(None) };
    let identifiers = record.identifiers;
    let own = identifiers.iter().find(|identifier| authorities.has(&identifier.system));
    Ok(own.or(identifiers.first()).cloned())
}

/// What is shown of the patients of rows: looked up once for each.
pub(crate) struct Shown<'a> {
    store: &'a Store,
    authorities: &'a Authorities,
    /// Public base of the identity source.
    identity: &'a str,
    survivors: HashMap<String, Option<(String, Option<Identifier>)>>,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(store: &'a Store, authorities: &'a Authorities, identity: &'a str) -> Shown<'a> {
        Shown { store, authorities, identity, survivors: HashMap::new() }
    }

    /// The survivor of a partition's patient, and the identifier that says who that is; none where the patient stands for
    /// itself.
    pub(crate) fn patient(
        &mut self,
        partition: &str,
    ) -> Result<Option<&(String, Option<Identifier>)>, store::Error> {
        if !self.survivors.contains_key(partition) {
            let found = match survivor(self.store, partition)? {
                Some(id) => {
                    let identifier = known_by(self.store, self.authorities, &id)?;
                    Some((id, identifier))
                }
                None => None,
            };
            self.survivors.insert(partition.to_owned(), found);
        }
        Ok(self.survivors.get(partition).and_then(Option::as_ref))
    }

    /// A rendering of a document or list as it is shown: the subject is the survivor. sourcePatientId and sourcePatientInfo
    /// stay as they are.
    pub(crate) fn rendering(&mut self, row: &mut Row) -> Result<(), store::Error> {
        let reference = |identity: &str, id: &str| format!("{identity}/Patient/{id}");
        let identity = self.identity;
        let partition = row.partition.clone();
        let Some((id, identifier)) = self.patient(&partition)? else { return Ok(()) };
        let Ok(mut resource) = serde_json::from_slice::<Value>(&row.rendering) else { return Ok(()) };
        if resource.get("subject").is_some() {
            let mut subject = json!({ "reference": reference(identity, id) });
            if let Some(identifier) = identifier {
                subject["identifier"] = json!({ "system": identifier.system, "value": identifier.value });
            }
            resource["subject"] = subject;
            row.rendering = Bytes::from(resource.to_string());
        }
        Ok(())
    }
}
