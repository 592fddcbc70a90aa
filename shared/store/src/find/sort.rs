//! The place of a record in an answer, as bytes that sort ascending whatever the order is.

use xxhash_rust::xxh3::xxh3_64;

use crate::ask::{Ask, Cursor, Order, OrderKey};
use crate::error::Error;
use crate::index::keys::{self, ascending, descending, escape};
use crate::row::{RowView, StoredFact, StoredValue};

const PRESENT: u8 = 0;
/// Begins the place of a record without the fact that it is sorted by.
pub(crate) const MISSING: u8 = 1;
const INSTANT: u8 = 0;
const TEXT: u8 = 1;
const TERM: u8 = 2;

/// A longer place is told in a cursor by the record that stands there.
const SHORT: usize = 64;
const PLACE: u8 = 0;
const RECORD: u8 = 1;

/// Where an answer goes on, as a cursor says it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stand<'a> {
    /// Behind this place.
    Place(&'a [u8]),
    /// Behind the record with this id.
    Record(&'a [u8]),
}

/// The place of a record.
pub(crate) fn place(order: &Order, row: &RowView<'_>) -> Vec<u8> {
    let mut out = match order {
        Order::Natural => descending(row.order()).to_be_bytes().to_vec(),
        Order::Written { descending } => written(*descending, row),
        Order::By { name, descending } => by_fact(name, *descending, row),
        Order::Keys(keys) => keys.iter().flat_map(|key| by_key(key, row)).collect(),
    };
    out.extend_from_slice(row.id());
    out
}

fn by_key(key: &OrderKey, row: &RowView<'_>) -> Vec<u8> {
    match key {
        OrderKey::Fact { name, descending } => by_fact(name, *descending, row),
        OrderKey::Written { descending } => written(*descending, row),
        OrderKey::Id { descending } => {
            let mut id = Vec::with_capacity(row.id().len() + 1);
            escape(row.id(), &mut id);
            id.push(0);
            if *descending {
                id.iter_mut().for_each(|byte| *byte = !*byte);
            }
            id
        }
    }
}

fn written(latest_first: bool, row: &RowView<'_>) -> Vec<u8> {
    let number = if latest_first { descending(row.instant()) } else { ascending(row.instant()) };
    number.to_be_bytes().to_vec()
}

/// Of several facts of the name the one that comes first in this order counts; where there are terms, what they read as
/// does not.
fn by_fact(name: &str, descending: bool, row: &RowView<'_>) -> Vec<u8> {
    let named = || row.facts().filter(|fact| fact.name == name.as_bytes());
    let is_term = |fact: &StoredFact<'_>| matches!(fact.value, StoredValue::Term { .. });
    let terms = named().any(|fact| is_term(&fact));
    named()
        .filter(|fact| !terms || is_term(fact))
        .map(|fact| {
            let mut key = sortable(&fact.value);
            if descending {
                key.iter_mut().for_each(|byte| *byte = !*byte);
            }
            key.insert(0, PRESENT);
            key
        })
        .min()
        .unwrap_or_else(|| vec![MISSING])
}

fn sortable(value: &StoredValue<'_>) -> Vec<u8> {
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
        StoredValue::Term { space, value } => {
            key.push(TERM);
            for part in [value, space] {
                escape(part, &mut key);
                key.push(0);
            }
        }
    }
    key
}

/// What the places of all records begin with that are sorted by this value of a column.
pub(crate) fn beginning(table: u8, value: &[u8], descending: bool) -> Vec<u8> {
    let mut key = Vec::with_capacity(value.len() + 4);
    match table {
        keys::STRETCH => {
            key.push(INSTANT);
            key.extend_from_slice(value.get(..8).unwrap_or(value));
        }
        keys::TERM => {
            key.push(TERM);
            key.extend_from_slice(value);
            key.push(0);
        }
        _ => {
            key.push(TEXT);
            escape(value, &mut key);
            key.push(0);
        }
    }
    if descending {
        key.iter_mut().for_each(|byte| *byte = !*byte);
    }
    key.insert(0, PRESENT);
    key
}

/// Tells questions of other kinds or orders from this one.
fn mark(ask: &Ask) -> [u8; 4] {
    let words = match &ask.order {
        Order::Natural => format!("{} natural", ask.kind.0),
        Order::By { name, descending } => format!("{} by {name} {descending}", ask.kind.0),
        Order::Written { descending } => format!("{} written {descending}", ask.kind.0),
        Order::Keys(keys) => format!("{} keys {keys:?}", ask.kind.0),
    };
    let hash = xxh3_64(words.as_bytes()).to_le_bytes();
    [hash[0], hash[1], hash[2], hash[3]]
}

/// The cursor behind a place, where this row stands.
pub(crate) fn cursor(ask: &Ask, place: &[u8], row: &[u8]) -> Result<Cursor, Error> {
    let mut cursor = mark(ask).to_vec();
    if place.len() <= SHORT {
        cursor.push(PLACE);
        cursor.extend_from_slice(place);
    } else {
        cursor.push(RECORD);
        cursor.extend_from_slice(RowView::new(row)?.id());
    }
    Ok(Cursor(cursor))
}

/// What a cursor stands for.
pub(crate) fn read_cursor(ask: &Ask) -> Result<Option<Stand<'_>>, Error> {
    let Some(cursor) = &ask.after else { return Ok(None) };
    match cursor.0.strip_prefix(&mark(ask)).and_then(<[u8]>::split_first) {
        Some((&PLACE, place)) => Ok(Some(Stand::Place(place))),
        Some((&RECORD, id)) => Ok(Some(Stand::Record(id))),
        Some(_) | None => Err(Error::BadCursor),
    }
}
