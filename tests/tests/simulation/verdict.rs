//! Whether the promises were kept: what the checker says of every history, and that a source which sends again is told an end.

use std::collections::HashMap;

use tests::faults::checker::judge_events;
use tests::faults::history::{Asked, Event, Phase, Seen, Told, What};

/// Everything that is wrong with a history, in words that begin with the number of the promise.
pub(crate) fn judge(history: &[Event]) -> Vec<String> {
    let report = judge_events(history);
    let broken = report.rows.into_iter().flat_map(|row| {
        row.violations.into_iter().map(move |violation| format!("{} {}", row.number, violation.what))
    });
    broken.chain(without_end(history)).chain(at_rest(history)).collect()
}

/// When all is quiet, what was acknowledged is found with exactly one patient, its own and that of everything it replaces.
fn at_rest(history: &[Event]) -> Vec<String> {
    let quiet = history.iter().rfind(|event| matches!(event.what, What::Phase(Phase::Quiet)));
    let quiet = quiet.map_or(u64::MAX, |event| event.end);
    let mut owners: HashMap<&str, Vec<&Seen>> = HashMap::new();
    let mut wrong = Vec::new();
    for event in history.iter().filter(|event| event.begin > quiet) {
        let What::Search(search) = &event.what else { continue };
        let Asked::Patient { patient, .. } = &search.asked else { continue };
        for seen in &search.found {
            if seen.patient != *patient {
                wrong.push(format!(
                    "I9 {} is found with {patient} and shown as that of {}",
                    seen.id, seen.patient
                ));
            }
            owners.entry(&seen.id).or_default().push(seen);
        }
    }
    for event in history {
        let What::Submit(submit) = &event.what else { continue };
        let Told::Acknowledged { ids, .. } = &submit.told else { continue };
        for id in ids {
            let found = owners.get(id.as_str()).map_or(0, Vec::len);
            if found != 1 {
                wrong.push(format!(
                    "I1 {id} was acknowledged and is found with {found} patients when all is quiet"
                ));
            }
        }
    }
    for seen in owners.values().flatten() {
        for replaced in &seen.replaces {
            let other = owners.get(replaced.as_str()).and_then(|found| found.first());
            if other.is_none_or(|other| other.patient != seen.patient || !other.superseded) {
                wrong.push(format!(
                    "I8 {} replaces {replaced}, which is with somebody else, or current",
                    seen.id
                ));
            }
        }
    }
    wrong
}

/// When it is quiet, a source that does not know what became of its submission sends it again, and then knows.
fn without_end(history: &[Event]) -> impl Iterator<Item = String> {
    let quiet = history.iter().find(|event| matches!(event.what, What::Phase(Phase::Quiet)));
    let quiet = quiet.map_or(u64::MAX, |event| event.end);
    history.iter().filter(move |event| event.begin > quiet).filter_map(|event| match &event.what {
        What::Submit(submit) => match &submit.told {
            Told::Unknown { why } | Told::Declined { code: why, .. } => {
                Some(format!("§2 {} was sent again when it was quiet, and is told no end: {why}", submit.key))
            }
            Told::Acknowledged { .. } | Told::Refused { .. } => None,
        },
        _ => None,
    })
}
