//! The CapabilityStatement: what is there and nothing else, and what a client lacks.

use actor::{Actor, Fault};
use fhir::capability::{self, Capability, Question, SearchParameter, Traits};
use fhir::json;
use fhir::negotiate::{self, Format};
use http::{HeaderValue, Method, StatusCode, header};
use web::{Answer, Request};
use xds::Findings;

use super::{fhir as face, task};
use crate::Repository;

/// Who in the domain has what is not here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("List", "The registry of this domain has them."),
    ("Patient", "The identity source of this domain has them."),
    ("search-type", "The registry of this domain is searched."),
    ("search-system", "The registry of this domain is searched, by type."),
];

/// `GET [base]/metadata`: needs no caller. The statement is the same for everybody and for a while: caches may keep it.
pub(super) fn answer(request: &Request) -> Answer {
    let described = format(request).and_then(|format| {
        let written = capability::describe(&statement(&request.base), &request.query);
        written.map(|written| (format, written)).map_err(Fault::Refused)
    });
    match described {
        Ok((format, written)) => face::json(StatusCode::OK, written, format)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        Err(fault) => face::refuse(&fault, &request.id, Format::default()),
    }
}

/// `GET` and `POST [base]/CapabilityStatement/$implements` and `$conforms`: about this server, so they need no caller either.
pub(super) async fn ask(repository: &Repository, request: &mut Request, question: Question) -> Answer {
    match asked(repository, request, question).await {
        Ok((format, written)) => face::json(StatusCode::OK, written, format),
        Err(fault) => face::refuse(&fault, &request.id, Format::default()),
    }
}

async fn asked(
    repository: &Repository,
    request: &mut Request,
    question: Question,
) -> Result<(Format, Vec<u8>), Fault<Findings>> {
    let format = format(request)?;
    let mut body = None;
    if request.method == Method::POST {
        let content_type = face::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type.as_deref()).map_err(Fault::UnsupportedMedia)?;
        let key = "server.limits.max_body_bytes";
        let sent = request.body.whole(repository.house.limits.max_body_bytes, key).await?;
        body = Some(syntax.parse(&sent, &json::Limits::default()).map_err(Fault::Refused)?);
    }
    let own = capability::statement(&statement(&request.base));
    let written = capability::answer(question, &own, &request.query, body.as_ref(), ELSEWHERE, &request.id);
    Ok((format, written.map_err(Fault::Refused)?))
}

fn format(request: &Request) -> Result<Format, Fault<Findings>> {
    face::format(request).map_err(Fault::NotAcceptable)
}

fn statement(base: &str) -> Capability {
    Capability {
        title: "docshare repository".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: base.to_owned(),
        date: "2026-11-20".to_owned(),
        instantiates: vec![
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Comprehensive",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.UnContained",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Fdoc",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Simplified",
            "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentRecipient.Generate",
        ],
        guides: vec!["https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd"],
        interactions: Repository::routes()
            .iter()
            .filter_map(|route| face::interaction(route.method, route.path))
            .collect(),
        parameters: task::PARAMETERS
            .iter()
            .map(|(name, kind, documentation)| SearchParameter {
                resource: "Task",
                name,
                kind,
                definition: None,
                documentation,
            })
            .collect(),
        traits: vec![Traits {
            resource: "DocumentReference",
            references: &["literal", "logical"],
            ..Traits::default()
        }],
        ..Capability::default()
    }
}
