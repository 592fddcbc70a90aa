//! Patients, as their feeds told them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{AnyOf, Ask, Edge, Order, Put, Row, Scope, Store, Test, Version};
use xds::attribute::{Attribute, Person, identifier_value, system};
use xds::filter::Clause;
use xds::{Identifier, attribute};

use super::ask::any_of;
use super::{MERGED_AWAY, MERGED_INTO, PATIENT, facts, unreadable};

/// Patients that one identifier may name before we stop to look: more than one is a fault of the feed already.
const MAX_NAMESAKES: usize = 32;

/// What the registry knows of a patient.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PatientRecord {
    /// `meta.versionId` at the identity source; 0: it has never fed this patient, ITI-8 or ITI-44 has.
    pub(crate) fed: u64,
    /// `active`; true where the source says nothing.
    pub(crate) active: bool,
    /// The patient that took its place (`link` replaced-by), by reference.
    pub(crate) replaced_by: Option<String>,
    /// Its identifiers.
    pub(crate) identifiers: Vec<Identifier>,
    /// Those of them that ITI-8 or ITI-44 told; the identity source need not know them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) told: Vec<Identifier>,
    /// Identifiers it had until ITI-8 or ITI-44 merged them away: nobody brings them back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) subsumed: Vec<Identifier>,
    /// The id of the patient ITI-8 or ITI-44 merged it into, or that turned out to be the same. For good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) merged_into: Option<String>,
}

impl PatientRecord {
    /// The id of the patient that took its place, whoever said so.
    pub(crate) fn survivor(&self) -> Option<&str> {
        let told = self.merged_into.as_deref();
        told.or_else(|| self.replaced_by.as_deref()?.rsplit("Patient/").next()?.split('/').next())
    }

    /// What the identity source feeds, laid over what is known: what ITI-8 and ITI-44 told stays.
    pub(crate) fn over(mut self, known: &PatientRecord) -> PatientRecord {
        self.identifiers.retain(|identifier| !known.subsumed.contains(identifier));
        for told in &known.told {
            if !self.identifiers.contains(told) {
                self.identifiers.push(told.clone());
            }
        }
        // Who was merged away and is only taken out of use stays merged: its link went with it. It is undone by a feed that
        // says the patient is active.
        if !self.active && self.replaced_by.is_none() {
            self.replaced_by.clone_from(&known.replaced_by);
        }
        self.active &= known.merged_into.is_none();
        self.told.clone_from(&known.told);
        self.subsumed.clone_from(&known.subsumed);
        self.merged_into.clone_from(&known.merged_into);
        self
    }
}

/// A known patient, with its row.
pub(crate) fn patient_row(store: &Store, id: &str) -> Result<Option<(Row, PatientRecord)>, store::Error> {
    let Some(row) = store.get(PATIENT, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = read(&row)?;
    Ok(Some((row, record)))
}

/// Every known patient with this identifier; a system of `None` is any.
pub(crate) fn patients_by_identifier(
    store: &Store,
    name_space: Option<&str>,
    value: &str,
) -> Result<Vec<(Row, PatientRecord)>, store::Error> {
    let rows = patient_rows_by_identifier(store, name_space, value)?;
    rows.into_iter().map(|row| read(&row).map(|record| (row, record))).collect()
}

/// The same without a look into the records: all that a search needs is whose they are.
pub(crate) fn patient_rows_by_identifier(
    store: &Store,
    name_space: Option<&str>,
    value: &str,
) -> Result<Vec<Row>, store::Error> {
    let test = Test::Term {
        name: Attribute::Identifier.name(),
        space: name_space.map(system),
        value: Some(identifier_value(value)),
    };
    let ask = Ask {
        kind: PATIENT,
        scope: Scope::Everywhere,
        all: vec![AnyOf { tests: vec![test], negated: false }],
        order: Order::Natural,
        after: None,
        limit: MAX_NAMESAKES,
        as_of: None,
        total: false,
    };
    Ok(store.find(&ask)?.rows)
}

/// The patients of whom all of this holds, among these; of all there are, no more than `most` are looked at.
pub(crate) fn patients_being(
    store: &Store,
    clauses: &[Clause],
    among: Option<Vec<String>>,
    most: usize,
) -> Result<Vec<String>, store::Error> {
    let limit = among.as_ref().map_or(most, Vec::len);
    let scope = among.map_or(Scope::Indexed(most), Scope::Partitions);
    let ask = Ask {
        kind: PATIENT,
        scope,
        all: clauses.iter().map(any_of).collect(),
        order: Order::Natural,
        after: None,
        limit,
        as_of: None,
        total: false,
    };
    Ok(store.find(&ask)?.rows.into_iter().map(|row| row.id).collect())
}

/// A version of a patient, with the resource as it was fed.
pub(crate) fn patient_put(id: &str, version: Version, record: &PatientRecord, resource: &Value) -> Put {
    Put {
        kind: PATIENT,
        id: id.to_owned(),
        version,
        partition: id.to_owned(),
        order: 0,
        facts: facts(attribute::of_patient(&person(record, resource))),
        edges: edges(id, record),
        body: Bytes::from(serde_json::to_vec(record).expect("a patient is writable as JSON")),
        rendering: Bytes::from(resource.to_string()),
        deleted: false,
    }
}

/// Who took its place, if anybody did.
fn edges(id: &str, record: &PatientRecord) -> Vec<Edge> {
    match record.survivor().filter(|survivor| *survivor != id) {
        Some(survivor) => vec![
            Edge { name: MERGED_INTO, target: survivor.to_owned() },
            Edge { name: MERGED_AWAY, target: id.to_owned() },
        ],
        None => Vec::new(),
    }
}

/// The patient of a row, as far as the registry knows it.
pub(crate) fn patient_of(row: &Row) -> Result<PatientRecord, store::Error> {
    read(row)
}

/// Who a patient is, as far as a search can ask for it.
fn person<'a>(record: &'a PatientRecord, resource: &Value) -> Person<'a> {
    let names = || resource.get("name").and_then(Value::as_array).into_iter().flatten();
    let texts = |member: &str| -> Vec<String> {
        let values = names().filter_map(|name| name.get(member));
        values
            .flat_map(|value| match value {
                Value::Array(many) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
                one => one.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
            })
            .collect()
    };
    let text = |member: &str| resource.get(member).and_then(Value::as_str);
    Person {
        identifiers: &record.identifiers,
        family: texts("family"),
        given: texts("given"),
        names: [texts("text"), texts("prefix"), texts("suffix")].concat(),
        born: text("birthDate").and_then(fhir::when::read).map(|day| (day.from, day.to)),
        gender: text("gender").map(str::to_owned),
        active: record.active,
    }
}

fn read(row: &Row) -> Result<PatientRecord, store::Error> {
    serde_json::from_slice(&row.body).map_err(|e| unreadable(PATIENT, &row.id, &e))
}
