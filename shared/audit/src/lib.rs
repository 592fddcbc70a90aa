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

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event {
            transaction: "ITI-67".into(),
            action: Action::Execute,
            outcome: Outcome::Success,
            recorded: 1_700_000_000_000_000,
            caller: "local:127.0.0.1".into(),
            address: "127.0.0.1".into(),
            request: "r-1".into(),
            trace: "00-1-2-01".into(),
            patient: None,
            entities: Vec::new(),
            query: None,
            reason: None,
        }
    }

    #[test]
    fn what_is_written_down_can_be_read_again() {
        let told = Event {
            patient: Some("p".into()),
            entities: vec!["DocumentReference/d".into()],
            query: Some("status=current".into()),
            reason: Some("none".into()),
            ..event()
        };
        for event in [event(), told] {
            assert_eq!(serde_json::from_slice::<Event>(&event.to_bytes()).ok(), Some(event));
        }
    }

    #[test]
    fn outcomes_are_written_as_the_codes_of_an_audit_event() {
        let text = String::from_utf8(event().to_bytes()).expect("JSON is text");
        assert!(text.contains(r#""outcome":"0""#) && text.contains(r#""action":"execute""#), "{text}");
        assert!(
            !text.contains("patient") && !text.contains("reason"),
            "what is not known is left out: {text}"
        );
    }
}
