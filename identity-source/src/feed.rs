//! Taking patients in, revising, merging, unmerging and removing them, whichever transaction says so [ITI-104, ITI-8, ITI-44,
//! ITI-93].

mod decide;

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use bytes::Bytes;
use fhir::document_reference::Stamp;
use fhir::patient::Patient;
use serde_json::{Map, Value};
use xds::{Findings, Identifier, Place};

use crate::deliver::Delivery;
use crate::events::{Event, Happened, Stood};
use crate::links::Linker;
use crate::records::{Draft, Records};

/// Rounds of deciding a feed again after somebody else was first; each round somebody wins.
const ROUNDS: usize = 64;

/// The number a feed goes by.
pub(crate) trait Number: 'static {
    /// As the framework writes it.
    const NUMBER: &'static str;
}

/// Patient Identity Feed FHIR.
pub(crate) struct Iti104;

impl Number for Iti104 {
    const NUMBER: &'static str = "ITI-104";
}

/// Patient Identity Feed HL7 V3.
pub(crate) struct Iti44;

impl Number for Iti44 {
    const NUMBER: &'static str = "ITI-44";
}

/// Mobile Patient Identity Feed.
pub(crate) struct Iti93;

impl Number for Iti93 {
    const NUMBER: &'static str = "ITI-93";
}

/// Patient Identity Feed.
pub(crate) struct Iti8;

impl Number for Iti8 {
    const NUMBER: &'static str = "ITI-8";
}

/// What every feed shares.
pub(crate) struct Feeding {
    records: Records,
    clock: Clock,
    delivery: Arc<Delivery>,
    linker: Arc<Linker>,
    /// What takes a patient's place away is decided one at a time, so that two merges cannot close a ring, and nobody is merged
    /// into somebody who is being removed.
    merging: tokio::sync::Mutex<()>,
}

impl Feeding {
    pub(crate) fn new(
        records: Records,
        clock: Clock,
        delivery: Arc<Delivery>,
        linker: Arc<Linker>,
    ) -> Feeding {
        Feeding { records, clock, delivery, linker, merging: tokio::sync::Mutex::new(()) }
    }
}

/// The use case, under the number of a transaction.
pub(crate) struct FeedPatient<N> {
    feeding: Arc<Feeding>,
    number: PhantomData<fn() -> N>,
}

impl<N: Number> FeedPatient<N> {
    pub(crate) fn of(feeding: &Arc<Feeding>) -> FeedPatient<N> {
        FeedPatient { feeding: feeding.clone(), number: PhantomData }
    }
}

/// What is asked: changes that are decided one after the other, each seeing those before it, and committed together or not at
/// all.
pub(crate) struct Request {
    /// The changes, at least one.
    pub(crate) changes: Vec<Change>,
    /// Versions of `If-Match`, if given; empty stands for any. It is about each of the changes.
    pub(crate) if_match: Option<Vec<String>>,
    /// Whether there must be no such Patient yet (`If-None-Match: *`).
    pub(crate) only_new: bool,
    /// A name the request has for its source, claimed with its commit: the same request again does nothing, and is answered
    /// with no change at all.
    pub(crate) once: Option<String>,
    /// The message the changes came in, as an auditor is told of it; a message is executed, whatever its changes are.
    pub(crate) message: Option<String>,
}

/// One change. Its place says where in the request it stands: findings name places below it.
pub(crate) enum Change {
    /// What a source says of a patient: new, revised, merged (`replaced_by`) or unmerged.
    Put {
        /// The identifier the source knows the patient by, or this server's base and `Patient/{id}`.
        condition: Identifier,
        /// The patient.
        patient: Box<Patient>,
        /// Whether an explicit `active` true of a merged patient undoes the merge.
        unmerges: bool,
        /// Whether a mother (a contained RelatedPerson) who is known stays known where this says nothing of one.
        keeps_mother: bool,
        /// e.g. `Patient`.
        at: Place,
    },
    /// What a source says of a patient, to be laid over what is known: it says no more than what is new.
    Told {
        /// The identifier the source knows the patient by.
        condition: Identifier,
        /// Every identifier it states.
        stated: Vec<Identifier>,
        /// The patient, by the members of the one that stands, if there is one.
        over: Box<Over>,
        /// e.g. `PID-3`.
        at: Place,
    },
    /// A patient becomes a duplicate of another one, of which its source says nothing more.
    Merge {
        /// Who goes.
        subsumed: Identifier,
        /// Who stays.
        survivor: Identifier,
        /// Where it stands who goes, e.g. `MRG-1`.
        at: Place,
        /// Where it stands who stays, e.g. `PID-3`.
        survivor_at: Place,
    },
    /// A patient is removed.
    Remove {
        /// The identifier its source knows it by.
        identifier: Identifier,
        /// Where that stands.
        at: Place,
    },
}

/// A patient as it reads over what stands.
pub(crate) type Over = dyn Fn(Option<&Map<String, Value>>) -> Result<Patient, Findings>;

impl Change {
    /// Whether it takes somebody's place away.
    fn retires(&self) -> bool {
        match self {
            Change::Put { patient, .. } => patient.replaced_by.is_some(),
            Change::Told { .. } => false,
            Change::Merge { .. } | Change::Remove { .. } => true,
        }
    }
}

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Id here; empty where nobody was to be removed.
    pub(crate) id: String,
    /// Version and time.
    pub(crate) stamp: Stamp,
    /// What happened; none where it stood so already.
    pub(crate) happened: Option<Happened>,
    /// As readers get it.
    pub(crate) rendering: Bytes,
}

impl Fed {
    fn stands(stood: Stood) -> Fed {
        let stamp = Stamp { version: stood.version, updated: stood.kept.updated };
        Fed { id: stood.id, stamp, happened: None, rendering: stood.rendering }
    }

    fn of(happened: Happened, stood: Stood) -> Fed {
        Fed { happened: Some(happened), ..Fed::stands(stood) }
    }

    /// Whether the patient was not known before.
    pub(crate) fn created(&self) -> bool {
        self.happened.is_some() && self.stamp.version == 1
    }
}

impl<N: Number> Transaction for FeedPatient<N> {
    type Request = Request;
    type Response = Vec<Fed>;
    type Findings = Findings;
    const NUMBER: &'static str = N::NUMBER;
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        request: Request,
    ) -> Result<Audited<Vec<Fed>>, Fault<Findings>> {
        self.feeding.feed(trail, &request).await
    }
}

impl Feeding {
    async fn feed(&self, mut trail: Trail, request: &Request) -> Result<Audited<Vec<Fed>>, Fault<Findings>> {
        let mut one_at_a_time = match request.changes.iter().any(Change::retires) {
            true => Some(self.merging.lock().await),
            false => None,
        };
        for _ in 0..ROUNDS {
            let mut draft = Draft::new(&self.records, self.clock.now());
            let fed = match &request.once {
                Some(name) if !draft.take_once(name)? => Vec::new(),
                Some(_) | None => {
                    let decided = self.decide(&mut draft, request, &trail.context().base);
                    // Somebody was first while this was read: neither what is refused nor what is done may be so.
                    if draft.is_stale()? {
                        continue;
                    }
                    decided?
                }
            };
            draft.link(&trail.context().caller.name)?;
            // Only here it is known what a conditional request did (PIXm audits create, update and delete apart).
            let mut subject = subject(&fed, draft.events(), &draft.linked());
            subject.entities.extend(request.message.clone());
            trail = match request.message {
                Some(_) => trail.telling(Action::Execute),
                None => {
                    let is_hl7 = matches!(trail.transaction(), "ITI-8" | "ITI-44");
                    let mut touched = touched(&fed, draft.events(), is_hl7);
                    let (action, patient) = touched.next().unwrap_or((Action::Update, None));
                    subject.patient = patient;
                    let about = |patient| Subject { patient, ..subject.clone() };
                    let also = touched.map(|(action, patient)| (action, about(patient))).collect();
                    trail.telling(action).also_telling(also)
                }
            };
            if draft.is_empty() {
                return Ok(trail.note(self.records.store(), self.clock.now(), subject, fed).await?);
            }
            let sequence = Cell::new(0);
            // A commit that only remembers the message leaves nobody anything to hear of.
            let is_told = !draft.events().is_empty();
            let batch = draft.batch(self.delivery.receivers());
            let committed = trail.commit(self.records.store(), batch, subject, |applied| {
                sequence.set(applied.sequence);
                fed
            });
            failpoint!(async "id.feed.pre_commit");
            match committed.await {
                Ok(audited) => {
                    failpoint!(async "id.feed.post_commit");
                    // Whoever is next need not wait for a registry.
                    one_at_a_time.take();
                    if is_told {
                        let sequence = sequence.get();
                        tokio::join!(self.delivery.attempt(sequence), self.linker.attempt(sequence));
                    }
                    failpoint!(async "id.feed.pre_ack");
                    return Ok(audited);
                }
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

/// What was done to whom, each patient once: to those the changes are about first, then to those they touch besides. With HL7
/// (`is_hl7`) one who is merged away is deleted, and the survivor updated (TF-2 3.8.5.1).
fn touched(
    fed: &[Fed],
    events: &[Event],
    is_hl7: bool,
) -> impl Iterator<Item = (Action, Option<String>)> + use<> {
    let mut all: Vec<(Action, Option<String>)> = Vec::new();
    let mut touch = |action: Action, id: &str| {
        if !id.is_empty() && !all.iter().any(|(_, known)| known.as_deref() == Some(id)) {
            all.push((action, Some(id.to_owned())));
        }
    };
    for fed in fed {
        let action = match &fed.happened {
            Some(Happened::Removed { .. }) => Action::Delete,
            Some(Happened::Merged { .. }) if is_hl7 => Action::Delete,
            _ if fed.created() => Action::Create,
            _ => Action::Update,
        };
        touch(action, &fed.id);
    }
    for event in events {
        match &event.happened {
            Happened::Merged { survivor, .. } => touch(Action::Update, &survivor.id),
            Happened::Unmerged { from } => touch(Action::Update, &from.id),
            Happened::Created | Happened::Revised { .. } | Happened::Removed { .. } => {}
        }
    }
    all.into_iter()
}

/// Whom these changes are about, and every patient they touch; those that were linked by them, too.
fn subject(fed: &[Fed], events: &[Event], linked: &[String]) -> Subject {
    let mut ids: Vec<&str> = fed.iter().map(|fed| fed.id.as_str()).filter(|id| !id.is_empty()).collect();
    for event in events {
        ids.push(&event.stood.id);
        match &event.happened {
            Happened::Merged { survivor, .. } => ids.push(&survivor.id),
            Happened::Unmerged { from } => ids.push(&from.id),
            Happened::Created | Happened::Revised { .. } | Happened::Removed { .. } => {}
        }
    }
    ids.extend(linked.iter().map(String::as_str));
    let mut entities: Vec<String> = Vec::with_capacity(ids.len());
    for id in ids {
        let entity = format!("Patient/{id}");
        if !entities.contains(&entity) {
            entities.push(entity);
        }
    }
    let patient = match fed {
        [one] if !one.id.is_empty() => Some(one.id.clone()),
        _ => None,
    };
    Subject { patient, entities, query: None }
}

#[cfg(test)]
mod tests;
