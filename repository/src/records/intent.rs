//! Everything known about one submission key.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use xds::Findings;

use crate::answer::Slot;
use crate::registrar::Expected;

/// Everything known about a submission key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The highest attempt ever made.
    pub(crate) last: u64,
    /// Attempts whose outcome is not known.
    #[serde(default)]
    pub(crate) open: Vec<Attempt>,
    /// Attempts that a registry of another make did not know for so long that it is believed. Their bytes are kept for a while
    /// all the same: it has promised nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) withheld: Vec<Attempt>,
    /// What the registry committed.
    #[serde(default)]
    pub(crate) closed: Option<Closed>,
}

/// One try to register a submission.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Its number, from 1.
    pub(crate) attempt: u64,
    /// Digest of the submission, hexadecimal.
    pub(crate) digest: String,
    /// FHIR base of this repository, as the source knows it.
    pub(crate) base: String,
    /// When it was written down, microseconds.
    pub(crate) instant: i64,
    /// What stands in each place of the answer.
    pub(crate) slots: Vec<Slot>,
    /// What a registry of another make holds once it has committed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Expected>,
    /// Our own reservations about the source's Bundle, as an OperationOutcome: an answer put together later has them too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) warnings: Option<Box<RawValue>>,
}

/// A submission the registry has committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// The attempt that was committed.
    pub(crate) attempt: u64,
    /// Digest of the submission, hexadecimal.
    pub(crate) digest: String,
    /// The answer the source was given.
    pub(crate) answer: Box<RawValue>,
    /// The commit of the registry that holds it; 0 if it did not say. Submissions have happened in this order.
    #[serde(default)]
    pub(crate) sequence: u64,
    /// Whether the documents are ours. The same submission may have come in elsewhere first: then the answer is that of there.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub(crate) ours: bool,
    /// Why a registry that was restored from a backup, and has lost it, refuses to take it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refused: Option<String>,
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_true(ours: &bool) -> bool {
    *ours
}

impl Intent {
    /// Every attempt that the registry may have committed without our knowing it.
    pub(crate) fn tried(&self) -> Vec<Attempt> {
        self.open.iter().chain(&self.withheld).cloned().collect()
    }
}

impl Attempt {
    /// Ids of its blobs.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Bytes { blob, .. } => Some(blob.as_str()),
            Slot::Object { .. } | Slot::Patch { .. } | Slot::Patient { .. } => None,
        })
    }

    /// Our own reservations about the source's Bundle.
    pub(crate) fn reservations(&self) -> Findings {
        let outcome = self.warnings.as_ref();
        outcome.and_then(|outcome| fhir::outcome::read(outcome.get().as_bytes())).unwrap_or_default()
    }
}

/// Reservations as they are kept with an attempt.
pub(crate) fn kept(warnings: &[xds::Finding]) -> Option<Box<RawValue>> {
    if warnings.is_empty() {
        return None;
    }
    let outcome = String::from_utf8(fhir::outcome::of_findings(warnings, "")).ok()?;
    RawValue::from_string(outcome).ok()
}
