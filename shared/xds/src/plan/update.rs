//! What a metadata update does to what is registered (TF-2 3.57 Update Document Set, 3.92 Restricted Update): pure, and of
//! no face.
//!
//! An update replaces the metadata of one object as a whole. What names the object, what belongs to its bytes, whose it is
//! and how it is related stays; an update that says otherwise is refused, and every such attribute is named.

use super::KnownDocument;
use crate::attribute::{identifier_value, system};
use crate::finding::{Finding, Findings, Place, Rule, Severity, sort};
use crate::rules;
use crate::types::{
    AssociationType, Availability, DocumentEntry, EntryUuid, Folder, Hash, Identifier, Patient, Profile,
    Submission, SubmissionSet, Timestamp,
};

/// A document entry with its relations, as registered or as it is to be.
#[derive(Debug, Clone, Copy)]
pub struct DocumentVersion<'a> {
    /// The metadata.
    pub entry: &'a DocumentEntry,
    /// Its relations to other documents.
    pub relations: &'a [(AssociationType, EntryUuid)],
}

/// A folder with its documents, as registered or as it is to be.
#[derive(Debug, Clone, Copy)]
pub struct FolderVersion<'a> {
    /// The metadata.
    pub folder: &'a Folder,
    /// Its documents, in their order.
    pub members: &'a [EntryUuid],
}

/// What stands around a document that is updated.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Documents that replace it.
    pub replaced_by: Vec<KnownDocument>,
}

/// Decides what an entry reads after an update: the new metadata, with what only the registry knows taken over. `at` is the
/// place of the object in the request.
pub fn update_document(
    current: DocumentVersion<'_>,
    new: DocumentVersion<'_>,
    standing: &Standing,
    profile: Profile,
    at: &Place,
) -> Result<DocumentEntry, Findings> {
    let mut findings = rules::check_objects(&document_alone(new.entry, profile, at));
    let (old, entry) = (current.entry, new.entry);
    names((old.entry_uuid.as_ref(), entry.entry_uuid.as_ref()), "DocumentEntry.entryUUID", at, &mut findings);
    if !same_name(&old.unique_id, &entry.unique_id) {
        let place = at.member("masterIdentifier").of("DocumentEntry.uniqueId");
        let text = format!(
            "masterIdentifier (DocumentEntry.uniqueId) is {} and stays: it names the document itself. A document with another \
             one is submitted anew, replacing this one",
            old.unique_id.value
        );
        findings.push(Finding::error(Rule::IdentifierChanged, place, text));
    }
    patient(&old.patient, &entry.patient, "DocumentEntry.patientId", at, &mut findings);
    content(old, entry, at, &mut findings);
    if old.source_patient_ids != entry.source_patient_ids {
        let place = at.member("context.sourcePatientInfo").of("DocumentEntry.sourcePatientId");
        let text = "context.sourcePatientInfo (DocumentEntry.sourcePatientId) names the patient as the source did when it \
                    submitted the document; its identifiers stay as they were registered";
        findings.push(Finding::error(Rule::Unmodifiable, place, text));
    }
    if !same_set(current.relations, new.relations) {
        let place = at.member("relatesTo").of("Association");
        let text = "relatesTo (Association) is not part of an entry's metadata: an update neither adds nor removes relations. \
                    Submit a document that replaces, appends to or transforms this one";
        findings.push(Finding::error(Rule::Unmodifiable, place, text));
    }
    status(old, entry, standing, at, &mut findings);
    refuse_if_any(findings)?;
    Ok(DocumentEntry {
        symbol: old.symbol.clone(),
        entry_uuid: old.entry_uuid.clone(),
        patient: old.patient.clone(),
        url: old.url.clone(),
        sha256: old.sha256,
        ..entry.clone()
    })
}

/// Decides what a folder reads after an update. Documents enter a folder by a submission, and leave it by none.
pub fn update_folder(
    current: FolderVersion<'_>,
    new: FolderVersion<'_>,
    at: &Place,
) -> Result<Folder, Findings> {
    let (old, folder) = (current.folder, new.folder);
    let mut alone = nothing(Profile::Minimal, &folder.symbol, at);
    alone.folders.push(folder.clone());
    let mut findings = rules::check_objects(&alone);
    names((old.entry_uuid.as_ref(), folder.entry_uuid.as_ref()), "Folder.entryUUID", at, &mut findings);
    let same = match (&old.unique_id, &folder.unique_id) {
        (Some(old), Some(new)) => same_name(old, new),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !same {
        let place = at.member("identifier").of("Folder.uniqueId");
        let stands = old.unique_id.as_ref().map_or("none", |name| name.value.as_str());
        let text = format!("the uniqueId of the folder (Folder.uniqueId) is {stands} and stays");
        findings.push(Finding::error(Rule::IdentifierChanged, place, text));
    }
    patient(&old.patient, &folder.patient, "Folder.patientId", at, &mut findings);
    if current.members != new.members {
        let place = at.member("entry").of("Association");
        let text = format!(
            "entry (HasMember associations) names other members than the {} registered, or another order; documents are added \
             to a folder by a submission (PUT of the List in a transaction), an update changes title, codes and comments",
            current.members.len()
        );
        findings.push(Finding::error(Rule::Unmodifiable, place, text));
    }
    refuse_if_any(findings)?;
    Ok(Folder {
        symbol: old.symbol.clone(),
        entry_uuid: old.entry_uuid.clone(),
        unique_id: old.unique_id.clone(),
        patient: old.patient.clone(),
        update: old.update,
        ..folder.clone()
    })
}

/// One entry as if it were a whole submission: for rules that are written over submissions and ask for entries only.
pub fn document_alone(entry: &DocumentEntry, profile: Profile, at: &Place) -> Submission {
    let mut alone = nothing(profile, &entry.symbol, at);
    alone.documents.push(entry.clone());
    alone
}

fn nothing(profile: Profile, symbol: &str, at: &Place) -> Submission {
    Submission {
        profile,
        submission_set: SubmissionSet::new(
            "",
            Identifier { system: String::new(), value: String::new() },
            Timestamp { text: String::new(), from: 0, to: 0 },
        ),
        documents: Vec::new(),
        folders: Vec::new(),
        associations: Vec::new(),
        places: vec![(symbol.to_owned(), at.path.clone())],
    }
}

fn refuse_if_any(mut findings: Findings) -> Result<(), Findings> {
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(());
    }
    sort(&mut findings);
    Err(findings)
}

fn names(
    (old, new): (Option<&EntryUuid>, Option<&EntryUuid>),
    attribute: &'static str,
    at: &Place,
    findings: &mut Findings,
) {
    if let (Some(old), Some(new)) = (old, new)
        && old != new
    {
        let text = format!("identifier ({attribute}) is urn:uuid:{} and stays", old.as_str());
        findings.push(Finding::error(Rule::IdentifierChanged, at.member("identifier").of(attribute), text));
    }
}

fn patient(old: &Patient, new: &Patient, attribute: &'static str, at: &Place, findings: &mut Findings) {
    if old.id != new.id {
        let text = format!(
            "subject ({attribute}) is not the patient this was registered for; an update does not move it to another patient. \
             If two patients are one, merge them at the identity source"
        );
        findings.push(Finding::error(Rule::PatientChanged, at.member("subject").of(attribute), text));
    }
}

/// What is said of the bytes. Where they were not measured yet (delayed assembly), an update may say what they measure.
fn content(old: &DocumentEntry, new: &DocumentEntry, at: &Place, findings: &mut Findings) {
    const BYTES: &str =
        "it belongs to the document's bytes. Other bytes are a new document that replaces this one";
    let at = at.member("content").item(0).member("attachment");
    let mut stays = |member: &str, attribute: &'static str, old: String, new: String| {
        if old != new {
            let text = format!("{member} ({attribute}) is {old} and cannot become {new}: {BYTES}");
            findings.push(Finding::error(Rule::Unmodifiable, at.member(member).of(attribute), text));
        }
    };
    stays("contentType", "DocumentEntry.mimeType", old.mime_type.clone(), new.mime_type.clone());
    stays("url", "DocumentEntry.URI", old.url.clone(), new.url.clone());
    let measured = old.hash.is_some_and(|hash| hash != Hash::EMPTY);
    if measured || old.hash.is_some() && new.hash.is_none() {
        stays("hash", "DocumentEntry.hash", said(old.hash.map(hex)), said(new.hash.map(hex)));
    }
    if old.size.is_some() && (measured || new.size.is_none()) {
        stays("size", "DocumentEntry.size", said(old.size), said(new.size));
    }
}

fn said(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "absent".to_owned(), |value| value.to_string())
}

fn hex(hash: Hash) -> String {
    hash.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Both ways are open, except that a document that is replaced stays superseded as long as what replaced it is current.
fn status(
    old: &DocumentEntry,
    new: &DocumentEntry,
    standing: &Standing,
    at: &Place,
    findings: &mut Findings,
) {
    if old.availability == Availability::Approved || new.availability == Availability::Deprecated {
        return;
    }
    let current = standing.replaced_by.iter().find(|other| other.availability == Availability::Approved);
    if let Some(other) = current {
        let place = at.member("status").of("DocumentEntry.availabilityStatus");
        let text = format!(
            "status (DocumentEntry.availabilityStatus) stays superseded: DocumentReference/{} replaces this document and is \
             current. Supersede that one first",
            other.id.as_str()
        );
        findings.push(Finding::error(Rule::Unmodifiable, place, text));
    }
}

fn same_name(one: &Identifier, other: &Identifier) -> bool {
    system(&one.system) == system(&other.system)
        && identifier_value(&one.value) == identifier_value(&other.value)
}

fn same_set(one: &[(AssociationType, EntryUuid)], other: &[(AssociationType, EntryUuid)]) -> bool {
    one.len() == other.len() && one.iter().all(|relation| other.contains(relation))
}

#[cfg(test)]
mod tests;
