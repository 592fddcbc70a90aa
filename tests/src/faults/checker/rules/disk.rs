//! I10: when quiet, the bytes on disk are the bytes that are referred to, and staging is empty.

use crate::faults::checker::ledger::Ledger;
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Inventory, What};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for (at, event) in ledger.events.iter().enumerate() {
        if let What::Inventory(inventory) = &event.what {
            // Each actor's walk is one thing looked at, and so is each of its blobs.
            case.checked += 1 + inventory.blobs;
            for (names, harm, what) in lists(inventory) {
                for name in names {
                    let what = format!("{}: {name} {what}", inventory.actor);
                    case.violations.push(Violation::new(harm, name, what, &[at]));
                }
            }
        }
    }
}

fn lists(inventory: &Inventory) -> [(&[String], Harm, &'static str); 5] {
    [
        (&inventory.unreferenced, Harm::Orphaned, "is on disk, and nothing refers to it"),
        (&inventory.staging, Harm::Orphaned, "was left in staging"),
        (&inventory.missing, Harm::Dangling, "is referred to, and not on disk"),
        (&inventory.damaged, Harm::Dangling, "is damaged"),
        (&inventory.quarantined, Harm::Dangling, "is in quarantine"),
    ]
}
