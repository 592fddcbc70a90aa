//! What is decided: everything one commit writes.

use std::collections::BTreeMap;

use crate::finding::Findings;
use crate::ties::{Holding, Relation, Tied};
use crate::types::{DocumentEntry, EntryUuid, Folder, SubmissionSet};

/// Everything that one submission changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Changeset {
    /// The patient of everything in it, by the id of this domain.
    pub patient: String,
    /// The submission set.
    pub submission_set: NewSubmissionSet,
    /// New documents.
    pub documents: Vec<NewDocument>,
    /// New folders.
    pub folders: Vec<NewFolder>,
    /// Registered documents that become Deprecated, in this instant.
    pub deprecated: Vec<EntryUuid>,
    /// Registered folders that gain documents.
    pub extended: Vec<ExtendedFolder>,
    /// Names that are taken by this submission.
    pub claims: Vec<UniqueIdClaim>,
    /// Which entryUUID each symbol of the submission stands for.
    pub assigned: BTreeMap<String, EntryUuid>,
    /// Reservations.
    pub warnings: Findings,
}

/// A submission set to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewSubmissionSet {
    /// Its entryUUID.
    pub id: EntryUuid,
    /// Its metadata.
    pub set: SubmissionSet,
    /// Its members, in the order they were listed.
    pub members: Vec<Member>,
    /// The memberships of folders it holds.
    pub holdings: Vec<Holding>,
}

/// A member of a submission set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Member {
    /// A document, of this submission ("Original") or registered before ("Reference").
    Document(Tied),
    /// A folder.
    Folder(Tied),
}

impl Member {
    /// The association to it.
    pub fn tied(&self) -> &Tied {
        match self {
            Member::Document(tied) | Member::Folder(tied) => tied,
        }
    }
    /// The id of what is a member.
    pub fn id(&self) -> &EntryUuid {
        &self.tied().target.object
    }
}

/// A document entry to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewDocument {
    /// Its entryUUID.
    pub id: EntryUuid,
    /// Its metadata, Approved.
    pub entry: DocumentEntry,
    /// Its relations to other documents.
    pub relations: Vec<Relation>,
}

/// A folder to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct NewFolder {
    /// Its entryUUID.
    pub id: EntryUuid,
    /// Its metadata.
    pub folder: Folder,
    /// Its documents.
    pub members: Vec<Tied>,
}

/// A registered folder that gains documents; its lastUpdateTime becomes now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedFolder {
    /// Its entryUUID.
    pub id: EntryUuid,
    /// The documents it gains.
    pub added: Vec<Tied>,
}

/// A uniqueId and what it stands for from now on. Two submissions that claim one name for different things cannot both
/// be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueIdClaim {
    /// The name, as [`super::claim_name`] writes it.
    pub name: String,
    /// What it stands for.
    pub holder: super::Holder,
}
