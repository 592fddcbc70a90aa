//! Merges and their undoing, and patients who are removed.

use crate::subject::{BLUE, RED, Subject, Told, alice};
use futures_util::future::join_all;
use identity_source::{AuthoritySettings, Domain, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{merged_patient, patient};

fn removing() -> Settings {
    let red = AuthoritySettings {
        oid: RED.replace("urn:oid:", ""),
        remove: Some(true),
        ..AuthoritySettings::default()
    };
    Settings { domain: Domain { authority: vec![red], ..Domain::default() }, ..Settings::default() }
}

async fn remove(subject: &Subject, system: &str, value: &str) -> Told {
    subject.request(Method::DELETE, &format!("/Patient?identifier={system}%7C{value}"), &[], None).await
}

async fn merge(subject: &Subject, gone: &str, into: &str) -> Told {
    subject.feed(RED, gone, &merged_patient(RED, gone, RED, into)).await
}

async fn current(subject: &Subject, id: &str) -> Value {
    subject.get(&format!("/Patient/{id}")).await.json()
}

fn reference(patient: &Value) -> &str {
    patient["link"][0]["other"]["reference"].as_str().unwrap_or_default()
}

#[tokio::test]
async fn a_merge_is_undone_by_a_feed_that_says_the_patient_is_active() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let maiden = subject.fed(&patient(RED, "m94", "Mohr", "Maiden")).await;
    assert_eq!(merge(&subject, "m94", "IHERED-994").await.status, StatusCode::OK);
    let told = subject.feed(RED, "m94", &patient(RED, "m94", "Mohr", "Maiden")).await;
    assert_eq!((told.status, told.header("etag")), (StatusCode::OK, "W/\"3\""), "{}", told.text);
    let stands = current(&subject, &maiden).await;
    assert_eq!((&stands["active"], &stands["link"]), (&json!(true), &Value::Null));
    let pix = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7Cm94")).await;
    assert_eq!(pix.status, StatusCode::OK, "{}", pix.text);
    let merged = subject.get(&format!("/Patient/{maiden}/_history/2")).await.json();
    assert_eq!(merged["active"], false, "the history keeps the merge");
    assert_eq!(
        merge(&subject, "m94", "IHERED-994").await.status,
        StatusCode::OK,
        "and it can be merged again"
    );
}

#[tokio::test]
async fn a_merged_patient_goes_to_a_third_only_after_the_merge_is_undone() {
    let subject = Subject::start();
    for value in ["a", "b", "c"] {
        subject.fed(&patient(RED, value, "Chain", value)).await;
    }
    assert_eq!(merge(&subject, "a", "b").await.status, StatusCode::OK);
    let told = merge(&subject, "a", "c").await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::CONFLICT, "conflict"));
    assert!(told.issue().1.contains("undone"), "{}", told.text);
    let a = subject.found(&format!("identifier={RED}%7Ca")).await.remove(0);
    let b = subject.found(&format!("identifier={RED}%7Cb")).await.remove(0);
    assert_eq!(reference(&current(&subject, &a).await), format!("Patient/{b}"));
}

#[tokio::test]
async fn undoing_the_later_merge_of_a_chain_leaves_the_earlier_one() {
    let subject = Subject::start();
    for value in ["a", "b", "c"] {
        subject.fed(&patient(RED, value, "Chain", value)).await;
    }
    let ids = ["a", "b", "c"].map(|value| subject.found_one(value));
    let [a, b, c] = <[String; 3]>::try_from(join_all(ids).await).expect("are three");
    assert_eq!(merge(&subject, "a", "b").await.status, StatusCode::OK);
    assert_eq!(merge(&subject, "b", "c").await.status, StatusCode::OK);
    // A source that repeats itself does not move the first merge to the last survivor.
    assert_eq!(merge(&subject, "a", "b").await.header("etag"), "W/\"2\"");
    assert_eq!(subject.feed(RED, "b", &patient(RED, "b", "Chain", "b")).await.status, StatusCode::OK);
    assert_eq!(reference(&current(&subject, &a).await), format!("Patient/{b}"));
    assert_eq!(current(&subject, &b).await["active"], true);
    assert_eq!(current(&subject, &c).await["active"], true);
    // One that says the last survivor's name means that one, whatever becomes of those between.
    assert_eq!(merge(&subject, "b", "c").await.status, StatusCode::OK);
    assert_eq!(reference(&merge(&subject, "a", "c").await.json()), format!("Patient/{c}"));
}

#[tokio::test]
async fn patients_of_two_domains_are_not_merged() {
    let subject = Subject::start();
    subject.fed(&patient(RED, "1", "Rot", "Rosa")).await;
    subject.fed(&patient(BLUE, "2", "Blau", "Berta")).await;
    let told = subject.feed(RED, "1", &merged_patient(RED, "1", BLUE, "2")).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "business-rule"));
    assert!(told.issue().1.contains("link"), "{}", told.text);
    // A source that knows its patient by a name of the other domain may.
    let mut both = merged_patient(RED, "1", BLUE, "2");
    both["identifier"] = json!([{ "system": RED, "value": "1" }, { "system": BLUE, "value": "1" }]);
    assert_eq!(subject.feed(RED, "1", &both).await.status, StatusCode::OK);
}

#[tokio::test]
async fn of_two_merges_that_would_close_a_ring_one_is_refused() {
    for round in 0..20 {
        let subject = Subject::start();
        subject.fed(&patient(RED, "a", "Ring", "A")).await;
        subject.fed(&patient(RED, "b", "Ring", "B")).await;
        let (one, other) = tokio::join!(merge(&subject, "a", "b"), merge(&subject, "b", "a"));
        let statuses = [one.status, other.status];
        let done = statuses.iter().filter(|status| status.is_success()).count();
        assert_eq!(done, 1, "round {round}: {statuses:?}");
        assert_eq!(subject.found("active=true").await.len(), 1, "round {round}");
    }
}

#[tokio::test]
async fn a_removed_patient_is_gone_and_its_history_says_so() {
    let subject = Subject::start_with(removing());
    let id = subject.fed(&alice()).await;
    let told = remove(&subject, RED, "IHERED-994").await;
    assert_eq!((told.status, told.header("etag")), (StatusCode::OK, "W/\"2\""), "{}", told.text);
    assert_eq!(subject.get(&format!("/Patient/{id}")).await.status, StatusCode::GONE);
    assert_eq!(subject.get(&format!("/Patient/{id}/_history/2")).await.status, StatusCode::GONE);
    assert_eq!(subject.get(&format!("/Patient/{id}/_history/1")).await.json()["name"], alice()["name"]);
    let history = subject.get(&format!("/Patient/{id}/_history")).await.json();
    assert_eq!((&history["total"], &history["entry"][0]["request"]["method"]), (&json!(2), &json!("DELETE")));
    assert_eq!(history["entry"][0]["resource"], Value::Null);
    assert!(subject.found("").await.is_empty());
    assert!(subject.found(&format!("identifier={RED}%7CIHERED-994")).await.is_empty());
    let pix = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7CIHERED-994")).await;
    assert_eq!(pix.status, StatusCode::NOT_FOUND, "its domain stays known: {}", pix.text);
    let again = remove(&subject, RED, "IHERED-994").await;
    assert_eq!((again.status, again.issue().0.as_str()), (StatusCode::OK, "informational"), "{}", again.text);
    assert_ne!(subject.fed(&alice()).await, id, "its identifier is free for another one");
    let feed = subject.feed(&subject.base(), &format!("Patient/{id}"), &alice()).await;
    assert_eq!(feed.status, StatusCode::BAD_REQUEST, "{}", feed.text);
}

#[tokio::test]
async fn a_patient_is_removed_only_where_its_domain_allows_it_and_under_its_own_name() {
    let subject = Subject::start_with(removing());
    let mut both = alice();
    both["identifier"] = json!([{ "system": BLUE, "value": "2" }, { "system": RED, "value": "1" }]);
    let id = subject.fed(&both).await;
    for (system, value) in [(BLUE, "2"), (RED, "1")] {
        let told = remove(&subject, system, value).await;
        assert_eq!(
            (told.status, told.issue().0.as_str()),
            (StatusCode::FORBIDDEN, "forbidden"),
            "{}",
            told.text
        );
        assert!(told.issue().1.contains("Nothing was changed"), "{}", told.text);
    }
    let base = subject.base();
    assert_eq!(remove(&subject, &base, &format!("Patient/{id}")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(subject.get(&format!("/Patient/{id}")).await.status, StatusCode::OK);
    let bare = subject.request(Method::DELETE, "/Patient", &[], None).await;
    assert_eq!((bare.status, bare.issue().0.as_str()), (StatusCode::BAD_REQUEST, "required"));
    let stale = [("if-match", "W/\"7\"")];
    subject.fed(&patient(RED, "3", "Rot", "Rosa")).await;
    let told = subject.request(Method::DELETE, &format!("/Patient?identifier={RED}%7C3"), &stale, None).await;
    assert_eq!(told.status, StatusCode::PRECONDITION_FAILED, "{}", told.text);
}

#[tokio::test]
async fn the_statement_says_whether_patients_can_be_removed() {
    for (settings, said) in [(removing(), json!("single")), (Settings::default(), Value::Null)] {
        let subject = Subject::start_with(settings);
        let statement = subject.get("/metadata").await.json();
        let resources = statement["rest"][0]["resource"].as_array().expect("has types");
        let patient = resources.iter().find(|one| one["type"] == "Patient").expect("has patients");
        assert_eq!(patient["conditionalDelete"], said);
        let deletes =
            patient["interaction"].as_array().expect("has some").iter().any(|one| one["code"] == "delete");
        assert_eq!(deletes, said != Value::Null);
    }
}

#[tokio::test]
async fn who_was_merged_into_a_removed_patient_can_be_brought_back() {
    let subject = Subject::start_with(removing());
    subject.fed(&alice()).await;
    let maiden = subject.fed(&patient(RED, "m94", "Mohr", "Maiden")).await;
    assert_eq!(merge(&subject, "m94", "IHERED-994").await.status, StatusCode::OK);
    assert_eq!(remove(&subject, RED, "IHERED-994").await.status, StatusCode::OK);
    assert_eq!(current(&subject, &maiden).await["active"], false);
    let told = subject.feed(RED, "m94", &patient(RED, "m94", "Mohr", "Maiden")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(current(&subject, &maiden).await["active"], true);
}

#[tokio::test]
async fn a_removal_and_a_feed_at_once_leave_one_patient_or_none() {
    for round in 0..20 {
        let subject = Subject::start_with(removing());
        let id = subject.fed(&alice()).await;
        let mut revised = alice();
        revised["birthDate"] = json!("1958-01-31");
        let (removed, fed) =
            tokio::join!(remove(&subject, RED, "IHERED-994"), subject.feed(RED, "IHERED-994", &revised));
        assert!(removed.status.is_success() && fed.status.is_success(), "{} {}", removed.text, fed.text);
        let found = subject.found(&format!("identifier={RED}%7CIHERED-994")).await;
        match fed.status {
            // Revised first, then removed.
            StatusCode::OK => assert!(found.is_empty(), "round {round}: {found:?}"),
            // Removed first: what was fed is somebody new.
            _ => assert!(found.len() == 1 && found[0] != id, "round {round}: {found:?}"),
        }
        assert_eq!(subject.get(&format!("/Patient/{id}")).await.status, StatusCode::GONE);
    }
}

#[tokio::test]
async fn nobody_is_merged_into_a_patient_who_is_being_removed() {
    for round in 0..20 {
        let subject = Subject::start_with(removing());
        subject.fed(&alice()).await;
        let maiden = subject.fed(&patient(RED, "m94", "Mohr", "Maiden")).await;
        let (removed, merged) =
            tokio::join!(remove(&subject, RED, "IHERED-994"), merge(&subject, "m94", "IHERED-994"));
        assert_eq!(removed.status, StatusCode::OK, "{}", removed.text);
        let stands = current(&subject, &maiden).await;
        match merged.status {
            StatusCode::OK => assert_eq!(stands["active"], false, "round {round}: it was merged first"),
            StatusCode::BAD_REQUEST => assert_eq!(stands["active"], true, "round {round}: nobody was there"),
            other => panic!("round {round}: {other}: {}", merged.text),
        }
    }
}

#[tokio::test]
async fn the_audit_tells_create_update_and_delete_apart_and_whom_a_merge_touches() {
    let setup = actor::Setup::new(removing());
    let store = setup.store.clone();
    let subject = Subject::start_in(setup);
    let survivor = subject.fed(&alice()).await;
    let maiden = subject.fed(&patient(RED, "m94", "Mohr", "Maiden")).await;
    assert_eq!(merge(&subject, "m94", "IHERED-994").await.status, StatusCode::OK);
    assert_eq!(remove(&subject, RED, "m94").await.status, StatusCode::OK);
    let lines = store.audited(0, 100).expect("can be read");
    let events = lines.iter().map(|line| serde_json::from_slice(&line.record).expect("is JSON"));
    let events: Vec<Value> = events.filter(|event: &Value| event["transaction"] == "ITI-104").collect();
    let actions: Vec<&Value> = events.iter().map(|event| &event["action"]).collect();
    assert_eq!(actions, ["create", "create", "update", "update", "delete"]);
    let both = [format!("Patient/{maiden}"), format!("Patient/{survivor}")];
    assert_eq!(events[2]["entities"], json!(both), "{}", events[2]);
    assert_eq!((&events[2]["patient"], &events[3]["patient"]), (&json!(maiden), &json!(survivor)));
    assert_eq!(events[3]["entities"], json!(both), "{}", events[3]);
    assert_eq!(events[4]["patient"], json!(maiden));
}
