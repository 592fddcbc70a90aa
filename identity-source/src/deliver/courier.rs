//! The courier to one receiver: walks its outbox from the oldest message to the newest, sends what may be sent, remembers what
//! was refused, and rests while the receiver is away.
//!
//! A walk goes over the outbox once; what is left meanwhile comes at its end. Messages that were refused, and those behind them
//! that touch the same patients, stay behind; once a refused one is to be tried again, the walk begins anew.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use actor::{Check, Clock, House, failpoint, meter};
use audit::{Action, Event, Outcome};
use futures_util::StreamExt;
use store::{Batch, Pending, Sequence, Store};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use web::Peer;

use super::PATIENCE;
use super::again::Acquaintance;
use super::answer::Refusal;
use super::ledger::{Ledger, Untold};
use super::operator::Order;
use super::order::{self, Held, Key, key};
use super::send::{Sent, Way};
use super::silence::{Silences, Turn, Verdict};
use crate::config::Settings;
use crate::receivers::{Known, Protocol};
use crate::records::Records;

/// Messages taken from the outbox at a time.
const PAGE: usize = 256;
/// The pause after a first try that came to nothing.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest pause between tries while the receiver is away, or refuses for the moment.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The pause after a message was refused for what it is.
const FIRST_REFUSED: Duration = Duration::from_secs(5);
/// Messages that may be refused before no further ones are sent: then it is not the messages that are at fault.
pub(super) const MOST_REFUSED: usize = 1_000;
/// How often the backlog is counted.
const COUNTED: Duration = Duration::from_secs(1);
/// A count that took longer than this is not repeated at every occasion, but after so many times as long: what waits for a receiver
/// that is away for days is counted one by one.
const QUICKLY: Duration = Duration::from_millis(1);
const SELDOM: u32 = 50;

/// The courier to one receiver.
pub(crate) struct Courier {
    pub(super) receiver: Known,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) records: Records,
    pub(super) way: Way,
    wake: Notify,
    /// Everything left up to here was tried, or has to wait.
    passed: watch::Sender<Sequence>,
    shown: Mutex<Shown>,
    pub(super) orders: Mutex<Vec<Order>>,
}

/// What operators are shown.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    /// Why the receiver counts as away.
    pub(super) away: Option<String>,
    /// Since when one try after the other finds it away.
    away_since: Option<Instant>,
    /// Messages that were refused, by their place.
    pub(super) refused: BTreeMap<Key, Refused>,
    /// What it said to the last message it did not take.
    pub(super) last_refusal: Option<String>,
    /// Messages that are not answered.
    pub(super) silences: Silences,
    /// Whether it is being told of everybody.
    pub(super) introducing: bool,
    /// What could not be told.
    pub(super) unsaid: u64,
    /// The latest of that.
    pub(super) latest: Vec<Untold>,
}

/// A message that was refused.
#[derive(Debug, Clone)]
pub(super) struct Refused {
    /// The patients it touches.
    pub(super) stream: String,
    /// What the receiver said, in codes.
    pub(super) words: String,
    /// How often.
    pub(super) tries: u32,
    /// When first, microseconds since 1970.
    pub(super) since: i64,
    /// When it is tried again.
    due: Instant,
}

/// Where a courier is.
#[derive(Default)]
pub(super) struct Walk {
    /// The last message that was looked at.
    cursor: Option<Key>,
    /// Patients for whom something stays behind.
    held: Held,
    /// The receiver's ledger.
    pub(super) ledger: Option<Ledger>,
    /// What is known of a registry of ours.
    pub(super) registry: Acquaintance,
    /// How often those who were told how things stand fell silent, by id.
    pub(super) unanswered: HashMap<String, u32>,
}

impl Walk {
    /// From the oldest message on.
    pub(super) fn restart(&mut self) {
        self.cursor = None;
        self.held = Held::default();
    }
}

/// The last count of what waits.
#[derive(Clone, Copy)]
struct Counted {
    took: Duration,
    at: Instant,
}

impl Counted {
    /// Whether to count again: after a while, and at once where there is nothing else to do.
    fn is_over(&self, is_quiet: bool) -> bool {
        let pause = if self.took > QUICKLY { self.took.saturating_mul(SELDOM) } else { Duration::ZERO };
        let usual = if is_quiet { Duration::ZERO } else { COUNTED };
        self.at.elapsed() >= pause.max(usual)
    }
}

/// How a step went.
pub(super) enum Step {
    /// There may be more.
    Went,
    /// Everything that may be sent is sent.
    Done,
    /// The receiver is away.
    Away,
}

/// How a rest ended.
enum Rested {
    /// Before its time.
    Woken,
    /// In its time.
    Over,
    /// The actor is no more.
    Gone,
}

/// What became of a lane of messages.
#[derive(Default)]
struct Lane {
    delivered: Vec<Key>,
    stays: Held,
    untold: Vec<Untold>,
    audit: Vec<bytes::Bytes>,
}

impl Courier {
    /// A courier at the start of its way; refuses with words for the operator.
    pub(super) fn new(house: &House<Settings>, records: &Records, known: &Known) -> Result<Courier, String> {
        let store = house.corridor.store.clone();
        Ok(Courier {
            way: Way::new(house, known)?,
            receiver: known.clone(),
            clock: house.clock.clone(),
            records: records.clone(),
            wake: Notify::new(),
            passed: watch::Sender::new(0),
            shown: Mutex::default(),
            orders: Mutex::default(),
            store,
        })
    }

    /// Its receiver's name.
    pub(crate) fn name(&self) -> &'static str {
        self.receiver.name
    }

    /// Wakes it and waits until it has tried what was left up to here; not for a receiver that has been away for a while. One
    /// that was away only just, as while everything is started, has its next try soon.
    pub(super) async fn tried(&self, sequence: Sequence) {
        let mut passed = self.passed.subscribe();
        self.wake();
        if self.shown().away_since.is_some_and(|since| since.elapsed() > PATIENCE) {
            return;
        }
        // The sender lives as long as the courier.
        let _ = passed.wait_for(|passed| *passed >= sequence).await;
    }

    /// There is something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn shown(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Delivers until the actor stops.
    pub(super) async fn run(&self, mut stopping: watch::Receiver<bool>) {
        let mut walk = Walk::default();
        let mut pause = FIRST_PAUSE;
        let mut counted: Option<Counted> = None;
        while !*stopping.borrow() {
            let step = match self.obey(&mut walk).await {
                Ok(()) => self.step(&mut walk, &stopping).await,
                Err(error) => Err(error),
            };
            let is_quiet = !matches!(step, Ok(Step::Went));
            let is_away = matches!(step, Ok(Step::Away) | Err(_));
            {
                let mut shown = self.shown();
                shown.away_since = is_away.then(|| shown.away_since.unwrap_or_else(Instant::now));
            }
            if counted.is_none_or(|counted| counted.is_over(is_quiet)) {
                let began = Instant::now();
                self.measure();
                counted = Some(Counted { took: began.elapsed(), at: Instant::now() });
            }
            let nap = match step {
                Ok(Step::Went) => {
                    pause = FIRST_PAUSE;
                    continue;
                }
                Ok(Step::Done) => {
                    pause = FIRST_PAUSE;
                    self.next_due().map_or(LONGEST_PAUSE, |due| due.saturating_duration_since(Instant::now()))
                }
                Ok(Step::Away) => pause,
                Err(error) => {
                    tracing::error!(receiver = self.name(), %error, "the outbox could not be read or marked");
                    // Nobody waits for what cannot be done now.
                    self.passed.send_replace(self.store.sequence());
                    pause
                }
            };
            // Whoever feeds wakes it: a receiver that is away is not tried at each feed, but as often as after a first failure.
            let least = if is_away { FIRST_PAUSE } else { Duration::ZERO };
            match self.rest(nap.min(LONGEST_PAUSE), least, &mut stopping).await {
                Rested::Woken => {}
                Rested::Over => pause = (pause * 2).min(LONGEST_PAUSE),
                Rested::Gone => return,
            }
        }
    }

    /// Rests for so long, and at least for `least` if it is woken; not if the actor stops or an operator wants something.
    async fn rest(&self, nap: Duration, least: Duration, stopping: &mut watch::Receiver<bool>) -> Rested {
        let (over, earliest) = (Instant::now() + nap, Instant::now() + least.min(nap));
        let mut is_woken = false;
        loop {
            let until = if is_woken { earliest } else { over };
            tokio::select! {
                () = self.wake.notified() => {
                    is_woken = true;
                    if self.has_orders() || Instant::now() >= earliest {
                        return Rested::Woken;
                    }
                }
                () = tokio::time::sleep_until(until) => {
                    return if is_woken { Rested::Woken } else { Rested::Over };
                }
                changed = stopping.changed() => {
                    return if changed.is_err() { Rested::Gone } else { Rested::Woken };
                }
            }
        }
    }

    /// One page of the outbox, or of those the receiver has not heard of yet.
    async fn step(&self, walk: &mut Walk, stopping: &watch::Receiver<bool>) -> Result<Step, store::Error> {
        let seen = self.store.sequence();
        let met = match &self.way {
            Way::Registry(peer) => self.meet(peer, &mut walk.registry, stopping).await?,
            Way::Mllp(_) | Way::Soap(_) | Way::Messages(_) => self.introduce(walk).await?,
        };
        match met {
            Step::Done => {}
            Step::Went => return Ok(Step::Went),
            Step::Away => {
                self.passed.send_replace(seen);
                return Ok(Step::Away);
            }
        }
        if self.next_due().is_some_and(|due| due <= Instant::now()) {
            walk.restart();
        }
        let page = match self.shown().silences.are_too_many() {
            true => Vec::new(),
            false => self.store.pending_behind(&self.receiver.peer, walk.cursor, PAGE)?,
        };
        let Some(last) = page.last().map(key) else { return self.turn(seen, walk).await };
        let going = self.going(page, walk);
        let is_away = self.deliver(going, walk).await?;
        if is_away {
            self.passed.send_replace(seen);
            walk.registry.doubt();
            return Ok(Step::Away);
        }
        {
            let mut shown = self.shown();
            shown.away = shown.silences.words();
        }
        walk.cursor = Some(last);
        self.passed.send_if_modified(|passed| {
            let is_new = *passed < last.0;
            *passed = last.0.max(*passed);
            is_new
        });
        if self.shown().refused.len() >= MOST_REFUSED {
            self.passed.send_replace(self.store.sequence());
            return Ok(Step::Done);
        }
        Ok(Step::Went)
    }

    /// At the end of the walk: whose turn it is of those that are not answered.
    async fn turn(&self, seen: Sequence, walk: &mut Walk) -> Result<Step, store::Error> {
        let turn = self.shown().silences.turn();
        let (key, words) = match turn {
            Turn::Nobody => {
                self.shown().away = None;
                self.passed.send_replace(seen);
                return Ok(Step::Done);
            }
            Turn::All => {
                walk.restart();
                return Ok(Step::Went);
            }
            Turn::One(key, words) => (key, words),
        };
        let before = match key {
            (sequence, 0) => (sequence.saturating_sub(1), u32::MAX),
            (sequence, position) => (sequence, position - 1),
        };
        let mut page = self.store.pending_behind(&self.receiver.peer, Some(before), 1)?;
        page.retain(|message| order::key(message) == key);
        if page.is_empty() {
            self.shown().silences.forget(&key);
            return Ok(Step::Went);
        }
        self.shown().away = Some(words);
        let answers = self.shown().silences.answers();
        let is_away = self.deliver(page, walk).await?;
        self.passed.send_replace(self.store.sequence());
        if is_away || self.shown().silences.answers() == answers {
            walk.registry.doubt();
            return Ok(Step::Away);
        }
        walk.restart();
        Ok(Step::Went)
    }

    /// Those of a page that may be sent now.
    fn going(&self, page: Vec<Pending>, walk: &mut Walk) -> Vec<Pending> {
        let now = Instant::now();
        let shown = self.shown();
        let mut going = Vec::with_capacity(page.len());
        for message in page {
            let waits = shown.refused.get(&key(&message)).is_some_and(|refused| refused.due > now)
                || !shown.silences.lets_go(&key(&message));
            if walk.held.keeps(&message) {
                continue;
            }
            if waits {
                walk.held.hold(&message);
            } else {
                going.push(message);
            }
        }
        going
    }

    /// Sends messages, lane beside lane, and marks those that arrived; whether the receiver turned out to be away.
    async fn deliver(&self, going: Vec<Pending>, walk: &mut Walk) -> Result<bool, store::Error> {
        if going.is_empty() {
            return Ok(false);
        }
        let away = RefCell::new(None);
        let until = walk.ledger.as_ref().and_then(|ledger| ledger.until).unwrap_or(0);
        let meant = walk.registry.meant.clone();
        let lanes = order::lanes(going).into_iter();
        let lanes = lanes.map(|lane| self.lane(lane, meant.as_deref(), until, &away));
        let outcomes: Vec<Result<Lane, store::Error>> =
            futures_util::stream::iter(lanes).buffer_unordered(self.way.at_once()).collect().await;
        failpoint!(async "id.outbox.sent");
        let mut batch = Batch { instant: self.clock.now(), ..Batch::default() };
        let mut untold = Vec::new();
        let mut failed = None;
        for outcome in outcomes {
            match outcome {
                Ok(lane) => {
                    let marks = lane.delivered.iter();
                    let marks = marks.map(|(sequence, at)| (self.receiver.peer.clone(), *sequence, *at));
                    batch.delivered.extend(marks);
                    batch.audit.extend(lane.audit);
                    walk.held.extend(lane.stays);
                    untold.extend(lane.untold);
                }
                // What else was delivered is marked all the same.
                Err(error) => failed = Some(error),
            }
        }
        {
            let mut shown = self.shown();
            for (_, sequence, position) in &batch.delivered {
                shown.refused.remove(&(*sequence, *position));
                shown.silences.forget(&(*sequence, *position));
            }
        }
        self.remember(untold, walk, &mut batch)?;
        self.commit(batch).await?;
        if let Some(error) = failed {
            return Err(error);
        }
        let away = away.into_inner();
        let is_away = away.is_some();
        if is_away {
            self.shown().away = away;
        }
        Ok(is_away)
    }

    /// Writes down what could not be told.
    fn remember(&self, untold: Vec<Untold>, walk: &mut Walk, batch: &mut Batch) -> Result<(), store::Error> {
        let Some(ledger) = walk.ledger.as_mut().filter(|_| !untold.is_empty()) else { return Ok(()) };
        for one in untold {
            tracing::warn!(
                receiver = self.name(),
                patient = one.patient,
                "{} has no word for it: {}; put it right there by hand",
                self.receiver.protocol().transaction(),
                one.what.words()
            );
            ledger.note(one);
        }
        ledger.put(&self.store, &self.receiver.peer, batch)?;
        self.show(ledger);
        Ok(())
    }

    /// What operators are shown of the ledger.
    pub(super) fn show(&self, ledger: &Ledger) {
        let mut shown = self.shown();
        shown.introducing = ledger.until.is_none();
        shown.unsaid = ledger.unsaid;
        shown.latest.clone_from(&ledger.latest);
    }

    /// Commits, if there is anything to be committed.
    pub(super) async fn commit(&self, batch: Batch) -> Result<(), store::Error> {
        let is_empty = batch.delivered.is_empty()
            && batch.puts.is_empty()
            && batch.audit.is_empty()
            && batch.outgoing.is_empty();
        if is_empty {
            return Ok(());
        }
        let records = batch.audit.len() as u64;
        self.store.apply(batch).await?;
        if records > 0 {
            meter::count("docshare_audit_events_total", &[("result", "written")], records);
        }
        Ok(())
    }

    /// Messages that touch common patients, one behind the other.
    async fn lane(
        &self,
        messages: Vec<Pending>,
        meant: Option<&str>,
        until: Sequence,
        away: &RefCell<Option<String>>,
    ) -> Result<Lane, store::Error> {
        let mut lane = Lane::default();
        for message in messages {
            if away.borrow().is_some() {
                break;
            }
            if lane.stays.keeps(&message) {
                continue;
            }
            match self.send(&message, meant, until).await? {
                Sent::Taken { events, untold } => {
                    lane.audit.extend(events.iter().map(|event| bytes::Bytes::from(event.to_bytes())));
                    lane.untold.extend(untold);
                    lane.delivered.push(key(&message));
                }
                Sent::Refused(refusal) => {
                    self.shown().silences.forget(&key(&message));
                    lane.audit.extend(self.refused(&message, &refusal));
                    lane.stays.hold(&message);
                }
                Sent::Silent(words) => match self.fell_silent(&message, &words) {
                    Verdict::Away => {
                        tracing::debug!(receiver = self.name(), "silent: {words}");
                        away.replace(Some(words));
                    }
                    Verdict::Aside => lane.stays.hold(&message),
                    Verdict::Refused(refusal) => {
                        lane.audit.extend(self.refused(&message, &refusal));
                        lane.stays.hold(&message);
                        if self.shown().silences.are_in_a_row() {
                            away.replace(Some(words));
                        }
                    }
                },
                Sent::Away(words) => {
                    tracing::debug!(receiver = self.name(), "away: {words}");
                    away.replace(Some(words));
                }
            }
        }
        Ok(lane)
    }

    /// What follows from a message no answer came to.
    fn fell_silent(&self, message: &Pending, words: &str) -> Verdict {
        let mut shown = self.shown();
        let was_refused = shown.refused.contains_key(&key(message));
        shown.silences.fell_silent(key(message), &message.stream, words, was_refused)
    }

    /// Remembers that a message was refused; answers the audit record of the first time.
    fn refused(&self, message: &Pending, refusal: &Refusal) -> Option<bytes::Bytes> {
        let now = self.clock.now();
        let mut shown = self.shown();
        let tries = shown.refused.get(&key(message)).map_or(0, |before| before.tries) + 1;
        let (first, longest) = if refusal.passes {
            (FIRST_PAUSE, LONGEST_PAUSE)
        } else {
            (FIRST_REFUSED, Duration::from_millis(self.receiver.settings.refused_pause_ms))
        };
        let pause = first.saturating_mul(1 << (tries - 1).min(20)).min(longest);
        let since = shown.refused.get(&key(message)).map_or(now, |before| before.since);
        let refused = Refused {
            stream: message.stream.clone(),
            words: refusal.words.clone(),
            tries,
            since,
            due: Instant::now() + pause,
        };
        shown.refused.insert(key(message), refused);
        shown.last_refusal = Some(refusal.words.clone());
        drop(shown);
        let patient = message.stream.split(' ').next().unwrap_or_default();
        tracing::warn!(
            receiver = self.name(),
            patient,
            message = format!("{}.{}", message.sequence, message.position),
            tries,
            "refused: {}; it is sent again in {pause:?}, and what concerns this patient waits",
            refusal.words
        );
        let is_audited = tries == 1 && self.receiver.protocol() != Protocol::Fhir;
        is_audited.then(|| {
            let event = self.event(
                Action::Update,
                Outcome::MinorFailure,
                patient,
                &format!("{}.{}", message.sequence, message.position),
            );
            Event { reason: Some(refusal.words.clone()), ..event }.to_bytes().into()
        })
    }

    /// A record of what was sent, for an auditor.
    pub(super) fn event(&self, action: Action, outcome: Outcome, patient: &str, request: &str) -> Event {
        Event {
            transaction: self.receiver.protocol().transaction().to_owned(),
            action,
            outcome,
            recorded: self.clock.now(),
            caller: format!("outbox:{}", self.name()),
            address: self.way.place().to_owned(),
            request: request.to_owned(),
            trace: String::new(),
            patient: Some(patient.to_owned()),
            entities: vec![format!("Patient/{patient}")],
            query: None,
            reason: None,
        }
    }

    /// When the next of the refused messages is to be tried.
    fn next_due(&self) -> Option<Instant> {
        self.shown().refused.values().map(|refused| refused.due).min()
    }

    /// Messages that wait, and the age of the oldest in seconds.
    pub(super) fn backlog(&self) -> (u64, i64) {
        let backlog = self.store.backlog(&self.receiver.peer).unwrap_or_default();
        let age = backlog.oldest.map_or(0, |oldest| (self.clock.now() - oldest) / 1_000_000);
        (backlog.messages, age.max(0))
    }

    fn measure(&self) {
        let (count, age) = self.backlog();
        let peer = [("peer", self.name())];
        meter::set("docshare_outbox_pending", &peer, count);
        meter::set("docshare_outbox_oldest_seconds", &peer, age.unsigned_abs());
        meter::set("docshare_outbox_refused", &peer, self.shown().refused.len() as u64);
    }

    /// Its line on the health page: no word of any patient.
    pub(super) fn check(&self) -> Check {
        let (count, age) = self.backlog();
        let shown = self.shown().clone();
        let of = match self.receiver.protocol() {
            Protocol::Fhir => self.name() == crate::receivers::REGISTRY,
            Protocol::Iti8 | Protocol::Iti44 | Protocol::Iti93 | Protocol::Iti10 => false,
        };
        let who = match of {
            true => "the registry".to_owned(),
            false => format!("{} ({})", self.name(), self.receiver.protocol().transaction()),
        };
        let mut parts = Vec::new();
        match count {
            0 if shown.introducing => parts.push(format!("{who} is being told of every patient")),
            0 => parts.push(format!("{who} knows every patient")),
            _ => parts.push(format!("messages waiting for {who}: {count}, the oldest for {age} s")),
        }
        if let Some(words) = &shown.away {
            parts.push(format!("it is away: {words}"));
        }
        if !shown.refused.is_empty() {
            let last = shown.last_refusal.as_deref().unwrap_or_default();
            parts.push(format!("refused: {}, the last with {last}", shown.refused.len()));
        }
        if shown.refused.len() >= MOST_REFUSED {
            parts.push("so many that nothing else is sent".to_owned());
        }
        if shown.unsaid > 0 {
            let number = self.receiver.protocol().transaction();
            parts.push(format!(
                "changes {number} has no word for, to be put right there by hand: {}",
                shown.unsaid
            ));
        }
        let name = if of { "registry-feed" } else { self.name() };
        Check { name, ok: true, text: parts.join("; ") }
    }

    /// Its peer over HTTP, if it has one.
    pub(super) fn peer(&self) -> Option<&Peer> {
        match &self.way {
            Way::Registry(peer) | Way::Soap(peer) | Way::Messages(peer) => Some(peer),
            Way::Mllp(_) => None,
        }
    }
}
