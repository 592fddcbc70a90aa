//! Provide Document Bundle [ITI-65] on the wire.

use actor::{Codec, Context, Fault};
use fhir::iti65::{Door, Form, Provided, local_subjects, read_request_in};
use fhir::negotiate::Format;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use web::{Answer, Request};
use xds::{Findings, Severity, Side};

use super::body::{Documents, Intake};
use crate::Repository;
use crate::face::{fhir as face, task};
use crate::provide::{Accepted, Provide, Received};

/// Answers one submission.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    if task::is_wanted(request) {
        return task::take(repository, request, "/fhir").await;
    }
    let format = face::format(request);
    let own = repository.provide.patients.own();
    let codec = Bundle { intake: repository.intake(), format, own };
    repository.house.corridor.walk(&repository.provide, &codec, request).await
}

struct Bundle<'a> {
    intake: Intake<'a>,
    format: Result<Format, String>,
    /// Bases under which a patient is one of this domain.
    own: [&'a str; 2],
}

impl Codec<Provide> for Bundle<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Received, Fault<Findings>> {
        let (bundle, documents) = self.intake.read(request, &self.format, Form::Bundle, 0).await?;
        received(bundle, documents, &self.own, face::idempotency_key(request)?).await
    }

    fn write(&self, response: Accepted, _: &Context) -> Answer {
        let format = self.format.clone().unwrap_or_default();
        let answer = face::json(StatusCode::OK, response.bundle, format);
        #[cfg(feature = "failpoints")]
        let answer = actor::points::in_the_middle("repo.answer.mid", answer);
        replayed(answer, response.replayed)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse_submission(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// A Bundle that came in, read and judged as far as that needs nobody else.
pub(super) async fn received(
    mut bundle: Value,
    mut documents: Documents<'_>,
    own: &[&str],
    idempotency_key: Option<String>,
) -> Result<Received, Fault<Findings>> {
    local_subjects(&mut bundle, own);
    let provided = read_request_in(documents.syntax, bundle, &documents.measured, Door::Repository)
        .map_err(|findings| documents.refusal(findings))?;
    check(&provided).map_err(|fault| beside(fault, &documents))?;
    documents.take_fhir_documents(&provided).await?;
    Ok(Received { provided, staged: documents.staged, measured: documents.measured, idempotency_key })
}

/// The same refusal, with what is wrong with the codes.
fn beside(fault: Fault<Findings>, documents: &Documents<'_>) -> Fault<Findings> {
    match fault {
        Fault::Refused(findings) => documents.refusal(findings),
        other => other,
    }
}

/// The rules of the framework, judged here already: a submission that breaks them is never written down.
pub(super) fn check(provided: &Provided) -> Result<(), Fault<Findings>> {
    let mut findings = provided.check();
    if findings.iter().all(|finding| finding.severity != Severity::Error) {
        return Ok(());
    }
    for finding in &mut findings {
        finding.side = Side::Repository;
    }
    xds::finding::sort(&mut findings);
    Err(Fault::Refused(findings))
}

/// Says of an answer that it was given before.
pub(super) fn replayed(answer: Answer, replayed: bool) -> Answer {
    if replayed {
        let name = HeaderName::from_static("idempotency-replayed");
        return answer.with(name, HeaderValue::from_static("true"));
    }
    answer
}
