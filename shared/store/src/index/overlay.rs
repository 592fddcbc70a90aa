//! The newest part of the index, in memory: sorted runs, each over the ones before it.
//!
//! A reader holds the list of runs as it was when the reader came, so it sees one state however long it looks.
//! Runs are merged as they come, larger ones more seldom, so there are few of them and every key is copied few times.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;

/// What changes under a key: a new value, or none.
pub(crate) type Changes = BTreeMap<Vec<u8>, Option<Bytes>>;

/// A run merges with the one before it unless that one is more than this many times as long.
const GROWTH: usize = 4;

/// Values up to this many bytes share the memory of their group.
const SHORT: usize = 256;

/// Sorted keys with their values; `None` hides what is below.
#[derive(Debug, Default)]
pub(crate) struct Run {
    entries: Vec<(Bytes, Option<Bytes>)>,
    /// Bytes of keys and values, for bounding memory.
    weight: usize,
}

impl Run {
    /// Keys and short values move into one piece of memory: a commit has dozens of them, and a piece for each would take half
    /// as much again. Long values stay by themselves, so that one that is superseded is let go.
    pub(crate) fn new(changes: Changes) -> Run {
        let length = changes.iter().map(|(key, value)| key.len() + short(value).len()).sum();
        let mut bytes = Vec::with_capacity(length);
        for (key, value) in &changes {
            bytes.extend_from_slice(key);
            bytes.extend_from_slice(short(value));
        }
        let mut rest = Bytes::from(bytes);
        let entries: Vec<_> = changes
            .into_iter()
            .map(|(key, value)| {
                let key = rest.split_to(key.len());
                let value = value.map(|value| match value.len() {
                    0..=SHORT => rest.split_to(value.len()),
                    _ => value,
                });
                (key, value)
            })
            .collect();
        Run { weight: entries.iter().map(weigh).sum(), entries }
    }
    fn slice(&self, from: &[u8], to: &[u8]) -> &[(Bytes, Option<Bytes>)] {
        let start = self.entries.partition_point(|(key, _)| key.as_ref() < from);
        let end = start + self.entries[start..].partition_point(|(key, _)| key.as_ref() < to);
        &self.entries[start..end]
    }
    fn get(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        let found = self.entries.binary_search_by(|(other, _)| other.as_ref().cmp(key)).ok()?;
        Some(&self.entries[found].1)
    }
    fn merged(older: &Run, newer: &Run) -> Run {
        let mut entries = Vec::with_capacity(older.entries.len() + newer.entries.len());
        let (mut old, mut new) = (older.entries.iter().peekable(), newer.entries.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (Some(left), Some(right)) => left.0.cmp(&right.0),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => break,
            };
            if order != Ordering::Greater {
                let entry = old.next();
                if order == Ordering::Less {
                    entries.extend(entry.cloned());
                }
            }
            if order != Ordering::Less {
                entries.extend(new.next().cloned());
            }
        }
        Run { weight: entries.iter().map(weigh).sum(), entries }
    }
    /// Every key of the run, in order.
    pub(crate) fn entries(&self) -> &[(Bytes, Option<Bytes>)] {
        &self.entries
    }
}

/// The bytes of a short value; none of any other.
fn short(value: &Option<Bytes>) -> &[u8] {
    value.as_deref().filter(|value| value.len() <= SHORT).unwrap_or_default()
}

fn weigh(entry: &(Bytes, Option<Bytes>)) -> usize {
    entry.0.len() + entry.1.as_ref().map_or(0, Bytes::len) + 96
}

/// Runs, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Vec<Arc<Run>>);

impl Runs {
    /// These runs with another on top.
    pub(crate) fn with(&self, run: Run) -> Runs {
        let mut runs = self.0.clone();
        let mut top = run;
        while let Some(below) = runs.last() {
            if below.entries.len() > GROWTH * top.entries.len() {
                break;
            }
            top = Run::merged(below, &top);
            runs.pop();
        }
        runs.push(Arc::new(top));
        Runs(runs)
    }
    /// These runs on top of others.
    pub(crate) fn over(&self, below: &Runs) -> Runs {
        Runs(below.0.iter().chain(&self.0).cloned().collect())
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    pub(crate) fn weight(&self) -> usize {
        self.0.iter().map(|run| run.weight).sum()
    }
    /// All of them as one.
    pub(crate) fn flattened(&self) -> Run {
        let mut newest_first = self.0.iter().rev();
        let Some(newest) = newest_first.next() else { return Run::default() };
        let mut result = Run::merged(&Run::default(), newest);
        for older in newest_first {
            result = Run::merged(older, &result);
        }
        result
    }
    /// What the runs say of a key: nothing, that it is gone, or its value.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&Option<Bytes>> {
        self.0.iter().rev().find_map(|run| run.get(key))
    }
    /// A walk over the keys of a range.
    pub(crate) fn walk(&self, from: &[u8], to: &[u8]) -> Walk<'_> {
        Walk {
            heads: self.0.iter().map(|run| run.slice(from, to)).filter(|slice| !slice.is_empty()).collect(),
        }
    }
}

/// Keys of several runs in order, each once with its newest value.
pub(crate) struct Walk<'a> {
    /// What is left of each run, oldest run first.
    heads: Vec<&'a [(Bytes, Option<Bytes>)]>,
}

impl<'a> Walk<'a> {
    /// The next key that is below this one, if any.
    fn next_below(&mut self, bound: Option<&[u8]>) -> Option<&'a (Bytes, Option<Bytes>)> {
        let key = self.heads.iter().map(|head| &head[0].0).min()?;
        if bound.is_some_and(|bound| key.as_ref() >= bound) {
            return None;
        }
        self.take(&key.clone())
    }
    /// Takes this key from every run that has it next; answers the newest.
    fn take(&mut self, key: &[u8]) -> Option<&'a (Bytes, Option<Bytes>)> {
        let mut newest = None;
        for head in &mut self.heads {
            let entries: &'a [(Bytes, Option<Bytes>)] = head;
            if let Some((first, rest)) = entries.split_first()
                && first.0.as_ref() == key
            {
                newest = Some(first);
                *head = rest;
            }
        }
        self.heads.retain(|head| !head.is_empty());
        newest
    }
    /// Visits the keys below a bound (or all that are left).
    fn visit(&mut self, bound: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, Error> {
        while let Some((key, value)) = self.next_below(bound) {
            if let Some(value) = value
                && visit(key, value)?.is_break()
            {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }
    /// Visits what comes before a key of the library below, and then that key unless it is hidden.
    pub(crate) fn step(
        &mut self,
        key: &[u8],
        value: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        if self.heads.is_empty() {
            return visit(key, value);
        }
        if self.visit(Some(key), visit)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        match self.take(key) {
            None => visit(key, value),
            Some((_, Some(newer))) => visit(key, newer),
            Some((_, None)) => Ok(ControlFlow::Continue(())),
        }
    }
    /// Visits what is left.
    pub(crate) fn finish(&mut self, visit: &mut Visit<'_>) -> Result<ControlFlow<()>, Error> {
        self.visit(None, visit)
    }
}

/// Called for each key with its value; breaks to end the walk.
pub(crate) type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> Result<ControlFlow<()>, Error> + 'a;

#[cfg(test)]
mod tests {
    use super::*;

    fn run(entries: &[(&str, Option<&str>)]) -> Run {
        Run::new(
            entries
                .iter()
                .map(|(key, value)| {
                    (key.as_bytes().to_vec(), value.map(|value| Bytes::copy_from_slice(value.as_bytes())))
                })
                .collect(),
        )
    }

    #[test]
    fn the_newest_value_of_a_key_is_seen_and_a_hidden_key_is_not() {
        let runs = Runs::default()
            .with(run(&[
                ("a", Some("1")),
                ("b", Some("1")),
                ("c", Some("1")),
                ("d", Some("1")),
                ("e", Some("1")),
            ]))
            .with(run(&[("b", Some("2")), ("c", None)]));
        let mut seen = Vec::new();
        let mut visit = |key: &[u8], value: &[u8]| {
            seen.push(format!("{}{}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
            Ok(ControlFlow::Continue(()))
        };
        let mut walk = runs.walk(b"a", b"z");
        let _ = walk.step(b"aa", b"0", &mut visit).unwrap();
        let _ = walk.step(b"c", b"0", &mut visit).unwrap();
        let _ = walk.finish(&mut visit).unwrap();
        assert_eq!(seen, ["a1", "aa0", "b2", "d1", "e1"]);
        assert_eq!(runs.flattened().entries().len(), 5);
    }
}
