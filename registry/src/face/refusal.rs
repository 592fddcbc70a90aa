//! The one match from a fault to what the caller is told.

use actor::Fault;
use bytes::Bytes;
use fhir::negotiate;
use http::{HeaderName, HeaderValue, StatusCode, header};
use web::{Answer, AnswerBody};
use xds::Findings;

/// A fault as FHIR says it: an OperationOutcome with the request id, and the status that fits.
pub(super) fn refuse(fault: &Fault<Findings>, request: &str) -> Answer {
    let told = match (fault, fault.told()) {
        (_, Some(told)) => told,
        (Fault::Refused(findings), None) => {
            let status = fhir::outcome::status(findings);
            return problem(status, fhir::outcome::of_findings(findings, request));
        }
        (_, None) => return Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
    };
    let mut answer =
        problem(told.status, fhir::outcome::of_problem(told.issue, told.code, &told.text, request));
    answer.close = told.close;
    if let Some(seconds) = told.retry_after {
        answer = answer.with(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Fault::Gone(version) = fault {
        answer = answer.with(header::ETAG, etag(*version));
    }
    answer
}

/// One word for a fault, for metrics and the audit record.
pub(super) fn reason(fault: &Fault<Findings>) -> String {
    let code = match fault {
        Fault::Refused(findings) => findings.first().map(|finding| finding.rule.row().code),
        other => other.told().map(|told| told.code),
    };
    code.unwrap_or("refused").to_owned()
}

/// An answer that refuses, with its outcome.
pub(super) fn problem(status: u16, outcome: Vec<u8>) -> Answer {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Answer::bytes(status, negotiate::JSON, Bytes::from(outcome))
}

/// The weak entity tag of a version.
pub(super) fn etag(version: u64) -> HeaderValue {
    text(&format!("W/\"{version}\""))
}

/// A header value of text we made ourselves.
pub(super) fn text(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}

/// JSON at hand, as the caller wants it.
pub(super) fn json(status: StatusCode, body: Bytes, pretty: bool) -> Answer {
    let body = if pretty { Bytes::from(negotiate::pretty(&body)) } else { body };
    Answer::bytes(status, negotiate::JSON, body)
}

/// JSON in parts.
pub(super) fn json_parts(parts: Vec<Bytes>, pretty: bool) -> Answer {
    if pretty {
        return json(StatusCode::OK, Bytes::from(parts.concat()), true);
    }
    Answer::empty(StatusCode::OK)
        .with(header::CONTENT_TYPE, HeaderValue::from_static(negotiate::JSON))
        .body(AnswerBody::Parts(parts))
}

/// The same with a header of ours.
pub(super) fn with(answer: Answer, name: &'static str, value: &str) -> Answer {
    answer.with(HeaderName::from_static(name), text(value))
}
