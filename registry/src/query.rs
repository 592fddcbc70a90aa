//! Find Document References [ITI-67] and Find Document Lists [ITI-66]: one filter, one question to the store.

use std::collections::HashSet;
use std::sync::Arc;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use store::{Cursor, Order, Row, Scope, Sequence, Store};
use xds::filter::{Filter, Of, PatientIs, Test};
use xds::{Attribute, Finding, Findings};

use crate::records::{self, DOCUMENT, LIST, patient_rows_by_identifier};

/// The use case, common to both questions.
#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What is asked.
    pub(crate) filter: Filter,
    /// `_sort`: names with direction (true = descending).
    pub(crate) sort: Vec<(String, bool)>,
    /// Entries of a page; 0 asks for the total alone.
    pub(crate) count: usize,
    /// Whether only the total is wanted.
    pub(crate) only_count: bool,
    /// Where a page before this one ended.
    pub(crate) from: Option<From>,
    /// The question as it was asked, for the audit record.
    pub(crate) asked: String,
    /// What the face has to say beside the answer; travels along.
    pub(crate) warnings: Vec<Finding>,
}

/// Where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct From {
    /// The place; none for the first page of this state.
    pub(crate) cursor: Option<Cursor>,
    /// The state that is read.
    pub(crate) as_of: Sequence,
    /// The total of the first page.
    pub(crate) total: Option<u64>,
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The rows of this page.
    pub(crate) rows: Vec<Row>,
    /// The number of all matches.
    pub(crate) total: Option<u64>,
    /// Where the next page begins.
    pub(crate) next: Option<Cursor>,
    /// The state that was read.
    pub(crate) as_of: Sequence,
    /// When.
    pub(crate) now: i64,
    /// What must be said beside.
    pub(crate) warnings: Vec<Finding>,
}

/// A question about a part of what there is, and whose objects it names; none: anybody's.
pub(crate) type Part = (store::Ask, Option<Vec<String>>);

/// ITI-67.
#[derive(Clone)]
pub(crate) struct FindDocuments(pub(crate) Arc<Query>);

/// ITI-66.
#[derive(Clone)]
pub(crate) struct FindLists(pub(crate) Arc<Query>);

impl Transaction for FindDocuments {
    type Request = Question;
    type Response = Found;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-67";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        question: Question,
    ) -> Result<Audited<Found>, Fault<Findings>> {
        self.0.answer(trail, question).await
    }
}

impl Transaction for FindLists {
    type Request = Question;
    type Response = Found;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-66";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        question: Question,
    ) -> Result<Audited<Found>, Fault<Findings>> {
        self.0.answer(trail, question).await
    }
}

impl Query {
    async fn answer(&self, trail: Trail, question: Question) -> Result<Audited<Found>, Fault<Findings>> {
        let scope = self.scope(&question.filter)?;
        let patient = match &scope {
            Scope::Partitions(partitions) if partitions.len() == 1 => partitions.first().cloned(),
            _ => None,
        };
        let subject = Subject { patient, entities: Vec::new(), query: Some(question.asked.clone()) };
        let found = self.find(question, scope)?;
        Ok(trail.note(&self.store, found.now, subject, found).await?)
    }

    fn find(&self, question: Question, scope: Scope) -> Result<Found, Fault<Findings>> {
        let warnings = question.warnings;
        let order = order(&question.sort);
        let limit = if question.only_count { 0 } else { question.count };
        let now = self.clock.now();
        let nobody = matches!(&scope, Scope::Partitions(partitions) if partitions.is_empty());
        let ask = if nobody { None } else { records::ask(&question.filter, scope, order, limit) };
        let Some(mut ask) = ask else {
            let as_of = self.store.sequence();
            return Ok(Found { rows: Vec::new(), total: Some(0), next: None, as_of, now, warnings });
        };
        let mut known_total = None;
        if let Some(from) = question.from {
            ask.after = from.cursor;
            ask.as_of = Some(from.as_of);
            ask.total = from.total.is_none();
            known_total = from.total;
        }
        let page = self.store.find(&ask)?;
        let total = known_total.or(page.total);
        Ok(Found { rows: page.rows, total, next: page.next, as_of: page.as_of, now, warnings })
    }

    /// A filter for an export: the question it is, and whose objects it names; none if nothing can match, nobody if it names
    /// none.
    pub(crate) fn part(&self, filter: &Filter) -> Result<Option<Part>, store::Error> {
        let patients = match self.scope(filter)? {
            Scope::Partitions(patients) => Some(patients),
            Scope::Everywhere => None,
        };
        let ask = records::ask(filter, Scope::Everywhere, Order::Natural, 0);
        Ok(ask.map(|ask| (ask, patients)))
    }

    /// Whose objects: the patients that every group names (AND), any one of a group (OR).
    fn scope(&self, filter: &Filter) -> Result<Scope, store::Error> {
        if filter.patients.is_empty() {
            return self.scope_of_ids(filter);
        }
        let mut all: Option<Vec<String>> = None;
        for group in &filter.patients {
            let named = self.patients(group)?;
            all = Some(match all {
                None => named,
                Some(before) => before.into_iter().filter(|id| named.contains(id)).collect(),
            });
        }
        Ok(Scope::Partitions(all.unwrap_or_default()))
    }

    fn patients(&self, group: &[PatientIs]) -> Result<Vec<String>, store::Error> {
        let mut ids = Vec::with_capacity(group.len());
        for patient in group {
            match patient {
                PatientIs::Id(id) => ids.push(id.clone()),
                PatientIs::Identifier { system, value } => {
                    self.namesakes(system.as_deref(), value, &mut ids)?
                }
                PatientIs::Known(identifier) => {
                    self.namesakes(Some(&identifier.system), &identifier.value, &mut ids)?
                }
            }
        }
        let mut seen = HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        Ok(ids)
    }

    fn namesakes(
        &self,
        system: Option<&str>,
        value: &str,
        ids: &mut Vec<String>,
    ) -> Result<(), store::Error> {
        ids.extend(patient_rows_by_identifier(&self.store, system, value)?.into_iter().map(|row| row.id));
        Ok(())
    }

    /// A question that names objects by id is one for the partitions they are in.
    fn scope_of_ids(&self, filter: &Filter) -> Result<Scope, store::Error> {
        let Some(clause) = filter.all.iter().find(|c| c.attribute == Attribute::Id && !c.negated) else {
            return Ok(Scope::Everywhere);
        };
        let kind = match filter.of {
            Of::Documents => DOCUMENT,
            Of::Lists => LIST,
        };
        let mut partitions = Vec::new();
        for test in &clause.any {
            if let Test::Id(id) = test
                && let Some(row) = self.store.get(kind, id.as_str())?
                && !partitions.contains(&row.partition)
            {
                partitions.push(row.partition);
            }
        }
        Ok(Scope::Partitions(partitions))
    }
}

/// `_sort`; the default is the newest date first. The face lets one key through, and only those that are served.
fn order(sort: &[(String, bool)]) -> Order {
    match sort.first().map(|(name, descending)| (name.as_str(), *descending)) {
        Some(("date", false)) => Order::By { name: Attribute::Date.name(), descending: false },
        Some(("creation", descending)) => Order::By { name: Attribute::CreationTime.name(), descending },
        Some(("_lastUpdated", descending)) => Order::Written { descending },
        None | Some(_) => Order::Natural,
    }
}
