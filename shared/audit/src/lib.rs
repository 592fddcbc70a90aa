//! What an auditor is told.
//!
//! Lives here: the vocabulary of events and how one is written down.
//! Does not live here: where the records are kept (`store`) and how they become FHIR AuditEvents (`fhir`).
//! Doors: none of our crates.

use serde::{Deserialize, Serialize};

/// What was done, in the words of BALP 1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Something new was taken in.
    Create,
    /// Something was read.
    Read,
    /// Something was changed.
    Update,
    /// Something was removed.
    Delete,
    /// A question was asked, or an operation run.
    Execute,
}

/// How it ended: the codes of `AuditEvent.outcome`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    #[serde(rename = "0")]
    Success,
    /// The caller's mistake, or a refusal.
    #[serde(rename = "4")]
    MinorFailure,
    /// Ours.
    #[serde(rename = "8")]
    SeriousFailure,
}

/// One event. Patients and objects are named by id, never by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `ITI-67` and so on.
    pub transaction: String,
    /// What was done.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// Microseconds since 1970.
    pub recorded: i64,
    /// Who asked.
    pub caller: String,
    /// From where.
    pub address: String,
    /// The request id.
    pub request: String,
    /// The W3C trace.
    pub trace: String,
    /// The patient, by the id of this domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patient: Option<String>,
    /// What was touched, e.g. `DocumentReference/…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entities: Vec<String>,
    /// The question as it was asked, for queries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<String>,
    /// Why it failed, as a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Event {
    /// The record as it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an event has only strings and numbers")
    }
}
