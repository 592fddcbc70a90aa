//! Reading one patient: as it stands, as it stood, and all its versions (the read part of ITI-78).

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::history::{Asked, Made, Page};
use store::Row;
use xds::Findings;

use crate::records::{PATIENT, Records};

/// The use case: one version.
pub(crate) struct ReadPatient {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// Which one.
pub(crate) struct Wanted {
    /// Its id.
    pub(crate) id: String,
    /// Its version; the current one if none.
    pub(crate) version: Option<u64>,
}

impl Transaction for ReadPatient {
    type Request = Wanted;
    type Response = Row;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-78";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        wanted: Wanted,
    ) -> Result<Audited<Row>, Fault<Findings>> {
        let store = self.records.store();
        let row = match wanted.version {
            None => self.records.patient(&wanted.id)?,
            Some(version) => store.version(PATIENT, &wanted.id, version)?,
        };
        let row = row.ok_or(Fault::NotFound)?;
        if row.deleted {
            return Err(Fault::Gone(row.version));
        }
        Ok(trail.note(store, self.clock.now(), subject(&row.id), row).await?)
    }
}

/// The use case: its versions.
pub(crate) struct ReadHistory {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// Which versions.
pub(crate) struct WantedHistory {
    /// Its id.
    pub(crate) id: String,
    /// Those that are asked for.
    pub(crate) asked: Asked,
}

/// A page of them.
pub(crate) struct History {
    /// Whose.
    pub(crate) id: String,
    /// The versions, newest first.
    pub(crate) page: Page<Row>,
}

impl Transaction for ReadHistory {
    type Request = WantedHistory;
    type Response = History;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-78";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        WantedHistory { id, asked }: WantedHistory,
    ) -> Result<Audited<History>, Fault<Findings>> {
        let store = self.records.store();
        let rows = store.history(PATIENT, &id)?;
        if rows.is_empty() {
            return Err(Fault::NotFound);
        }
        let page = asked.page(rows, |row| Made { version: row.version, instant: row.instant });
        Ok(trail.note(store, self.clock.now(), subject(&id), History { id, page }).await?)
    }
}

fn subject(id: &str) -> Subject {
    Subject { patient: Some(id.to_owned()), entities: vec![format!("Patient/{id}")], query: None }
}
