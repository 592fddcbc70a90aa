//! Metadata update: PUT and PATCH of a document entry or folder. One version becomes the next in one commit, with its audit
//! record; what may change, `xds::plan` decides.

use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use fhir::condition::Identified;
use fhir::patch::Patch;
use fhir::update::Listed;
use serde_json::Value;
use store::{Batch, Instant, Kind, Put, Row, Store, Version};
use xds::plan::{DocumentVersion, FolderVersion, KnownDocument, PatientState, Standing};
use xds::{AssociationType, EntryUuid, Finding, Findings, Patient, Place, Rule, Severity};

use crate::amend::work::Work;
use crate::gate::Gates;
use crate::patients;
use crate::read::{resource_type, well_formed};
use crate::records::{
    DOCUMENT, DocumentRecord, FolderRecord, LIST, ListRecord, document_put, document_row, folder_put,
    identified, unreadable,
};
use crate::register::refusal;

/// Lost races before a caller is asked to come again.
const TRIES: usize = 20;

/// The use case.
#[derive(Clone)]
pub(crate) struct Update {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) gates: Arc<Gates>,
    /// Public base of the identity source.
    pub(crate) identity: Arc<str>,
    /// The zone of times that name none.
    pub(crate) time_zone: jiff::tz::TimeZone,
    /// Which codes are accepted.
    pub(crate) domain: Arc<affinity::Shelf>,
    /// Bytes of a resource that a patch makes larger.
    pub(crate) max_bytes: u64,
}

/// What is to be changed, and how.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Documents or lists.
    pub(crate) kind: Kind,
    /// Which one.
    pub(crate) which: Which,
    /// The version it is meant for.
    pub(crate) if_match: Option<Versions>,
    /// How.
    pub(crate) change: Change,
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// By its id.
    Id(String),
    /// The one that has this identifier.
    Identified(Identified),
}

/// What `If-Match` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Versions {
    /// The versions, as they were written; empty: any.
    pub(crate) any_of: Vec<String>,
}

/// How.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// It becomes this.
    Whole(Value),
    /// This is done to it.
    Patch(Patch),
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) struct Updated {
    /// Documents or lists.
    pub(crate) kind: Kind,
    /// Its id.
    pub(crate) id: String,
    /// The version that stands now.
    pub(crate) version: Version,
    /// When it was made.
    pub(crate) instant: Instant,
    /// As readers get it.
    pub(crate) rendering: Bytes,
    /// Whether this request made the version; false: there was nothing to change.
    pub(crate) changed: bool,
    /// Reservations.
    pub(crate) warnings: Findings,
}

type Failure = Fault<Findings>;

impl Transaction for Update {
    type Request = Wanted;
    type Response = Updated;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-92";
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        _: Grant<Self>,
        mut trail: Trail,
        wanted: Wanted,
    ) -> Result<Audited<Updated>, Failure> {
        let id = self.id(&wanted)?;
        for _ in 0..TRIES {
            let partition = self.current(wanted.kind, &id)?.partition;
            // Whether a status may change depends on what else belongs to the patient.
            let _pass = self.gates.alone(&partition).await;
            let row = self.current(wanted.kind, &id)?;
            if row.partition != partition {
                continue;
            }
            matches(wanted.if_match.as_ref(), &row)?;
            let now = self.clock.now();
            let (puts, warnings) = self.decide(&wanted, &row, now)?;
            let subject = Subject {
                patient: Some(row.partition.clone()),
                entities: vec![format!("{}/{id}", resource_type(wanted.kind))],
                query: None,
            };
            let Some(put) = puts.iter().find(|put| put.kind == wanted.kind && put.id == id) else {
                let stands = Updated {
                    kind: wanted.kind,
                    id: row.id,
                    version: row.version,
                    instant: row.instant,
                    rendering: row.rendering,
                    changed: false,
                    warnings,
                };
                return Ok(trail.note(&self.store, now, subject, stands).await?);
            };
            let updated = Updated {
                kind: wanted.kind,
                id: id.clone(),
                version: put.version,
                instant: now,
                rendering: put.rendering.clone(),
                changed: true,
                warnings,
            };
            let batch = Batch { instant: now, puts, ..Batch::default() };
            let committed = trail.commit(&self.store, batch, subject, |applied| Updated {
                instant: applied.instant,
                ..updated
            });
            match committed.await {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

/// Whether the version that stands is one the caller means.
fn matches(if_match: Option<&Versions>, row: &Row) -> Result<(), Failure> {
    let Some(Versions { any_of }) = if_match else { return Ok(()) };
    if any_of.is_empty() || any_of.contains(&row.version.to_string()) {
        return Ok(());
    }
    Err(Fault::Precondition(format!(
        "the current version is W/\"{}\" and If-Match says {}; read it again, and make the change on that",
        row.version,
        any_of.join(", ")
    )))
}

impl Update {
    /// The id of what is meant: of several with one identifier nobody can say which.
    fn id(&self, wanted: &Wanted) -> Result<String, Failure> {
        let name = match &wanted.which {
            Which::Id(id) => {
                well_formed(id)?;
                return Ok(id.clone());
            }
            Which::Identified(name) => name,
        };
        let mut rows = identified(&self.store, wanted.kind, name)?;
        match (rows.pop(), rows.len()) {
            (None, _) => Err(Fault::NotFound),
            (Some(row), 0) => Ok(row.id),
            (Some(_), more) => Err(several(wanted.kind, more + 1)),
        }
    }

    fn current(&self, kind: Kind, id: &str) -> Result<Row, Failure> {
        let row = self.store.get(kind, id)?.ok_or(Fault::NotFound)?;
        if row.deleted { Err(Fault::Gone(row.version)) } else { Ok(row) }
    }

    /// The next version, with what else changes by it; nothing if it would be equal to this one.
    fn decide(&self, wanted: &Wanted, row: &Row, now: Instant) -> Result<(Vec<Put>, Findings), Failure> {
        let resource = resource_type(wanted.kind);
        let current: Value =
            serde_json::from_slice(&row.rendering).map_err(|e| unreadable(wanted.kind, &row.id, &e))?;
        let new = match &wanted.change {
            Change::Whole(new) => new.clone(),
            Change::Patch(patch) => patch.apply(&current, self.max_bytes).map_err(Fault::Refused)?,
        };
        let new = fhir::update::check(new, resource, &row.id).map_err(Fault::Refused)?;
        let id = EntryUuid::parse(&row.id)
            .ok_or_else(|| unreadable(wanted.kind, &row.id, &"its id is no UUID"))?;
        let judged = self.judged(resource, &current, &new);
        let decided = if wanted.kind == DOCUMENT {
            self.document(row, &current, &new)
        } else {
            self.folder(row, &current, &new)
        };
        let (of, mut warnings) = decided.map_err(|fault| match fault {
            Fault::Refused(findings) => refusal(findings, &judged),
            other => other,
        })?;
        if judged.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(refusal(warnings, &judged));
        }
        warnings.extend(judged);
        // What would be written now in the place of the version that stands tells whether anything changes.
        let as_it_stands = |of: &Next| -> Option<Value> {
            serde_json::from_slice(&of.put(&id, row, row.version, row.instant).rendering).ok()
        };
        if as_it_stands(&of).as_ref() == Some(&current) {
            return Ok((Vec::new(), warnings));
        }
        // Another status is no other version of the metadata (TF-2 3.57.4.1.3.3.2).
        if of.with_status_of(row).is_some_and(|before| as_it_stands(&before).as_ref() == Some(&current)) {
            return Ok((vec![of.put(&id, row, row.version + 1, now)], warnings));
        }
        let mut work = Work::new(&self.store);
        let new = EntryUuid::from(uuid::Uuid::new_v4());
        match of {
            Next::Document(record) => work.next_document(&id, *record, new, &row.partition, true)?,
            Next::Folder(record) => work.next_folder(&id, *record, new, &row.partition, true)?,
        }
        Ok((work.finish(now), warnings))
    }

    /// What the domain says of the codes that are new: those that stand already are no fault of this change.
    fn judged(&self, resource: &str, current: &Value, new: &Value) -> Findings {
        if !self.domain.judges() {
            return Findings::new();
        }
        let at = Place::at(resource);
        let stands = fhir::coded::of_resource(current, &at);
        let mut given = fhir::coded::of_resource(new, &at);
        given.retain(|value| {
            !stands.iter().any(|other| other.attribute == value.attribute && other.codings == value.codings)
        });
        self.domain.judge(&given)
    }

    fn document(&self, row: &Row, current: &Value, new: &Value) -> Result<(Next, Findings), Failure> {
        let record: DocumentRecord =
            serde_json::from_slice(&row.body).map_err(|e| unreadable(DOCUMENT, &row.id, &e))?;
        let profile = fhir::update::profile_of(current);
        let mut read = fhir::update::read_document(new, profile, &self.time_zone).map_err(Fault::Refused)?;
        self.settle_patient(&record.entry.patient, &mut read.entry.patient)?;
        fhir::update::keep_document(&record.entry, current, &self.time_zone, &mut read.entry);
        let shown = record.shown_relations();
        let before = DocumentVersion { entry: &record.entry, relations: &shown };
        let after = DocumentVersion { entry: &read.entry, relations: &read.relations };
        let at = Place::at("DocumentReference");
        let standing = Standing { replaced_by: replaced_by(&self.store, &row.id)? };
        let mut entry =
            xds::plan::update_document(before, after, &standing, profile, &at).map_err(Fault::Refused)?;
        entry.carried.fhir = Some(new.to_string());
        Ok((Next::Document(Box::new(DocumentRecord { entry, ..record })), read.warnings))
    }

    fn folder(&self, row: &Row, current: &Value, new: &Value) -> Result<(Next, Findings), Failure> {
        let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(LIST, &row.id, &e))?;
        let ListRecord::Folder(record) = record else { return Err(a_set()) };
        if fhir::update::listed(new) == Some(Listed::SubmissionSet) {
            return Err(a_set());
        }
        let profile = fhir::update::profile_of_folder(current);
        let (mut after, listed) = fhir::update::read_folder(new, profile).map_err(Fault::Refused)?;
        self.settle_patient(&record.folder.patient, &mut after.patient)?;
        fhir::update::keep_folder(&record.folder, current, &mut after);
        let registered = record.shown_members();
        let before = FolderVersion { folder: &record.folder, members: &registered };
        let after = FolderVersion { folder: &after, members: &listed };
        let mut folder =
            xds::plan::update_folder(before, after, &Place::at("List")).map_err(Fault::Refused)?;
        folder.carried.fhir = Some(new.to_string());
        Ok((Next::Folder(Box::new(FolderRecord { folder, ..record })), Findings::new()))
    }

    /// Says who the new version is about, if it names somebody else in words than the one that stands.
    fn settle_patient(&self, current: &Patient, new: &mut Patient) -> Result<(), store::Error> {
        let by = |reference: Option<String>, identifier| {
            let named = Patient { reference, identifier, id: None };
            patients::resolve(&self.store, &self.identity, &named, None)
        };
        let same_words = |one: &Patient| {
            one.reference == current.reference
                && (one.identifier.is_none() || one.identifier == current.identifier)
        };
        if same_words(new) {
            new.id.clone_from(&current.id);
            return Ok(());
        }
        let mut named = Vec::new();
        if new.reference.is_some() && new.reference != current.reference {
            named.push(by(new.reference.clone(), None)?);
        }
        if new.identifier.is_some() && new.identifier != current.identifier {
            named.push(by(None, new.identifier.clone())?);
        }
        // Nobody named: the patient would be taken away.
        let theirs = |state: &PatientState| matches!(state, PatientState::Active(id) if Some(id) == current.id.as_ref());
        new.id = (!named.is_empty() && named.iter().all(theirs)).then(|| current.id.clone()).flatten();
        Ok(())
    }
}

/// The documents that replace this one.
pub(crate) fn replaced_by(store: &Store, id: &str) -> Result<Vec<KnownDocument>, store::Error> {
    let mut replaced_by = Vec::new();
    for kind in [AssociationType::Replace, AssociationType::TransformReplace] {
        for source in store.sources(DOCUMENT, kind.edge(), id)? {
            let (Some((row, record)), Some(source)) =
                (document_row(store, &source)?, EntryUuid::parse(&source))
            else {
                continue;
            };
            let ties = |one: &xds::ties::Relation| {
                one.kind == kind && one.target.object.as_str() == id && !one.tie.deprecated
            };
            if record.relations.iter().any(ties) {
                replaced_by.push(KnownDocument {
                    is_transformation: kind == AssociationType::TransformReplace,
                    ..KnownDocument::new(source, row.partition, record.entry.availability)
                });
            }
        }
    }
    Ok(replaced_by)
}

/// What is to stand.
enum Next {
    Document(Box<DocumentRecord>),
    Folder(Box<FolderRecord>),
}

impl Next {
    /// The same with the status that stands.
    fn with_status_of(&self, row: &Row) -> Option<Next> {
        let Next::Document(record) = self else { return None };
        let stands: DocumentRecord = serde_json::from_slice(&row.body).ok()?;
        let mut record = DocumentRecord::clone(record);
        record.entry.availability = stands.entry.availability;
        Some(Next::Document(Box::new(record)))
    }

    fn put(&self, id: &EntryUuid, row: &Row, version: Version, now: Instant) -> Put {
        match self {
            Next::Document(record) => {
                let record = DocumentRecord::clone(record);
                document_put(&row.partition, id, version, now, record)
            }
            Next::Folder(record) => folder_put(&row.partition, id, version, now, FolderRecord::clone(record)),
        }
    }
}

/// A submission set says what was submitted, by whom and when: there is no update of it (TF-2 3.57).
fn a_set() -> Failure {
    let at = Place::at("List").member("code").of("SubmissionSet");
    let text = "this List is a submission set, which records a submission as it was made; metadata update is for document \
                entries and folders";
    Fault::Refused(vec![Finding::error(Rule::Unmodifiable, at, text)])
}

pub(crate) fn several(kind: Kind, count: usize) -> Failure {
    let resource = resource_type(kind);
    let text = format!(
        "{count} {resource}s have this identifier, so it does not say which one is meant; nothing was changed. Name one by its id"
    );
    let at = Place::at(resource).member("identifier");
    Fault::Refused(vec![Finding::error(Rule::MultipleMatches, at, text)])
}
