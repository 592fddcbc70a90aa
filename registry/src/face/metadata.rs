//! The CapabilityStatement: what is there and nothing else.

use bytes::Bytes;
use fhir::capability::{self, Capability, SearchParameter};
use fhir::negotiate;
use fhir::search::{Kind, PATIENT_PARAMETERS, Parameter};
use fhir::{iti66, iti67};
use http::{HeaderValue, StatusCode, header};
use web::{Answer, Request};

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

/// `GET [base]/metadata`: needs no caller.
pub(super) fn answer(registry: &Registry, request: &Request) -> Answer {
    let accept = request.headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = match negotiate::answer(&request.query, accept) {
        Ok(format) => format,
        Err(text) => return refusal::refuse(&actor::Fault::NotAcceptable(text), &request.id),
    };
    let base = registry.public_url.as_deref().unwrap_or(&request.base);
    let statement = capability::write(&statement(base));
    refusal::json(StatusCode::OK, Bytes::from(statement), format.pretty)
        .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))
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
        parameters: documents.chain(lists).collect(),
        profiles: PROFILES.to_vec(),
        ..Capability::default()
    }
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
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.SubmissionSet"),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.SubmissionSet"),
    (
        "List",
        "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.UnContained.Comprehensive.SubmissionSet",
    ),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.Folder"),
    ("List", "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.Folder"),
];

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
