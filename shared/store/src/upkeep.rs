//! What is done beside all requests: room is kept back. One thread of low priority, looked after once a second.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::engine::embedded::Shared;

/// How often the thread looks round.
const INTERVAL: Duration = Duration::from_secs(1);

/// How the thread is told to end.
#[derive(Default)]
pub(crate) struct Upkeep {
    ended: Mutex<bool>,
    told: Condvar,
}

impl Upkeep {
    pub(crate) fn end(&self) {
        *self.ended.lock() = true;
        self.told.notify_all();
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
    loop {
        if shared.stopped().is_ok() {
            shared.space.keep_back();
        }
        if !shared.upkeep.next_round() {
            return;
        }
    }
}
