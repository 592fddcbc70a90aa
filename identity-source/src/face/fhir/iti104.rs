//! `PUT` and `DELETE [base]/Patient?identifier=system|value`.

use actor::{Codec, Context, Fault};
use fhir::prefer::Return;
use fhir::{iti104, json, negotiate};
use http::{HeaderName, HeaderValue, StatusCode, header};
use web::{Answer, Request};
use xds::{Findings, Place};

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::events::Happened;
use crate::feed::{self, Change, Fed, FeedPatient, Iti104};
use crate::records::Records;

pub(super) fn feed<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Feed {
            wishes: Wishes::of(request),
            records: source.find.records.clone(),
            limit: source.limits.max_patient_bytes,
        };
        source.corridor.walk(&source.feeding::<Iti104>(), &codec, request).await
    })
}

pub(super) fn remove<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Remove { wishes: Wishes::of(request) };
        source.corridor.walk(&source.feeding::<Iti104>(), &codec, request).await
    })
}

struct Feed {
    wishes: Wishes,
    records: Records,
    limit: u64,
}

impl Codec<FeedPatient<Iti104>> for Feed {
    async fn read(&self, request: &mut Request, context: &Context) -> Result<feed::Request, Fault<Findings>> {
        self.wishes.check()?;
        // Told before the body is read: without a condition no body can help.
        iti104::read_condition(&request.query).map_err(Fault::Refused)?;
        let content_type = answer::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let body = request.body.whole(self.limit, "server.limits.max_patient_bytes").await?;
        let body = syntax.parse(&body, &json::Limits::default()).map_err(Fault::Refused)?;
        let authorities = self.records.authorities();
        let feed = iti104::read_request(&request.query, body, &context.base, authorities);
        let iti104::Feed { identifier, patient } = feed.map_err(Fault::Refused)?;
        let change = Change::Put {
            condition: identifier,
            patient: Box::new(patient),
            unmerges: true,
            keeps_mother: false,
            at: Place::at("Patient"),
        };
        Ok(asked(request, change))
    }

    fn write(&self, fed: Vec<Fed>, context: &Context) -> Answer {
        let Some(fed) = fed.into_iter().next() else { return Answer::empty(StatusCode::NO_CONTENT) };
        let created = fed.created();
        let status = if created { StatusCode::CREATED } else { StatusCode::OK };
        let url = format!("{}/Patient/{}/_history/{}", context.base, fed.id, fed.stamp.version);
        let wanted = self.wishes.back();
        let answer = match wanted {
            Some(Return::Minimal) => Answer::empty(status),
            Some(Return::OperationOutcome) => self.wishes.answer(status, outcome(&fed, &context.request)),
            Some(Return::Representation) | None => self.wishes.answer(status, fed.rendering),
        };
        let mut answer = answer::location(answer, header::CONTENT_LOCATION, &url);
        if created {
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

/// The request for one change.
fn asked(request: &Request, change: Change) -> feed::Request {
    let if_match = answer::text(request, header::IF_MATCH).map(answer::versions);
    // A feed that shall only take in: the versions it would not meet are all there are.
    let only_new = answer::text(request, header::IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*");
    feed::Request { changes: vec![change], if_match, only_new, once: None, message: None }
}

/// What a caller gets who wants to be told in words.
fn outcome(fed: &Fed, id: &str) -> Vec<u8> {
    let verb = match &fed.happened {
        _ if fed.created() => "taken in".to_owned(),
        Some(Happened::Merged { survivor, .. }) => format!("merged into Patient {}, and stands", survivor.id),
        Some(Happened::Unmerged { from }) => format!("no longer merged into Patient {}, and stands", from.id),
        _ => "up to date".to_owned(),
    };
    let text = format!("Patient {} is {verb} at version {}", fed.id, fed.stamp.version);
    fhir::outcome::of_success(&text, &[], id)
}

struct Remove {
    wishes: Wishes,
}

impl Codec<FeedPatient<Iti104>> for Remove {
    async fn read(
        &self,
        request: &mut Request,
        _context: &Context,
    ) -> Result<feed::Request, Fault<Findings>> {
        self.wishes.check()?;
        let identifier = iti104::read_condition(&request.query).map_err(Fault::Refused)?;
        Ok(asked(request, Change::Remove { identifier, at: Place::at("identifier") }))
    }

    /// A removal that finds nobody has come to what it wants (R4 http, 3.1.0.7.1).
    fn write(&self, fed: Vec<Fed>, context: &Context) -> Answer {
        let Some(fed) = fed.into_iter().next() else { return Answer::empty(StatusCode::NO_CONTENT) };
        let removed = fed.happened.is_some();
        let text = if removed {
            format!("Patient {} is removed at version {}", fed.id, fed.stamp.version)
        } else {
            "there is no Patient with this identifier, so nothing was removed".to_owned()
        };
        let answer = match self.wishes.back() {
            Some(Return::Minimal) => Answer::empty(StatusCode::NO_CONTENT),
            Some(Return::OperationOutcome | Return::Representation) | None => {
                self.wishes.answer(StatusCode::OK, fhir::outcome::of_success(&text, &[], &context.request))
            }
        };
        if removed { answer.with(header::ETAG, answer::etag(fed.stamp.version)) } else { answer }
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}
