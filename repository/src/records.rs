//! What is kept about submissions and documents, and the only place where it becomes rows of the store.
//!
//! An *intent* is everything known about one submission key: the attempts in doubt and, once the registry has decided,
//! the answer. A *document* row stands beside each blob and says whose it is and how it is given out.

use std::collections::HashMap;

use actor::{Clock, failpoint};
use bytes::Bytes;
use fhir::iti65::EntryReceipt;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::blob::Staged;
use store::{AnyOf, Ask, Batch, Error, Kind, Order, Put, Row, Scope, Store, Version};

use crate::answer::{self, Slot};

/// Intents, by submission key.
const INTENT: Kind = Kind("submission-intent");
/// Documents, by blob id.
const DOCUMENT: Kind = Kind("document-bytes");
/// Partition of intents with an attempt in doubt.
const IN_DOUBT: &str = "in-doubt";
/// Partition of all other intents.
const SETTLED: &str = "settled";
/// Times a commit that lost a race is planned again.
const REPLANS: usize = 8;

/// Everything known about a submission key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Intent {
    /// The highest attempt ever made.
    pub(crate) last: u64,
    /// Attempts whose outcome is not known.
    #[serde(default)]
    pub(crate) open: Vec<Attempt>,
    /// What the registry committed.
    #[serde(default)]
    pub(crate) closed: Option<Closed>,
}

/// One try to register a submission.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// Its number, from 1.
    pub(crate) attempt: u64,
    /// Digest of the submission, hexadecimal.
    pub(crate) digest: String,
    /// FHIR base of this repository, as the source knows it.
    pub(crate) base: String,
    /// When it was written down, microseconds.
    pub(crate) instant: i64,
    /// What stands in each place of the answer.
    pub(crate) slots: Vec<Slot>,
}

/// A submission the registry has committed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// The attempt that was committed.
    pub(crate) attempt: u64,
    /// Digest of the submission, hexadecimal.
    pub(crate) digest: String,
    /// The answer the source was given.
    pub(crate) answer: Box<RawValue>,
}

/// The attempt the registry says it has committed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Won<'a> {
    /// Its number.
    pub(crate) attempt: u64,
    /// Digest of what was committed, where the registry says it. Numbers count from 1 for everybody who submits under a
    /// key: an attempt of ours is the one meant only if its content is the same.
    pub(crate) digest: Option<&'a str>,
    /// The receipts it gave.
    pub(crate) receipts: &'a [EntryReceipt],
}

impl Won<'_> {
    fn is(&self, attempt: u64, digest: &str) -> bool {
        self.attempt == attempt && self.digest.is_none_or(|committed| committed == digest)
    }
}

/// How far a document has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum State {
    /// Part of an attempt in doubt.
    Staged,
    /// Registered.
    Bound,
    /// Part of an attempt that came to nothing.
    Rejected,
    /// Registered once, and taken away.
    Removed,
}

/// What is kept beside the bytes of a document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Document {
    /// How far it has come.
    pub(crate) state: State,
    /// The submission it came with.
    pub(crate) key: String,
    /// The attempt it came with.
    pub(crate) attempt: u64,
    /// Media type, as the source declared it.
    pub(crate) content_type: String,
    /// What it is called when it is saved.
    pub(crate) file_name: String,
    /// Id of its DocumentReference on the registry, once registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
    /// The patient, by the id of this domain.
    pub(crate) patient: String,
}

impl Attempt {
    /// Ids of its blobs.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().filter_map(|slot| match slot {
            Slot::Bytes { blob, .. } => Some(blob.as_str()),
            Slot::Object { .. } | Slot::Patch { .. } | Slot::Patient { .. } => None,
        })
    }
}

/// The repository's rows.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) store: Store,
    clock: Clock,
    registry: String,
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

    /// Keys with an attempt in doubt, at most `limit`, and how many there are.
    pub(crate) fn in_doubt(&self, limit: usize) -> Result<(Vec<String>, u64), Error> {
        let page = self.store.find(&Ask {
            kind: INTENT,
            scope: Scope::Partitions(vec![IN_DOUBT.to_owned()]),
            all: Vec::<AnyOf>::new(),
            order: Order::Natural,
            after: None,
            limit,
            as_of: None,
            total: true,
        })?;
        let total = page.total.unwrap_or(page.rows.len() as u64);
        Ok((page.rows.into_iter().map(|row| row.id).collect(), total))
    }

    /// Writes an attempt down, with its documents and their bytes, in one commit. After this the outcome is in doubt.
    pub(crate) async fn open(
        &self,
        key: &str,
        known: Option<(Version, Intent)>,
        attempt: Attempt,
        registration: Bytes,
        documents: Vec<(Staged, Document)>,
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
        failpoint!(async "repo.intent.pre_commit");
        self.store.apply(batch).await?;
        failpoint!(async "repo.intent.post_commit");
        Ok(())
    }

    /// Closes a key: the registry has committed the attempt that won. Its documents are bound, those of other attempts
    /// go, and the answer is kept: the one given, or one made of the receipts. Answers the answer; none if that attempt is
    /// not in our records.
    pub(crate) async fn close(
        &self,
        key: &str,
        won: Won<'_>,
        answer: Option<&Bytes>,
    ) -> Result<Option<Bytes>, Error> {
        for _ in 0..REPLANS {
            let Some((version, intent)) = self.intent(key)? else { return Ok(None) };
            if intent.open.is_empty() {
                // Somebody else has closed it already.
                let known = intent.closed.filter(|closed| won.is(closed.attempt, &closed.digest));
                return Ok(known.map(|closed| Bytes::copy_from_slice(closed.answer.get().as_bytes())));
            }
            let Some((batch, answer)) = self.closing(key, (version, intent), won, answer)? else {
                return Ok(None);
            };
            failpoint!(async "repo.bind.pre_commit");
            match self.store.apply(batch).await {
                Ok(_) => {
                    failpoint!(async "repo.bind.post_commit");
                    return Ok(Some(answer));
                }
                Err(Error::Lost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stopped(format!("closing a submission lost {REPLANS} races")))
    }

    fn closing(
        &self,
        key: &str,
        (version, mut intent): (Version, Intent),
        won: Won<'_>,
        answer: Option<&Bytes>,
    ) -> Result<Option<(Batch, Bytes)>, Error> {
        let mut batch = Batch { instant: self.clock.now(), concluding: true, ..Batch::default() };
        let open = std::mem::take(&mut intent.open);
        for gone in open.iter().filter(|open| !won.is(open.attempt, &open.digest)) {
            self.discard(gone, &mut batch)?;
        }
        if let Some(ours) = open.iter().find(|open| won.is(open.attempt, &open.digest)) {
            self.bind(ours, won.receipts, &mut batch)?;
            let answer = match answer {
                Some(given) => serde_json::from_slice(given),
                None => RawValue::from_string(answer::compose(ours, won.receipts, &self.registry, &[])),
            };
            let answer = answer.map_err(|error| Error::Damaged(error.to_string()))?;
            intent.closed = Some(Closed { attempt: ours.attempt, digest: ours.digest.clone(), answer });
        }
        let Some(answer) = intent.closed.as_ref().filter(|closed| won.is(closed.attempt, &closed.digest))
        else {
            return Ok(None);
        };
        let answer = Bytes::copy_from_slice(answer.answer.get().as_bytes());
        // The registration itself stays readable in the row's history, for a registry that was restored from a backup.
        batch.puts.push(intent_row(key, version + 1, &intent, Bytes::new()));
        Ok(Some((batch, answer)))
    }

    fn bind(&self, won: &Attempt, receipts: &[EntryReceipt], batch: &mut Batch) -> Result<(), Error> {
        let entries: HashMap<&str, String> = answer::entries_of_blobs(won, receipts);
        for id in won.blobs() {
            let Some(row) = self.store.get(DOCUMENT, id)? else { continue };
            let mut document: Document = read(&row)?;
            if document.state == State::Staged {
                document.state = State::Bound;
                document.entry = entries.get(id).cloned();
                batch.puts.push(document_row(id, row.version + 1, &document));
            }
        }
        Ok(())
    }

    /// Gives up these attempts of a key: their documents go to the trash.
    pub(crate) async fn reject(&self, key: &str, which: impl Fn(u64) -> bool) -> Result<(), Error> {
        for _ in 0..REPLANS {
            let Some((version, mut intent)) = self.intent(key)? else { return Ok(()) };
            let (gone, open): (Vec<_>, Vec<_>) = intent.open.drain(..).partition(|open| which(open.attempt));
            intent.open = open;
            if gone.is_empty() {
                return Ok(());
            }
            let mut batch = Batch { instant: self.clock.now(), concluding: true, ..Batch::default() };
            for attempt in &gone {
                self.discard(attempt, &mut batch)?;
            }
            batch.puts.push(intent_row(key, version + 1, &intent, Bytes::new()));
            match self.store.apply(batch).await {
                Ok(_) => return Ok(()),
                Err(Error::Lost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::Stopped(format!("giving up a submission lost {REPLANS} races")))
    }

    fn discard(&self, attempt: &Attempt, batch: &mut Batch) -> Result<(), Error> {
        for id in attempt.blobs() {
            let Some(row) = self.store.get(DOCUMENT, id)? else { continue };
            let mut document: Document = read(&row)?;
            if document.state == State::Staged {
                document.state = State::Rejected;
                batch.puts.push(Put { deleted: true, ..document_row(id, row.version + 1, &document) });
                batch.trash.push(id.to_owned());
            }
        }
        Ok(())
    }
}

fn read<T: serde::de::DeserializeOwned>(row: &Row) -> Result<T, Error> {
    serde_json::from_slice(&row.body)
        .map_err(|error| Error::Damaged(format!("the row of {} cannot be read: {error}", row.id)))
}

fn write<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).expect("rows are strings, numbers and JSON").into()
}

fn intent_row(key: &str, version: Version, intent: &Intent, registration: Bytes) -> Put {
    Put {
        kind: INTENT,
        id: key.to_owned(),
        version,
        partition: if intent.open.is_empty() { SETTLED } else { IN_DOUBT }.to_owned(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: write(intent),
        rendering: registration,
        deleted: false,
    }
}

fn document_row(id: &str, version: Version, document: &Document) -> Put {
    Put {
        kind: DOCUMENT,
        id: id.to_owned(),
        version,
        partition: document.patient.clone(),
        order: 0,
        facts: Vec::new(),
        edges: Vec::new(),
        body: write(document),
        rendering: Bytes::new(),
        deleted: false,
    }
}
