//! Provide Document Bundle [ITI-65]: bytes first, one commit point at the registry, then the answer.
//!
//! 1. The documents have streamed into the store, everything that needs nobody else has been checked, and the patient is
//!    known. 2. One synced commit holds the intent, the documents and their bytes. 3. The registry decides. 4. The source
//!    is answered, and the documents are bound. What is lost on the way is settled later (`settle.rs`). The order was
//!    model-checked: every step that looks superfluous is what keeps a late or lost message from doing harm.

use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Fault, House, Subject, Trail, Transaction, failpoint, meter};
use affinity::Shelf;
use audit::Action;
use bytes::Bytes;
use fhir::iti65::{Measured, Provided, Role, write_registration};
use store::blob::Staged;
use xds::identifier::{oid, unique_id_text};
use xds::{Finding, Findings, Identifier, Place, Rule, Severity, Side};

use crate::answer;
use crate::config::{Settings, SubmissionSettings};
use crate::disposition;
use crate::keys::{Held, Keys};
use crate::naming::{hexadecimal, key_of};
use crate::own::Own;
use crate::patients::{Nobody, Patients, Resolved};
use crate::records::{Attempt, Document, Intent, Named, NamedBefore, NewName, Records, State, kept};
use crate::redrive::Redrive;
use crate::registrar::{Commit, Foreign, Order, Registrar, Registration, Settled};
use crate::settle::Settler;

/// When a source should come again whose submission found a peer away.
pub(crate) const RETRY: Duration = Duration::from_secs(2);

/// How often an attempt is given another number before the source is asked to come again.
const RENUMBERED: usize = 3;

/// A submission as it came in: read, checked, its documents staged.
pub(crate) struct Received {
    /// The Bundle.
    pub(crate) provided: Provided,
    /// The documents, by entry index.
    pub(crate) staged: Vec<(usize, Staged)>,
    /// What they measure.
    pub(crate) measured: Vec<Measured>,
    /// `Idempotency-Key`: the name the source gives this request.
    pub(crate) idempotency_key: Option<String>,
}

/// The answer to a source.
pub(crate) struct Accepted {
    /// The transaction-response.
    pub(crate) bundle: Bytes,
    /// True if the submission was known already.
    pub(crate) replayed: bool,
}

/// The use case.
#[derive(Clone)]
pub(crate) struct Provide {
    pub(crate) records: Records,
    pub(crate) registrar: Registrar,
    pub(crate) patients: Patients,
    keys: Keys,
    settings: SubmissionSettings,
    domain: Arc<Shelf>,
    own: Own,
}

/// What an attempt has come to.
enum Outcome {
    Accepted(Accepted),
    Refused(Findings),
    /// Certainly not registered, for no fault of the submission.
    Away,
    Unknown,
}

impl Provide {
    pub(crate) fn new(house: &House<Settings>, settler: Settler, domain: Arc<Shelf>, own: Own) -> Provide {
        let settings = house.settings.submission.clone();
        Provide {
            patients: Patients::new(
                house.peer("identity", house.settings.identity.peer()),
                &house.settings.identity,
                settings.patient_entries,
            )
            .and_registry(&settler.registrar),
            records: settler.records,
            registrar: settler.registrar,
            keys: settler.keys,
            settings,
            domain,
            own,
        }
    }
}

impl Transaction for Provide {
    type Request = Received;
    type Response = Accepted;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-65";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<Provide>,
        trail: Trail,
        request: Received,
    ) -> Result<Audited<Accepted>, Fault<Findings>> {
        let provided = self.counted(&grant.caller().name, trail.context(), request).await?;
        self.note(trail, provided.0, provided.1).await
    }
}

impl Provide {
    /// Provides a submission, whatever it was read from, and counts what came of it.
    pub(crate) async fn counted(
        &self,
        client: &str,
        context: &actor::Context,
        request: Received,
    ) -> Result<(Accepted, Subject), Fault<Findings>> {
        let result = self.provide(client, context, request).await;
        failpoint!(async "repo.answer.pre");
        let labels = [("result", word(&result)), ("reason", reason(&result))];
        meter::count("docshare_submissions_total", &labels, 1);
        result
    }

    /// Leaves the audit record. The registry has decided, so a failure here is no failure of the submission any more.
    pub(crate) async fn note<R>(
        &self,
        trail: Trail,
        response: R,
        subject: Subject,
    ) -> Result<Audited<R>, Fault<Findings>> {
        let now = self.records.now();
        trail
            .note(&self.records.store, now, subject, response)
            .await
            .map_err(|_| Fault::Unknown { retry: RETRY })
    }

    async fn provide(
        &self,
        client: &str,
        context: &actor::Context,
        request: Received,
    ) -> Result<(Accepted, Subject), Fault<Findings>> {
        let deadline = self.deadline(&request.measured);
        let Received { mut provided, staged, measured, idempotency_key } = request;
        let named = self.patients.identifier(&provided);
        let resolving = self.resolved(&provided, &context.trace);
        let resolved = tokio::time::timeout_at(deadline, resolving).await.unwrap_or(Err(Nobody::Unavailable));
        let before = self.before(&provided, named)?;
        let mut patient = match (resolved, &before) {
            // Who was merged away names nobody any more, but what was sent for it is answered as it was then.
            (Err(Nobody::Refused(_)), Some(before)) => before.clone(),
            (resolved, _) => resolved.map_err(nobody)?,
        };
        if let Some(before) = before.filter(|before| before.id != patient.id) {
            let mut then = provided.clone();
            then.set_patient(&before.id, &before.reference, before.identifier.as_ref());
            if self.is_known(&then, &measured)? {
                patient = before;
            }
        }
        provided.set_patient(&patient.id, &patient.reference, patient.identifier.as_ref());
        let digest = provided.digest(&measured);
        let key = key_of(&mut provided, client, &patient, &digest);
        crate::tasks::note(&key, &digest, &patient.reference);
        provided.set_submission_time(self.records.now());
        provided.set_repository(&self.own.repository);
        let subject = Subject {
            patient: Some(patient.id.clone()),
            entities: vec![format!("SubmissionSet/{key}")],
            query: None,
        };

        let wait = self.settings.same_id_wait();
        let held = self.keys.hold(&key, wait).await.ok_or(Fault::Busy(RETRY))?;
        let digest = hexadecimal(&digest);
        let named = idempotency_key.map(|name| Named::new(client, &name, &key, &digest));
        let named =
            named.map(|named| self.records.named(named)).transpose()?.map(reused).transpose()?.flatten();
        let known = self.records.intent(&key)?;
        let accepted = match replay(known.as_ref().map(|(_, intent)| intent), &digest) {
            Some(accepted) => {
                if is_lost(known.as_ref()) {
                    // Sent again as it should be: the registry, restored from a backup, may take it back by now.
                    let redrive =
                        Redrive::new(self.records.clone(), self.registrar.clone(), self.keys.clone());
                    redrive.once_more(&key).await;
                }
                if let Some(named) = named {
                    self.records.name(named).await?;
                }
                accepted
            }
            None => {
                let submission = Submission { key, digest, patient, provided, staged, known, named };
                self.submit(submission, held, context, deadline).await?
            }
        };
        Ok((accepted, subject))
    }
}

impl Provide {
    /// Who the patient of a submission was when it was sent before under the same id, and may be committed: its identifier may
    /// stand for somebody else by now, or for nobody, since a merge.
    fn before(
        &self,
        provided: &Provided,
        named: Option<Identifier>,
    ) -> Result<Option<Resolved>, Fault<Findings>> {
        let set = &provided.submission.submission_set;
        let (Some(key), Some(named)) = (set.unique_id.as_ref().map(|id| &id.value), named) else {
            return Ok(None);
        };
        let Some((_, intent)) = self.records.intent(key)? else { return Ok(None) };
        if intent.closed.is_none() && intent.tried().is_empty() {
            return Ok(None);
        }
        let Some((_, registration)) = self.records.registration(key, |_| true)? else { return Ok(None) };
        Ok(subject_of(&registration).filter(|before| before.identifier.as_ref() == Some(&named)))
    }

    /// Whether a submission with this content is committed, or may be.
    fn is_known(&self, provided: &Provided, measured: &[Measured]) -> Result<bool, Fault<Findings>> {
        let Some(key) = provided.submission.submission_set.unique_id.as_ref() else { return Ok(false) };
        let Some((_, intent)) = self.records.intent(&key.value)? else { return Ok(false) };
        let digest = hexadecimal(&provided.digest(measured));
        let closed = intent.closed.iter().map(|closed| &closed.digest);
        let tried = intent.tried();
        Ok(closed.chain(tried.iter().map(|attempt| &attempt.digest)).any(|known| *known == digest))
    }
}

/// The patient a registration is about.
fn subject_of(registration: &[u8]) -> Option<Resolved> {
    let bundle: serde_json::Value = serde_json::from_slice(registration).ok()?;
    let subject = bundle["entry"].as_array()?.iter().find_map(|entry| entry["resource"].get("subject"))?;
    let reference = subject["reference"].as_str()?;
    let (_, id) = reference.rsplit_once("/Patient/")?;
    let text = |name: &str| subject["identifier"][name].as_str().map(str::to_owned);
    let identifier =
        text("value").map(|value| Identifier { system: text("system").unwrap_or_default(), value });
    Some(Resolved { id: id.to_owned(), reference: reference.to_owned(), identifier })
}

/// A submission that nobody knows an answer for yet.
struct Submission {
    key: String,
    digest: String,
    patient: Resolved,
    provided: Provided,
    staged: Vec<(usize, Staged)>,
    known: Option<(store::Version, Intent)>,
    /// The name the source gave the request, where nobody knows it yet.
    named: Option<NewName>,
}

/// An attempt that has been written down, and what is needed to conclude it.
struct Tried {
    key: String,
    attempt: Attempt,
    /// The turn of the key.
    held: Held,
}

impl Provide {
    fn deadline(&self, measured: &[Measured]) -> tokio::time::Instant {
        let mebibytes = measured.iter().map(|document| document.size).sum::<u64>() >> 20;
        let allowed = self.settings.deadline() + Duration::from_secs(mebibytes);
        tokio::time::Instant::now() + allowed.min(Duration::from_mins(15))
    }

    /// Writes the attempt down, lets the registry decide, and tells what that came to.
    async fn submit(
        &self,
        mut submission: Submission,
        held: Held,
        context: &actor::Context,
        deadline: tokio::time::Instant,
    ) -> Result<Accepted, Fault<Findings>> {
        if tokio::time::Instant::now() >= deadline {
            // Nothing has been written down or sent, and nothing will be.
            return Err(Fault::Busy(RETRY));
        }
        self.judge(&mut submission)?;
        let earlier = submission.known.as_ref().map(|(_, intent)| intent);
        // What a registry of another make did not know for long it may know by now.
        let earlier_in_doubt =
            earlier.is_some_and(|intent| !intent.open.is_empty() || !intent.withheld.is_empty());
        let number = earlier.map_or(0, |intent| intent.last) + 1;
        let documents = self.documents(&mut submission, number, &context.base);
        let blobs = documents.iter().map(|(entry, staged, _)| (*entry, staged.id().to_owned())).collect();
        let mut attempt = Attempt {
            attempt: number,
            digest: submission.digest.clone(),
            base: context.base.clone(),
            instant: self.records.now(),
            slots: answer::slots(&submission.provided, &blobs, &submission.patient.reference),
            warnings: kept(&submission.provided.warnings),
            expected: None,
        };
        let body = match &self.registrar.foreign {
            None => write_registration(&submission.provided).into(),
            Some(foreign) => {
                let identifier = self.identifier(foreign, &submission, &context.trace).await?;
                let names = (submission.key.as_str(), submission.digest.as_str());
                let composed = foreign.compose(&submission.provided, names, &identifier);
                let composed = composed.map_err(|mut findings| {
                    answer::map_back(&mut findings, &submission.provided);
                    Fault::Refused(findings)
                })?;
                attempt.expected = Some(composed.expected);
                composed.body
            }
        };
        let mut order = Order {
            key: submission.key,
            attempt: number,
            digest: submission.digest,
            body,
            receipts: answer::receipts_due(&attempt.slots),
            assigned: Vec::new(),
            expected: attempt.expected.clone().unwrap_or_default(),
            trace: context.trace.clone(),
            request: context.request.clone(),
        };
        let documents = documents.into_iter().map(|(_, staged, document)| (staged, document)).collect();
        self.records
            .open(
                (&order.key, submission.known),
                attempt.clone(),
                order.body.clone(),
                documents,
                submission.named,
            )
            .await?;

        let (registration, doubt) = self.register(&mut order, deadline).await?;
        attempt.attempt = order.attempt;
        let tried = Tried { key: order.key, attempt, held };
        match self.conclude(tried, registration, doubt || earlier_in_doubt).await? {
            Outcome::Accepted(accepted) => Ok(accepted),
            Outcome::Refused(mut findings) => {
                if findings.iter().any(|finding| finding.rule == Rule::UnknownPatient) {
                    // Who the identifier stands for may have changed since we asked.
                    self.patients.forget(submission.patient.identifier.as_ref());
                }
                answer::map_back(&mut findings, &submission.provided);
                Err(Fault::Refused(findings))
            }
            Outcome::Away => Err(Fault::Unavailable { peer: "registry".to_owned(), retry: RETRY }),
            Outcome::Unknown => Err(Fault::Unknown { retry: RETRY }),
        }
    }

    /// Who the patient is. A registry of another make decides itself whom it knows: of an id of its authority nobody else has to
    /// know.
    async fn resolved(&self, provided: &Provided, trace: &str) -> Result<Resolved, Nobody> {
        let resolved = self.patients.resolve(provided, trace).await;
        let given = self.registrar.foreign.as_ref().and_then(|foreign| {
            let given = provided.patient().identifier.as_ref()?;
            (oid(&given.system) == Some(&*foreign.authority)).then_some(given)
        });
        match (resolved, given) {
            (Err(Nobody::Refused(_)), Some(given)) => Ok(Resolved::by(given)),
            (resolved, _) => resolved,
        }
    }

    /// The id that a registry of another make knows the patient by: the one the source gave, or the one the identity source has.
    async fn identifier(
        &self,
        foreign: &Foreign,
        submission: &Submission,
        trace: &str,
    ) -> Result<Identifier, Fault<Findings>> {
        let is_theirs = |identifier: &&Identifier| oid(&identifier.system) == Some(&*foreign.authority);
        if let Some(given) = submission.patient.identifier.as_ref().filter(is_theirs) {
            return Ok(given.clone());
        }
        let identifiers =
            self.patients.identifiers_of(&submission.patient.id, trace).await.map_err(nobody)?;
        identifiers.iter().find(is_theirs).cloned().ok_or_else(|| {
            let text = format!(
                "the patient has no identifier of the authority {} (registry.patient_authority), and the registry behind this \
                 repository knows patients by that alone",
                foreign.authority
            );
            let at = submission.provided.submission.place(&submission.provided.submission.submission_set.symbol);
            let mut refused = vec![
                Finding::error(Rule::UnknownPatient, Place::at(at.to_owned()).of("SubmissionSet.patientId"), text)
                    .by(Side::Repository),
            ];
            answer::map_back(&mut refused, &submission.provided);
            Fault::Refused(refused)
        })
    }

    /// Refuses codes the domain does not accept, before anything is written down. Only what was never tried here: of anything
    /// else the registry may know an answer, which stands whatever is accepted by now.
    fn judge(&self, submission: &mut Submission) -> Result<(), Fault<Findings>> {
        if submission.known.is_some() || !self.domain.judges() {
            return Ok(());
        }
        let provided = &mut submission.provided;
        let judged =
            self.domain.judge(&provided.coded()).into_iter().map(|finding| finding.by(Side::Repository));
        let mut judged: Findings = judged.collect();
        if judged.iter().all(|finding| finding.severity != Severity::Error) {
            provided.warnings.extend(judged);
            return Ok(());
        }
        judged.iter_mut().for_each(|finding| finding.at.path = provided.path(&finding.at.path));
        xds::finding::sort(&mut judged);
        Err(Fault::Refused(judged))
    }

    /// Registers under the number of the order, or under the first one above those that were given up: by us before a backup
    /// that does not know of it, or by another repository that was sent the same submission.
    async fn register(
        &self,
        order: &mut Order,
        deadline: tokio::time::Instant,
    ) -> Result<(Registration, bool), Fault<Findings>> {
        for _ in 0..RENUMBERED {
            let (registration, doubt) = self.registrar.register(order, deadline).await;
            if !matches!(registration, Registration::GivenUp) {
                return Ok((registration, doubt));
            }
            let fence = match self.registrar.settle(&order.key, order.attempt, &[]).await {
                Ok(Settled::Absent { fence }) => fence,
                Ok(Settled::Committed(commit)) => return Ok((Registration::Committed(commit), true)),
                Err(_) => return Ok((Registration::Unknown, true)),
            };
            self.records.renumber(&order.key, order.attempt, fence + 1).await?;
            order.attempt = fence + 1;
        }
        Ok((Registration::Unknown, true))
    }

    /// Says of every document where it is, and what is kept beside it.
    fn documents(
        &self,
        submission: &mut Submission,
        attempt: u64,
        base: &str,
    ) -> Vec<(usize, Staged, Document)> {
        let under = answer::documents_under(base);
        let mut documents = Vec::with_capacity(submission.staged.len());
        for (entry, staged) in std::mem::take(&mut submission.staged) {
            let Some(Role::Binary(symbol) | Role::FhirDocument(symbol, _)) =
                submission.provided.roles.get(entry)
            else {
                continue;
            };
            let symbol = symbol.clone();
            let url = format!("{under}{}", staged.id());
            submission.provided.set_document(&symbol, &url, staged.size(), staged.sha1(), staged.sha256());
            let described = submission.provided.submission.documents.iter().find(|d| d.symbol == symbol);
            let content_type = described.map_or("application/octet-stream", |entry| entry.mime_type.as_str());
            let title = described.and_then(|entry| entry.title.as_deref());
            let document = Document {
                state: State::Staged,
                key: submission.key.clone(),
                attempt,
                content_type: content_type.to_owned(),
                file_name: disposition::file_name(title, content_type),
                entry: None,
                patient: submission.patient.id.clone(),
                unique_id: described.map(|entry| unique_id_text(&entry.unique_id)),
                bytes: None,
            };
            documents.push((entry, staged, document));
        }
        documents
    }

    /// What a registration came to. `doubt` is true if this attempt, or one before, may be committed behind our back. A
    /// failure is told only after the registry has promised never to commit them, unless nothing was ever sent.
    async fn conclude(
        &self,
        tried: Tried,
        registration: Registration,
        doubt: bool,
    ) -> Result<Outcome, Fault<Findings>> {
        let Tried { key, attempt, held } = tried;
        let number = attempt.attempt;
        let was_sent = !matches!(registration, Registration::NotReached);
        let failure = match registration {
            Registration::Committed(commit) if commit.replayed => {
                return self.committed_before(&key, &attempt, &commit).await;
            }
            // A registry of another make that takes a repetition for what it has already does not say which attempt that is.
            Registration::Committed(_) if doubt && self.registrar.foreign.is_some() => {
                return self.which_attempt(&key, &attempt).await;
            }
            Registration::Committed(commit) => {
                let bundle = Bytes::from(answer::of(&attempt, &commit, true, self.records.registry()));
                self.bind(key, commit, bundle.clone(), held);
                return Ok(Outcome::Accepted(Accepted { bundle, replayed: false }));
            }
            Registration::Unknown => return Ok(Outcome::Unknown),
            Registration::Restored if doubt => return Ok(Outcome::Unknown),
            Registration::Refused(findings) => Outcome::Refused(findings),
            Registration::Declined(status) => {
                tracing::error!(status, "the registry declined a registration");
                Outcome::Away
            }
            Registration::NotReached if doubt => {
                self.give_up(&key, |open| open == number).await;
                return Ok(Outcome::Unknown);
            }
            Registration::NotReached | Registration::Restored => {
                self.give_up(&key, |open| open <= number).await;
                return Ok(Outcome::Away);
            }
            // Asked about, and nobody's any more.
            Registration::GivenUp => Outcome::Away,
        };
        // A refusal leaves no trace at the registry: a copy of what was refused, repeated on its way and late, would be
        // committed once the reason is gone. It stands only when the attempt has been given up there too.
        if doubt || was_sent {
            let open = match self.registrar.foreign {
                None => Vec::new(),
                Some(_) => self.records.intent(&key)?.map(|(_, intent)| intent.tried()).unwrap_or_default(),
            };
            match self.registrar.settle(&key, number, &open).await {
                Ok(Settled::Absent { .. }) => {}
                // A registry of another make promises nothing. What it has refused, and was sent once, is refused.
                Err(_) if self.registrar.foreign.is_some() && !doubt => {}
                Ok(Settled::Committed(commit)) if commit.has_content(&attempt.digest) => {
                    return self.committed_before(&key, &attempt, &commit).await;
                }
                Ok(Settled::Committed(commit)) => return self.taken(&key, &commit, number, failure).await,
                Err(_) => return Ok(Outcome::Unknown),
            }
        }
        self.give_up(&key, |open| open <= number).await;
        Ok(failure)
    }

    /// Gives attempts up that can never be committed any more. If that is lost, settling repeats it: what the source is told
    /// does not depend on it.
    async fn give_up(&self, key: &str, which: impl Fn(u64) -> bool) {
        if let Err(error) = self.records.reject(key, which).await {
            tracing::warn!(%error, "clearing away was put off until the submission is settled");
        }
    }

    /// Asks a registry of another make which of the attempts of a key it has committed.
    async fn which_attempt(&self, key: &str, attempt: &Attempt) -> Result<Outcome, Fault<Findings>> {
        let tried = self.records.intent(key)?.map(|(_, intent)| intent.tried()).unwrap_or_default();
        match self.registrar.settle(key, attempt.attempt, &tried).await {
            Ok(Settled::Committed(commit)) if commit.has_content(&attempt.digest) => {
                self.committed_before(key, attempt, &commit).await
            }
            Ok(Settled::Committed(_) | Settled::Absent { .. }) | Err(_) => Ok(Outcome::Unknown),
        }
    }

    /// The registry has committed the same content already, by this attempt or another one, ours or somebody else's: its
    /// answer is the answer.
    async fn committed_before(
        &self,
        key: &str,
        attempt: &Attempt,
        commit: &Commit,
    ) -> Result<Outcome, Fault<Findings>> {
        match self.records.close(key, commit, None).await {
            Ok(Some(bundle)) => Ok(Outcome::Accepted(Accepted { bundle, replayed: !commit.is(attempt) })),
            Ok(None) => {
                tracing::error!(commit.attempt, "the registry committed what is not in our records");
                Ok(Outcome::Unknown)
            }
            Err(error) => {
                tracing::warn!(%error, "a submission stays in doubt until it is settled");
                Ok(Outcome::Unknown)
            }
        }
    }

    /// The registry has committed other content under this key: what it committed is bound if it is ours, and this
    /// attempt, which can never be committed any more, is given up and refused (I5).
    async fn taken(
        &self,
        key: &str,
        commit: &Commit,
        number: u64,
        failure: Outcome,
    ) -> Result<Outcome, Fault<Findings>> {
        if !matches!(self.records.close(key, commit, None).await, Ok(Some(_))) {
            self.give_up(key, |open| open <= number).await;
        }
        if let Outcome::Refused(_) = failure {
            return Ok(failure);
        }
        let text = format!("the submission set {key} is registered already, with other content");
        let place = Place::at("Bundle").of("SubmissionSet.uniqueId");
        Ok(Outcome::Refused(vec![Finding::error(Rule::DuplicateUniqueId, place, text)]))
    }

    /// Binds the documents and closes the intent beside the answer. If it is lost, settling repeats it. The turn is held
    /// until then, so that a repeated submission finds the answer.
    fn bind(&self, key: String, commit: Commit, answer: Bytes, held: Held) {
        let records = self.records.clone();
        tokio::spawn(async move {
            if let Err(error) = records.close(&key, &commit, Some(&answer)).await {
                tracing::warn!(%error, "binding was put off until the submission is settled");
            }
            drop(held);
        });
    }
}

/// What a submission came to, as it is counted.
fn word<R>(result: &Result<R, Fault<Findings>>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(Fault::Refused(_)) => "refused",
        Err(Fault::Unknown { .. }) => "unknown",
        Err(Fault::Unavailable { .. } | Fault::Busy(_)) => "unavailable",
        Err(_) => "failed",
    }
}

/// Why, in a word of a closed set; `none` where nothing stood in the way.
fn reason<R>(result: &Result<R, Fault<Findings>>) -> &'static str {
    match result {
        Ok(_) => "none",
        Err(Fault::Refused(findings)) => findings.first().map_or("refused", |worst| worst.rule.row().code),
        Err(other) => other.told().map_or("failed", |told| told.code),
    }
}

/// Whether a restored registry has lost the submission and did not take it back.
fn is_lost(known: Option<&(store::Version, Intent)>) -> bool {
    let closed = known.and_then(|(_, intent)| intent.closed.as_ref());
    closed.is_some_and(|closed| closed.refused.is_some())
}

/// The answer that is known already.
fn replay(known: Option<&Intent>, digest: &str) -> Option<Accepted> {
    let closed = known?.closed.as_ref().filter(|closed| closed.digest == digest)?;
    let bundle = Bytes::copy_from_slice(closed.answer.get().as_bytes());
    Some(Accepted { bundle, replayed: true })
}

/// The name a source gave its request stands for one content.
fn reused(before: NamedBefore) -> Result<Option<NewName>, Fault<Findings>> {
    match before {
        NamedBefore::Free(new) => Ok(Some(new)),
        NamedBefore::ForSame => Ok(None),
        NamedBefore::ForOther => {
            let text = "This Idempotency-Key came before with another body, whose submission stands or is in doubt. Send the \
                        same body to have its answer again, or name a new request by a new key.";
            Err(Fault::Refused(vec![Finding::error(Rule::IdempotencyKeyReused, Place::at("header"), text)]))
        }
    }
}

pub(crate) fn nobody(why: Nobody) -> Fault<Findings> {
    match why {
        Nobody::Refused(findings) => Fault::Refused(findings),
        Nobody::Unavailable | Nobody::NotFed => {
            Fault::Unavailable { peer: "identity source".to_owned(), retry: RETRY }
        }
    }
}
