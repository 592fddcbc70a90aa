//! What callers speak: FHIR at `/fhir`, and HL7 v3 in SOAP at `/pix/manager`, and HL7 v2 over MLLP.

use std::sync::LazyLock;

use actor::Route;

use crate::IdentitySource;

pub(crate) mod fhir;
mod hl7v2;
mod hl7v3;
mod mllp;
mod soap;

/// The whole table.
static ROUTES: LazyLock<Vec<Route<IdentitySource>>> = LazyLock::new(|| {
    let tables = [fhir::ROUTES, soap::ROUTES];
    tables.into_iter().flatten().map(|route| Route { ..*route }).collect()
});

/// What is answered where.
pub(crate) fn routes() -> &'static [Route<IdentitySource>] {
    &ROUTES
}
