//! The trail of a transaction: an answer can be given only by spending it, and spending it writes the audit record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use audit::{Action, Event, Outcome};
use bytes::Bytes;
use store::{Applied, Batch, Store};

use crate::corridor::Context;
use crate::meter;

/// What an audit record says beyond who, when and which transaction.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The patient, by the id of this domain.
    pub patient: Option<String>,
    /// What was touched.
    pub entities: Vec<String>,
    /// The question, for queries.
    pub query: Option<String>,
}

static WRITTEN: LazyLock<Arc<AtomicU64>> =
    LazyLock::new(|| meter::number("docshare_audit_events_total", &[("result", "written")]));

/// Appends the record of what changes nothing; what cannot be written is counted too.
pub(crate) async fn append(store: &Store, now: store::Instant, event: &Event) -> Result<(), store::Error> {
    append_all(store, now, vec![event.to_bytes().into()]).await
}

async fn append_all(store: &Store, now: store::Instant, events: Vec<Bytes>) -> Result<(), store::Error> {
    let count = events.len() as u64;
    match store.note(now, events).await {
        Ok(()) => {
            WRITTEN.fetch_add(count, Ordering::Relaxed);
            Ok(())
        }
        Err(error) => {
            meter::count("docshare_audit_events_total", &[("result", "failed")], 1);
            Err(error)
        }
    }
}

/// The obligation to leave an audit record. Made by the corridor, spent by the use case.
#[derive(Debug)]
pub struct Trail {
    context: Context,
    transaction: &'static str,
    action: Action,
    /// Further records; with none of its own they tell of the trail's action.
    also: Vec<(Option<Action>, Subject)>,
}

/// An answer whose audit record is written.
#[derive(Debug)]
pub struct Audited<R> {
    response: R,
}

impl<R> Audited<R> {
    pub(crate) fn into_response(self) -> R {
        self.response
    }
}

impl Trail {
    pub(crate) fn new(context: Context, transaction: &'static str, action: Action) -> Trail {
        Trail { context, transaction, action, also: Vec::new() }
    }

    /// Number of the transaction.
    pub fn transaction(&self) -> &'static str {
        self.transaction
    }

    /// The transaction's context.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The same trail, telling of another action than the transaction's usual one: a create among updates, say.
    pub fn telling(self, action: Action) -> Trail {
        Trail { action, ..self }
    }

    /// The same trail, which leaves a record of each of these beside its own: of what several patients are touched by.
    pub fn also(self, also: Vec<Subject>) -> Trail {
        Trail { also: also.into_iter().map(|subject| (None, subject)).collect(), ..self }
    }

    /// The same where something else happened to each of them: of two that are merged one goes and one is changed.
    pub fn also_telling(self, also: Vec<(Action, Subject)>) -> Trail {
        Trail { also: also.into_iter().map(|(action, subject)| (Some(action), subject)).collect(), ..self }
    }

    /// Commits a change with its audit record in the same commit. On a lost race the trail comes back, to plan again.
    pub async fn commit<R>(
        self,
        store: &Store,
        mut batch: Batch,
        subject: Subject,
        response: impl FnOnce(Applied) -> R,
    ) -> Result<Audited<R>, (Box<Trail>, store::Error)> {
        batch.audit.extend(self.events(batch.instant, subject));
        let count = 1 + self.also.len() as u64;
        match store.apply(batch).await {
            Ok(applied) => {
                WRITTEN.fetch_add(count, Ordering::Relaxed);
                Ok(Audited { response: response(applied) })
            }
            Err(error) => Err((Box::new(self), error)),
        }
    }

    /// Records a read (or a change that another commit already holds), before the first byte of the answer.
    pub async fn note<R>(
        self,
        store: &Store,
        now: store::Instant,
        subject: Subject,
        response: R,
    ) -> Result<Audited<R>, store::Error> {
        append_all(store, now, self.events(now, subject)).await?;
        Ok(Audited { response })
    }

    fn events(&self, now: store::Instant, subject: Subject) -> Vec<Bytes> {
        let subjects = std::iter::once((None, subject)).chain(self.also.iter().cloned());
        let event = |(action, subject): (Option<Action>, Subject)| {
            let event = self.event(now, Outcome::Success, subject, None);
            Event { action: action.unwrap_or(self.action), ..event }.to_bytes().into()
        };
        subjects.map(event).collect()
    }

    /// Records a refusal; `asked` is the query of the URL, which says about whom it was.
    pub(crate) fn refusal(&self, now: store::Instant, outcome: Outcome, reason: &str, asked: &str) -> Event {
        let query = Some(asked.to_owned()).filter(|asked| !asked.is_empty());
        self.event(now, outcome, Subject { query, ..Subject::default() }, Some(reason.to_owned()))
    }

    fn event(
        &self,
        recorded: store::Instant,
        outcome: Outcome,
        subject: Subject,
        reason: Option<String>,
    ) -> Event {
        Event {
            transaction: self.transaction.to_owned(),
            action: self.action,
            outcome,
            recorded,
            caller: self.context.caller.name.clone(),
            address: self.context.caller.address.ip().to_string(),
            request: self.context.request.clone(),
            trace: self.context.trace.clone(),
            patient: subject.patient,
            entities: subject.entities,
            query: subject.query,
            reason,
        }
    }
}
