//! What "accepted" means: the answer is right, everything sent is there again, it is found, and the bytes are equal.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha1::{Digest as _, Sha1};

use super::tree::Comparison;
use super::world::{Person, World, encode, id_of, text};
use crate::answer::Answer;
use crate::region::Actor;

/// Submits a bundle and holds the server to all of it; ids of the documents, in order.
pub(super) async fn accepted(world: &World, bundle: &Value, patient: &Person) -> Result<Vec<String>> {
    let answer = world.provide(bundle).await?;
    held(world, bundle, patient, &answer).await
}

/// Holds the server to a bundle it has answered; ids of the documents, in order.
pub(super) async fn held(
    world: &World,
    bundle: &Value,
    patient: &Person,
    answer: &Answer,
) -> Result<Vec<String>> {
    let entries = entries_of(bundle);
    let locations = response(answer, &entries)?;
    let mut documents = Vec::new();
    for (entry, location) in entries.iter().zip(&locations) {
        let resource = &entry["resource"];
        let id = id_of(location).context("a location names an id")?;
        match resource["resourceType"].as_str() {
            Some("DocumentReference") => {
                document(world, bundle, resource, &id, patient).await?;
                documents.push(id);
            }
            Some("List") => list(world, bundle, resource, &id, patient).await?,
            _ => {}
        }
    }
    Ok(documents)
}

/// One response entry for each of the request, in order, each with a location of its kind.
fn response(answer: &Answer, entries: &[Value]) -> Result<Vec<String>> {
    let response = answer.expect(200)?;
    ensure!(
        response["type"] == "transaction-response",
        "the answer is a transaction-response: {}",
        answer.excerpt()
    );
    let given = entries_of(&response);
    ensure!(
        given.len() == entries.len(),
        "one entry for each of the {}: {}",
        entries.len(),
        answer.excerpt()
    );
    let mut locations = Vec::new();
    for (sent, given) in entries.iter().zip(&given) {
        let (status, location) = (text(&given["response"]["status"]), text(&given["response"]["location"]));
        let kind = match sent["request"]["method"].as_str() {
            Some("PATCH") => "DocumentReference".to_owned(),
            _ => text(&sent["resource"]["resourceType"]),
        };
        ensure!(status.starts_with("201") || status.starts_with("200"), "an entry's status is {status:?}");
        // A document that is itself a Bundle is kept as bytes: where it lies is the server's business.
        let right = kind == "Bundle" || location.contains(&format!("{kind}/"));
        ensure!(right && !location.is_empty(), "the location of a {kind} is {location:?}");
        locations.push(location);
    }
    Ok(locations)
}

async fn document(world: &World, bundle: &Value, sent: &Value, id: &str, patient: &Person) -> Result<()> {
    let given = world.reference(id).await?;
    compare(bundle, sent, &given)?;
    ensure!(given["id"] == *id, "the id is the one of the location");
    ensure!(
        given["subject"]["reference"] == patient.reference,
        "the subject is the patient: {}",
        given["subject"]
    );
    ensure!(
        given["meta"]["versionId"] == "1" && given["meta"]["lastUpdated"].is_string(),
        "version and instant"
    );
    let identifiers = given["identifier"].as_array().into_iter().flatten();
    let own = format!("urn:uuid:{id}");
    ensure!(
        identifiers.into_iter().any(|one| one["value"] == *own),
        "the entryUUID is among the identifiers"
    );
    let unique_id = text(&sent["masterIdentifier"]["value"]);
    let query = format!(
        "DocumentReference?identifier={}&status=current&patient.identifier={}",
        encode(&unique_id),
        patient.token()
    );
    let found = world.search(Actor::Registry, &query).await?;
    let ids: Vec<String> = found.iter().map(|one| text(&one["id"])).collect();
    ensure!(ids == [id], "the document is found by its unique id, found {ids:?}");
    ensure!(found[0] == given, "search and read give the same resource");
    bytes(world, bundle, sent, &given).await
}

async fn bytes(world: &World, bundle: &Value, sent: &Value, given: &Value) -> Result<()> {
    let wanted = text(&sent["content"][0]["attachment"]["url"]);
    let attachment = &given["content"][0]["attachment"];
    let url = text(&attachment["url"]);
    ensure!(url.starts_with("http"), "the attachment has an absolute URL: {url}");
    let source = entries_of(bundle)
        .into_iter()
        .find(|entry| entry["fullUrl"] == *wanted)
        .context("the source of the bytes")?;
    let answer = world.wire.get(&url).await?;
    ensure!(answer.status == 200, "the document is retrieved: {}", answer.status);
    match source["resource"]["resourceType"].as_str() {
        Some("Binary") => {
            let data: String = text(&source["resource"]["data"]).split_whitespace().collect();
            let bytes = STANDARD.decode(data).context("the Binary holds base64")?;
            ensure!(answer.body[..] == bytes[..], "the bytes are equal");
        }
        Some("Bundle") => {
            let document = answer.json().context("a FHIR document is JSON")?;
            ensure!(document == source["resource"], "the FHIR document comes back as it was sent");
        }
        other => bail!("a document comes from {other:?}"),
    }
    let content_type = text(&sent["content"][0]["attachment"]["contentType"]);
    let given_type = answer.header("Content-Type").unwrap_or_default();
    ensure!(given_type.starts_with(&content_type), "the type is {content_type}, got {given_type}");
    ensure!(
        attachment["size"].as_u64() == u64::try_from(answer.body.len()).ok(),
        "the size is filled: {attachment}"
    );
    ensure!(
        attachment["hash"] == STANDARD.encode(Sha1::digest(&answer.body)),
        "the hash is filled: {attachment}"
    );
    Ok(())
}

async fn list(world: &World, bundle: &Value, sent: &Value, id: &str, patient: &Person) -> Result<()> {
    let given = world.wire.get(&world.url(Actor::Registry, &format!("List/{id}"))).await?.expect(200)?;
    compare(bundle, sent, &given)?;
    ensure!(
        given["subject"]["reference"] == patient.reference,
        "the subject is the patient: {}",
        given["subject"]
    );
    let identifiers = sent["identifier"].as_array().into_iter().flatten();
    let unique_id = identifiers.map(|one| text(&one["value"])).find(|value| value.starts_with("urn:oid:"));
    let Some(unique_id) = unique_id else { return Ok(()) };
    let code = text(&sent["code"]["coding"][0]["code"]);
    let query = format!(
        "List?code={code}&identifier={}&status=current&patient.identifier={}",
        encode(&unique_id),
        patient.token()
    );
    let found = world.search(Actor::Registry, &query).await?;
    ensure!(
        found.len() == 1 && found[0] == given,
        "the {code} is found by its unique id, found {}",
        found.len()
    );
    Ok(())
}

fn compare(bundle: &Value, sent: &Value, given: &Value) -> Result<()> {
    let missing = comparison(bundle, sent).missing(sent, given);
    ensure!(missing.is_empty(), "everything sent is given back: {}", missing.join("; "));
    Ok(())
}

fn comparison(bundle: &Value, sent: &Value) -> Comparison {
    let mut symbols: BTreeSet<String> =
        entries_of(bundle).iter().map(|entry| text(&entry["fullUrl"])).collect();
    symbols.insert(text(&sent["subject"]["reference"]));
    symbols.extend(
        sent["relatesTo"].as_array().into_iter().flatten().map(|one| text(&one["target"]["reference"])),
    );
    symbols.remove("");
    let mut ignored = vec!["id", "meta.versionId", "meta.lastUpdated"];
    // The size may be put right where the hash was (a known defect of an official example).
    ignored.push("content.attachment.size");
    // The date of a folder is the time of its last update, which the registry sets.
    if sent["code"]["coding"][0]["code"] == "folder" {
        ignored.push("date");
    }
    Comparison { symbols, ignored }
}

pub(super) fn entries_of(bundle: &Value) -> Vec<Value> {
    bundle["entry"].as_array().cloned().unwrap_or_default()
}
