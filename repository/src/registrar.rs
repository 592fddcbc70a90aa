//! The registry as a peer: it is asked to register, and later what became of an attempt.

use std::time::Duration;

use actor::failpoint;
use bytes::Bytes;
use fhir::iti65::{EntryReceipt, read_response};
use http::Method;
use serde::Deserialize;
use serde_json::Value;
use web::{Error, Peer, PeerAnswer};
use xds::{Finding, Findings, Place, Rule};

const KEY: &str = "docshare-submission-key";
const ATTEMPT: &str = "docshare-attempt";
const DIGEST: &str = "docshare-digest";

/// What became of a registration, as far as the registry told.
#[derive(Debug)]
pub(crate) enum Registration {
    /// It is registered, by the attempt named.
    Committed {
        /// The attempt that was committed, which may be an earlier one.
        attempt: u64,
        /// One receipt for each entry that was sent.
        receipts: Vec<EntryReceipt>,
    },
    /// The registry refuses it, for these findings.
    Refused(Findings),
    /// The registry refuses to talk about it (status): the submission is not at fault.
    Declined(u16),
    /// Certainly not reached: nothing was sent.
    NotReached,
    /// It was sent, and nobody knows.
    Unknown,
}

/// What an attempt in doubt turned out to be.
#[derive(Debug)]
pub(crate) enum Settled {
    /// The registry committed this attempt.
    Committed {
        /// Which one.
        attempt: u64,
        /// Digest of what it registered, hexadecimal: another one than ours means somebody else's content.
        digest: Option<String>,
        /// The receipts it gave.
        receipts: Vec<EntryReceipt>,
    },
    /// It has not, and never will commit this attempt or one before.
    Absent,
}

/// One registration.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) key: String,
    pub(crate) attempt: u64,
    pub(crate) digest: String,
    pub(crate) body: Bytes,
    /// How many receipts are due: one for each entry of the body that the registry writes.
    pub(crate) receipts: usize,
    /// `traceparent` and request id of the transaction that caused it.
    pub(crate) trace: String,
    pub(crate) request: String,
}

/// The registry.
#[derive(Clone)]
pub(crate) struct Registrar {
    peer: Peer,
    tries: u32,
}

impl Registrar {
    /// The registry as this peer.
    pub(crate) fn new(peer: Peer) -> Registrar {
        Registrar { tries: peer.settings().tries.max(1), peer }
    }

    /// Registers, and tries again with the same attempt while the outcome is unknown and time is left.
    /// `NotReached` is answered only if no try was ever sent.
    pub(crate) async fn register(
        &self,
        order: &Order,
        deadline: tokio::time::Instant,
    ) -> (Registration, bool) {
        let mut doubt = false;
        let mut pause = Duration::from_millis(200);
        for last in (0..self.tries).rev() {
            let outcome = match tokio::time::timeout_at(deadline, self.register_once(order)).await {
                Ok(outcome) => outcome,
                Err(_) => Registration::Unknown,
            };
            match outcome {
                Registration::NotReached if !doubt => return (outcome, doubt),
                Registration::NotReached | Registration::Unknown => doubt = true,
                Registration::Committed { .. } | Registration::Refused(_) | Registration::Declined(_) => {
                    return (outcome, doubt);
                }
            }
            if last == 0 || tokio::time::Instant::now() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        (Registration::Unknown, true)
    }

    async fn register_once(&self, order: &Order) -> Registration {
        let headers = [
            ("content-type", "application/fhir+json".to_owned()),
            ("accept", "application/fhir+json".to_owned()),
            (KEY, order.key.clone()),
            (ATTEMPT, order.attempt.to_string()),
            (DIGEST, order.digest.clone()),
            ("traceparent", order.trace.clone()),
            ("x-request-id", order.request.clone()),
        ];
        failpoint!(peer "repo.reg.pre_send", _failed => return Registration::NotReached);
        let asking = self.peer.send(Method::POST, "", &headers, order.body.clone());
        let answer = failpoint!(during "repo.reg.sent", asking, _failed => return Registration::Unknown);
        failpoint!(peer "repo.reg.received", _failed => return Registration::Unknown);
        match answer {
            Ok(answer) => registration(&answer, order),
            Err(Error::NotReached { .. }) => Registration::NotReached,
            Err(_) => Registration::Unknown,
        }
    }

    /// Asks what became of the attempts of a key up to this one; after `Absent` none of them can be committed any more.
    pub(crate) async fn settle(&self, key: &str, attempt: u64) -> Result<Settled, Error> {
        let body = serde_json::json!({ "key": key, "attempt": attempt }).to_string();
        let headers = [("content-type", "application/json".to_owned())];
        let unknown = |reason: String| Error::Unknown { peer: "registry".to_owned(), reason };
        let asking = self.peer.send_beside(Method::POST, "/settle", &headers, body.into());
        let answer =
            failpoint!(during "repo.settle.asked", asking, error => return Err(unknown(error.to_string())))?;
        failpoint!(peer "repo.settle.answered", error => return Err(unknown(error.to_string())));
        if answer.status != 200 {
            return Err(unknown(format!("settle was answered with status {}", answer.status)));
        }
        let settled: SettleAnswer = serde_json::from_slice(&answer.body)
            .map_err(|error| unknown(format!("the answer to settle cannot be read: {error}")))?;
        Ok(if settled.committed {
            Settled::Committed {
                attempt: settled.attempt.unwrap_or(attempt),
                digest: settled.digest,
                receipts: settled.entries.iter().map(receipt).collect(),
            }
        } else {
            Settled::Absent
        })
    }
}

fn registration(answer: &PeerAnswer, order: &Order) -> Registration {
    match answer.status {
        200 | 201 => match read_response(&answer.body) {
            Ok(receipts) if receipts.len() == order.receipts => {
                Registration::Committed { attempt: committed(answer).unwrap_or(order.attempt), receipts }
            }
            // Whatever this is an answer to, it is none to what was sent.
            Ok(_) | Err(_) => Registration::Unknown,
        },
        400 | 409 | 412 | 413 | 422 => Registration::Refused(
            fhir::outcome::read(&answer.body).filter(|findings| !findings.is_empty()).unwrap_or_else(|| {
                let text = format!("the registry refused the submission with status {}", answer.status);
                vec![Finding::error(Rule::BusinessRule, Place::whole(), text)]
            }),
        ),
        status @ 400..=499 => Registration::Declined(status),
        _ => Registration::Unknown,
    }
}

fn committed(answer: &PeerAnswer) -> Option<u64> {
    answer.headers.get(ATTEMPT)?.to_str().ok()?.trim().parse().ok()
}

/// What the registry answers to settle.
#[derive(Deserialize)]
struct SettleAnswer {
    committed: bool,
    #[serde(default)]
    attempt: Option<u64>,
    #[serde(default)]
    digest: Option<String>,
    #[serde(default)]
    entries: Vec<Value>,
}

/// A receipt, bare or inside `response` as in a Bundle entry.
fn receipt(entry: &Value) -> EntryReceipt {
    let response = entry.get("response").unwrap_or(entry);
    let text = |names: [&str; 2]| {
        names.into_iter().find_map(|name| response.get(name)).and_then(Value::as_str).map(str::to_owned)
    };
    EntryReceipt {
        status: text(["status", "status"]).unwrap_or_else(|| "201 Created".to_owned()),
        location: text(["location", "location"]).unwrap_or_default(),
        etag: text(["etag", "etag"]),
        last_modified: text(["lastModified", "last_modified"]),
        warnings: Vec::new(),
    }
}
