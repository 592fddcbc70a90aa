//! Conditional creates, and the conditions of histories and reads.

use actor::{Clock, Setup};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use store::{IndexKind, Options, Store};

use crate::world::{IDENTITY, Reply, World, document, provide, settings};

/// A DocumentReference of a document that lies elsewhere.
fn elsewhere(unique_id: &str, title: &str) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": testkit::URI_SYSTEM, "value": unique_id },
        "status": "current",
        "subject": { "reference": format!("{IDENTITY}/Patient/p1") },
        "content": [{ "attachment": {
            "contentType": "text/plain", "url": "http://elsewhere.example/1", "title": title,
        } }],
    })
}

impl World {
    async fn create(&self, unless: Option<&str>, resource: &Value) -> Reply {
        let mut request = self.request(Method::POST, "/fhir/DocumentReference").json(resource);
        if let Some(condition) = unless {
            request = request.header("If-None-Exist", condition);
        }
        self.send(request).await
    }
}

#[tokio::test]
async fn a_document_is_created_unless_one_has_the_identifier() {
    let world = World::new().await;
    let unique_id = testkit::urn_oid();
    let condition = format!("identifier={}|{unique_id}", testkit::URI_SYSTEM);
    let created = world.create(Some(&condition), &elsewhere(&unique_id, "first")).await.expect(201);
    let there = world.create(Some(&condition), &elsewhere(&unique_id, "second")).await.expect(200);
    assert_eq!(there.body, created.body, "what is there is the answer");
    assert_eq!(there.header("etag"), created.header("etag"));
    assert_eq!(there.header("content-location"), created.header("content-location"));
    assert_eq!(there.header("location"), None, "nothing was made");
    world.create(None, &elsewhere(&unique_id, "third")).await.expect(201);
    let several = world.create(Some(&condition), &elsewhere(&unique_id, "fourth")).await.expect(412);
    assert_eq!(several.codes(), ["multiple-matches"]);
    for wrong in ["status=current", "", "identifier=", "identifier=a&patient=p1"] {
        world.create(Some(wrong), &elsewhere(&testkit::urn_oid(), "x")).await.expect(400);
    }
}

async fn storm(store: Store) {
    let world = World::over(Setup { clock: Clock::wall(0), store, ..Setup::new(settings()) });
    world.feed("p1", 1, "one", true).await.expect(201);
    for round in 0..3 {
        let unique_id = testkit::urn_oid();
        let condition = format!("identifier={}|{unique_id}", testkit::URI_SYSTEM);
        // Other titles: not even the content is the same.
        let resources: Vec<Value> =
            (0..64).map(|number| elsewhere(&unique_id, &format!("{round} {number}"))).collect();
        let replies =
            join_all(resources.iter().map(|resource| world.create(Some(&condition), resource))).await;
        let of = |status| replies.iter().filter(|reply| reply.status == status).count();
        assert_eq!((of(201), of(200)), (1, 63), "exactly one is made");
        let found = world.get(&format!("/fhir/DocumentReference?identifier={unique_id}")).await.expect(200);
        assert_eq!(found.ids().len(), 1);
        let made = found.ids().remove(0);
        assert!(
            replies.iter().all(|reply| reply.body["id"] == made.as_str()),
            "all are told of the same one"
        );
    }
}

async fn storm_over(index: IndexKind) {
    let folder = tempfile::tempdir().expect("a folder");
    let options = Options {
        index,
        segment_bytes: 4 << 20,
        cache_bytes: 8 << 20,
        reserve_bytes: 0,
        ..Options::new(folder.path().join("data"))
    };
    storm(Store::open(&options).expect("a new store opens")).await;
}

#[tokio::test]
async fn a_storm_of_equal_conditional_creates_makes_one() {
    storm(Store::memory()).await;
}

#[tokio::test]
async fn a_storm_makes_one_over_redb() {
    storm_over(IndexKind::Redb).await;
}

#[tokio::test]
async fn a_storm_makes_one_over_sled() {
    storm_over(IndexKind::Sled).await;
}

#[tokio::test]
async fn a_history_is_asked_for_by_time_and_in_pages() {
    let noon = 1_700_000_000_000_000;
    let hour = 3_600_000_000;
    let clock = Clock::fake(noon);
    let world = World::over(Setup { clock: clock.clone(), ..Setup::new(settings()) });
    world.feed("p1", 1, "one", true).await.expect(201);
    let id = world
        .register(&provide("p1", document("x")))
        .await
        .expect(200)
        .located("DocumentReference")
        .remove(0);
    for version in 2..=5 {
        clock.set(noon + (version - 1) * hour);
        let patch = json!([{ "op": "add", "path": "/description", "value": format!("version {version}") }]);
        let request = world.request(Method::PATCH, &format!("/fhir/DocumentReference/{id}"));
        let request = request.header("Content-Type", "application/json-patch+json").body(patch.to_string());
        world.send(request).await.expect(200);
    }
    let path = format!("/fhir/DocumentReference/{id}/_history");
    let versions = |reply: &Reply| -> Vec<String> {
        let entries = reply.body["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter_map(|e| e["resource"]["meta"]["versionId"].as_str().map(str::to_owned))
            .collect()
    };
    // 2023-11-14T22:13:20Z is when the first version was made; one an hour followed.
    for (query, expected) in [
        ("", &["5", "4", "3", "2", "1"][..]),
        ("?_since=2023-11-15T00:13:20Z", &["5", "4", "3"]),
        ("?_at=2023-11-15T00:30:00Z", &["3"]),
        ("?_at=2023-11-14", &["2", "1"]),
        ("?_at=2020", &[]),
        ("?_count=2", &["5", "4"]),
        ("?_count=0", &[]),
    ] {
        let reply = world.get(&format!("{path}{query}")).await.expect(200);
        assert_eq!(versions(&reply), expected, "{query}");
    }
    let mut page = world.get(&format!("{path}?_count=2&_since=2023-11-14T23:00:00Z")).await.expect(200);
    let mut seen = Vec::new();
    loop {
        assert_eq!(page.body["total"].to_string(), "4");
        seen.extend(versions(&page));
        let Some(next) = page.link("next") else { break };
        page = world.get(&next).await.expect(200);
    }
    assert_eq!(seen, ["5", "4", "3", "2"]);
    let refused = world.get(&format!("{path}?_since=yesterday&_count=few")).await.expect(400);
    assert_eq!(refused.body["issue"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn a_version_the_caller_has_is_not_sent_again() {
    let world = World::new().await;
    let id = world
        .register(&provide("p1", document("x")))
        .await
        .expect(200)
        .located("DocumentReference")
        .remove(0);
    for path in [format!("/fhir/DocumentReference/{id}"), format!("/fhir/DocumentReference/{id}/_history/1")]
    {
        let read = world.get(&path).await.expect(200);
        let (etag, modified) =
            (read.header("etag").expect("a tag"), read.header("last-modified").expect("a date"));
        for (name, value) in [("If-None-Match", etag), ("If-Modified-Since", modified)] {
            let again = world.send(world.request(Method::GET, &path).header(name, value)).await.expect(304);
            assert_eq!((again.body.clone(), again.header("etag")), (Value::Null, Some(etag)), "{name}");
        }
        let head = world.send(world.request(Method::HEAD, &path)).await.expect(200);
        assert_eq!((head.body.clone(), head.header("etag")), (Value::Null, Some(etag)));
    }
}
