//! A consumer of mobile patient identity messages [ITI-93] that writes down what it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actor::{Actor, House, Route};
use serde_json::{Value, json};
use web::{Answer, Request};

/// What it was told, and how it answers.
#[derive(Default)]
pub(crate) struct Told {
    messages: Mutex<Vec<Value>>,
    refuses: Mutex<Option<http::StatusCode>>,
}

impl Told {
    /// From now on it refuses.
    pub(crate) fn refuse(&self, status: http::StatusCode) {
        *self.refuses.lock().expect("not poisoned") = Some(status);
    }

    /// Waits until it was told so many messages.
    pub(crate) async fn after(&self, count: usize) -> Vec<Value> {
        for _ in 0..500 {
            let messages = self.messages.lock().expect("not poisoned").clone();
            if messages.len() >= count {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it was not told {count} messages");
    }
}

static TOLD: std::sync::LazyLock<Arc<Told>> = std::sync::LazyLock::new(Arc::default);

#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Nothing {}

struct Consumer;

impl Actor for Consumer {
    const NAME: &'static str = "registry";
    type Settings = Nothing;

    async fn build(_: House<Nothing>) -> Result<Consumer, String> {
        Ok(Consumer)
    }

    fn routes() -> &'static [Route<Consumer>] {
        &[Route {
            method: "POST",
            path: "/fhir/$process-message",
            transaction: "ITI-93",
            serve: |_, request| Box::pin(listen(request)),
        }]
    }

    fn unrouted(&self, _request: &Request, _allowed: &[&'static str]) -> Answer {
        Answer::empty(http::StatusCode::NOT_FOUND)
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        &[]
    }
}

async fn listen(request: &mut Request) -> Answer {
    let body = request.body.whole(1 << 20, "none").await.expect("is sent whole");
    if let Some(status) = *TOLD.refuses.lock().expect("not poisoned") {
        let outcome = json!({ "resourceType": "OperationOutcome", "issue": [{
            "severity": "error", "code": "business-rule", "diagnostics": "MOHR is not welcome",
        }] });
        return Answer::bytes(status, "application/fhir+json", outcome.to_string());
    }
    let message: Value = serde_json::from_slice(&body).expect("is JSON");
    let response = json!({ "identifier": message["entry"][0]["resource"]["id"], "code": "ok" });
    let header = json!({
        "resourceType": "MessageHeader",
        "eventUri": "urn:ihe:iti:pmir:2019:patient-feed-response",
        "source": { "endpoint": "http://consumer" },
        "response": response,
    });
    let answer = json!({
        "resourceType": "Bundle", "type": "message", "entry": [{ "fullUrl": "urn:uuid:1", "resource": header }],
    });
    TOLD.messages.lock().expect("not poisoned").push(message);
    Answer::bytes(http::StatusCode::OK, "application/fhir+json", answer.to_string())
}

/// Starts it.
pub(crate) fn start() -> (actor::Running, Arc<Told>) {
    (actor::start::<Consumer>(Nothing {}), TOLD.clone())
}
