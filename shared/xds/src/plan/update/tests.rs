//! What an update may change, and what not.

use super::*;
use crate::rules::samples::{document, folder, oid, patient, uuid};

fn entry() -> DocumentEntry {
    DocumentEntry {
        entry_uuid: Some(uuid(1)),
        hash: Some(Hash([7; 20])),
        title: Some("before".to_owned()),
        ..document("a", "1.2.3")
    }
}

fn update(
    current: &DocumentEntry,
    new: &DocumentEntry,
    standing: &Standing,
) -> Result<DocumentEntry, Findings> {
    let version = |entry| DocumentVersion { entry, relations: &[] };
    let at = Place::at("DocumentReference");
    update_document(version(current), version(new), standing, Profile::Comprehensive, &at)
}

fn refused(current: &DocumentEntry, new: &DocumentEntry) -> Vec<(Rule, Option<&'static str>)> {
    let findings = update(current, new, &Standing::default()).expect_err("it is refused");
    findings.iter().map(|finding| (finding.rule, finding.at.attribute)).collect()
}

#[test]
fn what_describes_a_document_changes() {
    let new = DocumentEntry {
        title: Some("after".to_owned()),
        comments: Some("seen".to_owned()),
        identifiers: vec![oid("9.9")],
        symbol: "b".to_owned(),
        sha256: None,
        entry_uuid: None,
        ..entry()
    };
    let decided = update(&entry(), &new, &Standing::default()).expect("nothing forbidden changes");
    let expected =
        DocumentEntry { symbol: "a".to_owned(), sha256: Some([1; 32]), entry_uuid: Some(uuid(1)), ..new };
    assert_eq!(decided, expected, "what only the registry knows is taken over");
}

#[test]
fn everything_that_may_not_change_is_named_at_once() {
    let new = DocumentEntry {
        entry_uuid: Some(uuid(2)),
        unique_id: oid("1.2.4"),
        patient: patient("p2"),
        mime_type: "application/pdf".to_owned(),
        url: "http://elsewhere.example/1".to_owned(),
        hash: Some(Hash([8; 20])),
        size: None,
        source_patient_ids: vec![oid("5.5")],
        ..entry()
    };
    let named = refused(&entry(), &new);
    let expected = [
        (Rule::IdentifierChanged, Some("DocumentEntry.entryUUID")),
        (Rule::IdentifierChanged, Some("DocumentEntry.uniqueId")),
        (Rule::PatientChanged, Some("DocumentEntry.patientId")),
        (Rule::Unmodifiable, Some("DocumentEntry.mimeType")),
        (Rule::Unmodifiable, Some("DocumentEntry.URI")),
        (Rule::Unmodifiable, Some("DocumentEntry.hash")),
        (Rule::Unmodifiable, Some("DocumentEntry.size")),
        (Rule::Unmodifiable, Some("DocumentEntry.sourcePatientId")),
    ];
    assert_eq!(named, expected);
}

#[test]
fn a_unique_id_in_another_spelling_is_the_same() {
    let new =
        DocumentEntry { unique_id: Identifier { value: "1.2.3".to_owned(), ..oid("1.2.3") }, ..entry() };
    assert!(update(&entry(), &new, &Standing::default()).is_ok());
}

#[test]
fn bytes_that_were_not_measured_yet_may_be_measured_later() {
    let delayed = DocumentEntry { hash: Some(Hash::EMPTY), size: Some(0), ..entry() };
    let measured = DocumentEntry { hash: Some(Hash([9; 20])), size: Some(42), ..entry() };
    assert!(update(&delayed, &measured, &Standing::default()).is_ok());
    let unsaid = DocumentEntry { hash: None, size: None, ..entry() };
    assert!(update(&unsaid, &measured, &Standing::default()).is_ok());
    assert_eq!(refused(&measured, &delayed).len(), 2);
}

#[test]
fn relations_are_not_metadata() {
    let (old, new) = (entry(), entry());
    let relations = [(AssociationType::Append, uuid(5))];
    let at = Place::at("DocumentReference");
    let decide = |before: &[_], after: &[_]| {
        let current = DocumentVersion { entry: &old, relations: before };
        let new = DocumentVersion { entry: &new, relations: after };
        update_document(current, new, &Standing::default(), Profile::Minimal, &at)
    };
    assert!(decide(&relations, &relations).is_ok());
    for (before, after) in [(&relations[..], &[][..]), (&[], &relations)] {
        let findings = decide(before, after).expect_err("a relation came or went");
        assert_eq!(findings[0].at.path, "DocumentReference.relatesTo");
    }
}

#[test]
fn a_document_comes_back_only_when_what_replaced_it_is_gone() {
    let superseded = DocumentEntry { availability: Availability::Deprecated, ..entry() };
    let by = |availability| Standing { replaced_by: vec![KnownDocument::new(uuid(7), "p1", availability)] };
    assert!(update(&entry(), &superseded, &Standing::default()).is_ok(), "current to superseded");
    assert!(update(&superseded, &entry(), &Standing::default()).is_ok(), "and back");
    assert!(update(&superseded, &entry(), &by(Availability::Deprecated)).is_ok());
    assert!(update(&superseded, &superseded, &by(Availability::Approved)).is_ok(), "its metadata may change");
    let findings = update(&superseded, &entry(), &by(Availability::Approved)).expect_err("it is replaced");
    assert_eq!(findings[0].at.path, "DocumentReference.status");
}

#[test]
fn a_rule_of_the_framework_holds_for_an_update_too() {
    let new = DocumentEntry { title: Some("x".repeat(129)), ..entry() };
    assert_eq!(refused(&entry(), &new), [(Rule::MetadataInvalid, Some("DocumentEntry.title"))]);
}

#[test]
fn a_folder_gets_another_title_and_no_other_members() {
    let old = Folder { entry_uuid: Some(uuid(1)), ..folder("f", "1.2.9") };
    let new = Folder { title: Some("after".to_owned()), ..old.clone() };
    let at = Place::at("List");
    let decide = |before: &[_], after: &[_]| {
        let current = FolderVersion { folder: &old, members: before };
        update_folder(current, FolderVersion { folder: &new, members: after }, &at)
    };
    assert_eq!(decide(&[uuid(3)], &[uuid(3)]).map(|folder| folder.title), Ok(Some("after".to_owned())));
    for after in [&[][..], &[uuid(3), uuid(4)], &[uuid(4)]] {
        let findings = decide(&[uuid(3)], after).expect_err("members are no metadata");
        assert_eq!(findings[0].at.path, "List.entry");
    }
}
