//! Submissions that are made later (`Prefer: respond-async`), their Tasks, and the door for writers that know no Bundle.

use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Document, Provide};

use crate::world::{FakeIdentity, Reply, Step, World, outcome};

const JSON: (&str, &str) = ("content-type", "application/fhir+json");
const LATER: (&str, &str) = ("prefer", "respond-async, return=representation");

impl World {
    async fn provide_later(&self, bundle: &Value, more: &[(&str, &str)]) -> Reply {
        let headers = [&[JSON, LATER], more].concat();
        self.ask("POST", "/fhir", &headers, bundle.to_string()).await
    }

    async fn make_tasks(&self) {
        self.repository.make_tasks_now().await.unwrap();
    }

    async fn task(&self, path: &str) -> Value {
        let reply = self.get(path, &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.json()
    }
}

/// Path of the Task that an answer names.
fn named(reply: &Reply) -> String {
    assert_eq!(reply.status, 202, "{reply:?}");
    let url = reply.header("content-location").expect("the answer names the Task");
    format!("/fhir{}", url.strip_prefix(crate::world::BASE).expect("it is at this server"))
}

#[tokio::test]
async fn a_submission_is_taken_in_made_and_told() {
    let world = World::new().await;
    let provide = Provide::new(&world.patient());
    let reply = world.provide_later(&provide.bundle(), &[]).await;
    let path = named(&reply);
    assert_eq!(reply.header("preference-applied"), Some("respond-async"));
    assert_eq!(
        (&reply.json()["resourceType"], &reply.json()["status"]),
        (&json!("Task"), &json!("received"))
    );
    assert!(world.registry.urls().is_empty(), "nothing has happened yet");
    world.make_tasks().await;
    let task = world.task(&path).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["groupIdentifier"]["value"], provide.unique_id.clone().unwrap());
    assert_eq!(task["for"]["reference"], world.patient());
    let response = &task["contained"][0];
    assert_eq!(response["type"], "transaction-response");
    let kinds: Vec<&Value> =
        task["output"].as_array().unwrap().iter().map(|output| &output["type"]["text"]).collect();
    assert_eq!(kinds, ["List", "DocumentReference", "Bundle"]);
    assert_eq!(world.documents(), 1, "the body of the request is not kept beside the document");
    let again = world.provide(&provide.bundle()).await;
    assert!(again.replayed(), "it is the submission it would have been");
    assert_eq!(again.json()["entry"], response["entry"]);
}

#[tokio::test]
async fn a_refused_submission_ends_as_failed_with_every_reason() {
    let world = World::new().await;
    let mut bundle = Provide::new(&world.patient()).bundle();
    bundle["entry"][0]["resource"]["status"] = json!("nonsense");
    bundle["entry"][1]["resource"]["status"] = json!("nonsense");
    let path = named(&world.provide_later(&bundle, &[]).await);
    world.make_tasks().await;
    let task = world.task(&path).await;
    assert_eq!(task["status"], "failed", "{task}");
    assert!(task["statusReason"]["text"].is_string());
    assert_eq!(task["contained"][0]["resourceType"], "OperationOutcome");
    assert_eq!(task["output"][0]["valueReference"]["reference"], "#outcome");
    assert_eq!(world.documents(), 0);
    let direct = world.provide(&bundle).await;
    assert_eq!(direct.json()["issue"], task["contained"][0]["issue"]);
}

#[tokio::test]
async fn a_task_waits_for_its_peers_and_survives_the_process() {
    let mut world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::CommitAndLose]);
    let path = named(&world.provide_later(&bundle, &[]).await);
    world.make_tasks().await;
    let task = world.task(&path).await;
    assert_eq!(task["status"], "in-progress", "{task}");
    assert!(task["statusReason"]["text"].is_string(), "it says what it waits for");
    world.restart().await;
    for _ in 0..40 {
        world.settle().await;
        world.make_tasks().await;
        if world.task(&path).await["status"] == "completed" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let task = world.task(&path).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(world.registry.urls().len(), 1, "it happened once");
}

#[tokio::test]
async fn a_task_whose_submission_may_have_happened_is_not_told_as_failed() {
    let world = World::with(store::Store::memory(), |settings| {
        settings.registry.tries = 1;
        settings.task.give_up = 0;
    })
    .await;
    world.identity.knows("p1", "urn:oid:1.2.3", "7");
    let mut bundle = Provide::new(&world.patient()).bundle();
    for entry in bundle["entry"].as_array_mut().unwrap() {
        if entry["resource"].get("subject").is_some() {
            entry["resource"]["subject"] =
                json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
        }
    }
    world.registry.then(&[Step::CommitAndLose]);
    let path = named(&world.provide_later(&bundle, &[]).await);
    world.make_tasks().await;
    assert_eq!(world.task(&path).await["status"], "in-progress");

    // Nobody knows the patient any more when it is tried again: that says nothing of what was sent before, which is sent again for
    // whoever the patient was then, and answered as the first time.
    let elsewhere = FakeIdentity::start().await;
    let mut settings = world.settings.clone();
    settings.identity.url = format!("{}/fhir", elsewhere.host);
    let world = World::over(&world, settings).await;
    for _ in 0..25 {
        world.make_tasks().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let task = world.task(&path).await;
    assert_eq!(task["status"], "completed", "{task}");

    world.settle().await;
    for _ in 0..60 {
        world.make_tasks().await;
        if world.task(&path).await["status"] != "in-progress" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let task = world.task(&path).await;
    assert_eq!(task["status"], "completed", "{task}");
    assert_eq!(task["contained"][0]["type"], "transaction-response");
    assert!(task.get("statusReason").is_none(), "{task}");
}

#[tokio::test]
async fn a_task_that_was_taken_in_is_made_by_the_next_process() {
    let mut world = World::new().await;
    let bundle = Provide::new(&world.patient()).only(Document::new(vec![b'x'; 3_000_000])).bundle();
    let path = named(&world.provide_later(&bundle, &[]).await);
    world.restart().await;
    world.make_tasks().await;
    assert_eq!(world.task(&path).await["status"], "completed");
    assert_eq!(world.documents(), 1);
}

#[tokio::test]
async fn a_request_is_taken_in_once_under_one_key() {
    let world = World::new().await;
    let bundle = Provide::new(&world.patient()).bundle();
    let key = [("idempotency-key", "letter-7")];
    let path = named(&world.provide_later(&bundle, &key).await);
    assert_eq!(named(&world.provide_later(&bundle, &key).await), path);
    world.make_tasks().await;
    assert_eq!(named(&world.provide_later(&bundle, &key).await), path);
    let other = Provide::new(&world.patient()).bundle();
    let reply = world.provide_later(&other, &key).await;
    assert_eq!(reply.status, 422, "{reply:?}");
}

#[tokio::test]
async fn tasks_are_found_by_state_patient_and_identifier() {
    let world = World::new().await;
    let first = Provide::new(&world.patient());
    named(&world.provide_later(&first.bundle(), &[]).await);
    world.make_tasks().await;
    let waiting = named(&world.provide_later(&Provide::new(&world.patient()).bundle(), &[]).await);
    let waiting = waiting.rsplit('/').next().unwrap();
    let found = async |query: &str| {
        let reply = world.get(&format!("/fhir/Task?{query}"), &[]).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let bundle = reply.json();
        let ids: Vec<String> = bundle["entry"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter(|entry| entry["search"]["mode"] == "match")
            .map(|entry| entry["resource"]["id"].as_str().unwrap().to_owned())
            .collect();
        (ids, bundle)
    };
    let (all, _) = found("").await;
    assert_eq!((all.len(), all[0].as_str()), (2, waiting), "the newest first");
    assert_eq!(found("status=received,in-progress").await.0, [waiting]);
    assert_eq!(found("patient=p1").await.0, [all[1].clone()]);
    assert_eq!(found("patient=Patient/p2").await.0, Vec::<String>::new());
    let key = first.unique_id.clone().unwrap();
    assert_eq!(found(&format!("group-identifier={key}")).await.0, [all[1].clone()]);
    assert_eq!(found(&format!("identifier=urn:ietf:rfc:3986|urn:uuid:{waiting}")).await.0, [waiting]);
    assert_eq!(found("_lastUpdated=ge2999-01-01").await.0, Vec::<String>::new());
    let (page, bundle) = found("_count=1").await;
    assert_eq!((page, &bundle["total"]), (vec![all[0].clone()], &json!(2)));
    let next = bundle["link"].as_array().unwrap().iter().find(|link| link["relation"] == "next").unwrap();
    let next = next["url"].as_str().unwrap().split_once('?').unwrap().1.to_owned();
    assert_eq!(found(&next).await.0, [all[1].clone()]);
    assert_eq!(world.get("/fhir/Task?status=draft", &[]).await.status, 400);
    assert_eq!(world.get("/fhir/Task?colour=blue", &[("prefer", "handling=strict")]).await.status, 400);
    assert_eq!(world.get("/fhir/Task/none", &[]).await.status, 404);
}

#[tokio::test]
async fn a_task_is_kept_for_its_time_and_then_gone() {
    let mut world = World::with(store::Store::memory(), |settings| settings.task.keep = 0).await;
    let path = named(&world.provide_later(&Provide::new(&world.patient()).bundle(), &[]).await);
    world.make_tasks().await;
    assert_eq!(world.get(&path, &[]).await.status, 404);
    world.restart().await;
    assert_eq!(world.documents(), 1, "what was submitted stays");
}

fn letter(world: &World) -> Value {
    json!({
        "resourceType": "Parameters",
        "parameter": [
            { "name": "subject", "valueReference": { "reference": world.patient() } },
            { "name": "context", "valueReference": { "reference": "http://ehr.example/fhir/Encounter/7" } },
            { "name": "document-title", "valueString": "Letter" },
            { "name": "sender-identifier", "valueIdentifier": { "system": "http://ehr.example/senders", "value": "ward-3" } },
            { "name": "payload", "valueBase64Binary": "JVBERi0xLjQ=" },
        ],
    })
}

#[tokio::test]
async fn a_writer_that_knows_no_bundle_sends_a_document_and_tracks_it() {
    let world = World::new().await;
    let send = "/fhir/CommunicationRequest/$send-to-ehr";
    let key = ("idempotency-key", "k-1");
    let reply = world.ask("POST", send, &[JSON, key], letter(&world).to_string()).await;
    named(&reply);
    let answer = reply.json();
    assert_eq!(
        (&answer["resourceType"], &answer["parameter"][0]["name"]),
        (&json!("Parameters"), &json!("id"))
    );
    let id = answer["parameter"][0]["valueId"].as_str().unwrap().to_owned();
    let again = world.ask("POST", send, &[JSON, key], letter(&world).to_string()).await;
    assert_eq!(again.json()["parameter"][0]["valueId"], id.as_str(), "sent again, it is the same");
    world.make_tasks().await;
    for path in [
        format!("/fhir/CommunicationRequest/{id}/$tracking"),
        format!("/fhir/CommunicationRequest/$tracking?id={id}"),
    ] {
        let told = world.task(&path).await;
        let named = |name: &str| {
            told["parameter"].as_array().unwrap().iter().find(|parameter| parameter["name"] == name).cloned()
        };
        assert_eq!(named("status").unwrap()["valueCode"], "completed", "{told}");
        assert!(named("document").is_some(), "{told}");
    }
    let state = world.registry.state.lock().unwrap();
    let (_, _, _, bundle) = state.committed.values().next().unwrap();
    let resources: Vec<&Value> =
        bundle["entry"].as_array().unwrap().iter().map(|entry| &entry["resource"]).collect();
    let document = resources.iter().find(|one| one["resourceType"] == "DocumentReference").unwrap();
    assert_eq!(document["type"]["coding"][0]["code"], "11488-4");
    assert_eq!(document["content"][0]["attachment"]["contentType"], "application/pdf");
    assert_eq!(document["content"][0]["attachment"]["title"], "Letter");
    assert_eq!(document["context"]["encounter"][0]["reference"], "http://ehr.example/fhir/Encounter/7");
    assert_eq!(state.committed.len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_sent_document_is_told_at_once() {
    let world = World::new().await;
    let send = "/fhir/CommunicationRequest/$send-to-ehr";
    let wrong = json!({
        "resourceType": "Parameters",
        "parameter": [
            { "name": "subject", "valueBoolean": true },
            { "name": "payload", "valueUri": "http://elsewhere.example/letter.pdf" },
            { "name": "colour", "valueString": "blue" },
        ],
    });
    let reply = world.ask("POST", send, &[JSON], wrong.to_string()).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(reply.json()["issue"].as_array().unwrap().len(), 3, "{}", reply.json());
    let empty = json!({ "resourceType": "Parameters" });
    let reply = world.ask("POST", send, &[JSON], empty.to_string()).await;
    assert_eq!(reply.json()["issue"].as_array().unwrap().len(), 2, "{}", reply.json());
    assert_eq!(world.get("/fhir/CommunicationRequest/$tracking", &[]).await.status, 400);
    assert_eq!(world.get("/fhir/CommunicationRequest/none/$tracking", &[]).await.status, 404);
    world.registry.then(&[Step::Refuse(400, outcome("XDSUnknownPatientId", "not-found", "nobody"))]);
    let id = world.ask("POST", send, &[JSON], letter(&world).to_string()).await.json();
    let id = id["parameter"][0]["valueId"].as_str().unwrap().to_owned();
    world.make_tasks().await;
    let told = world.task(&format!("/fhir/CommunicationRequest/{id}/$tracking")).await;
    let last = told["parameter"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["name"], &last["resource"]["resourceType"]),
        (&json!("outcome"), &json!("OperationOutcome"))
    );
}

#[tokio::test]
async fn the_operations_of_our_own_can_be_read_where_the_statement_says() {
    let world = World::new().await;
    let statement = world.task("/fhir/metadata").await;
    let resources = statement["rest"][0]["resource"].as_array().unwrap();
    let requests = resources.iter().find(|one| one["type"] == "CommunicationRequest").unwrap();
    for operation in requests["operation"].as_array().unwrap() {
        let canonical = operation["definition"].as_str().unwrap();
        let id = canonical.rsplit('/').next().unwrap();
        let definition = world.task(&format!("/fhir/OperationDefinition/{id}")).await;
        assert_eq!(definition["url"], canonical);
        assert_eq!(definition["code"], operation["name"]);
    }
    assert_eq!(world.get("/fhir/OperationDefinition/none", &[]).await.status, 404);
}
