//! Feeding the registry again: one that was restored from an older backup has forgotten patients it had taken, and the
//! outbox has long marked them as delivered. Which life of the registry has been fed is kept durably; when another one
//! answers, every patient's current version goes there again before the outbox goes on.

use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use store::{Batch, Kind, Outgoing, Put, Row, Store};
use tokio::sync::watch;
use tokio::time::Instant;
use web::{Peer, PeerAnswer};

use super::courier::{Courier, LONGEST_PAUSE, MOST_REFUSED, Step};
use super::send::Sent;
use crate::records::{Kept, PATIENT, for_registry};

/// The header by which a registry tells which life answers, and is told which one is meant.
pub(super) const INCARNATION: &str = "docshare-incarnation";

/// Which lives the last whole feed was between.
const LIFE: Kind = Kind("fed-life");
/// Patients read at a time.
const PAGE: usize = 256;

/// Who fed whom the last time every patient was fed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lives {
    /// The registry's.
    registry: String,
    /// Our own: after a restore of this data directory the registry may know newer versions, which only a feed brings out.
    own: String,
}

/// What the messenger knows of the registry.
#[derive(Debug, Default)]
pub(super) struct Acquaintance {
    /// The life that messages are meant for; none as long as the registry tells of none.
    pub(super) meant: Option<String>,
    /// When it was last asked; none: it is asked before anything else is sent.
    asked: Option<Instant>,
}

impl Acquaintance {
    /// Something was amiss: it may be another one when it is met again.
    pub(super) fn doubt(&mut self) {
        self.asked = None;
    }
}

impl Courier {
    /// Asks now and then which life of the registry answers, and feeds another one than the last from the beginning.
    /// `Away` if the registry is, or went away meanwhile: then nothing is remembered, and the next time begins again.
    pub(super) async fn meet(
        &self,
        peer: &Peer,
        registry: &mut Acquaintance,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Step, store::Error> {
        if registry.asked.is_some_and(|asked| asked.elapsed() < LONGEST_PAUSE) {
            return Ok(Step::Done);
        }
        let known = lives(&self.store, &self.receiver.peer)?;
        let answer = peer.send_beside(http::Method::GET, "/incarnation", &[], Bytes::new()).await;
        let told = match answer {
            Ok(answer) => life_of(&answer),
            Err(error) => {
                tracing::debug!(receiver = self.name(), %error, "the registry was not asked which life it is in");
                self.shown().away = Some("it does not say which life it is in".to_owned());
                return Ok(Step::Away);
            }
        };
        // One that tells nothing is sent its messages as if it had never been another.
        if let Some(life) = &told {
            let own = self.store.incarnation();
            let met = Lives { registry: life.clone(), own: format!("{};{}", own.id, own.number) };
            if known.as_ref() != Some(&met) && !self.feed_again(peer, known.as_ref(), &met, stopping).await? {
                return Ok(Step::Away);
            }
        }
        registry.meant = told.or_else(|| known.map(|known| known.registry));
        registry.asked = Some(Instant::now());
        Ok(Step::Done)
    }

    /// Feeds every patient, and remembers for whom; true once that is done.
    async fn feed_again(
        &self,
        peer: &Peer,
        known: Option<&Lives>,
        met: &Lives,
        stopping: &watch::Receiver<bool>,
    ) -> Result<bool, store::Error> {
        let mut refused = Vec::new();
        if known.is_some() || self.has_told()? {
            let (registry, own) = (&met.registry, &met.own);
            if known.is_some() {
                tracing::warn!(
                    registry,
                    own,
                    "another life of the registry answers than the one that was fed, or this one was restored; every \
                     patient is fed again"
                );
            } else {
                tracing::info!(
                    registry,
                    own,
                    "the registry says which life it is in for the first time; every patient it was told of is fed again"
                );
            }
            self.shown().introducing = true;
            let fed = self.feed_all(peer, &met.registry, stopping).await;
            self.shown().introducing = false;
            let Some(those) = fed? else {
                tracing::warn!("feeding every patient again broke off; it begins again");
                self.shown().away = Some("it went away while it was fed every patient again".to_owned());
                return Ok(false);
            };
            tracing::info!(refused = those.len(), "every patient was fed again");
            refused = those;
        }
        self.meeting(met, refused).await?;
        Ok(true)
    }

    /// Feeds the current version of every patient in the order of their changes, as many side by side as the outbox does;
    /// answers those that were refused for what they are, or nothing if it broke off.
    async fn feed_all(
        &self,
        peer: &Peer,
        life: &str,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Option<Vec<String>>, store::Error> {
        let mut refused = Vec::new();
        let mut since = 0;
        loop {
            let page = self.store.changes(PATIENT, since, PAGE)?;
            // Whoever is changed meanwhile comes again at the end.
            let Some(last) = page.last() else { return Ok(Some(refused)) };
            since = last.sequence;
            let (mut standing, mut merged) = (Vec::new(), Vec::new());
            for row in page {
                let kept = Kept::of(&row)?;
                if kept.replaced_by.is_some() { merged.push((row, kept)) } else { standing.push((row, kept)) }
            }
            let at_once = self.way.at_once();
            let standing = futures_util::stream::iter(standing).map(|(row, kept)| async move {
                let sent = self.feed_one(peer, life, &row, &kept).await;
                Ok((row.id, sent))
            });
            // After those of this page that may have taken their place, and one by one.
            let merged = futures_util::stream::iter(merged)
                .then(|(row, kept)| self.feed_merged(peer, life, row, kept, since));
            let mut told = std::pin::pin!(standing.buffered(at_once).chain(merged));
            while let Some(fed) = told.next().await {
                match fed? {
                    (_, Sent::Taken { .. }) => {}
                    (id, Sent::Refused(refusal)) if !refusal.passes && refused.len() < MOST_REFUSED => {
                        refused.push(id);
                    }
                    (_, Sent::Refused(_) | Sent::Silent(_) | Sent::Away(_)) => return Ok(None),
                }
            }
            if *stopping.borrow() {
                return Ok(None);
            }
        }
    }

    async fn feed_one(&self, peer: &Peer, life: &str, row: &Row, kept: &Kept) -> Sent {
        self.put(peer, Some(life), &row.id, for_registry(kept, &row.rendering)).await
    }

    /// Feeds one that was merged away, and before it those that took its place, as far as they have not had their turn: the
    /// registry must know them. Who was changed up to `last` and stands has had it.
    async fn feed_merged(
        &self,
        peer: &Peer,
        life: &str,
        row: Row,
        kept: Kept,
        last: store::Sequence,
    ) -> Result<(String, Sent), store::Error> {
        let id = row.id.clone();
        let mut next = kept.replaced_by.clone();
        let mut chain = vec![(row, kept)];
        // A chain cannot be longer than it has merges; the bound only guards against a damaged ring.
        for _ in 0..1_000 {
            let Some(survivor) = next else { break };
            let Some(row) = self.store.get(PATIENT, &survivor)? else { break };
            let kept = Kept::of(&row)?;
            next = kept.replaced_by.clone();
            let had_its_turn = row.sequence <= if next.is_none() { last } else { chain[0].0.sequence };
            if !had_its_turn {
                chain.push((row, kept));
            }
        }
        let mut sent = Sent::taken();
        for (row, kept) in chain.iter().rev() {
            sent = self.feed_one(peer, life, row, kept).await;
            if matches!(sent, Sent::Away(_) | Sent::Silent(_)) {
                break;
            }
        }
        Ok((id, sent))
    }

    /// As if this registry had been fed in another life: it is fed every patient again.
    pub(super) async fn forget(&self, _: &Peer) -> Result<Result<String, String>, store::Error> {
        self.meeting(&Lives { registry: String::new(), own: String::new() }, Vec::new()).await?;
        tracing::warn!(receiver = self.name(), "an operator has it fed every patient again");
        Ok(Ok(format!("{} is fed every patient again, if it says which life it is in", self.name())))
    }

    /// From now on these have met. Patients that were refused go to the outbox, which tries them again without end.
    async fn meeting(&self, met: &Lives, refused: Vec<String>) -> Result<(), store::Error> {
        let mut outgoing = Vec::with_capacity(refused.len());
        for id in refused {
            let Some(row) = self.store.get(PATIENT, &id)? else { continue };
            let payload = for_registry(&Kept::of(&row)?, &row.rendering);
            outgoing.push(Outgoing { peer: self.receiver.peer.clone(), stream: id, payload });
        }
        let version = self.store.get(LIFE, &self.receiver.peer)?.map_or(0, |row| row.version);
        let put = Put {
            kind: LIFE,
            id: self.receiver.peer.clone(),
            version: version + 1,
            partition: String::new(),
            order: 0,
            facts: Vec::new(),
            edges: Vec::new(),
            body: serde_json::to_vec(met).expect("two texts can be written as JSON").into(),
            rendering: Bytes::new(),
            deleted: false,
        };
        // Taken on a full volume too: otherwise every patient would be fed every few seconds as long as it is full.
        let batch = Batch {
            instant: self.clock.now(),
            puts: vec![put],
            outgoing,
            concluding: true,
            ..Batch::default()
        };
        self.store.apply(batch).await.map(|_| ())
    }

    /// Whether there may be patients the registry was told of before it was remembered which one: those that wait in the
    /// outbox were not.
    fn has_told(&self) -> Result<bool, store::Error> {
        let pending = self.store.pending(&self.receiver.peer, PAGE)?;
        if pending.len() == PAGE {
            return Ok(true);
        }
        let patients = self.store.changes(PATIENT, 0, pending.len() + 1)?;
        let waits = |row: &Row| {
            pending.iter().any(|message| message.stream.split(' ').next() == Some(row.id.as_str()))
        };
        Ok(patients.iter().any(|row| !waits(row)))
    }
}

/// Which life of the registry gives this answer, if it says so.
pub(super) fn life_of(answer: &PeerAnswer) -> Option<String> {
    answer.headers.get(INCARNATION)?.to_str().ok().map(str::to_owned)
}

/// The lives of the last whole feed.
fn lives(store: &Store, peer: &str) -> Result<Option<Lives>, store::Error> {
    let Some(row) = store.get(LIFE, peer)? else { return Ok(None) };
    let lives = serde_json::from_slice(&row.body);
    lives
        .map(Some)
        .map_err(|error| store::Error::Damaged(format!("which registry was fed cannot be read: {error}")))
}

/// The version of its entity tag.
pub(super) fn known_version(answer: &PeerAnswer) -> Option<u64> {
    let tag = answer.headers.get(http::header::ETAG)?.to_str().ok()?;
    tag.trim_start_matches("W/").trim_matches('"').parse().ok()
}
