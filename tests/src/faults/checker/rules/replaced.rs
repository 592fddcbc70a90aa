//! I8: a document is replaced at most once; it is deprecated and its successor there in one instant.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::checker::ledger::{Ledger, Look};
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Asked, Kind, Seen};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    one_successor(ledger, case);
    for look in &ledger.looks {
        one_instant(ledger, look, case);
    }
}

fn one_successor(ledger: &Ledger<'_>, case: &mut Case) {
    let mut successors: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (target, replacers) in &ledger.replacers {
        for object in replacers {
            if let Some((_, at)) = ledger.since.get(object) {
                for id in ledger.given.get(object).into_iter().flatten() {
                    successors.entry(target).or_default().insert(id, *at);
                }
            }
        }
    }
    for (id, sightings) in &ledger.sightings {
        for sighting in sightings {
            for target in &sighting.seen.replaces {
                successors.entry(target).or_default().insert(id, sighting.event);
            }
        }
    }
    for (target, successors) in successors {
        case.hold(successors.len() == 1, || {
            let ids: Vec<&str> = successors.keys().copied().collect();
            let what = format!("{target} was replaced by each of {}", ids.join(", "));
            let events: Vec<usize> = successors.values().copied().collect();
            Violation::new(Harm::Doubled, target, what, &events)
        });
    }
}

/// In one answer, a document is superseded just if its successor is there.
fn one_instant(ledger: &Ledger<'_>, look: &Look<'_>, case: &mut Case) {
    let Asked::Patient { kind: Kind::Document, current_only, .. } = look.search.asked else { return };
    let sent = look.found.keys().filter_map(|object| ledger.sent(*object).replaces.as_deref());
    // Also where nobody can tell which of two equal submissions an object belongs to.
    let shown = look.search.found.iter().flat_map(|seen| &seen.replaces).map(String::as_str);
    let replaced: BTreeSet<&str> = sent.chain(shown).collect();
    for seen in &look.search.found {
        let successor = replaced.contains(seen.id.as_str());
        let holds = seen.superseded == successor && !(current_only && seen.superseded);
        case.hold(holds, || torn(look, seen, successor));
    }
}

fn torn(look: &Look<'_>, seen: &Seen, successor: bool) -> Violation {
    let what = match (seen.superseded, successor) {
        (true, false) => format!("{} is superseded, and nothing in the same answer replaces it", seen.id),
        (false, _) => format!("{} is current, and its successor is in the same answer", seen.id),
        (true, true) => format!("{} is superseded, and only current ones were asked for", seen.id),
    };
    Violation::new(Harm::HalfVisible, &seen.id, what, &[look.event])
}
