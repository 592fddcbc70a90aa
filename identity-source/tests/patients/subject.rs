//! An identity source in this process, spoken to over HTTP.

use actor::{Running, Setup};
use identity_source::{IdentitySource, Settings};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

/// The red, green and blue domains of the PIXm examples.
pub(crate) const RED: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.1000";
pub(crate) const GREEN: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.2000";
pub(crate) const BLUE: &str = "urn:oid:1.3.6.1.4.1.21367.13.20.3000";

/// The actor under test.
pub(crate) struct Subject {
    running: Running,
    client: reqwest::Client,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Told {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {}", self.text))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("is text"))
    }

    /// Code and text of the first issue.
    pub(crate) fn issue(&self) -> (String, String) {
        let json = self.json();
        assert_eq!(json["resourceType"], "OperationOutcome", "{json}");
        let issue = &json["issue"][0];
        let text = |value: &Value| value.as_str().expect("is text").to_owned();
        (text(&issue["code"]), text(&issue["diagnostics"]))
    }
}

impl Subject {
    pub(crate) fn start() -> Subject {
        Subject::start_with(Settings::default())
    }

    pub(crate) fn start_with(settings: Settings) -> Subject {
        Subject::start_in(Setup::new(settings))
    }

    /// On a store of the test's choice.
    pub(crate) fn start_in(setup: Setup<Settings>) -> Subject {
        Subject { running: actor::start_with::<IdentitySource>(setup), client: reqwest::Client::new() }
    }

    /// Stops it, as a signal would.
    pub(crate) fn stop(self) {
        (self.running.stop)();
    }

    /// The FHIR base.
    pub(crate) fn base(&self) -> String {
        format!("{}/fhir", self.running.host)
    }

    /// A connection of MLLP.
    pub(crate) fn line(&self) -> mllp::Client {
        let (_, address) = self.running.doors[0];
        let settings = mllp::PeerSettings { address: address.to_string(), ..mllp::PeerSettings::default() };
        mllp::Client::new(settings).expect("it has no certificates to read")
    }

    /// A page of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> String {
        let answer = self.client.get(format!("{}{path}", self.running.admin)).send().await;
        answer.expect("is answered").text().await.expect("has a body")
    }

    /// What an operator has done at the admin listener.
    pub(crate) async fn admin_post(&self, path: &str) -> (StatusCode, String) {
        let answer = self.client.post(format!("{}{path}", self.running.admin)).send().await;
        let answer = answer.expect("is answered");
        (answer.status(), answer.text().await.expect("has a body"))
    }

    pub(crate) async fn get(&self, path: &str) -> Told {
        self.request(Method::GET, path, &[], None).await
    }

    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Told {
        let mut request = self.client.request(method, format!("{}{path}", self.base()));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let answer = request.send().await.expect("is answered");
        let (status, headers) = (answer.status(), answer.headers().clone());
        Told { status, headers, text: answer.text().await.expect("has a body") }
    }

    /// ITI-104.
    pub(crate) async fn feed(&self, system: &str, value: &str, patient: &Value) -> Told {
        let identifier = xds::Identifier { system: system.to_owned(), value: value.to_owned() };
        let path = fhir::iti104::write_path(&identifier);
        let headers = [("content-type", "application/fhir+json")];
        self.request(Method::PUT, &path, &headers, Some(patient.to_string())).await
    }

    /// Feeds a patient that must be new; answers its id.
    pub(crate) async fn fed(&self, patient: &Value) -> String {
        let text = |value: &Value| value.as_str().expect("is text").to_owned();
        let (system, value) =
            (text(&patient["identifier"][0]["system"]), text(&patient["identifier"][0]["value"]));
        let told = self.feed(&system, &value, patient).await;
        assert_eq!(told.status, StatusCode::CREATED, "{}", told.text);
        text(&told.json()["id"])
    }

    /// Id of the one patient with this value in the red domain.
    pub(crate) async fn found_one(&self, value: &str) -> String {
        let mut found = self.found(&format!("identifier={RED}%7C{value}")).await;
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// Ids found by a search.
    pub(crate) async fn found(&self, query: &str) -> Vec<String> {
        let told = self.get(&format!("/Patient?{query}")).await;
        assert_eq!(told.status, StatusCode::OK, "{}", told.text);
        ids(&told.json())
    }
}

/// Ids of the matches of a Bundle.
pub(crate) fn ids(bundle: &Value) -> Vec<String> {
    let entries = bundle["entry"].as_array().map(Vec::as_slice).unwrap_or_default();
    let matches = entries.iter().filter(|entry| entry["search"]["mode"] == "match");
    matches.map(|entry| entry["resource"]["id"].as_str().expect("has an id").to_owned()).collect()
}

/// Alice, known in the red domain.
pub(crate) fn alice() -> Value {
    json!({
        "resourceType": "Patient",
        "identifier": [{ "system": RED, "value": "IHERED-994" }],
        "active": true,
        "name": [{ "family": "MOHR", "given": ["ALICE"] }],
        "gender": "female",
        "birthDate": "1958-01-30"
    })
}
