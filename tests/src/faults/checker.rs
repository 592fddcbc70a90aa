//! Judges a history by the promises of the region, each under its number.
//!
//! A judge knows nothing but what clients were told and saw, and when. It is strict where the instants leave no other
//! reading, and silent where they do: two events that overlap are in no order. Each promise has its own function in
//! [`RULES`]; a new one is a line there and a function in `rules/`.

mod ledger;
mod report;
mod rules;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod property;
#[cfg(test)]
mod sample;

use std::path::Path;

use anyhow::Result;

pub use report::{Harm, Report, Row, Violation};

use super::history::{self, Event};
use ledger::Ledger;

/// One promise.
struct Rule {
    number: &'static str,
    sentence: &'static str,
    judge: fn(&Ledger<'_>, &mut Case),
}

/// The promises a history can prove broken.
const RULES: &[Rule] = &[
    Rule {
        number: "I1",
        sentence: "what was acknowledged is there, byte for byte",
        judge: rules::kept::judge,
    },
    Rule {
        number: "I2",
        sentence: "a submission is visible wholly or not at all",
        judge: rules::whole::judge,
    },
    Rule { number: "I3", sentence: "what can be found can be retrieved", judge: rules::retrieved::judge },
    Rule { number: "I4", sentence: "what is visible was submitted just so", judge: rules::submitted::judge },
    Rule {
        number: "I5",
        sentence: "a key is committed once and answered the same",
        judge: rules::once::judge,
    },
    Rule { number: "I6", sentence: "what was refused does not appear", judge: rules::refused::judge },
    Rule {
        number: "I7",
        sentence: "what was seen stays, and versions never go back",
        judge: rules::forward::judge,
    },
    Rule {
        number: "I8",
        sentence: "a document is replaced once, in one instant",
        judge: rules::replaced::judge,
    },
    Rule { number: "I9", sentence: "nothing belongs to a merged-away patient", judge: rules::merged::judge },
    Rule { number: "I10", sentence: "bytes on disk are the bytes referred to", judge: rules::disk::judge },
    Rule {
        number: "I11",
        sentence: "a complete body has its registered hash",
        judge: rules::retrieved::bodies,
    },
    Rule {
        number: "I12",
        sentence: "nothing stays in doubt for over a minute",
        judge: rules::quiet::in_doubt,
    },
    Rule {
        number: "I15",
        sentence: "every start is ready in 30 s, without hands",
        judge: rules::quiet::recovered,
    },
    Rule {
        number: "I18",
        sentence: "after a failed sync nothing is acknowledged",
        judge: rules::quiet::failed_sync,
    },
    Rule {
        number: "I19",
        sentence: "equal unique ids have equal bytes",
        judge: rules::submitted::equal_bytes,
    },
    Rule { number: "I20", sentence: "instants of an object never go back", judge: rules::forward::instants },
    Rule {
        number: "I21",
        sentence: "an acknowledged update is the version it was said to be",
        judge: rules::updated::judge,
    },
];

/// What judging one rule has found so far.
#[derive(Debug, Default)]
struct Case {
    checked: u64,
    violations: Vec<Violation>,
}

impl Case {
    /// One thing looked at; if it does not hold, what is wrong.
    fn hold(&mut self, holds: bool, wrong: impl FnOnce() -> Violation) {
        self.checked += 1;
        if !holds {
            self.violations.push(wrong());
        }
    }
}

/// Judges a history.
pub fn judge_events(events: &[Event]) -> Report {
    let ledger = Ledger::of(events);
    let rows = RULES.iter().map(|rule| {
        let mut case = Case::default();
        (rule.judge)(&ledger, &mut case);
        Row {
            number: rule.number,
            sentence: rule.sentence,
            checked: case.checked,
            violations: case.violations,
        }
    });
    Report::new(events, rows.collect())
}

/// Judges a history on disk.
pub fn judge(path: &Path) -> Result<Report> {
    Ok(judge_events(&history::read(path)?))
}
