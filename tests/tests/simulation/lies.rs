//! Doubles that leave out one step of the protocol: a simulation that does not find them finds nothing.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};
use store::{Kind, Store};
use web::{Error, Letter, PeerAnswer};

use crate::network::{self, Place, Reply};

/// Which step is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// None.
    None,
    /// The registry says "absent" without raising its fence.
    NoFence,
    /// The registry takes an attempt that has been given up.
    FencedAttempts,
    /// A lost answer of the registry, or a failure, is taken for a request that was never sent.
    NeverSent,
    /// The registry answers a registration before it has committed it.
    AnswerFirst,
}

impl Lie {
    /// What becomes of a request that has arrived; none if the double has answered it.
    pub(crate) fn of_request(
        self,
        to: Place,
        letter: Letter,
        reply: Option<Reply>,
        registry: &Store,
    ) -> Option<(Letter, Option<Reply>)> {
        if to != Place::Registry || letter.method != http::Method::POST {
            return Some((letter, reply));
        }
        let settles = letter.url.ends_with("/settle");
        let asked = if settles { key_of_settle(&letter) } else { header(&letter, "docshare-submission-key") };
        let (fence, committed) = known(registry, &asked);
        match self {
            Lie::NoFence if settles && !committed => {
                answer(reply, json!({ "committed": false }));
                None
            }
            Lie::FencedAttempts if !settles && !committed && fence > 0 => {
                Some((with_attempt_above(letter, fence), reply))
            }
            Lie::AnswerFirst if !settles && !committed => {
                answer(reply, receipts(&letter.body));
                Some((letter, None))
            }
            _ => Some((letter, reply)),
        }
    }

    /// What becomes of an answer to an actor.
    pub(crate) fn of_answer(self, answer: PeerAnswer) -> Result<PeerAnswer, Error> {
        if answer.status >= 500 { self.of_loss().map_or(Ok(answer), Err) } else { Ok(answer) }
    }

    /// What is said of a lost message, if it is not the truth.
    pub(crate) fn of_loss(self) -> Option<Error> {
        let lost = || Error::NotReached { peer: "registry".to_owned(), reason: "lost".to_owned() };
        (self == Lie::NeverSent).then(lost)
    }
}

fn header(letter: &Letter, wanted: &str) -> String {
    let found = letter.headers.iter().find(|(name, _)| *name == wanted);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

fn key_of_settle(letter: &Letter) -> String {
    let asked: Value = serde_json::from_slice(&letter.body).unwrap_or_default();
    asked["key"].as_str().unwrap_or_default().to_owned()
}

/// The fence of a key, and whether it is committed.
fn known(registry: &Store, key: &str) -> (u64, bool) {
    let row = registry.get(Kind("submission"), key).expect("the store is open");
    let record: Value = row.and_then(|row| serde_json::from_slice(&row.body).ok()).unwrap_or_default();
    (record["fence"].as_u64().unwrap_or_default(), !record["committed"].is_null())
}

fn with_attempt_above(mut letter: Letter, fence: u64) -> Letter {
    for (name, value) in &mut letter.headers {
        if *name == "docshare-attempt" && value.parse().is_ok_and(|attempt: u64| attempt <= fence) {
            *value = (fence + 1).to_string();
        }
    }
    letter
}

fn answer(reply: Option<Reply>, body: Value) {
    let answer = PeerAnswer { status: 200, headers: HeaderMap::new(), body: Bytes::from(body.to_string()) };
    network::answer(reply, Ok(answer));
}

/// The answer the registry will give, as far as it can be guessed.
fn receipts(bundle: &[u8]) -> Value {
    let bundle: Value = serde_json::from_slice(bundle).unwrap_or_default();
    let entries = bundle["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let receipt = |entry: &Value| {
        let resource = &entry["resource"];
        let id = resource["identifier"][0]["value"].as_str().unwrap_or("urn:uuid:list");
        let id = id.trim_start_matches("urn:uuid:");
        let kind = resource["resourceType"].as_str().unwrap_or_default();
        json!({ "response": { "status": "201 Created", "location": format!("{kind}/{id}/_history/1"),
                              "etag": "W/\"1\"", "lastModified": "2026-11-20T12:00:00.000Z" } })
    };
    let entries: Vec<Value> = entries.iter().map(receipt).collect();
    json!({ "resourceType": "Bundle", "type": "transaction-response", "entry": entries })
}
