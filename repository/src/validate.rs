//! Validation: what a submission would come to, step by step as it is provided, without a trace. The bytes are measured and
//! let go, the patient is looked up and never fed, and the registry decides without committing.

use access::Grant;
use actor::{Audited, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::iti65::write_registration;
use xds::{Finding, Findings, Place, Rule, Severity};

use crate::answer;
use crate::naming::{hexadecimal, key_of};
use crate::patients::{Nobody, Resolved};
use crate::provide::{Provide, RETRY, Received, nobody};
use crate::registrar::Question;

/// The use case.
#[derive(Clone)]
pub(crate) struct Validate(pub(crate) Provide);

/// A submission that is to be judged.
pub(crate) enum Candidate {
    /// It can be read, and breaks no rule that can be judged alone.
    Sound(Box<Received>),
    /// It cannot, or it does.
    Unsound(Findings),
}

impl Transaction for Validate {
    type Request = Candidate;
    type Response = Findings;
    type Findings = Findings;
    const NUMBER: &'static str = "validate";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        grant: Grant<Validate>,
        trail: Trail,
        candidate: Candidate,
    ) -> Result<Audited<Findings>, Fault<Findings>> {
        let findings = match candidate {
            Candidate::Unsound(findings) => findings,
            Candidate::Sound(received) => {
                self.judge(&grant.caller().name, trail.context(), *received).await?
            }
        };
        self.0.note(trail, findings, Subject::default()).await
    }
}

impl Validate {
    async fn judge(
        &self,
        client: &str,
        context: &actor::Context,
        received: Received,
    ) -> Result<Findings, Fault<Findings>> {
        let Received { mut provided, staged, measured, .. } = received;
        let mut findings = provided.warnings.clone();
        let patient = match self.0.patients.rehearse(&provided, &context.trace).await {
            Ok(patient) => Some(patient),
            Err(Nobody::NotFed) => {
                findings.push(to_be_fed());
                None
            }
            Err(Nobody::Refused(refused)) => {
                findings.extend(refused);
                return Ok(sorted(findings));
            }
            Err(other) => return Err(nobody(other)),
        };
        let known = patient.is_some();
        let patient = patient.unwrap_or(Resolved {
            id: String::new(),
            reference: String::new(),
            identifier: provided.patient().identifier.clone(),
        });
        if known {
            provided.set_patient(&patient.id, &patient.reference, patient.identifier.as_ref());
        }
        let digest = provided.digest(&measured);
        let key = key_of(&mut provided, client, &patient, &digest);
        let under = answer::documents_under(&context.base);
        for (entry, staged) in &staged {
            if let Some(symbol) = provided.document_of(*entry) {
                let url = format!("{under}{}", staged.id());
                provided.set_document(&symbol, &url, staged.size(), staged.sha1(), staged.sha256());
            }
        }
        let question = Question {
            key,
            digest: hexadecimal(&digest),
            body: write_registration(&provided).into(),
            trace: context.trace.clone(),
            request: context.request.clone(),
        };
        let mut told = self.0.registrar.validate(&question).await.map_err(|error| {
            tracing::warn!(%error, "the registry did not validate a submission");
            Fault::Unavailable { peer: "registry".to_owned(), retry: RETRY }
        })?;
        // Whom the identity source would be told of, the registry cannot know yet.
        told.retain(|finding| known || finding.rule != Rule::UnknownPatient);
        answer::map_back(&mut told, &provided);
        for finding in told {
            let is_known = |one: &Finding| one.at.path == finding.at.path && one.text == finding.text;
            if !findings.iter().any(is_known) {
                findings.push(finding);
            }
        }
        Ok(sorted(findings))
    }
}

fn to_be_fed() -> Finding {
    let text = "The patient of the submission is not known yet; the Patient entry would be fed to the identity source.";
    let at = Place::at("Bundle.entry").of("SubmissionSet.patientId");
    Finding { severity: Severity::Information, ..Finding::warning(Rule::UnknownPatient, at, text) }
}

fn sorted(mut findings: Findings) -> Findings {
    xds::finding::sort(&mut findings);
    findings
}
