//! What a rule is called on each face: codes and statuses, in one table.

use super::{Rule, Side};

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
            Rule::RemovalNotAllowed => row("removal-not-allowed", None, 403, "forbidden", "PIXm 2:3.104.4.3"),
            Rule::AuthorityNotTaken => row("authority-not-taken", None, 422, "code-invalid", "PIXm 2:3.104"),
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
}

pub(super) const REGISTRY_METADATA: &str = "XDSRegistryMetadataError";
pub(super) const REPOSITORY_METADATA: &str = "XDSRepositoryMetadataError";
pub(super) const REGISTRY_DUPLICATE: &str = "XDSRegistryDuplicateUniqueIdInMessage";
pub(super) const REGISTRY_BUSY: &str = "XDSRegistryBusy";
pub(super) const REGISTRY_RESOURCES: &str = "XDSRegistryOutOfResources";
pub(super) const REGISTRY_ERROR: &str = "XDSRegistryError";
