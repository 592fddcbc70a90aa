//! Documents published in one request [ITI-105], and the names sources give their requests.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::{Document, Provide};

use crate::world::{Reply, Step, World, outcome};

const JSON: (&str, &str) = ("content-type", "application/fhir+json");

/// What a source publishes: the least there can be.
fn document(world: &World, text: &str) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.4" },
        "status": "current",
        "type": { "coding": [{ "system": "http://loinc.org", "code": "34133-9" }] },
        "subject": { "reference": world.patient() },
        "author": [{ "reference": "#clinic" }],
        "contained": [{ "resourceType": "Organization", "id": "clinic", "name": "Clinic" }],
        "description": "by hand",
        "content": [{ "attachment": { "contentType": "text/plain", "title": "Letter", "data": STANDARD.encode(text) } }],
    })
}

async fn publish(world: &World, document: &Value, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<_> = std::iter::once(&JSON).chain(headers).copied().collect();
    world.ask("POST", "/fhir/DocumentReference", &headers, document.to_string()).await
}

fn registered(world: &World) -> Vec<Value> {
    let state = world.registry.state.lock().unwrap();
    state.committed.values().map(|(_, _, _, bundle)| bundle.clone()).collect()
}

#[tokio::test]
async fn a_published_document_is_a_submission_of_its_own() {
    let world = World::new().await;
    let reply = publish(&world, &document(&world, "Hello"), &[]).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let location = reply.header("location").unwrap();
    let base = format!("{}/fhir/DocumentReference/", world.registry.host);
    assert!(location.starts_with(&base) && location.ends_with("/_history/1"), "{location}");
    assert_eq!(reply.header("etag"), Some("W/\"1\""));
    assert!(reply.header("last-modified").is_some());
    let attachment = &reply.json()["content"][0]["attachment"];
    assert_eq!(attachment.get("data"), None);
    let url = attachment["url"].as_str().unwrap().strip_prefix("http://repository.example").unwrap();
    assert_eq!(world.get(url, &[]).await.bytes(), b"Hello");

    let bundle = &registered(&world)[0];
    let set = &bundle["entry"][0]["resource"];
    assert_eq!(set["title"], "Letter");
    assert_eq!(set["note"][0]["text"], "by hand");
    assert_eq!(set["identifier"].as_array().unwrap().len(), 1);
    assert!(set["identifier"][0]["value"].as_str().unwrap().starts_with("urn:oid:2.25."));
    assert!(!set["date"].as_str().unwrap().starts_with("1970"), "{set}");
    assert_eq!(set["source"]["extension"][0]["valueReference"]["reference"], "#clinic");
    assert_eq!(set["contained"][0]["name"], "Clinic");
    assert_eq!(set["extension"][1]["valueCodeableConcept"]["coding"][0]["code"], "34133-9");
}

#[tokio::test]
async fn what_comes_back_is_what_the_source_prefers() {
    let world = World::new().await;
    let reply = publish(&world, &document(&world, "a"), &[("prefer", "return=minimal")]).await;
    assert_eq!((reply.status, reply.bytes()), (201, &b""[..]));
    assert_eq!(reply.header("preference-applied"), Some("return=minimal"));
    assert!(reply.header("location").is_some());
    let reply = publish(&world, &document(&world, "b"), &[("prefer", "return=OperationOutcome")]).await;
    assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    assert_eq!(reply.json()["issue"][0]["severity"], "information");
}

#[tokio::test]
async fn the_same_document_sent_again_is_published_once() {
    let world = World::new().await;
    let first = publish(&world, &document(&world, "Hello"), &[]).await;
    world.registry.then(&[]);
    let again = publish(&world, &document(&world, "Hello"), &[]).await;
    assert!(again.replayed() && !first.replayed(), "{again:?}");
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(registered(&world).len(), 1);
}

#[tokio::test]
async fn faults_are_told_where_they_are_in_the_document_reference() {
    let world = World::new().await;
    let cases: [(&str, &str, Value); 6] = [
        ("/content/0/attachment/url", "DocumentReference.content[0].attachment.url", json!("http://x/1")),
        (
            "/content/0/attachment/hash",
            "DocumentReference.content[0].attachment.hash",
            json!("2jmj7l5rSw0yVb/vlWAYkK/YBwk="),
        ),
        ("/status", "DocumentReference.status", json!("superseded")),
        ("/subject", "DocumentReference.subject", Value::Null),
        ("/masterIdentifier", "DocumentReference.masterIdentifier", Value::Null),
        ("/content/0/attachment/data", "DocumentReference.content[0].attachment.data", Value::Null),
    ];
    for (pointer, path, value) in cases {
        let mut document = document(&world, "Hello");
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Value::Null => parent.remove(name),
            value => parent.insert(name.to_owned(), value),
        };
        let reply = publish(&world, &document, &[]).await;
        assert_eq!(reply.status, 400, "{path} {reply:?}");
        let told = reply.json();
        let issues = told["issue"].as_array().unwrap();
        assert_eq!(issues[0]["expression"][0], path, "{told}");
        assert_eq!(issues.len(), 1, "said once: {told}");
    }
    assert_eq!((world.registry.state.lock().unwrap().arrived, world.documents()), (0, 0));
}

#[tokio::test]
async fn a_refusal_of_the_registry_is_told_in_words_about_the_document_reference() {
    let world = World::new().await;
    let told =
        outcome("UnresolvedReferenceException", "not-found", "Bundle.entry[1].resource.relatesTo[0].target");
    world.registry.then(&[Step::Refuse(400, told)]);
    let reply = publish(&world, &document(&world, "Hello"), &[]).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(reply.json()["issue"][0]["expression"][0], "DocumentReference.relatesTo[0].target");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn an_answer_that_was_lost_is_given_again_after_a_restart() {
    let mut world = World::new().await;
    world.registry.then(&[Step::CommitAndLose]);
    let name = [("idempotency-key", "k-1")];
    let first = publish(&world, &document(&world, "Hello"), &name).await;
    world.restart().await;
    let again = publish(&world, &document(&world, "Hello"), &name).await;
    assert_eq!((first.status, again.status), (201, 201), "{first:?} {again:?}");
    assert!(again.replayed());
    assert_eq!(registered(&world).len(), 1);
    let other = publish(&world, &document(&world, "Other"), &name).await;
    assert_eq!(other.status, 422, "{other:?}");
    assert_eq!(other.json()["issue"][0]["details"]["coding"][0]["code"], "idempotency-key-reused");
    assert_eq!(registered(&world).len(), 1);
}

#[tokio::test]
async fn a_name_serves_bundles_without_an_id_too_and_is_free_again_if_nothing_was_stored() {
    let world = World::new().await;
    let bundle = |text: &str| {
        let document = Document::new(text).unique_id("urn:oid:1.2.3.4");
        let mut bundle = Provide::minimal(&world.patient()).without_unique_id().only(document).bundle();
        let name = json!({ "use": "official", "system": "urn:ietf:rfc:3986", "value": testkit::urn_uuid() });
        bundle["entry"][0]["resource"]["identifier"] = json!([name]);
        bundle
    };
    let (one, other) = (bundle("one"), bundle("other"));
    let headers = [JSON, ("idempotency-key", "k")];
    let provide = async |bundle: &Value| world.ask("POST", "/fhir", &headers, bundle.to_string()).await;
    world.registry.then(&[Step::Refuse(400, outcome("XDSUnknownPatientId", "not-found", ""))]);
    assert_eq!(provide(&one).await.status, 400);
    assert_eq!(provide(&other).await.status, 200, "nothing stands under this name");
    assert_eq!(provide(&one).await.status, 422);
    let again = provide(&other).await;
    assert!(again.status == 200 && again.replayed(), "{again:?}");
}
