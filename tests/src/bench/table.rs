//! The table of a bench.

use std::fmt::Write as _;

use super::load::Measured;

/// One case.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) documents: usize,
    pub(super) rate: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Microseconds of processor time of the actors for one request.
    pub(super) processor: Option<f64>,
    /// Compared with what, and that rate.
    pub(super) beside: Option<(String, f64)>,
    /// The ratio to reach: at least (rates) or at most (costs).
    pub(super) goal: Option<Goal>,
}

/// What is to be reached.
#[derive(Clone, Copy)]
pub(super) enum Goal {
    /// This part of the other's rate, at least.
    AtLeast(f64),
    /// This multiple of the other's cost, at most.
    AtMost(f64),
}

impl Row {
    pub(super) fn of(name: &str, documents: usize, measured: &Measured, processor: Option<f64>) -> Row {
        Row {
            name: name.to_owned(),
            documents,
            rate: measured.rate(),
            p50: measured.quantile(0.5),
            p99: measured.quantile(0.99),
            processor,
            beside: None,
            goal: None,
        }
    }

    pub(super) fn beside(mut self, what: &str, other: Option<f64>, goal: Goal) -> Row {
        if let Some(other) = other {
            self.beside = Some((what.to_owned(), other));
            self.goal = Some(goal);
        }
        self
    }

    /// The ratio and whether it is enough.
    fn verdict(&self) -> Option<(f64, bool)> {
        let (_, other) = self.beside.as_ref()?;
        match self.goal? {
            Goal::AtLeast(part) => Some((self.rate / other, self.rate / other >= part)),
            Goal::AtMost(times) => Some((other / self.rate, other / self.rate <= times)),
        }
    }

    fn cells(&self) -> [String; 10] {
        let (ratio, reached) = match self.verdict() {
            Some((ratio, reached)) => (format!("{ratio:.2}"), if reached { "yes" } else { "NO" }),
            None => (String::new(), ""),
        };
        let goal = match self.goal {
            Some(Goal::AtLeast(part)) => format!("≥ {part}"),
            Some(Goal::AtMost(times)) => format!("≤ {times}"),
            None => String::new(),
        };
        [
            self.name.clone(),
            self.documents.to_string(),
            format!("{:.0}", self.rate),
            format!("{:.2}", self.p50),
            format!("{:.2}", self.p99),
            self.processor.map(|microseconds| format!("{microseconds:.0}")).unwrap_or_default(),
            self.beside.as_ref().map(|(what, rate)| format!("{what} {rate:.0}")).unwrap_or_default(),
            ratio,
            goal,
            reached.to_owned(),
        ]
    }
}

/// One bar that is no rate: memory, times.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) value: f64,
    pub(super) unit: &'static str,
    pub(super) at_most: f64,
}

/// Everything of a run.
#[derive(Default)]
pub(super) struct Table {
    pub(super) rows: Vec<Row>,
    pub(super) bars: Vec<Bar>,
    pub(super) notes: Vec<String>,
}

impl Table {
    /// Adds a row and shows it.
    pub(super) fn add(&mut self, row: Row) {
        eprintln!("{}", row.cells().join(" | "));
        self.rows.push(row);
    }

    /// Adds a bar and shows it.
    pub(super) fn bar(&mut self, name: &str, value: f64, unit: &'static str, at_most: f64) {
        eprintln!("{name}: {value:.1} {unit} (at most {at_most})");
        self.bars.push(Bar { name: name.to_owned(), value, unit, at_most });
    }

    /// The table in Markdown.
    pub(super) fn markdown(&self) -> String {
        let mut text = String::from(
            "| case | documents | rate/s | p50 ms | p99 ms | processor µs/request | beside | ratio | goal | reached |\n\
             |---|---:|---:|---:|---:|---:|---|---:|---:|---|\n",
        );
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.cells().join(" | "));
        }
        text += "\n| bar | value | at most | reached |\n|---|---:|---:|---|\n";
        for bar in &self.bars {
            let reached = if bar.value <= bar.at_most { "yes" } else { "NO" };
            let _ = writeln!(
                text,
                "| {} | {:.2} {} | {} {} | {reached} |",
                bar.name, bar.value, bar.unit, bar.at_most, bar.unit
            );
        }
        text += &self.growth();
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }

    /// How each case changed from the smallest to the largest number of documents.
    fn growth(&self) -> String {
        let smallest = self.rows.iter().map(|row| row.documents).min().unwrap_or_default();
        let largest = self.rows.iter().map(|row| row.documents).max().unwrap_or_default();
        if smallest == largest {
            return String::new();
        }
        let mut text = format!(
            "\n| growth {smallest} → {largest} documents | p50 | processor time | at most | reached |\n|---|---:|---:|---:|---|\n"
        );
        for small in self.rows.iter().filter(|row| row.documents == smallest) {
            let Some(large) = self.rows.iter().find(|row| row.documents == largest && row.name == small.name)
            else {
                continue;
            };
            let p50 = large.p50 / small.p50;
            let processor = large.processor.zip(small.processor).map(|(large, small)| large / small);
            let reached = if p50 <= 1.3 && processor.is_none_or(|times| times <= 1.3) { "yes" } else { "NO" };
            let times = processor.map(|times| format!("{times:.2}")).unwrap_or_default();
            let _ = writeln!(text, "| {} | {p50:.2} | {times} | 1.3 | {reached} |", small.name);
        }
        text
    }
}
