//! Submissions between a source, a registry that may lose messages, and an identity source.

use std::time::{Duration, Instant};

use crate::world::{BASE, Step, World, outcome};
use bytes::Bytes;
use futures_util::future::{LocalBoxFuture, join_all};
use serde_json::json;
use testkit::{Document, Provide};
use web::{Body, BodySource};

#[tokio::test]
async fn a_submission_is_registered_and_its_bytes_are_given_back() {
    let world = World::new().await;
    let reply = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let locations = reply.locations();
    assert_eq!(locations.len(), 3, "one for each entry");
    let registry = format!("{}/fhir", world.registry.host);
    assert!(locations[0].starts_with(&format!("{registry}/List/")), "{locations:?}");
    assert!(locations[1].starts_with(&format!("{registry}/DocumentReference/")), "{locations:?}");
    assert!(locations[2].starts_with(&format!("{BASE}/Binary/")), "{locations:?}");

    let path = reply.document(2);
    assert_eq!(world.registry.urls(), [format!("http://repository.example{path}")]);
    let document = world.get(&path, &[]).await;
    assert_eq!((document.status, document.bytes()), (200, &b"Hello World"[..]));
    assert_eq!(document.header("content-type"), Some("text/plain"));
    assert_eq!(world.identity.asked.lock().unwrap().len(), 0, "a literal reference needs nobody else");
}

#[tokio::test]
async fn a_refusal_of_the_registry_is_told_where_it_is_in_the_bundle_of_the_source_and_leaves_nothing() {
    let world = World::new().await;
    let mut bundle = Provide::new(&world.patient()).bundle();
    // The Binary first: the registry's entry 1 is then entry 2 of the source.
    bundle["entry"].as_array_mut().unwrap().rotate_right(1);
    let told = outcome("XDSUnknownPatientId", "not-found", "Bundle.entry[1].resource.subject");
    world.registry.then(&[Step::Refuse(400, told)]);
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let issue = &reply.json()["issue"][0];
    assert_eq!(issue["expression"][0], "Bundle.entry[2].resource.subject");
    assert_eq!(issue["details"]["coding"][0]["code"], "XDSUnknownPatientId");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_wrong_hash_never_reaches_the_registry() {
    let world = World::new().await;
    let mut bundle = Provide::new(&world.patient()).bundle();
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["hash"] =
        Document::new("other").sha1_base64().into();
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let told = reply.json();
    let path = told["issue"][0]["expression"][0].as_str().unwrap();
    assert!(path.starts_with("Bundle.entry[1].resource.content[0].attachment"), "{path}");
    assert_eq!(world.registry.state.lock().unwrap().arrived, 0);
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_registry_that_is_down_is_told_within_two_seconds_and_nothing_stays() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let world = World::with(store::Store::memory(), |settings| {
        settings.registry.url = format!("http://{address}/fhir");
    })
    .await;
    let began = Instant::now();
    let reply = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(reply.json()["issue"][0]["code"], "transient");
    assert!(reply.header("retry-after").is_some());
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_with_the_same_attempt() {
    let world = World::new().await;
    world.registry.then(&[Step::CommitAndLose]);
    let reply = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.registry.state.lock().unwrap().arrived, 2);
    assert_eq!(world.documents(), 1);
    assert_eq!(world.get(&reply.document(2), &[]).await.status, 200);
}

#[tokio::test]
async fn an_unknown_outcome_is_said_to_be_unknown_and_a_new_try_ends_as_the_first_would_have() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::CommitAndLose]);
    let unknown = world.provide(&bundle).await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert_eq!(unknown.json()["issue"][0]["code"], "timeout");

    let again = world.provide(&bundle).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert!(again.replayed());
    assert_eq!(world.documents(), 1, "the bytes of the second try are gone");
    let path = again.document(2);
    assert_eq!(world.registry.urls(), [format!("http://repository.example{path}")]);
    assert_eq!(world.get(&path, &[]).await.bytes(), b"Hello World");
    let third = world.provide(&bundle).await;
    assert_eq!(third.body, again.body);
}

#[tokio::test]
async fn an_attempt_that_never_arrived_is_fenced_and_its_bytes_go() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    world.registry.then(&[Step::Lose]);
    let unknown = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert_eq!(world.documents(), 1, "while in doubt everything stays");
    world.settle().await;
    assert_eq!(world.documents(), 0);
    assert_eq!(world.registry.state.lock().unwrap().fences.len(), 1);
}

#[tokio::test]
async fn after_a_kill_between_commit_and_binding_the_bytes_are_found_and_the_answer_is_known() {
    let mut world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::CommitAndLose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    world.restart().await;
    // Somebody reads before the first round of settling: the read settles.
    let url = world.registry.urls().pop().unwrap();
    let path = url.strip_prefix("http://repository.example").unwrap();
    let document = world.get(path, &[]).await;
    assert_eq!((document.status, document.bytes()), (200, &b"Hello World"[..]));
    let again = world.provide(&bundle).await;
    assert!(again.replayed());
    assert_eq!(again.document(2), path);
}

#[tokio::test]
async fn a_kill_before_anything_was_sent_leaves_nothing_once_settled() {
    let mut world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::Lose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    world.restart().await;
    world.settle().await;
    assert_eq!(world.documents(), 0);
    let again = world.provide(&bundle).await;
    assert_eq!(again.status, 200, "a new try has a number above the fence: {again:?}");
    assert_eq!(world.documents(), 1);
}

#[tokio::test]
async fn a_refusal_after_a_lost_try_is_believed_only_behind_a_fence() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let bundle = Provide::new(&world.patient()).bundle();
    let refusal = Step::Refuse(400, outcome("XDSUnknownPatientId", "not-found", ""));
    world.registry.then(&[Step::Lose, refusal]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    assert_eq!(world.provide(&bundle).await.status, 400);
    assert_eq!(world.registry.state.lock().unwrap().fences.values().copied().collect::<Vec<_>>(), [2]);
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn the_same_submission_again_is_answered_as_the_first_time() {
    let world = World::new().await;
    let bundle = Provide::new(&world.patient()).bundle();
    let first = world.provide(&bundle).await;
    let second = world.provide(&bundle).await;
    assert_eq!((first.replayed(), second.replayed()), (false, true));
    assert_eq!(first.body, second.body);
    assert_eq!(world.registry.state.lock().unwrap().arrived, 1);
    assert_eq!(world.documents(), 1);
}

#[tokio::test]
async fn the_same_id_with_other_content_is_a_conflict_and_the_first_stays() {
    let world = World::new().await;
    let provide = Provide::new(&world.patient());
    let first = world.provide(&provide.bundle()).await;
    let other = world.provide(&provide.clone().title("other").bundle()).await;
    assert_eq!(other.status, 409, "{other:?}");
    assert_eq!(world.documents(), 1);
    assert_eq!(world.provide(&provide.bundle()).await.body, first.body);
    assert_eq!(world.get(&first.document(2), &[]).await.status, 200);
}

/// What a lost answer leaves in doubt is the first content; the second is refused all the same.
#[tokio::test]
async fn other_content_under_an_id_in_doubt_is_a_conflict_and_never_answered_as_the_first() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let provide = Provide::new(&world.patient());
    world.registry.then(&[Step::CommitAndLose]);
    assert_eq!(world.provide(&provide.bundle()).await.status, 503);
    let other = world.provide(&provide.clone().title("other").bundle()).await;
    assert_eq!(other.status, 409, "{other:?}");
    assert_eq!(world.documents(), 1, "the bytes of the refused content are gone");
    let first = world.provide(&provide.bundle()).await;
    assert_eq!((first.status, first.replayed()), (200, true));
    assert_eq!(world.get(&first.document(2), &[]).await.status, 200);
}

#[tokio::test]
async fn other_content_whose_first_message_is_lost_is_a_conflict_too() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 2).await;
    let provide = Provide::new(&world.patient());
    let first = world.provide(&provide.bundle()).await;
    assert_eq!(first.status, 200);
    world.registry.then(&[Step::Lose]);
    let other = world.provide(&provide.clone().title("other").bundle()).await;
    assert_eq!(other.status, 409, "{other:?}");
    assert_eq!(world.documents(), 1);
    assert_eq!(world.provide(&provide.bundle()).await.body, first.body);
}

/// A source may have registered the id itself, or another repository: their attempts are counted from 1 as ours are.
#[tokio::test]
async fn an_attempt_of_somebody_else_with_the_same_number_does_not_stand_for_ours() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let provide = Provide::new(&world.patient());
    let elsewhere = World::with(store::Store::memory(), |settings| {
        settings.registry.url = format!("{}/fhir", world.registry.host);
        settings.identity.url = format!("{}/fhir", world.identity.host);
    })
    .await;
    assert_eq!(elsewhere.provide(&provide.bundle()).await.status, 200);
    world.registry.then(&[Step::Lose]);
    let bundle = provide.clone().title("other").bundle();
    assert_eq!(world.provide(&bundle).await.status, 503);
    world.settle().await;
    assert_eq!(world.documents(), 0, "nothing of ours was registered");
    world.registry.then(&[Step::Lose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    let refused = world.provide(&bundle).await;
    assert_eq!(refused.status, 409, "{refused:?}");
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn an_answer_that_answers_something_else_is_no_success() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    let empty = json!({ "resourceType": "Bundle", "type": "transaction-response" });
    world.registry.then(&[Step::Refuse(200, empty)]);
    let bundle = Provide::new(&world.patient()).bundle();
    let unknown = world.provide(&bundle).await;
    assert_eq!(unknown.status, 503, "{unknown:?}");
    assert_eq!(world.registry.state.lock().unwrap().committed.len(), 0);
    let again = world.provide(&bundle).await;
    assert_eq!((again.status, again.replayed()), (200, false), "{again:?}");
}

#[tokio::test]
async fn a_key_the_registry_cannot_settle_does_not_keep_the_others_in_doubt() {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    world.registry.then(&[Step::Lose, Step::Lose, Step::Lose]);
    for _ in 0..3 {
        assert_eq!(world.provide(&Provide::new(&world.patient()).bundle()).await.status, 503);
    }
    assert_eq!(world.documents(), 3);
    world.registry.state.lock().unwrap().unsettled = 1;
    assert!(world.repository.settle_now().await.is_err(), "the one that failed is told");
    assert_eq!(world.documents(), 1);
    world.settle().await;
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn twenty_at_once_with_one_id_are_one_submission() {
    let world = World::new().await;
    let bundle = Provide::new(&world.patient()).bundle();
    let replies = join_all((0..20).map(|_| world.provide(&bundle))).await;
    for reply in &replies {
        assert_eq!((reply.status, &reply.body), (200, &replies[0].body));
    }
    assert_eq!(replies.iter().filter(|reply| !reply.replayed()).count(), 1);
    assert_eq!(world.documents(), 1);
    assert_eq!(world.registry.state.lock().unwrap().committed.len(), 1);
}

#[tokio::test]
async fn a_submission_without_an_id_is_known_by_its_content() {
    let world = World::new().await;
    let mut bundle = Provide::minimal(&world.patient()).without_unique_id().bundle();
    let entry_uuid =
        json!({ "use": "official", "system": "urn:ietf:rfc:3986", "value": testkit::urn_uuid() });
    bundle["entry"][0]["resource"]["identifier"] = json!([entry_uuid]);
    let first = world.provide(&bundle).await;
    assert_eq!(first.status, 200, "{first:?}");
    let second = world.provide(&bundle).await;
    assert!(second.replayed());
    bundle["entry"][0]["resource"]["title"] = "other".into();
    let other = world.provide(&bundle).await;
    assert_eq!((other.status, other.replayed()), (200, false), "{other:?}");
    let state = world.registry.state.lock().unwrap();
    for (key, (_, _, _, bundle)) in &state.committed {
        assert!(key.starts_with("urn:oid:2.25."), "{key}");
        assert!(bundle.to_string().contains(key), "the registry is told the id in the submission set");
    }
}

#[tokio::test]
async fn a_patient_is_found_by_condition_by_identifier_and_by_a_foreign_url() {
    let world = World::new().await;
    world.identity.knows("p7", "urn:oid:1.2.3", "7");
    world.identity.knows("p8", "http://other.example/fhir", "Patient/8");
    let subjects = [
        (json!({ "reference": "Patient?identifier=urn:oid:1.2.3|7" }), "p7"),
        (json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } }), "p7"),
        (json!({ "reference": "http://other.example/fhir/Patient/8" }), "p8"),
    ];
    for (subject, id) in subjects {
        let reply = world.provide(&Provide::with_subject(subject.clone()).bundle()).await;
        assert_eq!(reply.status, 200, "{subject}: {reply:?}");
        let state = world.registry.state.lock().unwrap();
        let canonical = format!("{}/fhir/Patient/{id}", world.identity.host);
        let told = state.committed.values().any(|(_, _, _, bundle)| {
            bundle["entry"]
                .as_array()
                .unwrap()
                .iter()
                .all(|e| e["resource"]["subject"]["reference"] == canonical)
        });
        assert!(told, "{subject}");
    }
    assert_eq!(world.identity.asked.lock().unwrap().len(), 2, "a positive answer is believed for a while");

    let unknown = world.provide(&Provide::new("http://127.0.0.1:1/Patient/1").bundle()).await;
    assert_eq!(unknown.status, 400, "{unknown:?}");
    assert_eq!(unknown.json()["issue"][0]["details"]["coding"][0]["code"], "XDSUnknownPatientId");
}

/// Who reads a folder and sends it back with a new document has the absolute reference in the one, and may have the
/// relative one in the other.
#[tokio::test]
async fn our_patient_is_one_patient_by_relative_and_absolute_reference() {
    let world = World::new().await;
    let mut bundle = Provide::new(&world.patient()).bundle();
    let entries = bundle["entry"].as_array_mut().unwrap();
    entries[0]["resource"]["subject"]["reference"] = "Patient/p1".into();
    assert_eq!(entries[1]["resource"]["subject"]["reference"], world.patient());
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    bundle["entry"][0]["resource"]["subject"]["reference"] =
        "http://elsewhere.example/fhir/Patient/p1".into();
    assert_eq!(world.provide(&bundle).await.status, 400, "the same id on another server is another patient");
}

#[tokio::test]
async fn a_patient_that_comes_along_is_fed_once() {
    let world = World::new().await;
    let url = testkit::urn_uuid();
    let patient = json!({
        "fullUrl": url,
        "resource": testkit::patient("urn:oid:1.9", "new", "Huber", "Maria"),
        "request": { "method": "POST", "url": "Patient" }
    });
    let provide = Provide::new(&url).entry(patient);
    let reply = world.provide(&provide.bundle()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.locations().len(), 4);
    let told = &reply.json()["entry"][3]["response"];
    assert_eq!((&told["status"], &told["etag"]), (&json!("200 OK"), &json!(null)), "{told}");
    let again = world.provide(&Provide { unique_id: Some(testkit::urn_oid()), ..provide }.bundle()).await;
    // The second submission cites the same masterIdentifier; that is for the registry to judge, and this one takes it.
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(world.identity.patients.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn an_identity_source_that_is_away_is_told_and_nothing_stays() {
    let world = World::with(store::Store::memory(), |settings| {
        settings.identity.url = "http://127.0.0.1:1/fhir".to_owned();
    })
    .await;
    let subject = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    let reply = world.provide(&Provide::with_subject(subject).bundle()).await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert_eq!(world.documents(), 0);
    assert_eq!(world.registry.state.lock().unwrap().arrived, 0);
}

#[tokio::test]
async fn several_documents_come_back_each_as_itself() {
    let world = World::new().await;
    let bundle = Provide::new(&world.patient())
        .documents(vec![Document::new("first"), Document::new(vec![7; 3_000_000]).content_type("image/png")])
        .bundle();
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.get(&reply.document(2), &[]).await.bytes(), b"first");
    assert_eq!(world.get(&reply.document(4), &[]).await.bytes(), vec![7; 3_000_000]);
}

#[tokio::test]
async fn what_is_no_submission_is_refused_with_its_status() {
    let world = World::new().await;
    let bundle = Provide::new(&world.patient()).bundle().to_string();
    let fhir = ("content-type", "application/fhir+json");
    let cases = [
        (vec![fhir], "", 400),
        (vec![fhir], &bundle[..bundle.len() / 2], 400),
        (vec![("content-type", "text/html")], &bundle, 415),
        (vec![fhir, ("accept", "image/png")], &bundle, 406),
    ];
    for (headers, body, status) in cases {
        let reply = world.ask("POST", "/fhir", &headers, body.to_owned()).await;
        assert_eq!(reply.status, status, "{reply:?}");
        assert_eq!(reply.json()["resourceType"], "OperationOutcome");
    }
    assert_eq!(world.documents(), 0);
}

#[tokio::test]
async fn a_fhir_document_is_kept_as_it_came_and_measured_here() {
    let world = World::new().await;
    let url = testkit::urn_uuid();
    let composition = json!({
        "resourceType": "Composition", "status": "final", "title": "Kurzarztbrief", "date": "2026-02-01",
        "type": { "coding": [{ "system": "http://loinc.org", "code": "60591-5" }] },
        "subject": { "reference": world.patient() }, "author": [{ "display": "Dr. Huber" }]
    });
    let fhir_document = json!({
        "resourceType": "Bundle", "type": "document", "timestamp": "2026-02-01T10:00:00Z",
        "identifier": { "system": "urn:ietf:rfc:3986", "value": testkit::urn_uuid() },
        "entry": [{ "fullUrl": testkit::urn_uuid(), "resource": composition }]
    });
    let entry = json!({
        "fullUrl": url, "resource": fhir_document, "request": { "method": "POST", "url": "Bundle" }
    });
    let document = Document::new("").content_type("application/fhir+json").unmeasured().elsewhere(&url);
    let reply = world.provide(&Provide::new(&world.patient()).only(document).entry(entry).bundle()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let path = reply.document(2);
    let given = world.get(&path, &[("accept", "application/fhir+json")]).await;
    assert_eq!(given.header("content-type"), Some("application/fhir+json"));
    assert_eq!(given.json(), fhir_document, "the document itself, not a Binary around it");
    let state = world.registry.state.lock().unwrap();
    let (_, _, _, registered) = state.committed.values().next().unwrap();
    let attachment = &registered["entry"][1]["resource"]["content"][0]["attachment"];
    assert_eq!(attachment["size"], given.bytes().len());
    assert!(attachment["hash"].is_string());
}

#[tokio::test]
async fn a_patient_that_comes_along_is_refused_where_that_is_wanted() {
    let world = World::with(store::Store::memory(), |settings| {
        settings.submission.patient_entries = repository::PatientEntries::Refuse;
    })
    .await;
    let url = testkit::urn_uuid();
    let patient = json!({
        "fullUrl": url,
        "resource": testkit::patient("urn:oid:1.9", "new", "Huber", "Maria"),
        "request": { "method": "POST", "url": "Patient" }
    });
    let bundle = Provide::new(&url).entry(patient).bundle();
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    assert_eq!(reply.json()["issue"][0]["details"]["coding"][0]["code"], "XDSUnknownPatientId");
    world.identity.knows("p9", "urn:oid:1.9", "new");
    assert_eq!(world.provide(&bundle).await.status, 200, "one that is known already is no news");
}

/// A body that says how long it is and must not be read.
struct Unread;

impl BodySource for Unread {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        panic!("not a byte of the body is read")
    }
    fn declared(&self) -> Option<u64> {
        Some(1 << 40)
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_large_is_refused_before_it_is_read() {
    let world = World::new().await;
    let json = [("content-type", "application/fhir+json")];
    let reply = world.ask_with("POST", "/fhir", &json, Body::new(Unread)).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    let told = reply.json();
    assert_eq!(told["issue"][0]["code"], "too-long");
    assert!(told["issue"][0]["diagnostics"].as_str().unwrap().contains("server.limits.max_submission_bytes"));
}

#[tokio::test]
async fn a_document_over_the_limit_is_refused_while_it_comes() {
    let world = World::new().await;
    let most = usize::try_from(web::Limits::default().max_document_bytes).unwrap();
    let bundle = Provide::new(&world.patient()).only(Document::new(vec![b' '; most + 1])).bundle();
    let reply = world.provide(&bundle).await;
    assert_eq!(reply.status, 413, "{reply:?}");
    assert_eq!(world.documents(), 0);
}
