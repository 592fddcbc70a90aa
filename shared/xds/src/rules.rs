//! The rules of the framework that need nothing but the submission itself: what a repository checks before it asks
//! anybody, and a registry checks again.
//!
//! Adding a rule: one function in the file of its family, one line in [`check`].

mod associations;
pub(crate) use associations::append_to_a_transformation;
mod identifiers;
mod values;

use crate::finding::Findings;
use crate::types::Submission;

/// Every broken rule of a submission, in the order of the families; empty if there is none.
pub fn check(submission: &Submission) -> Findings {
    let mut findings = Findings::new();
    identifiers::unique_id_of_the_set(submission, &mut findings);
    identifiers::source_id(submission, &mut findings);
    identifiers::unique_ids_are_well_formed(submission, &mut findings);
    identifiers::nothing_twice(submission, &mut findings);
    values::a_patient_is_named(submission, &mut findings);
    values::one_patient(submission, &mut findings);
    values::service_times(submission, &mut findings);
    values::titles(submission, &mut findings);
    associations::something_is_submitted(submission, &mut findings);
    associations::the_set_lists_everything(submission, &mut findings);
    associations::memberships(submission, &mut findings);
    associations::relations(submission, &mut findings);
    associations::replaced_once(submission, &mut findings);
    associations::documentation(submission, &mut findings);
    findings
}

/// Every broken rule of a metadata update, whose associations say what is to be done: those rules of [`check`] that do not ask
/// for them.
pub fn check_update(submission: &Submission) -> Findings {
    let mut findings = Findings::new();
    identifiers::unique_id_of_the_set(submission, &mut findings);
    identifiers::source_id(submission, &mut findings);
    identifiers::unique_ids_are_well_formed(submission, &mut findings);
    identifiers::nothing_twice(submission, &mut findings);
    values::a_patient_is_named(submission, &mut findings);
    values::service_times(submission, &mut findings);
    values::titles(submission, &mut findings);
    associations::documentation(submission, &mut findings);
    findings
}

/// Every broken rule of objects that stand alone, as in an update: those rules of [`check`] that ask for one object only.
pub fn check_objects(submission: &Submission) -> Findings {
    let mut findings = Findings::new();
    identifiers::unique_ids_are_well_formed(submission, &mut findings);
    values::service_times(submission, &mut findings);
    values::titles(submission, &mut findings);
    findings
}

#[cfg(test)]
pub(crate) mod samples;
#[cfg(test)]
mod tests;
