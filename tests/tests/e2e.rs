//! Real binaries: the main job, kills, restarts, an orderly end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use testkit::{Document, Provide, oid};
use tests::answer::Answer;
use tests::faults::Strike;
use tests::faults::run::{Storm, run};
use tests::region::{Actor, Plan, Region};
use tests::wire::Wire;

const DOMAIN: &str = "urn:oid:2.25.2718281828";

fn storm(index: &str, seed: u64) {
    let storm = Storm {
        seed,
        within: Duration::from_secs(5),
        index: index.to_owned(),
        only: vec![Strike::Kill, Strike::KillAll],
        disks: false,
        ..Storm::default()
    };
    let tally = run(&storm, &Arc::default()).expect("the storm could be run");
    assert!(tally.failed == 0 && tally.passed >= 8, "{tally:?}");
}

#[test]
fn a_storm_of_kills_loses_and_doubles_nothing_on_redb() {
    storm("redb", 7);
}

#[test]
fn a_storm_of_kills_loses_and_doubles_nothing_on_sled() {
    storm("sled", 11);
}

async fn feed(wire: &Wire, region: &Region) -> (String, String) {
    let value = oid();
    let url = format!("{}/Patient?identifier={DOMAIN}%7C{value}", region.base(Actor::Identity));
    let answer =
        wire.put(&url, &testkit::patient(DOMAIN, &value, "Ende", "Emil")).await.expect("the feed answers");
    assert_eq!(answer.status, 201, "{}", answer.excerpt());
    let location = answer.header("Location").expect("a Location");
    let plain = location.split("/_history").next().expect("a split has a first part");
    (plain.to_owned(), value)
}

async fn submit(wire: &Wire, region: &Region, bundle: &Value) -> Answer {
    wire.post(&region.base(Actor::Repository), bundle).await.expect("the repository answers")
}

async fn found(wire: &Wire, region: &Region, value: &str) -> Vec<Value> {
    let url = format!(
        "{}/DocumentReference?patient.identifier={DOMAIN}%7C{value}&status=current",
        region.base(Actor::Registry)
    );
    wire.get(&url).await.expect("the registry answers").matches().expect("a searchset")
}

async fn bytes(wire: &Wire, reference: &Value) -> Vec<u8> {
    let url = reference["content"][0]["attachment"]["url"].as_str().expect("an attachment has a URL");
    wire.get(url).await.expect("the repository answers").body.to_vec()
}

#[tokio::test]
async fn what_is_submitted_is_found_by_the_patients_identifier_and_retrieved() {
    let region = Region::start(&Plan::default()).expect("a region starts");
    let wire = Wire::new().expect("a client");
    let (patient, value) = feed(&wire, &region).await;
    let answer = submit(&wire, &region, &Provide::new(&patient).bundle()).await;
    assert_eq!(answer.status, 200, "{}", answer.excerpt());
    let found = found(&wire, &region, &value).await;
    assert_eq!(found.len(), 1);
    assert_eq!(bytes(&wire, &found[0]).await, b"Hello World");
}

#[tokio::test]
async fn sigterm_ends_every_actor_with_status_0_and_a_second_start_finds_everything() {
    for index in ["redb", "sled"] {
        let plan = Plan { index: index.into(), ..Plan::default() };
        let mut region = Region::start(&plan).expect("a region starts");
        let wire = Wire::new().expect("a client");
        let (patient, value) = feed(&wire, &region).await;
        let large = vec![b'x'; 2 << 20];
        let provide = Provide::new(&patient).document(Document::new(&large).title("groß"));
        let bundle = provide.bundle();
        assert_eq!(submit(&wire, &region, &bundle).await.status, 200);
        for actor in Actor::ALL {
            let status = region.terminate(actor).expect("the actor ends");
            assert!(status.success(), "{} ends with {status}:\n{}", actor.name(), region.log(actor));
        }
        for actor in Actor::ALL {
            region.launch(actor).expect("the actor starts again");
        }
        for actor in Actor::ALL {
            region.wait_ready(actor).expect("the actor is ready again");
        }
        let wire = Wire::new().expect("a client");
        let found = found(&wire, &region, &value).await;
        assert_eq!(found.len(), 2, "{index}: both documents are found again");
        for reference in &found {
            let wanted: &[u8] =
                if reference["content"][0]["attachment"]["size"] == 11 { b"Hello World" } else { &large };
            assert!(bytes(&wire, reference).await == wanted, "{index}: the bytes are the same");
        }
        let again = submit(&wire, &region, &bundle).await;
        assert_eq!(again.status, 200, "{}", again.excerpt());
        assert_eq!(
            again.header("Idempotency-Replayed"),
            Some("true"),
            "{index}: a repeat is told as one after the restart"
        );
    }
}

#[tokio::test]
async fn a_submission_whose_answer_was_lost_is_answered_the_same_when_it_is_sent_again() {
    let mut region = Region::start(&Plan::default()).expect("a region starts");
    let wire = Wire::new().expect("a client");
    let (patient, value) = feed(&wire, &region).await;
    for delay in [5, 15, 30, 60] {
        let bundle = Provide::new(&patient).bundle();
        let first = {
            let (wire, region) = (&wire, &region);
            let lost = submit_quietly(wire, region, &bundle);
            tokio::time::timeout(Duration::from_millis(delay), lost).await
        };
        drop(first);
        region.kill(Actor::Repository).expect("the repository is killed");
        region.launch(Actor::Repository).expect("the repository starts again");
        region.wait_ready(Actor::Repository).expect("the repository is ready again");
        let wire = Wire::new().expect("a client");
        let second = submit(&wire, &region, &bundle).await;
        assert_eq!(second.status, 200, "{}", second.excerpt());
        let third = submit(&wire, &region, &bundle).await;
        assert_eq!(third.status, 200, "{}", third.excerpt());
        assert_eq!(locations(&second), locations(&third));
    }
    assert_eq!(found(&wire, &region, &value).await.len(), 4, "each submission is there once");
}

async fn submit_quietly(wire: &Wire, region: &Region, bundle: &Value) {
    // Whether an answer comes before the kill does not matter.
    let _ = wire.post(&region.base(Actor::Repository), bundle).await;
}

fn locations(answer: &Answer) -> Vec<String> {
    let bundle = answer.json().expect("JSON");
    let entries = bundle["entry"].as_array().expect("entries");
    entries.iter().map(|entry| entry["response"]["location"].to_string()).collect()
}

#[tokio::test]
async fn the_registry_being_down_is_said_at_once_and_leaves_nothing() {
    let mut region = Region::start(&Plan::default()).expect("a region starts");
    let wire = Wire::new().expect("a client");
    let (patient, value) = feed(&wire, &region).await;
    assert_eq!(submit(&wire, &region, &Provide::new(&patient).bundle()).await.status, 200);
    let known = found(&wire, &region, &value).await.remove(0);
    region.kill(Actor::Registry).expect("the registry is killed");
    let bundle = Provide::new(&patient).bundle();
    let answer = submit(&wire, &region, &bundle).await;
    assert_eq!(answer.status, 503, "{}", answer.excerpt());
    assert!(answer.header("Retry-After").is_some(), "it says when to come again");
    assert!(answer.took < Duration::from_secs(2), "it takes {:?}", answer.took);
    assert_eq!(bytes(&wire, &known).await, b"Hello World", "what is known can be retrieved meanwhile");
    region.launch(Actor::Registry).expect("the registry starts again");
    region.wait_ready(Actor::Registry).expect("the registry is ready again");
    assert_eq!(found(&wire, &region, &value).await.len(), 1, "nothing of it is visible");
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(submit(&wire, &region, &bundle).await.status, 200, "the same submission succeeds later");
    assert_eq!(found(&wire, &region, &value).await.len(), 2);
}
