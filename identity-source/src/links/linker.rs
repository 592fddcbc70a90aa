//! The linker: behind each feed it looks whom else the patient is known as. It walks the changes of patients from a place that
//! is kept durably, so nothing is missed by a crash, and two feeds at once cannot miss each other: one of them is walked last.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actor::{Check, Clock, failpoint};
use audit::{Action, Event, Outcome};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Batch, Kind, Put, Row, Sequence};
use tokio::sync::{Mutex, Notify, watch};

use super::graph::Graph;
use super::judge::{Judge, Judged};
use super::probable;
use super::record::{LINK, Link, Pair, Verdict};
use super::stated::{Changed, Said, What, linking, stated, written};
use crate::deliver::Delivery;
use crate::records::{Kept, KeptIdentifier, PATIENT, Records};

/// How far the linker has come.
const PLACE: Kind = Kind("linker-place");
/// The one record of it.
const HERE: &str = "linker";
/// Patients read at a time.
const PAGE: usize = 64;
/// Changes walked before the place is kept; after a crash at most so many are walked again, which changes nothing.
const STRIDE: usize = 256;
/// How long a feed waits for its own patient to be looked at before it is answered.
const PATIENCE: Duration = Duration::from_secs(1);
/// A feed does not wait where more than this many commits are before its own.
const TOO_FAR: u64 = 256;
/// The pause after something went wrong, and the longest one when there is nothing to do.
const PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// Rounds of judging a patient again after something came of it, or somebody else was first.
const ROUNDS: usize = 32;
/// Patients counted for the health page, at most.
const COUNTED: usize = 1_000;

/// Where the linker is, in the changes of patients and in those of links.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Walked {
    patients: Sequence,
    links: Sequence,
}

/// The linker.
pub(crate) struct Linker {
    records: Records,
    clock: Clock,
    delivery: Arc<Delivery>,
    judge: Judge,
    deciding: Arc<Mutex<()>>,
    wake: Notify,
    /// Every patient changed up to here has been looked at.
    done: watch::Sender<Sequence>,
}

/// What came of looking at one patient.
struct Decided {
    changed: Changed,
    /// Who is at least probably the same.
    near: Vec<String>,
    /// The pairs about which something changes.
    pairs: Vec<Pair>,
}

impl Decided {
    fn of(changed: Changed) -> Decided {
        let pairs = changed.puts.iter().filter_map(|put| Pair::parse(&put.id)).collect();
        Decided { changed, near: Vec::new(), pairs }
    }
}

/// What came of patients that have nothing to do with each other, not committed yet.
#[derive(Default)]
struct Together {
    changed: Changed,
    /// Of whom it came.
    patients: Vec<String>,
    /// Records that are judged differently once this is committed.
    touched: HashSet<String>,
}

/// Whether a patient can be decided about while something is not committed yet.
enum Beside {
    /// It is.
    Taken,
    /// Not before that is committed.
    Later,
    /// By itself, because others are judged with it.
    Alone,
}

impl Linker {
    /// One that has looked at nobody yet. `deciding` is shared with whoever else decides about links.
    pub(crate) fn new(
        records: Records,
        judge: Judge,
        clock: Clock,
        delivery: Arc<Delivery>,
        deciding: Arc<Mutex<()>>,
    ) -> Linker {
        let (wake, done) = (Notify::new(), watch::Sender::new(0));
        Linker { records, clock, delivery, judge, deciding, wake, done }
    }

    /// Waits until the patients of this commit have been looked at, at most a second, and not at all while the linker has a
    /// long way to go.
    pub(crate) async fn attempt(&self, sequence: Sequence) {
        self.wake.notify_one();
        let mut done = self.done.subscribe();
        if done.borrow().saturating_add(TOO_FAR) < sequence {
            return;
        }
        // Whoever has lost patience is answered; the linker goes on.
        let _ = tokio::time::timeout(PATIENCE, done.wait_for(|done| *done >= sequence)).await;
    }

    /// Walks until the actor stops.
    pub(crate) async fn run(&self, mut stopping: watch::Receiver<bool>) {
        let mut walked = None;
        let mut unkept = 0;
        while !*stopping.borrow() {
            let nap = match self.walk(&mut walked, &mut unkept).await {
                Ok(true) => continue,
                Ok(false) => LONGEST_PAUSE,
                Err(error) => {
                    tracing::error!(%error, "the links of patients could not be judged");
                    PAUSE
                }
            };
            tokio::select! {
                () = self.wake.notified() => {}
                () = tokio::time::sleep(nap) => {}
                changed = stopping.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Walks a page of changes; false at the end of them.
    async fn walk(&self, walked: &mut Option<Walked>, unkept: &mut usize) -> Result<bool, store::Error> {
        let mut here = match *walked {
            Some(here) => here,
            None => self.kept()?,
        };
        let upto = self.records.store().sequence();
        let links = self.records.store().changes(LINK, here.links, PAGE)?;
        let patients = self.records.store().changes(PATIENT, here.patients, PAGE)?;
        let is_end = links.is_empty() && patients.is_empty();
        for row in &links {
            self.look_again(row).await?;
            here.links = row.sequence;
        }
        let last = patients.last().map(|row| row.sequence);
        let mut left = patients.as_slice();
        while !left.is_empty() {
            left = self.look_at_some(left).await?;
        }
        here.patients = last.unwrap_or(here.patients);
        *unkept += links.len() + patients.len();
        *walked = Some(here);
        // Several rows of one commit are one step: only behind the last of them is the commit done.
        self.done.send_replace(if patients.is_empty() { upto } else { here.patients });
        self.measure();
        if (is_end && *unkept > 0) || *unkept >= STRIDE {
            self.keep(here).await?;
            *unkept = 0;
        }
        Ok(!is_end)
    }

    /// Looks at the first of these patients; answers the others. What comes of those that have nothing to do with each other is
    /// one commit: waiting for the disk behind each of them would be what feeds wait for.
    async fn look_at_some<'r>(&self, rows: &'r [Row]) -> Result<&'r [Row], store::Error> {
        let mut together = Together::default();
        let mut alone = None;
        let mut seen = 0;
        {
            let _one_at_a_time = self.deciding.lock().await;
            for row in rows {
                failpoint!(async "id.link.pre_judge");
                match self.decide_beside(&row.id, &mut together)? {
                    Beside::Taken => seen += 1,
                    Beside::Later => break,
                    Beside::Alone => {
                        seen += 1;
                        alone = Some(row.id.as_str());
                        break;
                    }
                }
                tokio::task::yield_now().await;
            }
            if !together.changed.puts.is_empty() {
                // If somebody was first, each is judged by itself below, as those are whom something came of.
                self.commit(self.clock.now(), together.changed, &together.patients).await?;
            }
        }
        for id in together.patients.iter().map(String::as_str).chain(alone) {
            self.look(id).await?;
        }
        Ok(&rows[seen..])
    }

    /// Decides about one patient while what came of others is not committed yet.
    fn decide_beside(&self, id: &str, together: &mut Together) -> Result<Beside, store::Error> {
        let Some(row) = self.records.patient(id)? else { return Ok(Beside::Taken) };
        if row.deleted || !Kept::of(&row)?.active {
            return Ok(Beside::Alone);
        }
        let Decided { changed, near, pairs } = self.decide(&row)?;
        let about = pairs.iter().flat_map(Pair::both).chain([id]);
        let mut rests_on = about.chain(near.iter().map(String::as_str));
        if rests_on.any(|id| together.touched.contains(id)) {
            return Ok(Beside::Later);
        }
        if changed.puts.is_empty() {
            return Ok(Beside::Taken);
        }
        // Whoever hangs together with a record whose links change is judged by what comes of that.
        for id in pairs.iter().flat_map(Pair::both).chain([id]) {
            together.touched.extend(Graph::new(&self.records).reach(id)?.ids);
        }
        together.patients.push(id.to_owned());
        together.changed.puts.extend(changed.puts);
        if let Some(told) = changed.told {
            together.changed.told.get_or_insert_default().groups.extend(told.groups);
        }
        Ok(Beside::Taken)
    }

    /// Commits what came of judging these patients; that somebody else was first is no failure.
    async fn commit(
        &self,
        now: store::Instant,
        changed: Changed,
        patients: &[String],
    ) -> Result<(), store::Error> {
        let mut batch = linking(now, changed, self.delivery.receivers());
        let links = batch.puts.iter().filter(|put| put.kind == LINK);
        let pairs: Vec<Pair> = links.filter_map(|put| Pair::parse(&put.id)).collect();
        batch.audit.extend(patients.iter().map(|id| event(now, id, &pairs, patients.len() == 1)));
        let records = batch.audit.len() as u64;
        failpoint!(async "id.link.pre_commit");
        match self.records.store().apply(batch).await {
            Ok(_) => {
                self.delivery.wake();
                actor::meter::count("docshare_audit_events_total", &[("result", "written")], records);
                Ok(())
            }
            Err(store::Error::Lost(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A link that stands no longer may be made anew on other grounds: both records are looked at again.
    async fn look_again(&self, row: &Row) -> Result<(), store::Error> {
        if row.deleted {
            return Ok(());
        }
        let link = Link::of(row)?;
        if link.decision.verdict == Verdict::Withdrawn {
            for id in link.pair.both() {
                self.judge(id).await?;
            }
        }
        Ok(())
    }

    /// Looks at one patient. One who is out of use may have been in the way of others.
    async fn look(&self, id: &str) -> Result<(), store::Error> {
        if let Some(row) = self.records.patient(id)?
            && (row.deleted || !Kept::of(&row)?.active)
        {
            for pair in probable::with(self.records.store(), id)? {
                self.judge(pair.other(id)).await?;
            }
        }
        self.judge(id).await
    }

    /// Judges one patient; commits what comes of it, if anything does.
    async fn judge(&self, id: &str) -> Result<(), store::Error> {
        for _ in 0..ROUNDS {
            let _one_at_a_time = self.deciding.lock().await;
            let Some(row) = self.records.patient(id)? else { return Ok(()) };
            let changed = self.decide(&row)?.changed;
            if changed.puts.is_empty() {
                return Ok(());
            }
            // What it came to may have made room for more.
            self.commit(self.clock.now(), changed, &[id.to_owned()]).await?;
        }
        // Whoever is changed again comes again; so many rounds in one go would keep everybody else waiting.
        tracing::warn!(patient = id, rounds = ROUNDS, "the links of a patient did not come to rest");
        Ok(())
    }

    fn decide(&self, row: &Row) -> Result<Decided, store::Error> {
        let now = self.clock.now();
        let what = if row.deleted {
            What::Gone
        } else {
            let kept = Kept::of(row)?;
            if kept.replaced_by.is_some() {
                // Its links stay, so that an unmerge finds them; nobody is to be asked whether it is somebody's duplicate.
                let probable = self.judge.judge(row, now, LINKER)?.probable;
                return Ok(Decided::of(Changed { puts: probable, told: None }));
            }
            self.states(&row.id, &kept)?
        };
        let changed = stated(&self.records, &[Said { id: row.id.clone(), what }], LINKER, now)?;
        if !changed.puts.is_empty() {
            return Ok(Decided::of(changed));
        }
        let Judged { links, probable, near } = self.judge.judge(row, now, LINKER)?;
        let mut changed = written(Graph::new(&self.records), links)?;
        changed.puts.extend(probable);
        Ok(Decided { near, ..Decided::of(changed) })
    }

    /// What a record says as it stands.
    fn states(&self, id: &str, kept: &Kept) -> Result<What, store::Error> {
        let mut states = Vec::new();
        for known in kept.identifiers.iter().filter(|known| !known.held) {
            let identifier = self.records.authorities().identifier(&known.identifier());
            let holder = self.records.holder(&identifier)?.filter(|holder| holder != id);
            states.extend(holder.map(|holder| (identifier, holder)));
        }
        let canonical = |known: &KeptIdentifier| self.records.authorities().identifier(&known.identifier());
        Ok(What::States {
            active: kept.active,
            home: kept.home().to_owned(),
            holds: kept.held().map(canonical).collect(),
            states,
        })
    }
    fn kept(&self) -> Result<Walked, store::Error> {
        let Some(row) = self.records.store().get(PLACE, HERE)? else { return Ok(Walked::default()) };
        serde_json::from_slice(&row.body).map_err(|error| {
            store::Error::Damaged(format!("the place of the linker cannot be read: {error}"))
        })
    }

    async fn keep(&self, here: Walked) -> Result<(), store::Error> {
        let version = self.records.store().get(PLACE, HERE)?.map_or(0, |row| row.version);
        let put = Put {
            kind: PLACE,
            id: HERE.to_owned(),
            version: version + 1,
            partition: String::new(),
            order: 0,
            facts: Vec::new(),
            edges: Vec::new(),
            body: serde_json::to_vec(&here).expect("two numbers can be written as JSON").into(),
            rendering: Bytes::new(),
            deleted: false,
        };
        // Taken on a full volume too: it only says what is done.
        let batch =
            Batch { instant: self.clock.now(), puts: vec![put], concluding: true, ..Batch::default() };
        self.records.store().apply(batch).await.map(|_| ())
    }

    /// Patients that were not looked at yet (at most a thousand are counted) and the age of the oldest change in seconds.
    fn backlog(&self) -> (usize, i64) {
        let behind = self.records.store().changes(PATIENT, *self.done.borrow(), COUNTED).unwrap_or_default();
        let age = behind.first().map_or(0, |oldest| (self.clock.now() - oldest.instant) / 1_000_000);
        (behind.len(), age.max(0))
    }

    fn measure(&self) {
        let behind = self.records.store().sequence().saturating_sub(*self.done.borrow());
        actor::meter::set("docshare_linker_behind_commits", &[], behind);
    }

    /// What the health page says. A linker that is behind does not make this actor unready.
    pub(crate) fn check(&self) -> Check {
        let text = match self.backlog() {
            (0, _) => "every patient has been looked at".to_owned(),
            (count, age) => format!("patients to be looked at: {count}, the oldest for {age} s"),
        };
        Check { name: "linker", ok: true, text }
    }
}

/// Who decides where nobody called.
const LINKER: &str = "linker";

/// What an auditor is told of what came of looking at a patient: the links that were decided about, with everybody whom they
/// are of; or else that it was found who may be the same. `is_alone`: everything that was decided came of this patient.
fn event(now: store::Instant, id: &str, decided: &[Pair], is_alone: bool) -> Bytes {
    let mut patients = vec![id];
    for other in decided.iter().filter(|pair| is_alone || pair.both().contains(&id)).flat_map(Pair::both) {
        if !patients.contains(&other) {
            patients.push(other);
        }
    }
    let transaction = if patients.len() > 1 { "link" } else { "duplicates" };
    let event = Event {
        transaction: transaction.to_owned(),
        action: Action::Update,
        outcome: Outcome::Success,
        recorded: now,
        caller: LINKER.to_owned(),
        address: String::new(),
        request: String::new(),
        trace: String::new(),
        patient: Some(id.to_owned()),
        entities: patients.iter().map(|id| format!("Patient/{id}")).collect(),
        query: None,
        reason: None,
    };
    event.to_bytes().into()
}
