//! What stored queries ask, row by row.

use super::*;
use crate::filter::{Clause, Moment, Of, PatientIs, Test, Token};
use crate::{EntryKind, Rule};

const LIMITS: Limits = Limits { values: 20, value_bytes: 200 };
const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
const PATIENT: (&str, &[&str]) = ("$XDSDocumentEntryPatientId", &["7^^^&1.2&ISO"]);
const STATUS: (&str, &[&str]) = ("$XDSDocumentEntryStatus", &[APPROVED]);
const ON_DEMAND: &str = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";
const STABLE: &str = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";

fn ask(query: &str, given: &[(&str, &[&str])]) -> Result<Asked, Findings> {
    let given: Vec<Given> = given
        .iter()
        .map(|(name, values)| Given {
            name: (*name).to_owned(),
            at: format!("AdhocQuery/Slot[@name='{name}']"),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        })
        .collect();
    by_name(query).expect("a query of the framework").read(&given, &LIMITS)
}

fn filters(query: &str, given: &[(&str, &[&str])]) -> Vec<Filter> {
    match ask(query, given).expect("a sound query").question {
        Question::Find(filters) => filters,
        other => panic!("{other:?}"),
    }
}

fn rules(query: &str, given: &[(&str, &[&str])]) -> Vec<Rule> {
    ask(query, given).expect_err("it is refused").into_iter().map(|finding| finding.rule).collect()
}

fn yes(attribute: Attribute, negated: bool) -> Clause {
    let token = Token { system: None, code: Some("true".to_owned()) };
    Clause { attribute, any: vec![Test::Token(token)], negated }
}

#[test]
fn every_query_of_the_framework_is_there_once() {
    let mut ids: Vec<&str> = TABLE.iter().map(|query| query.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((ids.len(), TABLE.len()), (16, 16));
    for query in TABLE {
        assert!(std::ptr::eq(by_id(query.id).unwrap(), query));
        assert!(std::ptr::eq(by_id(&query.id[9..].to_uppercase()).unwrap(), query));
        assert!(query.one_of.iter().all(|name| query.parameter(name).is_some()), "{}", query.name);
        let mut names: Vec<&str> = query.parameters.iter().map(|parameter| parameter.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), query.parameters.len(), "{}", query.name);
    }
    assert!(by_id("urn:uuid:00000000-0000-0000-0000-000000000000").is_none() && by_id("").is_none());
}

#[test]
fn a_query_asks_for_the_current_stable_documents_of_a_patient() {
    let found = filters("FindDocuments", &[PATIENT, STATUS]);
    let patient = PatientIs::Identifier { system: Some("urn:oid:1.2".into()), value: "7".into() };
    assert_eq!(found[0].patients, [vec![patient]]);
    let status = Clause {
        attribute: Attribute::AvailabilityStatus,
        any: vec![Test::Status(Availability::Approved)],
        negated: false,
    };
    assert_eq!(found[0].all, [status, yes(Attribute::OnDemand, true)]);
    assert_eq!((found.len(), found[0].of), (1, Of::Documents));
}

#[test]
fn values_of_a_slot_are_alternatives_and_slots_are_conditions() {
    let event = "$XDSDocumentEntryEventCodeList";
    let found =
        filters("FindDocuments", &[PATIENT, STATUS, (event, &["a^^1.2", "b^^1.2"]), (event, &["c^^1.2"])]);
    let clauses: Vec<usize> = found[0]
        .all
        .iter()
        .filter(|clause| clause.attribute == Attribute::EventCode)
        .map(|clause| clause.any.len())
        .collect();
    assert_eq!(clauses, [2, 1]);
    let class = "$XDSDocumentEntryClassCode";
    let twice = rules("FindDocuments", &[PATIENT, STATUS, (class, &["a^^1.2"]), (class, &["b^^1.2"])]);
    assert_eq!(twice, [Rule::StoredQueryParameter]);
}

#[test]
fn a_code_is_in_a_scheme() {
    let class =
        |value: &str| ask("FindDocuments", &[PATIENT, STATUS, ("$XDSDocumentEntryClassCode", &[value])]);
    let Question::Find(found) = class("34133-9^^urn:oid:2.16.840.1.113883.6.1").unwrap().question else {
        panic!("it asks for documents")
    };
    let token = Token { system: Some("2.16.840.1.113883.6.1".into()), code: Some("34133-9".into()) };
    assert_eq!(found[0].all[1].any, [Test::Token(token)]);
    assert!(class("34133-9").is_ok(), "of any scheme");
    for wrong in ["a^^", "^^1.2", "a^b^1.2", "a^1.2", "a^^1.2^x", ""] {
        let refused = class(wrong).expect_err(wrong);
        assert_eq!(refused[0].rule, Rule::StoredQueryParameter, "{wrong}");
        assert!(refused[0].text.contains("'code^^scheme'"), "{}", refused[0].text);
    }
}

#[test]
fn what_is_required_is_missed_and_what_takes_one_value_gets_no_two() {
    assert_eq!(rules("FindDocuments", &[STATUS]), [Rule::StoredQueryMissingParameter]);
    assert_eq!(rules("FindDocuments", &[]), [Rule::StoredQueryMissingParameter; 2]);
    let wrong = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Approved";
    assert_eq!(
        rules("FindDocuments", &[PATIENT, ("$XDSDocumentEntryStatus", &[wrong])]),
        [Rule::StoredQueryMissingParameter]
    );
    assert!(ask("FindDocuments", &[PATIENT, ("$XDSDocumentEntryStatus", &[wrong, DEPRECATED])]).is_ok());
    let two = ("$XDSDocumentEntryPatientId", ["1^^^&1.2&ISO", "2^^^&1.2&ISO"]);
    assert_eq!(rules("FindDocuments", &[(two.0, &two.1), STATUS]), [Rule::StoredQueryParameter]);
    assert_eq!(rules("GetDocuments", &[]), [Rule::StoredQueryMissingParameter]);
    assert_eq!(
        rules(
            "GetDocuments",
            &[("$XDSDocumentEntryUniqueId", &["1.2"]), ("$XDSDocumentEntryEntryUUID", &["urn:uuid:x"])]
        ),
        [Rule::StoredQueryParameter]
    );
    assert_eq!(rules("FindDocumentsByReferenceId", &[PATIENT, STATUS]), [Rule::StoredQueryMissingParameter]);
}

#[test]
fn several_patients_are_asked_for_together_or_by_what_narrows_all() {
    let name = "FindDocumentsForMultiplePatients";
    let event = ("$XDSDocumentEntryEventCodeList", ["e^^1.2"]);
    assert_eq!(rules(name, &[STATUS]), [Rule::StoredQueryMissingParameter]);
    assert!(filters(name, &[STATUS, (event.0, &event.1)])[0].patients.is_empty());
    let two = ("$XDSDocumentEntryPatientId", ["1^^^&1.2&ISO", "2^^^&1.2&ISO"]);
    assert_eq!(filters(name, &[STATUS, (two.0, &two.1)])[0].patients[0].len(), 2);
    assert_eq!(
        rules("FindFoldersForMultiplePatients", &[("$XDSFolderStatus", &[APPROVED])]),
        [Rule::StoredQueryMissingParameter]
    );
}

#[test]
fn a_stretch_of_time_holds_its_beginning_and_not_its_end() {
    let found = filters(
        "FindDocuments",
        &[
            PATIENT,
            STATUS,
            ("$XDSDocumentEntryCreationTimeFrom", &["20041224"]),
            ("$XDSDocumentEntryCreationTimeTo", &["2005"]),
            ("$XDSDocumentEntryServiceStartTimeFrom", &["2005"]),
            ("$XDSDocumentEntryServiceStopTimeTo", &["20050101000000"]),
        ],
    );
    const DAY: i64 = 86_400_000_000;
    let (eve, year) = (12_776 * DAY, 12_784 * DAY);
    let said: Vec<_> = found[0].all[1..5]
        .iter()
        .map(|clause| (clause.attribute, clause.negated, clause.any.clone()))
        .collect();
    assert_eq!(
        said,
        [
            (Attribute::CreationTime, false, vec![Test::Moment(Moment::EndsAfterOrWithin(eve, eve + DAY))]),
            (Attribute::CreationTime, false, vec![Test::Moment(Moment::BeginsBefore(year))]),
            (Attribute::ServiceStart, true, vec![Test::Moment(Moment::EndsBy(year))]),
            (Attribute::ServiceStop, true, vec![Test::Moment(Moment::BeginsFrom(year))]),
        ]
    );
    for wrong in ["200413", "2004-12-24", "today", "", "20041232"] {
        let given = ("$XDSDocumentEntryCreationTimeFrom", [wrong]);
        assert_eq!(
            rules("FindDocuments", &[PATIENT, STATUS, (given.0, &given.1)]),
            [Rule::StoredQueryParameter],
            "{wrong}"
        );
    }
}

#[test]
fn a_creation_time_leaves_no_on_demand_entry_out() {
    let created = ("$XDSDocumentEntryCreationTimeFrom", ["2004"]);
    let of = |kinds: &[&str]| {
        filters(
            "FindDocuments",
            &[PATIENT, STATUS, (created.0, &created.1), ("$XDSDocumentEntryType", kinds)],
        )
    };
    let timed = |filter: &Filter| filter.all.iter().any(|clause| clause.attribute == Attribute::CreationTime);
    let both = of(&[STABLE, ON_DEMAND]);
    assert_eq!(both.iter().map(timed).collect::<Vec<_>>(), [true, false]);
    assert!(both[0].all.contains(&yes(Attribute::OnDemand, true)));
    assert!(both[1].all.contains(&yes(Attribute::OnDemand, false)));
    assert_eq!(of(&[ON_DEMAND]).iter().map(timed).collect::<Vec<_>>(), [false]);
    assert_eq!(of(&[STABLE]).len(), 1);
    let both = filters("FindDocuments", &[PATIENT, STATUS, ("$XDSDocumentEntryType", &[STABLE, ON_DEMAND])]);
    assert_eq!(both[0].all.len(), 1, "both kinds are all there are");
    assert_eq!(value::entry_kind(STABLE), Some(EntryKind::Stable));
}

#[test]
fn sets_and_folders_are_asked_for_by_what_they_have() {
    let of_sets = filters(
        "FindSubmissionSets",
        &[
            ("$XDSSubmissionSetPatientId", &["7^^^&1.2&ISO"]),
            ("$XDSSubmissionSetStatus", &[APPROVED]),
            ("$XDSSubmissionSetSourceId", &["1.3.6.1"]),
            ("$XDSSubmissionSetAuthorPerson", &["%Dopplemeyer%"]),
            ("$XDSSubmissionSetSubmissionTimeTo", &["200501"]),
        ],
    );
    let attributes: Vec<Attribute> = of_sets[0].all.iter().map(|clause| clause.attribute).collect();
    assert_eq!(
        attributes,
        [
            Attribute::ListKind,
            Attribute::AvailabilityStatus,
            Attribute::SourceId,
            Attribute::AuthorPerson,
            Attribute::Date
        ]
    );
    assert_eq!(of_sets[0].all[3].any, [Test::Like("%Dopplemeyer%".into())]);
}

#[test]
fn a_question_for_everything_is_three_questions() {
    let asked = ask(
        "GetAll",
        &[
            ("$patientId", &["7^^^&1.2&ISO"]),
            ("$XDSDocumentEntryStatus", &[APPROVED, DEPRECATED]),
            ("$XDSSubmissionSetStatus", &[APPROVED]),
            ("$XDSFolderStatus", &[APPROVED]),
            ("$XDSDocumentEntryFormatCode", &["f^^1.2"]),
        ],
    )
    .unwrap();
    let Question::All { documents, submission_sets, folders } = asked.question else { panic!("GetAll") };
    assert_eq!((documents.all.len(), submission_sets.all.len(), folders.all.len()), (3, 2, 2));
    assert_eq!(documents.all[0].any.len(), 2);
    assert_eq!(documents.patients, folders.patients);
    assert_eq!(asked.association_status, [Availability::Approved]);
}

#[test]
fn what_is_no_uuid_names_nothing() {
    let asked = ask(
        "GetAssociations",
        &[("$uuid", &["Document01", "urn:uuid:7EDCA82F-054d-47f2-a032-9b2a5b5186c1"])],
    );
    let Question::Associations(of) = asked.unwrap().question else { panic!("associations") };
    assert_eq!(of.len(), 1);
}

#[test]
fn versions_are_told_apart_where_the_caller_says_so() {
    let level = |value: &str| {
        ask("GetFolders", &[("$XDSFolderUniqueId", &["1.2"]), ("$MetadataLevel", &[value])])
            .map(|asked| asked.level)
            .map_err(|refused| refused[0].rule)
    };
    assert_eq!(level("2"), Ok(MetadataLevel::Versions));
    assert_eq!(level("1"), Ok(MetadataLevel::Newest));
    assert_eq!(level("3"), Err(Rule::StoredQueryParameter));
}

#[test]
fn too_much_at_once_is_refused_by_its_limit() {
    let many: Vec<&str> = vec!["urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"; 21];
    assert_eq!(rules("GetDocuments", &[("$XDSDocumentEntryEntryUUID", &many)]), [Rule::StoredQueryTooCostly]);
    let long = "x".repeat(201);
    assert_eq!(
        rules("GetDocuments", &[("$XDSDocumentEntryUniqueId", &[&long])]),
        [Rule::StoredQueryTooCostly]
    );
    assert_eq!(Rule::StoredQueryTooCostly.row().xds, Some("XDSRegistryOutOfResources"));
}

#[test]
fn a_patient_is_not_told_in_an_error() {
    let kinds = ask("FindDocuments", &[PATIENT, STATUS, ("$XDSDocumentEntryType", &["urn:uuid:x"])]);
    assert!(kinds.unwrap_err()[0].text.contains("on-demand"));
    let hostile = ask("FindDocuments", &[("$XDSDocumentEntryPatientId", &["x' OR '1'='1"]), STATUS]).unwrap();
    let Question::Find(found) = hostile.question else { panic!("documents") };
    assert_eq!(
        found[0].patients[0],
        [PatientIs::Identifier { system: Some(String::new()), value: "x' OR '1'='1".into() }]
    );
}
