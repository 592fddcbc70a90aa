//! Pairs that may be one person, for a steward to decide: best first, a page at a time, never looked for but only read.

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use fhir::links::Other;
use serde_json::Value;
use store::{Ask, Cursor, Order, Row, Scope, Sequence};
use xds::{Finding, Findings, Place as At, Rule};

use super::probable::{self, ALL, PROBABLE, Possible};
use crate::records::Records;

/// The use case.
pub(crate) struct FindDuplicates {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// Where a later page goes on.
pub(crate) struct Place {
    /// Continue behind this row.
    pub(crate) after: Cursor,
    /// As things stood then.
    pub(crate) as_of: Sequence,
}

/// What is asked.
pub(crate) struct WantedDuplicates {
    /// Only those with this patient.
    pub(crate) patient: Option<Other>,
    /// Pairs at most.
    pub(crate) count: usize,
    /// Where a later page goes on.
    pub(crate) place: Option<Place>,
}

/// The answer.
pub(crate) struct Duplicates {
    /// The pairs, each with its two patients in words.
    pub(crate) pairs: Vec<(Possible, [String; 2])>,
    /// How many to a page.
    pub(crate) count: usize,
    /// Where it goes on.
    pub(crate) next: Option<Place>,
}

impl Transaction for FindDuplicates {
    type Request = WantedDuplicates;
    type Response = Duplicates;
    type Findings = Findings;
    const NUMBER: &'static str = "duplicates";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        wanted: WantedDuplicates,
    ) -> Result<Audited<Duplicates>, Fault<Findings>> {
        let mut patient = None;
        let (found, next) = match &wanted.patient {
            Some(named) => {
                let row = super::decide::named(&self.records, named, &trail.context().base)?
                    .ok_or(Fault::NotFound)?;
                let found = self.with(&row.id)?;
                patient = Some(row.id);
                (found, None)
            }
            None => self.page(&wanted)?,
        };
        let mut pairs = Vec::with_capacity(found.len());
        for possible in found {
            let [one, other] = possible.pair.both();
            let words = [self.in_words(one)?, self.in_words(other)?];
            pairs.push((possible, words));
        }
        let entities =
            pairs.iter().flat_map(|(found, _)| found.pair.both().map(|id| format!("Patient/{id}"))).collect();
        let subject = Subject { patient, entities, query: None };
        let answer = Duplicates { pairs, count: wanted.count, next };
        Ok(trail.note(self.records.store(), self.clock.now(), subject, answer).await?)
    }
}

impl FindDuplicates {
    fn with(&self, patient: &str) -> Result<Vec<Possible>, store::Error> {
        let store = self.records.store();
        let mut found = Vec::new();
        for pair in probable::with(store, patient)? {
            found.extend(probable::kept(store, &pair)?);
        }
        found.sort_by(|one, other| other.matched.score.total_cmp(&one.matched.score));
        Ok(found)
    }

    fn page(&self, wanted: &WantedDuplicates) -> Result<(Vec<Possible>, Option<Place>), Fault<Findings>> {
        let store = self.records.store();
        let page = store.find(&Ask {
            kind: PROBABLE,
            scope: Scope::Partitions(vec![ALL.to_owned()]),
            all: Vec::new(),
            order: Order::Natural,
            after: wanted.place.as_ref().map(|place| place.after.clone()),
            limit: wanted.count,
            as_of: wanted.place.as_ref().map(|place| place.as_of),
            total: false,
        });
        let page = page.map_err(|error| match error {
            store::Error::BadCursor => {
                let text = "this link to a page does not belong to this list; start again";
                Fault::Refused(vec![Finding::error(Rule::PageInvalid, At::at("_page"), text)])
            }
            other => other.into(),
        })?;
        let mut found = Vec::with_capacity(page.rows.len());
        for row in &page.rows {
            // What was decided since the first page was read is no longer a question.
            if let Some(now) = probable::kept(store, &Possible::of(row)?.pair)? {
                found.push(now);
            }
        }
        let next = page.next.map(|after| Place { after, as_of: page.as_of });
        Ok((found, next))
    }

    /// A patient as a steward recognizes one.
    fn in_words(&self, id: &str) -> Result<String, store::Error> {
        Ok(self.records.patient(id)?.map(|row| describe(&row)).unwrap_or_default())
    }
}

/// Name, gender, birth date and identifiers.
fn describe(row: &Row) -> String {
    let Ok(patient) = serde_json::from_slice::<Value>(&row.rendering) else { return String::new() };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let mut words = Vec::new();
    if let Some(name) = patient.pointer("/name/0") {
        let given = name["given"].as_array().into_iter().flatten().filter_map(text);
        let parts: Vec<String> = given.chain(text(&name["family"])).collect();
        words.push(if parts.is_empty() { text(&name["text"]).unwrap_or_default() } else { parts.join(" ") });
    }
    words.extend(["gender", "birthDate"].iter().filter_map(|member| text(&patient[member])));
    let identifiers = patient["identifier"].as_array().into_iter().flatten();
    words.extend(identifiers.take(3).filter_map(|identifier| {
        Some(format!("{}|{}", text(&identifier["system"])?, text(&identifier["value"])?))
    }));
    words.retain(|word| !word.is_empty());
    words.join(", ")
}
