//! What receivers answer, in words that may stand in a log: codes of standards, and nothing of the patient.

/// How a receiver judged a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It has it.
    Taken,
    /// It does not take it.
    Refused(Refusal),
    /// What it answered cannot be understood: whether it has the message is not known.
    Rubbish(String),
}

/// Why a message was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The receiver's codes.
    pub(crate) words: String,
    /// Whether it is about the moment and not about the message.
    pub(crate) passes: bool,
}

impl Refusal {
    /// An HTTP status that says no.
    pub(crate) fn status(status: u16, code: Option<String>) -> Refusal {
        let passes = status >= 500 || matches!(status, 401 | 403 | 408 | 425 | 429);
        let words = match code {
            Some(code) => format!("HTTP {status} {code}"),
            None => format!("HTTP {status}"),
        };
        Refusal { words, passes }
    }
}

/// A code as it may be repeated: short, letters, digits and marks of codes; none if it is something else.
pub(crate) fn code(text: &str) -> Option<String> {
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!text.is_empty() && text.len() <= 40 && text.chars().all(sound)).then(|| text.to_owned())
}

/// `issue.code` of the first issue of an OperationOutcome.
pub(crate) fn outcome_code(body: &[u8]) -> Option<String> {
    let outcome: serde_json::Value = serde_json::from_slice(body).ok()?;
    code(outcome.pointer("/issue/0/code")?.as_str()?)
}
