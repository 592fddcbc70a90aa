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
struct Told {
    patients: Mutex<Vec<(String, Value)>>,
    refusals: Mutex<u32>,
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
        &[Route {
            method: "PUT",
            path: "/fhir/Patient/{id}",
            transaction: "ITI-104",
            serve: |listener, request| Box::pin(listen(listener, request)),
        }]
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
    let body = request.body.whole(1 << 20, "none").await.expect("is sent whole");
    let mut refusals = listener.0.refusals.lock().expect("not poisoned");
    if *refusals > 0 {
        *refusals -= 1;
        return Answer::empty(http::StatusCode::SERVICE_UNAVAILABLE);
    }
    let patient = serde_json::from_slice(&body).expect("is JSON");
    listener.0.patients.lock().expect("not poisoned").push((id, patient));
    Answer::empty(http::StatusCode::OK)
}

fn listener(refusals: u32) -> (actor::Running, Arc<Told>) {
    let told = Arc::new(Told { refusals: Mutex::new(refusals), ..Told::default() });
    let place = {
        let mut all = TOLD.lock().expect("not poisoned");
        all.push(told.clone());
        all.len() - 1
    };
    (actor::start::<Listener>(Place { told: place }), told)
}

fn source(registry: &str) -> Subject {
    Subject::start_with(telling(registry))
}

fn telling(registry: &str) -> Settings {
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
    let setup = Setup { store: opened(), ..Setup::new(telling(&nowhere())) };
    let subject = Subject::start_in(setup);
    let id = subject.fed(&alice()).await;
    subject.stop();

    let (registry, told) = listener(0);
    let setup = Setup { store: opened(), ..Setup::new(telling(&registry.host)) };
    let subject = Subject::start_in(setup);
    assert_eq!(subject.found(&format!("identifier={RED}|IHERED-994")).await, [id.as_str()]);
    assert_eq!(versions(&told, 1).await, ["\"1\""]);
}
