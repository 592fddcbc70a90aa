//! Reviews after an unmerge over HTTP: each item is a Task, settled by an operation of our own (`Task/[id]/$settle`).

use std::cell::{Cell, RefCell};

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use fhir::bundle::{self, Match, SearchSet};
use fhir::negotiate::{self, Format};
use fhir::page::{PageToken, Refused};
use http::{Method, StatusCode, header};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use store::Cursor;
use web::{Answer, Limits, Request};
use xds::{Finding, Findings, Place, Rule};

use super::Desk;
use super::refusal;
use super::register::{Changing, header_text};
use super::time::{http_date, instant_text};
use crate::patients::{Named, named};
use crate::read::well_formed;
use crate::records::{Decision, Held, Why};
use crate::review::{Asked, FindReviews, Found, Item, SettleReview, Settling};

/// The code of these tasks, and of what is said in them.
const SYSTEM: &str = "https://docshare.example/CodeSystem/merge-review";
/// Media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";
/// Items of a page, unless fewer are wanted.
const USUAL: usize = 50;
/// And at most.
const MOST: usize = 1_000;

/// What is accepted, in words.
const ACCEPTED: &str =
    "accepted are patient, status (requested, completed, cancelled), code (merge-review), _count and _format";

/// Questions about items.
pub(super) struct Reviewing<'a> {
    desk: &'a Desk,
    limits: &'a Limits,
    now: i64,
    format: Cell<Format>,
    /// The question as it is honoured, without its page; and whether one item is asked for.
    asked: RefCell<(String, bool)>,
    warnings: RefCell<Findings>,
}

impl<'a> Reviewing<'a> {
    pub(super) fn new(desk: &'a Desk, limits: &'a Limits, now: i64) -> Reviewing<'a> {
        Reviewing {
            desk,
            limits,
            now,
            format: Cell::default(),
            asked: RefCell::default(),
            warnings: RefCell::default(),
        }
    }

    fn search(&self, query: &str) -> Result<Asked, Fault<Findings>> {
        let mut asked = Asked { count: USUAL, ..Asked::default() };
        let mut honoured = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "patient" | "subject" => match self::named(&text, &self.desk.identity) {
                    Named::Id(id) => asked.patient = Some(id),
                    Named::Entry(id) if well_formed(&id).is_ok() => asked.patient = Some(id),
                    Named::Entry(_) | Named::Identifier(..) => {
                        return Err(wrong(name, "a patient is named by its id here: Patient/[id]"));
                    }
                },
                "status" => asked.open = status(&text)?,
                "code" if text.rsplit('|').next() == Some("merge-review") => {}
                "code" => return Err(wrong(name, "the tasks of this registry have the code merge-review")),
                "_count" => {
                    let count =
                        text.parse::<usize>().map_err(|_| wrong(name, "a whole number is expected"))?;
                    asked.count = count.min(MOST);
                }
                "_format" | "_pretty" => continue,
                "_page" => {
                    let token = self.page(&text)?;
                    let mut asked = self.search(&token.query)?;
                    asked.after = Some(Cursor(token.cursor));
                    return Ok(asked);
                }
                other => {
                    let text = format!("{other} is not known here and was passed over; {ACCEPTED}");
                    let warning = Finding::warning(Rule::UnknownParameter, Place::at(other), text);
                    self.warnings.borrow_mut().push(warning);
                    continue;
                }
            }
            honoured.push(pair);
        }
        self.asked.borrow_mut().0 = honoured.join("&");
        Ok(asked)
    }

    fn page(&self, text: &str) -> Result<PageToken, Fault<Findings>> {
        self.desk.sealer.open(text, self.now, self.desk.page_ttl_seconds).map_err(|refused| {
            let (rule, text) = match refused {
                Refused::Tampered => {
                    (Rule::PageInvalid, "this is not a page link of ours, or it was changed")
                }
                Refused::Expired => {
                    (Rule::PageExpired, "this page link is too old; ask again from the first page")
                }
            };
            Fault::Refused(vec![Finding::error(rule, Place::at("_page"), text)])
        })
    }
}

fn wrong(name: &str, text: &str) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(Rule::Value, Place::at(name.to_owned()), text)])
}

/// Open and settled ones are told apart; which decision settled one is read in it.
fn status(text: &str) -> Result<Option<bool>, Fault<Findings>> {
    let mut open: Option<bool> = None;
    for (number, word) in text.split(',').enumerate() {
        let this = match word {
            "requested" => true,
            "completed" | "cancelled" => false,
            _ => return Err(wrong("status", ACCEPTED)),
        };
        if number > 0 && open != Some(this) {
            return Ok(None);
        }
        open = Some(this);
    }
    Ok(open)
}

impl Codec<FindReviews> for Reviewing<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Asked, Fault<Findings>> {
        let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        self.format.set(negotiate::answer(&request.query, accept).map_err(Fault::NotAcceptable)?);
        match request.params.get("id") {
            Some(id) => {
                well_formed(id)?;
                self.asked.borrow_mut().1 = true;
                Ok(Asked { id: Some(id.to_owned()), ..Asked::default() })
            }
            None if request.method == Method::POST => {
                let media = header_text(&request.headers, "content-type").unwrap_or_default();
                if !media.trim_start().starts_with(FORM) {
                    return Err(Fault::UnsupportedMedia(format!("a search is sent as {FORM}")));
                }
                let key = "server.limits.max_form_bytes";
                let form = request.body.whole(self.limits.max_form_bytes, key).await?;
                // In a form a blank is written as a plus.
                let form = String::from_utf8_lossy(&form).replace('+', "%20");
                self.search(&format!("{}&{form}", request.query))
            }
            None => self.search(&request.query),
        }
    }

    fn write(&self, found: Found, context: &Context) -> Answer {
        let (honoured, one) = self.asked.borrow().clone();
        let pretty = self.format.get().pretty;
        if let (true, [item]) = (one, found.items.as_slice()) {
            return answer(item, &self.desk.identity, pretty);
        }
        let matches = found.items.iter().map(|item| Match {
            full_url: format!("{}/Task/{}", context.base, item.id),
            resource: Bytes::from(task(item, &self.desk.identity).to_string()),
            is_match: true,
        });
        let address = |query: &str| format!("{}/Task?{query}", context.base);
        let mut links = vec![("self", address(&honoured))];
        if let Some(Cursor(cursor)) = found.next {
            let token = PageToken {
                query: honoured,
                cursor,
                as_of: 0,
                made: found.now,
                total: found.total,
                back: Vec::new(),
            };
            links.push(("next", address(&format!("_page={}", self.desk.sealer.seal(&token)))));
        }
        let set = SearchSet {
            total: found.total,
            links,
            entries: matches.collect(),
            warnings: self.warnings.take(),
            now: found.now,
            id: context.request.clone(),
        };
        refusal::json_parts(bundle::searchset(&set), pretty)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

/// Decisions about items.
pub(super) struct Deciding<'a> {
    pub(super) changing: Changing<'a>,
    pub(super) identity: &'a str,
    pub(super) max_bytes: u64,
}

impl Codec<SettleReview> for Deciding<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Settling, Fault<Findings>> {
        let id = request.params.get("id").unwrap_or_default().to_owned();
        well_formed(&id)?;
        let given =
            request.query.split('&').find_map(|pair| pair.strip_prefix("decision=")).map(str::to_owned);
        let given = match given {
            Some(given) => Some(given),
            None => {
                let key = "server.limits.max_body_bytes";
                let body = self.changing.body(request, self.max_bytes, key).await?;
                let parameters = body["parameter"].as_array().map_or(&[][..], Vec::as_slice);
                let decision = parameters.iter().find(|one| one["name"] == "decision");
                let text = |one: &Value| {
                    one["valueCode"].as_str().or(one["valueString"].as_str()).map(str::to_owned)
                };
                decision.and_then(text)
            }
        };
        let decision = match given.as_deref() {
            Some("stays") => Decision::Stays,
            Some("moves") => Decision::Moves,
            _ => {
                let text = "the decision is stays or moves: Parameters with parameter decision (valueCode), or ?decision=… . Nothing was changed";
                return Err(wrong("decision", text));
            }
        };
        Ok(Settling { id, decision })
    }

    fn write(&self, item: Item, _: &Context) -> Answer {
        answer(&item, self.identity, self.changing.pretty())
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

fn answer(item: &Item, identity: &str, pretty: bool) -> Answer {
    refusal::json(StatusCode::OK, Bytes::from(task(item, identity).to_string()), pretty)
        .with(header::ETAG, refusal::etag(item.version))
        .with(header::LAST_MODIFIED, refusal::text(&http_date(item.updated)))
}

/// An item as a Task: what is to be decided, of which object, and what was.
fn task(item: &Item, identity: &str) -> Value {
    let record = &item.record;
    let coded = |code: &str| json!({ "coding": [{ "system": SYSTEM, "code": code }] });
    let object = match record.held {
        Held::Document | Held::DocumentPast => "document",
        _ => "folder",
    };
    let (reason, words) = match &record.why {
        Why::Submitted => {
            ("submitted", format!("The {object} was submitted while the two patients were one."))
        }
        Why::Changed => ("changed", format!("The {object} was changed while the two patients were one.")),
        Why::Tied(other) => ("tied", format!("The {object} is tied to {other}, which did not go back.")),
    };
    let mut why = coded(reason);
    why["text"] = json!(words);
    let mut input = vec![
        json!({ "type": coded("other-patient"), "valueReference": { "reference": format!("{identity}/Patient/{}", record.other) } }),
        json!({ "type": coded("since"), "valueInstant": instant_text(record.since) }),
    ];
    if let Why::Tied(other) = &record.why {
        input.push(json!({ "type": coded("tied-to"), "valueReference": { "reference": other } }));
    }
    if let Some(submission) = &record.submission {
        input.push(json!({ "type": coded("submission"), "valueString": submission }));
    }
    let status = match record.settled.as_ref().map(|settled| settled.decision) {
        None => "requested",
        Some(Decision::Stays | Decision::Moves) => "completed",
        Some(Decision::Merged) => "cancelled",
    };
    let mut task = json!({
        "resourceType": "Task",
        "id": item.id,
        "meta": { "versionId": item.version.to_string(), "lastUpdated": instant_text(item.updated) },
        "status": status,
        "intent": "order",
        "code": coded("merge-review"),
        "description": "A merge of patients was undone. Does this object stay with the patient it is with, or does it move to the other one?",
        "focus": { "reference": record.held.entity(&record.object) },
        "for": { "reference": format!("{identity}/Patient/{}", item.survivor) },
        "authoredOn": instant_text(record.opened),
        "lastModified": instant_text(item.updated),
        "reasonCode": why,
        "input": input,
    });
    if let Some(settled) = &record.settled {
        if !settled.by.is_empty() {
            task["owner"] = json!({ "display": settled.by });
        }
        task["executionPeriod"] = json!({ "end": instant_text(settled.at) });
        task["output"] = json!([{ "type": coded("decision"), "valueCode": settled.decision.word() }]);
    }
    task
}
