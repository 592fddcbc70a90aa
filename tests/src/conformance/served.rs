//! What retrieval gives out, and what it never does (ITI-68).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::json;
use testkit::{Document, oid};

use super::world::{World, created, text};
use super::{Case, case, skip};
use crate::region::Actor;
use crate::wire::FHIR_JSON;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("served-01", unknown_ids),
        case!("served-02", html_with_script),
        case!("served-03", title_with_header_injection),
        case!("served-04", damaged_file),
        case!("served-04-journal", damaged_journal),
        case!("served-05", upload_without_context),
        case!("served-ranges", parts_of_a_document),
        case!("served-binary", binary_in_two_forms),
    ]
}

async fn unknown_ids(world: &World) -> Result<()> {
    let host = world.subject.host(Actor::Repository)?;
    let mut answers = Vec::new();
    for id in ["0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"] {
        let answer = world.wire.get(&format!("{host}/documents/{id}")).await?;
        ensure!(answer.status == 404, "an unknown document is 404, got {}", answer.status);
        answers.push(String::from_utf8_lossy(&answer.body).len());
    }
    ensure!(answers[0] == answers[1], "unknown documents are all answered alike");
    for id in ["x%20y", "..%2f..%2fetc", "zz"] {
        let answer = world.wire.get(&format!("{host}/documents/{id}")).await?;
        ensure!([400, 404].contains(&answer.status), "a malformed id is 400 or 404, got {}", answer.status);
    }
    Ok(())
}

async fn html_with_script(world: &World) -> Result<()> {
    let html = "<html><body><script>alert(1)</script></body></html>";
    let stored = world.stored(world.b65().only(Document::new(html).content_type("text/html"))).await?;
    let answer = world.wire.get(&stored.url).await?;
    ensure!(answer.status == 200 && answer.body[..] == *html.as_bytes(), "the bytes come back");
    let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
    ensure!(header("Content-Disposition").starts_with("attachment"), "HTML is never shown inline");
    ensure!(header("X-Content-Type-Options") == "nosniff", "the type is not guessed");
    let policy = header("Content-Security-Policy");
    ensure!(
        policy.contains("sandbox") && policy.contains("default-src 'none'"),
        "scripts do not run: {policy:?}"
    );
    Ok(())
}

async fn title_with_header_injection(world: &World) -> Result<()> {
    for title in ["a\r\nSet-Cookie: x=y.pdf".to_owned(), "\"".repeat(4 << 10)] {
        let document = Document::new("titled").title(&title).content_type("application/pdf");
        let provide = world.b65().only(document);
        if title.len() > 128 {
            // Too long for any title; a recipient that says so at once has nothing to inject later.
            let answer = world.provide(&provide.bundle()).await?;
            if answer.status != 200 {
                let issues = answer.refused(&[400, 422], &[])?;
                ensure!(issues[0].expressions.iter().any(|at| at.contains("title")), "{}", answer.excerpt());
                continue;
            }
        }
        let stored = world.stored(provide).await?;
        let given = text(&stored.resource["content"][0]["attachment"]["title"]);
        ensure!(given == title, "the title is stored unchanged, got {given:?}");
        let answer = world.wire.get(&stored.url).await?;
        ensure!(answer.status == 200, "the document is retrieved: {}", answer.status);
        ensure!(answer.header("Set-Cookie").is_none(), "no header is injected");
        let disposition =
            answer.header("Content-Disposition").context("Content-Disposition is there and well-formed")?;
        ensure!(disposition.len() < 2000, "the file name is cut: {} bytes", disposition.len());
        ensure!(disposition.starts_with("inline") || disposition.starts_with("attachment"), "{disposition}");
    }
    Ok(())
}

async fn damaged_file(world: &World) -> Result<()> {
    let Some(data) = world.subject.data(Actor::Repository) else {
        return Err(skip("the data folder is not ours"));
    };
    let bytes: Vec<u8> = oid().into_bytes().into_iter().cycle().take(3 << 20).collect();
    let stored = world
        .stored(world.b65().only(Document::new(&bytes).content_type("application/octet-stream")))
        .await?;
    let needle = &bytes[..40];
    damage(&data, needle)?;
    never_wrong_bytes(world, &stored.url).await
}

async fn damaged_journal(world: &World) -> Result<()> {
    let Some(data) = world.subject.data(Actor::Repository) else {
        return Err(skip("the data folder is not ours"));
    };
    let bytes = format!("soon to be damaged {}", oid());
    let stored = world.stored(world.b65().only(Document::new(&bytes))).await?;
    damage(&data, bytes.as_bytes())?;
    never_wrong_bytes(world, &stored.url).await
}

async fn never_wrong_bytes(world: &World, url: &str) -> Result<()> {
    world.wire.tolerate(&[500, 503]);
    let before = failures(world).await;
    // A transfer that is broken off is as good.
    if let Ok(answer) = world.wire.get(url).await {
        ensure!([500, 503].contains(&answer.status), "damaged bytes are not served: {}", answer.status);
    }
    if let (Some(before), Some(after)) = (before, failures(world).await) {
        ensure!(after > before, "the metric of integrity failures is raised");
    }
    Ok(())
}

/// `docshare_integrity_failures_total` of the repository, if its metrics can be read.
async fn failures(world: &World) -> Option<f64> {
    let metrics = world.metrics(Actor::Repository).await?;
    let lines = metrics.lines().filter(|line| line.starts_with("docshare_integrity_failures_total"));
    Some(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// Flips one bit of every place below a folder where these bytes stand.
fn damage(folder: &Path, needle: &[u8]) -> Result<()> {
    let mut damaged = 0;
    for path in below(folder) {
        let mut bytes = fs::read(&path).unwrap_or_default();
        let Some(at) = bytes.windows(needle.len()).position(|window| window == needle) else { continue };
        bytes[at + 3] ^= 1;
        let file = fs::OpenOptions::new().write(true).open(&path).context("opening a file to damage it")?;
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes[at + 3..at + 4], u64::try_from(at + 3)?)?;
        damaged += 1;
    }
    ensure!(damaged > 0, "the bytes are found on disk");
    Ok(())
}

fn below(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { paths.extend(below(&path)) } else { paths.push(path) }
    }
    paths
}

async fn upload_without_context(world: &World) -> Result<()> {
    let binary = json!({ "resourceType": "Binary", "contentType": "text/plain", "data": "SGVsbG8=" });
    let answer = world.wire.post(&world.url(Actor::Repository, "Binary"), &binary).await?;
    if [404, 405].contains(&answer.status) {
        return Err(skip("staged uploads are not offered yet"));
    }
    answer.refused(&[400, 422], &["required", "security"]).map(drop)
}

async fn parts_of_a_document(world: &World) -> Result<()> {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| u8::try_from(n % 253).unwrap_or_default()).collect();
    let stored = world
        .stored(world.b65().only(Document::new(&bytes).content_type("application/octet-stream")))
        .await?;
    let get = |range: &'static str| {
        world.wire.send(world.wire.request(Method::GET, &stored.url).header("Range", range))
    };
    let part = get("bytes=1000-1999").await?;
    ensure!(part.status == 206 && part.body[..] == bytes[1000..2000], "a range: {}", part.status);
    ensure!(part.header("Content-Range") == Some("bytes 1000-1999/200000"), "Content-Range");
    let tail = get("bytes=-10").await?;
    ensure!(
        tail.status == 206 && tail.body[..] == bytes[bytes.len() - 10..],
        "a suffix range: {}",
        tail.status
    );
    ensure!(get("bytes=200000-").await?.status == 416, "beyond the end is 416");
    let whole = world.wire.get(&stored.url).await?;
    ensure!(whole.header("Accept-Ranges") == Some("bytes"), "Accept-Ranges");
    let digest = whole.header("Repr-Digest").unwrap_or_default().to_owned();
    ensure!(digest.starts_with("sha-256=:"), "Repr-Digest: {digest:?}");
    let tag = whole.header("ETag").context("an ETag")?.to_owned();
    ensure!(tag.starts_with('"'), "the ETag is strong: {tag}");
    let request = world.wire.request(Method::GET, &stored.url).header("If-None-Match", &tag);
    ensure!(world.wire.send(request).await?.status == 304, "the same ETag is 304");
    let head = world.wire.send(world.wire.request(Method::HEAD, &stored.url)).await?;
    ensure!(head.status == 200 && head.body.is_empty(), "HEAD has no body");
    ensure!(head.header("Content-Length") == Some("200000"), "HEAD tells the length");
    let request = world.wire.request(Method::GET, &stored.url).header("Accept", "image/png");
    ensure!(world.wire.send(request).await?.status == 406, "another type is 406");
    Ok(())
}

async fn binary_in_two_forms(world: &World) -> Result<()> {
    let provide = world.b65();
    let answer = world.provide(&provide.bundle()).await?;
    answer.expect(200)?;
    let id = created(&answer, "Binary")?.into_iter().next().context("the Binary has a location")?;
    let url = world.url(Actor::Repository, &format!("Binary/{id}"));
    let raw = world.wire.get(&url).await?;
    ensure!(
        raw.status == 200 && raw.body[..] == provide.documents[0].bytes[..],
        "the raw bytes: {}",
        raw.status
    );
    let wrapped = world
        .wire
        .send(world.wire.request(Method::GET, &url).header("Accept", FHIR_JSON))
        .await?
        .expect(200)?;
    ensure!(
        wrapped["resourceType"] == "Binary" && wrapped["data"] == "SGVsbG8gV29ybGQ=",
        "the resource: {wrapped}"
    );
    Ok(())
}
