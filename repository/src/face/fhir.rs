//! The table of the repository, what `/metadata` prints from it, and how a fault is told.

use actor::{Context, Fault, Route};
use bytes::Bytes;
use fhir::capability::{CONFORMS, IMPLEMENTS, Interaction, Question};
use fhir::negotiate::{self, Format, JSON};
use fhir::outcome;
use fhir::prefer::Preferences;
use fhir::unrouted::{self, Asked};
use http::{HeaderValue, StatusCode, header};
use web::{Answer, AnswerBody, Request};
use xds::{Finding, Findings, Place, Rule};

use crate::Repository;
use crate::face::{binary, iti65, iti68, iti105, iti106, metadata, send_to_ehr, soap, task, validate};

/// Method, path and what answers.
pub(crate) const ROUTES: &[Route<Repository>] = &[
    Route {
        method: "GET",
        path: "/fhir/metadata",
        transaction: "none",
        serve: |_, request| Box::pin(async move { metadata::answer(request) }),
    },
    Route {
        method: "GET",
        path: "/fhir/CapabilityStatement/$implements",
        transaction: "none",
        serve: |repository, request| Box::pin(metadata::ask(repository, request, Question::Implements)),
    },
    Route {
        method: "POST",
        path: "/fhir/CapabilityStatement/$implements",
        transaction: "none",
        serve: |repository, request| Box::pin(metadata::ask(repository, request, Question::Implements)),
    },
    Route {
        method: "GET",
        path: "/fhir/CapabilityStatement/$conforms",
        transaction: "none",
        serve: |repository, request| Box::pin(metadata::ask(repository, request, Question::Conforms)),
    },
    Route {
        method: "POST",
        path: "/fhir/CapabilityStatement/$conforms",
        transaction: "none",
        serve: |repository, request| Box::pin(metadata::ask(repository, request, Question::Conforms)),
    },
    Route {
        method: "POST",
        path: "/fhir",
        transaction: "ITI-65",
        serve: |repository, request| Box::pin(iti65::serve(repository, request)),
    },
    Route {
        method: "POST",
        path: "/fhir/Bundle/$validate",
        transaction: "validate",
        serve: |repository, request| Box::pin(validate::serve(repository, request)),
    },
    Route {
        method: "POST",
        path: "/fhir/DocumentReference",
        transaction: "ITI-105",
        serve: |repository, request| Box::pin(iti105::serve(repository, request)),
    },
    Route {
        method: "POST",
        path: "/fhir/DocumentReference/$generate-metadata",
        transaction: "ITI-106",
        serve: |repository, request| Box::pin(iti106::serve(repository, request)),
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
    Route {
        method: "GET",
        path: "/fhir/Task/{id}",
        transaction: "task",
        serve: |repository, request| Box::pin(task::read(repository, request)),
    },
    Route {
        method: "GET",
        path: "/fhir/Task",
        transaction: "task",
        serve: |repository, request| Box::pin(task::find(repository, request)),
    },
    Route {
        method: "POST",
        path: "/fhir/Task/_search",
        transaction: "task",
        serve: |repository, request| Box::pin(task::find(repository, request)),
    },
    Route {
        method: "POST",
        path: "/fhir/CommunicationRequest/$send-to-ehr",
        transaction: "ITI-65",
        serve: |repository, request| Box::pin(send_to_ehr::send(repository, request)),
    },
    Route {
        method: "GET",
        path: "/fhir/CommunicationRequest/$tracking",
        transaction: "task",
        serve: |repository, request| Box::pin(send_to_ehr::track(repository, request)),
    },
    Route {
        method: "POST",
        path: "/fhir/CommunicationRequest/$tracking",
        transaction: "task",
        serve: |repository, request| Box::pin(send_to_ehr::track(repository, request)),
    },
    Route {
        method: "GET",
        path: "/fhir/CommunicationRequest/{id}/$tracking",
        transaction: "task",
        serve: |repository, request| Box::pin(send_to_ehr::track(repository, request)),
    },
    Route {
        method: "GET",
        path: "/fhir/OperationDefinition/{id}",
        transaction: "none",
        serve: |_, request| Box::pin(async move { send_to_ehr::definition(request) }),
    },
    Route { method: "POST", path: soap::PATH, transaction: "soap", serve: soap::serve },
    Route { method: "GET", path: soap::PATH, transaction: "none", serve: soap::look },
];

/// What a line of the table is in a CapabilityStatement; none if it is no interaction.
pub(super) fn interaction(method: &str, path: &str) -> Option<Interaction> {
    let (resource, code, documentation) = match (method, path) {
        // Once each, though they answer GET as well.
        ("POST", "/fhir/CapabilityStatement/$implements") => (
            Some("CapabilityStatement"),
            "$implements",
            "Whether this server does what a client's statement requires.",
        ),
        ("POST", "/fhir/CapabilityStatement/$conforms") => {
            (Some("CapabilityStatement"), "$conforms", "What of one statement another one does not offer.")
        }
        ("POST", "/fhir") => (
            None,
            "transaction",
            "Provide Document Bundle [ITI-65]: Minimal, Comprehensive and UnContained by Bundle.meta.profile",
        ),
        ("POST", "/fhir/DocumentReference") => (
            Some("DocumentReference"),
            "create",
            "Simplified Publish [ITI-105]: one document with its bytes in content.attachment.data",
        ),
        ("GET", "/fhir/Binary/{id}") => {
            (Some("Binary"), "read", "The bytes of a document, raw or as a Binary by Accept")
        }
        ("GET", "/fhir/Binary/{id}/_history/{version}") => {
            (Some("Binary"), "vread", "The same: a document has one version")
        }
        ("POST", "/fhir/DocumentReference/$generate-metadata") => (
            Some("DocumentReference"),
            "$generate-metadata",
            "Generate Metadata [ITI-106]: stores a CDA or FHIR document and registers what it says of itself",
        ),
        ("POST", "/fhir/Bundle/$validate") => (
            Some("Bundle"),
            "$validate",
            "What a Bundle of ITI-65 would come to: the same path as providing it, and nothing is stored",
        ),
        ("GET", "/fhir/Task/{id}") => {
            (Some("Task"), "read", "How far a submission is that was sent with Prefer: respond-async")
        }
        ("GET", "/fhir/Task") => (Some("Task"), "search-type", "By GET and by POST to _search"),
        ("POST", "/fhir/CommunicationRequest/$send-to-ehr") => (
            Some("CommunicationRequest"),
            "$send-to-ehr",
            "Sends one document with a few words about it; it becomes a submission of its own",
        ),
        ("GET", "/fhir/CommunicationRequest/$tracking") => (
            Some("CommunicationRequest"),
            "$tracking",
            "What became of a document that was sent so; also CommunicationRequest/[id]/$tracking, and by POST",
        ),
        ("GET", "/fhir/OperationDefinition/{id}") => {
            (Some("OperationDefinition"), "read", "The operations that are this server's own")
        }
        _ => return None,
    };
    let definition = match code {
        "$implements" => Some(IMPLEMENTS),
        "$conforms" => Some(CONFORMS),
        "$send-to-ehr" => Some(send_to_ehr::SEND),
        "$tracking" => Some(send_to_ehr::TRACKING),
        "$validate" => Some("http://hl7.org/fhir/OperationDefinition/Resource-validate"),
        "$generate-metadata" => {
            Some("https://profiles.ihe.net/ITI/MHD/OperationDefinition/generate-metadata")
        }
        _ => None,
    };
    Some(Interaction { resource, code, definition, documentation })
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

/// Characters of the longest `Idempotency-Key`.
const LONGEST_KEY: usize = 255;

/// What the source calls its request, if it says (`Idempotency-Key`).
pub(crate) fn idempotency_key(request: &Request) -> Result<Option<String>, Fault<Findings>> {
    let Some(value) = request.headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if (1..=LONGEST_KEY).contains(&key.len()) {
        return Ok(Some(key.to_owned()));
    }
    let text = format!("Idempotency-Key has 1 to {LONGEST_KEY} characters of ASCII.");
    Err(Fault::Refused(vec![Finding::error(Rule::Value, Place::at("header"), text)]))
}

/// A FHIR instant as a header says it.
pub(crate) fn http_date(instant: &str) -> Option<HeaderValue> {
    let instant: jiff::Timestamp = instant.parse().ok()?;
    HeaderValue::from_str(&super::iti68::last_modified(instant.as_microsecond())?).ok()
}

/// What the caller prefers.
pub(crate) fn preferences(request: &Request) -> Preferences {
    Preferences::read(request.headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok()))
}

/// A JSON answer in the format wanted.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>, format: Format) -> Answer {
    let body: Bytes = body.into();
    let body = if format.pretty { negotiate::pretty(&body).into() } else { body };
    Answer::bytes(status, JSON, body)
}

/// What is answered where no line of the table fits.
pub(crate) fn unrouted(request: &Request, allowed: &[&'static str]) -> Answer {
    let paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    let asked = Asked { method: request.method.as_str(), path: &request.path, base: &request.base, allowed };
    let hint = match request.path.split('/').nth(1) {
        Some("Bundle") => "A transaction is sent to the base itself, not to Bundle.",
        Some("List") => "Lists are sent within a transaction, and found at the registry of this domain.",
        Some("DocumentReference") => "References are found at the registry of this domain.",
        Some("Patient") => "Patients are fed and found at the identity source of this domain.",
        _ => "",
    };
    let told = unrouted::tell(asked, &paths, hint);
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::NOT_FOUND);
    json(status, outcome::of_problem(told.issue, told.code, &told.text, &request.id), Format::default())
}

/// Tells why a submission was refused, and that nothing came of it.
pub(crate) fn refuse_submission(fault: &Fault<Findings>, id: &str, format: Format) -> Answer {
    let Fault::Refused(findings) = fault else { return refuse(fault, id, format) };
    let status = StatusCode::from_u16(outcome::status(findings)).unwrap_or(StatusCode::BAD_REQUEST);
    json(status, outcome::of_refusal(findings, id), format)
}

/// Tells a fault: findings in the framework's words, everything else in the actor's.
pub(crate) fn refuse(fault: &Fault<Findings>, id: &str, format: Format) -> Answer {
    let told = match (fault, fault.told()) {
        (Fault::Refused(findings), _) => {
            let status = StatusCode::from_u16(outcome::status(findings)).unwrap_or(StatusCode::BAD_REQUEST);
            return json(status, outcome::of_findings(findings, id), format);
        }
        (_, Some(told)) => told,
        (_, None) => return json(StatusCode::INTERNAL_SERVER_ERROR, outcome::of_findings(&[], id), format),
    };
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut answer = json(status, outcome::of_problem(told.issue, told.code, &told.text, id), format);
    answer.close = told.close;
    if let Some(seconds) = told.retry_after {
        answer = answer.with(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let Fault::Unauthenticated = fault {
        answer = answer.with(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    answer
}

/// One word for a fault, for metrics and the audit record.
pub(crate) fn reason(fault: &Fault<Findings>) -> String {
    let word = match fault {
        Fault::Refused(findings) => findings.first().map_or("refused", |worst| worst.rule.row().code),
        other => other.told().map_or("refused", |told| told.code),
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
            // An operation is told once, whether it is asked by GET or by POST.
            let methods = ROUTES.iter().filter(|other| other.path == route.path).map(|other| other.method);
            let told = methods.clone().any(|method| interaction(method, route.path).is_some());
            let told = told && (route.path.contains('$') || interaction(route.method, route.path).is_some());
            let is_another_way =
                ["/fhir/Task/_search", "/fhir/CommunicationRequest/{id}/$tracking"].contains(&route.path);
            let expected = route.path != "/fhir/metadata" && !is_another_way;
            assert_eq!(told, expected, "{} {}", route.method, route.path);
        }
    }
}
