//! Read, vread and history of document entries and lists.

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use store::{Kind, Row, Store, Version};
use xds::{Finding, Findings, Place, Rule};

use crate::records::DOCUMENT;

/// The use case.
#[derive(Clone)]
pub(crate) struct Read {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

/// What is to be read.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Documents or lists.
    pub(crate) kind: Kind,
    /// The id.
    pub(crate) id: String,
    /// Which version.
    pub(crate) which: Which,
}

/// Which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that stands.
    Current,
    /// This one, as it was written in the request.
    Version(String),
    /// All, newest first.
    All,
}

/// What was read: one row, or all versions.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// The rows, newest first.
    pub(crate) rows: Vec<Row>,
    /// Whether a history was asked for.
    pub(crate) history: bool,
    /// When.
    pub(crate) now: i64,
}

/// Resource type of a kind.
pub(crate) fn resource_type(kind: Kind) -> &'static str {
    if kind == DOCUMENT { "DocumentReference" } else { "List" }
}

impl Transaction for Read {
    type Request = Wanted;
    type Response = Rows;
    type Findings = Findings;
    const NUMBER: &'static str = "read";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        wanted: Wanted,
    ) -> Result<Audited<Rows>, Fault<Findings>> {
        well_formed(&wanted.id)?;
        let rows = self.rows(&wanted)?;
        let now = self.clock.now();
        let subject = Subject {
            patient: rows.first().map(|row| row.partition.clone()),
            entities: vec![format!("{}/{}", resource_type(wanted.kind), wanted.id)],
            query: None,
        };
        let history = wanted.which == Which::All;
        Ok(trail.note(&self.store, now, subject, Rows { rows, history, now }).await?)
    }
}

impl Read {
    fn rows(&self, wanted: &Wanted) -> Result<Vec<Row>, Fault<Findings>> {
        let row = match &wanted.which {
            Which::All => {
                let rows = self.store.history(wanted.kind, &wanted.id)?;
                return if rows.is_empty() { Err(Fault::NotFound) } else { Ok(rows) };
            }
            Which::Current => self.store.get(wanted.kind, &wanted.id)?,
            Which::Version(text) => match text.parse::<Version>() {
                Ok(version) => self.store.version(wanted.kind, &wanted.id, version)?,
                Err(_) => {
                    well_formed(text)?;
                    None
                }
            },
        };
        match row {
            None => Err(Fault::NotFound),
            Some(row) if row.deleted => Err(Fault::Gone(row.version)),
            Some(row) => Ok(vec![row]),
        }
    }
}

/// FHIR ids are 1 to 64 letters, digits, `-` and `.`.
pub(crate) fn well_formed(id: &str) -> Result<(), Fault<Findings>> {
    let well_formed = (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if well_formed {
        return Ok(());
    }
    let text = "an id has 1 to 64 letters, digits, hyphens and dots";
    Err(Fault::Refused(vec![Finding::error(Rule::Value, Place::at("id"), text)]))
}
