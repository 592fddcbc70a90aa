//! The feed of patients from the identity source: the registry's own record of who there is.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use serde_json::Value;
use store::{Batch, Put, Row, Store};
use xds::{Finding, Findings, Place, Rule};

use crate::authorities::Authorities;
use crate::gate::Gates;
use crate::identify::{absorbed, name, shown};
use crate::merge::{self, Moving, Planned};
use crate::merged;
use crate::patients::identifiers;
use crate::records::{PatientRecord, patient_put, patient_row};

/// Lost races before the identity source is asked to come again.
const TRIES: usize = 20;

/// The use case.
#[derive(Clone)]
pub(crate) struct Feed {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) gates: Arc<Gates>,
    /// The gates of identifiers.
    pub(crate) names: Arc<Gates>,
    /// Whose identifiers other feeds tell as well.
    pub(crate) authorities: Arc<Authorities>,
    /// Public base of the identity source.
    pub(crate) identity: Arc<str>,
    /// Objects of one merge.
    pub(crate) most: u64,
}

/// A patient as it was fed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fed {
    /// Its id in this domain.
    pub(crate) id: String,
    /// What is known of it.
    pub(crate) record: PatientRecord,
    /// The Patient as it was fed: what a search gives along with documents.
    pub(crate) resource: Value,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    /// Whether the patient was unknown before.
    pub(crate) created: bool,
    /// The version of the identity source that stands now.
    pub(crate) version: u64,
}

impl Fed {
    /// Reads a Patient resource that was put under this id.
    pub(crate) fn read(id: &str, resource: &Value) -> Result<Fed, Findings> {
        let mut findings = Findings::new();
        let text = |name: &str| resource.get(name).and_then(Value::as_str);
        if text("resourceType") != Some("Patient") {
            findings.push(Finding::error(
                Rule::Structure,
                Place::at("resourceType"),
                "a Patient is expected here",
            ));
        }
        if text("id") != Some(id) {
            let text = "the id of the Patient must be that of the request";
            findings.push(Finding::error(Rule::Value, Place::at("Patient.id"), text));
        }
        let version =
            resource.pointer("/meta/versionId").and_then(Value::as_str).and_then(|v| v.parse().ok());
        if version.is_none() {
            let text = "the feed needs the version of the identity source: a whole number from 1";
            findings.push(Finding::error(Rule::Required, Place::at("Patient.meta.versionId"), text));
        }
        match version {
            Some(fed) if findings.is_empty() => {
                let active = resource.get("active").and_then(Value::as_bool).unwrap_or(true);
                let replaced_by = replaced_by(resource);
                let identifiers = identifiers(resource);
                let record =
                    PatientRecord { fed, active, replaced_by, identifiers, ..PatientRecord::default() };
                Ok(Fed { id: id.to_owned(), record, resource: resource.clone() })
            }
            _ => Err(findings),
        }
    }
}

fn replaced_by(resource: &Value) -> Option<String> {
    let links = resource.get("link")?.as_array()?;
    let link = links.iter().find(|link| link.get("type").and_then(Value::as_str) == Some("replaced-by"))?;
    link.pointer("/other/reference").and_then(Value::as_str).map(str::to_owned)
}

impl Transaction for Feed {
    type Request = Fed;
    type Response = Taken;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-104";
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        _: Grant<Self>,
        mut trail: Trail,
        fed: Fed,
    ) -> Result<Audited<Taken>, Fault<Findings>> {
        let told = fed.record.identifiers.iter().filter(|one| self.authorities.has(&one.system));
        let told: Vec<String> = told.map(name).collect();
        for _ in 0..TRIES {
            let _names = self.names.all_alone(told.iter().map(String::as_str)).await;
            // Nothing may be registered for a patient while what belongs to it is moved.
            let turn = self.turn(&fed, &told)?;
            let _pass = self.gates.all_alone(turn.patients.iter().map(String::as_str)).await;
            let turn_now = self.turn(&fed, &told)?;
            if !turn_now.patients.is_subset(&turn.patients) {
                continue;
            }
            let Turn { known, record, before, after, mut absorbed, .. } = turn_now;
            let now = self.clock.now();
            let mut subject = Subject {
                patient: Some(fed.id.clone()),
                entities: vec![format!("Patient/{}", fed.id)],
                query: None,
            };
            let version = match &known {
                // The feed is delivered at least once: what is known already is answered, and nothing changes.
                Some((_, known)) if known.fed >= fed.record.fed => {
                    let taken = Taken { created: false, version: known.fed };
                    return Ok(trail.note(&self.store, now, subject, taken).await?);
                }
                Some((row, _)) => row.version + 1,
                None => 1,
            };
            self.closes_no_ring(&fed.id, known.as_ref().map(|(_, known)| known), &record)?;
            let mut moving = Moving {
                store: &self.store,
                authorities: &self.authorities,
                identity: &self.identity,
                now,
                most: self.most,
            };
            let mut puts = Vec::new();
            let mut also = Vec::new();
            // Who another feed has made of these identifiers is this patient: it takes that one's place.
            for put in &absorbed {
                let owner = moving.owner(&fed.id, Some(&record))?;
                let planned = moving.merge(&put.id, &owner, Self::NUMBER, &puts).await?;
                if planned.too_many {
                    return Err(Fault::TooLarge { limit: self.most, key: merge::MOST });
                }
                let Planned { puts: moved, entities, .. } = planned;
                moving.most = moving.most.saturating_sub(entities.len() as u64);
                puts.extend(moved);
                subject.entities.push(format!("Patient/{}", put.id));
                subject.entities.extend(entities);
            }
            if before != after {
                let owner = moving.owner(&after, Some(&record).filter(|_| after == fed.id))?;
                let planned = if before == fed.id {
                    moving.merge(&fed.id, &owner, Self::NUMBER, &puts).await?
                } else {
                    moving.unmerge((&fed.id, &before), &owner, Self::NUMBER, &puts).await?
                };
                if planned.too_many {
                    return Err(Fault::TooLarge { limit: self.most, key: merge::MOST });
                }
                failpoint!(async "reg.merge.mid");
                puts.extend(planned.puts);
                let others = [&before, &after].into_iter().filter(|other| **other != fed.id);
                let others: Vec<&String> = others.collect();
                subject.entities.extend(others.iter().map(|id| format!("Patient/{id}")));
                also.extend(others.into_iter().map(|id| Subject {
                    patient: Some(id.clone()),
                    entities: vec![format!("Patient/{}", fed.id), format!("Patient/{id}")],
                    query: None,
                }));
                subject.entities.extend(planned.entities);
            } else if after != fed.id
                && let Some((_, known)) = &known
                && let (Some(then), Some(now)) = (known.survivor(), record.survivor())
                && then != now
            {
                puts.extend(moving.repoint(&fed.id, (then, now))?.puts);
            }
            let resource = shown(fed.resource.clone(), &record, &self.identity);
            puts.append(&mut absorbed);
            puts.push(patient_put(&fed.id, version, &record, &resource));
            let batch = Batch { instant: now, puts, ..Batch::default() };
            let taken = Taken { created: version == 1, version: fed.record.fed };
            trail = trail.also(also);
            match trail.commit(&self.store, batch, subject, |_| taken).await {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

/// What a fed patient does to what is known.
struct Turn {
    /// Whose gates it goes through.
    patients: BTreeSet<String>,
    known: Option<(Row, PatientRecord)>,
    /// What will be known.
    record: PatientRecord,
    /// Who has what belongs to it.
    before: String,
    /// Who will have it.
    after: String,
    /// Patients of other feeds that turn out to be this one.
    absorbed: Vec<Put>,
}

impl Feed {
    /// Of two who are merged into each other neither is in use, and nobody would see what belongs to them.
    fn closes_no_ring(
        &self,
        id: &str,
        known: Option<&PatientRecord>,
        record: &PatientRecord,
    ) -> Result<(), Fault<Findings>> {
        let Some(survivor) = record.survivor() else { return Ok(()) };
        if known.and_then(PatientRecord::survivor) == Some(survivor)
            || !merged::chain(&self.store, survivor)?.iter().any(|one| one == id)
        {
            return Ok(());
        }
        let text = if survivor == id {
            format!("Patient/{id} cannot take the place of itself. Nothing was changed")
        } else {
            format!(
                "Patient/{survivor}, who is said to take the place of Patient/{id}, was merged into Patient/{id} before, by this feed, by ITI-8 or by ITI-44: neither would be in use, and nobody would see their documents. Undo one of the two merges; one that ITI-8 or ITI-44 told is for good. Nothing was changed"
            )
        };
        Err(Fault::Refused(vec![Finding::error(Rule::BusinessRule, Place::at("Patient.link"), text)]))
    }

    fn turn(&self, fed: &Fed, told: &[String]) -> Result<Turn, store::Error> {
        let known = patient_row(&self.store, &fed.id)?;
        let record = match &known {
            Some((_, known)) => fed.record.clone().over(known),
            None => fed.record.clone(),
        };
        let before = match &known {
            Some(_) => merged::stands(&self.store, &fed.id)?,
            None => fed.id.clone(),
        };
        let after = match record.survivor().filter(|survivor| *survivor != fed.id) {
            None => fed.id.clone(),
            Some(survivor) => {
                let stands = merged::stands(&self.store, survivor)?;
                // Whoever is merged into somebody that was merged into it: nobody stands for them, and nothing moves.
                if stands == fed.id { before.clone() } else { stands }
            }
        };
        let stands = record.active && record.survivor().is_none();
        let absorbed = if stands && !told.is_empty() {
            let identifiers = &fed.record.identifiers;
            absorbed(&self.store, &self.authorities, &self.identity, &fed.id, identifiers)?
        } else {
            Vec::new()
        };
        let retired = absorbed.iter().map(|put| put.id.clone());
        let patients = retired.chain([fed.id.clone(), before.clone(), after.clone()]).collect();
        Ok(Turn { patients, known, record, before, after, absorbed })
    }
}
