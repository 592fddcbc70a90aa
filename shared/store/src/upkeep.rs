//! What is done beside all requests: room is kept back, the trash is emptied, what was left lying is cleared away, and
//! everything stored is read again before somebody needs it. One thread of low priority, looked after once a second.

mod ledger;
pub(crate) mod strays;
mod trash;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::failpoint;
use crate::scrub::{Cursor, Pass, Place, Step, look_again};

use ledger::Ledger;
use strays::Forgotten;

/// How often the thread looks round.
const INTERVAL: Duration = Duration::from_secs(1);

/// How often it looks through directories, and writes down how far it is.
const SELDOM: u64 = 60;

/// The scrub reads at least so many bytes a second.
const SLOWEST: u64 = 256 << 10;

/// A step of the scrub counts as at least so many bytes read.
const LEAST_STEP: u64 = 1 << 10;

/// How the work is set, and how the thread is told to end.
pub(crate) struct Upkeep {
    trash_period: Duration,
    scrub_period: Duration,
    ended: Mutex<bool>,
    told: Condvar,
}

impl Upkeep {
    pub(crate) fn new(trash_period: Duration, scrub_period: Duration) -> Upkeep {
        Upkeep { trash_period, scrub_period, ended: Mutex::default(), told: Condvar::new() }
    }

    pub(crate) fn end(&self) {
        *self.ended.lock() = true;
        self.told.notify_all();
    }

    pub(crate) fn goes_on(&self) -> bool {
        !*self.ended.lock()
    }

    /// Waits for the next round; false when there is none.
    fn next_round(&self) -> bool {
        let mut ended = self.ended.lock();
        if !*ended {
            self.told.wait_for(&mut ended, INTERVAL);
        }
        !*ended
    }
}

/// Looks round until told to end.
pub(crate) fn run(shared: &Arc<Shared>) {
    // A thread that stays at its usual priority does its work as well.
    let _ = rustix::process::setpriority_process(None, 19);
    let mut rounds = Rounds {
        shared,
        ledger: Ledger::open(shared.files.root()),
        forgotten: Forgotten::default(),
        pass: None,
        allowance: 0,
        seldom: None,
        collected: false,
        looked_again: String::new(),
    };
    loop {
        if shared.stopped().is_ok() && shared.space.ground().is_ok() {
            shared.space.keep_back();
            rounds.round();
        }
        if !shared.upkeep.next_round() {
            return;
        }
    }
}

struct Rounds<'a> {
    shared: &'a Shared,
    ledger: Ledger,
    forgotten: Forgotten,
    pass: Option<Pass>,
    /// Bytes the scrub may read now; below zero after a large step.
    allowance: i64,
    /// When directories were looked through last.
    seldom: Option<u64>,
    /// Whether files that lie where they should not were collected since the start.
    collected: bool,
    /// The document in quarantine that was looked at again last.
    looked_again: String,
}

impl Rounds<'_> {
    fn round(&mut self) {
        self.ledger.look(Instant::now());
        let now = self.ledger.observed();
        let due = self.seldom.is_none_or(|before| now >= before + SELDOM);
        let first = self.seldom.is_none();
        if due {
            self.seldom = Some(now);
            told("clearing away", self.clear_away());
        }
        told("the scrub", self.scrub());
        if due && !first {
            let going = || self.shared.upkeep.goes_on();
            let again = look_again(self.shared, &mut self.looked_again, &going);
            told("looking again at what is in quarantine", again);
            told("the upkeep", self.ledger.write());
        }
    }

    fn clear_away(&mut self) -> Result<(), Error> {
        let going = || self.shared.upkeep.goes_on();
        let first = !self.collected;
        if first {
            strays::collect(self.shared, &going)?;
            self.collected = true;
        }
        self.forgotten.sweep(self.shared, Instant::now())?;
        let before = self.ledger.trash.len();
        trash::empty(self.shared, &mut self.ledger, self.shared.upkeep.trash_period, first)?;
        if self.ledger.trash.len() == before { Ok(()) } else { self.ledger.write() }
    }

    /// Goes on with the scrub as far as its rate allows.
    fn scrub(&mut self) -> Result<(), Error> {
        let (shared, now) = (self.shared, self.ledger.observed());
        let period = shared.upkeep.scrub_period.as_secs().max(1);
        if self.pass.is_none() {
            match (&self.ledger.scrub.place, self.ledger.scrub.began) {
                (Place::Done, Some(began)) if now < began + period => return Ok(()),
                (Place::Done, _) => {
                    self.pass = Some(Pass::new(shared));
                    self.ledger.scrub.began = Some(now);
                }
                (place, _) => self.pass = Some(Pass::at(place.clone())),
            }
        }
        // Twice as fast as it must be, so that it is done in time even if the process does not always run.
        let rate = (2 * shared.stored_bytes() / period).max(SLOWEST);
        let rate = i64::try_from(rate).unwrap_or(i64::MAX);
        self.allowance = self.allowance.saturating_add(rate).min(rate);
        while self.allowance > 0 && shared.upkeep.goes_on() {
            failpoint!("scrub.mid");
            if self.step()? {
                break;
            }
        }
        Ok(())
    }

    /// One step; answers whether the pass is over.
    fn step(&mut self) -> Result<bool, Error> {
        let shared = self.shared;
        let Some(pass) = &mut self.pass else { return Ok(true) };
        match pass.step(shared, &|| shared.upkeep.goes_on()) {
            Ok(Step::Read(read)) => {
                self.allowance -= i64::try_from(read.max(LEAST_STEP)).unwrap_or(i64::MAX);
                if let Some(place) = pass.place() {
                    self.ledger.scrub.place = place;
                }
                Ok(false)
            }
            Ok(Step::Over) => {
                if let Some(pass) = self.pass.take() {
                    shared.scrubbed(pass.into_found());
                }
                self.ledger.scrub.place = Place::Done;
                self.ledger.write()?;
                Ok(true)
            }
            Err(error) => {
                // The next one begins anew, once its time has come.
                self.pass = None;
                self.ledger.scrub = Cursor { place: Place::Done, ..self.ledger.scrub.clone() };
                Err(error)
            }
        }
    }
}

/// What went wrong is told, unless it is only that the store ends.
fn told(what: &str, outcome: Result<(), Error>) {
    match outcome {
        Ok(()) | Err(Error::Stopped(_)) => {}
        Err(error) => tracing::warn!(%error, "{what} did not succeed and is tried again"),
    }
}
