//! What is kept of a receiver: how far it was told of everybody, and what could not be told.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Batch, Kind, Put, Sequence, Store};

use super::adt::Unsaid;

/// The sort of record this is.
const RECEIVER: Kind = Kind("receiver");
/// Changes that could not be told, of which the patient is remembered.
const REMEMBERED: usize = 100;

/// The ledger of one receiver.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    /// The protocol and domains it is told by.
    pub(crate) mark: String,
    /// It was told of every patient that was changed up to here, and not later.
    pub(crate) since: Sequence,
    /// Once it was told of everybody: what the outbox holds from before this is told already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) until: Option<Sequence>,
    /// Whether it may have been told before.
    #[serde(default)]
    pub(crate) again: bool,
    /// How many changes could not be told, since an operator settled the last of them.
    #[serde(default)]
    pub(crate) unsaid: u64,
    /// The latest of them.
    #[serde(default)]
    pub(crate) latest: Vec<Untold>,
}

/// A change the receiver's protocol has no word for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Untold {
    /// The patient, by id.
    pub(crate) patient: String,
    /// What.
    pub(crate) what: Unsaid,
    /// When, microseconds since 1970.
    pub(crate) instant: i64,
}

impl Ledger {
    /// What is kept of this receiver; nothing of one that was never told.
    pub(crate) fn load(store: &Store, peer: &str) -> Result<Ledger, store::Error> {
        let Some(row) = store.get(RECEIVER, peer)? else { return Ok(Ledger::default()) };
        serde_json::from_slice(&row.body)
            .map_err(|error| store::Error::Damaged(format!("what is kept of {peer}: {error}")))
    }

    /// Adds the ledger as it stands to a commit.
    pub(crate) fn put(&self, store: &Store, peer: &str, batch: &mut Batch) -> Result<(), store::Error> {
        let version = store.get(RECEIVER, peer)?.map_or(0, |row| row.version);
        batch.puts.push(Put {
            kind: RECEIVER,
            id: peer.to_owned(),
            version: version + 1,
            partition: String::new(),
            order: 0,
            facts: Vec::new(),
            edges: Vec::new(),
            body: serde_json::to_vec(self).expect("texts and numbers can be written as JSON").into(),
            rendering: Bytes::new(),
            deleted: false,
        });
        // Taken on a full volume too: what was told would be told without end.
        batch.concluding = true;
        Ok(())
    }

    /// Remembers what could not be told.
    pub(crate) fn note(&mut self, untold: Untold) {
        self.unsaid += 1;
        self.latest.push(untold);
        let surplus = self.latest.len().saturating_sub(REMEMBERED);
        self.latest.drain(..surplus);
    }
}
