use uuid::Uuid;

use super::*;
use crate::finding::Rule;
use crate::rules::samples::*;
use crate::ties::{End, Relation, Tied, association_id};
use crate::types::{Association, AssociationType, Availability, EntryKind, EntryUuid, Hash, ObjectRef};

const OLD: u128 = 1;
const CHILD: u128 = 2;
const FOLDER: u128 = 3;

fn known() -> Known {
    Known { patients: vec![(patient("p1"), PatientState::Active("p1".to_owned()))], ..Known::default() }
}

fn registered(number: u128) -> KnownDocument {
    KnownDocument::new(uuid(number), "p1", Availability::Approved)
}

fn with_document(document: KnownDocument) -> Known {
    let mut known = known();
    known.documents.insert(document.id.clone(), document);
    known
}

fn known_folder() -> KnownFolder {
    KnownFolder {
        id: uuid(FOLDER),
        version: None,
        availability: Availability::Approved,
        unique_id: Some(oid("1.9")),
        title: Some("Folder".to_owned()),
        patient: "p1".to_owned(),
        members: vec![uuid(OLD)],
    }
}

fn ids() -> impl Iterator<Item = Uuid> {
    (100..).map(Uuid::from_u128)
}

fn refused(submission: &Submission, known: &Known) -> Vec<Rule> {
    plan(submission, known, &mut ids())
        .expect_err("the plan must be refused")
        .iter()
        .map(|f| f.rule)
        .collect()
}

fn replacing(kind: AssociationType) -> Submission {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.associations.push(relation(kind, "d", ObjectRef::Registered(uuid(OLD))));
    submission
}

#[test]
fn a_new_document_is_approved_under_a_new_id_and_a_member_of_its_set() {
    let changes = plan(&submission(vec![document("d", "1.2.4")]), &known(), &mut ids()).expect("it is sound");
    assert_eq!(changes.patient, "p1");
    assert_eq!(changes.submission_set.id, uuid(100));
    assert_eq!(changes.documents[0].id, uuid(101));
    assert_eq!(changes.documents[0].entry.availability, Availability::Approved);
    assert_eq!(changes.submission_set.members, vec![Member::Document(Tied::new(uuid(101)))]);
    assert_eq!(changes.claims.len(), 2, "the uniqueIds of the set and of the document");
}

#[test]
fn an_id_the_source_chose_is_kept_and_a_taken_one_refused() {
    let mut entry = document("d", "1.2.4");
    entry.entry_uuid = Some(uuid(55));
    let submission = submission(vec![entry]);
    let changes = plan(&submission, &known(), &mut ids()).expect("it is free");
    assert_eq!(changes.documents[0].id, uuid(55));
    let mut known = known();
    known.taken.insert(uuid(55));
    assert_eq!(refused(&submission, &known), vec![Rule::MetadataInvalid]);
}

#[test]
fn an_unknown_and_an_inactive_patient_are_refused_alike() {
    let submission = submission(vec![document("d", "1.2.4")]);
    assert_eq!(refused(&submission, &Known::default()), vec![Rule::UnknownPatient]);
    let inactive = Known { patients: vec![(patient("p1"), PatientState::Inactive)], ..Known::default() };
    assert_eq!(refused(&submission, &inactive), vec![Rule::UnknownPatient]);
}

#[test]
fn documents_of_another_patient_do_not_match() {
    let mut entry = document("d", "1.2.4");
    entry.patient = patient("p2");
    let mut known = known();
    known.patients.push((patient("p2"), PatientState::Active("p2".to_owned())));
    assert_eq!(refused(&submission(vec![entry]), &known), vec![Rule::PatientIdDoesNotMatch]);
}

#[test]
fn a_replaced_document_is_deprecated_with_its_children() {
    let mut old = registered(OLD);
    old.children = vec![uuid(CHILD)];
    for kind in [AssociationType::Replace, AssociationType::TransformReplace] {
        let changes = plan(&replacing(kind), &with_document(old.clone()), &mut ids()).expect("it is current");
        assert_eq!(changes.deprecated, vec![uuid(OLD), uuid(CHILD)]);
        assert_eq!(changes.documents[0].relations, vec![Relation::new(kind, uuid(OLD).into())]);
    }
}

#[test]
fn what_is_appended_to_or_transformed_or_signed_stays_current() {
    for kind in [AssociationType::Append, AssociationType::Transform, AssociationType::Signs] {
        let changes =
            plan(&replacing(kind), &with_document(registered(OLD)), &mut ids()).expect("it is current");
        assert_eq!(changes.deprecated, Vec::<EntryUuid>::new());
    }
}

#[test]
fn nothing_is_tied_to_a_superseded_document() {
    let mut old = registered(OLD);
    old.availability = Availability::Deprecated;
    let known = with_document(old);
    for kind in [AssociationType::Replace, AssociationType::Append, AssociationType::Signs] {
        assert_eq!(refused(&replacing(kind), &known), vec![Rule::DeprecatedDocument]);
    }
}

#[test]
fn a_target_that_is_not_registered_is_unresolved() {
    assert_eq!(refused(&replacing(AssociationType::Replace), &known()), vec![Rule::UnresolvedReference]);
}

#[test]
fn a_target_of_another_patient_does_not_match() {
    let mut old = registered(OLD);
    old.patient = "p2".to_owned();
    assert_eq!(
        refused(&replacing(AssociationType::Replace), &with_document(old)),
        vec![Rule::PatientIdDoesNotMatch]
    );
}

#[test]
fn nothing_is_appended_to_a_registered_transformation() {
    let mut old = registered(OLD);
    old.is_transformation = true;
    let known = with_document(old);
    assert_eq!(refused(&replacing(AssociationType::Append), &known), vec![Rule::MetadataInvalid]);
    assert!(plan(&replacing(AssociationType::Replace), &known, &mut ids()).is_ok(), "it may be replaced");
}

#[test]
fn a_replacement_takes_the_place_of_the_old_one_in_its_folders() {
    let mut old = registered(OLD);
    old.folders = vec![uuid(FOLDER)];
    let mut known = with_document(old);
    known.folders.insert(uuid(FOLDER), known_folder());
    let changes = plan(&replacing(AssociationType::Replace), &known, &mut ids()).expect("it is current");
    assert_eq!(
        changes.extended,
        vec![ExtendedFolder { id: uuid(FOLDER), added: vec![Tied::new(uuid(101))] }]
    );
}

#[test]
fn a_registered_folder_gains_what_it_does_not_hold_yet() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.folders = vec![crate::types::Folder { update: true, ..folder("f", "1.9") }];
    submission.associations.push(member("f", "d"));
    submission.associations.push(relation(AssociationType::HasMember, "f", ObjectRef::Registered(uuid(OLD))));
    let mut old = registered(OLD);
    old.availability = Availability::Deprecated;
    let mut known = with_document(old);
    known.folders.insert(uuid(FOLDER), known_folder());
    let changes = plan(&submission, &known, &mut ids()).expect("what it holds already is no matter");
    assert_eq!(
        changes.extended,
        vec![ExtendedFolder { id: uuid(FOLDER), added: vec![Tied::new(uuid(101))] }]
    );
    assert!(changes.folders.is_empty());
}

#[test]
fn a_folder_to_be_extended_must_be_registered() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.folders = vec![crate::types::Folder { update: true, ..folder("f", "1.9") }];
    assert_eq!(refused(&submission, &known()), vec![Rule::UnresolvedReference]);
}

#[test]
fn a_set_may_list_a_registered_document_even_of_another_patient() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    submission.associations.push(relation(
        AssociationType::HasMember,
        "set",
        ObjectRef::Registered(uuid(OLD)),
    ));
    let mut old = registered(OLD);
    old.patient = "mother".to_owned();
    let changes =
        plan(&submission, &with_document(old), &mut ids()).expect("a reference needs no equal patient");
    assert_eq!(
        changes.submission_set.members,
        vec![
            Member::Document(Tied::new(uuid(101))),
            Member::Document(Tied { reference: true, ..Tied::new(uuid(OLD)) })
        ]
    );
}

fn holding(content: Content) -> Known {
    let mut known = known();
    known.holders.insert(claim_name(&oid("1.2.4")), Holder::Document(content));
    known
}

#[test]
fn a_known_unique_id_is_accepted_for_the_same_bytes_only() {
    let registered = Content { sha256: Some([1; 32]), hash: None, size: Some(3) };
    let same = submission(vec![document("d", "1.2.4")]);
    let changes = plan(&same, &holding(registered), &mut ids()).expect("same bytes");
    assert_eq!(changes.claims[1].holder, Holder::Document(registered));
    let mut other = document("d", "1.2.4");
    other.sha256 = Some([2; 32]);
    assert_eq!(refused(&submission(vec![other.clone()]), &holding(registered)), vec![Rule::NonIdenticalHash]);
    other.size = Some(4);
    assert_eq!(refused(&submission(vec![other]), &holding(registered)), vec![Rule::NonIdenticalSize]);
}

#[test]
fn without_sha_256_the_hash_and_size_of_the_wire_decide() {
    let registered = Content { sha256: None, hash: Some(Hash([5; 20])), size: Some(3) };
    let mut entry = document("d", "1.2.4");
    entry.hash = Some(Hash([5; 20]));
    let changes =
        plan(&submission(vec![entry.clone()]), &holding(registered), &mut ids()).expect("same bytes");
    assert_eq!(
        changes.claims[1].holder,
        Holder::Document(registered),
        "what is registered first is what counts"
    );
    entry.hash = Some(Hash([6; 20]));
    assert_eq!(refused(&submission(vec![entry]), &holding(registered)), vec![Rule::NonIdenticalHash]);
}

#[test]
fn the_unique_id_of_a_set_must_be_free() {
    let mut known = known();
    known.holders.insert(claim_name(&oid("1.2.3")), Holder::List(uuid(9)));
    assert_eq!(refused(&submission(vec![document("d", "1.2.4")]), &known), vec![Rule::DuplicateUniqueId]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let mut submission = replacing(AssociationType::Replace);
    submission.documents[0].entry_uuid = Some(uuid(55));
    let mut known = Known { patients: vec![(patient("p1"), PatientState::Unknown)], ..Known::default() };
    known.taken.insert(uuid(55));
    let rules = refused(&submission, &known);
    assert_eq!(rules, vec![Rule::UnknownPatient, Rule::MetadataInvalid, Rule::UnresolvedReference]);
}

#[test]
fn an_on_demand_entry_shares_its_unique_id_with_its_like_alone() {
    let mut entry = document("d", "1.2.4");
    entry.kind = EntryKind::OnDemand;
    let on_demand = submission(vec![entry]);
    assert_eq!(refused(&on_demand, &holding(Content::default())), vec![Rule::MetadataInvalid]);
    let mut known = known();
    known.holders.insert(claim_name(&oid("1.2.4")), Holder::OnDemand);
    let changes = plan(&on_demand, &known, &mut ids()).expect("a further entry of the same");
    assert_eq!(changes.claims[1].holder, Holder::OnDemand);
    assert_eq!(refused(&submission(vec![document("d", "1.2.4")]), &known), vec![Rule::MetadataInvalid]);
}

#[test]
fn a_snapshot_is_that_of_an_on_demand_entry() {
    let snapshot = replacing(AssociationType::IsSnapshotOf);
    assert_eq!(refused(&snapshot, &with_document(registered(OLD))), vec![Rule::MetadataInvalid]);
    let on_demand = KnownDocument { kind: EntryKind::OnDemand, ..registered(OLD) };
    let changes = plan(&snapshot, &with_document(on_demand), &mut ids()).expect("it is one");
    assert!(changes.deprecated.is_empty());
}

#[test]
fn a_registered_folder_gains_documents_by_its_entry_uuid_and_the_set_holds_the_memberships() {
    let mut submission = submission(vec![document("d", "1.2.4")]);
    let put = Association {
        symbol: "put".to_owned(),
        source: ObjectRef::Registered(uuid(FOLDER)),
        ..member("f", "d")
    };
    let holds = Association { entry_uuid: Some(uuid(77)), ..member("set", "put") };
    submission.associations.extend([put, holds]);
    assert_eq!(crate::rules::check(&submission), []);
    let mut known = known();
    known.folders.insert(uuid(FOLDER), known_folder());
    let changes = plan(&submission, &known, &mut ids()).expect("the folder is there");
    assert_eq!(
        changes.extended,
        vec![ExtendedFolder { id: uuid(FOLDER), added: vec![Tied::new(uuid(101))] }]
    );
    let holding = &changes.submission_set.holdings[0];
    assert_eq!(holding.association, association_id(AssociationType::HasMember, &uuid(FOLDER), &uuid(101)));
    assert_eq!(holding.id(&uuid(100)), uuid(77), "under the id its source gave it");
    assert_eq!(changes.submission_set.members.len(), 1, "the membership itself is no object of the set");
    known.folders.clear();
    assert_eq!(refused(&submission, &known), vec![Rule::UnresolvedReference]);
}

#[test]
fn a_later_version_is_replaced_under_its_own_entry_uuid() {
    let old = KnownDocument { version: Some(uuid(50)), ..registered(OLD) };
    let mut known = with_document(old);
    known.versions.insert(uuid(50), uuid(OLD));
    let mut submission = submission(vec![document("d", "1.2.4")]);
    let target = ObjectRef::Registered(uuid(50));
    submission.associations.push(relation(AssociationType::Replace, "d", target));
    let changes = plan(&submission, &known, &mut ids()).expect("it is the version that stands");
    assert_eq!(changes.deprecated, vec![uuid(OLD)]);
    assert_eq!(changes.documents[0].relations[0].target, End::at(uuid(OLD), uuid(50)));
}
