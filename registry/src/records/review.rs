//! What has to be decided after an unmerge: objects that stayed with the survivor, though they may be the other patient's.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{
    AnyOf, Ask, Cursor, Edge, Fact, Instant, Order, Page, Put, Reach, Row, Scope, Store, Test, Version,
};

use super::{ABOUT, Held, REVIEW, unreadable};

/// The fact that says whether an item is open.
const STATE: &str = "review-state";

/// One object to be decided about. It lies in the partition of the patient it stays with meanwhile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReviewRecord {
    /// A document or a folder.
    pub(crate) held: Held,
    /// Its id.
    pub(crate) object: String,
    /// Id of the patient that stands for itself again.
    pub(crate) other: String,
    /// Why it did not go back by itself.
    pub(crate) why: Why,
    /// SubmissionSet.uniqueId of the submission it came with, or was changed by, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) submission: Option<String>,
    /// When it was submitted, or last changed.
    pub(crate) since: Instant,
    /// When the merge was undone.
    pub(crate) opened: Instant,
    /// What was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settled: Option<Settled>,
}

/// Why an object did not go back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Why {
    /// It was submitted while the patients were one.
    Submitted,
    /// It was changed then.
    Changed,
    /// It is tied to an object (named as an auditor names it) that did not go back, either; what is tied has one patient.
    Tied(String),
}

/// What was decided of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settled {
    /// The decision.
    pub(crate) decision: Decision,
    /// When.
    pub(crate) at: Instant,
    /// By whom.
    pub(crate) by: String,
}

/// A decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Decision {
    /// It stays with the survivor.
    Stays,
    /// It moves to the other patient.
    Moves,
    /// There was nothing left to decide: the patients were merged again.
    Merged,
}

impl Decision {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Decision::Stays => "stays",
            Decision::Moves => "moves",
            Decision::Merged => "merged",
        }
    }
}

/// An item, with its row.
pub(crate) fn review_row(store: &Store, id: &str) -> Result<Option<(Row, ReviewRecord)>, store::Error> {
    let Some(row) = store.get(REVIEW, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = review_of(&row)?;
    Ok(Some((row, record)))
}

/// The item of a row.
pub(crate) fn review_of(row: &Row) -> Result<ReviewRecord, store::Error> {
    serde_json::from_slice(&row.body).map_err(|e| unreadable(REVIEW, &row.id, &e))
}

/// Items, those that were opened last first: of one patient or of all, open or settled or both.
pub(crate) fn reviews(
    store: &Store,
    patient: Option<&str>,
    open: Option<bool>,
    (after, limit): (Option<Cursor>, usize),
) -> Result<Page, store::Error> {
    let words: &[&str] = match open {
        Some(true) => &["open"],
        Some(false) => &["settled"],
        None => &["open", "settled"],
    };
    let term =
        |word: &&str| Test::Term { name: STATE, space: Some(String::new()), value: Some((*word).to_owned()) };
    store.find(&Ask {
        kind: REVIEW,
        scope: match patient {
            Some(patient) => Scope::Partitions(vec![patient.to_owned()]),
            None => Scope::Everywhere,
        },
        all: vec![AnyOf { tests: words.iter().map(term).collect(), negated: false }],
        order: Order::Natural,
        after,
        limit,
        as_of: None,
        total: true,
    })
}

/// A version of an item.
pub(crate) fn review_put(patient: &str, id: &str, version: Version, record: &ReviewRecord) -> Put {
    let word = if record.settled.is_some() { "settled" } else { "open" };
    let state =
        Fact::Term { name: STATE, space: String::new(), value: word.to_owned(), reach: Reach::Global };
    Put {
        kind: REVIEW,
        id: id.to_owned(),
        version,
        partition: patient.to_owned(),
        order: record.opened,
        facts: vec![state],
        edges: vec![Edge { name: ABOUT, target: record.object.clone() }],
        body: Bytes::from(serde_json::to_vec(record).expect("an item is writable as JSON")),
        rendering: Bytes::new(),
        deleted: false,
    }
}
