//! The status changes that accompany replacements: each is that of a document the submission replaces.

use std::collections::HashMap;

use fhir::iti65::{Patched, Provided, Role};
use xds::attribute::{identifier_value, system};
use xds::plan::Changeset;
use xds::{EntryUuid, Finding, Findings, Identifier, Place, Rule};

use super::known::Loaded;

/// Which document each status change is about, by what the change says; none for a document that is not replaced.
pub(super) type Targets = HashMap<String, EntryUuid>;

/// The documents whose status the Bundle changes, of those that are replaced.
pub(super) fn targets(provided: &Provided, changes: &Changeset, loaded: &Loaded) -> Targets {
    let of = |reference: &str| {
        let id = match Patched::read(reference)? {
            Patched::Id(id) => changes.deprecated.contains(&id).then_some(id),
            Patched::Unique(name) => {
                changes.deprecated.iter().find(|id| has_name(loaded, id, &name)).cloned()
            }
        };
        Some((reference.to_owned(), id?))
    };
    patches(provided).filter_map(|(_, reference)| of(reference)).collect()
}

/// Refuses every status change of a document that nothing of the submission replaces.
pub(super) fn check(provided: &Provided, changes: &Changeset, loaded: &Loaded) -> Findings {
    let targets = targets(provided, changes, loaded);
    let stray = patches(provided).filter(|(_, reference)| !targets.contains_key(*reference));
    let refuse = |(index, reference): (usize, &str)| {
        let place = Place::at(format!("Bundle.entry[{index}].request.url"));
        let text = format!(
            "{reference} is no document that a document of this Bundle replaces; nothing else may change its status"
        );
        Finding::error(Rule::BusinessRule, place, text)
    };
    stray.map(refuse).collect()
}

fn patches(provided: &Provided) -> impl Iterator<Item = (usize, &str)> {
    provided.roles.iter().enumerate().filter_map(|(index, role)| match role {
        Role::Patch(reference) => Some((index, reference.as_str())),
        Role::Object(_) | Role::Binary(_) | Role::FhirDocument(..) | Role::Patient => None,
    })
}

fn has_name(loaded: &Loaded, id: &EntryUuid, name: &Identifier) -> bool {
    let is_same = |known: &Identifier| {
        system(&known.system) == system(&name.system)
            && identifier_value(&known.value) == identifier_value(&name.value)
    };
    let entry = loaded.documents.get(id).map(|(_, record)| &record.entry);
    let is_entry_uuid = EntryUuid::parse(&name.value).as_ref() == Some(id);
    is_entry_uuid
        || entry.is_some_and(|entry| is_same(&entry.unique_id) || entry.identifiers.iter().any(is_same))
}
