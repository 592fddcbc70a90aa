//! Metadata update over the wire: PUT, PATCH, conditional creates, histories. What a caller may rely on, and that the bytes of a
//! document are never out of reach.

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::{Document, URI_SYSTEM, urn_oid};

use super::world::{World, encode};
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;
use crate::wire::FHIR_JSON;

const JSON_PATCH: &str = "application/json-patch+json";

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("update-put", whole_resource),
        case!("update-put-conditions", conditions_of_a_put),
        case!("update-put-unmodifiable", what_stays),
        case!("update-patch-json", json_patch),
        case!("update-patch-fhirpath", fhirpath_patch),
        case!("update-patch-conditional", patch_by_identifier),
        case!("update-patch-refused", patches_that_do_not_fit),
        case!("update-concurrent", one_wins),
        case!("update-retrieve", bytes_stay),
        case!("update-replace", updated_and_replaced),
        case!("update-if-none-exist", storm_of_creates),
        case!("update-history", history_by_time),
        case!("update-patient-history", history_of_a_patient),
        case!("update-methods", what_is_not_there),
    ]
}

fn title(resource: &Value) -> &Value {
    &resource["content"][0]["attachment"]["title"]
}

fn retitle(to: &str) -> Value {
    json!([{ "op": "replace", "path": "/content/0/attachment/title", "value": to }])
}

fn status(to: &str) -> Value {
    json!({ "resourceType": "Parameters", "parameter": [{ "name": "operation", "part": [
        { "name": "type", "valueCode": "replace" },
        { "name": "path", "valueString": "DocumentReference.status" },
        { "name": "value", "valueCode": to },
    ] }] })
}

impl World {
    async fn update(&self, path: &str, if_match: Option<&str>, resource: &Value) -> Result<Answer> {
        let mut request = self.wire.request(Method::PUT, &self.url(Actor::Registry, path));
        if let Some(tag) = if_match {
            request = request.header("If-Match", tag);
        }
        self.wire.send(request.header("Content-Type", FHIR_JSON).body(resource.to_string())).await
    }

    async fn patch(&self, path: &str, media: &str, patch: &Value) -> Result<Answer> {
        let request = self.wire.request(Method::PATCH, &self.url(Actor::Registry, path));
        self.wire.send(request.header("Content-Type", media).body(patch.to_string())).await
    }
}

async fn whole_resource(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("to be described better"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    let mut resource = stored.resource.clone();
    resource["content"][0]["attachment"]["title"] = json!("Entlassbrief");
    resource["extension"] = json!([{ "url": "http://example.org/own", "valueString": "kept" }]);
    let answer = world.update(&path, Some("W/\"1\""), &resource).await?;
    let updated = answer.expect(200)?;
    ensure!(updated["meta"]["versionId"] == "2" && answer.header("ETag") == Some("W/\"2\""), "version 2");
    ensure!(answer.header("Last-Modified").is_some(), "Last-Modified is given");
    let location = answer.header("Content-Location").context("Content-Location is given")?;
    ensure!(location.ends_with(&format!("{path}/_history/2")), "{location}");
    let read = world.reference(&stored.id).await?;
    ensure!(read == updated && title(&read) == "Entlassbrief", "what was put is read");
    ensure!(read["extension"] == resource["extension"], "what the source added is kept");
    let query = format!("DocumentReference?patient={}&_id={}", encode(&world.p1.reference), stored.id);
    let found = world.search(Actor::Registry, &query).await?;
    ensure!(found.len() == 1 && title(&found[0]) == "Entlassbrief", "a search shows the new version");
    let before =
        world.wire.get(&world.url(Actor::Registry, &format!("{path}/_history/1"))).await?.expect(200)?;
    ensure!(before == stored.resource, "version 1 is as it was");
    Ok(())
}

async fn conditions_of_a_put(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("on conditions"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    world.update(&path, None, &stored.resource).await?.refused(&[400], &["required"])?;
    let stale = world.update(&path, Some("W/\"9\""), &stored.resource).await?;
    let issues = stale.refused(&[412], &["conflict"])?;
    ensure!(issues[0].diagnostics.contains("W/\"1\""), "the current version is named: {}", stale.excerpt());
    let mut part = stored.resource.clone();
    part["meta"]["tag"] = json!([{ "code": "SUBSETTED" }]);
    world.update(&path, Some("1"), &part).await?.refused(&[400, 422], &[])?;
    let mut other = stored.resource.clone();
    other["id"] = json!("another");
    world.update(&path, Some("1"), &other).await?.refused(&[400], &[])?;
    ensure!(world.reference(&stored.id).await? == stored.resource, "nothing was changed");
    Ok(())
}

async fn what_stays(world: &World) -> Result<()> {
    let path = format!("DocumentReference/{}", world.d2.id);
    for (pointer, value, attribute) in [
        ("/masterIdentifier/value", json!(urn_oid()), "DocumentEntry.uniqueId"),
        ("/subject", json!({ "reference": world.p1.reference }), "DocumentEntry.patientId"),
        ("/content/0/attachment/url", json!("http://elsewhere.example/1"), "DocumentEntry.URI"),
        ("/content/0/attachment/size", json!(1), "DocumentEntry.size"),
        ("/content/0/attachment/hash", json!("2jmj7l5rSw0yVb/vlWAYkK/YBwk="), "DocumentEntry.hash"),
        ("/content/0/attachment/contentType", json!("application/pdf"), "DocumentEntry.mimeType"),
    ] {
        let mut resource = world.d2.resource.clone();
        *resource.pointer_mut(pointer).with_context(|| format!("{pointer} is there"))? = value;
        let answer = world.update(&path, Some("*"), &resource).await?;
        let issues = answer.refused(&[422], &["business-rule"])?;
        let said = issues.iter().any(|issue| issue.diagnostics.contains(attribute));
        ensure!(said, "{attribute} is named: {}", answer.excerpt());
    }
    ensure!(world.reference(&world.d2.id).await? == world.d2.resource, "nothing was changed");
    Ok(())
}

async fn json_patch(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("patched"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    let patched = world.patch(&path, JSON_PATCH, &retitle("by JSON Patch")).await?.expect(200)?;
    ensure!(title(&patched) == "by JSON Patch" && patched["meta"]["versionId"] == "2", "{patched}");
    Ok(())
}

async fn fhirpath_patch(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("superseded by a patch"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    for (to, version) in [("superseded", "2"), ("current", "3")] {
        let patched = world.patch(&path, FHIR_JSON, &status(to)).await?.expect(200)?;
        ensure!(patched["status"] == to && patched["meta"]["versionId"] == version, "{patched}");
        let query = format!(
            "DocumentReference?patient={}&status={to}&_id={}",
            encode(&world.p1.reference),
            stored.id
        );
        ensure!(world.search(Actor::Registry, &query).await?.len() == 1, "it is found as {to}");
    }
    // D1S was replaced by D1, which is current.
    let path = format!("DocumentReference/{}", world.d1s.id);
    world.patch(&path, FHIR_JSON, &status("current")).await?.refused(&[422], &[])?;
    ensure!(world.reference(&world.d1s.id).await?["status"] == "superseded", "D1S stays superseded");
    Ok(())
}

async fn patch_by_identifier(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("named by its identifier"))).await?;
    let by = |unique_id: &str| {
        format!("DocumentReference?identifier={}", encode(&format!("{URI_SYSTEM}|{unique_id}")))
    };
    let patched = world.patch(&by(&stored.unique_id), JSON_PATCH, &retitle("found")).await?.expect(200)?;
    ensure!(patched["id"] == stored.id.as_str(), "the one that has it");
    world.patch(&by(&urn_oid()), JSON_PATCH, &retitle("x")).await?.refused(&[404], &["not-found"])?;
    let twice = Document::new("named by its identifier").unique_id(&stored.unique_id);
    world.stored(world.b65().only(twice)).await?;
    let several = world.patch(&by(&stored.unique_id), JSON_PATCH, &retitle("x")).await?;
    several.refused(&[412], &["multiple-matches", "conflict"])?;
    Ok(())
}

async fn patches_that_do_not_fit(world: &World) -> Result<()> {
    let path = format!("DocumentReference/{}", world.d1.id);
    for (media, patch, statuses) in [
        (FHIR_JSON, json!({ "status": "superseded" }), &[415][..]),
        (FHIR_JSON, world.d1.resource.clone(), &[415]),
        ("application/merge-patch+json", json!({ "status": "superseded" }), &[415]),
        (JSON_PATCH, json!([{ "op": "test", "path": "/status", "value": "superseded" }]), &[422]),
        (JSON_PATCH, json!([{ "op": "remove", "path": "/nothing" }]), &[422]),
        (JSON_PATCH, json!([{ "op": "add", "path": "/nothing", "value": "x" }]), &[422]),
        (JSON_PATCH, json!([{ "op": "twist", "path": "/status" }]), &[400]),
        (FHIR_JSON, json!({ "resourceType": "Parameters" }), &[400]),
        (FHIR_JSON, status("entered-in-error"), &[422]),
    ] {
        let answer = world.patch(&path, media, &patch).await?;
        answer.refused(statuses, &[]).with_context(|| patch.to_string())?;
    }
    ensure!(world.reference(&world.d1.id).await? == world.d1.resource, "nothing was changed");
    Ok(())
}

async fn one_wins(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("wanted by many"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    let resources: Vec<Value> = (0..12)
        .map(|number| {
            let mut resource = stored.resource.clone();
            resource["description"] = json!(format!("by {number}"));
            resource
        })
        .collect();
    let answers = join_all(resources.iter().map(|r| world.update(&path, Some("W/\"1\""), r))).await;
    let statuses = answers.into_iter().map(|answer| Ok(answer?.status)).collect::<Result<Vec<u16>>>()?;
    let of = |status| statuses.iter().filter(|one| **one == status).count();
    ensure!(of(200) == 1 && of(412) == 11, "one update of version 1 wins, the others are told: {statuses:?}");
    Ok(())
}

async fn bytes_stay(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("the bytes stay where they are"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    for round in 0..3 {
        world.patch(&path, JSON_PATCH, &retitle(&format!("round {round}"))).await?.expect(200)?;
        let resource = world.reference(&stored.id).await?;
        let attachment = &resource["content"][0]["attachment"];
        ensure!(attachment["url"] == stored.url.as_str(), "the URL stays");
        let answer = world.wire.get(&stored.url).await?;
        ensure!(
            answer.status == 200 && answer.body[..] == *stored.bytes,
            "the document is retrieved as before"
        );
    }
    Ok(())
}

async fn updated_and_replaced(world: &World) -> Result<()> {
    let old = world.stored(world.b65().only(Document::new("updated, then replaced"))).await?;
    let path = format!("DocumentReference/{}", old.id);
    world.patch(&path, JSON_PATCH, &retitle("renamed")).await?.expect(200)?;
    let replacement = Document::new("the replacement").relates_to("replaces", &path);
    world.stored(world.b65().only(replacement).superseding(&old.id)).await?;
    let resource = world.reference(&old.id).await?;
    ensure!(resource["status"] == "superseded" && title(&resource) == "renamed", "{resource}");
    ensure!(resource["meta"]["versionId"] == "3", "the replacement is the third version");
    Ok(())
}

async fn storm_of_creates(world: &World) -> Result<()> {
    let unique_id = urn_oid();
    let condition = format!("identifier={URI_SYSTEM}|{unique_id}");
    let resource = json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": URI_SYSTEM, "value": unique_id },
        "status": "current",
        "subject": { "reference": world.p1.reference },
        "content": [{ "attachment": { "contentType": "text/plain", "url": "http://elsewhere.example/1" } }],
    });
    let create = || {
        let request = world.wire.request(Method::POST, &world.url(Actor::Registry, "DocumentReference"));
        let request = request.header("Content-Type", FHIR_JSON).header("If-None-Exist", &condition);
        world.wire.send(request.body(resource.to_string()))
    };
    let answers = join_all((0..64).map(|_| create())).await.into_iter().collect::<Result<Vec<Answer>>>()?;
    let of = |status| answers.iter().filter(|answer| answer.status == status).count();
    ensure!(of(201) == 1 && of(200) == 63, "of 64 equal conditional creates one creates: {}", of(201));
    let query = format!("DocumentReference?identifier={}", encode(&unique_id));
    ensure!(world.search(Actor::Registry, &query).await?.len() == 1, "there is one");
    Ok(())
}

async fn history_by_time(world: &World) -> Result<()> {
    let stored = world.stored(world.b65().only(Document::new("with a history"))).await?;
    let path = format!("DocumentReference/{}", stored.id);
    for round in 0..3 {
        world.patch(&path, JSON_PATCH, &retitle(&format!("round {round}"))).await?.expect(200)?;
    }
    let history = |query: &str| {
        let url = world.url(Actor::Registry, &format!("{path}/_history{query}"));
        async move { world.wire.get(&url).await }
    };
    let all = history("").await?.expect(200)?;
    ensure!(all["type"] == "history" && all["total"] == 4, "four versions: {all}");
    let third = &all["entry"][1]["resource"]["meta"]["lastUpdated"];
    let third = third.as_str().context("a version has its time")?;
    let since = history(&format!("?_since={}", encode(third))).await?.expect(200)?;
    ensure!(
        since["total"].as_u64().is_some_and(|total| (2..=4).contains(&total)),
        "since the third: {since}"
    );
    let page = history("?_count=3").await?;
    ensure!(page.json()?["entry"].as_array().map(Vec::len) == Some(3), "three on a page");
    let next = page.link("next")?.context("there is a further page")?;
    let rest = world.wire.get(&next).await?.expect(200)?;
    ensure!(rest["entry"][0]["resource"] == stored.resource, "the first version is on the last page");
    let before = history("?_at=2000-01-01").await?.expect(200)?;
    ensure!(before["total"] == 0, "nothing stood then");
    history("?_since=yesterday").await?.refused(&[400], &["value", "invalid"])?;
    Ok(())
}

async fn history_of_a_patient(world: &World) -> Result<()> {
    let url = world.url(Actor::Identity, &format!("Patient/{}/_history", world.p1.id));
    let all = world.wire.get(&format!("{url}?_since=2000-01-01T00:00:00Z")).await?.expect(200)?;
    ensure!(all["total"].as_u64().is_some_and(|total| total >= 1), "{all}");
    let none = world.wire.get(&format!("{url}?_at=2000-01-01")).await?.expect(200)?;
    ensure!(none["total"] == 0, "{none}");
    world.wire.get(&format!("{url}?_at=soon")).await?.refused(&[400], &["value", "invalid"])?;
    Ok(())
}

async fn what_is_not_there(world: &World) -> Result<()> {
    let url = world.url(Actor::Registry, &format!("DocumentReference/{}", world.d1.id));
    let answer = world.wire.send(world.wire.request(Method::DELETE, &url)).await?;
    answer.refused(&[405], &["not-supported"])?;
    let allowed = answer.header("Allow").unwrap_or_default().to_owned();
    ensure!(["GET", "PUT", "PATCH"].iter().all(|method| allowed.contains(method)), "Allow: {allowed}");
    let nobody = "DocumentReference/00000000-0000-4000-8000-000000000000";
    world.patch(nobody, JSON_PATCH, &retitle("x")).await?.refused(&[404], &["not-found"])?;
    Ok(())
}
