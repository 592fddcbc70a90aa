//! Documents that come in one request: Simplified Publish [ITI-105], Generate Metadata [ITI-106]; `$validate` and
//! `Idempotency-Key`.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use testkit::{Document, urn_oid};

use super::world::World;
use super::{Case, case};
use crate::answer::Answer;
use crate::region::Actor;
use crate::wire::FHIR_JSON;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("publish-and-retrieve", publish),
        case!("publish-replaces", replaces),
        case!("publish-forbidden-elements", forbidden),
        case!("publish-prefer", prefer),
        case!("idempotency-key", idempotency),
        case!("generate-from-cda", generate),
        case!("generate-not-understood", not_understood),
        case!("validate-stores-nothing", validate),
    ]
}

fn document(world: &World, text: &str) -> Value {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(text);
    json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": testkit::URI_SYSTEM, "value": urn_oid() },
        "status": "current",
        "subject": { "reference": world.p1.reference },
        "content": [{ "attachment": { "contentType": "text/plain", "data": data,
            "hash": Document::new(text).sha1_base64(), "size": text.len() } }],
    })
}

async fn post(world: &World, path: &str, body: &Value, headers: &[(&str, &str)]) -> Result<Answer> {
    let url = world.url(Actor::Repository, path);
    let mut request = world.wire.request(reqwest::Method::POST, &url).header("Content-Type", FHIR_JSON);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.wire.send(request.body(body.to_string())).await
}

async fn publish(world: &World) -> Result<()> {
    let entry = post(world, "DocumentReference", &document(world, "published"), &[]).await?.expect(201)?;
    ensure!(entry["content"][0]["attachment"].get("data").is_none(), "the bytes stand behind a URL: {entry}");
    let url = entry["content"][0]["attachment"]["url"].as_str().context("the entry says where")?;
    let document = world.wire.get(url).await?;
    ensure!(document.status == 200 && &document.body[..] == b"published", "the document comes back");
    Ok(())
}

async fn replaces(world: &World) -> Result<()> {
    let first = post(world, "DocumentReference", &document(world, "first"), &[]).await?.expect(201)?;
    let id = first["id"].as_str().context("it has an id")?;
    let mut second = document(world, "second");
    let target = json!({ "reference": format!("DocumentReference/{id}") });
    second["relatesTo"] = json!([{ "code": "replaces", "target": target }]);
    post(world, "DocumentReference", &second, &[]).await?.expect(201)?;
    let old = world.reference(id).await?;
    ensure!(old["status"] == "superseded", "the replaced document is superseded: {}", old["status"]);
    Ok(())
}

async fn forbidden(world: &World) -> Result<()> {
    for (pointer, value) in [
        ("/content/0/attachment/url", json!("http://elsewhere.example/1")),
        ("/status", json!("superseded")),
        ("/content/0/attachment/hash", json!(Document::new("other").sha1_base64())),
    ] {
        let mut document = document(world, "refused");
        let (parent, name) = pointer.rsplit_once('/').context("a pointer")?;
        document.pointer_mut(parent).context("the parent is there")?[name] = value;
        let answer = post(world, "DocumentReference", &document, &[]).await?;
        let issues = answer.refused(&[400, 422], &[])?;
        let named = issues.iter().any(|issue| issue.expressions.iter().any(|at| at.ends_with(name)));
        ensure!(named, "the outcome points at {name}: {}", answer.excerpt());
    }
    Ok(())
}

async fn prefer(world: &World) -> Result<()> {
    let answer =
        post(world, "DocumentReference", &document(world, "x"), &[("Prefer", "return=minimal")]).await?;
    ensure!(answer.status == 201 && answer.body.is_empty(), "nothing but the head: {}", answer.excerpt());
    ensure!(answer.header("location").is_some(), "the head says where it is");
    Ok(())
}

async fn idempotency(world: &World) -> Result<()> {
    let key = urn_oid();
    let named = [("Idempotency-Key", key.as_str())];
    let body = document(world, "once");
    let first = post(world, "DocumentReference", &body, &named).await?;
    let again = post(world, "DocumentReference", &body, &named).await?;
    ensure!(first.status == 201 && again.status == 201, "both are answered 201");
    ensure!(first.header("location") == again.header("location"), "it is one document");
    ensure!(again.header("idempotency-replayed").is_some(), "the second answer says it is the first");
    let other = post(world, "DocumentReference", &document(world, "other"), &named).await?;
    other.refused(&[422], &[]).map(drop)
}

async fn generate(world: &World) -> Result<()> {
    use base64::Engine as _;
    let (system, value) = (world.p1.system.as_str(), world.p1.value.as_str());
    let root = system.trim_start_matches("urn:oid:");
    let id = urn_oid().replace("urn:oid:", "");
    let cda = format!(
        "<ClinicalDocument xmlns=\"urn:hl7-org:v3\"><id root=\"{id}\"/>\
         <code code=\"34133-9\" codeSystem=\"2.16.840.1.113883.6.1\"/><title>T</title>\
         <effectiveTime value=\"20240207142817+0100\"/><recordTarget><patientRole>\
         <id root=\"{root}\" extension=\"{value}\"/></patientRole></recordTarget>\
         <component><structuredBody/></component></ClinicalDocument>"
    );
    let data = base64::engine::general_purpose::STANDARD.encode(&cda);
    let binary = json!({ "resourceType": "Binary", "contentType": "text/xml", "data": data });
    let body =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "document", "resource": binary }] });
    let told = post(world, "DocumentReference/$generate-metadata", &body, &[]).await?.expect(200)?;
    let place = told["parameter"][0]["valueReference"]["reference"].as_str().context("a reference")?;
    let entry = world.wire.get(place).await?.expect(200)?;
    ensure!(entry["type"]["coding"][0]["code"] == "34133-9", "the type is that of the document: {entry}");
    ensure!(entry["content"][0]["attachment"]["creation"] == "2024-02-07T13:28:17Z", "{entry}");
    Ok(())
}

async fn not_understood(world: &World) -> Result<()> {
    let binary = json!({ "resourceType": "Binary", "contentType": "application/pdf", "data": "JVBERg==" });
    let body =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "document", "resource": binary }] });
    let answer = post(world, "DocumentReference/$generate-metadata", &body, &[]).await?;
    answer.refused(&[422], &["not-supported"]).map(drop)
}

async fn validate(world: &World) -> Result<()> {
    let bundle = world.b65().bundle();
    let told = post(world, "Bundle/$validate", &bundle, &[]).await?.expect(200)?;
    ensure!(told["issue"][0]["severity"] == "information", "it would be stored: {told}");
    // Had it been stored, this would be a repetition.
    let answer = world.provide(&bundle).await?;
    answer.expect(200)?;
    let mut unknown = world.b65().bundle();
    unknown["entry"][1]["resource"]["relatesTo"] = json!([{ "code": "replaces",
        "target": { "reference": "DocumentReference/00000000-0000-4000-8000-000000000000" } }]);
    let told = post(world, "Bundle/$validate", &unknown, &[]).await?.expect(200)?;
    ensure!(told["issue"][0]["severity"] == "error", "what the registry refuses is told: {told}");
    Ok(())
}
