//! What every codec of this face shares: the caller's wishes, resources with their version, faults as OperationOutcomes.

use actor::Fault;
use bytes::Bytes;
use fhir::negotiate::{self, Format};
use fhir::outcome;
use fhir::prefer::{Preferences, Return};
use http::{HeaderName, HeaderValue, StatusCode, header};
use store::Instant;
use web::{Answer, AnswerBody, Request};
use xds::{Finding, Findings};

/// How the caller wants the answer, from the head of the request.
pub(super) struct Wishes {
    format: Result<Format, String>,
    /// `Prefer`, as sent.
    pub(super) prefer: Option<String>,
}

impl Wishes {
    pub(super) fn of(request: &Request) -> Wishes {
        Wishes {
            format: negotiate::answer(&request.query, text(request, header::ACCEPT)),
            prefer: text(request, HeaderName::from_static("prefer")).map(str::to_owned),
        }
    }

    /// Refuses where nothing the caller accepts can be given.
    pub(super) fn check(&self) -> Result<(), Fault<Findings>> {
        self.format.as_ref().map(|_| ()).map_err(|why| Fault::NotAcceptable(why.clone()))
    }

    /// What an answer to a change brings back.
    pub(super) fn back(&self) -> Option<Return> {
        Preferences::read(self.prefer.as_deref()).back
    }

    /// An answer with a FHIR body.
    pub(super) fn answer(&self, status: StatusCode, body: impl Into<Bytes>) -> Answer {
        self.parts(status, vec![body.into()])
    }

    /// An answer with a FHIR body in parts.
    pub(super) fn parts(&self, status: StatusCode, mut parts: Vec<Bytes>) -> Answer {
        if self.format.as_ref().is_ok_and(|format| format.pretty) {
            parts = vec![negotiate::pretty(&parts.concat()).into()];
        }
        let body = match parts.len() {
            1 => AnswerBody::Bytes(parts.swap_remove(0)),
            _ => AnswerBody::Parts(parts),
        };
        Answer::empty(status).with(header::CONTENT_TYPE, HeaderValue::from_static(negotiate::JSON)).body(body)
    }
}

/// A header as text, if it is there and readable.
pub(super) fn text(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers.get(name).and_then(|value| value.to_str().ok())
}

/// `ETag` of a version.
pub(super) fn etag(version: u64) -> HeaderValue {
    HeaderValue::from_str(&format!("W/\"{version}\"")).expect("digits and quotes are a header value")
}

/// A URL as a header value; one with unprintable characters is left out.
pub(super) fn location(answer: Answer, name: HeaderName, url: &str) -> Answer {
    match HeaderValue::from_str(url) {
        Ok(url) => answer.with(name, url),
        Err(_) => answer,
    }
}

/// `Last-Modified` of an instant.
pub(super) fn last_modified(instant: Instant) -> Option<HeaderValue> {
    let time = jiff::Timestamp::from_microsecond(instant).ok()?;
    HeaderValue::from_str(&time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()).ok()
}

/// The versions named by `If-Match` or `If-None-Match`: `W/"3"`, `"3"`, `3`, lists; empty for `*`. An empty tag is no version.
pub(super) fn versions(header: &str) -> Vec<String> {
    let tags = header.split(',').map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"').to_owned());
    let tags: Vec<String> = tags.collect();
    if tags.iter().any(|tag| tag == "*") { Vec::new() } else { tags }
}

/// The one place where faults become FHIR.
pub(super) fn refuse(fault: &Fault<Findings>, id: &str) -> Answer {
    let Some(told) = fault.told() else {
        return match fault {
            Fault::Refused(findings) => refuse_findings(findings, id),
            _ => Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
        };
    };
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = problem(status, told.issue, told.code, &told.text, id);
    answer.close = told.close;
    match told.retry_after {
        Some(seconds) => answer.with(header::RETRY_AFTER, HeaderValue::from(seconds)),
        None => answer,
    }
}

fn refuse_findings(findings: &[Finding], id: &str) -> Answer {
    let status = StatusCode::from_u16(outcome::status(findings)).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::bytes(status, negotiate::JSON, outcome::of_findings(findings, id))
}

/// One problem that is not of the domain.
pub(super) fn problem(status: StatusCode, issue: &str, code: &str, text: &str, id: &str) -> Answer {
    Answer::bytes(status, negotiate::JSON, outcome::of_problem(issue, code, text, id))
}

/// One word for a fault, for metrics and the audit record.
pub(crate) fn reason(fault: &Fault<Findings>) -> String {
    let code = match fault {
        Fault::Refused(findings) => findings.first().map(|finding| finding.rule.row().code),
        other => other.told().map(|told| told.code),
    };
    code.unwrap_or("refused").to_owned()
}
