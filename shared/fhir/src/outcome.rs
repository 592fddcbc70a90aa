//! OperationOutcome: what every non-2xx answer carries (rest-conventions 2).

use xds::{Finding, Findings};

/// HTTP status of an answer that refuses for these findings: that of the worst.
pub fn status(_findings: &[Finding]) -> u16 {
    todo!()
}

/// An OperationOutcome of findings, worst first, at most 100 and then one `incomplete`. `id` is the request id.
pub fn of_findings(_findings: &[Finding], _id: &str) -> Vec<u8> {
    todo!()
}

/// An OperationOutcome of one problem that is not of the domain: its issue code, our code, a sentence.
pub fn of_problem(_issue: &str, _code: &str, _text: &str, _id: &str) -> Vec<u8> {
    todo!()
}

/// Findings of an OperationOutcome a peer sent, as far as we can read them (severity, code, text, expression).
pub fn read(_bytes: &[u8]) -> Option<Findings> {
    todo!()
}
