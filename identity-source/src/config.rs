//! The identity source's own sections of the configuration.

use serde::{Deserialize, Serialize};
use web::PeerSettings;

/// Everything beyond what every actor has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The registry that is told of every patient; without a URL nobody is.
    pub registry: PeerSettings,
    /// The identifier domains.
    pub domain: Domain,
    /// How searches are answered.
    pub search: SearchSettings,
}

/// The identifier domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    /// URIs of assigning authorities that count as known before the first patient has an identifier of theirs.
    pub authorities: Vec<String>,
}

/// How searches are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchSettings {
    /// Seconds a page token stays valid.
    pub page_ttl: u64,
}

impl Default for SearchSettings {
    fn default() -> SearchSettings {
        SearchSettings { page_ttl: 3_600 }
    }
}

/// Every key with its words.
pub(crate) const KEYS: &[(&str, &str)] = &[
    (
        "registry.url",
        "FHIR base of the registry that is told of every patient, e.g. http://127.0.0.1:8081/fhir; empty: nobody is told",
    ),
    ("registry.connect_timeout_ms", "milliseconds to connect to the registry"),
    ("registry.timeout_ms", "milliseconds until an answer of the registry must be complete"),
    ("registry.tries", "tries of a request to the registry that is safe to repeat"),
    (
        "domain.authorities",
        "URIs of assigning authorities that are known even before a patient has an identifier of theirs",
    ),
    ("search.page_ttl", "how long the link to a next page stays valid"),
];
