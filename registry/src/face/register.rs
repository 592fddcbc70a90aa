//! Register Document Set in FHIR [ITI-42], the feed of patients, and settle: what changes something.

use std::cell::Cell;

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use fhir::iti65::{self, Door};
use fhir::negotiate::{self, Format, Syntax};
use http::{HeaderMap, StatusCode, header};
use serde_json::{Value, json};
use web::{Answer, Limits, Request};
use xds::{EntryUuid, Finding, Findings, Place, Rule};

use super::reconcile::INCARNATION;
use super::refusal;
use crate::feed::{Fed, Feed, Taken};
use crate::register::{Register, Registered, Registration, Said};
use crate::settle::{Attempt, Settle, Settled};
use crate::validate::Validate;

const KEY: &str = "docshare-submission-key";
const ATTEMPT: &str = "docshare-attempt";
const DIGEST: &str = "docshare-digest";
const ASSIGNED: &str = "docshare-assigned";
const SEQUENCE: &str = "docshare-sequence";
const REPLAYED: &str = "idempotency-replayed";

/// Bytes of a settle request: a key and a number.
const MAX_SETTLE_BYTES: u64 = 8 << 10;

/// One request that changes something, with what its answer has to look like.
pub(super) struct Changing<'a> {
    limits: &'a Limits,
    /// Public base of the identity source.
    identity: &'a str,
    /// Which life of this registry this is.
    incarnation: &'a str,
    /// Which codes are accepted.
    domain: &'a affinity::Shelf,
    format: Cell<Format>,
}

impl<'a> Changing<'a> {
    pub(super) fn new(
        limits: &'a Limits,
        identity: &'a str,
        incarnation: &'a str,
        domain: &'a affinity::Shelf,
    ) -> Changing<'a> {
        Changing { limits, identity, incarnation, domain, format: Cell::default() }
    }

    /// Checks what can be checked before the body, then reads it strictly.
    pub(super) async fn body(
        &self,
        request: &mut Request,
        limit: u64,
        key: &'static str,
    ) -> Result<Value, Fault<Findings>> {
        let content_type = header_text(&request.headers, "content-type");
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        self.read(request, syntax, limit, key).await
    }

    /// The same of JSON under a media type of its own, which the caller has checked.
    pub(super) async fn json(
        &self,
        request: &mut Request,
        limit: u64,
        key: &'static str,
    ) -> Result<Value, Fault<Findings>> {
        self.read(request, Syntax::Json, limit, key).await
    }

    async fn read(
        &self,
        request: &mut Request,
        syntax: Syntax,
        limit: u64,
        key: &'static str,
    ) -> Result<Value, Fault<Findings>> {
        let accept = header_text(&request.headers, "accept");
        self.format.set(negotiate::answer(&request.query, accept).map_err(Fault::NotAcceptable)?);
        let body = request.body.whole(limit, key).await?;
        syntax.parse(&body, &fhir::json::Limits::default()).map_err(Fault::Refused)
    }

    /// The resource a request brings.
    pub(super) async fn resource(&self, request: &mut Request) -> Result<Value, Fault<Findings>> {
        self.body(request, self.limits.max_body_bytes, "server.limits.max_body_bytes").await
    }

    /// Public base of the identity source.
    pub(super) fn identity(&self) -> &'a str {
        self.identity
    }

    pub(super) fn pretty(&self) -> bool {
        self.format.get().pretty
    }
}

pub(super) fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Refuses a repository that means another life of this registry: it has to find out first what was lost in between.
pub(super) fn expected(headers: &HeaderMap, incarnation: &str) -> Result<(), Fault<Findings>> {
    match header_text(headers, INCARNATION) {
        Some(expected) if expected != incarnation => Err(Fault::Precondition(format!(
            "this registry has been restored from a backup; it is {incarnation} now, and {INCARNATION} says {expected}"
        ))),
        Some(_) | None => Ok(()),
    }
}

fn wrong(path: &str, text: String) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(Rule::Value, Place::at(path), text)])
}

/// Attempts count from 1, by one each; behind a fence there is always room for another one.
const MOST_ATTEMPTS: u64 = 1_000_000_000;

fn is_attempt(attempt: &u64) -> bool {
    (1..=MOST_ATTEMPTS).contains(attempt)
}

/// Key, attempt and digest: all of them, or none.
fn said(headers: &HeaderMap) -> Result<Option<Said>, Fault<Findings>> {
    let values = [KEY, ATTEMPT, DIGEST].map(|name| header_text(headers, name));
    let [Some(key), Some(attempt), Some(digest)] = values else {
        return if values.iter().all(Option::is_none) {
            Ok(None)
        } else {
            Err(wrong(
                "header",
                format!("{KEY}, {ATTEMPT} and {DIGEST} belong together; at least one is missing"),
            ))
        };
    };
    let attempt = attempt.parse().ok().filter(is_attempt);
    let Some(attempt) = attempt else {
        return Err(wrong("header", format!("{ATTEMPT} must be a whole number from 1 to {MOST_ATTEMPTS}")));
    };
    if digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong("header", format!("{DIGEST} must be 64 hexadecimal digits")));
    }
    let (key, digest) = (key.to_owned(), digest.to_ascii_lowercase());
    Ok(Some(Said { key, attempt: Some(attempt), digest, assigned: assigned(headers)? }))
}

/// Ids the objects had before this registry was restored from a backup; only a repository that coordinates can know them.
fn assigned(headers: &HeaderMap) -> Result<Vec<EntryUuid>, Fault<Findings>> {
    let Some(ids) = header_text(headers, ASSIGNED) else { return Ok(Vec::new()) };
    let ids = ids.split(',').map(|id| EntryUuid::parse(id.trim()));
    ids.collect::<Option<_>>()
        .ok_or_else(|| wrong("header", format!("{ASSIGNED} must be UUIDs with commas in between")))
}

impl Changing<'_> {
    /// Reads a registration: the Bundle, and what the repository says of it.
    async fn registration(&self, request: &mut Request) -> Result<Registration, Fault<Findings>> {
        expected(&request.headers, self.incarnation)?;
        let said = said(&request.headers)?;
        let mut bundle =
            self.body(request, self.limits.max_body_bytes, "server.limits.max_body_bytes").await?;
        let entries = bundle.get("entry").and_then(Value::as_array).map_or(0, Vec::len) as u64;
        if entries > self.limits.max_entries {
            let limit = self.limits.max_entries;
            let text = format!(
                "the Bundle has {entries} entries; at most {limit} are allowed (server.limits.max_entries)"
            );
            return Err(Fault::Refused(vec![Finding::error(
                Rule::TooCostly,
                Place::at("Bundle.entry"),
                text,
            )]));
        }
        iti65::local_subjects(&mut bundle, &[self.identity]);
        let coded = if self.domain.judges() { fhir::coded::of_bundle(&bundle) } else { Vec::new() };
        // What is wrong with the codes is told beside what is wrong with the rest, not after it.
        let provided = iti65::read_request(bundle, &[], Door::Registry).map_err(|mut findings| {
            findings.extend(self.domain.judge(&coded));
            xds::finding::sort(&mut findings);
            Fault::Refused(findings)
        })?;
        Ok(Registration { provided, said, unless: None })
    }
}

/// What validation answers is an outcome, whatever it says: the question was understood.
impl Codec<Validate> for Changing<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Registration, Fault<Findings>> {
        self.registration(request).await
    }

    fn write(&self, findings: Findings, context: &Context) -> Answer {
        let outcome = fhir::outcome::of_findings(&findings, &context.request);
        refusal::json(StatusCode::OK, outcome.into(), self.pretty())
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

impl Codec<Register> for Changing<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Registration, Fault<Findings>> {
        self.registration(request).await
    }

    fn write(&self, response: Registered, _: &Context) -> Answer {
        let answer = refusal::json(StatusCode::OK, response.answer, self.pretty());
        let answer = refusal::with(answer, ATTEMPT, &response.attempt.to_string());
        let answer = refusal::with(answer, SEQUENCE, &response.sequence.to_string());
        if response.replayed { refusal::with(answer, REPLAYED, "true") } else { answer }
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

impl Codec<Feed> for Changing<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Fed, Fault<Findings>> {
        expected(&request.headers, self.incarnation)?;
        let id = request.params.get("id").unwrap_or_default().to_owned();
        let resource =
            self.body(request, self.limits.max_patient_bytes, "server.limits.max_patient_bytes").await?;
        Fed::read(&id, &resource).map_err(Fault::Refused)
    }

    fn write(&self, taken: Taken, _: &Context) -> Answer {
        let status = if taken.created { StatusCode::CREATED } else { StatusCode::OK };
        Answer::empty(status).with(header::ETAG, refusal::etag(taken.version))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

impl Codec<Settle> for Changing<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Attempt, Fault<Findings>> {
        expected(&request.headers, self.incarnation)?;
        let body = self.body(request, MAX_SETTLE_BYTES, "settle").await?;
        let asked: Attempt = serde_json::from_value(body)
            .map_err(|error| wrong("settle", format!("key and attempt are expected: {error}")))?;
        if is_attempt(&asked.attempt) {
            Ok(asked)
        } else {
            Err(wrong("settle", format!("attempt must be a whole number from 1 to {MOST_ATTEMPTS}")))
        }
    }

    fn write(&self, settled: Settled, _: &Context) -> Answer {
        let body = match settled {
            Settled::Absent { fence } => json!({ "committed": false, "fence": fence }),
            Settled::Committed { attempt, digest, urls, answer, sequence } => {
                let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
                let entries = answer.get("entry").cloned().unwrap_or_else(|| json!([]));
                json!({
                    "committed": true, "attempt": attempt, "digest": digest, "sequence": sequence,
                    "documents": urls, "entries": entries,
                })
            }
        };
        Answer::bytes(StatusCode::OK, "application/json", Bytes::from(body.to_string()))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}
