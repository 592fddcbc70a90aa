//! How a question across partitions is answered from the catalogue of its kind: the matches are counted as numbers, and only
//! the rows of the page are read.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::ask::{AnyOf, Ask, Order, OrderKey, Test};
use crate::error::Error;
use crate::find::collect::Collector;
use crate::find::{plan, sort};
use crate::index::bits::Bits;
use crate::index::catalogue::Catalogue;
use crate::index::catalogues::{Kept, Part};
use crate::index::column::Column;
use crate::index::keys;
use crate::read::Reader;
use crate::record::Sequence;
use crate::row::RowView;

/// Up to so many ids are looked up in the index itself where there is no column yet.
const FEW: usize = 64;

/// Up to so many matches are read and sorted as rows.
const ROWS: u64 = 128;

/// Rounds in which parts are made: the records, the columns of the tests, that of the order.
const ROUNDS: usize = 8;

/// A question across partitions.
#[derive(Clone, Copy)]
pub(crate) struct Everywhere<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) ask: &'a Ask,
    pub(crate) as_of: Sequence,
    /// Where the answer goes on.
    pub(crate) after: Option<&'a [u8]>,
}

/// What is still needed to say it.
enum Sure<T> {
    Known(T),
    /// Parts of the catalogue that are not made yet.
    Needs(Vec<Part>),
    /// No catalogue can say it.
    Never,
}

/// Which records are to be read.
struct Chosen {
    ids: Vec<Arc<[u8]>>,
    /// Written since the state that is asked for.
    changed: Vec<Arc<[u8]>>,
    /// The number of matches, if no row has to be read to know it.
    count: Option<u64>,
}

/// The records that can match.
struct Matches {
    bits: Bits,
    changed: Bits,
    /// Whether they match for certain.
    is_exact: bool,
}

impl Everywhere<'_> {
    /// Gives the collector what the question asks for; false if no catalogue can say it.
    pub(crate) fn answer(&self, found: &mut Collector<'_>) -> Result<bool, Error> {
        if !self.is_worth_it()? {
            return Ok(false);
        }
        let catalogues = &self.reader.view.catalogues;
        // Each round makes what the one before was lacking; what would not fit is not asked for again.
        for _ in 0..ROUNDS {
            let sure = self.choose(&catalogues.read(), found.wants_all())?;
            match sure {
                Sure::Known(chosen) => {
                    self.offer(&chosen, found)?;
                    return Ok(true);
                }
                Sure::Needs(parts) => catalogues.make(self.kind(), &parts)?,
                Sure::Never => return Ok(false),
            }
        }
        Ok(false)
    }

    fn kind(&self) -> &[u8] {
        self.ask.kind.0.as_bytes()
    }

    /// Whether any condition could be told from a catalogue.
    fn is_worth_it(&self) -> Result<bool, Error> {
        let mut worth = self.ask.all.is_empty();
        for any in &self.ask.all {
            worth = worth || self.is_covered(any)?;
        }
        Ok(worth)
    }

    fn is_covered(&self, any: &AnyOf) -> Result<bool, Error> {
        for test in &any.tests {
            let is_covered = match test {
                Test::Linked { .. } | Test::Like { .. } => false,
                Test::Written(_) => true,
                test => plan::indexed(self.reader, self.ask, test)?,
            };
            if !is_covered {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn choose(&self, kept: &Kept, wants_all: bool) -> Result<Sure<Chosen>, Error> {
        let Some(catalogue) = kept.of(self.kind()) else {
            return Ok(self.lacking(kept, vec![Part::Records]));
        };
        let matches = match self.matches(kept, catalogue)? {
            Sure::Known(matches) => matches,
            Sure::Needs(parts) => return Ok(Sure::Needs(parts)),
            Sure::Never => return Ok(Sure::Never),
        };
        let ids = |bits: &mut dyn Iterator<Item = u32>| {
            bits.map(|number| Arc::clone(catalogue.id(number))).collect()
        };
        let count = matches.bits.count();
        let changed = ids(&mut matches.changed.iter());
        let is_short = count <= ROWS && self.ask.order != Order::Natural && self.ask.limit > 0;
        if wants_all || !matches.is_exact || is_short {
            return Ok(Sure::Known(Chosen { ids: ids(&mut matches.bits.iter()), changed, count: None }));
        }
        let page = match self.page(kept, catalogue, &matches.bits)? {
            Sure::Known(page) => page,
            Sure::Needs(parts) => return Ok(Sure::Needs(parts)),
            Sure::Never => {
                return Ok(Sure::Known(Chosen { ids: ids(&mut matches.bits.iter()), changed, count: None }));
            }
        };
        Ok(Sure::Known(Chosen { ids: ids(&mut page.into_iter()), changed, count: Some(count) }))
    }

    /// Parts that are needed, unless one of them would not fit.
    fn lacking<T>(&self, kept: &Kept, parts: Vec<Part>) -> Sure<T> {
        if parts.iter().any(|part| kept.refuses(self.kind(), part)) {
            Sure::Never
        } else {
            Sure::Needs(parts)
        }
    }

    fn matches(&self, kept: &Kept, catalogue: &Catalogue) -> Result<Sure<Matches>, Error> {
        let changed = catalogue.changed_since(self.as_of);
        let mut bits = catalogue.live.clone();
        bits.take_out(&changed);
        let (mut is_exact, mut says_something) = (true, self.ask.all.is_empty());
        let mut needs = Vec::new();
        for any in &self.ask.all {
            let having = if self.is_covered(any)? { self.any_of(kept, catalogue, any)? } else { Sure::Never };
            match having {
                Sure::Known(having) if any.negated => bits.take_out(&having),
                Sure::Known(having) => bits.keep(&having),
                Sure::Needs(parts) => {
                    needs.extend(parts);
                    continue;
                }
                Sure::Never => {
                    is_exact = false;
                    continue;
                }
            }
            says_something = true;
        }
        if !needs.is_empty() {
            return Ok(Sure::Needs(needs));
        }
        Ok(if says_something { Sure::Known(Matches { bits, changed, is_exact }) } else { Sure::Never })
    }

    /// The records for which one of these holds.
    fn any_of(&self, kept: &Kept, catalogue: &Catalogue, any: &AnyOf) -> Result<Sure<Bits>, Error> {
        let mut bits = Bits::default();
        let mut needs = Vec::new();
        for test in &any.tests {
            match self.having(kept, catalogue, test, &mut bits)? {
                Sure::Known(()) => {}
                Sure::Needs(parts) => needs.extend(parts),
                Sure::Never => return Ok(Sure::Never),
            }
        }
        Ok(if needs.is_empty() { Sure::Known(bits) } else { Sure::Needs(needs) })
    }

    /// Adds the records for which a test holds.
    fn having(
        &self,
        kept: &Kept,
        catalogue: &Catalogue,
        test: &Test,
        bits: &mut Bits,
    ) -> Result<Sure<()>, Error> {
        let mut tables: &[u8] = &[];
        let mut name = "";
        match test {
            Test::Id(id) => {
                catalogue.number(id.as_bytes()).into_iter().for_each(|number| bits.insert(number))
            }
            Test::Among(ids) => {
                let numbers = ids.iter().filter_map(|id| catalogue.number(id.as_bytes()));
                numbers.for_each(|number| bits.insert(number));
            }
            Test::Edge { .. } => {
                self.looked_up(catalogue, test, usize::MAX, bits)?;
            }
            Test::Written(span) => {
                let Some(instants) = &catalogue.instants else {
                    return Ok(self.lacking(kept, vec![Part::Instants]));
                };
                let fits = |instant: i64| crate::find::evaluate::within(*span, instant, instant);
                let numbers = (0u32..).zip(instants).filter(|(_, instant)| fits(**instant));
                numbers.for_each(|(number, _)| bits.insert(number));
            }
            Test::Term { name: of, .. } => (tables, name) = (&[keys::TERM], of),
            Test::Instant { name: of, .. } => (tables, name) = (&[keys::STRETCH], of),
            Test::Prefix { name: of, .. } | Test::Contains { name: of, .. } => {
                (tables, name) = (&[keys::FOLDED], of);
            }
            Test::Exact { name: of, .. } => (tables, name) = (&[keys::EXACT], of),
            Test::Present { name: of } => (tables, name) = (&[keys::TERM, keys::FOLDED, keys::STRETCH], of),
            Test::Linked { .. } | Test::Like { .. } => return Ok(Sure::Never),
        }
        let part = |table: &u8| Part::Column(*table, name.as_bytes().to_vec());
        let missing: Vec<Part> = tables
            .iter()
            .filter(|table| catalogue.column(**table, name.as_bytes()).is_none())
            .map(part)
            .collect();
        let sharp =
            matches!(test, Test::Term { value: Some(_), .. } | Test::Prefix { .. } | Test::Exact { .. });
        if !missing.is_empty() {
            return if sharp && self.looked_up(catalogue, test, FEW, bits)? {
                Ok(Sure::Known(()))
            } else {
                Ok(self.lacking(kept, missing))
            };
        }
        let columns = tables.iter().filter_map(|table| catalogue.column(*table, name.as_bytes()));
        columns.for_each(|column| column.add(test, bits));
        Ok(Sure::Known(()))
    }

    /// Adds the records that the index itself has under a test, if they are not more than this.
    fn looked_up(
        &self,
        catalogue: &Catalogue,
        test: &Test,
        most: usize,
        bits: &mut Bits,
    ) -> Result<bool, Error> {
        let mut ids = plan::Ids::new();
        if plan::gather(self.reader, self.ask, test, most, &mut ids)?.is_break() {
            return Ok(false);
        }
        ids.iter().filter_map(|id| catalogue.number(id)).for_each(|number| bits.insert(number));
        Ok(true)
    }

    /// Records of which the page is made, and hardly more than those.
    fn page(&self, kept: &Kept, catalogue: &Catalogue, bits: &Bits) -> Result<Sure<Vec<u32>>, Error> {
        if self.ask.limit == 0 {
            return Ok(Sure::Known(Vec::new()));
        }
        let id = |number: u32| beginning(catalogue.id(number));
        let by = match &self.ask.order {
            Order::Natural => {
                let place =
                    |number: u32| (u128::from(catalogue.order(number)) << 64) | u128::from(id(number));
                return Ok(Sure::Known(self.first(catalogue, bits, Then::Id, place)));
            }
            Order::Written { descending } => {
                return Ok(self.written(kept, catalogue, bits, *descending, true));
            }
            Order::By { name, descending } => (*name, *descending, true),
            Order::Keys(order) => match order.first() {
                Some(OrderKey::Fact { name, descending }) => (*name, *descending, false),
                Some(OrderKey::Written { descending }) => {
                    return Ok(self.written(kept, catalogue, bits, *descending, false));
                }
                Some(OrderKey::Id { descending }) => {
                    return Ok(Sure::Known(self.by_id(catalogue, bits, *descending)));
                }
                None => return Ok(Sure::Never),
            },
        };
        self.by_fact(kept, catalogue, bits, by)
    }

    fn by_id(&self, catalogue: &Catalogue, bits: &Bits, descending: bool) -> Vec<u32> {
        let turned = |first: u64| u128::from(if descending { !first } else { first }) << 64;
        // An id stands in a place with its escapes and its end.
        let place = |number: u32| {
            let mut id = Vec::with_capacity(64);
            keys::escape(catalogue.id(number), &mut id);
            turned(beginning(&id))
        };
        let end = if descending { u8::MAX } else { 0 };
        let after = self.after.and_then(|after| after.split(|byte| *byte == end).next());
        let after = after.map(|id| {
            let mut first = [end; 8];
            let length = id.len().min(8);
            first[..length].copy_from_slice(&id[..length]);
            first
        });
        let behind = Everywhere { after: after.as_ref().map(<[u8; 8]>::as_slice), ..*self };
        behind.first(catalogue, bits, Then::More, place)
    }

    fn written(
        &self,
        kept: &Kept,
        catalogue: &Catalogue,
        bits: &Bits,
        latest_first: bool,
        then_id: bool,
    ) -> Sure<Vec<u32>> {
        let Some(instants) = &catalogue.instants else { return self.lacking(kept, vec![Part::Instants]) };
        let instant = |number: u32| {
            let instant = instants[number as usize];
            if latest_first { keys::descending(instant) } else { keys::ascending(instant) }
        };
        let place = |number: u32| {
            let id = if then_id { beginning(catalogue.id(number)) } else { 0 };
            (u128::from(instant(number)) << 64) | u128::from(id)
        };
        let then = if then_id { Then::Id } else { Then::More };
        Sure::Known(self.first(catalogue, bits, then, place))
    }

    /// The records that come first behind the cursor, by what their places begin with.
    fn first(&self, catalogue: &Catalogue, bits: &Bits, then: Then, place: impl Fn(u32) -> u128) -> Vec<u32> {
        let after = self.after.map(|after| match then {
            Then::Id => (padded(after, 16), after.get(8..).unwrap_or_default()),
            Then::IdAlone => (padded(after, 8), after),
            Then::More => (padded(after, 8), &[][..]),
        });
        let enough = self.ask.limit + 1;
        let mut kept: Vec<(u128, u32)> = Vec::with_capacity(4 * enough + 64);
        let mut bound = u128::MAX;
        let compare = |left: &(u128, u32), right: &(u128, u32)| match then {
            Then::Id | Then::IdAlone => (left.0, catalogue.id(left.1)).cmp(&(right.0, catalogue.id(right.1))),
            Then::More => left.0.cmp(&right.0),
        };
        // Those that begin like the cursor may lie before it: they do not count.
        let mut alike = Vec::new();
        for number in bits.iter() {
            let place = place(number);
            if place > bound {
                continue;
            }
            match after {
                Some((after, _)) if place < after => continue,
                Some((after, id)) if place == after => match then {
                    Then::More => {
                        alike.push(number);
                        continue;
                    }
                    Then::Id | Then::IdAlone if catalogue.id(number).as_ref() <= id => continue,
                    Then::Id | Then::IdAlone => {}
                },
                _ => {}
            }
            kept.push((place, number));
            if then != Then::More && kept.len() >= 4 * enough + 64 {
                kept.select_nth_unstable_by(enough - 1, compare);
                kept.truncate(enough);
                bound = kept[enough - 1].0;
            }
        }
        kept.sort_unstable_by(compare);
        if let Some((last, _)) = kept.get(enough - 1).copied() {
            let end = match then {
                Then::Id | Then::IdAlone => enough,
                Then::More => kept.partition_point(|(place, _)| *place <= last),
            };
            kept.truncate(end);
        }
        alike.extend(kept.into_iter().map(|(_, number)| number));
        alike
    }

    /// By a fact: the column is walked in its order.
    fn by_fact(
        &self,
        kept: &Kept,
        catalogue: &Catalogue,
        bits: &Bits,
        (name, descending, then_id): (&str, bool, bool),
    ) -> Result<Sure<Vec<u32>>, Error> {
        let column = match self.only_column(name)? {
            Only::None => None,
            Only::Table(table) => match catalogue.column(table, name.as_bytes()) {
                Some(column) => Some(column),
                None => return Ok(self.lacking(kept, vec![Part::Column(table, name.as_bytes().to_vec())])),
            },
            Only::Several => return Ok(Sure::Never),
        };
        let mut left = bits.clone();
        let mut page = Vec::new();
        if let Some(column) = column
            && self.walk(column, descending, &mut left, &mut page).is_break()
        {
            return Ok(Sure::Known(page));
        }
        // Those without one come last.
        if !then_id {
            page.extend(left.iter());
            return Ok(Sure::Known(page));
        }
        let place = |number: u32| u128::from(beginning(catalogue.id(number))) << 64;
        let after = self.after.and_then(|after| after.strip_prefix(&[sort::MISSING]));
        page.extend(Everywhere { after, ..*self }.first(catalogue, &left, Then::IdAlone, place));
        Ok(Sure::Known(page))
    }

    /// Takes the records of a column in its order, each by the first of its values, until the page is full.
    fn walk(
        &self,
        column: &Column,
        descending: bool,
        left: &mut Bits,
        page: &mut Vec<u32>,
    ) -> ControlFlow<()> {
        let (mut counted, mut last) = (0, Vec::new());
        for (value, numbers) in column.in_order(descending) {
            let place = sort::beginning(column.table, value, descending);
            if counted > self.ask.limit && place != last {
                return ControlFlow::Break(());
            }
            let is_before =
                self.after.is_some_and(|after| place.as_slice() < after && !after.starts_with(&place));
            let is_alike = self.after.is_some_and(|after| after.starts_with(&place));
            for number in numbers.iter().copied().filter(|number| left.has(*number)).collect::<Vec<_>>() {
                left.remove(number);
                if !is_before {
                    page.push(number);
                    counted += usize::from(!is_alike);
                }
            }
            last = place;
        }
        if counted > self.ask.limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// The one table in which facts of this name are, if all of them have global reach.
    fn only_column(&self, name: &str) -> Result<Only, Error> {
        let mut only = Only::None;
        for table in [keys::TERM, keys::FOLDED, keys::STRETCH] {
            let (global, partition) = plan::reaches(self.reader, self.ask, name, table)?;
            only = match (only, global, partition) {
                (only, false, false) => only,
                (Only::None, true, false) => Only::Table(table),
                _ => return Ok(Only::Several),
            };
        }
        Ok(only)
    }

    fn offer(&self, chosen: &Chosen, found: &mut Collector<'_>) -> Result<(), Error> {
        for id in &chosen.changed {
            if let Some(old) = self.reader.version_at(self.kind(), id, self.as_of)? {
                found.offer_aside(&RowView::new(&old)?, &old)?;
            }
        }
        if let Some(count) = chosen.count {
            found.count(count);
        }
        for id in &chosen.ids {
            let Some(bytes) = self.reader.current(self.kind(), id)? else { continue };
            let row = RowView::new(&bytes)?;
            match chosen.count {
                Some(_) => found.offer_counted(&row, &bytes),
                None => found.offer_aside(&row, &bytes)?,
            }
        }
        Ok(())
    }
}

/// What decides where places begin alike.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The id, which stands behind eight bytes of a place.
    Id,
    /// The id, which is all of the place.
    IdAlone,
    /// What only the rows tell: all that begin like the last one are given.
    More,
}

/// In how many tables facts of a name are.
enum Only {
    None,
    Table(u8),
    Several,
}

/// The first eight bytes of an id, so that they compare as the id does.
fn beginning(id: &[u8]) -> u64 {
    let mut first = [0; 8];
    let length = id.len().min(8);
    first[..length].copy_from_slice(&id[..length]);
    u64::from_be_bytes(first)
}

/// The beginning of a cursor, of which so many bytes count.
fn padded(after: &[u8], length: usize) -> u128 {
    let mut first = [0; 16];
    let length = after.len().min(length);
    first[..length].copy_from_slice(&after[..length]);
    u128::from_be_bytes(first)
}
