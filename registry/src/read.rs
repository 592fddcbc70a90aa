//! Read, vread and history of document entries and lists.

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::history::{Asked, Made, Page};
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
    /// Those that are asked for, newest first.
    History(Asked),
}

/// What was read.
#[derive(Debug, Clone)]
pub(crate) enum Found {
    /// One version.
    One(Row),
    /// A page of its versions.
    History {
        /// The versions.
        page: Page<Row>,
        /// Whose.
        id: String,
        /// When they were read.
        now: i64,
    },
}

/// Resource type of a kind.
pub(crate) fn resource_type(kind: Kind) -> &'static str {
    if kind == DOCUMENT { "DocumentReference" } else { "List" }
}

impl Transaction for Read {
    type Request = Wanted;
    type Response = Found;
    type Findings = Findings;
    const NUMBER: &'static str = "read";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        wanted: Wanted,
    ) -> Result<Audited<Found>, Fault<Findings>> {
        well_formed(&wanted.id)?;
        let now = self.clock.now();
        let (partition, found) = match &wanted.which {
            Which::History(asked) => {
                let rows = self.store.history(wanted.kind, &wanted.id)?;
                let partition = rows.first().ok_or(Fault::NotFound)?.partition.clone();
                let page = asked.page(rows, |row| Made { version: row.version, instant: row.instant });
                (partition, Found::History { page, id: wanted.id.clone(), now })
            }
            Which::Current => one(self.store.get(wanted.kind, &wanted.id)?)?,
            Which::Version(text) => match text.parse::<Version>() {
                Ok(version) => one(self.store.version(wanted.kind, &wanted.id, version)?)?,
                Err(_) => {
                    well_formed(text)?;
                    return Err(Fault::NotFound);
                }
            },
        };
        let subject = Subject {
            patient: Some(partition),
            entities: vec![format!("{}/{}", resource_type(wanted.kind), wanted.id)],
            query: None,
        };
        Ok(trail.note(&self.store, now, subject, found).await?)
    }
}

fn one(row: Option<Row>) -> Result<(String, Found), Fault<Findings>> {
    match row {
        None => Err(Fault::NotFound),
        Some(row) if row.deleted => Err(Fault::Gone(row.version)),
        Some(row) => Ok((row.partition.clone(), Found::One(row))),
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
