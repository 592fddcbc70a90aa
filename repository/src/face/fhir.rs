//! The table of the repository, what `/metadata` prints from it, and how a fault is told.

use std::time::Duration;

use actor::{Actor, Context, Fault, Route};
use bytes::Bytes;
use fhir::capability::{Capability, Interaction};
use fhir::negotiate::{self, Format, JSON};
use fhir::outcome;
use http::{HeaderValue, StatusCode, header};
use web::{Answer, AnswerBody, Request};
use xds::Findings;

use crate::Repository;
use crate::face::{binary, iti65, iti68};

/// Method, path and what answers.
pub(crate) const ROUTES: &[Route<Repository>] = &[
    Route {
        method: "GET",
        path: "/fhir/metadata",
        transaction: "none",
        serve: |_, request| Box::pin(async move { metadata(request) }),
    },
    Route {
        method: "POST",
        path: "/fhir",
        transaction: "ITI-65",
        serve: |repository, request| Box::pin(iti65::serve(repository, request)),
    },
    Route {
        method: "GET",
        path: "/documents/{id}",
        transaction: "ITI-68",
        serve: |repository, request| Box::pin(iti68::serve(repository, request)),
    },
    Route {
        method: "GET",
        path: "/fhir/Binary/{id}",
        transaction: "ITI-68",
        serve: |repository, request| Box::pin(binary::serve(repository, request)),
    },
    Route {
        method: "GET",
        path: "/fhir/Binary/{id}/_history/{version}",
        transaction: "ITI-68",
        serve: |repository, request| Box::pin(binary::serve(repository, request)),
    },
];

/// What a line of the table is in a CapabilityStatement; none if it is no interaction.
fn interaction(method: &str, path: &str) -> Option<Interaction> {
    let (resource, code, documentation) = match (method, path) {
        ("POST", "/fhir") => (
            None,
            "transaction",
            "Provide Document Bundle [ITI-65]: Minimal, Comprehensive and UnContained by Bundle.meta.profile",
        ),
        ("GET", "/fhir/Binary/{id}") => {
            (Some("Binary"), "read", "The bytes of a document, raw or as a Binary by Accept")
        }
        ("GET", "/fhir/Binary/{id}/_history/{version}") => {
            (Some("Binary"), "vread", "The same: a document has one version")
        }
        _ => return None,
    };
    Some(Interaction { resource, code, definition: None, documentation })
}

fn metadata(request: &Request) -> Answer {
    let format = match format(request) {
        Ok(format) => format,
        Err(why) => return refuse(Fault::NotAcceptable(why), &request.id, Format::default()),
    };
    let capability = Capability {
        title: "docshare repository".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: request.base.clone(),
        date: "2026-11-20".to_owned(),
        instantiates: vec![
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Comprehensive",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.UnContained",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Fdoc",
        ],
        guides: vec!["https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd"],
        interactions: Repository::routes()
            .iter()
            .filter_map(|route| interaction(route.method, route.path))
            .collect(),
        ..Capability::default()
    };
    // The statement is the same for everybody and for a while: it may be kept by caches.
    json(StatusCode::OK, fhir::capability::write(&capability), format)
        .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))
}

/// The format of the answer the caller wants.
pub(crate) fn format(request: &Request) -> Result<Format, String> {
    negotiate::answer(&request.query, text(request, header::ACCEPT).as_deref())
}

/// A header as text; several lines are joined.
pub(crate) fn text(request: &Request, name: header::HeaderName) -> Option<String> {
    let mut lines = request.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let first = lines.next()?.to_owned();
    Some(lines.fold(first, |all, line| format!("{all}, {line}")))
}

/// A JSON answer in the format wanted.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>, format: Format) -> Answer {
    let body: Bytes = body.into();
    let body = if format.pretty { negotiate::pretty(&body).into() } else { body };
    Answer::bytes(status, JSON, body)
}

/// What is answered where no line of the table fits.
pub(crate) fn unrouted(request: &Request, allowed: &[&'static str]) -> Answer {
    let (status, issue, code, text) = if allowed.is_empty() {
        let text = "There is nothing here. The FHIR base of this repository is /fhir, documents are under /documents.";
        (StatusCode::NOT_FOUND, "not-supported", "not-found", text.to_owned())
    } else {
        let text = format!("This path answers {}.", allowed.join(", "));
        (StatusCode::METHOD_NOT_ALLOWED, "not-supported", "method-not-allowed", text)
    };
    let answer = json(status, outcome::of_problem(issue, code, &text, &request.id), Format::default());
    match HeaderValue::from_str(&allowed.join(", ")) {
        Ok(allow) if !allowed.is_empty() => answer.with(header::ALLOW, allow),
        Ok(_) | Err(_) => answer,
    }
}

/// Tells a fault: the one place where a fault becomes a status and an outcome.
pub(crate) fn refuse(fault: Fault<Findings>, id: &str, format: Format) -> Answer {
    let (status, issue, code, text) = match fault {
        Fault::Refused(findings) => {
            let status = StatusCode::from_u16(outcome::status(&findings)).unwrap_or(StatusCode::BAD_REQUEST);
            return json(status, outcome::of_findings(&findings, id), format);
        }
        Fault::Unauthenticated => {
            return problem(401, "login", "unauthenticated", "It is not known who is calling.", id, format)
                .with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        Fault::Forbidden => (403, "forbidden", "forbidden", "The caller may not do this.".to_owned()),
        Fault::NotFound => (404, "not-found", "not-found", "There is no such document.".to_owned()),
        Fault::Gone(_) => (410, "deleted", "gone", "The document has been removed.".to_owned()),
        Fault::TooLarge { limit, key } => {
            let text = format!("More than {limit} bytes are not taken ({key}).");
            let mut answer = problem(413, "too-long", "too-large", &text, id, format);
            answer.close = true;
            return answer;
        }
        Fault::BodyLost => {
            let text = "The body stalled, came too slowly, or ended before it was complete.";
            let mut answer = problem(408, "timeout", "body-lost", text, id, format);
            answer.close = true;
            return answer;
        }
        Fault::UnsupportedMedia(text) => (415, "not-supported", "unsupported-media-type", text),
        Fault::NotAcceptable(text) => (406, "not-supported", "not-acceptable", text),
        Fault::Precondition(text) => (412, "conflict", "precondition-failed", text),
        Fault::Busy(retry) => {
            let text =
                "The same submission is being worked on, or its outcome is not settled yet; try again.";
            return later(problem(503, "transient", "busy", text, id, format), retry);
        }
        Fault::Unavailable { peer, retry } => {
            let text = format!(
                "The {peer} is not reached (XDSRegistryNotAvailable); nothing was stored, try again."
            );
            return later(problem(503, "transient", "peer-not-available", &text, id, format), retry);
        }
        Fault::Unknown { retry } => {
            let text =
                "The registry did not answer in time: the outcome is unknown, send again with the same id.";
            return later(problem(503, "timeout", "outcome-unknown", text, id, format), retry);
        }
        Fault::NoRoom(_) => {
            let text = "There is no room to store more (XDSRepositoryOutOfResources).";
            return later(problem(503, "no-store", "no-room", text, id, format), Duration::from_mins(1));
        }
        Fault::Damaged => {
            let text = "The stored bytes of this document are damaged; the operator has been told.";
            return later(problem(503, "exception", "damaged", text, id, format), Duration::from_mins(1));
        }
        Fault::Internal(_) => {
            (500, "exception", "internal", format!("Something went wrong here; the log has it under {id}."))
        }
    };
    problem(status, issue, code, &text, id, format)
}

fn problem(status: u16, issue: &str, code: &str, text: &str, id: &str, format: Format) -> Answer {
    let status = StatusCode::from_u16(status).expect("the statuses above are three digits");
    json(status, outcome::of_problem(issue, code, text, id), format)
}

fn later(answer: Answer, retry: Duration) -> Answer {
    answer.with(header::RETRY_AFTER, HeaderValue::from(retry.as_secs().max(1)))
}

/// One word for a fault, for metrics and the audit record.
pub(crate) fn reason(fault: &Fault<Findings>) -> String {
    let word = match fault {
        Fault::Refused(findings) => findings.first().map_or("refused", |worst| worst.rule.row().code),
        Fault::Unauthenticated => "unauthenticated",
        Fault::Forbidden => "forbidden",
        Fault::NotFound => "not-found",
        Fault::Gone(_) => "gone",
        Fault::TooLarge { .. } => "too-large",
        Fault::BodyLost => "body-lost",
        Fault::UnsupportedMedia(_) => "unsupported-media-type",
        Fault::NotAcceptable(_) => "not-acceptable",
        Fault::Precondition(_) => "precondition-failed",
        Fault::Busy(_) => "busy",
        Fault::Unavailable { .. } => "peer-not-available",
        Fault::Unknown { .. } => "outcome-unknown",
        Fault::NoRoom(_) => "no-room",
        Fault::Damaged => "damaged",
        Fault::Internal(_) => "internal",
    };
    word.to_owned()
}

/// The request id of a context, for outcomes.
pub(crate) fn id(context: &Context) -> &str {
    &context.request
}

/// An answer without a body, e.g. to `HEAD` or a 304, of a body that would be so long.
pub(crate) fn headless(length: u64) -> AnswerBody {
    AnswerBody::Stream { length, stream: Box::pin(futures_util::stream::empty()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fhir_path_but_metadata_itself_is_in_the_statement() {
        for route in ROUTES.iter().filter(|route| route.path.starts_with("/fhir")) {
            let told = interaction(route.method, route.path).is_some();
            assert_eq!(told, route.path != "/fhir/metadata", "{} {}", route.method, route.path);
        }
    }
}
