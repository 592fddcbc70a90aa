//! Patients that were merged into another one: who stands for whom.
//!
//! A merge is told by the FHIR feed (`link` replaced-by), by ADT^A40 [ITI-8] or by PRPA_IN201304UV02 [ITI-44]. What belonged to the
//! subsumed patient was moved when it was told (`merge.rs`); here chains are followed to their end.

use store::{Row, Store};
use xds::Identifier;

use crate::authorities::Authorities;
use crate::records::{MERGED_AWAY, MERGED_INTO, PATIENT, patient_row};

/// Merges in a row that are followed; a longer chain is a circle.
const MOST: usize = 1000;

/// Who took the place of a patient whose row this is.
fn next(row: &Row) -> Option<String> {
    row.edges().find(|(name, _)| *name == MERGED_INTO).map(|(_, target)| target.to_owned())
}

/// Whether a patient was merged into another one.
pub(crate) fn is_away(store: &Store, id: &str) -> Result<bool, store::Error> {
    Ok(!store.sources(PATIENT, MERGED_AWAY, id)?.is_empty())
}

/// Who stands for a patient after all merges; none: the patient itself does.
pub(crate) fn survivor(store: &Store, id: &str) -> Result<Option<String>, store::Error> {
    if !is_away(store, id)? {
        return Ok(None);
    }
    let mut last = None;
    let mut at = id.to_owned();
    for _ in 0..MOST {
        let row = store.get(PATIENT, &at)?.filter(|row| !row.deleted);
        let Some(into) = row.as_ref().and_then(next).filter(|into| into != id) else { return Ok(last) };
        at.clone_from(&into);
        last = Some(into);
    }
    Ok(last)
}

/// A patient, who took its place, who took that one's place, and so on.
pub(crate) fn chain(store: &Store, id: &str) -> Result<Vec<String>, store::Error> {
    let mut chain = vec![id.to_owned()];
    while let Some(last) = chain.last().filter(|_| chain.len() < MOST) {
        let row = store.get(PATIENT, last)?.filter(|row| !row.deleted);
        match row.as_ref().and_then(next).filter(|next| !chain.contains(next)) {
            Some(next) => chain.push(next),
            None => break,
        }
    }
    Ok(chain)
}

/// Who stands for a patient, be it itself.
pub(crate) fn stands(store: &Store, id: &str) -> Result<String, store::Error> {
    Ok(survivor(store, id)?.unwrap_or_else(|| id.to_owned()))
}

/// Of the identifiers of a patient, the one of the affinity domain, or else the first.
pub(crate) fn best<'a>(identifiers: &'a [Identifier], authorities: &Authorities) -> Option<&'a Identifier> {
    let own = identifiers.iter().find(|identifier| authorities.has(&identifier.system));
    own.or(identifiers.first())
}

/// The identifier a patient is known by in the affinity domain, or elsewhere if it has none there.
pub(crate) fn known_by(
    store: &Store,
    authorities: &Authorities,
    id: &str,
) -> Result<Option<Identifier>, store::Error> {
    let Some((_, record)) = patient_row(store, id)? else { return Ok(None) };
    Ok(best(&record.identifiers, authorities).cloned())
}
