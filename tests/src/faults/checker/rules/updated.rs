//! I21: an update that was acknowledged is the version it was said to be, and stays.

use std::collections::HashMap;

use crate::faults::checker::ledger::Ledger;
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Update, What};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    let mut made: HashMap<(&str, u64), (usize, &Update)> = HashMap::new();
    for (at, event) in ledger.events.iter().enumerate() {
        let What::Update(update) = &event.what else { continue };
        let Some(version) = update.version else { continue };
        let other = made.insert((&update.id, version), (at, update));
        case.hold(other.is_none(), || {
            let events: Vec<usize> = other.iter().map(|(other, _)| *other).chain([at]).collect();
            let what = format!("version {version} of {} was made by two updates", update.id);
            Violation::new(Harm::Lost, &update.id, what, &events)
        });
        for sighting in ledger.sightings.get(update.id.as_str()).into_iter().flatten() {
            let seen = sighting.seen;
            if seen.version == version {
                case.hold(seen.remark == update.remark, || {
                    let what = format!(
                        "version {version} of {} was to remark {:?}, and remarks {:?}",
                        update.id, update.remark, seen.remark
                    );
                    Violation::new(Harm::Other, &update.id, what, &[at, sighting.event])
                });
            }
            if sighting.newest && sighting.begin >= event.end {
                case.hold(seen.version >= version, || {
                    let what = format!(
                        "{} was updated to version {version}, and is {} afterwards",
                        update.id, seen.version
                    );
                    Violation::new(Harm::Lost, &update.id, what, &[at, sighting.event])
                });
            }
        }
    }
}
