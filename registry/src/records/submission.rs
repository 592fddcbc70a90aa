//! Submissions by their key: what became of each, so that one that is sent again is answered as the first time
//! (reliability: the fenced settle).

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Put, Row, Store, Version};

use super::{SUBMISSION, unreadable};

/// What is known of the submission with a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubmissionRecord {
    /// Attempts up to this one have been given up: they can no longer be committed.
    pub(crate) fence: u64,
    /// What was committed.
    pub(crate) committed: Option<Committed>,
}

/// A submission that was committed. Its answer is the rendering of the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Committed {
    /// Which attempt it was.
    pub(crate) attempt: u64,
    /// Digest of its content, hexadecimal.
    pub(crate) digest: String,
    /// Its patient.
    pub(crate) patient: String,
    /// Where its documents are.
    pub(crate) urls: Vec<String>,
}

/// The record of a key, with its row.
pub(crate) fn submission_row(
    store: &Store,
    key: &str,
) -> Result<Option<(Row, SubmissionRecord)>, store::Error> {
    let Some(row) = store.get(SUBMISSION, key)? else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(SUBMISSION, key, &e))?;
    Ok(Some((row, record)))
}

/// A version of the record of a key; `answer` is the transaction-response, if it was committed.
pub(crate) fn submission_put(key: &str, version: Version, record: &SubmissionRecord, answer: Bytes) -> Put {
    Put {
        kind: SUBMISSION,
        id: key.to_owned(),
        version,
        // A partition of its own: keys are looked up one by one, and never searched with a patient's documents.
        partition: String::new(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: Bytes::from(serde_json::to_vec(record).expect("a submission record is writable as JSON")),
        rendering: answer,
        deleted: false,
    }
}
