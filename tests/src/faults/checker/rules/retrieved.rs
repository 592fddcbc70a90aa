//! I3: what is visible can be retrieved, or says "later". I11: a complete body is what was submitted.

use super::name;
use crate::faults::checker::ledger::{Ledger, Object};
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Body, Retrieve, What};

/// I3.
pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for (at, event, retrieve) in retrievals(ledger) {
        let Some(object) = ledger.ids.get(retrieve.id.as_str()) else { continue };
        let Some((since, by)) = ledger.since.get(object) else { continue };
        if *since > event.begin {
            continue;
        }
        let came =
            matches!(retrieve.status, 200 | 206) && !matches!(retrieve.body, Body::Cut | Body::Nothing);
        // No answer at all, or half of one, is the way's fault and not a word of the server.
        let later = matches!(retrieve.status, 0 | 503 | 408 | 429)
            || matches!((retrieve.status, &retrieve.body), (200 | 206, Body::Cut));
        let holds = came || later && !ledger.is_quiet(event.begin);
        case.hold(holds, || {
            let what = format!(
                "{} is visible, and retrieving it comes to {}",
                name(ledger, *object),
                told(retrieve)
            );
            Violation::new(Harm::Dangling, &retrieve.unique_id, what, &[*by, at])
        });
        case.hold(!came || is_submitted(ledger, *object, retrieve), || {
            let what = format!("{} is visible, and other bytes are retrieved", name(ledger, *object));
            Violation::new(Harm::Dangling, &retrieve.unique_id, what, &[*by, at])
        });
    }
}

/// I11.
pub(in super::super) fn bodies(ledger: &Ledger<'_>, case: &mut Case) {
    for (at, _, retrieve) in retrievals(ledger) {
        let Some(object) = ledger.ids.get(retrieve.id.as_str()) else { continue };
        if (200..300).contains(&retrieve.status) {
            case.hold(is_submitted(ledger, *object, retrieve), || {
                let what = format!("a complete body of {} is not what was submitted", name(ledger, *object));
                Violation::new(Harm::Other, &retrieve.unique_id, what, &[at])
            });
        }
    }
}

fn retrievals<'l>(
    ledger: &'l Ledger<'_>,
) -> impl Iterator<Item = (usize, &'l crate::faults::history::Event, &'l Retrieve)> {
    ledger.events.iter().enumerate().filter_map(|(at, event)| match &event.what {
        What::Retrieve(retrieve) => Some((at, event, retrieve)),
        _ => None,
    })
}

fn is_submitted(ledger: &Ledger<'_>, object: Object, retrieve: &Retrieve) -> bool {
    let sent = ledger.sent(object);
    match &retrieve.body {
        Body::Whole { sha256, size } => *sha256 == sent.sha256 && *size == sent.size,
        Body::Part { equal } => *equal,
        Body::Cut | Body::Nothing => true,
    }
}

fn told(retrieve: &Retrieve) -> String {
    match (&retrieve.body, retrieve.status) {
        (_, 0) => "no answer".to_owned(),
        (Body::Cut, status) => format!("half an answer with status {status}"),
        (_, status) => format!("status {status}"),
    }
}
