//! The feed of patients from the identity source: the registry's own record of who there is.

use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use serde_json::Value;
use store::{Batch, Store};
use xds::{Finding, Findings, Place, Rule};

use crate::authorities::Authorities;
use crate::gate::Gates;
use crate::identify::{absorbed, name, shown};
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
            // Who another feed has made of these identifiers is this patient: it takes that one's place.
            let stands = fed.record.active && fed.record.replaced_by.is_none();
            let mut puts = if stands && !told.is_empty() {
                let identifiers = &fed.record.identifiers;
                absorbed(&self.store, &self.authorities, &self.identity, &fed.id, identifiers)?
            } else {
                Vec::new()
            };
            // Nothing may be registered for a patient while it is being retired.
            let retired = puts.iter().map(|put| put.id.clone()).collect::<Vec<_>>();
            let ids = retired.iter().map(String::as_str).chain([fed.id.as_str()]);
            let _pass = self.gates.all_alone(ids).await;
            let known = patient_row(&self.store, &fed.id)?;
            let now = self.clock.now();
            let subject = Subject {
                patient: Some(fed.id.clone()),
                entities: vec![format!("Patient/{}", fed.id)],
                query: None,
            };
            let version = match &known {
                // The feed is delivered at least once: what is known already is answered, and nothing changes.
                Some((_, record)) if record.fed >= fed.record.fed => {
                    let taken = Taken { created: false, version: record.fed };
                    return Ok(trail.note(&self.store, now, subject, taken).await?);
                }
                Some((row, _)) => row.version + 1,
                None => 1,
            };
            let record = match &known {
                Some((_, known)) => fed.record.clone().over(known),
                None => fed.record.clone(),
            };
            let resource = shown(fed.resource.clone(), &record, &self.identity);
            puts.push(patient_put(&fed.id, version, &record, &resource));
            let batch = Batch { instant: now, puts, ..Batch::default() };
            let taken = Taken { created: version == 1, version: fed.record.fed };
            match trail.commit(&self.store, batch, subject, |_| taken).await {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}
