//! Objects by what holds for them: the filter of a search, asked of current and of past versions.

use actor::Fault;
use store::{Ask, Kind, Order, Scope};
use xds::filter::{Filter, Of, Test};
use xds::{Attribute, Availability, Finding, Findings, Place, Rule};

use super::StoredQueries;
use super::item::{Item, kind_of};
use super::touching::Holders;
use crate::config::UnknownPatient;
use crate::records::association::{self, Object};
use crate::records::{DOCUMENT, DOCUMENT_PAST, LIST, LIST_PAST};

impl StoredQueries {
    /// The rows a filter finds, newest first, no more than `most`.
    pub(super) fn rows(&self, filter: &Filter, most: usize) -> Result<Vec<Item>, Fault<Findings>> {
        let mut filter = filter.clone();
        self.query.widen(&mut filter);
        let scope = self.query.scope(&filter, None)?;
        if matches!(&scope, Scope::Partitions(patients) if patients.is_empty()) {
            return self.nobody(&filter);
        }
        let mut items = Vec::new();
        for kind in kinds(&filter) {
            let left = most - items.len().min(most);
            let Some(ask) =
                self.query.asking(&mut filter.clone(), scope.clone(), Order::Natural, left, None)?
            else {
                continue;
            };
            let page = self.store.find(&Ask { kind: *kind, total: false, ..ask })?;
            items.extend(page.rows.into_iter().map(|row| Item::Row(*kind, row)));
        }
        Ok(items)
    }

    /// A question about a patient nobody knows: an answer without objects, or a refusal, as the domain has agreed.
    fn nobody(&self, filter: &Filter) -> Result<Vec<Item>, Fault<Findings>> {
        match self.settings.unknown_patient {
            UnknownPatient::Empty => Ok(Vec::new()),
            UnknownPatient::Refuse => {
                let name = match filter.of {
                    Of::Documents => "$XDSDocumentEntryPatientId",
                    Of::Lists => "PatientId",
                };
                let text = "The patient is not known here, or was merged into another one (stored_query.unknown_patient).";
                let finding =
                    Finding::error(Rule::UnknownPatient, Place::at(format!("AdhocQuery/{name}")), text);
                Err(Fault::Refused(vec![finding]))
            }
        }
    }

    /// Everything of a patient, and each association that touches some of it.
    pub(super) fn everything(
        &self,
        filters: [&Filter; 3],
        statuses: &[Availability],
        most: usize,
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let mut objects: Vec<Object> = Vec::new();
        for filter in filters {
            for item in self.rows(filter, most + 1 - objects.len().min(most + 1))? {
                if let Item::Row(kind, row) = item {
                    objects.extend(association::read(kind, row)?);
                }
            }
        }
        if objects.len() > most {
            return Ok(objects.into_iter().map(Item::Object).collect());
        }
        let associations = self.touching(&objects, statuses)?;
        Ok(objects.into_iter().map(Item::Object).chain(associations).collect())
    }

    /// The associations of these statuses that one of these objects is an end of.
    pub(super) fn touching(
        &self,
        objects: &[Object],
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let found = Holders::of(&self.store, objects)?.touching(objects);
        Ok(found.filter(|one| statuses.contains(&one.availability)).map(Item::Association).collect())
    }

    /// Those of the documents for which a filter holds, which names no patient.
    pub(super) fn passing(
        &self,
        filter: &Filter,
        documents: Vec<Object>,
    ) -> Result<Vec<Object>, Fault<Findings>> {
        if filter.all.is_empty() || documents.is_empty() {
            return Ok(documents);
        }
        let mut filter = filter.clone();
        self.query.widen(&mut filter);
        let mut passed = std::collections::HashSet::new();
        for kind in [DOCUMENT, DOCUMENT_PAST] {
            let own = documents.iter().filter(|document| kind_of(document) == kind);
            let ids: std::collections::HashSet<String> =
                own.map(|document| document.row().id.clone()).collect();
            if ids.is_empty() {
                continue;
            }
            let limit = ids.len();
            let asked =
                self.query.asking(&mut filter.clone(), Scope::Everywhere, Order::Natural, limit, None)?;
            let Some(mut ask) = asked else { continue };
            let tests = vec![store::Test::Among(std::sync::Arc::new(ids))];
            ask.all.push(store::AnyOf { tests, negated: false });
            let page = self.store.find(&Ask { kind, total: false, ..ask })?;
            passed.extend(page.rows.into_iter().map(|row| row.id));
        }
        Ok(documents.into_iter().filter(|document| passed.contains(&document.row().id)).collect())
    }
}

/// Where a filter looks: at past versions too, if it asks for what is Deprecated.
fn kinds(filter: &Filter) -> &'static [Kind] {
    let status = filter.all.iter().find(|clause| clause.attribute == Attribute::AvailabilityStatus);
    let past = status.is_none_or(|clause| clause.any.contains(&Test::Status(Availability::Deprecated)));
    match (filter.of, past) {
        (Of::Documents, false) => &[DOCUMENT],
        (Of::Documents, true) => &[DOCUMENT, DOCUMENT_PAST],
        (Of::Lists, false) => &[LIST],
        (Of::Lists, true) => &[LIST, LIST_PAST],
    }
}
