//! What the guides (MHD, PIXm, PDQm, PMIR), XDS.b and PIX/PDQ over HL7 demand, requirement by requirement, with the cases that show it; and the page made of a run.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};

use super::{Case, Report, Verdict, make, own_cases};

/// Name, least number of rows, and rows: number, section of the guide, requirement in our words, cases (`a*`: all that begin so),
/// to which `; elsewhere: tests` may be added, or `elsewhere: tests`, or `not built: reason`.
const TABLES: [(&str, usize, &str); 6] = [
    ("MHD", 50, include_str!("../../requirements/mhd.tsv")),
    ("XDS.b", 50, include_str!("../../requirements/xds.tsv")),
    ("PIXm", 35, include_str!("../../requirements/pixm.tsv")),
    ("PDQm", 30, include_str!("../../requirements/pdqm.tsv")),
    ("PMIR", 20, include_str!("../../requirements/pmir.tsv")),
    ("PIX and PDQ over HL7", 25, include_str!("../../requirements/pix.tsv")),
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
    /// By cases of the run, and by tests beside it.
    By(Vec<&'static str>, Option<&'static str>),
    /// By tests that do not speak over the wire.
    Elsewhere(&'static str),
    NotBuilt(&'static str),
}

/// `known` are the names of all cases of a run that has the messages of others; none: it has not.
pub(super) fn cases(known: Option<Vec<String>>) -> Vec<Case> {
    vec![make("requirements-have-cases", move |_| {
        let known = known.clone();
        Box::pin(async move { complete(known) })
    })]
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
        (None, None) => {
            let (cases, tests) = match last.split_once("; elsewhere: ") {
                Some((cases, tests)) => (cases, Some(tests)),
                None => (last, None),
            };
            Shown::By(cases.split(", ").collect(), tests)
        }
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
    "pmir/",
    "connectathon-artifacts",
    "mobile-access-gateway",
    "openhie-cr",
    "ch-epr-fhir",
    "iti44",
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
fn complete(known: Option<Vec<String>>) -> Result<()> {
    let own = || own_cases().into_iter().map(|case| case.id).collect();
    let (known, whole) = known.map_or_else(|| (own(), false), |known| (known, true));
    for (name, least, text) in TABLES {
        let rows = table(text)?.len();
        ensure!(rows >= least, "the table of {name} has rows: {rows}");
        every_case_is_there(&table(text)?, &known, whole).with_context(|| format!("the table of {name}"))?;
    }
    Ok(())
}

fn every_case_is_there(table: &[Requirement], known: &[String], whole: bool) -> Result<()> {
    let mut numbers = BTreeMap::new();
    for requirement in table {
        ensure!(numbers.insert(requirement.number, ()).is_none(), "{} stands twice", requirement.number);
        let Shown::By(names, _) = &requirement.shown else { continue };
        for name in names {
            let foreign = !whole && FOREIGN.iter().any(|start| name.starts_with(start));
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
         Written by `conformance --write docs/conformance.md`: the requirements of MHD (4.2.x), PIXm, PDQm, PMIR, XDS.b and of PIX and\n\
         PDQ over HL7 in our words, the cases of the run that show each, and what became of them. `a*` stands for all cases whose names\n\
         begin with `a`; names with `::` are tests of `cargo test`, which are not judged here. The requirements are kept in\n\
         `tests/requirements`.\n",
    );
    for (name, _, text) in TABLES {
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
            Shown::Elsewhere(tests) => (quoted(tests), "not judged here"),
            Shown::By(names, tests) => {
                let result = result(names, report);
                let mut all: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                all.extend(tests.map(quoted));
                (all.join(", "), result)
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

/// Names of tests, as code; other words as they are.
fn quoted(tests: &str) -> String {
    let one = |name: &str| {
        if name.contains("::") && !name.contains(' ') { format!("`{name}`") } else { name.to_owned() }
    };
    tests.split(", ").map(one).collect::<Vec<_>>().join(", ")
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
