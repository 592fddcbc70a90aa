//! Groups over HTTP.

use actor::{Codec, Context, Fault};
use http::{Method, StatusCode, header};
use serde_json::Value;
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule};

use super::refusal;
use super::register::Changing;
use super::time::http_date;
use crate::groups::{Given, Keep, ReadGroup, Stands};

/// One request about a group.
pub(super) struct Grouping<'a> {
    pub(super) changing: Changing<'a>,
    /// Bytes of a group.
    pub(super) max_bytes: u64,
}

impl Grouping<'_> {
    fn stands(&self, stands: Stands, context: &Context, id: &str) -> Answer {
        let status = match (&stands.resource, stands.created) {
            (None, _) => return Answer::empty(StatusCode::NO_CONTENT),
            (Some(_), true) => StatusCode::CREATED,
            (Some(_), false) => StatusCode::OK,
        };
        let body = stands.resource.unwrap_or_default();
        let answer = refusal::json(status, body, self.changing.pretty())
            .with(header::ETAG, refusal::etag(stands.version))
            .with(header::LAST_MODIFIED, refusal::text(&http_date(stands.updated)));
        if stands.created {
            let location = format!("{}/Group/{id}", context.base);
            return answer.with(header::LOCATION, refusal::text(&location));
        }
        answer
    }
}

fn id(request: &Request) -> Result<String, Fault<Findings>> {
    let id = request.params.get("id").unwrap_or_default();
    let well_formed = (1..=64).contains(&id.len())
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if well_formed {
        return Ok(id.to_owned());
    }
    let text = "an id has 1 to 64 letters, digits, hyphens and dots";
    Err(Fault::Refused(vec![Finding::error(Rule::Value, Place::at("id"), text)]))
}

impl Codec<Keep> for Grouping<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Given, Fault<Findings>> {
        let id = id(request)?;
        let expected = request.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        let bare = |tag: &str| {
            let tag = tag.trim();
            tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
        };
        let expected = expected.map(|tags| tags.split(',').map(bare).collect()).unwrap_or_default();
        if request.method == Method::DELETE {
            return Ok(Given { id, expected, resource: None });
        }
        let body = self.changing.body(request, self.max_bytes, "server.limits.max_body_bytes").await?;
        let mut findings = Findings::new();
        if body.get("resourceType").and_then(Value::as_str) != Some("Group") {
            let text = "a Group is expected here";
            findings.push(Finding::error(Rule::Structure, Place::at("resourceType"), text));
        }
        if body.get("id").and_then(Value::as_str).is_none_or(|given| given != id) {
            let text = "the id of the Group must be that of the request";
            findings.push(Finding::error(Rule::Value, Place::at("Group.id"), text));
        }
        if findings.is_empty() {
            Ok(Given { id, expected, resource: Some(body) })
        } else {
            Err(Fault::Refused(findings))
        }
    }

    fn write(&self, stands: Stands, context: &Context) -> Answer {
        let id = stands.resource.as_deref().and_then(|body| serde_json::from_slice::<Value>(body).ok());
        let id = id.and_then(|group| group["id"].as_str().map(str::to_owned)).unwrap_or_default();
        self.stands(stands, context, &id)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

impl Codec<ReadGroup> for Grouping<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<String, Fault<Findings>> {
        id(request)
    }

    fn write(&self, stands: Stands, context: &Context) -> Answer {
        self.stands(stands, context, "")
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        refusal::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}
