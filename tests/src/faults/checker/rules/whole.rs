//! I2: a submission is visible wholly or not at all, its replace effects included.

use std::collections::HashSet;

use super::name;
use crate::faults::checker::ledger::{Ledger, Look, Object};
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Asked, Kind};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for look in &ledger.looks {
        if let Asked::Patient { .. } = look.search.asked {
            in_one_answer(ledger, look, case);
            effects(ledger, look, case);
            counted(look, case);
        }
        across_answers(ledger, look, case);
    }
}

/// What one answer shows of a submission, it shows all of.
fn in_one_answer(ledger: &Ledger<'_>, look: &Look<'_>, case: &mut Case) {
    let contents: HashSet<usize> = look.found.keys().map(|(content, _)| *content).collect();
    for content in contents {
        for number in 0..ledger.contents[content].objects.len() {
            let object = (content, number);
            if ledger.covers(look, object) {
                let there = ledger.shows(look, object);
                case.hold(there, || half(ledger, object, "another part of its submission is", &[look.event]));
            }
        }
    }
}

/// Where a replacement is visible, what it replaces is superseded.
fn effects(ledger: &Ledger<'_>, look: &Look<'_>, case: &mut Case) {
    for object in look.found.keys() {
        let Some(target) = &ledger.sent(*object).replaces else { continue };
        let current = look.search.found.iter().any(|seen| seen.id == *target && !seen.superseded);
        case.hold(!current, || {
            half(ledger, *object, "what it replaces is still current, though it", &[look.event])
        });
    }
}

/// An answer counts what it holds.
fn counted(look: &Look<'_>, case: &mut Case) {
    if let Some(total) = look.search.total {
        let found = look.search.found.len();
        case.hold(total == found as u64, || {
            let what = format!("an answer says it has {total} objects, and has {found}");
            Violation::new(Harm::Other, "total", what, &[look.event])
        });
    }
}

/// Once a part of a submission was seen, all of it is there. The part itself is the matter of I7.
fn across_answers(ledger: &Ledger<'_>, look: &Look<'_>, case: &mut Case) {
    for object in ledger.covered(look) {
        let since = ledger.content(object).since.filter(|(since, _)| *since <= look.begin);
        let Some((since, by)) = since else { continue };
        let own = ledger.since.get(&object).is_some_and(|(own, _)| *own <= since);
        if !own {
            let there = ledger.shows(look, object);
            case.hold(there, || half(ledger, object, "another part was seen before", &[by, look.event]));
        }
    }
}

fn half(ledger: &Ledger<'_>, object: Object, why: &str, events: &[usize]) -> Violation {
    let visible =
        if ledger.sent(object).kind == Kind::Document && why.starts_with("what") { "is" } else { "is not" };
    let what = format!("{}: {why}, and this {visible} visible", name(ledger, object));
    Violation::new(Harm::HalfVisible, ledger.content(object).key, what, events)
}
