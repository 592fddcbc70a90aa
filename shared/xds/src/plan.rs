//! What a submission does to what is known: pure, so that `$validate` is the same path without the last step.
//!
//! [`plan`] takes a submission that passed [`crate::rules::check`], everything registered that it touches ([`Known`]) and
//! ids to give out, and answers the whole [`Changeset`] or every reason why not (TF-2 3.42.4.1.3). [`update_document`] and
//! [`update_folder`] do the same for metadata that is registered and is to read otherwise (TF-2 3.57, 3.92).

mod changeset;
mod draft;
mod known;
mod trigger;
mod update;

pub use changeset::{
    Changeset, ExtendedFolder, Member, NewDocument, NewFolder, NewSubmissionSet, UniqueIdClaim,
};
pub use known::{Content, Holder, Known, KnownDocument, KnownFolder, PatientState, claim_name};
pub use trigger::{NewVersion, Trigger};
pub use update::{DocumentVersion, FolderVersion, Standing, document_alone, update_document, update_folder};

use uuid::Uuid;

use crate::finding::{Findings, Severity, sort};
use crate::types::Submission;

/// Decides what a submission changes. `ids` gives the entryUUIDs of objects whose source chose none.
pub fn plan(
    submission: &Submission,
    known: &Known,
    ids: &mut dyn Iterator<Item = Uuid>,
) -> Result<Changeset, Findings> {
    let mut draft = draft::Draft::new(submission, known);
    draft.patients();
    draft.assign(ids);
    draft.unique_ids();
    draft.relations();
    draft.folders();
    draft.grown_folders();
    draft.submission_set();
    let (changeset, mut findings) = draft.finish();
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        sort(&mut findings);
        return Err(findings);
    }
    Ok(Changeset { warnings: findings, ..changeset })
}

#[cfg(test)]
mod tests;
