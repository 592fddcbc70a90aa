//! How the registry is spoken to: FHIR at `/fhir`, and `settle` for the repository that coordinates a submission.

mod export;
pub(crate) mod fhir;
mod group;
mod hl7v2;
mod hl7v3;
mod metadata;
pub(crate) mod mllp;
mod publish;
mod read;
mod reconcile;
mod refusal;
mod register;
mod review;
mod search;
mod soap;
mod stored_query;
mod terminology;
pub(crate) mod time;
mod update;
mod xds_b;

pub(crate) use search::Desk;
