//! The sections of the configuration every actor has.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use web::{Limits, Network, Origin};

/// The house's part of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) version: Format,
    pub(crate) env: Environment,
    pub(crate) server: Server,
    pub(crate) admin: Admin,
    pub(crate) storage: Storage,
    pub(crate) security: Security,
    pub(crate) audit: Audit,
    pub(crate) log: Log,
}

/// The format of the configuration: there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub(crate) struct Format;

impl TryFrom<u64> for Format {
    type Error = String;

    fn try_from(version: u64) -> Result<Format, String> {
        match version {
            1 => Ok(Format),
            other => {
                Err(format!("version {other} of the configuration is not known; this binary reads version 1"))
            }
        }
    }
}

impl From<Format> for u64 {
    fn from(_: Format) -> u64 {
        1
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Environment {
    Production,
    Development,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: SocketAddr,
    #[serde(deserialize_with = "public_url")]
    pub(crate) public_url: String,
    #[serde(deserialize_with = "public_url")]
    pub(crate) doc_url: String,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) cors_origins: Vec<Origin>,
    pub(crate) workers: usize,
    #[serde(with = "web::units::seconds")]
    pub(crate) drain_timeout: u64,
    #[serde(deserialize_with = "time_zone")]
    pub(crate) default_timezone: String,
    pub(crate) limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admin {
    pub(crate) listen: SocketAddr,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) directory: PathBuf,
    pub(crate) engine: Engine,
    pub(crate) index: Index,
    #[serde(with = "web::units::size")]
    pub(crate) cache: u64,
    #[serde(with = "web::units::size")]
    pub(crate) segment: u64,
    #[serde(with = "web::units::size")]
    pub(crate) reserve: u64,
    #[serde(with = "web::units::seconds")]
    pub(crate) trash_period: u64,
    #[serde(with = "web::units::seconds")]
    pub(crate) scrub_period: u64,
    pub(crate) sync: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Engine {
    Embedded,
    Memory,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Index {
    Redb,
    Sled,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Security {
    pub(crate) policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Policy {
    LocalDevelopment,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Audit {
    pub(crate) read_sync: ReadSync,
}

/// When the audit record of a read is on storage that reported it synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReadSync {
    /// Appended before the answer, synced within 100 ms.
    Group,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub(crate) level: Level,
    pub(crate) format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Json,
    Text,
}

impl Settings {
    /// The defaults of an actor by its name and usual port.
    pub(crate) fn of(name: &str, port: u16) -> Settings {
        let admin = if port == 0 { 0 } else { port + 10 };
        Settings {
            version: Format,
            env: Environment::Production,
            server: Server {
                listen: ([127, 0, 0, 1], port).into(),
                public_url: String::new(),
                doc_url: String::new(),
                trusted_proxies: Vec::new(),
                cors_origins: Vec::new(),
                workers: 0,
                drain_timeout: 30,
                default_timezone: "UTC".to_owned(),
                limits: Limits::default(),
            },
            admin: Admin { listen: ([127, 0, 0, 1], admin).into() },
            storage: Storage {
                directory: PathBuf::from("/var/lib/docshare").join(name),
                engine: Engine::Embedded,
                index: Index::Redb,
                cache: 64 << 20,
                segment: 64 << 20,
                reserve: 256 << 20,
                trash_period: 7 * 24 * 3600,
                scrub_period: 30 * 24 * 3600,
                sync: true,
            },
            security: Security { policy: Policy::LocalDevelopment },
            audit: Audit { read_sync: ReadSync::Group },
            log: Log { level: Level::Info, format: LogFormat::Auto },
        }
    }
}

/// Words for every key above.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("version", "Format of the configuration; 1."),
    ("env", "`production` or `development`."),
    (
        "server.listen",
        "Address and port of the FHIR and SOAP endpoints and the documents; port 0 takes a free one.",
    ),
    (
        "server.public_url",
        "The FHIR base as callers see it, e.g. `https://registry.example/fhir`; empty: it follows from the request's `Host`.",
    ),
    (
        "server.doc_url",
        "Where the manual of this installation is published: `[doc_url]/errors` is then the system of our error codes, and every issue says where its page is. Empty: nowhere.",
    ),
    (
        "server.trusted_proxies",
        "Addresses or networks whose `Forwarded` and `X-Forwarded-…` headers count, e.g. `[\"10.0.0.0/8\"]`.",
    ),
    (
        "server.cors_origins",
        "Origins whose pages may call this server from a browser, each named by itself, e.g. `[\"https://viewer.example\"]`; empty: none.",
    ),
    ("server.workers", "Threads that serve requests; 0: one for each processor core."),
    ("server.drain_timeout", "How long requests under way may take when the actor stops."),
    (
        "server.default_timezone",
        "The zone of dates that name none, in searches and in what is registered, e.g. `Europe/Berlin`. Set it before the first document.",
    ),
    ("server.limits.max_header_bytes", "Bytes of all header lines of a request; at most 96KiB. Beyond: 431."),
    ("server.limits.max_headers", "Header lines of a request. Beyond: 431."),
    ("server.limits.max_target_bytes", "Bytes of the request target. Beyond: 414."),
    (
        "server.limits.max_body_bytes",
        "Bytes of a FHIR body or SOAP message without its documents. Beyond: 413, or a fault.",
    ),
    ("server.limits.max_form_bytes", "Bytes of a search form. Beyond: 413."),
    ("server.limits.max_patient_bytes", "Bytes of a Patient resource. Beyond: 413."),
    ("server.limits.max_document_bytes", "Bytes of one document. Beyond: 413."),
    ("server.limits.max_submission_bytes", "Bytes of all documents of a submission. Beyond: 413."),
    ("server.limits.max_documents", "Documents of a submission. Beyond: 413."),
    ("server.limits.max_entries", "Entries of a Bundle. Beyond: 413."),
    ("server.limits.max_xml_depth", "Elements of a SOAP message that lie in each other. Beyond: a fault."),
    ("server.limits.max_xml_attributes", "Attributes of a tag of a SOAP message. Beyond: a fault."),
    ("server.limits.max_xml_namespaces", "Namespaces a tag of a SOAP message declares. Beyond: a fault."),
    ("server.limits.max_xml_text_bytes", "Bytes of a text or attribute of a SOAP message. Beyond: a fault."),
    ("server.limits.max_xml_nodes", "Elements and attributes of a SOAP message. Beyond: a fault."),
    ("server.limits.max_parts", "Parts of an MTOM package. Beyond: a fault."),
    (
        "server.limits.max_part_header_bytes",
        "Bytes of the head of a part of an MTOM package. Beyond: a fault.",
    ),
    ("server.limits.max_connections", "Connections in all. Beyond: 503."),
    ("server.limits.max_connections_per_address", "Connections of one address. Beyond: 503."),
    ("server.limits.header_timeout", "Time in which the head of a request must be complete."),
    ("server.limits.keep_alive", "Time a connection may stay idle between requests."),
    ("server.limits.body_stall", "Time in which a further byte of a body must come. Beyond: 408."),
    (
        "server.limits.write_stall",
        "Time in which the caller must take a further byte of the answer. Beyond: the connection ends.",
    ),
    (
        "server.limits.read_deadline",
        "Time in which the answer to a question (`GET`, `_search`) must begin. Beyond: 503.",
    ),
    (
        "server.limits.submission_deadline",
        "Time in which the answer to what changes something must begin, and a second more for each MiB of its body, 15 minutes at most. Beyond: 503; what is under way is still finished.",
    ),
    (
        "server.limits.min_body_rate",
        "Bytes a second of a body, on average, once ten seconds have passed. Below: 408.",
    ),
    ("server.limits.max_compression_ratio", "Times a compressed body may grow. Beyond: 413."),
    ("server.limits.max_search_parameters", "Search parameters of a request. Beyond: 400."),
    ("server.limits.max_search_values", "Alternatives of a search parameter. Beyond: 400."),
    ("server.limits.max_search_value_bytes", "Bytes of the value of a search parameter. Beyond: 400."),
    ("server.limits.max_count", "Entries of a page of search results; a larger `_count` is clamped."),
    ("admin.listen", "Address and port of the probes and metrics; port 0 takes a free one."),
    ("storage.directory", "The data directory; made if it is not there, and locked while the actor runs."),
    (
        "storage.engine",
        "`embedded`: the journal on disk; `memory`: forgets everything at the end, for tests.",
    ),
    ("storage.index", "The library of the journal's index: `redb` or `sled`."),
    ("storage.cache", "Memory the index may use as its cache."),
    ("storage.segment", "Size of a segment of the journal; smaller on a small or full volume."),
    (
        "storage.reserve",
        "Room kept back on the volume, so that audit records, settling and clearing away go on when it is full; at most a sixteenth of the volume.",
    ),
    (
        "storage.trash_period",
        "How long the bytes of a removed or rejected document lie in the trash before they are deleted, counted while the actor runs: a clock that jumps deletes nothing.",
    ),
    (
        "storage.scrub_period",
        "Everything that is stored is read again and verified within this time, in the background.",
    ),
    (
        "storage.sync",
        "Whether a commit is synced before it is answered. `false` loses acknowledged submissions at a power cut; for measurements only, refused in production.",
    ),
    (
        "security.policy",
        "`local-development`: everyone on this machine may do everything, and only loopback addresses can be listened on.",
    ),
    (
        "audit.read_sync",
        "When the audit record of a read is synced: `group`, written before the answer and synced within 100 ms.",
    ),
    ("log.level", "`error`, `warn`, `info` (one line for each request), `debug` or `trace`."),
    ("log.format", "`json`: one object a line; `text`; `auto`: text on a terminal, else json."),
];

fn public_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = String::deserialize(deserializer)?;
    let sound = url.is_empty()
        || ((url.starts_with("http://") || url.starts_with("https://")) && !url.contains(['?', '#', ' ']));
    if sound {
        Ok(url)
    } else {
        Err(serde::de::Error::custom(format!("{url:?} is not an http or https URL")))
    }
}

fn time_zone<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match jiff::tz::TimeZone::get(&name) {
        Ok(_) => Ok(name),
        Err(_) => Err(serde::de::Error::custom(format!("{name:?} is not a time zone of this system"))),
    }
}
