//! I5: one key is committed at most once, and the same content is answered the same.

use std::collections::BTreeSet;

use super::name;
use crate::faults::checker::ledger::Ledger;
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Event, Told, What};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    one_content(ledger, case);
    one_object(ledger, case);
    for content in 0..ledger.contents.len() {
        one_answer(ledger, content, case);
    }
}

/// Of all contents sent under a key, one shows at most.
fn one_content(ledger: &Ledger<'_>, case: &mut Case) {
    for (key, contents) in &ledger.keys {
        let proofs: Vec<usize> =
            contents.iter().filter_map(|content| ledger.contents[*content].since).map(|(_, at)| at).collect();
        case.hold(proofs.len() <= 1, || {
            let what = format!("{} contents were committed under the key {key}", proofs.len());
            Violation::new(Harm::Doubled, *key, what, &proofs)
        });
    }
}

/// What was sent once has one id, in whatever answer.
fn one_object(ledger: &Ledger<'_>, case: &mut Case) {
    for (object, ids) in &ledger.given {
        case.hold(ids.len() == 1, || {
            let events: BTreeSet<usize> = ids
                .iter()
                .filter_map(|id| ledger.sightings.get(id)?.first())
                .map(|sighting| sighting.event)
                .collect();
            let what = format!("{} is there under the ids {}", name(ledger, *object), ids.join(", "));
            let events: Vec<usize> = events.into_iter().collect();
            Violation::new(Harm::Doubled, &ledger.sent(*object).unique_id, what, &events)
        });
    }
}

fn one_answer(ledger: &Ledger<'_>, content: usize, case: &mut Case) {
    let content = &ledger.contents[content];
    let Some(first) = content.acknowledged else { return };
    let Event { end, what: What::Submit(submit), .. } = &ledger.events[first] else { return };
    for at in &content.attempts {
        let event = &ledger.events[*at];
        let What::Submit(again) = &event.what else { continue };
        match &again.told {
            Told::Acknowledged { ids, .. } => case.hold(submit.told.ids() == Some(ids), || {
                let what = format!("the key {} was answered with different ids", content.key);
                Violation::new(Harm::Doubled, content.key, what, &[first, *at])
            }),
            // A patient that is gone may be a reason to refuse.
            Told::Refused { status, code }
                if *end <= event.begin && !ledger.may_have_gone(content.patient) =>
            {
                case.hold(false, || {
                    let what = format!(
                        "the key {} was acknowledged, and later refused: {status} {code}",
                        content.key
                    );
                    Violation::new(Harm::Other, content.key, what, &[first, *at])
                });
            }
            Told::Refused { .. } | Told::Declined { .. } | Told::Unknown { .. } => {}
        }
    }
}
