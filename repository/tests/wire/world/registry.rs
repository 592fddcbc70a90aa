//! A fake registry that keeps the contract of registration and settling, and loses answers when told to.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{Asked, Reaction, serve};

/// What becomes of the next registration.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// It is committed and answered.
    Commit,
    /// It is committed, and the answer lost.
    CommitAndLose,
    /// It is lost on its way.
    Lose,
    /// It is refused with this status and outcome.
    Refuse(u16, Value),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) script: VecDeque<Step>,
    /// What has been committed, by key: digest, attempt, receipts, the Bundle.
    pub(crate) committed: HashMap<String, (String, u64, Vec<Value>, Value)>,
    pub(crate) fences: HashMap<String, u64>,
    /// Registrations that arrived.
    pub(crate) arrived: usize,
    /// How many of the next questions to settle are answered 500.
    pub(crate) unsettled: usize,
}

#[derive(Clone)]
pub(crate) struct FakeRegistry {
    pub(crate) host: String,
    pub(crate) state: Arc<Mutex<State>>,
}

impl FakeRegistry {
    pub(crate) async fn start() -> FakeRegistry {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        let host = serve(move |asked| react(&mut shared.lock().unwrap(), &asked)).await;
        FakeRegistry { host, state }
    }

    /// What the next registrations come to.
    pub(crate) fn then(&self, steps: &[Step]) {
        self.state.lock().unwrap().script.extend(steps.iter().cloned());
    }

    /// URLs of all documents that are registered.
    pub(crate) fn urls(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let bundles = state.committed.values().map(|(_, _, _, bundle)| bundle);
        let entries = bundles.flat_map(|bundle| bundle["entry"].as_array().unwrap().iter());
        entries
            .filter_map(|entry| entry["resource"]["content"][0]["attachment"]["url"].as_str())
            .map(str::to_owned)
            .collect()
    }
}

fn react(state: &mut State, asked: &Asked) -> Reaction {
    match (asked.method.as_str(), asked.target.trim_end_matches('/')) {
        ("POST", "/settle") => settle(state, &serde_json::from_slice(&asked.body).unwrap()),
        ("POST", "/fhir") => register(state, asked),
        (method, target) => panic!("the repository asked the registry {method} {target}"),
    }
}

fn settle(state: &mut State, asked: &Value) -> Reaction {
    if state.unsettled > 0 {
        state.unsettled -= 1;
        return Reaction::Answer { status: 500, headers: Vec::new(), body: String::new() };
    }
    let (key, attempt) = (asked["key"].as_str().unwrap(), asked["attempt"].as_u64().unwrap());
    if let Some((digest, committed, receipts, _)) = state.committed.get(key) {
        let told = json!({ "committed": true, "attempt": committed, "digest": digest, "entries": receipts });
        return ok(told, &[]);
    }
    let fence = state.fences.entry(key.to_owned()).or_default();
    *fence = attempt.max(*fence);
    ok(json!({ "committed": false }), &[])
}

fn register(state: &mut State, asked: &Asked) -> Reaction {
    state.arrived += 1;
    let step = state.script.pop_front().unwrap_or(Step::Commit);
    if let Step::Lose = step {
        return Reaction::Close;
    }
    if let Step::Refuse(status, outcome) = step {
        return Reaction::Answer { status, headers: Vec::new(), body: outcome.to_string() };
    }
    let key = asked.header("docshare-submission-key").expect("a key is sent").to_owned();
    let attempt: u64 = asked.header("docshare-attempt").expect("an attempt is sent").parse().unwrap();
    let digest = asked.header("docshare-digest").expect("a digest is sent").to_owned();
    let answer = match state.committed.get(&key) {
        Some((known, committed, receipts, _)) if *known == digest => {
            let headers = [
                ("docshare-attempt".to_owned(), committed.to_string()),
                ("idempotency-replayed".to_owned(), "true".to_owned()),
            ];
            ok(response(receipts), &headers)
        }
        Some(_) => return refusal(409, "XDSDuplicateUniqueIdInRegistry", "duplicate"),
        None if state.fences.get(&key).is_some_and(|fence| attempt <= *fence) => {
            return refusal(409, "fenced", "conflict");
        }
        None => {
            let bundle: Value = serde_json::from_slice(&asked.body).unwrap();
            let receipts = receipts(&bundle);
            let answer = ok(response(&receipts), &[("docshare-attempt".to_owned(), attempt.to_string())]);
            state.committed.insert(key, (digest, attempt, receipts, bundle));
            answer
        }
    };
    if let Step::CommitAndLose = step { Reaction::Close } else { answer }
}

fn receipts(bundle: &Value) -> Vec<Value> {
    let entries = bundle["entry"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            let kind = entry["resource"]["resourceType"].as_str().unwrap();
            assert_ne!(kind, "Binary", "bytes stay at the repository");
            let location =
                format!("{kind}/{}/_history/1", testkit::urn_uuid().trim_start_matches("urn:uuid:"));
            json!({ "status": "201 Created", "location": location, "etag": "W/\"1\"",
                    "lastModified": "2026-11-20T12:00:00.000Z" })
        })
        .collect()
}

fn response(receipts: &[Value]) -> Value {
    let entries: Vec<Value> = receipts.iter().map(|receipt| json!({ "response": receipt })).collect();
    json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": entries })
}

fn ok(body: Value, headers: &[(String, String)]) -> Reaction {
    Reaction::Answer { status: 200, headers: headers.to_vec(), body: body.to_string() }
}

/// A refusal with one issue.
pub(crate) fn outcome(code: &str, issue: &str, path: &str) -> Value {
    let mut told = json!({ "severity": "error", "code": issue, "diagnostics": code,
        "details": { "coding": [{ "system": "urn:ihe:iti:2007:XDSErrorCode", "code": code }], "text": code } });
    if !path.is_empty() {
        told["expression"] = json!([path]);
    }
    json!({ "resourceType": "OperationOutcome", "issue": [told] })
}

fn refusal(status: u16, code: &str, issue: &str) -> Reaction {
    Reaction::Answer { status, headers: Vec::new(), body: outcome(code, issue, "").to_string() }
}
