//! I9: nothing visible belongs to a merged-away patient.

use crate::faults::checker::ledger::Ledger;
use crate::faults::checker::{Case, Harm, Violation};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for (at, merge) in ledger.merges() {
        let end = ledger.events[at].end;
        let until = ledger.stood_until(merge, end);
        for sighting in ledger.sightings.values().flatten() {
            if sighting.newest && sighting.begin >= end && sighting.end <= until {
                case.hold(sighting.seen.patient != merge.from, || {
                    let what =
                        format!("{} belongs to {}, which was merged away", sighting.seen.id, merge.from);
                    Violation::new(Harm::Other, &sighting.seen.id, what, &[at, sighting.event])
                });
            }
        }
    }
}
