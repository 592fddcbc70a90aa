//! Bulk export and groups: what a caller of `$export` sees.

use std::time::Duration;

use actor::{Clock, Setup};
use registry::{Export, Settings};
use reqwest::Method;
use serde_json::{Value, json};
use store::Store;

use crate::world::{IDENTITY, MRN, Reply, World, document, provide, settings};

/// How long an export of a handful of resources may take.
const PATIENCE: u32 = 400;

impl World {
    async fn kick_off(&self, path: &str) -> String {
        let reply = self.get(path).await.expect(202);
        reply.header("content-location").expect("the address of the export").to_owned()
    }

    /// Waits for the end of an export, politely.
    async fn until_done(&self, url: &str) -> Reply {
        for _ in 0..PATIENCE {
            let reply = self.get(url).await;
            match reply.status {
                202 => {
                    assert!(reply.header("x-progress").is_some() && reply.header("retry-after").is_some());
                }
                429 => assert!(reply.header("retry-after").is_some()),
                _ => return reply,
            }
            tokio::time::sleep(Duration::from_millis(110)).await;
        }
        panic!("the export does not come to an end");
    }

    async fn file(&self, url: &str) -> Vec<Value> {
        let response = self.client.get(url).send().await.expect("the registry answers");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/fhir+ndjson");
        let text = response.text().await.expect("NDJSON is text");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
    }

    /// Everything under a heading of a manifest, by file.
    async fn files(&self, manifest: &Reply, heading: &str) -> Vec<(String, Vec<Value>)> {
        let mut files = Vec::new();
        for file in manifest.body[heading].as_array().expect("a heading of the manifest") {
            let lines = self.file(file["url"].as_str().expect("an address")).await;
            assert_eq!(file["count"], lines.len());
            files.push((file["type"].as_str().expect("a type").to_owned(), lines));
        }
        files
    }

    /// Ids of what was given out, by type, in order of the id.
    async fn exported(&self, path: &str) -> Vec<String> {
        let url = self.kick_off(path).await;
        let manifest = self.until_done(&url).await.expect(200);
        let mut ids: Vec<String> = Vec::new();
        for (kind, lines) in self.files(&manifest, "output").await {
            for line in lines {
                assert_eq!(line["resourceType"], kind.as_str());
                ids.push(format!("{kind}/{}", line["id"].as_str().expect("an id")));
            }
        }
        ids.sort_unstable();
        ids
    }
}

fn small_files() -> Settings {
    // Whoever runs this may be short of room.
    let export = Export { file_bytes: 1, spare_volume: false, ..Export::default() };
    Settings { export, ..settings() }
}

async fn register(world: &World, patient: &str) -> (String, String) {
    let reply = world.register(&provide(patient, document("Befund"))).await.expect(200);
    (reply.located("DocumentReference").remove(0), reply.located("List").remove(0))
}

#[tokio::test]
async fn everything_is_exported_as_it_was_at_the_moment_of_the_order() {
    let world = World::with(small_files()).await;
    let (first, first_set) = register(&world, "p1").await;
    let (second, second_set) = register(&world, "p2").await;
    let url = world.kick_off("/fhir/$export").await;
    register(&world, "p2").await;
    let manifest = world.until_done(&url).await.expect(200);
    assert_eq!(manifest.header("content-type"), Some("application/json"));
    assert!(manifest.header("expires").is_some());
    assert_eq!(manifest.body["requiresAccessToken"], false);
    assert_eq!(manifest.body["request"], format!("{}/fhir/$export", world.host));
    assert!(manifest.body["transactionTime"].is_string());
    let files = world.files(&manifest, "output").await;
    assert!(files.len() >= 6, "one byte is enough for a file: {}", manifest.body);
    let mut ids: Vec<String> = Vec::new();
    for (kind, lines) in &files {
        ids.extend(lines.iter().map(|line| format!("{kind}/{}", line["id"].as_str().unwrap_or_default())));
    }
    ids.sort_unstable();
    let mut expected = vec![
        "Patient/p1".to_owned(),
        "Patient/p2".to_owned(),
        format!("DocumentReference/{first}"),
        format!("DocumentReference/{second}"),
        format!("List/{first_set}"),
        format!("List/{second_set}"),
    ];
    expected.sort_unstable();
    assert_eq!(ids, expected, "all of then, nothing twice, nothing of later");
    let read = world.get(&format!("/fhir/DocumentReference/{first}")).await.expect(200).body;
    let line = files.iter().flat_map(|(_, lines)| lines).find(|line| line["id"] == first.as_str());
    assert_eq!(line, Some(&read), "a line is the resource as a read gives it");
    let patient =
        files.iter().flat_map(|(_, lines)| lines).find(|line| line["id"] == "p1").expect("patient p1");
    assert!(patient["meta"].get("tag").is_none(), "a Patient is the whole of what was fed: {patient}");
    assert!(read["content"][0]["attachment"]["url"].as_str().is_some_and(|url| url.starts_with("http")));
}

#[tokio::test]
async fn an_export_is_of_a_patient_a_group_types_times_and_searches() {
    let world = World::new().await;
    let (first, first_set) = register(&world, "p1").await;
    let (second, _) = register(&world, "p2").await;
    let all_of_first =
        vec![format!("DocumentReference/{first}"), format!("List/{first_set}"), "Patient/p1".to_owned()];
    assert_eq!(world.exported("/fhir/Patient/p1/$export").await, all_of_first);
    let group = json!({
        "resourceType": "Group", "id": "cohort", "type": "person", "actual": true,
        "member": [
            { "entity": { "identifier": { "system": MRN, "value": "one" } } },
            { "entity": { "reference": "Patient/p2" }, "inactive": true },
        ],
    });
    let put = world.request(Method::PUT, "/fhir/Group/cohort").json(&group);
    let created = world.send(put).await.expect(201);
    assert_eq!(created.header("etag"), Some("W/\"1\""));
    assert_eq!(world.exported("/fhir/Group/cohort/$export").await, all_of_first);
    assert_eq!(
        world
            .exported("/fhir/$export?_type=DocumentReference&_typeFilter=DocumentReference%3Fpatient%3Dp2")
            .await,
        [format!("DocumentReference/{second}")]
    );
    let both =
        "_typeFilter=DocumentReference%3Fstatus%3Dcurrent&_typeFilter=DocumentReference%3Ftype%3D60591-5";
    assert_eq!(
        world.exported(&format!("/fhir/$export?_type=DocumentReference&{both}")).await.len(),
        2,
        "what two searches find is told once"
    );
    assert_eq!(
        world.exported("/fhir/$export?_type=List&_since=2999-01-01T00:00:00Z").await,
        Vec::<String>::new()
    );
    assert_eq!(world.exported("/fhir/$export?_type=List&_since=2020-01-01T00:00:00Z").await.len(), 2);
    assert_eq!(
        world.exported("/fhir/$export?_type=List&_until=2020-01-01T00:00:00Z").await,
        Vec::<String>::new()
    );
    let parameters = json!({
        "resourceType": "Parameters",
        "parameter": [
            { "name": "_type", "valueString": "DocumentReference" },
            { "name": "patient", "valueReference": { "reference": format!("{IDENTITY}/Patient/p2") } },
        ],
    });
    let posted = world.request(Method::POST, "/fhir/Patient/$export").json(&parameters);
    let url = world.send(posted).await.expect(202).header("content-location").map(str::to_owned);
    let manifest = world.until_done(&url.expect("an address")).await.expect(200);
    let files = world.files(&manifest, "output").await;
    assert_eq!(files[0].1[0]["id"], second.as_str());
}

#[tokio::test]
async fn what_is_not_supported_is_told_in_the_manifest_or_refused() {
    let world = World::new().await;
    let url = world.kick_off("/fhir/$export?_elements=id&_type=DocumentReference,Observation").await;
    let manifest = world.until_done(&url).await.expect(200);
    let outcomes = world.files(&manifest, "error").await;
    assert_eq!(outcomes[0].0, "OperationOutcome");
    assert_eq!(outcomes[0].1.len(), 2, "one for _elements, one for Observation");
    let strict = world
        .request(Method::GET, "/fhir/$export?_elements=id")
        .header("prefer", "respond-async, handling=strict");
    world.send(strict).await.expect(400);
    for (query, place) in [
        ("_since=yesterday", "_since"),
        ("_outputFormat=text/csv", "_outputFormat"),
        ("_typeFilter=DocumentReference%3Fdate%3Dnever", "_typeFilter"),
        ("_type=Observation", "_type"),
    ] {
        let refused = world.get(&format!("/fhir/$export?{query}")).await.expect(400);
        assert_eq!(refused.body["issue"][0]["expression"][0], place, "{query}");
    }
    let searches = ["List?status=current"; 17].join(",");
    let refused =
        world.get(&format!("/fhir/$export?_typeFilter={}", searches.replace('?', "%3F"))).await.expect(400);
    assert_eq!(refused.body["issue"][0]["details"]["coding"][0]["code"], "search-too-costly");
    world.get("/fhir/Patient/nobody/$export").await.expect(404);
    world.get("/fhir/Group/nothing/$export").await.expect(404);
    world.get("/fhir/export/nothing").await.expect(404);
}

#[tokio::test]
async fn a_file_can_be_fetched_in_parts_and_is_gone_once_cancelled() {
    let world = World::new().await;
    register(&world, "p1").await;
    let url = world.kick_off("/fhir/$export?_type=DocumentReference").await;
    let manifest = world.until_done(&url).await.expect(200);
    let file = manifest.body["output"][0]["url"].as_str().expect("a file").to_owned();
    let whole = world.client.get(&file).send().await.unwrap();
    let tag = whole.headers()["etag"].to_str().unwrap().to_owned();
    let bytes = whole.bytes().await.unwrap();
    let part =
        world.client.get(&file).header("range", "bytes=10-").header("if-range", &tag).send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()["content-range"].to_str().unwrap(),
        format!("bytes 10-{}/{}", bytes.len() - 1, bytes.len())
    );
    assert_eq!(part.bytes().await.unwrap(), bytes[10..]);
    let known = world.client.get(&file).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let beyond = world.client.get(&file).header("range", "bytes=999999-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    world.send(world.request(Method::DELETE, &url)).await.expect(202);
    world.get(&url).await.expect(404);
    world.get(&file).await.expect(404);
    world.send(world.request(Method::DELETE, &url)).await.expect(404);
}

#[tokio::test]
async fn too_many_exports_and_too_many_questions_are_put_off() {
    let world =
        World::with(Settings { export: Export { max_jobs: 0, ..Export::default() }, ..settings() }).await;
    let refused = world.get("/fhir/$export").await.expect(429);
    assert!(refused.header("retry-after").is_some());
    assert_eq!(refused.body["issue"][0]["code"], "throttled");
}

#[tokio::test]
async fn an_export_is_let_go_when_its_time_is_over() {
    let store = Store::memory();
    let clock = Clock::fake(1_800_000_000_000_000);
    let settings = Settings { export: Export { keep: 60, ..Export::default() }, ..settings() };
    let world = World::over(Setup { store: store.clone(), clock: clock.clone(), ..Setup::new(settings) });
    world.feed("p1", 1, "one", true).await.expect(201);
    let url = world.kick_off("/fhir/$export").await;
    world.until_done(&url).await.expect(200);
    clock.set(1_800_000_000_000_000 + 61_000_000);
    world.get(&url).await.expect(404);
    // The next order wakes whoever clears away.
    let kept = store.health().documents;
    let next = world.kick_off("/fhir/$export").await;
    world.until_done(&next).await.expect(200);
    assert_eq!(
        store.health().documents,
        kept,
        "the files of the first one are gone, those of the second came"
    );
}

#[tokio::test]
async fn an_export_goes_on_where_it_stood_when_the_actor_starts_again() {
    let directory = tempfile::tempdir().unwrap();
    let open = || Store::open(&store::Options::new(directory.path())).expect("the directory can be opened");
    let start = || {
        let store = open();
        let clock = Clock::wall(store.last_instant());
        World::over(Setup { store, clock, ..Setup::new(small_files()) })
    };
    let world = start();
    for number in 0..40 {
        let id = format!("p{number:02}");
        world.feed(&id, 1, &format!("mrn{number}"), true).await.expect(201);
        register(&world, &id).await;
    }
    let mut url = world.kick_off("/fhir/$export").await;
    // Some files are there; the process ends in the middle.
    for _ in 0..PATIENCE {
        let reply = world.get(&url).await;
        let progress = reply.header("x-progress").unwrap_or_default();
        if reply.status == 200 || !progress.starts_with("0 ") && !progress.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let old = world.host.clone();
    world.end();
    let world = start();
    url = url.replace(&old, &world.host);
    let manifest = world.until_done(&url).await.expect(200);
    let mut ids = Vec::new();
    for (kind, lines) in world.files(&manifest, "output").await {
        ids.extend(lines.iter().map(|line| format!("{kind}/{}", line["id"].as_str().unwrap_or_default())));
    }
    let all = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((all, ids.len()), (120, 120), "40 patients, documents and sets, each once");
    world.end();
}

#[tokio::test]
async fn a_group_has_members_that_are_known_and_can_be_read_changed_and_removed() {
    let world = World::new().await;
    let put = |body: Value| world.send(world.request(Method::PUT, "/fhir/Group/g").json(&body));
    let refused = put(json!({
        "resourceType": "Group", "id": "g", "type": "animal", "actual": false,
        "characteristic": [{}],
        "member": [{ "entity": { "reference": "Patient/nobody" } }, { "period": {} }, { "entity": {} }],
    }))
    .await
    .expect(400);
    assert_eq!(refused.body["issue"].as_array().map(Vec::len), Some(6), "{}", refused.body);
    let group = json!({
        "resourceType": "Group", "id": "g", "type": "person", "actual": true,
        "member": [{ "entity": { "reference": "Patient/p1" } }],
    });
    let created = put(group.clone()).await.expect(201);
    assert!(created.header("location").is_some_and(|location| location.ends_with("/fhir/Group/g")));
    assert_eq!(put(group.clone()).await.expect(200).body["meta"]["versionId"], "2");
    let stale = world.request(Method::PUT, "/fhir/Group/g").header("if-match", "W/\"1\"").json(&group);
    world.send(stale).await.expect(412);
    assert_eq!(world.get("/fhir/Group/g").await.expect(200).body["member"], group["member"]);
    world.send(world.request(Method::DELETE, "/fhir/Group/g")).await.expect(204);
    world.get("/fhir/Group/g").await.expect(410);
    world.get("/fhir/Group/g/$export").await.expect(410);
    put(json!({ "resourceType": "Group", "id": "other" })).await.expect(400);
}

#[tokio::test]
async fn the_statement_names_what_can_be_exported() {
    let world = World::new().await;
    let statement = world.get("/fhir/metadata").await.expect(200).body;
    let rest = &statement["rest"][0];
    assert_eq!(rest["operation"][0]["name"], "export");
    let of = |kind: &str| {
        let resources = rest["resource"].as_array().expect("resources").clone();
        resources.into_iter().find(|resource| resource["type"] == kind).expect("the type is named")
    };
    assert_eq!(of("Patient")["operation"][0]["name"], "export");
    assert_eq!(of("Group")["operation"][0]["name"], "export");
}
