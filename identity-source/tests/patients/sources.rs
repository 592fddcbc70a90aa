//! Several sources: what each says of its patients is a record of its own, and an identifier names one of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::delivery::{Told, listener, settings};
use crate::subject::{BLUE, GREEN, RED, Subject, alice};
use futures_util::future::join_all;
use identity_source::{AuthoritySettings, Domain, Settings};
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::patient;

/// A patient with these identifiers.
fn known_as(identifiers: &[(&str, &str)]) -> Value {
    let mut patient = alice();
    let items = identifiers.iter().map(|(system, value)| json!({ "system": system, "value": value }));
    patient["identifier"] = items.collect();
    patient
}

async fn read(subject: &Subject, id: &str) -> Value {
    let told = subject.get(&format!("/Patient/{id}")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    told.json()
}

/// An identity source and the registry it tells which identifiers a patient holds.
struct Region {
    subject: Subject,
    told: Arc<Told>,
    _registry: actor::Running,
}

impl Region {
    fn start(domain: Domain) -> Region {
        let (registry, told) = listener(0);
        let subject = Subject::start_with(Settings { domain, ..settings(&registry.host) });
        Region { subject, told, _registry: registry }
    }

    /// Ids of the patients an identifier names at the registry, as it was told of each last.
    fn holders(&self, system: &str, value: &str) -> Vec<String> {
        let told = self.told.patients.lock().expect("not poisoned");
        let last: BTreeMap<&str, &Value> = told.iter().map(|(id, patient)| (id.as_str(), patient)).collect();
        let is = |item: &Value| item["system"] == system && item["value"] == value;
        let has = |patient: &Value| patient["identifier"].as_array().is_some_and(|list| list.iter().any(is));
        last.into_iter().filter(|(_, patient)| has(patient)).map(|(id, _)| id.to_owned()).collect()
    }

    /// Waits until an identifier names this patient and nobody else.
    async fn names(&self, system: &str, value: &str, id: &str) {
        for _ in 0..250 {
            if self.holders(system, value) == [id] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{system}|{value} names {:?}, not {id}", self.holders(system, value));
    }
}

#[tokio::test]
async fn the_source_of_a_domain_speaks_for_its_own_identifiers() {
    let region = Region::start(Domain::default());
    let subject = &region.subject;
    let red = subject.fed(&known_as(&[(RED, "1"), (BLUE, "2")])).await;
    region.names(BLUE, "2", &red).await;
    let told = subject.feed(BLUE, "2", &patient(BLUE, "2", "Blau", "Berta")).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    let blue = told.json()["id"].as_str().expect("has an id").to_owned();
    region.names(BLUE, "2", &blue).await;
    region.names(RED, "1", &red).await;
    let stands = read(subject, &red).await;
    assert_eq!(stands["name"], alice()["name"], "what the red source said is not overwritten");
    assert_eq!(stands["identifier"][1]["value"], "2", "and it still says it");
    assert_eq!(stands["meta"]["versionId"], "2", "who loses an identifier is told of anew");
    let again = subject.feed(RED, "1", &known_as(&[(RED, "1"), (BLUE, "2")])).await;
    assert_eq!((again.status, again.header("etag")), (StatusCode::OK, "W/\"2\""), "{}", again.text);
    region.names(BLUE, "2", &blue).await;
}

#[tokio::test]
async fn a_source_that_knows_all_revises_one_record_under_any_of_its_names() {
    let subject = Subject::start();
    let all = known_as(&[(RED, "1"), (BLUE, "2"), (GREEN, "3")]);
    let id = subject.fed(&all).await;
    let mut married = all.clone();
    married["name"] = json!([{ "family": "Moore", "given": ["Alice"] }]);
    let told = subject.feed(BLUE, "2", &married).await;
    assert_eq!(
        (told.status, told.json()["id"].as_str()),
        (StatusCode::OK, Some(id.as_str())),
        "{}",
        told.text
    );
}

#[tokio::test]
async fn an_identifier_of_another_source_is_stated_and_not_taken() {
    let region = Region::start(Domain::default());
    let subject = &region.subject;
    let red = subject.fed(&known_as(&[(RED, "1"), (GREEN, "3")])).await;
    let told = subject.feed(BLUE, "2", &known_as(&[(BLUE, "2"), (GREEN, "3")])).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    let blue = told.json()["id"].as_str().expect("has an id").to_owned();
    assert_eq!(told.json()["identifier"].as_array().map(Vec::len), Some(2));
    region.names(BLUE, "2", &blue).await;
    region.names(GREEN, "3", &red).await;
    // Once its holder lets go of it, the next feed that states it takes it.
    assert_eq!(subject.feed(RED, "1", &known_as(&[(RED, "1")])).await.status, StatusCode::OK);
    let told = subject.feed(BLUE, "2", &known_as(&[(BLUE, "2"), (GREEN, "3")])).await;
    assert_eq!((told.status, told.header("etag")), (StatusCode::OK, "W/\"2\""), "{}", told.text);
    region.names(GREEN, "3", &blue).await;
}

#[tokio::test]
async fn every_spelling_of_a_configured_domain_is_one_domain() {
    const URL: &str = "http://red.example/mrn";
    let authority = AuthoritySettings {
        namespace: "IHERED".to_owned(),
        oid: RED.trim_start_matches("urn:oid:").to_owned(),
        uris: vec![URL.to_owned()],
        ..AuthoritySettings::default()
    };
    let region = Region::start(Domain { authority: vec![authority], ..Domain::default() });
    let subject = &region.subject;
    let told = subject.feed(RED, "1", &known_as(&[(URL, "1")])).await;
    assert_eq!(told.status, StatusCode::CREATED, "condition and body spell it differently: {}", told.text);
    let id = told.json()["id"].as_str().expect("has an id").to_owned();
    assert_eq!(told.json()["identifier"][0]["system"], URL, "the resource keeps the source's spelling");
    region.names(URL, "1", &id).await;
    region.names(RED, "1", &id).await;
    for spelling in [RED, URL, RED.trim_start_matches("urn:oid:"), "IHERED"] {
        let told = subject.feed(spelling, "1", &known_as(&[(spelling, "1")])).await;
        assert_eq!(
            (told.status, told.json()["id"].as_str()),
            (StatusCode::OK, Some(id.as_str())),
            "{}",
            told.text
        );
        assert_eq!(subject.found(&format!("identifier={spelling}%7C1")).await, [id.as_str()], "{spelling}");
        assert_eq!(subject.found(&format!("identifier={spelling}%7C&family=MOHR")).await, [id.as_str()]);
        region.names(RED, "1", &id).await;
    }
    let other = subject.feed(GREEN, "3", &known_as(&[(GREEN, "3"), (URL, "1")])).await;
    assert_eq!(other.status, StatusCode::CREATED, "{}", other.text);
    region.names(GREEN, "3", other.json()["id"].as_str().expect("has an id")).await;
    assert!(region.holders(URL, "1").is_empty(), "a statement is not fed, however it is spelled");
}

#[tokio::test]
async fn a_spelling_that_is_configured_later_finds_what_was_fed_before() {
    const URL: &str = "http://red.example/mrn";
    let setup = actor::Setup::new(Settings::default());
    let store = setup.store.clone();
    let before = Subject::start_in(setup);
    let id = before.fed(&known_as(&[(URL, "1")])).await;
    let authority = AuthoritySettings {
        oid: RED.trim_start_matches("urn:oid:").to_owned(),
        uris: vec![URL.to_owned()],
        ..AuthoritySettings::default()
    };
    let domain = Domain { authority: vec![authority], ..Domain::default() };
    let mut setup = actor::Setup::new(Settings { domain, ..Settings::default() });
    setup.store = store;
    let after = Subject::start_in(setup);
    assert_eq!(after.found(&format!("identifier={RED}%7C1")).await, [id.as_str()]);
    let told = after.feed(RED, "1", &known_as(&[(RED, "1")])).await;
    assert_eq!(
        (told.status, told.json()["id"].as_str()),
        (StatusCode::OK, Some(id.as_str())),
        "{}",
        told.text
    );
    let other = after.feed(RED, "2", &known_as(&[(RED, "2"), (URL, "1")])).await;
    assert_eq!(other.status, StatusCode::PRECONDITION_FAILED, "{}", other.text);
}

#[tokio::test]
async fn a_strict_source_takes_configured_domains_only() {
    let domain = Domain { authorities: vec![RED.to_owned()], strict: true, ..Domain::default() };
    let subject = Subject::start_with(Settings { domain, ..Settings::default() });
    let told = subject.feed(BLUE, "2", &patient(BLUE, "2", "Blau", "Berta")).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "code-invalid"));
    assert!(told.issue().1.contains(RED.trim_start_matches("urn:oid:")), "{}", told.text);
    assert!(subject.found("").await.is_empty());
    subject.fed(&known_as(&[(RED, "1"), (BLUE, "2")])).await;
    let told = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={BLUE}%7C2")).await;
    assert_eq!(told.status, StatusCode::BAD_REQUEST, "blue is not learned: {}", told.text);
}

#[tokio::test]
async fn two_sources_that_speak_of_one_identifier_at_once_make_one_holder() {
    let region = Region::start(Domain::default());
    let subject = &region.subject;
    for round in 0..20 {
        let value = format!("{round}");
        let red = known_as(&[(RED, &value), (BLUE, &value)]);
        let blue = known_as(&[(BLUE, &value)]);
        let feeds = [(RED, &red), (BLUE, &blue), (RED, &red), (BLUE, &blue)];
        let told = join_all(feeds.map(|(system, body)| subject.feed(system, &value, body))).await;
        assert!(told.iter().all(|told| told.status.is_success()), "{told:?}");
        let ids: Vec<Value> = told.iter().map(|told| told.json()["id"].clone()).collect();
        let id = |at: usize| ids[at].as_str().expect("has an id");
        assert_eq!((id(0), id(1)), (id(2), id(3)), "each source has one record");
        assert_ne!(id(0), id(1));
        region.names(RED, &value, id(0)).await;
        region.names(BLUE, &value, id(1)).await;
    }
}
