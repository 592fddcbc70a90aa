//! What a repository compares itself with: which documents are registered under its URLs, and which submissions are known.
//! Reads only; nothing here raises a fence or changes anything.

use std::collections::HashMap;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use serde::Serialize;
use store::{Row, Sequence, Store};
use xds::identifier::unique_id_text;
use xds::{Availability, EntryUuid, Findings};

use crate::records::{Committed, DOCUMENT, DocumentRecord, ListRecord, list_row, submission_row, unreadable};
use crate::register::hex;

/// The use case of [`Binding`]s.
#[derive(Clone)]
pub(crate) struct Bindings {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

/// A stretch of the registered documents, in the order of their last change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// Only documents whose URL begins with this.
    pub(crate) under: String,
    /// Behind this commit.
    pub(crate) since: Sequence,
    /// And, in the commit that follows, behind this document: where a page before this one had to cut it.
    pub(crate) after: Option<String>,
    /// At most so many are looked at, but a commit is not cut in two, unless it has many times more.
    pub(crate) limit: usize,
}

/// A commit of more than so many times the limit is cut: a merge may have moved all documents of a patient in one.
const CUT: usize = 10;

/// Where one registered document is, and what it measures.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Binding {
    /// Id of its DocumentReference.
    pub(crate) entry: String,
    /// Where its bytes are.
    pub(crate) url: String,
    /// Whether it is `current` or `superseded`.
    pub(crate) status: &'static str,
    /// The submission it came with.
    pub(crate) key: String,
    /// Its patient.
    pub(crate) patient: String,
    /// DocumentEntry.uniqueId as XDS writes it.
    pub(crate) unique_id: String,
    /// Its media type.
    pub(crate) content_type: String,
    /// Bytes, if known.
    pub(crate) size: Option<u64>,
    /// SHA-1, hexadecimal, if known.
    pub(crate) sha1: Option<String>,
    /// SHA-256, hexadecimal, if known.
    pub(crate) sha256: Option<String>,
}

/// The bindings of a stretch.
#[derive(Debug, Clone)]
pub(crate) struct Bound {
    /// Those under the URL that was asked for.
    pub(crate) bindings: Vec<Binding>,
    /// Where to go on; none: there is nothing behind.
    pub(crate) next: Option<Sequence>,
    /// Behind which document, if in the middle of a commit.
    pub(crate) after: Option<String>,
}

impl Transaction for Bindings {
    type Request = Stretch;
    type Response = Bound;
    type Findings = Findings;
    const NUMBER: &'static str = "bindings";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        asked: Stretch,
    ) -> Result<Audited<Bound>, Fault<Findings>> {
        let mut rows = self.store.changes(DOCUMENT, asked.since, asked.limit)?;
        let mut next = rows.last().map(|row| row.sequence);
        let mut within = None;
        let first = rows.first().map(|row| row.sequence);
        // Rows of one commit come in the order of their ids.
        if let Some(after) = &asked.after {
            rows.retain(|row| Some(row.sequence) != first || row.id > *after);
        }
        if rows.len() > asked.limit * CUT && rows.last().map(|row| row.sequence) == first {
            rows.truncate(asked.limit * CUT);
            next = Some(asked.since);
            within = rows.last().map(|row| row.id.clone());
        }
        let mut keys = HashMap::new();
        let mut bindings = Vec::new();
        for row in rows.iter().filter(|row| !row.deleted) {
            let record: DocumentRecord = serde_json::from_slice(&row.body)
                .map_err(|error| Fault::from(unreadable(DOCUMENT, &row.id, &error)))?;
            if record.entry.url.starts_with(&asked.under) {
                let key = self.key(&mut keys, &record.submission_set)?;
                bindings.push(binding(row, record, key));
            }
        }
        let subject = Subject { query: Some(format!("since={}", asked.since)), ..Subject::default() };
        let now = self.clock.now();
        Ok(trail.note(&self.store, now, subject, Bound { bindings, next, after: within }).await?)
    }
}

impl Bindings {
    /// The key of the submission with this set. Documents of one submission lie next to each other.
    fn key(&self, known: &mut HashMap<EntryUuid, String>, set: &EntryUuid) -> Result<String, store::Error> {
        if let Some(key) = known.get(set) {
            return Ok(key.clone());
        }
        let key = match list_row(&self.store, set.as_str())? {
            Some((_, ListRecord::SubmissionSet(record))) => record.set.unique_id.map(|id| id.value),
            Some((_, ListRecord::Folder(_))) | None => None,
        };
        let key = key.unwrap_or_default();
        known.insert(set.clone(), key.clone());
        Ok(key)
    }
}

fn binding(row: &Row, record: DocumentRecord, key: String) -> Binding {
    let entry = record.entry;
    Binding {
        entry: row.id.clone(),
        url: entry.url,
        status: if entry.availability == Availability::Approved { "current" } else { "superseded" },
        key,
        patient: row.partition.clone(),
        unique_id: unique_id_text(&entry.unique_id),
        content_type: entry.mime_type,
        size: entry.size,
        sha1: entry.hash.map(|hash| hex(&hash.0)),
        sha256: entry.sha256.map(|digest| hex(&digest)),
    }
}

/// The use case of known submissions.
#[derive(Clone)]
pub(crate) struct Submissions {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

/// A submission that is committed here.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct KnownSubmission {
    /// SubmissionSet.uniqueId.
    pub(crate) key: String,
    /// Which attempt was committed.
    pub(crate) attempt: u64,
    /// Digest of its content, hexadecimal.
    pub(crate) digest: String,
    /// The commit that holds it.
    pub(crate) sequence: Sequence,
    /// Where its documents are.
    pub(crate) documents: Vec<String>,
}

impl Transaction for Submissions {
    type Request = Vec<String>;
    type Response = Vec<KnownSubmission>;
    type Findings = Findings;
    const NUMBER: &'static str = "submissions";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        keys: Vec<String>,
    ) -> Result<Audited<Vec<KnownSubmission>>, Fault<Findings>> {
        let mut known = Vec::with_capacity(keys.len());
        for key in keys {
            if let Some((row, record)) = submission_row(&self.store, &key)?
                && let Some(Committed { attempt, digest, urls, .. }) = record.committed
            {
                known.push(KnownSubmission { key, attempt, digest, sequence: row.sequence, documents: urls });
            }
        }
        let entities = vec![format!("{} submissions", known.len())];
        let subject = Subject { entities, ..Subject::default() };
        Ok(trail.note(&self.store, self.clock.now(), subject, known).await?)
    }
}
