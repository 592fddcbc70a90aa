//! `PUT [base]/Patient?identifier=system|value`.

use actor::{Codec, Context, Fault};
use fhir::prefer::Return;
use fhir::{iti104, json, negotiate};
use http::{HeaderName, HeaderValue, StatusCode, header};
use web::{Answer, Request};
use xds::Findings;

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::feed::{self, Fed, FeedPatient};

pub(super) fn feed<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Feed { wishes: Wishes::of(request), limit: source.limits.max_patient_bytes };
        source.corridor.walk(&source.feed, &codec, request).await
    })
}

struct Feed {
    wishes: Wishes,
    limit: u64,
}

impl Codec<FeedPatient> for Feed {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<feed::Request, Fault<Findings>> {
        self.wishes.check()?;
        // Told before the body is read: without a condition no body can help.
        iti104::read_condition(&request.query).map_err(Fault::Refused)?;
        let content_type = answer::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let body = request.body.whole(self.limit, "server.limits.max_patient_bytes").await?;
        let body = syntax.parse(&body, &json::Limits::default()).map_err(Fault::Refused)?;
        let feed = iti104::read_request(&request.query, body, &context.base).map_err(Fault::Refused)?;
        let if_match = answer::text(request, header::IF_MATCH).map(answer::versions);
        Ok(feed::Request { feed, if_match })
    }

    fn write(&self, fed: Fed, context: &Context) -> Answer {
        let status = if fed.created { StatusCode::CREATED } else { StatusCode::OK };
        let url = format!("{}/Patient/{}/_history/{}", context.base, fed.id, fed.stamp.version);
        let wanted = self.wishes.back();
        let answer = match wanted {
            Some(Return::Minimal) => Answer::empty(status),
            Some(Return::OperationOutcome) => self.wishes.answer(status, outcome(&fed, &context.request)),
            Some(Return::Representation) | None => self.wishes.answer(status, fed.rendering),
        };
        let mut answer = answer::location(answer, header::CONTENT_LOCATION, &url);
        if fed.created {
            answer = answer::location(answer, header::LOCATION, &url);
        }
        answer = answer.with(header::ETAG, answer::etag(fed.stamp.version));
        if let Some(time) = answer::last_modified(fed.stamp.updated) {
            answer = answer.with(header::LAST_MODIFIED, time);
        }
        match wanted {
            Some(back) => answer.with(
                HeaderName::from_static("preference-applied"),
                HeaderValue::from_static(back.applied()),
            ),
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

/// What a caller gets who wants to be told in words.
fn outcome(fed: &Fed, id: &str) -> Vec<u8> {
    let verb = if fed.created { "taken in" } else { "up to date" };
    let text = format!("Patient {} is {verb} at version {}", fed.id, fed.stamp.version);
    fhir::outcome::of_success(&text, &[], id)
}
