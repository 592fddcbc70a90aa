//! XDS.b over the wire: the steps of the NIST toolkit, seeds of our own with their counts, messages of others, and both faces together.

mod ask;
mod captured;
mod codes;
mod nist;
mod questions;
mod seed;

pub(super) use codes::CODES;

use std::path::Path;

use anyhow::Result;

use super::Case;

/// Cases that are judged in a region whose codes are those of the toolkit, and rejects others.
pub(super) fn cases(data: &Path) -> Result<Vec<Case>> {
    nist::cases(data)
}

/// Cases that need messages of others, in a domain that has agreed on no codes.
pub(super) fn open_cases(data: &Path) -> Result<Vec<Case>> {
    Ok(seed::cases(data))
}
