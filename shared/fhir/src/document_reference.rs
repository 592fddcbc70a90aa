//! DocumentReference: how a DocumentEntry is read from one and written as one (MHD 2:3.65.4.1.2, table of spec 4.4).

use serde_json::Value;
use xds::{DocumentEntry, Findings, Place, Profile};

/// Version and time of a stored resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `meta.versionId`.
    pub version: u64,
    /// `meta.lastUpdated`, microseconds since 1970.
    pub updated: i64,
}

/// Reads an entry. `symbol` is its fullUrl; `profile` decides what is required.
pub fn read(
    _resource: &Value,
    _symbol: &str,
    _profile: Profile,
    _at: &Place,
) -> Result<DocumentEntry, Findings> {
    todo!()
}

/// A relation of a registered entry, ready to be written as `relatesTo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `replaces`, `transforms`, `appends`, `signs`.
    pub code: &'static str,
    /// entryUUID of the target.
    pub target: String,
}

/// Writes a registered entry: what the source sent, with id, meta, status, identifiers (both conventions of MHD 2.1),
/// relations, url, hash and size as the registry knows them.
pub fn write(_entry: &DocumentEntry, _stamp: Stamp, _relations: &[Relation]) -> Vec<u8> {
    todo!()
}
