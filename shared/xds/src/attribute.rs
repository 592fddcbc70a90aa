//! Every attribute an object can be found by, and which facts it gives for each: the one table of the search side.
//!
//! Facts are neutral: a name and a term, a stretch of time or a text. Whoever keeps records turns them into rows one to
//! one. What a question asks for is brought into the same form by the same functions ([`system`], [`identifier_value`],
//! [`fold`]), so that both sides always meet.

mod facts;
mod form;

pub use facts::{of_document, of_folder, of_patient, of_submission_set};
pub use form::{fold, identifier_value, system};

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
    /// authorPerson's family name.
    AuthorFamily,
    /// authorPerson's given name.
    AuthorGiven,
    /// referenceIdList.
    ReferenceId,
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
            Attribute::AuthorFamily => "author-family",
            Attribute::AuthorGiven => "author-given",
            Attribute::ReferenceId => "reference-id",
            Attribute::RelatesTo => "relates-to",
            Attribute::ListKind => "list-kind",
            Attribute::DesignationType => "designation",
            Attribute::SourceId => "source-id",
            Attribute::Member => "member",
        }
    }

    /// Whether it can be asked for across patients: an index of its own, so only what names one object.
    pub fn reach(self) -> Reach {
        match self {
            Attribute::Identifier => Reach::Everywhere,
            _ => Reach::Patient,
        }
    }
}

/// The word under which a literal reference of `context.related` is kept.
pub const RELATED: &str = "related";
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
