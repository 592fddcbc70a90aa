//! `GET` and `POST [base]/Patient/$ihe-pix`.

use actor::{Codec, Context, Fault};
use fhir::iti83::Named;
use fhir::{iti83, json, negotiate};
use http::{StatusCode, header};
use web::{Answer, Request};
use xds::Findings;

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;
use crate::crossreference::CrossReference;

pub(super) fn get<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    serve(source, request, false)
}

pub(super) fn post<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    serve(source, request, true)
}

fn serve<'a>(source: &'a IdentitySource, request: &'a mut Request, in_body: bool) -> Served<'a> {
    Box::pin(async move {
        let codec = Operation { wishes: Wishes::of(request), in_body, limit: source.limits.max_form_bytes };
        source.corridor.walk(&source.cross_reference, &codec, request).await
    })
}

struct Operation {
    wishes: Wishes,
    /// Whether the parameters are in a Parameters resource.
    in_body: bool,
    limit: u64,
}

impl Codec<CrossReference> for Operation {
    async fn read(
        &self,
        request: &mut Request,
        _context: &Context,
    ) -> Result<(iti83::Question, String), Fault<Findings>> {
        self.wishes.check()?;
        if !self.in_body {
            let question = iti83::read_query(&request.query).map_err(Fault::Refused)?;
            return Ok((question, request.query.clone()));
        }
        let content_type = answer::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let body = request.body.whole(self.limit, "server.limits.max_form_bytes").await?;
        let parsed = syntax.parse(&body, &json::Limits::default()).map_err(Fault::Refused)?;
        let question = iti83::read_parameters(&request.query, &parsed).map_err(Fault::Refused)?;
        let body = String::from_utf8_lossy(&body);
        let written =
            if request.query.is_empty() { body.into_owned() } else { format!("{} {body}", request.query) };
        Ok((question, written))
    }

    fn write(&self, names: Vec<Named>, _context: &Context) -> Answer {
        self.wishes.answer(StatusCode::OK, iti83::write_response(&names))
    }

    fn refuse(&self, fault: Fault<Findings>, context: &Context) -> Answer {
        answer::refuse(&fault, &context.request)
    }

    fn reason(&self, fault: &Fault<Findings>) -> String {
        answer::reason(fault)
    }
}
