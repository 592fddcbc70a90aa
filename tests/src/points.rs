//! The matrix of failpoints: each of them with each thing that can happen there, one after the other, while a source
//! submits by the rule for sources. Whatever happens, every submission succeeds in the end, is there once and whole, and
//! nothing is left over.

mod case;
mod files;
mod inspect;
mod stage;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use testkit::Dice;

use case::Case;
use stage::Stage;

/// What of the matrix is run.
#[derive(Debug, Clone)]
pub struct Matrix {
    /// `storage.index`.
    pub index: String,
    /// Only points whose names hold this.
    pub only: String,
    /// Folder of actors built with the feature `failpoints`.
    pub binaries: PathBuf,
    /// Tries of the repository to register: with one every failure puts a submission in doubt, with more it tries again.
    pub tries: u32,
    /// Of all rows each is run with a chance of one in so many.
    pub one_in: u64,
    /// What decides which rows.
    pub seed: u64,
}

pub use crate::faults::run::Tally;
pub use files::run as run_files;

/// Where actors with failpoints are, built first if cargo runs us.
pub fn binaries() -> Result<PathBuf> {
    crate::faults::binaries::with_failpoints()?.context(
        "there are no actors with failpoints: run this by cargo, or name their folder in DOCSHARE_FAULT_BIN_DIR",
    )
}

/// Runs the matrix and prints a row for each case.
pub fn run(matrix: &Matrix) -> Result<Tally> {
    let points = case::points(&matrix.binaries)?;
    let mut cases: Vec<Case> =
        points.iter().filter(|point| point.name.contains(&matrix.only)).flat_map(case::cases).collect();
    let mut dice = Dice::new(matrix.seed);
    cases.retain(|_| dice.below(matrix.one_in) == 0);
    ensure!(!cases.is_empty(), "no point of these actors is called like {:?}", matrix.only);
    let mut tally = Tally::default();
    let mut stage = Stage::start(matrix)?;
    for case in &cases {
        let begin = Instant::now();
        let played = stage.play(case);
        let took = begin.elapsed().as_millis();
        let what = format!("{:<6} {:<24} {:<12} {:<6}", matrix.index, case.point.name, case.rule(), took);
        match played {
            Ok(report) if report.hits == 0 => {
                tally.skipped += 1;
                println!("SKIPPED  {what} not reached by what was submitted");
            }
            Ok(report) => {
                tally.passed += 1;
                println!("ok       {what} {report}");
            }
            Err(error) => {
                tally.failed += 1;
                println!("FAILED   {what} {error:#}");
                // What is left of it must not count against the next one.
                stage = Stage::start(matrix)?;
            }
        }
    }
    Ok(tally)
}
