//! A repository inside the test, between a fake registry and a fake identity source.

mod foreign;
mod http;
mod identity;
mod registry;
pub(crate) mod xds;

use std::sync::Arc;

use actor::{Actor, Clock, Corridor, House};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use repository::{Repository, Settings};
use serde_json::Value;
use store::Store;
use web::{Answer, AnswerBody, Body, BodySource, Params, Request};

pub(crate) use foreign::{Fate, ForeignRegistry};
pub(crate) use identity::FakeIdentity;
pub(crate) use registry::{FakeRegistry, Step, outcome};

/// The base the repository is spoken to under.
pub(crate) const BASE: &str = "http://repository.example/fhir";

pub(crate) struct World {
    pub(crate) repository: Arc<Repository>,
    pub(crate) store: Store,
    pub(crate) registry: FakeRegistry,
    pub(crate) identity: FakeIdentity,
    pub(crate) settings: Settings,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Result<Vec<u8>, String>,
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.as_ref().map(|body| String::from_utf8_lossy(body).into_owned());
        write!(f, "{} {:?} {body:?}", self.status, self.headers)
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }
    pub(crate) fn bytes(&self) -> &[u8] {
        self.body.as_ref().unwrap()
    }
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
    pub(crate) fn replayed(&self) -> bool {
        self.header("idempotency-replayed") == Some("true")
    }
    /// `response.location` of every entry.
    pub(crate) fn locations(&self) -> Vec<String> {
        let bundle = self.json();
        let entries = bundle["entry"].as_array().expect("a transaction-response has entries");
        entries.iter().map(|entry| entry["response"]["location"].as_str().unwrap().to_owned()).collect()
    }
    /// Path of the document that was submitted as this entry.
    pub(crate) fn document(&self, entry: usize) -> String {
        let location = &self.locations()[entry];
        let id = location.strip_prefix(&format!("{BASE}/Binary/")).expect("the entry is a Binary");
        format!("/documents/{}", id.strip_suffix("/_history/1").unwrap())
    }
}

impl World {
    pub(crate) async fn new() -> World {
        World::with(Store::memory(), |_| {}).await
    }

    pub(crate) async fn with(store: Store, change: impl FnOnce(&mut Settings)) -> World {
        let registry = FakeRegistry::start().await;
        let identity = FakeIdentity::start().await;
        let mut settings = Settings::default();
        settings.registry.url = format!("{}/fhir", registry.host);
        settings.identity.url = format!("{}/fhir", identity.host);
        settings.submission.deadline_ms = 2_000;
        change(&mut settings);
        let repository = build(&store, &settings).await;
        World { repository, store, registry, identity, settings }
    }

    /// A process on the same data, between the same peers or others.
    pub(crate) async fn over(world: &World, settings: Settings) -> World {
        let repository = build(&world.store, &settings).await;
        let (store, registry, identity) =
            (world.store.clone(), world.registry.clone(), world.identity.clone());
        World { repository, store, registry, identity, settings }
    }

    /// What a killed and restarted process has: the store, and nothing else.
    pub(crate) async fn restart(&mut self) {
        self.repository = build(&self.store, &self.settings).await;
    }

    /// Reference of a patient that the registry will know.
    pub(crate) fn patient(&self) -> String {
        format!("{}/fhir/Patient/p1", self.identity.host)
    }

    pub(crate) async fn provide(&self, bundle: &Value) -> Reply {
        self.ask("POST", "/fhir", &[("content-type", "application/fhir+json")], bundle.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.ask("GET", path, headers, "").await
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Reply {
        self.ask_with(method, path, headers, Body::new(Chunked(body.into()))).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Reply {
        let answer = self.answered(method, path, headers, body).await;
        Reply {
            status: answer.status.as_u16(),
            headers: answer
                .headers
                .iter()
                .map(|(name, value)| (name.as_str().to_owned(), value.to_str().unwrap().to_owned()))
                .collect(),
            body: collect(answer.body).await,
        }
    }

    /// The answer as it goes out, its body not read.
    pub(crate) async fn answered(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Body,
    ) -> Answer {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let looked_up = if method == "HEAD" { "GET" } else { method };
        let (route, params) = Repository::routes()
            .iter()
            .filter(|route| route.method == looked_up)
            .find_map(|route| Some((route, fits(route.path, path)?)))
            .unwrap_or_else(|| panic!("no route for {method} {path}"));
        let mut request = Request {
            method: method.parse().unwrap(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .collect::<::http::HeaderMap>(),
            peer: "127.0.0.1:9".parse().unwrap(),
            id: "request-1".to_owned(),
            trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
            base: BASE.to_owned(),
            params,
            transaction: None,
            body,
        };
        (route.serve)(&self.repository, &mut request).await
    }

    /// One round of settling, as the background task does it.
    pub(crate) async fn settle(&self) {
        self.repository.settle_now().await.unwrap();
    }

    /// How many documents are kept.
    pub(crate) fn documents(&self) -> u64 {
        self.store.health().documents
    }
}

/// The limits of requests; `DOCSHARE_TEST_MIB` raises those of a document.
fn limits() -> web::Limits {
    let limits = web::Limits::default();
    let mebibytes = std::env::var("DOCSHARE_TEST_MIB").ok().and_then(|text| text.parse::<u64>().ok());
    match mebibytes {
        Some(mebibytes) => {
            let most = (mebibytes + 1) << 20;
            web::Limits { max_document_bytes: most, max_submission_bytes: most, ..limits }
        }
        None => limits,
    }
}

async fn build(store: &Store, settings: &Settings) -> Arc<Repository> {
    let clock = Clock::wall(store.last_instant());
    let (keep, stopping) = tokio::sync::watch::channel(false);
    std::mem::forget(keep);
    let house = House {
        settings: settings.clone(),
        corridor: Corridor {
            policy: access::Policy::LocalDevelopment,
            store: store.clone(),
            clock: clock.clone(),
        },
        clock,
        limits: limits(),
        public_url: None,
        time_zone: jiff::tz::TimeZone::UTC,
        secret: [7; 32],
        stopping,
        carrier: None,
        doors: actor::Doors::default(),
    };
    Arc::new(Repository::build(house).await.unwrap())
}

fn fits(pattern: &str, path: &str) -> Option<Params> {
    let (pattern, path): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
    if pattern.len() != path.len() {
        return None;
    }
    let mut params = Params::default();
    for (pattern, part) in pattern.iter().zip(path) {
        match pattern.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => params.0.push((name.to_owned(), part.to_owned())),
            None if *pattern == part => {}
            None => return None,
        }
    }
    Some(params)
}

async fn collect(body: AnswerBody) -> Result<Vec<u8>, String> {
    match body {
        AnswerBody::Empty => Ok(Vec::new()),
        AnswerBody::Bytes(bytes) => Ok(bytes.to_vec()),
        AnswerBody::Parts(parts) => Ok(parts.concat()),
        AnswerBody::Stream { mut stream, .. } => {
            let mut all = Vec::new();
            while let Some(chunk) = stream.next().await {
                all.extend_from_slice(&chunk.map_err(|error| error.to_string())?);
            }
            Ok(all)
        }
    }
}

/// A body that comes in pieces, as from a socket.
struct Chunked(Bytes);

impl BodySource for Chunked {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        let chunk = self.0.split_to(self.0.len().min(10_000));
        Box::pin(async move { (!chunk.is_empty()).then_some(Ok(chunk)) })
    }
    fn declared(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}
