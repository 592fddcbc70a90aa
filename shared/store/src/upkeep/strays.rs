//! Files of large documents that lie where they should not: what a crash left between a commit and the move of its files.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::engine::embedded::Shared;
use crate::error::Error;

/// What is being received is neither older than this nor forgotten by this process; anything else under `staging/` goes.
const STAGED: Duration = Duration::from_hours(1);

/// Moves files that no commit cites, and those of documents that were removed, into the trash. Answers how many no commit
/// cites. `going` is asked now and then whether to go on.
pub(crate) fn collect(shared: &Shared, going: &dyn Fn() -> bool) -> Result<u64, Error> {
    let mut uncited = 0;
    for leaf in shared.files.leaves()? {
        if !going() {
            break;
        }
        for id in shared.files.documents_in(&leaf)? {
            // A document that is being received has a name under `staging/` until its commit is visible.
            if shared.files.is_staged(&id) || shared.keeps(&id)? {
                continue;
            }
            // One that was given up meanwhile is gone already.
            if !shared.files.blob_path(&id).exists() {
                continue;
            }
            if shared.knows(&id)? {
                tracing::info!(
                    document = id,
                    "a removed document is moved to the trash, as it should have been"
                );
            } else {
                uncited += 1;
                tracing::warn!(document = id, "a file that no commit cites is moved to the trash");
            }
            shared.files.trash(&id)?;
        }
    }
    Ok(uncited)
}

/// Since when this process has seen what lies under `staging/` and is not being received.
#[derive(Debug, Default)]
pub(crate) struct Forgotten(HashMap<String, Instant>);

impl Forgotten {
    /// Removes what has been lying there for an hour.
    pub(crate) fn sweep(&mut self, shared: &Shared, now: Instant) -> Result<(), Error> {
        let lying = shared.files.forgotten()?;
        self.0.retain(|id, _| lying.contains(id));
        for id in lying {
            let since = *self.0.entry(id.clone()).or_insert(now);
            if now.saturating_duration_since(since) >= STAGED {
                if !shared.knows(&id)? {
                    shared.files.discard(&id);
                }
                shared.files.unstage(&id);
                tracing::warn!(document = id, "a file that was being received and forgotten is removed");
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine as _;
    use crate::open::Options;

    #[tokio::test]
    async fn what_was_forgotten_under_staging_goes_after_an_hour_and_what_is_received_stays() {
        let directory = tempfile::tempdir().unwrap();
        let engine = crate::engine::embedded::open(&Options::new(directory.path())).unwrap();
        let shared = engine.shared();
        let mut sink = engine.stage(u64::MAX);
        sink.write(&vec![7; 1_500_000]).await.unwrap();
        let staging = directory.path().join("staging");
        let left = staging.join("0123456789abcdef0123456789abcdef");
        std::fs::write(&left, "half").unwrap();
        let mut forgotten = Forgotten::default();
        let now = Instant::now();
        forgotten.sweep(&shared, now).unwrap();
        forgotten.sweep(&shared, now + STAGED - Duration::from_secs(1)).unwrap();
        assert!(left.exists());
        forgotten.sweep(&shared, now + STAGED).unwrap();
        assert!(!left.exists());
        assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 1);
        sink.finish().await.unwrap();
    }
}
