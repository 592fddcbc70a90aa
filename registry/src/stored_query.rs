//! Registry Stored Query [ITI-18] and Multi-Patient Stored Query [ITI-51]: what a question of the framework finds, as objects in
//! ebRIM or as references to them.
//!
//! What asks for objects by what holds for them is a `Filter`, and goes the way of ITI-66 and ITI-67; what asks for them by their
//! ids goes from row to row.

mod by_id;
mod contents;
mod find;
mod item;
mod leaf;
mod touching;

use std::collections::BTreeSet;
use std::sync::Arc;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use ebxml::iti18::Returns;
use store::Store;
use xds::query::{Asked, MetadataLevel, Question};
use xds::{Availability, Finding, Findings, Place, Rule};

use crate::config;
use crate::query::Query;

use item::Item;
pub(crate) use leaf::Leaves;

/// The use case, common to both transactions.
pub(crate) struct StoredQueries {
    pub(crate) query: Arc<Query>,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) settings: config::StoredQuery,
    /// The homeCommunityId of this domain.
    pub(crate) home_community: Option<String>,
    pub(crate) leaves: Leaves,
}

/// A question, with what is wanted of its answer.
#[derive(Debug)]
pub(crate) struct Asking {
    /// What is asked.
    pub(crate) asked: Asked,
    /// What is wanted of the objects found.
    pub(crate) returns: Returns,
    /// The question as it was asked, for the audit record.
    pub(crate) text: String,
}

/// Objects of an answer, each as it is written.
pub(crate) type Written = Vec<Bytes>;

/// ITI-18.
#[derive(Clone)]
pub(crate) struct RegistryQuery(pub(crate) Arc<StoredQueries>);

/// ITI-51.
#[derive(Clone)]
pub(crate) struct MultiPatientQuery(pub(crate) Arc<StoredQueries>);

impl Transaction for RegistryQuery {
    type Request = Asking;
    type Response = Written;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-18";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        asking: Asking,
    ) -> Result<Audited<Written>, Fault<Findings>> {
        self.0.clone().answer(trail, asking).await
    }
}

impl Transaction for MultiPatientQuery {
    type Request = Asking;
    type Response = Written;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-51";
    const ACTION: Action = Action::Execute;

    async fn run(
        &self,
        _: Grant<Self>,
        trail: Trail,
        asking: Asking,
    ) -> Result<Audited<Written>, Fault<Findings>> {
        self.0.clone().answer(trail, asking).await
    }
}

/// What was found, and whose it is.
struct Gathered {
    written: Written,
    patients: BTreeSet<String>,
}

impl StoredQueries {
    async fn answer(
        self: Arc<StoredQueries>,
        trail: Trail,
        asking: Asking,
    ) -> Result<Audited<Written>, Fault<Findings>> {
        self.community(&asking.asked)?;
        let text = asking.text.clone();
        let whole = names_nobody(&asking.asked.question);
        let gathered = if whole {
            self.allow_all_patients()?;
            // It looks at everything there is: others go on meanwhile.
            let searching = Arc::clone(&self);
            let search = tokio::task::spawn_blocking(move || searching.gather(&asking));
            search.await.map_err(|error| Fault::Internal(format!("a query did not end: {error}")))?
        } else {
            self.gather(&asking)
        }?;
        let subject =
            |patient: Option<String>| Subject { patient, entities: Vec::new(), query: Some(text.clone()) };
        let mut patients = gathered.patients.into_iter();
        let first = subject(patients.next());
        let trail = trail.also(patients.map(|patient| subject(Some(patient))).collect());
        Ok(trail.note(&self.store, self.clock.now(), first, gathered.written).await?)
    }

    /// Refuses a question that is meant for another community.
    fn community(&self, asked: &Asked) -> Result<(), Fault<Findings>> {
        let bare = |id: &str| xds::attribute::identifier_value(id);
        let own = self.home_community.as_deref().map(bare);
        let Some(other) = asked.communities.iter().find(|asked| own.as_deref() != Some(bare(asked).as_str()))
        else {
            return Ok(());
        };
        let other: String = other.chars().filter(|letter| !letter.is_control()).take(64).collect();
        let served =
            own.map_or("domain.home_community_id names none".to_owned(), |own| format!("urn:oid:{own}"));
        let text =
            format!("The community {other} is not served here; served is this registry's own: {served}.");
        let place = Place::at("AdhocQuery/Slot[@name='$targetCommunityIdList']");
        Err(Fault::Refused(vec![Finding::error(Rule::UnknownCommunity, place, text)]))
    }

    fn allow_all_patients(&self) -> Result<(), Fault<Findings>> {
        if self.settings.without_patient {
            return Ok(());
        }
        let text = "The query names no patient, and this server looks at the objects of all of them for nobody (stored_query.without_patient).";
        let finding = Finding::error(Rule::StoredQueryMissingParameter, Place::at("AdhocQuery"), text);
        Err(Fault::Refused(vec![finding]))
    }

    /// Finds what is asked for, and writes it.
    fn gather(&self, asking: &Asking) -> Result<Gathered, Fault<Findings>> {
        let items = self.found(&asking.asked, self.limit(asking.returns))?;
        self.within(items.len(), asking.returns)?;
        let mut shown = leaf::Shown::new(&self.store, &self.query.authorities);
        let patients = items.iter().map(|item| item.partition().to_owned()).collect();
        if asking.returns == Returns::Objects && is_of_one_patient(&asking.asked.question) {
            single(&items)?;
        }
        let written: Result<Written, store::Error> = match asking.returns {
            Returns::References => items.iter().map(leaf::reference).collect(),
            Returns::Objects => items.iter().map(|item| self.leaves.write(item, &mut shown)).collect(),
        };
        Ok(Gathered { written: written?, patients })
    }

    fn found(&self, asked: &Asked, most: usize) -> Result<Vec<Item>, Fault<Findings>> {
        let statuses: &[Availability] = &asked.association_status;
        match &asked.question {
            Question::Find(filters) => {
                let mut items = Vec::new();
                for filter in filters {
                    items.extend(self.rows(filter, most + 1 - items.len().min(most + 1))?);
                }
                Ok(items)
            }
            Question::All { documents, submission_sets, folders } => {
                self.everything([submission_sets, documents, folders], statuses, most)
            }
            Question::Documents { named, associations: false } => {
                Ok(items(self.documents(named, asked.level)?))
            }
            Question::Documents { named, associations: true } => {
                let documents = self.documents(named, asked.level)?;
                let associations = self.touching(&documents, statuses)?;
                Ok(items(documents).into_iter().chain(associations).collect())
            }
            Question::Folders(named) => Ok(items(self.folders(named, asked.level)?)),
            Question::Associations(ids) => self.associations(ids, statuses),
            Question::SubmissionSets(ids) => self.submission_sets_of(ids, statuses),
            Question::SubmissionSetAndContents { named, documents } => {
                self.set_and_contents(named, documents, statuses)
            }
            Question::FolderAndContents { named, documents } => {
                self.folder_and_contents(named, asked.level, documents, statuses)
            }
            Question::FoldersForDocument(named) => {
                self.folders_of(named, asked.level == MetadataLevel::Versions, asked.level, statuses)
            }
            Question::RelatedDocuments { named, kinds, documents } => {
                self.related(named, asked.level, kinds, documents, statuses)
            }
        }
    }

    fn limit(&self, returns: Returns) -> usize {
        match returns {
            Returns::Objects => self.settings.max_objects,
            Returns::References => self.settings.max_references,
        }
    }

    fn within(&self, found: usize, returns: Returns) -> Result<(), Fault<Findings>> {
        let most = self.limit(returns);
        if found <= most {
            return Ok(());
        }
        let text = match returns {
            Returns::Objects => format!(
                "More than {most} objects were found, and no more are given at once (stored_query.max_objects). Narrow the question, or ask with returnType=\"ObjectRef\" and then for the objects in parts by GetDocuments."
            ),
            Returns::References => format!(
                "More than {most} objects were found, and no more references are given at once (stored_query.max_references). Narrow the question."
            ),
        };
        Err(Fault::Refused(vec![Finding::error(Rule::TooManyResults, Place::at("AdhocQuery"), text)]))
    }
}

fn items(objects: Vec<crate::records::association::Object>) -> Vec<Item> {
    objects.into_iter().map(Item::Object).collect()
}

/// Whether a question is about the objects of all patients.
fn names_nobody(question: &Question) -> bool {
    matches!(question, Question::Find(filters) if filters.iter().any(|filter| filter.patients.is_empty()))
}

/// Whether an answer with whole objects holds those of one patient (TF-2 3.18.4.1.2.3.8).
fn is_of_one_patient(question: &Question) -> bool {
    match question {
        Question::Documents { .. }
        | Question::Folders(_)
        | Question::SubmissionSets(_)
        | Question::SubmissionSetAndContents { .. }
        | Question::FolderAndContents { .. } => true,
        Question::Find(_)
        | Question::All { .. }
        | Question::Associations(_)
        | Question::FoldersForDocument(_)
        | Question::RelatedDocuments { .. } => false,
    }
}

fn single(items: &[Item]) -> Result<(), Fault<Findings>> {
    let objects = items.iter().filter(|item| !item.is_association());
    let patients: BTreeSet<&str> = objects.map(Item::partition).collect();
    if patients.len() <= 1 {
        return Ok(());
    }
    let text = "The ids name objects of several patients; ask for those of each patient apart, or with returnType=\"ObjectRef\".";
    Err(Fault::Refused(vec![Finding::error(Rule::ResultNotSinglePatient, Place::at("AdhocQuery"), text)]))
}
