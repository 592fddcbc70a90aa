//! One submission of a key at a time: the others wait, and are then answered as the first.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// The keys that are being submitted in this process.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    turns: Arc<Mutex<HashMap<String, Weak<Turn<()>>>>>,
}

/// The turn of a key; it passes on when this is dropped.
pub(crate) struct Held {
    guard: Option<OwnedMutexGuard<()>>,
    key: String,
    keys: Keys,
}

impl Keys {
    /// Waits for the turn of a key, at most so long.
    pub(crate) async fn hold(&self, key: &str, wait: Duration) -> Option<Held> {
        let turn = self.turn(key);
        let guard = tokio::time::timeout(wait, turn.lock_owned()).await.ok();
        if guard.is_none() {
            self.forget(key);
        }
        Some(Held { guard: Some(guard?), key: key.to_owned(), keys: self.clone() })
    }

    /// The turn of a key, if nobody has it.
    pub(crate) fn hold_now(&self, key: &str) -> Option<Held> {
        let guard = self.turn(key).try_lock_owned().ok()?;
        Some(Held { guard: Some(guard), key: key.to_owned(), keys: self.clone() })
    }

    fn turn(&self, key: &str) -> Arc<Turn<()>> {
        let mut turns = self.turns.lock();
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

impl Keys {
    /// Forgets a key nobody holds or waits for.
    fn forget(&self, key: &str) {
        let mut turns = self.turns.lock();
        if turns.get(key).is_some_and(|turn| turn.strong_count() == 0) {
            turns.remove(key);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop(self.guard.take());
        self.keys.forget(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_has_one_holder_and_is_forgotten_when_nobody_wants_it() {
        let keys = Keys::default();
        let held = keys.hold("k", Duration::from_secs(1)).await.expect("nobody has it");
        assert!(keys.hold_now("k").is_none());
        assert!(keys.hold("k", Duration::from_millis(1)).await.is_none());
        assert!(keys.hold_now("other").is_some());
        drop(held);
        assert!(keys.hold_now("k").is_some());
        assert!(keys.turns.lock().is_empty());
    }
}
