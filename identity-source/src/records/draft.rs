//! What one commit is going to change, put together step by step: whatever is looked up on the way is seen as it will stand.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use fhir::document_reference::Stamp;
use fhir::patient::Patient;
use serde_json::{Map, Value};
use store::{Batch, Claim, Edge, Fact, Instant, Put, Reach};
use xds::Identifier;
use xds::authority::Authorities;

use super::{KEY, Kept, KeptIdentifier, PATIENT, REPLACED_BY, Records, asked, claim_name, domain_name};
use crate::deliver::{cross_reference_changed, outgoing};
use crate::events::{Event, Happened, Stood};
use crate::links::{LINK, Pair, Said, What, stated};
use crate::receivers::Receivers;

/// The changes of one commit.
pub(crate) struct Draft<'a> {
    records: &'a Records,
    now: Instant,
    /// What was read on the way, as it was read: a question has one answer in one draft.
    read: RefCell<Read>,
    /// Patients that are changed, as they will stand; none for one that is removed.
    changed: HashMap<String, Option<Stood>>,
    /// Who holds a name before and after.
    names: BTreeMap<String, Holding>,
    /// Domains that become known.
    domains: Vec<String>,
    puts: Vec<Put>,
    events: Vec<Event>,
    /// Persons who are of other records than before.
    persons: Vec<Vec<String>>,
    ties: Vec<Tie>,
    /// A name that must not have been taken before.
    once: Option<String>,
}

/// What was read of the store.
#[derive(Default)]
struct Read {
    names: HashMap<String, Option<String>>,
    patients: HashMap<String, Option<Stood>>,
}

/// Who holds a name.
struct Holding {
    before: Option<String>,
    after: Option<String>,
}

/// That a record states an identifier another one holds: their sources say that both are one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tie {
    /// Who states it.
    pub(crate) patient: String,
    /// Who holds it.
    pub(crate) holder: String,
    /// The identifier.
    pub(crate) basis: Identifier,
}

/// A patient about to be written.
pub(crate) struct Writing<'w> {
    /// Its id here.
    pub(crate) id: &'w str,
    /// As the source describes it, identifiers in canonical form.
    pub(crate) patient: &'w Patient,
    /// The domain whose source it is from.
    pub(crate) home: &'w str,
    /// Who took its place.
    pub(crate) survivor: Option<&'w str>,
    /// What that is; for one that is only written anew, its version before.
    pub(crate) happened: Happened,
    /// Records that lose an identifier to this one, or get one from it.
    pub(crate) touches: Vec<String>,
}

impl<'a> Draft<'a> {
    /// Nothing yet.
    pub(crate) fn new(records: &'a Records, now: Instant) -> Draft<'a> {
        Draft {
            records,
            now,
            read: RefCell::default(),
            changed: HashMap::new(),
            names: BTreeMap::new(),
            domains: Vec::new(),
            puts: Vec::new(),
            events: Vec::new(),
            persons: Vec::new(),
            ties: Vec::new(),
            once: None,
        }
    }

    /// Takes this name with the commit, which nobody has taken before; false if somebody has.
    pub(crate) fn take_once(&mut self, name: &str) -> Result<bool, store::Error> {
        if self.records.store().claimed(name)?.is_some() {
            return Ok(false);
        }
        self.once = Some(name.to_owned());
        Ok(true)
    }

    /// Whether nothing is to be written.
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.once.is_none()
    }

    /// What happens, in order.
    pub(crate) fn events(&self) -> &[Event] {
        &self.events
    }

    /// The patient of this id, unless it is removed.
    pub(crate) fn patient(&self, id: &str) -> Result<Option<Stood>, store::Error> {
        if let Some(stood) = self.changed.get(id) {
            return Ok(stood.clone());
        }
        self.stored(id)
    }

    fn stored(&self, id: &str) -> Result<Option<Stood>, store::Error> {
        if let Some(read) = self.read.borrow().patients.get(id) {
            return Ok(read.clone());
        }
        let stored = self.current(id)?;
        self.read.borrow_mut().patients.insert(id.to_owned(), stored.clone());
        Ok(stored)
    }

    fn current(&self, id: &str) -> Result<Option<Stood>, store::Error> {
        let Some(row) = self.records.patient(id)?.filter(|row| !row.deleted) else { return Ok(None) };
        let kept = self.records.kept(&row)?;
        Ok(Some(Stood { id: row.id, version: row.version, kept, rendering: row.rendering }))
    }

    /// Who holds a name, as it was read first.
    fn named(&self, name: &str) -> Result<Option<String>, store::Error> {
        if let Some(read) = self.read.borrow().names.get(name) {
            return Ok(read.clone());
        }
        let named = self.records.named(name)?;
        self.read.borrow_mut().names.insert(name.to_owned(), named.clone());
        Ok(named)
    }

    /// Whether something that was read is no longer so: then what was decided has to be decided again. If nothing is, all of
    /// it was so at one time; what is written is guarded beyond that by the versions and names the commit builds on.
    pub(crate) fn is_stale(&self) -> Result<bool, store::Error> {
        let read = self.read.borrow();
        for (name, before) in &read.names {
            if self.records.named(name)? != *before {
                return Ok(true);
            }
        }
        for (id, before) in &read.patients {
            let version = |stood: &Stood| stood.version;
            if self.current(id)?.as_ref().map(version) != before.as_ref().map(version) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Id of the patient that holds this identifier.
    pub(crate) fn holder(&self, identifier: &Identifier) -> Result<Option<String>, store::Error> {
        for name in self.records.names(identifier) {
            let held = match self.names.get(&name) {
                Some(holding) => holding.after.clone(),
                None => self.named(&name)?,
            };
            if held.is_some() {
                return Ok(held);
            }
        }
        Ok(None)
    }

    /// The patient with this identifier; under our own `base` a patient goes by `Patient/{id}`.
    pub(crate) fn identified(
        &self,
        identifier: &Identifier,
        base: &str,
    ) -> Result<Option<Stood>, store::Error> {
        if let Some(id) = super::own_id(identifier, base) {
            return self.patient(id);
        }
        let Some(holder) = self.holder(identifier)? else { return Ok(None) };
        self.patient(&holder)
    }

    /// The final survivor of a chain of merges that begins with this patient.
    pub(crate) fn final_survivor(&self, stood: Stood) -> Result<Stood, store::Error> {
        let mut stood = stood;
        // A chain cannot be longer than it has merges; the bound only guards against a damaged ring.
        for _ in 0..super::LONGEST_CHAIN {
            let Some(next) = &stood.kept.replaced_by else { break };
            let Some(found) = self.patient(next)? else { break };
            stood = found;
        }
        Ok(stood)
    }

    /// Writes a patient: the record, its identifiers claimed as far as they are free, and what has to be told. None if it
    /// stands exactly so already.
    pub(crate) fn write(&mut self, writing: Writing<'_>) -> Result<Option<Stood>, store::Error> {
        let Writing { id, patient, home, survivor, happened, touches } = writing;
        let before = self.patient(id)?;
        let mut held = Vec::with_capacity(patient.identifiers.len());
        let mut ties = Vec::new();
        for identifier in &patient.identifiers {
            let holder = self.holder(identifier)?.filter(|holder| holder != id);
            held.push(holder.is_none());
            ties.extend(holder.map(|holder| Tie {
                patient: id.to_owned(),
                holder,
                basis: identifier.clone(),
            }));
        }
        let keep = |updated| {
            let authorities = self.records.authorities();
            Kept::new(patient, home, survivor, updated, &held, authorities)
        };
        if let Some(before) = &before {
            let stamp = Stamp { version: before.version, updated: before.kept.updated };
            if patient.write(id, stamp, survivor) == before.rendering && keep(stamp.updated) == before.kept {
                return Ok(None);
            }
        }
        let version = before.as_ref().map_or(1, |before| before.version + 1);
        let updated = self.now.max(before.as_ref().map_or(Instant::MIN, |before| before.kept.updated));
        let kept = keep(updated);
        let rendering = Bytes::from(patient.write(id, Stamp { version, updated }, survivor));
        if let Some(before) = &before {
            self.release(before)?;
        }
        for known in kept.held() {
            self.hold(&claim_name(&known.identifier()), Some(id))?;
        }
        for known in kept.identifiers.iter().filter(|_| self.records.domains().learns()) {
            if !self.domains.contains(&known.system) && !self.records.has_learned(&known.system)? {
                self.domains.push(known.system.clone());
            }
        }
        self.ties.retain(|tie| tie.patient != id);
        self.ties.extend(ties);
        let stood = Stood { id: id.to_owned(), version, kept, rendering };
        let facts = facts(patient, self.records.authorities());
        self.put(&stood, facts, false);
        self.changed.insert(id.to_owned(), Some(stood.clone()));
        self.events.push(Event { happened, stood: stood.clone(), touches });
        Ok(Some(stood))
    }

    /// Gives identifiers to another record, whose own source speaks: who held them only states them from now on.
    pub(crate) fn hand_over(
        &mut self,
        holder: &Stood,
        identifiers: &[Identifier],
        to: &str,
    ) -> Result<(), store::Error> {
        for identifier in identifiers {
            for name in self.records.names(identifier) {
                if self.held_by(&name)?.is_some() {
                    self.hold(&name, None)?;
                }
            }
            self.hold(&claim_name(identifier), Some(to))?;
        }
        let patient = self.records.as_fed(holder);
        self.write(Writing {
            id: &holder.id,
            patient: &patient,
            home: holder.kept.home(),
            survivor: holder.kept.replaced_by.as_deref(),
            happened: Happened::Revised { before: Box::new(holder.clone()) },
            touches: vec![to.to_owned()],
        })?;
        Ok(())
    }

    /// What the changes come to among the links of these records with others. To be asked once, behind the last change.
    pub(crate) fn link(&mut self, who: &str) -> Result<(), store::Error> {
        let mut ids: Vec<&String> = self.changed.keys().collect();
        ids.sort();
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let what = match &self.changed[id] {
                None => What::Gone,
                // Its links stay, so that an unmerge finds them.
                Some(stood) if stood.kept.replaced_by.is_some() => continue,
                Some(stood) => {
                    let ties = self.ties.iter().filter(|tie| tie.patient == *id);
                    What::States {
                        active: stood.kept.active,
                        home: stood.kept.home().to_owned(),
                        holds: stood.kept.held().map(KeptIdentifier::identifier).collect(),
                        states: ties.map(|tie| (tie.basis.clone(), tie.holder.clone())).collect(),
                    }
                }
            };
            all.push(Said { id: id.clone(), what });
        }
        let changed = stated(self.records, &all, who, self.now)?;
        self.puts.extend(changed.puts);
        self.persons.extend(changed.told.into_iter().flat_map(|told| told.groups));
        Ok(())
    }

    /// The patients whose links are decided about.
    pub(crate) fn linked(&self) -> Vec<String> {
        let links = self.puts.iter().filter(|put| put.kind == LINK);
        let pairs = links.filter_map(|put| Pair::parse(&put.id));
        pairs.flat_map(|pair| pair.both().map(str::to_owned)).collect()
    }

    /// Removes a patient: the record is no more, its identifiers are free.
    pub(crate) fn remove(&mut self, before: Stood) -> Result<Stood, store::Error> {
        self.release(&before)?;
        let (version, updated) = (before.version + 1, self.now.max(before.kept.updated));
        let kept = before.kept.removed(updated);
        let rendering = tombstone(&before, Stamp { version, updated });
        let stood = Stood { id: before.id.clone(), version, kept, rendering };
        self.put(&stood, Vec::new(), true);
        self.changed.insert(before.id.clone(), None);
        self.ties.retain(|tie| tie.patient != before.id && tie.holder != before.id);
        self.events.push(Event {
            happened: Happened::Removed { before: Box::new(before) },
            stood: stood.clone(),
            touches: Vec::new(),
        });
        Ok(stood)
    }

    /// Every identifier a record holds becomes free.
    fn release(&mut self, before: &Stood) -> Result<(), store::Error> {
        for known in before.kept.held() {
            // Under whichever spelling was the canonical one when it was claimed.
            let identifier = known.identifier();
            for name in self.records.names(&identifier).into_iter().chain([claim_name(&identifier)]) {
                if self.held_by(&name)?.as_deref() == Some(before.id.as_str()) {
                    self.hold(&name, None)?;
                }
            }
        }
        Ok(())
    }

    fn held_by(&self, name: &str) -> Result<Option<String>, store::Error> {
        match self.names.get(name) {
            Some(holding) => Ok(holding.after.clone()),
            None => self.named(name),
        }
    }

    fn hold(&mut self, name: &str, after: Option<&str>) -> Result<(), store::Error> {
        if !self.names.contains_key(name) {
            let before = self.named(name)?;
            self.names.insert(name.to_owned(), Holding { before, after: None });
        }
        if let Some(holding) = self.names.get_mut(name) {
            holding.after = after.map(str::to_owned);
        }
        Ok(())
    }

    fn put(&mut self, stood: &Stood, facts: Vec<Fact>, deleted: bool) {
        self.puts.push(Put {
            kind: PATIENT,
            id: stood.id.clone(),
            version: stood.version,
            partition: stood.id.clone(),
            order: 0,
            facts,
            edges: stood.kept.replaced_by.iter().cloned().map(replaced_by).collect(),
            body: serde_json::to_vec(&stood.kept).expect("identifiers can be written as JSON").into(),
            rendering: stood.rendering.clone(),
            deleted,
        });
    }

    /// The commit, with the messages to everybody who is told.
    pub(crate) fn batch(self, receivers: &Receivers) -> Batch {
        let (mut claims, mut releases) = (Vec::new(), Vec::new());
        for (name, Holding { before, after }) in self.names {
            if before.is_some() && before != after {
                releases.push(name.clone());
            }
            claims.extend(after.map(|id| Claim { name, value: id.into_bytes() }));
        }
        let known = |system: &String| Claim { name: domain_name(system), value: b"known".to_vec() };
        claims.extend(self.domains.iter().map(known));
        // A value of its own: of two that take the name, the second loses.
        let taken = |name| Claim { name, value: uuid::Uuid::new_v4().as_bytes().to_vec() };
        claims.extend(self.once.map(taken));
        let mut messages: Vec<_> = self.events.iter().flat_map(|event| outgoing(event, receivers)).collect();
        messages.extend(cross_reference_changed(&self.persons, receivers));
        Batch { instant: self.now, claims, releases, puts: self.puts, outgoing: messages, ..Batch::default() }
    }
}

fn replaced_by(target: String) -> Edge {
    Edge { name: REPLACED_BY, target }
}

/// Everything a patient can be found by.
fn facts(patient: &Patient, authorities: &Authorities) -> Vec<Fact> {
    // One out of use is nobody's match.
    let keys = if patient.active { crate::matching::keys_of(&patient.resource) } else { Vec::new() };
    let keys = keys.into_iter().map(|value| Fact::Term {
        name: KEY,
        space: String::new(),
        value,
        reach: Reach::Global,
    });
    asked::facts(patient.facts(), authorities).into_iter().chain(keys).collect()
}

/// What a registry is told of a patient who is no more: not in use, and by no identifier.
fn tombstone(before: &Stood, stamp: Stamp) -> Bytes {
    let mut members = match serde_json::from_slice(&before.rendering) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    };
    members.shift_remove("identifier");
    members.insert("active".to_owned(), Value::Bool(false));
    let patient = Patient { resource: members, identifiers: Vec::new(), active: false, replaced_by: None };
    patient.write(&before.id, stamp, None).into()
}
