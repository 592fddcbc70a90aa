//! Memberships and relations (TF-3 4.1.9.2, 4.2.2.2): who may be tied to whom within one submission.

use std::collections::HashSet;

use crate::finding::{Finding, Findings, Place, Rule};
use crate::types::{Association, AssociationType, DocumentEntry, ObjectRef, Submission};

fn place(association: &Association) -> Place {
    Place::at(association.at.as_str())
}

/// A submission submits something: a document, a folder, or a new membership.
pub(super) fn something_is_submitted(submission: &Submission, findings: &mut Findings) {
    if submission.documents.is_empty() && submission.folders.is_empty() && submission.associations.is_empty()
    {
        findings.push(Finding::error(
            Rule::MetadataRequired,
            Place::at("Bundle.entry"),
            "the submission holds neither a document nor a folder; it needs at least one (a DocumentReference, an ExtrinsicObject), or a new membership of a folder",
        ));
    }
}

/// The submission set has every new document and folder as its member (SS-DE, SS-FD HasMember). A registered folder that
/// only grows need not be listed: what is submitted then is its new membership.
pub(super) fn the_set_lists_everything(submission: &Submission, findings: &mut Findings) {
    let set = &submission.submission_set.symbol;
    let members: HashSet<&str> = submission
        .associations
        .iter()
        .filter(|a| a.kind == AssociationType::HasMember && is_symbol(&a.source, set))
        .filter_map(|a| symbol(&a.target))
        .collect();
    let documents = submission.documents.iter().map(|d| (&d.symbol, "document"));
    let folders = submission.folders.iter().filter(|f| !f.update).map(|f| (&f.symbol, "folder"));
    for (symbol, what) in documents.chain(folders) {
        if !members.contains(symbol.as_str()) {
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                Place::at(submission.place(symbol)).of("SubmissionSet.HasMember"),
                format!("this {what} is no member of the submission set: an entry of the List names it by its fullUrl, in XDS a HasMember association from the set by its id"),
            ));
        }
    }
}

/// Members are there, and folders hold documents only (TF-3 4.1.9.2: folders never nest).
pub(super) fn memberships(submission: &Submission, findings: &mut Findings) {
    for association in submission.associations.iter().filter(|a| a.kind == AssociationType::HasMember) {
        let Some(target) = symbol(&association.target) else { continue };
        let is_document = submission.documents.iter().any(|d| d.symbol == target);
        let is_folder = submission.folders.iter().any(|f| f.symbol == target);
        let of_the_set = is_symbol(&association.source, &submission.submission_set.symbol);
        if of_the_set && is_membership_of_a_folder(submission, target) {
            continue;
        }
        if !is_document && !is_folder {
            findings.push(unresolved(association, target));
        } else if is_folder && !of_the_set {
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                place(association).of("Folder.HasMember"),
                "a folder holds documents, not other folders",
            ));
        }
    }
}

/// Relations begin at a document of the submission and end at another one, registered or of the submission.
pub(super) fn relations(submission: &Submission, findings: &mut Findings) {
    for association in submission.associations.iter().filter(|a| a.kind != AssociationType::HasMember) {
        let source =
            symbol(&association.source).filter(|s| submission.documents.iter().any(|d| d.symbol == *s));
        if source.is_none() {
            findings.push(Finding::error(
                Rule::UnresolvedReference,
                place(association).of("Association.sourceObject"),
                "a relation must begin at a document of this submission",
            ));
            continue;
        }
        let is_snapshot = association.kind == AssociationType::IsSnapshotOf;
        let of_source = |d: &&DocumentEntry| Some(d.symbol.as_str()) == source;
        if is_snapshot && submission.documents.iter().find(of_source).is_some_and(|d| !d.kind.is_stable()) {
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                place(association).of("Association.sourceObject"),
                "a snapshot is a document with fixed bytes, and this is an on-demand entry",
            ));
            continue;
        }
        let Some(target) = symbol(&association.target) else { continue };
        if source == Some(target) {
            let text = "a document cannot be related to itself";
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                place(association).of("Association.targetObject"),
                text,
            ));
        } else if !submission.documents.iter().any(|d| d.symbol == target) {
            findings.push(unresolved(association, target));
        } else if association.kind.replaces() || is_snapshot {
            findings.push(Finding::error(
                Rule::UnresolvedReference,
                place(association).of("Association.targetObject"),
                "a document can replace, or be a snapshot of, only one that is registered already, not one of the same submission",
            ));
        } else if association.kind == AssociationType::Append && is_transformation(submission, target) {
            findings.push(append_to_a_transformation(association));
        }
    }
}

/// A document is replaced at most once (TF-3 4.2.2.2.3): also within one submission.
pub(super) fn replaced_once(submission: &Submission, findings: &mut Findings) {
    let mut replaced = HashSet::new();
    for association in submission.associations.iter().filter(|a| a.kind.replaces()) {
        if !replaced.insert(&association.target) {
            let text = "two documents of this submission replace the same document; only one can";
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                place(association).of("Association.targetObject"),
                text,
            ));
        }
    }
}

/// Only a relation between documents says why it was made (TF-3 4.2.2.2.6).
pub(super) fn documentation(submission: &Submission, findings: &mut Findings) {
    let memberships = submission.associations.iter().filter(|a| a.kind == AssociationType::HasMember);
    for association in memberships.filter(|a| a.documentation.is_some()) {
        findings.push(Finding::error(
            Rule::MetadataInvalid,
            place(association).of("Association.documentation"),
            "a HasMember says no association documentation; only a relation between two documents does",
        ));
    }
}

/// TF-3 4.2.2.2.2: a transformation is replaced, not appended to.
pub(crate) fn append_to_a_transformation(association: &Association) -> Finding {
    Finding::error(
        Rule::MetadataInvalid,
        place(association).of("Association.targetObject"),
        "a document that is a transformation of another cannot be appended to; append to the original",
    )
}

/// Whether the symbol is that of an association from a folder: the submission set holds that one, too (SS-HM HasMember).
fn is_membership_of_a_folder(submission: &Submission, symbol: &str) -> bool {
    submission.associations.iter().any(|a| {
        a.symbol == symbol
            && a.kind == AssociationType::HasMember
            && !is_symbol(&a.source, &submission.submission_set.symbol)
    })
}

/// Whether it is another document in another form. What replaces that document at once stands in its place (TF-3 4.2.2.2.4).
fn is_transformation(submission: &Submission, symbol: &str) -> bool {
    submission
        .associations
        .iter()
        .any(|a| a.kind == AssociationType::Transform && is_symbol(&a.source, symbol))
}

fn unresolved(association: &Association, target: &str) -> Finding {
    Finding::error(
        Rule::UnresolvedReference,
        place(association).of("Association.targetObject"),
        format!("{target} is neither an entry of this submission nor registered"),
    )
}

fn symbol(reference: &ObjectRef) -> Option<&str> {
    match reference {
        ObjectRef::Symbol(symbol) => Some(symbol),
        ObjectRef::Registered(_) | ObjectRef::Unique(_) => None,
    }
}

fn is_symbol(reference: &ObjectRef, symbol: &str) -> bool {
    matches!(reference, ObjectRef::Symbol(s) if s == symbol)
}
