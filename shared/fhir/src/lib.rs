//! The FHIR R4 (4.0.1) we speak: MHD, PIXm, PDQm.
//!
//! Lives here: strict reading of JSON and XML against the R4 shapes, JSON written as XML, the codec of each transaction,
//! search syntax, Bundles, OperationOutcome, CapabilityStatement, paging tokens.
//! Does not live here: rules that are true on every face (`xds`), HTTP, storage.
//! Doors: `xds`, `audit`.

mod attributes;
mod beyond;
pub mod bundle;
pub mod capability;
pub mod coded;
pub mod condition;
pub mod docref;
pub mod document_reference;
mod element;
pub mod history;
pub mod iti104;
pub mod iti105;
pub mod iti106;
pub mod iti119;
pub mod iti65;
pub mod iti66;
pub mod iti67;
pub mod iti78;
pub mod iti83;
pub mod iti93;
pub mod json;
pub mod links;
pub mod list;
pub mod negotiate;
pub mod outcome;
pub mod page;
pub mod patch;
pub mod patient;
mod people;
pub mod prefer;
mod recipients;
mod reference_ids;
pub mod schema;
pub mod search;
mod source_patient;
pub mod subset;
pub mod unrouted;
pub mod update;
pub mod when;
pub mod xml;
