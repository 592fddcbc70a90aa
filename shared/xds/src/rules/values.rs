//! Values that contradict each other, or are longer than the framework allows.

use crate::finding::{Finding, Findings, Place, Rule};
use crate::types::{Patient, Submission};

/// Characters of DocumentEntry.title (TF-3 4.2.3.2.28).
const MAX_DOCUMENT_TITLE: usize = 128;
/// Characters of SubmissionSet.title and Folder.title (TF-3 4.2.3.3.11, 4.2.3.4.8).
const MAX_LIST_TITLE: usize = 256;

/// Somebody must be the patient: without one, nothing of the submission could ever be found.
pub(super) fn a_patient_is_named(submission: &Submission, findings: &mut Findings) {
    let documents = submission.documents.iter().map(|d| &d.patient);
    let folders = submission.folders.iter().map(|f| &f.patient);
    let mut all = std::iter::once(&submission.submission_set.patient).chain(documents).chain(folders);
    if !all.any(Patient::is_named) {
        findings.push(Finding::error(
            Rule::MetadataRequired,
            Place::at(submission.place(&submission.submission_set.symbol)).member("subject").of("SubmissionSet.patientId"),
            "neither the submission set nor a document names its patient (subject, patientId); at least the submission set must",
        ));
    }
}

/// All objects name the same patient, and in the same way: whether two names mean one is not for a look at the text.
pub(super) fn one_patient(submission: &Submission, findings: &mut Findings) {
    let set = (&submission.submission_set.symbol, &submission.submission_set.patient);
    let documents = submission.documents.iter().map(|d| (&d.symbol, &d.patient));
    let folders = submission.folders.iter().map(|f| (&f.symbol, &f.patient));
    let mut named =
        std::iter::once(set).chain(documents).chain(folders).filter(|(_, patient)| patient.is_named());
    let Some((_, first)) = named.next() else { return };
    for (symbol, patient) in named.filter(|(_, patient)| !same(first, patient)) {
        let told = |patient: &Patient| {
            let value = patient.identifier.as_ref().map(|identifier| identifier.value.clone());
            value.or(patient.reference.clone()).unwrap_or_default()
        };
        let text = format!(
            "subject (patientId) is {:?}, and that of the other objects {:?}; all of a submission are about one patient, and \
             name it in the same way",
            told(patient),
            told(first)
        );
        let at = Place::at(submission.place(symbol)).member("subject").of("patientId");
        findings.push(Finding::error(Rule::PatientIdDoesNotMatch, at, text));
    }
}

fn same(one: &Patient, other: &Patient) -> bool {
    let unversioned = |reference: &str| reference.split("/_history/").next().unwrap_or_default().to_owned();
    match (&one.id, &other.id, &one.reference, &other.reference) {
        (Some(a), Some(b), ..) => a == b,
        (_, _, Some(a), Some(b)) => {
            unversioned(a) == unversioned(b)
                && one.identifier.as_ref().zip(other.identifier.as_ref()).is_none_or(|(a, b)| a == b)
        }
        _ => one.identifier.as_ref().zip(other.identifier.as_ref()).is_some_and(|(a, b)| a == b),
    }
}

/// serviceStartTime is not after serviceStopTime.
pub(super) fn service_times(submission: &Submission, findings: &mut Findings) {
    for document in &submission.documents {
        if let (Some(start), Some(stop)) = (&document.service_start, &document.service_stop)
            && start.from >= stop.to
        {
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                Place::at(submission.place(&document.symbol))
                    .member("context.period")
                    .of("DocumentEntry.serviceStartTime"),
                format!(
                    "the service starts {} and stops {}; it cannot stop before it starts",
                    start.text, stop.text
                ),
            ));
        }
    }
}

/// Titles have a length.
pub(super) fn titles(submission: &Submission, findings: &mut Findings) {
    let set = &submission.submission_set;
    title(
        submission,
        &set.symbol,
        "title",
        "SubmissionSet.title",
        set.title.as_deref(),
        MAX_LIST_TITLE,
        findings,
    );
    for document in &submission.documents {
        let member = "content[0].attachment.title";
        let text = document.title.as_deref();
        title(
            submission,
            &document.symbol,
            member,
            "DocumentEntry.title",
            text,
            MAX_DOCUMENT_TITLE,
            findings,
        );
    }
    for folder in &submission.folders {
        title(
            submission,
            &folder.symbol,
            "title",
            "Folder.title",
            folder.title.as_deref(),
            MAX_LIST_TITLE,
            findings,
        );
    }
}

fn title(
    submission: &Submission,
    symbol: &str,
    member: &str,
    attribute: &'static str,
    text: Option<&str>,
    limit: usize,
    findings: &mut Findings,
) {
    let length = text.map_or(0, |t| t.chars().count());
    if length > limit {
        let at = Place::at(submission.place(symbol)).member(member).of(attribute);
        let text = format!("the title has {length} characters; at most {limit} are allowed");
        findings.push(Finding::error(Rule::MetadataInvalid, at, text));
    }
}
