//! The FHIR face: paths to transactions and codecs, and how faults are written.

mod answer;
mod iti104;
mod iti119;
mod iti78;
mod iti83;
mod iti93;
mod links;
mod metadata;
mod operations;
mod read;

use actor::Route;
use fhir::unrouted::{self, Asked};
use futures_util::future::LocalBoxFuture;
use http::StatusCode;
use web::{Answer, Request};

use crate::IdentitySource;

pub(super) use answer::reason;

/// The table.
pub(crate) const ROUTES: &[Route<IdentitySource>] = &[
    Route { method: "GET", path: "/fhir/metadata", transaction: "none", serve: metadata::serve },
    Route {
        method: "GET",
        path: "/fhir/CapabilityStatement/$implements",
        transaction: "none",
        serve: metadata::implements,
    },
    Route {
        method: "POST",
        path: "/fhir/CapabilityStatement/$implements",
        transaction: "none",
        serve: metadata::implements,
    },
    Route {
        method: "GET",
        path: "/fhir/CapabilityStatement/$conforms",
        transaction: "none",
        serve: metadata::conforms,
    },
    Route {
        method: "POST",
        path: "/fhir/CapabilityStatement/$conforms",
        transaction: "none",
        serve: metadata::conforms,
    },
    Route {
        method: "GET",
        path: "/fhir/OperationDefinition/{id}",
        transaction: "none",
        serve: operations::read,
    },
    Route { method: "POST", path: "/fhir", transaction: "ITI-93", serve: iti93::process },
    Route { method: "POST", path: "/fhir/$process-message", transaction: "ITI-93", serve: iti93::process },
    Route { method: "GET", path: "/fhir/Patient", transaction: "ITI-78", serve: iti78::search },
    Route { method: "POST", path: "/fhir/Patient/_search", transaction: "ITI-78", serve: iti78::search },
    Route { method: "PUT", path: "/fhir/Patient", transaction: "ITI-104", serve: iti104::feed },
    Route { method: "DELETE", path: "/fhir/Patient", transaction: "ITI-104", serve: iti104::remove },
    Route { method: "GET", path: "/fhir/Patient/$ihe-pix", transaction: "ITI-83", serve: iti83::get },
    Route { method: "POST", path: "/fhir/Patient/$ihe-pix", transaction: "ITI-83", serve: iti83::post },
    Route { method: "POST", path: "/fhir/Patient/$match", transaction: "ITI-119", serve: iti119::post },
    Route {
        method: "GET",
        path: "/fhir/Patient/$duplicates",
        transaction: "duplicates",
        serve: links::duplicates,
    },
    Route { method: "POST", path: "/fhir/Patient/{id}/$link", transaction: "link", serve: links::link },
    Route { method: "POST", path: "/fhir/Patient/{id}/$unlink", transaction: "link", serve: links::unlink },
    Route { method: "GET", path: "/fhir/Patient/{id}/$links", transaction: "links", serve: links::links },
    Route { method: "GET", path: "/fhir/Patient/{id}", transaction: "ITI-78", serve: read::current },
    Route { method: "GET", path: "/fhir/Patient/{id}/_history", transaction: "ITI-78", serve: read::history },
    Route {
        method: "GET",
        path: "/fhir/Patient/{id}/_history/{version}",
        transaction: "ITI-78",
        serve: read::version,
    },
];

/// What a handler of the table gives back.
type Served<'a> = LocalBoxFuture<'a, Answer>;

/// What is answered where no line of the table fits.
pub(crate) fn unrouted(request: &Request, allowed: &[&'static str]) -> Answer {
    let paths: Vec<&str> = ROUTES.iter().map(|route| route.path).collect();
    let asked = Asked { method: request.method.as_str(), path: &request.path, base: &request.base, allowed };
    let hint = match (request.path.split('/').nth(1), &request.method) {
        (Some("DocumentReference" | "List"), _) => "Documents are found at the registry of this domain.",
        (Some("Binary" | "Bundle"), _) => "Documents are provided at the repository of this domain.",
        (Some("Subscription"), _) => {
            "Subscribing to patients [ITI-94] is not offered; the operator lists who is told of them in the configuration."
        }
        (_, &(http::Method::POST | http::Method::PUT | http::Method::PATCH)) => {
            "A Patient is fed under its identifier: PUT [base]/Patient?identifier=system|value."
        }
        _ => "",
    };
    let told = unrouted::tell(asked, &paths, hint);
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::NOT_FOUND);
    answer::problem(status, told.issue, told.code, &told.text, &request.id)
}
