//! Telling others of every patient: from the durable outbox, in order per patient, until they say they know. Each receiver has
//! a courier of its own, whose pauses, refusals and silences are none of the others' business.

pub(crate) mod adt;
mod again;
mod answer;
mod courier;
mod introduce;
mod ledger;
mod operator;
mod order;
mod pmir;
mod send;
mod silence;
pub(crate) mod told;
mod v3;

use std::sync::Arc;
use std::time::Duration;

use actor::{Check, House};
use store::{Outgoing, Sequence};
use tokio::sync::watch;

use crate::config::Settings;
use crate::events::{Event, Happened};
use crate::receivers::{Known, Protocol, Receivers};
use crate::records::{Records, for_registry};
use courier::Courier;
use told::{Payload, Told};

pub(crate) use operator::admin;

/// How long a feed waits for its own deliveries before it is answered; the outbox goes on after that.
const PATIENCE: Duration = Duration::from_secs(1);

/// The couriers to all receivers.
#[cfg_attr(test, derive(Default))]
pub(crate) struct Delivery {
    receivers: Receivers,
    pub(crate) couriers: Vec<Arc<Courier>>,
}

impl Delivery {
    /// A courier for each receiver; refuses with words for the operator.
    pub(crate) fn new(house: &House<Settings>, records: &Records) -> Result<Delivery, String> {
        let settings = &house.settings;
        let receivers = Receivers::read(
            &settings.registry,
            &settings.receivers,
            &Arc::new(records.authorities().clone()),
            house.public_url.as_deref(),
        )?;
        let couriers = receivers.iter().map(|known| Courier::new(house, records, known).map(Arc::new));
        Ok(Delivery { couriers: couriers.collect::<Result<_, _>>()?, receivers })
    }

    /// Who is told.
    pub(crate) fn receivers(&self) -> &Receivers {
        &self.receivers
    }

    /// Wakes the couriers and waits until each has tried to deliver what this commit left for it, at most a second.
    pub(crate) async fn attempt(&self, sequence: Sequence) {
        let tried = self.couriers.iter().map(|courier| courier.tried(sequence));
        // Whoever has lost patience goes on; the outbox does too.
        let _ = tokio::time::timeout(PATIENCE, futures_util::future::join_all(tried)).await;
    }

    /// Something was left for somebody.
    pub(crate) fn wake(&self) {
        self.couriers.iter().for_each(|courier| courier.wake());
    }

    /// Delivers until the actor stops.
    pub(crate) async fn run(&self, stopping: watch::Receiver<bool>) {
        let running = self.couriers.iter().map(|courier| courier.run(stopping.clone()));
        futures_util::future::join_all(running).await;
    }

    /// What the health page says. A receiver that is away does not make this actor unready: the outbox keeps.
    pub(crate) fn checks(&self) -> Vec<Check> {
        if self.couriers.is_empty() {
            let text = "no registry or other receiver is configured; nobody is told of patients".to_owned();
            return vec![Check { name: "receivers", ok: true, text }];
        }
        self.couriers.iter().map(|courier| courier.check()).collect()
    }
}

/// The messages a change leaves, for whoever it concerns.
pub(crate) fn outgoing(event: &Event, receivers: &Receivers) -> Vec<Outgoing> {
    if receivers.is_empty() {
        return Vec::new();
    }
    let stream = order::stream(event.patients());
    let mut told: Option<Told> = None;
    let mut leave = |known: &Known| {
        let payload = match known.protocol() {
            Protocol::Fhir => for_registry(&event.stood.kept, &event.stood.rendering),
            Protocol::Iti10 => {
                if !changes_names(event) {
                    return None;
                }
                // Of two that are merged it is the survivor's person that goes by other names.
                let patient = match &event.happened {
                    Happened::Merged { survivor, .. } => &survivor.id,
                    Happened::Created
                    | Happened::Revised { .. }
                    | Happened::Unmerged { .. }
                    | Happened::Removed { .. } => &event.stood.id,
                };
                Payload::CrossReference(patient.clone()).to_bytes()
            }
            Protocol::Iti8 | Protocol::Iti44 | Protocol::Iti93 => {
                let told = told.get_or_insert_with(|| Told::of(event));
                let interest = &known.interest;
                let concerned =
                    interest.is_all() || interest.any(&told.record.identifiers) || interest.any(&told.before);
                if !concerned {
                    return None;
                }
                Payload::Told(Box::new(told.clone())).to_bytes()
            }
        };
        Some(Outgoing { peer: known.peer.clone(), stream: stream.clone(), payload })
    };
    receivers.iter().filter_map(&mut leave).collect()
}

/// Whether somebody goes by other names after a change.
fn changes_names(event: &Event) -> bool {
    match &event.happened {
        Happened::Created | Happened::Merged { .. } | Happened::Unmerged { .. } => true,
        Happened::Revised { before } => {
            before.kept.active != event.stood.kept.active || !before.kept.held().eq(event.stood.kept.held())
        }
        // Of one who is no more there is nothing to be told; whom it was linked to is told of by that.
        Happened::Removed { .. } => false,
    }
}

/// The messages that tell of persons who go by other names than before: one for each of these groups of records.
pub(crate) fn cross_reference_changed(groups: &[Vec<String>], receivers: &Receivers) -> Vec<Outgoing> {
    let known = receivers.iter().filter(|known| known.protocol() == Protocol::Iti10);
    let leave = |known: &Known| {
        let peer = known.peer.clone();
        let leave = move |group: &Vec<String>| {
            let first = group.first()?;
            Some(Outgoing {
                peer: peer.clone(),
                stream: order::stream(group.iter().map(String::as_str)),
                payload: Payload::CrossReference(first.clone()).to_bytes(),
            })
        };
        groups.iter().filter_map(leave).collect::<Vec<_>>()
    };
    known.flat_map(leave).collect()
}
