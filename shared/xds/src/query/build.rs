//! From typed values to the question they are.

use super::{Asked, Kind, Means, MetadataLevel, Named, Object, Parameter, Question, StoredQuery, value};
use crate::attribute::{FOLDER, SUBMISSION_SET};
use crate::filter::{Clause, Filter, Moment, Of, PatientIs, Test, Token};
use crate::types::{AssociationType, Availability, EntryKind, EntryUuid};
use crate::{Attribute, query::urn};

/// Values, each with its meaning.
#[derive(Debug, Default)]
pub(super) struct Values {
    patients: Vec<PatientIs>,
    /// What must hold, in the order it was said; status beside it, because a query may be about several sorts of objects.
    clauses: Vec<(Option<Object>, Clause)>,
    statuses: Vec<(Object, Vec<Availability>)>,
    kinds: Vec<EntryKind>,
    uuids: Vec<EntryUuid>,
    unique: Option<Vec<String>>,
    logical: Option<Vec<EntryUuid>>,
    relations: Vec<AssociationType>,
    level: MetadataLevel,
    communities: Vec<String>,
}

impl Values {
    /// Takes the values of a parameter; gives back the one that cannot be read.
    pub(super) fn add(&mut self, parameter: &Parameter, values: &[String]) -> Result<(), String> {
        let clause = |attribute, any| (None, Clause { attribute, any, negated: false });
        match parameter.means {
            Means::Patient => self.patients.extend(values.iter().map(|value| value::patient(value))),
            Means::Status(object) => self.add_status(object, values),
            Means::Code(attribute) => {
                let any = each(values, value::code)?;
                self.clauses.push(clause(attribute, any));
            }
            Means::From(attribute) => self.add_time(attribute, values, true)?,
            Means::To(attribute) => self.add_time(attribute, values, false)?,
            Means::Like(attribute) => {
                self.clauses
                    .push(clause(attribute, values.iter().map(|text| value::pattern(text)).collect()));
            }
            Means::Text(attribute) => {
                let any = values.iter().map(|text| value::reference_id(text)).collect();
                self.clauses.push(clause(attribute, any));
            }
            Means::Oid(attribute) => {
                self.clauses.push(clause(attribute, values.iter().map(|text| value::oid(text)).collect()));
            }
            Means::EntryType => self.kinds = each(values, value::entry_kind)?,
            Means::Online => self.add_online(&each(values, value::online)?),
            // What is no UUID is the name of nothing, and finds nothing.
            Means::EntryUuid => {
                self.uuids = values.iter().filter_map(|text| value::entry_uuid(text)).collect()
            }
            Means::UniqueId => self.unique = Some(values.iter().map(|text| text.trim().to_owned()).collect()),
            Means::LogicalId => {
                self.logical = Some(values.iter().filter_map(|text| value::entry_uuid(text)).collect());
            }
            // A relation nobody knows is one that no document has.
            Means::AssociationTypes => {
                self.relations =
                    values.iter().filter_map(|text| urn::association_type(text.trim())).collect();
            }
            Means::MetadataLevel => {
                self.level = match values.first().map(|text| text.trim()) {
                    Some("1") => MetadataLevel::Newest,
                    Some("2") => MetadataLevel::Versions,
                    other => return Err(other.unwrap_or_default().to_owned()),
                };
            }
            Means::Community => self.communities = values.to_vec(),
        }
        Ok(())
    }

    /// The statuses asked for; those nobody knows are passed over (TF-2 3.18.4.1.2.3.6.3).
    fn add_status(&mut self, object: Object, values: &[String]) {
        let known: Vec<Availability> = values.iter().filter_map(|text| urn::status(text.trim())).collect();
        if object != Object::Association && !known.is_empty() {
            let any = known.iter().copied().map(Test::Status).collect();
            let clause = Clause { attribute: Attribute::AvailabilityStatus, any, negated: false };
            self.clauses.push((Some(object), clause));
        }
        self.statuses.push((object, known));
    }

    /// The statuses asked for of a sort of object.
    pub(super) fn status(&self, object: Object) -> &[Availability] {
        self.statuses.iter().find(|(of, _)| *of == object).map_or(&[], |(_, known)| known)
    }

    /// One end of a stretch of time: `From <= value < To`, both as wide as they are written (`ge` and `lt` in FHIR). Service
    /// times that are not given leave nothing out (TF-2 3.18.4.1.2.3.7.1): what is there and lies outside is excluded.
    fn add_time(&mut self, attribute: Attribute, values: &[String], begins: bool) -> Result<(), String> {
        let moments = each(values, value::time)?;
        let negated = matches!(attribute, Attribute::ServiceStart | Attribute::ServiceStop);
        let any = moments.iter().map(|time| {
            Test::Moment(match (begins, negated) {
                (true, false) => Moment::EndsAfterOrWithin(time.from, time.to),
                (false, false) => Moment::BeginsBefore(time.from),
                (true, true) => Moment::EndsBy(time.from),
                (false, true) => Moment::BeginsFrom(time.from),
            })
        });
        let any = any.collect();
        self.clauses.push((None, Clause { attribute, any, negated }));
        Ok(())
    }

    /// Documents are online where nothing else is said of them.
    fn add_online(&mut self, online: &[bool]) {
        if online.contains(&true) != online.contains(&false) {
            self.clauses.push((None, true_fact(Attribute::Offline, online.contains(&true))));
        }
    }

    /// What must hold for objects of a sort, beside their type.
    fn filter(&self, object: Object) -> Filter {
        let (of, kind) = match object {
            Object::Document | Object::Association => (Of::Documents, None),
            Object::SubmissionSet => (Of::Lists, Some(SUBMISSION_SET)),
            Object::Folder => (Of::Lists, Some(FOLDER)),
        };
        let list_kind = kind.map(|kind| {
            let token = Token { system: None, code: Some(kind.to_owned()) };
            Clause { attribute: Attribute::ListKind, any: vec![Test::Token(token)], negated: false }
        });
        let own = self.clauses.iter().filter(|(about, clause)| match about {
            Some(about) => *about == object,
            None => object == Object::Document || is_of_lists(clause.attribute),
        });
        Filter {
            patients: if self.patients.is_empty() { Vec::new() } else { vec![self.patients.clone()] },
            all: list_kind.into_iter().chain(own.map(|(_, clause)| clause.clone())).collect(),
            ..Filter::of(of)
        }
    }

    /// The same of documents, with what is said of their type: stable ones alone where nothing is.
    fn documents(&self) -> Filter {
        let mut filter = self.filter(Object::Document);
        filter.all.extend(self.of_kind());
        filter
    }

    fn of_kind(&self) -> Option<Clause> {
        let asks = |kind: EntryKind| self.kinds.contains(&kind);
        match (self.kinds.is_empty() || asks(EntryKind::Stable), asks(EntryKind::OnDemand)) {
            (true, true) => None,
            (stable, _) => Some(true_fact(Attribute::OnDemand, stable)),
        }
    }

    /// Documents by what holds for them. On-demand entries have no creationTime, which leaves none of them out: they are
    /// asked for apart (TF-2 3.18.4.1.2.3.7.1).
    fn find_documents(&self) -> Vec<Filter> {
        let whole = self.documents();
        let timed = |clause: &Clause| clause.attribute == Attribute::CreationTime;
        if !self.kinds.contains(&EntryKind::OnDemand) || !whole.all.iter().any(timed) {
            return vec![whole];
        }
        let mut on_demand = self.filter(Object::Document);
        let mut filters = Vec::with_capacity(2);
        if self.kinds.contains(&EntryKind::Stable) {
            let mut stable = on_demand.clone();
            stable.all.push(true_fact(Attribute::OnDemand, true));
            filters.push(stable);
        }
        on_demand.all.retain(|clause| !timed(clause));
        on_demand.all.push(true_fact(Attribute::OnDemand, false));
        filters.push(on_demand);
        filters
    }

    fn named(&mut self) -> Named {
        match (self.unique.take(), self.logical.take()) {
            (Some(unique), _) => Named::Unique(unique),
            (None, Some(logical)) => Named::Logical(logical),
            (None, None) => Named::Entry(std::mem::take(&mut self.uuids)),
        }
    }
}

/// Whether submission sets and folders have it as documents do.
fn is_of_lists(attribute: Attribute) -> bool {
    matches!(
        attribute,
        Attribute::DesignationType | Attribute::SourceId | Attribute::Date | Attribute::AuthorPerson
    )
}

/// That an object has a fact which is there only where it is true; turned round, that it has not.
fn true_fact(attribute: Attribute, negated: bool) -> Clause {
    let yes = Token { system: None, code: Some("true".to_owned()) };
    Clause { attribute, any: vec![Test::Token(yes)], negated }
}

fn each<T>(values: &[String], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, String> {
    values.iter().map(|value| read(value).ok_or_else(|| value.clone())).collect()
}

/// The question of a query.
pub(super) fn asked(query: &StoredQuery, mut values: Values) -> Asked {
    let association_status = match values.status(Object::Association) {
        [] => vec![Availability::Approved],
        asked => asked.to_vec(),
    };
    let question = match query.kind {
        Kind::Find(Object::Document) => Question::Find(values.find_documents()),
        Kind::Find(object) => Question::Find(vec![values.filter(object)]),
        Kind::All => Question::All {
            documents: values.documents(),
            submission_sets: values.filter(Object::SubmissionSet),
            folders: values.filter(Object::Folder),
        },
        Kind::Documents { associations } => Question::Documents { named: values.named(), associations },
        Kind::Folders => Question::Folders(values.named()),
        Kind::Associations => Question::Associations(std::mem::take(&mut values.uuids)),
        Kind::SubmissionSets => Question::SubmissionSets(std::mem::take(&mut values.uuids)),
        Kind::SubmissionSetAndContents => {
            Question::SubmissionSetAndContents { named: values.named(), documents: values.documents() }
        }
        Kind::FolderAndContents => {
            Question::FolderAndContents { named: values.named(), documents: values.documents() }
        }
        Kind::FoldersForDocument => Question::FoldersForDocument(values.named()),
        Kind::RelatedDocuments => Question::RelatedDocuments {
            named: values.named(),
            kinds: std::mem::take(&mut values.relations),
            documents: values.documents(),
        },
    };
    Asked { question, level: values.level, association_status, communities: values.communities }
}
