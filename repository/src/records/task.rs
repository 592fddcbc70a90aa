//! Tasks: submissions that were taken in to be made later, and what became of each.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::blob::Staged;
use store::{
    AnyOf, Ask, Batch, Claim, Cursor, Error, Fact, Instant, Kind, Order, Page, Put, Reach, Row, Scope,
    Sequence, Test, Version,
};

use super::{Records, read, write};

/// Tasks, by id.
pub(crate) const TASK: Kind = Kind("task");
/// Partition of tasks that are not at their end.
const OPEN: &str = "open";
/// Partition of tasks that are.
const ENDED: &str = "ended";

/// A task as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TaskRecord {
    /// How far it has come.
    pub(crate) state: TaskStatus,
    /// The request, to be made again by ourselves.
    pub(crate) request: Kept,
    /// When it came in.
    pub(crate) received: Instant,
    /// When work on it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<Instant>,
    /// When it came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Instant>,
    /// How often it was tried.
    #[serde(default)]
    pub(crate) tries: u32,
    /// Not to be tried before this.
    #[serde(default)]
    pub(crate) due: Instant,
    /// Why it is not done yet, or came to nothing, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
    /// The patient, by reference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) patient: Option<String>,
    /// SubmissionSet.uniqueId.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) submission: Option<String>,
    /// Digest of its content, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The last answer: a transaction-response, a resource, or an OperationOutcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<Box<RawValue>>,
}

impl TaskRecord {
    /// What its source calls it, among the names of all (`Idempotency-Key`).
    pub(crate) fn name(&self) -> Option<String> {
        let key = self.request.headers.iter().find(|(name, _)| name == "idempotency-key");
        key.map(|(_, key)| format!("task/{}/{key}", self.request.caller))
    }
}

/// How far a task has come: the states of a Task that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TaskStatus {
    /// It is stored, and nothing has been done.
    Received,
    /// It is being worked on, or will be tried again.
    InProgress,
    /// It is done.
    Completed,
    /// It was refused.
    Failed,
}

impl TaskStatus {
    /// All of them.
    pub(crate) const ALL: [TaskStatus; 4] =
        [TaskStatus::Received, TaskStatus::InProgress, TaskStatus::Completed, TaskStatus::Failed];

    /// As Task.status says it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            TaskStatus::Received => "received",
            TaskStatus::InProgress => "in-progress",
            TaskStatus::Completed => "completed",
            TaskStatus::Failed => "failed",
        }
    }
}

/// A request as it came in. Its body is a blob.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Path of the endpoint: below the host, as in the table.
    pub(crate) path: String,
    /// Headers that say what the body is.
    pub(crate) headers: Vec<(String, String)>,
    /// Address of the caller.
    pub(crate) peer: String,
    /// Name of the caller.
    pub(crate) caller: String,
    /// Request id.
    pub(crate) id: String,
    /// W3C trace.
    pub(crate) trace: String,
    /// FHIR base of this repository, as the caller knows it.
    pub(crate) base: String,
    /// The blob with the body; none once it is needed no more.
    pub(crate) body: Option<String>,
}

/// Which tasks are looked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct TaskQuestion {
    /// All of these must hold.
    pub(crate) all: Vec<AnyOf>,
    /// At most so many.
    pub(crate) limit: usize,
    /// Where a page before this one ended.
    pub(crate) after: Option<Cursor>,
    /// The state that is read.
    pub(crate) as_of: Option<Sequence>,
}

impl Records {
    /// A task, with its row.
    pub(crate) fn task(&self, id: &str) -> Result<Option<(Row, TaskRecord)>, Error> {
        let row = self.store.get(TASK, id)?.filter(|row| !row.deleted);
        row.map(|row| read(&row).map(|task| (row, task))).transpose()
    }

    /// What a row says.
    pub(crate) fn task_of(row: &Row) -> Result<TaskRecord, Error> {
        read(row)
    }

    /// Tasks that are looked for, the newest first.
    pub(crate) fn tasks(&self, question: TaskQuestion) -> Result<Page, Error> {
        self.store.find(&Ask {
            kind: TASK,
            scope: Scope::Partitions(vec![OPEN.to_owned(), ENDED.to_owned()]),
            all: question.all,
            order: Order::Natural,
            after: question.after,
            limit: question.limit,
            as_of: question.as_of,
            total: true,
        })
    }

    /// Open tasks, those first that were looked at longest ago; how many there are.
    pub(crate) fn open_tasks(&self, limit: usize) -> Result<(Vec<(Row, TaskRecord)>, u64), Error> {
        self.longest_ago(OPEN, limit)
    }

    /// Tasks at their end, those first that came to it first.
    pub(crate) fn ended_tasks(&self, limit: usize) -> Result<Vec<(Row, TaskRecord)>, Error> {
        Ok(self.longest_ago(ENDED, limit)?.0)
    }

    fn longest_ago(&self, partition: &str, limit: usize) -> Result<(Vec<(Row, TaskRecord)>, u64), Error> {
        let page = self.store.find(&Ask {
            kind: TASK,
            scope: Scope::Partitions(vec![partition.to_owned()]),
            all: Vec::new(),
            order: Order::Written { descending: false },
            after: None,
            limit,
            as_of: None,
            total: true,
        })?;
        let total = page.total.unwrap_or_default();
        let tasks = page.rows.into_iter().map(|row| read(&row).map(|task| (row, task)));
        Ok((tasks.collect::<Result<_, Error>>()?, total))
    }

    /// Writes the next version of a task. Of one at its end, the body is let go.
    pub(crate) async fn keep_task(
        &self,
        id: &str,
        version: Version,
        mut task: TaskRecord,
    ) -> Result<(), Error> {
        let gone = if task.ended.is_some() { task.request.body.take() } else { None };
        let batch = Batch {
            instant: self.now(),
            puts: vec![task_row(id, version + 1, &task, false)],
            trash: gone.iter().cloned().collect(),
            concluding: true,
            ..Batch::default()
        };
        self.store.apply(batch).await?;
        self.let_go(gone.as_slice());
        Ok(())
    }

    /// Removes a task whose time is over.
    pub(crate) async fn remove_task(
        &self,
        id: &str,
        version: Version,
        task: &TaskRecord,
    ) -> Result<(), Error> {
        let batch = Batch {
            instant: self.now(),
            puts: vec![task_row(id, version + 1, task, true)],
            releases: task.name().into_iter().collect(),
            concluding: true,
            ..Batch::default()
        };
        self.store.apply(batch).await.map(|_| ())
    }

    /// A body that was submitted is in its documents by now: nobody needs it out of the trash.
    fn let_go(&self, blobs: &[String]) {
        if let Err(error) = self.store.discard(blobs) {
            tracing::warn!(%error, "the body of a task stays in the trash for now");
        }
    }
}

/// What takes a submission in: the task, its name and its body, in one commit.
pub(crate) fn new_task(id: &str, task: &TaskRecord, body: Staged, fingerprint: &str) -> Batch {
    let claim = |name| Claim { name, value: format!("{id} {fingerprint}").into_bytes() };
    Batch {
        instant: task.received,
        claims: task.name().map(claim).into_iter().collect(),
        puts: vec![task_row(id, 1, task, false)],
        blobs: vec![body],
        ..Batch::default()
    }
}

/// The test for a term of a task.
pub(crate) fn task_term(name: &'static str, value: &str) -> Test {
    Test::Term { name, space: None, value: Some(value.to_owned()) }
}

fn task_row(id: &str, version: Version, task: &TaskRecord, deleted: bool) -> Put {
    let term = |name: &'static str, value: &str, reach: Reach| Fact::Term {
        name,
        space: String::new(),
        value: value.to_owned(),
        reach,
    };
    let mut facts = vec![
        term("status", task.state.word(), Reach::Partition),
        term("requester", &task.request.caller, Reach::Partition),
        term("identifier", &format!("urn:uuid:{id}"), Reach::Global),
    ];
    facts.extend(task.patient.as_ref().map(|patient| term("patient", patient, Reach::Global)));
    facts.extend(task.submission.as_ref().map(|key| term("identifier", key, Reach::Global)));
    Put {
        kind: TASK,
        id: id.to_owned(),
        version,
        partition: if task.ended.is_some() { ENDED } else { OPEN }.to_owned(),
        order: task.received,
        facts,
        edges: Vec::new(),
        body: write(task),
        rendering: bytes::Bytes::new(),
        deleted,
    }
}
