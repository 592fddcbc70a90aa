//! The faces of the repository: which path is which transaction, and how each is read and written.

pub(crate) mod binary;
mod body;
pub(crate) mod fhir;
pub(crate) mod iti105;
pub(crate) mod iti106;
pub(crate) mod iti65;
pub(crate) mod iti68;
pub(crate) mod metadata;
pub(crate) mod validate;

pub(crate) use body::Intake;
