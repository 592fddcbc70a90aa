//! XDS.b over the wire: the steps of the NIST toolkit, seeds of our own with their counts, messages of others, and both faces together.

mod ask;
mod captured;
mod codes;
mod corpus;
mod doors;
mod fixture;
mod nist;
mod questions;
mod refused;
mod seed;

pub(super) use codes::CODES;

use std::path::Path;

use anyhow::Result;

use super::Case;

/// Cases with messages of our own.
pub(super) fn own_cases() -> Vec<Case> {
    let mut cases = doors::cases();
    cases.extend(refused::cases());
    cases
}

/// Cases that are judged in a region whose codes are those of the toolkit, and rejects others.
pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    nist::cases(data)
}

/// Cases that need messages of others, in a domain that has agreed on no codes.
pub(super) fn open_cases(data: &Path) -> Result<Vec<Case>> {
    let mut cases = seed::cases(data);
    cases.extend(corpus::cases(data));
    Ok(cases)
}
