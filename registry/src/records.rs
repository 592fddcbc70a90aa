//! The only place where objects become records and filters become asks.

mod ask;
pub(crate) mod association;
mod document;
mod export;
mod group;
mod identified;
mod list;
mod merge;
mod patient;
mod review;
mod submission;

pub(crate) use ask::{RELATION_EDGES, ask};
pub(crate) use document::{DocumentRecord, document_past, document_put, document_row};
pub(crate) use export::{
    ExportRecord, File, Holds, Ordered, Place, Type, Whose, ended_exports, export_put, export_row,
    next_export,
};
pub(crate) use group::{GroupRecord, group_members, group_put, group_row};
pub(crate) use identified::identified;
pub(crate) use list::{
    FolderMember, FolderRecord, ListRecord, SetRecord, folder_past, folder_put, folder_stays, list_row,
    set_put, set_version,
};
pub(crate) use merge::{Held, MergeRecord, Moved, merge_put, merge_row};
pub(crate) use patient::{
    PatientRecord, patient_of, patient_put, patient_row, patient_rows_by_identifier, patients_being,
    patients_by_identifier,
};
pub(crate) use review::{Decision, ReviewRecord, Settled, Why, review_of, review_put, review_row, reviews};
pub(crate) use submission::{Committed, SubmissionRecord, submission_put, submission_row};

use store::Kind;
use xds::attribute::{Fact, Reach, Value};

/// Document entries.
pub(crate) const DOCUMENT: Kind = Kind("document");
/// Submission sets and folders.
pub(crate) const LIST: Kind = Kind("list");
/// Versions of document entries that a metadata update has taken the place of.
pub(crate) const DOCUMENT_PAST: Kind = Kind("document-past");
/// Versions of folders, likewise.
pub(crate) const LIST_PAST: Kind = Kind("list-past");
/// Submissions by their key: what became of each.
pub(crate) const SUBMISSION: Kind = Kind("submission");
/// Patients, as the identity source fed them.
pub(crate) const PATIENT: Kind = Kind("patient");
/// Exports.
pub(crate) const EXPORT: Kind = Kind("export");
/// Groups of patients.
pub(crate) const GROUP: Kind = Kind("group");

/// What a merge moved from whom to whom.
pub(crate) const MERGE: Kind = Kind("merge");
/// Objects that have to be decided about after an unmerge.
pub(crate) const REVIEW: Kind = Kind("review");

/// From a submission set to its members.
pub(crate) const SUBMITS: &str = "submits";
/// From a folder to its documents.
pub(crate) const HAS_MEMBER: &str = "has-member";

/// From an object to the associations that are kept with it.
pub(crate) const ASSOCIATION: &str = "association";
/// From a submission set to the associations of other objects that it submitted.
pub(crate) const HOLDS: &str = "holds";
/// From a version that has been taken the place of to the object it was.
pub(crate) const VERSION_OF: &str = "version-of";
/// From a patient to the one it was merged into.
pub(crate) const MERGED_INTO: &str = "merged-into";
/// From a patient that was merged away to itself: so that the others are known by a look into an index alone.
pub(crate) const MERGED_AWAY: &str = "merged-away";

/// From an item of a review to the object it is about.
pub(crate) const ABOUT: &str = "about";
/// From a group to the patients that belong to it.
pub(crate) const INCLUDES: &str = "includes";

/// From a list to its members, whatever list it is.
pub(crate) const MEMBER_EDGES: &[&str] = &[SUBMITS, HAS_MEMBER];

/// What the registry itself cannot read back, in words for the log.
pub(crate) fn unreadable(kind: Kind, id: &str, error: &dyn std::fmt::Display) -> store::Error {
    store::Error::Damaged(format!("the {} record {id} cannot be read: {error}", kind.0))
}

/// For counts that most records need not say.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Edges, each once.
fn edges(ends: Vec<(&'static str, String)>) -> Vec<store::Edge> {
    let mut edges: Vec<store::Edge> = Vec::with_capacity(ends.len());
    let mut seen = std::collections::HashSet::with_capacity(ends.len());
    for (name, target) in ends {
        if seen.insert((name, target.clone())) {
            edges.push(store::Edge { name, target });
        }
    }
    edges
}

fn facts(facts: Vec<Fact>) -> Vec<store::Fact> {
    facts.into_iter().map(fact).collect()
}

fn fact(fact: Fact) -> store::Fact {
    let name = fact.name;
    let reach = match fact.reach {
        Reach::Patient => store::Reach::Partition,
        Reach::Everywhere => store::Reach::Global,
    };
    match fact.value {
        Value::Term { system, value } => store::Fact::Term { name, space: system, value, reach },
        Value::Time { from, to } => store::Fact::Instant { name, from, to, reach },
        Value::Text { exact, folded } => store::Fact::Text { name, folded, exact, reach },
    }
}
