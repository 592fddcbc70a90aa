//! What became of an attempt (reliability: the fenced settle). Either it was committed, and here is its receipt; or it
//! can never be committed any more, and that is on storage before this is answered.

use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use bytes::Bytes;
use serde::Deserialize;
use store::{Batch, Sequence, Store};
use xds::Findings;

use crate::records::{Committed, submission_put, submission_row};

/// Lost races before the repository is asked to come again.
const TRIES: usize = 20;

/// The use case.
#[derive(Clone)]
pub(crate) struct Settle {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

/// Which attempt.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    /// SubmissionSet.uniqueId.
    pub(crate) key: String,
    /// Which attempt, from 1.
    pub(crate) attempt: u64,
}

/// What became of it.
#[derive(Debug, Clone)]
pub(crate) enum Settled {
    /// The submission was committed, by this attempt or another one.
    Committed {
        /// Which attempt it was.
        attempt: u64,
        /// Digest of its content, hexadecimal.
        digest: String,
        /// Where its documents are.
        urls: Vec<String>,
        /// The transaction-response.
        answer: Bytes,
        /// The commit that holds it.
        sequence: Sequence,
    },
    /// It was not, and no attempt up to the fence will be.
    Absent {
        /// The highest attempt that has been given up; the one asked about, or one above.
        fence: u64,
    },
}

impl Transaction for Settle {
    type Request = Attempt;
    type Response = Settled;
    type Findings = Findings;
    const NUMBER: &'static str = "settle";
    const ACTION: Action = Action::Update;
    const CONCLUDES: bool = true;

    async fn run(
        &self,
        _: Grant<Self>,
        mut trail: Trail,
        asked: Attempt,
    ) -> Result<Audited<Settled>, Fault<Findings>> {
        for _ in 0..TRIES {
            let known = submission_row(&self.store, &asked.key)?;
            let now = self.clock.now();
            let subject =
                Subject { patient: None, entities: vec![format!("submission/{}", asked.key)], query: None };
            let (version, mut record) = match known {
                Some((row, record)) => {
                    if let Some(Committed { attempt, digest, urls, .. }) = record.committed {
                        let (answer, sequence) = (row.rendering, row.sequence);
                        let settled = Settled::Committed { attempt, digest, urls, answer, sequence };
                        return Ok(trail.note(&self.store, now, subject, settled).await?);
                    }
                    if record.fence >= asked.attempt {
                        let settled = Settled::Absent { fence: record.fence };
                        return Ok(trail.note(&self.store, now, subject, settled).await?);
                    }
                    (row.version, record)
                }
                None => (0, Default::default()),
            };
            record.fence = asked.attempt;
            let puts = vec![submission_put(&asked.key, version + 1, &record, Bytes::new())];
            let batch = Batch { instant: now, puts, concluding: true, ..Batch::default() };
            failpoint!(async "reg.fence.pre_commit");
            let settled = Settled::Absent { fence: asked.attempt };
            match trail.commit(&self.store, batch, subject, |_| settled).await {
                Ok(audited) => {
                    failpoint!(async "reg.fence.post_commit");
                    return Ok(audited);
                }
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}
