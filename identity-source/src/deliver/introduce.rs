//! Telling a receiver of everybody: one that is new, one that is told by another protocol or of other domains than before, and
//! one an operator says has forgotten. In pieces, with the place remembered after each; then its outbox goes on.

use std::cell::RefCell;

use futures_util::StreamExt;
use store::{Batch, Outgoing};

use super::courier::{Courier, Step, Walk};
use super::ledger::Ledger;
use super::send::Sent;
use super::told::Payload;
use crate::records::PATIENT;

/// Patients read at a time.
const PAGE: usize = 256;

impl Courier {
    /// The next piece; `Done` once the receiver was told of everybody.
    pub(super) async fn introduce(&self, walk: &mut Walk) -> Result<Step, store::Error> {
        let mut ledger = match walk.ledger.take() {
            Some(ledger) => ledger,
            None => Ledger::load(&self.store, &self.receiver.peer)?,
        };
        let step = self.introduce_by(&mut ledger).await;
        self.show(&ledger);
        walk.ledger = Some(ledger);
        step
    }

    async fn introduce_by(&self, ledger: &mut Ledger) -> Result<Step, store::Error> {
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
        let told = page.iter().map(|row| async move {
            if away_now.borrow().is_some() {
                return Ok((row, None));
            }
            let sent = self.tell_how_it_stands(row, again).await?;
            if let Sent::Away(words) = &sent {
                away_now.replace(Some(words.clone()));
            }
            Ok::<_, store::Error>((row, Some(sent)))
        });
        let told: Vec<_> = futures_util::stream::iter(told).buffered(self.way.at_once()).collect().await;
        if let Some(words) = away.into_inner() {
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
                Some(Sent::Refused(refusal)) => {
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
