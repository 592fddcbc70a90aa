//! Register Document Set [ITI-42]: rules, plan, one commit.

mod changes;
mod known;
mod patches;

use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use bytes::Bytes;
use fhir::condition::Identified;
use fhir::iti65::{Origin, Provided, Role};
use store::{Applied, Row, Sequence, Store};
use uuid::Uuid;
use xds::identifier::derived_unique_id;
use xds::plan::PatientState;
use xds::{AssociationType, EntryUuid, Finding, Findings, ObjectRef, Place, Rule, Severity, Submission};

use crate::gate::{Gates, Pass};
use crate::merged;
use crate::patients;
use crate::records::{Committed, DOCUMENT, SubmissionRecord, identified, submission_row};
use crate::update::several;

/// Lost races before a caller is asked to come again.
const TRIES: usize = 20;

/// The use case.
#[derive(Clone)]
pub(crate) struct Register {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) gates: Arc<Gates>,
    /// Public base of the identity source.
    pub(crate) identity: Arc<str>,
    /// The homeCommunityId that is told of whatever is registered; none: other communities know none.
    pub(crate) home_community: Option<Arc<str>>,
    /// The zone of times that name none.
    pub(crate) time_zone: jiff::tz::TimeZone,
    /// Held from the look to the commit of what is registered on a condition.
    pub(crate) conditional: Arc<tokio::sync::Mutex<()>>,
    /// Which codes are accepted.
    pub(crate) domain: Arc<affinity::Shelf>,
}

/// A submission as it came in.
#[derive(Debug)]
pub(crate) struct Registration {
    /// What is submitted.
    pub(crate) provided: Provided,
    /// What the repository says of its submission; a source that registers itself says nothing.
    pub(crate) said: Option<Said>,
    /// Only if no document has this identifier (`If-None-Exist`).
    pub(crate) unless: Option<Identified>,
}

/// Key, attempt and digest, as the repository that coordinates the submission knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    /// SubmissionSet.uniqueId.
    pub(crate) key: String,
    /// Which attempt this is, from 1; none: nobody coordinates, so nobody will ever settle it.
    pub(crate) attempt: Option<u64>,
    /// Digest of the content, hexadecimal.
    pub(crate) digest: String,
    /// Ids its objects had in an earlier life of this registry, one for each object of the Bundle, in its order; empty: new
    /// ones are made.
    pub(crate) assigned: Vec<EntryUuid>,
}

/// The answer to a submission.
#[derive(Debug, Clone)]
pub(crate) struct Registered {
    /// The transaction-response.
    pub(crate) answer: Bytes,
    /// True if it is that of an earlier time.
    pub(crate) replayed: bool,
    /// The attempt that was committed.
    pub(crate) attempt: u64,
    /// The commit that holds it: submissions have happened in this order.
    pub(crate) sequence: Sequence,
    /// The document that was there already, where only a new one was to be registered.
    pub(crate) existing: Option<Row>,
    /// Reservations; an answer of an earlier time has them within.
    pub(crate) warnings: Findings,
}

type Failure = Fault<Findings>;

impl Transaction for Register {
    type Request = Registration;
    type Response = Registered;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-42";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<Self>,
        trail: Trail,
        registration: Registration,
    ) -> Result<Audited<Registered>, Failure> {
        self.register(&grant.caller().name, trail, registration).await
    }
}

/// Register On-Demand Document Entry [ITI-61]: the same for documents that are put together when they are asked for.
#[derive(Clone)]
pub(crate) struct OnDemand(pub(crate) Register);

impl Transaction for OnDemand {
    type Request = Registration;
    type Response = Registered;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-61";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<Self>,
        trail: Trail,
        registration: Registration,
    ) -> Result<Audited<Registered>, Failure> {
        self.0.register(&grant.caller().name, trail, registration).await
    }
}

/// Says places as the request has them, where it was not written as a Bundle.
fn told(provided: &Provided, findings: &mut [Finding]) {
    if provided.origin == Origin::Ebxml {
        findings.iter_mut().for_each(|finding| finding.at.path = provided.path(&finding.at.path));
    }
}

/// Submissions by what became of them.
fn count(answered: &Result<Audited<Registered>, Failure>) {
    let result = match answered {
        Ok(_) => "accepted",
        Err(Fault::Refused(_)) => "refused",
        Err(_) => "failed",
    };
    actor::meter::count("docshare_submissions_total", &[("result", result)], 1);
}

enum Attempted {
    Done(Box<Audited<Registered>>),
    Lost(Box<Trail>),
}

impl Register {
    async fn register(
        &self,
        client: &str,
        trail: Trail,
        mut registration: Registration,
    ) -> Result<Audited<Registered>, Failure> {
        failpoint!(async "reg.parsed");
        // From the look to the commit, so that of equal conditional creates one creates.
        let _one = match &registration.unless {
            Some(_) => Some(self.conditional.lock().await),
            None => None,
        };
        if let Some(name) = &registration.unless
            && let Some(row) = self.existing(name)?
        {
            return self.stands(trail, row).await;
        }
        let answered = match self.prepare(&mut registration, client) {
            Ok((said, judged)) => {
                let answered = self.decide(trail, said, &mut registration.provided, &judged).await;
                count(&answered);
                answered
            }
            Err(fault) => Err(fault),
        };
        failpoint!(async "reg.answer.pre");
        answered.map_err(|fault| match fault {
            Fault::Refused(mut findings) => {
                told(&registration.provided, &mut findings);
                Fault::Refused(findings)
            }
            other => other,
        })
    }

    /// Everything before the decision: the rules, who the patient is, when, and under which key; and what is to be said of the
    /// codes, which do not decide before it is known that the submission is new.
    pub(crate) fn prepare(
        &self,
        registration: &mut Registration,
        client: &str,
    ) -> Result<(Said, Findings), Failure> {
        let judged = self.judged(registration);
        let broken = registration.provided.check();
        if broken.iter().any(|finding| finding.severity == Severity::Error) {
            return Err(refusal(broken, &judged));
        }
        self.one_patient(&registration.provided)?;
        self.settle_patient(&mut registration.provided)?;
        registration.provided.set_zone(&self.time_zone);
        let said = registration.said.take();
        let said = said.unwrap_or_else(|| derived(&mut registration.provided, client));
        registration.provided.set_submission_time(self.clock.now());
        keep_ids(&mut registration.provided, &said.assigned)?;
        if let Some(home) = &self.home_community {
            registration.provided.set_home_community(home);
        }
        Ok((said, judged))
    }

    /// What the decision would be; nothing is written. Answers the reservations there would be.
    pub(crate) fn rehearse(
        &self,
        said: &Said,
        provided: &Provided,
        judged: Findings,
    ) -> Result<Findings, Failure> {
        let loaded = known::load(self, provided)?;
        let mut ids = std::iter::repeat_with(Uuid::new_v4);
        let planned = xds::plan::plan(&provided.submission, &loaded.known, &mut ids);
        let (mut findings, changes) = match planned {
            Ok(mut changes) => (std::mem::take(&mut changes.warnings), Some(changes)),
            Err(findings) => (findings, None),
        };
        findings.extend(provided.warnings.iter().cloned());
        findings.extend(judged);
        if let Some(changes) = changes {
            findings.extend(patches::check(provided, &changes, &loaded));
        }
        if let Some((_, SubmissionRecord { committed: Some(committed), .. })) =
            submission_row(&self.store, &said.key)?
        {
            // What it brings is registered because it is this very submission.
            findings.retain(|finding| finding.severity != Severity::Error);
            findings.push(known_already(said, &committed));
        }
        xds::finding::sort(&mut findings);
        Ok(findings)
    }

    /// The one document with this identifier; of several nobody can say which is meant.
    fn existing(&self, name: &Identified) -> Result<Option<Row>, Failure> {
        let mut rows = identified(&self.store, DOCUMENT, name)?;
        match (rows.pop(), rows.len()) {
            (row, 0) => Ok(row),
            (_, more) => Err(several(DOCUMENT, more + 1)),
        }
    }

    /// Answers with the document that is there.
    async fn stands(&self, trail: Trail, row: Row) -> Result<Audited<Registered>, Failure> {
        let subject = Subject {
            patient: Some(row.partition.clone()),
            entities: vec![format!("DocumentReference/{}", row.id)],
            query: None,
        };
        let response = Registered {
            answer: Bytes::new(),
            replayed: false,
            attempt: 0,
            sequence: row.sequence,
            existing: Some(row),
            warnings: Findings::new(),
        };
        Ok(trail.note(&self.store, self.clock.now(), subject, response).await?)
    }

    /// What the domain says of the codes. What this registry has accepted in an earlier life, and is given back, is not
    /// refused for codes that were struck out since.
    fn judged(&self, registration: &Registration) -> Findings {
        if !self.domain.judges() {
            return Findings::new();
        }
        let given_back = registration.said.as_ref().is_some_and(|said| !said.assigned.is_empty());
        let enforcement = self.domain.enforcement();
        let lenient = given_back.then(|| enforcement.lenient());
        let domain = self.domain.current();
        domain.domain.check(&registration.provided.coded(), lenient.as_ref().unwrap_or(enforcement))
    }

    /// Decides and commits, and plans again when somebody else was first.
    async fn decide(
        &self,
        mut trail: Trail,
        said: Said,
        provided: &mut Provided,
        judged: &Findings,
    ) -> Result<Audited<Registered>, Failure> {
        for _ in 0..TRIES {
            let _pass = self.pass(&provided.submission).await;
            self.settle_patient(provided)?;
            let before = submission_row(&self.store, &said.key)?;
            if let Some((row, SubmissionRecord { committed: Some(committed), .. })) = &before {
                return self.again(trail, &said, provided, (row, committed)).await;
            }
            let number = not_fenced(&said, before.as_ref())?;
            match self.attempt(trail, (&said, number), before, (provided, judged)).await? {
                Attempted::Done(audited) => return Ok(*audited),
                Attempted::Lost(back) => trail = *back,
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }

    /// Decides and commits once.
    async fn attempt(
        &self,
        trail: Trail,
        (said, attempt): (&Said, u64),
        before: Option<(Row, SubmissionRecord)>,
        (provided, judged): (&Provided, &Findings),
    ) -> Result<Attempted, Failure> {
        failpoint!(async "reg.tx.begin");
        let submission = &provided.submission;
        let loaded = known::load(self, provided)?;
        let mut ids = std::iter::repeat_with(Uuid::new_v4);
        // Codes are judged last: what was accepted once is answered as it was then, whatever is accepted by now.
        let planned = xds::plan::plan(submission, &loaded.known, &mut ids);
        let mut changes = planned.map_err(|findings| refusal(findings, judged))?;
        let patched = patches::check(provided, &changes, &loaded);
        if patched.iter().chain(judged).any(|finding| finding.severity == Severity::Error) {
            return Err(refusal(patched, judged));
        }
        changes.warnings.extend(judged.iter().cloned());
        let now = self.clock.now();
        let mut warnings = changes.warnings.clone();
        warnings.extend(provided.warnings.iter().cloned());
        told(provided, &mut warnings);
        let decided = changes::batch(provided, changes, loaded, (said, attempt), before, now);
        let answer = decided.answer;
        let response = move |applied: Applied| Registered {
            answer,
            replayed: false,
            attempt,
            sequence: applied.sequence,
            existing: None,
            warnings,
        };
        failpoint!(async "reg.tx.pre_commit");
        match trail.commit(&self.store, decided.batch, decided.subject, response).await {
            Ok(audited) => {
                failpoint!(async "reg.tx.post_commit");
                Ok(Attempted::Done(Box::new(audited)))
            }
            Err((back, store::Error::Lost(lost))) => {
                tracing::debug!(%lost, "a submission lost a race and is planned again");
                Ok(Attempted::Lost(back))
            }
            Err((_, error)) => Err(error.into()),
        }
    }

    /// Refuses a subject whose reference and identifier are those of two patients: nobody can say which is meant.
    fn one_patient(&self, provided: &Provided) -> Result<(), Failure> {
        let submission = &provided.submission;
        for patient in named_patients(submission) {
            let (Some(_), Some(identifier)) = (&patient.reference, &patient.identifier) else { continue };
            let named = |patient: &xds::Patient| {
                patients::resolve(&self.store, &self.identity, patient, provided.patient.as_ref())
            };
            let by_identifier =
                xds::Patient { reference: None, id: None, identifier: Some(identifier.clone()) };
            if let (PatientState::Active(one), PatientState::Active(other)) =
                (named(patient)?, named(&by_identifier)?)
                && one != other
            {
                let set = &submission.submission_set.symbol;
                let path = submission.places.iter().find(|(symbol, _)| symbol == set);
                let place = Place::at(path.map_or("Bundle", |(_, path)| path.as_str()))
                    .member("subject")
                    .of("SubmissionSet.patientId");
                let text = "subject names one patient by its reference and another one by its identifier";
                return Err(Fault::Refused(vec![Finding::error(Rule::PatientIdDoesNotMatch, place, text)]));
            }
        }
        Ok(())
    }

    /// Says who the patient is, in every object, if all name the same one; the plan refuses everything else.
    fn settle_patient(&self, provided: &mut Provided) -> Result<(), Failure> {
        let mut who: Option<PatientState> = None;
        for patient in named_patients(&provided.submission) {
            let state = patients::resolve(&self.store, &self.identity, patient, provided.patient.as_ref())?;
            match &who {
                None => who = Some(state),
                Some(first) if *first == state => {}
                Some(_) => return Ok(()),
            }
        }
        let who = match who {
            Some(PatientState::Active(id)) => Some(id),
            // Who was merged away since may have sent this before, and is answered as then; anything else is refused.
            Some(PatientState::Inactive) => {
                let patient = provided.patient().clone();
                patients::whoever(&self.store, &self.identity, &patient, provided.patient.as_ref())?
            }
            Some(PatientState::Unknown) | None => None,
        };
        if let Some(id) = who {
            let identifier = provided.patient().identifier.clone();
            let reference = format!("{}/Patient/{id}", self.identity);
            provided.set_patient(&id, &reference, identifier.as_ref());
        }
        Ok(())
    }

    /// Whether a submission that nobody coordinates is the one that was committed, if its patient is named as at that time.
    fn is_same_but_for_a_merge(
        &self,
        said: &Said,
        provided: &Provided,
        committed: &Committed,
    ) -> Result<bool, store::Error> {
        let now = provided.patient();
        let (None, Some(id)) = (said.attempt, &now.id) else { return Ok(false) };
        if *id == committed.patient
            || merged::stands(&self.store, id)? != merged::stands(&self.store, &committed.patient)?
        {
            return Ok(false);
        }
        let (mut before, identifier) = (provided.clone(), now.identifier.clone());
        let reference = format!("{}/Patient/{}", self.identity, committed.patient);
        before.set_patient(&committed.patient, &reference, identifier.as_ref());
        Ok(hex(&before.digest(&[])) == committed.digest)
    }

    /// Plain submissions go through together; one that touches registered objects goes through alone.
    async fn pass(&self, submission: &Submission) -> Pass<'_> {
        let patient = submission.submission_set.patient.id.as_deref().unwrap_or_default();
        let touches = submission.folders.iter().any(|folder| folder.update)
            || submission.associations.iter().any(|association| {
                association.kind != AssociationType::HasMember
                    || !matches!(association.source, ObjectRef::Symbol(_))
                    || !matches!(association.target, ObjectRef::Symbol(_))
            });
        if touches { self.gates.alone(patient).await } else { self.gates.together(patient).await }
    }

    /// The same key again: the first answer if the content is the same, a conflict otherwise (I5).
    async fn again(
        &self,
        trail: Trail,
        said: &Said,
        provided: &Provided,
        (row, committed): (&Row, &Committed),
    ) -> Result<Audited<Registered>, Failure> {
        if committed.digest != said.digest && !self.is_same_but_for_a_merge(said, provided, committed)? {
            return Err(refused(
                Rule::DuplicateUniqueId,
                format!("the submission set {} is registered already, with other content", said.key),
            ));
        }
        let subject = Subject {
            patient: Some(merged::stands(&self.store, &committed.patient)?),
            entities: vec![format!("submission/{}", said.key)],
            query: None,
        };
        let response = Registered {
            answer: row.rendering.clone(),
            replayed: true,
            attempt: committed.attempt,
            sequence: row.sequence,
            existing: None,
            warnings: Findings::new(),
        };
        Ok(trail.note(&self.store, self.clock.now(), subject, response).await?)
    }
}

/// What is said of a submission that is registered already.
fn known_already(said: &Said, committed: &Committed) -> Finding {
    let at = Place::at("Bundle").of("SubmissionSet.uniqueId");
    if committed.digest != said.digest {
        let text = format!("the submission set {} is registered already, with other content", said.key);
        return Finding::error(Rule::DuplicateUniqueId, at, text);
    }
    let text = format!(
        "the submission set {} is registered already, with the same content: sent again, it is given its first answer",
        said.key
    );
    Finding { severity: Severity::Information, ..Finding::warning(Rule::DuplicateUniqueId, at, text) }
}

fn named_patients(submission: &Submission) -> impl Iterator<Item = &xds::Patient> {
    let documents = submission.documents.iter().map(|d| &d.patient);
    let folders = submission.folders.iter().map(|f| &f.patient);
    std::iter::once(&submission.submission_set.patient)
        .chain(documents)
        .chain(folders)
        .filter(|p| p.is_named())
}

/// A source that registers documents itself, without a repository that coordinates: one attempt, and its own key.
fn derived(provided: &mut Provided, client: &str) -> Said {
    let digest = provided.digest(&[]);
    let set = &provided.submission.submission_set;
    let key = match &set.unique_id {
        Some(unique_id) => unique_id.value.clone(),
        None => {
            let documents: Vec<_> =
                provided.submission.documents.iter().map(|d| d.unique_id.clone()).collect();
            let patient = set.patient.id.as_deref().unwrap_or_default();
            let unique_id = derived_unique_id(client, patient, &documents, &digest);
            let key = unique_id.value.clone();
            provided.submission.submission_set.unique_id = Some(unique_id);
            key
        }
    };
    Said { key, attempt: None, digest: hex(&digest), assigned: Vec::new() }
}

/// The number of this attempt, which lies above the fence. One that nobody counts is the next: nobody can have given it up.
fn not_fenced(said: &Said, before: Option<&(Row, SubmissionRecord)>) -> Result<u64, Failure> {
    let fence = before.map_or(0, |(_, record)| record.fence);
    let attempt = said.attempt.unwrap_or(fence + 1);
    if attempt > fence {
        return Ok(attempt);
    }
    Err(refused(
        Rule::AttemptGivenUp,
        format!(
            "attempt {attempt} of submission {} has been given up; send it again as a new attempt",
            said.key
        ),
    ))
}

/// Gives the objects back the ids they had in an earlier life of this registry: they were promised to somebody.
fn keep_ids(provided: &mut Provided, assigned: &[EntryUuid]) -> Result<(), Failure> {
    if assigned.is_empty() {
        return Ok(());
    }
    let objects: Vec<String> = provided
        .roles
        .iter()
        .filter_map(|role| if let Role::Object(symbol) = role { Some(symbol.clone()) } else { None })
        .collect();
    if objects.len() != assigned.len() {
        let text = format!("{} ids are assigned to {} objects", assigned.len(), objects.len());
        return Err(Fault::Refused(vec![Finding::error(Rule::Value, Place::at("header"), text)]));
    }
    let submission = &mut provided.submission;
    for (symbol, id) in objects.iter().zip(assigned) {
        let set = &mut submission.submission_set;
        let set = std::iter::once((&set.symbol, &mut set.entry_uuid));
        let documents = submission.documents.iter_mut().map(|d| (&d.symbol, &mut d.entry_uuid));
        let folders = submission.folders.iter_mut().filter(|f| !f.update);
        let folders = folders.map(|f| (&f.symbol, &mut f.entry_uuid));
        for (_, known) in set.chain(documents).chain(folders).filter(|(known, _)| *known == symbol) {
            *known = Some(id.clone());
        }
    }
    Ok(())
}

fn refused(rule: Rule, text: String) -> Failure {
    Fault::Refused(vec![Finding::error(rule, Place::at("Bundle").of("SubmissionSet.uniqueId"), text)])
}

/// All that is to be said of a submission at once.
pub(crate) fn refusal(mut findings: Findings, judged: &Findings) -> Failure {
    findings.extend(judged.iter().cloned());
    xds::finding::sort(&mut findings);
    Fault::Refused(findings)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
