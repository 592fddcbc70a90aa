//! PUT and PATCH of document entries and folders over HTTP: conditions, what a patch is written in, and what comes back.

use std::cell::Cell;

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use fhir::condition;
use fhir::patch::{JSON_PATCH, Patch, TAKEN};
use fhir::prefer::{Preferences, Return};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::Value;
use store::Kind;
use web::{Answer, Limits, Request};
use xds::{Finding, Findings, Place, Rule};

use super::refusal;
use super::register::{Changing, header_text};
use super::time::http_date;
use crate::read::resource_type;
use crate::update::{Change, Update, Updated, Versions, Wanted, Which};

/// Key of the limit of a resource's bytes.
const LIMIT: &str = "server.limits.max_body_bytes";

/// Media types of a patch.
const ACCEPTED: &str = "application/json-patch+json, application/fhir+json, application/fhir+xml";

/// How the change is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// The whole resource.
    Whole,
    /// What is to be done to it.
    Patch,
}

/// One request that updates.
pub(super) struct Updating<'a> {
    changing: Changing<'a>,
    limits: &'a Limits,
    kind: Kind,
    written: Written,
    prefers: Cell<Preferences>,
    /// Whether the request could be read: what is wrong afterwards is wrong with what a patch makes.
    read: Cell<bool>,
}

impl<'a> Updating<'a> {
    pub(super) fn new(
        changing: Changing<'a>,
        limits: &'a Limits,
        kind: Kind,
        written: Written,
    ) -> Updating<'a> {
        Updating { changing, limits, kind, written, prefers: Cell::default(), read: Cell::new(false) }
    }

    fn which(&self, request: &Request) -> Result<Which, Fault<Findings>> {
        match request.params.get("id") {
            Some(id) => Ok(Which::Id(id.to_owned())),
            None => condition::read(&request.query).map(Which::Identified).map_err(Fault::Refused),
        }
    }

    async fn change(&self, request: &mut Request) -> Result<Change, Fault<Findings>> {
        let limit = self.limits.max_body_bytes;
        if self.written == Written::Whole {
            return Ok(Change::Whole(self.changing.body(request, limit, LIMIT).await?));
        }
        let media = header_text(&request.headers, "content-type").unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if media == JSON_PATCH {
            let body = self.changing.json(request, limit, LIMIT).await?;
            return Patch::json(&body).map(Change::Patch).map_err(Fault::Refused);
        }
        let body = match self.changing.body(request, limit, LIMIT).await {
            Err(Fault::UnsupportedMedia(_)) => {
                return Err(Fault::UnsupportedMedia(format!("{TAKEN}, not \"{}\"", shortened(&media))));
            }
            other => other?,
        };
        if body.get("resourceType").and_then(Value::as_str) == Some("Parameters") {
            return Patch::parameters(&body).map(Change::Patch).map_err(Fault::Refused);
        }
        let hint = if body.is_array() {
            "an array of operations is sent as application/json-patch+json"
        } else {
            "a resource, or a part of one, is no patch; PUT takes the whole resource"
        };
        Err(Fault::UnsupportedMedia(format!("{TAKEN}; {hint}")))
    }
}

impl Codec<Update> for Updating<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Wanted, Fault<Findings>> {
        self.prefers.set(preferences(&request.headers));
        let if_match = header_text(&request.headers, "if-match").map(versions);
        if if_match.is_none() && self.written == Written::Whole {
            let resource = resource_type(self.kind);
            let text = format!(
                "PUT of a {resource} needs If-Match with the version it was made from, e.g. If-Match: W/\"3\" (its ETag, or \
                 meta.versionId): otherwise what others changed in between would be lost. Nothing was changed"
            );
            let at = Place::at("header.If-Match");
            return Err(Fault::Refused(vec![Finding::error(Rule::Required, at, text)]));
        }
        let which = self.which(request)?;
        let change = self.change(request).await?;
        self.read.set(true);
        Ok(Wanted { kind: self.kind, which, if_match, change })
    }

    fn write(&self, updated: Updated, context: &Context) -> Answer {
        let back = self.prefers.get().back;
        let text = if updated.changed {
            format!(
                "{}/{} is updated to version {}.",
                resource_type(updated.kind),
                updated.id,
                updated.version
            )
        } else {
            format!(
                "{}/{} stands as it was sent, in version {}; nothing had to be changed.",
                resource_type(updated.kind),
                updated.id,
                updated.version
            )
        };
        let written = Versioned {
            kind: updated.kind,
            id: &updated.id,
            version: updated.version,
            instant: updated.instant,
            rendering: updated.rendering.clone(),
        };
        written.answer(StatusCode::OK, back, (&text, &updated.warnings), self.changing.pretty(), context)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        let mut answer = refusal::refuse(&fault, &context.request);
        if self.written == Written::Patch && answer.status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            // RFC 5789 2.2.
            return refusal::with(answer, "accept-patch", ACCEPTED);
        }
        // A patch that was understood and makes something that cannot stand (rest-conventions 2).
        if self.written == Written::Patch && self.read.get() && answer.status == StatusCode::BAD_REQUEST {
            answer.status = StatusCode::UNPROCESSABLE_ENTITY;
        }
        answer
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        refusal::reason(fault)
    }
}

/// A version that was written, or stands, as the answer to a change tells of it.
pub(super) struct Versioned<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a str,
    pub(super) version: u64,
    pub(super) instant: i64,
    pub(super) rendering: Bytes,
}

impl Versioned<'_> {
    /// The answer in the form the caller prefers. `said` is a sentence, and reservations beside it.
    pub(super) fn answer(
        self,
        status: StatusCode,
        back: Option<Return>,
        said: (&str, &[Finding]),
        pretty: bool,
        context: &Context,
    ) -> Answer {
        let answer = match back {
            Some(Return::Minimal) => Answer::empty(status),
            Some(Return::OperationOutcome) => {
                let outcome = fhir::outcome::of_success(said.0, said.1, &context.request);
                refusal::json(status, Bytes::from(outcome), pretty)
            }
            Some(Return::Representation) | None => refusal::json(status, self.rendering, pretty),
        };
        let kind = resource_type(self.kind);
        let url = refusal::text(&format!("{}/{kind}/{}/_history/{}", context.base, self.id, self.version));
        let answer = answer
            .with(header::ETAG, refusal::etag(self.version))
            .with(header::LAST_MODIFIED, refusal::text(&http_date(self.instant)))
            .with(header::CONTENT_LOCATION, url.clone());
        let answer = if status == StatusCode::CREATED { answer.with(header::LOCATION, url) } else { answer };
        match back {
            Some(back) => {
                answer.with(HeaderName::from_static("preference-applied"), refusal::text(back.applied()))
            }
            None => answer,
        }
    }
}

/// What the caller prefers.
pub(super) fn preferences(headers: &HeaderMap) -> Preferences {
    Preferences::read(headers.get_all("prefer").iter().filter_map(|line| line.to_str().ok()))
}

/// `W/"3"`, `"3"`, `3`, lists of them; `*` is any. An empty tag is no version.
fn versions(tags: &str) -> Versions {
    let tags = tags.split(',').map(|tag| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').to_owned()
    });
    let any_of: Vec<String> = tags.collect();
    if any_of.iter().any(|tag| tag == "*") { Versions { any_of: Vec::new() } } else { Versions { any_of } }
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_understood_in_every_spelling() {
        for tags in ["W/\"3\"", "\"3\"", "3", " W/\"3\" "] {
            assert_eq!(versions(tags).any_of, ["3"], "{tags}");
        }
        assert_eq!(versions("W/\"1\", \"2\"").any_of, ["1", "2"]);
        assert!(versions("*").any_of.is_empty());
        for lost in ["", "W/\"\""] {
            assert_eq!(versions(lost).any_of, [""], "{lost:?} is not any version");
        }
    }
}
