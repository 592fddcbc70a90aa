//! Submissions for the tests of rules and plan.

use crate::attribute::URI;
use crate::types::{
    Association, AssociationType, DocumentEntry, EntryUuid, Folder, Identifier, ObjectRef, Patient, Profile,
    Submission, SubmissionSet, Timestamp,
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
        patient: patient("p1"),
        mime_type: "text/plain".to_owned(),
        size: Some(3),
        sha256: Some([1; 32]),
        url: format!("http://repository.example/documents/{symbol}"),
        ..DocumentEntry::new(symbol, oid(unique_id))
    }
}

pub(crate) fn folder(symbol: &str, unique_id: &str) -> Folder {
    Folder {
        unique_id: Some(oid(unique_id)),
        patient: patient("p1"),
        title: Some("Folder".to_owned()),
        ..Folder::new(symbol)
    }
}

pub(crate) fn relation(kind: AssociationType, source: &str, target: ObjectRef) -> Association {
    Association::new(kind, ObjectRef::Symbol(source.to_owned()), target, "Bundle.entry[9]")
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
            unique_id: Some(oid("1.2.3")),
            patient: patient("p1"),
            ..SubmissionSet::new("set", oid("1.3.6.1"), time(0, 1))
        },
        documents,
        folders: Vec::new(),
        associations: members,
        places: vec![("set".to_owned(), "Bundle.entry[0].resource".to_owned())],
    }
}
