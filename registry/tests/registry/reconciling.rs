//! What a repository asks to compare itself with the registry, and how lost submissions come back.

use actor::Setup;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Document, Provide};

use crate::world::{World, document, provide, settings};

const DIGEST: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
const HOST: &str = "http://repository.example/documents/";

impl World {
    async fn bindings(&self, query: &str) -> Value {
        self.get(&format!("/bindings?{query}")).await.expect(200).body
    }

    async fn submissions(&self, keys: &[&str]) -> Value {
        let request = self.request(Method::POST, "/submissions").json(&json!({ "keys": keys }));
        self.send(request).await.expect(200).body["submissions"].clone()
    }
}

#[tokio::test]
async fn a_source_that_registers_itself_is_not_held_back_by_a_fence_of_a_repository() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("x")).unique_id(&key);
    world.settle(&key, 3).await.expect(200);
    let refused = world.register_as(&submission, &key, 3, DIGEST).await.expect(409);
    assert_eq!(refused.codes(), ["attempt-given-up"]);
    assert_eq!(world.settle(&key, 1).await.expect(200).body["fence"].to_string(), "3");
    world.register(&submission).await.expect(200);
}

#[tokio::test]
async fn objects_keep_the_ids_they_had_before_a_restore() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("x")).unique_id(&key);
    let ids = [testkit::urn_uuid(), testkit::urn_uuid()].map(|id| id.replace("urn:uuid:", ""));
    let request = |ids: &[String]| {
        world
            .request(Method::POST, "/fhir")
            .header("Docshare-Submission-Key", &key)
            .header("Docshare-Attempt", "1")
            .header("Docshare-Digest", DIGEST)
            .header("Docshare-Assigned", ids.join(","))
            .json(&submission.bundle())
    };
    world.send(request(&ids[..1])).await.expect(400);
    let answer = world.send(request(&ids)).await.expect(200);
    assert_eq!(
        (answer.located("List"), answer.located("DocumentReference")),
        (vec![ids[0].clone()], vec![ids[1].clone()])
    );
    world.get(&format!("/fhir/DocumentReference/{}", ids[1])).await.expect(200);
    let another = world.send(request(&ids)).await.expect(200);
    assert_eq!(another.header("idempotency-replayed"), Some("true"));
    assert_eq!(another.header("docshare-sequence"), answer.header("docshare-sequence"));
}

#[tokio::test]
async fn nothing_is_registered_or_fenced_for_who_means_another_life_of_the_registry() {
    let world = World::new().await;
    let key = testkit::urn_oid();
    let submission = provide("p1", document("x")).unique_id(&key);
    let told = world.get("/incarnation").await.expect(200);
    let incarnation = told.header("docshare-incarnation").expect("it is told").to_owned();
    assert_eq!(incarnation, format!("{};{}", told.body["id"].as_str().unwrap(), told.body["number"]));
    let register = |incarnation: &str| {
        world
            .request(Method::POST, "/fhir")
            .header("Docshare-Incarnation", incarnation)
            .json(&submission.bundle())
    };
    let refused = world.send(register("another;7")).await.expect(412);
    assert_eq!(refused.header("docshare-incarnation"), Some(incarnation.as_str()));
    let settle = world.request(Method::POST, "/settle").header("Docshare-Incarnation", "another;7");
    world.send(settle.json(&json!({ "key": key, "attempt": 9 }))).await.expect(412);
    assert_eq!(world.submissions(&[&key]).await, json!([]));
    let accepted = world.send(register(&incarnation)).await.expect(200);
    assert_eq!(accepted.header("docshare-incarnation"), Some(incarnation.as_str()));
}

#[tokio::test]
async fn no_patient_is_taken_from_who_means_another_life_of_the_registry() {
    let world = World::new().await;
    let patient = json!({ "resourceType": "Patient", "id": "p9", "meta": { "versionId": "1" } });
    let feed = |incarnation: &str| {
        let request = world.request(Method::PUT, "/fhir/Patient/p9");
        request.header("Docshare-Incarnation", incarnation).json(&patient)
    };
    let refused = world.send(feed("another;7")).await.expect(412);
    let incarnation = refused.header("docshare-incarnation").expect("it is told").to_owned();
    let taken = world.send(feed(&incarnation)).await.expect(201);
    assert_eq!(taken.header("docshare-incarnation"), Some(incarnation.as_str()));
}

#[tokio::test]
async fn a_repository_reads_page_by_page_what_is_registered_under_its_urls() {
    let world = World::new().await;
    let mut urls = Vec::new();
    for text in ["a", "b", "c"] {
        let submission = provide("p1", document(text));
        urls.push(submission.bundle()["entry"][1]["resource"]["content"][0]["attachment"]["url"].clone());
        world.register(&submission).await.expect(200);
        let elsewhere = Document::new(text).elsewhere("http://other.example/documents/1");
        world.register(&provide("p2", elsewhere)).await.expect(200);
    }
    let (mut since, mut found) = (0, Vec::new());
    loop {
        let page = world.bindings(&format!("under={HOST}&since={since}&limit=2")).await;
        found.extend(page["bindings"].as_array().unwrap().clone());
        match page["next"].as_u64() {
            Some(next) => since = next,
            None => break,
        }
    }
    assert_eq!(found.iter().map(|binding| binding["url"].clone()).collect::<Vec<_>>(), urls);
    assert_eq!((&found[0]["patient"], &found[0]["status"]), (&json!("p1"), &json!("current")));
    assert_eq!(found[0]["size"].to_string(), "1");
    world.get("/bindings").await.expect(400);
}

#[tokio::test]
async fn a_commit_of_very_many_documents_is_read_in_parts() {
    let world = World::new().await;
    let documents: Vec<_> = (0..25).map(|number| document(&format!("text {number}"))).collect();
    let mut many = provide("p1", document("first"));
    many.documents.extend(documents);
    world.register(&many).await.expect(200);
    world.register(&provide("p1", document("another"))).await.expect(200);
    let (mut since, mut after, mut sizes, mut found) = (0, String::new(), Vec::new(), Vec::new());
    loop {
        let page = world.bindings(&format!("under={HOST}&since={since}&limit=1{after}")).await;
        let bindings = page["bindings"].as_array().unwrap();
        sizes.push(bindings.len());
        found.extend(bindings.iter().map(|binding| binding["url"].to_string()));
        let Some(next) = page["next"].as_u64() else { break };
        since = next;
        after = page["after"].as_str().map(|id| format!("&after={id}")).unwrap_or_default();
    }
    assert_eq!(sizes, [10, 10, 6, 1, 0]);
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 27);
}

#[tokio::test]
async fn asking_which_submissions_are_known_gives_none_of_them_up() {
    let world = World::new().await;
    let (known, unknown) = (testkit::urn_oid(), testkit::urn_oid());
    let submission = provide("p1", document("x")).unique_id(&known);
    world.register_as(&submission, &known, 4, DIGEST).await.expect(200);
    let told = world.submissions(&[&unknown, &known]).await;
    assert_eq!(told.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&told[0]["key"], &told[0]["attempt"], &told[0]["digest"]),
        (&json!(known), &json!(4), &json!(DIGEST))
    );
    assert!(told[0]["documents"][0].as_str().unwrap().starts_with(HOST));
    let late = provide("p1", document("y")).unique_id(&unknown);
    world.register_as(&late, &unknown, 1, DIGEST).await.expect(200);
}

/// Of two submissions that replace one document at the same time, one is refused.
#[tokio::test]
async fn a_document_is_replaced_once_however_many_try_at_the_same_time() {
    let world = World::new().await;
    let first = world.register(&provide("p1", document("old"))).await.expect(200);
    let old = first.located("DocumentReference").remove(0);
    let target = format!("DocumentReference/{old}");
    let bundles: Vec<Value> = (0..16)
        .map(|number| {
            let new = document(&format!("new {number}")).relates_to("replaces", &target);
            provide("p1", new).superseding(&old).bundle()
        })
        .collect();
    let replies = futures_util::future::join_all(bundles.iter().map(|bundle| world.post(bundle))).await;
    let won = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!(won, 1);
    for lost in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!(lost.status, 400, "{}", lost.body);
        assert!(lost.codes().contains(&"XDSRegistryDeprecatedDocumentError".to_owned()), "{}", lost.body);
    }
    let current = world.get("/fhir/DocumentReference?patient=p1&status=current").await.expect(200);
    assert_eq!(current.ids().len(), 1);
    let old = world.get(&format!("/fhir/{target}")).await.expect(200);
    assert_eq!((&old.body["status"], &old.body["meta"]["versionId"]), (&json!("superseded"), &json!("2")));
}

/// Equal uniqueId is equal content, across patients and for those who come at the same time (I19).
#[tokio::test]
async fn of_two_contents_under_one_unique_id_at_the_same_time_one_is_registered() {
    let world = World::new().await;
    for round in 0..8 {
        let unique_id = testkit::urn_oid();
        let bundle = |patient: &str, text: String| {
            let mut bundle = provide(patient, document(&text)).bundle();
            bundle["entry"][1]["resource"]["masterIdentifier"] =
                json!({ "system": "urn:ietf:rfc:3986", "value": unique_id });
            bundle
        };
        let bundles: Vec<Value> = (0..6)
            .map(|number| {
                bundle(if number % 2 == 0 { "p1" } else { "p2" }, format!("{round} {}", number % 3))
            })
            .collect();
        let replies = futures_util::future::join_all(bundles.iter().map(|bundle| world.post(bundle))).await;
        let won: Vec<usize> = (0..6).filter(|index| replies[*index].status == 200).collect();
        assert_eq!(won.len(), 2, "both of one content, none of another: {won:?}");
        assert_eq!(won[0] % 3, won[1] % 3);
        for reply in replies.iter().filter(|reply| reply.status != 200) {
            assert_eq!(reply.status, 409, "{}", reply.body);
        }
    }
}

/// A patient that is retired while submissions come in: what is acknowledged was registered before it (I9).
#[tokio::test]
async fn nothing_is_registered_for_a_patient_once_it_is_retired() {
    let world = World::new().await;
    let bundles: Vec<Value> =
        (0..24).map(|number| provide("p1", document(&format!("{number}"))).bundle()).collect();
    let submissions = futures_util::future::join_all(bundles.iter().map(|bundle| world.post(bundle)));
    let (replies, fed) = tokio::join!(submissions, world.feed("p1", 2, "one", false));
    fed.expect(200);
    let accepted = replies.iter().filter(|reply| reply.status == 200).count();
    let registered = world.get("/fhir/DocumentReference?patient=p1&_summary=count").await.expect(200);
    assert_eq!(registered.body["total"].to_string(), accepted.to_string());
    for refused in replies.iter().filter(|reply| reply.status != 200) {
        assert!(refused.codes().contains(&"XDSUnknownPatientId".to_owned()), "{}", refused.body);
    }
    world.register(&provide("p1", document("late"))).await.expect(400);
}

#[tokio::test]
async fn a_page_of_bindings_is_about_a_store_and_not_about_a_process() {
    let setup = Setup::new(settings());
    let again = Setup { store: setup.store.clone(), ..Setup::new(settings()) };
    let before = World::over(setup);
    before.feed("p1", 1, "one", true).await.expect(201);
    before
        .register(&Provide::new(&format!("{}/Patient/p1", crate::world::IDENTITY)).only(document("x")))
        .await
        .expect(200);
    let first = before.bindings(&format!("under={HOST}")).await;
    let after = World::over(again);
    assert_eq!(after.bindings(&format!("under={HOST}")).await, first);
}
