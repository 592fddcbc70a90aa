//! The registry's own sections of the configuration.

use serde::{Deserialize, Serialize};

/// What a registry can be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where patients come from.
    pub identity: Identity,
    /// How questions are answered.
    pub search: Search,
    /// How stored queries are answered.
    pub stored_query: StoredQuery,
    /// Merges of patients.
    pub merge: Merge,
    /// How much is exported in bulk.
    pub export: Export,
    /// The sharing domain this is a part of.
    pub domain: Domain,
    /// The SOAP endpoint.
    pub soap: soap::Settings,
    /// The feed of patients in HL7 v2.
    pub mllp: mllp::Settings,
}

/// The sharing domain this is a part of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    /// homeCommunityId, `urn:oid:…`; empty where other communities know none.
    pub home_community_id: String,
    /// Where documents of repositories are that register over XDS.b: `OID=https://…/{uniqueId}`.
    pub repositories: Vec<String>,
    /// Files and folders of files that hold the codes it has agreed on.
    pub files: Vec<std::path::PathBuf>,
    /// Which value set is that of which attribute, where its name does not say it.
    pub bindings: Vec<String>,
    /// What happens to codes that are not accepted.
    pub enforce: affinity::Enforcing,
}

impl Domain {
    /// The codes it has agreed on.
    pub(crate) fn codes(&self) -> affinity::Settings {
        affinity::Settings {
            files: self.files.clone(),
            bindings: self.bindings.clone(),
            enforce: self.enforce.clone(),
        }
    }
}

/// Where patients come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    /// Public FHIR base of the identity source: the base of every patient reference.
    pub url: String,
    /// Assigning authorities whose identifiers name patients here, as PID-3.4 writes them: `NAMESPACE&1.2.3&ISO`.
    pub authorities: Vec<String>,
}

impl Default for Identity {
    fn default() -> Identity {
        Identity { url: "http://127.0.0.1:8083/fhir".to_owned(), authorities: Vec::new() }
    }
}

/// How questions are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// Whether a search must name a patient, an identifier or an id.
    pub require_patient: bool,
    /// Seconds for which the link to a further page stays valid.
    #[serde(with = "web::units::seconds")]
    pub page_ttl: u64,
}

impl Default for Search {
    fn default() -> Search {
        Search { require_patient: true, page_ttl: 3600 }
    }
}

/// How stored queries are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoredQuery {
    /// Objects of an answer that holds them whole.
    pub max_objects: usize,
    /// Objects of an answer that refers to them.
    pub max_references: usize,
    /// Values of all parameters.
    pub max_values: usize,
    /// What a question about a patient nobody knows is answered with.
    pub unknown_patient: UnknownPatient,
    /// Whether a question may be about all patients.
    pub without_patient: bool,
}

impl Default for StoredQuery {
    fn default() -> StoredQuery {
        StoredQuery {
            max_objects: 2000,
            max_references: 20_000,
            max_values: 1000,
            unknown_patient: UnknownPatient::Empty,
            without_patient: true,
        }
    }
}

/// What a question about a patient nobody knows is answered with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnknownPatient {
    /// An answer without objects.
    #[default]
    Empty,
    /// XDSUnknownPatientId.
    Refuse,
}

/// How much is exported in bulk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Export {
    /// Bytes after which a file ends and the next one begins.
    #[serde(with = "web::units::size")]
    pub file_bytes: u64,
    /// Seconds for which the files of an export can be fetched.
    #[serde(with = "web::units::seconds")]
    pub keep: u64,
    /// Exports that may be under way.
    pub max_jobs: u64,
    /// Whether the last tenth of the volume is left to others: an export that would need it fails.
    pub spare_volume: bool,
}

/// Merges of patients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Merge {
    /// Objects that one merge, or its end, may move.
    pub max_objects: u64,
}

impl Default for Merge {
    fn default() -> Merge {
        Merge { max_objects: 100_000 }
    }
}

impl Default for Export {
    fn default() -> Export {
        Export { file_bytes: 64 << 20, keep: 24 * 3600, max_jobs: 8, spare_volume: true }
    }
}

/// The words on each key, for the manual page.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("identity.url", "Public FHIR base URL of the identity source. Every patient reference begins with it."),
    (
        "identity.authorities",
        "Assigning authorities whose identifiers name patients of this affinity domain, as `PID-3.4` writes them: `[\"IHERED&1.3.6.1.4.1.21367.13.20.1000&ISO\"]`; an OID alone will do. The feeds of HL7 v2 (ITI-8) and v3 (ITI-44) bring identifiers of these, and of no others. Empty: there is no such feed.",
    ),
    (
        "mllp.listen",
        "Address and port of the patient identity feed in HL7 v2 (ITI-8), e.g. `127.0.0.1:2575`; port 0 takes a free one; empty: none.",
    ),
    mllp::KEYS[0],
    mllp::KEYS[1],
    mllp::KEYS[2],
    mllp::KEYS[3],
    mllp::KEYS[4],
    mllp::KEYS[5],
    mllp::KEYS[6],
    mllp::KEYS[7],
    mllp::KEYS[8],
    mllp::KEYS[9],
    mllp::KEYS[10],
    (
        "search.require_patient",
        "Whether a search must name a patient, an identifier or an id. Switched off, a search may look at everything there is.",
    ),
    ("search.page_ttl", "For how long the link to a further page of an answer stays valid."),
    (
        "merge.max_objects",
        "Documents, submission sets and folders that a merge of patients, or its end, may move or list for review: all of them are one commit, for which the registry needs about 26 KiB of memory each. Beyond: 413, and nothing is done; the identity source sends again.",
    ),
    (
        "stored_query.max_objects",
        "Objects that the answer to a stored query (ITI-18, ITI-51) may hold whole (LeafClass). Beyond: XDSTooManyResults.",
    ),
    ("stored_query.max_references", "Objects that it may refer to (ObjectRef). Beyond: XDSTooManyResults."),
    (
        "stored_query.max_values",
        "Values of all parameters of a stored query. Beyond: XDSRegistryOutOfResources.",
    ),
    (
        "stored_query.unknown_patient",
        "What a stored query about a patient nobody knows is answered with: empty (Success without objects) or refuse (XDSUnknownPatientId).",
    ),
    (
        "stored_query.without_patient",
        "Whether a query of ITI-51 may name no patient: it then looks at the objects of all of them, and its cost is that of the registry's size.",
    ),
    ("export.file_bytes", "About how long a file of an export becomes before the next one begins."),
    ("export.keep", "For how long the files of an export can be fetched, from its end on."),
    ("export.max_jobs", "Exports that may be under way at once. Beyond: 429."),
    (
        "export.spare_volume",
        "Whether an export fails rather than take the last tenth of the volume, which submissions need more.",
    ),
    (
        "domain.home_community_id",
        "homeCommunityId of this domain, urn:oid:…: what is registered from then on says so (ihe-HomeCommunityId), and a search for other communities (targetCommunityIdList) is refused.",
    ),
    (
        "domain.repositories",
        "Where a reader of FHIR finds the documents of repositories that register over XDS.b (ITI-42), by repositoryUniqueId: `[\"1.2.3=https://repository.example/documents/{uniqueId}\"]`. Without a line the URI of the entry is told if it is an address, else the uniqueId as a URN.",
    ),
    affinity::KEYS[0],
    affinity::KEYS[1],
    affinity::KEYS[2],
    affinity::KEYS[3],
    affinity::KEYS[4],
    affinity::KEYS[5],
    affinity::KEYS[6],
    affinity::KEYS[7],
    affinity::KEYS[8],
    affinity::KEYS[9],
    affinity::KEYS[10],
    affinity::KEYS[11],
    affinity::KEYS[12],
    affinity::KEYS[13],
    soap::KEYS[0],
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_its_words_and_every_word_its_key() {
        assert_eq!(actor::differences::<crate::Registry>(), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let settings = serde_json::json!({ "search": { "require_patients": true } });
        assert!(serde_json::from_value::<Settings>(settings).is_err());
    }
}
