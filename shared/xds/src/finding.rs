//! Broken rules, under the names the framework gives them. Said once here; every face prints from it.

use std::fmt;

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
    /// A search without anything to narrow it.
    SearchTooBroad,
    /// An unknown search parameter.
    UnknownParameter,
    /// A modifier that is not supported.
    UnsupportedModifier,
    /// A page token that was changed.
    PageInvalid,
    /// A page token that is too old.
    PageExpired,
    /// A condition that several records meet.
    MultipleMatches,
    /// A version that is not the current one.
    VersionConflict,
    /// Source identifier's domain unknown (ITI-83).
    AssigningAuthorityNotFound,
    /// Source identifier unknown (ITI-83).
    SourceIdentifierNotFound,
    /// A target domain unknown (ITI-83: 403).
    TargetSystemNotFound,
    /// A domain unknown in a search (ITI-78: 404, warning).
    DomainNotFound,
}

/// What a rule is called on each face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Ours: kebab-case, stable.
    pub code: &'static str,
    /// The XDS error code, where one fits. `Registry` and `Repository` forms differ: see [`Rule::xds_code`].
    pub xds: Option<&'static str>,
    /// HTTP status.
    pub status: u16,
    /// `OperationOutcome.issue.code`.
    pub issue: &'static str,
    /// Where it is written.
    pub section: &'static str,
}

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
}

impl Finding {
    /// An error.
    pub fn error(rule: Rule, at: Place, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, rule, at, text: text.into() }
    }
    /// A warning.
    pub fn warning(rule: Rule, at: Place, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, rule, at, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All findings of a request.
pub type Findings = Vec<Finding>;
