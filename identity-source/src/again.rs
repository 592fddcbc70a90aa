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

use crate::deliver::{AT_ONCE, Delivery, LONGEST_PAUSE, Sent};
use crate::records::{Kept, PATIENT, REGISTRY, held_only};

/// The header by which a registry tells which life answers, and is told which one is meant.
pub(crate) const INCARNATION: &str = "docshare-incarnation";

/// Which lives the last whole feed was between.
const LIFE: Kind = Kind("fed-life");
/// Patients read at a time.
const PAGE: usize = 256;
/// Patients the registry may refuse before a feed is broken off: then it is not the patients that are at fault.
const MOST_REFUSED: usize = 1_000;

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
pub(crate) struct Acquaintance {
    /// The life that messages are meant for; none as long as the registry tells of none.
    pub(crate) meant: Option<String>,
    /// When it was last asked; none: it is asked before anything else is sent.
    asked: Option<Instant>,
}

impl Acquaintance {
    /// Something was amiss: it may be another one when it is met again.
    pub(crate) fn doubt(&mut self) {
        self.asked = None;
    }
}

impl Delivery {
    /// Asks now and then which life of the registry answers, and feeds another one than the last from the beginning.
    /// False if the registry is away, or went away meanwhile: then nothing is remembered, and the next time begins again.
    pub(crate) async fn meet(
        &self,
        peer: &Peer,
        registry: &mut Acquaintance,
        stopping: &watch::Receiver<bool>,
    ) -> Result<bool, store::Error> {
        if registry.asked.is_some_and(|asked| asked.elapsed() < LONGEST_PAUSE) {
            return Ok(true);
        }
        let known = lives(&self.store)?;
        let answer = peer.send_beside(http::Method::GET, "/incarnation", &[], Bytes::new()).await;
        let told = match answer {
            Ok(answer) => life_of(&answer),
            Err(error) => {
                tracing::debug!(%error, "the registry was not asked which life it is in");
                return Ok(false);
            }
        };
        // One that tells nothing is sent its messages as if it had never been another.
        if let Some(life) = &told {
            let own = self.store.incarnation();
            let met = Lives { registry: life.clone(), own: format!("{};{}", own.id, own.number) };
            if known.as_ref() != Some(&met) && !self.feed_again(peer, known.as_ref(), &met, stopping).await? {
                return Ok(false);
            }
        }
        registry.meant = told.or_else(|| known.map(|known| known.registry));
        registry.asked = Some(Instant::now());
        Ok(true)
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
            tracing::warn!(
                registry = met.registry,
                own = met.own,
                "another life of the registry answers than the one that was fed, or this one was restored; every \
                 patient is fed again"
            );
            let Some(those) = self.feed_all(peer, &met.registry, stopping).await? else {
                tracing::warn!("feeding every patient again broke off; it begins again");
                return Ok(false);
            };
            tracing::warn!(refused = those.len(), "every patient was fed again");
            refused = those;
        }
        self.remember(met, refused).await?;
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
            let page = page.into_iter().map(message).collect::<Result<Vec<_>, _>>()?;
            let told = page.into_iter().map(|(id, message)| async move {
                let sent = self.put(peer, Some(life), &id, message).await;
                (id, sent)
            });
            let mut told = std::pin::pin!(futures_util::stream::iter(told).buffered(AT_ONCE));
            while let Some((id, sent)) = told.next().await {
                match sent {
                    Sent::Taken => {}
                    Sent::Refused(status) if !passes(status) && refused.len() < MOST_REFUSED => {
                        refused.push(id);
                    }
                    Sent::Refused(_) | Sent::Away => return Ok(None),
                }
            }
            if *stopping.borrow() {
                return Ok(None);
            }
        }
    }

    /// From now on these have met. Patients that were refused go to the outbox, which tries them again without end.
    async fn remember(&self, met: &Lives, refused: Vec<String>) -> Result<(), store::Error> {
        let mut outgoing = Vec::with_capacity(refused.len());
        for id in refused {
            let Some(row) = self.store.get(PATIENT, &id)? else { continue };
            let (stream, payload) = message(row)?;
            outgoing.push(Outgoing { peer: REGISTRY.to_owned(), stream, payload });
        }
        let version = self.store.get(LIFE, REGISTRY)?.map_or(0, |row| row.version);
        let put = Put {
            kind: LIFE,
            id: REGISTRY.to_owned(),
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
        let pending = self.store.pending(REGISTRY, PAGE)?;
        if pending.len() == PAGE {
            return Ok(true);
        }
        let patients = self.store.changes(PATIENT, 0, pending.len() + 1)?;
        Ok(patients.iter().any(|row| !pending.iter().any(|message| message.stream == row.id)))
    }
}

/// What a registry is told of a patient, one that is removed included.
fn message(row: Row) -> Result<(String, Bytes), store::Error> {
    let payload = held_only(&Kept::of(&row)?, &row.rendering);
    Ok((row.id, payload))
}

/// Which life of the registry gives this answer, if it says so.
pub(crate) fn life_of(answer: &PeerAnswer) -> Option<String> {
    answer.headers.get(INCARNATION)?.to_str().ok().map(str::to_owned)
}

/// The lives of the last whole feed.
fn lives(store: &Store) -> Result<Option<Lives>, store::Error> {
    let Some(row) = store.get(LIFE, REGISTRY)? else { return Ok(None) };
    let lives = serde_json::from_slice(&row.body);
    lives
        .map(Some)
        .map_err(|error| store::Error::Damaged(format!("which registry was fed cannot be read: {error}")))
}

/// Whether a refusal is about the moment and not about the patient.
fn passes(status: u16) -> bool {
    status >= 500 || matches!(status, 408 | 429)
}
