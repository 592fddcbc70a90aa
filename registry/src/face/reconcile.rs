//! What a repository asks to compare itself with the registry: outside `/fhir`, beside `/settle`.

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::json;
use web::{Answer, Request};
use xds::{Finding, Findings, Identifier, Place, Rule};

use super::refusal;
use super::register::expected;
use crate::bindings::{Bindings, Bound, KnownSubmission, Stretch, Submissions};
use crate::whom::Whom;

/// Which life of the registry answers: its id and a number that every restore raises.
pub(super) const INCARNATION: &str = "docshare-incarnation";

/// Documents looked at for one answer, unless fewer are wanted.
const MOST_BINDINGS: usize = 1_000;
/// Keys of one question.
const MOST_KEYS: usize = 500;
/// Bytes of such a question.
const MAX_KEYS_BYTES: u64 = 1 << 20;

/// Questions and answers as JSON.
pub(super) struct Reconciling<'a> {
    /// Which life of this registry this is.
    pub(super) incarnation: &'a str,
}

fn wrong(path: &str, text: impl Into<String>) -> Fault<Findings> {
    Fault::Refused(vec![Finding::error(Rule::Value, Place::at(path), text)])
}

fn json_answer(body: &serde_json::Value) -> Answer {
    Answer::bytes(StatusCode::OK, "application/json", Bytes::from(body.to_string()))
}

impl Reconciling<'_> {
    fn expected(&self, headers: &HeaderMap) -> Result<(), Fault<Findings>> {
        expected(headers, self.incarnation)
    }
}

impl Codec<Bindings> for Reconciling<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Stretch, Fault<Findings>> {
        self.expected(&request.headers)?;
        let mut stretch = Stretch { under: String::new(), since: 0, after: None, limit: MOST_BINDINGS };
        for pair in request.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            let number = || value.parse::<u64>().map_err(|_| wrong(name, "a whole number is expected"));
            match name {
                "under" => stretch.under = value,
                "since" => stretch.since = number()?,
                "after" => stretch.after = Some(value),
                "limit" => {
                    let limit = usize::try_from(number()?).unwrap_or(MOST_BINDINGS);
                    stretch.limit = limit.clamp(1, MOST_BINDINGS);
                }
                _ => return Err(wrong(name, "under, since, after and limit are known here")),
            }
        }
        if stretch.under.is_empty() {
            return Err(wrong("under", "the beginning of the URLs that are asked for is missing"));
        }
        Ok(stretch)
    }

    fn write(&self, bound: Bound, _: &Context) -> Answer {
        json_answer(&json!({ "next": bound.next, "after": bound.after, "bindings": bound.bindings }))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

/// Keys that are asked about.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<String>,
}

impl Codec<Submissions> for Reconciling<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Vec<String>, Fault<Findings>> {
        self.expected(&request.headers)?;
        let body = request.body.whole(MAX_KEYS_BYTES, "submissions").await?;
        let asked: Keys = serde_json::from_slice(&body)
            .map_err(|error| wrong("keys", format!("a list of keys is expected: {error}")))?;
        if asked.keys.len() > MOST_KEYS {
            return Err(wrong("keys", format!("at most {MOST_KEYS} keys are answered at once")));
        }
        Ok(asked.keys)
    }

    fn write(&self, known: Vec<KnownSubmission>, _: &Context) -> Answer {
        json_answer(&json!({ "submissions": known }))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

impl Codec<Whom> for Reconciling<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Identifier, Fault<Findings>> {
        let mut asked = Identifier { system: String::new(), value: String::new() };
        for pair in request.query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "system" => asked.system = value,
                "value" => asked.value = value,
                _ => return Err(wrong(name, "system and value are known here")),
            }
        }
        if asked.system.is_empty() || asked.value.is_empty() {
            return Err(wrong("value", "an identifier has a system and a value"));
        }
        Ok(asked)
    }

    fn write(&self, id: Option<String>, _: &Context) -> Answer {
        json_answer(&json!({ "id": id }))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

/// Which life this is, for whoever only wants to know that.
pub(super) fn incarnation(incarnation: &str) -> Answer {
    let (id, number) = incarnation.split_once(';').unwrap_or((incarnation, "1"));
    json_answer(&json!({ "id": id, "number": number.parse::<u64>().unwrap_or(1) }))
}
