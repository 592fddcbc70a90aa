//! `GET [base]/metadata`: what is there, printed from the tables that route.

use fhir::capability::{self, Capability, Interaction, SearchParameter};
use fhir::{iti78, search};
use http::{HeaderValue, StatusCode, header};
use web::{Answer, Request};

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;

const PIX: &str = "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix";

const INTERACTIONS: &[Interaction] = &[
    interaction("read", None, "Read a Patient [ITI-78]"),
    interaction("vread", None, "Read a version of a Patient"),
    interaction("history-instance", None, "All versions of a Patient"),
    interaction("search-type", None, "Mobile Patient Demographics Query [ITI-78]"),
    interaction("update", None, "Patient Identity Feed [ITI-104]: conditional, by identifier"),
    interaction("$ihe-pix", Some(PIX), "Patient Identifier Cross-reference Query [ITI-83]"),
];

const fn interaction(
    code: &'static str,
    definition: Option<&'static str>,
    documentation: &'static str,
) -> Interaction {
    Interaction { resource: Some("Patient"), code, definition, documentation }
}

pub(super) fn serve<'a>(_source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let wishes = Wishes::of(request);
        if let Err(fault) = wishes.check() {
            return answer::refuse(&fault, &request.id);
        }
        answer_with(&wishes, &request.base)
    })
}

fn answer_with(wishes: &Wishes, base: &str) -> Answer {
    wishes
        .answer(StatusCode::OK, capability::write(&capability(base)))
        .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"))
}

fn capability(base: &str) -> Capability {
    Capability {
        title: "docshare patient identity source".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: base.to_owned(),
        date: "2026-11-20".to_owned(),
        instantiates: vec![
            "https://profiles.ihe.net/ITI/PIXm/CapabilityStatement/IHE.PIXm.Manager",
            "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
        ],
        guides: vec![
            "https://profiles.ihe.net/ITI/PIXm/ImplementationGuide/ihe.iti.pixm",
            "https://profiles.ihe.net/ITI/PDQm/ImplementationGuide/ihe.iti.pdqm",
        ],
        interactions: INTERACTIONS.to_vec(),
        parameters: iti78::PARAMETERS.iter().map(parameter).collect(),
        profiles: vec![
            ("Patient", "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"),
            ("Patient", "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient"),
        ],
        conditional_update: true,
        includes: Vec::new(),
        revincludes: Vec::new(),
    }
}

fn parameter(parameter: &search::Parameter<fhir::patient::Attribute>) -> SearchParameter {
    SearchParameter {
        resource: "Patient",
        name: parameter.name,
        kind: match parameter.kind {
            search::Kind::Token => "token",
            search::Kind::Date => "date",
            search::Kind::String => "string",
            search::Kind::Reference => "reference",
            search::Kind::Uri => "uri",
        },
        definition: parameter.definition,
        documentation: parameter.documentation,
    }
}
