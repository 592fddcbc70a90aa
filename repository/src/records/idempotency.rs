//! Names that sources give their requests (`Idempotency-Key`): each stands for one content, for a day.
//!
//! The name is written in the commit that holds the intent, so it is as durable as what it names. What the request came to
//! is the business of the intent alone.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use store::{AnyOf, Ask, Batch, Error, Kind, Order, Put, Scope, Version};

use super::{Records, read, write};
use crate::naming::hexadecimal;

/// Names of requests, by client and name.
const NAME: Kind = Kind("idempotency-key");
/// Partition of all of them.
const ALL: &str = "idempotency-keys";
/// How long a name stands for its content, microseconds.
const KEPT: i64 = 24 * 3_600 * 1_000_000;
/// Names that are forgotten in one commit.
const AT_ONCE: usize = 500;

/// A request by its name, and what was sent under it.
#[derive(Debug)]
pub(crate) struct Named {
    id: String,
    body: Row,
}

/// What is kept of a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    /// The submission it was.
    key: String,
    /// Digest of its content, hexadecimal.
    digest: String,
    /// When it came first, microseconds.
    instant: i64,
}

/// A name that goes into the commit of its intent.
#[derive(Debug)]
pub(crate) struct NewName {
    named: Named,
    version: Version,
}

/// Whether a name stands for something already.
#[derive(Debug)]
pub(crate) enum NamedBefore {
    /// For nothing.
    Free(NewName),
    /// For the same.
    ForSame,
    /// For other content.
    ForOther,
}

impl Named {
    /// The request that this client calls so. Names are kept as a hash: they may be long, and say something.
    pub(crate) fn new(client: &str, name: &str, key: &str, digest: &str) -> Named {
        let mut sum = Sha256::new();
        sum.update((client.len() as u64).to_le_bytes());
        sum.update(client);
        sum.update(name);
        let body = Row { key: key.to_owned(), digest: digest.to_owned(), instant: 0 };
        Named { id: hexadecimal(&sum.finalize()), body }
    }
}

impl NewName {
    /// The row that says so from this instant on.
    pub(super) fn row(mut self, instant: i64) -> Put {
        self.named.body.instant = instant;
        put(self.named.id, self.version, instant, write(&self.named.body), false)
    }
}

fn put(id: String, version: Version, instant: i64, body: bytes::Bytes, deleted: bool) -> Put {
    Put {
        kind: NAME,
        id,
        version,
        partition: ALL.to_owned(),
        // The oldest first: they are forgotten first.
        order: instant.saturating_neg(),
        facts: Vec::new(),
        edges: Vec::new(),
        body,
        rendering: bytes::Bytes::new(),
        deleted,
    }
}

impl Records {
    /// What a name stands for. One whose submission came to nothing, or that is older than a day, stands for nothing.
    pub(crate) fn named(&self, named: Named) -> Result<NamedBefore, Error> {
        let Some(row) = self.store.get(NAME, &named.id)? else {
            return Ok(NamedBefore::Free(NewName { named, version: 1 }));
        };
        let new = NewName { version: row.version + 1, named };
        if row.deleted {
            return Ok(NamedBefore::Free(new));
        }
        let known: Row = read(&row)?;
        let is_same = known.key == new.named.body.key && known.digest == new.named.body.digest;
        let is_over = self.now() - known.instant > KEPT;
        Ok(match is_over || !self.stands(&known)? {
            true => NamedBefore::Free(new),
            false if is_same => NamedBefore::ForSame,
            false => NamedBefore::ForOther,
        })
    }

    /// Whether the content is registered, or may be.
    fn stands(&self, known: &Row) -> Result<bool, Error> {
        let Some((_, intent)) = self.intent(&known.key)? else { return Ok(false) };
        let closed = intent.closed.as_ref().map(|closed| closed.digest.as_str());
        let open = intent.open.iter().map(|open| open.digest.as_str());
        Ok(open.chain(closed).any(|digest| digest == known.digest))
    }

    /// Names a request whose submission has its outcome already.
    pub(crate) async fn name(&self, named: NewName) -> Result<(), Error> {
        let instant = self.now();
        let batch = Batch { instant, puts: vec![named.row(instant)], ..Batch::default() };
        self.store.apply(batch).await.map(|_| ())
    }

    /// Forgets names that are older than a day; answers how many.
    pub(crate) async fn forget_names(&self) -> Result<usize, Error> {
        let now = self.now();
        let mut batch = Batch { instant: now, concluding: true, ..Batch::default() };
        // Mostly the oldest is young enough, and nobody looks further.
        for limit in [1, AT_ONCE] {
            batch.puts.clear();
            for row in self.oldest_names(limit)? {
                let known: Row = read(&row)?;
                if now - known.instant > KEPT {
                    batch.puts.push(put(row.id, row.version + 1, known.instant, row.body, true));
                }
            }
            if batch.puts.is_empty() {
                return Ok(0);
            }
        }
        let count = batch.puts.len();
        self.store.apply(batch).await?;
        Ok(count)
    }

    fn oldest_names(&self, limit: usize) -> Result<Vec<store::Row>, Error> {
        let page = self.store.find(&Ask {
            kind: NAME,
            scope: Scope::Partitions(vec![ALL.to_owned()]),
            all: Vec::<AnyOf>::new(),
            order: Order::Natural,
            after: None,
            limit,
            as_of: None,
            total: false,
        })?;
        Ok(page.rows)
    }
}
