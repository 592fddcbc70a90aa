//! Submissions made later: taken in durably, then made by ourselves as if the source had sent them again.
//!
//! What was taken in is the request as it came. It walks the same way as any other, under the same caller, and whatever
//! ends the process in between, it is made again: a submission that is sent twice happens once.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Fault, Subject, Trail, Transaction, failpoint};
use audit::Action;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesUnordered;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;
use serde_json::value::RawValue;
use store::blob::{Chunks, Staged};
use store::{Instant, Page, Row};
use tokio::sync::{Notify, watch};
use web::{Answer, AnswerBody, Body, BodySource, Params, Request};
use xds::{Finding, Findings, Place, Rule};

use crate::Repository;
use crate::config::TaskSettings;
use crate::face;
use crate::naming::hexadecimal;
use crate::records::{Kept, Records, TaskQuestion, TaskRecord, TaskStatus, new_task};

/// Open tasks looked at in one go.
const ROUND: usize = 256;
/// Tasks at their end that are removed in one go.
const FEW: usize = 64;
/// The pause between two looks at what is due, where nobody tells.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause between two looks at what is kept no longer.
const CLEARING: Duration = Duration::from_hours(1);
/// The longest pause between two tries.
const LONGEST_PAUSE_SECONDS: i64 = 60;

/// What all that is about tasks shares.
#[derive(Clone)]
pub(crate) struct Tasks {
    pub(crate) records: Records,
    pub(crate) settings: TaskSettings,
    fresh: Arc<Fresh>,
}

/// Tasks that have just come in.
#[derive(Default)]
struct Fresh {
    ids: Mutex<VecDeque<String>>,
    wake: Notify,
}

impl Tasks {
    pub(crate) fn new(records: Records, settings: TaskSettings) -> Tasks {
        Tasks { records, settings, fresh: Arc::default() }
    }
}

/// A request that was received whole.
pub(crate) struct Taken {
    /// The request.
    pub(crate) request: Kept,
    /// Its body.
    pub(crate) body: Staged,
    /// SHA-256 of what the source sent.
    pub(crate) fingerprint: [u8; 32],
}

/// A task that was taken in, now or under the same name before: its id, what it is, its version.
pub(crate) type Known = (String, TaskRecord, store::Version);

/// Takes a submission in.
#[derive(Clone)]
pub(crate) struct TakeIn(pub(crate) Tasks);

impl Transaction for TakeIn {
    type Request = Taken;
    type Response = Known;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-65";
    const ACTION: Action = Action::Create;

    async fn run(
        &self,
        grant: Grant<Self>,
        trail: Trail,
        taken: Taken,
    ) -> Result<Audited<Known>, Fault<Findings>> {
        let TakeIn(tasks) = self;
        let Taken { mut request, body, fingerprint } = taken;
        request.caller.clone_from(&grant.caller().name);
        request.body = Some(body.id().to_owned());
        let now = tasks.records.now();
        let id = new_id(now);
        let task = TaskRecord {
            state: TaskStatus::Received,
            request,
            received: now,
            begun: None,
            ended: None,
            tries: 0,
            due: now,
            why: None,
            patient: None,
            submission: None,
            digest: None,
            answer: None,
        };
        let subject = Subject { patient: None, entities: vec![format!("Task/{id}")], query: None };
        let name = task.name();
        let fingerprint = hexadecimal(&fingerprint);
        let batch = new_task(&id, &task, body, &fingerprint);
        failpoint!(async "repo.task.pre_commit");
        let told = (id.clone(), task, 1);
        let audited = match trail.commit(&tasks.records.store, batch, subject, |_| told).await {
            Ok(audited) => audited,
            Err((trail, store::Error::Lost(_))) => {
                let known = tasks.named(name.as_deref(), &fingerprint)?;
                let subject =
                    Subject { patient: None, entities: vec![format!("Task/{}", known.0)], query: None };
                return Ok(trail.note(&tasks.records.store, now, subject, known).await?);
            }
            Err((_, error)) => return Err(error.into()),
        };
        failpoint!(async "repo.task.post_commit");
        tasks.fresh.ids.lock().push_back(id);
        tasks.fresh.wake.notify_one();
        Ok(audited)
    }
}

impl Tasks {
    /// What was taken in under this name before, if it was the same.
    fn named(&self, name: Option<&str>, fingerprint: &str) -> Result<Known, Fault<Findings>> {
        // Nothing but the name can have been lost; should the task have gone meanwhile, the source comes again.
        let busy = || Fault::Busy(Duration::from_secs(1));
        let name = name.ok_or_else(busy)?;
        let value = self.records.store.claimed(name)?.ok_or_else(busy)?;
        let value = String::from_utf8_lossy(&value).into_owned();
        let (id, known) = value.split_once(' ').unwrap_or((&value, ""));
        if known != fingerprint {
            let text = "another request was sent under this Idempotency-Key before; nothing was stored. Send this one under a key of its own";
            let finding = Finding::error(Rule::IdempotencyKeyReused, Place::at("header"), text);
            return Err(Fault::Refused(vec![finding]));
        }
        let (row, task) = self.records.task(id)?.ok_or_else(busy)?;
        Ok((row.id, task, row.version))
    }
}

/// An id nobody can guess, whose order is that of time.
fn new_id(now: Instant) -> String {
    let micros = u64::try_from(now).unwrap_or_default();
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let nanos = u32::try_from(rest * 1000).unwrap_or_default();
    let time = uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos);
    uuid::Uuid::new_v7(time).to_string()
}

/// Reads a task.
#[derive(Clone)]
pub(crate) struct ReadTask(pub(crate) Tasks);

impl Transaction for ReadTask {
    type Request = String;
    type Response = (Row, TaskRecord);
    type Findings = Findings;
    const NUMBER: &'static str = "task";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        id: String,
    ) -> Result<Audited<(Row, TaskRecord)>, Fault<Findings>> {
        let ReadTask(Tasks { records, .. }) = self;
        let (row, task) = records.task(&id)?.ok_or(Fault::NotFound)?;
        let subject = Subject {
            patient: task.patient.as_ref().map(|patient| id_of(patient).to_owned()),
            entities: vec![format!("Task/{id}")],
            query: None,
        };
        Ok(trail.note(&records.store, records.now(), subject, (row, task)).await?)
    }
}

/// Searches tasks.
#[derive(Clone)]
pub(crate) struct FindTasks(pub(crate) Tasks);

/// What is looked for, and how that was said.
pub(crate) struct TaskSearch {
    /// The question.
    pub(crate) question: TaskQuestion,
    /// As it was asked.
    pub(crate) asked: String,
}

impl Transaction for FindTasks {
    type Request = TaskSearch;
    type Response = Page;
    type Findings = Findings;
    const NUMBER: &'static str = "task";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        search: TaskSearch,
    ) -> Result<Audited<Page>, Fault<Findings>> {
        let FindTasks(Tasks { records, .. }) = self;
        let page = records.tasks(search.question)?;
        let subject = Subject { patient: None, entities: Vec::new(), query: Some(search.asked) };
        Ok(trail.note(&records.store, records.now(), subject, page).await?)
    }
}

/// The last part of a reference.
fn id_of(reference: &str) -> &str {
    reference.rsplit('/').next().unwrap_or(reference)
}

/// What is learned of a submission on its way.
#[derive(Debug, Clone, Default)]
struct Learned {
    submission: Option<String>,
    digest: Option<String>,
    patient: Option<String>,
}

tokio::task_local! {
    static LEARNED: RefCell<Learned>;
}

/// Notes which submission this is, of which content, and whose, for the task it is made for, if it is made for one.
pub(crate) fn note(submission: &str, digest: &[u8; 32], patient: &str) {
    // Most submissions are made for no task.
    let _ = LEARNED.try_with(|learned| {
        *learned.borrow_mut() = Learned {
            submission: Some(submission.to_owned()),
            digest: Some(hexadecimal(digest)),
            patient: Some(patient.to_owned()),
        };
    });
}

/// What is known of the submission of a task that was told a failure.
enum Truth {
    /// That it did not happen.
    Absent,
    /// Nothing: an attempt of it is in doubt.
    InDoubt,
    /// That it happened all the same, with this answer.
    Happened(Box<RawValue>),
}

/// The body of a task, as it is read.
struct Stored(Option<Chunks>, u64);

impl BodySource for Stored {
    fn next(&mut self) -> LocalBoxFuture<'_, Option<Result<Bytes, web::Error>>> {
        Box::pin(async move {
            let chunk = self.0.as_mut()?.next().await?;
            Some(chunk.map_err(|error| web::Error::Source(error.to_string())))
        })
    }

    fn declared(&self) -> Option<u64> {
        Some(self.1)
    }
}

impl Repository {
    /// Works on tasks until the actor stops.
    pub(crate) async fn work_on_tasks(&self, mut stopping: watch::Receiver<bool>) {
        let tasks = &self.tasks;
        let mut under_way: HashSet<String> = HashSet::new();
        let mut works = FuturesUnordered::new();
        let mut cleared: Option<tokio::time::Instant> = None;
        while !*stopping.borrow() {
            let room = tasks.settings.concurrency.max(1).saturating_sub(works.len());
            match self.due(room, &under_way) {
                Ok(due) => {
                    for id in due {
                        under_way.insert(id.clone());
                        works.push(async move {
                            self.work_on(&id).await;
                            id
                        });
                    }
                }
                Err(error) => tracing::warn!(%error, "tasks wait"),
            }
            if cleared.is_none_or(|cleared| cleared.elapsed() >= CLEARING) {
                cleared = Some(tokio::time::Instant::now());
                if let Err(error) = self.clear_tasks().await {
                    tracing::warn!(%error, "tasks whose time is over stay for now");
                }
            }
            tokio::select! {
                Some(id) = works.next(), if !works.is_empty() => {
                    under_way.remove(&id);
                }
                () = tasks.fresh.wake.notified() => {}
                () = tokio::time::sleep(PAUSE) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Works once on every task that is due, one after the other, as the background task does it.
    pub async fn make_tasks_now(&self) -> Result<(), String> {
        let due = self.due(ROUND, &HashSet::new()).map_err(|error| error.to_string())?;
        for id in due {
            self.work_on(&id).await;
        }
        self.clear_tasks().await.map_err(|error| error.to_string())
    }

    /// Tasks to be worked on now, at most so many.
    fn due(&self, room: usize, under_way: &HashSet<String>) -> Result<Vec<String>, store::Error> {
        let tasks = &self.tasks;
        let mut due: Vec<String> = Vec::new();
        if room == 0 {
            return Ok(due);
        }
        let mut fresh = tasks.fresh.ids.lock();
        while due.len() < room
            && let Some(id) = fresh.pop_front()
        {
            if !under_way.contains(&id) {
                due.push(id);
            }
        }
        drop(fresh);
        if due.len() < room {
            let now = tasks.records.now();
            let (open, total) = tasks.records.open_tasks(ROUND)?;
            actor::meter::set("docshare_tasks_open", &[], total);
            let more = open.into_iter().filter(|(row, task)| task.due <= now && !under_way.contains(&row.id));
            for (row, _) in more {
                if due.len() < room && !due.contains(&row.id) {
                    due.push(row.id);
                }
            }
        }
        Ok(due)
    }

    /// Works on a task once: whatever is not decided stays open.
    async fn work_on(&self, id: &str) {
        let worked = async {
            let Some((row, mut task)) = self.tasks.records.task(id)? else { return Ok(()) };
            if task.ended.is_some() {
                return Ok(());
            }
            let now = self.tasks.records.now();
            task.state = TaskStatus::InProgress;
            task.begun = task.begun.or(Some(now));
            task.tries += 1;
            self.tasks.records.keep_task(id, row.version, task.clone()).await?;
            self.make(id, row.version + 1, task).await
        };
        match worked.await {
            Ok(()) | Err(store::Error::Lost(_)) => {}
            Err(error) => tracing::warn!(%error, task = id, "a task waits"),
        }
    }

    /// Makes the submission of a task, and writes down what came of it.
    async fn make(
        &self,
        id: &str,
        version: store::Version,
        mut task: TaskRecord,
    ) -> Result<(), store::Error> {
        let records = &self.tasks.records;
        let Some(mut request) = self.again(&task).await? else {
            task.ended = Some(records.now());
            task.state = TaskStatus::Failed;
            task.why =
                Some("The body of the submission is damaged here; send the submission again.".to_owned());
            return records.keep_task(id, version, task).await;
        };
        let (answer, learned) = LEARNED
            .scope(RefCell::default(), async {
                let answer = face::serve_kept(self, &task.request.path, &mut request).await;
                (answer, LEARNED.with(|learned| learned.borrow().clone()))
            })
            .await;
        failpoint!(async "repo.task.made");
        task.submission = learned.submission.or(task.submission);
        task.digest = learned.digest.or(task.digest);
        task.patient = learned.patient.or(task.patient);
        let status = answer.status.as_u16();
        let body = body_of(answer).await;
        task.why = if status < 300 { None } else { why(&body) };
        task.answer = String::from_utf8(body).ok().and_then(|text| RawValue::from_string(text).ok());
        let now = records.now();
        let truth = if status < 300 { Truth::Absent } else { truth(records, &task)? };
        let passing = matches!(status, 408 | 429 | 503) && !given_up(&self.tasks.settings, &task, now);
        let in_doubt = matches!(truth, Truth::InDoubt);
        let happened = if let Truth::Happened(answer) = truth { Some(answer) } else { None };
        let is_done = status < 300 || happened.is_some();
        if !is_done && (in_doubt || passing) {
            let pause = 1_i64.checked_shl(task.tries.min(8)).unwrap_or(LONGEST_PAUSE_SECONDS);
            task.due = now + pause.min(LONGEST_PAUSE_SECONDS) * 1_000_000;
            return records.keep_task(id, version, task).await;
        }
        if let Some(answer) = happened {
            (task.answer, task.why) = (Some(answer), None);
        }
        task.state = if is_done { TaskStatus::Completed } else { TaskStatus::Failed };
        task.ended = Some(now);
        records.keep_task(id, version, task).await
    }

    /// The request of a task, as if it came in now; none if its body is not there any more.
    async fn again(&self, task: &TaskRecord) -> Result<Option<Request>, store::Error> {
        let store = &self.tasks.records.store;
        let kept = &task.request;
        let Some(blob) = kept.body.as_deref().map(|id| store.blob(id)).transpose()?.flatten() else {
            return Ok(None);
        };
        let chunks = match store.read(&blob, 0..blob.size).await {
            Ok(chunks) => chunks,
            Err(store::Error::Damaged(why)) => {
                tracing::error!(why, "the body of a task is damaged");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let mut headers = HeaderMap::new();
        for (name, value) in &kept.headers {
            if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        Ok(Some(Request {
            method: Method::POST,
            path: kept.path.clone(),
            query: String::new(),
            headers,
            // What was written down is an address; should it not be, this machine is the caller.
            peer: kept.peer.parse().unwrap_or_else(|_| ([127, 0, 0, 1], 0).into()),
            id: kept.id.clone(),
            trace: kept.trace.clone(),
            base: kept.base.clone(),
            params: Params::default(),
            transaction: None,
            body: Body::new(Stored(Some(chunks), blob.size)),
        }))
    }

    async fn clear_tasks(&self) -> Result<(), store::Error> {
        let records = &self.tasks.records;
        let keep = i64::try_from(self.tasks.settings.keep).unwrap_or(i64::MAX / 1_000_000);
        loop {
            let now = records.now();
            let over = |task: &TaskRecord| {
                task.ended.is_some_and(|ended| ended.saturating_add(keep.saturating_mul(1_000_000)) <= now)
            };
            let mut removed = 0;
            for (row, task) in records.ended_tasks(FEW)?.into_iter().filter(|(_, task)| over(task)) {
                match records.remove_task(&row.id, row.version, &task).await {
                    Ok(()) | Err(store::Error::Lost(_)) => removed += 1,
                    Err(error) => return Err(error),
                }
            }
            if removed < FEW {
                return Ok(());
            }
        }
    }
}

/// Whether a task has been tried for as long as it may.
fn given_up(settings: &TaskSettings, task: &TaskRecord, now: Instant) -> bool {
    let tried = u64::try_from((now - task.received) / 1_000_000).unwrap_or_default();
    tried >= settings.give_up
}

/// What is known of the submission of a task, whatever the last try was told: an earlier one may have been committed, and
/// then nothing definite may be told before it is settled (I6).
fn truth(records: &Records, task: &TaskRecord) -> Result<Truth, store::Error> {
    let Some(key) = &task.submission else { return Ok(Truth::Absent) };
    let Some((_, intent)) = records.intent(key)? else { return Ok(Truth::Absent) };
    let closed = intent.closed.filter(|closed| Some(&closed.digest) == task.digest.as_ref());
    Ok(match closed {
        Some(closed) => Truth::Happened(closed.answer),
        None if intent.open.iter().any(|open| Some(&open.digest) == task.digest.as_ref()) => Truth::InDoubt,
        None => Truth::Absent,
    })
}

async fn body_of(answer: Answer) -> Vec<u8> {
    match answer.body {
        AnswerBody::Empty => Vec::new(),
        AnswerBody::Bytes(bytes) => bytes.to_vec(),
        AnswerBody::Parts(parts) => parts.concat(),
        AnswerBody::Stream { mut stream, .. } => {
            let mut all = BytesMut::new();
            while let Some(Ok(piece)) = stream.next().await {
                all.extend_from_slice(&piece);
            }
            all.to_vec()
        }
    }
}

/// The worst issue of an outcome, in words.
fn why(outcome: &[u8]) -> Option<String> {
    let outcome: serde_json::Value = serde_json::from_slice(outcome).ok()?;
    let issue = outcome.get("issue")?.get(0)?;
    let text = issue.pointer("/details/text").or_else(|| issue.get("diagnostics"))?;
    text.as_str().map(str::to_owned)
}
