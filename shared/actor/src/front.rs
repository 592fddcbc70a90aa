//! The front of an actor: finds the line of its table, and sees to it that every request is counted and told in one line.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use futures_util::FutureExt;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, StatusCode};
use parking_lot::RwLock;
use web::{Answer, AnswerBody, Found, Params, Refusal, Request, Router};

use crate::fault::Fault;
use crate::meter::{self, Times};
use crate::run::Actor;

pub(crate) struct Front<A: Actor> {
    actor: Arc<A>,
    router: Router,
    in_flight: Arc<AtomicU64>,
    series: RwLock<Vec<Series>>,
}

/// The numbers of one kind of request.
#[derive(Clone)]
struct Series {
    transaction: &'static str,
    method: &'static str,
    status: u16,
    requests: Arc<AtomicU64>,
    times: Arc<Times>,
}

impl<A: Actor> Front<A> {
    pub(crate) fn new(actor: Arc<A>) -> Result<Front<A>, String> {
        let router = Router::new(A::routes().iter().map(|route| (route.method, route.path)))?;
        let in_flight = meter::number("docshare_http_requests_in_flight", &[("actor", A::NAME)]);
        Ok(Front { actor, router, in_flight, series: RwLock::new(Vec::new()) })
    }

    async fn route(&self, request: &mut Request) -> (&'static str, &'static str, Answer) {
        // Many clients escape the dollar sign of an operation, which separates nothing in a path.
        if request.path.contains("%24") {
            request.path = request.path.replace("%24", "$");
        }
        let found = self.router.find(request.method.as_str(), &request.path);
        let found = match found {
            Found::Line(_, params) if is_fhir(&request.path) && !are_ids(&params) => Found::Nothing,
            found => found,
        };
        request.path = web::below_base(std::mem::take(&mut request.path));
        match found {
            Found::Line(number, params) => {
                let route = &A::routes()[number];
                request.params = params;
                // A handler that panics is our defect; its caller is told so, and nobody else notices.
                let served = AssertUnwindSafe((route.serve)(&self.actor, request)).catch_unwind().await;
                let answer = served.unwrap_or_else(|_| {
                    tracing::error!(request_id = %request.id, route = route.path, "a handler panicked");
                    let told = Fault::<()>::Internal(String::new()).told();
                    told.map_or_else(
                        || Answer::empty(StatusCode::INTERNAL_SERVER_ERROR),
                        |told| {
                            outcome(
                                StatusCode::INTERNAL_SERVER_ERROR,
                                told.issue,
                                told.code,
                                &told.text,
                                &request.id,
                            )
                        },
                    )
                });
                (request.transaction.unwrap_or(route.transaction), route.path, answer)
            }
            Found::OtherMethods(allowed) if request.method == Method::OPTIONS => {
                let answer = Answer::empty(StatusCode::NO_CONTENT);
                ("none", "none", with_allow(answer, &allowed))
            }
            Found::OtherMethods(allowed) => {
                let answer = self.actor.unrouted(request, &allowed);
                ("none", "none", with_allow(answer, &allowed))
            }
            Found::Nothing => ("none", "none", self.actor.unrouted(request, &[])),
        }
    }

    fn record(&self, transaction: &'static str, method: &'static str, status: u16, started: Instant) {
        let fits = |s: &Series| s.status == status && s.transaction == transaction && s.method == method;
        let known = self.series.read().iter().find(|series| fits(series)).cloned();
        let series = known.unwrap_or_else(|| self.new_series(transaction, method, status));
        series.requests.fetch_add(1, Ordering::Relaxed);
        series.times.record(started.elapsed());
    }

    fn new_series(&self, transaction: &'static str, method: &'static str, status: u16) -> Series {
        let text = status.to_string();
        let labels =
            [("actor", A::NAME), ("transaction", transaction), ("method", method), ("status", text.as_str())];
        let series = Series {
            transaction,
            method,
            status,
            requests: meter::number("docshare_http_requests_total", &labels),
            times: meter::times("docshare_http_request_duration_seconds", &labels),
        };
        self.series.write().push(series.clone());
        series
    }
}

/// Counts a request as under way until it is dropped, however it ends.
struct UnderWay<'a>(&'a AtomicU64);

impl<'a> UnderWay<'a> {
    fn new(number: &'a AtomicU64) -> UnderWay<'a> {
        number.fetch_add(1, Ordering::Relaxed);
        UnderWay(number)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<A: Actor> web::Service for Front<A> {
    async fn answer(&self, request: &mut Request) -> Answer {
        let started = Instant::now();
        let _under_way = UnderWay::new(&self.in_flight);
        #[cfg(not(feature = "failpoints"))]
        let (transaction, route, answer) = self.route(request).await;
        #[cfg(feature = "failpoints")]
        let (transaction, route, answer) = {
            let ((transaction, route, answer), wanted) = store::point::with_caller(self.route(request)).await;
            (transaction, route, crate::points::instead(answer, wanted))
        };
        let answer = dressed::<A>(request, answer);
        let method = method_label(&request.method);
        let status = answer.status.as_u16();
        self.record(transaction, method, status, started);
        tracing::info!(
            target: "access",
            actor = A::NAME,
            request_id = %request.id,
            trace_id = request.trace.get(3..35).unwrap_or_default(),
            transaction,
            method,
            route,
            status,
            duration_ms = started.elapsed().as_micros() as f64 / 1e3,
            bytes_out = length(&answer),
            "answered"
        );
        answer
    }

    fn refused(&self, refusal: &Refusal, request_id: &str) -> Answer {
        let status = refusal.status();
        self.record("none", "none", status.as_u16(), Instant::now());
        tracing::info!(target: "access", actor = A::NAME, request_id, status = status.as_u16(), "refused");
        let (issue, code, text) = refusal.told();
        // Nothing of such a request can be trusted to say which format the caller wants.
        outcome(status, issue, code, &text, request_id)
    }
}

/// A minimal OperationOutcome, for what happens where no face can be asked to write one.
pub(crate) fn outcome(status: StatusCode, issue: &str, code: &str, text: &str, request_id: &str) -> Answer {
    let outcome = serde_json::json!({
        "resourceType": "OperationOutcome",
        "id": request_id,
        "issue": [{
            "severity": "error",
            "code": issue,
            "details": {"coding": [{"system": crate::errors().unwrap_or(crate::ERRORS), "code": code}], "text": text},
            "diagnostics": text,
        }],
    });
    Answer::bytes(status, "application/fhir+json; charset=utf-8", outcome.to_string())
}

fn is_fhir(path: &str) -> bool {
    path.strip_prefix("/fhir").is_some_and(|rest| rest.starts_with('/'))
}

/// Whether what stands for ids and versions in a path can be such (R4 id): an operation an actor does not have, or rubbish,
/// reaches no handler.
fn are_ids(params: &Params) -> bool {
    let sound = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
    };
    params.0.iter().all(|(name, value)| !matches!(name.as_str(), "id" | "version") || sound(value))
}

/// An answer in the form its request wants. Only what a face has written as FHIR in JSON is touched. A document never is, FHIR
/// or not: it says its digest, and goes out byte for byte.
fn dressed<A: Actor>(request: &Request, mut answer: Answer) -> Answer {
    if answer.headers.iter().any(|(name, _)| name.as_str() == "repr-digest") {
        return answer;
    }
    let json = |(name, value): &&mut (HeaderName, HeaderValue)| {
        *name == CONTENT_TYPE && value.as_bytes().starts_with(b"application/fhir+json")
    };
    let Some((_, content_type)) = answer.headers.iter_mut().find(json) else { return answer };
    let dressed = match &answer.body {
        AnswerBody::Bytes(bytes) => A::dress(request, std::slice::from_ref(bytes)),
        AnswerBody::Parts(parts) => A::dress(request, parts),
        AnswerBody::Empty | AnswerBody::Stream { .. } => None,
    };
    if let Some((wanted, body)) = dressed {
        *content_type = HeaderValue::from_static(wanted);
        answer.body = AnswerBody::Bytes(body.into());
    }
    answer
}

fn with_allow(mut answer: Answer, allowed: &[&'static str]) -> Answer {
    let given = answer.headers.iter().any(|(name, _)| *name == ALLOW);
    if let (false, Ok(value)) = (given, HeaderValue::try_from(allowed.join(", "))) {
        answer.headers.push((ALLOW, value));
    }
    answer
}

/// Methods as labels: a closed set, whatever callers send.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn length(answer: &Answer) -> u64 {
    match &answer.body {
        AnswerBody::Empty => 0,
        AnswerBody::Bytes(bytes) => bytes.len() as u64,
        AnswerBody::Parts(parts) => parts.iter().map(|part| part.len() as u64).sum(),
        AnswerBody::Stream { length, .. } => *length,
    }
}
