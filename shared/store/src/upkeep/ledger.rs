//! What the upkeep remembers from one process to the next: how much time it has seen pass, since when each document lies in
//! the trash, and how far the scrub is. In the file `upkeep` of the data directory; without it everything begins anew,
//! which deletes nothing too early.
//!
//! No clock is asked what time it is: time is what processes have seen go by while they had this directory open. A clock
//! that jumps, or a machine that was off for a month, lets nothing in the trash grow old.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use crate::aside;
use crate::error::Error;
use crate::scrub::Cursor;

const FIRST_LINE: &str = "docshare upkeep 1";

/// More than this is never seen to pass between two looks, whatever the clock says.
const STRIDE: Duration = Duration::from_secs(10);

/// What is remembered.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    path: PathBuf,
    /// Time seen to pass, in milliseconds.
    observed: u64,
    looked: Option<Instant>,
    /// Documents in the trash, and the time observed (seconds) when they were first seen there.
    pub(crate) trash: BTreeMap<String, u64>,
    pub(crate) scrub: Cursor,
}

impl Ledger {
    /// What was written last; nothing if that cannot be read.
    pub(crate) fn open(root: &Path) -> Ledger {
        let path = root.join("upkeep");
        let written = std::fs::read_to_string(&path).ok();
        let ledger = written.as_deref().and_then(read).unwrap_or_default();
        if written.is_some_and(|written| read(&written).is_none()) {
            tracing::warn!("what the upkeep remembered cannot be read; the trash and the scrub begin anew");
        }
        Ledger { path, ..ledger }
    }

    /// Time seen to pass, in seconds.
    pub(crate) fn observed(&self) -> u64 {
        self.observed / 1000
    }

    /// Looks at the monotonic clock.
    pub(crate) fn look(&mut self, now: Instant) {
        if let Some(before) = self.looked.replace(now) {
            let passed = now.saturating_duration_since(before).min(STRIDE);
            self.observed += u64::try_from(passed.as_millis()).unwrap_or_default();
        }
    }

    /// Writes it down: a crash leaves the old or the new.
    pub(crate) fn write(&self) -> Result<(), Error> {
        aside::replace(&self.path, self.text().as_bytes())
            .map_err(Error::io("writing what the upkeep remembers"))
    }

    fn text(&self) -> String {
        let mut text = format!("{FIRST_LINE}\nobserved {}\nscrub {}\n", self.observed, self.scrub);
        for (id, since) in &self.trash {
            text.push_str(&format!("trash {id} {since}\n"));
        }
        let check = xxh3_64(text.as_bytes());
        format!("{text}check {check:016x}\n")
    }

    #[cfg(test)]
    pub(crate) fn pretend_observed(&mut self, seconds: u64) {
        self.observed = seconds * 1000;
    }
}

fn read(written: &str) -> Option<Ledger> {
    let (text, check) = written.trim_end().rsplit_once('\n')?;
    let check = u64::from_str_radix(check.strip_prefix("check ")?, 16).ok()?;
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE || xxh3_64(format!("{text}\n").as_bytes()) != check {
        return None;
    }
    let mut ledger = Ledger::default();
    for line in lines {
        match line.split_once(' ')? {
            ("observed", number) => ledger.observed = number.parse().ok()?,
            ("scrub", cursor) => ledger.scrub = cursor.parse().ok()?,
            ("trash", entry) => {
                let (id, since) = entry.split_once(' ')?;
                ledger.trash.insert(id.to_owned(), since.parse().ok()?);
            }
            _ => return None,
        }
    }
    Some(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scrub::Place;

    #[test]
    fn what_was_written_is_read_again_and_half_of_it_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(root.path());
        ledger.pretend_observed(7);
        ledger.trash.insert("0123".into(), 5);
        let place = Place::Journal { segment: 3, offset: 64, entry: 9, hash: [7; 32] };
        ledger.scrub = Cursor { began: Some(3), place };
        ledger.write().unwrap();
        let again = Ledger::open(root.path());
        assert_eq!((again.observed(), &again.trash, &again.scrub), (7, &ledger.trash, &ledger.scrub));
        let text = std::fs::read_to_string(root.path().join("upkeep")).unwrap();
        for length in 0..text.len() - 1 {
            std::fs::write(root.path().join("upkeep"), &text[..length]).unwrap();
            assert_eq!(Ledger::open(root.path()).trash.len(), 0, "cut at {length}");
        }
    }

    #[test]
    fn a_clock_that_jumps_ages_nothing() {
        let mut ledger = Ledger::default();
        let now = Instant::now();
        ledger.look(now);
        ledger.look(now + Duration::from_secs(3));
        assert_eq!(ledger.observed(), 3);
        ledger.look(now + Duration::from_hours(24 * 365));
        assert_eq!(ledger.observed(), 13, "a year in one look is ten seconds");
        ledger.look(now);
        assert_eq!(ledger.observed(), 13);
    }
}
