//! One state of the index, held still for a reader.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::Error;
use crate::index::catalogues::Catalogues;
use crate::index::digests::Digests;
use crate::index::overlay::{Changes, Runs, Visit};
use crate::index::values::State;

/// The durable part of the index as it was at its last checkpoint: an ordered key-value library.
pub(crate) trait Base: Send + Sync {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, Error>;
}

/// Anything that knows the value of a key.
pub(crate) trait Lookup {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error>;
}

/// One state of the index: the runs in memory over the library.
pub(crate) struct View {
    pub(crate) runs: Runs,
    pub(crate) base: Option<Arc<dyn Base>>,
    pub(crate) state: State,
    /// Digests of partitions, whatever state they stand for.
    pub(crate) digests: Arc<Digests>,
    /// Catalogues of kinds, as of the last commit that is visible.
    pub(crate) catalogues: Arc<Catalogues>,
    /// Held by every view made since the last checkpoint began; tells when the older ones are gone.
    pub(crate) _generation: Arc<()>,
}

impl View {
    /// Visits the keys of a range in order.
    pub(crate) fn scan(
        &self,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        let mut walk = self.runs.walk(from, to);
        if let Some(base) = &self.base
            && base.scan(from, to, &mut |key, value| walk.step(key, value, visit))?.is_break()
        {
            return Ok(ControlFlow::Break(()));
        }
        walk.finish(visit)
    }
    /// Visits the keys that begin so.
    pub(crate) fn scan_beginning(
        &self,
        with: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, Error> {
        self.scan(with, &crate::index::keys::behind(with), visit)
    }
}

impl Lookup for View {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        if let Some(known) = self.runs.get(key) {
            return Ok(known.clone());
        }
        match &self.base {
            Some(base) => base.get(key),
            None => Ok(None),
        }
    }
}

/// A view with changes on top that nobody else sees yet: those of the group, and those of the batch being judged.
pub(crate) struct Working {
    pub(crate) view: Arc<View>,
    pub(crate) group: Changes,
    pub(crate) batch: Changes,
}

impl Working {
    pub(crate) fn new(view: Arc<View>) -> Working {
        Working { view, group: Changes::new(), batch: Changes::new() }
    }
    pub(crate) fn set(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.batch.insert(key, Some(value.into()));
    }
    pub(crate) fn remove(&mut self, key: Vec<u8>) {
        self.batch.insert(key, None);
    }
    /// The batch belongs to the group from now on.
    pub(crate) fn accept(&mut self) {
        // One by one: `append` would build the whole group anew for every batch.
        self.group.extend(std::mem::take(&mut self.batch));
    }
    /// The batch never was.
    pub(crate) fn drop_batch(&mut self) {
        self.batch.clear();
    }
}

impl Lookup for Working {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Error> {
        match self.batch.get(key).or_else(|| self.group.get(key)) {
            Some(known) => Ok(known.clone()),
            None => self.view.get(key),
        }
    }
}
