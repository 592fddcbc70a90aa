//! I4: what is visible was submitted, equal in every attribute. I19: equal unique ids have equal bytes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::name;
use crate::faults::checker::ledger::{Ledger, Object, Sighting};
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Kind, What};

/// I4.
pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for sightings in ledger.sightings.values() {
        for sighting in sightings {
            known(ledger, sighting, case);
        }
    }
}

fn known(ledger: &Ledger<'_>, sighting: &Sighting<'_>, case: &mut Case) {
    let seen = sighting.seen;
    let candidates = ledger.candidates(seen.kind, &seen.unique_id);
    let sent_before = |object: &Object| {
        ledger.content(*object).attempts.iter().any(|at| ledger.events[*at].begin < sighting.end)
    };
    case.hold(candidates.iter().any(sent_before), || {
        let what = format!(
            "{:?} {} ({}) is visible, and nobody has submitted it",
            seen.kind, seen.unique_id, seen.id
        );
        Violation::new(Harm::Other, &seen.id, what, &[sighting.event])
    });
    let Some(object) = ledger.owner(seen) else { return };
    let sent = ledger.sent(object);
    let compared = !seen.attributes.is_empty() && !sent.attributes.is_empty();
    if compared {
        case.hold(seen.attributes == sent.attributes, || differs(ledger, object, "its attributes", sighting));
    }
    let patient = ledger.content(object).patient;
    if !ledger.may_have_gone(patient) {
        case.hold(seen.patient == patient, || differs(ledger, object, "its patient", sighting));
    }
    if !seen.members.is_empty() {
        members(ledger, object, sighting, case);
    }
}

/// A set holds what it was submitted with.
fn members(ledger: &Ledger<'_>, object: Object, sighting: &Sighting<'_>, case: &mut Case) {
    let content = ledger.content(object);
    let acknowledged = content.acknowledged.map(|at| &ledger.events[at].what);
    let Some(What::Submit(submit)) = acknowledged else { return };
    if sighting.seen.kind == Kind::Set {
        let ids: BTreeSet<&str> =
            submit.told.ids().into_iter().flatten().skip(1).map(String::as_str).collect();
        let members: BTreeSet<&str> = sighting.seen.members.iter().map(String::as_str).collect();
        case.hold(ids.is_subset(&members), || differs(ledger, object, "its members", sighting));
    }
}

fn differs(ledger: &Ledger<'_>, object: Object, what: &str, sighting: &Sighting<'_>) -> Violation {
    let sent = ledger.content(object).attempts.first().copied().unwrap_or_default();
    let what = format!("{}: {what} are not those that were submitted", name(ledger, object));
    Violation::new(Harm::Other, &ledger.sent(object).unique_id, what, &[sent, sighting.event])
}

/// I19.
pub(in super::super) fn equal_bytes(ledger: &Ledger<'_>, case: &mut Case) {
    let mut sent: BTreeMap<&str, HashMap<&str, usize>> = BTreeMap::new();
    for (object, (_, at)) in &ledger.since {
        let document = ledger.sent(*object);
        if document.kind == Kind::Document {
            sent.entry(&document.unique_id).or_default().insert(&document.sha256, *at);
        }
    }
    let mut shown: BTreeMap<&str, HashMap<&str, usize>> = BTreeMap::new();
    for sighting in ledger.sightings.values().flatten() {
        if sighting.seen.kind == Kind::Document && !sighting.seen.hash.is_empty() {
            shown.entry(&sighting.seen.unique_id).or_default().insert(&sighting.seen.hash, sighting.event);
        }
    }
    for (unique_id, hashes) in sent.iter().chain(&shown) {
        case.hold(hashes.len() == 1, || {
            let what = format!("{} contents are visible under the unique id {unique_id}", hashes.len());
            let mut events: Vec<usize> = hashes.values().copied().collect();
            events.sort_unstable();
            Violation::new(Harm::Other, *unique_id, what, &events)
        });
    }
}
