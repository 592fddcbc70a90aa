//! What is kept about submissions and documents, and the only place where it becomes rows of the store.
//!
//! An *intent* is everything known about one submission key: the attempts in doubt and, once the registry has decided,
//! the answer. A *document* row stands beside each blob and says whose it is and how it is given out.

mod closing;
mod document;
mod idempotency;
mod intent;
mod peers;
mod task;

use actor::{Clock, failpoint};
use bytes::Bytes;
use serde::Serialize;
use store::blob::Staged;
use store::{AnyOf, Ask, Batch, Cursor, Error, Kind, Order, Page, Put, Row, Scope, Store, Test, Version};

use crate::answer;

pub(crate) use document::{Document, State};
pub(crate) use idempotency::{Named, NamedBefore, NewName};
pub(crate) use intent::{Attempt, Closed, Intent, kept};
pub(crate) use peers::Whose;
pub(crate) use task::{Kept, TaskQuestion, TaskRecord, TaskStatus, new_task, task_term};

/// Intents, by submission key.
const INTENT: Kind = Kind("submission-intent");
/// Documents, by blob id.
const DOCUMENT: Kind = Kind("document-bytes");
/// Partition of intents with an attempt in doubt.
const IN_DOUBT: &str = "in-doubt";
/// Partition of all other intents.
const SETTLED: &str = "settled";
/// Partition of intents with an attempt that is not given up, though a registry of another make does not know it.
const WITHHELD: &str = "withheld";
/// Partition of intents that a registry, restored from a backup, has lost and does not take back.
const REFUSED: &str = "refused";
/// Intents looked at in one go.
const PAGE: usize = 500;
/// Intents in doubt looked at in one go: each comes with its registration, which may be as long as a body.
const FEW: usize = 16;
/// Times a commit that lost a race is planned again.
const REPLANS: usize = 8;

/// The repository's rows.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) store: Store,
    clock: Clock,
    registry: String,
}

/// Keys, with what is known about each.
pub(crate) type Known = Vec<(String, Intent)>;

/// What is in doubt.
pub(crate) struct Doubt {
    /// Keys with an attempt in doubt, those that are longest so first.
    pub(crate) keys: Vec<String>,
    /// How many there are.
    pub(crate) total: u64,
    /// When the oldest of their attempts was written down.
    pub(crate) since: Option<i64>,
}

impl Records {
    /// The rows of this store; `registry` is the registry's public base.
    pub(crate) fn new(store: Store, clock: Clock, registry: String) -> Records {
        Records { store, clock, registry }
    }

    /// The registry's public base.
    pub(crate) fn registry(&self) -> &str {
        &self.registry
    }

    /// The time.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// What is known about a key.
    pub(crate) fn intent(&self, key: &str) -> Result<Option<(Version, Intent)>, Error> {
        self.store.get(INTENT, key)?.map(|row| Ok((row.version, read(&row)?))).transpose()
    }

    /// What is kept beside a document.
    pub(crate) fn document(&self, id: &str) -> Result<Option<Document>, Error> {
        self.store.get(DOCUMENT, id)?.map(|row| read(&row)).transpose()
    }

    /// Documents with this uniqueId, as XDS writes it, that are or were here: several entries may share one, and then they
    /// have the same bytes (I19). Those of attempts that came to nothing are not among them.
    pub(crate) fn documents_called(&self, unique_id: &str) -> Result<Vec<(String, Document)>, Error> {
        let test = Test::Term {
            name: document::UNIQUE_ID,
            space: Some(String::new()),
            value: Some(unique_id.to_owned()),
        };
        let page = self.store.find(&Ask {
            kind: DOCUMENT,
            scope: Scope::Everywhere,
            all: vec![AnyOf { tests: vec![test], negated: false }],
            order: Order::Natural,
            after: None,
            limit: PAGE,
            as_of: None,
            total: false,
        })?;
        page.rows.into_iter().map(|row| Ok((row.id.clone(), read(&row)?))).collect()
    }

    /// A document is another patient's from now on.
    pub(crate) async fn rehome(&self, id: &str, patient: &str) -> Result<(), Error> {
        for _ in 0..REPLANS {
            let Some(row) = self.store.get(DOCUMENT, id)? else { return Ok(()) };
            let mut document: Document = read(&row)?;
            if document.patient == patient {
                return Ok(());
            }
            patient.clone_into(&mut document.patient);
            let puts = vec![document_row(id, row.version + 1, &document)];
            let batch = Batch { instant: self.clock.now(), puts, concluding: true, ..Batch::default() };
            match self.store.apply(batch).await {
                Err(Error::Lost(_)) => {}
                applied => return applied.map(|_| ()),
            }
        }
        Ok(())
    }

    /// What is in doubt, at most so many keys of it.
    pub(crate) fn in_doubt(&self, limit: usize) -> Result<Doubt, Error> {
        let page = self.page(IN_DOUBT, None, 1, true)?;
        let total = page.total.unwrap_or(page.rows.len() as u64);
        let oldest = page.rows.first().map(read::<Intent>).transpose()?;
        let since = oldest.and_then(|intent| intent.open.iter().map(|open| open.instant).min());
        let mut keys: Vec<String> = page.rows.into_iter().map(|row| row.id).collect();
        let mut after = page.next;
        while after.is_some() && keys.len() < limit {
            let page = self.page(IN_DOUBT, after, FEW.min(limit - keys.len()), false)?;
            keys.extend(page.rows.into_iter().map(|row| row.id));
            after = page.next;
        }
        Ok(Doubt { keys, total, since })
    }

    /// The keys whose attempts are withheld for longest, at most so many, with the instant of the oldest attempt of each.
    pub(crate) fn withheld(&self, limit: usize) -> Result<Vec<(String, i64)>, Error> {
        let (known, _) = intents(self.page(WITHHELD, None, limit, false)?)?;
        let since = |intent: &Intent| intent.withheld.iter().map(|withheld| withheld.instant).min();
        Ok(known.into_iter().map(|(key, intent)| (key, since(&intent).unwrap_or_default())).collect())
    }

    /// Submissions that are not in doubt, in the order in which the registry committed them, page by page.
    pub(crate) fn settled(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Known, Option<Cursor>), Error> {
        intents(self.page(SETTLED, after, limit, false)?)
    }

    /// Whether any submission has come to an end here.
    pub(crate) fn has_settled(&self) -> Result<bool, Error> {
        Ok(!self.page(SETTLED, None, 1, false)?.rows.is_empty())
    }

    /// Submissions that a restored registry has lost and does not take back.
    pub(crate) fn refused(&self, limit: usize) -> Result<(Known, u64), Error> {
        let page = self.page(REFUSED, None, limit, true)?;
        let total = page.total.unwrap_or(page.rows.len() as u64);
        Ok((intents(page)?.0, total))
    }

    /// The same, page by page.
    pub(crate) fn not_taken(
        &self,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<(Known, Option<Cursor>), Error> {
        intents(self.page(REFUSED, after, limit, false)?)
    }

    fn page(&self, partition: &str, after: Option<Cursor>, limit: usize, total: bool) -> Result<Page, Error> {
        self.store.find(&Ask {
            kind: INTENT,
            scope: Scope::Partitions(vec![partition.to_owned()]),
            all: Vec::<AnyOf>::new(),
            order: Order::Natural,
            after,
            limit,
            as_of: None,
            total,
        })
    }

    /// What the URLs of our documents begin with: under our public base, else as the latest answer of ours says; none if
    /// nobody has been answered yet.
    pub(crate) fn documents_url(&self, public_url: Option<&str>) -> Result<Option<String>, Error> {
        if let Some(base) = public_url {
            return Ok(Some(answer::documents_under(base)));
        }
        let mut after = None;
        loop {
            let (page, next) = self.settled(after, PAGE)?;
            let told = page.iter().find_map(|(_, intent)| {
                let closed = intent.closed.as_ref().filter(|closed| closed.ours)?;
                answer::base_of(closed.answer.get())
            });
            if let Some(base) = told {
                return Ok(Some(answer::documents_under(&base)));
            }
            match next {
                Some(_) => after = next,
                None => return Ok(None),
            }
        }
    }

    /// The registration of an attempt as it was sent, and the attempt as it was written down then: it stays in the history
    /// of the row, for a registry that was restored from a backup.
    pub(crate) fn registration(
        &self,
        key: &str,
        wanted: impl Fn(&Attempt) -> bool,
    ) -> Result<Option<(Attempt, Bytes)>, Error> {
        for row in self.store.history(INTENT, key)? {
            if row.rendering.is_empty() {
                continue;
            }
            let intent: Intent = read(&row)?;
            if let Some(attempt) = intent.open.into_iter().next_back().filter(&wanted) {
                return Ok(Some((attempt, row.rendering)));
            }
        }
        Ok(None)
    }

    /// Writes an attempt down, with its documents and their bytes, in one commit. After this the outcome is in doubt.
    pub(crate) async fn open(
        &self,
        (key, known): (&str, Option<(Version, Intent)>),
        attempt: Attempt,
        registration: Bytes,
        documents: Vec<(Staged, Document)>,
        named: Option<NewName>,
    ) -> Result<(), Error> {
        let (version, mut intent) = known.unwrap_or_default();
        let instant = attempt.instant;
        intent.last = attempt.attempt;
        intent.open.push(attempt);
        let mut batch = Batch { instant, ..Batch::default() };
        batch.puts.push(intent_row(key, version + 1, &intent, registration));
        for (staged, document) in documents {
            batch.puts.push(document_row(staged.id(), 1, &document));
            batch.blobs.push(staged);
        }
        batch.puts.extend(named.map(|named| named.row(instant)));
        failpoint!(async "repo.intent.pre_commit");
        self.store.apply(batch).await?;
        failpoint!(async "repo.intent.post_commit");
        Ok(())
    }

    /// Changes what is known about a key, and plans again when somebody else was first. Nothing is written if `change` says
    /// that there is nothing to change.
    async fn change<R>(
        &self,
        key: &str,
        mut change: impl FnMut(&mut Intent, &mut Batch) -> Result<Option<R>, Error>,
    ) -> Result<Option<R>, Error> {
        for _ in 0..REPLANS {
            let Some((version, mut intent)) = self.intent(key)? else { return Ok(None) };
            let mut batch = Batch { instant: self.clock.now(), concluding: true, ..Batch::default() };
            let Some(result) = change(&mut intent, &mut batch)? else { return Ok(None) };
            // The registration itself stays readable in the row's history.
            batch.puts.push(intent_row(key, version + 1, &intent, Bytes::new()));
            match self.store.apply(batch).await {
                Ok(_) => return Ok(Some(result)),
                Err(Error::Lost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stopped(format!("what is known of a submission changed {REPLANS} times meanwhile")))
    }
}

fn intents(page: Page) -> Result<(Known, Option<Cursor>), Error> {
    let intents = page.rows.into_iter().map(|row| {
        let intent = read(&row)?;
        Ok((row.id, intent))
    });
    Ok((intents.collect::<Result<_, Error>>()?, page.next))
}

fn read<T: serde::de::DeserializeOwned>(row: &Row) -> Result<T, Error> {
    serde_json::from_slice(&row.body)
        .map_err(|error| Error::Damaged(format!("the row of {} cannot be read: {error}", row.id)))
}

fn write<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("rows are strings, numbers and JSON").into()
}

fn intent_row(key: &str, version: Version, intent: &Intent, registration: Bytes) -> Put {
    let (partition, order) = place(intent);
    Put {
        kind: INTENT,
        id: key.to_owned(),
        version,
        partition: partition.to_owned(),
        order,
        facts: Vec::new(),
        edges: Vec::new(),
        body: write(intent),
        rendering: registration,
        deleted: false,
    }
}

/// Where an intent lies: what is longest in doubt first, what is settled in the order of the registry's commits.
fn place(intent: &Intent) -> (&'static str, i64) {
    if let Some(since) = intent.open.iter().map(|open| open.instant).min() {
        return (IN_DOUBT, since.saturating_neg());
    }
    if let Some(since) = intent.withheld.iter().map(|withheld| withheld.instant).min() {
        return (WITHHELD, since.saturating_neg());
    }
    let Some(closed) = &intent.closed else { return (SETTLED, 0) };
    let partition = if closed.refused.is_some() { REFUSED } else { SETTLED };
    (partition, i64::try_from(closed.sequence).map_or(i64::MIN, i64::saturating_neg))
}

fn document_row(id: &str, version: Version, document: &Document) -> Put {
    Put {
        kind: DOCUMENT,
        id: id.to_owned(),
        version,
        partition: document.patient.clone(),
        order: 0,
        facts: document.facts(),
        edges: Vec::new(),
        body: write(document),
        rendering: Bytes::new(),
        deleted: false,
    }
}
