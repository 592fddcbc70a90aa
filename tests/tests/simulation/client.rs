//! Clients: each request in a task of its own, with what it was told written into the history.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use serde_json::Value;
use tests::faults::history::{
    Asked, Body, Event, Kind, Merge, Retrieve, Search, Seen, Submit, Told, Unmerge, Update, What,
};
use tests::faults::resource::{remark, remarking};
use tokio::sync::oneshot;
use tokio::time::Instant;
use web::{Letter, PeerAnswer};

use crate::network::{self, Network, Place};
use crate::samples::{self, DOMAIN, Sample, attributes, sha256};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(90);
const FHIR: &str = "application/fhir+json";
const PATCH: &str = "application/json-patch+json";

/// Everything clients know, and what they were told.
pub(crate) struct Clients {
    network: Arc<Network>,
    started: Instant,
    ticks: Cell<u64>,
    /// Requests under way.
    pub(crate) waiting: Cell<usize>,
    pub(crate) history: RefCell<Vec<Event>>,
    /// Id and URL of documents that were found, by unique id and entry id.
    pub(crate) found: RefCell<HashMap<String, Vec<(String, String)>>>,
    /// The version of each that was seen last.
    versions: RefCell<HashMap<String, u64>>,
    /// Remarks made so far.
    remarks: Cell<u64>,
    /// Patients by their number.
    pub(crate) patients: RefCell<HashMap<u8, String>>,
    /// Whether anybody has asked for a merge, or for its end.
    pub(crate) merged: Cell<bool>,
}

impl Clients {
    pub(crate) fn new(network: &Arc<Network>) -> Rc<Clients> {
        Rc::new(Clients {
            network: Arc::clone(network),
            started: Instant::now(),
            ticks: Cell::new(0),
            waiting: Cell::new(0),
            history: RefCell::default(),
            found: RefCell::default(),
            versions: RefCell::default(),
            remarks: Cell::new(0),
            patients: RefCell::default(),
            merged: Cell::new(false),
        })
    }

    /// Nanoseconds since the run began; no two are equal.
    pub(crate) fn now(&self) -> u64 {
        self.ticks.set(self.ticks.get() + 1);
        let elapsed = self.started.elapsed().as_nanos();
        u64::try_from(elapsed).expect("a run is shorter than 584 years") + self.ticks.get()
    }

    /// Writes down what began at `begin` and is over now.
    pub(crate) fn record(&self, begin: u64, what: What) {
        let end = self.now();
        self.history.borrow_mut().push(Event { client: 1, begin, end, what });
    }

    async fn ask(&self, method: Method, to: Place, path: &str, body: Bytes) -> Option<PeerAnswer> {
        self.ask_with(method, to, path, vec![("content-type", FHIR.to_owned())], body).await
    }

    async fn ask_with(
        &self,
        method: Method,
        to: Place,
        path: &str,
        headers: Vec<(&'static str, String)>,
        body: Bytes,
    ) -> Option<PeerAnswer> {
        let (reply, answered) = oneshot::channel();
        let url = format!("{}{path}", to.host());
        let letter = Letter { peer: "actor", method, url, headers, body };
        let request = network::Event::Request { from: Place::Client, to, letter, reply: Some(reply) };
        self.network.push(request);
        tokio::time::timeout(PATIENCE, answered).await.ok()?.ok()?.ok()
    }

    /// Does something beside everything else.
    fn beside(self: &Rc<Self>, what: impl Future<Output = ()> + 'static) {
        self.waiting.set(self.waiting.get() + 1);
        let clients = Rc::clone(self);
        tokio::task::spawn_local(async move {
            what.await;
            clients.waiting.set(clients.waiting.get() - 1);
        });
    }

    /// A source submits.
    pub(crate) fn submit(self: &Rc<Self>, sample: &'static Sample, second: bool) {
        let clients = Rc::clone(self);
        self.beside(async move {
            let begin = clients.now();
            let to = Place::Repository(second);
            let answer = clients.ask(Method::POST, to, "/fhir", sample.bundle.clone()).await;
            let patient = clients.patients.borrow().get(&sample.patient).cloned().unwrap_or_default();
            let submit = Submit {
                key: sample.key.clone(),
                content: sample.content.clone(),
                patient,
                objects: sample.objects.clone(),
                told: answer.map_or_else(|| Told::unknown("no answer"), |answer| told(&answer)),
            };
            clients.record(begin, What::Submit(submit));
        });
    }

    /// A consumer asks for all documents of a patient, or for all its submission sets.
    pub(crate) fn search(self: &Rc<Self>, patient: u8, kind: Kind) {
        let clients = Rc::clone(self);
        self.beside(async move {
            let Some(id) = clients.patients.borrow().get(&patient).cloned() else { return };
            let (resource, status) = match kind {
                Kind::Document => ("DocumentReference", "current,superseded"),
                Kind::Set | Kind::Folder => ("List", "current"),
            };
            let begin = clients.now();
            let path = format!("/fhir/{resource}?patient=Patient/{id}&status={status}&_count=100");
            let answer = clients.ask(Method::GET, Place::Registry, &path, Bytes::new()).await;
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            let bundle = answer.and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
            let bundle = bundle.filter(|_| status == 200).unwrap_or_default();
            let entries = bundle["entry"].as_array().cloned().unwrap_or_default();
            let resources = entries.iter().map(|entry| &entry["resource"]);
            let resources: Vec<&Value> =
                resources.filter(|found| found["resourceType"] == resource).collect();
            clients.remember(&resources);
            let search = Search {
                asked: Asked::Patient { patient: id.clone(), kind, current_only: false },
                status,
                complete: status == 200,
                total: bundle["total"].as_u64(),
                found: resources.into_iter().map(|found| seen(found, kind)).collect(),
            };
            clients.record(begin, What::Search(search));
        });
    }

    fn remember(&self, resources: &[&Value]) {
        let mut found = self.found.borrow_mut();
        for resource in resources {
            let (Some(id), Some(url)) =
                (resource["id"].as_str(), resource["content"][0]["attachment"]["url"].as_str())
            else {
                continue;
            };
            if let Some(version) = resource["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()) {
                self.versions.borrow_mut().insert(id.to_owned(), version);
            }
            let known = found.entry(text(&resource["masterIdentifier"]["value"])).or_default();
            let pair = (id.to_owned(), url.to_owned());
            if !known.contains(&pair) {
                known.push(pair);
            }
        }
    }

    /// A consumer follows the URLs of all documents with a unique id that a search has shown.
    pub(crate) fn retrieve(self: &Rc<Self>, unique_id: &str) {
        let known = self.found.borrow().get(unique_id).cloned().unwrap_or_default();
        for (id, url) in known {
            let actor = Place::ACTORS.into_iter().find(|actor| url.starts_with(actor.host()));
            let Some(to) = actor else { panic!("a document is said to be at {url}") };
            let (clients, unique_id) = (Rc::clone(self), unique_id.to_owned());
            self.beside(async move {
                let begin = clients.now();
                let path = url.strip_prefix(to.host()).unwrap_or_default();
                let answer = clients.ask(Method::GET, to, path, Bytes::new()).await;
                let (status, body) = match answer {
                    None => (0, Body::Nothing),
                    Some(answer) if answer.status == 200 => {
                        let size = answer.body.len() as u64;
                        (200, Body::Whole { sha256: sha256(&answer.body), size })
                    }
                    Some(answer) => (answer.status, Body::Nothing),
                };
                clients.record(begin, What::Retrieve(Retrieve { id, unique_id, status, body }));
            });
        }
    }

    /// A source leaves a remark on the documents with a unique id that a search has shown.
    pub(crate) fn update(self: &Rc<Self>, unique_id: &str, guarded: bool) {
        let known = self.found.borrow().get(unique_id).cloned().unwrap_or_default();
        for (id, _) in known {
            self.remarks.set(self.remarks.get() + 1);
            let remark = format!("remark {}", self.remarks.get());
            let clients = Rc::clone(self);
            self.beside(async move {
                let begin = clients.now();
                let mut headers = vec![("content-type", PATCH.to_owned())];
                if guarded && let Some(version) = clients.versions.borrow().get(&id) {
                    headers.push(("if-match", format!("W/\"{version}\"")));
                }
                let path = format!("/fhir/DocumentReference/{id}");
                let patch = Bytes::from(remarking(&remark).to_string());
                let answer = clients.ask_with(Method::PATCH, Place::Registry, &path, headers, patch).await;
                let status = answer.as_ref().map_or(0, |answer| answer.status);
                let made = answer.filter(|answer| answer.status == 200);
                let made = made.and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok());
                let version =
                    made.and_then(|made| made["meta"]["versionId"].as_str().and_then(|v| v.parse().ok()));
                clients.record(begin, What::Update(Update { id, remark, status, version }));
            });
        }
    }

    /// The identity source is fed with a patient.
    pub(crate) fn feed(self: &Rc<Self>, patient: u8) {
        let clients = Rc::clone(self);
        self.beside(async move {
            let value = samples::patient_value(patient);
            let resource = testkit::patient(DOMAIN, &value, "Huber", "Maria");
            if let Some(answer) = clients.put_patient(&value, &resource).await
                && matches!(answer.status, 200 | 201)
            {
                let fed: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                clients.patients.borrow_mut().insert(patient, text(&fed["id"]));
            }
        });
    }

    /// A patient is merged into another one: what belonged to it is the other's from then on. The registry hears of it some time
    /// after the identity source has answered; when it has (`World::watch`), the merge stands in the history as made.
    pub(crate) fn merge(self: &Rc<Self>, from: u8, into: u8) {
        self.merged.set(true);
        let clients = Rc::clone(self);
        self.beside(async move {
            let value = samples::patient_value(from);
            let resource = testkit::merged_patient(DOMAIN, &value, DOMAIN, &samples::patient_value(into));
            let begin = clients.now();
            clients.put_patient(&value, &resource).await;
            clients.note_merge(begin, clients.id(from), clients.id(into), 0);
        });
    }

    /// The identity source is told that a patient stands for itself again.
    pub(crate) fn unmerge(self: &Rc<Self>, patient: u8) {
        self.merged.set(true);
        let clients = Rc::clone(self);
        self.beside(async move {
            let value = samples::patient_value(patient);
            let begin = clients.now();
            clients.put_patient(&value, &testkit::patient(DOMAIN, &value, "Huber", "Maria")).await;
            clients.note_unmerge(begin, clients.id(patient), clients.id(1 - patient), 0);
        });
    }

    /// The first item of the reviews is decided.
    pub(crate) fn decide(self: &Rc<Self>, moves: bool) {
        let clients = Rc::clone(self);
        self.beside(async move {
            let path = "/fhir/Task?status=requested&_count=1";
            let Some(answer) = clients.ask(Method::GET, Place::Registry, path, Bytes::new()).await else {
                return;
            };
            let bundle: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            let Some(id) = bundle["entry"][0]["resource"]["id"].as_str() else { return };
            let path = format!("/fhir/Task/{id}/$settle?decision={}", if moves { "moves" } else { "stays" });
            clients.ask(Method::POST, Place::Registry, &path, Bytes::new()).await;
        });
    }

    /// Id of a patient.
    pub(crate) fn id(&self, number: u8) -> String {
        self.patients.borrow().get(&number).cloned().unwrap_or_default()
    }

    /// A merge as the history has it: `status` 0 says that it is not told whether it was made.
    pub(crate) fn note_merge(&self, begin: u64, from: String, into: String, status: u16) {
        self.record(begin, What::Merge(Merge { from, into, status }));
    }

    /// The same of its end.
    pub(crate) fn note_unmerge(&self, begin: u64, patient: String, from: String, status: u16) {
        self.record(begin, What::Unmerge(Unmerge { patient, from, status }));
    }

    async fn put_patient(&self, value: &str, resource: &Value) -> Option<PeerAnswer> {
        let path = format!("/fhir/Patient?identifier={DOMAIN}%7C{value}");
        self.ask(Method::PUT, Place::Identity, &path, resource.to_string().into()).await
    }
}

/// What an answer to a submission says.
fn told(answer: &PeerAnswer) -> Told {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        return Told::failure(answer.status, body["issue"][0]["code"].as_str().unwrap_or_default());
    }
    let entries = body["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let locations = entries.iter().filter_map(|entry| entry["response"]["location"].as_str());
    let objects = locations.filter(|at| at.contains("/List/") || at.contains("/DocumentReference/"));
    let ids = objects.filter_map(|at| at.split("/_history").next()?.rsplit('/').next().map(str::to_owned));
    let replayed = answer.headers.get("idempotency-replayed").is_some();
    Told::Acknowledged { ids: ids.collect(), replayed }
}

/// An object as a search shows it.
fn seen(resource: &Value, kind: Kind) -> Seen {
    let references = |list: &Value, path: &str| -> Vec<String> {
        let items = list.as_array().map_or(&[][..], Vec::as_slice);
        let of = |item: &Value| item.pointer(path).and_then(Value::as_str).map(last);
        items.iter().filter_map(of).collect()
    };
    let replaces = resource["relatesTo"].as_array().map_or(&[][..], Vec::as_slice);
    let replaces = replaces.iter().filter(|related| related["code"] == "replaces").cloned().collect();
    let unique = match kind {
        Kind::Document => text(&resource["masterIdentifier"]["value"]),
        Kind::Set | Kind::Folder => unique_of_list(resource),
    };
    let version = resource["meta"]["versionId"].as_str().and_then(|version| version.parse().ok());
    let updated = resource["meta"]["lastUpdated"].as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    Seen {
        kind,
        id: text(&resource["id"]),
        unique_id: unique,
        patient: resource["subject"]["reference"].as_str().map(last).unwrap_or_default(),
        version: version.unwrap_or_default(),
        superseded: resource["status"] == "superseded",
        updated: updated.map_or(0, jiff::Timestamp::as_microsecond),
        attributes: if kind == Kind::Document { attributes(resource) } else { String::new() },
        remark: remark(resource),
        hash: text(&resource["content"][0]["attachment"]["hash"]),
        replaces: references(&Value::Array(replaces), "/target/reference"),
        members: references(&resource["entry"], "/item/reference"),
    }
}

fn unique_of_list(list: &Value) -> String {
    let identifiers = list["identifier"].as_array().map_or(&[][..], Vec::as_slice);
    let unique = identifiers.iter().find(|identifier| identifier["use"] == "usual");
    unique.map(|identifier| text(&identifier["value"])).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn last(reference: &str) -> String {
    reference.rsplit('/').next().unwrap_or_default().to_owned()
}
