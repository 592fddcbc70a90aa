//! Telling a receiver of everybody: one that is new, one that is told by another protocol or of other domains than before, and
//! one an operator says has forgotten. In pieces, with the place remembered after each; then its outbox goes on.

use std::cell::RefCell;
use std::collections::HashMap;

use futures_util::StreamExt;
use store::{Batch, Outgoing};

use super::courier::{Courier, Step, Walk};
use super::ledger::Ledger;
use super::send::Sent;
use super::silence;
use super::told::Payload;
use crate::records::PATIENT;

/// Patients read at a time.
const PAGE: usize = 256;
/// Those who may be told in vain in a round in which nobody else was answered.
const MOST_SILENT: usize = 3;

impl Courier {
    /// The next piece; `Done` once the receiver was told of everybody.
    pub(super) async fn introduce(&self, walk: &mut Walk) -> Result<Step, store::Error> {
        let mut ledger = match walk.ledger.take() {
            Some(ledger) => ledger,
            None => Ledger::load(&self.store, &self.receiver.peer)?,
        };
        let step = self.introduce_by(&mut ledger, &mut walk.unanswered).await;
        self.show(&ledger);
        walk.ledger = Some(ledger);
        step
    }

    async fn introduce_by(
        &self,
        ledger: &mut Ledger,
        unanswered: &mut HashMap<String, u32>,
    ) -> Result<Step, store::Error> {
        let mark = self.receiver.mark();
        if ledger.mark != mark {
            *ledger = Ledger {
                again: !ledger.mark.is_empty(),
                mark,
                since: 0,
                until: None,
                unsaid: ledger.unsaid,
                latest: std::mem::take(&mut ledger.latest),
            };
        }
        if ledger.until.is_some() {
            return Ok(Step::Done);
        }
        let seen = self.store.sequence();
        let page = self.store.changes(PATIENT, ledger.since, PAGE)?;
        let mut batch = Batch { instant: self.clock.now(), ..Batch::default() };
        let Some(last) = page.last().map(|row| row.sequence) else {
            ledger.until = Some(seen);
            ledger.put(&self.store, &self.receiver.peer, &mut batch)?;
            self.commit(batch).await?;
            tracing::info!(receiver = self.name(), "it was told of every patient");
            return Ok(Step::Went);
        };
        let away = RefCell::new(None);
        let again = ledger.again;
        let away_now = &away;
        let answers = self.shown().silences.answers();
        // Those who stayed silent some times let others be told first: is one of them answered, it is about these.
        let aside = |id: &str, tries: &HashMap<String, u32>| {
            tries.get(id).is_some_and(|tries| *tries >= silence::PATIENT)
        };
        let silent: RefCell<Vec<String>> = RefCell::default();
        let (tries, silent_now) = (&*unanswered, &silent);
        let told = page.iter().map(|row| async move {
            if away_now.borrow().is_some() {
                return Ok((row, None));
            }
            let sent = self.tell_how_it_stands(row, again).await?;
            let is_away = match &sent {
                Sent::Away(_) => true,
                Sent::Silent(_) => {
                    silent_now.borrow_mut().push(row.id.clone());
                    let is_answered = self.shown().silences.answers() > answers;
                    !aside(&row.id, tries) || (!is_answered && silent_now.borrow().len() > MOST_SILENT)
                }
                Sent::Taken { .. } | Sent::Refused(_) => false,
            };
            if let (true, Sent::Away(words) | Sent::Silent(words)) = (is_away, &sent) {
                away_now.replace(Some(words.clone()));
            }
            Ok::<_, store::Error>((row, Some(sent)))
        });
        let told: Vec<_> = futures_util::stream::iter(told).buffered(self.way.at_once()).collect().await;
        for id in silent.into_inner() {
            *unanswered.entry(id).or_default() += 1;
        }
        let is_answered = self.shown().silences.answers() > answers;
        let unheard = told.iter().find_map(|one| match one {
            Ok((_, Some(Sent::Silent(words)))) if !is_answered => Some(words.clone()),
            _ => None,
        });
        if let Some(words) = away.into_inner().or(unheard) {
            tracing::debug!(receiver = self.name(), "away: {words}");
            self.shown().away = Some(words);
            return Ok(Step::Away);
        }
        for one in told {
            let (row, sent) = one?;
            match sent {
                Some(Sent::Taken { events, untold }) => {
                    batch.audit.extend(events.iter().map(|event| event.to_bytes().into()));
                    untold.into_iter().for_each(|untold| ledger.note(untold));
                }
                // The outbox tries it again, as the patient stands then, before anything else is told of it.
                Some(sent @ (Sent::Refused(_) | Sent::Silent(_))) => {
                    let refusal = match sent {
                        Sent::Silent(words) => {
                            self.shown().silences.is_mute(&row.id);
                            silence::refusal(&words)
                        }
                        Sent::Refused(refusal) => refusal,
                        Sent::Taken { .. } | Sent::Away(_) => continue,
                    };
                    unanswered.remove(&row.id);
                    tracing::warn!(receiver = self.name(), patient = row.id, "refused: {}", refusal.words);
                    batch.outgoing.push(Outgoing {
                        peer: self.receiver.peer.clone(),
                        stream: row.id.clone(),
                        payload: Payload::Stands(row.id.clone()).to_bytes(),
                    });
                }
                Some(Sent::Away(_)) | None => return Ok(Step::Away),
            }
        }
        ledger.since = last;
        ledger.put(&self.store, &self.receiver.peer, &mut batch)?;
        self.commit(batch).await?;
        self.shown().away = None;
        Ok(Step::Went)
    }
}
