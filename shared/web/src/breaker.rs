//! A breaker: after some failures in a row a peer is left alone for a moment, so that callers are told at once.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

const FAILURES: u32 = 5;
const OPEN: Duration = Duration::from_secs(5);

/// The state of one peer, shared by all who ask it.
#[derive(Debug)]
pub(crate) struct Breaker {
    started: Instant,
    failures: AtomicU32,
    /// Milliseconds after `started` until which the peer is left alone.
    open_until: AtomicU64,
}

impl Breaker {
    pub(crate) fn new(now: Instant) -> Breaker {
        Breaker { started: now, failures: AtomicU32::new(0), open_until: AtomicU64::new(0) }
    }

    /// Whether a request may go out. While the breaker was open and its time is over, one may, as a probe.
    pub(crate) fn lets_pass(&self, now: Instant) -> bool {
        if self.failures.load(Ordering::Relaxed) < FAILURES {
            return true;
        }
        let now = self.millis(now);
        let until = self.open_until.load(Ordering::Relaxed);
        // Only who moves the time on is the probe.
        now >= until
            && self
                .open_until
                .compare_exchange(until, now + millis(OPEN), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
    }

    /// The peer answered.
    pub(crate) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// The peer did not answer.
    pub(crate) fn failed(&self, now: Instant) {
        if self.failures.fetch_add(1, Ordering::Relaxed) + 1 >= FAILURES {
            self.open_until.store(self.millis(now) + millis(OPEN), Ordering::Relaxed);
        }
    }

    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.started))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_fails_five_times_is_left_alone_for_a_moment() {
        let start = Instant::now();
        let breaker = Breaker::new(start);
        for _ in 0..4 {
            breaker.failed(start);
        }
        assert!(breaker.lets_pass(start), "four failures do not open it");
        breaker.failed(start);
        assert!(!breaker.lets_pass(start), "five do");
        let later = start + OPEN;
        assert!(breaker.lets_pass(later), "then one may try");
        assert!(!breaker.lets_pass(later), "and only one");
        breaker.succeeded();
        assert!(breaker.lets_pass(later), "an answer closes it");
    }
}
