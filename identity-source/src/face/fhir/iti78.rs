//! `GET [base]/Patient` and `POST [base]/Patient/_search`.

use actor::{Codec, Context, Fault};
use bytes::Bytes;
use fhir::bundle::{self, Match, SearchSet};
use fhir::page::{PageToken, Refused};
use fhir::subset::Subset;
use fhir::{iti78, negotiate, patient, search};
use http::{HeaderName, HeaderValue, StatusCode, header};
use store::{Cursor, Instant, Row};
use web::{Answer, Request};
use xds::{Finding, Findings, Place, Rule};

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::query::{FindPatients, Found, PlaceInAnswer, Question};

/// Pages one can go back from any page, so that a link stays short.
const BACK: usize = 4;

pub(super) fn search<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Search { wishes: Wishes::of(request), source, now: source.corridor.clock.now() };
        source.corridor.walk(&source.find, &codec, request).await
    })
}

struct Search<'a> {
    wishes: Wishes,
    source: &'a IdentitySource,
    now: Instant,
}

impl Codec<FindPatients> for Search<'_> {
    async fn read(&self, request: &mut Request, _context: &Context) -> Result<Question, Fault<Findings>> {
        self.wishes.check()?;
        let form = self.form(request).await?;
        let search = self.search(&request.query, form.as_deref())?;
        let written = match &form {
            Some(form) if request.query.is_empty() => form.clone(),
            Some(form) => format!("{}&{form}", request.query),
            None => request.query.clone(),
        };
        // A form speaks for the whole request, its answer included.
        let of_form = form.as_deref().map(negotiate::format_parameters).unwrap_or_default();
        if !of_form.is_empty() {
            request.query.push_str(&of_form);
            Wishes::of(request).check()?;
        }
        let format = negotiate::format_parameters(&request.query);
        let Some(page) = &search.result.page else {
            return Ok(Question { search, written, format, place: None });
        };
        let token = self.open(page)?;
        let search = self.search(&token.query, None)?;
        let place = PlaceInAnswer {
            after: (!token.cursor.is_empty()).then_some(Cursor(token.cursor)),
            as_of: token.as_of,
            total: token.total,
            back: token.back,
        };
        Ok(Question { search, written: token.query, format, place: Some(place) })
    }

    fn write(&self, mut found: Found, context: &Context) -> Answer {
        let warnings = std::mem::take(&mut found.question.search.warnings);
        let shown = self.shown(&found.question.search);
        let entry = |row: &Row| Match {
            full_url: format!("{}/Patient/{}", context.base, row.id),
            resource: shown(&row.rendering),
            is_match: true,
        };
        let entries = found.rows.iter().map(entry).collect();
        let links = self.links(&found, &context.base);
        let set = SearchSet {
            total: Some(found.total),
            links,
            entries,
            warnings,
            now: self.now,
            id: context.request.clone(),
        };
        let answer = self.wishes.parts(StatusCode::OK, bundle::searchset(&set));
        match search::handling(self.wishes.prefer.as_deref()) {
            Some(applied) => {
                let name = HeaderName::from_static("preference-applied");
                answer.with(name, HeaderValue::from_static(applied))
            }
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

impl Search<'_> {
    /// How much of a patient is shown: the identifiers of the domains that were asked for, the elements that were.
    fn shown(&self, search: &search::Search<iti78::Filter>) -> impl Fn(&Bytes) -> Bytes {
        let authorities = self.source.find.records.authorities();
        let domains: Vec<String> =
            search.filter.domains.iter().map(|domain| authorities.canonical(domain)).collect();
        let part = Subset::asked("Patient", search.result.summary.as_deref(), &search.result.elements);
        move |rendering| {
            let wanted = |system: &str| domains.contains(&authorities.canonical(system));
            let shown = match domains.is_empty() {
                true => rendering.clone(),
                false => Bytes::from(patient::restricted(rendering, wanted)),
            };
            part.as_ref().map_or_else(|| shown.clone(), |part| Bytes::from(part.show(&shown)))
        }
    }

    /// The form of a POST search.
    async fn form(&self, request: &mut Request) -> Result<Option<String>, Fault<Findings>> {
        if request.method != http::Method::POST {
            return Ok(None);
        }
        let media = answer::text(request, header::CONTENT_TYPE).unwrap_or_default();
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if !media.is_empty() && media != "application/x-www-form-urlencoded" {
            let taken = "a search is posted as application/x-www-form-urlencoded".to_owned();
            return Err(Fault::UnsupportedMedia(taken));
        }
        let limit = self.source.limits.max_form_bytes;
        let form = request.body.whole(limit, "server.limits.max_form_bytes").await?;
        let form = std::str::from_utf8(&form).map_err(|_| {
            let text = "the form is not UTF-8";
            Fault::Refused(vec![Finding::error(Rule::Structure, Place::whole(), text)])
        })?;
        Ok(Some(form.to_owned()))
    }

    fn search(
        &self,
        query: &str,
        form: Option<&str>,
    ) -> Result<search::Search<iti78::Filter>, Fault<Findings>> {
        let limits = &self.source.limits;
        let limits = search::Limits {
            parameters: limits.max_search_parameters as usize,
            values: limits.max_search_values as usize,
            value_bytes: limits.max_search_value_bytes as usize,
            count: limits.max_count as usize,
        };
        iti78::read_request(query, form, self.wishes.prefer.as_deref(), &self.source.time_zone, &limits)
            .map_err(Fault::Refused)
    }

    fn open(&self, page: &str) -> Result<PageToken, Fault<Findings>> {
        self.source.sealer.open(page, self.now, self.source.page_ttl_seconds).map_err(|refused| {
            let (rule, text) = match refused {
                Refused::Tampered => {
                    (Rule::PageInvalid, "this link to a page is not one of ours; start the search again")
                }
                Refused::Expired => {
                    (Rule::PageExpired, "this link to a page is too old; start the search again")
                }
            };
            Fault::Refused(vec![Finding::error(rule, Place::at("_page"), text)])
        })
    }

    /// `self`, and where there are more pages than one `first`, `next`, `previous`.
    fn links(&self, found: &Found, base: &str) -> Vec<(&'static str, String)> {
        let question = &found.question;
        let place = question.place.as_ref();
        let back: &[Vec<u8>] = place.map_or(&[], |place| &place.back);
        let here = place.and_then(|place| place.after.as_ref()).map_or(Vec::new(), |cursor| cursor.0.clone());
        let to = |cursor: Vec<u8>, back: Vec<Vec<u8>>| {
            let token = PageToken {
                query: question.written.clone(),
                cursor,
                as_of: found.as_of,
                made: self.now,
                total: Some(found.total),
                back,
            };
            format!("{base}/Patient?_page={}{}", self.source.sealer.seal(&token), question.format)
        };
        let mut links = Vec::new();
        match place {
            None => links.push(("self", iti78::write_url(base, &question.search.honoured))),
            Some(_) => links.push(("self", to(here.clone(), back.to_vec()))),
        }
        if place.is_some() || found.next.is_some() {
            links.push(("first", to(Vec::new(), Vec::new())));
        }
        if let Some(next) = &found.next {
            let mut further = back.to_vec();
            further.push(here);
            let excess = further.len().saturating_sub(BACK);
            links.push(("next", to(next.0.clone(), further.split_off(excess))));
        }
        if let Some((previous, before)) = back.split_last() {
            links.push(("previous", to(previous.clone(), before.to_vec())));
        }
        links
    }
}
