//! A source and consumer that writes down whatever it is told, and follows the rule of sources: an unknown outcome is sent
//! again with the same id.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use reqwest::Method;
use serde_json::Value;
use testkit::Provide;
use uuid::Uuid;

use super::history::{Asked, Body, History, Kind, Retrieve, Search, Sent, Submit, Told, What};
use super::resource::{last_part, seen, sent, sha256};
use crate::answer::Answer;
use crate::wire::{FHIR_JSON, Wire};

/// Where the actors are, for whoever speaks to them: `http://host:port/fhir`.
#[derive(Debug, Clone)]
pub struct Bases {
    /// Of the repository.
    pub repository: String,
    /// Of the registry.
    pub registry: String,
    /// Under which patients are referred to.
    pub identity: String,
}

/// One client, its requests, and its history.
pub struct Source {
    wire: Wire,
    bases: Bases,
    history: Arc<History>,
    client: u32,
}

impl Source {
    /// Gives up on an answer after this time.
    pub fn new(bases: Bases, history: Arc<History>, client: u32, patience: Duration) -> Result<Source> {
        Ok(Source { wire: Wire::patient(patience)?, bases, history, client })
    }

    /// Feeds a patient, and gives its id.
    pub async fn feed(&self, system: &str, value: &str) -> Result<String> {
        let url = format!("{}/Patient?identifier={system}%7C{value}", self.bases.identity);
        let answer = self.wire.put(&url, &testkit::patient(system, value, "Netz", "Nora")).await?;
        ensure!(answer.status == 201, "feeding answers {}: {}", answer.status, answer.excerpt());
        Ok(last_part(&Value::from(answer.header("Location").context("a Location")?)))
    }

    /// The reference of a patient.
    pub fn reference(&self, patient: &str) -> String {
        format!("{}/Patient/{patient}", self.bases.identity)
    }

    /// Sends a submission once.
    pub async fn submit(&self, patient: &str, provide: &Provide) -> Result<Told> {
        let bundle = provide.bundle();
        let (objects, places) = objects(provide, &bundle);
        let begin = self.history.now();
        let id = Uuid::new_v4().to_string();
        let request = self.wire.request(Method::POST, &self.bases.repository);
        let request =
            request.header("Content-Type", FHIR_JSON).header("X-Request-Id", &id).body(bundle.to_string());
        let told = match self.wire.send(request).await {
            Ok(answer) if answer.header("X-Request-Id") != Some(id.as_str()) => {
                Told::unknown("this is no answer to what was sent")
            }
            Ok(answer) => told(&answer, &places),
            Err(error) => Told::unknown(format!("{error:#}")),
        };
        let key = objects.first().context("a submission has a set")?.unique_id.clone();
        let content = objects.iter().map(|object| object.attributes.as_str()).collect();
        let patient = patient.to_owned();
        self.record(begin, What::Submit(Submit { key, content, patient, objects, told: told.clone() }))?;
        Ok(told)
    }

    /// Sends a submission again and again with the same id, until it is acknowledged or refused.
    pub async fn submit_until_definite(
        &self,
        patient: &str,
        provide: &Provide,
        within: Duration,
    ) -> Result<Told> {
        let begin = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(200);
        loop {
            let told = self.submit(patient, provide).await?;
            if let Told::Acknowledged { .. } | Told::Refused { .. } = told {
                return Ok(told);
            }
            ensure!(
                begin.elapsed() + pause < within,
                "no definite answer within {within:?}, the last: {told:?}"
            );
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }

    /// All objects of a kind, of a patient, all pages.
    pub async fn search(&self, patient: &str, kind: Kind) -> Result<Vec<Value>> {
        let whom = self.reference(patient);
        let query = match kind {
            Kind::Document => format!("DocumentReference?patient={whom}"),
            Kind::Set => format!("List?patient={whom}&code=submissionset"),
            Kind::Folder => format!("List?patient={whom}&code=folder"),
        };
        let begin = self.history.now();
        let asked = Asked::Patient { patient: patient.to_owned(), kind, current_only: false };
        let mut search = Search { asked, status: 0, complete: false, total: None, found: Vec::new() };
        let mut resources = Vec::new();
        let mut next = Some(format!("{}/{query}&_count=100", self.bases.registry));
        while let Some(url) = next.take() {
            let Ok(answer) = self.wire.get(&url).await else { break };
            search.status = answer.status;
            let Ok(page) = answer.matches() else { break };
            search.total = answer.json()?["total"].as_u64();
            resources.extend(page);
            next = answer.link("next")?;
            search.complete = next.is_none();
        }
        search.found = resources.iter().filter_map(seen).collect();
        self.record(begin, What::Search(search))?;
        Ok(resources)
    }

    /// The bytes of a document.
    pub async fn retrieve(&self, reference: &Value) -> Result<u16> {
        let seen = seen(reference).context("a DocumentReference")?;
        let url = reference["content"][0]["attachment"]["url"].as_str().context("an attachment has a URL")?;
        let begin = self.history.now();
        let (status, body) = match self.wire.get(url).await {
            Ok(answer) if answer.status == 200 => {
                (200, Body::Whole { sha256: sha256(&answer.body), size: answer.body.len() as u64 })
            }
            Ok(answer) => (answer.status, Body::Nothing),
            Err(_) => (0, Body::Nothing),
        };
        self.record(
            begin,
            What::Retrieve(Retrieve { id: seen.id, unique_id: seen.unique_id, status, body }),
        )?;
        Ok(status)
    }

    /// Looks at everything a patient has; how many documents that are.
    pub async fn look(&self, patient: &str) -> Result<usize> {
        self.search(patient, Kind::Set).await?;
        self.search(patient, Kind::Folder).await?;
        let documents = self.search(patient, Kind::Document).await?;
        for document in &documents {
            self.retrieve(document).await?;
        }
        Ok(documents.len())
    }

    fn record(&self, begin: u64, what: What) -> Result<()> {
        self.history.record(self.client, begin, what)
    }
}

/// The objects of a submission, and their places in the Bundle.
fn objects(provide: &Provide, bundle: &Value) -> (Vec<Sent>, Vec<usize>) {
    let entries = bundle["entry"].as_array().into_iter().flatten().enumerate();
    let mut documents = provide.documents.iter();
    entries
        .filter_map(|(place, entry)| {
            let resource = &entry["resource"];
            let document =
                (resource["resourceType"] == "DocumentReference").then(|| documents.next()).flatten();
            let bytes = document.map_or(&[][..], |document| &document.bytes);
            Some((sent(resource, bytes)?, place))
        })
        .unzip()
}

fn told(answer: &Answer, places: &[usize]) -> Told {
    if answer.status != 200 {
        let code =
            answer.issues().ok().and_then(|issues| Some(issues.first()?.code.clone())).unwrap_or_default();
        return Told::failure(answer.status, &code);
    }
    let Ok(bundle) = answer.json() else { return Told::unknown("a 200 that is no JSON") };
    let ids: Vec<String> =
        places.iter().map(|place| last_part(&bundle["entry"][*place]["response"]["location"])).collect();
    if ids.iter().any(String::is_empty) {
        return Told::unknown("a 200 that does not name what was stored");
    }
    Told::Acknowledged { ids, replayed: answer.header("Idempotency-Replayed") == Some("true") }
}
