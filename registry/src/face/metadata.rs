//! The CapabilityStatement: what is there and nothing else.

use actor::Fault;
use bytes::Bytes;
use fhir::capability::{self, Capability, Question, SearchParameter, Traits};
use fhir::json;
use fhir::negotiate::{self, Format};
use fhir::search::{self, Kind, PATIENT_PARAMETERS, Parameter};
use fhir::{iti66, iti67};
use http::{HeaderValue, Method, StatusCode, header};
use web::{Answer, Request};
use xds::Findings;

use super::{fhir as table, refusal};
use crate::Registry;

/// When this statement last changed its claims.
const PUBLISHED: &str = "2026-11-20";

/// Canonical of the MHD guide's actor this is.
const RESPONDER: &str = "https://profiles.ihe.net/ITI/MHD/CapabilityStatement/IHE.MHD.DocumentResponder";
/// Canonical of the server of the Bulk Data Access guide.
const BULK_DATA: &str = "http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data";
/// Canonical of the MHD guide.
const MHD: &str = "https://profiles.ihe.net/ITI/MHD/ImplementationGuide/ihe.iti.mhd";

/// Who in the domain has what is not here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("Binary", "The repository of this domain has them."),
    ("search-system", "Search by type: DocumentReference, List."),
];

/// `GET [base]/metadata`: needs no caller.
pub(super) fn answer(registry: &Registry, request: &Request) -> Answer {
    let described = format(request).and_then(|format| {
        let written = capability::describe(&statement(base(registry, request)), &request.query);
        written.map(|written| (format, written)).map_err(Fault::Refused)
    });
    match described {
        Ok((format, written)) => refusal::json(StatusCode::OK, Bytes::from(written), format.pretty)
            .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
        Err(fault) => refusal::refuse(&fault, &request.id),
    }
}

/// `GET` and `POST [base]/CapabilityStatement/$implements` and `$conforms`: about this server, so they need no caller either.
pub(super) async fn ask(registry: &Registry, request: &mut Request, question: Question) -> Answer {
    match asked(registry, request, question).await {
        Ok((format, written)) => refusal::json(StatusCode::OK, Bytes::from(written), format.pretty),
        Err(fault) => refusal::refuse(&fault, &request.id),
    }
}

async fn asked(
    registry: &Registry,
    request: &mut Request,
    question: Question,
) -> Result<(Format, Vec<u8>), Fault<Findings>> {
    let format = format(request)?;
    let mut body = None;
    if request.method == Method::POST {
        let content_type = request.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let key = "server.limits.max_body_bytes";
        let sent = request.body.whole(registry.limits.max_body_bytes, key).await?;
        body = Some(syntax.parse(&sent, &json::Limits::default()).map_err(Fault::Refused)?);
    }
    let own = capability::statement(&statement(base(registry, request)));
    let written = capability::answer(question, &own, &request.query, body.as_ref(), ELSEWHERE, &request.id);
    Ok((format, written.map_err(Fault::Refused)?))
}

fn format(request: &Request) -> Result<Format, Fault<Findings>> {
    let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    negotiate::answer(&request.query, accept).map_err(Fault::NotAcceptable)
}

fn base<'a>(registry: &'a Registry, request: &'a Request) -> &'a str {
    registry.public_url.as_deref().unwrap_or(&request.base)
}

fn statement(base: &str) -> Capability {
    let patients = |resource| PATIENT_PARAMETERS.iter().map(move |p| parameter(resource, p));
    let documents = iti67::PARAMETERS.iter().map(|p| parameter("DocumentReference", p));
    let lists = iti66::PARAMETERS.iter().map(|p| parameter("List", p));
    let documents = patients("DocumentReference").chain(documents);
    let lists = patients("List").chain(lists);
    Capability {
        title: "docshare registry".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: base.to_owned(),
        date: PUBLISHED.to_owned(),
        instantiates: vec![RESPONDER, BULK_DATA],
        guides: vec![MHD],
        interactions: table::interactions(),
        parameters: documents.chain(lists).chain(terminology()).collect(),
        profiles: PROFILES.to_vec(),
        traits: TRAITS.to_vec(),
        includes: includes(search::INCLUDES),
        messages: Vec::new(),
        revincludes: includes(search::REVINCLUDES),
    }
}

/// How the types behave.
const TRAITS: &[Traits] = &[
    Traits {
        resource: "DocumentReference",
        conditional_create: true,
        conditional_read: true,
        conditional_update: false,
        conditional_delete: false,
        update_create: false,
        versioned_update: true,
        references: &["literal", "logical"],
    },
    Traits {
        resource: "List",
        conditional_create: false,
        conditional_read: true,
        conditional_update: false,
        conditional_delete: false,
        update_create: false,
        versioned_update: true,
        references: &["literal", "logical"],
    },
];

/// What value sets and their kin are found by.
fn terminology() -> impl Iterator<Item = SearchParameter> {
    let of = |resource| {
        [
            ("_id", "token", "Logical id."),
            ("url", "uri", "Canonical URL."),
            ("name", "string", "How the name begins."),
        ]
        .map(|(name, kind, documentation)| SearchParameter {
            resource,
            name,
            kind,
            definition: None,
            documentation,
        })
    };
    ["ValueSet", "CodeSystem", "ConceptMap", "NamingSystem"].into_iter().flat_map(of)
}

/// What is accepted and given back.
const PROFILES: &[(&str, &str)] = &[
    (
        "DocumentReference",
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.DocumentReference",
    ),
    (
        "DocumentReference",
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.DocumentReference",
    ),
    (
        "DocumentReference",
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.UnContained.Comprehensive.DocumentReference",
    ),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.List"),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.SubmissionSet"),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.SubmissionSet"),
    (
        "List",
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.UnContained.Comprehensive.SubmissionSet",
    ),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.Folder"),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.Folder"),
];

fn includes(table: &[(&'static str, &'static str, search::Follow)]) -> Vec<(&'static str, &'static str)> {
    table.iter().map(|(kind, value, _)| (*kind, *value)).collect()
}

fn parameter<A>(resource: &'static str, parameter: &Parameter<A>) -> SearchParameter {
    let kind = match parameter.kind {
        Kind::Token => "token",
        Kind::Date => "date",
        Kind::String => "string",
        Kind::Reference => "reference",
        Kind::Uri => "uri",
    };
    SearchParameter {
        resource,
        name: parameter.name,
        kind,
        definition: parameter.definition,
        documentation: parameter.documentation,
    }
}
