//! Measures a region of release binaries and writes a table.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};
use tests::bench::{Plan, run, run_identity, serve_bare};

/// Loads a region and measures it, beside nginx, a bare handler and the journal's limit.
#[derive(Debug, Parser)]
struct Arguments {
    /// 1,000 patients and 10,000 documents, for development.
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// Up to 1,000,000 documents, with the table of growth.
    #[arg(long)]
    long: bool,
    /// So many patients instead.
    #[arg(long)]
    patients: Option<usize>,
    /// So many documents instead, all measured at once; at least 3,200.
    #[arg(long)]
    documents: Option<usize>,
    /// Only the identity source, with its patients.
    #[arg(long)]
    identity: bool,
    /// Patients of the identity source when it is measured by itself.
    #[arg(long, default_value_t = 100_000)]
    people: usize,
    /// Seconds each case is measured.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// `redb` or `sled`.
    #[arg(long, default_value = "redb")]
    index: String,
    /// Where the table is written, in Markdown.
    #[arg(long)]
    out: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts that run as processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Serves a file from memory by a bare actix-web handler.
    #[command(hide = true)]
    Bare {
        /// Port on the loopback.
        #[arg(long)]
        port: u16,
        /// The body.
        #[arg(long)]
        file: PathBuf,
    },
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(Part::Bare { port, file }) = &arguments.part {
        return serve_bare(*port, file);
    }
    let (patients, stages) = match (arguments.quick, arguments.long) {
        (true, _) => (1_000, vec![10_000]),
        (_, true) => (100_000, vec![10_000, 100_000, 1_000_000]),
        _ => (10_000, vec![10_000, 100_000]),
    };
    let patients = arguments.patients.unwrap_or(patients);
    let stages = arguments.documents.map_or(stages, |documents| vec![documents]);
    let plan = Plan {
        patients,
        stages,
        time: Duration::from_secs(arguments.seconds),
        index: arguments.index,
        people: if arguments.quick { arguments.people.min(10_000) } else { arguments.people },
    };
    let table = if arguments.identity { run_identity(&plan)? } else { run(&plan)? };
    println!("{table}");
    if let Some(out) = &arguments.out {
        std::fs::write(out, &table).with_context(|| format!("writing {}", out.display()))?;
    }
    Ok(())
}
