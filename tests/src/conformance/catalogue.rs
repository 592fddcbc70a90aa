//! The catalogue of bad input: each of its rows is a case here, or waits with a reason.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{Case, make, own_cases, waiting};

pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    let path = data.join("bad-input").join("catalogue.tsv");
    let table = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let rows: Vec<String> =
        table.lines().skip(1).filter_map(|line| line.split('\t').next()).map(str::to_owned).collect();
    Ok(vec![make("catalogue-complete", move |_| {
        let outcome = complete(&rows);
        Box::pin(async move { outcome })
    })])
}

fn complete(rows: &[String]) -> Result<()> {
    let mut known: BTreeSet<String> = own_cases().into_iter().map(|case| case.id).collect();
    known.extend(waiting::rows().into_iter().map(|(id, _)| id));
    let unknown: Vec<&String> = rows.iter().filter(|row| !known.contains(*row)).collect();
    ensure!(rows.len() > 100, "the catalogue has rows");
    ensure!(unknown.is_empty(), "rows without a case: {unknown:?}");
    Ok(())
}
