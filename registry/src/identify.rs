//! Patient Identity Feed [ITI-8] and Patient Identity Feed HL7 V3 [ITI-44]: identifiers of the affinity domain become known, and
//! are merged.
//!
//! An identifier that nobody has makes a patient of its own, so that a registry needs no identity source beside these feeds. One
//! that a patient of the FHIR feed has is known already; what that feed says of a patient is never touched, and what is told
//! here is never lost by it (`PatientRecord::over`).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use hl7v2::{Condition, Location};
use serde_json::{Map, Value, json};
use store::{Batch, Put, Row, Store};
use uuid::Uuid;
use xds::Identifier;

use crate::authorities::Authorities;
use crate::face::time::instant_text;
use crate::gate::Gates;
use crate::merge::{self, Moving};
use crate::merged;
use crate::records::{PatientRecord, patient_put, patient_row, patients_by_identifier};

/// Lost races before the sender is asked to come again.
const TRIES: usize = 20;

/// What both feeds share.
#[derive(Clone)]
pub(crate) struct Identities {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// The gates of patients.
    pub(crate) gates: Arc<Gates>,
    /// The gates of identifiers: who has one is decided by one feed at a time.
    pub(crate) names: Arc<Gates>,
    pub(crate) authorities: Arc<Authorities>,
    /// Public base of the identity source.
    pub(crate) identity: Arc<str>,
    /// Objects of one merge.
    pub(crate) most: u64,
}

/// What a message wants done. Only identifiers of configured authorities are in it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// These identifiers, at least one, name a patient, of whom this much is told.
    Add {
        /// The identifiers.
        identifiers: Vec<Identifier>,
        /// Members of a Patient resource.
        about: Map<String, Value>,
    },
    /// More, or other things, are told of a patient. One who is not known stays so.
    Revise {
        /// The identifiers; there may be none.
        identifiers: Vec<Identifier>,
        /// Members of a Patient resource.
        about: Map<String, Value>,
    },
    /// The subsumed identifiers name nobody any more; who they named is the survivor. At least one of each.
    Merge {
        /// PID-3.
        survivors: Vec<Identifier>,
        /// MRG-1.
        subsumed: Vec<Identifier>,
    },
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Done {
    /// A patient is known from now on, or by more identifiers.
    Added,
    /// What is told of a patient was changed.
    Revised,
    /// Nothing had to be changed.
    Known,
    /// Nothing was changed, since nobody is known by these identifiers, or another feed says what is told of the patient.
    Ignored,
    /// Merged.
    Merged,
    /// These two were merged before.
    MergedBefore,
}

/// Where in a message something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Spot {
    /// In the message as a whole.
    Message,
    /// In its identifiers of the patient.
    Patient,
    /// In the identifiers that are merged away.
    Subsumed,
    /// At this place of an HL7 v2 message.
    Field(Location),
    /// At this place of an HL7 v3 message.
    Path(String),
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Misfit {
    pub(crate) condition: Condition,
    pub(crate) spot: Spot,
    pub(crate) text: String,
}

impl Misfit {
    pub(crate) fn new(condition: Condition, spot: Spot, text: impl Into<String>) -> Misfit {
        Misfit { condition, spot, text: text.into() }
    }
}

type Failure = Fault<Misfit>;

fn misfit(condition: Condition, spot: Spot, text: impl Into<String>) -> Failure {
    Fault::Refused(Misfit::new(condition, spot, text))
}

/// ITI-8.
#[derive(Clone)]
pub(crate) struct FeedV2(pub(crate) Identities);

/// ITI-44.
#[derive(Clone)]
pub(crate) struct FeedV3(pub(crate) Identities);

impl Transaction for FeedV2 {
    type Request = Change;
    type Response = Done;
    type Findings = Misfit;
    const NUMBER: &'static str = "ITI-8";
    const ACTION: Action = Action::Update;

    async fn run(&self, _: Grant<Self>, trail: Trail, change: Change) -> Result<Audited<Done>, Failure> {
        self.0.change(trail, change, Self::NUMBER).await
    }
}

impl Transaction for FeedV3 {
    type Request = Change;
    type Response = Done;
    type Findings = Misfit;
    const NUMBER: &'static str = "ITI-44";
    const ACTION: Action = Action::Update;

    async fn run(&self, _: Grant<Self>, trail: Trail, change: Change) -> Result<Audited<Done>, Failure> {
        self.0.change(trail, change, Self::NUMBER).await
    }
}

/// What is decided: what is written, and whom it is about.
struct Plan {
    done: Done,
    puts: Vec<Put>,
    about: Vec<String>,
    /// What a merge moves, as an auditor names it.
    moved: Vec<String>,
}

impl Plan {
    fn nothing(done: Done, about: Vec<String>) -> Plan {
        Plan { done, puts: Vec::new(), about, moved: Vec::new() }
    }
}

/// What an identifier stands for.
enum Standing {
    Nobody,
    /// Somebody who is active.
    Active(Box<(Row, PatientRecord)>),
    /// Somebody who was merged away; who stands for that patient now.
    Merged(String),
    /// Somebody the identity source has retired.
    Retired,
}

impl Identities {
    async fn change(
        &self,
        mut trail: Trail,
        change: Change,
        by: &'static str,
    ) -> Result<Audited<Done>, Failure> {
        let named = match &change {
            Change::Add { identifiers, .. } | Change::Revise { identifiers, .. } => identifiers.clone(),
            Change::Merge { survivors, subsumed } => [survivors.as_slice(), subsumed].concat(),
        };
        let names: Vec<String> = named.iter().map(name).collect();
        for _ in 0..TRIES {
            let _names = self.names.all_alone(names.iter().map(String::as_str)).await;
            // Whoever these identifiers name at present; nobody can change that now.
            let patients = self.patients(&named)?;
            let _patients = self.gates.all_alone(patients.iter().map(String::as_str)).await;
            // The feed of the identity source may have merged one of them meanwhile.
            if !self.patients(&named)?.is_subset(&patients) {
                continue;
            }
            let now = self.clock.now();
            let plan = match &change {
                Change::Add { identifiers, about } => self.add(identifiers, about, now)?,
                Change::Revise { identifiers, about } => self.revise(identifiers, about, now)?,
                Change::Merge { survivors, subsumed } => self.merge(survivors, subsumed, (now, by)).await?,
            };
            let about = plan.about.iter().map(|id| format!("Patient/{id}"));
            let subject = Subject {
                patient: plan.about.first().cloned(),
                entities: about.chain(plan.moved).collect(),
                query: None,
            };
            if plan.done == Done::Merged {
                failpoint!(async "reg.merge.mid");
                let entities: Vec<String> = plan.about.iter().map(|id| format!("Patient/{id}")).collect();
                // A record of its own for each of the two: who goes is deleted (TF-2 3.8.5.1).
                let others = plan.about.iter().skip(1).map(|id| {
                    let subject =
                        Subject { patient: Some(id.clone()), entities: entities.clone(), query: None };
                    (Action::Delete, subject)
                });
                trail = trail.also_telling(others.collect());
            }
            if plan.puts.is_empty() {
                return Ok(trail.note(&self.store, now, subject, plan.done).await?);
            }
            let created = plan.puts.iter().any(|put| put.version == 1 && plan.done == Done::Added);
            if created {
                trail = trail.telling(Action::Create);
            }
            failpoint!(async "reg.feed.pre_commit");
            let batch = Batch { instant: now, puts: plan.puts, ..Batch::default() };
            match trail.commit(&self.store, batch, subject, |_| plan.done).await {
                Ok(audited) => {
                    failpoint!(async "reg.feed.post_commit");
                    return Ok(audited);
                }
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }

    /// Whom these identifiers name, and who stands for them.
    fn patients(&self, named: &[Identifier]) -> Result<BTreeSet<String>, store::Error> {
        let mut ids = BTreeSet::new();
        for identifier in named {
            let found = patients_by_identifier(&self.store, Some(&identifier.system), &identifier.value)?;
            for (row, _) in found {
                ids.insert(merged::stands(&self.store, &row.id)?);
                ids.insert(row.id);
            }
        }
        Ok(ids)
    }

    fn standing(&self, identifier: &Identifier) -> Result<Standing, store::Error> {
        let found = patients_by_identifier(&self.store, Some(&identifier.system), &identifier.value)?;
        let mut standing = Standing::Nobody;
        for (row, record) in found {
            if record.active && record.survivor().is_none() {
                return Ok(Standing::Active(Box::new((row, record))));
            }
            standing = match merged::survivor(&self.store, &row.id)? {
                Some(survivor) => Standing::Merged(survivor),
                None => Standing::Retired,
            };
        }
        Ok(standing)
    }

    fn add(&self, identifiers: &[Identifier], about: &Map<String, Value>, now: i64) -> Result<Plan, Failure> {
        let mut known: Vec<(Row, PatientRecord)> = Vec::new();
        let mut fresh = Vec::new();
        for identifier in identifiers {
            match self.standing(identifier)? {
                Standing::Nobody => fresh.push(identifier.clone()),
                Standing::Active(found) => {
                    if known.iter().all(|(row, _)| row.id != found.0.id) {
                        known.push(*found);
                    }
                }
                Standing::Merged(_) => {
                    let text = "an identifier of the patient was merged into another one, for good; send the surviving one. Nothing was stored";
                    return Err(misfit(Condition::UnknownKey, Spot::Patient, text));
                }
                Standing::Retired => {
                    let text = "an identifier is that of a patient whom the identity source has retired; it has to be fed there again. Nothing was stored";
                    return Err(misfit(Condition::UnknownKey, Spot::Patient, text));
                }
            }
        }
        fresh.dedup();
        match known.len() {
            0 => Ok(self.made(fresh, about, now)),
            1 if fresh.is_empty() => {
                let (row, record) = known.remove(0);
                if record.fed > 0 || about.is_empty() || !differs(&row, about) {
                    return Ok(Plan::nothing(Done::Known, vec![row.id]));
                }
                Ok(self.written(Done::Revised, row, record, Some(about), now))
            }
            1 => {
                let (row, mut record) = known.remove(0);
                record.identifiers.extend(fresh.iter().cloned());
                record.told.extend(fresh);
                Ok(self.written(Done::Added, row, record, Some(about), now))
            }
            _ if fresh.is_empty() => {
                Ok(Plan::nothing(Done::Known, known.into_iter().map(|(row, _)| row.id).collect()))
            }
            _ => {
                let text = "the identifiers are those of several patients known here, so that nobody can say whose the new one is; merge them first (A40). Nothing was stored";
                Err(misfit(Condition::DuplicateKey, Spot::Patient, text))
            }
        }
    }

    fn revise(
        &self,
        identifiers: &[Identifier],
        about: &Map<String, Value>,
        now: i64,
    ) -> Result<Plan, Failure> {
        for identifier in identifiers {
            if let Standing::Active(found) = self.standing(identifier)? {
                let (row, record) = *found;
                if record.fed > 0 {
                    return Ok(Plan::nothing(Done::Ignored, vec![row.id]));
                }
                if !differs(&row, about) {
                    return Ok(Plan::nothing(Done::Known, vec![row.id]));
                }
                return Ok(self.written(Done::Revised, row, record, Some(about), now));
            }
        }
        Ok(Plan::nothing(Done::Ignored, Vec::new()))
    }

    /// All or nothing (spec 15.1): both known and active, of one authority, not the same, none of them subsumed before.
    async fn merge(
        &self,
        survivors: &[Identifier],
        subsumed: &[Identifier],
        (now, by): (i64, &'static str),
    ) -> Result<Plan, Failure> {
        let mut pairs: Vec<(&Identifier, &Identifier)> = Vec::new();
        for gone in subsumed {
            let same: Vec<&Identifier> = survivors.iter().filter(|kept| kept.system == gone.system).collect();
            match same.as_slice() {
                [] => {
                    let text = format!(
                        "the patient has no identifier of {}, of which the one to be merged is; an identifier is merged into one of the same authority. Nothing was changed",
                        gone.system
                    );
                    return Err(misfit(Condition::UnknownKey, Spot::Patient, text));
                }
                _ if same.contains(&gone) => {
                    let text = "an identifier cannot be merged into itself. Nothing was changed";
                    return Err(misfit(Condition::DuplicateKey, Spot::Subsumed, text));
                }
                [kept, ..] => pairs.push((*kept, gone)),
            }
        }
        let mut merges: Vec<(Row, PatientRecord, Standing, &Identifier)> = Vec::new();
        for (kept, gone) in pairs {
            let Standing::Active(found) = self.standing(kept)? else {
                let text = "the identifier that survives names no patient who is known here and active; feed it first (A01, A04, A05). Nothing was changed";
                return Err(misfit(Condition::UnknownKey, Spot::Patient, text));
            };
            let (row, record) = *found;
            merges.push((row, record, self.standing(gone)?, gone));
        }
        let Some((survivor, of_survivor, _, _)) = merges.first() else {
            return Ok(Plan::nothing(Done::Known, Vec::new()));
        };
        let (survivor, mut of_survivor) = (survivor.id.clone(), of_survivor.clone());
        if merges.iter().any(|(row, ..)| row.id != survivor) {
            let text = "the surviving identifiers are those of several patients; one message merges into one. Nothing was changed";
            return Err(misfit(Condition::DuplicateKey, Spot::Patient, text));
        }
        let (mut gone_rows, mut dropped) = (Vec::new(), Vec::new());
        for (_, _, standing, gone) in &mut merges {
            match std::mem::replace(standing, Standing::Nobody) {
                Standing::Active(found) if found.0.id == survivor => dropped.push((*gone).clone()),
                Standing::Active(found) => gone_rows.push(*found),
                Standing::Merged(into) if into == survivor => {}
                Standing::Merged(_) => {
                    let text = "the identifier to be merged was merged into another one before; a merge is for good. Nothing was changed";
                    return Err(misfit(Condition::UnknownKey, Spot::Subsumed, text));
                }
                Standing::Nobody | Standing::Retired => {
                    let text = "the identifier to be merged names no patient who is known here and active. Nothing was changed";
                    return Err(misfit(Condition::UnknownKey, Spot::Subsumed, text));
                }
            }
        }
        gone_rows.dedup_by(|(one, _), (other, _)| one.id == other.id);
        if gone_rows.len() > 1 {
            let text = "the identifiers to be merged are those of several patients; one message merges one away. Nothing was changed";
            return Err(misfit(Condition::DuplicateKey, Spot::Subsumed, text));
        }
        let mut plan = Plan::nothing(Done::MergedBefore, vec![survivor.clone()]);
        let moving = Moving {
            store: &self.store,
            authorities: &self.authorities,
            identity: &self.identity,
            now,
            most: self.most,
        };
        of_survivor.identifiers.retain(|identifier| !dropped.contains(identifier));
        let owner = moving.owner(&survivor, Some(&of_survivor))?;
        if let Some((row, mut record)) = gone_rows.pop() {
            let moved = moving.merge(&row.id, &owner, by, &[]).await?;
            if moved.too_many {
                return Err(Fault::TooLarge { limit: self.most, key: merge::MOST });
            }
            record.merged_into = Some(survivor.clone());
            record.active = false;
            let written = self.written(Done::Merged, row, record, None, now);
            plan.done = Done::Merged;
            plan.puts.extend(written.puts);
            plan.puts.extend(moved.puts);
            plan.moved.extend(moved.entities);
            plan.about.extend(written.about);
        }
        if !dropped.is_empty()
            && let Some((row, mut record, ..)) = merges.into_iter().next()
        {
            // Two names of one patient: the one that goes becomes a patient of its own, who was merged away.
            for gone in &dropped {
                let id = Some(made_id(gone)).filter(|id| *id != survivor);
                let id = id.unwrap_or_else(|| tombstone_id(gone));
                let version = patient_row(&self.store, &id)?.map_or(1, |(row, _)| row.version + 1);
                let tombstone = PatientRecord {
                    identifiers: vec![gone.clone()],
                    told: vec![gone.clone()],
                    merged_into: Some(survivor.clone()),
                    ..PatientRecord::default()
                };
                plan.puts.push(self.put(&id, version, &tombstone, Map::new(), now));
            }
            record.identifiers.retain(|identifier| !dropped.contains(identifier));
            record.told.retain(|identifier| !dropped.contains(identifier));
            let record_gone = dropped.clone();
            record.subsumed.extend(dropped);
            plan.done = Done::Merged;
            plan.puts.extend(self.written(Done::Merged, row, record, None, now).puts);
            let renamed = moving.renamed(&owner, &record_gone).await?;
            if renamed.too_many {
                return Err(Fault::TooLarge { limit: self.most, key: merge::MOST });
            }
            plan.puts.extend(renamed.puts);
            plan.moved.extend(renamed.entities);
        }
        Ok(plan)
    }

    /// A patient nobody knew.
    fn made(&self, identifiers: Vec<Identifier>, about: &Map<String, Value>, now: i64) -> Plan {
        let Some(first) = identifiers.first() else { return Plan::nothing(Done::Known, Vec::new()) };
        let id = made_id(first);
        let record = PatientRecord {
            active: true,
            told: identifiers.clone(),
            identifiers,
            ..PatientRecord::default()
        };
        let put = self.put(&id, 1, &record, about.clone(), now);
        Plan { done: Done::Added, puts: vec![put], about: vec![id], moved: Vec::new() }
    }

    /// The next version of a known patient. What is told of one the identity source feeds is left to it.
    fn written(
        &self,
        done: Done,
        row: Row,
        record: PatientRecord,
        about: Option<&Map<String, Value>>,
        now: i64,
    ) -> Plan {
        let mut resource = kept(&row);
        if let Some(about) = about.filter(|_| record.fed == 0) {
            for member in TOLD {
                resource.shift_remove(*member);
            }
            resource.extend(about.clone());
        }
        let put = self.put(&row.id, row.version + 1, &record, resource, now);
        Plan { done, puts: vec![put], about: vec![row.id], moved: Vec::new() }
    }

    fn put(
        &self,
        id: &str,
        version: u64,
        record: &PatientRecord,
        resource: Map<String, Value>,
        now: i64,
    ) -> Put {
        let mut patient = Map::new();
        patient.insert("resourceType".to_owned(), json!("Patient"));
        patient.insert("id".to_owned(), json!(id));
        if record.fed == 0 {
            let meta = json!({ "versionId": version.to_string(), "lastUpdated": instant_text(now) });
            patient.insert("meta".to_owned(), meta);
        }
        patient.extend(resource.into_iter().filter(|(name, _)| !patient_head(name, record)));
        patient_put(id, version, record, &shown(Value::Object(patient), record, &self.identity))
    }
}

/// Members that are written anew.
fn patient_head(name: &str, record: &PatientRecord) -> bool {
    matches!(name, "resourceType" | "id") || (name == "meta" && record.fed == 0)
}

/// What a feed of HL7 v2 or v3 can tell of a patient beside identifiers.
pub(crate) const TOLD: &[&str] = &[
    "extension",
    "name",
    "telecom",
    "gender",
    "birthDate",
    "deceasedBoolean",
    "deceasedDateTime",
    "address",
    "maritalStatus",
    "multipleBirthBoolean",
    "multipleBirthInteger",
    "communication",
];

/// The resource of a patient, as far as one was kept.
fn kept(row: &Row) -> Map<String, Value> {
    match serde_json::from_slice(&row.rendering) {
        Ok(Value::Object(resource)) => resource,
        _ => Map::new(),
    }
}

/// Whether what is told is not what was told before.
fn differs(row: &Row, about: &Map<String, Value>) -> bool {
    let before = kept(row);
    TOLD.iter().any(|member| about.contains_key(*member) && before.get(*member) != about.get(*member))
}

/// A Patient resource with what ITI-8 and ITI-44 told of it.
pub(crate) fn shown(mut resource: Value, record: &PatientRecord, identity: &str) -> Value {
    if record.told.is_empty() && record.subsumed.is_empty() && record.merged_into.is_none() {
        return resource;
    }
    let is = |item: &Value, identifier: &Identifier| {
        item["system"].as_str() == Some(&identifier.system)
            && item["value"].as_str() == Some(&identifier.value)
    };
    let mut items = resource["identifier"].as_array().cloned().unwrap_or_default();
    items.retain(|item| !record.subsumed.iter().any(|gone| is(item, gone)));
    for told in &record.told {
        if !items.iter().any(|item| is(item, told)) {
            items.push(json!({ "system": told.system, "value": told.value }));
        }
    }
    resource["identifier"] = Value::Array(items);
    if record.fed == 0 {
        resource["active"] = json!(record.active);
    }
    if let Some(survivor) = &record.merged_into {
        resource["active"] = json!(false);
        let other = json!({ "reference": format!("{identity}/Patient/{survivor}") });
        resource["link"] = json!([{ "other": other, "type": "replaced-by" }]);
    }
    resource
}

/// The patients of ITI-8 and ITI-44 who turn out to be one the identity source feeds: they are merged into that one.
pub(crate) fn absorbed(
    store: &Store,
    authorities: &Authorities,
    identity: &str,
    by: &str,
    identifiers: &[Identifier],
) -> Result<Vec<Put>, store::Error> {
    let mut puts: Vec<Put> = Vec::new();
    for identifier in identifiers.iter().filter(|identifier| authorities.has(&identifier.system)) {
        for (row, mut record) in patients_by_identifier(store, Some(&identifier.system), &identifier.value)? {
            let ours = record.fed == 0 && record.active && row.id != by;
            if !ours || puts.iter().any(|put| put.id == row.id) {
                continue;
            }
            record.active = false;
            record.merged_into = Some(by.to_owned());
            let resource = shown(Value::Object(kept(&row)), &record, identity);
            puts.push(patient_put(&row.id, row.version + 1, &record, &resource));
        }
    }
    Ok(puts)
}

/// An identifier as one name, for its gate.
pub(crate) fn name(identifier: &Identifier) -> String {
    format!("{}|{}", identifier.system, identifier.value)
}

/// The id of a patient that is known by this identifier alone: the same however often it is told.
fn made_id(identifier: &Identifier) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name(identifier).as_bytes()).to_string()
}

/// The same of a patient who stands for an identifier that was merged away, where the other id is that of the survivor.
fn tombstone_id(identifier: &Identifier) -> String {
    let name = format!("{} merged away", name(identifier));
    Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()).to_string()
}
