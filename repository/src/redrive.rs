//! A registry that was restored from an older backup has lost what it had committed since. What it acknowledged through
//! this repository is registered again, in the order in which it had been committed, under the ids that were promised.

use std::time::Duration;

use bytes::Bytes;
use store::Cursor;

use crate::answer;
use crate::keys::Keys;
use crate::records::{Attempt, Closed, Intent, Records, State};
use crate::registrar::{KnownSubmission, Order, Registrar, Registration, Settled};
use crate::settle::Undecided;

/// Submissions asked about at once.
const PAGE: usize = 500;
/// Submissions in doubt that are sent again; of more than so many the others are settled.
const MOST_IN_DOUBT: usize = 100_000;
/// How long one registration may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the turn of a key is waited for.
const TURN: Duration = Duration::from_secs(10);

/// Registers again what the registry has lost.
pub(crate) struct Redrive {
    records: Records,
    /// The registry, in the life it has now.
    registrar: Registrar,
    keys: Keys,
}

/// What one registration came to.
enum Taken {
    Back,
    Refused(String),
}

impl Redrive {
    pub(crate) fn new(records: Records, registrar: Registrar, keys: Keys) -> Redrive {
        Redrive { records, registrar, keys }
    }

    /// Registers everything again that is lost. What is refused is tried once more behind the others, as it may refer to
    /// them; what is refused then is kept and listed. Answers an error if the registry goes away meanwhile; nothing is
    /// forgotten then, and the next time goes on.
    pub(crate) async fn run(&self) -> Result<(), Undecided> {
        let mut refused = self.closed().await?;
        refused.extend(self.in_doubt().await?);
        refused.extend(self.refused_before().await?);
        while !refused.is_empty() {
            let before = refused.len();
            refused = self.again(refused).await?;
            if refused.len() == before {
                break;
            }
        }
        for (key, why) in &refused {
            self.records.not_taken_back(key, why).await?;
        }
        if !refused.is_empty() {
            let lost = refused.len();
            tracing::error!(
                lost,
                "the registry has lost submissions and does not take them back; reconcile lists them"
            );
        }
        Ok(())
    }

    /// Offers what was not taken back to the registry once more; as long as something is taken, the others may refer to it.
    /// What is refused again stays listed as it is, and what is in use right now waits for the next time.
    pub(crate) async fn retake(&self) -> Result<(), Undecided> {
        let mut back: u64 = 0;
        let outcome = loop {
            let before = back;
            match self.offer_refused(&mut back).await {
                Ok(()) if back > before => {}
                outcome => break outcome,
            }
        };
        if back > 0 {
            tracing::warn!(back, "submissions the registry had not taken back are registered again");
        }
        outcome
    }

    async fn offer_refused(&self, back: &mut u64) -> Result<(), Undecided> {
        let mut after: Option<Cursor> = None;
        loop {
            let (page, next) = self.records.not_taken(after, PAGE)?;
            for (key, _) in page {
                let Some(_held) = self.keys.hold_now(&key) else { continue };
                match self.take_back_held(&key).await? {
                    Taken::Back => *back += 1,
                    Taken::Refused(why) => {
                        tracing::debug!(why, "the registry still does not take a submission back");
                    }
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Goes through all submissions that were committed; answers those that were refused.
    async fn closed(&self) -> Result<Vec<(String, String)>, Undecided> {
        let mut refused = Vec::new();
        let (mut after, mut back): (Option<Cursor>, u64) = (None, 0);
        loop {
            let (page, next) = self.records.settled(after, PAGE)?;
            let lost = self.lost(&page).await?;
            for key in lost {
                match self.take_back(&key).await? {
                    Taken::Back => back += 1,
                    Taken::Refused(why) => refused.push((key, why)),
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        tracing::warn!(
            back,
            refused = refused.len(),
            "submissions the registry had lost were registered again"
        );
        Ok(refused)
    }

    /// What was not taken back an earlier time is tried again: the patient may have become known meanwhile.
    async fn refused_before(&self) -> Result<Vec<(String, String)>, Undecided> {
        let mut refused = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let (page, next) = self.records.not_taken(after, PAGE)?;
            for (key, _) in page {
                if let Taken::Refused(why) = self.take_back(&key).await? {
                    refused.push((key, why));
                }
            }
            after = next;
            if after.is_none() {
                return Ok(refused);
            }
        }
    }

    async fn again(&self, refused: Vec<(String, String)>) -> Result<Vec<(String, String)>, Undecided> {
        let mut still = Vec::new();
        for (key, _) in refused {
            if let Taken::Refused(why) = self.take_back(&key).await? {
                still.push((key, why));
            }
        }
        Ok(still)
    }

    /// Those of our submissions that the registry does not know, in their order.
    async fn lost(&self, page: &[(String, Intent)]) -> Result<Vec<String>, Undecided> {
        let ours: Vec<(&str, &Closed)> = page
            .iter()
            .filter_map(|(key, intent)| Some((key.as_str(), intent.closed.as_ref().filter(|c| c.ours)?)))
            .collect();
        if ours.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<&str> = ours.iter().map(|(key, _)| *key).collect();
        let known = self.registrar.known(&keys).await?;
        let is_known = |key: &str, closed: &Closed| {
            known.iter().any(|known: &KnownSubmission| known.key == key && known.digest == closed.digest)
        };
        let lost = ours.into_iter().filter(|(key, closed)| !is_known(key, closed));
        Ok(lost.map(|(key, _)| key.to_owned()).collect())
    }

    async fn take_back(&self, key: &str) -> Result<Taken, Undecided> {
        let held = self.keys.hold(key, TURN).await;
        let Some(_held) = held else {
            return Err(Undecided::Operator(
                "a submission that is to be registered again is in use".to_owned(),
            ));
        };
        self.take_back_held(key).await
    }

    /// The same by whoever has the turn of the key. A submission the registry has by now is not registered twice: it answers
    /// as the first time.
    async fn take_back_held(&self, key: &str) -> Result<Taken, Undecided> {
        let Some((_, Intent { closed: Some(closed), .. })) = self.records.intent(key)? else {
            return Ok(Taken::Back);
        };
        let kept = self.records.registration(key, |attempt| self.is_meant(attempt, &closed))?;
        let Some((attempt, body)) = kept else {
            return Ok(Taken::Refused("its registration is not kept here".to_owned()));
        };
        let Some(assigned) = answer::ids_of_objects(&attempt, closed.answer.get().as_bytes()) else {
            return Ok(Taken::Refused("the ids it was answered with cannot be read".to_owned()));
        };
        let mut order = order(key, &attempt, body, assigned);
        order.attempt = closed.attempt;
        match self.register(&mut order).await? {
            Registration::Committed(commit) => {
                self.records.committed_again(key, order.attempt, commit.sequence).await?;
                Ok(Taken::Back)
            }
            Registration::Refused(findings) => Ok(Taken::Refused(in_words(&findings))),
            other => Err(away(&other)),
        }
    }

    /// A source sends again what was not taken back: the registry is asked once more. What it still refuses stays as it is.
    pub(crate) async fn once_more(&self, key: &str) {
        match self.take_back_held(key).await {
            Ok(Taken::Back) => tracing::info!("a submission the registry had lost was registered again"),
            Ok(Taken::Refused(why)) => {
                tracing::warn!(why, "the registry still does not take a submission back");
            }
            Err(error) => tracing::warn!(%error, "whether the registry takes a submission back is not known"),
        }
    }

    /// Whether this is the attempt that was committed: of this content, and its documents are registered.
    fn is_meant(&self, attempt: &Attempt, closed: &Closed) -> bool {
        // A document that was removed since was registered all the same.
        let is_bound = |blob: &str| {
            let known = self.records.document(blob).ok().flatten();
            known.is_some_and(|known| matches!(known.state, State::Bound | State::Removed))
        };
        attempt.digest == closed.digest && attempt.blobs().all(is_bound)
    }

    /// What was in doubt when the registry went away may have been committed, and even acknowledged by another one of us
    /// who did not live to write it down. It is not settled, then, but sent again: sooner there than lost. Answers what had
    /// been acknowledged before and was refused.
    async fn in_doubt(&self) -> Result<Vec<(String, String)>, Undecided> {
        let mut refused = Vec::new();
        for key in self.records.in_doubt(MOST_IN_DOUBT)?.keys {
            let Some(_held) = self.keys.hold(&key, TURN).await else {
                // It may be acknowledged any moment, by the life of the registry that is over.
                return Err(Undecided::Operator("a submission in doubt is in use".to_owned()));
            };
            let Some((_, intent)) = self.records.intent(&key)? else { continue };
            if intent.closed.is_some() {
                // What was acknowledged has the key; what is in doubt beside it has other content, and settling ends it.
                if !self.lost(&[(key.clone(), intent)]).await?.is_empty()
                    && let Taken::Refused(why) = self.take_back_held(&key).await?
                {
                    refused.push((key, why));
                }
                continue;
            }
            let Some(newest) = intent.open.iter().max_by_key(|open| open.attempt) else { continue };
            let kept = self.records.registration(&key, |attempt| attempt.slots == newest.slots)?;
            let Some((_, body)) = kept else { continue };
            let order = order(&key, newest, body, Vec::new());
            let deadline = tokio::time::Instant::now() + PATIENCE;
            match self.registrar.register(&order, deadline).await.0 {
                Registration::Committed(commit) => {
                    self.records.close(&key, &commit, None).await?;
                }
                // Settling does the rest: it raises the fence first. One that was given up before the backup was never
                // committed, and its source may have been told so.
                Registration::Refused(_) | Registration::GivenUp => {}
                other => return Err(away(&other)),
            }
        }
        Ok(refused)
    }

    /// Registers under the number of the order, or the first one that was not given up.
    async fn register(&self, order: &mut Order) -> Result<Registration, Undecided> {
        loop {
            let deadline = tokio::time::Instant::now() + PATIENCE;
            let (registration, _) = self.registrar.register(order, deadline).await;
            if !matches!(registration, Registration::GivenUp) {
                return Ok(registration);
            }
            match self.registrar.settle(&order.key, order.attempt, &[]).await? {
                Settled::Absent { fence } => order.attempt = fence + 1,
                Settled::Committed(commit) => return Ok(Registration::Committed(commit)),
            }
        }
    }
}

fn order(key: &str, attempt: &Attempt, body: Bytes, assigned: Vec<String>) -> Order {
    Order {
        key: key.to_owned(),
        attempt: attempt.attempt,
        digest: attempt.digest.clone(),
        body,
        receipts: answer::receipts_due(&attempt.slots),
        assigned,
        expected: attempt.expected.clone().unwrap_or_default(),
        trace: String::new(),
        request: String::new(),
    }
}

fn in_words(findings: &[xds::Finding]) -> String {
    findings.first().map_or_else(|| "it was refused".to_owned(), |worst| worst.rule.row().code.to_owned())
}

fn away(registration: &Registration) -> Undecided {
    let reason = match registration {
        Registration::Declined(status) => format!("it declined a registration with status {status}"),
        Registration::Restored => "it was restored from a backup again".to_owned(),
        _ => "it does not answer a registration".to_owned(),
    };
    Undecided::Registry(web::Error::Unknown { peer: "registry".to_owned(), reason })
}
