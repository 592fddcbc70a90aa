//! A configured peer: requests with deadlines, and an honest word about what became of them.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::HeaderMap;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::breaker::Breaker;
use crate::carrier::{Carrier, Letter};
use crate::error::Error;
use crate::send::EXCHANGE;

/// The largest answer of a peer.
const MAX_ANSWER: usize = 16 << 20;
/// Shorter than the time our servers keep an idle connection, so that a request is not sent into one that just closes.
const IDLE: Duration = Duration::from_secs(25);

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// Base URL, e.g. `http://127.0.0.1:8081/fhir`; empty: there is no such peer.
    pub url: String,
    /// Milliseconds to connect; the key is `connect_timeout`, with a unit in the value.
    #[serde(rename = "connect_timeout", with = "crate::units::millis")]
    pub connect_timeout_ms: u64,
    /// Milliseconds until an answer must be complete; the key is `timeout`, with a unit in the value.
    #[serde(rename = "timeout", with = "crate::units::millis")]
    pub timeout_ms: u64,
    /// Tries of a request that is safe to repeat.
    pub tries: u32,
}

impl Default for PeerSettings {
    fn default() -> PeerSettings {
        PeerSettings { url: String::new(), connect_timeout_ms: 2_000, timeout_ms: 15_000, tries: 3 }
    }
}

/// How a client proves who it is, and whom it believes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientTls {
    /// PEM file of the authorities of which one must have signed the certificate of the peer; empty: none is named.
    pub ca: std::path::PathBuf,
    /// PEM file of the certificate shown to the peer, with its chain; empty: none.
    pub certificate: std::path::PathBuf,
    /// PEM file of its private key.
    pub key: std::path::PathBuf,
    /// The name the peer's certificate is for, where it is not that of its address.
    pub server_name: String,
}

/// What a peer answered.
#[derive(Debug, Clone)]
pub struct PeerAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 16 MiB.
    pub body: Bytes,
}

/// Whether anything of a body that streams was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begun(pub bool);

/// A peer. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    name: &'static str,
    settings: Arc<PeerSettings>,
    breaker: Arc<Breaker>,
    /// What carries requests instead of the network.
    carrier: Option<Arc<dyn Carrier>>,
    /// What TLS is spoken with, if not with what the system has.
    tls: Option<Arc<Tls>>,
}

/// Certificates, read.
struct Tls {
    /// What tells one from another.
    number: u64,
    authorities: Option<Vec<reqwest::Certificate>>,
    identity: Option<reqwest::Identity>,
}

impl Tls {
    /// Reads the files; none: nothing is configured.
    fn read(settings: &ClientTls) -> Result<Option<Tls>, String> {
        static LAST: AtomicU64 = AtomicU64::new(0);
        let ClientTls { ca, certificate, key, server_name } = settings;
        if *settings == ClientTls::default() {
            return Ok(None);
        }
        if !server_name.is_empty() {
            return Err("tls.server_name: the URL says whose certificate is expected".to_owned());
        }
        let read = |path: &std::path::Path| {
            std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
        };
        let is_set = |path: &std::path::Path| !path.as_os_str().is_empty();
        let authorities = match is_set(ca) {
            true => Some(
                reqwest::Certificate::from_pem_bundle(&read(ca)?)
                    .map_err(|error| format!("{} holds no certificates in PEM: {error}", ca.display()))?,
            ),
            false => None,
        };
        let identity = match (is_set(certificate), is_set(key)) {
            (false, false) => None,
            (true, true) => {
                let pem = [read(key)?, b"\n".to_vec(), read(certificate)?].concat();
                let identity = reqwest::Identity::from_pem(&pem);
                Some(identity.map_err(|error| format!("tls.certificate and tls.key: {error}"))?)
            }
            _ => return Err("tls.certificate and tls.key belong together".to_owned()),
        };
        let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Some(Tls { number, authorities, identity }))
    }
}

thread_local! {
    /// A connection belongs to the runtime it was opened on, and each worker thread has its own: so has each thread its own
    /// client, by the time it may take to connect and its certificates.
    static CLIENTS: RefCell<Vec<((u64, u64), reqwest::Client)>> = const { RefCell::new(Vec::new()) };
}

impl Peer {
    /// A peer under its name in the configuration.
    pub fn new(name: &'static str, settings: PeerSettings) -> Peer {
        let breaker = Arc::new(Breaker::new(Instant::now()));
        Peer { name, settings: Arc::new(settings), breaker, carrier: None, tls: None }
    }

    /// The same peer, with these certificates; they are read now.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn with_tls(self, settings: &ClientTls) -> Result<Peer, String> {
        Ok(Peer { tls: Tls::read(settings)?.map(Arc::new), ..self })
    }

    /// The same peer, reached by this carrier instead of the network; deadlines and breaker stay.
    pub fn carried_by(self, carrier: Option<Arc<dyn Carrier>>) -> Peer {
        Peer { carrier, ..self }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its base URL without trailing slash.
    pub fn url(&self) -> &str {
        self.settings.url.trim_end_matches('/')
    }

    /// Scheme, host and port of its base URL, for what lies beside the base.
    pub fn host(&self) -> &str {
        let url = self.url();
        let start = url.find("://").map_or(0, |at| at + 3);
        url[start..].find('/').map_or(url, |end| &url[..start + end])
    }

    /// How it is reached.
    pub fn settings(&self) -> &PeerSettings {
        &self.settings
    }

    /// Sends one request to `url` + `path_and_query` and waits for the whole answer. Tried once: `NotReached` if nothing
    /// was sent (connection refused, breaker open), `Unknown` if it may have been carried out.
    pub async fn send(
        &self,
        method: http::Method,
        path_and_query: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<PeerAnswer, Error> {
        let url = format!("{}{path_and_query}", self.url());
        self.send_to(method, &url, headers, body).await
    }

    /// The same for a path beside the base, on the peer's host.
    pub async fn send_beside(
        &self,
        method: http::Method,
        path_and_query: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<PeerAnswer, Error> {
        let url = format!("{}{path_and_query}", self.host());
        self.send_to(method, &url, headers, body).await
    }

    /// Sends a body that streams, `length` bytes of it, to the base URL itself. `Begun` says whether any of it was taken: if
    /// not, the same stream can be sent again.
    pub async fn pour(
        &self,
        headers: &[(&'static str, String)],
        length: u64,
        stream: &mut LocalBoxStream<'static, Result<Bytes, Error>>,
    ) -> Result<PeerAnswer, (Error, Begun)> {
        let name = crate::trace::new_request_id();
        let request = self.request(http::Method::POST, self.url(), headers, Bytes::new());
        let request = request.map_err(|error| (error, Begun(false)))?;
        let (pieces, body) = mpsc::channel::<Result<Bytes, Error>>(1);
        let (begin, begun) = oneshot::channel::<()>();
        // The body may go to another thread, the stream may not: it is pumped from here, once the body is asked for.
        let body = stream::unfold((Some(begin), body), |(begin, mut body)| async move {
            if let Some(begin) = begin {
                let _ = begin.send(());
            }
            body.recv().await.map(|piece| (piece, (None, body)))
        });
        let request = request
            .header(EXCHANGE, &name)
            .header(http::header::CONTENT_LENGTH, length)
            .body(reqwest::Body::wrap_stream(body));
        let pump = async {
            if begun.await.is_err() {
                return Begun(false);
            }
            while let Some(piece) = stream.next().await {
                if pieces.send(piece).await.is_err() {
                    break;
                }
            }
            drop(pieces);
            Begun(true)
        };
        let allowed = Duration::from_millis(self.settings.timeout_ms) + Duration::from_secs(length >> 20);
        let both = futures_util::future::join(pump, self.exchange(request, &name));
        match tokio::time::timeout(allowed, both).await {
            Ok((_, Ok(answer))) => Ok(answer),
            Ok((begun, Err(error))) => Err((error, begun)),
            Err(_) => Err((self.unknown(&format!("no answer within {allowed:?}")), Begun(true))),
        }
    }

    async fn send_to(
        &self,
        method: http::Method,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<PeerAnswer, Error> {
        if self.settings.url.is_empty() {
            return Err(self.not_reached("no URL is configured for it"));
        }
        if !self.breaker.lets_pass(Instant::now()) {
            return Err(self.not_reached("it did not answer lately"));
        }
        let deadline = Duration::from_millis(self.settings.timeout_ms);
        let carried = async {
            match &self.carrier {
                None => {
                    let name = crate::trace::new_request_id();
                    let request = self.request(method, url, headers, body)?.header(EXCHANGE, &name);
                    self.exchange(request, &name).await
                }
                Some(carrier) => {
                    let url = url.to_owned();
                    let letter = Letter { peer: self.name, method, url, headers: headers.to_vec(), body };
                    carrier.carry(letter).await
                }
            }
        };
        let result = tokio::time::timeout(deadline, carried).await.unwrap_or_else(|_| {
            Err(Error::Unknown {
                peer: self.name.to_owned(),
                reason: format!("no answer within {deadline:?}"),
            })
        });
        match &result {
            Ok(_) => self.breaker.succeeded(),
            Err(_) => self.breaker.failed(Instant::now()),
        }
        count(self.name, &result);
        result
    }

    fn request(
        &self,
        method: http::Method,
        url: &str,
        headers: &[(&'static str, String)],
        body: Bytes,
    ) -> Result<reqwest::RequestBuilder, Error> {
        let client = client(self.settings.connect_timeout_ms, self.tls.as_deref())
            .map_err(|e| self.not_reached(&e.to_string()))?;
        let mut request = client.request(method, url);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        Ok(if body.is_empty() { request } else { request.body(body) })
    }

    async fn exchange(&self, request: reqwest::RequestBuilder, name: &str) -> Result<PeerAnswer, Error> {
        let mut response = request.send().await.map_err(|error| {
            if error.is_connect() || error.is_builder() {
                self.not_reached(&words(&error))
            } else {
                self.unknown(&words(&error))
            }
        })?;
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        // Not every peer repeats the name; one that says another one answers somebody else.
        if headers.get(EXCHANGE).is_some_and(|answered| answered != name) {
            return Err(self.unknown("its answer belongs to another request"));
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unknown(&words(&error)))? {
            if first.is_empty() {
                first = chunk;
                continue;
            }
            if all.is_empty() {
                all.extend_from_slice(&first);
            }
            if all.len() + chunk.len() > MAX_ANSWER {
                return Err(self.unknown("its answer is larger than 16 MiB"));
            }
            all.extend_from_slice(&chunk);
        }
        let body = if all.is_empty() { first } else { all.freeze() };
        Ok(PeerAnswer { status, headers, body })
    }

    fn not_reached(&self, reason: &str) -> Error {
        Error::NotReached { peer: self.name.to_owned(), reason: reason.to_owned() }
    }

    fn unknown(&self, reason: &str) -> Error {
        Error::Unknown { peer: self.name.to_owned(), reason: reason.to_owned() }
    }
}

/// What became of requests to the peers of this process: the peer, the result in a word, how many.
pub fn peer_counts() -> Vec<(&'static str, &'static str, u64)> {
    COUNTS.lock().clone()
}

static COUNTS: Mutex<Vec<(&'static str, &'static str, u64)>> = Mutex::new(Vec::new());

fn count(peer: &'static str, result: &Result<PeerAnswer, Error>) {
    let word = match result {
        Ok(answer) if answer.status < 400 => "success",
        Ok(answer) if answer.status < 500 => "refused",
        Ok(_) => "failed",
        Err(Error::NotReached { .. }) => "not-reached",
        Err(_) => "unknown",
    };
    let mut counts = COUNTS.lock();
    match counts.iter_mut().find(|(known, result, _)| *known == peer && *result == word) {
        Some((_, _, count)) => *count += 1,
        None => counts.push((peer, word, 1)),
    }
}

/// The whole chain of causes, without the URL: a query may name a patient.
fn words(error: &reqwest::Error) -> String {
    let mut words = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    if words.is_empty() { "the request failed".to_owned() } else { words.join(": ") }
}

fn client(connect_timeout_ms: u64, tls: Option<&Tls>) -> Result<reqwest::Client, reqwest::Error> {
    let key = (connect_timeout_ms, tls.map_or(0, |tls| tls.number));
    CLIENTS.with_borrow_mut(|clients| {
        if let Some((_, client)) = clients.iter().find(|(known, _)| *known == key) {
            return Ok(client.clone());
        }
        let mut builder = reqwest::Client::builder();
        if let Some(Tls { authorities, identity, .. }) = tls {
            if let Some(authorities) = authorities {
                builder = builder.tls_certs_only(authorities.clone());
            }
            if let Some(identity) = identity {
                builder = builder.identity(identity.clone());
            }
        }
        let client = builder
            .connect_timeout(Duration::from_millis(connect_timeout_ms))
            .pool_idle_timeout(IDLE)
            .redirect(reqwest::redirect::Policy::none())
            // Between actors on one network compression costs more than it gains.
            .no_gzip()
            .no_proxy()
            .tcp_nodelay(true)
            .retry(reqwest::retry::never())
            .build()?;
        clients.push((key, client.clone()));
        Ok(client)
    })
}
