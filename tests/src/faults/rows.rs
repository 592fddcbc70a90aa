//! Single faults, one after the other, each with what has to come of it: the rows of the table of faults that are no storm.

mod away;
mod damage;
mod disks;
mod races;
mod scarce;
mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Result;

use super::run::Tally;

/// What came of a row that did not fail.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It held; what was measured.
    Held(String),
    /// It cannot be made here.
    Skipped(String),
}

/// One fault.
struct Row {
    name: &'static str,
    case: fn(&str) -> Result<Verdict>,
}

/// All rows, in the order of the table.
const ROWS: &[Row] = &[
    Row { name: "SIGTERM while submissions are under way", case: away::sigterm },
    Row { name: "the registry is down", case: away::registry_down },
    Row { name: "the identity source is down", case: away::identity_down },
    Row { name: "the registry is paused past every deadline", case: away::registry_paused },
    Row { name: "the repository is paused in the middle", case: away::repository_paused },
    Row { name: "no room on the repository's disk", case: disks::repository_full },
    Row { name: "no room on the registry's disk", case: disks::registry_full },
    Row { name: "no inodes on the repository's disk", case: disks::repository_without_inodes },
    Row { name: "a start on a full disk", case: disks::start_on_full },
    Row { name: "a sync fails", case: disks::sync_fails },
    Row { name: "syncs take five seconds", case: disks::sync_slow },
    Row { name: "the file system turns read-only", case: disks::read_only },
    Row { name: "the data directory is gone or empty", case: disks::directory_gone },
    Row { name: "a second process on the data directory", case: disks::second_process },
    Row { name: "a flipped bit in a document's file", case: damage::flipped },
    Row { name: "a cut document's file", case: damage::truncated },
    Row { name: "a missing document's file", case: damage::missing },
    Row { name: "a swapped document's file", case: damage::swapped },
    Row { name: "a flipped bit in a document in the journal", case: damage::journal_document },
    Row { name: "a flipped bit in the journal at rest", case: damage::journal_flipped },
    Row { name: "a cut journal at rest", case: damage::journal_cut },
    Row { name: "an overwritten index", case: damage::index_flipped },
    Row { name: "few descriptors", case: scarce::descriptors },
    Row { name: "a flood of slow connections", case: scarce::flood },
    Row { name: "256 MiB of memory", case: scarce::memory },
    Row { name: "a fifth of a processor", case: scarce::processor },
    Row { name: "concurrent replaces", case: races::replaces },
    Row { name: "the same id at once", case: races::same_id },
];

/// Runs the rows whose names hold one of these words, or all, and prints a line for each.
pub fn run(words: &[String], index: &str, interrupted: &Arc<AtomicBool>) -> Result<Tally> {
    let mut tally = Tally::default();
    for row in ROWS {
        let chosen = words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
        if !chosen || interrupted.load(Ordering::SeqCst) {
            continue;
        }
        let begin = Instant::now();
        let verdict = (row.case)(index);
        let took = begin.elapsed();
        match verdict {
            Ok(Verdict::Held(words)) => {
                println!("passed   {} ({took:.1?}) {words}", row.name);
                tally.passed += 1;
            }
            Ok(Verdict::Skipped(words)) => {
                println!("SKIPPED  {}: {words}", row.name);
                tally.skipped += 1;
            }
            Err(error) => {
                println!("FAILED   {} ({took:.1?}): {error:#}", row.name);
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}
