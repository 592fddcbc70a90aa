//! Undoing a merge: what the ledger says was moved goes back, as far as it is still as it was moved.
//!
//! An object that was submitted while the patients were one stays with the survivor, for it was submitted under its name. So does
//! one that was changed then, and whatever is tied to one that stays: a document whose replacement was submitted meanwhile stays
//! with it, since a document is replaced once (I8) and what is tied has one patient (I9); giving back the old one alone would
//! show the other patient no current document, or an outdated one. All of these are reviewed, one by one, by people. What is to
//! be decided of an object goes where the object goes, and what a merge had decided is open again once it is undone.

use std::collections::{HashMap, HashSet};

use store::{Instant, Put, Row, Sequence};
use uuid::Uuid;

use super::{Moving, Owner, Planned, Tie, others, revision, tied};
use crate::merged;
use crate::records::association::{self, Object};
use crate::records::{
    ABOUT, Decision, Held, ListRecord, MERGE, MERGED_INTO, MergeRecord, Moved, PATIENT, ReviewRecord,
    SUBMITS, Why, list_row, merge_put, merge_row, review_of, review_put, review_row, reviews,
};
use crate::update::replaced_by;

/// The ledger of a patient.
pub(super) struct Ledger {
    patient: String,
    row: Row,
    pub(super) record: MergeRecord,
}

/// An object that stays and may be the other patient's: why, and since when.
type Listed = (Held, Object, Why, Instant);

/// A patient, and whoever is merged into it, with the ledgers of what was moved for them.
pub(super) struct Under {
    pub(super) patients: Vec<String>,
    pub(super) ledgers: Vec<Ledger>,
}

impl Under {
    /// What the ledgers have, by what it is.
    pub(super) fn moved(&self) -> HashMap<(Held, &str), &Moved> {
        let all = self.ledgers.iter().flat_map(|ledger| &ledger.record.moved);
        all.map(|moved| ((moved.held, moved.id.as_str()), moved)).collect()
    }
}

/// What became of the objects of a ledger.
#[derive(Default)]
struct Sorted {
    /// Documents and folders that can go back.
    going: HashMap<Tie, (Object, Moved)>,
    /// Those that cannot.
    staying: HashMap<Tie, (Object, Why)>,
    /// Submission sets: they record what was submitted, whatever became of it.
    sets: Vec<(Row, Moved)>,
    /// Past versions, each with the object it is a version of.
    past: Vec<(Row, Moved, Tie)>,
    groups: Vec<Moved>,
}

impl Moving<'_> {
    /// What the merge of `patient` has moved, and `holder` has now, becomes `to`'s: the patient's own again, or whose it is now
    /// merged into. So does what was moved on for those who are merged into the patient. `by` is the transaction that says so.
    pub(crate) async fn unmerge(
        &self,
        (patient, holder): (&str, &str),
        to: &Owner,
        by: &str,
        beside: &[Put],
    ) -> Result<Planned, store::Error> {
        let mut planned = Planned::default();
        let under = self.under(patient)?;
        let own = to.id == patient;
        let mut sorted = self.sort(&under.ledgers, holder).await?;
        let submitted = match under.ledgers.first().filter(|ledger| ledger.patient == patient) {
            Some(ledger) => self.submitted(ledger, holder).await?,
            None => Some(Vec::new()),
        };
        let Some(mut listed) = submitted else { return Ok(Planned::too_many()) };
        self.settle_ties(&mut sorted, holder)?;
        let mut going: Vec<_> = sorted.going.into_iter().collect();
        going.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let mut gone: HashSet<Tie> = going.iter().map(|(tie, _)| tie.clone()).collect();
        let objects: Vec<Tie> = going.iter().map(|(tie, _)| tie.clone()).collect();
        let records =
            going.into_iter().map(|((held, _), (object, moved))| (held, object.row().clone(), moved));
        let sets = sorted.sets.into_iter().map(|(row, moved)| (Held::List, row, moved));
        let past = sorted.past.into_iter().filter(|(_, _, of)| gone.contains(of));
        let past: Vec<_> = past.map(|(row, moved, _)| (moved.held, row, moved)).collect();
        for (number, (held, row, moved)) in records.chain(sets).chain(past).enumerate() {
            let before = self.store.version(held.kind(), &row.id, moved.version)?;
            // As it was the owner's, it is again.
            let before = before.filter(|before| own && before.partition == patient);
            planned.add(held, self.moved(held, &row, to, before.as_ref())?.0);
            gone.insert((held, row.id));
            others(number).await;
        }
        self.reviews_along((&under, holder), to, objects, &mut planned, &mut gone)?;
        let between = merged::chain(self.store, patient)?;
        let between: Vec<&String> =
            between.iter().filter(|one| *one != holder && !under.patients.contains(one)).collect();
        listed.extend(self.reopen((&under, holder), &between, &mut planned, &gone)?);
        if own {
            for moved in &sorted.groups {
                self.restore_member(moved, (patient, holder), beside, &mut planned)?;
            }
        }
        self.open_reviews((patient, holder), sorted.staying, listed, &mut planned)?;
        if planned.entities.len() as u64 > self.most {
            return Ok(Planned::too_many());
        }
        // What has left the chain is no concern of those who stood between.
        let moved = under.moved();
        for id in between {
            let put = self.forget(id, |one| match moved.get(&(one.held, one.id.as_str())) {
                Some(first) if one.held == Held::Group => Ok(own && !self.was_member(first, id)?),
                _ => Ok(gone.contains(&(one.held, one.id.clone()))),
            })?;
            planned.puts.extend(put);
        }
        for Ledger { patient: of, row, mut record } in under.ledgers {
            if of == patient {
                record.since = None;
            } else {
                record.since.get_or_insert(row.version);
            }
            if own && of == patient {
                record = MergeRecord { moved: Vec::new(), undone: Some(self.now), ..record };
            } else {
                let stays = |moved: &Moved| {
                    moved.held == Held::Group || gone.contains(&(moved.held, moved.id.clone()))
                };
                record.moved.retain(stays);
                record.into.clone_from(&to.id);
                by.clone_into(&mut record.by);
            }
            planned.puts.push(merge_put(&of, row.version + 1, &record));
        }
        Ok(planned)
    }

    /// What is to be decided of the objects that go, goes with them.
    fn reviews_along(
        &self,
        (under, holder): (&Under, &str),
        to: &Owner,
        objects: Vec<Tie>,
        planned: &mut Planned,
        gone: &mut HashSet<Tie>,
    ) -> Result<(), store::Error> {
        for (held, object) in objects {
            for id in self.store.sources(Held::Review.kind(), ABOUT, &object)? {
                let Some((row, mut record)) = review_row(self.store, &id)? else { continue };
                if row.partition != holder || record.held != held {
                    continue;
                }
                let is_one = self.stands_after(&record.other, (under, to))? == to.id;
                if is_one && record.settled.is_none() {
                    record.settled = Some(self.merged_again());
                } else if !is_one && was_merged(&record) {
                    record.settled = None;
                }
                planned.add(Held::Review, review_put(&to.id, &row.id, row.version + 1, &record));
                gone.insert((Held::Review, row.id));
            }
        }
        Ok(())
    }

    /// What was decided by merging these two again is not decided any more. What had stayed as it might be that of somebody
    /// `between` these two, who is still merged, may be this patient's too: it is answered.
    fn reopen(
        &self,
        (under, holder): (&Under, &str),
        between: &[&String],
        planned: &mut Planned,
        gone: &HashSet<Tie>,
    ) -> Result<Vec<Listed>, store::Error> {
        let mut again = Vec::new();
        let page = reviews(self.store, Some(holder), Some(false), (None, usize::MAX / 8))?;
        for row in page.rows {
            let mut record = review_of(&row)?;
            let is_between = between.contains(&&record.other);
            if !was_merged(&record)
                || !(is_between || under.patients.contains(&record.other))
                || gone.contains(&(Held::Review, row.id.clone()))
                || gone.contains(&(record.held, record.object.clone()))
            {
                continue;
            }
            let object = association::row_of(self.store, record.held.kind(), &record.object)?;
            let Some(object) = object.filter(|object| object.row().partition == holder) else { continue };
            if !is_between {
                record.settled = None;
                planned.add(Held::Review, review_put(holder, &row.id, row.version + 1, &record));
                continue;
            }
            let first = self.store.version(record.held.kind(), &record.object, 1)?;
            if first.is_some_and(|first| !between.contains(&&first.partition)) {
                again.push((record.held, object, record.why, record.since));
            }
        }
        Ok(again)
    }

    /// Who stands for a patient once this one and those under it are the owner's.
    fn stands_after(&self, patient: &str, (under, to): (&Under, &Owner)) -> Result<String, store::Error> {
        if under.patients.iter().any(|one| one == patient) {
            return Ok(to.id.clone());
        }
        merged::stands(self.store, patient)
    }

    /// The ledger of a patient without the objects that were moved by it and are no concern of it any more.
    pub(crate) fn forget(
        &self,
        patient: &str,
        mut is_gone: impl FnMut(&Moved) -> Result<bool, store::Error>,
    ) -> Result<Option<Put>, store::Error> {
        let ledger = merge_row(self.store, patient)?.filter(|(_, record)| record.undone.is_none());
        let Some((row, mut record)) = ledger else { return Ok(None) };
        let before = record.moved.len();
        let mut kept = Vec::with_capacity(before);
        for moved in std::mem::take(&mut record.moved) {
            if !is_gone(&moved)? {
                kept.push(moved);
            }
        }
        record.moved = kept;
        record.since.get_or_insert(row.version);
        Ok((record.moved.len() < before).then(|| merge_put(patient, row.version + 1, &record)))
    }

    /// Whoever is merged into a patient, at whatever remove.
    pub(crate) fn patients_under(&self, patient: &str) -> Result<Vec<String>, store::Error> {
        let mut seen = self.under(patient)?.patients;
        seen.retain(|one| one != patient);
        Ok(seen)
    }

    /// The ledger of a patient first, and those of whoever was merged into it when it was merged away itself.
    pub(super) fn under(&self, patient: &str) -> Result<Under, store::Error> {
        let mut ledgers = Vec::new();
        let mut seen = vec![patient.to_owned()];
        let mut at = 0;
        while let Some(id) = seen.get(at).cloned() {
            let stands = merge_row(self.store, &id)?.filter(|(_, record)| record.undone.is_none());
            if let Some((row, record)) = stands
                && (id == patient || !seen.contains(&record.into))
            {
                ledgers.push(Ledger { patient: id.clone(), row, record });
            }
            for source in self.store.sources(PATIENT, MERGED_INTO, &id)? {
                if !seen.contains(&source) {
                    seen.push(source);
                }
            }
            at += 1;
        }
        Ok(Under { patients: seen, ledgers })
    }

    async fn sort(&self, ledgers: &[Ledger], holder: &str) -> Result<Sorted, store::Error> {
        let mut sorted = Sorted::default();
        let mut seen = HashSet::new();
        let all = ledgers.iter().flat_map(|ledger| &ledger.record.moved);
        for (number, moved) in all.enumerate() {
            others(number).await;
            if !seen.insert((moved.held, moved.id.as_str())) {
                continue;
            }
            if moved.held == Held::Group {
                sorted.groups.push(moved.clone());
                continue;
            }
            if moved.held == Held::Review {
                continue;
            }
            let row = self.store.get(moved.held.kind(), &moved.id)?;
            let Some(row) = row.filter(|row| !row.deleted && row.partition == holder) else { continue };
            let Some(object) = association::read(moved.held.kind(), row.clone())? else { continue };
            match (&object, moved.held) {
                (Object::Set(..), _) => sorted.sets.push((row, moved.clone())),
                (Object::Document(_, record), Held::DocumentPast) => {
                    let of = (Held::Document, record.logical().as_str().to_owned());
                    sorted.past.push((row, moved.clone(), of));
                }
                (Object::Folder(_, record), Held::ListPast) => {
                    let of = (Held::List, record.logical().as_str().to_owned());
                    sorted.past.push((row, moved.clone(), of));
                }
                _ => {
                    let tie = (moved.held, moved.id.clone());
                    if revision(&object) == moved.revision {
                        sorted.going.insert(tie, (object, moved.clone()));
                    } else {
                        sorted.staying.insert(tie, (object, Why::Changed));
                    }
                }
            }
        }
        Ok(sorted)
    }

    /// What is tied to something that the holder keeps, stays with it.
    fn settle_ties(&self, sorted: &mut Sorted, holder: &str) -> Result<(), store::Error> {
        let mut ties = HashMap::with_capacity(sorted.going.len());
        for (tie, (object, _)) in &sorted.going {
            ties.insert(tie.clone(), tied(self.store, object)?);
        }
        let mut next: Vec<(Tie, Tie)> = Vec::new();
        for (one, others) in &ties {
            for other in others.iter().filter(|other| !sorted.going.contains_key(*other)) {
                let row = self.store.get(other.0.kind(), &other.1)?;
                if row.is_some_and(|row| !row.deleted && row.partition == holder) {
                    next.push((one.clone(), other.clone()));
                    break;
                }
            }
        }
        next.sort_unstable();
        while let Some((one, by)) = next.pop() {
            let Some((object, _)) = sorted.going.remove(&one) else { continue };
            for other in ties.get(&one).into_iter().flatten() {
                if sorted.going.contains_key(other) {
                    next.push((other.clone(), one.clone()));
                }
            }
            let why = Why::Tied(by.0.entity(&by.1));
            sorted.staying.insert(one, (object, why));
        }
        Ok(())
    }

    /// Documents and folders that were submitted for the survivor while the patients were one; none, if they are more than one
    /// commit may list.
    async fn submitted(
        &self,
        Ledger { patient, row, record: ledger }: &Ledger,
        holder: &str,
    ) -> Result<Option<Vec<Listed>>, store::Error> {
        let since = self.told(row, ledger)?;
        let survivors = self.survivors(patient, (since, ledger), holder)?;
        let known: HashSet<(Held, &str)> =
            ledger.moved.iter().map(|moved| (moved.held, moved.id.as_str())).collect();
        let mut submitted = Vec::new();
        for held in [Held::Document, Held::List] {
            let mut after = None;
            loop {
                let page = self.page(held, holder, after)?;
                for (number, found) in page.rows.into_iter().enumerate() {
                    others(number).await;
                    if found.sequence <= since || known.contains(&(held, &found.id)) {
                        continue;
                    }
                    let first = match found.version {
                        1 => Some(found.clone()),
                        _ => self.store.version(held.kind(), &found.id, 1)?,
                    };
                    let Some(first) = first else { continue };
                    let meanwhile = survivors
                        .iter()
                        .any(|(patient, since)| first.partition == *patient && first.sequence > *since);
                    let object = if meanwhile { association::read(held.kind(), found)? } else { None };
                    if let Some(object) = object.filter(|object| !matches!(object, Object::Set(..))) {
                        submitted.push((held, object, Why::Submitted, first.instant));
                    }
                }
                if submitted.len() as u64 > self.most {
                    return Ok(None);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(Some(submitted))
    }

    /// Who has stood for the patient, each since which commit.
    fn survivors(
        &self,
        patient: &str,
        (since, ledger): (Sequence, &MergeRecord),
        holder: &str,
    ) -> Result<Vec<(String, Sequence)>, store::Error> {
        let mut survivors = vec![(ledger.into.clone(), since)];
        let mut at = ledger.into.clone();
        while at != holder {
            let Some((row, next)) = merge_row(self.store, &at)?.filter(|(_, next)| next.undone.is_none())
            else {
                break;
            };
            if survivors.iter().any(|(patient, _)| *patient == next.into) {
                break;
            }
            at.clone_from(&next.into);
            let since = self.told(&row, &next)?;
            survivors.push((next.into, since));
        }
        // Whoever stands for it by another way: the source has said so since.
        let chain = merged::chain(self.store, patient)?;
        for (before, after) in chain.iter().zip(chain.iter().skip(1)) {
            if survivors.iter().all(|(patient, _)| patient != after) {
                let told = match merge_row(self.store, before)?.filter(|(_, one)| one.undone.is_none()) {
                    Some((row, one)) => self.told(&row, &one)?.max(since),
                    None => since,
                };
                survivors.push((after.clone(), told));
            }
        }
        if survivors.iter().all(|(patient, _)| patient != holder) {
            survivors.push((holder.to_owned(), since));
        }
        Ok(survivors)
    }

    /// The commit that told of a merge.
    fn told(&self, row: &Row, ledger: &MergeRecord) -> Result<Sequence, store::Error> {
        let Some(version) = ledger.since else { return Ok(row.sequence) };
        let first = self.store.version(MERGE, &row.id, version)?;
        Ok(first.map_or(row.sequence, |first| first.sequence))
    }

    /// One item for each object that stays and may be the other patient's.
    fn open_reviews(
        &self,
        (patient, holder): (&str, &str),
        staying: HashMap<Tie, (Object, Why)>,
        listed: Vec<Listed>,
        planned: &mut Planned,
    ) -> Result<(), store::Error> {
        let mut seen = HashSet::new();
        let mut staying: Vec<_> = staying.into_iter().collect();
        staying.sort_unstable_by(|one, other| one.0.cmp(&other.0));
        let changed = staying.into_iter().map(|((held, _), (object, why))| {
            let since = object.row().instant;
            (held, object, why, since)
        });
        for (held, object, why, since) in changed.chain(listed) {
            if !seen.insert(object.row().id.clone()) {
                continue;
            }
            if self.is_open((holder, patient), &object.row().id)? {
                continue;
            }
            let record = ReviewRecord {
                held,
                object: object.row().id.clone(),
                other: patient.to_owned(),
                submission: self.submission(&object, &why)?,
                why,
                since,
                opened: self.now,
                settled: None,
            };
            let id = Uuid::new_v4().to_string();
            planned.add(Held::Review, review_put(holder, &id, 1, &record));
        }
        Ok(())
    }

    /// Whether it is to be decided already which of these two an object is.
    fn is_open(&self, (holder, patient): (&str, &str), object: &str) -> Result<bool, store::Error> {
        for id in self.store.sources(Held::Review.kind(), ABOUT, object)? {
            if let Some((row, record)) = review_row(self.store, &id)?
                && row.partition == holder
                && record.other == patient
                && (record.settled.is_none() || was_merged(&record))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The submission an object came with; of one that was replaced, that of the replacement.
    fn submission(&self, object: &Object, why: &Why) -> Result<Option<String>, store::Error> {
        let set = match object {
            Object::Document(row, record) => {
                let replacement = match why {
                    Why::Changed => replaced_by(self.store, &row.id)?.into_iter().next(),
                    Why::Submitted | Why::Tied(_) => None,
                };
                let replacement = match replacement {
                    Some(known) => crate::records::document_row(self.store, known.id.as_str())?,
                    None => None,
                };
                let set = replacement.map_or(record.submission_set.clone(), |(_, by)| by.submission_set);
                Some(set.as_str().to_owned())
            }
            Object::Folder(row, _) => {
                self.store.sources(Held::List.kind(), SUBMITS, &row.id)?.into_iter().next()
            }
            Object::Set(row, _) => Some(row.id.clone()),
        };
        let Some(set) = set else { return Ok(None) };
        Ok(match list_row(self.store, &set)? {
            Some((_, ListRecord::SubmissionSet(record))) => record.set.unique_id.map(|id| id.value),
            Some((_, ListRecord::Folder(_))) | None => None,
        })
    }
}

/// Whether there was nothing to decide, because the patients were one again.
fn was_merged(record: &ReviewRecord) -> bool {
    record.settled.as_ref().is_some_and(|settled| settled.decision == Decision::Merged)
}
