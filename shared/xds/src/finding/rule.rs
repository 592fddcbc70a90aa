//! Which rules there are.

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
    /// A patient whose source may not remove it here.
    RemovalNotAllowed,
    /// A patient of an assigning authority that none is taken of.
    AuthorityNotTaken,
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
        Rule::RemovalNotAllowed,
        Rule::AuthorityNotTaken,
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

    /// How basic a problem is: what must be mended first comes first.
    pub(super) fn rank(self) -> u8 {
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
