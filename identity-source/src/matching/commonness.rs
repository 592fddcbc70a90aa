//! How common names are here, and how many people there are: counted in the index as far as a bound, and remembered for a while.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use store::{AnyOf, Ask, Order, Scope, Test};

use super::compare::UNKNOWN;
use super::letters::Word;
use crate::records::{PATIENT, Records};

/// Records of one name that are counted; a name with more is had by at least [`AT_LEAST`].
const MOST: usize = 1_000;
/// What part of all people has a name that was not counted to the end.
const AT_LEAST: f64 = 0.01;
/// Records that are looked at to tell how many there are.
const SAMPLE: usize = 1_000;
/// How long a count is good.
const LASTS: Duration = Duration::from_secs(600);
/// Names remembered.
const NAMES: u64 = 50_000;
/// As many people as this are supposed to be known beside those that are, so that a small domain does not take its few names for all.
const SUPPOSED: f64 = 2_000.0;

/// Counts names and people.
#[derive(Clone)]
pub(crate) struct Census {
    records: Records,
    people: u64,
    names: Arc<Cache<String, usize>>,
    total: Arc<Cache<(), usize>>,
}

impl Census {
    /// A census of these records; `people` is what the domain is made for.
    pub(crate) fn new(records: Records, people: u64) -> Census {
        let names = Arc::new(Cache::builder().max_capacity(NAMES).time_to_live(LASTS).build());
        let total = Arc::new(Cache::builder().max_capacity(1).time_to_live(LASTS).build());
        Census { records, people, names, total }
    }

    /// Of how many people somebody here is one: those known, or those the domain is made for if they are more.
    pub(crate) fn people(&self) -> Result<f64, store::Error> {
        #[expect(clippy::cast_precision_loss, reason = "people are not that many")]
        Ok((self.known()? as f64).max(self.people as f64))
    }

    /// Of all people, the part that has a name beginning with this word.
    pub(crate) fn part(&self, word: &Word) -> Result<f64, store::Error> {
        let count = self.count(word)?;
        #[expect(clippy::cast_precision_loss, reason = "people are not that many")]
        let part = (count as f64 + UNKNOWN * SUPPOSED) / (self.known()? as f64 + SUPPOSED);
        Ok(if count > MOST { part.max(AT_LEAST) } else { part })
    }

    /// How many records have a name that begins like this one, counted as far as one beyond the bound.
    fn count(&self, word: &Word) -> Result<usize, store::Error> {
        if let Some(count) = self.names.get(&word.plain) {
            return Ok(count);
        }
        let begins = |name| Test::Prefix { name, folded: word.plain.clone() };
        let found = self.records.store().find(&Ask {
            kind: PATIENT,
            scope: Scope::Indexed(MOST),
            all: vec![AnyOf { tests: vec![begins("family"), begins("given")], negated: false }],
            order: Order::Natural,
            after: None,
            limit: 0,
            as_of: None,
            total: true,
        });
        let count = match found {
            Ok(page) => usize::try_from(page.total.unwrap_or_default()).unwrap_or(MOST),
            Err(store::Error::TooBroad { .. }) => MOST + 1,
            Err(error) => return Err(error),
        };
        self.names.insert(word.plain.clone(), count);
        Ok(count)
    }

    /// How many patients there are. Ids are drawn evenly, so the place of the thousandth tells how many lie behind it.
    fn known(&self) -> Result<usize, store::Error> {
        if let Some(total) = self.total.get(&()) {
            return Ok(total);
        }
        let sample = self.records.store().partitions(PATIENT, "", SAMPLE)?;
        let total = match sample.last() {
            Some(last) if sample.len() == SAMPLE => extrapolate(sample.len(), last),
            _ => sample.len(),
        };
        self.total.insert((), total);
        Ok(total)
    }
}

/// How many ids there are if so many lie up to this one, which begins with hexadecimal digits.
fn extrapolate(number: usize, last: &str) -> usize {
    let digits: String = last.chars().take(8).take_while(char::is_ascii_hexdigit).collect();
    match u64::from_str_radix(&format!("{digits:0<8}"), 16) {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        Ok(place) if place > 0 => (number as f64 * 4_294_967_296.0 / place as f64) as usize,
        _ => number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_of_even_ids_tells_how_many_there_are() {
        assert_eq!(extrapolate(1_000, "80000000-0000-4000-8000-000000000000"), 2_000);
        assert_eq!(extrapolate(1_000, "not-hexadecimal"), 1_000);
    }
}
