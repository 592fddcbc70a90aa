//! The faces of the repository: which path is which transaction, and how each is read and written.

pub(crate) mod binary;
pub(crate) mod fhir;
pub(crate) mod iti65;
pub(crate) mod iti68;
