//! The PATCH entry that accompanies a replace (`IHE.MHD.Patch.Parameters`): redundant, and the only patch there is.

use serde_json::Value;
use xds::{AssociationType, EntryUuid, Finding, Findings, Identifier, ObjectRef, Rule, Submission};

use super::members::{condition, registered};
use super::request::{Entry, Kind};
use crate::element::{items, text};

/// The document a patch names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// By id, `DocumentReference/[id]`.
    Id(EntryUuid),
    /// By one of its identifiers, `DocumentReference?identifier=system|value`.
    Unique(Identifier),
}

impl Patched {
    /// Reads the `request.url` of a patch.
    pub fn read(url: &str) -> Option<Patched> {
        if let Some(id) = registered(url, "DocumentReference") {
            return Some(Patched::Id(id));
        }
        condition(url, "DocumentReference").map(Patched::Unique)
    }
}

/// Refuses every patch that does not belong to a replace of the same Bundle.
pub(super) fn check(entries: &[Entry<'_>], submission: &Submission, findings: &mut Findings) {
    for entry in entries.iter().filter(|entry| entry.kind == Kind::Patch) {
        if !is_supersede(entry.resource) {
            let text =
                "The only patch of ITI-65 is one operation: replace DocumentReference.status by superseded.";
            findings.push(Finding::error(Rule::BusinessRule, entry.place(), text));
        } else if !is_replaced(entry.url, entries, submission) {
            let place = xds::Place::at(format!("Bundle.entry[{}].request.url", entry.index));
            let text = "No document of this Bundle replaces the one that is patched; nothing else may change its status.";
            findings.push(Finding::error(Rule::BusinessRule, place, text));
        }
    }
}

/// Whether it is the one operation there is; the order of its parts is free.
fn is_supersede(parameters: &Value) -> bool {
    let [operation] = items(parameters, "parameter") else { return false };
    let parts = items(operation, "part");
    let part = |name: &str| parts.iter().find(|part| text(part, "name") == Some(name));
    let says = |name: &str, kinds: [&str; 2], value: &str| {
        part(name).is_some_and(|part| kinds.iter().any(|kind| text(part, kind) == Some(value)))
    };
    text(operation, "name") == Some("operation")
        && parts.len() == 3
        && says("type", ["valueCode", "valueString"], "replace")
        && says("path", ["valueString", "valueCode"], "DocumentReference.status")
        && says("value", ["valueCode", "valueString"], "superseded")
}

fn is_replaced(url: &str, entries: &[Entry<'_>], submission: &Submission) -> bool {
    let patched = Patched::read(url);
    let replaces = submission.associations.iter().filter(|association| association.kind.replaces());
    let by_reference = replaces.clone().any(|association| match &association.target {
        ObjectRef::Registered(uuid) => match &patched {
            Some(Patched::Id(id)) => id == uuid,
            Some(Patched::Unique(_)) => true,
            None => false,
        },
        // By identifier: whether it is the same document, the registry knows.
        ObjectRef::Unique(_) => patched.is_some(),
        ObjectRef::Symbol(_) => false,
    });
    // A replace whose target could not be read has its own finding.
    by_reference
        || (patched.is_none()
            && entries.iter().filter(|entry| entry.kind == Kind::Document).any(|entry| {
                items(entry.resource, "relatesTo").iter().any(|relation| {
                    text(relation, "code") == Some(AssociationType::Replace.edge())
                        && relation.get("target").and_then(|target| text(target, "reference")) == Some(url)
                })
            }))
}
