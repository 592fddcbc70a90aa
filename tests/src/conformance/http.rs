//! Requests that are no proper HTTP, or too slow, or of the wrong kind: at every actor.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::world::World;
use super::{Case, case};
use crate::raw::{self, Exchange};
use crate::region::Actor;
use crate::wire::FHIR_JSON;

/// After this much silence an exchange counts as ended.
const SILENCE: Duration = Duration::from_secs(1);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!("http-01", length_and_chunked),
        case!("http-02", two_lengths),
        case!("http-03", obfuscated_chunked),
        case!("http-04", chunk_size_overflow),
        case!("http-05", no_host),
        case!("http-06", two_hosts),
        case!("http-07", head_too_large),
        case!("http-08", too_many_headers),
        case!("http-09", rubbish_in_a_header),
        case!("http-10", slow_heads),
        case!("http-11", slow_bodies),
        case!("http-12", odd_methods),
        case!("http-13", encoded_traversal),
        case!("http-15", many_ranges),
        case!("http-17", unsupported_content_type),
        case!("http-18", cross_site_form),
        case!("http-metadata", capability_statements),
    ]
}

/// Sends the same request to every actor; `{host}` becomes its authority.
async fn everywhere(world: &World, request: &str) -> Result<Vec<(Actor, Exchange)>> {
    everywhere_bytes(world, |host| request.replace("{host}", host).into_bytes()).await
}

async fn everywhere_bytes(
    world: &World,
    request: impl Fn(&str) -> Vec<u8>,
) -> Result<Vec<(Actor, Exchange)>> {
    let all = Actor::ALL.map(|actor| {
        let base = world.subject.base(actor);
        let bytes = raw::authority(base).map(|host| request(&host));
        async move { Ok((actor, raw::exchange(base, &bytes?, SILENCE).await?)) }
    });
    join_all(all).await.into_iter().collect()
}

/// One answer with one of these statuses, then the connection is closed.
fn refused_and_closed(exchanges: &[(Actor, Exchange)], statuses: &[u16]) -> Result<()> {
    for (actor, exchange) in exchanges {
        let all = exchange.statuses();
        ensure!(all.len() == 1, "{}: exactly one answer, got {all:?}: {}", actor.name(), exchange.text());
        ensure!(
            statuses.contains(&all[0]),
            "{}: expected {statuses:?}, got {}",
            actor.name(),
            exchange.text()
        );
        ensure!(exchange.closed, "{}: the connection is closed", actor.name());
    }
    Ok(())
}

async fn length_and_chunked(world: &World) -> Result<()> {
    let request = "POST /fhir HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/fhir+json\r\nContent-Length: 4\r\n\
                   Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: {host}\r\n\r\n";
    for (actor, exchange) in everywhere(world, request).await? {
        ensure!(exchange.statuses().len() == 1, "{}: one answer only: {}", actor.name(), exchange.text());
        ensure!(exchange.closed, "{}: the connection is closed", actor.name());
        if let Some(log) = world.subject.log(actor) {
            ensure!(!log.contains("/smuggled"), "{}: the smuggled request was never handled", actor.name());
        }
    }
    Ok(())
}

async fn two_lengths(world: &World) -> Result<()> {
    let request = "POST /fhir HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
    refused_and_closed(&everywhere(world, request).await?, &[400])
}

async fn obfuscated_chunked(world: &World) -> Result<()> {
    let coding = [
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding : chunked",
    ];
    for line in coding {
        let request = format!("POST /fhir HTTP/1.1\r\nHost: {{host}}\r\n{line}\r\n\r\n0\r\n\r\n");
        refused_and_closed(&everywhere(world, &request).await?, &[400, 501]).context(line)?;
    }
    Ok(())
}

async fn chunk_size_overflow(world: &World) -> Result<()> {
    let request = "POST /fhir HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/fhir+json\r\n\
                   Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc";
    for (actor, exchange) in everywhere(world, request).await? {
        // An actor that takes no body there answers from the head alone.
        let status = exchange.status();
        ensure!(
            status.is_some_and(|status| (400..500).contains(&status)),
            "{}: {}",
            actor.name(),
            exchange.text()
        );
        ensure!(
            actor != Actor::Repository || status == Some(400),
            "repository: 400, got {}",
            exchange.text()
        );
        ensure!(exchange.closed, "{}: the connection is closed", actor.name());
    }
    Ok(())
}

async fn no_host(world: &World) -> Result<()> {
    let exchanges = everywhere(world, "GET /fhir/metadata HTTP/1.1\r\n\r\n").await?;
    refused(&exchanges, &[400])
}

async fn two_hosts(world: &World) -> Result<()> {
    let exchanges = everywhere(world, "GET /fhir/metadata HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n").await?;
    refused(&exchanges, &[400])
}

async fn head_too_large(world: &World) -> Result<()> {
    let long = "a".repeat(world.subject.max_header_bytes + 1);
    let request = format!("GET /fhir/metadata HTTP/1.1\r\nHost: {{host}}\r\nX-Long: {long}\r\n\r\n");
    refused_and_closed(&everywhere(world, &request).await?, &[431])
}

async fn too_many_headers(world: &World) -> Result<()> {
    let lines: String = (0..200).map(|n| format!("X-{n}: y\r\n")).collect();
    let request = format!("GET /fhir/metadata HTTP/1.1\r\nHost: {{host}}\r\n{lines}\r\n");
    refused_and_closed(&everywhere(world, &request).await?, &[431])
}

async fn rubbish_in_a_header(world: &World) -> Result<()> {
    for rubbish in ["a\0b", "a\rb"] {
        let request = format!("GET /fhir/metadata HTTP/1.1\r\nHost: {{host}}\r\nX-Odd: {rubbish}\r\n\r\n");
        refused_and_closed(&everywhere(world, &request).await?, &[400])
            .with_context(|| format!("{rubbish:?}"))?;
    }
    Ok(())
}

async fn slow_heads(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        let base = world.subject.base(actor);
        let limit = world.subject.header_timeout;
        let drips = (0..200).map(|_| drip_head(base, limit));
        let others = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            let begin = Instant::now();
            let answer = world.wire.get(&world.url(actor, "metadata")).await;
            (answer.map(|answer| answer.status), begin.elapsed())
        };
        let (closed, (others, took)) = tokio::join!(join_all(drips), others);
        for closed in closed {
            let after = closed?;
            ensure!(after < limit * 2 + Duration::from_secs(3), "{}: closed after {after:?}", actor.name());
        }
        // Beyond the connections of one address a well-behaved neighbour may be turned away at once, but not be kept waiting.
        ensure!(
            took < Duration::from_secs(1),
            "{}: others are served within 1 s, took {took:?} ({others:?})",
            actor.name()
        );
    }
    Ok(())
}

/// Sends a head byte by byte; how long until the server closes.
async fn drip_head(base: &str, limit: Duration) -> Result<Duration> {
    let mut stream = TcpStream::connect(raw::authority(base)?).await.context("connecting")?;
    let begin = Instant::now();
    for byte in b"GET /fhir/metadata HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        let exchange = raw::collect(&mut stream, limit / 2).await?;
        if exchange.closed {
            break;
        }
        ensure!(begin.elapsed() < limit * 3 + Duration::from_secs(5), "the connection is never closed");
    }
    Ok(begin.elapsed())
}

async fn slow_bodies(world: &World) -> Result<()> {
    let bundle = world.b65().bundle();
    let before = world.census().await?;
    let body = bundle.to_string();
    let drips = (0..100).map(|_| drip_body(world, &body));
    let others = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let begin = Instant::now();
            let answer = world.wire.get(&world.d1.url).await;
            slowest = slowest.max(begin.elapsed());
            answer?;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        anyhow::Ok(slowest)
    };
    let (ends, slowest) = tokio::join!(join_all(drips), others);
    for end in ends {
        end?;
    }
    ensure!(slowest? < Duration::from_secs(1), "others are served meanwhile");
    world.nothing_stored(&before, &bundle).await
}

async fn drip_body(world: &World, body: &str) -> Result<()> {
    let base = world.subject.base(Actor::Repository);
    let host = raw::authority(base)?;
    let mut stream = TcpStream::connect(&host).await.context("connecting")?;
    let head = format!(
        "POST /fhir HTTP/1.1\r\nHost: {host}\r\nContent-Type: {FHIR_JSON}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.context("sending a head")?;
    let begin = Instant::now();
    for byte in body.as_bytes() {
        if stream.write_all(&[*byte]).await.is_err() {
            return Ok(());
        }
        let exchange = raw::collect(&mut stream, Duration::from_millis(100)).await?;
        if let Some(status) = exchange.status() {
            ensure!([408, 400, 503].contains(&status), "answered {status}: {}", exchange.text());
            return Ok(());
        }
        if exchange.closed {
            return Ok(());
        }
        ensure!(begin.elapsed() < Duration::from_secs(40), "10 bytes a second are taken for ever");
    }
    Ok(())
}

async fn odd_methods(world: &World) -> Result<()> {
    for method in ["TRACE", "PROPFIND", "get"] {
        let request =
            format!("{method} /fhir/metadata HTTP/1.1\r\nHost: {{host}}\r\nX-Marker: echo-me-not\r\n\r\n");
        for (actor, exchange) in everywhere(world, &request).await? {
            let text = exchange.text();
            let allowed = text.to_ascii_lowercase().contains("\r\nallow:");
            let right = matches!(exchange.status(), Some(501)) || (exchange.status() == Some(405) && allowed);
            ensure!(right, "{} {method}: 405 with Allow, or 501, got {text}", actor.name());
            ensure!(!text.contains("echo-me-not"), "{} {method}: headers are not echoed", actor.name());
        }
    }
    Ok(())
}

async fn encoded_traversal(world: &World) -> Result<()> {
    let targets = [
        "/fhir/%2e%2e/%2e%2e/etc/passwd",
        "/fhir/Binary/..%2f..%2fx",
        "/fhir/Binary/%00",
        "/documents/%2e%2e%2f%00",
    ];
    for target in targets {
        let exchanges =
            everywhere(world, &format!("GET {target} HTTP/1.1\r\nHost: {{host}}\r\n\r\n")).await?;
        refused(&exchanges, &[400, 404]).context(target)?;
        ensure!(
            exchanges.iter().all(|(_, exchange)| !exchange.text().contains("root:")),
            "no file is given out"
        );
    }
    Ok(())
}

async fn many_ranges(world: &World) -> Result<()> {
    let ranges = format!("bytes={}0-", "0-,".repeat(1000));
    let request = world.wire.request(Method::GET, &world.d1.url).header("Range", ranges);
    let answer = world.wire.send(request).await?;
    ensure!([200, 400, 416].contains(&answer.status), "answered {}", answer.status);
    ensure!(answer.body.len() <= world.d1.bytes.len() + (10 << 10), "the answer is not multiplied");
    Ok(())
}

async fn unsupported_content_type(world: &World) -> Result<()> {
    typed(world, "text/html", &[415]).await
}

async fn cross_site_form(world: &World) -> Result<()> {
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let request = request.header("Origin", "https://evil.test").header("Content-Type", "text/plain");
    let answer = world.wire.send(request.body(world.b65().bundle().to_string())).await?;
    answer.refused(&[403, 415], &[])?;
    ensure!(answer.header("Access-Control-Allow-Origin").is_none(), "no origin is allowed");
    Ok(())
}

async fn typed(world: &World, content_type: &str, statuses: &[u16]) -> Result<()> {
    let bundle = world.b65().bundle();
    let before = world.census().await?;
    let request = world.wire.request(Method::POST, world.subject.base(Actor::Repository));
    let answer =
        world.wire.send(request.header("Content-Type", content_type).body(bundle.to_string())).await?;
    answer.refused(statuses, &["not-supported"])?;
    world.nothing_stored(&before, &bundle).await
}

async fn capability_statements(world: &World) -> Result<()> {
    for actor in Actor::ALL {
        let answer = world.wire.get(&world.url(actor, "metadata")).await?;
        let statement = answer.expect(200)?;
        ensure!(statement["resourceType"] == "CapabilityStatement", "{}: {}", actor.name(), answer.excerpt());
        ensure!(statement["fhirVersion"] == "4.0.1" && statement["kind"] == "instance", "{}", actor.name());
        let rest = &statement["rest"][0];
        ensure!(rest["mode"] == "server", "{}: rest.mode", actor.name());
        let type_header = answer.header("Content-Type").unwrap_or_default();
        ensure!(type_header.starts_with(FHIR_JSON), "{}: {type_header}", actor.name());
    }
    Ok(())
}

fn refused(exchanges: &[(Actor, Exchange)], statuses: &[u16]) -> Result<()> {
    for (actor, exchange) in exchanges {
        let status = exchange.status();
        ensure!(
            status.is_some_and(|status| statuses.contains(&status)),
            "{}: {}",
            actor.name(),
            exchange.text()
        );
    }
    Ok(())
}
