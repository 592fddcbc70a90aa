//! A kind of record that is asked about across partitions, held in memory as numbers: which records there are, where they
//! stand in natural order, and for each fact of global reach that is
//! asked about, which of them have it ([`Column`]).
//! What it says is what the index says; it only saves walking long ranges of it, and reading rows only to count them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::encode::Take;
use crate::index::bits::Bits;
use crate::index::column::{Column, FactKey};
use crate::index::keys;
use crate::record::{Instant, Sequence};
use crate::row::RowView;

/// The records of one kind. A number, once given, stays that of its record, even when the record is deleted.
#[derive(Debug, Default)]
pub(crate) struct Catalogue {
    ids: Vec<Arc<[u8]>>,
    numbers: HashMap<Arc<[u8]>, u32>,
    /// The order of each record, so that the natural order comes first.
    orders: Vec<u64>,
    /// The commit that wrote each of them last.
    changed: Vec<Sequence>,
    /// The last of these.
    pub(crate) last_change: Sequence,
    /// Those that are not deleted.
    pub(crate) live: Bits,
    /// When each was last written, if that has been asked for.
    pub(crate) instants: Option<Vec<Instant>>,
    pub(crate) columns: Vec<Column>,
}

/// Bytes that a record takes beside its id, about.
const OF_A_RECORD: usize = 112;

impl Catalogue {
    /// Bytes of memory, about.
    pub(crate) fn weight(&self) -> usize {
        let ids = self.ids.first().map_or(0, |id| id.len()) + OF_A_RECORD;
        self.ids.len() * ids + self.columns.iter().map(Column::weight).sum::<usize>()
    }

    pub(crate) fn number(&self, id: &[u8]) -> Option<u32> {
        self.numbers.get(id).copied()
    }

    pub(crate) fn id(&self, number: u32) -> &Arc<[u8]> {
        &self.ids[number as usize]
    }

    /// What the place of a record in natural order begins with; behind it comes the id.
    pub(crate) fn order(&self, number: u32) -> u64 {
        self.orders[number as usize]
    }

    pub(crate) fn column(&self, table: u8, name: &[u8]) -> Option<&Column> {
        self.columns.iter().find(|column| column.table == table && column.name == name)
    }

    /// The records written by later commits than this one.
    pub(crate) fn changed_since(&self, sequence: Sequence) -> Bits {
        if self.last_change <= sequence {
            return Bits::default();
        }
        (0u32..)
            .zip(&self.changed)
            .filter(|(_, changed)| **changed > sequence)
            .map(|(number, _)| number)
            .collect()
    }

    /// The number of a record, which gets one if it has none.
    fn numbered(&mut self, id: &[u8]) -> u32 {
        if let Some(number) = self.number(id) {
            return number;
        }
        let number = u32::try_from(self.ids.len()).unwrap_or(u32::MAX);
        let id: Arc<[u8]> = id.into();
        self.ids.push(Arc::clone(&id));
        self.numbers.insert(id, number);
        self.orders.push(0);
        self.changed.push(0);
        if let Some(instants) = &mut self.instants {
            instants.push(0);
        }
        number
    }

    /// Takes in what a pointer says of a record: where its row stands, and which commit wrote it.
    pub(crate) fn point(&mut self, id: &[u8], key: &[u8], sequence: Sequence) {
        let number = self.numbered(id);
        self.wrote(number, sequence);
        let order = key.len().checked_sub(id.len() + 8).and_then(|at| Take::new(&key[at..]).array().ok());
        match order.filter(|_| key.first() == Some(&keys::ROW)) {
            Some(order) => {
                self.orders[number as usize] = u64::from_be_bytes(order);
                self.live.insert(number);
            }
            None => self.live.remove(number),
        }
    }

    /// Takes in a row as a commit has written it.
    pub(crate) fn write(&mut self, row: &RowView<'_>) {
        let number = self.numbered(row.id());
        self.wrote(number, row.sequence());
        self.orders[number as usize] = keys::descending(row.order());
        if let Some(instants) = &mut self.instants {
            instants[number as usize] = row.instant();
        }
        if row.deleted() { self.live.remove(number) } else { self.live.insert(number) }
    }

    /// Takes in when the records were last written.
    pub(crate) fn written(&mut self, instants: &HashMap<Vec<u8>, Instant>) {
        let of = |id: &Arc<[u8]>| instants.get(id.as_ref()).copied().unwrap_or_default();
        self.instants = Some(self.ids.iter().map(of).collect());
    }

    fn wrote(&mut self, number: u32, sequence: Sequence) {
        self.changed[number as usize] = sequence;
        self.last_change = self.last_change.max(sequence);
    }

    /// Takes in a fact that a commit has written, or taken away.
    pub(crate) fn fact(&mut self, table: u8, key: &FactKey<'_>, is_there: bool) {
        let Some(place) =
            self.columns.iter().position(|column| column.table == table && column.name == key.name)
        else {
            return;
        };
        if is_there {
            let number = self.numbered(key.id);
            self.columns[place].insert(key.value, number);
        } else if let Some(number) = self.number(key.id) {
            self.columns[place].remove(key.value, number);
        }
    }
}
