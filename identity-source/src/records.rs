//! The only place where patients become records, and questions about them become asks.

mod draft;
mod kept;

use std::sync::Arc;

use fhir::iti78::{self, Filter};
use fhir::patient::{Attribute, Fact as PatientFact, Patient};
use store::{AnyOf, Ask, Cursor, Fact, Kind, Order, Page, Reach, Row, Scope, Sequence, Span, Store, Test};
use xds::authority::Authorities;
use xds::{Identifier, Moment};

use crate::domains::Domains;
use crate::events::Stood;

pub(crate) use draft::{Draft, Writing};
pub(crate) use kept::{Kept, KeptIdentifier, held_only};

/// The sort of record a patient is.
pub(crate) const PATIENT: Kind = Kind("patient");

/// The blocking keys of a patient, by which candidates of a match are found.
pub(crate) const KEY: &str = "match-key";

/// The peer that is told of every patient, by its name in the configuration.
pub(crate) const REGISTRY: &str = "registry";

/// Merges a chain may have; it only guards against a damaged ring.
const LONGEST_CHAIN: usize = 1_000;

/// Patients as records.
#[derive(Clone)]
pub(crate) struct Records {
    store: Store,
    domains: Arc<Domains>,
}

impl Records {
    /// Patients in this store; `domains` are those of the configuration.
    pub(crate) fn new(store: Store, domains: Domains) -> Records {
        Records { store, domains: Arc::new(domains) }
    }

    /// The store underneath.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The configured domains.
    pub(crate) fn domains(&self) -> &Domains {
        &self.domains
    }

    /// How domains are spelled: every system is compared in the canonical form this gives.
    pub(crate) fn authorities(&self) -> &Authorities {
        self.domains.authorities()
    }

    /// The patient of this id, also one that is removed.
    pub(crate) fn patient(&self, id: &str) -> Result<Option<Row>, store::Error> {
        self.store.get(PATIENT, id)
    }

    /// The patient with this identifier, however its domain is spelled; under our own `base` a patient goes by `Patient/{id}`.
    pub(crate) fn identified(
        &self,
        identifier: &Identifier,
        base: &str,
    ) -> Result<Option<Row>, store::Error> {
        let id = match own_id(identifier, base) {
            Some(id) => Some(id.to_owned()),
            None => self.holder(identifier)?,
        };
        let Some(id) = id else { return Ok(None) };
        Ok(self.patient(&id)?.filter(|row| !row.deleted))
    }

    /// Id of the patient that holds this identifier.
    pub(crate) fn holder(&self, identifier: &Identifier) -> Result<Option<String>, store::Error> {
        for name in self.names(identifier) {
            if let Some(id) = self.named(&name)? {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Id of the patient a name is claimed for.
    fn named(&self, name: &str) -> Result<Option<String>, store::Error> {
        Ok(self.store.claimed(name)?.map(|id| String::from_utf8_lossy(&id).into_owned()))
    }

    /// The names an identifier may be claimed under: it was kept in the spelling that was the canonical one then.
    fn names(&self, identifier: &Identifier) -> Vec<String> {
        let spellings = self.authorities().spellings(&identifier.system);
        let value = &identifier.value;
        spellings.into_iter().map(|system| claim_name(&Identifier { system, value: value.clone() })).collect()
    }

    /// Whether an identifier domain is known: by configuration, because an identifier of it is or was in use, or because it
    /// is this server itself.
    pub(crate) fn knows_domain(&self, system: &str, base: &str) -> Result<bool, store::Error> {
        Ok(system == base || self.authorities().has(system) || self.has_learned(system)?)
    }

    fn has_learned(&self, system: &str) -> Result<bool, store::Error> {
        let system = self.authorities().canonical(system);
        Ok(self.store.claimed(&domain_name(&system))?.is_some())
    }

    /// The final survivor of a chain of merges that begins with this patient.
    #[expect(dead_code, reason = "asked by who follows links")]
    pub(crate) fn final_survivor(&self, row: Row) -> Result<(Row, Kept), store::Error> {
        let mut row = row;
        let mut kept = Kept::of(&row)?;
        for _ in 0..LONGEST_CHAIN {
            let Some(next) = &kept.replaced_by else { break };
            let Some(found) = self.patient(next)?.filter(|row| !row.deleted) else { break };
            kept = Kept::of(&found)?;
            row = found;
        }
        Ok((row, kept))
    }

    /// A patient with its identifiers in canonical form, each once.
    pub(crate) fn canonical(&self, mut patient: Patient) -> Patient {
        let mut identifiers: Vec<Identifier> = Vec::with_capacity(patient.identifiers.len());
        for identifier in &patient.identifiers {
            let identifier = self.authorities().identifier(identifier);
            if !identifiers.contains(&identifier) {
                identifiers.push(identifier);
            }
        }
        patient.identifiers = identifiers;
        patient
    }

    /// A patient as its source fed it, from what is kept of it.
    pub(crate) fn as_fed(&self, stood: &Stood) -> Patient {
        let resource = match serde_json::from_slice(&stood.rendering) {
            Ok(serde_json::Value::Object(members)) => members,
            _ => serde_json::Map::new(),
        };
        let identifiers = stood.kept.identifiers.iter().map(KeptIdentifier::identifier).collect();
        self.canonical(Patient { resource, identifiers, active: stood.kept.active, replaced_by: None })
    }

    /// Answers a question.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Result<Page, store::Error> {
        self.store.find(&Ask {
            kind: PATIENT,
            scope: Scope::Everywhere,
            all: asked.filter.all.iter().map(|clause| any_of(clause, self.authorities())).collect(),
            order: order(asked.sort),
            after: asked.after.clone(),
            limit: asked.limit,
            as_of: asked.as_of,
            total: asked.total,
        })
    }
}

/// A question with the place where its answer goes on.
pub(crate) struct Asked<'a> {
    /// The question.
    pub(crate) filter: &'a Filter,
    /// Name and direction (true = descending).
    pub(crate) sort: Option<&'a (String, bool)>,
    /// Continue behind this place.
    pub(crate) after: Option<Cursor>,
    /// As things stood then.
    pub(crate) as_of: Option<Sequence>,
    /// Rows at most.
    pub(crate) limit: usize,
    /// Whether the number of all matches is wanted.
    pub(crate) total: bool,
}

/// The name under which an identifier is claimed for a patient.
fn claim_name(identifier: &Identifier) -> String {
    format!("patient-identifier/{}|{}", identifier.system, identifier.value)
}

/// The name under which a domain is known.
fn domain_name(system: &str) -> String {
    format!("patient-domain/{system}")
}

/// The id of a patient that is named by our own `base`.
fn own_id<'i>(identifier: &'i Identifier, base: &str) -> Option<&'i str> {
    if identifier.system == base { identifier.value.strip_prefix("Patient/") } else { None }
}

/// The word an attribute is kept under, and how far it can be asked for.
fn attribute(attribute: Attribute) -> (&'static str, Reach) {
    match attribute {
        Attribute::Id => ("id", Reach::Partition),
        Attribute::LastUpdated => ("last-updated", Reach::Partition),
        Attribute::Identifier => ("identifier", Reach::Global),
        // Two values for everybody narrow nothing: not worth an index.
        Attribute::Active => ("active", Reach::Partition),
        Attribute::Gender => ("gender", Reach::Partition),
        Attribute::BirthDate => ("birth-date", Reach::Global),
        Attribute::Name => ("name", Reach::Global),
        Attribute::Family => ("family", Reach::Global),
        Attribute::Given => ("given", Reach::Global),
        Attribute::Telecom => ("telecom", Reach::Global),
        Attribute::Address => ("address", Reach::Global),
        Attribute::City => ("city", Reach::Global),
        Attribute::State => ("state", Reach::Global),
        Attribute::PostalCode => ("postal-code", Reach::Global),
        Attribute::Country => ("country", Reach::Global),
        Attribute::MothersMaidenName => ("mothers-maiden-name", Reach::Global),
        Attribute::MothersGiven => ("mothers-given", Reach::Global),
        Attribute::MothersIdentifier => ("mothers-identifier", Reach::Global),
        Attribute::Account => ("account", Reach::Global),
    }
}

/// The attributes a question for this one looks at: a name is in all its parts, an address too.
fn parts(attribute: Attribute) -> &'static [Attribute] {
    match attribute {
        Attribute::Name => &[Attribute::Name, Attribute::Family, Attribute::Given],
        Attribute::Address => &[
            Attribute::Address,
            Attribute::City,
            Attribute::State,
            Attribute::PostalCode,
            Attribute::Country,
        ],
        Attribute::Id => &[Attribute::Id],
        Attribute::LastUpdated => &[Attribute::LastUpdated],
        Attribute::Identifier => &[Attribute::Identifier],
        Attribute::Active => &[Attribute::Active],
        Attribute::Gender => &[Attribute::Gender],
        Attribute::BirthDate => &[Attribute::BirthDate],
        Attribute::Family => &[Attribute::Family],
        Attribute::Given => &[Attribute::Given],
        Attribute::Telecom => &[Attribute::Telecom],
        Attribute::City => &[Attribute::City],
        Attribute::State => &[Attribute::State],
        Attribute::PostalCode => &[Attribute::PostalCode],
        Attribute::Country => &[Attribute::Country],
        Attribute::MothersMaidenName => &[Attribute::MothersMaidenName],
        Attribute::MothersGiven => &[Attribute::MothersGiven],
        Attribute::MothersIdentifier => &[Attribute::MothersIdentifier],
        Attribute::Account => &[Attribute::Account],
    }
}

fn fact((of, fact): (Attribute, PatientFact)) -> Fact {
    let (name, reach) = attribute(of);
    match fact {
        PatientFact::Term { space, value } => Fact::Term { name, space, value: term_value(of, value), reach },
        PatientFact::Text(exact) => Fact::Text { name, folded: fold(&exact), exact, reach },
        PatientFact::Span(from, to) => Fact::Instant { name, from, to, reach },
    }
}

/// Mail addresses and the like compare without regard to case; identifiers do not.
fn term_value(of: Attribute, value: String) -> String {
    if of == Attribute::Telecom { value.to_lowercase() } else { value }
}

/// A text without regard to case and accents.
fn fold(text: &str) -> String {
    xds::attribute::fold(text.trim())
}

fn any_of(clause: &iti78::Clause, authorities: &Authorities) -> AnyOf {
    let tests = clause
        .any
        .iter()
        .flat_map(|test| parts(clause.attribute).iter().flat_map(|part| tests(*part, test, authorities)))
        .collect();
    AnyOf { tests, negated: false }
}

/// One alternative of a question, as the store asks it.
fn tests(of: Attribute, asked: &iti78::Test, authorities: &Authorities) -> Vec<Test> {
    let (name, _) = attribute(of);
    match asked {
        iti78::Test::Id(id) => vec![Test::Id(id.clone())],
        // Kept in the spelling that was the canonical one then.
        iti78::Test::Token { system: Some(system), value } if of == Attribute::Identifier => authorities
            .spellings(system)
            .into_iter()
            .map(|system| Test::Term { name, space: Some(system), value: value.clone() })
            .collect(),
        iti78::Test::Token { system, value } => vec![Test::Term {
            name,
            space: system.clone(),
            value: value.clone().map(|value| term_value(of, value)),
        }],
        iti78::Test::Begins(text) => vec![Test::Prefix { name, folded: fold(text) }],
        iti78::Test::Contains(text) => vec![Test::Contains { name, folded: fold(text) }],
        iti78::Test::Exactly(text) => vec![Test::Exact { name, exact: text.clone() }],
        iti78::Test::Moment(moment) => spans(*moment)
            .into_iter()
            .map(|span| match of {
                Attribute::LastUpdated => Test::Written(span),
                _ => Test::Instant { name, span },
            })
            .collect(),
    }
}

/// A comparison as stretches of time, one of which must fit.
fn spans(moment: Moment) -> Vec<Span> {
    match moment {
        Moment::Within(from, to) => vec![Span::Within { from, to }],
        Moment::Outside(from, to) => vec![Span::BeginsBefore(from), Span::EndsAfter(to)],
        Moment::Overlaps(from, to) => vec![Span::Overlaps { from, to }],
        Moment::EndsAfter(instant) => vec![Span::EndsAfter(instant)],
        Moment::BeginsBefore(instant) => vec![Span::BeginsBefore(instant)],
        Moment::EndsAfterOrWithin(from, to) => vec![Span::EndsAfter(to), Span::Within { from, to }],
        Moment::BeginsBeforeOrWithin(from, to) => vec![Span::BeginsBefore(from), Span::Within { from, to }],
        Moment::BeginsFrom(instant) => vec![Span::BeginsFrom(instant)],
        Moment::EndsBy(instant) => vec![Span::EndsBy(instant)],
    }
}

fn order(sort: Option<&(String, bool)>) -> Order {
    let Some((wanted, descending)) = sort else { return Order::Natural };
    let descending = *descending;
    match iti78::SORTS.iter().find(|(name, _)| name == wanted) {
        Some((_, Attribute::LastUpdated)) => Order::Written { descending },
        Some((_, by)) => Order::By { name: attribute(*by).0, descending },
        None => Order::Natural,
    }
}
