//! Merges move what belongs to a patient, and are undone: what the ledger knows goes back, the rest is decided by people.

use reqwest::Method;
use serde_json::{Value, json};
use testkit::Provide;

use crate::world::{IDENTITY, MRN, Reply, World, document, provide};

/// Feeds a patient as it stands at the identity source.
pub(crate) async fn feed(world: &World, id: &str, version: u64, into: Option<&str>) -> Reply {
    let mut patient = json!({
        "resourceType": "Patient", "id": id, "meta": { "versionId": version.to_string() },
        "identifier": [{ "system": MRN, "value": format!("{id}-number") }], "active": into.is_none(),
    });
    if let Some(into) = into {
        patient["link"] = json!([{ "other": { "reference": format!("{IDENTITY}/Patient/{into}") }, "type": "replaced-by" }]);
    }
    world.send(world.request(Method::PUT, &format!("/fhir/Patient/{id}")).json(&patient)).await
}

/// A registry that knows the patients `a`, `b` and `c`.
pub(crate) async fn world() -> World {
    let world = World::new().await;
    for id in ["a", "b", "c"] {
        feed(&world, id, 1, None).await.expect(201);
    }
    world
}

pub(crate) async fn submitted(world: &World, provide: &Provide) -> String {
    let told = world.register(provide).await.expect(200);
    told.located("DocumentReference").first().cloned().expect("a document is registered")
}

pub(crate) async fn of(world: &World, patient: &str) -> Vec<String> {
    let path = format!("/fhir/DocumentReference?patient=Patient/{patient}&status=current,superseded");
    let mut ids = world.get(&path).await.expect(200).ids();
    ids.sort();
    ids
}

pub(crate) async fn read(world: &World, id: &str) -> Value {
    world.get(&format!("/fhir/DocumentReference/{id}")).await.expect(200).body
}

pub(crate) async fn open(world: &World) -> Vec<Value> {
    world.get("/fhir/Task?status=requested").await.expect(200).matches()
}

pub(crate) async fn settle(world: &World, task: &Value, decision: &str) -> Reply {
    let id = task["id"].as_str().expect("a task has its id");
    let body = json!({
        "resourceType": "Parameters", "parameter": [{ "name": "decision", "valueCode": decision }],
    });
    world.send(world.request(Method::POST, &format!("/fhir/Task/{id}/$settle")).json(&body)).await
}

pub(crate) fn about<'a>(tasks: &'a [Value], id: &str) -> &'a Value {
    let focus = format!("DocumentReference/{id}");
    tasks.iter().find(|task| task["focus"]["reference"] == focus.as_str()).expect("it is reviewed")
}

pub(crate) fn subject(id: &str) -> String {
    format!("{IDENTITY}/Patient/{id}")
}

pub(crate) fn sorted<const N: usize>(ids: [&String; N]) -> Vec<String> {
    let mut ids: Vec<String> = ids.into_iter().cloned().collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn a_merge_is_a_new_version_of_everything_the_patient_had() {
    let world = world().await;
    let told = world.register(&provide("a", document("one"))).await.expect(200);
    let (id, set) = (told.located("DocumentReference")[0].clone(), told.located("List")[0].clone());
    let before = world.get(&format!("/fhir/DocumentReference/{id}")).await.expect(200);
    let tag = before.header("etag").expect("a tag").to_owned();
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let request = world.request(Method::GET, &format!("/fhir/DocumentReference/{id}"));
    let after = world.send(request.header("If-None-Match", &tag)).await.expect(200);
    assert_eq!(after.header("etag"), Some("W/\"2\""));
    assert_eq!(after.body["subject"]["reference"], subject("b"));
    assert_eq!(after.body["subject"]["identifier"]["value"], "b-number");
    assert_ne!(after.body["meta"]["lastUpdated"], before.body["meta"]["lastUpdated"]);
    assert_eq!(after.body["context"], before.body["context"], "what the source says of its patient stays");
    let list = world.get(&format!("/fhir/List/{set}")).await.expect(200).body;
    assert_eq!(list["subject"]["reference"], subject("b"));
    assert_eq!(list["entry"][0]["item"]["reference"], format!("DocumentReference/{id}"));
    // What a version said, it says for ever.
    let first = world.get(&format!("/fhir/DocumentReference/{id}/_history/1")).await.expect(200).body;
    assert_eq!(first["subject"]["reference"], subject("a"));
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (Vec::new(), vec![id]));
    // Told again, nothing changes.
    feed(&world, "a", 2, Some("b")).await.expect(200);
    assert_eq!(world.get(&format!("/fhir/List/{set}")).await.header("etag"), Some("W/\"2\""));
}

#[tokio::test]
async fn nothing_more_is_registered_for_who_was_merged_away_and_a_repetition_is_answered_as_before() {
    let world = world().await;
    let digest = "a".repeat(64);
    let sent = provide("a", document("one")).unique_id("urn:oid:1.2.3.77");
    let first = world.register_as(&sent, "urn:oid:1.2.3.77", 1, &digest).await.expect(200);
    let own = provide("a", document("own"));
    let of_itself = world.register(&own).await.expect(200);
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let again = world.register_as(&sent, "urn:oid:1.2.3.77", 2, &digest).await.expect(200);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.body, first.body);
    let again = world.register(&own).await.expect(200);
    assert_eq!(again.body, of_itself.body, "also where nobody coordinates");
    let refused = world.register(&provide("a", document("two"))).await.expect(400);
    assert!(refused.codes().contains(&"XDSUnknownPatientId".to_owned()), "{:?}", refused.codes());
}

#[tokio::test]
async fn an_undone_merge_gives_back_what_nobody_has_touched() {
    let world = world().await;
    let (of_a, of_b) = (
        submitted(&world, &provide("a", document("a"))).await,
        submitted(&world, &provide("b", document("b"))).await,
    );
    feed(&world, "a", 2, Some("b")).await.expect(200);
    assert_eq!(of(&world, "b").await, sorted([&of_a, &of_b]));
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (vec![of_a.clone()], vec![of_b]));
    assert_eq!(read(&world, &of_a).await["subject"]["reference"], subject("a"));
    assert_eq!(open(&world).await, Vec::<Value>::new());
    // And once more, since nothing is worn out by it.
    feed(&world, "a", 4, Some("b")).await.expect(200);
    feed(&world, "a", 5, None).await.expect(200);
    assert_eq!(of(&world, "a").await, vec![of_a]);
    submitted(&world, &provide("a", document("a again"))).await;
}

#[tokio::test]
async fn chains_come_apart_at_any_link() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    let of_b = submitted(&world, &provide("b", document("b"))).await;
    let of_c = submitted(&world, &provide("c", document("c"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    feed(&world, "b", 2, Some("c")).await.expect(200);
    assert_eq!(of(&world, "c").await, sorted([&of_a, &of_b, &of_c]));
    assert_eq!(read(&world, &of_a).await["subject"]["reference"], subject("c"));
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "c").await), (vec![of_a.clone()], sorted([&of_b, &of_c])));
    feed(&world, "a", 4, Some("b")).await.expect(200);
    assert_eq!(of(&world, "c").await.len(), 3, "whoever is merged into one who was merged away");
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (sorted([&of_a, &of_b]), vec![of_c]));
}

#[tokio::test]
async fn who_was_merged_into_one_already_away_comes_back_with_it() {
    let world = world().await;
    feed(&world, "b", 2, Some("c")).await.expect(200);
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    assert_eq!(of(&world, "c").await, std::slice::from_ref(&of_a));
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (vec![of_a.clone()], Vec::new()));
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (vec![of_a], Vec::new()));
}

#[tokio::test]
async fn who_is_told_to_be_merged_into_the_last_of_a_chain_stays_there_when_the_middle_comes_apart() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    let of_b = submitted(&world, &provide("b", document("b"))).await;
    let of_c = submitted(&world, &provide("c", document("c"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    feed(&world, "b", 2, Some("c")).await.expect(200);
    feed(&world, "a", 3, Some("c")).await.expect(200);
    assert_eq!(of(&world, "c").await, sorted([&of_a, &of_b, &of_c]));
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (vec![of_b.clone()], sorted([&of_a, &of_c])));
    feed(&world, "a", 4, None).await.expect(200);
    assert_eq!(of(&world, "a").await, vec![of_a]);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (vec![of_b], vec![of_c]));
    assert_eq!(open(&world).await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_chain_is_undone_from_its_end() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    let of_b = submitted(&world, &provide("b", document("b"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    feed(&world, "b", 2, Some("c")).await.expect(200);
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!((of(&world, "b").await, of(&world, "c").await), (sorted([&of_a, &of_b]), Vec::new()));
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (vec![of_a], vec![of_b]));
}

/// What operators are told of the decisions that are due.
async fn reviews(world: &World) -> String {
    let ready = world.get(&format!("{}/readyz?verbose", world.admin)).await.expect(200);
    let checks = ready.body["checks"].as_array().cloned().unwrap_or_default();
    let reviews = checks.iter().find(|check| check["name"] == "reviews").expect("reviews are told of");
    reviews["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn what_was_submitted_meanwhile_stays_and_is_decided_about() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let told = world.register(&provide("b", document("meanwhile"))).await.expect(200);
    let (new, set) = (told.located("DocumentReference")[0].clone(), told.located("List")[0].clone());
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (vec![of_a.clone()], vec![new.clone()]));
    let tasks = open(&world).await;
    let [task] = tasks.as_slice() else { panic!("one is to be decided: {tasks:?}") };
    assert_eq!(task["focus"]["reference"], format!("DocumentReference/{new}"));
    assert_eq!(task["reasonCode"]["coding"][0]["code"], "submitted");
    assert_eq!(task["for"]["reference"], subject("b"));
    let input = |code: &str| -> Value {
        let inputs = task["input"].as_array().expect("there are some");
        inputs.iter().find(|one| one["type"]["coding"][0]["code"] == code).cloned().unwrap_or_default()
    };
    assert_eq!(input("other-patient")["valueReference"]["reference"], subject("a"));
    assert!(input("submission")["valueString"].is_string() && input("since")["valueInstant"].is_string());
    assert_eq!(world.get("/fhir/Task?patient=Patient/b&status=requested").await.matches().len(), 1);
    assert_eq!(world.get("/fhir/Task?patient=Patient/a").await.expect(200).matches().len(), 0);
    assert!(reviews(&world).await.contains("to be reviewed after patients were parted again: 1 ("));
    settle(&world, task, "perhaps").await.expect(400);
    let settled = settle(&world, task, "moves").await.expect(200).body;
    assert_eq!(
        (settled["status"].as_str(), settled["output"][0]["valueCode"].as_str()),
        (Some("completed"), Some("moves"))
    );
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (sorted([&of_a, &new]), Vec::new()));
    let list = world.get(&format!("/fhir/List/{set}")).await.expect(200).body;
    assert_eq!(list["subject"]["reference"], subject("a"), "a set of which nothing is left goes with it");
    assert_eq!(open(&world).await.len(), 0);
    assert!(reviews(&world).await.starts_with("nothing of patients"));
    settle(&world, task, "moves").await.expect(200);
    settle(&world, task, "stays").await.expect(400);
}

#[tokio::test]
async fn a_replacement_and_what_it_replaced_stay_together() {
    let world = world().await;
    let old = submitted(&world, &provide("a", document("old"))).await;
    let untouched = submitted(&world, &provide("a", document("other"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let replacing = document("new").relates_to("replaces", &format!("DocumentReference/{old}"));
    let new = submitted(&world, &provide("b", replacing)).await;
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!(
        (of(&world, "a").await, of(&world, "b").await),
        (vec![untouched.clone()], sorted([&old, &new]))
    );
    let tasks = open(&world).await;
    assert_eq!(about(&tasks, &old)["reasonCode"]["coding"][0]["code"], "changed");
    settle(&world, about(&tasks, &new), "stays").await.expect(200);
    let refused = settle(&world, about(&tasks, &old), "moves").await.expect(400);
    assert!(refused.body.to_string().contains(&new), "{}", refused.body);
    settle(&world, about(&tasks, &new), "moves").await.expect(200);
    assert_eq!(of(&world, "a").await, sorted([&untouched, &old, &new]));
    assert_eq!(read(&world, &old).await["status"], "superseded");
    assert_eq!(open(&world).await.len(), 0);
}

#[tokio::test]
async fn what_is_tied_to_an_object_of_the_survivor_stays_with_it() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let adding = document("addendum").relates_to("appends", &format!("DocumentReference/{of_a}"));
    let addendum = submitted(&world, &provide("b", adding)).await;
    feed(&world, "a", 3, None).await.expect(200);
    let tasks = open(&world).await;
    assert_eq!(about(&tasks, &of_a)["reasonCode"]["coding"][0]["code"], "tied");
    assert_eq!(about(&tasks, &addendum)["reasonCode"]["coding"][0]["code"], "submitted");
    settle(&world, about(&tasks, &of_a), "moves").await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (sorted([&of_a, &addendum]), Vec::new()));
    assert_eq!(open(&world).await.len(), 0, "both were decided by it");
}

#[tokio::test]
async fn merging_again_ends_what_was_to_be_decided() {
    let world = world().await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    submitted(&world, &provide("b", document("meanwhile"))).await;
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!(open(&world).await.len(), 1);
    feed(&world, "a", 4, Some("b")).await.expect(200);
    assert_eq!(open(&world).await.len(), 0);
    let all = world.get("/fhir/Task").await.expect(200).matches();
    assert_eq!(all[0]["status"], "cancelled");
}

#[tokio::test]
async fn a_patient_that_is_only_taken_out_of_use_stays_merged() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    feed(&world, "a", 2, Some("b")).await.expect(200);
    let retired = json!({
        "resourceType": "Patient", "id": "a", "meta": { "versionId": "3" }, "active": false,
    });
    world.send(world.request(Method::PUT, "/fhir/Patient/a").json(&retired)).await.expect(200);
    assert_eq!(of(&world, "b").await, vec![of_a]);
}

#[tokio::test]
async fn of_two_merges_that_cross_one_is_made_and_the_other_refused_with_words() {
    let world = world().await;
    let of_a = submitted(&world, &provide("a", document("a"))).await;
    let of_b = submitted(&world, &provide("b", document("b"))).await;
    let (one, other) = tokio::join!(feed(&world, "a", 2, Some("b")), feed(&world, "b", 2, Some("a")));
    let (gone, kept, refused) = if one.status == 200 { ("a", "b", other) } else { ("b", "a", one) };
    let refused = refused.expect(400);
    let text = refused.body["issue"][0]["diagnostics"].to_string();
    assert!(text.contains(&format!("Patient/{gone}")) && text.contains("Nothing was changed"), "{text}");
    assert_eq!((of(&world, gone).await, of(&world, kept).await), (Vec::new(), sorted([&of_a, &of_b])));
    feed(&world, gone, 3, None).await.expect(200);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (vec![of_a], vec![of_b]));
}

#[tokio::test]
async fn a_merge_of_more_than_one_commit_may_hold_is_refused_with_its_limit() {
    let mut settings = crate::world::settings();
    settings.merge.max_objects = 3;
    let world = World::with(settings).await;
    for id in ["a", "b"] {
        feed(&world, id, 1, None).await.expect(201);
    }
    let first = submitted(&world, &provide("a", document("one"))).await;
    let second = submitted(&world, &provide("a", document("two"))).await;
    let refused = feed(&world, "a", 2, Some("b")).await.expect(413);
    assert!(refused.body.to_string().contains("merge.max_objects"), "{}", refused.body);
    assert_eq!((of(&world, "a").await, of(&world, "b").await), (sorted([&first, &second]), Vec::new()));
}

#[tokio::test]
async fn a_group_follows_its_members() {
    let world = world().await;
    let group = json!({
        "resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [{ "entity": { "reference": "Patient/a" } }, { "entity": { "reference": "Patient/c" } }],
    });
    world.send(world.request(Method::PUT, "/fhir/Group/g").json(&group)).await.expect(201);
    let members = async || {
        let body = world.get("/fhir/Group/g").await.expect(200).body;
        let members = body["member"].as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> = members
            .iter()
            .filter_map(|one| one["entity"]["reference"].as_str()?.rsplit('/').next().map(str::to_owned))
            .collect();
        ids.sort();
        ids
    };
    feed(&world, "a", 2, Some("b")).await.expect(200);
    assert_eq!(members().await, ["b", "c"]);
    let again = world.send(world.request(Method::PUT, "/fhir/Group/g").json(&group)).await;
    assert_eq!(again.status, 400, "{}", again.body);
    let words = again.body["issue"][0]["diagnostics"].as_str().unwrap_or_default();
    assert!(words.contains("Patient/a was merged into Patient/b"), "whom to name: {words}");
    feed(&world, "b", 2, Some("c")).await.expect(200);
    assert_eq!(members().await, ["c"]);
    feed(&world, "b", 3, None).await.expect(200);
    assert_eq!(members().await, ["b", "c"]);
    feed(&world, "a", 3, None).await.expect(200);
    assert_eq!(members().await, ["a", "c"]);
}
