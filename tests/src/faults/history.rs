//! What clients did and were told, what was done to the actors meanwhile, and when: one JSON object a line.
//!
//! Every instant is in nanoseconds of the monotonic clock since the run began. An event lies between `begin`, taken before
//! the first byte was sent, and `end`, taken when the answer was complete or given up: whatever happened, happened in
//! between. Two events are in an order only if one ended before the other began.

mod fault;
mod file;
mod told;

pub use fault::{Fault, FaultKind, Gauge, Inventory, Phase, Recovery};
pub use file::{History, read};
pub use told::Told;

use serde::{Deserialize, Serialize};

/// What happened between two instants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which client it was; 0: the run itself.
    pub client: u32,
    /// Before it began.
    pub begin: u64,
    /// When it was over.
    pub end: u64,
    /// What it was.
    pub what: What,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// One request that submits; sending again is another event.
    Submit(Submit),
    /// One question, all its pages.
    Search(Search),
    /// One look at an object by its id.
    Read(Read),
    /// One retrieval of bytes.
    Retrieve(Retrieve),
    /// The metadata of a document was updated.
    Update(Update),
    /// A patient was merged into another one.
    Merge(Merge),
    /// A merge was undone.
    Unmerge(Unmerge),
    /// Something was done to an actor.
    Fault(Fault),
    /// An actor became ready again.
    Recovery(Recovery),
    /// Another part of the run begins.
    Phase(Phase),
    /// What an actor says about itself.
    Gauge(Gauge),
    /// What an actor holds in the end.
    Inventory(Inventory),
}

/// What an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A DocumentEntry.
    Document,
    /// A SubmissionSet.
    Set,
    /// A Folder.
    Folder,
}

/// A submission was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Submit {
    /// Unique id of the SubmissionSet.
    pub key: String,
    /// Equal for equal content, different for different content.
    pub content: String,
    /// Id of the patient.
    pub patient: String,
    /// The SubmissionSet first, then what it holds, in the order of the answer.
    pub objects: Vec<Sent>,
    /// What the client was told.
    pub told: Told,
}

/// One object as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// What it is.
    pub kind: Kind,
    /// Its unique id; of the SubmissionSet: the key.
    pub unique_id: String,
    /// Equal for equal attributes: those the source has set. Empty: not compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attributes: String,
    /// SHA-256 of its bytes, hexadecimal; empty for what has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
    /// How many bytes.
    #[serde(default)]
    pub size: u64,
    /// Id of the document it replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

/// What a search was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// All objects of a kind, of a patient.
    Patient {
        /// Id of the patient.
        patient: String,
        /// Which kind.
        kind: Kind,
        /// Only those that are current.
        current_only: bool,
    },
    /// The objects with this unique id, in any status.
    UniqueId {
        /// Which kind.
        kind: Kind,
        /// The unique id.
        unique_id: String,
    },
    /// Something narrower: what is found counts, what is missing does not.
    Other(String),
}

/// A search, all its pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// What was asked.
    pub asked: Asked,
    /// Status of the (first failing) answer; 0: none came.
    pub status: u16,
    /// True if every page was read: what is not in it was not there.
    pub complete: bool,
    /// `Bundle.total`.
    pub total: Option<u64>,
    /// What was found.
    pub found: Vec<Seen>,
}

/// An object as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// What it is.
    pub kind: Kind,
    /// Its id, without type.
    pub id: String,
    /// Its unique id.
    pub unique_id: String,
    /// Id of its patient.
    pub patient: String,
    /// `meta.versionId`.
    pub version: u64,
    /// True if another one has taken its place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub superseded: bool,
    /// `meta.lastUpdated`, microseconds since 1970.
    pub updated: i64,
    /// Made as [`Sent::attributes`] is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub attributes: String,
    /// What an update has remarked on it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remark: String,
    /// The hash it shows, as it is written there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hash: String,
    /// Ids of the documents it replaces.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replaces: Vec<String>,
    /// Ids of its members, of a SubmissionSet or Folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
}

/// A look at an object by its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Read {
    /// What it should be.
    pub kind: Kind,
    /// Its id, without type.
    pub id: String,
    /// Which version was asked for; none: the newest.
    pub version: Option<u64>,
    /// Status of the answer; 0: none came.
    pub status: u16,
    /// What was seen.
    pub seen: Option<Seen>,
}

/// A retrieval of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieve {
    /// Id of the entry whose URL was followed.
    pub id: String,
    /// Unique id of that entry.
    pub unique_id: String,
    /// Status of the answer; 0: none came.
    pub status: u16,
    /// What came with it.
    pub body: Body,
}

/// Bytes of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// Complete, as far as HTTP can tell.
    Whole {
        /// SHA-256, hexadecimal.
        sha256: String,
        /// How many.
        size: u64,
    },
    /// A complete part, compared by the client with what was submitted.
    Part {
        /// Whether it is what was submitted.
        equal: bool,
    },
    /// The connection ended before the declared length.
    Cut,
    /// None, or one that is no document.
    Nothing,
}

/// An update of a document's metadata: a remark of its own is left on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    /// Id of the document entry.
    pub id: String,
    /// The remark; no two updates have the same.
    pub remark: String,
    /// Status of the answer; 0: none came.
    pub status: u16,
    /// The version that was made, if it was acknowledged.
    pub version: Option<u64>,
}

/// A merge of patients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    /// Id of the patient that goes.
    pub from: String,
    /// Id of the patient that stays.
    pub into: String,
    /// Status of the answer; 0: none came.
    pub status: u16,
}

/// The end of a merge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unmerge {
    /// Id of the patient that stands for itself again.
    pub patient: String,
    /// Id of the one it had been merged into.
    pub from: String,
    /// Status of the answer; 0: it is not told whether it was made.
    pub status: u16,
}
