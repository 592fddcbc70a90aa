//! What a judge has to say, for people and for the last lines of a run.

use std::collections::BTreeSet;
use std::fmt;

use crate::faults::history::{Event, FaultKind, Recovery, Told, What};

/// Violations of one promise that are printed in full.
const PRINTED: usize = 5;

/// What kind of harm a violation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Something acknowledged or visible is gone.
    Lost,
    /// Something is there twice.
    Doubled,
    /// Part of a submission is there.
    HalfVisible,
    /// Something is there and its bytes are not.
    Dangling,
    /// Bytes are there and nothing refers to them.
    Orphaned,
    /// Anything else.
    Other,
}

/// A broken promise.
#[derive(Debug, Clone)]
pub struct Violation {
    /// What kind of harm it is.
    pub harm: Harm,
    /// The id or key it is about; counted once however often it shows.
    pub subject: String,
    /// In words.
    pub what: String,
    /// Lines of the history that show it, from 1.
    pub lines: Vec<usize>,
}

impl Violation {
    /// `events` are positions, from 0.
    pub(super) fn new(harm: Harm, subject: impl Into<String>, what: String, events: &[usize]) -> Violation {
        Violation { harm, subject: subject.into(), what, lines: events.iter().map(|at| at + 1).collect() }
    }
}

/// One promise, judged.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number, `I1`.
    pub number: &'static str,
    /// It, in a few words.
    pub sentence: &'static str,
    /// How many things were looked at.
    pub checked: u64,
    /// What breaks it.
    pub violations: Vec<Violation>,
}

/// The judgement.
#[derive(Debug, Clone)]
pub struct Report {
    /// All promises, in order.
    pub rows: Vec<Row>,
    /// Requests that were acknowledged, replays among them.
    pub acknowledged: u64,
    /// Acknowledgements that said they repeat an earlier one.
    pub replayed: u64,
    /// Requests that were refused for good.
    pub refused: u64,
    /// Requests that did nothing.
    pub declined: u64,
    /// Requests whose outcome the client was not told.
    pub unknown: u64,
    /// The longest an actor took from its start until it was ready, in nanoseconds, and what it recovered from.
    pub slowest_recovery: Option<(u64, String, FaultKind)>,
}

impl Report {
    pub(super) fn new(events: &[Event], rows: Vec<Row>) -> Report {
        let mut report = Report {
            rows,
            acknowledged: 0,
            replayed: 0,
            refused: 0,
            declined: 0,
            unknown: 0,
            slowest_recovery: None,
        };
        for event in events {
            match &event.what {
                What::Submit(submit) => report.count(&submit.told),
                What::Recovery(recovery) => report.recovered(event, recovery),
                _ => {}
            }
        }
        report
    }

    fn count(&mut self, told: &Told) {
        match told {
            Told::Acknowledged { replayed, .. } => {
                self.acknowledged += 1;
                self.replayed += u64::from(*replayed);
            }
            Told::Refused { .. } => self.refused += 1,
            Told::Declined { .. } => self.declined += 1,
            Told::Unknown { .. } => self.unknown += 1,
        }
    }

    fn recovered(&mut self, event: &Event, recovery: &Recovery) {
        let took = event.end.saturating_sub(event.begin);
        let slowest = self.slowest_recovery.as_ref().is_none_or(|(longest, _, _)| took > *longest);
        if recovery.ready && slowest {
            self.slowest_recovery = Some((took, recovery.actor.clone(), recovery.from));
        }
    }

    /// True if no promise is broken.
    pub fn is_sound(&self) -> bool {
        self.rows.iter().all(|row| row.violations.is_empty())
    }

    /// Numbers of the broken promises.
    pub fn broken(&self) -> Vec<&'static str> {
        self.rows.iter().filter(|row| !row.violations.is_empty()).map(|row| row.number).collect()
    }

    /// How many things have suffered a harm.
    pub fn harmed(&self, harm: Harm) -> usize {
        let violations = self.rows.iter().flat_map(|row| &row.violations);
        let subjects: BTreeSet<&str> =
            violations.filter(|one| one.harm == harm).map(|one| one.subject.as_str()).collect();
        subjects.len()
    }

    /// Promises kept, broken, and not put to the test.
    pub fn counts(&self) -> (usize, usize, usize) {
        let failed = self.rows.iter().filter(|row| !row.violations.is_empty()).count();
        let skipped = self.rows.iter().filter(|row| row.violations.is_empty() && row.checked == 0).count();
        (self.rows.len() - failed - skipped, failed, skipped)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in &self.rows {
            let word = match (row.violations.len(), row.checked) {
                (0, 0) => "not put to the test".to_owned(),
                (0, _) => "holds".to_owned(),
                (broken, _) => format!("BROKEN {broken} times"),
            };
            writeln!(out, "{:<4} {:<48} {:>9} checked  {word}", row.number, row.sentence, row.checked)?;
        }
        for row in &self.rows {
            for violation in row.violations.iter().take(PRINTED) {
                writeln!(out, "{}: {} (lines {:?})", row.number, violation.what, violation.lines)?;
            }
            if row.violations.len() > PRINTED {
                writeln!(out, "{}: … and {} more", row.number, row.violations.len() - PRINTED)?;
            }
        }
        writeln!(
            out,
            "{} acknowledged, {} of them replays; {} refused, {} declined, {} unknown",
            self.acknowledged, self.replayed, self.refused, self.declined, self.unknown
        )?;
        if let Some((took, actor, from)) = &self.slowest_recovery {
            writeln!(out, "slowest recovery: {actor} after {from:?}, {} ms", took / 1_000_000)?;
        }
        writeln!(
            out,
            "{} lost, {} doubled, {} half-visible, {} dangling, {} orphaned",
            self.harmed(Harm::Lost),
            self.harmed(Harm::Doubled),
            self.harmed(Harm::HalfVisible),
            self.harmed(Harm::Dangling),
            self.harmed(Harm::Orphaned)
        )?;
        let (passed, failed, skipped) = self.counts();
        write!(out, "{passed} passed, {failed} failed, {skipped} skipped")
    }
}
