//! What this program says to the actors.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;

use crate::Outcome;
use crate::plan::Plan;

const FHIR: &str = "application/fhir+json";

/// A client of the actors.
pub(crate) struct Wire {
    client: Client,
    pub(crate) registry: String,
    pub(crate) repository: String,
    pub(crate) identity: String,
}

/// A client that goes straight to this machine: no proxies, no certificates.
pub(crate) fn client() -> Outcome<Client> {
    Client::builder()
        .no_proxy()
        .no_gzip()
        .tls_certs_only(std::iter::empty::<reqwest::Certificate>())
        .timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| format!("setting up HTTP: {error}"))
}

/// An answer that is no success.
#[derive(Debug)]
pub(crate) struct Refusal {
    /// The XDS and issue codes it names.
    pub(crate) codes: Vec<String>,
    words: String,
}

impl From<Refusal> for String {
    fn from(refusal: Refusal) -> String {
        refusal.words
    }
}

impl Wire {
    pub(crate) fn new(plan: &Plan) -> Outcome<Wire> {
        Ok(Wire {
            client: client()?,
            registry: plan.registry.base(),
            repository: plan.repository.base(),
            identity: plan.identity.base(),
        })
    }

    /// Searches by POST; answers the Bundle.
    pub(crate) async fn search(
        &self,
        base: &str,
        resource: &str,
        parameters: &[(&str, &str)],
    ) -> Outcome<Value> {
        let request = self.client.post(format!("{base}/{resource}/_search")).form(parameters);
        Ok(json(request, &format!("searching {resource}")).await?)
    }

    /// Feeds a patient under its identifier.
    pub(crate) async fn feed(&self, identifier: &str, patient: &str) -> Outcome<Value> {
        let request = self
            .client
            .put(format!("{}/Patient", self.identity))
            .query(&[("identifier", identifier)])
            .header("content-type", FHIR)
            .body(patient.to_owned());
        Ok(json(request, "feeding a patient").await?)
    }

    /// Provides a Bundle to the repository.
    pub(crate) async fn provide(&self, bundle: &Value) -> Result<Value, Refusal> {
        let request =
            self.client.post(&self.repository).header("content-type", FHIR).body(bundle.to_string());
        json(request, "submitting").await
    }

    /// The bytes of a document, and their type.
    pub(crate) async fn retrieve(&self, url: &str) -> Outcome<(Vec<u8>, String)> {
        let failed = |error: reqwest::Error| format!("retrieving {url}: {error}");
        let answer = self.client.get(url).header("accept", "*/*").send().await.map_err(failed)?;
        let status = answer.status();
        let media_type =
            answer.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.to_owned();
        let bytes = answer.bytes().await.map_err(failed)?;
        if status.as_u16() != 200 {
            return Err(format!("retrieving {url} was answered {status}"));
        }
        Ok((bytes.to_vec(), media_type))
    }
}

async fn json(request: RequestBuilder, what: &str) -> Result<Value, Refusal> {
    let failed = |error: String| Refusal { codes: Vec::new(), words: format!("{what}: {error}") };
    let answer = request.header("accept", FHIR).send().await.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let bytes = answer.bytes().await.map_err(|error| failed(error.to_string()))?;
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    Err(refusal(what, &status.to_string(), &body))
}

fn refusal(what: &str, status: &str, outcome: &Value) -> Refusal {
    let issues = outcome["issue"].as_array().map(Vec::as_slice).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let codes = issues.iter().flat_map(|issue| {
        let codings = issue["details"]["coding"].as_array().map(Vec::as_slice).unwrap_or_default();
        codings
            .iter()
            .filter_map(|coding| text(&coding["code"]))
            .chain(text(&issue["code"]))
            .collect::<Vec<_>>()
    });
    let words = issues
        .iter()
        .filter_map(|issue| text(&issue["details"]["text"]).or_else(|| text(&issue["diagnostics"])));
    let words: Vec<String> = words.collect();
    Refusal { codes: codes.collect(), words: format!("{what} was answered {status}: {}", words.join("; ")) }
}

/// The resources of a searchset that match.
pub(crate) fn matches(bundle: &Value) -> Vec<&Value> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    entries
        .iter()
        .filter(|entry| entry["search"]["mode"].as_str().unwrap_or("match") == "match")
        .map(|entry| &entry["resource"])
        .collect()
}
