//! What a message to a receiver says, before it is written in the receiver's language: kept in the outbox, so that it is the
//! same however often it is sent.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use xds::Identifier;
use xds::authority::Authorities;

use crate::events::{Event, Happened, Stood};
use crate::pid::Named;
use crate::records::{Kept, held_only};

/// What happened to a patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum What {
    /// Nothing: the receiver is told for the first time, or once more, how things stand.
    Stands,
    /// Known from now on.
    Created,
    /// More, or other things, are known.
    Revised,
    /// Merged into the survivor.
    Merged,
    /// No longer merged into the one that was the survivor.
    Unmerged,
    /// No longer known.
    Removed,
}

/// One record about which something is told.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Its id here.
    pub(crate) id: String,
    /// The identifiers it holds: canonical system, value.
    pub(crate) identifiers: Vec<(String, String)>,
    /// The Patient as the registry is told of it.
    pub(crate) patient: Map<String, Value>,
}

/// A change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What happened.
    pub(crate) what: What,
    /// The version it made.
    pub(crate) version: u64,
    /// When, microseconds since 1970.
    pub(crate) instant: i64,
    /// To whom.
    pub(crate) record: Record,
    /// Whether the record is in use.
    pub(crate) active: bool,
    /// The identifiers it held before, if it was in use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) before: Vec<(String, String)>,
    /// Whether other records gave it identifiers, or have some of it now.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) handed: bool,
    /// The one it was merged into, or is no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) survivor: Option<Record>,
}

/// What a message of the outbox is, for receivers other than our registry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Payload {
    /// A change, as it was.
    Told(Box<Told>),
    /// How this patient stands when the message is sent.
    Stands(String),
    /// How the person this patient is a record of goes by when the message is sent [ITI-10].
    CrossReference(String),
}

impl Payload {
    /// As it is kept.
    pub(crate) fn to_bytes(&self) -> Bytes {
        serde_json::to_vec(self).expect("texts and JSON can be written as JSON").into()
    }

    /// What was kept.
    pub(crate) fn read(bytes: &[u8]) -> Result<Payload, store::Error> {
        serde_json::from_slice(bytes)
            .map_err(|error| store::Error::Damaged(format!("a message of the outbox: {error}")))
    }
}

/// The domains a receiver is told identifiers of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interest(Authorities);

impl Interest {
    /// In these domains; none at all: in everything.
    pub(crate) fn new(domains: Authorities) -> Interest {
        Interest(domains)
    }

    /// Whether it is in everything.
    pub(crate) fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether identifiers of this domain are told.
    pub(crate) fn has(&self, system: &str) -> bool {
        self.is_all() || self.0.has(system)
    }

    /// Those of these identifiers that are told, in the receiver's spelling of who assigned them.
    pub(crate) fn named(&self, identifiers: &[(String, String)], others: &Authorities) -> Vec<Named> {
        let told = identifiers.iter().filter(|(system, _)| self.has(system));
        let named = |(system, value): &(String, String)| {
            let own = self.0.of(system).map(xds::authority::Authority::hd);
            let configured = others.hd(system);
            let mut authority = own.or_else(|| configured.clone())?;
            // A namespace that the receiver's own spelling leaves out is that of the domain.
            if authority.namespace.is_empty()
                && let Some(configured) = configured
            {
                authority.namespace = configured.namespace;
            }
            Some(Named { value: value.clone(), authority })
        };
        told.filter_map(named).collect()
    }

    /// Whether any of these is told.
    pub(crate) fn any(&self, identifiers: &[(String, String)]) -> bool {
        identifiers.iter().any(|(system, _)| self.has(system))
    }
}

/// An identifier as it is kept in messages.
pub(crate) fn pair(identifier: &Identifier) -> (String, String) {
    (identifier.system.clone(), identifier.value.clone())
}

impl Record {
    /// A record that holds these, by its resource.
    pub(crate) fn of(id: &str, kept: &Kept, resource: &[u8]) -> Record {
        let patient = match serde_json::from_slice(resource) {
            Ok(Value::Object(patient)) => patient,
            _ => Map::new(),
        };
        let identifiers = kept.held().map(|held| pair(&held.identifier())).collect();
        Record { id: id.to_owned(), identifiers, patient }
    }

    fn stood(stood: &Stood) -> Record {
        Record::of(&stood.id, &stood.kept, &held_only(&stood.kept, &stood.rendering))
    }
}

impl Told {
    /// What is told of an event.
    pub(crate) fn of(event: &Event) -> Told {
        let Event { happened, stood, .. } = event;
        let held = |before: &Stood| -> Vec<(String, String)> {
            before.kept.held().filter(|_| before.kept.active).map(|held| pair(&held.identifier())).collect()
        };
        let (what, before, survivor) = match happened {
            Happened::Created => (What::Created, Vec::new(), None),
            Happened::Revised { before } => (What::Revised, held(before), None),
            Happened::Merged { survivor, before } => {
                let before = before.as_deref().map(held).unwrap_or_default();
                (What::Merged, before, Some(Record::stood(survivor)))
            }
            Happened::Unmerged { from } => (What::Unmerged, Vec::new(), Some(Record::stood(from))),
            Happened::Removed { before } => (What::Removed, held(before), None),
        };
        Told {
            what,
            version: stood.version,
            instant: stood.kept.updated,
            record: Record::stood(stood),
            active: stood.kept.active,
            before,
            handed: !event.touches.is_empty(),
            survivor,
        }
    }

    /// Whether an identifier the receiver knows it by is not among its own any more.
    pub(crate) fn loses(&self, interest: &Interest) -> bool {
        let mut before = self.before.iter().filter(|(system, _)| interest.has(system));
        self.what == What::Revised && before.any(|identifier| !self.record.identifiers.contains(identifier))
    }

    /// Identifiers of domains of interest that the receiver may not have heard of.
    pub(crate) fn adds(&self, interest: &Interest) -> bool {
        let told = self.record.identifiers.iter().filter(|(system, _)| interest.has(system));
        let mut fresh = told.filter(|identifier| !self.before.contains(identifier));
        fresh.next().is_some()
    }

    /// Whether the receiver need not know what this tells of, so that a refusal is no reason to try again: one whose merge was
    /// undone is merged for good there, and one that was out of use when it was merged may never have been told.
    pub(crate) fn is_tolerant(&self) -> bool {
        match self.what {
            What::Unmerged => true,
            What::Merged => self.before.is_empty(),
            What::Stands | What::Created | What::Revised | What::Removed => false,
        }
    }

    /// Of a merged record, the identifiers a receiver may know it by: those it became known by with the merge itself were never
    /// told, and name nobody there.
    pub(crate) fn known(&self) -> Vec<(String, String)> {
        let is_known = |identifier: &&(String, String)| match self.before.is_empty() {
            true => self.version > 1,
            false => self.before.contains(identifier),
        };
        self.record.identifiers.iter().filter(is_known).cloned().collect()
    }

    /// Which identifier is merged into which one, in domains of interest: each into the first of its own domain. One whose
    /// domain the survivor has no name in is merged into nobody.
    pub(crate) fn merges(&self, interest: &Interest) -> Vec<((String, String), (String, String))> {
        let Some(survivor) = &self.survivor else { return Vec::new() };
        let told = self.known().into_iter().filter(|(system, _)| interest.has(system));
        let into = |gone: (String, String)| {
            let kept = survivor.identifiers.iter().find(|(system, _)| *system == gone.0)?;
            Some((gone, kept.clone()))
        };
        told.filter_map(into).collect()
    }
}
