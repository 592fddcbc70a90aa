//! What an engine must do. The words are those of [`crate::Store`].

pub(crate) mod embedded;
pub(crate) mod memory;

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::ask::{Ask, Page};
use crate::batch::{Applied, AuditLine, Backlog, Batch, Pending};
use crate::blob::{Blob, Chunks, Sink};
use crate::error::Error;
use crate::incarnation::Incarnation;
use crate::quarantine::Quarantined;
use crate::record::{Instant, Kind, Row, Sequence, Version};
use crate::scrub::Scrubbed;
use crate::store::Health;

/// An engine: one way to keep the promises of `Store`.
pub(crate) trait Engine: Send + Sync {
    fn apply(&self, batch: Batch) -> BoxFuture<'_, Result<Applied, Error>>;
    fn note(&self, instant: Instant, audit: Vec<Bytes>) -> BoxFuture<'_, Result<(), Error>>;
    fn audited(&self, after: u64, limit: usize) -> Result<Vec<AuditLine>, Error>;
    fn get(&self, kind: Kind, id: &str) -> Result<Option<Row>, Error>;
    fn version(&self, kind: Kind, id: &str, version: Version) -> Result<Option<Row>, Error>;
    fn history(&self, kind: Kind, id: &str) -> Result<Vec<Row>, Error>;
    fn find(&self, ask: &Ask) -> Result<Page, Error>;
    fn targets(&self, ask: &Ask, edges: &[&'static str]) -> Result<(HashSet<String>, u64), Error>;
    fn sources(&self, kind: Kind, edge: &'static str, target: &str) -> Result<Vec<String>, Error>;
    fn claimed(&self, name: &str) -> Result<Option<Vec<u8>>, Error>;
    fn changes(&self, kind: Kind, since: Sequence, limit: usize) -> Result<Vec<Row>, Error>;
    fn partitions(&self, kind: Kind, after: &str, limit: usize) -> Result<Vec<String>, Error>;
    fn pending(
        &self,
        peer: &str,
        behind: Option<(Sequence, u32)>,
        limit: usize,
    ) -> Result<Vec<Pending>, Error>;
    fn backlog(&self, peer: &str) -> Result<Backlog, Error>;
    fn stage(&self, limit: u64) -> Box<dyn Sink>;
    fn stage_apart(&self, limit: u64) -> Box<dyn Sink>;
    fn discard(&self, ids: &[String]) -> Result<(), Error>;
    fn blob(&self, id: &str) -> Result<Option<Blob>, Error>;
    fn read(&self, blob: &Blob, range: Range<u64>) -> BoxFuture<'_, Result<Chunks, Error>>;
    fn sequence(&self) -> Sequence;
    fn last_instant(&self) -> Instant;
    fn incarnation(&self) -> Incarnation;
    fn room(&self) -> Result<(), Error>;
    fn quarantined(&self) -> Vec<Quarantined>;
    fn scrub(&self) -> BoxFuture<'_, Result<Scrubbed, Error>>;
    fn health(&self) -> Health;
    fn close(&self) -> BoxFuture<'_, Result<(), Error>>;
}
