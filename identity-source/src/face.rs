//! What callers speak: FHIR.

pub(crate) mod fhir;
