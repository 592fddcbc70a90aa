//! The SOAP door of the identity source, `POST /pix/manager`: its table of transactions.

use ::soap::{Door, Line};
use actor::Route;
use futures_util::future::LocalBoxFuture;
use web::{Answer, Request};
use xds::Side;

use super::hl7v3;
use crate::IdentitySource;

/// Where it is.
const PATH: &str = "/pix/manager";

/// Which message is which transaction.
static LINES: &[Line<IdentitySource>] = &[
    hl7v3::line("urn:hl7-org:v3:PRPA_IN201301UV02", "PRPA_IN201301UV02"),
    hl7v3::line("urn:hl7-org:v3:PRPA_IN201302UV02", "PRPA_IN201302UV02"),
    hl7v3::line("urn:hl7-org:v3:PRPA_IN201304UV02", "PRPA_IN201304UV02"),
    // What sources make of the operations in the WSDL of the PIX manager.
    hl7v3::line("urn:ihe:iti:pixv3:2007:PIXManager_PRPA_IN201301UV02", "PRPA_IN201301UV02"),
    hl7v3::line("urn:ihe:iti:pixv3:2007:PIXManager_PRPA_IN201302UV02", "PRPA_IN201302UV02"),
    hl7v3::line("urn:ihe:iti:pixv3:2007:PIXManager_PRPA_IN201304UV02", "PRPA_IN201304UV02"),
];

/// The lines of the table of the actor this door stands behind.
pub(super) const ROUTES: &[Route<IdentitySource>] = &[
    Route { method: "POST", path: PATH, transaction: "soap", serve },
    Route { method: "GET", path: PATH, transaction: "none", serve: look },
];

fn serve<'a>(source: &'a IdentitySource, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move {
        let door = Door {
            corridor: &source.corridor,
            limits: &source.limits,
            settings: &source.soap,
            side: Side::Registry,
        };
        door.serve(LINES, source, request).await
    })
}

fn look<'a>(_: &'a IdentitySource, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async move { ::soap::elsewhere(LINES, request) })
}
