//! Interrupts actors at each failpoint, one after the other, and looks whether anything was lost.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tests::points::{Matrix, Tally, binaries, run, run_files};

/// Runs the matrix of failpoints; the last line counts what held.
#[derive(Debug, Parser)]
struct Arguments {
    /// Let calls for files fail instead, one after the other.
    #[arg(long)]
    files: bool,
    /// Only points whose names hold this; of calls for files only those of this actor and kind, e.g. `registry sync`.
    #[arg(long, default_value = "")]
    only: String,
    /// Index libraries, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "redb,sled")]
    index: Vec<String>,
    /// Tries of the repository to register.
    #[arg(long, default_value_t = 1)]
    tries: u32,
    /// Only some of the rows: one in so many.
    #[arg(long, default_value_t = 1)]
    one_in: u64,
    /// What decides which rows.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> ExitCode {
    let mut tally = Tally::default();
    if let Err(error) = go(&Arguments::parse(), &mut tally) {
        println!("FAILED   {error:#}");
        tally.failed += 1;
    }
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn go(arguments: &Arguments, tally: &mut Tally) -> Result<()> {
    let binaries = binaries()?;
    for index in &arguments.index {
        let (index, only) = (index.clone(), arguments.only.clone());
        let (binaries, tries) = (binaries.clone(), arguments.tries);
        let Arguments { one_in, seed, .. } = *arguments;
        let matrix = Matrix { index, only, binaries, tries, one_in, seed };
        *tally = tally.plus(if arguments.files { run_files(&matrix) } else { run(&matrix) }?);
    }
    Ok(())
}
