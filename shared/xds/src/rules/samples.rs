//! Submissions for the tests of rules and plan.

use crate::attribute::URI;
use crate::types::{
    Association, AssociationType, Availability, Carried, DocumentEntry, EntryUuid, Folder, Identifier,
    ObjectRef, Patient, Profile, Submission, SubmissionSet, Timestamp,
};

pub(crate) fn uuid(number: u128) -> EntryUuid {
    EntryUuid::from(uuid::Uuid::from_u128(number))
}

pub(crate) fn oid(text: &str) -> Identifier {
    Identifier { system: URI.to_owned(), value: format!("urn:oid:{text}") }
}

pub(crate) fn patient(id: &str) -> Patient {
    Patient { reference: Some(format!("Patient/{id}")), identifier: None, id: Some(id.to_owned()) }
}

pub(crate) fn time(from: i64, to: i64) -> Timestamp {
    Timestamp { text: format!("{from}"), from, to }
}

pub(crate) fn document(symbol: &str, unique_id: &str) -> DocumentEntry {
    DocumentEntry {
        symbol: symbol.to_owned(),
        entry_uuid: None,
        unique_id: oid(unique_id),
        identifiers: Vec::new(),
        availability: Availability::Approved,
        type_code: None,
        class_codes: Vec::new(),
        type_codes: Vec::new(),
        patient: patient("p1"),
        date: None,
        authors: Vec::new(),
        comments: None,
        confidentiality_codes: Vec::new(),
        mime_type: "text/plain".to_owned(),
        language: None,
        size: Some(3),
        hash: None,
        sha256: Some([1; 32]),
        title: None,
        url: format!("http://repository.example/documents/{symbol}"),
        creation_time: None,
        format_code: None,
        event_codes: Vec::new(),
        service_start: None,
        service_stop: None,
        facility_codes: Vec::new(),
        practice_setting_codes: Vec::new(),
        source_patient_ids: Vec::new(),
        has_source_patient_info: false,
        reference_ids: Vec::new(),
        related: Vec::new(),
        encounters: Vec::new(),
        authenticator: None,
        custodian: None,
        carried: Carried::default(),
    }
}

pub(crate) fn folder(symbol: &str, unique_id: &str) -> Folder {
    Folder {
        symbol: symbol.to_owned(),
        entry_uuid: None,
        unique_id: Some(oid(unique_id)),
        patient: patient("p1"),
        codes: Vec::new(),
        title: Some("Folder".to_owned()),
        comments: None,
        update: false,
        encounter: None,
        carried: Carried::default(),
    }
}

pub(crate) fn relation(kind: AssociationType, source: &str, target: ObjectRef) -> Association {
    Association {
        kind,
        source: ObjectRef::Symbol(source.to_owned()),
        target,
        at: "Bundle.entry[9]".to_owned(),
    }
}

pub(crate) fn member(source: &str, target: &str) -> Association {
    relation(AssociationType::HasMember, source, ObjectRef::Symbol(target.to_owned()))
}

/// A set with these documents, all of them its members.
pub(crate) fn submission(documents: Vec<DocumentEntry>) -> Submission {
    let members = documents.iter().map(|document| member("set", &document.symbol)).collect();
    Submission {
        profile: Profile::Comprehensive,
        submission_set: SubmissionSet {
            symbol: "set".to_owned(),
            entry_uuid: None,
            unique_id: Some(oid("1.2.3")),
            source_id: oid("1.3.6.1"),
            patient: patient("p1"),
            submission_time: time(0, 1),
            content_type_codes: Vec::new(),
            authors: Vec::new(),
            title: None,
            comments: None,
            encounter: None,
            carried: Carried::default(),
        },
        documents,
        folders: Vec::new(),
        associations: members,
        places: vec![("set".to_owned(), "Bundle.entry[0].resource".to_owned())],
    }
}
