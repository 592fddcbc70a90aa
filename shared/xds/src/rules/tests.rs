use super::check;
use super::samples::*;
use crate::finding::Rule;
use crate::types::{AssociationType, Identifier, ObjectRef, Patient, Submission};

fn broken(submission: &Submission) -> Vec<Rule> {
    check(submission).iter().map(|finding| finding.rule).collect()
}

#[test]
fn a_sound_submission_breaks_no_rule() {
    assert_eq!(check(&submission(vec![document("d", "1.2.4"), document("e", "1.2.5")])), vec![]);
}

#[test]
fn a_set_without_any_identifier_is_refused_where_it_should_stand() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.submission_set.unique_id = None;
    let findings = check(&submission);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].rule, Rule::MetadataRequired);
    assert_eq!(findings[0].at.path, "Bundle.entry[0].resource.identifier");
    submission.submission_set.entry_uuid = Some(uuid(1));
    assert_eq!(broken(&submission), vec![], "a set with an entryUUID can be recognised");
}

#[test]
fn the_unique_id_of_a_set_is_an_oid() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.submission_set.unique_id = Some(oid("29946a9c-e77c-4c19-bc05-324d87605646"));
    assert_eq!(broken(&submission), vec![Rule::MetadataInvalid]);
}

#[test]
fn a_source_id_is_an_oid_with_or_without_prefix() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.submission_set.source_id = Identifier { system: String::new(), value: "1.2.840".to_owned() };
    assert_eq!(broken(&submission), vec![]);
    submission.submission_set.source_id.value = "3670984664".to_owned();
    assert_eq!(broken(&submission), vec![], "a number names a source as well");
    submission.submission_set.source_id.value = "hospital".to_owned();
    assert_eq!(broken(&submission), vec![Rule::MetadataInvalid]);
}

#[test]
fn a_unique_id_may_be_a_uuid_but_not_a_broken_oid() {
    let mut entry = document("d", "1.2.4");
    entry.unique_id.value = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0".to_owned();
    assert_eq!(broken(&submission(vec![entry.clone()])), vec![]);
    entry.unique_id = oid("1.02");
    assert_eq!(broken(&submission(vec![entry])), vec![Rule::MetadataInvalid]);
}

#[test]
fn nothing_is_named_twice_in_one_submission() {
    let same = broken(&submission(vec![document("d", "1.2.4"), document("e", "1.2.4")]));
    assert_eq!(same, vec![Rule::DuplicateUniqueIdInMessage]);
    let mut entries = vec![document("d", "1.2.4"), document("e", "1.2.5")];
    for entry in &mut entries {
        entry.entry_uuid = Some(uuid(7));
    }
    assert_eq!(broken(&submission(entries)), vec![Rule::MetadataInvalid]);
}

#[test]
fn a_document_that_the_set_does_not_list_is_refused() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.associations.clear();
    assert_eq!(broken(&submission), vec![Rule::MetadataInvalid]);
}

#[test]
fn a_listed_entry_that_is_not_there_is_unresolved() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.associations.push(member("set", "nobody"));
    assert_eq!(broken(&submission), vec![Rule::UnresolvedReference]);
}

#[test]
fn a_service_does_not_stop_before_it_starts() {
    let mut entry = document("d", "1.2.4");
    entry.service_start = Some(time(100, 101));
    entry.service_stop = Some(time(50, 51));
    assert_eq!(broken(&submission(vec![entry.clone()])), vec![Rule::MetadataInvalid]);
    entry.service_stop = Some(time(0, 200));
    assert_eq!(broken(&submission(vec![entry])), vec![], "it stops within the same, less precise, day");
}

#[test]
fn a_title_has_at_most_128_characters() {
    let mut entry = document("d", "1.2.4");
    entry.title = Some("ü".repeat(128));
    assert_eq!(broken(&submission(vec![entry.clone()])), vec![]);
    entry.title = Some("ü".repeat(129));
    assert_eq!(broken(&submission(vec![entry])), vec![Rule::MetadataInvalid]);
}

#[test]
fn somebody_is_the_patient() {
    let mut entry = document("d", "1.2.4");
    entry.patient = Patient::default();
    let mut submission = submission(vec![entry]);
    assert_eq!(broken(&submission), vec![], "the set names it");
    submission.submission_set.patient = Patient::default();
    assert_eq!(broken(&submission), vec![Rule::MetadataRequired]);
}

#[test]
fn a_folder_holds_no_folder() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.folders = vec![folder("f", "1.2.6"), folder("g", "1.2.7")];
    submission.associations.extend([member("set", "f"), member("set", "g"), member("f", "d")]);
    assert_eq!(broken(&submission), vec![]);
    submission.associations.push(member("f", "g"));
    assert_eq!(broken(&submission), vec![Rule::MetadataInvalid]);
}

#[test]
fn only_a_registered_document_can_be_replaced() {
    let mut submission = submission(vec![document("d", "1.2.4"), document("e", "1.2.5")]);
    let target = || ObjectRef::Symbol("e".to_owned());
    submission.associations.push(relation(AssociationType::Append, "d", target()));
    assert_eq!(broken(&submission), vec![]);
    submission.associations.push(relation(AssociationType::Replace, "d", target()));
    assert_eq!(broken(&submission), vec![Rule::UnresolvedReference]);
}

#[test]
fn a_transformation_is_not_appended_to() {
    let mut submission = submission(vec![document("d", "1.2.4"), document("e", "1.2.5")]);
    submission.associations.push(relation(AssociationType::Transform, "e", ObjectRef::Registered(uuid(1))));
    submission.associations.push(relation(AssociationType::Append, "d", ObjectRef::Symbol("e".to_owned())));
    assert_eq!(broken(&submission), vec![Rule::MetadataInvalid]);
}

#[test]
fn a_document_is_replaced_once() {
    let mut submission = submission(vec![document("d", "1.2.4"), document("e", "1.2.5")]);
    submission.associations.push(relation(AssociationType::Replace, "d", ObjectRef::Registered(uuid(1))));
    submission.associations.push(relation(AssociationType::Replace, "e", ObjectRef::Registered(uuid(1))));
    assert_eq!(broken(&submission), vec![Rule::MetadataInvalid]);
}
