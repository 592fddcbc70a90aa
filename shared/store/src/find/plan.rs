//! Which index answers a question: the ids that can match, from the condition that leaves fewest.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use crate::ask::{AnyOf, Ask, Span, Test};
use crate::error::Error;
use crate::index::keys::{self, Key};
use crate::index::view::Lookup as _;
use crate::read::Reader;
use crate::record::{Instant, Reach};

pub(crate) type Ids = BTreeSet<Vec<u8>>;

/// Inside a partition an index is only worth its while if it leaves no more than this.
const FEW: usize = 64;

/// The worst rank that is tried inside a partition: ids, terms, edges, exact texts.
const SHARP: u8 = 3;

/// From this rank on the keys of an index are not in the order a test asks for: all of them would have to be looked at.
const SCANS: u8 = 6;

/// Ids that are read one by one rather than counted in a catalogue.
const ENOUGH: usize = 256;

/// The ids that can match, if an index holds all of them: those of the condition that leaves fewest, about.
pub(crate) fn all(reader: &Reader<'_>, ask: &Ask) -> Result<Option<Ids>, Error> {
    for most in [FEW, FEW << 6, usize::MAX] {
        if let Some(ids) = first_within(reader, ask, most, u8::MAX)? {
            return Ok(Some(ids));
        }
    }
    Ok(None)
}

/// The ids that can match, if a condition names them or leaves few.
pub(crate) fn sharp(reader: &Reader<'_>, ask: &Ask) -> Result<Option<Ids>, Error> {
    if let Some(any) = best(reader, ask, 0)? {
        return ids(reader, ask, any, usize::MAX);
    }
    first_within(reader, ask, ENOUGH, SHARP + 1)
}

/// The ids that can match, if an index holds them and they are few.
pub(crate) fn few(reader: &Reader<'_>, ask: &Ask) -> Result<Option<Ids>, Error> {
    match best(reader, ask, SHARP)? {
        Some(any) => ids(reader, ask, any, FEW),
        None => Ok(None),
    }
}

/// The ids that can match, from the first index that leaves no more than this many.
pub(crate) fn within(reader: &Reader<'_>, ask: &Ask, most: usize) -> Result<Option<Ids>, Error> {
    first_within(reader, ask, most, SCANS)
}

/// The same, of the indexes below a rank.
fn first_within(reader: &Reader<'_>, ask: &Ask, most: usize, below: u8) -> Result<Option<Ids>, Error> {
    let mut usable = Vec::new();
    for any in ask.all.iter().filter(|any| !any.negated) {
        let rank = any.tests.iter().map(rank).max().unwrap_or(0);
        let mut whole = rank < below;
        for test in &any.tests {
            whole = whole && indexed(reader, ask, test)?;
        }
        if whole {
            usable.push((rank, any));
        }
    }
    usable.sort_by_key(|(rank, _)| *rank);
    for (_, any) in usable {
        if let Some(ids) = ids(reader, ask, any, most)? {
            return Ok(Some(ids));
        }
    }
    Ok(None)
}

/// Whether facts of a name and class were ever written, with global reach and with less.
pub(crate) fn reaches(reader: &Reader<'_>, ask: &Ask, name: &str, class: u8) -> Result<(bool, bool), Error> {
    let written = |reach: Reach| {
        let key = keys::reach(ask.kind.0.as_bytes(), name.as_bytes(), class, reach);
        Ok::<_, Error>(reader.view.get(&key)?.is_some())
    };
    Ok((written(Reach::Global)?, written(Reach::Partition)?))
}

/// The condition that promises fewest ids.
fn best<'a>(reader: &Reader<'_>, ask: &'a Ask, worst: u8) -> Result<Option<&'a AnyOf>, Error> {
    let mut best: Option<(u8, &AnyOf)> = None;
    for any in ask.all.iter().filter(|any| !any.negated) {
        let rank = any.tests.iter().map(rank).max().unwrap_or(0);
        if rank > worst || best.is_some_and(|(other, _)| other <= rank) {
            continue;
        }
        let mut usable = true;
        for test in &any.tests {
            usable = usable && indexed(reader, ask, test)?;
        }
        if usable {
            best = Some((rank, any));
        }
    }
    Ok(best.map(|(_, any)| any))
}

fn rank(test: &Test) -> u8 {
    match test {
        Test::Id(_) | Test::Among(_) => 0,
        Test::Term { value: Some(_), .. } => 1,
        Test::Edge { .. } => 2,
        Test::Exact { .. } => 3,
        Test::Prefix { .. } => 4,
        Test::Instant { .. } => 5,
        Test::Contains { .. } | Test::Like { .. } => 6,
        Test::Term { value: None, .. } | Test::Present { .. } => 7,
        Test::Linked { .. } | Test::Written(_) => 8,
    }
}

/// Whether the index of a test holds every record that can pass it: no such fact was ever written with less reach.
pub(crate) fn indexed(reader: &Reader<'_>, ask: &Ask, test: &Test) -> Result<bool, Error> {
    let global = |name: &str, class: u8| {
        let key = keys::reach(ask.kind.0.as_bytes(), name.as_bytes(), class, Reach::Partition);
        Ok(reader.view.get(&key)?.is_none())
    };
    match test {
        Test::Id(_) | Test::Among(_) | Test::Edge { .. } => Ok(true),
        Test::Term { name, .. } => global(name, keys::TERM),
        Test::Exact { name, .. } | Test::Prefix { name, .. } | Test::Contains { name, .. } => {
            global(name, keys::FOLDED)
        }
        Test::Instant { name, .. } => global(name, keys::STRETCH),
        Test::Present { name } => {
            Ok(global(name, keys::TERM)? && global(name, keys::FOLDED)? && global(name, keys::STRETCH)?)
        }
        Test::Linked { .. } | Test::Written(_) | Test::Like { .. } => Ok(false),
    }
}

/// The ids under the tests of one condition; none if they are more than wanted.
fn ids(reader: &Reader<'_>, ask: &Ask, any: &AnyOf, most: usize) -> Result<Option<Ids>, Error> {
    let mut ids = Ids::new();
    for test in &any.tests {
        if gather(reader, ask, test, most, &mut ids)?.is_break() {
            return Ok(None);
        }
    }
    Ok(Some(ids))
}

pub(crate) fn gather(
    reader: &Reader<'_>,
    ask: &Ask,
    test: &Test,
    most: usize,
    ids: &mut Ids,
) -> Result<ControlFlow<()>, Error> {
    let kind = ask.kind.0.as_bytes();
    let key = |table: u8, name: &str| Key::new(table).part(kind).part(name.as_bytes());
    let mut range = |from: Vec<u8>, to: Vec<u8>, id_of: &dyn Fn(&[u8]) -> Option<&[u8]>| {
        reader.view.scan(&from, &to, &mut |key, _| {
            if let Some(id) = id_of(key) {
                ids.insert(id.to_vec());
            }
            Ok(if ids.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })
    };
    let beginning = |key: Key| {
        let from = key.done();
        let to = keys::behind(&from);
        (from, to)
    };
    match test {
        Test::Id(id) => {
            ids.insert(id.as_bytes().to_vec());
            Ok(ControlFlow::Continue(()))
        }
        Test::Among(all) => {
            ids.extend(all.iter().take(most.saturating_add(1)).map(|id| id.as_bytes().to_vec()));
            Ok(if ids.len() > most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        }
        Test::Term { name, space, value } => {
            let key = key(keys::TERM, name);
            let key = match (value, space) {
                (Some(value), Some(space)) => key.part(value.as_bytes()).part(space.as_bytes()),
                (Some(value), None) => key.part(value.as_bytes()),
                (None, _) => key,
            };
            let (from, to) = beginning(key);
            range(from, to, &in_term)
        }
        Test::Edge { name, target } => {
            let (from, to) = beginning(keys::sources(kind, name.as_bytes(), target.as_bytes()));
            range(from, to, &in_text)
        }
        Test::Exact { name, exact } => {
            let (from, to) = beginning(key(keys::EXACT, name).part(exact.as_bytes()));
            range(from, to, &in_text)
        }
        Test::Prefix { name, folded } => {
            let (from, to) = beginning(key(keys::FOLDED, name).beginning(folded.as_bytes()));
            range(from, to, &in_text)
        }
        Test::Contains { name, folded } => {
            let (from, to) = beginning(key(keys::FOLDED, name));
            let mut needle = Vec::new();
            keys::escape(folded.as_bytes(), &mut needle);
            range(from, to, &|key| containing(key, &needle))
        }
        Test::Instant { name, span } => {
            let (from, to) = begins(*span);
            let end = match to {
                Some(to) => key(keys::STRETCH, name).instant(to).done(),
                None => keys::behind(&key(keys::STRETCH, name).done()),
            };
            range(key(keys::STRETCH, name).instant(from).done(), end, &in_stretch)
        }
        Test::Present { name } => {
            for (table, id_of) in [
                (keys::TERM, in_term as fn(&[u8]) -> Option<&[u8]>),
                (keys::FOLDED, in_text),
                (keys::STRETCH, in_stretch),
            ] {
                let (from, to) = beginning(key(table, name));
                if range(from, to, &id_of)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        }
        Test::Linked { .. } | Test::Written(_) | Test::Like { .. } => Ok(ControlFlow::Break(())),
    }
}

fn in_term(key: &[u8]) -> Option<&[u8]> {
    keys::after_parts(key, 4)
}

fn in_text(key: &[u8]) -> Option<&[u8]> {
    keys::after_parts(key, 3)
}

fn in_stretch(key: &[u8]) -> Option<&[u8]> {
    keys::after_parts(key, 2).and_then(|rest| rest.get(16..))
}

/// The id behind a text that contains the (escaped) needle.
fn containing<'a>(key: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    let id = in_text(key)?;
    let text = keys::after_parts(key, 2)?;
    memchr::memmem::find(&text[..text.len() - id.len()], needle).map(|_| id)
}

/// Between which instants (the second exclusive) a stretch must begin to be able to compare so.
pub(crate) fn begins(span: Span) -> (Instant, Option<Instant>) {
    match span {
        Span::Within { from, to } => (from, Some(to)),
        Span::Overlaps { to, .. } => (Instant::MIN, Some(to)),
        Span::BeginsBefore(instant) | Span::EndsBy(instant) => (Instant::MIN, Some(instant)),
        Span::BeginsFrom(instant) => (instant, None),
        Span::EndsAfter(_) => (Instant::MIN, None),
    }
}
