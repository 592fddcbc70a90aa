//! Time, as a parameter.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use store::Instant;

/// A clock that never goes back: the wall clock, a floor it has already passed, or a fake one.
#[derive(Debug, Clone)]
pub struct Clock {
    last: Arc<AtomicI64>,
    fake: bool,
}

impl Clock {
    /// The wall clock, starting no earlier than `floor` (the last instant of the store).
    pub fn wall(floor: Instant) -> Clock {
        Clock { last: Arc::new(AtomicI64::new(floor)), fake: false }
    }

    /// A clock that stands still until it is set.
    pub fn fake(now: Instant) -> Clock {
        Clock { last: Arc::new(AtomicI64::new(now)), fake: true }
    }

    /// Sets a fake clock.
    pub fn set(&self, now: Instant) {
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Microseconds since 1970, never less than the time before.
    pub fn now(&self) -> Instant {
        if self.fake {
            return self.last.load(Ordering::Relaxed);
        }
        #[expect(clippy::disallowed_methods, reason = "this is the one place where time comes from")]
        let now = jiff::Timestamp::now().as_microsecond();
        self.last.fetch_max(now, Ordering::Relaxed).max(now)
    }
}
