//! A registry, or this repository, that was restored from an older backup.

use crate::world::{Reply, Step, World};
use actor::{Actor as _, Report};
use serde_json::{Value, json};
use testkit::{Document, Provide};

async fn world() -> World {
    let world = World::with(store::Store::memory(), |settings| settings.registry.tries = 1).await;
    world.registry.state.lock().unwrap().life = Some("r;1".to_owned());
    world.settle().await;
    world
}

async fn reconcile(world: &World, apply: bool) -> Report {
    let comparing = world.repository.clone().reconcile(apply).expect("a repository compares");
    comparing.await.expect("the registry answers")
}

fn kinds(report: &Report) -> Vec<&str> {
    report.findings().iter().map(|finding| finding.kind.as_str()).collect()
}

/// Ids of the objects in the answer of the registry, as it has them now.
fn registered(world: &World, key: &str) -> Vec<String> {
    let state = world.registry.state.lock().unwrap();
    let (_, _, receipts, _) = &state.committed[key];
    receipts.iter().map(|receipt| receipt["location"].as_str().unwrap().to_owned()).collect()
}

fn of_registry(world: &World, reply: &Reply) -> Vec<String> {
    let base = format!("{}/fhir/", world.registry.host);
    let locations = reply.locations();
    locations.iter().filter_map(|location| location.strip_prefix(&base)).map(str::to_owned).collect()
}

fn key_of(bundle: &Value) -> String {
    bundle["entry"][0]["resource"]["identifier"]
        .as_array()
        .unwrap()
        .iter()
        .find(|identifier| identifier["use"] == "usual")
        .expect("the submission set has a uniqueId")["value"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn what_a_restored_registry_has_lost_comes_back_in_order_and_under_the_same_ids() {
    let world = world().await;
    let bundles: Vec<Value> = (0..5)
        .map(|number| {
            Provide::new(&world.patient()).only(Document::new(format!("document {number}"))).bundle()
        })
        .collect();
    let mut replies = Vec::new();
    for bundle in &bundles {
        replies.push(world.provide(bundle).await);
    }
    let order = world.registry.state.lock().unwrap().order.clone();
    world.registry.state.lock().unwrap().restore(2, "r;2");
    world.settle().await;
    assert_eq!(world.registry.state.lock().unwrap().order, order);
    for (bundle, first) in bundles.iter().zip(&replies) {
        assert_eq!(registered(&world, &key_of(bundle)), of_registry(&world, first));
        let again = world.provide(bundle).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(world.get(&first.document(2), &[]).await.status, 200);
    }
    let arrived = world.registry.state.lock().unwrap().arrived;
    world.settle().await;
    assert_eq!(world.registry.state.lock().unwrap().arrived, arrived, "once is enough");
    assert!(reconcile(&world, false).await.is_clean());
}

#[tokio::test]
async fn nothing_new_is_registered_with_a_restored_registry_before_it_has_back_what_it_lost() {
    let world = world().await;
    let first = Provide::new(&world.patient()).bundle();
    assert_eq!(world.provide(&first).await.status, 200);
    world.registry.state.lock().unwrap().restore(0, "r;2");
    let second = Provide::new(&world.patient()).bundle();
    let early = world.provide(&second).await;
    assert_eq!((early.status, &early.json()["issue"][0]["code"]), (503, &json!("transient")), "{early:?}");
    assert_eq!(world.documents(), 1, "nothing of it stays");
    world.settle().await;
    let later = world.provide(&second).await;
    assert_eq!((later.status, later.replayed()), (200, false), "{later:?}");
    let order = world.registry.state.lock().unwrap().order.clone();
    assert_eq!(order, [key_of(&first), key_of(&second)]);
}

#[tokio::test]
async fn what_an_earlier_life_of_the_registry_says_late_is_not_believed() {
    let world = world().await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.state.lock().unwrap().restore(0, "r;2");
    world.settle().await;
    world.registry.then(&[Step::AnswerLateFrom("r;1")]);
    let reply = world.provide(&bundle).await;
    assert_eq!((reply.status, &reply.json()["issue"][0]["code"]), (503, &json!("timeout")), "{reply:?}");
    let again = world.provide(&bundle).await;
    assert_eq!(again.status, 200, "{again:?}");
    assert_eq!(world.registry.urls().len(), 1);
    assert_eq!(world.get(&again.document(2), &[]).await.status, 200);
}

#[tokio::test]
async fn what_was_in_doubt_when_the_registry_was_restored_is_sent_again_and_not_thrown_away() {
    let world = world().await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::CommitAndLose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    world.registry.state.lock().unwrap().restore(0, "r;2");
    world.settle().await;
    assert_eq!(world.registry.state.lock().unwrap().committed.len(), 1);
    let again = world.provide(&bundle).await;
    assert_eq!((again.status, again.replayed()), (200, true), "{again:?}");
    assert_eq!(world.get(&again.document(2), &[]).await.status, 200);
}

#[tokio::test]
async fn what_a_restored_registry_does_not_take_back_is_kept_and_listed() {
    let world = world().await;
    let (kept, lost) = (Provide::new(&world.patient()).bundle(), Provide::new(&world.patient()).bundle());
    let reply = world.provide(&lost).await;
    assert_eq!(world.provide(&kept).await.status, 200);
    {
        let mut state = world.registry.state.lock().unwrap();
        state.restore(0, "r;2");
        state.refused.insert(key_of(&lost), "XDSUnknownPatientId");
    }
    world.settle().await;
    let report = reconcile(&world, false).await;
    assert_eq!(kinds(&report), ["not-taken-back"]);
    assert_eq!(report.findings()[0].subject, key_of(&lost));
    assert_eq!(world.get(&reply.document(2), &[]).await.status, 200, "its bytes are kept");
    assert_eq!(world.registry.state.lock().unwrap().order, [key_of(&kept)]);
    assert_eq!(world.provide(&lost).await.body, reply.body, "what was acknowledged stays acknowledged");
}

#[tokio::test]
async fn what_was_not_taken_back_is_taken_once_its_source_sends_it_again_or_apply_asks_for_it() {
    for applied in [false, true] {
        let world = world().await;
        let bundle = Provide::new(&world.patient()).bundle();
        let first = world.provide(&bundle).await;
        assert_eq!(world.get(&first.document(2), &[]).await.status, 200, "it is bound");
        {
            let mut state = world.registry.state.lock().unwrap();
            state.restore(0, "r;2");
            state.refused.insert(key_of(&bundle), "XDSUnknownPatientId");
        }
        world.settle().await;
        assert_eq!(kinds(&reconcile(&world, false).await), ["not-taken-back"]);
        // The patient has become known.
        world.registry.state.lock().unwrap().refused.clear();
        if applied {
            assert!(reconcile(&world, true).await.is_clean());
        }
        let again = world.provide(&bundle).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        assert_eq!(registered(&world, &key_of(&bundle)), of_registry(&world, &first));
        assert!(reconcile(&world, false).await.is_clean());
    }
}

#[tokio::test]
async fn what_was_not_taken_back_is_offered_again_by_itself_and_taken_once_its_patient_is_known() {
    let world = world().await;
    let bundle = Provide::new(&world.patient()).bundle();
    let first = world.provide(&bundle).await;
    assert_eq!(world.get(&first.document(2), &[]).await.status, 200, "it is bound");
    {
        let mut state = world.registry.state.lock().unwrap();
        state.restore(0, "r;2");
        state.refused.insert(key_of(&bundle), "XDSUnknownPatientId");
    }
    let a_minute_later = async || {
        tokio::time::pause();
        tokio::time::advance(std::time::Duration::from_secs(61)).await;
        tokio::time::resume();
        world.settle().await;
    };
    world.settle().await;
    let arrived = world.registry.state.lock().unwrap().arrived;
    world.settle().await;
    assert_eq!(world.registry.state.lock().unwrap().arrived, arrived, "not with every round");
    a_minute_later().await;
    assert_eq!(world.registry.state.lock().unwrap().arrived, arrived + 1);
    assert_eq!(kinds(&reconcile(&world, false).await), ["not-taken-back"]);

    // The patient has become known.
    world.registry.state.lock().unwrap().refused.clear();
    a_minute_later().await;
    assert_eq!(registered(&world, &key_of(&bundle)), of_registry(&world, &first));
    assert!(reconcile(&world, false).await.is_clean());
    assert_eq!(world.get(&first.document(2), &[]).await.status, 200);
}

#[tokio::test]
async fn what_was_acknowledged_comes_back_and_not_what_was_in_doubt_under_the_same_key() {
    let world = world().await;
    let key = testkit::urn_oid();
    let provide =
        |text: &str| Provide::new(&world.patient()).unique_id(&key).only(Document::new(text)).bundle();
    let (ours, other) = (provide("acknowledged"), provide("other content"));
    let first = world.provide(&ours).await;
    assert_eq!(world.get(&first.document(2), &[]).await.status, 200, "it is bound");
    world.registry.then(&[Step::Lose]);
    assert_eq!(world.provide(&other).await.status, 503);
    world.registry.state.lock().unwrap().restore(0, "r;2");
    world.settle().await;
    assert_eq!(registered(&world, &key), of_registry(&world, &first));
    assert_eq!(world.documents(), 1, "nothing of the other content stays");
    assert_eq!(world.provide(&ours).await.body, first.body);
    assert_eq!(world.provide(&other).await.status, 409);
    assert!(reconcile(&world, false).await.is_clean());
}

#[tokio::test]
async fn what_had_been_given_up_before_the_backup_is_not_sent_again() {
    let world = world().await;
    let bundle = Provide::new(&world.patient()).bundle();
    world.registry.then(&[Step::Lose]);
    assert_eq!(world.provide(&bundle).await.status, 503);
    {
        let mut state = world.registry.state.lock().unwrap();
        state.restore(0, "r;2");
        state.fences.insert(key_of(&bundle), 1);
    }
    world.settle().await;
    assert!(world.registry.state.lock().unwrap().committed.is_empty());
    assert_eq!(world.documents(), 0);
    assert_eq!(world.provide(&bundle).await.status, 200, "its source sends it again");
}

#[tokio::test]
async fn a_registry_that_goes_away_while_it_is_reconciled_is_reconciled_the_next_time() {
    let world = world().await;
    let bundles: Vec<Value> = (0..3).map(|_| Provide::new(&world.patient()).bundle()).collect();
    for bundle in &bundles {
        assert_eq!(world.provide(bundle).await.status, 200);
    }
    world.registry.state.lock().unwrap().restore(0, "r;2");
    world.registry.then(&[Step::Commit, Step::CommitAndLose]);
    assert!(world.repository.settle_now().await.is_err());
    world.settle().await;
    let order = world.registry.state.lock().unwrap().order.clone();
    assert_eq!(order, bundles.iter().map(key_of).collect::<Vec<_>>());
    assert!(reconcile(&world, false).await.is_clean());
}

#[tokio::test]
async fn a_plan_names_what_is_not_registered_and_changes_nothing_and_apply_registers_it_again() {
    let world = world().await;
    let reply = world.provide(&Provide::new(&world.patient()).bundle()).await;
    assert_eq!(world.get(&reply.document(2), &[]).await.status, 200, "it is bound");
    let blob = reply.document(2).replace("/documents/", "");
    assert!(reconcile(&world, false).await.is_clean());
    // The same life, and yet it has lost something: no restore, a defect.
    world.registry.state.lock().unwrap().restore(0, "r;1");
    for _ in 0..2 {
        let report = reconcile(&world, false).await;
        assert_eq!(kinds(&report), ["unregistered-bytes"]);
        assert_eq!(report.findings()[0].subject, blob);
    }
    assert_eq!(world.registry.state.lock().unwrap().arrived, 1);
    let report = reconcile(&world, true).await;
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(world.registry.urls(), [format!("http://repository.example/documents/{blob}")]);
}

/// A store of a data directory that is in its second life, as after a restore.
fn second_life(directory: &std::path::Path) -> store::Store {
    let open = || store::Store::open(&store::Options::new(directory)).unwrap();
    drop(open());
    for mark in [directory.join("incarnation"), store::mark_beside(directory)] {
        if !mark.exists() {
            continue;
        }
        let mut written: Value = serde_json::from_slice(&std::fs::read(&mark).unwrap()).unwrap();
        written["number"] = 2.into();
        std::fs::write(&mark, written.to_string()).unwrap();
    }
    let store = open();
    assert_eq!(store.incarnation().number, 2);
    store
}

#[tokio::test]
async fn a_restored_repository_says_of_no_document_that_it_is_unknown_until_it_knows_what_it_lost() {
    let before = world().await;
    let lost = before.provide(&Provide::new(&before.patient()).bundle()).await.document(2);
    let directory = tempfile::tempdir().unwrap();
    let after = World::with(second_life(&directory.path().join("data")), |settings| {
        settings.registry.url = format!("{}/fhir", before.registry.host);
        settings.identity.url = format!("{}/fhir", before.identity.host);
    })
    .await;
    let never = format!("/documents/{}", "0".repeat(32));
    for path in [&lost, &never] {
        let reply = after.get(path, &[]).await;
        assert_eq!(
            (reply.status, &reply.json()["issue"][0]["code"]),
            (503, &json!("transient")),
            "{reply:?}"
        );
    }
    let told = after.repository.settle_now().await.expect_err("nobody has told it its own address");
    assert!(told.contains("server.public_url"), "{told}");
    // A submission after the restore says under which address we are known.
    let first = after.provide(&Provide::new(&before.patient()).bundle()).await;
    assert_eq!(after.get(&first.document(2), &[]).await.status, 200, "it is bound");
    after.settle().await;
    let reply = after.get(&lost, &[]).await;
    assert_eq!((reply.status, &reply.json()["issue"][0]["code"]), (503, &json!("exception")), "{reply:?}");
    assert_eq!(after.get(&never, &[]).await.status, 404);
    let report = reconcile(&after, false).await;
    assert_eq!(kinds(&report), ["missing-bytes"], "{report:?}");
}

#[tokio::test]
async fn what_a_restored_repository_has_lost_is_there_again_when_its_source_sends_it_again() {
    let before = world().await;
    let bundle = Provide::new(&before.patient()).bundle();
    let first = before.provide(&bundle).await;
    let directory = tempfile::tempdir().unwrap();
    let after = World::with(second_life(&directory.path().join("data")), |settings| {
        settings.registry.url = format!("{}/fhir", before.registry.host);
        settings.identity.url = format!("{}/fhir", before.identity.host);
    })
    .await;
    let other = after.provide(&Provide::new(&before.patient()).bundle()).await;
    assert_eq!(after.get(&other.document(2), &[]).await.status, 200, "it is bound");
    after.settle().await;
    assert_eq!(after.get(&first.document(2), &[]).await.status, 503);
    let again = after.provide(&bundle).await;
    assert_eq!((again.status, again.replayed()), (200, true), "{again:?}");
    assert_eq!(again.locations(), first.locations());
    let document = after.get(&first.document(2), &[]).await;
    assert_eq!((document.status, document.bytes()), (200, &b"Hello World"[..]));
    let binary = first.document(2).replace("/documents/", "/fhir/Binary/");
    let wrapped = after.get(&binary, &[("accept", "application/fhir+json")]).await;
    assert_eq!(wrapped.json()["id"], first.document(2).replace("/documents/", ""));
    assert_eq!(after.documents(), 2);
    assert!(reconcile(&after, false).await.is_clean());
}

#[tokio::test]
async fn what_its_source_sends_again_before_a_restored_repository_knows_that_it_lost_it_is_kept() {
    let before = world().await;
    let bundle = Provide::new(&before.patient()).bundle();
    let first = before.provide(&bundle).await;
    let directory = tempfile::tempdir().unwrap();
    let after = World::with(second_life(&directory.path().join("data")), |settings| {
        settings.registry.url = format!("{}/fhir", before.registry.host);
        settings.identity.url = format!("{}/fhir", before.identity.host);
    })
    .await;
    let again = after.provide(&bundle).await;
    assert_eq!((again.status, again.locations()), (200, first.locations()));
    // Tells under which address it is known, so that the registry can be asked.
    let other = after.provide(&Provide::new(&before.patient()).bundle()).await;
    assert_eq!(after.get(&other.document(2), &[]).await.status, 200, "it is bound");
    after.settle().await;
    let document = after.get(&first.document(2), &[]).await;
    assert_eq!((document.status, document.bytes()), (200, &b"Hello World"[..]));
    assert!(reconcile(&after, false).await.is_clean());
}
