//! The client of the tests: it sends, and watches every answer for what must never be in one.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;

use crate::answer::Answer;

/// Media type of FHIR in JSON.
pub const FHIR_JSON: &str = "application/fhir+json";

/// Media type of FHIR in XML.
pub const FHIR_XML: &str = "application/fhir+xml";

/// Words that tell of the inside of a server.
const LEAKS: [&str; 9] = [
    "panicked at",
    "stack backtrace",
    ".rs:",
    "SELECT ",
    "INSERT INTO",
    "/home/",
    "/root/",
    "/var/lib/",
    "RUST_BACKTRACE",
];

/// Sends requests; collects what is wrong with any answer.
pub struct Wire {
    client: Client,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tolerated: Vec<u16>,
    violations: Vec<String>,
}

impl Wire {
    /// A client that follows no redirects and unpacks nothing.
    pub fn new() -> Result<Wire> {
        Wire::patient(Duration::from_secs(60))
    }

    /// The same, that waits for an answer no longer than this.
    pub fn patient(patience: Duration) -> Result<Wire> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_gzip()
            .timeout(patience)
            .build()
            .context("making an HTTP client")?;
        Ok(Wire { client, state: Mutex::default() })
    }

    /// A request to be filled and sent with [`Wire::send`].
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// `GET`.
    pub async fn get(&self, url: &str) -> Result<Answer> {
        self.send(self.client.get(url)).await
    }

    /// `POST` of a FHIR resource.
    pub async fn post(&self, url: &str, resource: &Value) -> Result<Answer> {
        self.post_text(url, serde_json::to_vec(resource).context("writing JSON")?).await
    }

    /// `POST` of bytes that are said to be FHIR JSON.
    pub async fn post_text(&self, url: &str, body: impl Into<reqwest::Body>) -> Result<Answer> {
        self.send(self.client.post(url).header("Content-Type", FHIR_JSON).body(body)).await
    }

    /// `PUT` of a FHIR resource.
    pub async fn put(&self, url: &str, resource: &Value) -> Result<Answer> {
        let body = serde_json::to_vec(resource).context("writing JSON")?;
        self.send(self.client.put(url).header("Content-Type", FHIR_JSON).body(body)).await
    }

    /// Sends a request, reads the answer whole, and looks at it.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let request = request.build().context("building a request")?;
        let (method, url) = (request.method().clone(), request.url().clone());
        let begin = Instant::now();
        let response =
            self.client.execute(request).await.with_context(|| format!("{method} {}", url.path()))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response
            .bytes()
            .await
            .with_context(|| format!("reading the answer of {method} {}", url.path()))?;
        let answer = Answer { status, headers, body, took: begin.elapsed() };
        self.look(&method, url.path(), &answer);
        Ok(answer)
    }

    /// Statuses above 499 that are no defect until the next [`Wire::settle`].
    pub fn tolerate(&self, statuses: &[u16]) {
        self.state().tolerated = statuses.to_vec();
    }

    /// What was wrong since the last time; tolerates nothing from now on.
    pub fn settle(&self) -> Vec<String> {
        let mut state = self.state();
        state.tolerated.clear();
        std::mem::take(&mut state.violations)
    }

    fn look(&self, method: &Method, path: &str, answer: &Answer) {
        let mut wrong = Vec::new();
        if answer.status >= 500 && !self.state().tolerated.contains(&answer.status) {
            wrong.push(format!("status {}: {}", answer.status, answer.excerpt()));
        }
        if answer.status >= 400 && path.starts_with("/fhir") && method != Method::HEAD {
            if answer.header("Content-Type").is_some_and(|given| given.starts_with(FHIR_XML)) {
                if let Err(error) = crate::xml::outcome(&answer.body) {
                    wrong.push(format!("{error:#}"));
                }
            } else if let Err(error) = answer.issues() {
                wrong.push(format!("{error:#}"));
            }
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            wrong.extend(
                LEAKS
                    .iter()
                    .filter(|leak| text.contains(*leak))
                    .map(|leak| format!("the answer holds {leak:?}: {text}")),
            );
        }
        self.state().violations.extend(wrong.into_iter().map(|what| format!("{method} {path}: {what}")));
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
