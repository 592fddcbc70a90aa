//! Attempts in doubt are settled: at start, again and again while the actor runs, and when somebody asks for the bytes.
//!
//! The registry either has committed an attempt, and then its documents are bound; or it promises never to, and only
//! then they go. A registry that was restored from a backup is reconciled with first (`redrive.rs`), and so is this
//! repository itself, if it was (`recover.rs`).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use actor::{Check, House, meter};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::config::{RegistryProtocol, Settings};
use crate::follow::Follow;
use crate::keys::Keys;
use crate::records::{Records, Whose};
use crate::recover::Recover;
use crate::redrive::Redrive;
use crate::registrar::{Foreign, Registrar, Settled};

/// Keys looked at in one round.
const ROUND: usize = 500;
/// The pause between two times that what a restored registry did not take back is offered to it: the usual reason is a
/// patient it has forgotten too, and is fed a moment later.
const RETAKE_PAUSE: Duration = Duration::from_mins(1);

/// Settles attempts in doubt.
#[derive(Clone)]
pub(crate) struct Settler {
    pub(crate) records: Records,
    pub(crate) registrar: Registrar,
    pub(crate) keys: Keys,
    pub(crate) recover: Recover,
    doubt: Arc<Doubtful>,
    follow: Arc<Follow>,
}

/// What was in doubt in the last round.
#[derive(Default)]
struct Doubtful {
    total: AtomicU64,
    /// When the oldest attempt was written down; 0 if there is none.
    since: AtomicI64,
    /// Submissions a restored registry has lost and does not take back.
    refused: AtomicU64,
    /// When those were offered last; none: not since the start.
    offered: Mutex<Option<Instant>>,
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
    /// Something an operator has to set right.
    #[error("{0}")]
    Operator(String),
}

impl Settler {
    pub(crate) fn new(house: &House<Settings>) -> Result<Settler, String> {
        let registry = &house.settings.registry;
        let records = Records::new(house.corridor.store.clone(), house.clock.clone(), registry.public());
        let foreign = match registry.protocol {
            RegistryProtocol::Fhir => None,
            RegistryProtocol::XdsB => Some(Foreign::new(registry, house.clock.clone())?),
        };
        let registrar = Registrar::new(house.peer("registry", registry.peer()), foreign);
        let in_words =
            |error: store::Error| format!("what is kept about the registry cannot be read: {error}");
        if let Some(life) = records.life(Whose::Registry).map_err(in_words)? {
            registrar.life.trust(&life);
        }
        let follow = Follow::new(house.settings.submission.settle_interval());
        let recover = Recover::new(records.clone(), house.public_url.clone()).map_err(in_words)?;
        Ok(Settler {
            records,
            registrar,
            keys: Keys::default(),
            recover,
            doubt: Arc::default(),
            follow: Arc::new(follow),
        })
    }

    /// Settles everything in doubt, at once and then after every pause, until the actor stops.
    pub(crate) async fn watch(&self, pause: Duration, mut stopping: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                beaten = self.beat() => if let Err(error) = beaten {
                    tracing::warn!(%error, "attempts stay in doubt until the next round");
                },
                _ = stopping.wait_for(|stop| *stop) => return,
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.registrar.life.another() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Reconciles with whoever was restored from a backup, then settles everything in doubt once.
    pub(crate) async fn beat(&self) -> Result<(), Undecided> {
        self.reconcile().await?;
        // What is in doubt does not wait for an operator to say where to look.
        let recovered = self.recover.run(&self.registrar).await;
        let retaken = self.retake().await;
        self.round().await?;
        self.sweep().await?;
        self.records.forget_names().await?;
        let followed = self.follow.run(&self.records, &self.registrar, &self.recover).await;
        recovered.and(retaken).and(followed)
    }

    /// Offers what a restored registry did not take back to it again, now and then: nobody has to ask for that.
    async fn retake(&self) -> Result<(), Undecided> {
        let is_due = self.doubt.offered.lock().is_none_or(|offered| offered.elapsed() >= RETAKE_PAUSE);
        if !is_due || self.records.not_taken(None, 1)?.0.is_empty() {
            return Ok(());
        }
        *self.doubt.offered.lock() = Some(Instant::now());
        Redrive::new(self.records.clone(), self.registrar.clone(), self.keys.clone()).retake().await
    }

    /// Reconciles with the registry, if another life of it answers than the one that is trusted.
    async fn reconcile(&self) -> Result<(), Undecided> {
        // Who does not answer cannot be reconciled with; what is in doubt says so in its own words.
        let Ok(Some(life)) = self.registrar.lives().await else { return Ok(()) };
        let trusted = self.registrar.life.trusted();
        if trusted.as_ref() == Some(&life) {
            return Ok(());
        }
        if trusted.is_some() || self.records.has_settled()? {
            tracing::warn!(
                life,
                "the registry was restored from a backup; what it has lost is registered again"
            );
            let redrive =
                Redrive::new(self.records.clone(), self.registrar.in_life(&life), self.keys.clone());
            redrive.run().await?;
            *self.doubt.offered.lock() = Some(Instant::now());
        }
        self.records.reconciled(Whose::Registry, &life).await?;
        self.registrar.life.trust(&life);
        Ok(())
    }

    /// Settles everything in doubt once. A key the registry does not tell about waits for the next round, and no other
    /// waits with it; the first such failure is told in the end. A registry that is away is not asked about every key.
    async fn round(&self) -> Result<(), Undecided> {
        let doubt = self.records.in_doubt(ROUND)?;
        let mut first = None;
        for key in &doubt.keys {
            // A key that is being submitted right now is not in doubt yet.
            let Some(_held) = self.keys.hold_now(key) else { continue };
            match self.settle(key).await {
                Ok(()) => {}
                Err(error @ (Undecided::Store(_) | Undecided::Registry(web::Error::NotReached { .. }))) => {
                    first = Some(error);
                    break;
                }
                Err(error) => first = first.or(Some(error)),
            }
        }
        self.measure()?;
        first.map_or(Ok(()), Err)
    }

    /// Settles every attempt of one key.
    pub(crate) async fn settle(&self, key: &str) -> Result<(), Undecided> {
        let Some((_, intent)) = self.records.intent(key)? else { return Ok(()) };
        let Some(newest) = intent.open.iter().map(|open| open.attempt).max() else { return Ok(()) };
        match self.registrar.settle(key, newest, &intent.tried()).await? {
            Settled::Absent { .. } if self.registrar.foreign.is_some() => {
                self.records.withhold(key, |open| open <= newest).await?;
            }
            Settled::Absent { .. } => self.records.reject(key, |open| open <= newest).await?,
            Settled::Committed(commit) => {
                if self.records.close(key, &commit, None).await?.is_none() {
                    // Other content, from somebody else. Ours can never be committed any more.
                    self.records.reject(key, |open| open <= newest).await?;
                }
            }
        }
        Ok(())
    }

    /// Asks once more about attempts of a key that a registry of another make did not know: it may know them by now.
    pub(crate) async fn ask_again(&self, key: &str) -> Result<(), Undecided> {
        let Some((_, intent)) = self.records.intent(key)? else { return Ok(()) };
        let Some(newest) = intent.withheld.iter().map(|open| open.attempt).max() else { return Ok(()) };
        if let Settled::Committed(commit) = self.registrar.settle(key, newest, &intent.tried()).await? {
            tracing::warn!("the registry has come to know a submission it had not known for long");
            if self.records.close(key, &commit, None).await?.is_none() {
                self.records.drop_withheld(key).await?;
            }
        }
        Ok(())
    }

    /// Lets the bytes go of what a registry of another make has not known for long enough; asked about once more before.
    async fn sweep(&self) -> Result<(), Undecided> {
        let Some(foreign) = &self.registrar.foreign else { return Ok(()) };
        let keep = i64::try_from(foreign.keep_absent.as_micros()).unwrap_or(i64::MAX);
        for (key, since) in self.records.withheld(ROUND)? {
            if self.records.now().saturating_sub(since) < keep {
                return Ok(());
            }
            let Some(_held) = self.keys.hold_now(&key) else { continue };
            self.ask_again(&key).await?;
            self.records.drop_withheld(&key).await?;
        }
        Ok(())
    }

    /// Notes what is in doubt, for `/readyz` and the metrics.
    fn measure(&self) -> Result<(), store::Error> {
        let doubt = self.records.in_doubt(1)?;
        let (_, refused) = self.records.refused(1)?;
        self.doubt.total.store(doubt.total, Ordering::Relaxed);
        self.doubt.since.store(doubt.since.unwrap_or(0), Ordering::Relaxed);
        self.doubt.refused.store(refused, Ordering::Relaxed);
        meter::set("docshare_submissions_in_doubt", &[], doubt.total);
        meter::set("docshare_submissions_in_doubt_oldest_seconds", &[], self.age());
        meter::set("docshare_submissions_not_taken_back", &[], refused);
        Ok(())
    }

    /// Seconds since the oldest attempt in doubt was written down.
    fn age(&self) -> u64 {
        match self.doubt.since.load(Ordering::Relaxed) {
            0 => 0,
            since => u64::try_from((self.records.now() - since) / 1_000_000).unwrap_or(0),
        }
    }

    /// What `/readyz` tells.
    pub(crate) fn checks(&self) -> Vec<Check> {
        let doubtful = self.doubt.total.load(Ordering::Relaxed);
        let text = match doubtful {
            0 => "0 submissions in doubt".to_owned(),
            _ => format!("{doubtful} submissions in doubt, the oldest for {} s", self.age()),
        };
        let mut checks = vec![Check { name: "settle", ok: true, text }];
        let refused = self.doubt.refused.load(Ordering::Relaxed);
        if refused > 0 {
            let text = format!(
                "{refused} submissions are lost to the registry, which was restored from a backup and does not take them \
                 back; reconcile --plan lists them"
            );
            checks.push(Check { name: "registry", ok: true, text });
        }
        checks.extend(self.recover.check());
        checks
    }
}
