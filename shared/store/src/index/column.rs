//! One index of facts of global reach, held in memory: which records, by their numbers, have which value.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::ask::{Span, Test};
use crate::find::evaluate;
use crate::index::bits::Bits;
use crate::index::keys;

/// The column of one name in one table.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) table: u8,
    pub(crate) name: Vec<u8>,
    /// Records by value. A text is here as it is; a term is the escaped value, an end, the escaped name space; a stretch is
    /// beginning and end as they sort.
    holders: BTreeMap<Box<[u8]>, Holders>,
    weight: usize,
}

/// Numbers of records, rising.
#[derive(Debug)]
enum Holders {
    One(u32),
    Many(Vec<u32>),
}

impl Holders {
    fn numbers(&self) -> &[u32] {
        match self {
            Holders::One(number) => std::slice::from_ref(number),
            Holders::Many(numbers) => numbers,
        }
    }

    fn insert(&mut self, number: u32) {
        match self {
            Holders::One(known) if *known == number => {}
            Holders::One(known) => {
                *self = Holders::Many(vec![number.min(*known), number.max(*known)]);
            }
            Holders::Many(numbers) => {
                if let Err(place) = numbers.binary_search(&number) {
                    numbers.insert(place, number);
                }
            }
        }
    }

    /// Takes a number out; true when none is left.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Holders::One(known) => *known == number,
            Holders::Many(numbers) => {
                if let Ok(place) = numbers.binary_search(&number) {
                    numbers.remove(place);
                }
                numbers.is_empty()
            }
        }
    }
}

/// A key of one of the tables of facts, in its parts.
pub(crate) struct FactKey<'a> {
    pub(crate) name: &'a [u8],
    /// As it stands in the key.
    pub(crate) value: &'a [u8],
    pub(crate) id: &'a [u8],
}

/// Takes a key apart, of which the table and the kind are known.
pub(crate) fn fact_key(key: &[u8]) -> Option<FactKey<'_>> {
    let behind_kind = keys::after_parts(key, 1)?;
    let value_and_id = keys::after_parts(key, 2)?;
    let name = behind_kind.get(..behind_kind.len() - value_and_id.len() - 1)?;
    let (value, id) = match *key.first()? {
        keys::TERM => {
            let id = keys::after_parts(key, 4)?;
            (value_and_id.get(..value_and_id.len() - id.len() - 1)?, id)
        }
        keys::STRETCH => value_and_id.split_at_checked(16)?,
        _ => {
            let id = keys::after_parts(key, 3)?;
            (value_and_id.get(..value_and_id.len() - id.len() - 1)?, id)
        }
    };
    Some(FactKey { name, value, id })
}

/// Bytes that a value takes beside its own, about; and a number.
const OF_A_VALUE: usize = 64;
const OF_A_NUMBER: usize = 4;

impl Column {
    pub(crate) fn new(table: u8, name: &[u8]) -> Column {
        Column { table, name: name.to_vec(), holders: BTreeMap::new(), weight: 0 }
    }

    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// A record has this value from now on.
    pub(crate) fn insert(&mut self, value: &[u8], number: u32) {
        let value = self.plain(value);
        self.weight += OF_A_NUMBER;
        if let Some(holders) = self.holders.get_mut(value.as_ref()) {
            holders.insert(number);
            return;
        }
        self.weight += OF_A_VALUE + value.len();
        self.holders.insert(value.into(), Holders::One(number));
    }

    /// A record has this value no more.
    pub(crate) fn remove(&mut self, value: &[u8], number: u32) {
        let value = self.plain(value);
        if self.holders.get_mut(value.as_ref()).is_some_and(|holders| holders.remove(number)) {
            self.holders.remove(value.as_ref());
            self.weight = self.weight.saturating_sub(OF_A_VALUE + value.len());
        }
        self.weight = self.weight.saturating_sub(OF_A_NUMBER);
    }

    /// A value of a key as it is held here: texts without their escapes.
    fn plain<'a>(&self, value: &'a [u8]) -> std::borrow::Cow<'a, [u8]> {
        match self.table {
            keys::FOLDED | keys::EXACT => keys::plain(value),
            _ => value.into(),
        }
    }

    /// Adds the records for which a test on this column holds.
    pub(crate) fn add(&self, test: &Test, into: &mut Bits) {
        match test {
            Test::Prefix { folded, .. } => {
                let begins = |value: &[u8]| value.starts_with(folded.as_bytes());
                self.from(folded.as_bytes()).take_while(|(value, _)| begins(value)).for_each(add(into));
            }
            Test::Contains { folded, .. } => {
                let finder = memchr::memmem::Finder::new(folded.as_bytes());
                self.all().filter(|(value, _)| finder.find(value).is_some()).for_each(add(into));
            }
            Test::Exact { exact, .. } => {
                self.holders
                    .get(exact.as_bytes())
                    .map(|found| ((&[][..]), found))
                    .into_iter()
                    .for_each(add(into));
            }
            Test::Term { space, value: Some(value), .. } => {
                let mut beginning = Vec::with_capacity(value.len() + 32);
                keys::escape(value.as_bytes(), &mut beginning);
                beginning.push(0);
                if let Some(space) = space {
                    keys::escape(space.as_bytes(), &mut beginning);
                    self.holders
                        .get(beginning.as_slice())
                        .map(|found| (&[][..], found))
                        .into_iter()
                        .for_each(add(into));
                } else {
                    let begins = |value: &[u8]| value.starts_with(&beginning);
                    self.from(&beginning).take_while(|(value, _)| begins(value)).for_each(add(into));
                }
            }
            Test::Term { space: Some(space), value: None, .. } => {
                let mut end = vec![0];
                keys::escape(space.as_bytes(), &mut end);
                let within = |value: &[u8]| memchr::memchr(0, value).is_some_and(|at| value[at..] == end[..]);
                self.all().filter(|(value, _)| within(value)).for_each(add(into));
            }
            Test::Instant { span, .. } => self.compare(*span, into),
            // That there is any; what else there is, is asked of no column.
            _ => self.all().for_each(add(into)),
        }
    }

    fn compare(&self, span: Span, into: &mut Bits) {
        let (from, to) = crate::find::plan::begins(span);
        let (from, to) = (instant(from), to.map(instant));
        let begins = |value: &[u8]| to.is_none_or(|to| value[..8] < to[..]);
        let fits = |value: &[u8]| stretch(value).is_some_and(|(from, to)| evaluate::within(span, from, to));
        let found = self.from(&from).take_while(|(value, _)| begins(value));
        found.filter(|(value, _)| fits(value)).for_each(add(into));
    }

    fn from(&self, beginning: &[u8]) -> impl Iterator<Item = (&[u8], &Holders)> {
        let range = (Bound::Included(beginning), Bound::Unbounded);
        self.holders.range::<[u8], _>(range).map(|(value, holders)| (value.as_ref(), holders))
    }

    fn all(&self) -> impl Iterator<Item = (&[u8], &Holders)> {
        self.holders.iter().map(|(value, holders)| (value.as_ref(), holders))
    }

    /// Values in order with the numbers of their records.
    pub(crate) fn in_order(&self, descending: bool) -> Box<dyn Iterator<Item = (&[u8], &[u32])> + '_> {
        if descending {
            Box::new(self.holders.iter().rev().map(|(value, holders)| (value.as_ref(), holders.numbers())))
        } else {
            Box::new(self.all().map(|(value, holders)| (value, holders.numbers())))
        }
    }
}

fn add(into: &mut Bits) -> impl FnMut((&[u8], &Holders)) {
    |(_, holders)| holders.numbers().iter().for_each(|number| into.insert(*number))
}

fn instant(instant: i64) -> [u8; 8] {
    keys::ascending(instant).to_be_bytes()
}

fn stretch(value: &[u8]) -> Option<(i64, i64)> {
    let (from, to) = value.split_first_chunk::<8>()?;
    let of = |bytes: [u8; 8]| (u64::from_be_bytes(bytes) ^ (1 << 63)) as i64;
    Some((of(*from), of(to.try_into().ok()?)))
}
