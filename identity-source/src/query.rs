//! Finding patients by who they are [ITI-78].

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::iti78::Filter;
use fhir::search::Search;
use store::{Cursor, Row, Sequence};
use xds::{Finding, Findings, Place, Rule};

use crate::records::{Asked, Records};

/// The use case.
pub(crate) struct FindPatients {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// What is asked.
pub(crate) struct Question {
    /// The search.
    pub(crate) search: Search<Filter>,
    /// The search as it was written.
    pub(crate) written: String,
    /// What links to further pages repeat of the wish for a format.
    pub(crate) format: String,
    /// Where a later page goes on.
    pub(crate) place: Option<PlaceInAnswer>,
}

/// Where a later page goes on, from its token.
pub(crate) struct PlaceInAnswer {
    /// Continue behind this row; none for the first page.
    pub(crate) after: Option<Cursor>,
    /// As things stood then.
    pub(crate) as_of: Sequence,
    /// The total of the first page.
    pub(crate) total: Option<u64>,
    /// Cursors of the pages before this one.
    pub(crate) back: Vec<Vec<u8>>,
}

/// The answer.
pub(crate) struct Found {
    /// What was asked.
    pub(crate) question: Question,
    /// The patients.
    pub(crate) rows: Vec<Row>,
    /// All matches.
    pub(crate) total: u64,
    /// Where the next page begins.
    pub(crate) next: Option<Cursor>,
    /// The state that was read.
    pub(crate) as_of: Sequence,
}

impl Transaction for FindPatients {
    type Request = Question;
    type Response = Found;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-78";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        question: Question,
    ) -> Result<Audited<Found>, Fault<Findings>> {
        let base = &trail.context().base;
        self.check_domains(&question.search.filter, base)?;
        let written = question.written.clone();
        let found = match self.one(question, base)? {
            Ok(found) => found,
            Err(question) => self.several(question, base)?,
        };
        let patient = match found.rows.as_slice() {
            [one] => Some(one.id.clone()),
            _ => None,
        };
        let entities = found.rows.iter().map(|row| format!("Patient/{}", row.id)).collect();
        let subject = Subject { patient, entities, query: Some(written) };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, found).await?)
    }
}

impl FindPatients {
    /// A domain nobody here has an identifier in cannot be restricted to (2:3.78.4.1.3, case 4).
    fn check_domains(&self, filter: &Filter, base: &str) -> Result<(), Fault<Findings>> {
        for domain in &filter.domains {
            if !self.records.knows_domain(domain, base)? {
                let finding =
                    Finding::warning(Rule::DomainNotFound, Place::at("identifier"), "targetSystem not found");
                return Err(Fault::Refused(vec![finding]));
            }
        }
        Ok(())
    }

    /// The way of the most frequent question, for one identifier: a claim and a record. Gives any other question back.
    fn one(&self, question: Question, base: &str) -> Result<Result<Found, Question>, Fault<Findings>> {
        let search = &question.search;
        let Some(identifier) = search.filter.one_identifier().filter(|_| question.place.is_none()) else {
            return Ok(Err(question));
        };
        let row = self.records.identified(&identifier, base)?;
        let total = u64::from(row.is_some());
        let rows = row.into_iter().take(page_size(search)).collect();
        let as_of = self.records.store().sequence();
        Ok(Ok(Found { question, rows, total, next: None, as_of }))
    }

    fn several(&self, question: Question, base: &str) -> Result<Found, Fault<Findings>> {
        let search = &question.search;
        let known_total = question.place.as_ref().and_then(|place| place.total);
        let page = self.records.find(&Asked {
            filter: &search.filter,
            sort: &search.result.sort,
            after: question.place.as_ref().and_then(|place| place.after.clone()),
            as_of: question.place.as_ref().map(|place| place.as_of),
            limit: page_size(search),
            total: known_total.is_none(),
            base,
        });
        let page = page.map_err(|error| match error {
            store::Error::BadCursor => Fault::Refused(vec![Finding::error(
                Rule::PageInvalid,
                Place::at("_page"),
                "this link to a page does not belong to this search; start the search again",
            )]),
            other => other.into(),
        })?;
        let total = known_total.or(page.total).unwrap_or(page.rows.len() as u64);
        Ok(Found { question, rows: page.rows, total, next: page.next, as_of: page.as_of })
    }
}

fn page_size(search: &Search<Filter>) -> usize {
    if search.result.only_count { 0 } else { search.result.count }
}
