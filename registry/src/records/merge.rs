//! Merges: whose objects were moved to whom. The ledger an unmerge goes by.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Instant, Kind, Put, Row, Store, Version};

use super::{DOCUMENT, DOCUMENT_PAST, GROUP, LIST, LIST_PAST, MERGE, REVIEW, unreadable};

/// What became of the objects of a patient that was merged away. Its id is the patient's; each merge and unmerge is a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeRecord {
    /// Id of the patient they were moved to.
    pub(crate) into: String,
    /// Transaction that told of it.
    pub(crate) by: String,
    /// What was moved.
    pub(crate) moved: Vec<Moved>,
    /// The version of this ledger by which the merge was told; none: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<Version>,
    /// When it was undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) undone: Option<Instant>,
}

/// One object that was moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(Held, String, Version, Version)", into = "(Held, String, Version, Version)")]
pub(crate) struct Moved {
    /// What it is.
    pub(crate) held: Held,
    /// Id of its record.
    pub(crate) id: String,
    /// The version that stood before.
    pub(crate) version: Version,
    /// How many of its versions were no moves: the same for as long as nobody changes it.
    pub(crate) revision: Version,
}

impl From<(Held, String, Version, Version)> for Moved {
    fn from((held, id, version, revision): (Held, String, Version, Version)) -> Moved {
        Moved { held, id, version, revision }
    }
}

impl From<Moved> for (Held, String, Version, Version) {
    fn from(moved: Moved) -> (Held, String, Version, Version) {
        (moved.held, moved.id, moved.version, moved.revision)
    }
}

/// The kinds of records that are moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Held {
    /// A document entry.
    #[serde(rename = "d")]
    Document,
    /// A submission set or folder.
    #[serde(rename = "l")]
    List,
    /// A version of a document entry that another one has taken the place of.
    #[serde(rename = "dp")]
    DocumentPast,
    /// The same of a folder.
    #[serde(rename = "lp")]
    ListPast,
    /// What is to be decided about an object.
    #[serde(rename = "r")]
    Review,
    /// A group the patient is a member of.
    #[serde(rename = "g")]
    Group,
}

impl Held {
    /// Those that lie in the partition of their patient, in the order in which they are moved.
    pub(crate) const OWN: [Held; 5] =
        [Held::Document, Held::List, Held::DocumentPast, Held::ListPast, Held::Review];

    /// The kind of record.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Held::Document => DOCUMENT,
            Held::List => LIST,
            Held::DocumentPast => DOCUMENT_PAST,
            Held::ListPast => LIST_PAST,
            Held::Review => REVIEW,
            Held::Group => GROUP,
        }
    }

    /// An object of this kind as an auditor names it.
    pub(crate) fn entity(self, id: &str) -> String {
        match self {
            Held::Document => format!("DocumentReference/{id}"),
            Held::List => format!("List/{id}"),
            // Versions that FHIR does not show, by their entryUUID.
            Held::DocumentPast | Held::ListPast => format!("urn:uuid:{id}"),
            Held::Review => format!("Task/{id}"),
            Held::Group => format!("Group/{id}"),
        }
    }
}

/// The ledger of a patient that is or was merged away, with its row.
pub(crate) fn merge_row(store: &Store, patient: &str) -> Result<Option<(Row, MergeRecord)>, store::Error> {
    let Some(row) = store.get(MERGE, patient)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(MERGE, patient, &e))?;
    Ok(Some((row, record)))
}

/// A version of the ledger of a patient.
pub(crate) fn merge_put(patient: &str, version: Version, record: &MergeRecord) -> Put {
    Put {
        kind: MERGE,
        id: patient.to_owned(),
        version,
        partition: patient.to_owned(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: Bytes::from(serde_json::to_vec(record).expect("a ledger is writable as JSON")),
        rendering: Bytes::new(),
        deleted: false,
    }
}
