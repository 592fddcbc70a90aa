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
/// How long a count is good, unless there are twice as many people before that.
const LASTS: Duration = Duration::from_secs(600);
/// People are counted again after so many commits, or after a tenth as many as there are people.
const COMMITS: u64 = 100;
/// Names remembered.
const NAMES: u64 = 50_000;
/// As many people as this are supposed to be known beside those that are, so that a small domain does not take its few names for all.
const SUPPOSED: f64 = 2_000.0;

/// Counts names and people.
#[derive(Clone)]
pub(crate) struct Census {
    records: Records,
    people: u64,
    names: Arc<Cache<String, Count>>,
    total: Arc<Cache<(), Total>>,
}

/// How many records had a name when there were so many people: a name counted among few says nothing of how common it is among many.
#[derive(Debug, Clone, Copy)]
struct Count {
    named: usize,
    known: usize,
}

/// How many people there were after so many commits.
#[derive(Debug, Clone, Copy)]
struct Total {
    known: usize,
    sequence: u64,
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
        let Count { named, known } = self.count(word)?;
        #[expect(clippy::cast_precision_loss, reason = "people are not that many")]
        let part = (named as f64 + UNKNOWN * SUPPOSED) / (known as f64 + SUPPOSED);
        Ok(if named > MOST { part.max(AT_LEAST) } else { part })
    }

    /// How many records have a name that begins like this one, counted as far as one beyond the bound.
    fn count(&self, word: &Word) -> Result<Count, store::Error> {
        let known = self.known()?;
        let before = self.names.get(&word.plain);
        // A handful more among a handful is much; among what is supposed to be there beside them it is little.
        #[expect(clippy::cast_precision_loss, reason = "people are not that many")]
        let is_good = |count: &Count| known as f64 + SUPPOSED < 2.0 * (count.known as f64 + SUPPOSED);
        if let Some(count) = before.filter(is_good) {
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
        let named = match found {
            Ok(page) => usize::try_from(page.total.unwrap_or_default()).unwrap_or(MOST),
            Err(store::Error::TooBroad { .. }) => MOST + 1,
            Err(error) => return Err(error),
        };
        let count = Count { named, known };
        self.names.insert(word.plain.clone(), count);
        Ok(count)
    }

    /// How many patients there are. Ids are drawn evenly, so the place of the thousandth tells how many lie behind it.
    fn known(&self) -> Result<usize, store::Error> {
        let sequence = self.records.store().sequence();
        let is_good =
            |total: &Total| sequence.saturating_sub(total.sequence) < COMMITS.max(total.known as u64 / 10);
        if let Some(total) = self.total.get(&()).filter(is_good) {
            return Ok(total.known);
        }
        let sample = self.records.store().partitions(PATIENT, "", SAMPLE)?;
        let known = match sample.last() {
            Some(last) if sample.len() == SAMPLE => extrapolate(sample.len(), last),
            _ => sample.len(),
        };
        self.total.insert((), Total { known, sequence });
        Ok(known)
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
    use store::{Batch, Fact, Put, Reach, Store};
    use uuid::Uuid;

    use super::*;

    async fn feed(records: &Records, names: impl Iterator<Item = &str>) {
        for name in names {
            let folded = name.to_lowercase();
            let name = Fact::Text { name: "family", folded, exact: name.to_owned(), reach: Reach::Global };
            let id = Uuid::new_v4().to_string();
            let put = Put {
                kind: PATIENT,
                partition: id.clone(),
                id,
                version: 1,
                order: 0,
                facts: vec![name],
                edges: Vec::new(),
                body: bytes::Bytes::new(),
                rendering: bytes::Bytes::new(),
                deleted: false,
            };
            records.store().apply(Batch { puts: vec![put], ..Batch::default() }).await.unwrap();
        }
    }

    #[tokio::test]
    async fn how_common_a_name_is_follows_a_population_that_grows() {
        let records = Records::new(Store::memory(), crate::domains::Domains::default());
        let census = Census::new(records.clone(), 0);
        let berger = &super::super::letters::words("Berger")[0];
        feed(&records, ["Berger", "Huber", "Novak"].into_iter().cycle().take(300)).await;
        let among_few = census.part(berger).unwrap();
        assert!((among_few - 101.0 / 2_300.0).abs() < 0.002, "a third of those who are known: {among_few}");
        feed(&records, ["Huber", "Novak"].into_iter().cycle().take(4_700)).await;
        let among_many = census.part(berger).unwrap();
        assert!((among_many - 101.0 / 7_000.0).abs() < 0.002, "a hundred of five thousand: {among_many}");
        assert!((census.people().unwrap() - 5_000.0).abs() < 500.0);
    }

    #[test]
    fn a_sample_of_even_ids_tells_how_many_there_are() {
        assert_eq!(extrapolate(1_000, "80000000-0000-4000-8000-000000000000"), 2_000);
        assert_eq!(extrapolate(1_000, "not-hexadecimal"), 1_000);
    }
}
