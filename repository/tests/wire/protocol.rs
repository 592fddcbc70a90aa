//! Every pair of steps of a submission, with a crash, or a lost, late, doubled or foreign message in between.

use std::time::{Duration, Instant};

use crate::world::{Step, World, outcome};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use serde_json::json;
use testkit::{Document, Provide};
use web::{Body, BodySource};

async fn impatient() -> World {
    World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await
}

/// Another repository of the same region.
async fn beside(world: &World) -> World {
    World::with(store::Store::memory(), |settings| {
        settings.registry.url = format!("{}/fhir", world.registry.host);
        settings.identity.url = format!("{}/fhir", world.identity.host);
        settings.registry.tries = 1;
    })
    .await
}

#[tokio::test]
async fn what_had_come_in_at_another_repository_is_answered_as_there_and_leaves_no_copy() {
    let world = impatient().await;
    let elsewhere = beside(&world).await;
    let bundle = Provide::new(&world.patient()).bundle();
    let first = elsewhere.provide(&bundle).await;
    let second = world.provide(&bundle).await;
    assert_eq!((second.status, second.replayed()), (200, true), "{second:?}");
    assert_eq!(second.locations(), first.locations());
    assert_eq!(world.documents(), 0, "the copy is gone");
    let third = world.provide(&bundle).await;
    assert_eq!((third.body, third.status), (second.body, 200));
}

#[tokio::test]
async fn a_lost_message_about_what_another_repository_has_submitted_ends_in_its_answer() {
    let world = impatient().await;
    let elsewhere = beside(&world).await;
    let bundle = Provide::new(&world.patient()).bundle();
    let first = elsewhere.provide(&bundle).await;
    world.registry.then(&[Step::Lose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    world.settle().await;
    assert_eq!(world.documents(), 0);
    let again = world.provide(&bundle).await;
    assert_eq!((again.status, again.replayed()), (200, true), "{again:?}");
    assert_eq!(again.locations(), first.locations());
}

#[tokio::test]
async fn a_number_that_was_given_up_is_passed_over() {
    let world = impatient().await;
    let key = testkit::urn_oid();
    world.registry.state.lock().unwrap().fences.insert(key.clone(), 7);
    let reply = world.provide(&Provide::new(&world.patient()).unique_id(&key).bundle()).await;
    assert_eq!((reply.status, reply.replayed()), (200, false), "{reply:?}");
    assert_eq!(world.registry.state.lock().unwrap().committed[&key].1, 8);
    assert_eq!(world.get(&reply.document(2), &[]).await.status, 200);
    assert_eq!(world.documents(), 1);
}

/// Reservations of ours are part of the answer, also when the answer is put together after a crash.
#[tokio::test]
async fn an_answer_that_is_put_together_later_has_our_reservations() {
    let bundle = |world: &World| {
        let mut bundle = Provide::new(&world.patient()).bundle();
        bundle["entry"][1]["resource"]["content"][0]["attachment"]["size"] = 99.into();
        bundle
    };
    let warnings = |reply: &crate::world::Reply| {
        let told = reply.json();
        let outcome = &told["entry"][1]["response"]["outcome"];
        assert_eq!(outcome["issue"].as_array().map(Vec::len), Some(1), "{told}");
        outcome.clone()
    };
    let world = impatient().await;
    let at_once = warnings(&world.provide(&bundle(&world)).await);
    let mut world = impatient().await;
    let submitted = bundle(&world);
    world.registry.then(&[Step::CommitAndLose]);
    assert_eq!(world.provide(&submitted).await.status, 503);
    world.restart().await;
    world.settle().await;
    let later = world.provide(&submitted).await;
    assert!(later.replayed());
    assert_eq!(warnings(&later), at_once);
}

#[tokio::test]
async fn what_is_no_answer_leaves_the_outcome_unknown_and_the_next_try_finds_it() {
    let other = json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": [
        { "response": { "status": "201 Created", "location": "List/1" } },
    ] });
    let steps = [
        Step::CommitAndAnswer(200, "<html>it works</html>".to_owned()),
        Step::CommitAndAnswer(200, other.to_string()),
        Step::CommitAndAnswer(500, String::new()),
        Step::CommitAndAnswer(502, "bad gateway".to_owned()),
        Step::CommitAndBreakOff(0),
        Step::CommitAndBreakOff(1),
        Step::CommitAndBreakOff(60),
        Step::CommitAndBreakOff(300),
        Step::CommitAndFallSilent,
        Step::CommitAndLose,
    ];
    for step in steps {
        let world = World::with(store::Store::memory(), |settings| {
            settings.registry.tries = 1;
            settings.registry.timeout_ms = 300;
        })
        .await;
        let bundle = Provide::new(&world.patient()).bundle();
        world.registry.then(std::slice::from_ref(&step));
        let unknown = world.provide(&bundle).await;
        assert_eq!(unknown.status, 503, "{step:?}: {unknown:?}");
        let issue = &unknown.json()["issue"][0];
        assert_eq!(issue["code"], "timeout", "{step:?}");
        assert!(issue["diagnostics"].as_str().unwrap().contains("send again with the same id"));
        let again = world.provide(&bundle).await;
        assert_eq!((again.status, again.replayed()), (200, true), "{step:?}: {again:?}");
        let url = world.registry.urls().pop().unwrap();
        assert_eq!(url, format!("http://repository.example{}", again.document(2)), "{step:?}");
        assert_eq!(world.get(&again.document(2), &[]).await.status, 200, "{step:?}");
        assert_eq!(world.documents(), 1, "{step:?}");
    }
}

/// A status that only something on the way can have given says nothing about what the registry did.
#[tokio::test]
async fn a_refusal_without_a_reason_is_not_believed_before_the_registry_has_been_asked() {
    for status in [400, 401, 404, 408, 409, 429] {
        let world = impatient().await;
        let bundle = Provide::new(&world.patient()).bundle();
        world.registry.then(&[Step::CommitAndAnswer(status, String::new())]);
        let reply = world.provide(&bundle).await;
        assert_eq!(reply.status, 200, "{status}: {reply:?}");
        assert_eq!(world.documents(), 1);

        let world = impatient().await;
        world.registry.then(&[Step::Refuse(status, json!({}))]);
        let reply = world.provide(&Provide::new(&world.patient()).bundle()).await;
        assert_eq!((reply.status, &reply.json()["issue"][0]["code"]), (503, &json!("transient")), "{status}");
        assert_eq!(world.registry.state.lock().unwrap().fences.len(), 1, "{status}");
        assert_eq!(world.documents(), 0);
    }
}

#[tokio::test]
async fn a_refusal_while_the_registry_does_not_settle_an_earlier_try_is_unknown() {
    let world = impatient().await;
    let bundle = Provide::new(&world.patient()).bundle();
    let refusal = || Step::Refuse(400, outcome("XDSUnknownPatientId", "not-found", ""));
    world.registry.then(&[Step::CommitAndLose, refusal()]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    world.registry.state.lock().unwrap().unsettled = 1;
    let unknown = world.provide(&bundle).await;
    assert_eq!((unknown.status, &unknown.json()["issue"][0]["code"]), (503, &json!("timeout")));
    assert_eq!(world.documents(), 2, "while in doubt everything stays");
    world.settle().await;
    assert_eq!(world.documents(), 1);
    let again = world.provide(&bundle).await;
    assert_eq!((again.status, again.replayed()), (200, true));
}

#[tokio::test]
async fn a_registry_that_goes_away_after_a_lost_try_leaves_the_outcome_unknown() {
    let world = impatient().await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::CommitAndLose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    let mut settings = world.settings.clone();
    settings.registry.url = format!("http://{}/fhir", nobody());
    let away = World::over(&world, settings).await;
    let unknown = away.provide(&bundle).await;
    assert_eq!(
        (unknown.status, &unknown.json()["issue"][0]["code"]),
        (503, &json!("timeout")),
        "{unknown:?}"
    );
    assert_eq!(away.documents(), 1, "what was never sent is gone, what may be committed is kept");
    let back = World::over(&world, world.settings.clone()).await;
    let again = back.provide(&bundle).await;
    assert_eq!((again.status, again.replayed()), (200, true), "{again:?}");
}

/// An address where nobody listens.
fn nobody() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A listener whose queue is full: connections to it are neither taken nor refused.
async fn black_hole() -> (tokio::net::TcpListener, Vec<tokio::net::TcpStream>, std::net::SocketAddr) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    let patience = Duration::from_millis(100);
    while let Ok(Ok(stream)) = tokio::time::timeout(patience, tokio::net::TcpStream::connect(address)).await {
        waiting.push(stream);
    }
    (listener, waiting, address)
}

#[tokio::test]
async fn peers_that_swallow_connections_cost_two_seconds_and_known_documents_are_read_meanwhile() {
    let (_listener, _waiting, hole) = black_hole().await;
    let world = World::new().await;
    let first = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(world.get(&first.document(2), &[]).await.status, 200);
    let by_identifier = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    world.identity.knows("p1", "urn:oid:1.2.3", "7");
    for (registry, identity) in [(true, false), (false, true), (true, true)] {
        let mut settings = world.settings.clone();
        if registry {
            settings.registry.url = format!("http://{hole}/fhir");
        }
        if identity {
            settings.identity.url = format!("http://{hole}/fhir");
        }
        let cut_off = World::over(&world, settings).await;
        let began = Instant::now();
        let bundle = Provide::with_subject(by_identifier.clone()).bundle();
        let read = async {
            let document = cut_off.get(&first.document(2), &[]).await;
            (document.status, began.elapsed())
        };
        let (reply, (status, read)) = tokio::join!(cut_off.provide(&bundle), read);
        assert_eq!(
            (reply.status, &reply.json()["issue"][0]["code"]),
            (503, &json!("transient")),
            "{reply:?}"
        );
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        assert_eq!(status, 200);
        assert!(read < Duration::from_secs(1), "{read:?}");
        assert_eq!(cut_off.documents(), 1, "nothing of it stays");
    }
}

#[tokio::test]
async fn who_the_patient_is_is_not_waited_for_longer_than_a_submission_may_take() {
    let world = World::with(store::Store::memory(), |settings| settings.submission.deadline_ms = 300).await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = world.settings.clone();
    settings.identity.url = format!("http://{}/fhir", silent.local_addr().unwrap());
    let world = World::over(&world, settings).await;
    let subject = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    let began = Instant::now();
    let reply = world.provide(&Provide::with_subject(subject).bundle()).await;
    assert_eq!((reply.status, &reply.json()["issue"][0]["code"]), (503, &json!("transient")), "{reply:?}");
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!((world.documents(), world.registry.state.lock().unwrap().arrived), (0, 0));
}

#[tokio::test]
async fn a_patient_who_was_merged_away_is_asked_for_again_after_a_refusal() {
    let world = World::new().await;
    let subject = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    world.identity.knows("old", "urn:oid:1.2.3", "7");
    let refusal = Step::Refuse(400, outcome("XDSUnknownPatientId", "not-found", ""));
    world.registry.then(&[Step::Commit, refusal]);
    assert_eq!(world.provide(&Provide::with_subject(subject.clone()).bundle()).await.status, 200);
    world.identity.patients.lock().unwrap().clear();
    world.identity.knows("new", "urn:oid:1.2.3", "7");
    let bundle = Provide::with_subject(subject).bundle();
    assert_eq!(world.provide(&bundle).await.status, 400);
    assert_eq!(world.provide(&bundle).await.status, 200);
    let state = world.registry.state.lock().unwrap();
    let (_, _, _, registered) = &state.committed[state.order.last().unwrap()];
    assert!(registered.to_string().contains("Patient/new"));
}

#[tokio::test]
async fn what_was_sent_for_a_patient_who_was_merged_away_since_is_answered_as_it_was_then() {
    let world = World::with(store::Store::memory(), |settings| settings.identity.cache_entries = 0).await;
    let subject = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    world.identity.knows("old", "urn:oid:1.2.3", "7");
    let bundle = Provide::with_subject(subject.clone()).bundle();
    let first = world.provide(&bundle).await;
    assert_eq!(first.status, 200, "{first:?}");
    world.identity.patients.lock().unwrap().clear();
    let replayed = async |who: &str| {
        let again = world.provide(&bundle).await;
        assert_eq!((again.status, again.json()), (200, first.json()), "{who}: {again:?}");
        assert_eq!(again.header("idempotency-replayed"), Some("true"), "{who}");
    };
    replayed("nobody has the identifier").await;
    let other = Provide::with_subject(subject).bundle();
    assert_eq!(world.provide(&other).await.status, 400, "nothing new is taken");
    world.identity.knows("new", "urn:oid:1.2.3", "7");
    replayed("the survivor has the identifier").await;
    assert_eq!(world.provide(&other).await.status, 200);
}

#[tokio::test]
async fn a_document_follows_when_the_registry_has_moved_it_to_another_patient() {
    let world =
        World::with(store::Store::memory(), |settings| settings.submission.settle_interval_ms = 10).await;
    world.registry.state.lock().unwrap().life = Some("registry;1".to_owned());
    let subject = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    world.identity.knows("p1", "urn:oid:1.2.3", "7");
    assert_eq!(world.provide(&Provide::with_subject(subject).bundle()).await.status, 200);
    let whose = || {
        let rows = world.store.changes(store::Kind("document-bytes"), 0, 10).unwrap();
        rows.into_iter().map(|row| row.partition).collect::<Vec<_>>()
    };
    assert_eq!(whose(), ["p1"]);
    world.registry.state.lock().unwrap().owner = Some("survivor".to_owned());
    let began = Instant::now();
    while whose() != ["survivor"] {
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", whose());
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.settle().await;
    }
}

#[tokio::test]
async fn a_kill_between_following_and_keeping_the_place_is_made_good_and_rest_writes_nothing() {
    let quick = |settings: &mut repository::Settings| settings.submission.settle_interval_ms = 10;
    let mut world = World::with(store::Store::memory(), quick).await;
    world.registry.state.lock().unwrap().life = Some("registry;1".to_owned());
    world.identity.knows("p1", "urn:oid:1.2.3", "7");
    let subject = json!({ "identifier": { "system": "urn:oid:1.2.3", "value": "7" } });
    for _ in 0..2 {
        assert_eq!(world.provide(&Provide::with_subject(subject.clone()).bundle()).await.status, 200);
    }
    let moved_to = |store: &store::Store, owner: &str| {
        let rows = store.changes(store::Kind("document-bytes"), 0, 10).unwrap();
        rows.iter().filter(|row| row.partition == owner).count()
    };
    let follow_until = async |world: &World, owner: &str, count: usize| {
        let began = Instant::now();
        while moved_to(&world.store, owner) != count {
            assert!(began.elapsed() < Duration::from_secs(5), "{owner}: {}", moved_to(&world.store, owner));
            tokio::time::sleep(Duration::from_millis(80)).await;
            let _ = world.repository.settle_now().await;
        }
    };
    // The first document has followed; before the second one is reached and the place is kept, the process ends.
    {
        let mut state = world.registry.state.lock().unwrap();
        (state.owner, state.bindings_end) = (Some("survivor".to_owned()), Some(1));
    }
    follow_until(&world, "survivor", 1).await;
    world.restart().await;
    world.registry.state.lock().unwrap().bindings_end = None;
    follow_until(&world, "survivor", 2).await;
    // The place is kept by now, and what stands is not written again.
    let before = world.store.sequence();
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(80)).await;
        world.settle().await;
    }
    assert_eq!(world.store.sequence(), before, "a round that changed nothing writes nothing");
    // A merge after that is a later commit of the registry: it is followed, also by a process that begins anew.
    world.restart().await;
    let key = {
        let mut state = world.registry.state.lock().unwrap();
        state.owner = Some("other".to_owned());
        state.order[0].clone()
    };
    world.registry.state.lock().unwrap().order.push(key);
    follow_until(&world, "other", 1).await;
}

/// A body that ends in the middle of a large document, as of a source that goes away.
struct GoesAway(Vec<Bytes>);

impl BodySource for GoesAway {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        let next = if self.0.is_empty() { Err(web::Error::Gone) } else { Ok(self.0.remove(0)) };
        Box::pin(async move { Some(next) })
    }
    fn declared(&self) -> Option<u64> {
        None
    }
}

#[tokio::test]
async fn a_source_that_goes_away_leaves_nothing_staged() {
    let directory = tempfile::tempdir().unwrap();
    let store = store::Store::open(&store::Options::new(directory.path())).unwrap();
    let world = World::with(store, |_| {}).await;
    let documents = vec![Document::new(vec![b'.'; 3 << 20]), Document::new(vec![b'-'; 3 << 20])];
    let bundle = Provide::new(&world.patient()).documents(documents).bundle().to_string();
    let body = Bytes::from(bundle);
    for end in [100, body.len() / 4, body.len() * 3 / 4, body.len() - 1] {
        let chunks = body.slice(..end).chunks(64 << 10).map(Bytes::copy_from_slice).collect();
        let headers = [("content-type", "application/fhir+json")];
        let reply = world.ask_with("POST", "/fhir", &headers, Body::new(GoesAway(chunks))).await;
        assert_eq!(reply.status, 408, "{reply:?}");
    }
    assert_eq!(world.documents(), 0);
    for part in ["staging", "blobs"] {
        assert_eq!(files(&directory.path().join(part)), 0, "{part}");
    }
}

fn files(directory: &std::path::Path) -> usize {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}
