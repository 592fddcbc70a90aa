//! The objects of a submission, under the framework's own nouns (ITI TF-3 4.1, 4.2).

use serde::{Deserialize, Serialize};

/// A name in a name space, as FHIR writes it: OIDs as `urn:oid:…`, UUIDs as `urn:uuid:…` in `urn:ietf:rfc:3986`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Identifier {
    /// The name space; empty where the source gave none.
    pub system: String,
    /// The name.
    pub value: String,
}

/// entryUUID of an object, without `urn:uuid:`, lower case: also its FHIR id.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EntryUuid(String);

impl EntryUuid {
    /// Parses a UUID with or without `urn:uuid:`.
    pub fn parse(text: &str) -> Option<EntryUuid> {
        let bare = text.strip_prefix("urn:uuid:").unwrap_or(text);
        (bare.len() == 36)
            .then(|| uuid::Uuid::try_parse(bare).ok())
            .flatten()
            .map(|u| EntryUuid(u.hyphenated().to_string()))
    }
    /// The UUID without prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<uuid::Uuid> for EntryUuid {
    fn from(uuid: uuid::Uuid) -> EntryUuid {
        EntryUuid(uuid.hyphenated().to_string())
    }
}

/// A reference between objects of a submission, or to one that is registered already.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ObjectRef {
    /// An object of this submission, by its symbolic id (the entry's `fullUrl`, or the ebRIM id).
    Symbol(String),
    /// A registered object, by entryUUID.
    Registered(EntryUuid),
    /// A registered object, by uniqueId.
    Unique(Identifier),
}

/// A coded value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// The code system; empty where the source gave none.
    pub system: String,
    /// The code.
    pub code: String,
    /// How it reads.
    pub display: Option<String>,
}

/// A point in time as the source wrote it, and the stretch it stands for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// As it was written.
    pub text: String,
    /// Microseconds since 1970, inclusive.
    pub from: i64,
    /// Exclusive end: a date without time stands for the whole day.
    pub to: i64,
}

/// Whether an entry is current (TF-3 4.2.3.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Availability {
    /// `current` in FHIR.
    Approved,
    /// `superseded` in FHIR.
    Deprecated,
}

impl Availability {
    /// The word it is kept under, and FHIR's: `current` or `superseded`.
    pub fn word(self) -> &'static str {
        match self {
            Availability::Approved => "current",
            Availability::Deprecated => "superseded",
        }
    }
}

/// Which rule set a submission claims to follow (MHD 2:3.65.4.1.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Profile {
    /// Column "XDR MS": limited metadata.
    Minimal,
    /// Column "XDS DS".
    Comprehensive,
    /// As comprehensive; people and organizations may be referred to by URL.
    UnContained,
}

/// An author, as far as a search can ask for one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Author {
    /// Family names.
    pub family: Vec<String>,
    /// Given names.
    pub given: Vec<String>,
    /// Organizations.
    pub institution: Vec<String>,
    /// The reference, where the author is not contained.
    pub reference: Option<String>,
    /// Business identifiers.
    pub identifiers: Vec<Identifier>,
    /// Names written as one text, prefixes and suffixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
}

/// Something outside of document sharing that an object points to: by literal reference, by business identifier, or both.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Linked {
    /// The literal reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The business identifier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<Identifier>,
}

/// The patient an object is about: how the source named it, and who it turned out to be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Patient {
    /// Literal reference as sent (absolute URL, `Patient/…`, conditional `Patient?identifier=…`, or a `fullUrl`).
    pub reference: Option<String>,
    /// Logical identifier as sent.
    pub identifier: Option<Identifier>,
    /// Id of the patient in this domain, once resolved.
    pub id: Option<String>,
}

impl Patient {
    /// Whether anybody is named at all.
    pub fn is_named(&self) -> bool {
        self.id.is_some() || self.reference.is_some() || self.identifier.is_some()
    }
}

/// SHA-1 of a document's bytes, as the wire carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hash(pub [u8; 20]);

impl Hash {
    /// SHA-1 of no bytes: the mark of delayed document assembly.
    pub const EMPTY: Hash = Hash([
        0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55, 0xbf, 0xef, 0x95, 0x60, 0x18, 0x90, 0xaf,
        0xd8, 0x07, 0x09,
    ]);
}

/// What a face sent and the domain has no name for: the whole object as that face's own bytes (FHIR JSON, with references
/// already resolved), given back on that face.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Carried {
    /// The FHIR resource as JSON text.
    pub fhir: Option<String>,
}

/// Metadata of one document (TF-3 4.2.3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentEntry {
    /// Symbolic id within the submission.
    pub symbol: String,
    /// entryUUID, if the source chose it; made by the registry otherwise.
    pub entry_uuid: Option<EntryUuid>,
    /// uniqueId (`masterIdentifier`).
    pub unique_id: Identifier,
    /// Further business identifiers.
    pub identifiers: Vec<Identifier>,
    /// availabilityStatus.
    pub availability: Availability,
    /// typeCode.
    pub type_code: Option<Code>,
    /// classCode; further codings of the same concept are in `class_codes`.
    pub class_codes: Vec<Code>,
    /// All codings of typeCode.
    pub type_codes: Vec<Code>,
    /// patientId.
    pub patient: Patient,
    /// `DocumentReference.date`; no XDS attribute.
    pub date: Option<Timestamp>,
    /// author.
    pub authors: Vec<Author>,
    /// comments.
    pub comments: Option<String>,
    /// confidentialityCode.
    pub confidentiality_codes: Vec<Code>,
    /// mimeType.
    pub mime_type: String,
    /// languageCode.
    pub language: Option<String>,
    /// size, bytes.
    pub size: Option<u64>,
    /// hash.
    pub hash: Option<Hash>,
    /// SHA-256 of the bytes, where we measured them: what equality is judged by.
    pub sha256: Option<[u8; 32]>,
    /// title.
    pub title: Option<String>,
    /// Where the bytes are: a `fullUrl` in a submission, absolute once registered.
    pub url: String,
    /// creationTime.
    pub creation_time: Option<Timestamp>,
    /// formatCode.
    pub format_code: Option<Code>,
    /// eventCodeList.
    pub event_codes: Vec<Code>,
    /// serviceStartTime.
    pub service_start: Option<Timestamp>,
    /// serviceStopTime.
    pub service_stop: Option<Timestamp>,
    /// healthcareFacilityTypeCode.
    pub facility_codes: Vec<Code>,
    /// practiceSettingCode.
    pub practice_setting_codes: Vec<Code>,
    /// sourcePatientId.
    pub source_patient_ids: Vec<Identifier>,
    /// Whether sourcePatientInfo is given.
    pub has_source_patient_info: bool,
    /// referenceIdList (`context.related`, by identifier).
    pub reference_ids: Vec<Identifier>,
    /// `context.related` by literal reference.
    pub related: Vec<String>,
    /// `context.encounter`; also among the reference ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encounters: Vec<Linked>,
    /// legalAuthenticator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authenticator: Option<Author>,
    /// `custodian`; no XDS attribute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custodian: Option<Author>,
    /// As the face sent it.
    pub carried: Carried,
}

/// Metadata of a submission (TF-3 4.2.3.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionSet {
    /// Symbolic id within the submission.
    pub symbol: String,
    /// entryUUID, if the source chose it.
    pub entry_uuid: Option<EntryUuid>,
    /// uniqueId; made by the recipient where the source gave none (Minimal).
    pub unique_id: Option<Identifier>,
    /// sourceId.
    pub source_id: Identifier,
    /// patientId.
    pub patient: Patient,
    /// submissionTime.
    pub submission_time: Timestamp,
    /// contentTypeCode.
    pub content_type_codes: Vec<Code>,
    /// author.
    pub authors: Vec<Author>,
    /// title.
    pub title: Option<String>,
    /// comments.
    pub comments: Option<String>,
    /// `encounter`; not part of the profile, kept all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter: Option<Linked>,
    /// As the face sent it.
    pub carried: Carried,
}

/// Metadata of a folder (TF-3 4.2.3.4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Folder {
    /// Symbolic id within the submission.
    pub symbol: String,
    /// entryUUID, if the source chose it, or of the folder that is updated.
    pub entry_uuid: Option<EntryUuid>,
    /// uniqueId.
    pub unique_id: Option<Identifier>,
    /// patientId.
    pub patient: Patient,
    /// codeList.
    pub codes: Vec<Code>,
    /// title.
    pub title: Option<String>,
    /// comments.
    pub comments: Option<String>,
    /// True if a registered folder gets further members (a PUT entry), false if it is new.
    pub update: bool,
    /// `encounter`; not part of the profile, kept all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encounter: Option<Linked>,
    /// As the face sent it.
    pub carried: Carried,
}

/// The kinds of association (TF-3 4.2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum AssociationType {
    /// Membership.
    HasMember,
    /// The new document takes the place of the old one.
    Replace,
    /// The new document is the old one in another form.
    Transform,
    /// Both at once.
    TransformReplace,
    /// The new document adds to the old one.
    Append,
    /// The new document signs the old one.
    Signs,
}

impl AssociationType {
    /// The word under which the edge is kept.
    pub fn edge(self) -> &'static str {
        match self {
            AssociationType::HasMember => "has-member",
            AssociationType::Replace => "replaces",
            AssociationType::Transform => "transforms",
            AssociationType::TransformReplace => "transform-replaces",
            AssociationType::Append => "appends",
            AssociationType::Signs => "signs",
        }
    }
    /// Whether the target becomes Deprecated.
    pub fn replaces(self) -> bool {
        matches!(self, AssociationType::Replace | AssociationType::TransformReplace)
    }
}

/// A relation: source - verb - target ("new document Replace old document").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Association {
    /// What it says.
    pub kind: AssociationType,
    /// From.
    pub source: ObjectRef,
    /// To.
    pub target: ObjectRef,
    /// Where it was said, as a FHIR path of the request.
    pub at: String,
}

/// Members of a list, resolved.
pub type Members = Vec<EntryUuid>;

/// A whole submission as it was received: well-formed, every reference between its objects resolved to a symbol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submission {
    /// The rule set it claims.
    pub profile: Profile,
    /// The submission set.
    pub submission_set: SubmissionSet,
    /// Its documents.
    pub documents: Vec<DocumentEntry>,
    /// Its folders.
    pub folders: Vec<Folder>,
    /// Memberships and relations.
    pub associations: Vec<Association>,
    /// Path of each object in the request (`Bundle.entry[1].resource`), by symbol.
    pub places: Vec<(String, String)>,
}

impl Submission {
    /// Path of an object in the request.
    pub fn place(&self, symbol: &str) -> &str {
        self.places.iter().find(|(s, _)| s == symbol).map_or("Bundle", |(_, p)| p.as_str())
    }
}
