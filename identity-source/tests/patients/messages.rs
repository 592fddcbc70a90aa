//! Messages of the mobile patient identity feed [ITI-93], as far as they do not show over the wire.

use actor::Setup;
use identity_source::{AuthoritySettings, Domain, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use store::Store;

use crate::subject::{GREEN, RED, Subject, Told, alice};

/// A message about patients, each by its identifiers.
fn message(patients: &[Value]) -> Value {
    let entry = |(at, patient): (usize, &Value)| {
        json!({
            "fullUrl": format!("http://source.example/fhir/Patient/{at}"), "resource": patient,
            "request": { "method": "POST", "url": "Patient" }, "response": { "status": "201" }
        })
    };
    let entries: Vec<Value> = patients.iter().enumerate().map(entry).collect();
    json!({
        "resourceType": "Bundle", "type": "message",
        "entry": [
            { "fullUrl": "http://source.example/fhir/MessageHeader/m-1", "resource": {
                "resourceType": "MessageHeader", "id": "m-1", "eventUri": "urn:ihe:iti:pmir:2019:patient-feed",
                "destination": [{ "endpoint": "http://here.example/" }],
                "source": { "endpoint": "http://source.example/fhir" },
                "focus": [{ "reference": "http://source.example/fhir/Bundle/h-1" }]
            } },
            { "fullUrl": "http://source.example/fhir/Bundle/h-1", "resource": {
                "resourceType": "Bundle", "id": "h-1", "type": "history", "entry": entries
            } }
        ]
    })
}

fn in_domain(system: &str, value: &str) -> Value {
    let mut patient = alice();
    patient["identifier"] = json!([{ "system": system, "value": value }]);
    patient
}

async fn send(subject: &Subject, message: &Value) -> Told {
    let headers = [("content-type", "application/fhir+json")];
    subject.request(Method::POST, "/$process-message", &headers, Some(message.to_string())).await
}

#[tokio::test]
async fn a_message_is_audited_with_its_patients() {
    let store = Store::memory();
    let subject = Subject::start_in(Setup { store: store.clone(), ..Setup::new(Settings::default()) });
    let told = send(&subject, &message(&[in_domain(RED, "1"), in_domain(RED, "2")])).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
    let lines = store.audited(0, 100).expect("can be read");
    let events: Vec<Value> =
        lines.iter().map(|line| serde_json::from_slice(&line.record).expect("is JSON")).collect();
    let event = events.iter().find(|event| event["transaction"] == "ITI-93").expect("it is audited");
    assert_eq!((event["action"].as_str(), event["outcome"].as_str()), (Some("execute"), Some("0")));
    let entities: Vec<&str> =
        event["entities"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(entities.iter().filter(|entity| entity.starts_with("Patient/")).count(), 2, "{entities:?}");
    assert!(entities.contains(&"MessageHeader/m-1"), "{entities:?}");
}

#[tokio::test]
async fn a_strict_source_takes_messages_about_configured_domains_only() {
    let red = AuthoritySettings { uris: vec![RED.to_owned()], ..AuthoritySettings::default() };
    let domain = Domain { authority: vec![red], strict: true, ..Domain::default() };
    let subject = Subject::start_with(Settings { domain, ..Settings::default() });
    let told = send(&subject, &message(&[in_domain(RED, "1"), in_domain(GREEN, "2")])).await;
    assert_eq!(told.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", told.text);
    let at = &told.json()["issue"][0]["expression"][0];
    assert!(at.as_str().expect("has a place").starts_with("Bundle.entry[1].resource.entry[1]"), "{at}");
    assert!(told.issue().1.contains("Nothing was stored"), "{}", told.text);
    assert!(subject.found(&format!("identifier={RED}%7C1")).await.is_empty(), "nothing of it is stored");
    let told = send(&subject, &message(&[in_domain(RED, "1")])).await;
    assert_eq!(told.status, StatusCode::OK, "{}", told.text);
}
