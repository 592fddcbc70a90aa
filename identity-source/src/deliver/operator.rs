//! What operators see of the receivers, and can do: skip a message that is refused, have one told of everybody again, and say
//! that what could not be told was put right by hand. At the admin listener.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use audit::{Action, Event, Outcome};
use futures_util::future::LocalBoxFuture;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use store::Batch;
use tokio::sync::oneshot;
use web::{Answer, Request};

use super::Delivery;
use super::courier::{Courier, Walk};
use super::order::Key;
use super::silence::Silences;

/// Where it begins.
const PATH: &str = "/receivers";
/// How long an operator waits for the courier to come back from where it is.
const PATIENCE: Duration = Duration::from_secs(60);

/// What an operator wants of a courier.
pub(super) struct Order {
    what: Wanted,
    done: oneshot::Sender<Result<String, String>>,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// Do not send this message; go on behind it.
    Skip(Key),
    /// Tell of everybody again.
    Again,
    /// What could not be told was put right.
    Settled,
}

/// What the admin listener answers; none: it is nothing of ours.
pub(crate) fn admin(delivery: &Arc<Delivery>, request: &Request) -> Option<LocalBoxFuture<'static, Answer>> {
    let rest = request.path.strip_prefix(PATH)?.to_owned();
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let (method, query) = (request.method.clone(), request.query.clone());
    let delivery = Arc::clone(delivery);
    Some(Box::pin(async move {
        let mut parts = rest.trim_start_matches('/').splitn(2, '/');
        let (name, verb) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        match (method, name, verb) {
            (Method::GET | Method::HEAD, "", "") => list(&delivery),
            (Method::POST, name, verb) if !name.is_empty() => order(&delivery, name, verb, &query).await,
            _ => text(
                StatusCode::NOT_FOUND,
                "there are GET /receivers, POST /receivers/NAME/skip?message=N.N, POST /receivers/NAME/again, POST \
                 /receivers/NAME/settled",
            ),
        }
    }))
}

fn text(status: StatusCode, words: &str) -> Answer {
    Answer::bytes(status, "text/plain; charset=utf-8", format!("{words}\n"))
}

fn list(delivery: &Delivery) -> Answer {
    let all: Vec<Value> = delivery.couriers.iter().map(|courier| courier.described()).collect();
    let body = json!({ "receivers": all });
    Answer::bytes(StatusCode::OK, "application/json", format!("{body:#}\n"))
}

async fn order(delivery: &Delivery, name: &str, verb: &str, query: &str) -> Answer {
    let Some(courier) = delivery.couriers.iter().find(|courier| courier.name() == name) else {
        let known: Vec<&str> = delivery.couriers.iter().map(|courier| courier.name()).collect();
        let words = format!("there is no receiver {name:?}; there are: {}", known.join(", "));
        return text(StatusCode::NOT_FOUND, &words);
    };
    let what = match (verb, query.strip_prefix("message=").and_then(read_key)) {
        ("skip", Some(key)) => Wanted::Skip(key),
        ("skip", None) => {
            let words = "say which message, as GET /receivers shows it among the refused: ?message=12.0";
            return text(StatusCode::BAD_REQUEST, words);
        }
        ("again", _) => Wanted::Again,
        ("settled", _) => Wanted::Settled,
        _ => return text(StatusCode::NOT_FOUND, "a receiver can be told: skip, again, settled"),
    };
    let (done, answer) = oneshot::channel();
    courier.ordered(Order { what, done });
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(Ok(words))) => text(StatusCode::OK, &words),
        Ok(Ok(Err(words))) => text(StatusCode::CONFLICT, &words),
        Ok(Err(_)) => text(StatusCode::SERVICE_UNAVAILABLE, "the actor stops; nothing was changed"),
        Err(_) => text(
            StatusCode::ACCEPTED,
            "the receiver keeps its messages waiting; it is done as soon as they return",
        ),
    }
}

fn read_key(text: &str) -> Option<Key> {
    let (sequence, position) = text.split_once('.')?;
    Some((sequence.parse().ok()?, position.parse().ok()?))
}

impl Courier {
    fn ordered(&self, order: Order) {
        self.orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(order);
        self.wake();
    }

    /// Whether an operator wants something.
    pub(super) fn has_orders(&self) -> bool {
        !self.orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_empty()
    }

    /// Does what operators want.
    pub(super) async fn obey(&self, walk: &mut Walk) -> Result<(), store::Error> {
        let orders = {
            let mut orders = self.orders.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *orders)
        };
        for Order { what, done } in orders {
            let outcome = match what {
                Wanted::Skip(key) => self.skip(key, walk).await?,
                Wanted::Again => self.again(walk).await?,
                Wanted::Settled => self.settled(walk).await?,
            };
            // Whoever asked may have gone.
            let _ = done.send(outcome);
        }
        Ok(())
    }

    async fn skip(&self, key: Key, walk: &mut Walk) -> Result<Result<String, String>, store::Error> {
        let found = {
            let shown = self.shown();
            let refused =
                shown.refused.get(&key).map(|refused| (refused.stream.clone(), refused.words.clone()));
            let unanswered = || shown.silences.aside().find(|(place, ..)| **place == key);
            refused
                .or_else(|| unanswered().map(|(_, stream, _, words)| (stream.to_owned(), words.to_owned())))
        };
        let Some((stream, said)) = found else {
            let words = "this message is not among those the receiver refused, or never answered; nothing was changed";
            return Ok(Err(words.to_owned()));
        };
        let patient = stream.split(' ').next().unwrap_or_default();
        let name = format!("{}.{}", key.0, key.1);
        let event = self.event(Action::Delete, Outcome::Success, patient, &name);
        let reason = format!("skipped by an operator; the receiver said {said}");
        let event = Event { reason: Some(reason), caller: "operator".to_owned(), ..event };
        self.commit(Batch {
            instant: self.clock.now(),
            delivered: vec![(self.receiver.peer.clone(), key.0, key.1)],
            audit: vec![event.to_bytes().into()],
            concluding: true,
            ..Batch::default()
        })
        .await?;
        {
            let mut shown = self.shown();
            shown.refused.remove(&key);
            shown.silences.forget(&key);
        }
        walk.restart();
        tracing::warn!(receiver = self.name(), patient, message = name, "an operator has skipped a message");
        Ok(Ok(format!("message {name} of Patient/{patient} will not be sent to {}", self.name())))
    }

    async fn again(&self, walk: &mut Walk) -> Result<Result<String, String>, store::Error> {
        if let Some(peer) = self.peer()
            && matches!(self.way, super::send::Way::Registry(_))
        {
            let forgotten = self.forget(peer).await?;
            walk.registry.doubt();
            return Ok(forgotten);
        }
        let mut ledger = match walk.ledger.take() {
            Some(ledger) => ledger,
            None => super::ledger::Ledger::load(&self.store, &self.receiver.peer)?,
        };
        ledger.mark = self.receiver.mark();
        (ledger.since, ledger.until, ledger.again) = (0, None, true);
        let mut batch = Batch { instant: self.clock.now(), ..Batch::default() };
        ledger.put(&self.store, &self.receiver.peer, &mut batch)?;
        self.commit(batch).await?;
        // What the outbox holds is told by that; what is refused then is refused anew.
        {
            let mut shown = self.shown();
            shown.refused = BTreeMap::new();
            shown.silences = Silences::default();
        }
        walk.unanswered = HashMap::new();
        walk.restart();
        self.show(&ledger);
        walk.ledger = Some(ledger);
        tracing::warn!(receiver = self.name(), "an operator has it told of every patient again");
        Ok(Ok(format!("{} is told of every patient again", self.name())))
    }

    async fn settled(&self, walk: &mut Walk) -> Result<Result<String, String>, store::Error> {
        let Some(mut ledger) = walk.ledger.take() else {
            return Ok(Err("nothing is open for this receiver".to_owned()));
        };
        let count = ledger.unsaid;
        (ledger.unsaid, ledger.latest) = (0, Vec::new());
        let mut batch = Batch { instant: self.clock.now(), ..Batch::default() };
        ledger.put(&self.store, &self.receiver.peer, &mut batch)?;
        let committed = self.commit(batch).await;
        self.show(&ledger);
        walk.ledger = Some(ledger);
        committed?;
        Ok(Ok(format!("changes that count as put right at {}: {count}", self.name())))
    }

    /// What operators see of it. Patients are named by their ids here.
    fn described(&self) -> Value {
        let (waiting, oldest) = self.backlog();
        let shown = self.shown().clone();
        let refused = shown.refused.iter().map(|((sequence, position), refused)| {
            json!({
                "message": format!("{sequence}.{position}"),
                "patients": refused.stream.split(' ').collect::<Vec<_>>(),
                "answer": refused.words,
                "tries": refused.tries,
                "since": instant(refused.since),
            })
        });
        let unanswered = shown.silences.aside().map(|((sequence, position), stream, tries, words)| {
            json!({
                "message": format!("{sequence}.{position}"),
                "patients": stream.split(' ').collect::<Vec<_>>(),
                "answer": format!("none: {words}"),
                "tries": tries,
            })
        });
        let untold = shown.latest.iter().map(|untold| {
            json!({ "patient": untold.patient, "what": untold.what.words(), "when": instant(untold.instant) })
        });
        json!({
            "name": self.name(),
            "transaction": self.receiver.protocol().transaction(),
            "place": self.way.place(),
            "waiting": waiting,
            "oldest_seconds": oldest,
            "away": shown.away,
            "introducing": shown.introducing,
            "refused": refused.collect::<Vec<_>>(),
            "unanswered": unanswered.collect::<Vec<_>>(),
            "untold": { "count": shown.unsaid, "latest": untold.collect::<Vec<_>>() },
        })
    }
}

fn instant(micros: i64) -> String {
    jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::UNIX_EPOCH).to_string()
}
