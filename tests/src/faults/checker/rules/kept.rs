//! I1: what was acknowledged is there for ever, byte for byte.

use std::collections::HashSet;

use super::name;
use crate::faults::checker::ledger::{Ledger, Object};
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Body, Event, Kind, What};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    searches(ledger, case);
    for (at, event) in ledger.events.iter().enumerate() {
        let promise = |id: &str| {
            let object = *ledger.ids.get(id)?;
            let by = ledger.content(object).acknowledged?;
            (ledger.events[by].end <= event.begin).then_some((object, by))
        };
        match &event.what {
            What::Retrieve(retrieve) => {
                if let Some((object, by)) = promise(&retrieve.id) {
                    let sent = ledger.sent(object);
                    let same = match &retrieve.body {
                        Body::Whole { sha256, .. } => retrieve.status != 200 || *sha256 == sent.sha256,
                        Body::Part { equal } => *equal,
                        Body::Cut | Body::Nothing => true,
                    };
                    case.hold(same && !denies(retrieve.status), || {
                        let what =
                            format!("{} was acknowledged, and its bytes are not there", name(ledger, object));
                        Violation::new(Harm::Lost, &sent.unique_id, what, &[by, at])
                    });
                }
            }
            What::Read(read) => {
                if let Some((object, by)) = promise(&read.id) {
                    case.hold(!denies(read.status), || lost(ledger, object, &[by, at]));
                }
            }
            _ => {}
        }
    }
    looked_at_in_the_end(ledger, case);
}

/// A server that says there is no such thing.
fn denies(status: u16) -> bool {
    matches!(status, 404 | 410)
}

fn searches(ledger: &Ledger<'_>, case: &mut Case) {
    for look in &ledger.looks {
        for object in ledger.covered(look) {
            let Some(by) = ledger.content(object).acknowledged else { continue };
            if ledger.events[by].end <= look.begin {
                case.hold(ledger.shows(look, object), || lost(ledger, object, &[by, look.event]));
            }
        }
    }
}

fn lost(ledger: &Ledger<'_>, object: Object, events: &[usize]) -> Violation {
    let what = format!("{} was acknowledged, and is not there", name(ledger, object));
    Violation::new(Harm::Lost, &ledger.sent(object).unique_id, what, events)
}

/// A run that claims to have lost nothing has looked at everything once more when it was quiet.
fn looked_at_in_the_end(ledger: &Ledger<'_>, case: &mut Case) {
    if ledger.quiet.is_none() {
        return;
    }
    let quiet = |event: &Event| ledger.is_quiet(event.begin);
    let found: HashSet<Object> = ledger
        .looks
        .iter()
        .filter(|look| ledger.is_quiet(look.begin))
        .flat_map(|look| look.found.keys().copied())
        .collect();
    let retrieved: HashSet<Object> = ledger
        .events
        .iter()
        .filter(|event| quiet(event))
        .filter_map(|event| match &event.what {
            What::Retrieve(retrieve)
                if matches!(retrieve.body, Body::Whole { .. }) && retrieve.status == 200 =>
            {
                ledger.ids.get(retrieve.id.as_str()).copied()
            }
            _ => None,
        })
        .collect();
    for object in ledger.objects() {
        let Some(by) = ledger.content(object).acknowledged else { continue };
        let bytes = ledger.sent(object).kind != Kind::Document || retrieved.contains(&object);
        case.hold(found.contains(&object) && bytes, || {
            let what =
                format!("{} was acknowledged, and not found and retrieved in the end", name(ledger, object));
            Violation::new(Harm::Lost, &ledger.sent(object).unique_id, what, &[by])
        });
    }
}
