//! `GET [base]/Patient/{id}`, `…/_history` and `…/_history/{version}`.

use actor::{Codec, Context, Fault};
use fhir::bundle::{self, Past};
use fhir::history::Asked;
use http::{StatusCode, header};
use store::Row;
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule};

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::read::{History, ReadHistory, ReadPatient, Wanted, WantedHistory};

pub(super) fn current<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    version(source, request)
}

pub(super) fn version<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Read {
            wishes: Wishes::of(request),
            none_match: answer::text(request, header::IF_NONE_MATCH).map(answer::versions),
            modified_since: answer::text(request, header::IF_MODIFIED_SINCE).and_then(seconds),
        };
        source.corridor.walk(&source.read, &codec, request).await
    })
}

pub(super) fn history<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let (now, zone) = (source.corridor.clock.now(), &source.time_zone);
        let codec = Versions { wishes: Wishes::of(request), now, zone };
        source.corridor.walk(&source.history, &codec, request).await
    })
}

struct Read {
    wishes: Wishes,
    /// Versions the caller has; empty stands for any.
    none_match: Option<Vec<String>>,
    /// Seconds since 1970 up to which the caller has it.
    modified_since: Option<i64>,
}

impl Read {
    /// Whether the caller has this version already; `If-None-Match` goes before `If-Modified-Since` (RFC 9110, 13.2.2).
    fn has(&self, row: &Row) -> bool {
        match (&self.none_match, self.modified_since) {
            (Some(versions), _) => versions.is_empty() || versions.contains(&row.version.to_string()),
            (None, Some(since)) => row.instant.div_euclid(1_000_000) <= since,
            (None, None) => false,
        }
    }
}

impl Codec<ReadPatient> for Read {
    async fn read(&self, request: &mut Request, _context: &Context) -> Result<Wanted, Fault<Findings>> {
        self.wishes.check()?;
        let id = id(request)?;
        let version = match request.params.get("version") {
            None => None,
            Some(version) => Some(version.parse().map_err(|_| Fault::NotFound)?),
        };
        Ok(Wanted { id, version })
    }

    fn write(&self, row: Row, _context: &Context) -> Answer {
        let answer = if self.has(&row) {
            Answer::empty(StatusCode::NOT_MODIFIED)
        } else {
            self.wishes.answer(StatusCode::OK, row.rendering.clone())
        };
        let answer = answer.with(header::ETAG, answer::etag(row.version));
        match answer::last_modified(row.instant) {
            Some(time) => answer.with(header::LAST_MODIFIED, time),
            None => answer,
        }
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}

struct Versions<'a> {
    wishes: Wishes,
    now: store::Instant,
    /// The zone of dates that name none.
    zone: &'a jiff::tz::TimeZone,
}

impl Codec<ReadHistory> for Versions<'_> {
    async fn read(
        &self,
        request: &mut Request,
        _context: &Context,
    ) -> Result<WantedHistory, Fault<Findings>> {
        self.wishes.check()?;
        let id = id(request)?;
        Ok(WantedHistory { id, asked: Asked::read(&request.query, self.zone).map_err(Fault::Refused)? })
    }

    fn write(&self, History { id, page }: History, context: &Context) -> Answer {
        let past = |row: &Row| Past {
            full_url: format!("{}/Patient/{}", context.base, row.id),
            resource: (!row.deleted).then(|| row.rendering.clone()),
            version: row.version,
            updated: row.instant,
            url: format!("Patient/{}", row.id),
        };
        let entries: Vec<Past> = page.versions.iter().map(past).collect();
        let links = page.links_of(&format!("{}/Patient/{id}/_history", context.base));
        self.wishes.parts(StatusCode::OK, bundle::history(page.total, &entries, &links, self.now))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}

/// The id of the path, if it has the form of one.
pub(super) fn id(request: &Request) -> Result<String, Fault<Findings>> {
    let id = request.params.get("id").unwrap_or_default();
    // Operations of a type stand where an id stands.
    if id.starts_with('$') {
        return Err(Fault::NotFound);
    }
    let is_id = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if is_id {
        return Ok(id.to_owned());
    }
    let text = "an id has 1 to 64 letters, digits, '-' and '.'";
    Err(Fault::Refused(vec![Finding::error(Rule::Value, Place::whole(), text)]))
}

/// Seconds since 1970 of an HTTP date.
fn seconds(date: &str) -> Option<i64> {
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(date.as_second())
}
