//! Pairs that may be one person, left behind by the linker for a steward: neither linked nor held apart.

use serde::{Deserialize, Serialize};
use store::{Edge, Kind, Put, Row, Store};

use super::record::{Matched, Pair};

/// The sort of record such a pair is.
pub(super) const PROBABLE: Kind = Kind("probable-duplicate");
/// All of them lie in one partition, best first.
pub(super) const ALL: &str = "probable-duplicates";
/// Points to both patients.
const MAY_BE: &str = "may-be";

/// How much a score moves before a pair is kept anew.
const LIKE: f64 = 0.01;

/// A pair as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Possible {
    /// Whom it is about.
    pub(crate) pair: Pair,
    /// What the matcher says.
    pub(crate) matched: Matched,
    /// Whether both are of one domain.
    pub(crate) is_within_domain: bool,
}

impl Possible {
    /// Whether it says the same, but for what a score moves by when other patients come.
    fn is_like(&self, other: &Possible) -> bool {
        self.is_within_domain == other.is_within_domain
            && self.matched.grade == other.matched.grade
            && (self.matched.score - other.matched.score).abs() < LIKE
    }

    /// What a row keeps.
    pub(super) fn of(row: &Row) -> Result<Possible, store::Error> {
        serde_json::from_slice(&row.body)
            .map_err(|error| store::Error::Damaged(format!("probable pair {}: {error}", row.id)))
    }
}

/// The pairs with this patient.
pub(super) fn with(store: &Store, patient: &str) -> Result<Vec<Pair>, store::Error> {
    let ids = store.sources(PROBABLE, MAY_BE, patient)?;
    Ok(ids.iter().filter_map(|id| Pair::parse(id)).collect())
}

/// A pair as it is kept, if it is.
pub(super) fn kept(store: &Store, pair: &Pair) -> Result<Option<Possible>, store::Error> {
    let row = store.get(PROBABLE, &pair.id())?.filter(|row| !row.deleted);
    row.as_ref().map(Possible::of).transpose()
}

/// What keeps a pair, unless it is kept just so.
pub(super) fn remember(store: &Store, possible: &Possible) -> Result<Option<Put>, store::Error> {
    let row = store.get(PROBABLE, &possible.pair.id())?;
    if let Some(row) = row.as_ref().filter(|row| !row.deleted)
        && Possible::of(row)?.is_like(possible)
    {
        return Ok(None);
    }
    let version = row.map_or(0, |row| row.version);
    Ok(Some(put(possible.pair.clone(), version, Some(possible))))
}

/// What forgets a pair, if it is kept.
pub(super) fn forget(store: &Store, pair: &Pair) -> Result<Option<Put>, store::Error> {
    let row = store.get(PROBABLE, &pair.id())?.filter(|row| !row.deleted);
    Ok(row.map(|row| put(pair.clone(), row.version, None)))
}

fn put(pair: Pair, before: store::Version, possible: Option<&Possible>) -> Put {
    let edges = pair.both().map(|patient| Edge { name: MAY_BE, target: patient.to_owned() });
    let body = possible
        .map(|possible| serde_json::to_vec(possible).expect("texts and numbers can be written as JSON"));
    Put {
        kind: PROBABLE,
        id: pair.id(),
        version: before + 1,
        partition: ALL.to_owned(),
        order: possible.map_or(0, |possible| millionths(possible.matched.score)),
        facts: Vec::new(),
        edges: edges.into(),
        body: body.unwrap_or_default().into(),
        rendering: bytes::Bytes::new(),
        deleted: possible.is_none(),
    }
}

/// A score as a whole number, so that it can be an order.
#[expect(clippy::cast_possible_truncation, reason = "a score is between 0 and 1")]
fn millionths(score: f64) -> i64 {
    (score.clamp(0.0, 1.0) * 1_000_000.0).round() as i64
}
