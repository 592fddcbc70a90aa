//! The world of one schedule: four actors over stores that outlive them, their network, and the one hand that decides what
//! goes on next.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use identity_source::IdentitySource;
use registry::Registry;
use repository::Repository;
use store::{Kind as Sort, Store};
use tests::faults::history::{Fault, FaultKind, Kind, Recovery, What};
use tokio::time::Instant;
use web::{Error, PeerAnswer};

use crate::client::Clients;
use crate::lies::Lie;
use crate::network::{self, Event, Network, Place, Reply, Verdict};
use crate::operation::{Operation, Spoilt};
use crate::process::Running;
use crate::samples::{self, PATIENTS};

/// When the simulated world begins: 2026-11-20, in microseconds.
const BEGIN: i64 = 1_795_000_000_000_000;
/// What one step takes; time passes only when nothing else is left to do, so this also waits for everything to come to rest.
const STEP: Duration = Duration::from_millis(1);

/// The world.
pub(crate) struct World {
    pub(crate) network: Arc<Network>,
    pub(crate) clients: Rc<Clients>,
    pub(crate) stores: [Store; 4],
    pub(crate) running: [Option<Running>; 4],
    repositories: [Option<Arc<Repository>>; 2],
    held: Vec<Event>,
    /// What befalls the next message or commit it can befall.
    next: Vec<Operation>,
    /// Requests that were lost without a sound: their senders wait until they have waited enough.
    silent: Vec<Reply>,
    /// Whom the registry takes each patient to be merged into.
    merged: [Option<String>; PATIENTS as usize],
    began: Instant,
    skew: i64,
    trace: DefaultHasher,
    /// What was done, for whoever wants to see it.
    pub(crate) told: Option<Vec<String>>,
    pub(crate) lie: Lie,
}

impl World {
    /// All actors up, and two patients known to them.
    pub(crate) async fn begin(lie: Lie, telling: bool) -> World {
        let network = Arc::new(Network::default());
        let mut world = World {
            clients: Clients::new(&network),
            network,
            stores: std::array::from_fn(|_| Store::memory()),
            running: std::array::from_fn(|_| None),
            repositories: [None, None],
            held: Vec::new(),
            next: Vec::new(),
            silent: Vec::new(),
            merged: std::array::from_fn(|_| None),
            began: Instant::now(),
            skew: 0,
            trace: DefaultHasher::new(),
            told: telling.then(Vec::new),
            lie,
        };
        for actor in Place::ACTORS {
            world.start(actor).await;
        }
        for patient in 0..PATIENTS {
            world.clients.feed(patient);
        }
        world.pass(Duration::from_millis(200)).await;
        assert_eq!(world.clients.patients.borrow().len(), usize::from(PATIENTS), "patients are fed");
        world
    }

    /// What happened, in a number: two runs of the same schedule have the same.
    pub(crate) fn trace(&self) -> u64 {
        self.trace.finish()
    }

    fn tell(&mut self, what: &str) {
        what.hash(&mut self.trace);
        if let Some(told) = &mut self.told {
            told.push(format!("{:>9.3} s  {what}", self.began.elapsed().as_secs_f64()));
        }
    }

    /// Does one operation.
    pub(crate) async fn operate(&mut self, operation: Operation) {
        self.tell(&format!("{operation:?}"));
        match operation {
            Operation::Submit { key, other, second } => {
                self.clients.submit(samples::submission(key, other), second);
            }
            Operation::Search { patient } => self.clients.search(patient % PATIENTS, Kind::Document),
            Operation::Retrieve { key, document } => {
                self.clients.retrieve(&samples::unique_id(key, document));
            }
            Operation::Update { key, document, guarded } => {
                self.clients.update(&samples::unique_id(key, document), guarded);
            }
            Operation::Merge { back } => self.clients.merge(u8::from(!back), u8::from(back)),
            Operation::Unmerge { patient } => self.clients.unmerge(patient % PATIENTS),
            Operation::Decide { moves } => self.clients.decide(moves),
            Operation::Settle { second } => self.settle(second),
            Operation::Run { steps } => return self.run(steps).await,
            Operation::Deliver { pick } => {
                if let Some(event) = self.network.pick(pick, |_| true) {
                    self.go_on(event);
                }
            }
            Operation::Pass { tenths } => {
                return self.pass(Duration::from_millis(u64::from(tenths) * 100)).await;
            }
            Operation::Stall { tenths } => {
                tokio::time::sleep(Duration::from_millis(u64::from(tenths) * 100)).await;
            }
            Operation::Jump { seconds } => self.skew += i64::from(seconds) * 1_000_000,
            Operation::Crash { actor } => self.crash(Place::ACTORS[usize::from(actor % 4)]),
            Operation::Start { actor } => self.start(Place::ACTORS[usize::from(actor % 4)]).await,
            other => self.befall(other),
        }
        self.rest().await;
    }

    /// What befalls messages and commits.
    fn befall(&mut self, operation: Operation) {
        let message = |event: &Event| !matches!(event, Event::Commit { .. });
        match operation {
            Operation::Lose { pick, silent } => {
                if let Some(event) = self.network.pick(pick, message) {
                    self.lose(event, silent);
                }
            }
            Operation::Repeat { pick } => self.repeat(pick),
            Operation::Hold { pick } => self.held.extend(self.network.pick(pick, |_| true)),
            Operation::Release { pick } if !self.held.is_empty() => {
                let place = usize::from(pick) % self.held.len();
                self.network.push(self.held.remove(place));
            }
            Operation::Spoil { pick, .. } | Operation::Refuse { pick } | Operation::Break { pick, .. } => {
                match self.network.pick(pick, |event| can_befall(operation, event)) {
                    Some(event) => self.spoil(operation, event),
                    None => self.next.push(operation),
                }
            }
            Operation::Abandon { pick } => {
                let number = usize::from(pick) % 4;
                if let Some(running) = &mut self.running[number] {
                    running.abandon(pick / 4);
                }
            }
            _ => {}
        }
    }

    fn lose(&mut self, event: Event, silent: bool) {
        let (reply, peer) = match event {
            Event::Request { reply: Some(reply), to, .. } => (reply, to),
            Event::Answer { reply, from, .. } => (reply, from),
            Event::Request { reply: None, .. } | Event::Commit { .. } => return,
        };
        if silent {
            self.silent.push(reply);
            return;
        }
        let reason = "the connection broke".to_owned();
        let unknown = Error::Unknown { peer: format!("{peer:?}"), reason };
        network::answer(reply, Err(self.lie.of_loss().unwrap_or(unknown)));
    }

    fn repeat(&mut self, pick: u8) {
        let request = |event: &Event| matches!(event, Event::Request { from, .. } if *from != Place::Client);
        if let Some(event) = self.network.pick(pick, request) {
            if let Event::Request { from, to, letter, .. } = &event {
                let again = Event::Request { from: *from, to: *to, letter: letter.clone(), reply: None };
                self.network.push(again);
            }
            self.network.put_first(event);
        }
    }

    /// An answer is spoilt, a commit fails.
    fn spoil(&mut self, operation: Operation, event: Event) {
        match (operation, event) {
            (Operation::Spoil { how, .. }, Event::Answer { reply, .. }) => {
                network::answer(reply, self.lie.of_answer(spoilt(how)));
            }
            (Operation::Refuse { .. }, Event::Commit { verdict, .. }) => {
                let _ = verdict.send(Verdict::NoRoom);
            }
            (Operation::Break { written, .. }, Event::Commit { life, verdict }) => {
                let begin = self.clients.now();
                // Whoever gave up its request meanwhile writes nothing, so nothing fails.
                if verdict.send(Verdict::SyncFails { written }).is_ok() {
                    self.record_fault(begin, FaultKind::SyncFailed, life.place);
                }
            }
            _ => {}
        }
    }

    fn record_fault(&self, begin: u64, kind: FaultKind, actor: Place) {
        let fault = Fault {
            kind,
            actor: format!("{actor:?}"),
            detail: String::new(),
            ends_process: matches!(kind, FaultKind::Kill | FaultKind::SyncFailed),
            exit: None,
        };
        self.clients.record(begin, What::Fault(fault));
    }

    fn settle(&self, second: bool) {
        if let Some(repository) = self.repositories[usize::from(second)].clone() {
            // In its own process it ends with it; here its writes and requests then reach nobody.
            drop(tokio::task::spawn_local(async move { repository.settle_now().await }));
        }
    }

    /// Everything under way goes on in its order, at most so many steps.
    async fn run(&mut self, steps: u8) {
        for _ in 0..steps {
            let Some(event) = self.network.first() else { break };
            self.go_on(event);
            self.rest().await;
        }
    }

    /// Time passes, and everything flows.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        loop {
            if let Some(event) = self.network.first() {
                self.go_on(event);
                self.rest().await;
            } else if Instant::now() >= end {
                return;
            } else {
                let network = Arc::clone(&self.network);
                tokio::select! {
                    () = tokio::time::sleep_until(end) => {}
                    () = network.news.notified() => {}
                }
                self.set_clocks();
            }
        }
    }

    /// Waits until nobody has anything to do but to wait. A store that has failed ends its process.
    pub(crate) async fn rest(&mut self) {
        tokio::time::sleep(STEP).await;
        self.set_clocks();
        for actor in Place::ACTORS {
            let number = actor.number().expect("an actor has a number");
            if self.running[number].as_ref().is_some_and(|running| running.life.is_stopped()) {
                self.crash(actor);
            }
        }
        self.watch();
    }

    /// Writes down that the registry has made a merge, or its end, as soon as it has: from here on nothing else may be seen.
    fn watch(&mut self) {
        for number in 0..PATIENTS {
            let id = self.clients.id(number);
            let row = self.stores[0].get(Sort("patient"), &id).expect("the store is open");
            let into = row.and_then(|row| {
                row.edges().find(|(name, _)| *name == "merged-into").map(|(_, into)| into.to_owned())
            });
            let before = std::mem::replace(&mut self.merged[usize::from(number)], into.clone());
            let now = self.clients.now();
            match (before, into) {
                (None, Some(into)) => self.clients.note_merge(now, id, into, 200),
                (Some(from), None) => self.clients.note_unmerge(now, id, from, 200),
                _ => {}
            }
        }
    }

    fn set_clocks(&self) {
        let wall = self.wall();
        for running in self.running.iter().flatten() {
            running.set_clock(wall);
        }
    }

    fn wall(&self) -> i64 {
        let elapsed = i64::try_from(self.began.elapsed().as_micros()).expect("a run is short");
        BEGIN + elapsed + self.skew
    }

    /// A message arrives, a commit is written.
    fn go_on(&mut self, event: Event) {
        let label = event.label();
        self.tell(&label);
        if let Some(place) = self.next.iter().position(|next| can_befall(*next, &event)) {
            let operation = self.next.remove(place);
            self.tell(&format!("now {operation:?}"));
            return self.spoil(operation, event);
        }
        match event {
            Event::Request { from, to, letter, reply } => {
                let number = to.number().expect("only actors are asked");
                let Some(running) = &mut self.running[number] else {
                    let reason = "connection refused".to_owned();
                    let refused = Error::NotReached { peer: format!("{to:?}"), reason };
                    network::answer(reply, Err(refused));
                    return;
                };
                let Some((letter, reply)) = self.lie.of_request(to, letter, reply, &self.stores[0]) else {
                    return;
                };
                let network = Arc::clone(&self.network);
                running.take(letter, move |answer| {
                    if let Some(reply) = reply {
                        network.push(Event::Answer { from: to, to: from, answer, reply });
                    }
                });
            }
            Event::Answer { from, answer, reply, .. } => {
                let answer = if from == Place::Registry { self.lie.of_answer(answer) } else { Ok(answer) };
                network::answer(reply, answer);
            }
            Event::Commit { verdict, .. } => {
                let _ = verdict.send(Verdict::Go);
            }
        }
    }

    /// An actor ends at once.
    pub(crate) fn crash(&mut self, actor: Place) {
        let number = actor.number().expect("only actors crash");
        if let Some(running) = self.running[number].take() {
            let begin = self.clients.now();
            running.end();
            self.record_fault(begin, FaultKind::Kill, actor);
        }
        if let Place::Repository(second) = actor {
            self.repositories[usize::from(second)] = None;
        }
    }

    /// Starts an actor that is not up.
    pub(crate) async fn start(&mut self, actor: Place) {
        let number = actor.number().expect("only actors start");
        if self.running[number].is_some() {
            return;
        }
        let (store, wall, network) = (self.stores[number].clone(), self.wall(), Arc::clone(&self.network));
        let fhir = |actor: Place| format!("{}/fhir", actor.host());
        let running = match actor {
            Place::Registry => {
                let mut settings = registry::Settings::default();
                settings.identity.url = fhir(Place::Identity);
                Running::start::<Registry>(actor, settings, &store, wall, &network).await.0
            }
            Place::Repository(second) => {
                let mut settings = repository::Settings::default();
                settings.registry.url = fhir(Place::Registry);
                settings.identity.url = fhir(Place::Identity);
                let started = Running::start::<Repository>(actor, settings, &store, wall, &network).await;
                self.repositories[usize::from(second)] = Some(started.1);
                started.0
            }
            Place::Identity => {
                let mut settings = identity_source::Settings::default();
                settings.registry.url = fhir(Place::Registry);
                Running::start::<IdentitySource>(actor, settings, &store, wall, &network).await.0
            }
            Place::Client => return,
        };
        self.running[number] = Some(running);
        let begin = self.clients.now();
        let from = FaultKind::Kill;
        let recovery = Recovery { actor: format!("{actor:?}"), from, ready: true, by_hand: false };
        self.clients.record(begin, What::Recovery(recovery));
    }

    /// From now on nothing befalls anything.
    pub(crate) fn end_faults(&mut self) {
        self.next.clear();
    }

    /// Lets everything go that was held back.
    pub(crate) fn release_all(&mut self) {
        for event in std::mem::take(&mut self.held) {
            self.network.push(event);
        }
    }
}

fn can_befall(operation: Operation, event: &Event) -> bool {
    match operation {
        Operation::Spoil { .. } => matches!(event, Event::Answer { to, .. } if *to != Place::Client),
        Operation::Refuse { .. } | Operation::Break { .. } => matches!(event, Event::Commit { .. }),
        _ => false,
    }
}

fn spoilt(how: Spoilt) -> PeerAnswer {
    let (status, body) = match how {
        Spoilt::Failure => (500, &b""[..]),
        Spoilt::Unavailable => (503, &b"<html>upstream</html>"[..]),
        Spoilt::Rubbish => (200, &b"\x00\xff not what you think"[..]),
        Spoilt::Empty => (200, &b"{}"[..]),
    };
    PeerAnswer { status, headers: http::HeaderMap::new(), body: bytes::Bytes::from_static(body) }
}
