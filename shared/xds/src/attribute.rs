//! Every attribute an object can be found by, and which facts it gives for each: the one table of the search side.
//!
//! Facts are neutral: a name and a term, a stretch of time or a text. Whoever keeps records turns them into rows one to
//! one. What a question asks for is brought into the same form by the same functions ([`system`], [`identifier_value`],
//! [`fold`]), so that both sides always meet.

mod facts;
mod form;

pub use facts::{Person, of_document, of_entry_uuid, of_folder, of_patient, of_submission_set};
pub use form::{fold, identifier_value, system, url_of_oid};

/// An attribute that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// entryUUID, the FHIR id.
    Id,
    /// When the registry last wrote it.
    LastUpdated,
    /// uniqueId, entryUUID and other business identifiers.
    Identifier,
    /// availabilityStatus.
    AvailabilityStatus,
    /// typeCode.
    TypeCode,
    /// classCode.
    ClassCode,
    /// practiceSettingCode.
    PracticeSettingCode,
    /// healthcareFacilityTypeCode.
    HealthcareFacilityTypeCode,
    /// formatCode.
    FormatCode,
    /// eventCodeList.
    EventCode,
    /// confidentialityCode.
    ConfidentialityCode,
    /// creationTime.
    CreationTime,
    /// `DocumentReference.date`, submissionTime, lastUpdateTime.
    Date,
    /// serviceStartTime to serviceStopTime.
    ServiceTime,
    /// serviceStartTime alone.
    ServiceStart,
    /// serviceStopTime alone.
    ServiceStop,
    /// authorPerson, as the framework writes a person.
    AuthorPerson,
    /// authorPerson's family name.
    AuthorFamily,
    /// authorPerson's given name.
    AuthorGiven,
    /// Any part of an author's name, or the name of its organization.
    AuthorName,
    /// authorInstitution.
    AuthorInstitution,
    /// An author by literal reference.
    AuthorReference,
    /// An author by business identifier.
    AuthorIdentifier,
    /// legalAuthenticator by literal reference.
    AuthenticatorReference,
    /// legalAuthenticator by business identifier.
    AuthenticatorIdentifier,
    /// The custodian by literal reference.
    CustodianReference,
    /// The custodian by business identifier.
    CustodianIdentifier,
    /// The encounter by literal reference.
    EncounterReference,
    /// The encounter by business identifier.
    EncounterIdentifier,
    /// comments.
    Comments,
    /// title.
    Title,
    /// mimeType.
    MimeType,
    /// languageCode.
    LanguageCode,
    /// Where the bytes are.
    Location,
    /// homeCommunityId: the same for all that is registered here.
    HomeCommunity,
    /// Whether a document is put together only when it is asked for.
    OnDemand,
    /// Whether a document is said to be offline (documentAvailability).
    Offline,
    /// A literal reference of `context.related`.
    Related,
    /// referenceIdList.
    ReferenceId,
    /// referenceIdList, as the framework writes such identifiers.
    ReferenceIdList,
    /// A relation to another document.
    RelatesTo,
    /// Submission set or folder (`List.code`).
    ListKind,
    /// contentTypeCode, codeList (`designationType`).
    DesignationType,
    /// sourceId.
    SourceId,
    /// Members of a list.
    Member,
    /// A patient's family name.
    PatientFamily,
    /// A patient's given name.
    PatientGiven,
    /// Any other part of a patient's name.
    PatientName,
    /// A patient's date of birth.
    PatientBirthDate,
    /// A patient's administrative gender.
    PatientGender,
    /// Whether a patient's record is in use.
    PatientActive,
}

impl Attribute {
    /// The word under which the facts of this attribute are kept. Written to storage: never changed.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::Id => "id",
            Attribute::LastUpdated => "last-updated",
            Attribute::Identifier => "identifier",
            Attribute::AvailabilityStatus => "status",
            Attribute::TypeCode => "type",
            Attribute::ClassCode => "class",
            Attribute::PracticeSettingCode => "practice-setting",
            Attribute::HealthcareFacilityTypeCode => "facility-type",
            Attribute::FormatCode => "format",
            Attribute::EventCode => "event",
            Attribute::ConfidentialityCode => "confidentiality",
            Attribute::CreationTime => "creation",
            Attribute::Date => "date",
            Attribute::ServiceTime => "service-time",
            Attribute::ServiceStart => "service-start",
            Attribute::ServiceStop => "service-stop",
            Attribute::AuthorPerson => "author-person",
            Attribute::AuthorFamily => "author-family",
            Attribute::AuthorGiven => "author-given",
            Attribute::AuthorName => "author-name",
            Attribute::AuthorInstitution => "author-institution",
            Attribute::AuthorReference => "author",
            Attribute::AuthorIdentifier => "author-identifier",
            Attribute::AuthenticatorReference => "authenticator",
            Attribute::AuthenticatorIdentifier => "authenticator-identifier",
            Attribute::CustodianReference => "custodian",
            Attribute::CustodianIdentifier => "custodian-identifier",
            Attribute::EncounterReference => "encounter",
            Attribute::EncounterIdentifier => "encounter-identifier",
            Attribute::Comments => "comments",
            Attribute::Title => "title",
            Attribute::MimeType => "mime-type",
            Attribute::LanguageCode => "language",
            Attribute::Location => "location",
            Attribute::HomeCommunity => "home-community",
            Attribute::OnDemand => "on-demand",
            Attribute::Offline => "offline",
            Attribute::Related => "related",
            Attribute::ReferenceId => "reference-id",
            Attribute::ReferenceIdList => "reference-id-list",
            Attribute::RelatesTo => "relates-to",
            Attribute::ListKind => "list-kind",
            Attribute::DesignationType => "designation",
            Attribute::SourceId => "source-id",
            Attribute::Member => "member",
            Attribute::PatientFamily => "patient-family",
            Attribute::PatientGiven => "patient-given",
            Attribute::PatientName => "patient-name",
            Attribute::PatientBirthDate => "patient-birth-date",
            Attribute::PatientGender => "patient-gender",
            Attribute::PatientActive => "patient-active",
        }
    }

    /// Whether it can be asked for across patients: an index of its own, so only what names one object, and what names a
    /// few patients.
    pub fn reach(self) -> Reach {
        match self {
            Attribute::Identifier
            | Attribute::PatientFamily
            | Attribute::PatientGiven
            | Attribute::PatientName
            | Attribute::PatientBirthDate => Reach::Everywhere,
            _ => Reach::Patient,
        }
    }

    /// The same thing by business identifier, of an attribute that is a reference.
    pub fn identifier(self) -> Option<Attribute> {
        Some(match self {
            Attribute::AuthorReference => Attribute::AuthorIdentifier,
            Attribute::AuthenticatorReference => Attribute::AuthenticatorIdentifier,
            Attribute::CustodianReference => Attribute::CustodianIdentifier,
            Attribute::EncounterReference => Attribute::EncounterIdentifier,
            Attribute::Related => Attribute::ReferenceId,
            // Both ends are registered here: their identifiers are those of the objects themselves.
            Attribute::RelatesTo | Attribute::Member => self,
            _ => return None,
        })
    }

    /// Whether it is a code, which reads as something.
    pub fn is_coded(self) -> bool {
        matches!(
            self,
            Attribute::TypeCode
                | Attribute::ClassCode
                | Attribute::PracticeSettingCode
                | Attribute::HealthcareFacilityTypeCode
                | Attribute::FormatCode
                | Attribute::EventCode
                | Attribute::ConfidentialityCode
                | Attribute::DesignationType
        )
    }

    /// Every attribute whose facts show that this one is there; empty: its own alone.
    pub fn shown_by(self) -> &'static [Attribute] {
        match self {
            Attribute::AuthorName => &[
                Attribute::AuthorFamily,
                Attribute::AuthorGiven,
                Attribute::AuthorName,
                Attribute::AuthorInstitution,
            ],
            Attribute::EncounterReference => &[Attribute::EncounterReference, Attribute::EncounterIdentifier],
            Attribute::Related => &[Attribute::Related, Attribute::ReferenceId],
            Attribute::PatientName => {
                &[Attribute::PatientFamily, Attribute::PatientGiven, Attribute::PatientName]
            }
            _ => &[],
        }
    }
}

/// The word for a contained author, authenticator or custodian that has no identifier: that there is one.
pub const SOMEBODY: &str = "#";
/// The code system of list kinds (`List.code`).
pub const LIST_KINDS: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes";
/// List kind of a submission set.
pub const SUBMISSION_SET: &str = "submissionset";
/// List kind of a folder.
pub const FOLDER: &str = "folder";
/// The name space of OIDs, UUIDs and other URIs.
pub const URI: &str = "urn:ietf:rfc:3986";

/// How far a fact can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Among the objects of one patient.
    Patient,
    /// Among all objects.
    Everywhere,
}

/// One thing an object can be found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// What it is a fact of: [`Attribute::name`] or one of the constants here.
    pub name: &'static str,
    /// What it says.
    pub value: Value,
    /// How far it can be asked for.
    pub reach: Reach,
}

/// What a fact says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A word in a name space (empty: none).
    Term {
        /// The name space, as [`system`] writes it.
        system: String,
        /// The word.
        value: String,
    },
    /// A stretch of time, microseconds since 1970; an open end is `i64::MIN` or `i64::MAX`.
    Time {
        /// Inclusive.
        from: i64,
        /// Exclusive.
        to: i64,
    },
    /// A text, as it is and as [`fold`] writes it.
    Text {
        /// As it is.
        exact: String,
        /// Folded.
        folded: String,
    },
}
