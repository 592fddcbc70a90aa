//! uniqueId, entryUUID, sourceId (TF-3 4.2.3, 4.1.9.1).

use std::collections::HashSet;

use crate::attribute::{identifier_value, system};
use crate::finding::{Finding, Findings, Place, Rule};
use crate::identifier::{is_oid, oid};
use crate::types::{EntryUuid, Identifier, Submission};

/// A set that names itself in no way cannot be recognised when it is sent again (TF-3 4.2.3.3.12: required). One that has
/// an entryUUID can: its uniqueId is derived from the content.
pub(super) fn unique_id_of_the_set(submission: &Submission, findings: &mut Findings) {
    let set = &submission.submission_set;
    let at = Place::at(submission.place(&set.symbol)).member("identifier").of("SubmissionSet.uniqueId");
    match &set.unique_id {
        None if set.entry_uuid.is_none() => findings.push(Finding::error(
            Rule::MetadataRequired,
            at,
            "the submission set has no uniqueId: in FHIR an identifier (use usual, or type uniqueId) with system urn:ietf:rfc:3986 and value urn:oid:…, in XDS an ExternalIdentifier XDSSubmissionSet.uniqueId",
        )),
        Some(identifier) if oid(&identifier.value).is_none() => findings.push(Finding::error(
            Rule::MetadataInvalid,
            at,
            format!(
                "the uniqueId of the submission set is {:?}; it must be an OID: digits with dots (in FHIR with urn:oid: before them)",
                identifier.value
            ),
        )),
        _ => {}
    }
}

/// sourceId is an OID (TF-3 4.2.3.3.9). A bare number, which some sources have, names them as well.
pub(super) fn source_id(submission: &Submission, findings: &mut Findings) {
    let set = &submission.submission_set;
    let bare = identifier_value(&set.source_id.value);
    let number = !bare.is_empty() && bare.bytes().all(|byte| byte.is_ascii_digit());
    if !number && !is_oid(&bare) {
        findings.push(Finding::error(
            Rule::MetadataInvalid,
            Place::at(submission.place(&set.symbol)).member("extension").of("SubmissionSet.sourceId"),
            format!("the sourceId of the submission set is {:?}; it must be an OID: digits with dots (in FHIR with urn:oid: before them)", set.source_id.value),
        ));
    }
}

/// What calls itself an OID or UUID is one.
pub(super) fn unique_ids_are_well_formed(submission: &Submission, findings: &mut Findings) {
    for document in &submission.documents {
        let at = Place::at(submission.place(&document.symbol))
            .member("masterIdentifier")
            .of("DocumentEntry.uniqueId");
        well_formed(&document.unique_id, at, findings);
    }
    for folder in &submission.folders {
        if let Some(identifier) = &folder.unique_id {
            let at = Place::at(submission.place(&folder.symbol)).member("identifier").of("Folder.uniqueId");
            well_formed(identifier, at, findings);
        }
    }
}

fn well_formed(identifier: &Identifier, at: Place, findings: &mut Findings) {
    let value = identifier.value.as_str();
    let text = if value.is_empty() {
        "the uniqueId is empty".to_owned()
    } else if value.starts_with("urn:oid:") && oid(value).is_none() {
        format!("the uniqueId {value:?} is not an OID: digits with dots, no leading zeros")
    } else if value.starts_with("urn:uuid:") && EntryUuid::parse(value).is_none() {
        format!("the uniqueId {value:?} is not a UUID")
    } else {
        return;
    };
    findings.push(Finding::error(Rule::MetadataInvalid, at, text));
}

/// No uniqueId and no entryUUID twice in one submission (TF-3 4.2.4: XDSRegistryDuplicateUniqueIdInMessage).
pub(super) fn nothing_twice(submission: &Submission, findings: &mut Findings) {
    let mut unique_ids = HashSet::new();
    let mut entry_uuids = HashSet::new();
    for (symbol, unique_id, entry_uuid, attribute) in objects(submission) {
        let at = Place::at(submission.place(symbol));
        if let Some(id) = unique_id
            && !unique_ids.insert((system(&id.system), identifier_value(&id.value)))
        {
            findings.push(Finding::error(
                Rule::DuplicateUniqueIdInMessage,
                at.member("identifier").of(attribute),
                format!("the uniqueId {} is used twice in this submission", id.value),
            ));
        }
        if let Some(id) = entry_uuid
            && !entry_uuids.insert(id)
        {
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                at.member("identifier").of("entryUUID"),
                format!("the entryUUID {} is used twice in this submission", id.as_str()),
            ));
        }
    }
}

type Names<'a> = (&'a str, Option<&'a Identifier>, Option<&'a EntryUuid>, &'static str);

fn objects(submission: &Submission) -> impl Iterator<Item = Names<'_>> {
    let set = &submission.submission_set;
    let first =
        (set.symbol.as_str(), set.unique_id.as_ref(), set.entry_uuid.as_ref(), "SubmissionSet.uniqueId");
    let documents = submission
        .documents
        .iter()
        .map(|d| (d.symbol.as_str(), Some(&d.unique_id), d.entry_uuid.as_ref(), "DocumentEntry.uniqueId"));
    let folders = submission.folders.iter().filter(|f| !f.update);
    let folders =
        folders.map(|f| (f.symbol.as_str(), f.unique_id.as_ref(), f.entry_uuid.as_ref(), "Folder.uniqueId"));
    std::iter::once(first).chain(documents).chain(folders)
}
