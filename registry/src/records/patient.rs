//! Patients, as the identity source fed them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{AnyOf, Ask, Order, Put, Row, Scope, Store, Test, Version};
use xds::attribute::{Attribute, identifier_value, system};
use xds::{Identifier, attribute};

use super::{PATIENT, facts, unreadable};

/// Patients that one identifier may name before we stop to look: more than one is a fault of the feed already.
const MAX_NAMESAKES: usize = 32;

/// What the registry knows of a patient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PatientRecord {
    /// `meta.versionId` at the identity source.
    pub(crate) fed: u64,
    /// `active`; true where the source says nothing.
    pub(crate) active: bool,
    /// The patient that took its place (`link` replaced-by), by reference.
    pub(crate) replaced_by: Option<String>,
    /// Its identifiers.
    pub(crate) identifiers: Vec<Identifier>,
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

/// A version of a patient.
pub(crate) fn patient_put(id: &str, version: Version, record: &PatientRecord) -> Put {
    Put {
        kind: PATIENT,
        id: id.to_owned(),
        version,
        partition: id.to_owned(),
        order: 0,
        facts: facts(attribute::of_patient(&record.identifiers)),
        edges: Vec::new(),
        body: Bytes::from(serde_json::to_vec(record).expect("a patient is writable as JSON")),
        rendering: Bytes::new(),
        deleted: false,
    }
}

/// The patient of a row, as far as the registry knows it.
pub(crate) fn patient_of(row: &Row) -> Result<PatientRecord, store::Error> {
    read(row)
}

fn read(row: &Row) -> Result<PatientRecord, store::Error> {
    serde_json::from_slice(&row.body).map_err(|e| unreadable(PATIENT, &row.id, &e))
}
