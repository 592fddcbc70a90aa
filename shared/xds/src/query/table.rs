//! The stored queries, each with its parameters (TF-2 3.18.4.1.2.3.7, 3.51.4.1.2.3). A new one is a row here.

use super::{Kind, Means, Object, Parameter, StoredQuery, Takes};
use crate::Attribute;

const fn one(name: &'static str, means: Means, documentation: &'static str) -> Parameter {
    Parameter { name, means, takes: Takes::One, required: false, documentation }
}

const fn any(name: &'static str, means: Means, documentation: &'static str) -> Parameter {
    Parameter { name, means, takes: Takes::Any, required: false, documentation }
}

const fn all_of_any(name: &'static str, means: Means, documentation: &'static str) -> Parameter {
    Parameter { name, means, takes: Takes::AllOfAny, required: false, documentation }
}

impl Parameter {
    const fn required(mut self) -> Parameter {
        self.required = true;
        self
    }
}

const DOCUMENT_PATIENT: Parameter =
    one("$XDSDocumentEntryPatientId", Means::Patient, "Whose documents.").required();
const DOCUMENT_STATUS: Parameter =
    any("$XDSDocumentEntryStatus", Means::Status(Object::Document), "availabilityStatus of the documents.")
        .required();
const CLASS: Parameter = any("$XDSDocumentEntryClassCode", Means::Code(Attribute::ClassCode), "classCode.");
const TYPE: Parameter = any("$XDSDocumentEntryTypeCode", Means::Code(Attribute::TypeCode), "typeCode.");
const PRACTICE_SETTING: Parameter = any(
    "$XDSDocumentEntryPracticeSettingCode",
    Means::Code(Attribute::PracticeSettingCode),
    "practiceSettingCode.",
);
const CREATED_FROM: Parameter = one(
    "$XDSDocumentEntryCreationTimeFrom",
    Means::From(Attribute::CreationTime),
    "creationTime at this time or later; on-demand entries have none, and are not left out.",
);
const CREATED_TO: Parameter = one(
    "$XDSDocumentEntryCreationTimeTo",
    Means::To(Attribute::CreationTime),
    "creationTime before this time; on-demand entries have none, and are not left out.",
);
const START_FROM: Parameter = one(
    "$XDSDocumentEntryServiceStartTimeFrom",
    Means::From(Attribute::ServiceStart),
    "serviceStartTime at this time or later, or not given.",
);
const START_TO: Parameter = one(
    "$XDSDocumentEntryServiceStartTimeTo",
    Means::To(Attribute::ServiceStart),
    "serviceStartTime before this time, or not given.",
);
const STOP_FROM: Parameter = one(
    "$XDSDocumentEntryServiceStopTimeFrom",
    Means::From(Attribute::ServiceStop),
    "serviceStopTime at this time or later, or not given.",
);
const STOP_TO: Parameter = one(
    "$XDSDocumentEntryServiceStopTimeTo",
    Means::To(Attribute::ServiceStop),
    "serviceStopTime before this time, or not given.",
);
const FACILITY: Parameter = any(
    "$XDSDocumentEntryHealthcareFacilityTypeCode",
    Means::Code(Attribute::HealthcareFacilityTypeCode),
    "healthcareFacilityTypeCode.",
);
const EVENT: Parameter =
    all_of_any("$XDSDocumentEntryEventCodeList", Means::Code(Attribute::EventCode), "eventCodeList.");
const CONFIDENTIALITY: Parameter = all_of_any(
    "$XDSDocumentEntryConfidentialityCode",
    Means::Code(Attribute::ConfidentialityCode),
    "confidentialityCode.",
);
const AUTHOR: Parameter = any(
    "$XDSDocumentEntryAuthorPerson",
    Means::Like(Attribute::AuthorPerson),
    "authorPerson, as it is kept.",
);
const FORMAT: Parameter =
    any("$XDSDocumentEntryFormatCode", Means::Code(Attribute::FormatCode), "formatCode.");
const ENTRY_TYPE: Parameter =
    any("$XDSDocumentEntryType", Means::EntryType, "objectType; stable entries alone where it is not given.");
const ONLINE: Parameter =
    any("$XDSDocumentEntryDocumentAvailability", Means::Online, "documentAvailability.");
const REFERENCE: Parameter = all_of_any(
    "$XDSDocumentEntryReferenceIdList",
    Means::Text(Attribute::ReferenceIdList),
    "An identifier of referenceIdList, as it is kept.",
)
.required();
const LEVEL: Parameter = one(
    "$MetadataLevel",
    Means::MetadataLevel,
    "1: of what is named by uniqueId the newest version; 2: every version.",
);
const COMMUNITIES: Parameter =
    any("$targetCommunityIdList", Means::Community, "homeCommunityId of the communities that are asked.");

const SET_PATIENT: Parameter =
    one("$XDSSubmissionSetPatientId", Means::Patient, "Whose submission sets.").required();
const SET_STATUS: Parameter = any(
    "$XDSSubmissionSetStatus",
    Means::Status(Object::SubmissionSet),
    "availabilityStatus of the submission sets, which is always Approved.",
)
.required();
const SET_SOURCE: Parameter = any("$XDSSubmissionSetSourceId", Means::Oid(Attribute::SourceId), "sourceId.");
const SUBMITTED_FROM: Parameter = one(
    "$XDSSubmissionSetSubmissionTimeFrom",
    Means::From(Attribute::Date),
    "submissionTime at this time or later.",
);
const SUBMITTED_TO: Parameter =
    one("$XDSSubmissionSetSubmissionTimeTo", Means::To(Attribute::Date), "submissionTime before this time.");
const SET_AUTHOR: Parameter = one(
    "$XDSSubmissionSetAuthorPerson",
    Means::Like(Attribute::AuthorPerson),
    "authorPerson, as it is kept.",
);
const CONTENT_TYPE: Parameter =
    any("$XDSSubmissionSetContentType", Means::Code(Attribute::DesignationType), "contentTypeCode.");

const FOLDER_PATIENT: Parameter = one("$XDSFolderPatientId", Means::Patient, "Whose folders.").required();
const FOLDER_STATUS: Parameter =
    any("$XDSFolderStatus", Means::Status(Object::Folder), "availabilityStatus of the folders.").required();
const UPDATED_FROM: Parameter = one(
    "$XDSFolderLastUpdateTimeFrom",
    Means::From(Attribute::Date),
    "lastUpdateTime at this time or later.",
);
const UPDATED_TO: Parameter =
    one("$XDSFolderLastUpdateTimeTo", Means::To(Attribute::Date), "lastUpdateTime before this time.");
const FOLDER_CODE: Parameter =
    all_of_any("$XDSFolderCodeList", Means::Code(Attribute::DesignationType), "codeList.");

const DOCUMENT_UUIDS: Parameter =
    any("$XDSDocumentEntryEntryUUID", Means::EntryUuid, "entryUUID of the documents.");
const DOCUMENT_IDS: Parameter =
    any("$XDSDocumentEntryUniqueId", Means::UniqueId, "uniqueId of the documents.");
const DOCUMENT_LIDS: Parameter =
    any("$XDSDocumentEntryLogicalID", Means::LogicalId, "logicalID of the documents: every version.");
const DOCUMENT_UUID: Parameter =
    one("$XDSDocumentEntryEntryUUID", Means::EntryUuid, "entryUUID of the document.");
const DOCUMENT_ID: Parameter = one("$XDSDocumentEntryUniqueId", Means::UniqueId, "uniqueId of the document.");
const FOLDER_UUIDS: Parameter = any("$XDSFolderEntryUUID", Means::EntryUuid, "entryUUID of the folders.");
const FOLDER_IDS: Parameter = any("$XDSFolderUniqueId", Means::UniqueId, "uniqueId of the folders.");
const FOLDER_LIDS: Parameter =
    any("$XDSFolderLogicalID", Means::LogicalId, "logicalID of the folders: every version.");
const FOLDER_UUID: Parameter = one("$XDSFolderEntryUUID", Means::EntryUuid, "entryUUID of the folder.");
const FOLDER_ID: Parameter = one("$XDSFolderUniqueId", Means::UniqueId, "uniqueId of the folder.");
const SET_UUID: Parameter =
    one("$XDSSubmissionSetEntryUUID", Means::EntryUuid, "entryUUID of the submission set.");
const SET_ID: Parameter =
    one("$XDSSubmissionSetUniqueId", Means::UniqueId, "uniqueId of the submission set.");
const UUIDS: Parameter = any("$uuid", Means::EntryUuid, "entryUUID of the objects.").required();
const RELATIONS: Parameter =
    any("$AssociationTypes", Means::AssociationTypes, "The relations that count.").required();
const ASSOCIATION_STATUS: Parameter = any(
    "$XDSAssociationStatus",
    Means::Status(Object::Association),
    "availabilityStatus of the associations; Approved where it is not given.",
);

const fn query(
    id: &'static str,
    name: &'static str,
    kind: Kind,
    purpose: &'static str,
    parameters: &'static [Parameter],
) -> StoredQuery {
    StoredQuery { id, name, transaction: "ITI-18", purpose, parameters, one_of: &[], kind }
}

/// Every stored query there is.
pub static TABLE: &[StoredQuery] = &[
    query(
        "urn:uuid:14d4debf-8f97-4251-9a74-a90016b0af0d",
        "FindDocuments",
        Kind::Find(Object::Document),
        "The documents of a patient of whom all of this holds.",
        &[
            DOCUMENT_PATIENT,
            DOCUMENT_STATUS,
            CLASS,
            TYPE,
            PRACTICE_SETTING,
            CREATED_FROM,
            CREATED_TO,
            START_FROM,
            START_TO,
            STOP_FROM,
            STOP_TO,
            FACILITY,
            EVENT,
            CONFIDENTIALITY,
            AUTHOR,
            FORMAT,
            ENTRY_TYPE,
            ONLINE,
            LEVEL,
            COMMUNITIES,
        ],
    ),
    query(
        "urn:uuid:12941a89-e02e-4be5-967c-ce4bfc8fe492",
        "FindDocumentsByReferenceId",
        Kind::Find(Object::Document),
        "The same, of documents that have an identifier in their referenceIdList.",
        &[
            DOCUMENT_PATIENT,
            REFERENCE,
            DOCUMENT_STATUS,
            CLASS,
            TYPE,
            PRACTICE_SETTING,
            CREATED_FROM,
            CREATED_TO,
            START_FROM,
            START_TO,
            STOP_FROM,
            STOP_TO,
            FACILITY,
            EVENT,
            CONFIDENTIALITY,
            AUTHOR,
            FORMAT,
            ENTRY_TYPE,
            ONLINE,
            LEVEL,
            COMMUNITIES,
        ],
    ),
    query(
        "urn:uuid:f26abbcb-ac74-4422-8a30-edb644bbc1a9",
        "FindSubmissionSets",
        Kind::Find(Object::SubmissionSet),
        "The submission sets of a patient of whom all of this holds.",
        &[
            SET_PATIENT,
            SET_STATUS,
            SET_SOURCE,
            SUBMITTED_FROM,
            SUBMITTED_TO,
            SET_AUTHOR,
            CONTENT_TYPE,
            LEVEL,
            COMMUNITIES,
        ],
    ),
    query(
        "urn:uuid:958f3006-baad-4929-a4de-ff1114824431",
        "FindFolders",
        Kind::Find(Object::Folder),
        "The folders of a patient of whom all of this holds.",
        &[FOLDER_PATIENT, FOLDER_STATUS, UPDATED_FROM, UPDATED_TO, FOLDER_CODE, LEVEL, COMMUNITIES],
    ),
    query(
        "urn:uuid:10b545ea-725c-446d-9b95-8aeb444eddf3",
        "GetAll",
        Kind::All,
        "Submission sets, documents and folders of a patient, and each association that touches one of them.",
        &[
            one("$patientId", Means::Patient, "Whose.").required(),
            DOCUMENT_STATUS,
            SET_STATUS,
            FOLDER_STATUS,
            FORMAT,
            CONFIDENTIALITY,
            ENTRY_TYPE,
            ASSOCIATION_STATUS,
            LEVEL,
            COMMUNITIES,
        ],
    ),
    query(
        "urn:uuid:5c4f972b-d56b-40ac-a5fc-c8ca9b40b9d4",
        "GetDocuments",
        Kind::Documents { associations: false },
        "Documents by their ids, whatever their status.",
        &[DOCUMENT_UUIDS, DOCUMENT_IDS, DOCUMENT_LIDS, LEVEL],
    ),
    query(
        "urn:uuid:5737b14c-8a1a-4539-b659-e03a34a5e1e4",
        "GetFolders",
        Kind::Folders,
        "Folders by their ids, whatever their status.",
        &[FOLDER_UUIDS, FOLDER_IDS, FOLDER_LIDS, LEVEL],
    ),
    query(
        "urn:uuid:a7ae438b-4bc2-4642-93e9-be891f7bb155",
        "GetAssociations",
        Kind::Associations,
        "The associations that one of these objects is an end of.",
        &[UUIDS, ASSOCIATION_STATUS, LEVEL],
    ),
    query(
        "urn:uuid:bab9529a-4a10-40b3-a01f-f68a615d247a",
        "GetDocumentsAndAssociations",
        Kind::Documents { associations: true },
        "Documents by their ids, and each association that touches one of them.",
        &[DOCUMENT_UUIDS, DOCUMENT_IDS, DOCUMENT_LIDS, ASSOCIATION_STATUS, LEVEL],
    ),
    query(
        "urn:uuid:51224314-5390-4169-9b91-b1980040715a",
        "GetSubmissionSets",
        Kind::SubmissionSets,
        "The submission sets that these documents and folders are members of, with those memberships.",
        &[UUIDS, ASSOCIATION_STATUS, LEVEL],
    ),
    query(
        "urn:uuid:e8e3cb2c-e39c-46b9-99e4-c12f57260b83",
        "GetSubmissionSetAndContents",
        Kind::SubmissionSetAndContents,
        "A submission set with its documents, folders and memberships.",
        &[SET_UUID, SET_ID, FORMAT, CONFIDENTIALITY, ENTRY_TYPE, ASSOCIATION_STATUS, LEVEL],
    ),
    query(
        "urn:uuid:b909a503-523d-4517-8acf-8e5834dfc4c7",
        "GetFolderAndContents",
        Kind::FolderAndContents,
        "A folder with its documents and memberships.",
        &[FOLDER_UUID, FOLDER_ID, FORMAT, CONFIDENTIALITY, ENTRY_TYPE, ASSOCIATION_STATUS, LEVEL],
    ),
    query(
        "urn:uuid:10cae35a-c7f9-4cf5-b61e-fc3278ffb578",
        "GetFoldersForDocument",
        Kind::FoldersForDocument,
        "The folders a document is in.",
        &[DOCUMENT_UUID, DOCUMENT_ID, ASSOCIATION_STATUS, LEVEL],
    ),
    query(
        "urn:uuid:d90e5407-b356-4d91-a89f-873917b4b0e6",
        "GetRelatedDocuments",
        Kind::RelatedDocuments,
        "The documents a document has a relation to, whichever way it points, with the associations that say so.",
        &[DOCUMENT_UUID, DOCUMENT_ID, RELATIONS, ENTRY_TYPE, ASSOCIATION_STATUS, LEVEL],
    ),
    StoredQuery {
        id: "urn:uuid:3d1bdb10-39a2-11de-89c2-2f44d94eaa9f",
        name: "FindDocumentsForMultiplePatients",
        transaction: "ITI-51",
        purpose: "The documents of these patients, or of all, of whom all of this holds.",
        parameters: &[
            any(
                "$XDSDocumentEntryPatientId",
                Means::Patient,
                "Whose documents; all patients where it is not given.",
            ),
            DOCUMENT_STATUS,
            CLASS,
            TYPE,
            PRACTICE_SETTING,
            CREATED_FROM,
            CREATED_TO,
            START_FROM,
            START_TO,
            STOP_FROM,
            STOP_TO,
            FACILITY,
            EVENT,
            CONFIDENTIALITY,
            AUTHOR,
            FORMAT,
            ENTRY_TYPE,
            ONLINE,
            LEVEL,
            COMMUNITIES,
        ],
        one_of: &[
            "$XDSDocumentEntryClassCode",
            "$XDSDocumentEntryEventCodeList",
            "$XDSDocumentEntryHealthcareFacilityTypeCode",
        ],
        kind: Kind::Find(Object::Document),
    },
    StoredQuery {
        id: "urn:uuid:50d3f5ac-39a2-11de-a1ca-b366239e58df",
        name: "FindFoldersForMultiplePatients",
        transaction: "ITI-51",
        purpose: "The folders of these patients, or of all, of whom all of this holds.",
        parameters: &[
            any("$XDSFolderPatientId", Means::Patient, "Whose folders; all patients where it is not given."),
            FOLDER_STATUS,
            UPDATED_FROM,
            UPDATED_TO,
            FOLDER_CODE,
            LEVEL,
            COMMUNITIES,
        ],
        one_of: &["$XDSFolderCodeList"],
        kind: Kind::Find(Object::Folder),
    },
];
