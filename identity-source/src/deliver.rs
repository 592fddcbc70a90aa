//! Telling the registry of every patient: from the durable outbox, in order per patient, until it says it knows. A registry
//! that was restored from a backup is told of all of them first (`again.rs`).

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use actor::{Check, Clock};
use bytes::Bytes;
use futures_util::StreamExt;
use store::{Batch, Pending, Sequence, Store};
use tokio::sync::{Notify, oneshot, watch};
use web::{Peer, PeerAnswer};

use crate::again::{Acquaintance, INCARNATION, life_of};
use crate::events::Receivers;
use crate::records::{PATIENT, REGISTRY};

/// Messages taken from the outbox at a time.
const ROUND: usize = 256;
/// The same, at most: where the registry refuses messages, the round reaches further, so that they do not hold up the others.
const LONGEST_ROUND: usize = 8_192;
/// Patients told of at the same time.
pub(crate) const AT_ONCE: usize = 16;
/// How long a feed waits for its own delivery before it is answered; the outbox goes on after that.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause after a first try that came to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause between tries while the registry is away.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Deliveries remembered for feeds that come to wait after the fact.
const REMEMBERED: usize = 4_096;

/// The messenger to the registry.
pub(crate) struct Delivery {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    peer: Option<Peer>,
    wake: Notify,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    /// Who waits for which commit.
    callers: HashMap<Sequence, Vec<oneshot::Sender<()>>>,
    /// Commits that were tried lately, whatever came of it.
    tried: BTreeSet<Sequence>,
}

/// What became of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The registry has it.
    Taken,
    /// The registry does not take it, with this status.
    Refused(u16),
    /// The registry is away, or another life of it answers than the one that was meant.
    Away,
}

/// How a round went.
enum Round {
    /// Nothing was there to be told.
    Empty,
    /// Something was told.
    Told,
    /// The registry refused something, which must be tried again.
    Refused,
    /// The registry is away.
    Away,
}

impl Delivery {
    /// A messenger; without a peer nobody is told.
    pub(crate) fn new(store: Store, clock: Clock, peer: Option<Peer>) -> Delivery {
        Delivery { store, clock, peer, wake: Notify::new(), waiting: Mutex::default() }
    }

    /// Whether there is a registry to be told.
    pub(crate) fn is_on(&self) -> bool {
        self.peer.is_some()
    }

    /// Who is told of a change.
    pub(crate) fn receivers(&self) -> Receivers {
        Receivers { registry: self.is_on() }
    }

    /// Wakes the messenger and waits until it has tried to deliver this commit, at most a second.
    pub(crate) async fn attempt(&self, sequence: Sequence) {
        if !self.is_on() {
            return;
        }
        let (sender, receiver) = oneshot::channel();
        {
            let mut waiting = self.waiting();
            if waiting.tried.contains(&sequence) {
                return;
            }
            waiting.callers.entry(sequence).or_default().push(sender);
        }
        self.wake.notify_one();
        if tokio::time::timeout(PATIENCE, receiver).await.is_err() {
            self.waiting().callers.remove(&sequence);
        }
    }

    /// Delivers until the actor stops.
    pub(crate) async fn run(&self, mut stopping: watch::Receiver<bool>) {
        let Some(peer) = &self.peer else { return };
        let mut pause = FIRST_PAUSE;
        let mut reach = ROUND;
        let mut registry = Acquaintance::default();
        while !*stopping.borrow() {
            let nap = match self.round(peer, &mut registry, reach, &stopping).await {
                Ok(Round::Told) => {
                    (pause, reach) = (FIRST_PAUSE, ROUND);
                    continue;
                }
                Ok(Round::Empty) => {
                    self.measure(0, 0);
                    LONGEST_PAUSE
                }
                Ok(round @ (Round::Refused | Round::Away)) => {
                    let (count, age) = self.backlog();
                    self.measure(count, age);
                    if matches!(round, Round::Refused) {
                        reach = (reach * 2).min(LONGEST_ROUND);
                    }
                    pause
                }
                Err(error) => {
                    tracing::error!(%error, "the outbox could not be read or marked");
                    pause
                }
            };
            pause = (pause * 2).min(LONGEST_PAUSE);
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(nap) => {}
                changed = stopping.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Tells of what is waiting, once. Messages of one patient go one behind the other, patients side by side.
    async fn round(
        &self,
        peer: &Peer,
        registry: &mut Acquaintance,
        reach: usize,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Round, store::Error> {
        if !self.meet(peer, registry, stopping).await? {
            for message in self.store.pending(REGISTRY, reach)? {
                self.tried(message.sequence);
            }
            return Ok(Round::Away);
        }
        let meant = registry.meant.as_deref();
        let pending = self.store.pending(REGISTRY, reach)?;
        if pending.is_empty() {
            return Ok(Round::Empty);
        }
        let count = pending.len();
        let is_away = Cell::new(false);
        let outcomes: Vec<Vec<Mark>> = futures_util::stream::iter(by_stream(pending))
            .map(|messages| self.tell(peer, meant, messages, &is_away))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let delivered: Vec<Mark> = outcomes.into_iter().flatten().collect();
        let all = delivered.len() == count;
        if !delivered.is_empty() {
            let batch = Batch { instant: self.clock.now(), delivered, ..Batch::default() };
            self.store.apply(batch).await?;
        }
        if is_away.get() {
            registry.doubt();
        }
        Ok(match (all, is_away.get()) {
            (true, _) => Round::Told,
            (false, true) => Round::Away,
            (false, false) => Round::Refused,
        })
    }

    /// Tells of one patient's messages in order; answers those that arrived, and stops at the first that did not, or once the
    /// registry is known to be away.
    async fn tell(
        &self,
        peer: &Peer,
        meant: Option<&str>,
        messages: Vec<Pending>,
        is_away: &Cell<bool>,
    ) -> Vec<Mark> {
        let mut delivered = Vec::with_capacity(messages.len());
        let mut is_taken = true;
        for message in messages {
            if is_taken && !is_away.get() {
                let sent = self.put(peer, meant, &message.stream, message.payload.clone()).await;
                is_taken = sent == Sent::Taken;
                match sent {
                    Sent::Taken => delivered.push((message.peer.clone(), message.sequence, message.position)),
                    Sent::Refused(status) => {
                        tracing::warn!(status, sequence = message.sequence, "the registry refused a patient");
                    }
                    Sent::Away => is_away.set(true),
                }
            }
            self.tried(message.sequence);
        }
        delivered
    }

    /// Sends one version of a patient to the registry, to no other life of it than the one that is meant.
    pub(crate) async fn put(&self, peer: &Peer, meant: Option<&str>, id: &str, patient: Bytes) -> Sent {
        let path = format!("/Patient/{id}");
        let mut headers = vec![("content-type", "application/fhir+json".to_owned())];
        headers.extend(meant.map(|life| (INCARNATION, life.to_owned())));
        let answer = match peer.send(http::Method::PUT, &path, &headers, patient).await {
            Ok(answer) => answer,
            Err(error) => {
                tracing::debug!(%error, "the registry was not told");
                return Sent::Away;
            }
        };
        let told = life_of(&answer);
        // Taken or not: what else that life has forgotten must go there first.
        if let (Some(meant), Some(told)) = (meant, &told)
            && meant != told
        {
            tracing::warn!(life = told, "another life of the registry answered");
            return Sent::Away;
        }
        if !matches!(answer.status, 200 | 201 | 204) {
            return Sent::Refused(answer.status);
        }
        // A registry that tells no life may be a foreign one, and counts versions of its own.
        if told.is_some() {
            self.compare(id, &answer);
        }
        Sent::Taken
    }

    /// A registry ignores what is older than what it knows. If it knows more than we do, our own data went back, and what
    /// is fed from now on is ignored until it has caught up: an operator has to hear of that.
    fn compare(&self, id: &str, answer: &PeerAnswer) {
        let Some(known) = known_version(answer) else { return };
        let Ok(Some(ours)) = self.store.get(PATIENT, id) else { return };
        if known > ours.version {
            actor::meter::count("docshare_patients_behind_registry_total", &[], 1);
            tracing::error!(
                patient = id,
                known,
                ours = ours.version,
                "the registry knows a newer version of a patient than this identity source, and ignores ours; was this \
                 data directory restored from an older backup?"
            );
        }
    }

    /// Lets those go who wait for this commit.
    fn tried(&self, sequence: Sequence) {
        let mut waiting = self.waiting();
        waiting.tried.insert(sequence);
        if waiting.tried.len() > REMEMBERED {
            waiting.tried.pop_first();
        }
        for caller in waiting.callers.remove(&sequence).into_iter().flatten() {
            // A caller that has lost patience is no longer there, which is fine.
            let _ = caller.send(());
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What waits in the outbox: messages (at most a thousand are counted) and the age of the oldest in seconds.
    pub(crate) fn backlog(&self) -> (usize, i64) {
        let pending = self.store.pending(REGISTRY, 1_000).unwrap_or_default();
        let age = pending.first().map_or(0, |oldest| (self.clock.now() - oldest.instant) / 1_000_000);
        (pending.len(), age.max(0))
    }

    fn measure(&self, count: usize, age: i64) {
        let peer = [("peer", REGISTRY)];
        actor::meter::set("docshare_outbox_pending", &peer, count as u64);
        actor::meter::set("docshare_outbox_oldest_seconds", &peer, age.unsigned_abs());
    }

    /// What the health page says. A registry that is away does not make this actor unready: the outbox keeps.
    pub(crate) fn check(&self) -> Check {
        let text = match self.backlog() {
            _ if !self.is_on() => "no registry is configured; nobody is told of patients".to_owned(),
            (0, _) => "the registry knows every patient".to_owned(),
            (count, age) => format!("messages waiting for the registry: {count}, the oldest for {age} s"),
        };
        Check { name: "registry-feed", ok: true, text }
    }
}

/// Peer, sequence and position of a delivered message.
type Mark = (String, Sequence, u32);

/// The messages of each stream, streams in the order of their first message.
fn by_stream(pending: Vec<Pending>) -> Vec<Vec<Pending>> {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut streams: Vec<Vec<Pending>> = Vec::new();
    for message in pending {
        let place = *places.entry(message.stream.clone()).or_insert_with(|| {
            streams.push(Vec::new());
            streams.len() - 1
        });
        streams[place].push(message);
    }
    streams
}

/// The version of its entity tag.
fn known_version(answer: &PeerAnswer) -> Option<u64> {
    let tag = answer.headers.get(http::header::ETAG)?.to_str().ok()?;
    tag.trim_start_matches("W/").trim_matches('"').parse().ok()
}
