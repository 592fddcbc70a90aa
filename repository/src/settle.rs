//! Attempts in doubt are settled: at start, again and again while the actor runs, and when somebody asks for the bytes.
//!
//! The registry either has committed an attempt, and then its documents are bound; or it promises never to, and only
//! then they go.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actor::{Check, House};
use tokio::sync::watch;

use crate::config::Settings;
use crate::keys::Keys;
use crate::records::{Records, Won};
use crate::registrar::{Registrar, Settled};

/// Keys looked at in one round.
const ROUND: usize = 500;

/// Settles attempts in doubt.
#[derive(Clone)]
pub(crate) struct Settler {
    pub(crate) records: Records,
    pub(crate) registrar: Registrar,
    pub(crate) keys: Keys,
    doubtful: Arc<AtomicU64>,
}

/// Why an attempt is still in doubt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecided {
    /// Our own storage.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The registry does not tell.
    #[error(transparent)]
    Registry(#[from] web::Error),
}

impl Settler {
    pub(crate) fn new(house: &House<Settings>) -> Settler {
        let registry = &house.settings.registry;
        Settler {
            records: Records::new(house.corridor.store.clone(), house.clock.clone(), registry.public()),
            registrar: Registrar::new(house.peer("registry", registry.peer())),
            keys: Keys::default(),
            doubtful: Arc::new(AtomicU64::new(0)),
        }
    }

    /// Settles everything in doubt, at once and then after every pause, until the actor stops.
    pub(crate) async fn watch(&self, pause: Duration, mut stopping: watch::Receiver<bool>) {
        loop {
            if let Err(error) = self.round().await {
                tracing::warn!(%error, "attempts stay in doubt until the next round");
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Settles everything in doubt once. A key the registry does not tell about waits for the next round, and no other
    /// waits with it; the first such failure is told in the end. A registry that is away is not asked about every key.
    pub(crate) async fn round(&self) -> Result<(), Undecided> {
        let (keys, total) = self.records.in_doubt(ROUND)?;
        self.doubtful.store(total, Ordering::Relaxed);
        let mut first = None;
        for key in keys {
            // A key that is being submitted right now is not in doubt yet.
            let Some(_held) = self.keys.hold_now(&key) else { continue };
            match self.settle(&key).await {
                Ok(()) => {}
                Err(error @ (Undecided::Store(_) | Undecided::Registry(web::Error::NotReached { .. }))) => {
                    return Err(error);
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        first.map_or(Ok(()), Err)
    }

    /// Settles every attempt of one key.
    pub(crate) async fn settle(&self, key: &str) -> Result<(), Undecided> {
        let Some((_, intent)) = self.records.intent(key)? else { return Ok(()) };
        let Some(newest) = intent.open.iter().map(|open| open.attempt).max() else { return Ok(()) };
        match self.registrar.settle(key, newest).await? {
            Settled::Absent => self.records.reject(key, |open| open <= newest).await?,
            Settled::Committed { attempt, digest, receipts } => {
                let won = Won { attempt, digest: digest.as_deref(), receipts: &receipts };
                if self.records.close(key, won, None).await?.is_none() {
                    // Somebody else's, or from before a restored backup. Ours can never be committed any more.
                    tracing::error!(attempt, "the registry committed an attempt that is not in our records");
                    self.records.reject(key, |open| open <= newest).await?;
                }
            }
        }
        Ok(())
    }

    /// What `/readyz` tells.
    pub(crate) fn check(&self) -> Check {
        let doubtful = self.doubtful.load(Ordering::Relaxed);
        Check { name: "settle", ok: true, text: format!("{doubtful} submissions in doubt") }
    }
}
