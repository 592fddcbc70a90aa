//! Exports: what was ordered, how far it has come, and the files that are there.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Ask, Instant, Order, Page, Put, Row, Scope, Sequence, Store, Version};

use super::{EXPORT, unreadable};

/// Partition of exports that are worked on.
const RUNNING: &str = "running";
/// Partition of exports that have come to an end.
const ENDED: &str = "ended";

/// An export as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExportRecord {
    /// What was ordered.
    pub(crate) order: Ordered,
    /// The state that is given out: everything as of this commit.
    pub(crate) as_of: Sequence,
    /// When that was, and when the export was ordered.
    pub(crate) started: Instant,
    /// Where the work goes on.
    pub(crate) place: Place,
    /// What is there already.
    pub(crate) files: Vec<File>,
    /// When it came to an end; none while it is worked on.
    pub(crate) ended: Option<Instant>,
    /// Why it came to nothing.
    pub(crate) failed: Option<String>,
}

/// What was ordered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ordered {
    /// The request as it was made.
    pub(crate) request: String,
    /// FHIR base of this registry, as the caller knows it.
    pub(crate) base: String,
    /// Whose resources.
    pub(crate) of: Whose,
    /// Types, each once.
    pub(crate) types: Vec<Type>,
    /// Written at this instant or later.
    pub(crate) since: Option<Instant>,
    /// Written before this instant.
    pub(crate) until: Option<Instant>,
    /// Searches: of a type, one of its searches must find a resource.
    pub(crate) filters: Vec<(Type, String)>,
    /// What was asked and is not done, in words.
    pub(crate) reservations: Vec<String>,
}

/// Whose resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Whose {
    /// Everybody's.
    Everybody,
    /// These patients', in order.
    Patients(Vec<String>),
    /// Those of the members of a group, as it was at this version.
    Group(String, Version),
}

/// A type of resource that can be exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Type {
    /// Patients, as far as the registry knows them.
    Patient,
    /// Document entries.
    DocumentReference,
    /// Submission sets and folders.
    List,
}

impl Type {
    /// All of them.
    pub(crate) const ALL: [Type; 3] = [Type::Patient, Type::DocumentReference, Type::List];

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Type::Patient => "Patient",
            Type::DocumentReference => "DocumentReference",
            Type::List => "List",
        }
    }

    /// The type of this name.
    pub(crate) fn named(name: &str) -> Option<Type> {
        Type::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// Where the work goes on: which type, behind which patient, or in the middle of which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    /// Index of the type; behind the last one come the removed resources.
    pub(crate) part: usize,
    /// All patients up to this one are done.
    pub(crate) patient: String,
    /// The patient in the middle of whose resources the last file ended, and the place there.
    pub(crate) within: Option<(String, Vec<u8>)>,
    /// The last commit whose removals are told.
    pub(crate) removed: Sequence,
}

/// A file that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// The blob that has its bytes.
    pub(crate) blob: String,
    /// What is in it.
    pub(crate) holds: Holds,
    /// Lines.
    pub(crate) count: u64,
}

/// What is in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Holds {
    /// Resources of this type.
    Resources(Type),
    /// Bundles that say which resources were removed.
    Removals,
    /// OperationOutcomes.
    Outcomes,
}

/// An export, with its row; none if it was cancelled or has expired.
pub(crate) fn export_row(store: &Store, id: &str) -> Result<Option<(Row, ExportRecord)>, store::Error> {
    let Some(row) = store.get(EXPORT, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = read(&row)?;
    Ok(Some((row, record)))
}

/// The export that has waited longest to be worked on, and how many wait.
pub(crate) fn next_export(store: &Store) -> Result<(Option<(Row, ExportRecord)>, u64), store::Error> {
    let page = exports(store, RUNNING, 1)?;
    let total = page.total.unwrap_or_default();
    let first = page.rows.into_iter().next();
    Ok((first.map(|row| read(&row).map(|record| (row, record))).transpose()?, total))
}

/// Some exports that came to an end, those first that did so first.
pub(crate) fn ended_exports(store: &Store) -> Result<Vec<(Row, ExportRecord)>, store::Error> {
    let page = exports(store, ENDED, 16)?;
    page.rows.into_iter().map(|row| read(&row).map(|record| (row, record))).collect()
}

fn exports(store: &Store, partition: &str, limit: usize) -> Result<Page, store::Error> {
    store.find(&Ask {
        kind: EXPORT,
        scope: Scope::Partitions(vec![partition.to_owned()]),
        all: Vec::new(),
        order: Order::Natural,
        after: None,
        limit,
        as_of: None,
        total: true,
    })
}

/// A version of an export; `worked` is when it was last worked on. `gone` says that it is no more.
pub(crate) fn export_put(
    id: &str,
    version: Version,
    worked: Instant,
    record: &ExportRecord,
    gone: bool,
) -> Put {
    let partition = if record.ended.is_some() { ENDED } else { RUNNING };
    Put {
        kind: EXPORT,
        id: id.to_owned(),
        version,
        partition: partition.to_owned(),
        // What has waited longest comes first.
        order: worked.saturating_neg(),
        facts: Vec::new(),
        edges: Vec::new(),
        body: Bytes::from(serde_json::to_vec(record).expect("an export is writable as JSON")),
        rendering: Bytes::new(),
        deleted: gone,
    }
}

fn read(row: &Row) -> Result<ExportRecord, store::Error> {
    serde_json::from_slice(&row.body).map_err(|e| unreadable(EXPORT, &row.id, &e))
}
