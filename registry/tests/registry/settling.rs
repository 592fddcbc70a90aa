//! The fenced settle: what a repository that coordinates submissions relies on.

use actor::Setup;

use crate::world::{World, document, provide, settings};

const DIGEST: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
const OTHER: &str = "00000000000000000000000000000000000000000000000000000000000000bb";

#[tokio::test]
async fn an_attempt_that_was_given_up_can_no_longer_be_committed() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("late")).unique_id(&key);
    assert_eq!(world.settle(&key, 1).await.expect(200).body["committed"], false);
    world.register_as(&submission, &key, 1, DIGEST).await.expect(409);
    assert_eq!(world.get("/fhir/DocumentReference?patient=p1").await.body["total"].to_string(), "0");
    let second = world.register_as(&submission, &key, 2, DIGEST).await.expect(200);
    assert_eq!(second.header("docshare-attempt"), Some("2"));
}

#[tokio::test]
async fn a_committed_submission_is_settled_with_its_receipt() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("x")).unique_id(&key);
    let first = world.register_as(&submission, &key, 3, DIGEST).await.expect(200);
    for attempt in [1, 3, 9] {
        let settled = world.settle(&key, attempt).await.expect(200);
        assert_eq!(settled.body["committed"], true);
        assert_eq!(settled.body["attempt"].to_string(), "3");
        assert_eq!(settled.body["entries"], first.body["entry"]);
    }
}

#[tokio::test]
async fn a_new_attempt_of_what_is_committed_is_told_which_one_was() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("x")).unique_id(&key);
    world.register_as(&submission, &key, 1, DIGEST).await.expect(200);
    let again = world.register_as(&submission, &key, 2, DIGEST).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("docshare-attempt"), Some("1"));
    world.register_as(&submission, &key, 2, OTHER).await.expect(409);
}

#[tokio::test]
async fn key_attempt_and_digest_belong_together() {
    let world = World::new().await;
    let submission = provide("p1", document("x"));
    let request = world.request(reqwest::Method::POST, "/fhir").header("Docshare-Attempt", "1");
    world.send(request.json(&submission.bundle())).await.expect(400);
    world.register_as(&submission, "k", 0, DIGEST).await.expect(400);
    world.register_as(&submission, "k", 1, "short").await.expect(400);
}

#[tokio::test]
async fn a_fence_always_leaves_room_for_another_attempt() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("x")).unique_id(&key);
    for attempt in [0, 1_000_000_001, u64::MAX] {
        world.settle(&key, attempt).await.expect(400);
        world.register_as(&submission, &key, attempt, DIGEST).await.expect(400);
    }
    world.register_as(&submission, &key, 1, DIGEST).await.expect(200);
}

#[tokio::test]
async fn answers_and_fences_are_in_the_store_alone() {
    let setup = Setup::new(settings());
    let again = Setup { store: setup.store.clone(), ..Setup::new(settings()) };
    let before = World::over(setup);
    before.feed("p1", 1, "one", true).await.expect(201);
    let (key, given_up) = (testkit::urn_oid(), testkit::urn_oid());
    let submission = provide("p1", document("x")).unique_id(&key);
    let late = provide("p1", document("y")).unique_id(&given_up);
    let first = before.register_as(&submission, &key, 1, DIGEST).await.expect(200);
    before.settle(&given_up, 4).await.expect(200);
    // The first one stays: stopping it would close the store. The second knows nothing but what is stored.
    let after = World::over(again);
    let replayed = after.register_as(&submission, &key, 2, DIGEST).await.expect(200);
    assert_eq!(replayed.body, first.body);
    after.register_as(&late, &given_up, 4, DIGEST).await.expect(409);
    after.register_as(&late, &given_up, 5, DIGEST).await.expect(200);
}
