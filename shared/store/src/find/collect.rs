//! Gathers matches: counts them if asked, keeps those of the page.

use std::collections::HashSet;
use std::ops::ControlFlow;

use bytes::Bytes;

use crate::ask::{Ask, Order, Page};
use crate::error::Error;
use crate::find::digest::{Checks, Digest, Digested};
use crate::find::{evaluate, sort};
use crate::record::Sequence;
use crate::row::{self, RowView};

/// Matches on their way to a page.
pub(crate) struct Collector<'a> {
    ask: &'a Ask,
    as_of: Sequence,
    after: Option<Vec<u8>>,
    /// Names of edges whose targets are wanted instead of a page.
    edges: Option<&'a [&'static str]>,
    targets: HashSet<String>,
    /// Place and row of each candidate for the page.
    kept: Vec<(Vec<u8>, Bytes)>,
    /// How many were kept from the range being scanned, whose rows come in order.
    in_range: usize,
    total: u64,
    scanned: u64,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(ask: &'a Ask, as_of: Sequence, after: Option<Vec<u8>>) -> Collector<'a> {
        Collector {
            ask,
            as_of,
            after,
            edges: None,
            targets: HashSet::new(),
            kept: Vec::new(),
            in_range: 0,
            total: 0,
            scanned: 0,
        }
    }

    /// One that keeps only where the matches point to.
    pub(crate) fn following(ask: &'a Ask, as_of: Sequence, edges: &'a [&'static str]) -> Collector<'a> {
        Collector { edges: Some(edges), ..Collector::new(ask, as_of, None) }
    }

    pub(crate) fn into_targets(self) -> (HashSet<String>, u64) {
        (self.targets, self.scanned)
    }

    /// Where the scan of a range may begin: at the cursor, if nothing before it has to be counted.
    pub(crate) fn start_of_range(&self) -> Option<&[u8]> {
        if self.ask.order == Order::Natural && !self.ask.total { self.after.as_deref() } else { None }
    }

    /// A scan of rows in natural order begins.
    pub(crate) fn begin_range(&mut self) {
        self.in_range = 0;
    }

    /// Takes the next row of a range; breaks when the rest of the range cannot matter.
    pub(crate) fn offer(&mut self, row: &RowView<'_>, bytes: &[u8]) -> Result<ControlFlow<()>, Error> {
        if self.take(row, bytes) {
            self.in_range += 1;
        }
        Ok(self.enough())
    }

    /// The same of a row of a digest that has the terms asked for.
    pub(crate) fn offer_digested(
        &mut self,
        digest: &Digest,
        row: &Digested,
        checks: &Checks<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        self.scanned += 1;
        if !digest.matches(row, checks)? {
            return Ok(ControlFlow::Continue(()));
        }
        if let Some(wanted) = self.edges {
            let targets = digest.targets(row, wanted).filter_map(|target| std::str::from_utf8(target).ok());
            self.targets.extend(targets.map(str::to_owned));
        } else if self.ask.limit == 0 || self.ask.order == Order::Natural && self.in_range > self.ask.limit {
            // Behind the page, a match is only counted.
            self.total += 1;
        } else if self.keep(&RowView::new(&row.bytes)?, || row.bytes.clone()) {
            self.in_range += 1;
        }
        Ok(self.enough())
    }

    fn enough(&self) -> ControlFlow<()> {
        let full = self.edges.is_none() && self.ask.order == Order::Natural && self.in_range > self.ask.limit;
        if full && !self.ask.total { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// So many rows of a range have not the terms asked for.
    pub(crate) fn pass_over(&mut self, rows: usize) {
        self.scanned += rows as u64;
    }

    pub(crate) fn scanned(&self) -> u64 {
        self.scanned
    }

    /// Takes a row that comes in no particular order.
    pub(crate) fn offer_aside(&mut self, row: &RowView<'_>, bytes: &[u8]) -> Result<(), Error> {
        if !row.deleted() {
            self.take(row, bytes);
        }
        Ok(())
    }

    /// Whether every match has to be seen.
    pub(crate) fn wants_all(&self) -> bool {
        self.edges.is_some()
    }

    /// Behind which place the page begins.
    pub(crate) fn after(&self) -> Option<&[u8]> {
        self.after.as_deref()
    }

    /// So many match; those of the page are offered by themselves.
    pub(crate) fn count(&mut self, matches: u64) {
        self.total += matches;
    }

    /// Takes a row that is known to match and has been counted.
    pub(crate) fn offer_counted(&mut self, row: &RowView<'_>, bytes: &Bytes) {
        self.scanned += 1;
        self.retain(row, || bytes.clone());
    }

    fn take(&mut self, row: &RowView<'_>, bytes: &[u8]) -> bool {
        self.scanned += 1;
        evaluate::matches(row, &self.ask.all) && self.keep(row, || Bytes::copy_from_slice(bytes))
    }

    /// Keeps a match, if it is one of the page.
    fn keep(&mut self, row: &RowView<'_>, bytes: impl FnOnce() -> Bytes) -> bool {
        self.total += 1;
        if let Some(wanted) = self.edges {
            let edges = row.edges().filter(|(name, _)| wanted.iter().any(|one| one.as_bytes() == *name));
            let targets = edges.filter_map(|(_, target)| std::str::from_utf8(target).ok());
            self.targets.extend(targets.map(str::to_owned));
            return false;
        }
        if self.ask.order == Order::Natural && self.in_range > self.ask.limit {
            return false;
        }
        self.retain(row, bytes)
    }

    fn retain(&mut self, row: &RowView<'_>, bytes: impl FnOnce() -> Bytes) -> bool {
        let place = sort::place(&self.ask.order, row);
        if self.ask.limit == 0 || self.after.as_ref().is_some_and(|after| place <= *after) {
            return false;
        }
        self.kept.push((place, bytes()));
        if self.kept.len() > 1024 + 4 * self.ask.limit {
            self.prune();
        }
        true
    }

    /// Keeps the page and one row more, which tells that there is a next page.
    fn prune(&mut self) {
        self.kept.sort_unstable_by(|left, right| left.0.cmp(&right.0));
        self.kept.truncate(self.ask.limit + 1);
    }

    pub(crate) fn into_page(mut self) -> Result<Page, Error> {
        self.prune();
        let more = self.kept.len() > self.ask.limit;
        self.kept.truncate(self.ask.limit);
        let next = self.kept.last().filter(|_| more).map(|(place, row)| sort::cursor(self.ask, place, row));
        let next = next.transpose()?;
        let rows = self.kept.iter().map(|(_, bytes)| row::decode(bytes)).collect::<Result<_, _>>()?;
        Ok(Page {
            rows,
            next,
            total: self.ask.total.then_some(self.total),
            as_of: self.as_of,
            scanned: self.scanned,
        })
    }
}
