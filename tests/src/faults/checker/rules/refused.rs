//! I6: a definite failure stays one.

use crate::faults::checker::ledger::{Content, Ledger};
use crate::faults::checker::{Case, Harm, Violation};
use crate::faults::history::{Event, Told, What};

pub(in super::super) fn judge(ledger: &Ledger<'_>, case: &mut Case) {
    for content in &ledger.contents {
        let told = told(ledger, content);
        for (at, event, answer) in &told {
            if let Told::Refused { .. } = answer {
                // Somebody who sent it again, or at the same time, may have had success.
                let excused = told.iter().any(|(other, another, answer)| {
                    other != at && another.end > event.begin && !matches!(answer, Told::Refused { .. })
                });
                // What was committed before is the matter of I5.
                let before = content.since.is_some_and(|(since, _)| since <= event.begin);
                let shows = content.since.filter(|_| !before && !excused);
                case.hold(shows.is_none(), || appeared(content, *at, shows.map(|(_, by)| by)));
            }
        }
        nothing_was_done(content, &told, case);
    }
}

/// If no request did anything, there is nothing.
fn nothing_was_done(content: &Content<'_>, told: &[(usize, &Event, &Told)], case: &mut Case) {
    let idle = told.iter().all(|(_, _, answer)| matches!(answer, Told::Declined { .. }));
    if let ([(at, _, _), ..], true) = (told, idle) {
        case.hold(content.since.is_none(), || appeared(content, *at, content.since.map(|(_, by)| by)));
    }
}

fn told<'l>(ledger: &'l Ledger<'_>, content: &Content<'_>) -> Vec<(usize, &'l Event, &'l Told)> {
    let request = |at: &usize| {
        let event = &ledger.events[*at];
        match &event.what {
            What::Submit(submit) => Some((*at, event, &submit.told)),
            _ => None,
        }
    };
    content.attempts.iter().filter_map(request).collect()
}

fn appeared(content: &Content<'_>, refused: usize, by: Option<usize>) -> Violation {
    let what = format!("the key {} was refused, and what it holds appeared", content.key);
    let events: Vec<usize> = [Some(refused), by].into_iter().flatten().collect();
    Violation::new(Harm::Other, content.key, what, &events)
}
