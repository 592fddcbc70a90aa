//! HTTP: one request, its deadline, its limits, and what became of it.

use std::cell::OnceCell;
use std::io::Write;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
};
use reqwest::{Certificate, Method, Response};
use url::Url;

use crate::arguments::Global;
use crate::config::{Settings, Token};
use crate::doc::upload::Upload;
use crate::exit::{self, Exit, Failure};
use crate::{curl, outcome};

/// Longest answer kept in memory.
const ANSWER_LIMIT: usize = 32 << 20;
/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(10);
/// Until an answer begins; a submission has more (reliability 5: 60 s and 1 s per MiB).
const BEGIN: Duration = Duration::from_secs(60);
/// Between two pieces of an answer.
const STALL: Duration = Duration::from_secs(30);

pub(crate) const FHIR: &str = "application/fhir+json";

/// What is sent.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    None,
    Form(Vec<(String, String)>),
    Bytes(Bytes),
    Submission(Upload),
}

/// One request.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    /// What it is for, in words for a failure.
    pub(crate) what: String,
}

impl Call {
    pub(crate) fn new(method: Method, url: impl Into<String>, what: impl Into<String>) -> Call {
        Call { method, url: url.into(), headers: HeaderMap::new(), body: Body::None, what: what.into() }
    }
    pub(crate) fn get(url: impl Into<String>, what: impl Into<String>) -> Call {
        Call::new(Method::GET, url, what)
    }
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Call, Failure> {
        let value = HeaderValue::from_str(value)
            .map_err(|_| Failure::usage(format!("this cannot be the value of header {name}: {value:?}")))?;
        self.headers.insert(name, value);
        Ok(self)
    }
    pub(crate) fn fhir(self) -> Call {
        self.header(ACCEPT, FHIR).expect("a fixed media type is a header value")
    }
    pub(crate) fn body(mut self, body: Body, media_type: &str) -> Result<Call, Failure> {
        self.body = body;
        self.header(CONTENT_TYPE, media_type)
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The id this request was sent under.
    pub(crate) request_id: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
    /// The body as JSON.
    pub(crate) fn json(&self, what: &str) -> Result<serde_json::Value, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            Failure::new(
                Exit::Server,
                format!("{what} was answered with something that is not JSON: {error}"),
            )
            .note("request id", self.request_id.clone())
        })
    }
}

/// The client of one run.
pub(crate) struct Client {
    near: OnceCell<reqwest::Client>,
    far: OnceCell<reqwest::Client>,
    ca: Option<std::path::PathBuf>,
    token: Option<Token>,
    /// Where the token may be sent.
    trusted: Vec<url::Origin>,
    curl: bool,
    verbose: bool,
}

impl Client {
    pub(crate) fn new(settings: &Settings, global: &Global) -> Client {
        let actors = settings.actors();
        let doors = [settings.xds_registry.known(), settings.xds_repository.known()];
        let bases = actors.iter().map(|actor| actor.base.as_str()).chain(doors.into_iter().flatten());
        let trusted = bases.filter_map(|base| Some(Url::parse(base).ok()?.origin()));
        Client {
            near: OnceCell::new(),
            far: OnceCell::new(),
            ca: settings.ca.clone(),
            token: settings.token.clone(),
            trusted: trusted.collect(),
            curl: global.curl,
            verbose: global.verbose > 0,
        }
    }

    /// Sends, and waits for a whole answer whatever its status.
    pub(crate) async fn send(&self, call: Call) -> Result<Answer, Failure> {
        let what = call.what.clone();
        let (mut response, request_id) = self.open(call).await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = piece(&mut response, &what).await? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(Failure::new(
                    Exit::Server,
                    format!("{what}: the answer is longer than {} MiB", ANSWER_LIMIT >> 20),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze(), request_id })
    }

    /// Sends, and waits for a whole answer that is a success.
    pub(crate) async fn ask(&self, call: Call) -> Result<Answer, Failure> {
        let what = call.what.clone();
        let answer = self.send(call).await?;
        if (200..300).contains(&answer.status) {
            return Ok(answer);
        }
        Err(outcome::failure(answer.status, &answer.headers, &answer.body, &answer.request_id, &what))
    }

    /// Sends, and answers as soon as the head of the answer is there, with the request's id.
    pub(crate) async fn open(&self, call: Call) -> Result<(Response, String), Failure> {
        let url = Url::parse(&call.url)
            .map_err(|error| Failure::usage(format!("{}: {} is no URL: {error}", call.what, call.url)))?;
        let request_id = uuid::Uuid::now_v7().to_string();
        let mut headers = call.headers.clone();
        headers.insert("x-request-id", HeaderValue::from_str(&request_id).expect("a UUID is a header value"));
        if let Some(token) = self.token.as_ref().filter(|_| self.trusted.contains(&url.origin())) {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.0))
                .map_err(|_| Failure::usage("the token has characters no token can have"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        if self.curl {
            let line = curl::line(call.method.as_str(), &call.url, &headers, &call.body);
            let _ = writeln!(std::io::stderr(), "{}", crate::sanitize::line(&line));
        }
        let wait = match &call.body {
            Body::Submission(upload) => BEGIN + Duration::from_secs(10 + (upload.length() >> 20)),
            _ => BEGIN,
        };
        let mut request = self.http(&url)?.request(call.method.clone(), url);
        request = match call.body {
            Body::None => request,
            Body::Form(pairs) => request.form(&pairs),
            Body::Bytes(bytes) => request.body(bytes),
            Body::Submission(upload) => {
                headers.insert(CONTENT_LENGTH, HeaderValue::from(upload.length()));
                request.body(reqwest::Body::wrap_stream(upload.stream()))
            }
        };
        let started = Instant::now();
        let sent = tokio::time::timeout(wait, request.headers(headers).send()).await;
        let response = match sent {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(network(&call.what, &call.url, error)),
            Err(_) => {
                let mut failure = Failure::new(
                    Exit::Network,
                    format!("{}: no answer within {} s", call.what, wait.as_secs()),
                )
                .note("server", call.url);
                failure.unknown = true;
                return Err(failure);
            }
        };
        if self.verbose {
            let line = format!(
                "{} {} -> {} in {} ms, request id {request_id}",
                call.method,
                call.url,
                response.status().as_u16(),
                started.elapsed().as_millis()
            );
            let _ = writeln!(std::io::stderr(), "{}", crate::sanitize::line(&line));
        }
        Ok((response, request_id))
    }

    /// The client for a URL: on this machine without proxies and without the certificates of the system, which take a while
    /// to read.
    fn http(&self, url: &Url) -> Result<reqwest::Client, Failure> {
        let here = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        let near = here && url.scheme() == "http";
        let cell = if near { &self.near } else { &self.far };
        if let Some(client) = cell.get() {
            return Ok(client.clone());
        }
        let client = self.build(near)?;
        Ok(cell.get_or_init(|| client).clone())
    }

    fn build(&self, near: bool) -> Result<reqwest::Client, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("docshare/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .no_gzip();
        if near {
            builder = builder.no_proxy().tls_certs_only(std::iter::empty::<Certificate>());
        } else if let Some(path) = &self.ca {
            let pem =
                std::fs::read(path).map_err(|error| exit::file("reading the authority", path, &error))?;
            let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| {
                Failure::usage(format!("{} holds no certificates in PEM: {error}", path.display()))
            })?;
            builder = builder.tls_certs_merge(authorities);
        }
        builder.build().map_err(|error| {
            Failure::new(Exit::Network, format!("TLS cannot be set up: {}", causes(&error)))
                .next("name the certificate authority to trust with --ca FILE")
        })
    }
}

/// The next piece of an answer; none at its end.
pub(crate) async fn piece(response: &mut Response, what: &str) -> Result<Option<Bytes>, Failure> {
    let broken = |text: String| {
        let mut failure = Failure::new(Exit::Network, format!("{what}: {text}"));
        failure.unknown = true;
        failure
    };
    match tokio::time::timeout(STALL, response.chunk()).await {
        Ok(Ok(chunk)) => Ok(chunk),
        Ok(Err(error)) => Err(broken(format!("the answer broke off: {}", causes(&error)))),
        Err(_) => Err(broken(format!("the answer stalled for {} s", STALL.as_secs()))),
    }
}

fn network(what: &str, url: &str, error: reqwest::Error) -> Failure {
    let sent = !error.is_connect() && !error.is_builder();
    let causes = causes(&error.without_url());
    let mut failure = Failure::new(Exit::Network, format!("{what}: {causes}")).note("server", url.to_owned());
    failure.unknown = sent;
    if causes.contains("certificate") || (!sent && causes.to_lowercase().contains("tls")) {
        return failure.next("check the certificate of the server, or name its authority with --ca FILE");
    }
    if sent {
        failure
    } else {
        failure.next("check the address (`docshare config show`) and that the server runs")
    }
}

/// An error with its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
        source = error.source();
    }
    text
}
