//! `verify`: looks through the data directory, or a backup.

use std::path::PathBuf;

use clap::Args;
use store::verify::{self, Inspection};

use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::{STORAGE, Stop, causes, data_directory, step_back};
use crate::report::{Finding, Report};
use crate::settings::Settings;

/// What to look through.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// Compute the SHA-256 of every document too; its check sums are always compared.
    #[arg(long)]
    deep: bool,
    /// A backup, instead of the data directory.
    #[arg(long, value_name = "DIR")]
    from: Option<PathBuf>,
}

/// Runs the verb; 1 if there are findings.
pub(crate) fn run(house: &Settings, ask: &Ask, output: Output) -> Result<u8, Stop> {
    step_back();
    let found = match &ask.from {
        Some(from) => verify::backup(from, ask.deep),
        None => verify::directory(data_directory(house)?, ask.deep, Clock::wall(0).now()),
    };
    let unable = |error: store::Error| Stop {
        code: STORAGE,
        words: format!("cannot be looked through: {}", causes(&error)),
    };
    Ok(output.report(&report(found.map_err(unable)?)))
}

fn report(found: Inspection) -> Report {
    let mut report = Report::default();
    for (name, count) in found.counts {
        report.count(name, count);
    }
    for flaw in found.flaws {
        report.find(Finding { kind: flaw.kind, subject: flaw.subject, words: flaw.words, mended: false });
    }
    report
}
