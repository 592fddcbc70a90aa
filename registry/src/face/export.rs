//! `$export` over HTTP: kick-off, progress, manifest, files (FHIR Bulk Data Access 2.0).

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use fhir::negotiate;
use futures_util::StreamExt as _;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use store::Instant;
use web::range::Selection;
use web::{Answer, AnswerBody, Request};
use xds::{Finding, Findings, Place, Rule};

use super::refusal;
use super::register::Changing;
use super::time::{http_date, instant_text};
use crate::export::{
    Cancel, Exports, Fetch, Fetched, Look, Looked, Of, Order, Start, Started, Wanted, read_filter,
};
use crate::records::{ExportRecord, Holds, Ordered, Type, Whose};

/// Searches of one order: every patient is asked each of them.
const MOST_FILTERS: usize = 16;

/// Sentences about what is wrong, or not done, in one order.
const MOST_SENTENCES: usize = 100;

const NDJSON: &str = "application/fhir+ndjson";

/// Names of the format that is written.
const FORMATS: [&str; 3] = [NDJSON, "application/ndjson", "ndjson"];

/// The one thing that is taken from the path.
#[derive(Clone, Copy)]
pub(super) enum Level {
    /// `[base]/$export`.
    System,
    /// `[base]/Patient/$export`.
    Patients,
    /// `[base]/Patient/{id}/$export`.
    Patient,
    /// `[base]/Group/{id}/$export`.
    Group,
}

/// A kick-off.
pub(super) struct Ordering<'a> {
    pub(super) changing: Changing<'a>,
    pub(super) exports: &'a Exports,
    pub(super) level: Level,
    /// Bytes of a body of parameters.
    pub(super) max_bytes: u64,
    /// Whether `Prefer: respond-async` was said.
    pub(super) preferred: std::cell::Cell<bool>,
}

/// What was asked, parameter by parameter.
#[derive(Default)]
struct Asked {
    parameters: Vec<(String, String)>,
    patients: Vec<String>,
}

impl Ordering<'_> {
    async fn asked(&self, request: &mut Request) -> Result<Asked, Fault<Findings>> {
        let pairs = url_pairs(&request.query);
        let mut asked = Asked { parameters: pairs, patients: Vec::new() };
        if request.method != Method::POST {
            return Ok(asked);
        }
        let body = self.changing.body(request, self.max_bytes, "server.limits.max_body_bytes").await?;
        if body.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
            let text = "a Parameters resource is expected here, as FHIR R4 operations take it";
            return Err(refused(Rule::Structure, "resourceType", text));
        }
        let given = body.get("parameter").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut findings = Findings::new();
        for (index, parameter) in given.iter().enumerate() {
            let at = format!("Parameters.parameter[{index}]");
            let Some(name) = parameter.get("name").and_then(Value::as_str) else {
                findings.push(Finding::error(Rule::Required, Place::at(at), "a parameter needs a name"));
                continue;
            };
            if name == "patient" {
                match reference_of(&parameter["valueReference"]) {
                    Some(reference) => asked.patients.push(reference),
                    None => findings.push(Finding::error(
                        Rule::Required,
                        Place::at(format!("{at}.valueReference")),
                        "patient is a valueReference with reference or identifier",
                    )),
                }
                continue;
            }
            let value = parameter.as_object().into_iter().flatten().find(|(key, _)| key.starts_with("value"));
            match value.and_then(|(_, value)| value.as_str().map(str::to_owned).or_else(|| plain(value))) {
                Some(value) => asked.parameters.push((name.to_owned(), value)),
                None => findings.push(Finding::error(
                    Rule::Value,
                    Place::at(at),
                    format!("{name} takes a value[x] of a primitive type"),
                )),
            }
        }
        if findings.is_empty() { Ok(asked) } else { Err(Fault::Refused(findings)) }
    }

    fn order(&self, asked: Asked, request: &Request, base: &str) -> Result<Order, Fault<Findings>> {
        let prefer = request.headers.get("prefer").and_then(|value| value.to_str().ok()).unwrap_or_default();
        self.preferred.set(says(prefer, "respond-async"));
        let mut reading = Reading {
            strict: says(prefer, "handling=strict"),
            own: [self.exports.identity.as_str(), base],
            zone: &self.exports.zone,
            searches: 0,
            findings: Findings::new(),
            ordered: Ordered {
                request: request_url(request, base),
                base: base.to_owned(),
                of: Whose::Everybody,
                types: Vec::new(),
                since: None,
                until: None,
                filters: Vec::new(),
                reservations: Vec::new(),
            },
        };
        for (name, value) in &asked.parameters {
            reading.take(name, value);
        }
        let id = request.params.get("id").unwrap_or_default().to_owned();
        let of = match (self.level, asked.patients.is_empty()) {
            (Level::System, true) | (Level::Patients, true) => Of::Everybody,
            (Level::Patients, false) => Of::Patients(asked.patients),
            (Level::Group, true) => Of::Group(id),
            (Level::Group, false) => Of::GroupPatients(id, asked.patients),
            (Level::Patient, true) => Of::Patient(id),
            (Level::System | Level::Patient, false) => {
                let text = "patient is a parameter of Patient/$export and Group/[id]/$export";
                reading.doubt("patient", text.to_owned());
                match self.level {
                    Level::Patient => Of::Patient(id),
                    _ => Of::Everybody,
                }
            }
        };
        let ordered = reading.done()?;
        Ok(Order { ordered, of })
    }
}

struct Reading<'a> {
    strict: bool,
    own: [&'a str; 2],
    zone: &'a jiff::tz::TimeZone,
    /// Searches of `_typeFilter` that were read.
    searches: usize,
    findings: Findings,
    ordered: Ordered,
}

impl Reading<'_> {
    fn take(&mut self, name: &str, value: &str) {
        match name {
            "_outputFormat" => {
                // An unescaped plus sign arrives as a space.
                let format = value.replace(' ', "+");
                if !FORMATS.iter().any(|known| known.eq_ignore_ascii_case(&format)) {
                    let text = format!("_outputFormat is {value}; accepted are {}", FORMATS.join(", "));
                    self.wrong(Rule::NotSupported, name, text);
                }
            }
            "_type" => {
                for kind in value.split(',').map(str::trim).filter(|kind| !kind.is_empty()) {
                    self.kind(kind);
                }
            }
            "_since" => self.ordered.since = self.instant(name, value),
            "_until" => self.ordered.until = self.instant(name, value),
            "_typeFilter" => {
                for one in filters(value) {
                    self.filter(&one);
                }
            }
            "_format" | "_pretty" => {}
            other => self.doubt(
                other,
                format!(
                    "the parameter {other} is not supported and was ignored; supported are _outputFormat, _type, _since, _until, _typeFilter and, by POST, patient"
                ),
            ),
        }
    }

    fn kind(&mut self, name: &str) {
        match Type::named(name) {
            Some(kind) if self.ordered.types.contains(&kind) => {}
            Some(kind) => self.ordered.types.push(kind),
            None => {
                let text = format!(
                    "_type {name} cannot be exported here; accepted are Patient, DocumentReference and List"
                );
                self.doubt("_type", text);
            }
        }
    }

    fn instant(&mut self, name: &str, value: &str) -> Option<Instant> {
        // A zone's plus sign, unescaped, arrives as a space.
        let read = fhir::when::timestamp(&value.replace(' ', "+"));
        if read.is_none() || !value.contains('T') {
            let text = format!("{name} is {value}; accepted is a FHIR instant, e.g. 2026-11-20T00:00:00Z");
            self.wrong(Rule::Value, name, text);
            return None;
        }
        read.map(|time| time.from)
    }

    fn filter(&mut self, text: &str) {
        self.searches += 1;
        if self.searches > MOST_FILTERS {
            if self.searches == MOST_FILTERS + 1 {
                let text = format!(
                    "_typeFilter holds more than {MOST_FILTERS} searches; say several values with commas within one search, or order several exports"
                );
                self.findings.push(Finding::error(Rule::SearchTooCostly, Place::at("_typeFilter"), text));
            }
            return;
        }
        let (kind, query) = text.split_once('?').unwrap_or((text, ""));
        let Some(of) = Type::named(kind) else {
            return self
                .doubt("_typeFilter", format!("_typeFilter is for {kind}, which is not exported here"));
        };
        match read_filter(of, query, &self.own, self.zone) {
            Ok(_) => self.ordered.filters.push((of, query.to_owned())),
            Err(findings) => self.findings.extend(findings.into_iter().map(|finding| {
                let text = format!("_typeFilter {kind}: {}", finding.text);
                Finding { at: Place::at("_typeFilter"), text, ..finding }
            })),
        }
    }

    fn wrong(&mut self, rule: Rule, at: &str, text: String) {
        if self.findings.len() < MOST_SENTENCES {
            self.findings.push(Finding::error(rule, Place::at(at), text));
        }
    }

    /// Something that is left out, unless the caller wants all or nothing.
    fn doubt(&mut self, at: &str, text: String) {
        if self.strict {
            self.wrong(Rule::UnknownParameter, at, text);
        } else if self.ordered.reservations.len() < MOST_SENTENCES {
            self.ordered.reservations.push(text);
        }
    }

    fn done(mut self) -> Result<Ordered, Fault<Findings>> {
        if self.ordered.types.is_empty() {
            let named = self.ordered.reservations.iter().any(|text| text.starts_with("_type "));
            if named {
                let text = "none of the types asked for can be exported here; accepted are Patient, DocumentReference and List";
                self.wrong(Rule::NotSupported, "_type", text.to_owned());
            }
            self.ordered.types = Type::ALL.to_vec();
        }
        if self.findings.is_empty() { Ok(self.ordered) } else { Err(Fault::Refused(self.findings)) }
    }
}

/// The searches of one `_typeFilter`: commas part them where a type follows.
fn filters(value: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in value.split(',') {
        let begins =
            part.split_once('?').is_some_and(|(kind, _)| kind.bytes().all(|b| b.is_ascii_alphabetic()));
        match all.last_mut() {
            Some(last) if !begins => {
                last.push(',');
                last.push_str(part);
            }
            _ => all.push(part.to_owned()),
        }
    }
    all.retain(|one| !one.is_empty());
    all
}

fn reference_of(value: &Value) -> Option<String> {
    if let Some(reference) = value.get("reference").and_then(Value::as_str) {
        return Some(reference.to_owned());
    }
    let identifier = value.get("identifier")?;
    let code = identifier.get("value").and_then(Value::as_str)?;
    let system = identifier.get("system").and_then(Value::as_str).unwrap_or_default();
    Some(format!("Patient?identifier={system}|{code}"))
}

fn plain(value: &Value) -> Option<String> {
    matches!(value, Value::Bool(_) | Value::Number(_)).then(|| value.to_string())
}

fn refused(rule: Rule, at: &str, text: &str) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, Place::at(at), text)])
}

fn says(prefer: &str, preference: &str) -> bool {
    prefer.split([',', ';']).any(|one| one.replace([' ', '"'], "").eq_ignore_ascii_case(preference))
}

fn url_pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (decoded(name), decoded(value)))
        .collect()
}

/// The request as it was made, as the manifest repeats it.
fn request_url(request: &Request, base: &str) -> String {
    let path = request.path.as_str();
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    format!("{base}{path}{query}")
}

impl Codec<Start> for Ordering<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Order, Fault<Findings>> {
        let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let ndjson = accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("ndjson"));
        if !ndjson {
            negotiate::answer(&request.query, accept).map_err(Fault::NotAcceptable)?;
        }
        let asked = self.asked(request).await?;
        self.order(asked, request, &context.base)
    }

    fn write(&self, started: Started, context: &Context) -> Answer {
        match started {
            Started::TooMany(after) => {
                let text = "As many exports as this registry makes at once are under way (export.max_jobs). Nothing was begun; come again later, or cancel one.";
                throttled(text, after.as_secs(), &context.request)
            }
            Started::Accepted(id) => {
                let url = format!("{}/export/{id}", context.base);
                let text = format!("The export is under way; ask at {url} how far it is.");
                let outcome = json!({
                    "resourceType": "OperationOutcome",
                    "id": context.request,
                    "issue": [{
                        "severity": "information", "code": "informational",
                        "details": { "text": text }, "diagnostics": text,
                    }],
                });
                let answer = refusal::json(StatusCode::ACCEPTED, Bytes::from(outcome.to_string()), false)
                    .with(header::CONTENT_LOCATION, refusal::text(&url));
                if self.preferred.get() {
                    refusal::with(answer, "preference-applied", "respond-async")
                } else {
                    answer
                }
            }
        }
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

fn throttled(text: &str, after: u64, request: &str) -> Answer {
    refusal::problem(429, fhir::outcome::of_problem("throttled", "too-many-requests", text, request))
        .with(header::RETRY_AFTER, HeaderValue::from(after.max(1)))
}

/// What is asked about an export that was ordered.
pub(super) struct Following;

fn job(request: &Request) -> String {
    request.params.get("id").unwrap_or_default().to_owned()
}

impl Codec<Look> for Following {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<String, Fault<Findings>> {
        Ok(job(request))
    }

    fn write(&self, looked: Looked, context: &Context) -> Answer {
        match looked {
            Looked::TooFast => {
                throttled("The export is asked about too often; it goes on.", 1, &context.request)
            }
            Looked::Running { resources, files, seconds } => {
                let pause = match seconds {
                    0..10 => 1,
                    10..60 => 5,
                    _ => 15,
                };
                let progress = format!("{resources} resources, {files} files so far");
                let answer =
                    Answer::empty(StatusCode::ACCEPTED).with(header::RETRY_AFTER, HeaderValue::from(pause));
                refusal::with(answer, "x-progress", &progress)
            }
            Looked::Failed(why) => refusal::problem(
                500,
                fhir::outcome::of_problem("exception", "export-failed", &why, &context.request),
            ),
            Looked::Done { record, id, expires } => {
                let manifest = manifest(&record, &id, &context.base).to_string();
                Answer::bytes(StatusCode::OK, "application/json", manifest)
                    .with(header::EXPIRES, refusal::text(&http_date(expires)))
            }
        }
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

fn manifest(record: &ExportRecord, id: &str, base: &str) -> Value {
    let (mut output, mut deleted, mut error) = (Vec::new(), Vec::new(), Vec::new());
    for (index, file) in record.files.iter().enumerate() {
        let url = format!("{base}/export/{id}/{}.ndjson", index + 1);
        let (list, kind) = match file.holds {
            Holds::Resources(kind) => (&mut output, kind.name()),
            Holds::Removals => (&mut deleted, "Bundle"),
            Holds::Outcomes => (&mut error, "OperationOutcome"),
        };
        list.push(json!({ "type": kind, "url": url, "count": file.count }));
    }
    json!({
        "transactionTime": instant_text(record.started),
        "request": record.order.request,
        "requiresAccessToken": false,
        "output": output,
        "deleted": deleted,
        "error": error,
    })
}

impl Codec<Cancel> for Following {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<String, Fault<Findings>> {
        Ok(job(request))
    }

    fn write(&self, (): (), _: &Context) -> Answer {
        Answer::empty(StatusCode::ACCEPTED)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

impl Codec<Fetch> for Following {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Wanted, Fault<Findings>> {
        let text = |name: HeaderName| {
            request.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        Ok(Wanted {
            id: job(request),
            file: request.params.get("file").unwrap_or_default().to_owned(),
            range: text(header::RANGE),
            if_range: text(header::IF_RANGE),
            none_match: text(header::IF_NONE_MATCH),
            head: request.method == Method::HEAD,
        })
    }

    fn write(&self, fetched: Fetched, _: &Context) -> Answer {
        let Fetched { blob, etag, selection, chunks, expires } = fetched;
        let size = blob.size;
        let (status, length) = match &selection {
            None => (StatusCode::NOT_MODIFIED, 0),
            Some(Selection::Whole) => (StatusCode::OK, size),
            Some(Selection::Part(part)) => (StatusCode::PARTIAL_CONTENT, part.end - part.start),
            Some(Selection::Beyond) => (StatusCode::RANGE_NOT_SATISFIABLE, 0),
        };
        let mut answer = Answer::empty(status)
            .with(header::ETAG, refusal::text(&etag))
            .with(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"))
            .with(header::EXPIRES, refusal::text(&http_date(expires)));
        if let Some(range) = selection.as_ref().and_then(|selection| selection.content_range(size)) {
            answer = answer.with(header::CONTENT_RANGE, refusal::text(&range));
        }
        if length == 0 && status != StatusCode::OK {
            return answer;
        }
        let answer = answer.with(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
        let stream = match chunks {
            Some(chunks) => chunks
                .map(move |chunk| {
                    chunk.map_err(|error| {
                        tracing::error!(%error, document = blob.id, "a file of an export is damaged");
                        web::Error::Source("the stored bytes are damaged".to_owned())
                    })
                })
                .boxed_local(),
            None => futures_util::stream::empty().boxed_local(),
        };
        answer.body(AnswerBody::Stream { length, stream })
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_are_parted_where_a_type_follows_a_comma() {
        let both = "DocumentReference?status=current,superseded,List?code=folder";
        assert_eq!(filters(both), ["DocumentReference?status=current,superseded", "List?code=folder"]);
        assert_eq!(filters(""), Vec::<String>::new());
    }
}
