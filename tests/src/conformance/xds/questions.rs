//! The questions asked of the seed, with what has to come back.
//!
//! Documents: 1001 (2006, replaced by nobody), 2001 (2004, folder 2002), 3001 and 3002 (2005, folder 3003), 4001 (2006, replaced by 5001),
//! 5001 (2006). Sets: 1002, 2003, 3004, 4002, 5002.

/// One stored query with its parameters.
pub(super) struct Question {
    pub(super) name: &'static str,
    pub(super) query: &'static str,
    /// Asked by ITI-51 instead of ITI-18.
    pub(super) multiple: bool,
    pub(super) returns: &'static [&'static str],
    pub(super) parameters: &'static [(&'static str, &'static [&'static str])],
    pub(super) expected: Expected,
}

#[derive(Clone, Copy)]
pub(super) enum Expected {
    /// Documents, sets, folders, associations.
    Found(usize, usize, usize, usize),
    /// An error with this code, and no object.
    Refused(&'static str),
}

use Expected::{Found, Refused};

const BOTH: &[&str] = &["LeafClass", "ObjectRef"];
const LEAF: &[&str] = &["LeafClass"];
const REFERENCES: &[&str] = &["ObjectRef"];

const FIND_DOCUMENTS: &str = "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d";
const FIND_SETS: &str = "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9";
const FIND_FOLDERS: &str = "urn:uuid:958f3006-baad-4929-a4de-ff1114824431";
const GET_ALL: &str = "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3";
const GET_DOCUMENTS: &str = "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4";
const GET_FOLDERS: &str = "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4";
const GET_ASSOCIATIONS: &str = "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155";
const GET_DOCUMENTS_AND: &str = "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a";
const GET_SETS: &str = "urn:uuid:51224314-5390-4169-9b91-b1980040715a";
const GET_SET_AND: &str = "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83";
const GET_FOLDER_AND: &str = "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7";
const GET_FOLDERS_FOR: &str = "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578";
const GET_RELATED: &str = "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6";
const BY_REFERENCE: &str = "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492";
const OF_PATIENTS: &str = "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f";
const FOLDERS_OF_PATIENTS: &str = "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df";

const APPROVED: &[&str] = &["('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')"];
const DEPRECATED: &[&str] = &["('urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated')"];
const ANY: &[&str] = &[
    "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
    "('urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated')",
];
const PATIENT: (&str, &[&str]) = ("$XDSDocumentEntryPatientId", &["'$patient'"]);
const CURRENT: (&str, &[&str]) = ("$XDSDocumentEntryStatus", APPROVED);
const SETS_OF: (&str, &[&str]) = ("$XDSSubmissionSetPatientId", &["'$patient'"]);
const SETS_CURRENT: (&str, &[&str]) = ("$XDSSubmissionSetStatus", APPROVED);
const FOLDERS_OF: (&str, &[&str]) = ("$XDSFolderPatientId", &["'$patient'"]);
const FOLDERS_CURRENT: (&str, &[&str]) = ("$XDSFolderStatus", APPROVED);

type Parameters = &'static [(&'static str, &'static [&'static str])];

const fn ask(
    name: &'static str,
    query: &'static str,
    parameters: Parameters,
    expected: Expected,
) -> Question {
    Question { name, query, multiple: false, returns: BOTH, parameters, expected }
}

/// Asked for objects alone.
const fn leaf(
    name: &'static str,
    query: &'static str,
    parameters: Parameters,
    expected: Expected,
) -> Question {
    Question { name, query, multiple: false, returns: LEAF, parameters, expected }
}

const fn multiple(
    name: &'static str,
    query: &'static str,
    parameters: Parameters,
    expected: Expected,
) -> Question {
    Question { name, query, multiple: true, returns: BOTH, parameters, expected }
}

/// FindDocuments with one more parameter.
macro_rules! find {
    ($name:literal, $($parameter:literal: $values:expr),* => $count:literal) => {
        ask(
            $name,
            FIND_DOCUMENTS,
            &[PATIENT, CURRENT, $((concat!("$XDSDocumentEntry", $parameter), &$values)),*],
            Found($count, 0, 0, 0),
        )
    };
}

/// The same by references.
macro_rules! refer {
    ($name:literal, $($values:expr),* => $count:literal) => {
        ask(
            $name,
            BY_REFERENCE,
            &[PATIENT, CURRENT, $(("$XDSDocumentEntryReferenceIdList", &$values)),*],
            Found($count, 0, 0, 0),
        )
    };
}

pub(super) static QUESTIONS: &[Question] = &[
    find!("documents-approved", => 5),
    ask(
        "documents-deprecated",
        FIND_DOCUMENTS,
        &[PATIENT, ("$XDSDocumentEntryStatus", DEPRECATED)],
        Found(1, 0, 0, 0),
    ),
    ask(
        "documents-any-status",
        FIND_DOCUMENTS,
        &[PATIENT, ("$XDSDocumentEntryStatus", ANY)],
        Found(6, 0, 0, 0),
    ),
    ask(
        "documents-status-unknown-among-others",
        FIND_DOCUMENTS,
        &[
            PATIENT,
            (
                "$XDSDocumentEntryStatus",
                &["('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved','urn:x:Other')"],
            ),
        ],
        Found(5, 0, 0, 0),
    ),
    ask(
        "documents-status-unknown-alone",
        FIND_DOCUMENTS,
        &[PATIENT, ("$XDSDocumentEntryStatus", &["('urn:x:Other')"])],
        Refused("XDSStoredQueryMissingParam"),
    ),
    ask("documents-without-patient", FIND_DOCUMENTS, &[CURRENT], Refused("XDSStoredQueryMissingParam")),
    ask("documents-without-status", FIND_DOCUMENTS, &[PATIENT], Refused("XDSStoredQueryMissingParam")),
    ask(
        "documents-two-patients",
        FIND_DOCUMENTS,
        &[("$XDSDocumentEntryPatientId", &["'$patient'", "'$other'"]), CURRENT],
        Refused("XDSStoredQueryParamNumber"),
    ),
    ask(
        "documents-unknown-patient",
        FIND_DOCUMENTS,
        &[("$XDSDocumentEntryPatientId", &["'nobody^^^&1.2.3.4&ISO'"]), CURRENT],
        Found(0, 0, 0, 0),
    ),
    ask(
        "unknown-query",
        "urn:uuid:00000000-0000-0000-0000-000000000000",
        &[PATIENT],
        Refused("XDSUnknownStoredQuery"),
    ),
    find!("class-code", "ClassCode": ["('Communication^^dcm4che classCodes')"] => 1),
    find!("class-code-either", "ClassCode": ["('Communication^^dcm4che classCodes','Communication^^dcm4che classCodes 2')"] => 2),
    find!("class-code-split-list", "ClassCode": ["('Communication^^dcm4che classCodes')", "('Communication^^dcm4che classCodes 2')"] => 2),
    find!("class-code-other-scheme", "ClassCode": ["('Consult^^dcm4che classCodes 2')"] => 0),
    find!("type-code", "TypeCode": ["('34108-1^^dcm4che LOINC')"] => 5),
    find!("practice-setting", "PracticeSettingCode": ["('Dialysis^^dcm4che practiceSettingCodes')"] => 2),
    find!("practice-setting-other-scheme", "PracticeSettingCode": ["('Dialysis^^dcm4che practiceSettingCodes 2')"] => 1),
    find!("facility-type", "HealthcareFacilityTypeCode": ["('Outpatient^^dcm4che healthcareFacilityTypeCodes')"] => 2),
    find!("facility-type-other-scheme", "HealthcareFacilityTypeCode": ["('Outpatient^^dcm4che healthcareFacilityTypeCodes 2')"] => 1),
    find!("format-code", "FormatCode": ["('1.3.6.1.4.1.19376.1.5.3.1.1.2^^dcm4che formatCodes')"] => 1),
    find!("creation-from-is-inclusive", "CreationTimeFrom": ["20061224"] => 2),
    find!("creation-to-is-exclusive", "CreationTimeTo": ["20041224"] => 0),
    find!("creation-to-next-second", "CreationTimeTo": ["20041224000001"] => 1),
    find!("creation-between", "CreationTimeFrom": ["20051224"], "CreationTimeTo": ["20061224"] => 2),
    find!("creation-of-a-year", "CreationTimeFrom": ["2005"], "CreationTimeTo": ["2006"] => 2),
    // What was made on that day may have been made after one o'clock: as `ge` in FHIR says it.
    find!("creation-within-the-day", "CreationTimeFrom": ["2006122401"] => 2),
    find!("service-start-between", "ServiceStartTimeFrom": ["200512240800"], "ServiceStartTimeTo": ["200612230800"] => 2),
    find!("service-start-from", "ServiceStartTimeFrom": ["200612230800"] => 2),
    find!("service-stop-to-is-exclusive", "ServiceStopTimeTo": ["200612230900"] => 3),
    find!("service-stop-from", "ServiceStopTimeFrom": ["200612230900"] => 2),
    find!("service-times-and-setting", "ServiceStopTimeFrom": ["200612230900"], "PracticeSettingCode": ["('Dialysis^^dcm4che practiceSettingCodes')"] => 1),
    find!("event-codes-or", "EventCodeList": ["('T-62002^^dcm4che SNM3','Colonoscopy^^dcm4che eventCodeList')"] => 3),
    find!("event-codes-and", "EventCodeList": ["('T-62002^^dcm4che SNM3')"], "EventCodeList": ["('T-D4909^^dcm4che SNM3')"] => 1),
    find!("event-codes-and-of-ors", "EventCodeList": ["('T-D4909^^dcm4che SNM3','Colonoscopy^^dcm4che eventCodeList')"], "EventCodeList": ["('T-62002^^dcm4che SNM3','x^^y')"] => 1),
    find!("confidentiality-or", "ConfidentialityCode": ["('1.3.6.1.4.1.21367.2006.7.101^^dcm4che confidentialityCodes','1.3.6.1.4.1.21367.2006.7.103^^dcm4che confidentialityCodes')"] => 2),
    find!("confidentiality-and", "ConfidentialityCode": ["('1.3.6.1.4.1.21367.2006.7.101^^dcm4che confidentialityCodes')"], "ConfidentialityCode": ["('1.3.6.1.4.1.21367.2006.7.103^^dcm4che confidentialityCodes')"] => 0),
    find!("author-anywhere", "AuthorPerson": ["('%Ford%')"] => 1),
    find!("author-exact", "AuthorPerson": ["('^Ford^Sherry^^^')"] => 1),
    find!("author-one-character", "AuthorPerson": ["('^_ord^Sherry%')"] => 1),
    find!("author-either", "AuthorPerson": ["('%Ford%','%Smitty%')"] => 5),
    find!("author-nobody", "AuthorPerson": ["('Ford%')"] => 0),
    find!("type-stable", "Type": ["('urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1')"] => 5),
    find!("type-on-demand", "Type": ["('urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248')"] => 0),
    find!("type-both", "Type": ["('urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1','urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248')"] => 5),
    find!("quote-in-a-value", "AuthorPerson": ["('O''Neil%')"] => 0),
    ask(
        "quote-without-end",
        FIND_DOCUMENTS,
        &[PATIENT, CURRENT, ("$XDSDocumentEntryClassCode", &["('Consult^^dcm4che classCodes)"])],
        Refused("XDSStoredQueryParamNumber"),
    ),
    refer!("reference", ["('445566^^^&1.2.3.4.5.6&ISO^urn:ihe:iti:xds:2013:accession')"] => 2),
    refer!("reference-and", ["('445566^^^&1.2.3.4.5.6&ISO^urn:ihe:iti:xds:2013:accession')"], ["('1.2.3.12.78.99.1^^^^urn:ihe:iti:xds:2013:uniqueId')"] => 1),
    refer!("reference-or", ["('112233^^^&1.2.3.4.5.6&ISO^urn:ihe:iti:xds:2013:accession','1.2.3.12.78.99.2^^^^urn:ihe:iti:xds:2013:uniqueId')"] => 2),
    ask("reference-missing", BY_REFERENCE, &[PATIENT, CURRENT], Refused("XDSStoredQueryMissingParam")),
    ask("sets", FIND_SETS, &[SETS_OF, SETS_CURRENT], Found(0, 5, 0, 0)),
    ask(
        "sets-time-from",
        FIND_SETS,
        &[SETS_OF, SETS_CURRENT, ("$XDSSubmissionSetSubmissionTimeFrom", &["20041226235050"])],
        Found(0, 1, 0, 0),
    ),
    ask(
        "sets-time-to-is-exclusive",
        FIND_SETS,
        &[SETS_OF, SETS_CURRENT, ("$XDSSubmissionSetSubmissionTimeTo", &["20041225235050"])],
        Found(0, 0, 0, 0),
    ),
    ask(
        "sets-time-between",
        FIND_SETS,
        &[
            SETS_OF,
            SETS_CURRENT,
            ("$XDSSubmissionSetSubmissionTimeFrom", &["20041225235050"]),
            ("$XDSSubmissionSetSubmissionTimeTo", &["20041226235050"]),
        ],
        Found(0, 4, 0, 0),
    ),
    ask(
        "sets-source",
        FIND_SETS,
        &[SETS_OF, SETS_CURRENT, ("$XDSSubmissionSetSourceId", &["('1.3.6.1.4.1.21367.2008.1.2.178')"])],
        Found(0, 5, 0, 0),
    ),
    ask(
        "sets-other-source",
        FIND_SETS,
        &[SETS_OF, SETS_CURRENT, ("$XDSSubmissionSetSourceId", &["('1.3.6.1.4.1.21367.2008.1.2')"])],
        Found(0, 0, 0, 0),
    ),
    ask(
        "sets-author",
        FIND_SETS,
        &[SETS_OF, SETS_CURRENT, ("$XDSSubmissionSetAuthorPerson", &["'%Dopplemeyer%'"])],
        Found(0, 5, 0, 0),
    ),
    ask(
        "sets-content-type",
        FIND_SETS,
        &[
            SETS_OF,
            SETS_CURRENT,
            ("$XDSSubmissionSetContentType", &["('History and Physical^^dcm4che contentTypeCodes')"]),
        ],
        Found(0, 5, 0, 0),
    ),
    ask(
        "sets-content-type-other-scheme",
        FIND_SETS,
        &[SETS_OF, SETS_CURRENT, ("$XDSSubmissionSetContentType", &["('History and Physical^^dcm4che')"])],
        Found(0, 0, 0, 0),
    ),
    ask("folders", FIND_FOLDERS, &[FOLDERS_OF, FOLDERS_CURRENT], Found(0, 0, 2, 0)),
    ask(
        "folders-updated-since",
        FIND_FOLDERS,
        &[FOLDERS_OF, FOLDERS_CURRENT, ("$XDSFolderLastUpdateTimeFrom", &["20200101"])],
        Found(0, 0, 2, 0),
    ),
    ask(
        "folders-updated-before",
        FIND_FOLDERS,
        &[FOLDERS_OF, FOLDERS_CURRENT, ("$XDSFolderLastUpdateTimeTo", &["20200101"])],
        Found(0, 0, 0, 0),
    ),
    ask(
        "folders-code",
        FIND_FOLDERS,
        &[FOLDERS_OF, FOLDERS_CURRENT, ("$XDSFolderCodeList", &["('Referrals^^dcm4che folderCodeList')"])],
        Found(0, 0, 2, 0),
    ),
    ask(
        "folders-code-and",
        FIND_FOLDERS,
        &[
            FOLDERS_OF,
            FOLDERS_CURRENT,
            ("$XDSFolderCodeList", &["('Referrals^^dcm4che folderCodeList')"]),
            ("$XDSFolderCodeList", &["('Referrals^^another')"]),
        ],
        Found(0, 0, 0, 0),
    ),
    ask(
        "all",
        GET_ALL,
        &[("$patientId", &["'$patient'"]), CURRENT, SETS_CURRENT, FOLDERS_CURRENT],
        Found(5, 5, 2, 15),
    ),
    ask(
        "all-without-folder-status",
        GET_ALL,
        &[("$patientId", &["'$patient'"]), CURRENT, SETS_CURRENT],
        Refused("XDSStoredQueryMissingParam"),
    ),
    ask(
        "get-documents-by-uuid",
        GET_DOCUMENTS,
        &[("$XDSDocumentEntryEntryUUID", &["('$1001','$4001')"])],
        Found(2, 0, 0, 0),
    ),
    ask(
        "get-documents-by-unique-id",
        GET_DOCUMENTS,
        &[("$XDSDocumentEntryUniqueId", &["('$3001.uid')"])],
        Found(1, 0, 0, 0),
    ),
    ask(
        "get-documents-by-both",
        GET_DOCUMENTS,
        &[("$XDSDocumentEntryUniqueId", &["('$3001.uid')"]), ("$XDSDocumentEntryEntryUUID", &["('$1001')"])],
        Refused("XDSStoredQueryParamNumber"),
    ),
    ask("get-documents-by-nothing", GET_DOCUMENTS, &[], Refused("XDSStoredQueryMissingParam")),
    leaf(
        "get-documents-of-two-patients",
        GET_DOCUMENTS,
        &[("$XDSDocumentEntryEntryUUID", &["('$1001','$other.1001')"])],
        Refused("XDSResultNotSinglePatient"),
    ),
    Question {
        name: "get-documents-of-two-patients-by-reference",
        query: GET_DOCUMENTS,
        multiple: false,
        returns: REFERENCES,
        parameters: &[("$XDSDocumentEntryEntryUUID", &["('$1001','$other.1001')"])],
        expected: Found(2, 0, 0, 0),
    },
    ask(
        "get-folders-by-uuid",
        GET_FOLDERS,
        &[("$XDSFolderEntryUUID", &["('$2002','$3003')"])],
        Found(0, 0, 2, 0),
    ),
    ask(
        "get-folders-by-unique-id",
        GET_FOLDERS,
        &[("$XDSFolderUniqueId", &["('$3003.uid')"])],
        Found(0, 0, 1, 0),
    ),
    ask(
        "get-associations-of-a-replacement",
        GET_ASSOCIATIONS,
        &[("$uuid", &["('$5001')"])],
        Found(0, 0, 0, 2),
    ),
    ask("get-associations-in-a-folder", GET_ASSOCIATIONS, &[("$uuid", &["('$3001')"])], Found(0, 0, 0, 2)),
    ask("get-associations-of-a-set", GET_ASSOCIATIONS, &[("$uuid", &["('$3004')"])], Found(0, 0, 0, 5)),
    ask("get-associations-of-nothing", GET_ASSOCIATIONS, &[], Refused("XDSStoredQueryMissingParam")),
    ask(
        "get-documents-and-associations",
        GET_DOCUMENTS_AND,
        &[("$XDSDocumentEntryEntryUUID", &["('$3002')"])],
        Found(1, 0, 0, 2),
    ),
    ask("get-sets-of-a-document", GET_SETS, &[("$uuid", &["('$1001')"])], Found(0, 1, 0, 1)),
    ask("get-sets-of-document-and-folder", GET_SETS, &[("$uuid", &["('$3001','$3003')"])], Found(0, 1, 0, 2)),
    ask(
        "get-set-and-contents",
        GET_SET_AND,
        &[("$XDSSubmissionSetEntryUUID", &["'$3004'"])],
        Found(2, 1, 1, 7),
    ),
    ask(
        "get-set-and-contents-by-unique-id",
        GET_SET_AND,
        &[("$XDSSubmissionSetUniqueId", &["'$1002.uid'"])],
        Found(1, 1, 0, 1),
    ),
    ask(
        "get-set-and-contents-confidentiality",
        GET_SET_AND,
        &[
            ("$XDSSubmissionSetEntryUUID", &["'$3004'"]),
            (
                "$XDSDocumentEntryConfidentialityCode",
                &["('1.3.6.1.4.1.21367.2006.7.103^^dcm4che confidentialityCodes')"],
            ),
        ],
        Found(1, 1, 1, 4),
    ),
    ask(
        "get-folder-and-contents",
        GET_FOLDER_AND,
        &[("$XDSFolderEntryUUID", &["'$3003'"])],
        Found(2, 0, 1, 2),
    ),
    ask(
        "get-folder-and-contents-format",
        GET_FOLDER_AND,
        &[
            ("$XDSFolderUniqueId", &["'$3003.uid'"]),
            ("$XDSDocumentEntryFormatCode", &["('1.3.6.1.4.1.19376.1.5.3.1.1.2^^dcm4che formatCodes')"]),
        ],
        Found(1, 0, 1, 1),
    ),
    ask(
        "get-folders-for-document",
        GET_FOLDERS_FOR,
        &[("$XDSDocumentEntryEntryUUID", &["'$3001'"])],
        Found(0, 0, 1, 0),
    ),
    ask(
        "get-folders-for-document-in-none",
        GET_FOLDERS_FOR,
        &[("$XDSDocumentEntryUniqueId", &["'$1001.uid'"])],
        Found(0, 0, 0, 0),
    ),
    ask(
        "get-related",
        GET_RELATED,
        &[
            ("$XDSDocumentEntryEntryUUID", &["'$5001'"]),
            (
                "$AssociationTypes",
                &["('urn:ihe:iti:2007:AssociationType:RPLC','urn:ihe:iti:2007:AssociationType:APND')"],
            ),
        ],
        Found(2, 0, 0, 1),
    ),
    ask(
        "get-related-other-type",
        GET_RELATED,
        &[
            ("$XDSDocumentEntryEntryUUID", &["'$5001'"]),
            ("$AssociationTypes", &["('urn:ihe:iti:2007:AssociationType:APND')"]),
        ],
        Found(0, 0, 0, 0),
    ),
    ask(
        "get-related-without-types",
        GET_RELATED,
        &[("$XDSDocumentEntryEntryUUID", &["'$5001'"])],
        Refused("XDSStoredQueryMissingParam"),
    ),
    multiple(
        "patients-documents",
        OF_PATIENTS,
        &[("$XDSDocumentEntryPatientId", &["('$patient','$other')"]), CURRENT],
        Found(6, 0, 0, 0),
    ),
    multiple(
        "patients-documents-event",
        OF_PATIENTS,
        &[
            ("$XDSDocumentEntryPatientId", &["('$patient','$other')"]),
            CURRENT,
            ("$XDSDocumentEntryEventCodeList", &["('T-D4909^^dcm4che SNM3')"]),
        ],
        Found(2, 0, 0, 0),
    ),
    multiple(
        "patients-documents-one",
        OF_PATIENTS,
        &[("$XDSDocumentEntryPatientId", &["('$other')"]), CURRENT],
        Found(1, 0, 0, 0),
    ),
    multiple("patients-documents-nobody", OF_PATIENTS, &[CURRENT], Refused("XDSStoredQueryMissingParam")),
    multiple(
        "patients-folders",
        FOLDERS_OF_PATIENTS,
        &[("$XDSFolderPatientId", &["('$patient','$other')"]), FOLDERS_CURRENT],
        Found(0, 0, 2, 0),
    ),
];
