//! What is kept beside the bytes of a document.

use serde::{Deserialize, Serialize};
use store::{Fact, Reach};

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Part of an attempt in doubt.
    Staged,
    /// Registered.
    Bound,
    /// Part of an attempt that came to nothing.
    Rejected,
    /// Part of an attempt that a registry of another make does not know, and may still come to know.
    Withheld,
    /// Registered once, and taken away.
    Removed,
    /// Registered, and its bytes are not here any more: this repository was restored from a backup that did not have them.
    Lost,
}

/// What is kept beside the bytes of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    /// How far it has come.
    pub(crate) state: State,
    /// The submission it came with.
    pub(crate) key: String,
    /// The attempt it came with.
    pub(crate) attempt: u64,
    /// Media type, as the source declared it.
    pub(crate) content_type: String,
    /// What it is called when it is saved.
    pub(crate) file_name: String,
    /// Id of its DocumentReference on the registry, once registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
    /// The patient, by the id of this domain.
    pub(crate) patient: String,
    /// DocumentEntry.uniqueId as XDS writes it; none of a document that is only known to be lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) unique_id: Option<String>,
    /// The blob that has its bytes, if not the one of its own id: they were lost, and came in again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<String>,
}

/// What a document can be found by, whosever it is.
pub(super) const UNIQUE_ID: &str = "unique-id";

impl Document {
    /// What the row can be found by.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let fact = |value: &String| Fact::Term {
            name: UNIQUE_ID,
            space: String::new(),
            value: value.clone(),
            reach: Reach::Global,
        };
        self.unique_id.iter().map(fact).collect()
    }

    /// The blob that has the bytes of the document with this id.
    pub(crate) fn blob<'a>(&'a self, id: &'a str) -> &'a str {
        self.bytes.as_deref().unwrap_or(id)
    }
}
