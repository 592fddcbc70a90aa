//! Identifiers that are given to everybody ("0000"), and persons of more records than anybody has.

use std::time::{Duration, Instant};

use hl7v2::Code;
use identity_source::{AuthoritySettings, Domain, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::subject::{BLUE, RED, Subject};

/// A domain that feeds nobody here for a start.
const NATIONAL: &str = "urn:oid:1.2.3.9";

fn start() -> Subject {
    let authority = |namespace: &str, system: &str| AuthoritySettings {
        namespace: namespace.to_owned(),
        oid: system.trim_start_matches("urn:oid:").to_owned(),
        ..AuthoritySettings::default()
    };
    Subject::start_with(Settings {
        domain: Domain {
            authority: vec![authority("RED", RED), authority("BLUE", BLUE), authority("NATIONAL", NATIONAL)],
            ..Domain::default()
        },
        mllp: mllp::Settings { listen: "127.0.0.1:0".to_owned(), ..mllp::Settings::default() },
        ..Settings::default()
    })
}

fn patient(identifiers: &[(&str, String)]) -> Value {
    let identifier: Vec<Value> =
        identifiers.iter().map(|(system, value)| json!({ "system": system, "value": value })).collect();
    json!({ "resourceType": "Patient", "identifier": identifier, "active": true })
}

/// Feeds these patients, some of them side by side.
async fn feed(subject: &Subject, patients: &[Value]) {
    for some in patients.chunks(32) {
        let feeds = some.iter().map(|patient| {
            let value = patient["identifier"][0]["value"].as_str().expect("is text");
            subject.feed(RED, value, patient)
        });
        for told in futures_util::future::join_all(feeds).await {
            assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
        }
    }
}

#[tokio::test]
async fn two_patients_of_one_source_are_not_one_person_by_a_number_of_another_domain() {
    let subject = start();
    let both: Vec<Value> =
        (1..3).map(|at| patient(&[(RED, format!("r-{at}")), (NATIONAL, "0000".to_owned())])).collect();
    for one in &both {
        feed(&subject, std::slice::from_ref(one)).await;
    }
    let names = |value: &str| format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7C{value}");
    for (asked, other) in [("r-1", "r-2"), ("r-2", "r-1")] {
        let told = subject.request(Method::GET, &names(asked), &[], None).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
        assert!(!told.text.contains(other), "{}", told.text);
    }
    let blue = patient(&[(BLUE, "b-1".to_owned()), (NATIONAL, "0000".to_owned())]);
    assert_eq!(subject.feed(BLUE, "b-1", &blue).await.status, StatusCode::CREATED);
    let told = subject.request(Method::GET, &names("r-1"), &[], None).await;
    assert!(told.text.contains("b-1"), "another source says so: {}", told.text);
}

#[tokio::test]
async fn a_number_that_everybody_is_given_costs_little_when_its_own_source_speaks() {
    let subject = start();
    let everybody: Vec<Value> =
        (0..220).map(|at| patient(&[(RED, format!("r-{at}")), (NATIONAL, "0000".to_owned())])).collect();
    feed(&subject, &everybody).await;
    let begun = Instant::now();
    let told = subject.feed(NATIONAL, "0000", &patient(&[(NATIONAL, "0000".to_owned())])).await;
    assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn half_a_person_is_no_answer() {
    let subject = start();
    for which in ["1", "2"] {
        let hub = patient(&[(NATIONAL, which.to_owned())]);
        assert_eq!(subject.feed(NATIONAL, which, &hub).await.status, StatusCode::CREATED);
        let linked: Vec<Value> = (0..110)
            .map(|at| patient(&[(RED, format!("{which}-{at}")), (NATIONAL, which.to_owned())]))
            .collect();
        feed(&subject, &linked).await;
    }
    let mut gone = patient(&[(NATIONAL, "1".to_owned())]);
    gone["active"] = json!(false);
    gone["link"] =
        json!([{ "type": "replaced-by", "other": { "identifier": { "system": NATIONAL, "value": "2" } } }]);
    let told = subject.feed(NATIONAL, "1", &gone).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let path = format!("/Patient/$ihe-pix?sourceIdentifier={RED}%7C1-7");
    let told = subject.request(Method::GET, &path, &[], None).await;
    assert!(!told.status.is_success() && told.text.contains("more than 200 records"), "{}", told.text);
    let line = subject.line();
    let head = |event: &str| format!("MSH|^~\\&|ASKER|H|MPI|D|20260101||QBP^{event}^QBP_Q21|q1|P|2.5\r");
    for question in [
        format!("{}QPD|IHE PIX Query|T1|1-7^^^RED\rRCP|I\r", head("Q23")),
        format!("{}QPD|IHE PDQ Query|T1|@PID.3.1^1-7~@PID.3.4.1^RED|||||^^^NATIONAL\rRCP|I\r", head("Q22")),
    ] {
        let answer = line.send(question.as_bytes()).await.expect("is answered");
        let errors: Vec<_> = answer.message.segments().filter(|segment| segment.name == "ERR").collect();
        assert_eq!((answer.code, errors.len()), (Code::Error, 1), "{}", answer.text);
        let words = errors[0].fields().collect::<Vec<_>>().join("|");
        assert!(words.contains("more than 200 records"), "{words}");
    }
}
