//! The matrix of file calls: the n-th sync, write, change of a name or new file of an actor fails, for every n that the
//! submissions of one case come to. Needs no failpoints: a small library stands between the actor and the system.
//!
//! The journal is written by a system call of its own, which no library sees; its syncs are seen.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use super::stage::{Report, Stage};
use super::{Matrix, Tally};
use crate::faults::compile;
use crate::region::Actor;

/// Kinds of calls, and how each fails: a number of the system, or -1 for half of it done.
const KINDS: [(&str, &[(&str, i32)]); 4] = [
    ("sync", &[("EIO", 5)]),
    ("write", &[("ENOSPC", 28), ("EIO", 5), ("short", -1)]),
    ("name", &[("EIO", 5), ("ENOSPC", 28)]),
    ("make", &[("ENOSPC", 28)]),
];

/// What stands before an actor.
struct Shim {
    library: PathBuf,
    switch: PathBuf,
    log: PathBuf,
}

/// One row.
struct Row {
    actor: Actor,
    kind: &'static str,
    nth: usize,
    how: &'static str,
    error: i32,
}

/// Runs the matrix of file calls and prints a row for each.
pub fn run(matrix: &Matrix) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut stage = Stage::start(matrix)?;
    for actor in Actor::ALL {
        for (kind, ways) in KINDS {
            if !format!("{} {kind}", actor.name()).contains(&matrix.only) {
                continue;
            }
            let calls = Row { actor, kind, nth: 0, how: "", error: 0 };
            let calls = stage.strike(&calls).context("counting calls")?.1;
            println!("         {} makes {calls} calls of the kind {kind}", actor.name());
            for nth in 1..=calls {
                for (how, error) in ways {
                    let row = Row { actor, kind, nth, how, error: *error };
                    tally = tally.plus(print(&mut stage, matrix, &row)?);
                }
            }
        }
    }
    ensure!(tally != Tally::default(), "no kind of call is called like {:?}", matrix.only);
    Ok(tally)
}

fn print(stage: &mut Stage, matrix: &Matrix, row: &Row) -> Result<Tally> {
    let begin = Instant::now();
    let struck = stage.strike(row);
    let took = begin.elapsed().as_millis();
    let what = format!(
        "{:<6} {:<10} {:<5} {:>3} {:<6} {took:<6}",
        matrix.index,
        row.actor.name(),
        row.kind,
        row.nth,
        row.how
    );
    let mut tally = Tally::default();
    match struck {
        Ok((report, _)) if report.hits == 0 => {
            tally.skipped = 1;
            println!("SKIPPED  {what} there were not so many this time");
        }
        Ok((report, _)) => {
            tally.passed = 1;
            println!("ok       {what} {report}");
        }
        Err(error) => {
            tally.failed = 1;
            println!("FAILED   {what} {error:#}");
            *stage = Stage::start(matrix)?;
        }
    }
    Ok(tally)
}

impl Stage {
    /// Plays one row; also how many calls of its kind there were.
    fn strike(&mut self, row: &Row) -> Result<(Report, usize)> {
        self.ends.clear();
        let patient = self.feed()?;
        let folder = self.region.folder().to_path_buf();
        let shim = Shim {
            library: compile::shim(&folder)?,
            switch: folder.join("shim.on"),
            log: folder.join("shim.log"),
        };
        let _ = fs::remove_file(&shim.log);
        self.stand_before(row, &shim)?;
        let (promises, resent) = self.submit_all(&patient, None)?;
        if row.actor == Actor::Identity {
            self.feed()?;
        }
        self.inspect(&patient, &promises)?;
        fs::remove_file(&shim.switch).context("turning the shim off")?;
        let (calls, hits) = told(&shim.log);
        if row.kind == "sync" && hits > 0 {
            self.until_ended()?;
        }
        let report = Report { hits, ends: std::mem::take(&mut self.ends), resent };
        judge(row, &report)?;
        self.disarm()?;
        Ok((report, calls))
    }

    /// Starts the actor behind the shim; calls count from when it is ready.
    fn stand_before(&mut self, row: &Row, shim: &Shim) -> Result<()> {
        let data = self.region.data(row.actor);
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let variables = [
            ("LD_PRELOAD", text(&shim.library)),
            ("SHIM_PATH", text(&data)),
            ("SHIM_CALL", row.kind.to_owned()),
            ("SHIM_NTH", row.nth.to_string()),
            ("SHIM_ERROR", row.error.to_string()),
            ("SHIM_SWITCH", text(&shim.switch)),
            ("SHIM_LOG", text(&shim.log)),
        ];
        self.region.environment(row.actor, &variables);
        self.lives.insert(row.actor, 0);
        self.region.kill(row.actor)?;
        self.region.launch(row.actor)?;
        self.region.wait_ready(row.actor)?;
        fs::write(&shim.switch, "").context("turning the shim on")
    }
}

/// How many calls there were, and how many of them were struck.
fn told(log: &Path) -> (usize, usize) {
    let text = fs::read_to_string(log).unwrap_or_default();
    (text.lines().count(), text.lines().filter(|line| line.ends_with("struck")).count())
}

/// A process ends by itself only with 74, and after a failed sync it must.
fn judge(row: &Row, report: &Report) -> Result<()> {
    for (actor, status) in &report.ends {
        ensure!(*actor == row.actor && status.code() == Some(74), "{} ended with {status}", actor.name());
    }
    let must = row.kind == "sync" && report.hits > 0;
    ensure!(!must || !report.ends.is_empty(), "{} goes on after a failed sync", row.actor.name());
    Ok(())
}
