//! Checkpoints: what is new in the index goes to its library in one durable write that names the journal entry it holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::index::layers::wait_for_readers;
use crate::journal::index::Library;

/// What is new waits at most so long.
const INTERVAL: Duration = Duration::from_secs(5);

/// What may be taken although the library cannot keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Headroom {
    /// Nothing.
    None,
    /// What concludes something.
    Concluding,
    /// Everything.
    All,
}

/// With so many times the news that begin a checkpoint behind one that is not done yet, commits wait for it. This bounds
/// the memory of the index beside the cache of its library: what is on its way, and as much again that waits.
const BEHIND: usize = 2;

/// A library writes whole pages and keeps the old ones until the new ones are durable: so many times the bytes of the news,
/// and some more, must be free before they are given to it. One whose write failed for want of room would not even be
/// readable any more.
const SPREAD: u64 = 8;
const ROOM: u64 = 32 << 20;

/// However soon checkpoints begin, commits do not wait below so many bytes of news.
const LEAST_NEWS: usize = 4 << 20;

/// So many bytes of journal begin a checkpoint at once.
const JOURNAL: u64 = 64 << 20;

/// How the thread is told what to do.
pub(crate) struct Checkpoint {
    /// So many bytes of news begin a checkpoint at once.
    news: usize,
    state: Mutex<Control>,
    told: Condvar,
    done: Condvar,
    /// Whether the last checkpoint was put off because the volume is full.
    put_off: AtomicBool,
}

#[derive(Default)]
struct Control {
    wanted: bool,
    end: Option<Ending>,
    /// Bytes of journal since the last checkpoint, and where the journal was.
    journal: u64,
    journal_at: u64,
}

/// How the thread ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With everything in the library.
    Complete,
    /// As it stands; the next start replays the rest.
    AtOnce,
}

impl Checkpoint {
    pub(crate) fn new(news: usize) -> Checkpoint {
        Checkpoint {
            news,
            state: Mutex::default(),
            told: Condvar::new(),
            done: Condvar::new(),
            put_off: AtomicBool::new(false),
        }
    }

    /// A group became visible; the journal is now at this offset of its segment.
    pub(crate) fn published(&self, shared: &Shared, offset: u64) {
        let (news, _) = shared.layers.backlog();
        let mut state = self.state.lock();
        state.journal += offset.checked_sub(state.journal_at).unwrap_or(offset);
        state.journal_at = offset;
        if (news > self.news || state.journal > JOURNAL) && !state.wanted {
            state.wanted = true;
            self.told.notify_one();
        }
    }

    /// Holds the committer back while the library cannot keep up; answers what it can take at all.
    pub(crate) fn wait_for_room(&self, shared: &Shared) -> Headroom {
        let most = self.news.max(LEAST_NEWS) * BEHIND;
        let mut state = self.state.lock();
        while shared.stopped().is_ok() && state.end.is_none() && shared.layers.backlog().0 > most {
            if self.put_off.load(Ordering::Acquire) && !state.wanted {
                // Concluding brings little; as much again as all the rest bounds the memory all the same.
                let little = shared.layers.backlog().0 <= 2 * most;
                return if little { Headroom::Concluding } else { Headroom::None };
            }
            state.wanted = true;
            self.told.notify_one();
            self.done.wait_for(&mut state, Duration::from_millis(50));
        }
        Headroom::All
    }

    pub(crate) fn end(&self, ending: Ending) {
        self.state.lock().end = Some(ending);
        self.told.notify_one();
    }

    fn wait(&self) -> Option<Ending> {
        let mut state = self.state.lock();
        if state.end.is_none() && !state.wanted {
            self.told.wait_for(&mut state, INTERVAL);
        }
        state.wanted = false;
        state.journal = 0;
        state.end
    }
}

/// Makes checkpoints until told to end; gives the library back.
pub(crate) fn run(shared: &Arc<Shared>, mut library: Box<dyn Library>) -> Box<dyn Library> {
    loop {
        let ending = shared.checkpoint.wait();
        if ending == Some(Ending::AtOnce) || shared.stopped().is_err() && ending.is_some() {
            return library;
        }
        if shared.stopped().is_ok()
            && let Err(error) = checkpoint(shared, &mut library)
        {
            shared.stop(&error);
        }
        shared.checkpoint.done.notify_all();
        if ending.is_some() {
            return library;
        }
    }
}

fn checkpoint(shared: &Shared, library: &mut Box<dyn Library>) -> Result<(), Error> {
    let (news, _) = shared.layers.backlog();
    if news == 0 {
        return Ok(());
    }
    let needed = news as u64 * SPREAD + ROOM;
    let mut full = !shared.space.has(needed);
    if full && news > shared.checkpoint.news.max(LEAST_NEWS) && shared.space.give_way() {
        full = !shared.space.has(needed);
    }
    if full != shared.checkpoint.put_off.swap(full, Ordering::AcqRel) {
        tracing::warn!(full, "the volume has no room for the index, or has room again");
    }
    if full {
        return Ok(());
    }
    let (news, older) = shared.layers.freeze();
    if library.shows_writes_at_once() {
        wait_for_readers(&older);
    }
    library.write(&news)?;
    shared.layers.arrived(library.base()?);
    Ok(())
}
