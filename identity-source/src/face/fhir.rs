//! The FHIR face: paths to transactions and codecs, and how faults are written.

mod answer;
mod iti104;
mod iti78;
mod iti83;
mod metadata;
mod read;

use actor::Route;
use futures_util::future::LocalBoxFuture;
use http::{HeaderValue, StatusCode};
use web::{Answer, Request};

use crate::IdentitySource;

/// The table.
pub(crate) const ROUTES: &[Route<IdentitySource>] = &[
    Route { method: "GET", path: "/fhir/metadata", transaction: "none", serve: metadata::serve },
    Route { method: "GET", path: "/fhir/Patient", transaction: "ITI-78", serve: iti78::search },
    Route { method: "POST", path: "/fhir/Patient/_search", transaction: "ITI-78", serve: iti78::search },
    Route { method: "PUT", path: "/fhir/Patient", transaction: "ITI-104", serve: iti104::feed },
    Route { method: "GET", path: "/fhir/Patient/$ihe-pix", transaction: "ITI-83", serve: iti83::get },
    Route { method: "POST", path: "/fhir/Patient/$ihe-pix", transaction: "ITI-83", serve: iti83::post },
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
    let is_unknown_operation = request.path.rsplit('/').next().is_some_and(|name| name.starts_with('$'))
        && !request.path.ends_with("/$ihe-pix");
    if allowed.is_empty() || is_unknown_operation {
        let text = format!(
            "there is nothing at this path; this server has Patient, Patient/$ihe-pix and metadata under {}",
            request.base
        );
        return answer::problem(StatusCode::NOT_FOUND, "not-supported", "unknown-path", &text, &request.id);
    }
    let methods = allowed.join(", ");
    let hint = match request.method {
        http::Method::POST => "; a Patient is fed by PUT [base]/Patient?identifier=system|value",
        http::Method::PUT => {
            "; a Patient is updated under its identifier: PUT [base]/Patient?identifier=system|value"
        }
        _ => "",
    };
    let text = format!("{} is not supported here; supported are {methods}{hint}", request.method);
    let answer = answer::problem(
        StatusCode::METHOD_NOT_ALLOWED,
        "not-supported",
        "method-not-allowed",
        &text,
        &request.id,
    );
    match HeaderValue::from_str(&methods) {
        Ok(methods) => answer.with(http::header::ALLOW, methods),
        Err(_) => answer,
    }
}
