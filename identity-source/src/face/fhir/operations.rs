//! `GET [base]/OperationDefinition/{id}`: the operations that are this server's own, for whoever reads about them in `/metadata`.

use actor::Fault;
use http::StatusCode;
use serde_json::{Value, json};
use web::Request;

use super::Served;
use super::answer::{self, Wishes};
use crate::IdentitySource;

/// Two records are of one person: a steward's word.
pub(super) const LINK: &str = "https://docshare.example/fhir/OperationDefinition/patient-link";
/// Two records are of two people: a steward's word.
pub(super) const UNLINK: &str = "https://docshare.example/fhir/OperationDefinition/patient-unlink";
/// What is known of a record's links.
pub(super) const LINKS: &str = "https://docshare.example/fhir/OperationDefinition/patient-links";
/// Pairs that may be of one person.
pub(super) const DUPLICATES: &str = "https://docshare.example/fhir/OperationDefinition/patient-duplicates";

/// An operation of our own.
struct Operation {
    url: &'static str,
    name: &'static str,
    code: &'static str,
    /// What it does.
    text: &'static str,
    /// Whether it is about one Patient.
    instance: bool,
    affects: bool,
    /// Name, `in` or `out`, least, most, type, words.
    parameters: &'static [(&'static str, &'static str, u32, &'static str, &'static str, &'static str)],
}

/// What a steward says.
const WORD: &[(&str, &str, u32, &str, &str, &str)] = &[
    ("other", "in", 1, "1", "Reference", "The other Patient. Also as Identifier, or its id as string."),
    ("reason", "in", 0, "1", "string", "Why: kept with the decision."),
    ("withdraw", "in", 0, "1", "boolean", "Takes what a steward has said of the pair back instead."),
    ("return", "out", 1, "1", "Parameters", "The link as it stands."),
];

const OPERATIONS: &[Operation] = &[
    Operation {
        url: LINK,
        name: "PatientLink",
        code: "link",
        text: "Says that two Patients of different domains are one person. It goes before what feeds and matching say, is kept as a decision, and can be reversed.",
        instance: true,
        affects: true,
        parameters: WORD,
    },
    Operation {
        url: UNLINK,
        name: "PatientUnlink",
        code: "unlink",
        text: "Says that two Patients are two people, so that neither feeds nor matching link them.",
        instance: true,
        affects: true,
        parameters: WORD,
    },
    Operation {
        url: LINKS,
        name: "PatientLinks",
        code: "links",
        text: "Tells what is known of the links of a Patient: every decision, by whom, on what basis and why.",
        instance: true,
        affects: false,
        parameters: &[("return", "out", 1, "1", "Parameters", "The links, each with its decisions.")],
    },
    Operation {
        url: DUPLICATES,
        name: "PatientDuplicates",
        code: "duplicates",
        text: "Lists pairs of Patients that may be of one person, with what speaks for it, for a steward to decide. Paged.",
        instance: false,
        affects: false,
        parameters: &[
            (
                "patient",
                "in",
                0,
                "1",
                "string",
                "Only pairs with this one: Patient/{id}, its id, or system|value.",
            ),
            ("_count", "in", 0, "1", "integer", "Pairs of a page."),
            ("return", "out", 1, "1", "Parameters", "The pairs."),
        ],
    },
];

pub(super) fn read<'a>(_: &'a IdentitySource, request: &'a mut Request) -> Served<'a> {
    Box::pin(async move {
        let wishes = Wishes::of(request);
        if let Err(fault) = wishes.check() {
            return answer::refuse(&fault, &request.id);
        }
        let id = request.params.get("id").unwrap_or_default();
        let found = OPERATIONS.iter().find(|operation| operation.url.rsplit('/').next() == Some(id));
        match found {
            Some(operation) => wishes.answer(StatusCode::OK, definition(id, operation).to_string()),
            None => answer::refuse(&Fault::NotFound, &request.id),
        }
    })
}

fn definition(id: &str, operation: &Operation) -> Value {
    let parameter = |(name, way, min, max, kind, words): &(&str, &str, u32, &str, &str, &str)| json!({ "name": name, "use": way, "min": min, "max": max, "type": kind, "documentation": words });
    json!({
        "resourceType": "OperationDefinition",
        "id": id,
        "url": operation.url,
        "version": env!("CARGO_PKG_VERSION"),
        "name": operation.name,
        "title": operation.text,
        "status": "active",
        "kind": "operation",
        "description": operation.text,
        "affectsState": operation.affects,
        "code": operation.code,
        "resource": ["Patient"],
        "system": false,
        "type": !operation.instance,
        "instance": operation.instance,
        "parameter": operation.parameters.iter().map(parameter).collect::<Vec<_>>(),
    })
}
