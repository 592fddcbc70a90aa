//! I7: what was seen stays, and versions never go back. I20: nor do instants.

use super::name;
use crate::faults::checker::ledger::{Ledger, Sighting};
use crate::faults::checker::{Case, Harm, Violation};

/// I7.
pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for look in &ledger.looks {
        for object in ledger.covered(look) {
            let Some((_, by)) = ledger.since.get(&object).filter(|(since, _)| *since <= look.begin) else {
                continue;
            };
            case.hold(ledger.shows(look, object), || {
                let what =
                    format!("{} was there before this was asked, and is missing", name(ledger, object));
                Violation::new(Harm::Lost, &ledger.sent(object).unique_id, what, &[*by, look.event])
            });
        }
    }
    in_order(
        ledger,
        case,
        |before, after| {
            let version = after.seen.version >= before.seen.version;
            let status = after.seen.superseded || !before.seen.superseded;
            version && status
        },
        "has gone back to an earlier version",
    );
}

/// I20.
pub(in super::super) fn instants(ledger: &Ledger<'_>, case: &mut Case) {
    in_order(
        ledger,
        case,
        |before, after| after.seen.updated >= before.seen.updated,
        "has an instant before the one it had",
    );
    for (id, sightings) in &ledger.sightings {
        let mut versions: Vec<(u64, i64, usize)> =
            sightings.iter().map(|one| (one.seen.version, one.seen.updated, one.event)).collect();
        versions.sort_unstable();
        for pair in versions.windows(2) {
            let [(version, updated, before), (next, later, after)] = pair else { continue };
            let holds = if version == next { updated == later } else { updated <= later };
            case.hold(holds, || {
                let what =
                    format!("versions {version} and {next} of {id} have instants {updated} and {later}");
                Violation::new(Harm::Other, *id, what, &[*before, *after])
            });
        }
    }
}

/// Holds each look at an object against the furthest one that was over before it began.
fn in_order(
    ledger: &Ledger<'_>,
    case: &mut Case,
    holds: fn(&Sighting<'_>, &Sighting<'_>) -> bool,
    wrong: &str,
) {
    for (id, sightings) in &ledger.sightings {
        let newest = sightings.iter().filter(|sighting| sighting.newest);
        let mut begun: Vec<&Sighting<'_>> = newest.clone().collect();
        let mut ended: Vec<&Sighting<'_>> = newest.collect();
        begun.sort_by_key(|sighting| sighting.begin);
        ended.sort_by_key(|sighting| sighting.end);
        let mut ended = ended.into_iter().peekable();
        let mut furthest: Option<&Sighting<'_>> = None;
        for after in begun {
            while let Some(before) = ended.next_if(|before| before.end <= after.begin) {
                if furthest.is_none_or(|furthest| holds(furthest, before)) {
                    furthest = Some(before);
                }
            }
            if let Some(before) = furthest {
                case.hold(holds(before, after), || {
                    Violation::new(Harm::Other, *id, format!("{id} {wrong}"), &[before.event, after.event])
                });
            }
        }
    }
}
