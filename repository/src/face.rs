//! The faces of the repository: which path is which transaction, and how each is read and written.

pub(crate) mod binary;
mod body;
pub(crate) mod fhir;
pub(crate) mod iti105;
pub(crate) mod iti106;
pub(crate) mod iti41;
pub(crate) mod iti43;
pub(crate) mod iti65;
pub(crate) mod iti68;
pub(crate) mod iti86;
pub(crate) mod metadata;
pub(crate) mod send_to_ehr;
pub(crate) mod soap;
pub(crate) mod task;
pub(crate) mod validate;

pub(crate) use body::Intake;

use web::{Answer, Request};

use crate::Repository;

/// Answers a submission that was taken in, at the endpoint it was sent to.
pub(crate) async fn serve_kept(repository: &Repository, path: &str, request: &mut Request) -> Answer {
    match path {
        "/fhir/DocumentReference" => iti105::serve(repository, request).await,
        _ => iti65::serve(repository, request).await,
    }
}
