//! The answer to a source: the registry's receipts, with what the repository itself made put in their places.

use std::collections::HashMap;

use fhir::iti65::{EntryReceipt, Provided, Role, write_response};
use serde::{Deserialize, Serialize};
use xds::Finding;

use crate::records::Attempt;

/// What stands in one place of the answer, one for each entry of the source's Bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Slot {
    /// An object of the registry: its symbol.
    Object {
        /// The entry's symbol.
        symbol: String,
    },
    /// Bytes: their blob, and the symbol of the entry they belong to.
    Bytes {
        /// The blob.
        blob: String,
        /// The entry's symbol.
        symbol: String,
    },
    /// A patch of a status, by the reference it names.
    Patch {
        /// The reference.
        target: String,
    },
    /// The patient sent along, by canonical reference.
    Patient {
        /// The reference.
        reference: String,
    },
}

/// The places of an answer. `blobs` are the blobs by entry index of the Bundle.
pub(crate) fn slots(provided: &Provided, blobs: &HashMap<usize, String>, patient: &str) -> Vec<Slot> {
    let slot = |(index, role): (usize, &Role)| match role {
        Role::Object(symbol) => Slot::Object { symbol: symbol.clone() },
        Role::Binary(symbol) | Role::FhirDocument(symbol, _) => {
            Slot::Bytes { blob: blobs.get(&index).cloned().unwrap_or_default(), symbol: symbol.clone() }
        }
        Role::Patch(target) => Slot::Patch { target: target.clone() },
        Role::Patient => Slot::Patient { reference: patient.to_owned() },
    };
    provided.roles.iter().enumerate().map(slot).collect()
}

/// Says of findings about the registration where they are in the source's Bundle.
pub(crate) fn map_back(findings: &mut [Finding], provided: &Provided) {
    for finding in findings {
        finding.at.path = provided.original_path(&finding.at.path);
    }
}

/// The answer: one entry for each of the source's Bundle, in its order. Reservations stand with the entry they are about.
pub(crate) fn compose(
    attempt: &Attempt,
    receipts: &[EntryReceipt],
    registry: &str,
    warnings: &[Finding],
) -> String {
    let theirs = theirs(&attempt.slots, receipts);
    let mut entries: Vec<EntryReceipt> = attempt
        .slots
        .iter()
        .zip(&theirs)
        .enumerate()
        .map(|(index, (slot, receipt))| match (slot, receipt) {
            (Slot::Bytes { blob, .. }, _) => {
                ours(format!("{}/Binary/{blob}/_history/1", attempt.base), attempt)
            }
            (_, Some(receipt)) => absolute(receipt, registry, index),
            (Slot::Patch { target }, None) => EntryReceipt {
                status: "200 OK".to_owned(),
                location: absolute_url(target, registry),
                etag: None,
                last_modified: None,
                warnings: Vec::new(),
            },
            (Slot::Patient { reference }, None) => {
                // Which version the identity source has of it is not ours to say.
                EntryReceipt {
                    status: "200 OK".to_owned(),
                    location: reference.clone(),
                    etag: None,
                    last_modified: None,
                    warnings: Vec::new(),
                }
            }
            (Slot::Object { .. }, None) => ours(registry.to_owned(), attempt),
        })
        .collect();
    for warning in warnings {
        let about = entry_of(&warning.at.path).filter(|index| *index < entries.len()).unwrap_or(0);
        if let Some(entry) = entries.get_mut(about) {
            // Both sides read the same Bundle, and have the same reservations about it.
            let told = |known: &Finding| known.at.path == warning.at.path && known.text == warning.text;
            if !entry.warnings.iter().any(told) {
                entry.warnings.push(warning.clone());
            }
        }
    }
    String::from_utf8(write_response(&entries)).expect("JSON is UTF-8")
}

/// Which entry of the source's Bundle a path is in.
fn entry_of(path: &str) -> Option<usize> {
    path.strip_prefix("Bundle.entry[")?.split(']').next()?.parse().ok()
}

/// Id of the DocumentReference each blob belongs to.
pub(crate) fn entries_of_blobs<'a>(
    attempt: &'a Attempt,
    receipts: &[EntryReceipt],
) -> HashMap<&'a str, String> {
    let theirs = theirs(&attempt.slots, receipts);
    let id_of = |wanted: &str| {
        attempt.slots.iter().zip(&theirs).find_map(|(slot, receipt)| match slot {
            Slot::Object { symbol } if symbol == wanted => resource_id(&receipt.as_ref()?.location),
            Slot::Object { .. } | Slot::Bytes { .. } | Slot::Patch { .. } | Slot::Patient { .. } => None,
        })
    };
    let bytes = |slot: &'a Slot| match slot {
        Slot::Bytes { blob, symbol } => Some((blob.as_str(), id_of(symbol)?)),
        Slot::Object { .. } | Slot::Patch { .. } | Slot::Patient { .. } => None,
    };
    attempt.slots.iter().filter_map(bytes).collect()
}

/// The registry's receipt of each place: it is sent the objects and the status changes, in their order, and answers for
/// each of them.
fn theirs<'a>(slots: &[Slot], receipts: &'a [EntryReceipt]) -> Vec<Option<&'a EntryReceipt>> {
    let mut receipts = receipts.iter();
    let mut receipt = |slot: &Slot| match slot {
        Slot::Object { .. } | Slot::Patch { .. } => receipts.next(),
        Slot::Bytes { .. } | Slot::Patient { .. } => None,
    };
    slots.iter().map(&mut receipt).collect()
}

/// How many receipts the registry owes.
pub(crate) fn receipts_due(slots: &[Slot]) -> usize {
    slots.iter().filter(|slot| matches!(slot, Slot::Object { .. } | Slot::Patch { .. })).count()
}

fn ours(location: String, attempt: &Attempt) -> EntryReceipt {
    EntryReceipt {
        status: "201 Created".to_owned(),
        location,
        etag: Some("W/\"1\"".to_owned()),
        last_modified: instant(attempt.instant),
        warnings: Vec::new(),
    }
}

/// A receipt of the registry as the source understands it: its location in full, and its reservations about the entry with
/// this index of the source's Bundle. The registry counts without the Binaries.
fn absolute(receipt: &EntryReceipt, registry: &str, index: usize) -> EntryReceipt {
    let mut receipt = EntryReceipt { location: absolute_url(&receipt.location, registry), ..receipt.clone() };
    for warning in &mut receipt.warnings {
        let inside = warning.at.path.strip_prefix("Bundle.entry[").and_then(|rest| rest.split_once(']'));
        if let Some((_, inside)) = inside {
            warning.at.path = format!("Bundle.entry[{index}]{inside}");
        }
    }
    receipt
}

fn absolute_url(location: &str, registry: &str) -> String {
    let is_absolute = location.starts_with("http://") || location.starts_with("https://");
    if is_absolute { location.to_owned() } else { format!("{registry}/{}", location.trim_start_matches('/')) }
}

/// The id in `[base/]Type/id[/_history/n]`.
fn resource_id(location: &str) -> Option<String> {
    let bare = location.split_once("/_history/").map_or(location, |(bare, _)| bare);
    bare.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// A FHIR instant.
pub(crate) fn instant(microseconds: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(microseconds).ok().map(|timestamp| format!("{timestamp:.3}"))
}

#[cfg(test)]
mod tests {
    use xds::{Place, Rule};

    use super::*;

    fn receipt(location: &str) -> EntryReceipt {
        EntryReceipt {
            status: "201 Created".to_owned(),
            location: location.to_owned(),
            etag: Some("W/\"1\"".to_owned()),
            last_modified: None,
            warnings: Vec::new(),
        }
    }

    fn receipts() -> [EntryReceipt; 3] {
        ["List/l/_history/1", "DocumentReference/old/_history/2", "DocumentReference/d/_history/1"]
            .map(receipt)
    }

    fn attempt() -> Attempt {
        let object = |symbol: &str| Slot::Object { symbol: symbol.to_owned() };
        Attempt {
            attempt: 1,
            digest: String::new(),
            base: "http://repository/fhir".to_owned(),
            instant: 0,
            slots: vec![
                Slot::Bytes { blob: "b0".to_owned(), symbol: "document".to_owned() },
                object("list"),
                Slot::Patch { target: "DocumentReference/old".to_owned() },
                object("document"),
            ],
        }
    }

    #[test]
    fn the_answer_has_an_entry_for_each_of_the_source_in_its_order() {
        let receipts = receipts();
        let warning = Finding::warning(Rule::ContentMismatch, Place::at("Bundle.entry[3].resource"), "size");
        let answer = compose(&attempt(), &receipts, "http://registry/fhir", &[warning]);
        let told = fhir::iti65::read_response(answer.as_bytes()).expect("it is a transaction-response");
        let locations: Vec<&str> = told.iter().map(|receipt| receipt.location.as_str()).collect();
        assert_eq!(
            locations,
            [
                "http://repository/fhir/Binary/b0/_history/1",
                "http://registry/fhir/List/l/_history/1",
                "http://registry/fhir/DocumentReference/old/_history/2",
                "http://registry/fhir/DocumentReference/d/_history/1",
            ]
        );
        let warned: Vec<usize> = told.iter().map(|receipt| receipt.warnings.len()).collect();
        assert_eq!(warned, [0, 0, 0, 1]);
    }

    #[test]
    fn a_reservation_of_the_registry_is_about_an_entry_of_the_source_and_told_once() {
        let mut receipts = receipts();
        let about = |index: usize| {
            let path = format!("Bundle.entry[{index}].resource.title");
            Finding::warning(Rule::MetadataInvalid, Place::at(path), "the title differs")
        };
        receipts[2].warnings.push(about(2));
        let answer = compose(&attempt(), &receipts, "http://registry/fhir", &[about(3), about(1)]);
        let told = fhir::iti65::read_response(answer.as_bytes()).expect("it is a transaction-response");
        let paths = |entry: usize| -> Vec<&str> {
            told[entry].warnings.iter().map(|warning| warning.at.path.as_str()).collect()
        };
        assert_eq!(paths(3), ["Bundle.entry[3].resource.title"]);
        assert_eq!(paths(1), ["Bundle.entry[1].resource.title"]);
    }

    #[test]
    fn a_blob_knows_the_document_reference_it_belongs_to() {
        let receipts = receipts();
        assert_eq!(entries_of_blobs(&attempt(), &receipts)["b0"], "d");
    }
}
