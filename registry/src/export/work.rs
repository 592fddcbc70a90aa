//! The work itself: one file after the other, of whichever export has waited longest, on a thread that gives way to all
//! others.

use std::sync::Arc;
use std::time::Duration;

use actor::failpoint;
use serde_json::{Value, json};
use store::blob::Sink;
use store::{Batch, Mark, Row, Version};
use tokio::sync::watch;

use super::walk::Walk;
use super::{Exports, removal};
use crate::face::time::instant_text;
use crate::records::{
    DOCUMENT, ExportRecord, File, Holds, LIST, PATIENT, Type, Whose, ended_exports, export_put,
    group_members, next_export, patient_of,
};

/// How much the thread gives way (the usual measure of a process: 19 is most).
const NICE: i32 = 15;
/// The pause after which expired exports are looked for, and after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// Removed resources told in one Bundle.
const REMOVALS: usize = 500;
/// Bytes gathered before they are written.
const PIECE: usize = 256 << 10;

/// What became of a turn.
enum Turn {
    /// A file is there, or the end.
    Went,
    /// There is nothing to do.
    Idle,
    /// The actor stops.
    Stopped,
}

impl Exports {
    /// Works until the actor stops. A thread that panicked is begun again: nobody else does its work.
    pub(crate) async fn work(self: Arc<Self>, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            if Arc::clone(&self).thread(stopping.clone()).await {
                return;
            }
            tracing::error!("exports are begun again");
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// Works on a thread of its own; answers whether that came to an orderly end.
    async fn thread(self: Arc<Self>, stopping: watch::Receiver<bool>) -> bool {
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        let work = move || {
            if let Err(error) = rustix::process::setpriority_process(None, NICE) {
                tracing::warn!(%error, "exports are made at the usual priority");
            }
            match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime.block_on(self.turns(stopping)),
                Err(error) => return tracing::error!(%error, "exports are not made"),
            }
            // Nobody listens any more if the actor did not wait for this thread.
            let _ = done.send(());
        };
        match std::thread::Builder::new().name("export".to_owned()).spawn(work) {
            // The sender is dropped unsent when the thread ends in disorder.
            Ok(_) => ended.await.is_ok(),
            Err(error) => {
                tracing::error!(%error, "exports are not made");
                false
            }
        }
    }

    async fn turns(&self, mut stopping: watch::Receiver<bool>) {
        while !*stopping.borrow() {
            let pause = match self.turn(&stopping).await {
                Ok(Turn::Went) => continue,
                Ok(Turn::Idle) => PAUSE,
                Ok(Turn::Stopped) => return,
                Err(error) => {
                    tracing::warn!(%error, "an export waits");
                    PAUSE
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.wake.notified() => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn turn(&self, stopping: &watch::Receiver<bool>) -> Result<Turn, store::Error> {
        self.expire().await?;
        let (Some((row, mut record)), _) = next_export(&self.store)? else { return Ok(Turn::Idle) };
        let turn = self.file(&row, &mut record, stopping).await;
        self.progress(&row.id, None);
        match turn {
            // Cancelled meanwhile: what was written goes with its sink.
            Err(store::Error::Lost(_)) => Ok(Turn::Went),
            // Trying again would come to the same, and keep all others waiting.
            Err(
                error @ (store::Error::NoRoom(_)
                | store::Error::Damaged(_)
                | store::Error::BadCursor
                | store::Error::TooBroad { .. }),
            ) => {
                tracing::error!(%error, export = row.id, "an export failed");
                self.fail(&row.id, row.version, record, in_words(&error)).await.map(|()| Turn::Went)
            }
            other => other,
        }
    }

    /// Writes the next file of an export and commits it with the place where it goes on.
    async fn file(
        &self,
        row: &Row,
        record: &mut ExportRecord,
        stopping: &watch::Receiver<bool>,
    ) -> Result<Turn, store::Error> {
        if self.settings.spare_volume && self.store.health().mark != Mark::Enough {
            return Err(store::Error::NoRoom(
                "less than a tenth of the volume is free, and that is for submissions".to_owned(),
            ));
        }
        let mut file = Writing::new(self);
        let holds = match record.order.types.get(record.place.part).copied() {
            Some(kind) => {
                let mut walk = Walk::new(self, record, kind)?;
                loop {
                    let Some(rows) = walk.next(&mut record.place)? else {
                        record.place.part += 1;
                        record.place.patient.clear();
                        record.place.within = None;
                        break;
                    };
                    for row in &rows {
                        file.line(row)?;
                    }
                    file.pour().await?;
                    self.progress(&row.id, Some(file.count));
                    if *stopping.borrow() {
                        return Ok(Turn::Stopped);
                    }
                    if file.length() >= self.settings.file_bytes {
                        break;
                    }
                    // Searches on this machine come first.
                    tokio::task::yield_now().await;
                }
                Holds::Resources(kind)
            }
            None if record.order.since.is_some() && record.place.removed < record.as_of => {
                self.removals(record, &mut file).await?;
                Holds::Removals
            }
            None => {
                for text in std::mem::take(&mut record.order.reservations) {
                    file.outcome(&text);
                }
                record.ended = Some(self.clock.now());
                Holds::Outcomes
            }
        };
        let mut batch = Batch { instant: self.clock.now(), ..Batch::default() };
        if file.count > 0 {
            let count = file.count;
            let staged = file.end().await?;
            record.files.push(File { blob: staged.id().to_owned(), holds, count });
            batch.blobs.push(staged);
        }
        batch.puts.push(export_put(&row.id, row.version + 1, batch.instant, record, false));
        failpoint!(async "reg.export.pre_commit");
        self.store.apply(batch).await?;
        failpoint!(async "reg.export.post_commit");
        Ok(Turn::Went)
    }

    /// Tells which resources were removed since the instant that was asked for.
    async fn removals(&self, record: &mut ExportRecord, file: &mut Writing) -> Result<(), store::Error> {
        let since = record.order.since.unwrap_or_default();
        let members = match &record.order.of {
            Whose::Everybody => None,
            Whose::Patients(patients) => Some(patients.clone()),
            Whose::Group(id, version) => Some(group_members(&self.store, id, *version)?),
        };
        let concerns =
            |patient: &String| members.as_ref().is_none_or(|members| members.binary_search(patient).is_ok());
        for kind in record.order.types.clone() {
            let kept = match kind {
                Type::Patient => PATIENT,
                Type::DocumentReference => DOCUMENT,
                Type::List => LIST,
            };
            let mut after = self.before(kept, since, record.as_of)?;
            loop {
                let rows = self.store.changes(kept, after, REMOVALS)?;
                let Some(last) = rows.last().map(|row| row.sequence) else { break };
                let removed = rows.iter().filter(|row| {
                    row.deleted
                        && row.instant >= since
                        && row.sequence <= record.as_of
                        && concerns(&row.partition)
                });
                let entries: Vec<Value> = removed
                    .map(|row| {
                        let url = format!("{}/{}", kind.name(), row.id);
                        json!({ "request": { "method": "DELETE", "url": url } })
                    })
                    .collect();
                if !entries.is_empty() {
                    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries });
                    file.value(&bundle);
                    file.pour().await?;
                }
                if last >= record.as_of {
                    break;
                }
                after = last;
            }
        }
        record.place.removed = record.as_of;
        Ok(())
    }

    /// A commit before which nothing of this kind was written at an instant or later: found by halving, since both only grow.
    fn before(
        &self,
        kind: store::Kind,
        since: store::Instant,
        as_of: store::Sequence,
    ) -> Result<store::Sequence, store::Error> {
        let (mut low, mut high) = (0, as_of);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.store.changes(kind, middle, 1)?.first() {
                Some(row) if row.instant < since => low = row.sequence.min(high).max(middle + 1),
                Some(_) | None => high = middle,
            }
        }
        Ok(low)
    }

    /// Notes that an export came to nothing, and lets go what is there of it.
    async fn fail(
        &self,
        id: &str,
        version: Version,
        mut record: ExportRecord,
        why: String,
    ) -> Result<(), store::Error> {
        let now = self.clock.now();
        let blobs: Vec<String> = record.files.drain(..).map(|file| file.blob).collect();
        record.ended = Some(now);
        record.failed = Some(why);
        let puts = vec![export_put(id, version + 1, now, &record, false)];
        let batch = Batch { instant: now, puts, trash: blobs.clone(), concluding: true, ..Batch::default() };
        match self.store.apply(batch).await {
            Ok(_) => self.discard(&blobs),
            Err(store::Error::Lost(_)) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Lets exports go whose time is over.
    async fn expire(&self) -> Result<(), store::Error> {
        let now = self.clock.now();
        for (row, record) in ended_exports(&self.store)? {
            if !self.is_over(&record, now) {
                return Ok(());
            }
            let (batch, blobs) = removal(&row.id, row.version, record, now);
            match self.store.apply(batch).await {
                Ok(_) => self.discard(&blobs),
                Err(store::Error::Lost(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// A failure as the caller may hear it.
fn in_words(error: &store::Error) -> String {
    match error {
        store::Error::NoRoom(why) => format!("There is no room for the export: {why}. Nothing of it was kept."),
        store::Error::BadCursor => {
            "The export was begun by another version of this registry and cannot go on; order it again. Nothing of it was kept."
                .to_owned()
        }
        store::Error::TooBroad { .. } => {
            "A search of _typeFilter finds too much to be followed; narrow it. Nothing of the export was kept.".to_owned()
        }
        _ => "Stored records cannot be read; the operator of this registry was alarmed. Nothing of the export was kept."
            .to_owned(),
    }
}

/// A file that is being written.
struct Writing {
    sink: Box<dyn Sink>,
    buffer: Vec<u8>,
    bytes: u64,
    count: u64,
}

impl Writing {
    fn new(exports: &Exports) -> Writing {
        Writing {
            sink: exports.store.stage_apart(u64::MAX),
            buffer: Vec::with_capacity(PIECE),
            bytes: 0,
            count: 0,
        }
    }

    /// A resource as it is stored. Patients fed before the registry kept the resource are written from what is known of them.
    fn line(&mut self, row: &Row) -> Result<(), store::Error> {
        if row.rendering.is_empty() {
            self.value(&patient(row)?);
        } else {
            self.buffer.extend_from_slice(&row.rendering);
            self.buffer.push(b'\n');
            self.count += 1;
        }
        Ok(())
    }

    fn value(&mut self, value: &Value) {
        serde_json::to_writer(&mut self.buffer, value).expect("a Vec takes any bytes");
        self.buffer.push(b'\n');
        self.count += 1;
    }

    fn outcome(&mut self, text: &str) {
        self.value(&json!({
            "resourceType": "OperationOutcome",
            "issue": [{
                "severity": "warning", "code": "not-supported",
                "details": {
                    "coding": [{ "system": fhir::outcome::OUR_CODES, "code": "unknown-parameter" }], "text": text,
                },
                "diagnostics": text,
            }],
        }));
    }

    /// Writes what was gathered, once it is worth it.
    async fn pour(&mut self) -> Result<(), store::Error> {
        if self.buffer.len() >= PIECE {
            self.write().await?;
        }
        Ok(())
    }

    /// Bytes so far.
    fn length(&self) -> u64 {
        self.bytes + self.buffer.len() as u64
    }

    async fn write(&mut self) -> Result<(), store::Error> {
        self.sink.write(&self.buffer).await?;
        self.bytes += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    async fn end(mut self) -> Result<store::blob::Staged, store::Error> {
        self.write().await?;
        self.sink.finish().await
    }
}

/// A patient whose resource was not kept: who it is elsewhere, and whether another took its place.
fn patient(row: &Row) -> Result<Value, store::Error> {
    let record = patient_of(row)?;
    let identifiers: Vec<Value> = record
        .identifiers
        .iter()
        .map(|identifier| match identifier.system.as_str() {
            "" => json!({ "value": identifier.value }),
            system => json!({ "system": system, "value": identifier.value }),
        })
        .collect();
    let mut patient = json!({
        "resourceType": "Patient",
        "id": row.id,
        "meta": {
            "versionId": record.fed.to_string(),
            "lastUpdated": instant_text(row.instant),
            "tag": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
            }],
        },
    });
    if !identifiers.is_empty() {
        patient["identifier"] = Value::Array(identifiers);
    }
    patient["active"] = Value::Bool(record.active);
    if let Some(other) = record.replaced_by {
        patient["link"] = json!([{ "other": { "reference": other }, "type": "replaced-by" }]);
    }
    Ok(patient)
}
