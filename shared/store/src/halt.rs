//! Whether the store still works. After a failed sync it does not: what is on the disk is then known only to a fresh start.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::error::Error;

/// Set once, for good; shared by everything that writes.
#[derive(Debug, Default)]
pub(crate) struct Halt {
    stopped: AtomicBool,
    reason: Mutex<String>,
}

impl Halt {
    /// Stops for good: what storage did not take must not be followed by anything.
    pub(crate) fn stop(&self, error: &Error) {
        if self.set(error.to_string()) {
            tracing::error!(error = %error, cause = ?std::error::Error::source(error), "the store stops");
        }
    }

    /// Stops in good order.
    pub(crate) fn close(&self) {
        if self.set(Error::Stopped("it was closed".into()).to_string()) {
            tracing::info!("the store is closed");
        }
    }

    /// Whether this call is the one that stopped it.
    fn set(&self, why: String) -> bool {
        let mut reason = self.reason.lock();
        if self.stopped.load(Ordering::Acquire) {
            return false;
        }
        *reason = why;
        self.stopped.store(true, Ordering::Release);
        true
    }

    /// Refuses once the store has stopped or was closed.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.stopped.load(Ordering::Acquire) {
            return Err(Error::Stopped(self.reason.lock().clone()));
        }
        Ok(())
    }

    /// The outcome of a sync. One that failed is never tried again, because a second one can succeed without the data;
    /// only a full disk, which says so, is no reason to stop: nothing was promised yet of what was to be synced.
    pub(crate) fn synced(
        &self,
        outcome: std::io::Result<()>,
        attempt: impl Into<String>,
    ) -> Result<(), Error> {
        outcome.map_err(Error::io(attempt)).inspect_err(|error| {
            if !matches!(error, Error::NoRoom(_)) {
                self.stop(error);
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata};

    use super::*;

    /// Remembers how serious what was logged is.
    #[derive(Clone, Default)]
    struct Levels(Arc<Mutex<Vec<Level>>>);

    impl tracing::Subscriber for Levels {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            self.0.lock().push(*event.metadata().level());
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_orderly_end_is_no_error_and_hides_none() {
        let levels = Levels::default();
        tracing::subscriber::with_default(levels.clone(), || {
            let halt = Halt::default();
            halt.close();
            assert!(matches!(halt.check(), Err(Error::Stopped(why)) if why.contains("closed")));
            let halt = Halt::default();
            halt.stop(&Error::Damaged("x".into()));
            halt.close();
            assert!(matches!(halt.check(), Err(Error::Stopped(why)) if why.contains("damaged")));
        });
        assert_eq!(*levels.0.lock(), [Level::INFO, Level::ERROR]);
    }
}
