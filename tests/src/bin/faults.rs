//! The fault run: a storm of faults over a region under load, single faults one by one, or the judgement of a history.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use tests::faults::load::Clients;
use tests::faults::run::{Storm, Tally, run};
use tests::faults::{Strike, checker, rows, with_failpoints};
use tests::points::{Matrix, run as matrix_of_points};

/// Loads a region, strikes it with faults, and judges what clients were told; the last line counts what held.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where everything random comes from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long the storm lasts at most.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// `redb` or `sled`.
    #[arg(long, default_value = "redb")]
    index: String,
    /// End after so many kills (at random times, while starting, or at failpoints).
    #[arg(long)]
    kills: Option<u64>,
    /// End after so many power cuts.
    #[arg(long)]
    power_cuts: Option<u64>,
    /// Only faults of these kinds.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Strike>,
    /// Run with the plain actors, which have no failpoints.
    #[arg(long)]
    plain: bool,
    /// Sources at once.
    #[arg(long, default_value_t = Clients::default().sources)]
    sources: u32,
    /// Readers at once.
    #[arg(long, default_value_t = Clients::default().readers)]
    readers: u32,
    /// Patients at the beginning.
    #[arg(long, default_value_t = Clients::default().patients)]
    patients: u32,
    /// Where the history is written.
    #[arg(long)]
    history: Option<PathBuf>,
    /// Judge this history again, and do nothing else.
    #[arg(long)]
    judge: Option<PathBuf>,
    /// No storm: the single faults one by one, each with what has to come of it.
    #[arg(long)]
    rows: bool,
    /// No storm: every failpoint with everything that can happen there, on both indexes.
    #[arg(long)]
    points: bool,
    /// Of the failpoints only some of the rows, drawn by the seed: one in so many.
    #[arg(long, default_value_t = 1)]
    one_in: u64,
    /// Of the single faults only those with these words in their names.
    #[arg(long, value_delimiter = ',')]
    row: Vec<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    watch(interrupted.clone());
    let tally = match go(arguments, &interrupted) {
        Ok(tally) => tally,
        Err(error) => {
            println!("FAILED   {error:#}");
            Tally { failed: 1, ..Tally::default() }
        }
    };
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn go(arguments: Arguments, interrupted: &Arc<AtomicBool>) -> Result<Tally> {
    if let Some(path) = &arguments.judge {
        let report = checker::judge(path)?;
        println!("{report}");
        let (passed, failed, skipped) = report.counts();
        return Ok(Tally { passed, failed, skipped });
    }
    if arguments.rows || !arguments.row.is_empty() {
        return rows::run(&arguments.row, &arguments.index, interrupted);
    }
    if arguments.points {
        return points(arguments.one_in, arguments.seed);
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let storm = Storm {
        seed: arguments.seed,
        within: Duration::from_secs_f64(arguments.minutes * 60.0),
        index: arguments.index,
        kills: arguments.kills,
        power_cuts: arguments.power_cuts,
        only: arguments.only,
        history: arguments.history,
        failpoints: !arguments.plain,
        disks: true,
        clients: Clients {
            sources: arguments.sources,
            readers: arguments.readers,
            patients: arguments.patients,
        },
        again: format!("cargo run --release -p tests --bin faults -- {}", words.join(" ")),
    };
    run(&storm, interrupted)
}

/// The matrix of failpoints.
fn points(one_in: u64, seed: u64) -> Result<Tally> {
    let Some(binaries) = with_failpoints()? else {
        println!("SKIPPED  failpoints: no actors with them, and no cargo to build them");
        return Ok(Tally { skipped: 1, ..Tally::default() });
    };
    let mut tally = Tally::default();
    for index in ["redb", "sled"] {
        let (index, only, binaries) = (index.into(), String::new(), binaries.clone());
        let matrix = Matrix { index, only, binaries, tries: 1, one_in, seed };
        tally = tally.plus(matrix_of_points(&matrix)?);
    }
    Ok(tally)
}

/// Ctrl-C ends the storm, not the process: its actors and mounts have to go first. A second one ends everything.
fn watch(interrupted: Arc<AtomicBool>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if interrupted.swap(true, Ordering::SeqCst) {
                    std::process::exit(130);
                }
                eprintln!("ending; once more: at once, and mounts stay");
            }
        });
    });
}
