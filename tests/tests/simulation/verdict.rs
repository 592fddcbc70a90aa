//! Whether the promises were kept: what the checker says of every history, and that a source which sends again is told an end.

use tests::faults::checker::judge_events;
use tests::faults::history::{Event, Phase, Told, What};

/// Everything that is wrong with a history, in words that begin with the number of the promise.
pub(crate) fn judge(history: &[Event]) -> Vec<String> {
    let report = judge_events(history);
    let broken = report.rows.into_iter().flat_map(|row| {
        row.violations.into_iter().map(move |violation| format!("{} {}", row.number, violation.what))
    });
    broken.chain(without_end(history)).collect()
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
