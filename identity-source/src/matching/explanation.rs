//! Why a score is what it is, in words: what `$match` tells, and what the decision about a link keeps.

use serde::{Deserialize, Serialize};

/// Why a score is what it is. Holds no names, dates or numbers of anybody.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Explanation {
    /// The whole weight in bits, how many people there are already counted in: 0 is as likely as not.
    pub(crate) weight: f64,
    /// Each field that could be compared; what one side does not say counts neither way.
    pub(crate) fields: Vec<Said>,
    /// Why it is not called certain though so much agrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) held: Option<String>,
}

/// What one field says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Said {
    /// The field.
    pub(crate) field: String,
    /// How the two compare.
    pub(crate) says: String,
    /// What that is worth, in bits against a stranger.
    pub(crate) weight: f64,
}

impl Explanation {
    /// The explanation in one line.
    pub(crate) fn words(&self) -> String {
        let mut words: Vec<String> =
            self.fields.iter().map(|said| format!("{} ({:+})", said.says, said.weight)).collect();
        words.extend(self.held.iter().map(|why| format!("not certain: {why}")));
        words.join("; ")
    }
}
