//! List: how submission sets and folders are read from one and written as one (spec 4.5, 4.6).

use serde_json::Value;
use xds::{Findings, Folder, Place, Profile, SubmissionSet};

use crate::document_reference::Stamp;

/// Reads a submission set.
pub fn read_submission_set(
    _resource: &Value,
    _symbol: &str,
    _profile: Profile,
    _at: &Place,
) -> Result<SubmissionSet, Findings> {
    todo!()
}

/// Reads a folder; `update` for a PUT entry.
pub fn read_folder(
    _resource: &Value,
    _symbol: &str,
    _update: bool,
    _profile: Profile,
    _at: &Place,
) -> Result<Folder, Findings> {
    todo!()
}

/// Writes a registered submission set with its members (relative references, e.g. `DocumentReference/…`, `List/…`).
pub fn write_submission_set(_set: &SubmissionSet, _stamp: Stamp, _members: &[String]) -> Vec<u8> {
    todo!()
}

/// Writes a registered folder with its members; `updated` is its lastUpdateTime.
pub fn write_folder(_folder: &Folder, _stamp: Stamp, _members: &[String], _updated: i64) -> Vec<u8> {
    todo!()
}
