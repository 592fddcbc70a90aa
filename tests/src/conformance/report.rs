//! What came out of a run.

use std::time::Duration;

use serde::Serialize;

/// What became of one case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", content = "why", rename_all = "lowercase")]
pub enum Verdict {
    /// It held.
    Passed,
    /// It did not; what was expected and what came.
    Failed(String),
    /// It could not be judged; why.
    Skipped(String),
}

/// One line of the report.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    /// Name of the case.
    pub id: String,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Milliseconds.
    pub took_ms: u64,
}

/// All lines of a run.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// One for each case, in order.
    pub lines: Vec<Line>,
}

impl Report {
    pub(super) fn add(&mut self, id: &str, verdict: Verdict, took: Duration) -> &Line {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.lines.push(Line { id: id.to_owned(), verdict, took_ms });
        &self.lines[self.lines.len() - 1]
    }

    /// How many passed, failed, were skipped.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.lines.iter().fold((0, 0, 0), |(passed, failed, skipped), line| match line.verdict {
            Verdict::Passed => (passed + 1, failed, skipped),
            Verdict::Failed(_) => (passed, failed + 1, skipped),
            Verdict::Skipped(_) => (passed, failed, skipped + 1),
        })
    }

    /// The last line of a run.
    pub fn summary(&self) -> String {
        let (passed, failed, skipped) = self.counts();
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

impl std::fmt::Display for Line {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.verdict {
            Verdict::Passed => write!(formatter, "passed   {} ({} ms)", self.id, self.took_ms),
            Verdict::Failed(why) => write!(formatter, "FAILED   {}: {why}", self.id),
            Verdict::Skipped(why) => write!(formatter, "skipped  {}: {why}", self.id),
        }
    }
}
