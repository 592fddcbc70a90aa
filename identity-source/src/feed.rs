//! Taking a patient in, revising one, merging one into another [ITI-104].

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use bytes::Bytes;
use fhir::document_reference::Stamp;
use fhir::iti104;
use fhir::patient::{Patient, Survivor, canonical_system};
use store::Row;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::deliver::Delivery;
use crate::records::{Kept, Records, Writing, Written};

/// Rounds of planning a feed again after somebody else was first; each round somebody wins.
const ROUNDS: usize = 64;

/// The use case.
pub(crate) struct FeedPatient {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
    pub(crate) delivery: Arc<Delivery>,
    /// One merge at a time, so that two of them cannot close a ring.
    pub(crate) merging: tokio::sync::Mutex<()>,
}

/// What is asked.
pub(crate) struct Request {
    /// The condition and the patient.
    pub(crate) feed: iti104::Feed,
    /// Versions of `If-Match`, if given; empty stands for any.
    pub(crate) if_match: Option<Vec<String>>,
}

/// What became of it.
pub(crate) struct Fed {
    /// Id here.
    pub(crate) id: String,
    /// Version and time.
    pub(crate) stamp: Stamp,
    /// True for a patient that was not known.
    pub(crate) created: bool,
    /// As readers get it.
    pub(crate) rendering: Bytes,
}

/// What a feed comes to, as things stand.
enum Plan {
    /// Nothing new.
    Stands(Fed),
    /// To be written.
    Write(Box<Written>, Fed),
}

impl Transaction for FeedPatient {
    type Request = Request;
    type Response = Fed;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-104";
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        request: Request,
    ) -> Result<Audited<Fed>, Fault<Findings>> {
        let _one_merge = match request.feed.patient.replaced_by {
            Some(_) => Some(self.merging.lock().await),
            None => None,
        };
        let mut trail = trail;
        for _ in 0..ROUNDS {
            let (written, fed) = match self.plan(&request, &trail.context().base)? {
                Plan::Stands(fed) => {
                    let subject = subject(&fed.id);
                    return Ok(trail.note(self.records.store(), self.clock.now(), subject, fed).await?);
                }
                Plan::Write(written, fed) => (written, fed),
            };
            let sequence = Cell::new(0);
            // Only here it is known whether a conditional update created (PIXm audits the two apart).
            trail = trail.telling(if fed.created { Action::Create } else { Action::Update });
            let subject = subject(&fed.id);
            let committed = trail.commit(self.records.store(), written.batch, subject, |applied| {
                sequence.set(applied.sequence);
                fed
            });
            failpoint!(async "id.feed.pre_commit");
            match committed.await {
                Ok(audited) => {
                    failpoint!(async "id.feed.post_commit");
                    self.delivery.attempt(sequence.get()).await;
                    failpoint!(async "id.feed.pre_ack");
                    return Ok(audited);
                }
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

impl FeedPatient {
    fn plan(&self, request: &Request, base: &str) -> Result<Plan, Fault<Findings>> {
        let Request { feed, if_match } = request;
        let current = self.records.identified(&feed.identifier, base)?;
        let kept = current.as_ref().map(Kept::of).transpose()?;
        check_version(current.as_ref(), if_match.as_deref())?;
        if current.is_none() && feed.identifier.system == base {
            return Err(refused(
                Rule::UnresolvedReference,
                "identifier",
                "there is no Patient with this id here",
            ));
        }
        let id = current.as_ref().map_or_else(|| uuid::Uuid::new_v4().to_string(), |row| row.id.clone());
        self.check_holders(&feed.patient, &id)?;
        let survivor = self.survivor(&feed.patient, &id, base)?;
        self.check_merge_stays(kept.as_ref(), survivor.as_deref())?;
        let writing = Writing {
            id: &id,
            patient: &feed.patient,
            survivor: survivor.as_deref(),
            current: current.as_ref().zip(kept.as_ref()),
            now: self.clock.now(),
            feeds: self.delivery.is_on(),
        };
        if let Some((row, kept)) = writing.current.filter(|_| self.records.stands(&writing)) {
            let stamp = Stamp { version: row.version, updated: kept.updated };
            return Ok(Plan::Stands(Fed {
                id: row.id.clone(),
                stamp,
                created: false,
                rendering: row.rendering.clone(),
            }));
        }
        let written = self.records.write(&writing)?;
        let fed = Fed {
            stamp: written.stamp,
            created: current.is_none(),
            rendering: written.rendering.clone(),
            id: id.clone(),
        };
        Ok(Plan::Write(Box::new(written), fed))
    }

    /// An identifier names one patient; a feed that claims another one's is refused and told which.
    fn check_holders(&self, patient: &Patient, id: &str) -> Result<(), Fault<Findings>> {
        let mut findings = Findings::new();
        for (index, identifier) in patient.identifiers.iter().enumerate() {
            if self.records.holder(identifier)?.is_some_and(|holder| holder != id) {
                let text = format!(
                    "identifier {}|{} belongs to another Patient, so this feed matches several; merge them first (link replaced-by)",
                    identifier.system, identifier.value
                );
                let at = Place::at("Patient.identifier").item(index);
                findings.push(Finding::error(Rule::MultipleMatches, at, text));
            }
        }
        if findings.is_empty() { Ok(()) } else { Err(Fault::Refused(findings)) }
    }

    /// The patient that finally takes the place of this one.
    fn survivor(&self, patient: &Patient, id: &str, base: &str) -> Result<Option<String>, Fault<Findings>> {
        let Some(named) = &patient.replaced_by else { return Ok(None) };
        let itself = || refused(Rule::Invariant, "link", "a Patient cannot be replaced by itself");
        if named.identifier.as_ref().is_some_and(|identifier| patient.identifiers.contains(identifier)) {
            return Err(itself());
        }
        let Some(found) = self.named(named, base)? else {
            let text = "the surviving Patient named by link.other is not known here; feed it first";
            return Err(refused(Rule::UnresolvedReference, "link", text));
        };
        let (survivor, kept) = self.records.final_survivor(found)?;
        if survivor.id == id {
            return Err(itself());
        }
        if !kept.active {
            let text = "the surviving Patient named by link.other is not active";
            return Err(refused(Rule::BusinessRule, "link", text));
        }
        Ok(Some(survivor.id))
    }

    /// The patient a link names: by identifier, by reference to us, or by reference to the server that counts as its domain.
    fn named(&self, named: &Survivor, base: &str) -> Result<Option<Row>, Fault<Findings>> {
        if let Some(identifier) = &named.identifier {
            return Ok(self.records.identified(identifier, base)?);
        }
        let Some(reference) = &named.reference else { return Ok(None) };
        let Some(start) = reference.rfind("Patient/") else { return Ok(None) };
        let (server, local) = reference.split_at(start);
        let local = local.split("/_history/").next().unwrap_or(local);
        let server = server.trim_end_matches('/');
        let system = if server.is_empty() { base.to_owned() } else { canonical_system(server) };
        Ok(self.records.identified(&Identifier { system, value: local.to_owned() }, base)?)
    }

    /// A merge is final: undoing one is not defined by PIXm, and would move documents back and forth.
    fn check_merge_stays(&self, kept: Option<&Kept>, survivor: Option<&str>) -> Result<(), Fault<Findings>> {
        let Some(before) = kept.and_then(|kept| kept.replaced_by.as_deref()) else { return Ok(()) };
        let lasting = match self.records.patient(before)? {
            Some(row) => self.records.final_survivor(row)?.0.id,
            None => before.to_owned(),
        };
        if survivor == Some(lasting.as_str()) {
            return Ok(());
        }
        let text = "this Patient was merged into another one; a merge can be neither undone nor redirected by a feed";
        Err(refused(Rule::MergeIsFinal, "link", text))
    }
}

fn check_version(current: Option<&Row>, if_match: Option<&[String]>) -> Result<(), Fault<Findings>> {
    let Some(wanted) = if_match else { return Ok(()) };
    match current {
        Some(row) if wanted.is_empty() || wanted.contains(&row.version.to_string()) => Ok(()),
        Some(row) => Err(Fault::Precondition(format!("the current version is {}", row.version))),
        None => Err(Fault::Precondition("there is no such Patient yet".to_owned())),
    }
}

fn refused(rule: Rule, member: &str, text: &str) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, Place::at("Patient").member(member), text)])
}

fn subject(id: &str) -> Subject {
    Subject { patient: Some(id.to_owned()), entities: vec![format!("Patient/{id}")], query: None }
}
