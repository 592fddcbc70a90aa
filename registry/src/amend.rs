//! Update Document Set [ITI-57] and Restricted Update Document Set [ITI-92]: next versions of document entries and folders,
//! statuses, and associations of what is registered. All triggers of a request are done in one commit, or none.

mod entry;
mod status;
mod tie;
pub(crate) mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use fhir::iti65::Provided;
use store::{Applied, Batch, Claim, Store};
use uuid::Uuid;
use xds::plan::{Holder, Member, PatientState, Trigger, claim_name};
use xds::ties::Holding;
use xds::{EntryUuid, Finding, Findings, Place, Rule, Severity};

use crate::gate::Gates;
use crate::merged;
use crate::patients;
use crate::records::association::{self, Object};
use crate::records::{Committed, SubmissionRecord, set_put, submission_put, submission_row};
use crate::register::{hex, refusal};
use work::{Work, entity};

/// Lost races before a caller is asked to come again.
const TRIES: usize = 20;

/// What both transactions do.
#[derive(Clone)]
pub(crate) struct Amending {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) gates: Arc<Gates>,
    /// Public base of the identity source.
    pub(crate) identity: Arc<str>,
    /// The zone of times that name none.
    pub(crate) time_zone: jiff::tz::TimeZone,
    /// Which codes are accepted.
    pub(crate) domain: Arc<affinity::Shelf>,
}

/// ITI-57.
#[derive(Clone)]
pub(crate) struct Amend(pub(crate) Amending);

/// ITI-92.
#[derive(Clone)]
pub(crate) struct Restricted(pub(crate) Amending);

/// What is to be changed.
#[derive(Debug, Clone)]
pub(crate) struct Amendment {
    /// The submission set that changes it, and the objects as they are to read.
    pub(crate) provided: Provided,
    /// What is to be done, in the symbols of `provided`.
    pub(crate) triggers: Vec<Trigger>,
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) struct Amended {
    /// Reservations.
    pub(crate) warnings: Findings,
}

pub(crate) type Failure = Fault<Findings>;

impl Transaction for Amend {
    type Request = Amendment;
    type Response = Amended;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-57";
    const ACTION: Action = Action::Update;

    async fn run(&self, _: Grant<Self>, trail: Trail, asked: Amendment) -> Result<Audited<Amended>, Failure> {
        self.0.run(trail, asked, Freedom::Whole).await
    }
}

impl Transaction for Restricted {
    type Request = Amendment;
    type Response = Amended;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-92";
    const ACTION: Action = Action::Update;

    async fn run(&self, _: Grant<Self>, trail: Trail, asked: Amendment) -> Result<Audited<Amended>, Failure> {
        self.0.run(trail, asked, Freedom::Restricted).await
    }
}

/// How much may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freedom {
    /// Whatever ITI-57 provides for.
    Whole,
    /// Metadata of document entries alone (ITI-92).
    Restricted,
}

/// One request while it is decided.
struct Decision<'a> {
    amending: &'a Amending,
    asked: &'a Amendment,
    freedom: Freedom,
    /// Of the submission set, by the id of this domain.
    patient: String,
    /// entryUUID of the submission set.
    set: EntryUuid,
    work: Work<'a>,
    members: Vec<Member>,
    holdings: Vec<Holding>,
    findings: Findings,
    /// logicalIDs that have been given a next version.
    versioned: BTreeSet<EntryUuid>,
    /// entryUUIDs that the request has given to something.
    chosen: BTreeSet<EntryUuid>,
}

impl Amending {
    async fn run(
        &self,
        mut trail: Trail,
        mut asked: Amendment,
        freedom: Freedom,
    ) -> Result<Audited<Amended>, Failure> {
        asked.provided.set_zone(&self.time_zone);
        let mut broken = xds::rules::check_update(&asked.provided.submission);
        broken.iter_mut().for_each(|finding| finding.at.path = asked.provided.path(&finding.at.path));
        triggers(&asked, freedom, &mut broken);
        let judged = self.judged(&asked);
        if broken.iter().chain(&judged).any(|finding| finding.severity == Severity::Error) {
            return Err(refusal(broken, &judged));
        }
        let Some(key) =
            asked.provided.submission.submission_set.unique_id.as_ref().map(|id| id.value.clone())
        else {
            let text = "the submission set of a metadata update needs a uniqueId";
            let at = Place::at("SubmissionSet").of("SubmissionSet.uniqueId");
            return Err(Fault::Refused(vec![Finding::error(Rule::MetadataRequired, at, text)]));
        };
        let digest = digest(&asked);
        for _ in 0..TRIES {
            // What was done is done, whoever the patient is by now.
            if let Some((_, SubmissionRecord { committed: Some(committed), .. })) =
                submission_row(&self.store, &key)?
            {
                return self.again(trail, &key, (&committed, &digest)).await;
            }
            let mut patients = self.concerned(&asked)?;
            patients.extend(self.settle_patient(&mut asked.provided)?);
            let _passes = self.gates.all_alone(patients.iter().map(String::as_str)).await;
            // While the gates were waited for a merge may have been made.
            let mut by_now = self.concerned(&asked)?;
            by_now.extend(self.settle_patient(&mut asked.provided)?);
            if !by_now.is_subset(&patients) {
                continue;
            }
            let before = submission_row(&self.store, &key)?;
            if let Some((_, SubmissionRecord { committed: Some(committed), .. })) = &before {
                return self.again(trail, &key, (committed, &digest)).await;
            }
            let now = self.clock.now();
            let (mut batch, warnings) = self.decide(&asked, freedom, &judged, now)?;
            let entities = batch.puts.iter().filter_map(entity).collect();
            let patient = asked.provided.patient().id.clone();
            let (version, record) =
                before.map_or((0, SubmissionRecord::default()), |(row, record)| (row.version, record));
            let committed = Committed {
                attempt: record.fence + 1,
                digest: digest.clone(),
                patient: patient.clone().unwrap_or_default(),
                urls: Vec::new(),
            };
            let record = SubmissionRecord { committed: Some(committed), ..record };
            batch.puts.push(submission_put(&key, version + 1, &record, Bytes::new()));
            let others = patients.iter().filter(|other| Some(*other) != patient.as_ref());
            trail = trail.also(others.map(|other| about(other)).collect());
            let subject = Subject { patient, entities, query: None };
            match trail.commit(&self.store, batch, subject, move |_: Applied| Amended { warnings }).await {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(lost))) => {
                    tracing::debug!(%lost, "a metadata update lost a race and is decided again");
                    trail = *back;
                }
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }

    /// The same key again: done is done if the request is the same.
    async fn again(
        &self,
        trail: Trail,
        key: &str,
        (committed, digest): (&Committed, &str),
    ) -> Result<Audited<Amended>, Failure> {
        if committed.digest != digest {
            let text = format!(
                "the submission set {key} is registered already, with other content; nothing was changed"
            );
            let at = Place::at("SubmissionSet").of("SubmissionSet.uniqueId");
            return Err(Fault::Refused(vec![Finding::error(Rule::DuplicateUniqueId, at, text)]));
        }
        let subject = Subject {
            patient: Some(merged::stands(&self.store, &committed.patient)?),
            entities: vec![format!("submission/{key}")],
            query: None,
        };
        let done = Amended { warnings: Findings::new() };
        Ok(trail.note(&self.store, self.clock.now(), subject, done).await?)
    }

    /// What the domain says of the codes.
    fn judged(&self, asked: &Amendment) -> Findings {
        if !self.domain.judges() {
            return Findings::new();
        }
        let domain = self.domain.current();
        domain.domain.check(&asked.provided.coded(), self.domain.enforcement())
    }

    /// The patients of whatever the request touches.
    fn concerned(&self, asked: &Amendment) -> Result<BTreeSet<String>, store::Error> {
        let mut patients = BTreeSet::new();
        let mut add =
            |object: Option<Object>| patients.extend(object.map(|object| object.row().partition.clone()));
        for trigger in &asked.triggers {
            match trigger {
                Trigger::Document(version) | Trigger::Folder(version) => {
                    if let Some(id) = &version.logical_id {
                        add(self.logical(id)?);
                    }
                }
                Trigger::Status { target, .. } => {
                    add(association::object(&self.store, target)?);
                    add(association::holder(&self.store, target)?);
                }
                Trigger::Submit { .. } => {}
            }
        }
        for association in &asked.provided.submission.associations {
            for end in [&association.source, &association.target] {
                if let xds::ObjectRef::Registered(id) = end {
                    add(association::object(&self.store, id)?);
                }
            }
        }
        Ok(patients)
    }

    /// The current version of an object, by logicalID.
    fn logical(&self, id: &EntryUuid) -> Result<Option<Object>, store::Error> {
        association::standing(&self.store, id)
    }

    /// Says who the patient of the request is; it is one for all of its objects.
    fn settle_patient(&self, provided: &mut Provided) -> Result<Option<String>, Failure> {
        let named = provided.patient().clone();
        let state = patients::resolve(&self.store, &self.identity, &named, None)?;
        let at = Place::at("SubmissionSet").of("SubmissionSet.patientId");
        let submission = &provided.submission;
        for (symbol, patient) in submission
            .documents
            .iter()
            .map(|document| (&document.symbol, &document.patient))
            .chain(submission.folders.iter().map(|folder| (&folder.symbol, &folder.patient)))
        {
            if patients::resolve(&self.store, &self.identity, patient, None)? != state {
                let at = Place::at(provided.path(submission.place(symbol))).of("patientId");
                let text = "this is about another patient than the submission set; all objects of a submission have one patient";
                return Err(Fault::Refused(vec![Finding::error(Rule::PatientIdDoesNotMatch, at, text)]));
            }
        }
        match state {
            PatientState::Active(id) => {
                let reference = format!("{}/Patient/{id}", self.identity);
                provided.set_patient(&id, &reference, named.identifier.as_ref());
                Ok(Some(id))
            }
            PatientState::Inactive | PatientState::Unknown => {
                let who = named.identifier.map_or_else(|| named.reference.unwrap_or_default(), |id| id.value);
                let text =
                    format!("patient {who} is not known here, or no longer active; nothing was changed");
                Err(Fault::Refused(vec![Finding::error(Rule::UnknownPatient, at, text)]))
            }
        }
    }

    /// Everything that is written, but for the key.
    fn decide(
        &self,
        asked: &Amendment,
        freedom: Freedom,
        judged: &Findings,
        now: store::Instant,
    ) -> Result<(Batch, Findings), Failure> {
        let submission = &asked.provided.submission;
        let set = &submission.submission_set;
        let mut decision = Decision {
            amending: self,
            asked,
            freedom,
            patient: set.patient.id.clone().unwrap_or_default(),
            set: set.entry_uuid.clone().unwrap_or_else(|| EntryUuid::from(Uuid::new_v4())),
            work: Work::new(&self.store),
            members: Vec::new(),
            holdings: Vec::new(),
            findings: Findings::new(),
            versioned: BTreeSet::new(),
            chosen: BTreeSet::new(),
        };
        let claim = self.claim(&mut decision)?;
        for trigger in &asked.triggers {
            match trigger {
                Trigger::Document(version) => decision.document(version)?,
                Trigger::Folder(version) => decision.folder(version)?,
                Trigger::Status { target, original, new, at } => {
                    decision.status(target, (*original, *new), at)?
                }
                Trigger::Submit { association, at } => decision.submit(association, at)?,
            }
        }
        decision.reconcile()?;
        if decision.findings.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(refusal(decision.findings, judged));
        }
        let Decision { work, members, holdings, set: id, patient, mut findings, .. } = decision;
        let mut puts = work.finish(now);
        puts.push(set_put(&patient, &id, now, set.clone(), &members, holdings));
        findings.extend(judged.iter().cloned());
        findings.extend(asked.provided.warnings.iter().cloned());
        Ok((Batch { instant: now, claims: claim.into_iter().collect(), puts, ..Batch::default() }, findings))
    }

    /// The uniqueId and entryUUID of the submission set are free.
    fn claim(&self, decision: &mut Decision<'_>) -> Result<Option<Claim>, store::Error> {
        let set = &decision.asked.provided.submission.submission_set;
        decision.chosen.insert(decision.set.clone());
        if association::is_taken(&self.store, &decision.set)? {
            let text = format!("the entryUUID {} is taken by a registered object", decision.set.as_str());
            decision.refuse(Rule::MetadataInvalid, "SubmissionSet", "SubmissionSet.entryUUID", text);
        }
        let Some(unique_id) = &set.unique_id else { return Ok(None) };
        let name = claim_name(unique_id);
        if self.store.claimed(&name)?.is_some() {
            let text = format!("the uniqueId {} is taken by a registered object", unique_id.value);
            decision.refuse(Rule::DuplicateUniqueId, "SubmissionSet", "SubmissionSet.uniqueId", text);
        }
        Ok(Some(Claim { name, value: Holder::List(decision.set.clone()).to_bytes() }))
    }
}

impl Decision<'_> {
    fn refuse(&mut self, rule: Rule, at: &str, attribute: &'static str, text: impl Into<String>) {
        let place = Place::at(self.asked.provided.path(at)).of(attribute);
        self.findings.push(Finding::error(rule, place, text));
    }

    /// What is tied together is of one patient, also afterwards.
    fn reconcile(&mut self) -> Result<(), store::Error> {
        for (object, patient, others) in self.work.ties() {
            for other in others {
                let Some(of_other) = self.work.patient_of(&other)? else { continue };
                if of_other != patient {
                    let text = format!(
                        "urn:uuid:{} and urn:uuid:{} are tied by an association and would be of two patients; move both in one \
                         request, or send AssociationPropagation no, or deprecate the association first. Nothing was changed",
                        object.as_str(),
                        other.as_str()
                    );
                    self.refuse(Rule::PatientChanged, "", "patientId", text);
                }
            }
        }
        Ok(())
    }
}

/// What a request asks for that its transaction does not do.
fn triggers(asked: &Amendment, freedom: Freedom, findings: &mut Findings) {
    let mut refuse = |rule, at: &str, text: &str| {
        let at = Place::at(asked.provided.path(at)).of("Association.associationType");
        findings.push(Finding::error(rule, at, text));
    };
    if asked.triggers.is_empty() {
        let text = "the submission set asks for nothing: it needs a HasMember with PreviousVersion to an entry with its logicalID, \
                    an UpdateAvailabilityStatus or a SubmitAssociation. Something new is registered by Register Document Set-b \
                    [ITI-42]. Nothing was changed";
        refuse(Rule::MetadataUpdate, "", text);
    }
    if freedom == Freedom::Whole {
        return;
    }
    for trigger in &asked.triggers {
        if !matches!(trigger, Trigger::Document(_)) {
            let text = "a restricted update changes document entries alone; folders, statuses and associations are changed by \
                        Update Document Set [ITI-57]. Nothing was changed";
            refuse(Rule::Unmodifiable, trigger.at(), text);
        }
    }
}

/// What the request says, so that the same one is known again.
fn digest(asked: &Amendment) -> String {
    let mut digest = hex(&asked.provided.digest(&[]));
    for trigger in &asked.triggers {
        digest.push('|');
        digest.push_str(&trigger.word());
    }
    digest
}

fn about(patient: &str) -> Subject {
    Subject { patient: Some(patient.to_owned()), entities: Vec::new(), query: None }
}

/// logicalID of a document or folder.
fn logical_of(object: &Object) -> Option<&EntryUuid> {
    match object {
        Object::Document(_, record) => Some(record.logical()),
        Object::Folder(_, record) => Some(record.logical()),
        Object::Set(..) => None,
    }
}
