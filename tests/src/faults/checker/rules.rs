//! The promises, a file for each family.

pub(super) mod disk;
pub(super) mod forward;
pub(super) mod kept;
pub(super) mod merged;
pub(super) mod once;
pub(super) mod quiet;
pub(super) mod refused;
pub(super) mod replaced;
pub(super) mod retrieved;
pub(super) mod submitted;
pub(super) mod updated;
pub(super) mod whole;

use super::ledger::{Ledger, Object};
use crate::faults::history::Kind;

/// An object in words.
fn name(ledger: &Ledger<'_>, object: Object) -> String {
    let sent = ledger.sent(object);
    let kind = match sent.kind {
        Kind::Document => "document",
        Kind::Set => "submission set",
        Kind::Folder => "folder",
    };
    format!("{kind} {}", sent.unique_id)
}
