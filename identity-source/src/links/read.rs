//! The links of a patient, with everything that was ever decided about them.

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use xds::Findings;

use super::graph::person;
use super::record::{Decision, Link, Pair, decided, decisions, standing};
use crate::records::Records;

/// The use case.
pub(crate) struct ReadLinks {
    pub(crate) records: Records,
    pub(crate) clock: Clock,
}

/// The answer.
pub(crate) struct Links {
    /// Whose.
    pub(crate) id: String,
    /// Ids of all records in use of the same person.
    pub(crate) person: Vec<String>,
    /// The links, those that stand first; with their decisions, newest first.
    pub(crate) links: Vec<(Link, Vec<Decision>)>,
}

impl Transaction for ReadLinks {
    type Request = String;
    type Response = Links;
    type Findings = Findings;
    const NUMBER: &'static str = "links";
    const ACTION: Action = Action::Read;

    async fn run(
        &self,
        _grant: Grant<Self>,
        trail: Trail,
        id: String,
    ) -> Result<Audited<Links>, Fault<Findings>> {
        let store = self.records.store();
        let row = self.records.patient(&id)?.ok_or(Fault::NotFound)?;
        if row.deleted {
            return Err(Fault::Gone(row.version));
        }
        let mut links = Vec::new();
        for pair in decided(store, &id)? {
            let Some(link) = standing(store, &pair)?.link else { continue };
            links.push((link, decisions(store, &pair)?));
        }
        links.sort_by_key(|(link, _)| (link.held_by().is_none(), !link.is_apart(), -link.decision.when));
        let person = person(&self.records, &id)?.records.into_iter().map(|(row, _)| row.id).collect();
        let entities = links.iter().flat_map(|(link, _)| touched(&link.pair)).collect();
        let subject = Subject { patient: Some(id.clone()), entities, query: None };
        Ok(trail.note(store, self.clock.now(), subject, Links { id, person, links }).await?)
    }
}

fn touched(pair: &Pair) -> Vec<String> {
    pair.both().iter().map(|id| format!("Patient/{id}")).collect()
}
