//! What the MHD guide and XDS.b demand, requirement by requirement, with the cases that show it; and the page made of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use super::{Case, Report, Verdict, make, own_cases};

/// Number, section of the guide, requirement in our words, cases (`a*`: all that begin so) or `elsewhere: tests`, or `not built: reason`.
const TABLES: [(&str, &str); 2] = [
    ("MHD", include_str!("../../requirements/mhd.tsv")),
    ("XDS.b", include_str!("../../requirements/xds.tsv")),
];

/// One requirement.
#[derive(Debug)]
struct Requirement {
    number: &'static str,
    section: &'static str,
    text: &'static str,
    shown: Shown,
}

#[derive(Debug)]
enum Shown {
    By(Vec<&'static str>),
    /// By tests that do not speak over the wire.
    Elsewhere(&'static str),
    NotBuilt(&'static str),
}

pub(super) fn cases() -> Vec<Case> {
    vec![make("requirements-have-cases", |_| Box::pin(async { complete() }))]
}

fn table(text: &'static str) -> Result<Vec<Requirement>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(row).collect()
}

fn row(line: &'static str) -> Result<Requirement> {
    let mut columns = line.split('\t');
    let mut next = || {
        columns.next().filter(|column| !column.is_empty()).with_context(|| format!("four columns: {line}"))
    };
    let (number, section, text, last) = (next()?, next()?, next()?, next()?);
    let shown = match (last.strip_prefix("not built: "), last.strip_prefix("elsewhere: ")) {
        (Some(why), _) => Shown::NotBuilt(why),
        (_, Some(tests)) => Shown::Elsewhere(tests),
        (None, None) => Shown::By(last.split(", ").collect()),
    };
    Ok(Requirement { number, section, text, shown })
}

fn is_named(id: &str, name: &str) -> bool {
    name.strip_suffix('*').map_or(id == name, |start| id.starts_with(start))
}

/// Groups of cases made of foreign messages, which are there only where these are.
const FOREIGN: &[&str] = &[
    "asbestos",
    "ihe/",
    "mhd/",
    "pixm/",
    "pdqm/",
    "searches/",
    "xml",
    "nist/",
    "sq/",
    "dcm4chee-xds",
    "ipf-xds",
    "openmrs",
    "toolkit2-wire",
];

/// Every number once, and every case that is named exists.
fn complete() -> Result<()> {
    let known: Vec<String> = own_cases().into_iter().map(|case| case.id).collect();
    for (name, text) in TABLES {
        let rows = table(text)?.len();
        ensure!(rows > 50, "the table of {name} has rows: {rows}");
        every_case_is_there(&table(text)?, &known)?;
    }
    Ok(())
}

fn every_case_is_there(table: &[Requirement], known: &[String]) -> Result<()> {
    let mut numbers = BTreeMap::new();
    for requirement in table {
        ensure!(numbers.insert(requirement.number, ()).is_none(), "{} stands twice", requirement.number);
        let Shown::By(names) = &requirement.shown else { continue };
        for name in names {
            let foreign = FOREIGN.iter().any(|start| name.starts_with(start));
            ensure!(
                foreign || known.iter().any(|id| is_named(id, name)),
                "{} names the case {name}, which is not there",
                requirement.number
            );
        }
    }
    Ok(())
}

/// The page: each requirement with its cases and what became of them in a run.
pub fn page(report: &Report) -> Result<String> {
    let mut page = String::from(
        "# Conformance\n\n\
         Written by `conformance --write docs/conformance.md`: the requirements of the MHD guide (4.2.x) and of XDS.b in our words, the\n\
         cases of the run that show each, and what became of them. `a*` stands for all cases whose names begin with `a`. The requirements\n\
         are kept in `tests/requirements`.\n",
    );
    for (name, text) in TABLES {
        section(&mut page, name, &table(text)?, report)?;
    }
    Ok(page)
}

fn section(page: &mut String, name: &str, table: &[Requirement], report: &Report) -> Result<()> {
    let mut counts = BTreeMap::new();
    let mut rows = String::new();
    for requirement in table {
        let (cases, result) = match &requirement.shown {
            Shown::NotBuilt(why) => ((*why).to_owned(), "not built"),
            Shown::Elsewhere(tests) => ((*tests).to_owned(), "not judged here"),
            Shown::By(names) => {
                let result = result(names, report);
                let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                (names.join(", "), result)
            }
        };
        *counts.entry(result).or_insert(0_usize) += 1;
        writeln!(
            rows,
            "| {} | {} | {} | {cases} | {result} |",
            requirement.number, requirement.section, requirement.text
        )?;
    }
    let told: Vec<String> = counts.iter().map(|(result, count)| format!("{count} {result}")).collect();
    writeln!(page, "\n## {name}\n\n{} requirements: {}.\n", table.len(), told.join(", "))?;
    page.push_str("| number | section | requirement | shown by | result |\n|---|---|---|---|---|\n");
    page.push_str(&rows);
    Ok(())
}

fn result(names: &[&str], report: &Report) -> &'static str {
    let lines = report.lines.iter().filter(|line| names.iter().any(|name| is_named(&line.id, name)));
    let (mut passed, mut failed) = (0, 0);
    for line in lines {
        match line.verdict {
            Verdict::Passed => passed += 1,
            Verdict::Failed(_) => failed += 1,
            Verdict::Skipped(_) => {}
        }
    }
    match (passed, failed) {
        (_, 1..) => "FAILED",
        (0, 0) => "not judged",
        _ => "passed",
    }
}
