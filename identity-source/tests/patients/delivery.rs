//! How the registry is told of patients.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::subject::{RED, Subject, alice};
use actor::{Actor, House, Route, Setup};
use identity_source::Settings;
use reqwest::StatusCode;
use serde_json::{Value, json};
use web::{Answer, PeerSettings, Request};

/// What the registry of this test was told, and how many times it refuses first.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) patients: Mutex<Vec<(String, Value)>>,
    refusals: Mutex<u32>,
    /// Which life it says it is in.
    life: Mutex<Option<String>>,
    /// The version it says it knows, whatever it is fed.
    knows: Mutex<Option<u64>>,
}

impl Told {
    /// From now on it is this life.
    fn live(&self, life: &str) {
        *self.life.lock().expect("not poisoned") = Some(life.to_owned());
    }

    /// Id and version of everything it has taken since, once it was told of this patient.
    async fn since(&self, before: usize, last: &str) -> Vec<(String, String)> {
        for _ in 0..500 {
            let told: Vec<(String, String)> = {
                let patients = self.patients.lock().expect("not poisoned");
                let version =
                    |patient: &Value| patient["meta"]["versionId"].as_str().expect("has one").to_owned();
                patients[before..].iter().map(|(id, patient)| (id.clone(), version(patient))).collect()
            };
            if told.iter().any(|(id, _)| id == last) {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the registry was not told of {last}");
    }

    fn count(&self) -> usize {
        self.patients.lock().expect("not poisoned").len()
    }
}

/// A registry that only listens. Settings carry nothing; what it was told is kept here.
static TOLD: std::sync::LazyLock<Mutex<Vec<Arc<Told>>>> = std::sync::LazyLock::new(Mutex::default);

#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Place {
    told: usize,
}

struct Listener(Arc<Told>);

impl Actor for Listener {
    const NAME: &'static str = "registry";
    type Settings = Place;

    async fn build(house: House<Place>) -> Result<Listener, String> {
        Ok(Listener(TOLD.lock().expect("no test panics while it holds this")[house.settings.told].clone()))
    }

    fn routes() -> &'static [Route<Listener>] {
        &[
            Route {
                method: "PUT",
                path: "/fhir/Patient/{id}",
                transaction: "ITI-104",
                serve: |listener, request| Box::pin(listen(listener, request)),
            },
            Route {
                method: "GET",
                path: "/incarnation",
                transaction: "none",
                serve: |listener, _| Box::pin(async { telling(listener, http::StatusCode::OK) }),
            },
        ]
    }

    fn unrouted(&self, _request: &Request, _allowed: &[&'static str]) -> Answer {
        Answer::empty(http::StatusCode::NOT_FOUND)
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        &[("told", "which listener")]
    }
}

async fn listen(listener: &Listener, request: &mut Request) -> Answer {
    let id = request.params.get("id").expect("the path has one").to_owned();
    let meant =
        request.headers.get("docshare-incarnation").map(|life| life.to_str().expect("is text").to_owned());
    let body = request.body.whole(1 << 20, "none").await.expect("is sent whole");
    if meant.is_some() && meant != *listener.0.life.lock().expect("not poisoned") {
        return telling(listener, http::StatusCode::PRECONDITION_FAILED);
    }
    {
        let mut refusals = listener.0.refusals.lock().expect("not poisoned");
        if *refusals > 0 {
            *refusals -= 1;
            return telling(listener, http::StatusCode::SERVICE_UNAVAILABLE);
        }
    }
    let patient = serde_json::from_slice(&body).expect("is JSON");
    listener.0.patients.lock().expect("not poisoned").push((id, patient));
    telling(listener, http::StatusCode::OK)
}

/// An answer that says in which life it is given, and what is known.
fn telling(listener: &Listener, status: http::StatusCode) -> Answer {
    let mut answer = Answer::empty(status);
    if let Some(life) = &*listener.0.life.lock().expect("not poisoned") {
        answer =
            answer.with("docshare-incarnation".parse().expect("is a name"), life.parse().expect("is text"));
    }
    if let Some(version) = *listener.0.knows.lock().expect("not poisoned") {
        answer = answer.with(http::header::ETAG, format!("W/\"{version}\"").parse().expect("is text"));
    }
    answer
}

pub(crate) fn listener(refusals: u32) -> (actor::Running, Arc<Told>) {
    let told = Arc::new(Told { refusals: Mutex::new(refusals), ..Told::default() });
    let place = {
        let mut all = TOLD.lock().expect("not poisoned");
        all.push(told.clone());
        all.len() - 1
    };
    (actor::start::<Listener>(Place { told: place }), told)
}

fn source(registry: &str) -> Subject {
    Subject::start_with(settings(registry))
}

pub(crate) fn settings(registry: &str) -> Settings {
    let registry = PeerSettings { url: format!("{registry}/fhir"), ..PeerSettings::default() };
    Settings { registry, ..Settings::default() }
}

/// An address where nobody listens.
fn nowhere() -> String {
    let unused = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    format!("http://{}", unused.local_addr().expect("is bound"))
}

/// Versions the registry was told of, once there are that many.
async fn versions(told: &Told, count: usize) -> Vec<String> {
    for _ in 0..500 {
        let versions: Vec<String> = {
            let patients = told.patients.lock().expect("not poisoned");
            patients.iter().map(|(_, patient)| patient["meta"]["versionId"].to_string()).collect()
        };
        if versions.len() >= count {
            return versions;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the registry was not told of {count} versions");
}

#[tokio::test]
async fn the_registry_knows_a_patient_before_its_source_is_answered() {
    let (registry, told) = listener(0);
    let subject = source(&registry.host);
    let id = subject.fed(&alice()).await;
    let patients = told.patients.lock().expect("not poisoned").clone();
    assert_eq!(patients.len(), 1);
    assert_eq!((patients[0].0.as_str(), &patients[0].1["id"]), (id.as_str(), &json!(id)));
    assert_eq!(patients[0].1["meta"]["versionId"], "1");
}

#[tokio::test]
async fn a_registry_that_is_busy_is_told_later_and_in_order() {
    let (registry, told) = listener(3);
    let subject = source(&registry.host);
    subject.fed(&alice()).await;
    let mut revised = alice();
    revised["birthDate"] = json!("1958-01-31");
    assert_eq!(subject.feed(RED, "IHERED-994", &revised).await.status, StatusCode::OK);
    assert_eq!(versions(&told, 2).await, ["\"1\"", "\"2\""]);
}

#[tokio::test]
async fn a_registry_that_is_away_does_not_keep_a_source_waiting() {
    let subject = source(&nowhere());
    let begun = std::time::Instant::now();
    subject.fed(&alice()).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    let health = subject.admin("/readyz?verbose").await;
    assert!(health.contains("messages waiting for the registry: 1"), "{health}");
    let health: Value = serde_json::from_str(&health).expect("is JSON");
    assert_eq!(health["ready"], true, "the outbox keeps; this actor goes on");
}

#[tokio::test]
async fn what_was_not_told_is_told_after_a_restart() {
    let directory = tempfile::tempdir().expect("there is room");
    let opened = || store::Store::open(&store::Options::new(directory.path())).expect("can be opened");
    let setup = Setup { store: opened(), ..Setup::new(settings(&nowhere())) };
    let subject = Subject::start_in(setup);
    let id = subject.fed(&alice()).await;
    subject.stop();

    let (registry, told) = listener(0);
    let setup = Setup { store: opened(), ..Setup::new(settings(&registry.host)) };
    let subject = Subject::start_in(setup);
    assert_eq!(subject.found(&format!("identifier={RED}|IHERED-994")).await, [id.as_str()]);
    assert_eq!(versions(&told, 1).await, ["\"1\""]);
}

/// A patient of this number, known in the red domain.
fn numbered(number: usize) -> Value {
    let mut patient = alice();
    patient["identifier"][0]["value"] = json!(format!("N-{number}"));
    patient
}

#[tokio::test]
async fn a_registry_in_another_life_is_fed_every_patient_again_once() {
    let (registry, told) = listener(0);
    told.live("r;1");
    let subject = source(&registry.host);
    let (first, second) = (subject.fed(&numbered(1)).await, subject.fed(&numbered(2)).await);
    let mut merged = numbered(1);
    merged["active"] = json!(false);
    merged["link"] = json!([{
        "other": { "identifier": { "system": RED, "value": "N-2" } }, "type": "replaced-by"
    }]);
    assert_eq!(subject.feed(RED, "N-1", &merged).await.status, StatusCode::OK);
    let before = told.count();
    assert_eq!(before, 3, "a registry that is met for the first time is not fed twice");

    told.live("r;2");
    let third = subject.fed(&numbered(3)).await;
    told.since(before, &third).await;
    let again = told.since(before, &first).await;
    let versions = |of: &str| {
        let of = again.iter().filter(|(id, _)| id == of);
        of.map(|(_, version)| version.as_str()).collect::<Vec<_>>()
    };
    assert_eq!((versions(&first), versions(&second)), (vec!["2"], vec!["1"]), "{again:?}");
    // Patients who have nothing to do with each other are fed side by side; one who was merged comes after the survivor.
    let place = |of: &str| again.iter().position(|(id, _)| id == of).expect("was fed again");
    assert!(place(&second) < place(&first), "{again:?}");
    let patients = told.patients.lock().expect("not poisoned").clone();
    let (_, merged) = patients[before..].iter().find(|(id, _)| *id == first).expect("was fed again");
    assert_eq!(merged["link"][0]["other"]["reference"], format!("Patient/{second}"), "{merged}");

    let before = told.count();
    let fourth = subject.fed(&numbered(4)).await;
    let later = told.since(before, &fourth).await;
    assert!(later.iter().all(|(id, _)| *id == third || *id == fourth), "once is enough: {later:?}");
}

#[tokio::test]
async fn feeding_again_that_breaks_off_begins_again() {
    let (registry, told) = listener(0);
    told.live("r;1");
    let subject = source(&registry.host);
    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(subject.fed(&numbered(number)).await);
    }
    let before = told.count();
    told.live("r;2");
    *told.refusals.lock().expect("not poisoned") = 2;
    let last = subject.fed(&numbered(20)).await;
    for _ in 0..500 {
        let again = told.since(before, &last).await;
        if ids.iter().all(|id| again.iter().any(|(fed, _)| fed == id)) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not every patient was fed again");
}

#[tokio::test]
async fn a_registry_that_was_fed_before_its_life_was_remembered_is_fed_again_and_then_no_more() {
    let directory = tempfile::tempdir().expect("there is room");
    let opened = || store::Store::open(&store::Options::new(directory.path())).expect("can be opened");
    let (registry, told) = listener(0);
    let start = || Subject::start_in(Setup { store: opened(), ..Setup::new(settings(&registry.host)) });
    let subject = start();
    let id = subject.fed(&alice()).await;
    subject.stop();
    assert_eq!(told.count(), 1, "a registry that tells of no life is fed as ever");

    told.live("r;1");
    let subject = start();
    assert_eq!(told.since(1, &id).await, [(id.clone(), "1".to_owned())]);
    let other = subject.fed(&numbered(1)).await;
    subject.stop();

    let before = told.count();
    let subject = start();
    let third = subject.fed(&numbered(2)).await;
    let later = told.since(before, &third).await;
    assert!(!later.iter().any(|(fed, _)| *fed == id || *fed == other), "{later:?}");
}

#[tokio::test]
async fn a_registry_that_knows_a_newer_version_is_told_of_to_the_operator() {
    let (registry, told) = listener(0);
    told.live("r;1");
    *told.knows.lock().expect("not poisoned") = Some(7);
    let subject = source(&registry.host);
    subject.fed(&alice()).await;
    let metrics = subject.admin("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("docshare_patients_behind_registry_total"));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{metrics}");
}

#[tokio::test]
async fn an_identity_source_that_was_restored_feeds_every_patient_again() {
    let directory = tempfile::tempdir().expect("there is room");
    let data = directory.path().join("data");
    let opened = || store::Store::open(&store::Options::new(&data)).expect("can be opened");
    let (registry, told) = listener(0);
    told.live("r;1");
    let start = || Subject::start_in(Setup { store: opened(), ..Setup::new(settings(&registry.host)) });
    let subject = start();
    let id = subject.fed(&alice()).await;
    subject.stop();

    // What a restore does to the marks of a data directory.
    for mark in [data.join("incarnation"), store::mark_beside(&data)] {
        let Ok(written) = std::fs::read(&mark) else { continue };
        let mut written: Value = serde_json::from_slice(&written).expect("is JSON");
        written["number"] = json!(2);
        std::fs::write(&mark, written.to_string()).expect("can be written");
    }
    let _restored = start();
    assert_eq!(told.since(1, &id).await, [(id.clone(), "1".to_owned())]);
}
