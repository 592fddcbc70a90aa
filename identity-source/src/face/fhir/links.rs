//! `POST [base]/Patient/{id}/$link` and `…/$unlink`, `GET [base]/Patient/{id}/$links`, `GET [base]/Patient/$duplicates`.

use actor::{Codec, Context, Fault};
use fhir::links::{self, Duplicate, Score};
use fhir::page::{PageToken, Refused};
use fhir::{json, negotiate};
use http::{StatusCode, header};
use store::{Cursor, Instant};
use web::{Answer, Request};
use xds::{Finding, Findings, Place as At, Rule};

use super::Served;
use super::answer::{self, Wishes};
use super::read::id;
use crate::IdentitySource;
use crate::links::{
    Decide, Decided, Decision, Duplicates, FindDuplicates, Link, Links, Matched, Place, ReadLinks, Wanted,
    WantedDuplicates, Wish,
};

pub(super) fn link<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    decide(source, request, Wish::Link)
}

pub(super) fn unlink<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    decide(source, request, Wish::Unlink)
}

fn decide<'a>(source: &'a IdentitySource, request: &'a mut Request, wish: Wish) -> Served<'a> {
    Box::pin(async move {
        let codec = Deciding { wishes: Wishes::of(request), wish, limit: source.limits.max_form_bytes };
        source.corridor.walk(&source.decide, &codec, request).await
    })
}

pub(super) fn links<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Reading { wishes: Wishes::of(request) };
        source.corridor.walk(&source.links, &codec, request).await
    })
}

pub(super) fn duplicates<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let format = negotiate::format_parameters(&request.query);
        let codec = Listing { wishes: Wishes::of(request), source, now: source.corridor.clock.now(), format };
        source.corridor.walk(&source.duplicates, &codec, request).await
    })
}

struct Deciding {
    wishes: Wishes,
    wish: Wish,
    limit: u64,
}

impl Codec<Decide> for Deciding {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<Wanted, Fault<Findings>> {
        self.wishes.check()?;
        let id = id(request)?;
        let content_type = answer::text(request, header::CONTENT_TYPE).map(str::to_owned);
        let body = request.body.whole(self.limit, "server.limits.max_form_bytes").await?;
        let parsed = if body.is_empty() {
            None
        } else {
            let syntax = negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
            Some(syntax.parse(&body, &json::Limits::default()).map_err(Fault::Refused)?)
        };
        let asked = links::read_decision(&request.query, parsed.as_ref(), &context.base);
        let asked = asked.map_err(Fault::Refused)?;
        let wish = match (self.wish, asked.withdraw) {
            (wish, false) => wish,
            (_, true) => Wish::Withdraw,
        };
        Ok(Wanted { id, other: asked.other, wish, reason: asked.reason })
    }

    fn write(&self, decided: Decided, context: &Context) -> Answer {
        let told = told(&decided.link, vec![decided.link.decision.clone()], &decided.id, &context.base);
        let person = urls(&decided.person, &context.base);
        let patient = url(&decided.id, &context.base);
        let body = links::write_decision(&patient, &person, &told, &decided.warnings);
        self.wishes.answer(StatusCode::OK, body)
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}

struct Reading {
    wishes: Wishes,
}

impl Codec<ReadLinks> for Reading {
    async fn read(&self, request: &mut Request, _context: &Context) -> Result<String, Fault<Findings>> {
        self.wishes.check()?;
        id(request)
    }

    fn write(&self, found: Links, context: &Context) -> Answer {
        let base = &context.base;
        let person = urls(&found.person, base);
        let all: Vec<links::Link> = found
            .links
            .into_iter()
            .map(|(link, decisions)| told(&link, decisions, &found.id, base))
            .collect();
        self.wishes.answer(StatusCode::OK, links::write_links(&url(&found.id, base), &person, &all))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}

struct Listing<'a> {
    wishes: Wishes,
    source: &'a IdentitySource,
    now: Instant,
    /// What the link to the next page repeats of the wish for a format.
    format: String,
}

impl Codec<FindDuplicates> for Listing<'_> {
    async fn read(
        &self,
        request: &mut Request,
        context: &Context,
    ) -> Result<WantedDuplicates, Fault<Findings>> {
        self.wishes.check()?;
        let most = self.source.limits.max_count as usize;
        let asked = links::read_duplicates(&request.query, &context.base).map_err(Fault::Refused)?;
        let count = asked.count.unwrap_or(USUAL).min(most);
        let mut wanted = WantedDuplicates { patient: asked.patient, count, place: None };
        if let Some(page) = &asked.page {
            let token = self.open(page)?;
            wanted.count = links::read_count(&token.query).map_err(Fault::Refused)?.min(most);
            wanted.place = Some(Place { after: Cursor(token.cursor), as_of: token.as_of });
        }
        Ok(wanted)
    }

    fn write(&self, found: Duplicates, context: &Context) -> Answer {
        let base = &context.base;
        let pairs: Vec<Duplicate> = found
            .pairs
            .into_iter()
            .map(|(possible, words)| {
                let [one, other] = possible.pair.both().map(|id| url(id, base));
                let [words_of_one, words_of_other] = words;
                Duplicate {
                    patients: [(one, words_of_one), (other, words_of_other)],
                    is_within_domain: possible.is_within_domain,
                    score: score(possible.matched),
                }
            })
            .collect();
        let next = found.next.map(|place| {
            let token = PageToken {
                query: found.count.to_string(),
                cursor: place.after.0,
                as_of: place.as_of,
                made: self.now,
                total: None,
                back: Vec::new(),
            };
            let page = self.source.sealer.seal(&token);
            format!("{base}/Patient/$duplicates?_page={page}{}", self.format)
        });
        self.wishes.answer(StatusCode::OK, links::write_duplicates(&pairs, next.as_deref()))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}

/// Pairs to a page where nobody says how many.
const USUAL: usize = 50;

impl Listing<'_> {
    fn open(&self, page: &str) -> Result<PageToken, Fault<Findings>> {
        self.source.sealer.open(page, self.now, self.source.page_ttl_seconds).map_err(|refused| {
            let (rule, text) = match refused {
                Refused::Tampered => {
                    (Rule::PageInvalid, "this link to a page is not one of ours; start again")
                }
                Refused::Expired => (Rule::PageExpired, "this link to a page is too old; start again"),
            };
            Fault::Refused(vec![Finding::error(rule, At::at("_page"), text)])
        })
    }
}

fn told(link: &Link, decisions: Vec<Decision>, of: &str, base: &str) -> links::Link {
    links::Link {
        patient: url(link.pair.other(of), base),
        state: link.verdict().word(),
        by: match (link.held_by(), link.is_apart()) {
            (Some(by), _) => Some(by.word()),
            (None, true) => Some(crate::links::By::Steward.word()),
            (None, false) => None,
        },
        identifiers: link.stated.iter().map(crate::links::Statement::identifier).collect(),
        score: link.matched.clone().map(score),
        decisions: decisions
            .into_iter()
            .map(|decision| links::Decision {
                by: decision.by.word(),
                verdict: decision.verdict.word(),
                who: decision.who,
                when: decision.when,
                reason: decision.reason,
            })
            .collect(),
    }
}

fn score(matched: Matched) -> Score {
    let Matched { score, grade, explanation } = matched;
    let fields = explanation.fields.into_iter().map(|said| format!("{} ({:+.1})", said.says, said.weight));
    let explanation = fields.chain(explanation.held.map(|why| format!("not certain: {why}"))).collect();
    Score { score, grade, explanation }
}

fn url(id: &str, base: &str) -> String {
    format!("{base}/Patient/{id}")
}

fn urls(ids: &[String], base: &str) -> Vec<String> {
    ids.iter().map(|id| url(id, base)).collect()
}
