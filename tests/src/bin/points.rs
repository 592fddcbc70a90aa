//! Interrupts actors at each failpoint, one after the other, and looks whether anything was lost.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tests::points::{Matrix, Tally, run};

/// Runs the matrix of failpoints; the last line counts what held.
#[derive(Debug, Parser)]
struct Arguments {
    /// Folder of actors built with the feature `failpoints`.
    #[arg(long, env = "DOCSHARE_FAULT_BIN_DIR")]
    binaries: PathBuf,
    /// Only points whose names hold this.
    #[arg(long, default_value = "")]
    only: String,
    /// Index libraries, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "redb,sled")]
    index: Vec<String>,
    /// Tries of the repository to register.
    #[arg(long, default_value_t = 1)]
    tries: u32,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let mut tally = Tally::default();
    for index in arguments.index {
        let (only, binaries) = (arguments.only.clone(), arguments.binaries.clone());
        match run(&Matrix { index, only, binaries, tries: arguments.tries }) {
            Ok(one) => tally.add(one),
            Err(error) => {
                println!("FAILED   {error:#}");
                tally.failed += 1;
            }
        }
    }
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
