//! Metadata update by PUT and PATCH: what a caller can change, and what others see of it.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Folder, Profile, Provide};

use crate::world::{IDENTITY, MRN, Reply, World, document, provide};

const JSON_PATCH: &str = "application/json-patch+json";
const FHIR: &str = "application/fhir+json";

impl World {
    /// Registers a document and gives its id.
    async fn registered(&self, provide: &Provide) -> String {
        self.register(provide).await.expect(200).located("DocumentReference").remove(0)
    }

    async fn put(&self, path: &str, if_match: Option<&str>, resource: &Value) -> Reply {
        let mut request = self.request(Method::PUT, &format!("/fhir/{path}")).json(resource);
        if let Some(tag) = if_match {
            request = request.header("If-Match", tag);
        }
        self.send(request).await
    }

    async fn patch(&self, path: &str, media: &str, patch: &Value) -> Reply {
        let request = self.request(Method::PATCH, &format!("/fhir/{path}"));
        self.send(request.header("Content-Type", media).body(patch.to_string())).await
    }

    async fn retitle(&self, id: &str, title: &str) -> Reply {
        let patch = json!([{ "op": "replace", "path": "/content/0/attachment/title", "value": title }]);
        self.patch(&format!("DocumentReference/{id}"), JSON_PATCH, &patch).await
    }
}

fn title(resource: &Value) -> &str {
    resource["content"][0]["attachment"]["title"].as_str().unwrap_or_default()
}

/// The patch of MHD: one status.
fn status(to: &str) -> Value {
    json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "DocumentReference.status" },
        { "name": "value", "valueCode": to },
    ] }] })
}

#[tokio::test]
async fn a_put_makes_the_next_version_and_everybody_sees_it() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("Befund"))).await;
    let path = format!("DocumentReference/{id}");
    let mut resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    resource["content"][0]["attachment"]["title"] = json!("Entlassbrief");
    resource["type"]["coding"][0]["code"] = json!("18842-5");
    resource["extension"] = json!([{ "url": "http://example.org/carried", "valueDecimal": 1.50 }]);
    resource["description"] = json!("corrected");
    let reply = world.put(&path, Some("W/\"1\""), &resource).await.expect(200);
    assert_eq!(reply.header("etag"), Some("W/\"2\""));
    assert_eq!(reply.body["meta"]["versionId"], "2");
    assert!(reply.header("last-modified").is_some());
    let location = format!("{}/fhir/{path}/_history/2", world.host);
    assert_eq!(reply.header("content-location"), Some(location.as_str()));
    let read = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    assert_eq!(read, reply.body);
    assert_eq!((title(&read), &read["description"]), ("Entlassbrief", &json!("corrected")));
    assert_eq!(read["extension"], resource["extension"], "what the domain has no name for is kept");
    let found = |query: &str| {
        let path = format!("/fhir/DocumentReference?patient=p1&{query}");
        let world = &world;
        async move { world.get(&path).await.expect(200).ids() }
    };
    assert_eq!(found("type=18842-5").await, [id.as_str()], "it is found by what it says now");
    assert_eq!(found("type=60591-5").await, Vec::<String>::new(), "and no longer by what it said");
    let before = world.get(&format!("/fhir/{path}/_history/1")).await.expect(200).body;
    assert_eq!(title(&before), "Befund vom 2. Februar");
    let history = world.get(&format!("/fhir/{path}/_history")).await.expect(200).body;
    assert_eq!((&history["total"], &history["entry"][0]["request"]["method"]), (&json!(2), &json!("PUT")));
}

#[tokio::test]
async fn a_put_is_made_from_the_version_that_stands() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    let resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    let missing = world.put(&path, None, &resource).await.expect(400);
    assert_eq!(missing.body["issue"][0]["code"], "required");
    world.retitle(&id, "somebody else's").await.expect(200);
    let stale = world.put(&path, Some("W/\"1\""), &resource).await.expect(412);
    let text = stale.body["issue"][0]["diagnostics"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("W/\"2\""), "the current version is named: {text}");
    for (version, tag) in ["W/\"2\"", "\"3\"", "4", "W/\"1\", W/\"5\"", "*"].into_iter().enumerate() {
        let mut resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
        resource["description"] = json!(format!("under {tag}"));
        let reply = world.put(&path, Some(tag), &resource).await.expect(200);
        assert_eq!(reply.header("etag"), Some(format!("W/\"{}\"", version + 3).as_str()), "{tag}");
    }
    let stands = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    let same = world.put(&path, Some("*"), &stands).await.expect(200);
    assert_eq!(same.header("etag"), Some("W/\"7\""), "what stands already needs no version");
}

#[tokio::test]
async fn a_put_says_the_whole_of_one_resource() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    let whole = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    let with = |change: &dyn Fn(&mut Value)| {
        let mut resource = whole.clone();
        change(&mut resource);
        resource
    };
    for (status, resource) in [
        (400, with(&|r| r["id"] = json!("another"))),
        (
            400,
            with(&|r| {
                r.as_object_mut().expect("an object").remove("id");
            }),
        ),
        (400, with(&|r| r["meta"]["tag"] = json!([{ "code": "SUBSETTED" }]))),
        (400, with(&|r| r["resourceType"] = json!("List"))),
        (400, with(&|r| r["nose"] = json!("x"))),
        (400, with(&|r| r["status"] = json!("entered-in-error"))),
        (
            400,
            with(&|r| {
                r.as_object_mut().expect("an object").remove("type");
            }),
        ),
        (400, with(&|r| r["content"][0]["attachment"]["title"] = json!("x".repeat(129)))),
    ] {
        world.put(&path, Some("1"), &resource).await.expect(status);
    }
    world.put("DocumentReference/00000000-0000-4000-8000-000000000000", Some("1"), &whole).await.expect(404);
    assert_eq!(world.get(&format!("/fhir/{path}")).await.body, whole, "nothing was changed");
}

#[tokio::test]
async fn what_may_not_change_is_named_in_the_words_of_both_faces() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    let mut resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    let whole = resource.clone();
    resource["masterIdentifier"]["value"] = json!("urn:oid:1.2.3.4.5");
    resource["subject"] = json!({ "reference": format!("{IDENTITY}/Patient/p2") });
    resource["content"][0]["attachment"]["url"] = json!("http://elsewhere.example/documents/1");
    resource["content"][0]["attachment"]["contentType"] = json!("application/pdf");
    resource["content"][0]["attachment"]["size"] = json!(7);
    resource["relatesTo"] =
        json!([{ "code": "appends", "target": { "reference": format!("DocumentReference/{id}") } }]);
    let refused = world.put(&path, Some("1"), &resource).await.expect(422);
    let issues = refused.body["issue"].as_array().cloned().unwrap_or_default();
    let text = refused.body.to_string();
    for (expression, attribute) in [
        ("DocumentReference.masterIdentifier", "DocumentEntry.uniqueId"),
        ("DocumentReference.subject", "DocumentEntry.patientId"),
        ("DocumentReference.content[0].attachment.url", "DocumentEntry.URI"),
        ("DocumentReference.content[0].attachment.contentType", "DocumentEntry.mimeType"),
        ("DocumentReference.content[0].attachment.size", "DocumentEntry.size"),
        ("DocumentReference.relatesTo", "Association"),
    ] {
        assert!(issues.iter().any(|issue| issue["expression"][0] == expression), "{expression}: {text}");
        assert!(text.contains(attribute), "{attribute}");
    }
    assert!(refused.codes().contains(&"XDSPatientIDReconciliationError".to_owned()), "{:?}", refused.codes());
    assert_eq!(world.get(&format!("/fhir/{path}")).await.body, whole, "nothing was changed");
}

#[tokio::test]
async fn the_patient_may_be_named_in_other_words() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    for subject in [
        json!({ "reference": "Patient/p1" }),
        json!({ "identifier": { "system": MRN, "value": "one" } }),
        json!({ "reference": "Patient/p1", "identifier": { "system": MRN, "value": "one" } }),
    ] {
        let mut resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
        resource["subject"] = subject.clone();
        let reply = world.put(&path, Some("*"), &resource).await.expect(200);
        assert_eq!(reply.body["subject"]["reference"], format!("{IDENTITY}/Patient/p1"), "{subject}");
    }
    for subject in [
        json!({ "reference": "Patient/p2" }),
        json!({ "reference": "Patient/p1", "identifier": { "system": MRN, "value": "two" } }),
        json!({ "identifier": { "system": MRN, "value": "nobody" } }),
        json!({ "display": "somebody" }),
    ] {
        let mut resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
        resource["subject"] = subject.clone();
        let reply = world.put(&path, Some("*"), &resource).await.expect(422);
        assert!(reply.codes().contains(&"patient-changed".to_owned()), "{subject}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_patch_changes_what_it_names() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    let patched = world.retitle(&id, "by JSON Patch").await.expect(200);
    assert_eq!((title(&patched.body), patched.header("etag")), ("by JSON Patch", Some("W/\"2\"")));
    let fhirpath = json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "DocumentReference.content[0].attachment.title" },
        { "name": "value", "valueString": "by FHIRPath" },
    ] }] });
    let patched = world.patch(&path, FHIR, &fhirpath).await.expect(200);
    assert_eq!((title(&patched.body), patched.header("etag")), ("by FHIRPath", Some("W/\"3\"")));
    let superseded = world.patch(&path, FHIR, &status("superseded")).await.expect(200);
    assert_eq!(superseded.body["status"], "superseded");
    let found = world.get("/fhir/DocumentReference?patient=p1&status=current").await.expect(200).ids();
    assert!(found.is_empty(), "{found:?}");
    let current = world.patch(&path, FHIR, &status("current")).await.expect(200);
    assert_eq!((&current.body["status"], current.header("etag")), (&json!("current"), Some("W/\"5\"")));
    let again = world.patch(&path, FHIR, &status("current")).await.expect(200);
    assert_eq!(again.header("etag"), Some("W/\"5\""), "what stands already needs no version");
}

#[tokio::test]
async fn a_patch_that_does_not_fit_changes_nothing_and_says_why() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    let whole = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    let title = "/content/0/attachment/title";
    let good = json!({ "op": "replace", "path": title, "value": "good" });
    for (media, patch, status, code) in [
        (
            JSON_PATCH,
            json!([good, { "op": "test", "path": title, "value": "other" }]),
            422,
            "patch-test-failed",
        ),
        (JSON_PATCH, json!([good, { "op": "remove", "path": "/nose" }]), 422, "patch-not-applicable"),
        (JSON_PATCH, json!([good, { "op": "add", "path": "/nose", "value": 1 }]), 422, "structure"),
        (JSON_PATCH, json!([good, { "op": "remove", "path": "/type" }]), 422, "metadata-required"),
        (
            JSON_PATCH,
            json!([{ "op": "remove", "path": "/content/0/attachment/hash" }]),
            422,
            "unmodifiable-metadata",
        ),
        (JSON_PATCH, json!([{ "op": "replace", "path": "/id", "value": "x" }]), 422, "value"),
        (JSON_PATCH, json!({ "op": "remove" }), 400, "structure"),
        (JSON_PATCH, json!([{ "op": "remove" }]), 400, "structure"),
        (FHIR, json!({ "resourceType": "DocumentReference", "status": "current" }), 415, "media-type"),
        (FHIR, json!([good]), 415, "media-type"),
        (FHIR, json!({ "status": "superseded" }), 415, "media-type"),
        ("application/merge-patch+json", json!({ "status": "superseded" }), 415, "media-type"),
        (FHIR, json!({ "resourceType": "Parameters" }), 400, "required"),
        (FHIR, status("retired"), 422, "value"),
    ] {
        let refused = world.patch(&path, media, &patch).await.expect(status);
        assert!(refused.codes().contains(&code.to_owned()), "{patch}: {:?} is not {code}", refused.codes());
        let accepted = refused.header("accept-patch").is_some_and(|types| types.contains(JSON_PATCH));
        assert_eq!(accepted, status == 415, "{patch}: what is taken is told where it was not");
    }
    assert_eq!(world.get(&format!("/fhir/{path}")).await.body, whole);
    let stale = world.request(Method::PATCH, &format!("/fhir/{path}")).header("If-Match", "W/\"7\"");
    let stale = stale.header("Content-Type", JSON_PATCH).body(json!([good]).to_string());
    world.send(stale).await.expect(412);
}

#[tokio::test]
async fn a_patch_by_identifier_needs_exactly_one_match() {
    let world = World::new().await;
    let one = document("one");
    let unique_id = one.unique_id.clone();
    let id = world.registered(&provide("p1", one.clone())).await;
    let by = |name: &str| format!("DocumentReference?identifier={name}");
    let query = by(&format!("urn:ietf:rfc:3986%7C{unique_id}"));
    let patched = world.patch(&query, FHIR, &status("superseded")).await.expect(200);
    assert_eq!((&patched.body["id"], &patched.body["status"]), (&json!(id), &json!("superseded")));
    world.patch(&by("urn:oid:1.2.3.99"), FHIR, &status("superseded")).await.expect(404);
    world.registered(&provide("p1", testkit::Document { url: testkit::urn_uuid(), ..one })).await;
    let several = world.patch(&query, FHIR, &status("current")).await.expect(412);
    assert_eq!(several.codes(), ["multiple-matches"]);
    world.patch("DocumentReference", FHIR, &status("current")).await.expect(400);
    world.patch("DocumentReference?status=current", FHIR, &status("superseded")).await.expect(400);
}

#[tokio::test]
async fn of_concurrent_updates_one_wins_for_each_version() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("DocumentReference/{id}");
    let resource = world.get(&format!("/fhir/{path}")).await.expect(200).body;
    let resources: Vec<Value> = (0..16)
        .map(|n| {
            let mut resource = resource.clone();
            resource["description"] = json!(format!("by {n}"));
            resource
        })
        .collect();
    let replies = join_all(resources.iter().map(|r| world.put(&path, Some("W/\"1\""), r))).await;
    let statuses: Vec<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 15, "{statuses:?}");
    let titles: Vec<String> = (0..16).map(|n| format!("title {n}")).collect();
    let replies = join_all(titles.iter().map(|title| world.retitle(&id, title))).await;
    let mut tags: Vec<u64> = replies
        .into_iter()
        .map(|reply| {
            reply.expect(200).body["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()).unwrap_or(0)
        })
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, (3..19).collect::<Vec<u64>>(), "patches without a condition follow each other");
    let history = world.get(&format!("/fhir/{path}/_history")).await.expect(200).body;
    assert_eq!(history["total"].to_string(), "18");
}

#[tokio::test]
async fn a_replaced_document_stays_superseded_while_its_replacement_is_current() {
    let world = World::new().await;
    let old = world.registered(&provide("p1", document("old"))).await;
    let replacement = document("new").relates_to("replaces", &format!("DocumentReference/{old}"));
    let reply = world.register(&provide("p1", replacement).superseding(&old)).await.expect(200);
    let new = reply.located("DocumentReference").into_iter().find(|id| *id != old).expect("a new document");
    let path = format!("DocumentReference/{old}");
    let refused = world.patch(&path, FHIR, &status("current")).await.expect(422);
    assert!(refused.body.to_string().contains(&new), "it says what stands in the way: {}", refused.body);
    world.retitle(&old, "an old one with a better title").await.expect(200);
    let relations = |body: &Value| body["relatesTo"].clone();
    let renamed = world.retitle(&new, "renamed").await.expect(200);
    let before = world.get(&format!("/fhir/DocumentReference/{new}/_history/1")).await.expect(200);
    assert_eq!(relations(&renamed.body), relations(&before.body), "relations stay");
    world.patch(&format!("DocumentReference/{new}"), FHIR, &status("superseded")).await.expect(200);
    world.patch(&path, FHIR, &status("current")).await.expect(200);
}

#[tokio::test]
async fn a_document_that_was_updated_can_be_replaced() {
    let world = World::new().await;
    let old = world.registered(&provide("p1", document("old"))).await;
    world.retitle(&old, "renamed").await.expect(200);
    let replacement = document("new").relates_to("replaces", &format!("DocumentReference/{old}"));
    world.register(&provide("p1", replacement).superseding(&old)).await.expect(200);
    let read = world.get(&format!("/fhir/DocumentReference/{old}")).await.expect(200);
    assert_eq!((&read.body["status"], title(&read.body)), (&json!("superseded"), "renamed"));
    assert_eq!(read.header("etag"), Some("W/\"3\""));
}

#[tokio::test]
async fn a_folder_gets_another_title_and_keeps_its_members() {
    let world = World::new().await;
    let entry = document("x");
    let folder = Folder::new("before", &[&entry.url]);
    let submission = Provide { folders: vec![folder], ..provide("p1", entry) };
    let reply = world.register(&submission).await.expect(200);
    let lists = reply.located("List");
    let mut ids = (None, None);
    for id in lists {
        let list = world.get(&format!("/fhir/List/{id}")).await.expect(200).body;
        match list["code"]["coding"][0]["code"].as_str() {
            Some("folder") => ids.0 = Some((id, list)),
            _ => ids.1 = Some((id, list)),
        }
    }
    let ((folder, list), (set, submitted)) = (ids.0.expect("a folder"), ids.1.expect("a set"));
    let path = format!("List/{folder}");
    let mut renamed = list.clone();
    renamed["title"] = json!("after");
    let reply = world.put(&path, Some("W/\"1\""), &renamed).await.expect(200);
    assert_eq!((&reply.body["title"], &reply.body["entry"]), (&json!("after"), &list["entry"]));
    let retitle = |to: &str| json!([{ "op": "replace", "path": "/title", "value": to }]);
    world.patch(&path, JSON_PATCH, &retitle("patched")).await.expect(200);
    let emptied = json!([{ "op": "remove", "path": "/entry" }]);
    let refused = world.patch(&path, JSON_PATCH, &emptied).await.expect(422);
    assert_eq!(refused.body["issue"][0]["expression"][0], "List.entry");
    let retired = json!([{ "op": "replace", "path": "/status", "value": "retired" }]);
    world.patch(&path, JSON_PATCH, &retired).await.expect(422);
    assert_eq!(world.get(&format!("/fhir/{path}")).await.body["title"], "patched");
    world.patch(&format!("List/{set}"), JSON_PATCH, &retitle("a set")).await.expect(422);
    world.put(&format!("List/{set}"), Some("1"), &submitted).await.expect(422);
}

#[tokio::test]
async fn an_update_does_not_fall_behind_what_is_registered() {
    let world = World::new().await;
    let minimal = Provide { profile: Profile::Minimal, ..provide("p1", document("x")) };
    let id = world.registered(&minimal).await;
    let without_type = json!([{ "op": "remove", "path": "/type" }]);
    let path = format!("DocumentReference/{id}");
    world.patch(&path, JSON_PATCH, &without_type).await.expect(422);
    let mut bundle = Provide { profile: Profile::Minimal, ..provide("p1", document("y")) }.bundle();
    for entry in bundle["entry"].as_array_mut().into_iter().flatten() {
        if entry["resource"]["resourceType"] == "DocumentReference" {
            entry["resource"].as_object_mut().expect("an object").remove("type");
        }
    }
    let id = world.post(&bundle).await.expect(200).located("DocumentReference").remove(0);
    world.retitle(&id, "minimal as it was").await.expect(200);
}

#[tokio::test]
async fn the_caller_says_what_comes_back() {
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("/fhir/DocumentReference/{id}");
    let patch = |title: &str, prefer: &str| {
        let patch = json!([{ "op": "replace", "path": "/content/0/attachment/title", "value": title }]);
        let request =
            world.request(Method::PATCH, &path).header("Content-Type", JSON_PATCH).header("Prefer", prefer);
        world.send(request.body(patch.to_string()))
    };
    let minimal = patch("a", "return=minimal").await.expect(200);
    assert_eq!((minimal.body.clone(), minimal.header("etag")), (Value::Null, Some("W/\"2\"")));
    assert_eq!(minimal.header("preference-applied"), Some("return=minimal"));
    let outcome = patch("b", "return=OperationOutcome; handling=strict").await.expect(200);
    assert_eq!(outcome.body["resourceType"], "OperationOutcome");
    assert_eq!(outcome.body["issue"][0]["severity"], "information");
    for prefer in ["return=representation", "return=presentation"] {
        let whole = patch("c", prefer).await.expect(200);
        assert_eq!(whole.body["resourceType"], "DocumentReference", "{prefer}");
    }
}

#[tokio::test]
async fn an_update_may_be_written_in_xml() {
    const XML: &str = "application/fhir+xml";
    let world = World::new().await;
    let id = world.registered(&provide("p1", document("x"))).await;
    let path = format!("/fhir/DocumentReference/{id}");
    let read = world.request(Method::GET, &path).header("Accept", XML).send().await.expect("an answer");
    let text = read.text().await.expect("a text");
    let changed = text.replace("Befund vom 2. Februar", "in XML");
    assert!(changed.starts_with('<') && changed != text, "{text}");
    let put = world.request(Method::PUT, &path).header("Content-Type", XML).header("If-Match", "W/\"1\"");
    let put = world.send(put.body(changed)).await.expect(200);
    assert_eq!((title(&put.body), put.header("etag")), ("in XML", Some("W/\"2\"")));
    let patch = r#"<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="operation"/>
        <part><name value="type"/><valueCode value="replace"/></part>
        <part><name value="path"/><valueString value="DocumentReference.status"/></part>
        <part><name value="value"/><valueCode value="superseded"/></part></parameter></Parameters>"#;
    let request = world.request(Method::PATCH, &path).header("Content-Type", XML);
    let patched = world.send(request.body(patch)).await.expect(200);
    assert_eq!(patched.body["status"], "superseded");
    let refused = world.request(Method::PATCH, &path).header("Content-Type", XML).header("Accept", XML);
    let refused = refused.body(changed_nothing()).send().await.expect("an answer");
    assert_eq!(refused.status().as_u16(), 415);
    assert!(refused.text().await.is_ok_and(|text| text.contains("<OperationOutcome")));
}

/// A resource is no patch.
fn changed_nothing() -> &'static str {
    r#"<DocumentReference xmlns="http://hl7.org/fhir"><status value="current"/></DocumentReference>"#
}
