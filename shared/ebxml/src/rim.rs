//! ebRIM: how document entries, submission sets, folders and associations are written in XDS.b (ITI TF-3 4.2).
//!
//! Reading is liberal: order of elements, both forms of classification, prefixes, spaces around values. What is wrong is said
//! all at once, each with its place. Writing is strict: the order of the ebRS 3.0 schema, every id and objectType.

mod carried;
mod read;
mod value;
mod write;

#[cfg(test)]
mod tests;

use xds::{Availability, Timestamp};

pub(crate) use read::told;
pub use read::{Column, Objects, Registered, Update, codes, read_objects, read_submission, read_update};
pub use write::{
    Ids, write_association, write_document, write_folder, write_object_reference, write_submission,
    write_submission_set,
};

/// What a registry knows of an object beside its metadata; all empty in a submission.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// availabilityStatus.
    pub status: Option<Availability>,
    /// logicalID (`lid`), with `urn:uuid:`.
    pub lid: Option<String>,
    /// Version (`VersionInfo/@versionName`).
    pub version: Option<u64>,
    /// lastUpdateTime of a folder.
    pub last_update: Option<Timestamp>,
    /// SubmissionSetStatus of the membership of a document in a submission set: whether it came with this set.
    pub original: Option<bool>,
}
