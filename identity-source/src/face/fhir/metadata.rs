//! `GET [base]/metadata`: what is there, printed from the tables that route.

use actor::Fault;
use fhir::capability::{
    self, CONFORMS, Capability, IMPLEMENTS, Interaction, Question, SearchParameter, Traits,
};
use fhir::{iti78, iti93, json, negotiate, search};
use http::{HeaderValue, Method, StatusCode, header};
use web::{Answer, Request};
use xds::Findings;

use super::Served;
use super::answer::{self, Wishes};
use super::operations;
use crate::IdentitySource;
use crate::receivers::Protocol;

const PIX: &str = "https://profiles.ihe.net/ITI/PIXm/OperationDefinition/IHE.PIXm.pix";

const MATCH: &str = "https://profiles.ihe.net/ITI/PDQm/OperationDefinition/PDQmMatch";

const PROCESS: &str = "http://hl7.org/fhir/OperationDefinition/MessageHeader-process-message";

const INTERACTIONS: &[Interaction] = &[
    interaction("read", None, "Read a Patient [ITI-78]"),
    interaction("vread", None, "Read a version of a Patient"),
    interaction("history-instance", None, "All versions of a Patient"),
    interaction("search-type", None, "Mobile Patient Demographics Query [ITI-78]"),
    interaction("update", None, "Patient Identity Feed [ITI-104]: conditional, by identifier"),
    interaction(
        "delete",
        None,
        "Remove Patient option of ITI-104: conditional, by identifier, where the domain allows it",
    ),
    interaction("$ihe-pix", Some(PIX), "Patient Identifier Cross-reference Query [ITI-83]"),
    interaction("$match", Some(MATCH), "Patient Demographics Match [ITI-119]"),
    interaction(
        "$link",
        Some(operations::LINK),
        "Two Patients of different domains are one person: a steward's word",
    ),
    interaction("$unlink", Some(operations::UNLINK), "Two Patients are two people: a steward's word"),
    interaction("$links", Some(operations::LINKS), "The links of a Patient, with every decision"),
    interaction("$duplicates", Some(operations::DUPLICATES), "Pairs that may be of one person, for review"),
    system("$process-message", PROCESS, "Mobile Patient Identity Feed [ITI-93]; also taken at the base"),
    Interaction {
        resource: Some("OperationDefinition"),
        code: "read",
        definition: None,
        documentation: "The operations that are this server's own",
    },
    about("$implements", IMPLEMENTS, "Whether this server does what a client's statement requires."),
    about("$conforms", CONFORMS, "What of one statement another one does not offer."),
];

const fn interaction(
    code: &'static str,
    definition: Option<&'static str>,
    documentation: &'static str,
) -> Interaction {
    Interaction { resource: Some("Patient"), code, definition, documentation }
}

const fn system(code: &'static str, definition: &'static str, documentation: &'static str) -> Interaction {
    Interaction { resource: None, code, definition: Some(definition), documentation }
}

/// Who in the domain has what is not here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("DocumentReference", "The registry of this domain has them."),
    ("List", "The registry of this domain has them."),
    ("Binary", "The repository of this domain has them."),
];

const fn about(code: &'static str, definition: &'static str, documentation: &'static str) -> Interaction {
    Interaction { resource: Some("CapabilityStatement"), code, definition: Some(definition), documentation }
}

pub(super) fn serve<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let wishes = Wishes::of(request);
        let described = wishes.check().and_then(|()| {
            capability::describe(&capability(&request.base, source), &request.query).map_err(Fault::Refused)
        });
        match described {
            Ok(written) => wishes
                .answer(StatusCode::OK, written)
                .with(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")),
            Err(fault) => answer::refuse(&fault, &request.id),
        }
    })
}

pub(super) fn implements<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(ask(source, request, Question::Implements))
}

pub(super) fn conforms<'a>(source: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(ask(source, request, Question::Conforms))
}

/// Both are about this server and, like metadata, need no caller.
async fn ask(source: &IdentitySource, request: &mut Request, question: Question) -> Answer {
    let wishes = Wishes::of(request);
    match asked(source, request, &wishes, question).await {
        Ok(written) => wishes.answer(StatusCode::OK, written),
        Err(fault) => answer::refuse(&fault, &request.id),
    }
}

async fn asked(
    source: &IdentitySource,
    request: &mut Request,
    wishes: &Wishes,
    question: Question,
) -> Result<Vec<u8>, Fault<Findings>> {
    wishes.check()?;
    let mut body = None;
    if request.method == Method::POST {
        let content_type = answer::text(request, header::CONTENT_TYPE);
        let syntax = negotiate::request(content_type).map_err(Fault::UnsupportedMedia)?;
        let key = "server.limits.max_body_bytes";
        let sent = request.body.whole(source.limits.max_body_bytes, key).await?;
        body = Some(syntax.parse(&sent, &json::Limits::default()).map_err(Fault::Refused)?);
    }
    let own = capability::statement(&capability(&request.base, source));
    let answered = capability::answer(question, &own, &request.query, body.as_ref(), ELSEWHERE, &request.id);
    answered.map_err(Fault::Refused)
}

fn capability(base: &str, source: &IdentitySource) -> Capability {
    let removes = source.find.records.domains().anybody_may_remove();
    Capability {
        title: "docshare patient identity source".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        url: base.to_owned(),
        date: "2026-11-20".to_owned(),
        instantiates: vec![
            "https://profiles.ihe.net/ITI/PIXm/CapabilityStatement/IHE.PIXm.Manager",
            "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplier",
            "https://profiles.ihe.net/ITI/PDQm/CapabilityStatement/IHE.PDQm.PatientDemographicsSupplierMatch",
        ],
        guides: vec![
            "https://profiles.ihe.net/ITI/PIXm/ImplementationGuide/ihe.iti.pixm",
            "https://profiles.ihe.net/ITI/PDQm/ImplementationGuide/ihe.iti.pdqm",
            "https://profiles.ihe.net/ITI/PMIR/ImplementationGuide/ihe.iti.pmir",
        ],
        messages: messages(source),
        interactions: INTERACTIONS.iter().filter(|one| removes || one.code != "delete").copied().collect(),
        parameters: iti78::PARAMETERS.iter().map(parameter).collect(),
        profiles: vec![
            ("Patient", "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"),
            ("Patient", "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient"),
        ],
        traits: vec![Traits {
            resource: "Patient",
            conditional_read: true,
            conditional_update: true,
            conditional_delete: removes,
            references: &["literal", "logical"],
            ..Traits::default()
        }],
        ..Capability::default()
    }
}

/// Messages that are taken, and sent where somebody is told in them.
fn messages(source: &IdentitySource) -> Vec<(&'static str, &'static str)> {
    let taken = ("receiver", iti93::DEFINITION);
    let sends = source.delivery.receivers().iter().any(|known| known.protocol() == Protocol::Iti93);
    let sent = sends.then_some(("sender", iti93::DEFINITION));
    std::iter::once(taken).chain(sent).collect()
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
