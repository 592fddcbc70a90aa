//! The two searches over HTTP: parameters, pages, and a searchset put together from stored bytes.

use std::cell::{Cell, RefCell};
use std::fmt::Write;

use actor::{Codec, Context, Fault, Transaction};
use bytes::Bytes;
use fhir::bundle::{self, Match, SearchSet};
use fhir::negotiate::{self, Format};
use fhir::page::{PageToken, Refused, Sealer};
use fhir::search::{self, Here, Search};
use fhir::subset::Subset;
use fhir::{docref, iti66, iti67};
use http::{Method, header};
use jiff::tz::TimeZone;
use store::{Cursor, Instant};
use web::{Answer, Limits, Request};
use xds::filter::{Filter, Of};
use xds::{Finding, Findings, Place, Rule};

use super::refusal;
use crate::query::{Found, From, Question};
use crate::read::resource_type;
use crate::records::PATIENT;

/// Bytes of the cursors before this one that travel in a token: the address of a page stays under 1 KiB.
const MAX_BACK_BYTES: usize = 240;

/// Media type of a form.
const FORM: &str = "application/x-www-form-urlencoded";

/// What every search needs to know.
pub(crate) struct Desk {
    pub(crate) sealer: Sealer,
    pub(crate) page_ttl_seconds: u64,
    /// Whether a question must name a patient, an identifier or an id.
    pub(crate) require_patient: bool,
    /// Public base of the identity source.
    pub(crate) identity: String,
    /// The homeCommunityId of this domain.
    pub(crate) home_community: Option<String>,
    /// The zone of dates that name none.
    pub(crate) time_zone: TimeZone,
}

/// One search.
pub(super) struct Searching<'a> {
    desk: &'a Desk,
    limits: &'a Limits,
    of: Of,
    /// Whether it is asked in the words of `$docref`.
    by_operation: bool,
    now: Instant,
    format: Cell<Format>,
    asked: RefCell<Asked>,
}

/// What the answer must say of the question.
#[derive(Default)]
struct Asked {
    /// The parameters that were honoured, ready for a link.
    honoured: String,
    /// The token that was given.
    page: Option<(String, PageToken)>,
    /// The preference that was applied.
    applied: Option<&'static str>,
    /// The part of each match that is wanted.
    subset: Option<Subset>,
    /// What links to further pages repeat of the wish for a format.
    format: String,
    /// Whether the question came in a body: what it says is not put into addresses.
    posted: bool,
}

impl<'a> Searching<'a> {
    pub(super) fn new(desk: &'a Desk, limits: &'a Limits, of: Of, now: Instant) -> Searching<'a> {
        Searching {
            desk,
            limits,
            of,
            by_operation: false,
            now,
            format: Cell::default(),
            asked: RefCell::default(),
        }
    }

    /// The same question in the words of `$docref`.
    pub(super) fn by_operation(self) -> Searching<'a> {
        Searching { by_operation: true, ..self }
    }

    /// Where it is asked, below the base.
    fn path(&self) -> &'static str {
        if self.by_operation { "DocumentReference/$docref" } else { self.resource() }
    }

    fn resource(&self) -> &'static str {
        match self.of {
            Of::Documents => "DocumentReference",
            Of::Lists => "List",
        }
    }

    fn parse(
        &self,
        query: &str,
        form: Option<&str>,
        prefer: Option<&str>,
        base: &str,
    ) -> Result<Search<Filter>, Fault<Findings>> {
        let here = Here {
            own: &[self.desk.identity.as_str(), base],
            home_community: self.desk.home_community.as_deref(),
            zone: &self.desk.time_zone,
        };
        let limits = search::Limits {
            parameters: self.limits.max_search_parameters as usize,
            values: self.limits.max_search_values as usize,
            value_bytes: self.limits.max_search_value_bytes as usize,
            count: self.limits.max_count as usize,
        };
        let read = match self.of {
            Of::Documents if self.by_operation => docref::read_request(query, form, prefer, here, &limits),
            Of::Documents => iti67::read_request(query, form, prefer, here, &limits),
            Of::Lists => iti66::read_request(query, form, prefer, here, &limits),
        };
        let search = read.map_err(Fault::Refused)?;
        if self.desk.require_patient {
            search::narrow(&search).map_err(Fault::Refused)?;
        }
        Ok(search)
    }

    /// The question behind a link to another page: everything it says is sealed in its token.
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

    /// The question that a token carries on, if it was asked about this type.
    fn asked_of<'t>(&self, token: &'t PageToken) -> Result<&'t str, Fault<Findings>> {
        let of = token.query.split_once('?').filter(|(path, _)| *path == self.path());
        of.map(|(_, query)| query).ok_or_else(|| {
            let text = format!("this is not a page of a search of {}", self.path());
            Fault::Refused(vec![Finding::error(Rule::PageInvalid, Place::at("_page"), text)])
        })
    }

    pub(super) async fn question(
        &self,
        request: &mut Request,
        base: &str,
    ) -> Result<Question, Fault<Findings>> {
        let headers = &request.headers;
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let accept = accept.map(str::to_owned);
        let set = |query: &str| {
            negotiate::answer(query, accept.as_deref())
                .map(|format| self.format.set(format))
                .map_err(Fault::NotAcceptable)
        };
        set(&request.query)?;
        let prefer = headers.get("prefer").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let form = if request.method == Method::POST { Some(self.form(request).await?) } else { None };
        // A form speaks for the whole request, its answer included.
        let of_form = form.as_deref().map(negotiate::format_parameters).unwrap_or_default();
        if !of_form.is_empty() {
            request.query.push_str(&of_form);
            set(&request.query)?;
        }
        let token = page_parameter(&request.query).or_else(|| form.as_deref().and_then(page_parameter));
        let (search, from) = match token {
            None => (self.parse(&request.query, form.as_deref(), prefer.as_deref(), base)?, None),
            Some(text) => {
                let token = self.page(&text)?;
                let search = self.parse(self.asked_of(&token)?, None, None, base)?;
                let cursor = Some(Cursor(token.cursor.clone())).filter(|cursor| !cursor.0.is_empty());
                let from = From { cursor, as_of: token.as_of, total: token.total };
                self.asked.borrow_mut().page = Some((text, token));
                (search, Some(from))
            }
        };
        let honoured = encode(&search.honoured);
        let result = &search.result;
        {
            let mut asked = self.asked.borrow_mut();
            asked.honoured.clone_from(&honoured);
            asked.applied = search::handling(prefer.as_deref());
            asked.subset = Subset::asked(self.resource(), result.summary.as_deref(), &result.elements);
            asked.posted = form.is_some();
            asked.format = negotiate::format_parameters(&request.query);
        }
        let parameters = match self.of {
            Of::Documents => iti67::PARAMETERS,
            Of::Lists => iti66::PARAMETERS,
        };
        let sort = result.sort.iter();
        let sort = sort.filter_map(|(name, down)| Some((search::sortable(parameters, name)?, *down)));
        Ok(Question {
            sort: sort.collect(),
            filter: search.filter,
            count: search.result.count,
            only_count: search.result.only_count,
            total: search.result.total.as_deref() != Some("none"),
            follow: search.result.follow,
            from,
            asked: format!("{}?{honoured}", self.path()),
            warnings: search.warnings,
        })
    }

    async fn form(&self, request: &mut Request) -> Result<String, Fault<Findings>> {
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mime = content_type.map(|text| text.split(';').next().unwrap_or(text).trim());
        // A search may have everything in its address and no body at all.
        if self.by_operation && mime.is_some_and(|mime| !mime.eq_ignore_ascii_case(FORM)) {
            let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
            let body = request.body.whole(self.limits.max_form_bytes, "server.limits.max_form_bytes").await?;
            let body = syntax.parse(&body, &fhir::json::Limits::default()).map_err(Fault::Refused)?;
            return docref::form(&body).map_err(Fault::Refused);
        }
        if mime.is_some_and(|mime| !mime.eq_ignore_ascii_case(FORM)) {
            return Err(Fault::UnsupportedMedia(format!("a search is sent as {FORM}")));
        }
        let body = request.body.whole(self.limits.max_form_bytes, "server.limits.max_form_bytes").await?;
        String::from_utf8(body.to_vec()).map_err(|_| {
            Fault::Refused(vec![Finding::error(Rule::Value, Place::whole(), "the form is not UTF-8")])
        })
    }

    pub(super) fn answer(&self, found: Found, context: &Context) -> Answer {
        let asked = self.asked.borrow();
        let links = self.links(&asked, &found, &context.base);
        let resource = self.resource();
        let full_url = |base: &str, resource: &str, id: &str| {
            let mut url = String::with_capacity(base.len() + resource.len() + id.len() + 2);
            for part in [base, "/", resource, "/", id] {
                url.push_str(part);
            }
            url
        };
        let part = |rendering: Bytes| match &asked.subset {
            Some(subset) => Bytes::from(subset.show(&rendering)),
            None => rendering,
        };
        let matches = found.rows.into_iter().map(|row| Match {
            full_url: full_url(&context.base, resource, &row.id),
            resource: part(row.rendering),
            is_match: true,
        });
        let included = found.included.into_iter().map(|(kind, row)| {
            let (base, resource) = match kind {
                PATIENT => (self.desk.identity.as_str(), "Patient"),
                kind => (context.base.as_str(), resource_type(kind)),
            };
            let full_url = full_url(base, resource, &row.id);
            Match { full_url, resource: row.rendering, is_match: false }
        });
        let entries = matches.chain(included).collect();
        let set = SearchSet {
            total: found.total,
            links,
            entries,
            warnings: found.warnings,
            now: found.now,
            id: context.request.clone(),
        };
        let answer = refusal::json_parts(bundle::searchset(&set), self.format.get().pretty);
        match asked.applied {
            Some(applied) => refusal::with(answer, "preference-applied", applied),
            None => answer,
        }
    }

    fn links(&self, asked: &Asked, found: &Found, base: &str) -> Vec<(&'static str, String)> {
        let resource = self.path();
        let address = |query: &str| format!("{base}/{resource}?{query}");
        let page =
            |token: PageToken| address(&format!("_page={}{}", self.desk.sealer.seal(&token), asked.format));
        let Some((text, token)) = &asked.page else {
            let first = address(&asked.honoured);
            let mut links = vec![("self", first.clone())];
            if let Some(next) = &found.next {
                let next = self.token(asked, found, next, Vec::new());
                let first = if asked.posted {
                    page(PageToken { cursor: Vec::new(), back: Vec::new(), ..next.clone() })
                } else {
                    first + &asked.format
                };
                links.push(("first", first));
                links.push(("next", page(next)));
            }
            return links;
        };
        let mut links = vec![("self", address(&format!("_page={text}{}", asked.format)))];
        let at = |cursor: Vec<u8>, back: Vec<Vec<u8>>| PageToken {
            cursor,
            back,
            made: found.now,
            ..token.clone()
        };
        links.push(("first", page(at(Vec::new(), Vec::new()))));
        if let Some((cursor, back)) = token.back.split_last() {
            links.push(("previous", page(at(cursor.clone(), back.to_vec()))));
        }
        if let Some(next) = &found.next {
            let mut back = token.back.clone();
            back.push(token.cursor.clone());
            links.push(("next", page(self.token(asked, found, next, back))));
        }
        links
    }

    fn token(&self, asked: &Asked, found: &Found, next: &Cursor, mut back: Vec<Vec<u8>>) -> PageToken {
        if back.is_empty() && asked.page.is_none() {
            back.push(Vec::new());
        }
        while back.iter().map(Vec::len).sum::<usize>() > MAX_BACK_BYTES {
            back.remove(0);
        }
        PageToken {
            query: format!("{}?{}", self.path(), asked.honoured),
            cursor: next.0.clone(),
            as_of: found.as_of,
            made: found.now,
            total: found.total,
            back,
        }
    }
}

/// The value of `_page`, which needs no decoding: it is made of URL-safe characters.
fn page_parameter(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix("_page=")).map(str::to_owned)
}

/// Parameters as a query string; characters that mean nothing there stay readable.
fn encode(parameters: &[(String, String)]) -> String {
    let mut query = String::with_capacity(96);
    for (name, value) in parameters {
        if !query.is_empty() {
            query.push('&');
        }
        escape(name, &mut query);
        query.push('=');
        escape(value, &mut query);
    }
    query
}

fn escape(text: &str, into: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z'
            | b'A'..=b'Z'
            | b'0'..=b'9'
            | b'-'
            | b'.'
            | b'_'
            | b'~'
            | b':'
            | b'/'
            | b','
            | b'$' => {
                into.push(char::from(byte));
            }
            _ => write!(into, "%{byte:02X}").expect("a String takes any text"),
        }
    }
}

impl<T> Codec<T> for Searching<'_>
where
    T: Transaction<Request = Question, Response = Found, Findings = Findings>,
{
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Question, Fault<Findings>> {
        self.question(request, &context.base).await
    }

    fn write(&self, response: Found, context: &Context) -> Answer {
        self.answer(response, context)
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
    fn a_link_escapes_what_would_mean_something_in_it() {
        let parameters = [("patient.identifier".to_owned(), "urn:oid:1.2|a b&c".to_owned())];
        assert_eq!(encode(&parameters), "patient.identifier=urn:oid:1.2%7Ca%20b%26c");
    }

    #[test]
    fn the_page_token_is_found_among_other_parameters() {
        assert_eq!(page_parameter("_format=json&_page=abc"), Some("abc".to_owned()));
        assert_eq!(page_parameter("status=current"), None);
    }
}
