//! The repository's own sections of the configuration.

use std::time::Duration;

use fhir::iti106::Maps;
use serde::{Deserialize, Serialize};
use web::PeerSettings;
use xds::Code;

/// The repository's own sections.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The registry that decides.
    pub registry: RegistrySettings,
    /// The identity source that knows who a patient is.
    pub identity: IdentitySettings,
    /// How submissions are treated.
    pub submission: SubmissionSettings,
    /// What is said of documents that come without metadata of their own.
    pub publish: PublishSettings,
    /// How documents are given out.
    pub documents: DocumentSettings,
    /// The affinity domain: which codes are accepted.
    pub domain: affinity::Settings,
    /// How submissions are made that were taken in to be made later.
    pub task: TaskSettings,
    /// The SOAP endpoint.
    pub soap: soap::Settings,
}

/// What is said of documents that come as one DocumentReference [ITI-105] or alone [ITI-106].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublishSettings {
    /// OID of the sourceId of the SubmissionSets that are made; empty: one is made of the caller's name.
    pub source_id: String,
    /// `[type] = [class]`, each `system|code|display`: the class of documents of a type. Others have their type as class.
    pub classes: Vec<String>,
    /// `[template] = [format]`, the format `system|code|display`: the format of documents that follow a template (CDA) or a
    /// profile (FHIR).
    pub formats: Vec<String>,
    /// healthcareFacilityTypeCode, `system|code|display`; empty: left out.
    pub facility_type: String,
    /// practiceSettingCode, `system|code|display`; empty: left out.
    pub practice_setting: String,
}

/// How the registry is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RegistryProtocol {
    /// A registry of this product: registration by FHIR, with attempts and fences.
    #[default]
    #[serde(rename = "fhir")]
    Fhir,
    /// A registry of any make: ITI-42 and ITI-18.
    #[serde(rename = "xds.b")]
    XdsB,
}

/// How the registry is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrySettings {
    /// How it is spoken to.
    pub protocol: RegistryProtocol,
    /// Its FHIR base, as this process reaches it.
    pub url: String,
    /// Its FHIR base, as sources and consumers reach it; empty: the same.
    pub public_url: String,
    /// Milliseconds to connect; the key is `connect_timeout`, with a unit in the value.
    #[serde(rename = "connect_timeout", with = "web::units::millis")]
    pub connect_timeout_ms: u64,
    /// Milliseconds until an answer must be complete; the key is `timeout`, with a unit in the value.
    #[serde(rename = "timeout", with = "web::units::millis")]
    pub timeout_ms: u64,
    /// Tries of one registration whose outcome is unknown.
    pub tries: u32,
    /// With `xds.b`: OID of the authority that the registry's patient ids are assigned by.
    pub patient_authority: String,
    /// With `xds.b`: seconds until it is believed that the registry does not know an attempt; the key takes a unit.
    #[serde(with = "web::units::seconds")]
    pub absent_after: u64,
    /// With `xds.b`: seconds for which the bytes of such an attempt are kept; the key takes a unit.
    #[serde(with = "web::units::seconds")]
    pub keep_absent: u64,
}

impl Default for RegistrySettings {
    fn default() -> RegistrySettings {
        RegistrySettings {
            protocol: RegistryProtocol::Fhir,
            patient_authority: String::new(),
            absent_after: 15 * 60,
            keep_absent: 30 * 24 * 3600,
            url: "http://127.0.0.1:8081/fhir".to_owned(),
            public_url: String::new(),
            connect_timeout_ms: 1_500,
            timeout_ms: 15_000,
            tries: 3,
        }
    }
}

/// How the identity source is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IdentitySettings {
    /// Its FHIR base, as this process reaches it.
    pub url: String,
    /// Its FHIR base, as sources and consumers reach it; empty: the same. Patients are referred to under it.
    pub public_url: String,
    /// Milliseconds to connect; the key is `connect_timeout`, with a unit in the value.
    #[serde(rename = "connect_timeout", with = "web::units::millis")]
    pub connect_timeout_ms: u64,
    /// Milliseconds until an answer must be complete; the key is `timeout`, with a unit in the value.
    #[serde(rename = "timeout", with = "web::units::millis")]
    pub timeout_ms: u64,
    /// Tries of a question.
    pub tries: u32,
    /// Seconds a positive answer is believed; the key is `cache_ttl`, with a unit in the value.
    #[serde(rename = "cache_ttl", with = "web::units::seconds")]
    pub cache_seconds: u64,
    /// Positive answers that are kept.
    pub cache_entries: u64,
}

impl Default for IdentitySettings {
    fn default() -> IdentitySettings {
        IdentitySettings {
            url: "http://127.0.0.1:8083/fhir".to_owned(),
            public_url: String::new(),
            connect_timeout_ms: 1_500,
            timeout_ms: 15_000,
            tries: 3,
            cache_seconds: 60,
            cache_entries: 10_000,
        }
    }
}

/// What happens to a Patient resource that comes along with a submission and is not known yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatientEntries {
    /// It is fed to the identity source.
    #[default]
    Feed,
    /// The submission is refused: the patient is not known.
    Refuse,
}

/// How submissions are treated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SubmissionSettings {
    /// Milliseconds after which the source is told that the outcome is unknown; one second more for each MiB.
    #[serde(rename = "deadline", with = "web::units::millis")]
    pub deadline_ms: u64,
    /// Milliseconds a submission waits for another one with the same id.
    #[serde(rename = "same_id_wait", with = "web::units::millis")]
    pub same_id_wait_ms: u64,
    /// Milliseconds between two rounds that settle attempts in doubt.
    #[serde(rename = "settle_interval", with = "web::units::millis")]
    pub settle_interval_ms: u64,
    /// What happens to a Patient resource that comes along and is not known yet.
    pub patient_entries: PatientEntries,
}

impl Default for SubmissionSettings {
    fn default() -> SubmissionSettings {
        SubmissionSettings {
            deadline_ms: 60_000,
            same_id_wait_ms: 10_000,
            settle_interval_ms: 5_000,
            patient_entries: PatientEntries::Feed,
        }
    }
}

/// How documents are given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DocumentSettings {
    /// repositoryUniqueId: an OID without prefix; empty: one made with the data directory.
    pub repository_unique_id: String,
    /// homeCommunityId of this community (`urn:oid:…`), for requests that name one; empty: any is taken.
    pub home_community_id: String,
    /// Documents of one Retrieve Document Set [ITI-43], at most.
    pub retrieve_documents: u64,
    /// Bytes of all documents of one answer to it, at most; the key takes a unit.
    #[serde(with = "web::units::size")]
    pub retrieve_bytes: u64,
    /// Types a browser may show; everything else is offered for saving.
    pub inline_types: Vec<String>,
    /// Milliseconds a retrieval waits for a submission in doubt to be settled.
    #[serde(rename = "settle_wait", with = "web::units::millis")]
    pub settle_wait_ms: u64,
}

impl Default for DocumentSettings {
    fn default() -> DocumentSettings {
        let safe = [
            "text/plain",
            "application/pdf",
            "image/png",
            "image/jpeg",
            "image/gif",
            "image/webp",
            "image/bmp",
            "image/tiff",
            "application/dicom",
            "application/json",
            "application/fhir+json",
        ];
        DocumentSettings {
            repository_unique_id: String::new(),
            home_community_id: String::new(),
            retrieve_documents: 100,
            retrieve_bytes: 500 << 20,
            inline_types: safe.into_iter().map(str::to_owned).collect(),
            settle_wait_ms: 2_000,
        }
    }
}

/// How submissions are made that were taken in to be made later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaskSettings {
    /// Submissions made at once.
    pub concurrency: usize,
    /// Seconds after which one is told as failed that a peer stands in the way of; the key takes a unit.
    #[serde(with = "web::units::seconds")]
    pub give_up: u64,
    /// Seconds for which a Task can be read once it has come to its end; the key takes a unit.
    #[serde(with = "web::units::seconds")]
    pub keep: u64,
}

impl Default for TaskSettings {
    fn default() -> TaskSettings {
        TaskSettings { concurrency: 4, give_up: 24 * 3600, keep: 62 * 24 * 3600 }
    }
}

impl RegistrySettings {
    /// The peer.
    pub(crate) fn peer(&self) -> PeerSettings {
        PeerSettings {
            url: bare(&self.url).to_owned(),
            connect_timeout_ms: self.connect_timeout_ms,
            timeout_ms: self.timeout_ms,
            tries: self.tries,
        }
    }

    /// The FHIR base others reach it under, without trailing slash; empty: it has none.
    pub(crate) fn public(&self) -> String {
        match (self.public_url.is_empty(), self.protocol) {
            (false, _) => bare(&self.public_url).to_owned(),
            (true, RegistryProtocol::Fhir) => bare(&self.url).to_owned(),
            (true, RegistryProtocol::XdsB) => String::new(),
        }
    }
}

impl IdentitySettings {
    /// The peer.
    pub(crate) fn peer(&self) -> PeerSettings {
        PeerSettings {
            url: bare(&self.url).to_owned(),
            connect_timeout_ms: self.connect_timeout_ms,
            timeout_ms: self.timeout_ms,
            tries: self.tries,
        }
    }

    /// The base others reach it under, without trailing slash.
    pub(crate) fn public(&self) -> String {
        bare(if self.public_url.is_empty() { &self.url } else { &self.public_url }).to_owned()
    }
}

impl PublishSettings {
    /// What documents do not say of themselves; in words, what cannot be read.
    pub(crate) fn maps(&self) -> Result<Maps, String> {
        let class = |line: &String| {
            let (from, to) = mapping("publish.classes", line)?;
            Ok((code("publish.classes", from)?, code("publish.classes", to)?))
        };
        let format = |line: &String| {
            let (from, to) = mapping("publish.formats", line)?;
            Ok((from.to_owned(), code("publish.formats", to)?))
        };
        let one = |key: &str, text: &str| {
            if text.is_empty() { Ok(None) } else { code(key, text).map(Some) }
        };
        Ok(Maps {
            classes: self.classes.iter().map(class).collect::<Result<_, String>>()?,
            formats: self.formats.iter().map(format).collect::<Result<_, String>>()?,
            facility_type: one("publish.facility_type", &self.facility_type)?,
            practice_setting: one("publish.practice_setting", &self.practice_setting)?,
        })
    }
}

fn mapping<'a>(key: &str, line: &'a str) -> Result<(&'a str, &'a str), String> {
    let halves = line.split_once(" = ").map(|(from, to)| (from.trim(), to.trim()));
    halves.ok_or_else(|| format!("{key}: {line:?} does not say what stands for what: \"from = to\""))
}

/// A code, `system|code` or `system|code|display`.
fn code(key: &str, text: &str) -> Result<Code, String> {
    let mut parts = text.splitn(3, '|').map(str::trim);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(system), Some(code), display) if !code.is_empty() => Ok(Code {
            system: system.to_owned(),
            code: code.to_owned(),
            display: display.filter(|display| !display.is_empty()).map(str::to_owned),
        }),
        _ => Err(format!("{key}: {text:?} is no code; it is written system|code|display")),
    }
}

impl SubmissionSettings {
    pub(crate) fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms)
    }

    pub(crate) fn same_id_wait(&self) -> Duration {
        Duration::from_millis(self.same_id_wait_ms)
    }

    pub(crate) fn settle_interval(&self) -> Duration {
        Duration::from_millis(self.settle_interval_ms.max(10))
    }
}

fn bare(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Every key of these sections, in words.
pub(crate) const KEYS: &[(&str, &str)] = &[
    (
        "registry.protocol",
        "how the registry is spoken to: \"fhir\" is a registry of this product; \"xds.b\" is one of any make, by ITI-42 and ITI-18",
    ),
    (
        "registry.url",
        "FHIR base of the registry, as this process reaches it; with \"xds.b\" the address of its SOAP endpoint",
    ),
    (
        "registry.public_url",
        "FHIR base of the registry, as sources and consumers reach it; empty: registry.url; with \"xds.b\" empty: it has none, and sources are told urn:uuid: of what was registered",
    ),
    ("registry.connect_timeout", "time to connect to the registry"),
    ("registry.timeout", "time until an answer of the registry must be complete"),
    ("registry.tries", "tries of one registration whose outcome is unknown"),
    (
        "registry.patient_authority",
        "with \"xds.b\": OID of the authority that assigns the patient ids this registry knows; needed then",
    ),
    (
        "registry.absent_after",
        "with \"xds.b\": how long it is not believed that the registry does not know a submission in doubt; a repetition may still be on its way",
    ),
    (
        "registry.keep_absent",
        "with \"xds.b\": how long the bytes of a submission are kept that the registry did not know; until then they are found again if it comes to know it",
    ),
    ("identity.url", "FHIR base of the identity source, as this process reaches it"),
    (
        "identity.public_url",
        "FHIR base of the identity source under which patients are referred to; empty: identity.url",
    ),
    ("identity.connect_timeout", "time to connect to the identity source"),
    ("identity.timeout", "time until an answer of the identity source must be complete"),
    ("identity.tries", "tries of a question to the identity source"),
    ("identity.cache_ttl", "how long a resolved patient identifier is believed without asking again"),
    ("identity.cache_entries", "resolved patient identifiers that are kept"),
    (
        "submission.deadline",
        "time after which the source is told that the outcome is unknown; one second more for each MiB",
    ),
    ("submission.same_id_wait", "how long a submission waits for another one with the same id"),
    ("submission.settle_interval", "time between two rounds that settle submissions in doubt"),
    (
        "submission.patient_entries",
        "a Patient sent along that nobody knows yet: \"feed\" it to the identity source, or \"refuse\" the submission",
    ),
    (
        "publish.source_id",
        "OID of the source (SubmissionSet.sourceId) of documents that come without a SubmissionSet; empty: one is made of the caller's name",
    ),
    (
        "publish.classes",
        "class of a document whose metadata is taken from itself, by its type: \"system|code = system|code|display\"; others have their type as class",
    ),
    (
        "publish.formats",
        "format of a document whose metadata is taken from itself, by a template id (CDA) or profile (FHIR) it names: \"1.2.3 = system|code|display\"; the first that fits counts, before what is known anyway",
    ),
    ("publish.facility_type", "facility type of such documents: \"system|code|display\"; empty: none"),
    ("publish.practice_setting", "practice setting of such documents: \"system|code|display\"; empty: none"),
    (
        "documents.repository_unique_id",
        "repositoryUniqueId of this repository: an OID. It stands in the metadata of every document, so it never changes; empty: one made with the data directory, printed by `/readyz?verbose`",
    ),
    (
        "documents.home_community_id",
        "homeCommunityId of this community (`urn:oid:…`): a retrieval that names another one is refused; empty: it is not looked at",
    ),
    (
        "documents.retrieve_documents",
        "documents of one Retrieve Document Set [ITI-43]; beyond: XDSTooManyResults",
    ),
    (
        "documents.retrieve_bytes",
        "bytes of all documents of one answer to Retrieve Document Set [ITI-43]; beyond: XDSTooManyResults",
    ),
    ("documents.inline_types", "media types a browser may show; all others are offered for saving"),
    ("documents.settle_wait", "how long a retrieval waits for a submission in doubt to be settled"),
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
    ("task.concurrency", "submissions made at once of those that were taken in to be made later"),
    (
        "task.give_up",
        "time after which such a submission is told as failed, if it is certain that it was not registered",
    ),
    ("task.keep", "how long a Task can be read once it has come to its end"),
    soap::KEYS[0],
];

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn leaves(prefix: &str, value: &Value, keys: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                    leaves(&key, value, keys);
                }
            }
            _ => keys.push(prefix.to_owned()),
        }
    }

    #[test]
    fn every_key_has_its_words_and_none_is_left_over() {
        let settings = serde_json::to_value(Settings::default()).expect("settings are plain values");
        let mut keys = Vec::new();
        leaves("", &settings, &mut keys);
        let told: Vec<&str> = KEYS.iter().map(|(key, _)| *key).collect();
        assert_eq!(keys, told);
    }

    #[test]
    fn what_stands_for_what_is_read_or_named() {
        let mut settings = PublishSettings {
            classes: vec!["http://loinc.org|34133-9 = urn:oid:1.2.3|REPORT|Report".to_owned()],
            formats: vec!["1.2.3.4 = urn:oid:1.2.5|f".to_owned()],
            ..PublishSettings::default()
        };
        let maps = settings.maps().unwrap();
        assert_eq!((maps.classes[0].0.code.as_str(), maps.classes[0].1.code.as_str()), ("34133-9", "REPORT"));
        assert_eq!((maps.formats[0].0.as_str(), maps.formats[0].1.code.as_str()), ("1.2.3.4", "f"));
        settings.facility_type = "hospital".to_owned();
        assert!(settings.maps().unwrap_err().contains("publish.facility_type"));
    }

    #[test]
    fn an_empty_public_url_is_the_url() {
        let settings = RegistrySettings { url: "http://r/fhir/".to_owned(), ..RegistrySettings::default() };
        assert_eq!(settings.public(), "http://r/fhir");
        let settings = RegistrySettings { public_url: "https://p/fhir".to_owned(), ..settings };
        assert_eq!(
            (settings.public().as_str(), settings.peer().url.as_str()),
            ("https://p/fhir", "http://r/fhir")
        );
    }
}
