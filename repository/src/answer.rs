//! The answer to a source: the registry's receipts, with what the repository itself made put in their places.

use std::collections::HashMap;

use fhir::iti65::{EntryReceipt, Provided, Role, write_response};
use serde::{Deserialize, Serialize};
use xds::Finding;

use crate::naming::is_blob_id;
use crate::records::Attempt;
use crate::registrar::Commit;

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
/// If the registry has the submission from elsewhere, so are the bytes.
pub(crate) fn of(attempt: &Attempt, commit: &Commit, is_ours: bool, registry: &str) -> String {
    let elsewhere = if is_ours { HashMap::new() } else { elsewhere(attempt, commit) };
    compose(attempt, &commit.receipts, registry, &elsewhere)
}

/// Where the bytes are that a source sent here and that had come in elsewhere before, by symbol.
fn elsewhere<'a>(attempt: &'a Attempt, commit: &Commit) -> HashMap<&'a str, String> {
    let mut urls = commit.documents.iter().flatten();
    let theirs = theirs(&attempt.slots, &commit.receipts);
    let mut of_documents = HashMap::new();
    for (slot, receipt) in attempt.slots.iter().zip(theirs) {
        let (Slot::Object { symbol }, Some(receipt)) = (slot, receipt) else { continue };
        if receipt.location.contains("DocumentReference/")
            && let Some(url) = urls.next()
        {
            of_documents.insert(symbol.as_str(), as_binary(url));
        }
    }
    of_documents
}

/// The Binary that another repository of ours has at this URL; the URL itself if it is not one of ours.
fn as_binary(url: &str) -> String {
    match url.rsplit_once("/documents/") {
        Some((host, id)) if is_blob_id(id) => format!("{host}/fhir/Binary/{id}/_history/1"),
        Some(_) | None => url.to_owned(),
    }
}

fn compose(
    attempt: &Attempt,
    receipts: &[EntryReceipt],
    registry: &str,
    elsewhere: &HashMap<&str, String>,
) -> String {
    let warnings = attempt.reservations();
    let theirs = theirs(&attempt.slots, receipts);
    let mut entries: Vec<EntryReceipt> = attempt
        .slots
        .iter()
        .zip(&theirs)
        .enumerate()
        .map(|(index, (slot, receipt))| match (slot, receipt) {
            (Slot::Bytes { blob, symbol }, _) => {
                let own = || format!("{}/Binary/{blob}/_history/1", attempt.base);
                ours(elsewhere.get(symbol.as_str()).cloned().unwrap_or_else(own), attempt)
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

/// Ids of the objects of a submission, in the order of its entries, as the answer told them; none if it is not that of
/// this attempt.
pub(crate) fn ids_of_objects(attempt: &Attempt, answer: &[u8]) -> Option<Vec<String>> {
    let receipts = fhir::iti65::read_response(answer).ok()?;
    if receipts.len() != attempt.slots.len() {
        return None;
    }
    let objects = attempt.slots.iter().zip(&receipts).filter(|(slot, _)| matches!(slot, Slot::Object { .. }));
    objects.map(|(_, receipt)| resource_id(&receipt.location)).collect()
}

/// The base under which an answer of ours has given bytes a place; none if there were none.
pub(crate) fn base_of(answer: &str) -> Option<String> {
    let receipts = fhir::iti65::read_response(answer.as_bytes()).ok()?;
    let mut bases = receipts.iter().filter_map(|receipt| receipt.location.split_once("/Binary/"));
    bases.next().map(|(base, _)| base.to_owned())
}

/// The blobs an answer of ours has given a place.
pub(crate) fn blobs_of(answer: &str) -> Vec<String> {
    let receipts = fhir::iti65::read_response(answer.as_bytes()).unwrap_or_default();
    let blob = |receipt: &EntryReceipt| {
        let (_, rest) = receipt.location.split_once("/Binary/")?;
        rest.split('/').next().filter(|id| is_blob_id(id)).map(str::to_owned)
    };
    receipts.iter().filter_map(blob).collect()
}

/// What the URLs of documents begin with, by the FHIR base.
pub(crate) fn documents_under(base: &str) -> String {
    format!("{}/documents/", base.strip_suffix("/fhir").unwrap_or(base))
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
    if registry.is_empty() {
        // Behind a registry that has no FHIR base nothing has a URL: the object itself is named.
        let bare = location.split_once("/_history/").map_or(location, |(bare, _)| bare);
        return format!("urn:uuid:{}", bare.rsplit(['/', ':']).next().unwrap_or_default());
    }
    let is_absolute = location.starts_with("http://") || location.starts_with("https://");
    if is_absolute { location.to_owned() } else { format!("{registry}/{}", location.trim_start_matches('/')) }
}

/// The id in `[base/]Type/id[/_history/n]`.
fn resource_id(location: &str) -> Option<String> {
    let bare = location.split_once("/_history/").map_or(location, |(bare, _)| bare);
    bare.rsplit(['/', ':']).next().filter(|id| !id.is_empty()).map(str::to_owned)
}

/// Id and version in `[base/]Type/id/_history/n`.
pub(crate) fn version_at(location: &str) -> (&str, &str) {
    let (bare, version) = location.split_once("/_history/").unwrap_or((location, "1"));
    (bare.rsplit('/').next().unwrap_or_default(), version)
}

/// A FHIR instant.
pub(crate) fn instant(microseconds: i64) -> Option<String> {
    jiff::Timestamp::from_microsecond(microseconds).ok().map(|timestamp| format!("{timestamp:.3}"))
}

#[cfg(test)]
mod tests {
    use xds::{Place, Rule};

    use super::*;
    use crate::records::kept;

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
            warnings: None,
            expected: None,
        }
    }

    fn told(attempt: &Attempt, receipts: &[EntryReceipt]) -> Vec<EntryReceipt> {
        let answer = compose(attempt, receipts, "http://registry/fhir", &HashMap::new());
        fhir::iti65::read_response(answer.as_bytes()).expect("it is a transaction-response")
    }

    #[test]
    fn the_answer_has_an_entry_for_each_of_the_source_in_its_order() {
        let receipts = receipts();
        let warning = Finding::warning(Rule::ContentMismatch, Place::at("Bundle.entry[3].resource"), "size");
        let told = told(&Attempt { warnings: kept(&[warning]), ..attempt() }, &receipts);
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
            Finding::warning(Rule::MetadataInvalid, Place::at(path).of("List.title"), "the title differs")
        };
        receipts[2].warnings.push(about(2));
        let receipts = fhir::iti65::read_response(&write_response(&receipts)).expect("it is one");
        let told = told(&Attempt { warnings: kept(&[about(3), about(1)]), ..attempt() }, &receipts);
        let paths = |entry: usize| -> Vec<&str> {
            told[entry].warnings.iter().map(|warning| warning.at.path.as_str()).collect()
        };
        assert_eq!(paths(3), ["Bundle.entry[3].resource.title"]);
        assert_eq!(paths(1), ["Bundle.entry[1].resource.title"]);
    }

    #[test]
    fn what_had_come_in_elsewhere_is_answered_with_the_places_of_there() {
        let commit = Commit {
            attempt: 1,
            digest: None,
            documents: Some(vec!["http://other/documents/0123456789abcdef0123456789abcdef".to_owned()]),
            receipts: receipts().to_vec(),
            sequence: 1,
            replayed: true,
        };
        let answer = of(&attempt(), &commit, false, "http://registry/fhir");
        let told = fhir::iti65::read_response(answer.as_bytes()).expect("it is a transaction-response");
        assert_eq!(told[0].location, "http://other/fhir/Binary/0123456789abcdef0123456789abcdef/_history/1");
        assert_eq!(told[3].location, "http://registry/fhir/DocumentReference/d/_history/1");
    }

    #[test]
    fn the_ids_that_were_promised_are_read_back_from_the_answer() {
        let answer = compose(&attempt(), &receipts(), "http://registry/fhir", &HashMap::new());
        let ids = ids_of_objects(&attempt(), answer.as_bytes());
        assert_eq!(ids, Some(vec!["l".to_owned(), "d".to_owned()]));
        let fewer = Attempt { slots: Vec::new(), ..attempt() };
        assert_eq!(ids_of_objects(&fewer, answer.as_bytes()), None);
    }

    #[test]
    fn a_blob_knows_the_document_reference_it_belongs_to() {
        let receipts = receipts();
        assert_eq!(entries_of_blobs(&attempt(), &receipts)["b0"], "d");
    }
}
