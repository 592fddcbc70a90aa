//! `Bundle/$validate` on the wire: a Bundle of ITI-65, bare or as the `resource` of Parameters.

use actor::{Codec, Context, Fault};
use fhir::iti65::Form;
use fhir::negotiate::Format;
use fhir::outcome;
use http::StatusCode;
use serde_json::Value;
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule, Severity};

use super::body::Intake;
use super::iti65::received;
use crate::Repository;
use crate::face::fhir as face;
use crate::validate::{Candidate, Validate};

/// Answers one question.
pub(crate) async fn serve(repository: &Repository, request: &mut Request) -> Answer {
    let codec = Validating {
        intake: repository.intake(),
        format: face::format(request),
        own: repository.provide.patients.own(),
    };
    repository.house.corridor.walk(&repository.validate, &codec, request).await
}

struct Validating<'a> {
    intake: Intake<'a>,
    format: Result<Format, String>,
    /// Bases under which a patient is one of this domain.
    own: [&'a str; 2],
}

impl Codec<Validate> for Validating<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Candidate, Fault<Findings>> {
        let (resource, documents) =
            self.intake.read(request, &self.format, Form::BundleOrParameters, 0).await?;
        let bundle = bundle(resource).map_err(Fault::Refused)?;
        match received(bundle, documents, &self.own, None).await {
            Ok(received) => Ok(Candidate::Sound(Box::new(received))),
            // What is wrong with the submission is the answer, and no failure of the question.
            Err(Fault::Refused(findings)) => Ok(Candidate::Unsound(findings)),
            Err(other) => Err(other),
        }
    }

    fn write(&self, findings: Findings, context: &Context) -> Answer {
        let format = self.format.clone().unwrap_or_default();
        let is_refused = findings.iter().any(|finding| finding.severity == Severity::Error);
        let body = if is_refused {
            outcome::of_findings(&findings, face::id(context))
        } else {
            let text = "All OK: the submission would be stored. Nothing was stored now.";
            outcome::of_success(text, &findings, face::id(context))
        };
        face::json(StatusCode::OK, body, format)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// The Bundle itself, or the one parameter named `resource`.
fn bundle(mut resource: Value) -> Result<Value, Findings> {
    if resource["resourceType"] != "Parameters" {
        return Ok(resource);
    }
    let parameters = resource["parameter"].as_array_mut().map(std::mem::take).unwrap_or_default();
    let mut named = parameters.into_iter().filter(|one| one["name"] == "resource");
    match (named.next(), named.next()) {
        (Some(mut one), None) if one["resource"].is_object() => Ok(one["resource"].take()),
        _ => {
            let text = "Parameters of $validate have one parameter named resource: the Bundle.";
            Err(vec![Finding::error(Rule::Required, Place::at("Parameters.parameter"), text)])
        }
    }
}
