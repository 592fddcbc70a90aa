//! Which format a caller sends, and which it wants (rest-conventions 1).

/// What an answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format {
    /// `_pretty=true`.
    pub pretty: bool,
}

/// Content type of JSON answers.
pub const JSON: &str = "application/fhir+json; charset=utf-8";

/// The format of the answer, from `_format`, `_pretty` and `Accept`; an error names what can be had (406).
/// XML is not built yet and counts as not acceptable unless JSON is acceptable too.
pub fn answer(_query: &str, _accept: Option<&str>) -> Result<Format, String> {
    todo!()
}

/// Checks `Content-Type` of a request body; an error names what is taken (415). XML is not built yet.
pub fn request(_content_type: Option<&str>) -> Result<(), String> {
    todo!()
}

/// Re-formats JSON for `_pretty`.
pub fn pretty(_json: &[u8]) -> Vec<u8> {
    todo!()
}
