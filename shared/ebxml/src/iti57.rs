//! Update Document Set [ITI-57] and Restricted Update Document Set [ITI-92] (TF-2 3.57, 3.92): a submission whose
//! associations ask for changes.

use xds::plan::Trigger;
use xds::{Findings, Submission};

use crate::element::Element;
use crate::rim;

/// `wsa:Action` of ITI-57 and of its answer.
pub const UPDATE: (&str, &str) =
    ("urn:ihe:iti:2010:UpdateDocumentSet", "urn:ihe:iti:2010:UpdateDocumentSetResponse");

/// The same of ITI-92.
pub const RESTRICTED_UPDATE: (&str, &str) =
    ("urn:ihe:iti:2018:RestrictedUpdateDocumentSet", "urn:ihe:iti:2018:RestrictedUpdateDocumentSetResponse");

/// Reads a request from its `lcm:SubmitObjectsRequest`: the set with new versions and associations, and what is asked for, in
/// the order of the message. Both are worth nothing where a finding is an error.
pub fn read(body: &Element) -> (Submission, Vec<Trigger>, Findings) {
    let (update, findings) = rim::read_update(body);
    (update.submission, update.triggers, findings)
}
