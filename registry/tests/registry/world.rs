//! A registry inside the test, spoken to over HTTP, with two patients that it has been fed.

use actor::{Running, Setup};
use registry::{Identity, Registry, Settings};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use testkit::{Document, Provide};

/// Public base of the identity source; nobody answers there, and nobody is asked.
pub(crate) const IDENTITY: &str = "http://identity.example/fhir";
/// The name space of the patients' identifiers.
pub(crate) const MRN: &str = "urn:oid:1.2.36.146.595.217.0.1";

/// The registry and its client.
pub(crate) struct World {
    running: Running,
    pub(crate) host: String,
    /// The admin listener.
    pub(crate) admin: String,
    pub(crate) client: reqwest::Client,
    /// Its own ports.
    pub(crate) doors: Vec<(&'static str, std::net::SocketAddr)>,
}

/// What came back: status, headers, JSON (null if there was no body).
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The XDS codes and our own of every issue.
    pub(crate) fn codes(&self) -> Vec<String> {
        let issues = self.body["issue"].as_array().cloned().unwrap_or_default();
        let codings = issues
            .iter()
            .flat_map(|issue| issue["details"]["coding"].as_array().cloned().unwrap_or_default());
        codings.filter_map(|coding| coding["code"].as_str().map(str::to_owned)).collect()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "answered: {}", self.body);
        self
    }

    /// Resources of a searchset, matches only.
    pub(crate) fn matches(&self) -> Vec<Value> {
        let entries = self.body["entry"].as_array().cloned().unwrap_or_default();
        entries
            .iter()
            .filter(|entry| entry["search"]["mode"] == "match")
            .map(|entry| entry["resource"].clone())
            .collect()
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.matches().iter().filter_map(|resource| resource["id"].as_str().map(str::to_owned)).collect()
    }

    pub(crate) fn link(&self, relation: &str) -> Option<String> {
        let links = self.body["link"].as_array()?;
        links.iter().find(|link| link["relation"] == relation)?["url"].as_str().map(str::to_owned)
    }

    /// Ids of the located resources of a transaction-response, by type.
    pub(crate) fn located(&self, kind: &str) -> Vec<String> {
        let entries = self.body["entry"].as_array().cloned().unwrap_or_default();
        let locations = entries.iter().filter_map(|entry| entry["response"]["location"].as_str());
        locations
            .filter_map(|location| {
                location.strip_prefix(kind)?.strip_prefix('/')?.split('/').next().map(str::to_owned)
            })
            .collect()
    }
}

impl World {
    /// A registry that knows the patients `p1` (identifier `MRN|one`) and `p2` (`MRN|two`).
    pub(crate) async fn new() -> World {
        World::with(settings()).await
    }

    pub(crate) async fn with(settings: Settings) -> World {
        let world = World::over(Setup::new(settings));
        world.feed("p1", 1, "one", true).await.expect(201);
        world.feed("p2", 1, "two", true).await.expect(201);
        world
    }

    /// A registry over a store and a clock of the test's choice; nobody is fed.
    pub(crate) fn over(setup: Setup<Settings>) -> World {
        let running = actor::start_with::<Registry>(setup);
        let (host, admin) = (running.host.clone(), running.admin.clone());
        let doors = running.doors.clone();
        World { running, host, admin, client: reqwest::Client::new(), doors }
    }

    /// Stops the registry and closes its store.
    pub(crate) fn end(self) {
        (self.running.stop)();
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Reply {
        let response: Response = request.send().await.expect("the registry answers");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.bytes().await.expect("the answer has a body");
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Reply { status, headers, body }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.host) };
        self.client.request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn feed(&self, id: &str, version: u64, mrn: &str, active: bool) -> Reply {
        let patient = json!({
            "resourceType": "Patient",
            "id": id,
            "meta": { "versionId": version.to_string() },
            "identifier": [{ "system": MRN, "value": mrn }],
            "active": active,
        });
        self.send(self.request(Method::PUT, &format!("/fhir/Patient/{id}")).json(&patient)).await
    }

    pub(crate) async fn post(&self, bundle: &Value) -> Reply {
        self.send(self.request(Method::POST, "/fhir").json(bundle)).await
    }

    pub(crate) async fn register(&self, provide: &Provide) -> Reply {
        self.post(&provide.bundle()).await
    }

    /// The same with the words of a repository that coordinates the submission.
    pub(crate) async fn register_as(
        &self,
        provide: &Provide,
        key: &str,
        attempt: u64,
        digest: &str,
    ) -> Reply {
        let request = self
            .request(Method::POST, "/fhir")
            .header("Docshare-Submission-Key", key)
            .header("Docshare-Attempt", attempt.to_string())
            .header("Docshare-Digest", digest)
            .json(&provide.bundle());
        self.send(request).await
    }

    pub(crate) async fn settle(&self, key: &str, attempt: u64) -> Reply {
        self.send(self.request(Method::POST, "/settle").json(&json!({ "key": key, "attempt": attempt })))
            .await
    }
}

/// The settings of these tests.
pub(crate) fn settings() -> Settings {
    let identity = Identity { url: IDENTITY.to_owned(), ..Identity::default() };
    Settings { identity, ..Settings::default() }
}

/// A document whose bytes are elsewhere.
pub(crate) fn document(text: &str) -> Document {
    let place = format!("http://repository.example/documents/{}", testkit::oid());
    Document::new(text).elsewhere(&place)
}

/// A submission of one such document for a patient.
pub(crate) fn provide(patient: &str, document: Document) -> Provide {
    Provide::new(&format!("{IDENTITY}/Patient/{patient}")).only(document)
}
