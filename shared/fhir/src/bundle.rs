//! Searchset and history Bundles, put together from stored bytes without parsing them.

use bytes::Bytes;
use xds::Finding;

/// One match.
#[derive(Debug, Clone)]
pub struct Match {
    /// Absolute URL.
    pub full_url: String,
    /// The resource as stored.
    pub resource: Bytes,
    /// False for an included resource.
    pub is_match: bool,
}

/// A searchset to be written.
#[derive(Debug, Default)]
pub struct SearchSet {
    /// `total`.
    pub total: Option<u64>,
    /// `link`: relation and URL.
    pub links: Vec<(&'static str, String)>,
    /// The matches.
    pub entries: Vec<Match>,
    /// Reservations: one `outcome` entry.
    pub warnings: Vec<Finding>,
    /// `meta.lastUpdated` of the Bundle, microseconds.
    pub now: i64,
    /// Bundle.id and OperationOutcome.id: the request id.
    pub id: String,
}

/// Writes a searchset in parts.
pub fn searchset(_set: &SearchSet) -> Vec<Bytes> {
    todo!()
}

/// One version in a history.
#[derive(Debug, Clone)]
pub struct Past {
    /// Absolute URL.
    pub full_url: String,
    /// The resource; none if this version is a deletion.
    pub resource: Option<Bytes>,
    /// Version.
    pub version: u64,
    /// Microseconds.
    pub updated: i64,
    /// Relative URL, e.g. `DocumentReference/…`.
    pub url: String,
}

/// Writes a history Bundle, newest first.
pub fn history(_total: u64, _entries: &[Past], _self_url: &str, _now: i64) -> Vec<Bytes> {
    todo!()
}
