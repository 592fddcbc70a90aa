//! What the registry's answers say. Whatever is not an answer to what was asked says nothing: the outcome is unknown.

use bytes::Bytes;
use fhir::iti65::{EntryReceipt, read_response};
use serde::Deserialize;
use serde_json::{Value, json};
use web::PeerAnswer;
use xds::Rule;

use super::{ATTEMPT, Commit, Order, Registration, Settled};

const SEQUENCE: &str = "docshare-sequence";
const REPLAYED: &str = "idempotency-replayed";

pub(super) fn registration(answer: &PeerAnswer, order: &Order) -> Registration {
    match answer.status {
        200 | 201 => match read_response(&answer.body) {
            Ok(receipts) if receipts.len() == order.receipts => {
                Registration::Committed(committed(answer, order, receipts))
            }
            // Whatever this is an answer to, it is none to what was sent.
            Ok(_) | Err(_) => Registration::Unknown,
        },
        status @ (400 | 409 | 412 | 413 | 422) => {
            match fhir::outcome::read(&answer.body).filter(|findings| !findings.is_empty()) {
                Some(findings) if findings.iter().any(|finding| finding.rule == Rule::AttemptGivenUp) => {
                    Registration::GivenUp
                }
                Some(findings) => Registration::Refused(findings),
                None => Registration::Declined(status),
            }
        }
        status @ 400..=499 => Registration::Declined(status),
        _ => Registration::Unknown,
    }
}

fn committed(answer: &PeerAnswer, order: &Order, receipts: Vec<EntryReceipt>) -> Commit {
    let text = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    Commit {
        attempt: number(ATTEMPT).unwrap_or(order.attempt),
        digest: Some(order.digest.clone()),
        documents: None,
        receipts,
        sequence: number(SEQUENCE).unwrap_or(0),
        replayed: text(REPLAYED) == Some("true"),
    }
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
    sequence: u64,
    #[serde(default)]
    fence: Option<u64>,
    #[serde(default)]
    documents: Option<Vec<String>>,
    #[serde(default)]
    entries: Vec<Value>,
}

pub(super) fn settled(body: &Bytes, attempt: u64) -> Result<Settled, String> {
    let settled: SettleAnswer = serde_json::from_slice(body)
        .map_err(|error| format!("the answer to settle cannot be read: {error}"))?;
    if !settled.committed {
        return Ok(Settled::Absent { fence: settled.fence.unwrap_or(attempt).max(attempt) });
    }
    let receipts =
        receipts(settled.entries).ok_or("the answer to settle has receipts that cannot be read")?;
    Ok(Settled::Committed(Commit {
        attempt: settled.attempt.unwrap_or(attempt),
        digest: settled.digest,
        documents: settled.documents,
        receipts,
        sequence: settled.sequence,
        replayed: true,
    }))
}

/// Receipts, bare or inside `response` as in a Bundle entry.
fn receipts(entries: Vec<Value>) -> Option<Vec<EntryReceipt>> {
    let entries = entries
        .into_iter()
        .map(|entry| if entry.get("response").is_some() { entry } else { json!({ "response": entry }) });
    let bundle = json!({
        "resourceType": "Bundle", "type": "transaction-response", "entry": entries.collect::<Vec<_>>(),
    });
    read_response(bundle.to_string().as_bytes()).ok()
}

/// A submission the registry has committed.
#[derive(Debug, Deserialize)]
pub(crate) struct KnownSubmission {
    /// SubmissionSet.uniqueId.
    pub(crate) key: String,
    /// Digest of its content, hexadecimal.
    pub(crate) digest: String,
    /// Where its documents are.
    pub(crate) documents: Vec<String>,
}

pub(super) fn known(body: &Bytes) -> Result<Vec<KnownSubmission>, String> {
    #[derive(Deserialize)]
    struct Answer {
        submissions: Vec<KnownSubmission>,
    }
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| format!("the answer about submissions cannot be read: {error}"))?;
    Ok(answer.submissions)
}

/// A document that is registered.
#[derive(Debug, Deserialize)]
pub(crate) struct Binding {
    /// Id of its DocumentReference.
    pub(crate) entry: String,
    /// Where its bytes are.
    pub(crate) url: String,
    /// The submission it came with.
    pub(crate) key: String,
    /// Its patient.
    pub(crate) patient: String,
    /// DocumentEntry.uniqueId as XDS writes it, where the registry says it.
    #[serde(default)]
    pub(crate) unique_id: Option<String>,
    /// Its media type.
    pub(crate) content_type: String,
    /// Bytes, if known.
    pub(crate) size: Option<u64>,
    /// SHA-1, hexadecimal, if known.
    pub(crate) sha1: Option<String>,
    /// SHA-256, hexadecimal, if known.
    pub(crate) sha256: Option<String>,
}

/// Some of the documents that are registered.
#[derive(Debug, Deserialize)]
pub(crate) struct BindingPage {
    /// They.
    pub(crate) bindings: Vec<Binding>,
    /// Where to go on; none at the end.
    pub(crate) next: Option<u64>,
    /// Behind which document, if in the middle of a commit.
    #[serde(default)]
    pub(crate) after: Option<String>,
}

pub(super) fn patient(body: &Bytes) -> Result<Option<String>, String> {
    #[derive(serde::Deserialize)]
    struct Known {
        id: Option<String>,
    }
    let known: Known =
        serde_json::from_slice(body).map_err(|error| format!("who a patient is cannot be read: {error}"))?;
    Ok(known.id)
}

pub(super) fn bindings(body: &Bytes) -> Result<BindingPage, String> {
    serde_json::from_slice(body).map_err(|error| format!("the bindings cannot be read: {error}"))
}
