//! The place of a record in an answer, as bytes that sort ascending whatever the order is.

use xxhash_rust::xxh3::xxh3_64;

use crate::ask::{Ask, Cursor, Order};
use crate::error::Error;
use crate::index::keys::{ascending, descending, escape};
use crate::row::{RowView, StoredValue};

const PRESENT: u8 = 0;
const MISSING: u8 = 1;
const INSTANT: u8 = 0;
const TEXT: u8 = 1;

/// The place of a record.
pub(crate) fn place(order: &Order, row: &RowView<'_>) -> Vec<u8> {
    let mut out = match order {
        Order::Natural => descending(row.order()).to_be_bytes().to_vec(),
        Order::Written { descending: true } => descending(row.instant()).to_be_bytes().to_vec(),
        Order::Written { descending: false } => ascending(row.instant()).to_be_bytes().to_vec(),
        Order::By { name, descending } => by_fact(name, *descending, row),
    };
    out.extend_from_slice(row.id());
    out
}

/// Of several facts of the name the one that comes first in this order counts.
fn by_fact(name: &str, descending: bool, row: &RowView<'_>) -> Vec<u8> {
    row.facts()
        .filter(|fact| fact.name == name.as_bytes())
        .filter_map(|fact| {
            let mut key = sortable(&fact.value)?;
            if descending {
                key.iter_mut().for_each(|byte| *byte = !*byte);
            }
            key.insert(0, PRESENT);
            Some(key)
        })
        .min()
        .unwrap_or_else(|| vec![MISSING])
}

fn sortable(value: &StoredValue<'_>) -> Option<Vec<u8>> {
    let mut key = Vec::with_capacity(32);
    match value {
        StoredValue::Stretch { from, .. } => {
            key.push(INSTANT);
            key.extend_from_slice(&ascending(*from).to_be_bytes());
        }
        StoredValue::Text { folded, exact } => {
            key.push(TEXT);
            for part in [folded, exact] {
                escape(part, &mut key);
                key.push(0);
            }
        }
        StoredValue::Term { .. } => return None,
    }
    Some(key)
}

/// Tells questions of other kinds or orders from this one.
fn mark(ask: &Ask) -> [u8; 4] {
    let words = match &ask.order {
        Order::Natural => format!("{} natural", ask.kind.0),
        Order::By { name, descending } => format!("{} by {name} {descending}", ask.kind.0),
        Order::Written { descending } => format!("{} written {descending}", ask.kind.0),
    };
    let hash = xxh3_64(words.as_bytes()).to_le_bytes();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The cursor behind a place.
pub(crate) fn cursor(ask: &Ask, place: &[u8]) -> Cursor {
    Cursor([&mark(ask), place].concat())
}

/// The place a cursor stands for.
pub(crate) fn read_cursor(ask: &Ask) -> Result<Option<&[u8]>, Error> {
    match &ask.after {
        None => Ok(None),
        Some(cursor) => cursor.0.strip_prefix(&mark(ask)).map(Some).ok_or(Error::BadCursor),
    }
}
