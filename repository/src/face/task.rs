//! Tasks on the wire: a submission that answers at once and is made later, and what became of it.

use std::cell::{Cell, RefCell};

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use fhir::bundle::{self, Match, SearchSet};
use fhir::negotiate::{self, Format};
use fhir::page::{PageToken, Sealer};
use fhir::prefer::Preferences;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use store::{AnyOf, Cursor, Page, Row, Span, Test};
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule};

use crate::Repository;
use crate::face::fhir as face;
use crate::records::{Kept, Records, TaskQuestion, TaskRecord, TaskStatus, task_term};
use crate::tasks::{FindTasks, Known, ReadTask, TakeIn, Taken, TaskSearch};

/// Headers of a submission that say what its body is, or what it is called.
const HEADERS: [&str; 2] = ["content-type", "idempotency-key"];

/// Tasks of a page, if the caller says nothing.
const COUNT: usize = 50;

/// Bytes of a search form.
const FORM: &str = "server.limits.max_form_bytes";

/// Whether a submission is to be made later.
pub(super) fn is_wanted(request: &Request) -> bool {
    let lines = request.headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
    Preferences::read(lines).respond_async
}

/// Takes a submission in that was sent to this endpoint, to be made later.
pub(super) async fn take(repository: &Repository, request: &mut Request, path: &'static str) -> Answer {
    let codec = Taking { repository, path, format: face::format(request) };
    repository.house.corridor.walk(&TakeIn(repository.tasks.clone()), &codec, request).await
}

struct Taking<'a> {
    repository: &'a Repository,
    path: &'static str,
    format: Result<Format, String>,
}

impl Codec<TakeIn> for Taking<'_> {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Taken, Fault<Findings>> {
        if let Err(why) = &self.format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        let content_type = face::text(request, header::CONTENT_TYPE);
        // Read when it is made; which syntax it has, its Content-Type says again then.
        let _ = negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
        let limits = &self.repository.house.limits;
        let limit = limits.max_submission_bytes;
        // Base64 makes four bytes of three, and its lines may be broken.
        let most = limit / 3 * 4 + limit / 16 + limits.max_body_bytes;
        let too_large = || Fault::TooLarge { limit, key: "server.limits.max_submission_bytes" };
        if request.body.declared().is_some_and(|declared| declared > most) {
            return Err(too_large());
        }
        let mut sink = self.repository.tasks.records.store.stage_apart(most);
        let mut empty = true;
        while let Some(chunk) = request.body.next().await.transpose()? {
            empty &= chunk.is_empty();
            match sink.write(&chunk).await {
                Err(store::Error::TooLarge { .. }) => return Err(too_large()),
                other => other?,
            }
        }
        if empty {
            return Err(refused(Rule::Structure, "Bundle", "the request has no body"));
        }
        face::idempotency_key(request)?;
        let body = sink.finish().await?;
        let fingerprint = body.sha256();
        Ok(Taken { request: kept(request, context, self.path), body, fingerprint })
    }

    fn write(&self, (id, task, version): Known, context: &Context) -> Answer {
        let format = self.format.clone().unwrap_or_default();
        let updated = task.ended.or(task.begun).unwrap_or(task.received);
        let resource = resource(&id, version, updated, &task).to_string();
        accepted(resource, &id, format, context)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// What is kept of a request beside its body.
pub(super) fn kept(request: &Request, context: &Context, path: &str) -> Kept {
    let headers = HEADERS.iter().filter_map(|name| {
        let value = request.headers.get(*name)?.to_str().ok()?;
        Some(((*name).to_owned(), value.to_owned()))
    });
    Kept {
        path: path.to_owned(),
        headers: headers.collect(),
        peer: request.peer.to_string(),
        caller: String::new(),
        id: context.request.clone(),
        trace: context.trace.clone(),
        base: context.base.clone(),
        body: None,
    }
}

/// The answer to what was taken in.
pub(super) fn accepted(body: impl Into<Bytes>, id: &str, format: Format, context: &Context) -> Answer {
    let url = format!("{}/Task/{id}", context.base);
    let mut answer = face::json(StatusCode::ACCEPTED, body, format)
        .with(header::RETRY_AFTER, HeaderValue::from_static("1"))
        .with(HeaderName::from_static("preference-applied"), HeaderValue::from_static("respond-async"));
    if let Ok(url) = HeaderValue::from_str(&url) {
        answer = answer.with(header::CONTENT_LOCATION, url.clone()).with(header::LOCATION, url);
    }
    answer
}

fn refused(rule: Rule, at: &str, text: impl Into<String>) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(rule, Place::at(at), text.into())])
}

/// A Task as it is given out.
pub(super) fn resource(id: &str, version: u64, updated: i64, task: &TaskRecord) -> Value {
    const URI: &str = "urn:ietf:rfc:3986";
    let instant = fhir::when::instant;
    let mut resource = json!({
        "resourceType": "Task",
        "id": id,
        "meta": { "versionId": version.to_string(), "lastUpdated": instant(updated) },
    });
    let answer: Option<Value> = task.answer.as_ref().and_then(|raw| serde_json::from_str(raw.get()).ok());
    let (mut contained, mut output) = (Vec::new(), Vec::new());
    if let Some(answer) = answer {
        outputs(answer, &mut contained, &mut output);
    }
    if !contained.is_empty() {
        resource["contained"] = Value::Array(contained);
    }
    resource["identifier"] = json!([{ "system": URI, "value": format!("urn:uuid:{id}") }]);
    if let Some(key) = &task.submission {
        resource["groupIdentifier"] = json!({ "system": URI, "value": key });
    }
    resource["status"] = json!(task.state.word());
    if let Some(why) = &task.why {
        resource["statusReason"] = json!({ "text": why });
    }
    resource["intent"] = json!("order");
    resource["code"] = json!({ "text": "Provide documents" });
    if let Some(patient) = &task.patient {
        resource["for"] = json!({ "reference": patient });
    }
    let mut period = json!({});
    if let Some(begun) = task.begun {
        period["start"] = json!(instant(begun));
    }
    if let Some(ended) = task.ended {
        period["end"] = json!(instant(ended));
    }
    if period.as_object().is_some_and(|period| !period.is_empty()) {
        resource["executionPeriod"] = period;
    }
    resource["authoredOn"] = json!(instant(task.received));
    resource["lastModified"] = json!(instant(updated));
    resource["requester"] = json!({ "display": task.request.caller });
    if !output.is_empty() {
        resource["output"] = Value::Array(output);
    }
    resource
}

/// What an answer comes to: contained, where it can be, and referred to.
fn outputs(mut answer: Value, contained: &mut Vec<Value>, output: &mut Vec<Value>) {
    let mut put = |what: &str, reference: &str| {
        output.push(json!({ "type": { "text": what }, "valueReference": { "reference": reference } }));
    };
    match answer["resourceType"].as_str() {
        Some("OperationOutcome") => {
            answer["id"] = json!("outcome");
            put("OperationOutcome", "#outcome");
            contained.push(answer);
        }
        Some("Bundle") => {
            for entry in answer["entry"].as_array().map_or(&[][..], Vec::as_slice) {
                let Some(location) = entry.pointer("/response/location").and_then(Value::as_str) else {
                    continue;
                };
                let plain = location.split("/_history").next().unwrap_or(location);
                let kind = ["DocumentReference", "List"].into_iter().find(|kind| {
                    plain.starts_with(&format!("{kind}/")) || plain.contains(&format!("/{kind}/"))
                });
                if let Some(kind) = kind {
                    put(kind, plain);
                }
            }
            answer["id"] = json!("response");
            put("Bundle", "#response");
            contained.push(answer);
        }
        Some(kind) => {
            if let Some(id) = answer["id"].as_str() {
                put(kind, &format!("{kind}/{id}"));
            }
        }
        None => {}
    }
}

/// Reads one task.
pub(crate) async fn read(repository: &Repository, request: &mut Request) -> Answer {
    let codec =
        Reading { format: face::format(request), none_match: face::text(request, header::IF_NONE_MATCH) };
    repository.house.corridor.walk(&ReadTask(repository.tasks.clone()), &codec, request).await
}

struct Reading {
    format: Result<Format, String>,
    none_match: Option<String>,
}

impl Codec<ReadTask> for Reading {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<String, Fault<Findings>> {
        if let Err(why) = &self.format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        Ok(request.params.get("id").unwrap_or_default().to_owned())
    }

    fn write(&self, (row, task): (Row, TaskRecord), _: &Context) -> Answer {
        let tag = format!("W/\"{}\"", row.version);
        let known = self.none_match.as_deref().is_some_and(|tags| web::range::names_tag(tags, &tag, true));
        let answer = if known {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            let resource = resource(&row.id, row.version, row.instant, &task).to_string();
            face::json(StatusCode::OK, resource, self.format.clone().unwrap_or_default())
        };
        let mut answer = match HeaderValue::from_str(&tag) {
            Ok(tag) => answer.with(header::ETAG, tag),
            Err(_) => answer,
        };
        if let Some(Ok(modified)) =
            super::iti68::last_modified(row.instant).map(|date| HeaderValue::from_str(&date))
        {
            answer = answer.with(header::LAST_MODIFIED, modified);
        }
        if task.ended.is_none() {
            answer = answer.with(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        answer
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}

/// Search parameters of Task: name, type, one line.
pub(crate) const PARAMETERS: &[(&str, &str, &str)] = &[
    ("_id", "token", "Id of the task."),
    ("_lastUpdated", "date", "When the task last changed."),
    ("status", "token", "received, in-progress, completed or failed."),
    ("patient", "reference", "The patient of the submission, once that is known."),
    ("identifier", "token", "urn:uuid of the task, or the unique id of its submission set."),
    ("group-identifier", "token", "The unique id of the submission set."),
    ("requester", "string", "Name of the caller that submitted."),
];

/// Searches tasks.
pub(crate) async fn find(repository: &Repository, request: &mut Request) -> Answer {
    let codec = Searching {
        repository,
        format: face::format(request),
        asked: RefCell::default(),
        now: Cell::new(0),
        sealer: Sealer::new(repository.house.secret),
    };
    repository.house.corridor.walk(&FindTasks(repository.tasks.clone()), &codec, request).await
}

struct Searching<'a> {
    repository: &'a Repository,
    format: Result<Format, String>,
    asked: RefCell<Asked>,
    now: Cell<i64>,
    sealer: Sealer,
}

#[derive(Default)]
struct Asked {
    honoured: String,
    page: Option<String>,
    warnings: Vec<Finding>,
}

impl Searching<'_> {
    fn question(&self, query: &str, strict: bool) -> Result<TaskQuestion, Fault<Findings>> {
        let most = usize::try_from(self.repository.house.limits.max_count).unwrap_or(usize::MAX);
        let mut question = TaskQuestion { limit: COUNT.min(most), ..TaskQuestion::default() };
        let (mut findings, mut warnings, mut honoured) = (Findings::new(), Vec::new(), Vec::new());
        let limits = &self.repository.house.limits;
        let costly = |what: &str, most: u64, key: &str| {
            let text = format!("a search of Task has at most {most} {what} (server.limits.{key})");
            refused(Rule::SearchTooCostly, "Task", text)
        };
        let pairs = || query.split('&').filter(|pair| !pair.is_empty());
        if pairs().count() as u64 > limits.max_search_parameters {
            return Err(costly("parameters", limits.max_search_parameters, "max_search_parameters"));
        }
        for pair in pairs() {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), decoded(value));
            if value.split(',').count() as u64 > limits.max_search_values {
                return Err(costly("values of one parameter", limits.max_search_values, "max_search_values"));
            }
            let tests: Result<Vec<Test>, String> = match name.as_str() {
                "_format" | "_pretty" | "_page" => continue,
                "_count" => match value.parse::<usize>() {
                    Ok(count) => {
                        question.limit = count.min(most);
                        honoured.push(pair.to_owned());
                        continue;
                    }
                    Err(_) => Err("it is a whole number from 0".to_owned()),
                },
                "status" => value.split(',').map(status).collect(),
                "_id" => Ok(value.split(',').map(|id| Test::Id(id.to_owned())).collect()),
                "_lastUpdated" => written(&value, &self.repository.house.time_zone),
                "identifier" | "group-identifier" => Ok(value
                    .split(',')
                    .map(|one| task_term("identifier", one.rsplit('|').next().unwrap_or(one)))
                    .collect()),
                "requester" => Ok(value.split(',').map(|one| task_term("requester", one)).collect()),
                "patient" | "subject" => Ok(value.split(',').flat_map(|one| self.patient(one)).collect()),
                other => {
                    let supported: Vec<&str> = PARAMETERS.iter().map(|(name, _, _)| *name).collect();
                    let text = format!(
                        "the search parameter {other} is not supported for Task; supported are {} and _count",
                        supported.join(", ")
                    );
                    let at = Place::at(other);
                    if strict {
                        findings.push(Finding::error(Rule::UnknownParameter, at, text));
                    } else if !other.starts_with('_') {
                        warnings.push(Finding::warning(Rule::UnknownParameter, at, text));
                    }
                    continue;
                }
            };
            match tests {
                Ok(tests) => {
                    question.all.push(AnyOf { tests, negated: false });
                    honoured.push(pair.to_owned());
                }
                Err(why) => {
                    let text = format!("{name} is {value}; {why}");
                    findings.push(Finding::error(Rule::Value, Place::at(name), text));
                }
            }
        }
        if !findings.is_empty() {
            return Err(Fault::Refused(findings));
        }
        let mut asked = self.asked.borrow_mut();
        asked.honoured = honoured.join("&");
        asked.warnings = warnings;
        Ok(question)
    }

    /// A patient by id or reference: tasks name it by the reference under the identity source's public base.
    fn patient(&self, text: &str) -> Vec<Test> {
        let id = text.strip_prefix("Patient/").unwrap_or(text);
        if id.contains('/') {
            return vec![task_term("patient", id)];
        }
        let own = self.repository.provide.patients.own();
        own.iter().map(|base| task_term("patient", &format!("{base}/Patient/{id}"))).collect()
    }

    fn links(&self, page: &Page, base: &str) -> Vec<(&'static str, String)> {
        let asked = self.asked.borrow();
        let first = format!("{base}/Task?{}", asked.honoured);
        let own = match &asked.page {
            Some(token) => format!("{base}/Task?_page={token}"),
            None => first.clone(),
        };
        let mut links = vec![("self", own), ("first", first)];
        if let Some(next) = &page.next {
            let token = self.sealer.seal(&PageToken {
                query: format!("Task?{}", asked.honoured),
                cursor: next.0.clone(),
                as_of: page.as_of,
                made: self.now.get(),
                total: page.total,
                back: Vec::new(),
            });
            links.push(("next", format!("{base}/Task?_page={token}")));
        }
        links
    }
}

/// Seconds for which the link to a further page is good.
const PAGE_TTL: u64 = 3600;

fn status(word: &str) -> Result<Test, String> {
    let known = TaskStatus::ALL.into_iter().find(|known| known.word() == word);
    known.map(|known| task_term("status", known.word())).ok_or_else(|| {
        let words: Vec<&str> = TaskStatus::ALL.into_iter().map(TaskStatus::word).collect();
        format!("the states used here are {}", words.join(", "))
    })
}

fn written(value: &str, zone: &jiff::tz::TimeZone) -> Result<Vec<Test>, String> {
    let (prefix, date) = match value.get(..2) {
        Some(prefix) if prefix.bytes().all(|b| b.is_ascii_lowercase()) => (prefix, &value[2..]),
        _ => ("eq", value),
    };
    let when = fhir::when::read(&date.replace(' ', "+")).map(|when| when.in_zone(zone));
    let Some(when) = when else { return Err("a date is expected, e.g. ge2026-11-20".to_owned()) };
    let (from, to) = (when.from, when.to);
    let spans = match prefix {
        "eq" => vec![Span::Within { from, to }],
        "ne" => vec![Span::BeginsBefore(from), Span::BeginsFrom(to)],
        "gt" | "sa" => vec![Span::BeginsFrom(to)],
        "ge" => vec![Span::BeginsFrom(from)],
        "lt" | "eb" => vec![Span::BeginsBefore(from)],
        "le" => vec![Span::BeginsBefore(to)],
        other => {
            return Err(format!("the prefix {other} is not known; eq, ne, gt, ge, lt, le, sa and eb are"));
        }
    };
    Ok(spans.into_iter().map(Test::Written).collect())
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

impl Codec<FindTasks> for Searching<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<TaskSearch, Fault<Findings>> {
        if let Err(why) = &self.format {
            return Err(Fault::NotAcceptable(why.clone()));
        }
        self.now.set(self.repository.tasks.records.now());
        let mut query = request.query.clone();
        if request.method == Method::POST {
            let limit = self.repository.house.limits.max_form_bytes;
            let form = request.body.whole(limit, FORM).await?;
            query = format!("{query}&{}", String::from_utf8_lossy(&form));
        }
        let lines = request.headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok());
        let strict = Preferences::read(lines).handling == Some(fhir::prefer::Handling::Strict);
        let token = query.split('&').find_map(|pair| pair.strip_prefix("_page="));
        let question = match token {
            None => self.question(&query, strict)?,
            Some(text) => {
                let token = self.sealer.open(text, self.now.get(), PAGE_TTL).map_err(|why| match why {
                    fhir::page::Refused::Expired => refused(
                        Rule::PageExpired,
                        "_page",
                        "this page link is too old; ask again from the first page",
                    ),
                    fhir::page::Refused::Tampered => refused(
                        Rule::PageInvalid,
                        "_page",
                        "this is not a page link of ours, or it was changed",
                    ),
                })?;
                let Some(asked) = token.query.strip_prefix("Task?") else {
                    return Err(refused(
                        Rule::PageInvalid,
                        "_page",
                        "this is not a page of a search of Task",
                    ));
                };
                let mut question = self.question(asked, false)?;
                question.after = Some(Cursor(token.cursor));
                question.as_of = Some(token.as_of);
                self.asked.borrow_mut().page = Some(text.to_owned());
                question
            }
        };
        let asked = format!("Task?{}", self.asked.borrow().honoured);
        Ok(TaskSearch { question, asked })
    }

    fn write(&self, page: Page, context: &Context) -> Answer {
        let links = self.links(&page, &context.base);
        let entries = page.rows.iter().filter_map(|row| {
            let task = Records::task_of(row).ok()?;
            let resource = resource(&row.id, row.version, row.instant, &task).to_string();
            let full_url = format!("{}/Task/{}", context.base, row.id);
            Some(Match { full_url, resource: resource.into(), is_match: true })
        });
        let set = SearchSet {
            total: page.total,
            links,
            entries: entries.collect(),
            warnings: self.asked.borrow().warnings.clone(),
            now: self.now.get(),
            id: context.request.clone(),
        };
        let body = bundle::searchset(&set).concat();
        face::json(StatusCode::OK, body, self.format.clone().unwrap_or_default())
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        face::refuse(&fault, face::id(context), self.format.clone().unwrap_or_default())
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        face::reason(fault)
    }
}
