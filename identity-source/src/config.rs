//! The identity source's own sections of the configuration.

use serde::{Deserialize, Serialize};
use web::PeerSettings;

/// Everything beyond what every actor has.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The registry that is told of every patient; without a URL nobody is.
    pub registry: PeerSettings,
    /// Who else is told of patients.
    pub receivers: Vec<crate::receivers::Receiver>,
    /// The identifier domains.
    pub domain: Domain,
    /// How searches are answered.
    pub search: SearchSettings,
    /// How records of one person are linked across domains.
    pub links: LinkSettings,
    /// How patients are matched by what is known of them.
    #[serde(rename = "match")]
    pub matching: crate::matching::Settings,
    /// The door for messages of HL7 v3.
    pub soap: soap::Settings,
    /// Where HL7 v2 is listened to.
    pub mllp: mllp::Settings,
}

/// The identifier domains.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Domain {
    /// Assigning authorities in short form: an OID, a URI, or `NAMESPACE&1.2.3&ISO`.
    pub authorities: Vec<String>,
    /// Assigning authorities with everything that can be said of one.
    pub authority: Vec<AuthoritySettings>,
    /// Whether patients are taken of configured authorities only.
    pub strict: bool,
    /// Whether sources may remove patients of authorities that say nothing of it themselves.
    pub remove: bool,
}

/// One assigning authority: a table of `domain.authority`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthoritySettings {
    /// Its name in HL7 v2 (HD.1).
    pub namespace: String,
    /// Its OID.
    pub oid: String,
    /// URIs it goes by in FHIR beside the OID's.
    pub uris: Vec<String>,
    /// What people call it.
    pub display: String,
    /// Who may feed it in HL7 v2: sending application and facility, `APPLICATION|FACILITY`.
    pub senders: Vec<String>,
    /// Whether its source may remove patients; as `domain.remove` says if absent.
    pub remove: Option<bool>,
}

/// How records of one person are linked across domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LinkSettings {
    /// Whether certain matches are linked; otherwise they are left to a steward.
    pub by_match: bool,
}

impl Default for LinkSettings {
    fn default() -> LinkSettings {
        LinkSettings { by_match: true }
    }
}

/// How searches are answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchSettings {
    /// Seconds the link to a next page stays valid; the value has a unit.
    #[serde(rename = "page_ttl", with = "web::units::seconds")]
    pub page_ttl_seconds: u64,
}

impl Default for SearchSettings {
    fn default() -> SearchSettings {
        SearchSettings { page_ttl_seconds: 3_600 }
    }
}

/// Every key with its words.
pub(crate) const KEYS: &[(&str, &str)] = &[
    (
        "registry.url",
        "FHIR base of the registry that is told of every patient, e.g. http://127.0.0.1:8081/fhir; empty: nobody is told",
    ),
    ("registry.connect_timeout", "how long to try to connect to the registry"),
    ("registry.timeout", "how long an answer of the registry may take until it is complete"),
    ("registry.tries", "tries of a request to the registry that is safe to repeat"),
    ("receivers", crate::receivers::WORDS),
    (
        "domain.authorities",
        "assigning authorities in short form, known even before a patient has an identifier of theirs: OID, URI, or NAMESPACE&1.2.3&ISO as in PID-3.4",
    ),
    (
        "domain.authority",
        "assigning authorities at length, each a table `[[domain.authority]]` with `namespace`, `oid`, `uris`, `display`, `senders` (HL7 v2: `APPLICATION|FACILITY`) and `remove`; all spellings of one are one domain",
    ),
    (
        "domain.remove",
        "whether a source may remove its patients (DELETE of ITI-104) where the authority says nothing of it",
    ),
    (
        "domain.strict",
        "whether patients are taken under configured authorities only; otherwise FHIR feeds make new ones known",
    ),
    ("search.page_ttl", "how long the link to a next page stays valid"),
    (
        "links.by_match",
        "whether records of different domains that certainly match (match.certain) are linked as one person; otherwise they are left to a steward as probable duplicates",
    ),
    ("match.certain", "from this probability on a match is certain"),
    ("match.probable", "from this probability on a match is probable"),
    ("match.possible", "from this probability on a match is possible; below, it is not told"),
    (
        "match.people",
        "how many people the domain is made for; the more there are, the more must agree. If more are known, their number counts",
    ),
    ("match.max_candidates", "candidates that are compared for one question"),
    (
        "match.max_per_key",
        "a blocking key (names that sound alike, say) that more patients share is not looked through",
    ),
    (
        "match.weights",
        "weights other than the built-in ones: tables with field, level, stranger and relative (bits), as docs/matching.md lists them",
    ),
    soap::KEYS[0],
    (
        "mllp.listen",
        "address and port where HL7 v2 is listened to: the feed (ITI-8), PIX queries (ITI-9) and PDQ (ITI-21), e.g. `127.0.0.1:2576`; port 0 takes a free one; empty: nowhere",
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
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_words_and_every_word_a_key() {
        assert_eq!(actor::differences::<crate::IdentitySource>(), Vec::<String>::new());
    }

    #[test]
    fn an_unknown_key_is_refused() {
        for domain in
            [serde_json::json!({ "autority": [] }), serde_json::json!({ "authority": [{ "iod": "1.2" }] })]
        {
            let settings = serde_json::json!({ "domain": domain });
            assert!(serde_json::from_value::<Settings>(settings).is_err());
        }
    }
}
