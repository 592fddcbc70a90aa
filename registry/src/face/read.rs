//! Read, vread and history over HTTP: entity tags and conditions.

use std::cell::{Cell, RefCell};

use actor::{Codec, Context, Fault};
use fhir::bundle::{self, Past};
use fhir::history::{Asked, Page};
use fhir::negotiate::{self, Format};
use http::{HeaderMap, StatusCode, header};
use jiff::tz::TimeZone;
use store::{Kind, Row};
use web::{Answer, Request};
use xds::Findings;

use super::refusal;
use super::time::{http_date, not_since};
use crate::read::{Found, Read, Wanted, Which, resource_type};

/// What of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The version that stands.
    Current,
    /// The version the path names.
    Version,
    /// Its versions.
    History,
}

/// One request to read.
pub(super) struct Reading<'a> {
    kind: Kind,
    part: Part,
    zone: &'a TimeZone,
    format: Cell<Format>,
    unless: RefCell<Unless>,
}

/// Conditions under which the caller does not want the body.
#[derive(Default)]
struct Unless {
    none_match: Option<String>,
    modified_since: Option<String>,
}

impl Unless {
    fn of(headers: &HeaderMap) -> Unless {
        let text =
            |name| headers.get(name).and_then(|v: &http::HeaderValue| v.to_str().ok()).map(str::to_owned);
        Unless { none_match: text(header::IF_NONE_MATCH), modified_since: text(header::IF_MODIFIED_SINCE) }
    }

    /// `W/"3"`, `"3"`, `3`, lists of them, and `*`. A date counts only where no tag is given (RFC 9110 13.1.3).
    fn holds(&self, row: &Row) -> bool {
        match (&self.none_match, &self.modified_since) {
            (Some(tags), _) => {
                tags.split(',').map(bare).any(|tag| tag == "*" || tag == row.version.to_string())
            }
            (None, Some(since)) => not_since(row.instant, since),
            (None, None) => false,
        }
    }
}

fn bare(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"')
}

impl<'a> Reading<'a> {
    pub(super) fn new(kind: Kind, part: Part, zone: &'a TimeZone) -> Reading<'a> {
        Reading { kind, part, zone, format: Cell::default(), unless: RefCell::default() }
    }

    fn one(&self, row: Row) -> Answer {
        let tagged = |answer: Answer| {
            answer
                .with(header::ETAG, refusal::etag(row.version))
                .with(header::LAST_MODIFIED, refusal::text(&http_date(row.instant)))
        };
        if self.unless.borrow().holds(&row) {
            return tagged(Answer::empty(StatusCode::NOT_MODIFIED));
        }
        let pretty = self.format.get().pretty;
        tagged(refusal::json(StatusCode::OK, row.rendering.clone(), pretty))
    }

    fn history(&self, page: &Page<Row>, id: &str, now: i64, context: &Context) -> Answer {
        let kind = resource_type(self.kind);
        let past = |row: &Row| Past {
            full_url: format!("{}/{kind}/{id}", context.base),
            resource: (!row.deleted).then(|| row.rendering.clone()),
            version: row.version,
            updated: row.instant,
            url: format!("{kind}/{id}"),
        };
        let entries: Vec<Past> = page.versions.iter().map(past).collect();
        let links = page.links_of(&format!("{}/{kind}/{id}/_history", context.base));
        refusal::json_parts(bundle::history(page.total, &entries, &links, now), self.format.get().pretty)
    }
}

impl Codec<Read> for Reading<'_> {
    async fn read(&self, request: &mut Request, _: &Context) -> Result<Wanted, Fault<Findings>> {
        let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        self.format.set(negotiate::answer(&request.query, accept).map_err(Fault::NotAcceptable)?);
        *self.unless.borrow_mut() = Unless::of(&request.headers);
        let id = request.params.get("id").unwrap_or_default().to_owned();
        // An operation or a history that is not there, and no resource with a strange name.
        if id.starts_with(['$', '_']) {
            return Err(Fault::NotFound);
        }
        let which = match self.part {
            Part::Current => Which::Current,
            Part::Version => Which::Version(request.params.get("version").unwrap_or_default().to_owned()),
            Part::History => Which::History(Asked::read(&request.query, self.zone).map_err(Fault::Refused)?),
        };
        Ok(Wanted { kind: self.kind, id, which })
    }

    fn write(&self, found: Found, context: &Context) -> Answer {
        match found {
            Found::One(row) => self.one(row),
            Found::History { page, id, now } => self.history(&page, &id, now, context),
        }
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
    use bytes::Bytes;

    use super::*;
    use crate::records::DOCUMENT;

    fn row(version: u64) -> Row {
        Row::loose("d", version, 784_111_777_000_000, Bytes::from_static(b"{}"))
    }

    #[test]
    fn an_entity_tag_is_understood_weak_strong_bare_and_in_lists() {
        for tags in ["W/\"3\"", "\"3\"", "3", "W/\"1\", W/\"3\"", "*"] {
            let unless = Unless { none_match: Some(tags.to_owned()), modified_since: None };
            assert!(unless.holds(&row(3)), "{tags}");
            assert_eq!(unless.holds(&row(4)), tags == "*", "{tags}");
        }
        assert_eq!(DOCUMENT.0, "document");
    }
}
