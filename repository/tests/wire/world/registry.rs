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
    /// It is committed, and what comes back is no answer: this status and text.
    CommitAndAnswer(u16, String),
    /// It is committed, and the answer breaks off after so many bytes.
    CommitAndBreakOff(usize),
    /// It is committed, and no answer comes.
    CommitAndFallSilent,
    /// It is answered as committed by an earlier life of the registry; this one knows nothing of it.
    AnswerLateFrom(&'static str),
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) script: VecDeque<Step>,
    /// What has been committed, by key: digest, attempt, receipts, the Bundle.
    pub(crate) committed: HashMap<String, (String, u64, Vec<Value>, Value)>,
    /// Keys in the order of their commits.
    pub(crate) order: Vec<String>,
    /// Which life of the registry this is, if it says so.
    pub(crate) life: Option<String>,
    /// Keys that are refused whenever they come, with this code.
    pub(crate) refused: HashMap<String, &'static str>,
    pub(crate) fences: HashMap<String, u64>,
    /// Registrations that arrived.
    pub(crate) arrived: usize,
    /// How many of the next questions to settle are answered 500.
    pub(crate) unsettled: usize,
    /// Whose all documents are by now.
    pub(crate) owner: Option<String>,
    /// The commit behind which no bindings are answered: who asks for them waits in vain.
    pub(crate) bindings_end: Option<usize>,
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

impl State {
    /// What a registry is after a restore from a backup that holds only these commits: another one.
    pub(crate) fn restore(&mut self, kept: usize, life: &str) {
        for key in self.order.split_off(kept) {
            self.committed.remove(&key);
        }
        self.fences.clear();
        self.life = Some(life.to_owned());
    }

    fn urls(&self, key: &str) -> Vec<String> {
        let (_, _, _, bundle) = &self.committed[key];
        let entries = bundle["entry"].as_array().unwrap().iter();
        let urls = entries.filter_map(|entry| entry["resource"]["content"][0]["attachment"]["url"].as_str());
        urls.map(str::to_owned).collect()
    }
}

fn react(state: &mut State, asked: &Asked) -> Reaction {
    let expected = asked.header("docshare-incarnation");
    if let (Some(expected), Some(life)) = (expected, &state.life)
        && expected != life
    {
        let headers = vec![("docshare-incarnation".to_owned(), life.clone())];
        return Reaction::Answer { status: 412, headers, body: outcome("", "conflict", "").to_string() };
    }
    let path = asked.target.split('?').next().unwrap_or_default().trim_end_matches('/');
    let reaction = match (asked.method.as_str(), path) {
        ("POST", "/settle") => settle(state, &serde_json::from_slice(&asked.body).unwrap()),
        ("POST", "/fhir") => register(state, asked),
        ("POST", "/submissions") => submissions(state, &serde_json::from_slice(&asked.body).unwrap()),
        ("GET", "/bindings") => bindings(state, &asked.target),
        ("GET", "/incarnation") => ok(json!({}), &[]),
        // It has no feed of its own.
        ("GET", "/patients") => ok(json!({ "id": null }), &[]),
        ("GET", path) if path.starts_with("/fhir/DocumentReference/") => document(state, path),
        (method, target) => panic!("the repository asked the registry {method} {target}"),
    };
    match (reaction, &state.life) {
        (Reaction::Answer { status, mut headers, body }, Some(life)) => {
            headers.push(("docshare-incarnation".to_owned(), life.clone()));
            Reaction::Answer { status, headers, body }
        }
        (reaction, _) => reaction,
    }
}

/// The document entry with this id and version, as it was registered.
fn document(state: &State, path: &str) -> Reaction {
    let location = path.trim_start_matches("/fhir/");
    let found = state.committed.values().find_map(|(_, _, receipts, bundle)| {
        let index = receipts.iter().position(|receipt| receipt["location"] == location)?;
        Some(bundle["entry"][index]["resource"].clone())
    });
    match found {
        Some(mut resource) => {
            resource["id"] = location.split('/').nth(1).unwrap().into();
            ok(resource, &[])
        }
        None => refusal(404, "not-found", "not-found"),
    }
}

fn submissions(state: &State, asked: &Value) -> Reaction {
    let keys = asked["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
    let known: Vec<Value> = keys
        .filter_map(|key| {
            let (digest, attempt, _, _) = state.committed.get(key)?;
            Some(json!({ "key": key, "digest": digest, "attempt": attempt, "documents": state.urls(key) }))
        })
        .collect();
    ok(json!({ "submissions": known }), &[])
}

/// One document to a page, so that going on is tried too.
fn bindings(state: &State, target: &str) -> Reaction {
    let since = target.split("since=").nth(1).unwrap();
    let since: usize = since.split('&').next().unwrap().parse().unwrap();
    if state.bindings_end.is_some_and(|end| since >= end) {
        return Reaction::Close;
    }
    let Some(key) = state.order.get(since) else { return ok(json!({ "bindings": [], "next": null }), &[]) };
    let bound: Vec<Value> = state
        .urls(key)
        .iter()
        .map(|url| {
            json!({ "entry": "e", "url": url, "key": key, "patient": state.owner.as_deref().unwrap_or("p1"), "content_type": "text/plain",
                    "status": "current", "size": null, "sha1": null, "sha256": null })
        })
        .collect();
    ok(json!({ "bindings": bound, "next": since + 1 }), &[])
}

fn settle(state: &mut State, asked: &Value) -> Reaction {
    if state.unsettled > 0 {
        state.unsettled -= 1;
        return Reaction::Answer { status: 500, headers: Vec::new(), body: String::new() };
    }
    let (key, attempt) = (asked["key"].as_str().unwrap(), asked["attempt"].as_u64().unwrap());
    if let Some((digest, committed, receipts, _)) = state.committed.get(key) {
        let told = json!({ "committed": true, "attempt": committed, "digest": digest, "entries": receipts,
                           "documents": state.urls(key) });
        return ok(told, &[]);
    }
    let fence = state.fences.entry(key.to_owned()).or_default();
    *fence = attempt.max(*fence);
    ok(json!({ "committed": false, "fence": *fence }), &[])
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
    if let Step::AnswerLateFrom(life) = step {
        let receipts = receipts(&serde_json::from_slice(&asked.body).unwrap(), None);
        let headers = [("docshare-incarnation".to_owned(), life.to_owned())];
        return ok(response(&receipts), &headers);
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
            return refusal(409, "attempt-given-up", "conflict");
        }
        None if state.refused.contains_key(&key) => {
            return refusal(400, state.refused[&key], "business-rule");
        }
        None => {
            let bundle: Value = serde_json::from_slice(&asked.body).unwrap();
            let receipts = receipts(&bundle, asked.header("docshare-assigned"));
            state.order.push(key.clone());
            let headers = [
                ("docshare-attempt".to_owned(), attempt.to_string()),
                ("docshare-sequence".to_owned(), state.order.len().to_string()),
            ];
            let answer = ok(response(&receipts), &headers);
            state.committed.insert(key, (digest, attempt, receipts, bundle));
            answer
        }
    };
    match (step, answer) {
        (Step::CommitAndLose, _) => Reaction::Close,
        (Step::CommitAndFallSilent, _) => Reaction::Silence,
        (Step::CommitAndAnswer(status, body), _) => Reaction::Answer { status, headers: Vec::new(), body },
        (Step::CommitAndBreakOff(after), Reaction::Answer { status, headers, body }) => {
            Reaction::BreakOff { after, status, headers, body }
        }
        (_, answer) => answer,
    }
}

fn receipts(bundle: &Value, assigned: Option<&str>) -> Vec<Value> {
    let entries = bundle["entry"].as_array().unwrap().iter();
    let mut assigned = assigned.into_iter().flat_map(|ids| ids.split(',')).map(str::to_owned);
    entries
        .map(|entry| {
            let kind = entry["resource"]["resourceType"].as_str().unwrap();
            assert_ne!(kind, "Binary", "bytes stay at the repository");
            let id = assigned.next().unwrap_or_else(|| testkit::urn_uuid().replace("urn:uuid:", ""));
            let location = format!("{kind}/{id}/_history/1");
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
    let is_ours = code.contains('-');
    let system = if is_ours { "https://docshare.example/errors" } else { "urn:ihe:iti:2007:XDSErrorCode" };
    let mut told = json!({ "severity": "error", "code": issue, "diagnostics": code,
        "details": { "coding": [{ "system": system, "code": code }], "text": code } });
    if !path.is_empty() {
        told["expression"] = json!([path]);
    }
    json!({ "resourceType": "OperationOutcome", "issue": [told] })
}

fn refusal(status: u16, code: &str, issue: &str) -> Reaction {
    Reaction::Answer { status, headers: Vec::new(), body: outcome(code, issue, "").to_string() }
}
