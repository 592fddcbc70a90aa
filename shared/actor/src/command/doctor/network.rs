//! Ports and peers: are they free or ours, do they answer, do their clocks agree.

use std::net::{SocketAddr, TcpListener};

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use web::{Peer, PeerAnswer, PeerSettings};

use crate::clock::Clock;
use crate::command::doctor::Check;
use crate::command::{PORT, Stop};
use crate::config::Loaded;
use crate::run::{Actor, Door};
use crate::settings::Settings;

/// Clocks may differ by so many seconds: what tokens are judged by.
const SKEW: i64 = 60;

pub(super) fn checks<A: Actor>(loaded: &Loaded<A::Settings>) -> Result<Vec<Check>, Stop> {
    let unable = |error: std::io::Error| Stop { code: PORT, words: format!("cannot ask: {error}") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unable)?;
    runtime.block_on(async {
        let mut checks = ports::<A>(&loaded.house, &A::doors(&loaded.own)).await;
        for (name, settings) in A::peers(&loaded.own) {
            checks.push(peer(name, settings).await);
        }
        Ok(checks)
    })
}

/// The ports are free, or the actor itself listens.
async fn ports<A: Actor>(house: &Settings, doors: &[Door]) -> Vec<Check> {
    let taken = |address: SocketAddr| TcpListener::bind(address).err();
    let admin = house.admin.listen;
    let running = match taken(admin) {
        Some(_) => ask("admin", format!("http://{admin}"), "/version").await.ok(),
        None => None,
    };
    let ours = running.as_ref().is_some_and(|answer| {
        serde_json::from_slice::<Value>(&answer.body).is_ok_and(|version| version["actor"] == A::NAME)
    });
    let mut checks: Vec<Check> = [("server.listen", house.server.listen), ("admin.listen", admin)]
        .into_iter()
        .chain(doors.iter().map(|door| (door.key, door.address)))
        .map(|(key, address)| match taken(address) {
            None => Check::ok(key, format!("{address} is free: the actor does not run")),
            Some(_) if ours => Check::ok(key, format!("{address}: the running actor")),
            Some(error) => Check::fail(
                key,
                format!("{address}: {error}, and it is not this actor that answers"),
                "end what listens there, or change the address",
            ),
        })
        .collect();
    if ours {
        checks.push(readiness(admin).await);
    }
    checks
}

/// What the running actor says of itself.
async fn readiness(admin: SocketAddr) -> Check {
    const NAME: &str = "running-actor";
    let advice = "see its log; docs and runbooks say what to do";
    let Ok(answer) = ask("admin", format!("http://{admin}"), "/readyz?verbose").await else {
        return Check::fail(NAME, "does not say whether it is ready", advice);
    };
    let told: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let checks = told["checks"].as_array().cloned().unwrap_or_default();
    let open: Vec<String> = checks
        .iter()
        .filter(|check| check["ok"] != true)
        .map(|check| {
            format!("{}: {}", check["name"].as_str().unwrap_or("?"), check["text"].as_str().unwrap_or("?"))
        })
        .collect();
    if answer.status == 200 {
        Check::ok(NAME, "ready")
    } else {
        Check::fail(NAME, format!("not ready: {}", open.join("; ")), advice)
    }
}

async fn peer(name: &'static str, settings: PeerSettings) -> Check {
    let url = settings.url.clone();
    let label = format!("peer-{name}");
    if url.is_empty() {
        return Check::warn(&label, "no URL is configured", format!("set {name}.url"));
    }
    match ask(name, url.trim_end_matches('/').to_owned(), "/metadata").await {
        Err(why) => Check::fail(&label, why, format!("start it, or set {name}.url to where it listens")),
        Ok(answer) if answer.status != 200 => Check::fail(
            &label,
            format!("{url} answers /metadata with {}", answer.status),
            format!("set {name}.url to its FHIR base"),
        ),
        Ok(answer) => match skew(&answer) {
            Some(seconds) if seconds.abs() > SKEW => Check::warn(
                &label,
                format!("{url} answers; its clock is {seconds} s off ours"),
                "let both machines keep time (NTP)",
            ),
            _ => Check::ok(&label, format!("{url} answers{}", incarnation(&answer))),
        },
    }
}

/// Seconds the peer's clock is ahead.
fn skew(answer: &PeerAnswer) -> Option<i64> {
    let date = answer.headers.get(http::header::DATE)?.to_str().ok()?;
    let theirs = jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second();
    Some(theirs - Clock::wall(0).now() / 1_000_000)
}

fn incarnation(answer: &PeerAnswer) -> String {
    let told = answer.headers.get("docshare-incarnation").and_then(|value| value.to_str().ok());
    told.map_or_else(String::new, |told| format!(", incarnation {told}"))
}

async fn ask(name: &'static str, url: String, path: &str) -> Result<PeerAnswer, String> {
    let settings = PeerSettings { url, timeout_ms: 5_000, ..PeerSettings::default() };
    let peer = Peer::new(name, settings);
    peer.send(Method::GET, path, &[], Bytes::new()).await.map_err(|error| error.to_string())
}
