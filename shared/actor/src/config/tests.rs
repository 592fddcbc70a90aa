use serde::Deserialize;

use super::*;
use crate::settings::{Index, Level};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Own {
    registry: web::PeerSettings,
    search: Search,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Search {
    require_patient: bool,
    codes: Vec<String>,
    page_secret: String,
    receiver: Vec<Receiver>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Receiver {
    name: String,
    port: u16,
    password: String,
}

impl Default for Own {
    fn default() -> Own {
        let registry = web::PeerSettings { url: "http://127.0.0.1:8081/fhir".into(), ..Default::default() };
        Own { registry, search: Search::default() }
    }
}

const OWN_KEYS: &[(&str, &str)] = &[
    ("registry.url", "Base URL of the registry."),
    ("registry.connect_timeout", "Time to connect."),
    ("registry.timeout", "Time to answer."),
    ("registry.tries", "Tries."),
    ("search.require_patient", "Whether a search needs a patient."),
    ("search.codes", "Codes."),
    ("search.page_secret", "Key of page tokens."),
    ("search.receiver", "Receivers, each a table."),
];

fn shape() -> Shape<Own> {
    Shape::new("registry", 8081, OWN_KEYS)
}

fn file(text: &str) -> (tempfile::TempDir, Sources) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("registry.toml"), text).unwrap();
    let sources = Sources { directory: Some(directory.path().to_owned()), ..Sources::default() };
    (directory, sources)
}

#[test]
fn without_sources_the_defaults_stand() {
    let loaded = shape().load("registry", &Sources::default()).unwrap();
    assert_eq!(loaded.house, Settings::of("registry", 8081));
    assert_eq!(loaded.own, Own::default());
}

#[test]
fn each_source_lies_over_the_one_before() {
    let (directory, mut sources) = file("version = 1\n[log]\nlevel = \"warn\"\n[registry]\ntries = 5\n");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    write("common.toml", "[log]\nlevel = \"error\"\nformat = \"text\"\n[storage]\nindex = \"sled\"\n");
    std::fs::create_dir(directory.path().join("conf.d")).unwrap();
    write("conf.d/10.toml", "[server.limits]\nmax_document_bytes = \"1MiB\"\nkeep_alive = \"5min\"\n");
    write(
        "extra.toml",
        "[registry]\nurl = \"http://127.0.0.1:1/fhir\"\ntries = 7\ntimeout = \"2s\"\nconnect_timeout = \"2s\"\n",
    );
    sources.environment = vec![
        ("DOCSHARE__LOG__LEVEL".into(), "debug".into()),
        ("DOCSHARE__REGISTRY__TIMEOUT".into(), "1s".into()),
        ("DOCSHARE__REGISTRY__CONNECT_TIMEOUT".into(), "4s".into()),
        ("DOCSHARE__SEARCH__CODES".into(), "a, b".into()),
        ("DOCSHARE_COMMIT".into(), "not ours".into()),
    ];
    sources.files = vec![directory.path().join("extra.toml")];
    sources.set = vec![
        "search.require_patient=true".into(),
        "server.trusted_proxies=[\"10.0.0.0/8\"]".into(),
        "registry.connect_timeout=3s".into(),
    ];
    let loaded = shape().load("registry", &sources).unwrap();
    assert_eq!(loaded.house.log.level, Level::Debug);
    assert_eq!(loaded.house.log.format, crate::settings::LogFormat::Text);
    assert_eq!(loaded.house.storage.index, Index::Sled);
    assert_eq!(loaded.house.server.limits.max_document_bytes, 1 << 20);
    assert_eq!(loaded.house.server.limits.keep_alive_seconds, 300);
    assert_eq!(loaded.house.server.trusted_proxies.len(), 1);
    let registry = &loaded.own.registry;
    assert_eq!(
        (registry.url.as_str(), registry.tries),
        ("http://127.0.0.1:1/fhir", 7),
        "a file named by a flag lies over the usual ones"
    );
    assert_eq!(
        registry.timeout_ms, 1_000,
        "a file named by a flag is still a file: the environment lies over it"
    );
    assert_eq!(registry.connect_timeout_ms, 3_000, "a value given as a flag lies over all");
    assert_eq!(loaded.own.search.codes, ["a", "b"]);
    assert!(loaded.own.search.require_patient);
}

#[test]
fn all_faults_are_told_at_once_with_their_place() {
    let (directory, mut sources) = file(
        "version = 2\n\n[server]\nlisten = \"here\"\nworker = 3\n[server.limits]\nmax_documents = \"many\"\nbody_stall = \"20 parsecs\"\n[registry]\nurl = 5\n[nonsense]\nx = 1\n",
    );
    sources.environment = vec![("DOCSHARE__LOG__LEVLE".into(), "debug".into())];
    sources.set = vec!["storage.index=lmdb".into(), "nothing".into()];
    let flaws = shape().load("registry", &sources).unwrap_err();
    let text: Vec<String> = flaws.iter().map(Flaw::to_string).collect();
    let path = directory.path().join("registry.toml").display().to_string();
    for (place, words) in [
        (format!("{path}:1"), "version 2"),
        (format!("{path}:4"), "server.listen"),
        (format!("{path}:5"), "server.worker is not a key; the nearest is server.workers"),
        (format!("{path}:7"), "server.limits.max_documents"),
        (format!("{path}:8"), "20 parsecs"),
        (format!("{path}:10"), "registry.url"),
        (format!("{path}:12"), "nonsense.x is not a key"),
        ("environment, DOCSHARE__LOG__LEVLE".to_owned(), "the nearest is log.level"),
        ("--set storage.index".to_owned(), "lmdb"),
        ("--set nothing".to_owned(), "section.key=value"),
    ] {
        assert!(
            text.iter().any(|line| line.starts_with(&place) && line.contains(words)),
            "nothing says {words:?} at {place}: {text:#?}"
        );
    }
    assert_eq!(text.len(), 10, "{text:#?}");
}

#[test]
fn a_file_that_is_not_toml_is_told_with_its_line() {
    let (_directory, sources) = file("version = 1\n[log\nlevel = \"info\"\n");
    let flaws = shape().load("registry", &sources).unwrap_err();
    assert!(flaws[0].origin.ends_with("registry.toml:2"), "{flaws:?}");
    let missing = Sources { files: vec!["/nowhere/at/all.toml".into()], ..Sources::default() };
    assert!(shape().load("registry", &missing).unwrap_err()[0].words.contains("cannot be read"));
}

#[test]
fn files_that_may_not_be_looked_at_are_not_taken_for_absent() {
    let (directory, sources) = file("version = 1\n");
    // Below a file nothing can be looked at, whoever asks.
    let below = Sources { directory: Some(directory.path().join("registry.toml")), ..Sources::default() };
    assert!(shape().load("registry", &below).is_err());
    assert!(shape().load("registry", &sources).is_ok());
}

#[test]
fn another_address_than_loopback_is_refused_under_the_local_policy() {
    let sources = Sources { set: vec!["server.listen=0.0.0.0:8081".into()], ..Sources::default() };
    let flaws = shape().load("registry", &sources).unwrap_err();
    assert!(flaws[0].words.contains("only loopback"), "{flaws:?}");
}

#[test]
fn unsynced_commits_are_refused_in_production() {
    let set =
        |more: &str| Sources { set: vec!["storage.sync=false".into(), more.into()], ..Sources::default() };
    assert!(shape().load("registry", &set("env=production")).is_err());
    assert!(shape().load("registry", &set("env=development")).is_ok());
}

#[test]
fn a_secret_is_not_shown() {
    let sources = Sources { set: vec!["search.page_secret=hunter2".into()], ..Sources::default() };
    let loaded = shape().load("registry", &sources).unwrap();
    assert_eq!(loaded.own.search.page_secret, "hunter2");
    assert!(!loaded.shown.contains("hunter2"), "{}", loaded.shown);
    assert!(loaded.shown.contains("page_secret = \"(set)\""), "{}", loaded.shown);
}

#[test]
fn what_is_shown_can_be_read_again() {
    let loaded = shape().load("registry", &Sources::default()).unwrap();
    let (_directory, sources) = file(&loaded.shown);
    assert_eq!(shape().load("registry", &sources).unwrap().house, loaded.house);
}

#[test]
fn a_key_may_be_several_tables() {
    let text = "[[search.receiver]]\nname = \"a\"\nport = 1\n\n[[search.receiver]]\nname = \"b\"\npassword = \"hunter2\"\n";
    let (_directory, sources) = file(text);
    let loaded = shape().load("registry", &sources).unwrap();
    let names: Vec<_> = loaded.own.search.receiver.iter().map(|one| (one.name.as_str(), one.port)).collect();
    assert_eq!(names, [("a", 1), ("b", 0)]);
    assert_eq!(loaded.own.search.receiver[1].password, "hunter2");
    assert!(!loaded.shown.contains("hunter2"), "{}", loaded.shown);
    let (_directory, again) = file(&loaded.shown);
    assert_eq!(shape().load("registry", &again).unwrap().own.search.receiver.len(), 2);
}

#[test]
fn several_tables_may_come_from_the_environment() {
    let environment = vec![(
        "DOCSHARE__SEARCH__RECEIVER".to_owned(),
        "[{ name = \"a\", port = 1 }, { name = \"b\" }]".to_owned(),
    )];
    let sources = Sources { environment, ..Sources::default() };
    assert_eq!(shape().load("registry", &sources).unwrap().own.search.receiver.len(), 2);
}

#[test]
fn what_is_wrong_in_one_of_several_tables_is_told_with_its_number() {
    let (_directory, sources) = file(
        "[[search.receiver]]\nname = \"a\"\n[[search.receiver]]\nprot = 1\n[[search.receiver]]\nport = \"x\"\n",
    );
    let flaws = shape().load("registry", &sources).unwrap_err();
    let text: Vec<String> = flaws.iter().map(Flaw::to_string).collect();
    assert!(text[0].contains("search.receiver[1]") && text[0].contains("unknown field `prot`"), "{text:?}");
}

#[test]
fn an_actor_without_settings_has_only_those_of_the_house() {
    let shape: Shape<()> = Shape::new("bare", 0, &[]);
    assert!(shape.load("bare", &Sources::default()).is_ok());
    let sources = Sources { set: vec!["registry.url=x".into()], ..Sources::default() };
    assert!(shape.load("bare", &sources).is_err());
}

#[test]
fn every_key_has_words_and_every_word_a_key() {
    assert_eq!(crate::reference::differences(&shape()), Vec::<String>::new());
}
