//! Submission sets and folders.

use bytes::Bytes;
use fhir::document_reference::Stamp;
use serde::{Deserialize, Serialize};
use store::{Edge, Instant, Put, Row, Store, Version};
use xds::plan::Member;
use xds::{Carried, EntryUuid, Folder, SubmissionSet};

use super::{HAS_MEMBER, LIST, SUBMITS, facts, unreadable};

/// A submission set or folder as it is kept. What its source sent is in the rendering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ListRecord {
    /// A submission set.
    SubmissionSet {
        /// The metadata.
        set: SubmissionSet,
        /// Its documents.
        documents: Vec<EntryUuid>,
        /// Its folders.
        folders: Vec<EntryUuid>,
    },
    /// A folder.
    Folder {
        /// The metadata.
        folder: Folder,
        /// Its documents.
        members: Vec<FolderMember>,
    },
}

/// A document of a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FolderMember {
    /// The document.
    pub(crate) document: EntryUuid,
    /// The submission set that put it there: the membership itself is a member of that set (SS-HM HasMember).
    pub(crate) by: EntryUuid,
}

/// A registered list, with its row.
pub(crate) fn list_row(store: &Store, id: &str) -> Result<Option<(Row, ListRecord)>, store::Error> {
    let Some(row) = store.get(LIST, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(LIST, id, &e))?;
    Ok(Some((row, record)))
}

/// A new submission set.
pub(crate) fn set_put(
    patient: &str,
    id: &EntryUuid,
    now: Instant,
    mut set: SubmissionSet,
    members: &[Member],
) -> Put {
    set.entry_uuid = Some(id.clone());
    let references: Vec<String> = members.iter().map(reference).collect();
    let rendering = fhir::list::write_submission_set(&set, Stamp { version: 1, updated: now }, &references);
    let facts = facts(xds::attribute::of_submission_set(&set, id));
    let edges = members.iter().map(|m| Edge { name: SUBMITS, target: m.id().as_str().to_owned() }).collect();
    let order = set.submission_time.from;
    set.carried = Carried::default();
    let (mut documents, mut folders) = (Vec::new(), Vec::new());
    for member in members {
        match member {
            Member::Document(id) => documents.push(id.clone()),
            Member::Folder(id) => folders.push(id.clone()),
        }
    }
    put(
        patient,
        id,
        1,
        order,
        (facts, edges),
        &ListRecord::SubmissionSet { set, documents, folders },
        rendering,
    )
}

/// A version of a folder; `now` is its lastUpdateTime. The folder carries what its source sent: from the submission, or out
/// of the rendering of the version before.
pub(crate) fn folder_put(
    patient: &str,
    id: &EntryUuid,
    version: Version,
    now: Instant,
    mut folder: Folder,
    members: Vec<FolderMember>,
) -> Put {
    folder.entry_uuid = Some(id.clone());
    let references: Vec<String> =
        members.iter().map(|m| format!("DocumentReference/{}", m.document.as_str())).collect();
    let rendering = fhir::list::write_folder(&folder, Stamp { version, updated: now }, &references, now);
    let facts = facts(xds::attribute::of_folder(&folder, id, now));
    let edges =
        members.iter().map(|m| Edge { name: HAS_MEMBER, target: m.document.as_str().to_owned() }).collect();
    folder.carried = Carried::default();
    put(patient, id, version, now, (facts, edges), &ListRecord::Folder { folder, members }, rendering)
}

fn reference(member: &Member) -> String {
    match member {
        Member::Document(id) => format!("DocumentReference/{}", id.as_str()),
        Member::Folder(id) => format!("List/{}", id.as_str()),
    }
}

fn put(
    patient: &str,
    id: &EntryUuid,
    version: Version,
    order: i64,
    (facts, edges): (Vec<store::Fact>, Vec<Edge>),
    record: &ListRecord,
    rendering: Vec<u8>,
) -> Put {
    Put {
        kind: LIST,
        id: id.as_str().to_owned(),
        version,
        partition: patient.to_owned(),
        order,
        facts,
        edges,
        body: Bytes::from(serde_json::to_vec(record).expect("a list is writable as JSON")),
        rendering: Bytes::from(rendering),
        deleted: false,
    }
}
