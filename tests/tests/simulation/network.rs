//! What is under way between the actors, and at their stores: every message and every commit waits here until it is its turn.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use store::{Interference, Write};
use tokio::sync::{Notify, oneshot};
use web::{Carrier, Error, Letter, PeerAnswer};

/// Somebody who sends or is sent to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The registry.
    Registry,
    /// The first repository, or the second.
    Repository(bool),
    /// The identity source.
    Identity,
    /// A client.
    Client,
}

impl Place {
    /// The actors, by their number in operations.
    pub(crate) const ACTORS: [Place; 4] =
        [Place::Registry, Place::Repository(false), Place::Repository(true), Place::Identity];

    /// Its number among the actors.
    pub(crate) fn number(self) -> Option<usize> {
        Place::ACTORS.into_iter().position(|actor| actor == self)
    }

    /// Where it is spoken to, without path.
    pub(crate) fn host(self) -> &'static str {
        match self {
            Place::Registry => "http://registry.example",
            Place::Repository(false) => "http://repository.example",
            Place::Repository(true) => "http://second.example",
            Place::Identity => "http://identity.example",
            Place::Client => "http://client.example",
        }
    }
}

/// Where the answer to a request goes.
pub(crate) type Reply = oneshot::Sender<Result<PeerAnswer, Error>>;

/// Answers a request, if there is anybody who waits for it. A sender that has given up no longer listens, which is fine.
pub(crate) fn answer(reply: impl Into<Option<Reply>>, answer: Result<PeerAnswer, Error>) {
    if let Some(reply) = reply.into() {
        let _ = reply.send(answer);
    }
}

/// One life of an actor, from its start to its end.
pub(crate) struct Life {
    pub(crate) place: Place,
    pub(crate) network: Arc<Network>,
    over: AtomicBool,
    stopped: AtomicBool,
}

/// What becomes of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is written.
    Go,
    /// There is no room.
    NoRoom,
    /// Its sync fails; whether the bytes are there nevertheless.
    SyncFails { written: bool },
}

/// Something under way.
pub(crate) enum Event {
    /// A request; one that was sent twice has nobody who waits for the second answer.
    Request { from: Place, to: Place, letter: Letter, reply: Option<Reply> },
    /// An answer.
    Answer { from: Place, to: Place, answer: PeerAnswer, reply: Reply },
    /// A commit about to be written.
    Commit { life: Arc<Life>, verdict: oneshot::Sender<Verdict> },
}

impl Event {
    /// What it is, without what differs from run to run.
    pub(crate) fn label(&self) -> String {
        match self {
            Event::Request { from, to, letter, .. } => {
                let rest = letter.url.strip_prefix(to.host()).unwrap_or(&letter.url);
                let is_word = |part: &&str| part.len() < 30;
                let path: Vec<&str> = rest.split(['/', '?']).take(3).filter(is_word).collect();
                format!("{from:?} asks {to:?} {} {}", letter.method, path.join("/"))
            }
            Event::Answer { from, to, answer, .. } => format!("{from:?} answers {to:?} {}", answer.status),
            Event::Commit { life, .. } => format!("{:?} commits", life.place),
        }
    }
}

/// Everything under way.
#[derive(Default)]
pub(crate) struct Network {
    under_way: Mutex<VecDeque<Event>>,
    /// Something was added.
    pub(crate) news: Notify,
}

impl Network {
    /// Puts something at the end of the queue.
    pub(crate) fn push(&self, event: Event) {
        self.under_way.lock().push_back(event);
        self.news.notify_one();
    }

    /// Takes what is first.
    pub(crate) fn first(&self) -> Option<Event> {
        self.under_way.lock().pop_front()
    }

    /// Takes the one with this number among those that fit, counted round.
    pub(crate) fn pick(&self, pick: u8, fits: impl Fn(&Event) -> bool) -> Option<Event> {
        let mut under_way = self.under_way.lock();
        let places: Vec<usize> =
            under_way.iter().enumerate().filter(|(_, event)| fits(event)).map(|(place, _)| place).collect();
        let place = *places.get(usize::from(pick) % places.len().max(1))?;
        under_way.remove(place)
    }

    /// Puts something back where it is next.
    pub(crate) fn put_first(&self, event: Event) {
        self.under_way.lock().push_front(event);
        self.news.notify_one();
    }

    /// Forgets what waits at the store of a life that is over.
    pub(crate) fn forget(&self, life: &Arc<Life>) {
        self.under_way
            .lock()
            .retain(|event| !matches!(event, Event::Commit { life: of, .. } if Arc::ptr_eq(of, life)));
    }
}

impl Life {
    pub(crate) fn new(place: Place, network: &Arc<Network>) -> Arc<Life> {
        let (over, stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Life { place, network: Arc::clone(network), over, stopped })
    }

    /// Ends it: what it still does reaches nobody and nothing.
    pub(crate) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A sync has failed: from now on nothing is written.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }
}

/// Carries the requests of one life of an actor.
pub(crate) struct Wire(pub(crate) Arc<Life>);

impl Carrier for Wire {
    fn carry(&self, letter: Letter) -> BoxFuture<'static, Result<PeerAnswer, Error>> {
        let life = Arc::clone(&self.0);
        let to = if letter.peer == "identity" { Place::Identity } else { Place::Registry };
        async move {
            if life.is_over() {
                return std::future::pending().await;
            }
            let (reply, answered) = oneshot::channel();
            let peer = letter.peer.to_owned();
            life.network.push(Event::Request { from: life.place, to, letter, reply: Some(reply) });
            let reset = || Error::Unknown { peer, reason: "the connection broke".to_owned() };
            answered.await.unwrap_or_else(|_| Err(reset()))
        }
        .boxed()
    }
}

/// Stands before the store of one life of an actor.
pub(crate) struct Disk(pub(crate) Arc<Life>);

impl Disk {
    fn stopped() -> store::Error {
        store::Error::Stopped("a sync has failed".to_owned())
    }
}

impl Interference for Disk {
    fn before(&self, write: Write) -> BoxFuture<'_, Result<(), store::Error>> {
        async move {
            if self.0.is_over() {
                return std::future::pending().await;
            }
            if self.0.is_stopped() {
                return Err(Disk::stopped());
            }
            if write == Write::Note {
                return Ok(());
            }
            let (verdict, told) = oneshot::channel();
            self.0.network.push(Event::Commit { life: Arc::clone(&self.0), verdict });
            match told.await {
                Ok(Verdict::Go) => Ok(()),
                Ok(Verdict::NoRoom) => Err(store::Error::NoRoom("the disk is full".to_owned())),
                Ok(Verdict::SyncFails { written }) => {
                    self.0.stopped.store(true, Ordering::Relaxed);
                    if written { Ok(()) } else { Err(Disk::stopped()) }
                }
                // The life is over.
                Err(_) => std::future::pending().await,
            }
        }
        .boxed()
    }

    fn after(&self, _: Write) -> BoxFuture<'_, Result<(), store::Error>> {
        async move { if self.0.is_stopped() { Err(Disk::stopped()) } else { Ok(()) } }.boxed()
    }
}
