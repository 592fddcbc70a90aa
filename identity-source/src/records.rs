//! The only place where patients become records, and questions about them become asks.

use fhir::document_reference::Stamp;
use fhir::iti78::{self, Filter};
use fhir::patient::{Attribute, Fact as PatientFact, Patient, canonical_system};
use serde::{Deserialize, Serialize};
use store::{
    AnyOf, Ask, Batch, Claim, Cursor, Fact, Kind, Order, Outgoing, Page, Put, Reach, Row, Scope, Sequence,
    Span, Store, Test,
};
use xds::{Identifier, Moment};

/// The sort of record a patient is.
pub(crate) const PATIENT: Kind = Kind("patient");

/// The peer that is told of every patient, by its name in the configuration.
pub(crate) const REGISTRY: &str = "registry";

/// Patients as records.
#[derive(Clone)]
pub(crate) struct Records {
    store: Store,
    authorities: std::sync::Arc<Vec<String>>,
}

/// What is kept beside the rendering, to work with the record without parsing it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// Whether the record is in use.
    pub(crate) active: bool,
    /// Id of the patient that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced_by: Option<String>,
    /// `meta.lastUpdated` of the rendering, microseconds.
    pub(crate) updated: i64,
    /// Its identifiers.
    pub(crate) identifiers: Vec<KeptIdentifier>,
}

/// One identifier as cross-referencing answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptIdentifier {
    /// The domain.
    pub(crate) system: String,
    /// The name in it.
    pub(crate) value: String,
    /// `assigner.display`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) assigner: Option<String>,
}

impl Kept {
    /// What a row keeps.
    pub(crate) fn of(row: &Row) -> Result<Kept, store::Error> {
        serde_json::from_slice(&row.body)
            .map_err(|error| store::Error::Damaged(format!("patient {}: {error}", row.id)))
    }

    /// The same of a patient about to be written.
    fn from_patient(patient: &Patient, survivor: Option<&str>, updated: i64) -> Kept {
        let sent = patient.resource.get("identifier").and_then(serde_json::Value::as_array);
        let assigner = |identifier: &Identifier| {
            let item = sent?
                .iter()
                .find(|item| fhir::patient::read_identifier(item).as_ref() == Some(identifier))?;
            item.pointer("/assigner/display")?.as_str().map(str::to_owned)
        };
        let identifiers = patient.identifiers.iter().map(|identifier| KeptIdentifier {
            system: identifier.system.clone(),
            value: identifier.value.clone(),
            assigner: assigner(identifier),
        });
        Kept {
            active: patient.active,
            replaced_by: survivor.map(str::to_owned),
            updated,
            identifiers: identifiers.collect(),
        }
    }
}

/// A patient about to be written.
pub(crate) struct Writing<'a> {
    /// Its id here.
    pub(crate) id: &'a str,
    /// As the source describes it.
    pub(crate) patient: &'a Patient,
    /// Who took its place.
    pub(crate) survivor: Option<&'a str>,
    /// What stands now.
    pub(crate) current: Option<(&'a Row, &'a Kept)>,
    /// The time.
    pub(crate) now: store::Instant,
    /// Whether the registry is to be told.
    pub(crate) feeds: bool,
}

/// A patient ready to be written.
pub(crate) struct Written {
    /// The commit.
    pub(crate) batch: Batch,
    /// Version and time.
    pub(crate) stamp: Stamp,
    /// What readers get.
    pub(crate) rendering: bytes::Bytes,
}

impl Records {
    /// Patients in this store; `authorities` are domains known by configuration.
    pub(crate) fn new(store: Store, authorities: &[String]) -> Records {
        let authorities = authorities.iter().map(|system| canonical_system(system)).collect();
        Records { store, authorities: std::sync::Arc::new(authorities) }
    }

    /// The store underneath.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The patient of this id.
    pub(crate) fn patient(&self, id: &str) -> Result<Option<Row>, store::Error> {
        self.store.get(PATIENT, id)
    }

    /// The patient with this identifier; under our own `base` a patient goes by `Patient/{id}`.
    pub(crate) fn identified(
        &self,
        identifier: &Identifier,
        base: &str,
    ) -> Result<Option<Row>, store::Error> {
        if identifier.system == base
            && let Some(id) = identifier.value.strip_prefix("Patient/")
        {
            return self.patient(id);
        }
        let Some(holder) = self.holder(identifier)? else { return Ok(None) };
        self.patient(&holder)
    }

    /// Id of the patient that holds this identifier.
    pub(crate) fn holder(&self, identifier: &Identifier) -> Result<Option<String>, store::Error> {
        let holder = self.store.claimed(&claim_name(identifier))?;
        Ok(holder.map(|id| String::from_utf8_lossy(&id).into_owned()))
    }

    /// Whether an identifier domain is known: by configuration, because an identifier of it is or was in use, or because it
    /// is this server itself.
    pub(crate) fn knows_domain(&self, system: &str, base: &str) -> Result<bool, store::Error> {
        if system == base || self.authorities.iter().any(|known| known == system) {
            return Ok(true);
        }
        Ok(self.store.claimed(&domain_name(system))?.is_some())
    }

    /// The final survivor of a chain of merges that begins with this patient.
    pub(crate) fn final_survivor(&self, row: Row) -> Result<(Row, Kept), store::Error> {
        let mut row = row;
        let mut kept = Kept::of(&row)?;
        // A chain cannot be longer than it has merges; the bound only guards against a damaged ring.
        for _ in 0..1_000 {
            let Some(next) = &kept.replaced_by else { break };
            let Some(found) = self.patient(next)? else { break };
            kept = Kept::of(&found)?;
            row = found;
        }
        Ok((row, kept))
    }

    /// Whether a patient stands exactly like this already.
    pub(crate) fn stands(&self, writing: &Writing<'_>) -> bool {
        writing.current.is_some_and(|(row, kept)| {
            let stamp = Stamp { version: row.version, updated: kept.updated };
            writing.patient.write(writing.id, stamp, writing.survivor) == row.rendering
        })
    }

    /// The commit that writes a patient: the record, its identifiers claimed and released, the message to the registry.
    pub(crate) fn write(&self, writing: &Writing<'_>) -> Result<Written, store::Error> {
        let (version, floor) = match writing.current {
            Some((row, kept)) => (row.version + 1, kept.updated),
            None => (1, store::Instant::MIN),
        };
        let stamp = Stamp { version, updated: writing.now.max(floor) };
        let kept = Kept::from_patient(writing.patient, writing.survivor, stamp.updated);
        let rendering = bytes::Bytes::from(writing.patient.write(writing.id, stamp, writing.survivor));
        let put = Put {
            kind: PATIENT,
            id: writing.id.to_owned(),
            version,
            partition: writing.id.to_owned(),
            order: 0,
            facts: writing.patient.facts().into_iter().map(fact).collect(),
            edges: Vec::new(),
            body: serde_json::to_vec(&kept).expect("identifiers can be written as JSON").into(),
            rendering: rendering.clone(),
            deleted: false,
        };
        let outgoing = writing.feeds.then(|| Outgoing {
            peer: REGISTRY.to_owned(),
            stream: writing.id.to_owned(),
            payload: rendering.clone(),
        });
        let batch = Batch {
            instant: stamp.updated,
            claims: self.claims(writing)?,
            releases: releases(writing),
            puts: vec![put],
            outgoing: outgoing.into_iter().collect(),
            ..Batch::default()
        };
        Ok(Written { batch, stamp, rendering })
    }

    /// Names a patient takes: each identifier, and each domain that is not known yet.
    fn claims(&self, writing: &Writing<'_>) -> Result<Vec<Claim>, store::Error> {
        let mut claims = Vec::new();
        for identifier in &writing.patient.identifiers {
            claims.push(Claim { name: claim_name(identifier), value: writing.id.as_bytes().to_vec() });
            let domain = domain_name(&identifier.system);
            let is_claimed = claims.iter().any(|claim| claim.name == domain);
            if !is_claimed && self.store.claimed(&domain)?.is_none() {
                claims.push(Claim { name: domain, value: b"known".to_vec() });
            }
        }
        Ok(claims)
    }

    /// Answers a question.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Result<Page, store::Error> {
        self.store.find(&Ask {
            kind: PATIENT,
            scope: Scope::Everywhere,
            all: asked.filter.all.iter().map(any_of).collect(),
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

/// Identifiers the patient had and has no more.
fn releases(writing: &Writing<'_>) -> Vec<String> {
    let Some((_, kept)) = writing.current else { return Vec::new() };
    let before = kept
        .identifiers
        .iter()
        .map(|known| Identifier { system: known.system.clone(), value: known.value.clone() });
    before
        .filter(|known| !writing.patient.identifiers.contains(known))
        .map(|known| claim_name(&known))
        .collect()
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

fn any_of(clause: &iti78::Clause) -> AnyOf {
    let tests = clause
        .any
        .iter()
        .flat_map(|test| parts(clause.attribute).iter().flat_map(|part| tests(*part, test)))
        .collect();
    AnyOf { tests, negated: false }
}

/// One alternative of a question, as the store asks it.
fn tests(of: Attribute, asked: &iti78::Test) -> Vec<Test> {
    let (name, _) = attribute(of);
    match asked {
        iti78::Test::Id(id) => vec![Test::Id(id.clone())],
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
