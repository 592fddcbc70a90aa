//! Submission sets and folders.

use bytes::Bytes;
use fhir::document_reference::Stamp;
use serde::{Deserialize, Serialize};
use store::{Instant, Put, Row, Store, Version};
use xds::plan::Member;
use xds::ties::{Holding, Tied, VersionOf};
use xds::{Availability, EntryUuid, Folder, SubmissionSet};

use super::{
    ASSOCIATION, HAS_MEMBER, HOLDS, LIST, LIST_PAST, SUBMITS, VERSION_OF, edges, facts, is_zero, unreadable,
};

/// A submission set or folder as it is kept. What its source sent is in the rendering.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum ListRecord {
    /// A submission set.
    SubmissionSet(SetRecord),
    /// A folder.
    Folder(FolderRecord),
}

/// A submission set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetRecord {
    /// The metadata.
    pub(crate) set: SubmissionSet,
    /// Its documents.
    pub(crate) documents: Vec<Tied>,
    /// Its folders.
    pub(crate) folders: Vec<Tied>,
    /// The memberships of folders it holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) holdings: Vec<Holding>,
    /// How many versions of the record were made by moving it to another patient.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) moves: Version,
}

/// A version of a folder. The entryUUID of the metadata is the logicalID, whatever the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FolderRecord {
    /// The metadata.
    pub(crate) folder: Folder,
    /// Its documents.
    pub(crate) members: Vec<FolderMember>,
    /// Which version this is.
    #[serde(default, skip_serializing_if = "VersionOf::is_first")]
    pub(crate) version: VersionOf,
    /// Whether it is Deprecated (metadata update).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) deprecated: bool,
    /// lastUpdateTime; none: when its row was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) updated: Option<Instant>,
    /// How many versions of the record were made by moving it to another patient.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) moves: Version,
}

impl FolderRecord {
    /// A folder in its first version.
    pub(crate) fn new(folder: Folder, members: Vec<FolderMember>) -> FolderRecord {
        FolderRecord {
            folder,
            members,
            version: VersionOf::default(),
            deprecated: false,
            updated: None,
            moves: 0,
        }
    }
    /// logicalID.
    pub(crate) fn logical(&self) -> &EntryUuid {
        self.folder.entry_uuid.as_ref().expect("a registered folder has its logicalID")
    }
    /// entryUUID of this version.
    pub(crate) fn id(&self) -> &EntryUuid {
        self.version.id(self.logical())
    }
    /// Its documents as FHIR shows them: Approved memberships, each document once, whatever its versions.
    pub(crate) fn shown_members(&self) -> Vec<EntryUuid> {
        let mut shown: Vec<EntryUuid> = Vec::with_capacity(self.members.len());
        for member in self.members.iter().filter(|member| !member.document.tie.deprecated) {
            if !shown.contains(&member.document.target.object) {
                shown.push(member.document.target.object.clone());
            }
        }
        shown
    }
    /// Whether it is current.
    pub(crate) fn availability(&self) -> Availability {
        if self.deprecated { Availability::Deprecated } else { Availability::Approved }
    }
}

/// A document of a folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FolderMember {
    /// The document.
    pub(crate) document: Tied,
    /// The submission set that put it there; one that came with a new version of the document or folder has none of its own
    /// and names that of the membership it was made after.
    pub(crate) by: EntryUuid,
}

/// A registered list, with its row.
pub(crate) fn list_row(store: &Store, id: &str) -> Result<Option<(Row, ListRecord)>, store::Error> {
    let Some(row) = store.get(LIST, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(LIST, id, &e))?;
    Ok(Some((row, record)))
}

/// A version of a submission set; `members` are its documents and folders in the order they are shown.
pub(crate) fn set_put(
    patient: &str,
    id: &EntryUuid,
    now: Instant,
    mut set: SubmissionSet,
    members: &[Member],
    holdings: Vec<Holding>,
) -> Put {
    set.entry_uuid = Some(id.clone());
    let (mut documents, mut folders) = (Vec::new(), Vec::new());
    for member in members {
        match member {
            Member::Document(tied) => documents.push(tied.clone()),
            Member::Folder(tied) => folders.push(tied.clone()),
        }
    }
    let references: Vec<String> = members.iter().map(reference).collect();
    set_version(patient, id, 1, now, SetRecord { set, documents, folders, holdings, moves: 0 }, &references)
}

/// The next version of a submission set, which has lost members.
pub(crate) fn set_version(
    patient: &str,
    id: &EntryUuid,
    version: Version,
    now: Instant,
    mut record: SetRecord,
    references: &[String],
) -> Put {
    let rendering =
        fhir::list::write_submission_set(&record.set, Stamp { version, updated: now }, references);
    let facts = facts(xds::attribute::of_submission_set(&record.set, id));
    let order = record.set.submission_time.from;
    record.set.carried.fhir = None;
    let mut ends = Vec::new();
    for tied in record.documents.iter().chain(&record.folders) {
        ends.push((SUBMITS, tied.target.object.as_str().to_owned()));
        ends.push((ASSOCIATION, tied.id(id).as_str().to_owned()));
    }
    for holding in &record.holdings {
        ends.push((HOLDS, holding.association.as_str().to_owned()));
        ends.push((ASSOCIATION, holding.id(id).as_str().to_owned()));
    }
    put((LIST, id), patient, version, order, (facts, ends), &ListRecord::SubmissionSet(record), rendering)
}

/// A version of a folder, whose lastUpdateTime becomes `now`. The folder carries what its source sent: from the submission,
/// or out of the rendering of the version before.
pub(crate) fn folder_put(
    patient: &str,
    id: &EntryUuid,
    version: Version,
    now: Instant,
    mut record: FolderRecord,
) -> Put {
    record.folder.entry_uuid = Some(id.clone());
    record.updated = Some(now);
    folder_stays(patient, id, version, now, record)
}

/// The same where lastUpdateTime stays: what was written is not about its documents.
pub(crate) fn folder_stays(
    patient: &str,
    id: &EntryUuid,
    version: Version,
    now: Instant,
    mut record: FolderRecord,
) -> Put {
    let references: Vec<String> =
        record.shown_members().iter().map(|id| format!("DocumentReference/{}", id.as_str())).collect();
    let updated = record.updated.unwrap_or(now);
    let stamp = Stamp { version, updated: now };
    let rendering =
        fhir::list::write_folder(&record.folder, record.availability(), stamp, &references, updated);
    record.folder.carried.fhir = None;
    let (facts, ends) = (of_folder(&record, id, updated), ends(&record));
    put((LIST, id), patient, version, updated, (facts, ends), &ListRecord::Folder(record), rendering)
}

/// A version of a folder that another one has taken the place of: found by stored queries alone.
pub(crate) fn folder_past(patient: &str, order: i64, mut record: FolderRecord) -> Put {
    record.deprecated = true;
    record.folder.carried.fhir = None;
    let id = record.id().clone();
    let mut ends = ends(&record);
    ends.push((VERSION_OF, record.logical().as_str().to_owned()));
    let updated = *record.updated.get_or_insert(order);
    let facts = facts(xds::attribute::of_folder(&record.folder, record.availability(), &id, updated));
    put((LIST_PAST, &id), patient, 1, order, (facts, ends), &ListRecord::Folder(record), Vec::new())
}

fn of_folder(record: &FolderRecord, id: &EntryUuid, updated: Instant) -> Vec<store::Fact> {
    let mut all = xds::attribute::of_folder(&record.folder, record.availability(), id, updated);
    all.extend(record.version.entry_uuid.as_ref().map(xds::attribute::of_entry_uuid));
    facts(all)
}

/// What its memberships point to, and the associations they are.
fn ends(record: &FolderRecord) -> Vec<(&'static str, String)> {
    let mut ends = Vec::with_capacity(record.members.len() * 2 + 1);
    for member in &record.members {
        ends.push((HAS_MEMBER, member.document.target.object.as_str().to_owned()));
        ends.push((ASSOCIATION, member.document.id(record.id()).as_str().to_owned()));
    }
    ends
}

fn reference(member: &Member) -> String {
    match member {
        Member::Document(tied) => format!("DocumentReference/{}", tied.target.object.as_str()),
        Member::Folder(tied) => format!("List/{}", tied.target.object.as_str()),
    }
}

fn put(
    (kind, id): (store::Kind, &EntryUuid),
    patient: &str,
    version: Version,
    order: i64,
    (facts, ends): (Vec<store::Fact>, Vec<(&'static str, String)>),
    record: &ListRecord,
    rendering: Vec<u8>,
) -> Put {
    Put {
        kind,
        id: id.as_str().to_owned(),
        version,
        partition: patient.to_owned(),
        order,
        facts,
        edges: edges(ends),
        body: Bytes::from(serde_json::to_vec(record).expect("a list is writable as JSON")),
        rendering: Bytes::from(rendering),
        deleted: false,
    }
}
