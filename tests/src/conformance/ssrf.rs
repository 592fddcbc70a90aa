//! Addresses in a request that the server must never go to, and never give on.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use testkit::{Document, Provide};

use super::world::{World, created, encode};
use super::{Case, case};
use crate::canary::Canary;
use crate::region::Actor;
use crate::wire::FHIR_JSON;

const REFUSED: [u16; 2] = [400, 422];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("ssrf-01", cloud_metadata),
        case!("ssrf-02", attachment_on_a_canary),
        case!("ssrf-03", file_url),
        case!("ssrf-05", patient_on_a_canary),
        case!("ssrf-08", poisoned_host),
    ]
}

async fn cloud_metadata(world: &World) -> Result<()> {
    let bundle = elsewhere(world, "http://169.254.169.254/latest/meta-data/");
    world
        .refuses(&bundle, &REFUSED, &["not-supported", "required", "forbidden", "not-found"], &[])
        .await
        .map(drop)
}

async fn attachment_on_a_canary(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let bundle = elsewhere(world, &format!("{}/x", canary.url()));
    world.refuses(&bundle, &REFUSED, &[], &[]).await?;
    untouched(&canary)
}

async fn file_url(world: &World) -> Result<()> {
    let bundle = elsewhere(world, "file:///etc/passwd");
    let codes = ["value", "not-supported", "required", "not-found"];
    let answer = world.refuses(&bundle, &REFUSED, &codes, &[]).await?;
    ensure!(!answer.excerpt().contains("root:"), "no content of the file comes back");
    Ok(())
}

async fn patient_on_a_canary(world: &World) -> Result<()> {
    let canary = Canary::listen().await?;
    let bundle = Provide::new(&format!("{}/Patient/1", canary.url())).bundle();
    let codes = ["not-found", "not-supported"];
    world.refuses(&bundle, &REFUSED, &codes, &["XDSUnknownPatientId"]).await?;
    untouched(&canary)
}

async fn poisoned_host(world: &World) -> Result<()> {
    let bundle = world.b65().bundle();
    let request = world.wire.request(reqwest::Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Host", "evil.test").header("X-Forwarded-Host", "evil2.test");
    let request = request.header("Forwarded", "host=evil2.test").header("Content-Type", FHIR_JSON);
    let answer = world.wire.send(request.body(bundle.to_string())).await?;
    ensure!([200, 400, 421].contains(&answer.status), "answered {}: {}", answer.status, answer.excerpt());
    clean(&answer.excerpt())?;
    if answer.status != 200 {
        return Ok(());
    }
    for id in created(&answer, "DocumentReference")? {
        clean(&world.reference(&id).await?.to_string())?;
    }
    for query in ["DocumentReference", "List"] {
        let url = world.url(Actor::Registry, &format!("{query}?patient={}", encode(&world.p1.reference)));
        let request = world.wire.request(reqwest::Method::GET, &url);
        let request = request.header("Host", "evil.test").header("X-Forwarded-Host", "evil2.test");
        let found = world.wire.send(request).await?;
        clean(&String::from_utf8_lossy(&found.body))?;
    }
    Ok(())
}

fn clean(text: &str) -> Result<()> {
    ensure!(
        !text.contains("evil.test") && !text.contains("evil2.test"),
        "no URL names the caller's host: {text}"
    );
    Ok(())
}

fn elsewhere(world: &World, url: &str) -> Value {
    let mut document = Document::new("x").elsewhere(url);
    document.measured = false;
    let mut bundle = world.b65().only(document).bundle();
    bundle["entry"][1]["resource"]["content"][0]["attachment"]["url"] = json!(url);
    bundle
}

fn untouched(canary: &Canary) -> Result<()> {
    ensure!(canary.seen() == 0, "nobody connects to the address in the request");
    Ok(())
}
