//! Simplified Publish [ITI-105] on the wire: a DocumentReference whose bytes stream out of it into the store.

use std::cell::Cell;

use actor::{Codec, Context, Fault};
use fhir::iti65::{Door, Form};
use fhir::iti105::{self, BINARY};
use fhir::negotiate::Format;
use fhir::outcome;
use fhir::prefer::Return;
use http::{HeaderName, HeaderValue, StatusCode, header};
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule};

use super::body::Intake;
use super::iti65::{check, replayed};
use crate::Repository;
use crate::face::{fhir as face, task};
use crate::provide::Received;
use crate::publish::{Publication, Publish, Published};

/// Answers one publication.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    if task::is_wanted(request) {
        return task::take(repository, request, "/fhir/DocumentReference").await;
    }
    let codec = Publishing {
        intake: repository.intake(),
        format: face::format(request),
        own: repository.provide.patients.own(),
        source_id: &repository.house.settings.publish.source_id,
        back: Cell::new(face::preferences(request).back),
    };
    repository.house.corridor.walk(&repository.publish, &codec, request).await
}

struct Publishing<'a> {
    intake: Intake<'a>,
    format: Result<Format, String>,
    /// Bases under which a patient is one of this domain.
    own: [&'a str; 2],
    /// OID of the sourceId of what is published; empty: one is made of the caller's name.
    source_id: &'a str,
    /// What the caller wants back; none: it does not say.
    back: Cell<Option<Return>>,
}

impl Codec<Publish> for Publishing<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Publication, Fault<Findings>> {
        unconditional(request)?;
        let (mut resource, mut documents) =
            self.intake.read(request, &self.format, Form::DocumentReference, 0).await?;
        fhir::iti65::local_subject(&mut resource, &self.own);
        documents.renumber(0, BINARY);
        let source_id = source_id(self.source_id, context);
        let provided = iti105::read_request(resource, &documents.measured, Door::Repository, &source_id)
            .map_err(|findings| documents.refusal(findings))?;
        check(&provided)?;
        let received = Received {
            provided,
            staged: documents.staged,
            measured: documents.measured,
            idempotency_key: face::idempotency_key(request)?,
        };
        let wants_resource = matches!(self.back.get(), None | Some(Return::Representation));
        Ok(Publication { received, wants_resource })
    }

    fn write(&self, published: Published, context: &Context) -> Answer {
        let format = self.format.clone().unwrap_or_default();
        let answer = match (self.back.get(), &published.resource) {
            (Some(Return::OperationOutcome), _) => {
                let text = "The document is stored and registered.";
                let body = outcome::of_success(text, &published.warnings, face::id(context));
                face::json(StatusCode::CREATED, body, format)
            }
            (_, Some(resource)) => face::json(StatusCode::CREATED, resource.clone(), format),
            (_, None) => Answer::empty(StatusCode::CREATED),
        };
        #[cfg(feature = "failpoints")]
        let answer = actor::points::in_the_middle("repo.answer.mid", answer);
        let mut answer = answer;
        if let Some(back) = self.back.get() {
            answer = answer.with(
                HeaderName::from_static("preference-applied"),
                HeaderValue::from_static(back.applied()),
            );
        }
        let headers = [
            (header::LOCATION, Some(published.location.as_str())),
            (header::CONTENT_LOCATION, Some(published.location.as_str())),
            (header::ETAG, published.etag.as_deref()),
        ];
        for (name, value) in headers {
            if let Some(Ok(value)) = value.map(HeaderValue::from_str) {
                answer = answer.with(name, value);
            }
        }
        if let Some(modified) = published.last_modified.as_deref().and_then(face::http_date) {
            answer = answer.with(header::LAST_MODIFIED, modified);
        }
        replayed(answer, published.replayed)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse_submission(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// Refuses a condition nobody here could hold: whether a document is there, the registry knows.
fn unconditional(request: &Request) -> Result<(), Fault<Findings>> {
    if request.headers.get("if-none-exist").is_none() {
        return Ok(());
    }
    let text = "If-None-Exist is not supported where a document is published: name the request by an Idempotency-Key, which \
                makes one document of it however often it is sent. Nothing was stored.";
    Err(Fault::Refused(vec![Finding::error(Rule::NotSupported, Place::at("header"), text)]))
}

/// The sourceId of what this caller publishes: as configured, else an OID made of the caller's name.
pub(super) fn source_id(configured: &str, context: &Context) -> String {
    if configured.is_empty() {
        return xds::identifier::oid_of_name(&context.caller.name);
    }
    format!("urn:oid:{}", configured.trim_start_matches("urn:oid:"))
}
