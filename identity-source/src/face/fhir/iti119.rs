//! `POST [base]/Patient/$match`.

use actor::{Codec, Context, Fault};
use fhir::bundle::{self, MatchSet};
use fhir::{iti119, json, negotiate};
use http::{StatusCode, header};
use store::Instant;
use web::{Answer, Request};
use xds::Findings;

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::matches::{MatchPatient, Matched};
use crate::matching::Scored;

pub(super) fn post<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let codec = Operation {
            wishes: Wishes::of(request),
            limit: source.limits.max_patient_bytes,
            now: source.corridor.clock.now(),
        };
        source.corridor.walk(&source.match_patient, &codec, request).await
    })
}

struct Operation {
    wishes: Wishes,
    limit: u64,
    now: Instant,
}

impl Codec<MatchPatient> for Operation {
    async fn read(
        &self,
        request: &mut Request,
        _context: &Context,
    ) -> Result<iti119::Question, Fault<Findings>> {
        self.wishes.check()?;
        iti119::check_query(&request.query).map_err(Fault::Refused)?;
        let content_type = answer::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let body = request.body.whole(self.limit, "server.limits.max_patient_bytes").await?;
        let body = syntax.parse(&body, &json::Limits::default()).map_err(Fault::Refused)?;
        iti119::read_request(body).map_err(Fault::Refused)
    }

    fn write(&self, matched: Matched, context: &Context) -> Answer {
        let entry = |one: Scored| iti119::Scored {
            full_url: format!("{}/Patient/{}", context.base, one.row.id),
            resource: one.row.rendering,
            score: one.score,
            grade: one.grade.code(),
            weight: one.explanation.weight,
            fields: one
                .explanation
                .fields
                .into_iter()
                .map(|said| (said.field, said.says, said.weight))
                .collect(),
            held: one.explanation.held,
        };
        let set = MatchSet {
            total: matched.total as u64,
            links: vec![("self", format!("{}/Patient/$match", context.base))],
            entries: matched.scored.into_iter().map(entry).collect(),
            warnings: matched.warnings,
            now: self.now,
            id: context.request.clone(),
        };
        self.wishes.parts(StatusCode::OK, bundle::matches(&set))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}
