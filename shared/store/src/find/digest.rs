//! A partition that is asked about again and again, taken apart once: its rows in order, their terms as numbers, their
//! stretches of time at hand. What it says is what the index says; it only saves reading it again for every question.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use bytes::Bytes;

use crate::ask::{AnyOf, Span, Test};
use crate::error::Error;
use crate::find::evaluate;
use crate::row::{RowView, StoredValue};

/// The rows of one partition. What is asked of all of them lies side by side, so that a question need not go to each row.
#[derive(Debug, Default)]
pub(crate) struct Digest {
    pub(crate) rows: Vec<Digested>,
    /// Number of each term, by name and value; the name space beside it.
    known: HashMap<Vec<u8>, Vec<(Vec<u8>, u32)>>,
    /// Names of stretches.
    names: Vec<Vec<u8>>,
    /// Of each term, by its number, the rows that have it.
    holders: Vec<Vec<u32>>,
    /// The stretches of all rows, one row after the other; so are the edges.
    stretches: Vec<(usize, i64, i64)>,
    /// Edges: where name and target lie in `texts`.
    edges: Vec<(Range<usize>, Range<usize>)>,
    texts: Vec<u8>,
    weight: usize,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Digested {
    /// The row as it is stored.
    pub(crate) bytes: Bytes,
    stretches: Range<usize>,
    edges: Range<usize>,
    id: Range<usize>,
}

/// Conditions, in the numbers of a digest.
pub(crate) struct Checks<'a> {
    /// The rows of whose terms all holds that is said of terms, a bit for each row; none if nothing is.
    rows: Option<Vec<u64>>,
    /// What is asked of those.
    others: Vec<Check<'a>>,
}

/// A condition, in the numbers of a digest.
enum Check<'a> {
    /// One of these comparisons.
    Stretches(Vec<(Option<usize>, Span)>, bool),
    /// One of these ids.
    Among(&'a HashSet<String>, bool),
    /// Whatever needs the row itself.
    Row(&'a AnyOf),
}

impl Checks<'_> {
    /// The first place from here on whose row has the terms that are asked for; where there is none, the end.
    pub(crate) fn next(&self, from: usize, end: usize) -> usize {
        let Some(rows) = &self.rows else { return from };
        let rest =
            |word: usize| if word == from / 64 { rows[word] & (u64::MAX << (from % 64)) } else { rows[word] };
        let found = (from / 64..rows.len()).map(|word| (word, rest(word))).find(|(_, bits)| *bits != 0);
        found.map_or(end, |(word, bits)| end.min(64 * word + bits.trailing_zeros() as usize))
    }
}

impl Digest {
    /// Takes the next row in, in the order of the index.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let row = RowView::new(bytes)?;
        let number_of_row = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
        let (mut terms, stretches, edges) = (0, self.stretches.len(), self.edges.len());
        for fact in row.facts() {
            match fact.value {
                StoredValue::Term { space, value } => {
                    let number = self.number(fact.name, value, space);
                    let holders = &mut self.holders[number as usize];
                    if holders.last() != Some(&number_of_row) {
                        holders.push(number_of_row);
                    }
                    terms += 1;
                }
                StoredValue::Stretch { from, to } => {
                    let known = self.names.iter().position(|name| name == fact.name);
                    let name = known.unwrap_or_else(|| {
                        self.names.push(fact.name.to_vec());
                        self.names.len() - 1
                    });
                    self.stretches.push((name, from, to));
                }
                StoredValue::Text { .. } => {}
            }
        }
        for (name, target) in row.edges() {
            let edge = (self.text(name), self.text(target));
            self.edges.push(edge);
        }
        let id = self.text(row.id());
        let own = Digested {
            bytes: Bytes::copy_from_slice(bytes),
            stretches: stretches..self.stretches.len(),
            edges: edges..self.edges.len(),
            id,
        };
        self.weight += bytes.len() + 8 * terms + 24 * own.stretches.len() + 128 * own.edges.len() + 192;
        self.rows.push(own);
        Ok(())
    }

    fn text(&mut self, text: &[u8]) -> Range<usize> {
        let start = self.texts.len();
        self.texts.extend_from_slice(text);
        start..self.texts.len()
    }

    /// Where a row points to along edges of these names.
    pub(crate) fn targets<'a>(
        &'a self,
        row: &Digested,
        wanted: &'a [&'static str],
    ) -> impl Iterator<Item = &'a [u8]> {
        let edges = self.edges[row.edges.clone()].iter();
        edges
            .filter(|(name, _)| wanted.iter().any(|one| one.as_bytes() == &self.texts[name.clone()]))
            .map(|(_, target)| &self.texts[target.clone()])
    }

    fn number(&mut self, name: &[u8], value: &[u8], space: &[u8]) -> u32 {
        let spaces = self.known.entry(key(name, value)).or_default();
        if let Some((_, number)) = spaces.iter().find(|(known, _)| known == space) {
            return *number;
        }
        let number = u32::try_from(self.holders.len()).unwrap_or(u32::MAX);
        self.holders.push(Vec::new());
        self.weight += name.len() + value.len() + space.len() + 168;
        spaces.push((space.to_vec(), number));
        number
    }

    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Conditions in the numbers of this digest.
    pub(crate) fn checks<'a>(&self, all: &'a [AnyOf]) -> Checks<'a> {
        let mut checks = Checks { rows: None, others: Vec::with_capacity(all.len()) };
        for any in all {
            let Some(numbers) = self.terms(any) else {
                checks.others.push(self.check(any));
                continue;
            };
            let own = self.holding(&numbers, any.negated);
            checks.rows = Some(match checks.rows {
                None => own,
                Some(before) => before.iter().zip(&own).map(|(one, other)| one & other).collect(),
            });
        }
        checks
    }

    /// The rows that have one of these terms, or those that have none of them.
    fn holding(&self, numbers: &[u32], negated: bool) -> Vec<u64> {
        let mut bits = vec![0; self.rows.len().div_ceil(64)];
        for row in numbers.iter().flat_map(|number| &self.holders[*number as usize]) {
            bits[*row as usize / 64] |= 1 << (row % 64);
        }
        if negated {
            bits.iter_mut().for_each(|word: &mut u64| *word = !*word);
        }
        bits
    }

    /// The numbers of the terms of which one is asked for; none if something else may do as well.
    fn terms(&self, any: &AnyOf) -> Option<Vec<u32>> {
        let mut numbers = Vec::new();
        for test in &any.tests {
            let Test::Term { name, space, value: Some(value) } = test else { return None };
            let known = self.known.get(&key(name.as_bytes(), value.as_bytes()));
            let fits = |(known, _): &&(Vec<u8>, u32)| {
                space.as_ref().is_none_or(|space| space.as_bytes() == known.as_slice())
            };
            numbers.extend(known.into_iter().flatten().filter(fits).map(|(_, number)| *number));
        }
        (!any.tests.is_empty()).then_some(numbers)
    }

    fn check<'a>(&self, any: &'a AnyOf) -> Check<'a> {
        if let [Test::Among(ids)] = any.tests.as_slice() {
            return Check::Among(ids, any.negated);
        }
        let mut stretches = Vec::with_capacity(any.tests.len());
        for test in &any.tests {
            let Test::Instant { name, span } = test else { return Check::Row(any) };
            stretches.push((self.names.iter().position(|known| known == name.as_bytes()), *span));
        }
        Check::Stretches(stretches, any.negated)
    }
}

impl Digest {
    /// Whether all holds that is asked of a row beside its terms.
    pub(crate) fn matches(&self, row: &Digested, checks: &Checks<'_>) -> Result<bool, Error> {
        for check in &checks.others {
            let (holds, negated) = match check {
                Check::Stretches(tests, negated) => {
                    let own = &self.stretches[row.stretches.clone()];
                    let fits = |(name, span): &(Option<usize>, Span)| {
                        let mut named = own.iter().filter(|(own, ..)| Some(*own) == *name);
                        named.any(|(_, from, to)| evaluate::within(*span, *from, *to))
                    };
                    (tests.iter().any(fits), *negated)
                }
                Check::Among(ids, negated) => {
                    let id = std::str::from_utf8(&self.texts[row.id.clone()]);
                    (id.is_ok_and(|id| ids.contains(id)), *negated)
                }
                Check::Row(any) => {
                    let row = RowView::new(&row.bytes)?;
                    (evaluate::matches(&row, std::slice::from_ref(any)), false)
                }
            };
            if holds == negated {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn key(name: &[u8], value: &[u8]) -> Vec<u8> {
    [name, &[0], value].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Put;
    use crate::record::{Fact, Kind, Reach};
    use crate::row;

    fn row(number: i64) -> Vec<u8> {
        let term = |name, space: &str, value: String| Fact::Term {
            name,
            space: space.into(),
            value,
            reach: Reach::Partition,
        };
        row::encode(&Put {
            kind: Kind("document"),
            id: format!("d{number}"),
            version: 1,
            partition: "p".into(),
            order: -number,
            facts: vec![
                term("type", "s", format!("t{}", number % 3)),
                term("type", "", format!("t{}", number % 2)),
                Fact::Instant { name: "created", from: number, to: number + 1, reach: Reach::Partition },
                Fact::Text {
                    name: "title",
                    folded: format!("title {number}"),
                    exact: format!("Title {number}"),
                    reach: Reach::Partition,
                },
            ],
            edges: Vec::new(),
            body: Bytes::new(),
            rendering: Bytes::new(),
            deleted: false,
        })
    }

    proptest::proptest! {
        /// Whatever is asked, a digest answers as the rows themselves do.
        #[test]
        fn a_digest_says_what_the_rows_say(
            questions in proptest::collection::vec((0usize..8, 0i64..5, proptest::bool::ANY), 0..6),
            negated in proptest::bool::ANY,
        ) {
            let tests = questions.iter().map(|(sort, number, spaced)| {
                let space = spaced.then(|| if number % 2 == 0 { "s".to_owned() } else { String::new() });
                match sort {
                    0 | 1 => Test::Term { name: "type", space, value: Some(format!("t{number}")) },
                    2 => Test::Term { name: "type", space, value: None },
                    3 => Test::Instant { name: "created", span: Span::BeginsFrom(*number) },
                    4 => Test::Instant { name: "never", span: Span::BeginsFrom(*number) },
                    7 => Test::Among(std::sync::Arc::new([format!("d{number}")].into())),
                    5 => Test::Prefix { name: "title", folded: format!("title {number}") },
                    _ => Test::Id(format!("d{number}")),
                }
            });
            let mut first: Vec<Test> = tests.collect();
            let second = first.split_off(first.len() / 2);
            let all = [AnyOf { tests: first, negated }, AnyOf { tests: second, negated: !negated }];
            let mut digest = Digest::default();
            for number in 0..70 {
                digest.add(&row(number)).unwrap();
            }
            let checks = digest.checks(&all);
            for (place, row) in digest.rows.iter().enumerate() {
                let here = checks.next(place, digest.rows.len()) == place;
                let expected = evaluate::matches(&RowView::new(&row.bytes).unwrap(), &all);
                proptest::prop_assert_eq!(here && digest.matches(row, &checks).unwrap(), expected);
            }
        }
    }
}
