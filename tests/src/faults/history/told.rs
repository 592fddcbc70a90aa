//! What a source was told about a submission, in four words.

use serde::{Deserialize, Serialize};

/// The answer to a submission, from the source's side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Success: it is stored.
    Acknowledged {
        /// Ids the objects were given, in the order of [`super::Submit::objects`].
        ids: Vec<String>,
        /// `Idempotency-Replayed`.
        replayed: bool,
    },
    /// The submission is refused, for good.
    Refused {
        /// Status of the answer.
        status: u16,
        /// Code of the first issue.
        code: String,
    },
    /// This request did nothing, and may be sent again. Says nothing about requests before it.
    Declined {
        /// Status of the answer; 0: it was never sent.
        status: u16,
        /// Code of the first issue.
        code: String,
    },
    /// Nobody knows: no answer, half an answer, or one that says so.
    Unknown {
        /// In a few words.
        why: String,
    },
}

impl Told {
    /// It was never sent.
    pub fn not_sent() -> Told {
        Told::Declined { status: 0, code: "not-sent".into() }
    }

    /// Nobody knows.
    pub fn unknown(why: impl Into<String>) -> Told {
        Told::Unknown { why: why.into() }
    }

    /// What a status other than success means, with the code of the first issue. A failure that is neither promised to
    /// have stored nothing nor a refusal is unknown.
    pub fn failure(status: u16, code: &str) -> Told {
        let code = code.to_owned();
        match (status, code.as_str()) {
            (408 | 429, _) | (503, "transient" | "no-store" | "throttled") => Told::Declined { status, code },
            (400..=499, _) => Told::Refused { status, code },
            _ => Told::unknown(format!("{status} {code}")),
        }
    }

    /// The ids, if it was acknowledged.
    pub fn ids(&self) -> Option<&[String]> {
        match self {
            Told::Acknowledged { ids, .. } => Some(ids),
            Told::Refused { .. } | Told::Declined { .. } | Told::Unknown { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_no_refusal() {
        assert!(matches!(Told::failure(503, "timeout"), Told::Unknown { .. }));
        assert!(matches!(Told::failure(500, "exception"), Told::Unknown { .. }));
        assert!(matches!(Told::failure(503, "transient"), Told::Declined { .. }));
        assert!(matches!(Told::failure(409, "duplicate"), Told::Refused { .. }));
    }
}
