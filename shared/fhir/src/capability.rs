//! CapabilityStatement, printed from the tables that route.

/// An interaction of a type or of the system, as the actor's table routes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interaction {
    /// Resource type; none for the system.
    pub resource: Option<&'static str>,
    /// `read`, `search-type`, `transaction`, …, or an operation as `$ihe-pix`.
    pub code: &'static str,
    /// Canonical of the OperationDefinition, for operations.
    pub definition: Option<&'static str>,
    /// One line.
    pub documentation: &'static str,
}

/// A search parameter as it is printed.
#[derive(Debug, Clone, Copy)]
pub struct SearchParameter {
    /// Resource type.
    pub resource: &'static str,
    /// Name.
    pub name: &'static str,
    /// `token`, `date`, …
    pub kind: &'static str,
    /// Canonical, if it is not R4's own.
    pub definition: Option<&'static str>,
    /// One line.
    pub documentation: &'static str,
}

/// What is printed.
#[derive(Debug, Clone, Default)]
pub struct Capability {
    /// `docshare registry` and so on.
    pub title: String,
    /// Version of the software.
    pub version: String,
    /// Base URL.
    pub url: String,
    /// FHIR dateTime of the build's publication.
    pub date: String,
    /// Canonicals of the actors it implements.
    pub instantiates: Vec<&'static str>,
    /// Canonicals of the guides.
    pub guides: Vec<&'static str>,
    /// Interactions and operations.
    pub interactions: Vec<Interaction>,
    /// Search parameters.
    pub parameters: Vec<SearchParameter>,
    /// Profiles: (resource type, canonical).
    pub profiles: Vec<(&'static str, &'static str)>,
    /// Whether Patient can be updated by condition.
    pub conditional_update: bool,
    /// Includes: (resource type, value).
    pub includes: Vec<(&'static str, &'static str)>,
    /// Reverse includes: (resource type, value).
    pub revincludes: Vec<(&'static str, &'static str)>,
}

/// Writes the CapabilityStatement.
pub fn write(_capability: &Capability) -> Vec<u8> {
    todo!()
}
