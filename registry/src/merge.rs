//! A merge moves what belongs to a patient: every document entry, submission set and folder, their past versions and what is
//! still to be decided about them become the survivor's in one commit, under the gates of both, and a ledger keeps what was moved.
//!
//! A move is a version of the object of its own (`meta.versionId`, `meta.lastUpdated`), and no version of its metadata: entryUUID
//! and the version of XDS stay. The subject becomes the survivor; sourcePatientId and sourcePatientInfo are never touched
//! (TF-2 3.8.4.2.3). What a past version in FHIR said, it says for ever.

mod groups;
mod repointed;
mod ties;
mod undo;

use std::collections::HashSet;

use serde_json::{Value, json};
use store::{Ask, Cursor, Instant, Order, Page, Put, Row, Scope, Store};
use xds::{Identifier, Patient};

use crate::authorities::Authorities;
use crate::merged;
use crate::records::association::{self, Object};
use crate::records::{
    Decision, Held, LIST, MergeRecord, Moved, PatientRecord, SUBMITS, Settled, document_past, document_put,
    folder_past, folder_stays, merge_put, merge_row, review_of, review_put, set_version, unreadable,
};

pub(crate) use ties::{Tie, tied};

/// Records read in one go. Where a page begins is looked for from the beginning, so many small pages would cost more.
const PAGE: usize = 4096;

/// After so many records others have their turn: a patient may have many, and whoever asks something meanwhile is answered.
const TURN: usize = 128;

/// What is to be written, and what an auditor is told of it.
#[derive(Default)]
pub(crate) struct Planned {
    pub(crate) puts: Vec<Put>,
    pub(crate) entities: Vec<String>,
    /// Whether there is more than one commit may hold; then nothing is written.
    pub(crate) too_many: bool,
}

/// The setting that says how much one commit may hold.
pub(crate) const MOST: &str = "merge.max_objects";

impl Planned {
    fn too_many() -> Planned {
        Planned { too_many: true, ..Planned::default() }
    }

    fn add(&mut self, held: Held, put: Put) {
        self.entities.push(held.entity(&put.id));
        self.puts.push(put);
    }
}

/// What moves belong together: one store, one instant.
pub(crate) struct Moving<'a> {
    pub(crate) store: &'a Store,
    pub(crate) authorities: &'a Authorities,
    /// Public base of the identity source.
    pub(crate) identity: &'a str,
    pub(crate) now: Instant,
    /// Objects of one merge, or of its end.
    pub(crate) most: u64,
}

/// Whom something is moved to.
pub(crate) struct Owner {
    id: String,
    patient: Patient,
    subject: Value,
}

impl Moving<'_> {
    /// A patient as an owner; `record` is what is about to be written of it, where that is more than what stands.
    pub(crate) fn owner(&self, id: &str, record: Option<&PatientRecord>) -> Result<Owner, store::Error> {
        let identifier = match record {
            Some(record) => merged::best(&record.identifiers, self.authorities).cloned(),
            None => merged::known_by(self.store, self.authorities, id)?,
        };
        let reference = format!("{}/Patient/{id}", self.identity);
        let mut subject = json!({ "reference": reference });
        if let Some(identifier) = &identifier {
            subject["identifier"] = json!({ "system": identifier.system, "value": identifier.value });
        }
        let patient = Patient { reference: Some(reference), identifier, id: Some(id.to_owned()) };
        Ok(Owner { id: id.to_owned(), patient, subject })
    }

    /// Everything of a patient becomes the survivor's. `by` is the transaction that says so.
    /// `beside` is what the same commit has of other merges.
    pub(crate) async fn merge(
        &self,
        from: &str,
        into: &Owner,
        by: &str,
        beside: &[Put],
    ) -> Result<Planned, store::Error> {
        let mut planned = Planned::default();
        let mut ledger = Vec::new();
        for held in Held::OWN {
            let mut after = None;
            loop {
                let page = self.page(held, from, after)?;
                for row in &page.rows {
                    let (put, moved) = self.moved(held, row, into, None)?;
                    planned.add(held, put);
                    ledger.push(moved);
                    others(ledger.len()).await;
                }
                if ledger.len() as u64 > self.most {
                    return Ok(Planned::too_many());
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        self.close_reviews(from, into, &mut planned)?;
        self.replace_member((from, into), beside, &mut planned, &mut ledger)?;
        planned.puts.push(self.entered(from, into, by, ledger)?);
        Ok(planned)
    }

    /// What a patient has of one kind, in pages.
    fn page(&self, held: Held, patient: &str, after: Option<Cursor>) -> Result<Page, store::Error> {
        self.store.find(&Ask {
            kind: held.kind(),
            scope: Scope::Partitions(vec![patient.to_owned()]),
            all: Vec::new(),
            order: Order::Natural,
            after,
            limit: PAGE,
            as_of: None,
            total: false,
        })
    }

    /// The ledger of a merge.
    fn entered(&self, from: &str, into: &Owner, by: &str, moved: Vec<Moved>) -> Result<Put, store::Error> {
        let version = merge_row(self.store, from)?.map_or(0, |(row, _)| row.version);
        let record =
            MergeRecord { into: into.id.clone(), by: by.to_owned(), moved, since: None, undone: None };
        Ok(merge_put(from, version + 1, &record))
    }

    /// What was to be decided between these two is decided: they are one again.
    fn close_reviews(&self, from: &str, into: &Owner, planned: &mut Planned) -> Result<(), store::Error> {
        let page = crate::records::reviews(self.store, Some(&into.id), Some(true), (None, usize::MAX / 8))?;
        for row in page.rows {
            let mut record = review_of(&row)?;
            if record.other == from || merged::survivor(self.store, &record.other)?.as_deref() == Some(from) {
                record.settled = Some(self.merged_again());
                planned.add(Held::Review, review_put(&into.id, &row.id, row.version + 1, &record));
            }
        }
        Ok(())
    }

    fn merged_again(&self) -> Settled {
        Settled { decision: Decision::Merged, at: self.now, by: String::new() }
    }

    /// Documents and lists of a patient that name it by one of these identifiers, which are its no more, name it by another.
    pub(crate) async fn renamed(
        &self,
        patient: &Owner,
        gone: &[Identifier],
    ) -> Result<Planned, store::Error> {
        let mut planned = Planned::default();
        for held in [Held::Document, Held::List, Held::DocumentPast, Held::ListPast] {
            let mut after = None;
            loop {
                let page = self.page(held, &patient.id, after)?;
                for (number, row) in page.rows.iter().enumerate() {
                    others(number).await;
                    let object = association::read(held.kind(), row.clone())?;
                    let named = object.as_ref().and_then(|object| patient_of(object).identifier.as_ref());
                    if named.is_some_and(|named| gone.contains(named)) {
                        planned.add(held, self.moved(held, row, patient, None)?.0);
                    }
                }
                if planned.puts.len() as u64 > self.most {
                    return Ok(Planned::too_many());
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(planned)
    }

    /// The next version of a record, which is the owner's. `before`: a version of it as it was the owner's already.
    pub(crate) fn moved(
        &self,
        held: Held,
        row: &Row,
        owner: &Owner,
        before: Option<&Row>,
    ) -> Result<(Put, Moved), store::Error> {
        let version = row.version + 1;
        let (put, moves) = match held {
            Held::Review => {
                let mut record = review_of(row)?;
                let other = merged::survivor(self.store, &record.other)?;
                if record.settled.is_none() && other.as_ref().unwrap_or(&record.other) == &owner.id {
                    record.settled = Some(self.merged_again());
                }
                (review_put(&owner.id, &row.id, version, &record), 0)
            }
            Held::Group => {
                return Err(unreadable(held.kind(), &row.id, &"a group has no patient of its own"));
            }
            Held::Document | Held::List | Held::DocumentPast | Held::ListPast => {
                let object = association::read(held.kind(), row.clone())?;
                let object = object.ok_or_else(|| unreadable(held.kind(), &row.id, &"it was removed"))?;
                let patient = match before {
                    Some(before) => {
                        let before = association::read(held.kind(), before.clone())?;
                        before.as_ref().map_or(&owner.patient, patient_of).clone()
                    }
                    None => owner.patient.clone(),
                };
                let subject = before.and_then(subject_of).unwrap_or_else(|| owner.subject.clone());
                self.object(object, owner, patient, &subject)
            }
        };
        let moved = Moved { held, id: row.id.clone(), version: row.version, revision: row.version - moves };
        Ok((Put { version, ..put }, moved))
    }

    /// An object as the owner's, and how many of its versions were moves before this one.
    fn object(&self, object: Object, owner: &Owner, patient: Patient, subject: &Value) -> (Put, u64) {
        let is_past = object.is_past();
        let now = self.now;
        match object {
            Object::Document(row, mut record) => {
                let moves = record.moves;
                record.moves += 1;
                record.entry.patient = patient;
                let logical = record.logical().clone();
                let put = if is_past {
                    document_past(&owner.id, row.order, *record)
                } else {
                    record.entry.carried.fhir = Some(about(&row, subject));
                    document_put(&owner.id, &logical, row.version + 1, now, *record)
                };
                (Put { order: row.order, ..put }, moves)
            }
            Object::Folder(row, mut record) => {
                let moves = record.moves;
                record.moves += 1;
                record.folder.patient = patient;
                record.updated.get_or_insert(row.instant);
                let logical = record.logical().clone();
                let put = if is_past {
                    folder_past(&owner.id, row.order, *record)
                } else {
                    record.folder.carried.fhir = Some(about(&row, subject));
                    folder_stays(&owner.id, &logical, row.version + 1, now, *record)
                };
                (Put { order: row.order, ..put }, moves)
            }
            Object::Set(row, mut record) => {
                let moves = record.moves;
                record.moves += 1;
                record.set.patient = patient;
                record.set.carried.fhir = Some(about(&row, subject));
                let id = record.set.entry_uuid.clone().expect("a registered set has its entryUUID");
                let references = references(&row);
                let put = set_version(&owner.id, &id, row.version + 1, now, *record, &references);
                (Put { order: row.order, ..put }, moves)
            }
        }
    }
}

/// Lets others have their turn now and then.
async fn others(number: usize) {
    if number.is_multiple_of(TURN) {
        tokio::task::yield_now().await;
    }
}

/// How many versions of an object were no moves.
fn revision(object: &Object) -> u64 {
    let moves = match object {
        Object::Document(_, record) => record.moves,
        Object::Folder(_, record) => record.moves,
        Object::Set(_, record) => record.moves,
    };
    object.row().version.saturating_sub(moves)
}

fn patient_of(object: &Object) -> &Patient {
    match object {
        Object::Document(_, record) => &record.entry.patient,
        Object::Folder(_, record) => &record.folder.patient,
        Object::Set(_, record) => &record.set.patient,
    }
}

/// The resource of a row with this subject.
fn about(row: &Row, subject: &Value) -> String {
    let mut resource: Value = serde_json::from_slice(&row.rendering).unwrap_or_default();
    if resource.is_object() {
        resource["subject"] = subject.clone();
    }
    resource.to_string()
}

fn subject_of(row: &Row) -> Option<Value> {
    let resource: Value = serde_json::from_slice(&row.rendering).ok()?;
    resource.get("subject").cloned()
}

/// The members of a list as it shows them, in their order.
fn references(row: &Row) -> Vec<String> {
    let resource: Value = serde_json::from_slice(&row.rendering).unwrap_or_default();
    let entries = resource["entry"].as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(|entry| entry["item"]["reference"].as_str()).map(str::to_owned).collect()
}

/// The submission sets of a patient that hold some of what goes to another one, and nothing that stays.
pub(crate) fn emptied(
    store: &Store,
    (patient, other): (&str, &str),
    gone: &HashSet<Tie>,
) -> Result<Vec<Row>, store::Error> {
    let mut sets: Vec<Row> = Vec::new();
    let mut seen = HashSet::new();
    let goes = |held: Held, tied: &xds::ties::Tied| -> Result<bool, store::Error> {
        let id = tied.target.object.as_str();
        if gone.contains(&(held, id.to_owned())) {
            return Ok(true);
        }
        Ok(store.get(held.kind(), id)?.is_none_or(|row| row.deleted || row.partition == other))
    };
    for (_, id) in gone {
        for set in store.sources(LIST, SUBMITS, id)? {
            if !seen.insert(set.clone()) {
                continue;
            }
            let Some(Object::Set(row, record)) = association::row_of(store, LIST, &set)? else { continue };
            let mut empty = row.partition == patient;
            for tied in record.documents.iter().filter(|tied| !tied.reference) {
                empty = empty && goes(Held::Document, tied)?;
            }
            for tied in &record.folders {
                empty = empty && goes(Held::List, tied)?;
            }
            if empty {
                sets.push(row);
            }
        }
    }
    Ok(sets)
}
