//! Find Document References [ITI-67] and Find Document Lists [ITI-66]: one filter, one question to the store.

mod follow;
mod scope;

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction, meter};
use audit::Action;
use fhir::search::Following;
use store::{AnyOf, Cursor, Kind, Order, OrderKey, Row, Scope, Sequence, Store};
use xds::filter::{Clause, Filter, Has, Link, Of, Test};
use xds::{Attribute, Finding, Findings, Place, Rule, Token};

use crate::authorities::Authorities;
use crate::records::{self, DOCUMENT, LIST, MEMBER_EDGES, RELATION_EDGES};

/// Resources that one page holds beside its matches.
const MAX_INCLUDED: usize = 1000;

/// The use case, common to both questions.
#[derive(Clone)]
pub(crate) struct Query {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    /// Says which spellings mean one code system.
    pub(crate) domain: Arc<affinity::Shelf>,
    /// Whose identifiers say who a patient is after a merge.
    pub(crate) authorities: Arc<Authorities>,
}

/// A question.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// What is asked.
    pub(crate) filter: Filter,
    /// `_sort`: attributes with direction (true = descending); the first counts most.
    pub(crate) sort: Vec<(Attribute, bool)>,
    /// Entries of a page; 0 asks for the total alone.
    pub(crate) count: usize,
    /// Whether only the total is wanted.
    pub(crate) only_count: bool,
    /// Whether the number of all matches is wanted.
    pub(crate) total: bool,
    /// What else the answer holds.
    pub(crate) follow: Vec<Following>,
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
    /// What else the page holds.
    pub(crate) included: Vec<(Kind, Row)>,
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

static RESULTS: LazyLock<Arc<meter::Sizes>> = LazyLock::new(|| meter::sizes("docshare_search_results", &[]));
static SCANNED: LazyLock<Arc<meter::Sizes>> =
    LazyLock::new(|| meter::sizes("docshare_search_scanned_rows", &[]));

/// The sort of record that a question is about.
fn kind(of: Of) -> Kind {
    match of {
        Of::Documents => DOCUMENT,
        Of::Lists => LIST,
    }
}

/// A state with nothing in it that matches.
fn nothing(as_of: Sequence, now: i64, warnings: Vec<Finding>) -> Found {
    Found { rows: Vec::new(), included: Vec::new(), total: Some(0), next: None, as_of, now, warnings }
}

impl Query {
    async fn answer(&self, trail: Trail, mut question: Question) -> Result<Audited<Found>, Fault<Findings>> {
        self.widen(&mut question.filter);
        let as_of = question.from.as_ref().map(|from| from.as_of);
        let scope = self.scope(&question.filter, as_of)?;
        let patient = match &scope {
            Scope::Partitions(partitions) if partitions.len() == 1 => partitions.first().cloned(),
            _ => None,
        };
        let subject = Subject { patient, entities: Vec::new(), query: Some(question.asked.clone()) };
        let found = self.find(question, scope)?;
        Ok(trail.note(&self.store, found.now, subject, found).await?)
    }

    /// Lets a question ask for every spelling of the systems it names.
    pub(crate) fn widen(&self, filter: &mut Filter) {
        self.domain.current().domain.systems().widen(filter);
    }

    /// The question to the store.
    pub(crate) fn asking(
        &self,
        filter: &mut Filter,
        scope: Scope,
        order: Order,
        limit: usize,
        as_of: Option<Sequence>,
    ) -> Result<Option<store::Ask>, store::Error> {
        self.name_targets(filter, &scope)?;
        let pointed = self.pointed(&filter.has, &scope, as_of)?;
        let ask = records::ask(filter, pointed, scope, order, limit);
        Ok(ask.map(|ask| store::Ask { as_of, ..ask }))
    }

    fn find(&self, mut question: Question, scope: Scope) -> Result<Found, Fault<Findings>> {
        let mut warnings = std::mem::take(&mut question.warnings);
        let order = order(&question.sort);
        let limit = if question.only_count { 0 } else { question.count };
        let now = self.clock.now();
        let as_of = question.from.as_ref().map(|from| from.as_of);
        let present = as_of.unwrap_or_else(|| self.store.sequence());
        if matches!(&scope, Scope::Partitions(partitions) if partitions.is_empty()) {
            return Ok(nothing(present, now, warnings));
        }
        let Some(mut ask) = self.asking(&mut question.filter, scope, order, limit, as_of)? else {
            return Ok(nothing(present, now, warnings));
        };
        ask.total = question.total || question.only_count;
        let mut known_total = None;
        if let Some(from) = question.from {
            ask.after = from.cursor;
            ask.total &= from.total.is_none();
            known_total = from.total;
        }
        let page = self.store.find(&ask).map_err(refused)?;
        let (included, more) = self.follow(kind(question.filter.of), &page.rows, &question.follow)?;
        if more {
            let text = format!(
                "More than {MAX_INCLUDED} resources were to be included; the rest is left out. Ask for smaller pages (_count)."
            );
            warnings.push(Finding::warning(Rule::SearchTooCostly, Place::whole(), text));
        }
        RESULTS.record(page.rows.len() as u64);
        SCANNED.record(page.scanned + included.len() as u64);
        let total = known_total.or(page.total);
        Ok(Found { rows: page.rows, included, total, next: page.next, as_of: page.as_of, now, warnings })
    }

    /// A filter for an export: the question it is, and whose objects it names; none if nothing can match, nobody if it names
    /// none.
    pub(crate) fn part(&self, filter: &Filter) -> Result<Option<Part>, store::Error> {
        let mut filter = filter.clone();
        let patients = match self.places(&filter, Some(0))? {
            Scope::Partitions(patients) => Some(patients),
            Scope::Everywhere | Scope::Indexed(_) => None,
        };
        let ask = self.asking(&mut filter, Scope::Everywhere, Order::Natural, 0, None)?;
        Ok(ask.map(|ask| (ask, patients)))
    }

    /// What something must point to, as conditions: one set of ids for each.
    fn pointed(
        &self,
        has: &[Has],
        scope: &Scope,
        as_of: Option<Sequence>,
    ) -> Result<Vec<AnyOf>, store::Error> {
        let mut conditions = Vec::with_capacity(has.len());
        for one in has {
            let mut filter = Filter { all: vec![one.clause.clone()], ..Filter::of(one.of) };
            self.name_targets(&mut filter, scope)?;
            let ids = match records::ask(&filter, Vec::new(), scope.clone(), Order::Natural, 0) {
                Some(ask) => self.store.targets(&store::Ask { as_of, ..ask }, edges(one.link))?,
                None => HashSet::new(),
            };
            let tests = vec![store::Test::Among(Arc::new(ids))];
            conditions.push(AnyOf { tests, negated: false });
        }
        Ok(conditions)
    }
}

/// The edges of a link.
fn edges(link: Link) -> &'static [&'static str] {
    match link {
        Link::Member => MEMBER_EDGES,
        Link::RelatesTo => RELATION_EDGES,
    }
}

/// An error of the store that is one of the question.
fn refused(error: store::Error) -> Fault<Findings> {
    match error {
        store::Error::BadCursor => {
            let text = "this link to a page does not belong to this search; start the search again";
            Fault::Refused(vec![Finding::error(Rule::PageInvalid, Place::at("_page"), text)])
        }
        other => other.into(),
    }
}

/// `_sort`; the default is the newest date first.
fn order(sort: &[(Attribute, bool)]) -> Order {
    let key = |(attribute, descending): &(Attribute, bool)| match attribute {
        Attribute::LastUpdated => OrderKey::Written { descending: *descending },
        Attribute::Id => OrderKey::Id { descending: *descending },
        other => OrderKey::Fact { name: other.name(), descending: *descending },
    };
    match sort {
        // The order things lie in: what has no date of its own stands where the next best date puts it.
        [] | [(Attribute::Date, true)] => Order::Natural,
        keys => Order::Keys(keys.iter().map(key).collect()),
    }
}

/// Whether a filter names single objects, each by an index of its own.
fn is_named(filter: &Filter) -> bool {
    filter.all.iter().any(names) || filter.has.iter().any(|has| names(&has.clause))
}

fn names(clause: &Clause) -> bool {
    let naming = matches!(
        clause.attribute,
        Attribute::Identifier | Attribute::Id | Attribute::RelatesTo | Attribute::Member
    );
    let one = |test: &Test| {
        matches!(test, Test::Token(Token { code: Some(_), .. }) | Test::Id(_) | Test::Reference(_))
    };
    naming && !clause.negated && clause.any.iter().all(one)
}
