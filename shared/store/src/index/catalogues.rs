//! Keeps the catalogues in step with the commits, within a bounded memory. One is made when a question needs it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use crate::error::Error;
use crate::index::catalogue::Catalogue;
use crate::index::column::{self, Column};
use crate::index::keys::{self, Key};
use crate::index::overlay::Run;
use crate::index::values::{Pointer, verified};
use crate::index::view::View;
use crate::row::RowView;

/// Memory of all catalogues, bytes, about. What would not fit is not made, and questions walk the index instead.
const BYTES: usize = 96 << 20;

/// Entries of the index that are read before they are taken in together.
const TOGETHER: usize = 1 << 12;

/// The catalogues of one store.
#[derive(Default)]
pub(crate) struct Catalogues {
    kept: RwLock<Kept>,
    /// One is made at a time; who needs the same waits for it.
    making: Mutex<()>,
    /// What readers see now.
    now: Weak<RwLock<Arc<View>>>,
}

/// The catalogues, as of the last commit that is visible.
#[derive(Default)]
pub(crate) struct Kept {
    kinds: HashMap<Vec<u8>, Catalogue>,
    /// What would not fit, by kind.
    refused: HashMap<Vec<u8>, Vec<Part>>,
    /// What was committed while a part is being made.
    meanwhile: Option<Vec<Change>>,
}

/// A key with its new value, if it has one.
type Change = (Bytes, Option<Bytes>);

/// What a group of commits changes that catalogues are made of.
pub(crate) fn news(run: &Run) -> Vec<Change> {
    let is_of_them = |key: &Bytes| key.first().is_some_and(|table| TABLES.contains(table));
    run.entries().iter().filter(|(key, _)| is_of_them(key)).cloned().collect()
}

/// The tables that catalogues are made of.
const TABLES: &[u8] = &[keys::ROW, keys::GRAVE, keys::TERM, keys::FOLDED, keys::EXACT, keys::STRETCH];

/// A part of a catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// Which records there are.
    Records,
    /// When they were last written.
    Instants,
    /// The column of this table and name.
    Column(u8, Vec<u8>),
}

impl Kept {
    pub(crate) fn of(&self, kind: &[u8]) -> Option<&Catalogue> {
        self.kinds.get(kind)
    }

    /// Whether a part is not made, because it would not fit.
    pub(crate) fn refuses(&self, kind: &[u8], part: &Part) -> bool {
        self.refused.get(kind).is_some_and(|parts| parts.contains(part))
    }

    fn has(&self, kind: &[u8], part: &Part) -> bool {
        let catalogue = self.kinds.get(kind);
        catalogue.is_some_and(|catalogue| match part {
            Part::Records => true,
            Part::Instants => catalogue.instants.is_some(),
            Part::Column(table, name) => catalogue.column(*table, name).is_some(),
        })
    }

    fn take(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), Error> {
        let Some(table) = key.first() else { return Ok(()) };
        let kind = keys::after_parts(key, 1).map(|rest| &key[1..key.len() - rest.len() - 1]);
        let Some(catalogue) = kind.and_then(|kind| self.kinds.get_mut(kind)) else { return Ok(()) };
        match (*table, value) {
            (keys::ROW | keys::GRAVE, Some(value)) => catalogue.write(&RowView::new(verified(key, value)?)?),
            // The row stands elsewhere now, be it in its grave.
            (keys::ROW | keys::GRAVE, None) => {}
            (table, value) => {
                if let Some(fact) = column::fact_key(key) {
                    catalogue.fact(table, &fact, value.is_some());
                }
            }
        }
        Ok(())
    }
}

impl Catalogues {
    /// Catalogues of what these readers see.
    pub(crate) fn of(now: Weak<RwLock<Arc<View>>>) -> Catalogues {
        Catalogues { now, ..Catalogues::default() }
    }

    /// The catalogues, held still.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Kept> {
        self.kept.read()
    }

    /// Takes in a group of commits, and makes it visible at the same moment.
    pub(crate) fn publish(&self, news: &[Change], show: impl FnOnce()) {
        let mut kept = self.kept.write();
        if let Some(meanwhile) = &mut kept.meanwhile {
            meanwhile.extend_from_slice(news);
        }
        if !kept.kinds.is_empty() {
            let taken = news.iter().try_for_each(|(key, value)| kept.take(key, value.as_deref()));
            if let Err(error) = taken {
                // They can be made again; the index is looked through by those whose business that is.
                tracing::error!(%error, "the catalogues are let go");
                kept.kinds.clear();
            }
        }
        show();
    }

    /// Makes parts of the catalogue of a kind that are not there yet.
    pub(crate) fn make(&self, kind: &[u8], parts: &[Part]) -> Result<(), Error> {
        for part in [Part::Records].iter().chain(parts) {
            let _alone = self.making.lock();
            let view = {
                let mut kept = self.kept.write();
                if kept.has(kind, part) || kept.refuses(kind, part) {
                    continue;
                }
                let Some(now) = self.now.upgrade() else { return Ok(()) };
                kept.meanwhile = Some(Vec::new());
                // Commits become visible under the same lock: what is read here and what comes meanwhile is everything.
                now.read().clone()
            };
            let made = self.read_part(&view, kind, part);
            let mut kept = self.kept.write();
            let meanwhile = kept.meanwhile.take().unwrap_or_default();
            install(&mut kept, kind, part, made?);
            for (key, value) in &meanwhile {
                kept.take(key, value.as_deref())?;
            }
            keep_small(&mut kept, kind, part);
        }
        Ok(())
    }

    fn read_part(&self, view: &View, kind: &[u8], part: &Part) -> Result<Made, Error> {
        match part {
            Part::Records => records(view, kind),
            Part::Instants => instants(view, kind),
            Part::Column(table, name) => self.column(view, kind, *table, name),
        }
    }

    /// The numbers of the records are those of the catalogue, which has every record that the view has.
    fn column(&self, view: &View, kind: &[u8], table: u8, name: &[u8]) -> Result<Made, Error> {
        let mut column = Column::new(table, name);
        let mut waiting: Vec<(Vec<u8>, Vec<u8>)> = Vec::with_capacity(TOGETHER);
        let mut take_in = |waiting: &mut Vec<(Vec<u8>, Vec<u8>)>| {
            let kept = self.kept.read();
            let catalogue = kept.of(kind);
            for (value, id) in waiting.drain(..) {
                if let Some(number) = catalogue.and_then(|catalogue| catalogue.number(&id)) {
                    column.insert(&value, number);
                }
            }
            if column.weight() > BYTES { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let beginning = Key::new(table).part(kind).part(name).done();
        let ended = view.scan_beginning(&beginning, &mut |key, _| {
            if let Some(fact) = column::fact_key(key) {
                waiting.push((fact.value.to_vec(), fact.id.to_vec()));
            }
            Ok(if waiting.len() == TOGETHER { take_in(&mut waiting) } else { ControlFlow::Continue(()) })
        })?;
        let ended = ended.is_break() || take_in(&mut waiting).is_break();
        Ok(if ended { Made::TooMuch } else { Made::Column(column) })
    }
}

/// A part as it was read.
enum Made {
    Records(Catalogue),
    Instants(HashMap<Vec<u8>, i64>),
    Column(Column),
    TooMuch,
}

fn records(view: &View, kind: &[u8]) -> Result<Made, Error> {
    let mut catalogue = Catalogue::default();
    let beginning = keys::pointer(kind, b"");
    let mut count = 0usize;
    let ended = view.scan_beginning(&beginning, &mut |key, value| {
        let pointer = Pointer::from_bytes(&Bytes::copy_from_slice(value))?;
        catalogue.point(&key[beginning.len()..], &pointer.key, pointer.sequence);
        count += 1;
        let too_much = count.is_multiple_of(TOGETHER) && catalogue.weight() > BYTES;
        Ok(if too_much { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    })?;
    Ok(if ended.is_break() { Made::TooMuch } else { Made::Records(catalogue) })
}

fn instants(view: &View, kind: &[u8]) -> Result<Made, Error> {
    let mut instants = HashMap::new();
    let beginning = Key::new(keys::ROW).part(kind).done();
    let _ = view.scan_beginning(&beginning, &mut |key, value| {
        let row = RowView::new(verified(key, value)?)?;
        instants.insert(row.id().to_vec(), row.instant());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(Made::Instants(instants))
}

fn install(kept: &mut Kept, kind: &[u8], part: &Part, made: Made) {
    match (made, kept.kinds.get_mut(kind)) {
        (Made::Records(catalogue), _) => {
            kept.kinds.insert(kind.to_vec(), catalogue);
        }
        (Made::Column(column), Some(catalogue)) => catalogue.columns.push(column),
        (Made::Instants(instants), Some(catalogue)) => catalogue.written(&instants),
        // It was let go while the part was made.
        (Made::Column(_) | Made::Instants(_), None) => {}
        (Made::TooMuch, _) => kept.refused.entry(kind.to_vec()).or_default().push(part.clone()),
    }
}

/// Lets a part go with which the catalogues would be too large.
fn keep_small(kept: &mut Kept, kind: &[u8], part: &Part) {
    if kept.kinds.values().map(Catalogue::weight).sum::<usize>() <= BYTES {
        return;
    }
    tracing::warn!(kind = %String::from_utf8_lossy(kind), ?part, "a catalogue would take too much memory");
    match (part, kept.kinds.get_mut(kind)) {
        (Part::Column(table, name), Some(catalogue)) => {
            catalogue.columns.retain(|column| column.table != *table || column.name != *name);
        }
        _ => {
            kept.kinds.remove(kind);
        }
    }
    kept.refused.entry(kind.to_vec()).or_default().push(part.clone());
}
