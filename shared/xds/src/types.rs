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
    /// authorPerson, as TF-3 4.2.3.1.7 writes a person (XCN).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// authorInstitution, as it writes organizations (XON).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub institutions: Vec<String>,
    /// authorRole: coded strings (`code^^^&OID&ISO`) or words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// authorSpecialty, likewise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub specialties: Vec<String>,
    /// authorTelecommunication, as it writes addresses (XTN).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telecommunications: Vec<String>,
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
    /// Of an ebRIM object, the elements the domain has no name for, as XML text in the order of the schema: classifications
    /// and identifiers in schemes nobody knows, names in further languages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ebxml: Option<String>,
}

/// Metadata beyond the framework (TF-3 4.2.3.1.6): a slot whose name is a URN of somebody else's. Kept and given back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Slot {
    /// Its name.
    pub name: String,
    /// What kind of values it holds, where the source says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its values, in order.
    pub values: Vec<String>,
}

/// What a document entry stands for (objectType, TF-3 4.2.3.2.19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum EntryKind {
    /// A document whose bytes are fixed.
    #[default]
    Stable,
    /// A document that is put together when it is asked for.
    OnDemand,
}

impl EntryKind {
    /// Whether the bytes are fixed.
    pub fn is_stable(&self) -> bool {
        *self == EntryKind::Stable
    }
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
    /// objectType: stable or on-demand.
    #[serde(default, skip_serializing_if = "EntryKind::is_stable")]
    pub kind: EntryKind,
    /// sourcePatientInfo: `PID-n|value`, one field each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub source_patient_info: Vec<String>,
    /// legalAuthenticator, as TF-3 4.2.3.1.7 writes a person (XCN).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_authenticator: Option<String>,
    /// referenceIdList, as TF-3 4.2.3.1.7 writes such identifiers (CXi); `reference_ids` holds the same for searches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_id_list: Vec<String>,
    /// repositoryUniqueId: an OID without prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_unique_id: Option<String>,
    /// homeCommunityId: an OID with `urn:oid:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// URI, as an ebRIM source gave it; where the bytes really are is `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// documentAvailability: true is online, false offline (metadata update).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub online: Option<bool>,
    /// Whether the source says that its metadata is limited (limitedMetadata).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited_metadata: bool,
    /// Extra metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Slot>,
    /// As the face sent it.
    pub carried: Carried,
}

impl DocumentEntry {
    /// An entry of which nothing is known beyond its name.
    pub fn new(symbol: impl Into<String>, unique_id: Identifier) -> DocumentEntry {
        DocumentEntry {
            symbol: symbol.into(),
            entry_uuid: None,
            unique_id,
            identifiers: Vec::new(),
            availability: Availability::Approved,
            type_code: None,
            class_codes: Vec::new(),
            type_codes: Vec::new(),
            patient: Patient::default(),
            date: None,
            authors: Vec::new(),
            comments: None,
            confidentiality_codes: Vec::new(),
            mime_type: String::new(),
            language: None,
            size: None,
            hash: None,
            sha256: None,
            title: None,
            url: String::new(),
            creation_time: None,
            format_code: None,
            event_codes: Vec::new(),
            service_start: None,
            service_stop: None,
            facility_codes: Vec::new(),
            practice_setting_codes: Vec::new(),
            source_patient_ids: Vec::new(),
            has_source_patient_info: false,
            reference_ids: Vec::new(),
            related: Vec::new(),
            encounters: Vec::new(),
            authenticator: None,
            custodian: None,
            kind: EntryKind::Stable,
            source_patient_info: Vec::new(),
            legal_authenticator: None,
            reference_id_list: Vec::new(),
            repository_unique_id: None,
            home: None,
            uri: None,
            online: None,
            limited_metadata: false,
            extra: Vec::new(),
            carried: Carried::default(),
        }
    }
}

impl SubmissionSet {
    /// A set of which nothing is known beyond where and when it was made.
    pub fn new(
        symbol: impl Into<String>,
        source_id: Identifier,
        submission_time: Timestamp,
    ) -> SubmissionSet {
        SubmissionSet {
            symbol: symbol.into(),
            entry_uuid: None,
            unique_id: None,
            source_id,
            patient: Patient::default(),
            submission_time,
            content_type_codes: Vec::new(),
            authors: Vec::new(),
            title: None,
            comments: None,
            encounter: None,
            intended_recipients: Vec::new(),
            home: None,
            limited_metadata: false,
            extra: Vec::new(),
            carried: Carried::default(),
        }
    }
}

impl Folder {
    /// A new folder of which nothing is known.
    pub fn new(symbol: impl Into<String>) -> Folder {
        Folder {
            symbol: symbol.into(),
            entry_uuid: None,
            unique_id: None,
            patient: Patient::default(),
            codes: Vec::new(),
            title: None,
            comments: None,
            update: false,
            encounter: None,
            home: None,
            limited_metadata: false,
            extra: Vec::new(),
            carried: Carried::default(),
        }
    }
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
    /// intendedRecipient: `XON|XCN|XTN` each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intended_recipients: Vec<String>,
    /// homeCommunityId: an OID with `urn:oid:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Whether the source says that its metadata is limited (limitedMetadata).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited_metadata: bool,
    /// Extra metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Slot>,
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
    /// homeCommunityId: an OID with `urn:oid:`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// Whether the source says that its metadata is limited (limitedMetadata).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub limited_metadata: bool,
    /// Extra metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Slot>,
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
    /// The stable document is what the on-demand one was at a time (ITI-61).
    IsSnapshotOf,
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
            AssociationType::IsSnapshotOf => "snapshots",
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
    /// Where it was said, as a path of the request.
    pub at: String,
    /// Symbolic id within the submission; empty: nothing can refer to it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub symbol: String,
    /// entryUUID of the association itself, if the source chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry_uuid: Option<EntryUuid>,
    /// Why the relation was made (association documentation, TF-3 4.2.2.2).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<Code>,
    /// Extra metadata.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<Slot>,
}

impl Association {
    /// A relation that says nothing of itself.
    pub fn new(
        kind: AssociationType,
        source: ObjectRef,
        target: ObjectRef,
        at: impl Into<String>,
    ) -> Association {
        Association {
            kind,
            source,
            target,
            at: at.into(),
            symbol: String::new(),
            entry_uuid: None,
            documentation: None,
            extra: Vec::new(),
        }
    }
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
