//! Association: memberships, relations, and the triggers of a metadata update (TF-3 4.2.2, TF-2 3.57).

use xds::{Association, AssociationType, Code, Finding, Findings, ObjectRef, Place, Rule};

use super::object::{Object, invalid, is_scheme};
use super::{Column, given, status_of};
use crate::names::association as name;
use crate::rim::value;

/// What an association is, as a whole.
pub(super) enum Read {
    /// One of document sharing.
    Association(Tie),
    /// Another availability status is asked for.
    Status { target: String, original: Option<xds::Availability>, new: Option<xds::Availability>, at: String },
    /// A further association is submitted.
    Submit { target: String, at: String },
}

/// An association whose ends are not resolved yet, and what its slots say.
pub(super) struct Tie {
    pub(super) kind: AssociationType,
    pub(super) source: String,
    pub(super) target: String,
    pub(super) at: String,
    pub(super) symbol: String,
    pub(super) original: Option<bool>,
    pub(super) previous_version: Option<u64>,
    pub(super) propagate: bool,
    pub(super) documentation: Option<Code>,
    pub(super) extra: Vec<xds::Slot>,
}

impl Tie {
    /// The association, its ends resolved.
    pub(super) fn resolve(self, resolve: impl Fn(&str) -> ObjectRef) -> Association {
        let (source, target) = (resolve(&self.source), resolve(&self.target));
        Association {
            entry_uuid: value::entry_uuid(&self.symbol),
            documentation: self.documentation,
            extra: self.extra,
            symbol: self.symbol,
            ..Association::new(self.kind, source, target, self.at)
        }
    }
}

/// The kinds of association, and how each is written.
const KINDS: &[(&str, AssociationType)] = &[
    (name::HAS_MEMBER, AssociationType::HasMember),
    (name::REPLACE, AssociationType::Replace),
    (name::TRANSFORM, AssociationType::Transform),
    (name::APPEND, AssociationType::Append),
    (name::TRANSFORM_REPLACE, AssociationType::TransformReplace),
    (name::SIGNS, AssociationType::Signs),
    (name::IS_SNAPSHOT_OF, AssociationType::IsSnapshotOf),
];

/// Reads an association; none where it is not clear what it says.
/// `symbol` is what others refer to it by.
pub(super) fn read(
    mut object: Object<'_>,
    symbol: &str,
    column: Column,
    findings: &mut Findings,
) -> Option<Read> {
    let mut end = |name: &str, attribute: &'static str| {
        let end = given(object.element, name);
        if end.is_none() {
            let text = format!("{name} ({attribute}) is missing; an association has a source and a target.");
            findings.push(Finding::error(
                Rule::MetadataRequired,
                object.attribute_place(name).of(attribute),
                text,
            ));
        }
        end.map(str::to_owned)
    };
    let source = end("sourceObject", "Association.sourceObject");
    let target = end("targetObject", "Association.targetObject");
    let written = given(object.element, "associationType");
    let trigger = |urn: &str| matches!(column, Column::Update | Column::Answer) && is_scheme(written, urn);
    if trigger(name::UPDATE_AVAILABILITY_STATUS) {
        let original = changed(&mut object, "OriginalStatus", findings);
        let new = changed(&mut object, "NewStatus", findings);
        return Some(Read::Status { target: target?, original, new, at: object.at });
    }
    if trigger(name::SUBMIT_ASSOCIATION) {
        return Some(Read::Submit { target: target?, at: object.at });
    }
    let Some(kind) = KINDS.iter().find_map(|(urn, kind)| is_scheme(written, urn).then_some(*kind)) else {
        findings.push(unknown_kind(&object, written));
        return None;
    };
    let original = original(&mut object, findings);
    let previous_version = previous_version(&mut object, column, findings);
    let propagate = propagate(&mut object, column, findings);
    let mut documentation = object.codes(name::DOCUMENTATION, "Association.documentation", findings);
    let documentation = (!documentation.is_empty()).then(|| documentation.swap_remove(0));
    let (at, symbol) = (object.at.clone(), symbol.to_owned());
    let (extra, _) = object.rest(findings);
    Some(Read::Association(Tie {
        kind,
        source: source?,
        target: target?,
        at,
        symbol,
        original,
        previous_version,
        propagate,
        documentation,
        extra,
    }))
}

fn unknown_kind(object: &Object<'_>, written: Option<&str>) -> Finding {
    const ATTRIBUTE: &str = "Association.associationType";
    let place = object.attribute_place("associationType").of(ATTRIBUTE);
    let Some(written) = written else {
        let text = format!("associationType ({ATTRIBUTE}) is missing.");
        return Finding::error(Rule::MetadataRequired, place, text);
    };
    let known: Vec<&str> = KINDS.iter().map(|(urn, _)| *urn).collect();
    let text = if [name::UPDATE_AVAILABILITY_STATUS, name::SUBMIT_ASSOCIATION].contains(&written) {
        format!("{written:?} belongs to a metadata update (ITI-57), not to a submission.")
    } else {
        format!("{written:?} is no kind of association; accepted are {}.", known.join(", "))
    };
    Finding::error(Rule::MetadataInvalid, place, text)
}

/// SubmissionSetStatus: whether a document came with this set.
fn original(object: &mut Object<'_>, findings: &mut Findings) -> Option<bool> {
    const ATTRIBUTE: &str = "SubmissionSet.HasMember";
    let read = |text: &str| match text {
        text if text.eq_ignore_ascii_case("original") => Some(true),
        text if text.eq_ignore_ascii_case("reference") => Some(false),
        _ => None,
    };
    object.typed("SubmissionSetStatus", ATTRIBUTE, read, "Original or Reference", findings)
}

fn previous_version(object: &mut Object<'_>, column: Column, findings: &mut Findings) -> Option<u64> {
    if column != Column::Update {
        return None;
    }
    let read = |text: &str| text.parse().ok();
    object.typed("PreviousVersion", "PreviousVersion", read, "the number of a version", findings)
}

fn propagate(object: &mut Object<'_>, column: Column, findings: &mut Findings) -> bool {
    if column != Column::Update {
        return true;
    }
    let read = |text: &str| match text {
        text if text.eq_ignore_ascii_case("yes") => Some(true),
        text if text.eq_ignore_ascii_case("no") => Some(false),
        _ => None,
    };
    let name = "AssociationPropagation";
    object.typed(name, name, read, "yes or no", findings).unwrap_or(true)
}

/// OriginalStatus or NewStatus of an update.
fn changed(
    object: &mut Object<'_>,
    slot: &'static str,
    findings: &mut Findings,
) -> Option<xds::Availability> {
    const ACCEPTED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved or …:Deprecated";
    object.typed(slot, slot, status_of, ACCEPTED, findings)
}

/// The membership of a document says truly whether the document came with the set (TF-3 4.1.4.1).
pub(super) fn check_original(tie: &Tie, is_document: bool, findings: &mut Findings) {
    let text = match (tie.original, is_document) {
        (Some(true), false) if value::entry_uuid(&tie.target).is_some() => {
            "SubmissionSetStatus is Original, and the document is not of this submission; it is Reference then."
        }
        (Some(false), true) => {
            "SubmissionSetStatus is Reference, and the document is of this submission; it is Original then."
        }
        _ => return,
    };
    let place = Place::at(format!("{}/Slot[@name='SubmissionSetStatus']", tie.at));
    findings.push(invalid(place, "SubmissionSet.HasMember", text.to_owned()));
}
