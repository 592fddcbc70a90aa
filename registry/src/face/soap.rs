//! The SOAP door of the registry, `POST /xds/registry`: its table of transactions.

use ::soap::{Door, Line};
use actor::Route;
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::Side;

use super::hl7v3;
use super::stored_query;
use super::xds_b;
use crate::Registry;

/// Where it is.
const PATH: &str = "/xds/registry";

/// Which message is which transaction. Where two have the same element, a message without an action is for the first.
static LINES: &[Line<Registry>] = &[
    stored_query::REGISTRY,
    stored_query::MULTI_PATIENT,
    hl7v3::line("urn:hl7-org:v3:PRPA_IN201301UV02", "PRPA_IN201301UV02"),
    hl7v3::line("urn:hl7-org:v3:PRPA_IN201302UV02", "PRPA_IN201302UV02"),
    hl7v3::line("urn:hl7-org:v3:PRPA_IN201304UV02", "PRPA_IN201304UV02"),
    // What sources make of the operations in the WSDL of the registry, and in that of the PIX manager.
    hl7v3::line("urn:ihe:iti:xds-b:2007:DocumentRegistry_PRPA_IN201301UV02", "PRPA_IN201301UV02"),
    hl7v3::line("urn:ihe:iti:xds-b:2007:DocumentRegistry_PRPA_IN201302UV02", "PRPA_IN201302UV02"),
    hl7v3::line("urn:ihe:iti:xds-b:2007:DocumentRegistry_PRPA_IN201304UV02", "PRPA_IN201304UV02"),
    hl7v3::line("urn:ihe:iti:pixv3:2007:PIXManager_PRPA_IN201301UV02", "PRPA_IN201301UV02"),
    hl7v3::line("urn:ihe:iti:pixv3:2007:PIXManager_PRPA_IN201302UV02", "PRPA_IN201302UV02"),
    hl7v3::line("urn:ihe:iti:pixv3:2007:PIXManager_PRPA_IN201304UV02", "PRPA_IN201304UV02"),
    xds_b::REGISTER,
    xds_b::REGISTER_ON_DEMAND,
    xds_b::UPDATE,
    xds_b::RESTRICTED_UPDATE,
    xds_b::REMOVE,
];

/// The lines of the table of the actor this door stands behind.
pub(super) const ROUTES: &[Route<Registry>] = &[
    Route { method: "POST", path: PATH, transaction: "soap", serve },
    Route { method: "GET", path: PATH, transaction: "none", serve: look },
];

fn serve<'a>(registry: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let door = Door {
            corridor: &registry.corridor,
            limits: &registry.limits,
            settings: &registry.soap,
            side: Side::Registry,
        };
        door.serve(LINES, registry, request).await
    })
}

fn look<'a>(_: &'a Registry, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move { ::soap::elsewhere(LINES, request) })
}
