//! Broken rules, under the names the framework gives them. Said once here; every face prints from it.

mod detail;
mod page;

use std::fmt;

pub use detail::{Accepted, Detail};
pub use page::Page;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing failed.
    Information,
    /// Accepted, with a reservation.
    Warning,
    /// Refused.
    Error,
}

/// Where in the request: a FHIRPath, and the XDS attribute it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// e.g. `Bundle.entry[2].resource.content[0].format`; empty for the request as a whole.
    pub path: String,
    /// e.g. `DocumentEntry.formatCode`.
    pub attribute: Option<&'static str>,
    /// Line and column of a syntax error, from 1.
    pub line: Option<(u64, u64)>,
}

impl Place {
    /// The request as a whole.
    pub fn whole() -> Place {
        Place::default()
    }
    /// A path.
    pub fn at(path: impl Into<String>) -> Place {
        Place { path: path.into(), attribute: None, line: None }
    }
    /// The same, naming the XDS attribute.
    pub fn of(mut self, attribute: &'static str) -> Place {
        self.attribute = Some(attribute);
        self
    }
    /// The place as a person looks for it: from the resource on, under its type where the attribute tells it.
    pub fn element(&self) -> String {
        let Some((_, element)) = self.path.rsplit_once(".resource.") else { return self.path.clone() };
        let object = self.attribute.and_then(|attribute| attribute.split_once('.')).map(|(object, _)| object);
        match object {
            Some("DocumentEntry") => format!("DocumentReference.{element}"),
            Some("SubmissionSet" | "Folder") => format!("List.{element}"),
            Some(_) | None => element.to_owned(),
        }
    }
    /// A member below this place.
    pub fn member(&self, name: &str) -> Place {
        Place::at(if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) })
    }
    /// An item below this place.
    pub fn item(&self, index: usize) -> Place {
        Place::at(format!("{}[{index}]", self.path))
    }
}

/// The rules. Each has its code, the XDS error it is reported as, the HTTP status and the FHIR issue code; see [`Rule::row`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rule {
    /// Not parseable, or not of the shape the format demands.
    Structure,
    /// A value outside its type.
    Value,
    /// Something required is missing.
    Required,
    /// A rule of the resource itself is broken.
    Invariant,
    /// Something not supported was asked for.
    NotSupported,
    /// More than a limit allows: of entries or documents.
    TooCostly,
    /// A search with more parameters, alternatives or bytes than a limit allows.
    SearchTooCostly,
    /// Longer than a limit allows.
    TooLong,
    /// No profile, or one we do not know.
    UnknownProfile,
    /// Metadata that the claimed profile requires is missing (XDSRepositoryMetadataError / XDSRegistryMetadataError).
    MetadataRequired,
    /// Metadata that contradicts the framework.
    MetadataInvalid,
    /// Declared hash or size differ from the bytes.
    ContentMismatch,
    /// The document and its metadata contradict each other.
    InvalidDocumentContent,
    /// A document entry without its document.
    MissingDocument,
    /// A document without its entry.
    MissingDocumentMetadata,
    /// The patient is not known here, or no longer active.
    UnknownPatient,
    /// Objects of different patients.
    PatientIdDoesNotMatch,
    /// The same uniqueId twice in one submission.
    DuplicateUniqueIdInMessage,
    /// A uniqueId that is taken.
    DuplicateUniqueId,
    /// Same uniqueId, other bytes.
    NonIdenticalHash,
    /// Same uniqueId, other size.
    NonIdenticalSize,
    /// A reference to nothing.
    UnresolvedReference,
    /// A relation to a document that is superseded.
    DeprecatedDocument,
    /// Two entries with one fullUrl.
    DuplicateFullUrl,
    /// A rule of business: a patch nobody replaces for, a method not allowed.
    BusinessRule,
    /// A code outside its value set.
    CodeInvalid,
    /// A value set nobody knows here.
    UnknownValueSet,
    /// A search without anything to narrow it.
    SearchTooBroad,
    /// A stored query nobody knows.
    UnknownStoredQuery,
    /// A stored query without a parameter it requires.
    StoredQueryMissingParameter,
    /// A parameter of a stored query with too many values, or with one that cannot be read.
    StoredQueryParameter,
    /// A stored query with more values, or longer ones, than a limit allows.
    StoredQueryTooCostly,
    /// An answer that would hold objects of several patients.
    ResultNotSinglePatient,
    /// A community that is not served here.
    UnknownCommunity,
    /// An unknown search parameter.
    UnknownParameter,
    /// A modifier that is not supported.
    UnsupportedModifier,
    /// A page token that was changed.
    PageInvalid,
    /// A page token that is too old.
    PageExpired,
    /// A patient that was merged away is fed as if it were not.
    MergeIsFinal,
    /// A condition that several records meet.
    MultipleMatches,
    /// A version that is not the current one.
    VersionConflict,
    /// An `Idempotency-Key` that came before with another body.
    IdempotencyKeyReused,
    /// A recipient the source intends, whom nobody here can notify.
    RecipientNotNotified,
    /// A document of a kind nothing can be taken from (ITI-106).
    DocumentNotUnderstood,
    /// No document by this uniqueId, or none that may be told of (ITI-43).
    DocumentNotAvailable,
    /// A repositoryUniqueId of somebody else (ITI-43).
    UnknownRepository,
    /// Whether a document is registered is not known at present (ITI-43).
    DocumentInDoubt,
    /// The stored bytes of a document cannot be given out (ITI-43).
    DocumentDamaged,
    /// A document that is not removed (ITI-86).
    RemoveFailed,
    /// More objects, documents or bytes than one answer may have (ITI-18, ITI-43).
    TooManyResults,
    /// The actor has too much to do at present (XDSRegistryBusy, XDSRepositoryBusy).
    ActorBusy,
    /// The actor has no room, or cannot write (XDSRegistryOutOfResources, XDSRepositoryOutOfResources).
    OutOfResources,
    /// The repository does not reach the registry.
    RegistryNotAvailable,
    /// The actor fails in a way it should not (XDSRegistryError, XDSRepositoryError).
    ActorFailed,
    /// An attempt of a submission that the registry has promised never to commit.
    AttemptGivenUp,
    /// Metadata that an update may not change.
    Unmodifiable,
    /// An update that gives an object another uniqueId or entryUUID.
    IdentifierChanged,
    /// An update that gives an object another patient.
    PatientChanged,
    /// A metadata update that the framework does not provide for.
    MetadataUpdate,
    /// A metadata update that was made from another version than the one that stands.
    MetadataVersion,
    /// An update would make a stable entry an on-demand one, or the reverse.
    ObjectTypeChanged,
    /// A request that asks for nothing the transaction does.
    InvalidRequest,
    /// What is to be removed is still tied to something that stays.
    ReferencesExist,
    /// The removal would leave something without any association.
    Unreferenced,
    /// A patch that cannot be applied to what stands.
    PatchNotApplicable,
    /// A patch whose test does not hold.
    PatchTestFailed,
    /// Source identifier's domain unknown (ITI-83).
    AssigningAuthorityNotFound,
    /// Source identifier unknown (ITI-83).
    SourceIdentifierNotFound,
    /// A target domain unknown (ITI-83: 403).
    TargetSystemNotFound,
    /// A domain unknown in a search (ITI-78: 404, warning).
    DomainNotFound,
}

/// Which actor speaks: some XDS codes have a registry form and a repository form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The registry's form.
    #[default]
    Registry,
    /// The repository's form.
    Repository,
}

/// What a rule is called on each face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Ours: kebab-case, stable.
    pub code: &'static str,
    /// The XDS error code, where one fits, in the registry's form; see [`Rule::xds_code`].
    pub xds: Option<&'static str>,
    /// HTTP status.
    pub status: u16,
    /// `OperationOutcome.issue.code`.
    pub issue: &'static str,
    /// Where it is written.
    pub section: &'static str,
}

impl Rule {
    /// Every rule, in the order of the documentation.
    pub const ALL: &'static [Rule] = &[
        Rule::Structure,
        Rule::Value,
        Rule::Required,
        Rule::Invariant,
        Rule::NotSupported,
        Rule::TooCostly,
        Rule::SearchTooCostly,
        Rule::TooLong,
        Rule::UnknownProfile,
        Rule::MetadataRequired,
        Rule::MetadataInvalid,
        Rule::ContentMismatch,
        Rule::InvalidDocumentContent,
        Rule::MissingDocument,
        Rule::MissingDocumentMetadata,
        Rule::UnknownPatient,
        Rule::PatientIdDoesNotMatch,
        Rule::DuplicateUniqueIdInMessage,
        Rule::DuplicateUniqueId,
        Rule::NonIdenticalHash,
        Rule::NonIdenticalSize,
        Rule::UnresolvedReference,
        Rule::DeprecatedDocument,
        Rule::DuplicateFullUrl,
        Rule::BusinessRule,
        Rule::CodeInvalid,
        Rule::UnknownValueSet,
        Rule::SearchTooBroad,
        Rule::UnknownStoredQuery,
        Rule::StoredQueryMissingParameter,
        Rule::StoredQueryParameter,
        Rule::StoredQueryTooCostly,
        Rule::ResultNotSinglePatient,
        Rule::UnknownCommunity,
        Rule::UnknownParameter,
        Rule::UnsupportedModifier,
        Rule::PageInvalid,
        Rule::PageExpired,
        Rule::MergeIsFinal,
        Rule::MultipleMatches,
        Rule::VersionConflict,
        Rule::IdempotencyKeyReused,
        Rule::RecipientNotNotified,
        Rule::DocumentNotUnderstood,
        Rule::DocumentNotAvailable,
        Rule::UnknownRepository,
        Rule::DocumentInDoubt,
        Rule::DocumentDamaged,
        Rule::RemoveFailed,
        Rule::TooManyResults,
        Rule::ActorBusy,
        Rule::OutOfResources,
        Rule::RegistryNotAvailable,
        Rule::ActorFailed,
        Rule::AttemptGivenUp,
        Rule::Unmodifiable,
        Rule::IdentifierChanged,
        Rule::PatientChanged,
        Rule::MetadataUpdate,
        Rule::MetadataVersion,
        Rule::ObjectTypeChanged,
        Rule::InvalidRequest,
        Rule::ReferencesExist,
        Rule::Unreferenced,
        Rule::PatchNotApplicable,
        Rule::PatchTestFailed,
        Rule::AssigningAuthorityNotFound,
        Rule::SourceIdentifierNotFound,
        Rule::TargetSystemNotFound,
        Rule::DomainNotFound,
    ];

    /// What this rule is called, on every face.
    pub fn row(self) -> Row {
        let row = |code, xds, status, issue, section| Row { code, xds, status, issue, section };
        match self {
            Rule::Structure => row("structure", None, 400, "structure", "FHIR R4 json"),
            Rule::Value => row("value", None, 400, "value", "FHIR R4 datatypes"),
            Rule::Required => row("required", None, 400, "required", "FHIR R4"),
            Rule::Invariant => row("invariant", None, 400, "invariant", "FHIR R4"),
            Rule::NotSupported => row("not-supported", None, 400, "not-supported", "FHIR R4 http"),
            Rule::TooCostly => row("too-costly", None, 413, "too-costly", "limits"),
            Rule::SearchTooCostly => row("search-too-costly", None, 400, "too-costly", "limits"),
            Rule::TooLong => row("too-long", None, 413, "too-long", "limits"),
            Rule::UnknownProfile => row("unknown-profile", None, 400, "value", "MHD 2:3.65.4.1.2.1"),
            Rule::MetadataRequired => {
                row("metadata-required", Some(REGISTRY_METADATA), 400, "required", "TF-3 4.3.1")
            }
            Rule::MetadataInvalid => {
                row("metadata-invalid", Some(REGISTRY_METADATA), 400, "invariant", "TF-3 4.2.3")
            }
            Rule::ContentMismatch => row(
                "content-mismatch",
                Some(REPOSITORY_METADATA),
                400,
                "invariant",
                "TF-3 4.2.3.2.10, 4.2.3.2.23",
            ),
            Rule::InvalidDocumentContent => row(
                "invalid-document-content",
                Some("InvalidDocumentContent"),
                400,
                "invariant",
                "TF-3 4.2.4.1-2",
            ),
            Rule::MissingDocument => {
                row("missing-document", Some("XDSMissingDocument"), 400, "required", "TF-3 4.2.4.1-2")
            }
            Rule::MissingDocumentMetadata => row(
                "missing-document-metadata",
                Some("XDSMissingDocumentMetadata"),
                400,
                "required",
                "TF-3 4.2.4.1-2",
            ),
            Rule::UnknownPatient => row(
                "unknown-patient",
                Some("XDSUnknownPatientId"),
                400,
                "not-found",
                "ITI TF-2 3.42.4.1.3.3.1",
            ),
            Rule::PatientIdDoesNotMatch => row(
                "patient-does-not-match",
                Some("XDSPatientIdDoesNotMatch"),
                400,
                "invariant",
                "ITI TF-2 3.42.4.1.3.3.1",
            ),
            Rule::DuplicateUniqueIdInMessage => row(
                "duplicate-unique-id-in-message",
                Some(REGISTRY_DUPLICATE),
                400,
                "duplicate",
                "TF-3 4.2.4.1-2",
            ),
            Rule::DuplicateUniqueId => row(
                "duplicate-unique-id",
                Some("XDSDuplicateUniqueIdInRegistry"),
                409,
                "duplicate",
                "TF-3 4.2.4.1-2",
            ),
            Rule::NonIdenticalHash => {
                row("non-identical-hash", Some("XDSNonIdenticalHash"), 409, "conflict", "TF-3 4.2.4.1-2")
            }
            Rule::NonIdenticalSize => {
                row("non-identical-size", Some("XDSNonIdenticalSize"), 409, "conflict", "TF-3 4.2.4.1-2")
            }
            Rule::UnresolvedReference => row(
                "unresolved-reference",
                Some("UnresolvedReferenceException"),
                400,
                "not-found",
                "TF-3 4.2.4.1-2",
            ),
            Rule::DeprecatedDocument => row(
                "deprecated-document",
                Some("XDSRegistryDeprecatedDocumentError"),
                400,
                "business-rule",
                "TF-3 4.2.2.2",
            ),
            Rule::DuplicateFullUrl => row("duplicate-full-url", None, 400, "invariant", "FHIR R4 bdl-7"),
            Rule::BusinessRule => row("business-rule", None, 400, "business-rule", "MHD 2:3.65.4.1.2"),
            Rule::CodeInvalid => {
                row("code-invalid", Some(REGISTRY_METADATA), 400, "code-invalid", "TF-3 4.2.3.1.2")
            }
            Rule::UnknownValueSet => row("unknown-value-set", None, 404, "not-found", "FHIR R4 ValueSet"),
            Rule::SearchTooBroad => row("search-too-broad", None, 400, "required", "MHD 2:3.67.4.1.2"),
            Rule::UnknownStoredQuery => row(
                "unknown-stored-query",
                Some("XDSUnknownStoredQuery"),
                400,
                "not-supported",
                "ITI TF-2 3.18.4.1.2.3.7",
            ),
            Rule::StoredQueryMissingParameter => row(
                "stored-query-missing-parameter",
                Some("XDSStoredQueryMissingParam"),
                400,
                "required",
                "ITI TF-2 3.18.4.1.2.3.7",
            ),
            Rule::StoredQueryParameter => row(
                "stored-query-parameter",
                Some("XDSStoredQueryParamNumber"),
                400,
                "value",
                "ITI TF-2 3.18.4.1.2.3.5",
            ),
            Rule::StoredQueryTooCostly => {
                row("stored-query-too-costly", Some("XDSRegistryOutOfResources"), 400, "too-costly", "limits")
            }
            Rule::ResultNotSinglePatient => row(
                "result-not-single-patient",
                Some("XDSResultNotSinglePatient"),
                400,
                "business-rule",
                "ITI TF-2 3.18.4.1.3",
            ),
            Rule::UnknownCommunity => {
                row("unknown-community", Some("XDSUnknownCommunity"), 400, "not-found", "MHD 2:3.67.4.1.2.1")
            }
            Rule::UnknownParameter => row("unknown-parameter", None, 400, "not-supported", "FHIR R4 search"),
            Rule::UnsupportedModifier => {
                row("unsupported-modifier", None, 400, "not-supported", "FHIR R4 search")
            }
            Rule::PageInvalid => row("page-invalid", None, 400, "value", "FHIR R4 search"),
            Rule::PageExpired => row("page-expired", None, 410, "expired", "FHIR R4 search"),
            Rule::MergeIsFinal => row("merge-is-final", None, 409, "conflict", "PIXm 2:3.104"),
            Rule::MultipleMatches => row("multiple-matches", None, 412, "multiple-matches", "FHIR R4 http"),
            Rule::VersionConflict => row("version-conflict", None, 412, "conflict", "FHIR R4 http"),
            Rule::IdempotencyKeyReused => {
                row("idempotency-key-reused", None, 422, "business-rule", "docshare idempotency")
            }
            Rule::RecipientNotNotified => row(
                "recipient-not-notified",
                Some("UnavailableRecipient"),
                400,
                "not-supported",
                "MHD 2:3.65.4.1.3",
            ),
            Rule::DocumentNotUnderstood => {
                row("document-not-understood", None, 422, "not-supported", "MHD 2:3.106.4.1.3")
            }
            Rule::DocumentNotAvailable => row(
                "document-not-available",
                Some("XDSDocumentUniqueIdError"),
                404,
                "not-found",
                "ITI TF-2 3.43.4.2.3",
            ),
            Rule::UnknownRepository => row(
                "unknown-repository",
                Some("XDSUnknownRepositoryId"),
                404,
                "not-found",
                "ITI TF-2 3.43.4.2.3",
            ),
            Rule::ActorBusy => row("actor-busy", Some(REGISTRY_BUSY), 503, "transient", "TF-3 4.2.4.1-2"),
            Rule::OutOfResources => {
                row("out-of-resources", Some(REGISTRY_RESOURCES), 503, "no-store", "TF-3 4.2.4.1-2")
            }
            Rule::RegistryNotAvailable => {
                let code = Some("XDSRegistryNotAvailable");
                row("registry-not-available", code, 503, "transient", "TF-3 4.2.4.1-2")
            }
            Rule::ActorFailed => {
                row("actor-failed", Some(REGISTRY_ERROR), 500, "exception", "TF-3 4.2.4.1-2")
            }
            Rule::DocumentInDoubt => {
                row("document-in-doubt", Some(REGISTRY_BUSY), 503, "transient", "TF-3 4.2.4.1-2")
            }
            Rule::DocumentDamaged => {
                row("document-damaged", Some(REGISTRY_ERROR), 503, "exception", "TF-3 4.2.4.1-2")
            }
            Rule::RemoveFailed => {
                row("remove-failed", Some("XDSRemoveDocumentsError"), 409, "conflict", "ITI TF-2 3.86")
            }
            Rule::TooManyResults => {
                row("too-many-results", Some("XDSTooManyResults"), 413, "too-costly", "TF-3 4.2.4.1-2")
            }
            Rule::AttemptGivenUp => row("attempt-given-up", None, 409, "conflict", "docshare settle"),
            Rule::Unmodifiable => row(
                "unmodifiable-metadata",
                Some("UnmodifiableMetadataError"),
                422,
                "business-rule",
                "ITI TF-2 3.92",
            ),
            Rule::IdentifierChanged => row(
                "metadata-identifier-changed",
                Some("XDSMetadataIdentifierError"),
                422,
                "business-rule",
                "ITI TF-2 3.92",
            ),
            Rule::PatientChanged => row(
                "patient-changed",
                Some("XDSPatientIDReconciliationError"),
                422,
                "business-rule",
                "ITI TF-2 3.92",
            ),
            Rule::MetadataUpdate => {
                row("metadata-update", Some("XDSMetadataUpdateError"), 422, "business-rule", "ITI TF-2 3.57")
            }
            Rule::MetadataVersion => {
                row("metadata-version", Some("XDSMetadataVersionError"), 412, "conflict", "ITI TF-2 3.57")
            }
            Rule::ObjectTypeChanged => {
                row("object-type-changed", Some("XDSObjectTypeError"), 422, "business-rule", "ITI TF-2 3.92")
            }
            Rule::InvalidRequest => row(
                "invalid-request",
                Some("XDSInvalidRequestException"),
                400,
                "invalid",
                "ITI TF-2 3.62, 3.92",
            ),
            Rule::ReferencesExist => {
                row("references-exist", Some("ReferencesExistException"), 409, "conflict", "ITI TF-2 3.62")
            }
            Rule::Unreferenced => row(
                "unreferenced-object",
                Some("XDSUnreferencedObjectException"),
                409,
                "conflict",
                "ITI TF-2 3.62",
            ),
            Rule::PatchNotApplicable => {
                row("patch-not-applicable", None, 422, "processing", "FHIR R4 http patch")
            }
            Rule::PatchTestFailed => row("patch-test-failed", None, 422, "conflict", "RFC 6902 4.6"),
            Rule::AssigningAuthorityNotFound => {
                row("assigning-authority-not-found", None, 400, "code-invalid", "PIXm 2:3.83.4.2.2")
            }
            Rule::SourceIdentifierNotFound => {
                row("source-identifier-not-found", None, 404, "not-found", "PIXm 2:3.83.4.2.2")
            }
            Rule::TargetSystemNotFound => {
                row("target-system-not-found", None, 403, "code-invalid", "PIXm 2:3.83.4.2.2")
            }
            Rule::DomainNotFound => row("domain-not-found", None, 404, "not-found", "PDQm 2:3.78.4.1.3"),
        }
    }

    /// The XDS error code as this actor writes it.
    pub fn xds_code(self, side: Side) -> Option<&'static str> {
        let code = self.row().xds?;
        Some(match (side, code) {
            (Side::Repository, REGISTRY_METADATA) => REPOSITORY_METADATA,
            (Side::Repository, REGISTRY_DUPLICATE) => "XDSRepositoryDuplicateUniqueIdInMessage",
            (Side::Repository, REGISTRY_BUSY) => "XDSRepositoryBusy",
            (Side::Repository, REGISTRY_RESOURCES) => "XDSRepositoryOutOfResources",
            (Side::Repository, REGISTRY_ERROR) => "XDSRepositoryError",
            (Side::Registry | Side::Repository, code) => code,
        })
    }

    /// How basic a problem is: what must be mended first comes first.
    fn rank(self) -> u8 {
        match self {
            Rule::TooLong | Rule::TooCostly => 0,
            Rule::Structure | Rule::NotSupported => 1,
            Rule::UnknownProfile => 2,
            rule => match rule.row().status {
                400 => 3,
                _ => 4,
            },
        }
    }
}

const REGISTRY_METADATA: &str = "XDSRegistryMetadataError";
const REPOSITORY_METADATA: &str = "XDSRepositoryMetadataError";
const REGISTRY_DUPLICATE: &str = "XDSRegistryDuplicateUniqueIdInMessage";
const REGISTRY_BUSY: &str = "XDSRegistryBusy";
const REGISTRY_RESOURCES: &str = "XDSRegistryOutOfResources";
const REGISTRY_ERROR: &str = "XDSRegistryError";

/// One broken rule: which, where, and in a sentence what was found and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which rule.
    pub rule: Rule,
    /// Where.
    pub at: Place,
    /// One sentence: what, where, what to do. Never another patient's data.
    pub text: String,
    /// Whose form of the XDS code is printed.
    pub side: Side,
    /// What was given and what is accepted, where the finding is about a value; the text is made of it.
    pub detail: Option<Box<Detail>>,
}

impl Finding {
    /// An error.
    pub fn error(rule: Rule, at: Place, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, rule, at, text: text.into(), side: Side::Registry, detail: None }
    }
    /// A warning.
    pub fn warning(rule: Rule, at: Place, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(rule, at, text) }
    }
    /// An error about a value that is not one of those accepted: the sentence is composed of place and detail, and is the
    /// same wherever such a finding is made.
    pub fn not_accepted(rule: Rule, at: Place, detail: Detail) -> Finding {
        let text = detail.sentence(&at);
        Finding { detail: Some(Box::new(detail)), ..Finding::error(rule, at, text) }
    }
    /// The same, as the repository says it.
    #[must_use]
    pub fn by(mut self, side: Side) -> Finding {
        self.side = side;
        self
    }
    /// The XDS error code it is reported as.
    pub fn xds_code(&self) -> Option<&'static str> {
        self.rule.xds_code(self.side)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All findings of a request.
pub type Findings = Vec<Finding>;

/// Puts the worst first: by severity, then by what must be mended first; otherwise the order of the request stays.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.rule.rank()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_a_code_of_its_own() {
        let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.row().code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rule::ALL.len());
    }

    #[test]
    fn codes_are_kebab_case() {
        for rule in Rule::ALL {
            let code = rule.row().code;
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
    }

    #[test]
    fn the_repository_speaks_of_metadata_in_its_own_form() {
        assert_eq!(Rule::MetadataRequired.xds_code(Side::Repository), Some(REPOSITORY_METADATA));
        assert_eq!(Rule::MetadataRequired.xds_code(Side::Registry), Some(REGISTRY_METADATA));
        assert_eq!(Rule::UnknownPatient.xds_code(Side::Repository), Some("XDSUnknownPatientId"));
    }

    #[test]
    fn errors_come_before_warnings_and_shape_before_metadata() {
        let mut findings = vec![
            Finding::warning(Rule::Structure, Place::whole(), "a"),
            Finding::error(Rule::DuplicateUniqueId, Place::whole(), "b"),
            Finding::error(Rule::MetadataRequired, Place::whole(), "c"),
            Finding::error(Rule::TooLong, Place::whole(), "d"),
        ];
        sort(&mut findings);
        let texts: Vec<_> = findings.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(texts, ["d", "c", "b", "a"]);
    }
}
