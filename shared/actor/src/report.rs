//! What a look through an actor's storage, or over to its peers, found: for operators and their scripts.

use std::fmt::Write;

use serde_json::{Map, Value, json};

/// At most so many findings are told one by one; those beyond are counted.
const TOLD: usize = 10_000;

/// What was looked at, and what is not as it should be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    counts: Vec<(String, u64)>,
    findings: Vec<Finding>,
    untold: u64,
    unmended: u64,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Its sort, a name that scripts may rely on: `missing-bytes`.
    pub kind: String,
    /// What it is about: the id of a document or a submission, the place of a file.
    pub subject: String,
    /// In words: what is wrong, and what to do.
    pub words: String,
    /// Whether it was put right on the way.
    pub mended: bool,
}

impl Report {
    /// Says how many of something were looked at, or adds to it.
    pub fn count(&mut self, name: &str, value: u64) {
        match self.counts.iter_mut().find(|(known, _)| known == name) {
            Some((_, before)) => *before += value,
            None => self.counts.push((name.to_owned(), value)),
        }
    }

    /// Adds what is not as it should be.
    pub fn find(&mut self, finding: Finding) {
        self.unmended += u64::from(!finding.mended);
        if self.findings.len() < TOLD {
            self.findings.push(finding);
        } else {
            self.untold += 1;
        }
    }

    /// What was counted, in the order it was first counted.
    pub fn counts(&self) -> &[(String, u64)] {
        &self.counts
    }

    /// The findings that are told one by one.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing is left to be put right.
    pub fn is_clean(&self) -> bool {
        self.unmended == 0
    }

    /// The exit code of a verb with this report: 0 if nothing is left to be put right, else 1.
    pub fn code(&self) -> u8 {
        u8::from(!self.is_clean())
    }

    /// As JSON; the names are stable.
    pub fn json(&self) -> Value {
        let counts: Map<String, Value> =
            self.counts.iter().map(|(name, value)| (name.clone(), Value::from(*value))).collect();
        let finding = |finding: &Finding| {
            json!({
                "kind": finding.kind, "subject": finding.subject, "text": finding.words, "mended": finding.mended,
            })
        };
        json!({
            "clean": self.is_clean(),
            "unmended": self.unmended,
            "counts": counts,
            "findings": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "untold": self.untold,
        })
    }

    /// A report as [`Report::json`] wrote it.
    pub(crate) fn read(json: &Value) -> Option<Report> {
        let counts = json.get("counts")?.as_object()?;
        let finding = |finding: &Value| {
            let text = |name: &str| Some(finding.get(name)?.as_str()?.to_owned());
            let mended = finding.get("mended")?.as_bool()?;
            Some(Finding { kind: text("kind")?, subject: text("subject")?, words: text("text")?, mended })
        };
        Some(Report {
            counts: counts
                .iter()
                .map(|(name, value)| Some((name.clone(), value.as_u64()?)))
                .collect::<Option<_>>()?,
            findings: json.get("findings")?.as_array()?.iter().map(finding).collect::<Option<_>>()?,
            untold: json.get("untold")?.as_u64()?,
            unmended: json.get("unmended")?.as_u64()?,
        })
    }

    /// For reading.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let width = self.counts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.counts {
            let _ = writeln!(out, "{:width$}  {value}", name.replace('_', " "));
        }
        for finding in &self.findings {
            let mended = if finding.mended { " (put right)" } else { "" };
            let _ = writeln!(out, "{}: {}: {}{mended}", finding.kind, finding.subject, finding.words);
        }
        if self.untold > 0 {
            let _ = writeln!(out, "and {} more", self.untold);
        }
        out.push_str(&match self.unmended {
            0 => "clean\n".to_owned(),
            1 => "1 finding\n".to_owned(),
            more => format!("{more} findings\n"),
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(subject: &str, mended: bool) -> Finding {
        Finding { kind: "missing-bytes".into(), subject: subject.into(), words: "gone".into(), mended }
    }

    #[test]
    fn a_report_is_clean_when_all_it_found_was_put_right() {
        let mut report = Report::default();
        report.count("documents", 2);
        report.count("documents", 3);
        report.find(finding("a", true));
        assert_eq!((report.code(), report.counts()), (0, &[("documents".to_owned(), 5)][..]));
        report.find(finding("b", false));
        assert_eq!(report.code(), 1);
        assert!(report.text().ends_with("1 finding\n"), "{}", report.text());
    }

    #[test]
    fn a_report_survives_the_way_over_the_wire() {
        let mut report = Report::default();
        report.count("in_doubt", 1);
        (0..TOLD + 2).for_each(|number| report.find(finding(&number.to_string(), false)));
        assert_eq!(Report::read(&report.json()), Some(report.clone()));
        assert_eq!(report.json()["untold"], 2);
        assert!(report.text().ends_with(&format!("and 2 more\n{} findings\n", TOLD + 2)));
    }
}
