//! The only place where patients become records, and questions about them become asks.

mod asked;
mod described;
mod domain;
mod draft;
mod kept;
mod person;
mod warm;

use std::sync::Arc;

use fhir::patient::Patient;
use store::{Kind, Row, Store};
use xds::Identifier;
use xds::authority::Authorities;

use crate::domains::Domains;
use crate::events::Stood;

pub(crate) use asked::Asked;
pub(crate) use draft::{Draft, Writing};
pub(crate) use kept::{Kept, KeptIdentifier, for_registry, held_only};
pub(crate) use person::Names;
pub(crate) use warm::warm;

/// The sort of record a patient is.
pub(crate) const PATIENT: Kind = Kind("patient");

/// The blocking keys of a patient, by which candidates of a match are found.
pub(crate) const KEY: &str = "match-key";

/// Points from a merged record to the one that took its place.
pub(crate) const REPLACED_BY: &str = "replaced-by";

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

    /// What is kept of a patient, systems in the spelling that is canonical today.
    pub(crate) fn kept(&self, row: &Row) -> Result<Kept, store::Error> {
        Ok(Kept::of(row)?.canonical(self.authorities()))
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
    pub(crate) fn final_survivor(&self, row: Row) -> Result<(Row, Kept), store::Error> {
        let mut row = row;
        let mut kept = self.kept(&row)?;
        for _ in 0..LONGEST_CHAIN {
            let Some(next) = &kept.replaced_by else { break };
            let Some(found) = self.patient(next)?.filter(|row| !row.deleted) else { break };
            kept = self.kept(&found)?;
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
