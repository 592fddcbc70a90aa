//! Bodies larger than any limit (ITI-65).

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use flate2::{Compress, Compression, Crc, FlushCompress};
use reqwest::Method;
use serde_json::json;

use super::world::World;
use super::{Case, case};
use crate::region::Actor;
use crate::wire::FHIR_JSON;
use crate::{process, raw};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("json-15", too_many_entries),
        case!("json-16", declared_too_large),
        case!("json-21", gzip_bomb),
        case!("json-22", string_too_long),
    ]
}

async fn too_many_entries(world: &World) -> Result<()> {
    let mut bundle = world.b65().bundle();
    let template = bundle["entry"][1].clone();
    let entries = bundle["entry"].as_array_mut().context("a bundle has entries")?;
    while entries.len() <= world.subject.max_entries {
        let mut entry = template.clone();
        entry["fullUrl"] = json!(testkit::urn_uuid());
        entry["resource"]["masterIdentifier"]["value"] = json!(testkit::urn_oid());
        entry["resource"]["contained"] = json!([]);
        entries.push(entry);
    }
    let answer = world.refuses(&bundle, &[413], &["too-costly", "too-long"], &[]).await?;
    ensure!(answer.took < Duration::from_secs(5), "the answer took {:?}", answer.took);
    Ok(())
}

async fn declared_too_large(world: &World) -> Result<()> {
    // base64 is a third longer than the documents, and the metadata comes on top: beyond this nothing can be right.
    let declared = world.subject.max_submission_bytes * 2 + world.subject.max_body_bytes;
    let host = raw::authority(world.subject.base(Actor::Repository))?;
    let head = format!(
        "POST /fhir HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FHIR_JSON}\r\nContent-Length: {declared}\r\n\r\n"
    );
    let base = world.subject.base(Actor::Repository);
    let exchange = raw::exchange(base, head.as_bytes(), Duration::from_secs(3)).await?;
    ensure!(exchange.status() == Some(413), "answered 413 before the body, got: {}", exchange.text());
    ensure!(exchange.text().contains("OperationOutcome"), "the answer carries an OperationOutcome");
    ensure!(exchange.closed, "the connection is closed");
    ensure!(exchange.took < Duration::from_secs(1), "the answer took {:?}", exchange.took);
    Ok(())
}

async fn gzip_bomb(world: &World) -> Result<()> {
    let before = world.census().await?;
    let pid =
        world.subject.pids().into_iter().find(|(actor, _)| *actor == Actor::Repository).map(|(_, pid)| pid);
    let resident = pid.and_then(process::resident_kib);
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Content-Type", FHIR_JSON).header("Content-Encoding", "gzip");
    let answer = match world.wire.send(request.body(bomb()?)).await {
        Ok(answer) => answer,
        // The server may answer and close while the client is still sending: then the client sees a reset.
        Err(error) => {
            let host = raw::authority(world.subject.base(Actor::Repository))?;
            let body = bomb()?;
            let mut bytes = format!(
                "POST /fhir HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FHIR_JSON}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .into_bytes();
            bytes.extend(body);
            let exchange =
                raw::exchange(world.subject.base(Actor::Repository), &bytes, Duration::from_secs(3)).await?;
            ensure!(
                exchange.status().is_none_or(|status| status == 413),
                "{error:#}; then {}",
                exchange.text()
            );
            return world.nothing_stored(&before, &serde_json::Value::Null).await;
        }
    };
    answer.refused(&[413], &["too-long"])?;
    ensure!(answer.took < Duration::from_secs(10), "the answer took {:?}", answer.took);
    if let (Some(pid), Some(resident), true) = (pid, resident, world.subject.bars()) {
        let grown = process::peak_kib(pid).unwrap_or_default().saturating_sub(resident);
        ensure!(grown < 64 << 10, "resident memory grew by {grown} KiB");
    }
    world.nothing_stored(&before, &serde_json::Value::Null).await
}

/// The gzip of `{"a":"` and 10 GiB of spaces: one compressed block of 64 MiB, repeated.
fn bomb() -> Result<Vec<u8>> {
    let spaces = vec![b' '; 64 << 20];
    let mut block = Vec::with_capacity(1 << 20);
    Compress::new(Compression::best(), false).compress_vec(&spaces, &mut block, FlushCompress::Full)?;
    let mut opening = Vec::with_capacity(64);
    Compress::new(Compression::fast(), false).compress_vec(
        b"{\"a\":\"",
        &mut opening,
        FlushCompress::Full,
    )?;
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    bomb.write_all(&opening)?;
    for _ in 0..160 {
        bomb.write_all(&block)?;
    }
    // An empty last block; the checksum is wrong, which nobody should ever come to see.
    bomb.write_all(&[3, 0])?;
    bomb.write_all(&Crc::new().sum().to_le_bytes())?;
    bomb.write_all(&[0; 4])?;
    Ok(bomb)
}

async fn string_too_long(world: &World) -> Result<()> {
    let bundle =
        super::json::changed(world, |reference| reference["description"] = json!("a".repeat(10 << 20)));
    world.refuses(&bundle, &[400, 413, 422], &["too-long"], &[]).await.map(drop)
}
