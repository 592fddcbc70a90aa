//! Reviews after an unmerge: which objects stayed with the survivor and may be the other patient's, and what people decide of each.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use store::{Batch, Cursor, Instant, Kind, Put, Row, Store};
use xds::{Finding, Findings, Place, Rule};

use crate::authorities::Authorities;
use crate::gate::Gates;
use crate::merge::{Moving, Tie, emptied, tied};
use crate::merged;
use crate::records::association;
use crate::records::{
    ABOUT, Decision, Held, Moved, REVIEW, ReviewRecord, Settled, VERSION_OF, patient_row, review_of,
    review_put, review_row, reviews,
};

/// Lost races before a caller is asked to come again.
const TRIES: usize = 20;

/// Objects that one decision moves.
const MOST: usize = 1_000;

/// What both use cases share.
#[derive(Clone)]
pub(crate) struct Reviews {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) gates: Arc<Gates>,
    pub(crate) authorities: Arc<Authorities>,
    /// Public base of the identity source.
    pub(crate) identity: Arc<str>,
}

/// Which items are asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// This one.
    pub(crate) id: Option<String>,
    /// Those of objects of this patient.
    pub(crate) patient: Option<String>,
    /// Open ones, or settled ones.
    pub(crate) open: Option<bool>,
    /// Where a page before this one ended.
    pub(crate) after: Option<Cursor>,
    /// Items of a page.
    pub(crate) count: usize,
}

/// An item as it stands.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) updated: Instant,
    /// Whose the object is meanwhile.
    pub(crate) survivor: String,
    pub(crate) record: ReviewRecord,
}

impl Item {
    fn of(row: &Row) -> Result<Item, store::Error> {
        let record = review_of(row)?;
        let (id, survivor) = (row.id.clone(), row.partition.clone());
        Ok(Item { id, version: row.version, updated: row.instant, survivor, record })
    }
}

/// Items that were found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) items: Vec<Item>,
    pub(crate) total: Option<u64>,
    pub(crate) next: Option<Cursor>,
    pub(crate) now: Instant,
}

/// Lists items.
#[derive(Clone)]
pub(crate) struct FindReviews(pub(crate) Reviews);

impl Transaction for FindReviews {
    type Request = Asked;
    type Response = Found;
    type Findings = Findings;
    const NUMBER: &'static str = "merge-review";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        asked: Asked,
    ) -> Result<Audited<Found>, Fault<Findings>> {
        let FindReviews(Reviews { store, clock, .. }) = self;
        let now = clock.now();
        let mut subject = Subject { patient: asked.patient.clone(), ..Subject::default() };
        let found = match &asked.id {
            Some(id) => {
                let (row, _) = review_row(store, id)?.ok_or(Fault::NotFound)?;
                subject.entities.push(format!("Task/{id}"));
                subject.patient = Some(row.partition.clone());
                Found { items: vec![Item::of(&row)?], total: Some(1), next: None, now }
            }
            None => {
                subject.query = Some(format!("merge-review open={:?}", asked.open));
                let page = reviews(store, asked.patient.as_deref(), asked.open, (asked.after, asked.count))?;
                let items = page.rows.iter().map(Item::of).collect::<Result<_, _>>()?;
                Found { items, total: page.total, next: page.next, now }
            }
        };
        Ok(trail.note(store, now, subject, found).await?)
    }
}

/// A decision about one item.
#[derive(Debug, Clone)]
pub(crate) struct Settling {
    pub(crate) id: String,
    pub(crate) decision: Decision,
}

/// Settles an item.
#[derive(Clone)]
pub(crate) struct SettleReview(pub(crate) Reviews);

type Failure = Fault<Findings>;

fn refused(text: String) -> Failure {
    let at = Place::at("Task");
    Fault::Refused(vec![Finding::error(Rule::BusinessRule, at, text)])
}

impl Transaction for SettleReview {
    type Request = Settling;
    type Response = Item;
    type Findings = Findings;
    const NUMBER: &'static str = "merge-review";
    const ACTION: Action = Action::Update;

    async fn run(
        &self,
        grant: Grant<Self>,
        mut trail: Trail,
        asked: Settling,
    ) -> Result<Audited<Item>, Failure> {
        let SettleReview(reviews) = self;
        let store = &reviews.store;
        for _ in 0..TRIES {
            let whose = |row: &Row, record: &ReviewRecord| -> Result<[String; 2], store::Error> {
                Ok([row.partition.clone(), merged::stands(store, &record.other)?])
            };
            let (row, record) = review_row(store, &asked.id)?.ok_or(Fault::NotFound)?;
            let before = whose(&row, &record)?;
            let _passes = reviews.gates.all_alone(before.iter().map(String::as_str)).await;
            let (row, record) = review_row(store, &asked.id)?.ok_or(Fault::NotFound)?;
            let [survivor, other] = whose(&row, &record)?;
            if before != [survivor.clone(), other.clone()] {
                continue;
            }
            let now = reviews.clock.now();
            let settled = Settled { decision: asked.decision, at: now, by: grant.caller().name.clone() };
            let mut subject = Subject {
                patient: Some(survivor.clone()),
                entities: vec![format!("Task/{}", row.id), record.held.entity(&record.object)],
                query: None,
            };
            match record.settled.as_ref().map(|settled| settled.decision) {
                Some(decision) if decision == asked.decision => {
                    return Ok(trail.note(store, now, subject, Item::of(&row)?).await?);
                }
                // Who thinks better of it may still move it.
                None | Some(Decision::Stays) => {}
                Some(Decision::Moves) => {
                    return Err(refused("it was decided that the object moves, and it has moved. Whose it is is changed by Update Document Set [ITI-57]. Nothing was changed".to_owned()));
                }
                Some(Decision::Merged) => {
                    return Err(refused(
                        "the patients were merged again, so there is nothing to decide. Nothing was changed"
                            .to_owned(),
                    ));
                }
            }
            let mut puts = match asked.decision {
                Decision::Stays | Decision::Merged => Vec::new(),
                Decision::Moves => reviews.moves((&row, &record), (&survivor, &other), &settled, now)?,
            };
            subject.entities.extend(
                puts.iter()
                    .filter_map(named)
                    .filter(|name| !subject.entities.contains(name))
                    .collect::<Vec<_>>(),
            );
            let record = ReviewRecord { settled: Some(settled), ..record };
            puts.push(review_put(&survivor, &row.id, row.version + 1, &record));
            let item = Item { id: row.id.clone(), version: row.version + 1, updated: now, survivor, record };
            trail = trail.also(vec![Subject { patient: Some(other), ..subject.clone() }]);
            let batch = Batch { instant: now, puts, ..Batch::default() };
            match trail
                .commit(store, batch, subject, |applied| Item { updated: applied.instant, ..item })
                .await
            {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

fn named(put: &Put) -> Option<String> {
    let held = [Held::Document, Held::List, Held::DocumentPast, Held::ListPast, Held::Review];
    held.into_iter().find(|held| held.kind() == put.kind).map(|held| held.entity(&put.id))
}

impl Reviews {
    /// What moves with an object: all that it is tied to, the versions before it, and submission sets of which nothing is left.
    fn moves(
        &self,
        (asked, record): (&Row, &ReviewRecord),
        (survivor, other): (&str, &str),
        settled: &Settled,
        now: Instant,
    ) -> Result<Vec<Put>, Failure> {
        let store = &self.store;
        let active = patient_row(store, other)?.is_some_and(|(_, patient)| patient.active);
        if survivor == other || !active {
            return Err(refused("the other patient is not in use at present, so nothing can be moved to it. Nothing was changed".to_owned()));
        }
        let moving = Moving {
            store,
            authorities: &self.authorities,
            identity: &self.identity,
            now,
            most: MOST as u64,
        };
        let owner = moving.owner(other, None)?;
        let mut puts = Vec::new();
        let mut gone: HashSet<Tie> = HashSet::new();
        let mut next = vec![(record.held, record.object.clone())];
        while let Some(tie) = next.pop() {
            if gone.contains(&tie) {
                continue;
            }
            let (held, id) = &tie;
            let name = held.entity(id);
            let first = gone.is_empty();
            let Some(object) = association::row_of(store, held.kind(), id)? else {
                if first {
                    return Err(refused(format!("{name} was removed. Nothing was changed")));
                }
                continue;
            };
            if object.row().partition != survivor {
                if first {
                    return Err(refused(format!(
                        "{name} is not the survivor's any more. Nothing was changed"
                    )));
                }
                continue;
            }
            if !first {
                let item = self.item((survivor, other), id)?;
                let Some((row, item)) = item.filter(|(_, item)| item.settled.is_none()) else {
                    return Err(refused(format!(
                        "{} is tied to {name}, which stays with the survivor, and what is tied has one patient: end the association first (UpdateAvailabilityStatus by Update Document Set [ITI-57]), or let both stay. Nothing was changed",
                        record.held.entity(&record.object)
                    )));
                };
                if row.id != asked.id {
                    let item = ReviewRecord { settled: Some(settled.clone()), ..item };
                    puts.push(review_put(survivor, &row.id, row.version + 1, &item));
                }
            }
            puts.push(moving.moved(*held, object.row(), &owner, None)?.0);
            next.extend(tied(store, &object)?);
            let past = if *held == Held::Document { Held::DocumentPast } else { Held::ListPast };
            for version in store.sources(past.kind(), VERSION_OF, id)? {
                let version = store.get(past.kind(), &version)?.filter(|row| !row.deleted);
                if let Some(row) = version.filter(|row| row.partition == survivor) {
                    puts.push(moving.moved(past, &row, &owner, None)?.0);
                }
            }
            gone.insert(tie);
            if gone.len() > MOST {
                return Err(refused(format!(
                    "more than {MOST} objects are tied to each other. Nothing was changed"
                )));
            }
        }
        for set in emptied(store, (survivor, other), &gone)? {
            puts.push(moving.moved(Held::List, &set, &owner, None)?.0);
        }
        // What else is to be decided of these objects is so where they are; and the end of another merge does not take them.
        for (held, id) in &gone {
            for item in store.sources(REVIEW, ABOUT, id)? {
                let is_written =
                    item == asked.id || puts.iter().any(|put| put.kind == REVIEW && put.id == item);
                let row = review_row(store, &item)?.filter(|(row, item)| {
                    !is_written && row.partition == survivor && item.held == *held && item.settled.is_none()
                });
                if let Some((row, _)) = row {
                    puts.push(moving.moved(Held::Review, &row, &owner, None)?.0);
                }
            }
        }
        let moved: HashSet<(Kind, String)> = puts
            .iter()
            .filter(|put| put.kind != REVIEW || put.partition == other)
            .map(|put| (put.kind, put.id.clone()))
            .collect();
        for patient in moving.patients_under(survivor)? {
            let is_gone = |one: &Moved| Ok(moved.contains(&(one.held.kind(), one.id.clone())));
            puts.extend(moving.forget(&patient, is_gone)?);
        }
        Ok(puts)
    }

    /// The item about an object between these two patients.
    fn item(
        &self,
        (survivor, other): (&str, &str),
        object: &str,
    ) -> Result<Option<(Row, ReviewRecord)>, store::Error> {
        let mut found = None;
        for id in self.store.sources(REVIEW, ABOUT, object)? {
            if let Some((row, record)) = review_row(&self.store, &id)?
                && row.partition == survivor
                && merged::stands(&self.store, &record.other)? == other
                && found
                    .as_ref()
                    .is_none_or(|(_, before): &(Row, ReviewRecord)| before.opened < record.opened)
            {
                found = Some((row, record));
            }
        }
        Ok(found)
    }
}
