//! What ITI-104 does to patients.

use crate::subject::{BLUE, GREEN, RED, Subject, alice};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::{merged_patient, patient};

#[tokio::test]
async fn a_new_patient_is_created_with_location_and_version() {
    let subject = Subject::start();
    let told = subject.feed(RED, "IHERED-994", &alice()).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    let stored = told.json();
    let id = stored["id"].as_str().expect("has an id");
    assert_eq!(told.header("location"), format!("{}/Patient/{id}/_history/1", subject.base()));
    assert_eq!(told.header("etag"), "W/\"1\"");
    assert_eq!(stored["meta"]["versionId"], "1");
    assert_eq!(stored["name"], alice()["name"]);
    let read = subject.get(&format!("/Patient/{id}")).await;
    assert_eq!((read.status, read.json()), (StatusCode::OK, stored));
}

#[tokio::test]
async fn a_known_patient_is_revised_under_the_same_id() {
    let subject = Subject::start();
    let id = subject.fed(&alice()).await;
    let mut revised = alice();
    revised["birthDate"] = json!("1958-01-31");
    let told = subject.feed(RED, "IHERED-994", &revised).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    assert_eq!(told.json()["id"], id.as_str());
    assert_eq!(told.header("etag"), "W/\"2\"");
    assert_eq!(told.header("location"), "");
    let past = subject.get(&format!("/Patient/{id}/_history/1")).await;
    assert_eq!(past.json()["birthDate"], "1958-01-30");
    let history = subject.get(&format!("/Patient/{id}/_history")).await.json();
    assert_eq!((&history["type"], &history["total"]), (&json!("history"), &json!(2)));
    let page =
        subject.get(&format!("/Patient/{id}/_history?_count=1&_since=2000-01-01T00:00:00Z")).await.json();
    assert_eq!((page["entry"].as_array().map(Vec::len), &page["total"]), (Some(1), &json!(2)));
    assert_eq!(page["link"][1]["relation"], "next");
    let before = subject.get(&format!("/Patient/{id}/_history?_at=2000-01-01")).await.json();
    assert_eq!(before["total"], 0);
    assert_eq!(
        subject.get(&format!("/Patient/{id}/_history?_at=soon")).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn the_same_again_makes_no_version() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let told = subject.feed(RED, "IHERED-994", &alice()).await;
    assert_eq!((told.status, told.header("etag")), (StatusCode::OK, "W/\"1\""));
}

#[tokio::test]
async fn fifty_sources_that_create_one_patient_at_once_make_one() {
    let (subject, alice) = (Subject::start(), alice());
    let feeds = (0..50).map(|_| subject.feed(RED, "IHERED-994", &alice));
    let told = futures_util::future::join_all(feeds).await;
    let count = |status| told.iter().filter(|told| told.status == status).count();
    assert_eq!((count(StatusCode::CREATED), count(StatusCode::OK)), (1, 49));
    let ids: std::collections::BTreeSet<String> =
        told.iter().map(|told| told.json()["id"].to_string()).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}

#[tokio::test]
async fn a_feed_without_a_condition_is_refused_and_stores_nothing() {
    let subject = Subject::start();
    let headers = [("content-type", "application/fhir+json")];
    let told = subject.request(Method::PUT, "/Patient", &headers, Some(alice().to_string())).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "required"));
    assert!(subject.found("").await.is_empty());
}

#[tokio::test]
async fn a_condition_that_names_somebody_else_is_refused() {
    let subject = Subject::start();
    let told = subject.feed(RED, "IHERED-1", &alice()).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "value"));
    assert!(told.issue().1.contains("IHERED-1"), "{}", told.text);
    assert!(subject.found("").await.is_empty());
}

#[tokio::test]
async fn an_identifier_that_is_left_out_is_free_again() {
    let subject = Subject::start();
    let mut both = alice();
    both["identifier"] = json!([{ "system": RED, "value": "1" }, { "system": BLUE, "value": "2" }]);
    let id = subject.fed(&both).await;
    assert_eq!(subject.found(&format!("identifier={BLUE}|2")).await, [id.as_str()]);
    both["identifier"] = json!([{ "system": RED, "value": "1" }]);
    subject.feed(RED, "1", &both).await;
    assert!(subject.found(&format!("identifier={BLUE}|2")).await.is_empty());
    let other = subject.fed(&patient(BLUE, "2", "Other", "Person")).await;
    assert_ne!(other, id);
}

#[tokio::test]
async fn a_feed_that_takes_another_patients_identifier_matches_several() {
    let subject = Subject::start();
    subject.fed(&patient(RED, "1", "One", "Person")).await;
    let mut thief = patient(RED, "2", "Other", "Person");
    thief["identifier"] = json!([{ "system": RED, "value": "2" }, { "system": RED, "value": "1" }]);
    let told = subject.feed(RED, "2", &thief).await;
    assert_eq!(told.status, StatusCode::PRECONDITION_FAILED, "{}", told.text);
    assert_eq!(told.json()["issue"][0]["expression"][0], "Patient.identifier[1]");
    assert!(subject.found(&format!("identifier={RED}|2")).await.is_empty());
}

#[tokio::test]
async fn a_survivor_may_go_on_naming_those_who_were_merged_into_it() {
    let subject = Subject::start();
    let survivor = subject.fed(&patient(RED, "new", "Mohr", "Alice")).await;
    let middle = subject.fed(&patient(RED, "middle", "Mohr", "Alice")).await;
    let old = subject.fed(&patient(RED, "old", "Mohr", "Alice")).await;
    for (gone, into) in [("old", "middle"), ("middle", "new")] {
        let told = subject.feed(RED, gone, &merged_patient(RED, gone, RED, into)).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    }
    let mut known = patient(RED, "new", "Mohr-Huber", "Alice");
    let named = |value: &str| json!({ "system": RED, "value": value });
    known["identifier"] = json!([named("new"), named("middle"), named("old")]);
    let told = subject.feed(RED, "new", &known).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    // Each name still leads to the record it was given to, and only those of records in use are answered.
    for (value, id) in [("new", &survivor), ("middle", &middle), ("old", &old)] {
        assert_eq!(subject.found(&format!("identifier={RED}|{value}")).await, [id.as_str()]);
    }
    let pix = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={RED}|new")).await;
    assert_eq!(pix.json()["parameter"], Value::Null, "{}", pix.text);
    // Once the merge is undone they are two again, whatever the survivor says.
    let mut back = patient(RED, "middle", "Mohr", "Alice");
    back["active"] = json!(true);
    assert_eq!(subject.feed(RED, "middle", &back).await.status, StatusCode::OK);
    let links = subject.get(&format!("/Patient/{survivor}/$links")).await.json();
    assert!(!links.to_string().contains(&middle), "{links}");
    let told = subject.feed(RED, "new", &known).await;
    assert_eq!(told.status, StatusCode::PRECONDITION_FAILED, "{}", told.text);
}

#[tokio::test]
async fn a_condition_that_is_not_looked_at_is_refused() {
    let domain = identity_source::Domain { remove: true, ..Default::default() };
    let subject = Subject::start_with(identity_source::Settings { domain, ..Default::default() });
    let id = subject.fed(&alice()).await;
    for beside in ["_id=somebody-else", "_lastUpdated=lt2000", "_has:Observation:patient:code=x", "_tag=x"] {
        let path = format!("/Patient?identifier={RED}%7CIHERED-994&{beside}");
        let told = subject.request(Method::DELETE, &path, &[], None).await;
        assert_eq!(
            (told.status, told.issue().0.as_str()),
            (StatusCode::BAD_REQUEST, "not-supported"),
            "{beside}"
        );
        let headers = [("content-type", "application/fhir+json")];
        let told = subject.request(Method::PUT, &path, &headers, Some(alice().to_string())).await;
        assert_eq!(
            (told.status, told.issue().0.as_str()),
            (StatusCode::BAD_REQUEST, "not-supported"),
            "{beside}"
        );
    }
    assert_eq!(subject.get(&format!("/Patient/{id}")).await.status, StatusCode::OK);
    let path = format!("/Patient?identifier={RED}%7CIHERED-994&_format=json&_pretty=true");
    assert_eq!(subject.request(Method::DELETE, &path, &[], None).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_padded_identifier_makes_no_second_patient() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let mut padded = alice();
    padded["identifier"][0]["value"] = json!("IHERED-994 ");
    let told = subject.feed(RED, "IHERED-994 ", &padded).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "value"), "{}", told.text);
    assert!(told.issue().1.contains("space"), "{}", told.text);
    assert_eq!(told.json()["issue"][0]["expression"][0], "Patient.identifier[0].value");
}

#[tokio::test]
async fn a_merged_patient_is_inactive_and_names_its_survivor() {
    let subject = Subject::start();
    let survivor = subject.fed(&alice()).await;
    let maiden = subject.fed(&patient(RED, "IHERED-m94", "Mohr", "Maiden")).await;
    let told = subject.feed(RED, "IHERED-m94", &merged_patient(RED, "IHERED-m94", RED, "IHERED-994")).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let merged = subject.get(&format!("/Patient/{maiden}")).await.json();
    assert_eq!(merged["active"], false);
    assert_eq!(merged["link"][0]["other"]["reference"], format!("Patient/{survivor}"));
    assert_eq!(subject.found(&format!("identifier={RED}|IHERED-m94")).await, [maiden]);
    let pix = subject.get(&format!("/Patient/$ihe-pix?sourceIdentifier={RED}|IHERED-m94")).await;
    assert_eq!(pix.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_chain_of_merges_ends_at_the_last_survivor_and_cannot_become_a_ring() {
    let subject = Subject::start();
    for value in ["a", "b", "c"] {
        subject.fed(&patient(RED, value, "Chain", value)).await;
    }
    let last = subject.found(&format!("identifier={RED}|c")).await;
    assert_eq!(subject.feed(RED, "b", &merged_patient(RED, "b", RED, "c")).await.status, StatusCode::OK);
    let told = subject.feed(RED, "a", &merged_patient(RED, "a", RED, "b")).await;
    assert_eq!(told.json()["link"][0]["other"]["reference"], format!("Patient/{}", last[0]));
    let ring = subject.feed(RED, "c", &merged_patient(RED, "c", RED, "a")).await;
    assert_eq!((ring.status, ring.issue().0.as_str()), (StatusCode::BAD_REQUEST, "invariant"));
}

#[tokio::test]
async fn a_merge_into_itself_is_refused() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let told = subject.feed(RED, "IHERED-994", &merged_patient(RED, "IHERED-994", RED, "IHERED-994")).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "invariant"));
    let stands = subject.get(&format!("/Patient?identifier={RED}|IHERED-994")).await.json();
    assert_eq!(stands["entry"][0]["resource"]["active"], true);
}

#[tokio::test]
async fn a_merge_into_nobody_is_refused() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let told = subject.feed(RED, "IHERED-994", &merged_patient(RED, "IHERED-994", GREEN, "nobody")).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::BAD_REQUEST, "not-found"));
}

#[tokio::test]
async fn a_merge_is_not_undone_by_a_feed_that_says_nothing_of_it() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    subject.fed(&patient(RED, "m94", "Mohr", "Maiden")).await;
    let merge = merged_patient(RED, "m94", RED, "IHERED-994");
    assert_eq!(subject.feed(RED, "m94", &merge).await.status, StatusCode::OK);
    assert_eq!(subject.feed(RED, "m94", &merge).await.header("etag"), "W/\"2\"");
    let mut silent = patient(RED, "m94", "Mohr", "Maiden");
    silent.as_object_mut().expect("is an object").remove("active");
    let told = subject.feed(RED, "m94", &silent).await;
    assert_eq!((told.status, told.issue().0.as_str()), (StatusCode::CONFLICT, "conflict"));
}

#[tokio::test]
async fn the_answer_follows_the_preference() {
    let subject = Subject::start();
    let path = format!("/Patient?identifier={RED}%7CIHERED-994");
    for (prefer, expected) in [
        ("return=minimal", Value::Null),
        ("return=OperationOutcome", json!("OperationOutcome")),
        ("return=representation", json!("Patient")),
        ("return=presentation", json!("Patient")),
    ] {
        let headers = [("content-type", "application/fhir+json"), ("prefer", prefer)];
        let told = subject.request(Method::PUT, &path, &headers, Some(alice().to_string())).await;
        assert!(told.status.is_success(), "{}", told.text);
        let body: Value = serde_json::from_str(&told.text).unwrap_or_default();
        assert_eq!(body["resourceType"], expected, "{prefer}");
    }
}

#[tokio::test]
async fn a_version_the_source_did_not_expect_is_a_failed_precondition() {
    let subject = Subject::start();
    subject.fed(&alice()).await;
    let path = format!("/Patient?identifier={RED}%7CIHERED-994");
    // The last two are of a source that has lost the version it had.
    for tags in ["W/\"7\"", "W/\"\"", ""] {
        let headers = [("content-type", "application/fhir+json"), ("if-match", tags)];
        let told = subject.request(Method::PUT, &path, &headers, Some(alice().to_string())).await;
        assert_eq!(told.status, StatusCode::PRECONDITION_FAILED, "{tags:?}: {}", told.text);
        assert!(told.issue().1.contains('1'), "{}", told.text);
    }
}

#[tokio::test]
async fn a_source_that_only_takes_in_overwrites_nobody() {
    let subject = Subject::start();
    let path = format!("/Patient?identifier={RED}%7CIHERED-994");
    let headers = [("content-type", "application/fhir+json"), ("if-none-match", "*")];
    let told = subject.request(Method::PUT, &path, &headers, Some(alice().to_string())).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    let told = subject.request(Method::PUT, &path, &headers, Some(alice().to_string())).await;
    assert_eq!(told.status, StatusCode::PRECONDITION_FAILED, "{}", told.text);
    assert!(told.issue().1.contains('1'), "{}", told.text);
}

#[tokio::test]
async fn bodies_that_are_no_patient_are_refused() {
    let subject = Subject::start();
    let path = format!("/Patient?identifier={RED}%7CIHERED-994");
    let json = "application/fhir+json";
    for (media, body, status) in [
        (json, String::new(), StatusCode::BAD_REQUEST),
        (json, "{".to_owned(), StatusCode::BAD_REQUEST),
        (json, json!({ "resourceType": "Person" }).to_string(), StatusCode::BAD_REQUEST),
        ("text/plain", alice().to_string(), StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (json, format!("{{\"x\":\"{}\"}}", "a".repeat(300 << 10)), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let told = subject.request(Method::PUT, &path, &[("content-type", media)], Some(body)).await;
        assert_eq!(told.status, status, "{}", told.text);
        assert!(!told.issue().1.is_empty());
    }
}

#[tokio::test]
async fn patients_cannot_be_posted_or_deleted_by_id() {
    let subject = Subject::start();
    for (method, path) in [
        (Method::POST, "/Patient".to_owned()),
        (Method::PUT, "/Patient/1".to_owned()),
        (Method::DELETE, "/Patient/1".to_owned()),
    ] {
        let told = subject.request(method.clone(), &path, &[], Some("{}".to_owned())).await;
        assert_eq!(told.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}: {}", told.text);
        assert_eq!(told.issue().0, "not-supported");
        assert!(told.header("allow").contains("GET"), "{}", told.header("allow"));
    }
}
