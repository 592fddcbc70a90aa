//! The same question in both languages is the same question: a search in FHIR and a stored query become an equal `Filter`.

use ebxml::iti18::{self, Returns};
use ebxml::reader;
use fhir::search::{Here, Limits};
use xds::filter::Filter;
use xds::query::{self, Question};

const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
const STABLE: &str = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";
const ON_DEMAND: &str = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";

/// A parameter with its values.
type Given<'a> = (&'a str, &'a [&'a str]);

/// A search of documents in FHIR, and what is asked beside patient and status in the other language. Both kinds of entries are asked
/// for: a search in FHIR leaves neither out.
const DOCUMENTS: &[(&str, &[Given<'_>])] = &[
    ("status=current", &[("$XDSDocumentEntryStatus", &[APPROVED])]),
    ("status=current,superseded", &[("$XDSDocumentEntryStatus", &[APPROVED, DEPRECATED])]),
    (
        "status=superseded&category=urn:oid:1.2.3|a,http://loinc.org|b",
        &[
            ("$XDSDocumentEntryStatus", &[DEPRECATED]),
            ("$XDSDocumentEntryClassCode", &["a^^1.2.3", "b^^2.16.840.1.113883.6.1"]),
        ],
    ),
    (
        "status=current&type=http://loinc.org|60591-5",
        &[
            ("$XDSDocumentEntryStatus", &[APPROVED]),
            ("$XDSDocumentEntryTypeCode", &["60591-5^^2.16.840.1.113883.6.1"]),
        ],
    ),
    (
        "status=current&type=60591-5",
        &[("$XDSDocumentEntryStatus", &[APPROVED]), ("$XDSDocumentEntryTypeCode", &["60591-5"])],
    ),
    (
        "status=current&setting=urn:oid:1.2|s&facility=urn:oid:1.2|f&format=urn:oid:1.3.6.1.4.1.19376.1.2.3|x",
        &[
            ("$XDSDocumentEntryStatus", &[APPROVED]),
            ("$XDSDocumentEntryPracticeSettingCode", &["s^^1.2"]),
            ("$XDSDocumentEntryHealthcareFacilityTypeCode", &["f^^1.2"]),
            ("$XDSDocumentEntryFormatCode", &["x^^1.3.6.1.4.1.19376.1.2.3"]),
        ],
    ),
    (
        "status=current&event=urn:oid:1.2|a,urn:oid:1.2|b&event=urn:oid:1.2|c&security-label=urn:oid:2.16.840.1.113883.5.25|R",
        &[
            ("$XDSDocumentEntryStatus", &[APPROVED]),
            ("$XDSDocumentEntryEventCodeList", &["a^^1.2", "b^^1.2"]),
            ("$XDSDocumentEntryEventCodeList", &["c^^1.2"]),
            ("$XDSDocumentEntryConfidentialityCode", &["R^^2.16.840.1.113883.5.25"]),
        ],
    ),
];

/// The same of documents by when they were made, stable ones alone: on-demand entries have no creationTime.
const CREATED: &[(&str, &[Given<'_>])] = &[
    (
        "status=current&creation=ge2004-12-24&creation=lt2005",
        &[
            ("$XDSDocumentEntryStatus", &[APPROVED]),
            ("$XDSDocumentEntryCreationTimeFrom", &["20041224"]),
            ("$XDSDocumentEntryCreationTimeTo", &["2005"]),
        ],
    ),
    (
        "status=current&creation=ge2004-12-24T23:50:11Z",
        &[
            ("$XDSDocumentEntryStatus", &[APPROVED]),
            ("$XDSDocumentEntryCreationTimeFrom", &["20041224235011"]),
        ],
    ),
];

/// The same of lists.
const LISTS: &[(&str, &str, &[Given<'_>])] = &[
    (
        "code=submissionset&status=current&date=ge2004-12&date=lt2005-01&sourceId=urn:oid:1.3.6.1.4",
        "FindSubmissionSets",
        &[
            ("$XDSSubmissionSetPatientId", &["7^^^&1.2.3&ISO"]),
            ("$XDSSubmissionSetStatus", &[APPROVED]),
            ("$XDSSubmissionSetSubmissionTimeFrom", &["200412"]),
            ("$XDSSubmissionSetSubmissionTimeTo", &["200501"]),
            ("$XDSSubmissionSetSourceId", &["1.3.6.1.4"]),
        ],
    ),
    (
        "code=submissionset&status=current&designationType=http://snomed.info/sct|225728007",
        "FindSubmissionSets",
        &[
            ("$XDSSubmissionSetPatientId", &["7^^^&1.2.3&ISO"]),
            ("$XDSSubmissionSetStatus", &[APPROVED]),
            ("$XDSSubmissionSetContentType", &["225728007^^2.16.840.1.113883.6.96"]),
        ],
    ),
    (
        "code=folder&status=current&date=ge2001&designationType=urn:oid:1.2|a&designationType=urn:oid:1.2|b",
        "FindFolders",
        &[
            ("$XDSFolderPatientId", &["7^^^&1.2.3&ISO"]),
            ("$XDSFolderStatus", &[APPROVED]),
            ("$XDSFolderLastUpdateTimeFrom", &["2001"]),
            ("$XDSFolderCodeList", &["a^^1.2"]),
            ("$XDSFolderCodeList", &["b^^1.2"]),
        ],
    ),
];

fn of_fhir(resource: &str, parameters: &str) -> Filter {
    let here = Here { own: &[], home_community: None, zone: &jiff::tz::TimeZone::UTC };
    let limits = Limits { parameters: 64, values: 100, value_bytes: 1024, count: 1000 };
    let query = format!("patient.identifier=urn:oid:1.2.3%7C7&{}", parameters.replace('|', "%7C"));
    let search = match resource {
        "DocumentReference" => fhir::iti67::read_request(&query, None, None, here, &limits),
        _ => fhir::iti66::read_request(&query, None, None, here, &limits),
    };
    search.unwrap_or_else(|refused| panic!("{query}: {refused:?}")).filter
}

/// Over the wire and back.
fn of_xds(name: &str, given: &[Given<'_>]) -> Filter {
    let query = query::by_name(name).expect("a query of the framework");
    let given: Vec<(&str, Vec<String>)> = given
        .iter()
        .map(|(name, values)| (*name, values.iter().map(|one| (*one).to_owned()).collect()))
        .collect();
    let xml = iti18::write_request(query, &given, Returns::Objects, None);
    let element = reader::read(&xml, &reader::Limits::default()).expect("XML");
    let request = iti18::read_request(&element, query.transaction).expect("a query");
    let limits = query::Limits { values: 1000, value_bytes: 1024 };
    let asked = request.query.read(&request.given, &limits).expect("a sound query");
    let Question::Find(mut filters) = asked.question else { panic!("{name} is a question") };
    assert_eq!(filters.len(), 1, "{name}");
    filters.remove(0)
}

#[test]
fn documents_are_asked_for_alike_in_both_languages() {
    let patient: Given<'_> = ("$XDSDocumentEntryPatientId", &["7^^^&1.2.3&ISO"]);
    let kinds: Given<'_> = ("$XDSDocumentEntryType", &[STABLE, ON_DEMAND]);
    for (search, given) in DOCUMENTS {
        let asked = of_xds("FindDocuments", &[&[patient], *given, &[kinds]].concat());
        assert_eq!(asked, of_fhir("DocumentReference", search), "{search}");
    }
    for (search, given) in CREATED {
        let mut asked = of_xds("FindDocuments", &[&[patient], *given].concat());
        let stable = asked.all.pop().expect("stable entries alone");
        assert_eq!((stable.attribute, stable.negated), (xds::Attribute::OnDemand, true));
        assert_eq!(asked, of_fhir("DocumentReference", search), "{search}");
    }
}

#[test]
fn sets_and_folders_are_asked_for_alike_in_both_languages() {
    for (search, name, given) in LISTS {
        assert_eq!(of_xds(name, given), of_fhir("List", search), "{search}");
    }
}

#[test]
fn the_open_ends_of_a_service_are_open_in_stored_queries_alone() {
    // In FHIR a document without service times is not found by `period`; in XDS it is not left out.
    let given: &[Given<'_>] = &[
        ("$XDSDocumentEntryPatientId", &["7^^^&1.2.3&ISO"]),
        ("$XDSDocumentEntryStatus", &[APPROVED]),
        ("$XDSDocumentEntryServiceStartTimeTo", &["2005"]),
    ];
    let asked = of_xds("FindDocuments", given);
    assert!(asked.all.iter().any(|one| one.attribute == xds::Attribute::ServiceStart && one.negated));
    let searched = of_fhir("DocumentReference", "status=current&period=lt2005");
    assert!(searched.all.iter().all(|one| !one.negated));
}
