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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_problem_that_is_told_has_its_page() {
        let second = Duration::from_secs(1);
        let faults: Vec<Fault<Findings>> = vec![
            Fault::Unauthenticated,
            Fault::Forbidden,
            Fault::NotFound,
            Fault::Gone(1),
            Fault::TooLarge { limit: 1, key: "k" },
            Fault::BodyLost,
            Fault::BodyBroken(String::new()),
            Fault::UnsupportedMedia(String::new()),
            Fault::NotAcceptable(String::new()),
            Fault::Precondition(String::new()),
            Fault::Busy(second),
            Fault::Unavailable { peer: String::new(), retry: second },
            Fault::Unknown { retry: second },
            Fault::NoRoom(String::new()),
            Fault::Unwritable(String::new()),
            Fault::Damaged,
            Fault::Unreadable(String::new()),
            Fault::Internal(String::new()),
        ];
        for told in faults.iter().filter_map(Fault::told) {
            let page =
                fhir::outcome::problem(told.code).unwrap_or_else(|| panic!("{} has no page", told.code));
            assert_eq!((page.status, page.issue), (told.status, told.issue), "{}", told.code);
        }
    }

    #[test]
    fn every_refusal_below_the_faces_has_its_page() {
        use web::Refusal;
        for refusal in [
            Refusal::Malformed(""),
            Refusal::Path(""),
            Refusal::HeadTooLarge { limit: 1 },
            Refusal::TooManyHeaders { limit: 1 },
            Refusal::TargetTooLong { limit: 1 },
            Refusal::TooSlow,
            Refusal::Version,
            Refusal::Method,
            Refusal::TooLong,
            Refusal::Unfinished,
            Refusal::TooManyConnections,
        ] {
            let (issue, code, _) = refusal.told();
            let page = fhir::outcome::problem(code).unwrap_or_else(|| panic!("{code} has no page"));
            assert_eq!((page.status, page.issue), (refusal.status().as_u16(), issue), "{code}");
        }
    }
}
