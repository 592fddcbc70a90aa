//! Bulk export (`$export`): everything, one patient's or a group's resources as of one moment, in files.
//!
//! An order is a record; so is how far it has come. A file is a blob, committed together with the place where the next one
//! begins: whatever ends the process in between, the work goes on there, and no resource is told twice or left out.

mod files;
mod walk;
mod work;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use store::{Batch, Instant, Sequence, Store};
use tokio::sync::Notify;
use xds::Findings;

use crate::config::Export;
use crate::patients;
use crate::query::Query;
use crate::records::{
    ExportRecord, Ordered, PATIENT, Place, Whose, export_put, export_row, group_row, next_export,
};

pub(crate) use files::{Fetch, Fetched, Wanted};
pub(crate) use walk::read_filter;

/// Questions about one export within a second, before the caller is asked to wait.
const ASKED_A_SECOND: u32 = 10;

/// Looks at a group that changes meanwhile, before a caller is asked to come again.
const TRIES: usize = 20;

/// When to come again that finds too much work waiting.
const LATER: Duration = Duration::from_mins(1);

/// What all that is about exports shares.
pub(crate) struct Exports {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) settings: Export,
    /// The zone of dates that name none, in filters.
    pub(crate) zone: jiff::tz::TimeZone,
    /// Public base of the identity source.
    pub(crate) identity: String,
    /// What turns the search of a filter into a question.
    query: Arc<Query>,
    /// Told when there is something to do.
    pub(crate) wake: Notify,
    /// Resources in the file that is being written, by export.
    written: Mutex<HashMap<String, u64>>,
    /// When each export was last asked about: the beginning of a second, and how often within it.
    asked: Mutex<HashMap<String, (Instant, u32)>>,
}

impl Exports {
    pub(crate) fn new(
        store: Store,
        clock: Clock,
        settings: Export,
        zone: jiff::tz::TimeZone,
        identity: String,
        query: Arc<Query>,
    ) -> Exports {
        Exports {
            store,
            clock,
            settings,
            zone,
            identity,
            query,
            wake: Notify::new(),
            written: Mutex::default(),
            asked: Mutex::default(),
        }
    }

    /// Notes how many resources are in the file that is being written; none: that file is done.
    fn progress(&self, id: &str, count: Option<u64>) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match count {
            Some(count) => {
                written.insert(id.to_owned(), count);
            }
            None => {
                written.remove(id);
            }
        }
    }

    fn in_progress(&self, id: &str) -> u64 {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied().unwrap_or_default()
    }

    /// Whether this export is asked about faster than makes sense.
    fn too_fast(&self, id: &str, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, (since, _)| now - *since < 1_000_000);
        let (_, times) = asked.entry(id.to_owned()).or_insert((now, 0));
        *times += 1;
        *times > ASKED_A_SECOND
    }
}

/// Kick-off.
#[derive(Clone)]
pub(crate) struct Start(pub(crate) Arc<Exports>);

/// An order as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// What is ordered; whose resources follows from `of`.
    pub(crate) ordered: Ordered,
    /// Whose resources, as the request names them.
    pub(crate) of: Of,
}

/// Whose resources, as a request names them.
#[derive(Debug, Clone)]
pub(crate) enum Of {
    /// Everybody's.
    Everybody,
    /// This patient's: the id in the path.
    Patient(String),
    /// These patients': parameters, by reference.
    Patients(Vec<String>),
    /// A group's: the id in the path.
    Group(String),
    /// These patients' of a group.
    GroupPatients(String, Vec<String>),
}

/// What became of an order.
#[derive(Debug, Clone)]
pub(crate) enum Started {
    /// It is worked on, under this id.
    Accepted(String),
    /// Too many are worked on.
    TooMany(Duration),
}

impl Transaction for Start {
    type Request = Order;
    type Response = Started;
    type Findings = Findings;
    const NUMBER: &'static str = "export";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        order: Order,
    ) -> Result<Audited<Started>, Fault<Findings>> {
        let Start(exports) = self;
        let store = &exports.store;
        let Order { mut ordered, of } = order;
        let (whose, as_of) = self.as_of(&of, &ordered.base)?;
        ordered.of = whose;
        let now = exports.clock.now();
        let mut subject = Subject {
            patient: match &ordered.of {
                Whose::Patients(patients) if patients.len() == 1 => patients.first().cloned(),
                _ => None,
            },
            entities: Vec::new(),
            query: Some(ordered.request.clone()),
        };
        let (_, running) = next_export(store)?;
        if running >= exports.settings.max_jobs {
            return Ok(trail.note(store, now, subject, Started::TooMany(LATER)).await?);
        }
        // An export takes room that submissions need more.
        store.room()?;
        let id = uuid::Uuid::new_v4().to_string();
        subject.entities.push(format!("export/{id}"));
        let record = ExportRecord {
            order: ordered,
            as_of,
            started: now,
            place: Place::default(),
            files: Vec::new(),
            ended: None,
            failed: None,
        };
        let batch =
            Batch { instant: now, puts: vec![export_put(&id, 1, now, &record, false)], ..Batch::default() };
        let committed = trail.commit(store, batch, subject, |_| Started::Accepted(id)).await;
        let audited = committed.map_err(|(_, error)| error)?;
        exports.wake.notify_one();
        Ok(audited)
    }
}

impl Start {
    /// Whose resources, and the state they are given out as: of a group, one in which it has the members it is given out with,
    /// since a merge changes both in one commit.
    fn as_of(&self, of: &Of, base: &str) -> Result<(Whose, Sequence), Fault<Findings>> {
        let store = &self.0.store;
        for _ in 0..TRIES {
            let as_of = store.sequence();
            let whose = self.whose(of.clone(), base)?;
            let (Of::Group(id) | Of::GroupPatients(id, _)) = of else { return Ok((whose, as_of)) };
            if group_row(store, id)?.is_none_or(|row| row.sequence <= as_of) {
                return Ok((whose, as_of));
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }

    fn whose(&self, of: Of, base: &str) -> Result<Whose, Fault<Findings>> {
        let store = &self.0.store;
        Ok(match of {
            Of::Everybody => Whose::Everybody,
            Of::Patient(id) => {
                store.get(PATIENT, &id)?.ok_or(Fault::NotFound)?;
                Whose::Patients(vec![id])
            }
            Of::Patients(references) => Whose::Patients(self.patients(&references, base)?),
            Of::Group(id) => {
                let row = group_row(store, &id)?.ok_or(Fault::NotFound)?;
                if row.deleted {
                    return Err(Fault::Gone(row.version));
                }
                Whose::Group(id, row.version)
            }
            Of::GroupPatients(id, references) => {
                let row = group_row(store, &id)?.filter(|row| !row.deleted).ok_or(Fault::NotFound)?;
                let members = crate::records::group_members(store, &id, row.version)?;
                let mut patients = self.patients(&references, base)?;
                patients.retain(|patient| members.contains(patient));
                Whose::Patients(patients)
            }
        })
    }

    /// The patients that references name, in order; a finding for each that names nobody.
    fn patients(&self, references: &[String], base: &str) -> Result<Vec<String>, Fault<Findings>> {
        let mut ids = Vec::with_capacity(references.len());
        let mut findings = Findings::new();
        for (index, reference) in references.iter().enumerate() {
            let own =
                reference.strip_prefix(base).map_or(reference.as_str(), |rest| rest.trim_start_matches('/'));
            match patients::known(&self.0.store, &self.0.identity, own)? {
                Some(id) => ids.push(id),
                None => findings.push(patients::unknown(
                    &format!("Parameters.parameter.where(name='patient')[{index}].valueReference"),
                    reference,
                )),
            }
        }
        if !findings.is_empty() {
            return Err(Fault::Refused(findings));
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// A question how far an export is.
#[derive(Clone)]
pub(crate) struct Look(pub(crate) Arc<Exports>);

/// How far it is.
#[derive(Debug, Clone)]
pub(crate) enum Looked {
    /// Asked too often.
    TooFast,
    /// It is worked on: resources and files so far, and seconds since it was ordered.
    Running { resources: u64, files: usize, seconds: u64 },
    /// It came to nothing.
    Failed(String),
    /// It is there, until then.
    Done { record: Box<ExportRecord>, id: String, expires: Instant },
}

impl Transaction for Look {
    type Request = String;
    type Response = Looked;
    type Findings = Findings;
    const NUMBER: &'static str = "export";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        id: String,
    ) -> Result<Audited<Looked>, Fault<Findings>> {
        let Look(exports) = self;
        let now = exports.clock.now();
        let record = exports.known(&id, now)?.ok_or(Fault::NotFound)?;
        let subject = Subject { patient: None, entities: vec![format!("export/{id}")], query: None };
        let looked = match (record.ended, &record.failed) {
            (None, _) if exports.too_fast(&id, now) => Looked::TooFast,
            (None, _) => Looked::Running {
                resources: record.files.iter().map(|file| file.count).sum::<u64>() + exports.in_progress(&id),
                files: record.files.len(),
                seconds: u64::try_from((now - record.started) / 1_000_000).unwrap_or_default(),
            },
            (Some(_), Some(why)) => Looked::Failed(why.clone()),
            (Some(ended), None) => {
                Looked::Done { expires: ended.saturating_add(exports.keep()), record: Box::new(record), id }
            }
        };
        Ok(trail.note(&exports.store, now, subject, looked).await?)
    }
}

impl Exports {
    /// An export that is under way, or can be fetched.
    fn known(&self, id: &str, now: Instant) -> Result<Option<ExportRecord>, store::Error> {
        let record = export_row(&self.store, id)?.map(|(_, record)| record);
        Ok(record.filter(|record| !self.is_over(record, now)))
    }

    /// Whether the time of an export is over.
    fn is_over(&self, record: &ExportRecord, now: Instant) -> bool {
        record.ended.is_some_and(|ended| ended.saturating_add(self.keep()) <= now)
    }

    /// How long an export is kept once it has come to an end, in microseconds.
    fn keep(&self) -> Instant {
        Instant::try_from(self.settings.keep).unwrap_or(Instant::MAX / 1_000_000).saturating_mul(1_000_000)
    }
}

/// Cancels an export, or lets one go that is done.
#[derive(Clone)]
pub(crate) struct Cancel(pub(crate) Arc<Exports>);

impl Transaction for Cancel {
    type Request = String;
    type Response = ();
    type Findings = Findings;
    const NUMBER: &'static str = "export";
    const ACTION: Action = Action::Delete;
    const CONCLUDES: bool = true;

    async fn run(
        &self,
        _: Grant<Self>,
        mut trail: Trail,
        id: String,
    ) -> Result<Audited<()>, Fault<Findings>> {
        let Cancel(exports) = self;
        loop {
            let (row, record) = export_row(&exports.store, &id)?.ok_or(Fault::NotFound)?;
            let subject = Subject { patient: None, entities: vec![format!("export/{id}")], query: None };
            let (batch, blobs) = removal(&id, row.version, record, exports.clock.now());
            match trail.commit(&exports.store, batch, subject, |_| ()).await {
                Ok(audited) => {
                    exports.discard(&blobs);
                    return Ok(audited);
                }
                // A file was finished meanwhile.
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
    }
}

/// What lets an export go, and the blobs that go with it.
fn removal(
    id: &str,
    version: store::Version,
    mut record: ExportRecord,
    now: Instant,
) -> (Batch, Vec<String>) {
    let blobs: Vec<String> = record.files.drain(..).map(|file| file.blob).collect();
    let puts = vec![export_put(id, version + 1, now, &record, true)];
    let batch = Batch { instant: now, puts, trash: blobs.clone(), concluding: true, ..Batch::default() };
    (batch, blobs)
}

impl Exports {
    /// Deletes files that were let go: they can be made again, so nobody needs them out of the trash.
    fn discard(&self, blobs: &[String]) {
        if let Err(error) = self.store.discard(blobs) {
            tracing::warn!(%error, "files of an export stay in the trash for now");
        }
    }
}
