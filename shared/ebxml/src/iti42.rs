//! Register Document Set-b [ITI-42], and Register On-Demand Document Entry [ITI-61], which has the same form (TF-2 3.42, 3.61).

use xds::{Finding, Findings, Side, Submission};

use crate::element::Element;
use crate::response::{self, RegistryResponse, Status};
use crate::rim::{self, Column};
use crate::writer::Writer;

/// `wsa:Action` of ITI-42 and of its answer.
pub const REGISTER: (&str, &str) =
    ("urn:ihe:iti:2007:RegisterDocumentSet-b", "urn:ihe:iti:2007:RegisterDocumentSet-bResponse");

/// The same of ITI-61. Some answer with `…:RegisterOnDemandDocumentEntryResponse`.
pub const REGISTER_ON_DEMAND: (&str, &str) =
    ("urn:ihe:iti:2010:RegisterOnDemandDocumentEntry", "urn:ihe:iti:2010:RegisterOnDemandDocumentResponse");

/// Reads an ITI-42 from its `lcm:SubmitObjectsRequest`. The submission is worth nothing where a finding is an error.
pub fn read_request(body: &Element) -> (Submission, Findings) {
    rim::read_submission(body, Column::Repository)
}

/// Reads an ITI-61, likewise.
pub fn read_on_demand(body: &Element) -> (Submission, Findings) {
    rim::read_submission(body, Column::OnDemand)
}

/// Writes the body of an ITI-42 or ITI-61.
///
/// # Errors
/// An association to something that only its uniqueId names.
pub fn write_request(submission: &Submission) -> Result<Vec<u8>, Finding> {
    let mut out = Writer::with_capacity(8192 * (1 + submission.documents.len()));
    rim::write_submission(&mut out, submission)?;
    Ok(out.finish())
}

/// Writes the answer to a submission: all of it went well, or nothing of it.
pub fn write_response(findings: &[Finding], side: Side) -> Vec<u8> {
    let mut out = Writer::default();
    response::write(&mut out, Status::of(findings), findings, side);
    out.finish()
}

/// Reads the answer; none if it is none.
pub fn read_response(body: &Element) -> Option<RegistryResponse> {
    (&*body.name == "RegistryResponse").then(|| response::read(body)).flatten()
}
