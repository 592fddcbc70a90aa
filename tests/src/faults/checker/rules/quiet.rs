//! I12: nothing stays in doubt. I15: every start is ready soon, without hands. I18: a failed sync ends the process.

use std::collections::BTreeMap;

use crate::faults::checker::ledger::Ledger;
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Event, Fault, FaultKind, Recovery, Told, What};

const SECOND: u64 = 1_000_000_000;
/// How long an attempt may be in doubt when it is quiet.
const DOUBT: u64 = 60 * SECOND;
/// How long a start may take.
const START: u64 = 30 * SECOND;
/// What a process that could not sync ends with.
const STORAGE_FAILED: i32 = 74;

/// I12.
pub(in super::super) fn in_doubt(ledger: &Ledger<'_>, case: &mut Case) {
    for (at, event) in ledger.events.iter().enumerate() {
        let (actor, count, too_old) = match &event.what {
            What::Gauge(gauge) => {
                let Some(quiet) = ledger.quiet.filter(|quiet| event.begin >= *quiet) else { continue };
                // Whoever does not tell the age is given the whole time since it became quiet.
                let age = gauge.oldest_ms.map_or(event.begin - quiet, |age| age.saturating_mul(1_000_000));
                (&gauge.actor, gauge.in_doubt, age > DOUBT)
            }
            What::Inventory(inventory) => (&inventory.actor, inventory.in_doubt, true),
            _ => continue,
        };
        case.hold(count == 0 || !too_old, || {
            let what = format!("{count} submissions stay in doubt at {actor}");
            Violation::new(Harm::Other, actor, what, &[at])
        });
    }
}

/// I15.
pub(in super::super) fn recovered(ledger: &Ledger<'_>, case: &mut Case) {
    // The last end of each actor that it has not come back from.
    let mut down: BTreeMap<&str, usize> = BTreeMap::new();
    let mut events: Vec<(usize, &Event)> = ledger.events.iter().enumerate().collect();
    events.sort_by_key(|(_, event)| event.end);
    for (at, event) in events {
        match &event.what {
            What::Fault(Fault { actor, ends_process: true, .. }) => {
                down.insert(actor, at);
            }
            What::Recovery(recovery) => {
                if recovery.ready {
                    down.remove(recovery.actor.as_str());
                }
                soon(at, event, recovery, case);
            }
            _ => {}
        }
    }
    for (actor, at) in down {
        case.hold(false, || Violation::new(Harm::Other, actor, format!("{actor} did not come back"), &[at]));
    }
}

fn soon(at: usize, event: &Event, recovery: &Recovery, case: &mut Case) {
    let took = event.end.saturating_sub(event.begin);
    case.hold(took <= START && !recovery.by_hand, || {
        let hands = if recovery.by_hand { ", and needed hands" } else { "" };
        let what = format!("{} was ready after {} ms{hands}", recovery.actor, took / 1_000_000);
        Violation::new(Harm::Other, &recovery.actor, what, &[at])
    });
}

/// I18.
pub(in super::super) fn failed_sync(ledger: &Ledger<'_>, case: &mut Case) {
    for (at, event) in ledger.events.iter().enumerate() {
        let What::Fault(Fault { kind: FaultKind::SyncFailed, actor, exit, .. }) = &event.what else {
            continue;
        };
        case.hold(exit.is_none_or(|exit| exit == STORAGE_FAILED), || {
            let what = format!("{actor} ended with {exit:?} after a failed sync, not with {STORAGE_FAILED}");
            Violation::new(Harm::Other, actor, what, &[at])
        });
        for (by, later) in ledger.events.iter().enumerate() {
            if later.begin >= event.begin && later.end <= event.end {
                case.hold(!is_promise(later, actor), || {
                    let what = format!("{actor} could not sync, and something was acknowledged all the same");
                    Violation::new(Harm::Other, actor, what, &[at, by])
                });
            }
        }
    }
}

/// Whether an event tells a client that something this actor has to store was stored.
fn is_promise(event: &Event, actor: &str) -> bool {
    match &event.what {
        // What is known already the repository answers by itself, with its own audit record.
        What::Submit(submit) => match submit.told {
            Told::Acknowledged { replayed, .. } => actor == "repository" || actor == "registry" && !replayed,
            _ => false,
        },
        What::Merge(merge) => actor == "identity" && (200..300).contains(&merge.status),
        _ => false,
    }
}
