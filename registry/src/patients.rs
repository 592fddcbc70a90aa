//! Who a patient is: judged from our own records alone, never by asking anybody.

use serde_json::Value;
use store::{Row, Store};
use xds::plan::PatientState;
use xds::{Finding, Identifier, Patient, Place, Rule};

use crate::records::{PatientRecord, patient_row, patients_by_identifier};

/// A reference to a patient, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// By id in this domain.
    Id(String),
    /// By an identifier; a system of `None` is any.
    Identifier(Option<String>, String),
    /// By the fullUrl of an entry of the request.
    Entry(String),
}

/// What a literal reference names. `identity` is the public base of the identity source.
pub(crate) fn named(reference: &str, identity: &str) -> Named {
    let own = reference.strip_prefix(identity).and_then(|rest| rest.strip_prefix('/')).unwrap_or(reference);
    if let Some(query) = own.strip_prefix("Patient?identifier=") {
        let value = percent_encoding::percent_decode_str(query).decode_utf8_lossy().into_owned();
        return match value.split_once('|') {
            Some((system, value)) => Named::Identifier(Some(system.to_owned()), value.to_owned()),
            None => Named::Identifier(None, value),
        };
    }
    if let Some(id) = own.strip_prefix("Patient/") {
        return Named::Id(id.split('/').next().unwrap_or(id).to_owned());
    }
    // Foreign servers are never asked: their reference is looked up as an identifier under their base.
    match own.rsplit_once("/Patient/") {
        Some((base, id)) => Named::Identifier(
            Some(base.to_owned()),
            format!("Patient/{}", id.split('/').next().unwrap_or(id)),
        ),
        None => Named::Entry(own.to_owned()),
    }
}

/// Who the patient of an object is. `sent` is the Patient resource of the request, with its fullUrl.
pub(crate) fn resolve(
    store: &Store,
    identity: &str,
    patient: &Patient,
    sent: Option<&(String, Value)>,
) -> Result<PatientState, store::Error> {
    if let Some(id) = &patient.id {
        return by_id(store, id);
    }
    let Some(reference) = &patient.reference else {
        return match &patient.identifier {
            Some(identifier) => by_identifier(store, Some(&identifier.system), &identifier.value),
            None => Ok(PatientState::Unknown),
        };
    };
    match named(reference, identity) {
        Named::Id(id) => by_id(store, &id),
        Named::Identifier(system, value) => by_identifier(store, system.as_deref(), &value),
        Named::Entry(url) => match sent.filter(|(full_url, _)| *full_url == url) {
            Some((_, resource)) => by_resource(store, resource),
            None => Ok(PatientState::Unknown),
        },
    }
}

/// The id of whoever is named, be it active or not: the patient of a submission that was registered before it was merged away.
pub(crate) fn whoever(
    store: &Store,
    identity: &str,
    patient: &Patient,
    sent: Option<&(String, Value)>,
) -> Result<Option<String>, store::Error> {
    let first = |system: Option<&str>, value: &str| -> Result<Option<String>, store::Error> {
        Ok(patients_by_identifier(store, system, value)?.into_iter().next().map(|(row, _)| row.id))
    };
    let by = |identifier: &Identifier| first(Some(&identifier.system), &identifier.value);
    if patient.id.is_some() {
        return Ok(patient.id.clone());
    }
    match patient.reference.as_deref().map(|reference| named(reference, identity)) {
        Some(Named::Id(id)) => Ok(patient_row(store, &id)?.map(|(row, _)| row.id)),
        Some(Named::Identifier(system, value)) => first(system.as_deref(), &value),
        Some(Named::Entry(url)) => {
            let resource = sent.filter(|(full_url, _)| *full_url == url).map(|(_, resource)| resource);
            for identifier in resource.map(identifiers).unwrap_or_default() {
                if let Some(id) = by(&identifier)? {
                    return Ok(Some(id));
                }
            }
            Ok(None)
        }
        None => patient.identifier.as_ref().map_or(Ok(None), by),
    }
}

/// The id of the patient that a reference names, be it active or not; none if it names nobody known, or several.
pub(crate) fn known(store: &Store, identity: &str, reference: &str) -> Result<Option<String>, store::Error> {
    match named(reference, identity) {
        Named::Id(id) => Ok(patient_row(store, &id)?.map(|(row, _)| row.id)),
        Named::Identifier(system, value) => known_by(store, system.as_deref(), &value),
        Named::Entry(_) => Ok(None),
    }
}

/// The same by an identifier; of several patients, the active one.
pub(crate) fn known_by(
    store: &Store,
    system: Option<&str>,
    value: &str,
) -> Result<Option<String>, store::Error> {
    let found = patients_by_identifier(store, system, value)?;
    if let [(row, _)] = found.as_slice() {
        return Ok(Some(row.id.clone()));
    }
    let mut active = found.into_iter().map(state).filter_map(|state| match state {
        PatientState::Active(id) => Some(id),
        _ => None,
    });
    Ok(active.next().filter(|_| active.next().is_none()))
}

/// What is told of a reference that names nobody.
pub(crate) fn unknown(path: &str, reference: &str) -> Finding {
    let text = format!(
        "{reference} names no patient this registry knows; accepted are Patient/[id], the address of a patient at the identity source, and Patient?identifier=[system]|[value]"
    );
    Finding::error(Rule::UnknownPatient, Place::at(path), text)
}

fn by_id(store: &Store, id: &str) -> Result<PatientState, store::Error> {
    Ok(patient_row(store, id)?.map_or(PatientState::Unknown, state))
}

fn by_identifier(store: &Store, system: Option<&str>, value: &str) -> Result<PatientState, store::Error> {
    let mut states: Vec<PatientState> =
        patients_by_identifier(store, system, value)?.into_iter().map(state).collect();
    // One active patient is meant even where others had the identifier before it; of several, nobody can say which.
    states.sort_by_key(|state| !matches!(state, PatientState::Active(_)));
    Ok(match states.as_slice() {
        [] => PatientState::Unknown,
        [PatientState::Active(_), PatientState::Active(_), ..] => PatientState::Unknown,
        [first, ..] => first.clone(),
    })
}

fn by_resource(store: &Store, resource: &Value) -> Result<PatientState, store::Error> {
    for identifier in identifiers(resource) {
        match by_identifier(store, Some(&identifier.system), &identifier.value)? {
            PatientState::Unknown => {}
            known => return Ok(known),
        }
    }
    Ok(PatientState::Unknown)
}

/// The identifiers of a Patient resource that have both system and value.
pub(crate) fn identifiers(resource: &Value) -> Vec<Identifier> {
    let items = resource.get("identifier").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    items
        .iter()
        .filter_map(|item| {
            let system = item.get("system").and_then(Value::as_str).unwrap_or_default().to_owned();
            let value = item.get("value").and_then(Value::as_str)?.to_owned();
            Some(Identifier { system, value })
        })
        .collect()
}

fn state((row, record): (Row, PatientRecord)) -> PatientState {
    if record.active && record.survivor().is_none() {
        PatientState::Active(row.id)
    } else {
        PatientState::Inactive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDENTITY: &str = "http://identity.example/fhir";

    #[test]
    fn our_own_reference_names_an_id_absolute_relative_or_versioned() {
        let id = Named::Id("p1".to_owned());
        assert_eq!(named("http://identity.example/fhir/Patient/p1", IDENTITY), id);
        assert_eq!(named("Patient/p1", IDENTITY), id);
        assert_eq!(named("Patient/p1/_history/3", IDENTITY), id);
    }

    #[test]
    fn a_conditional_reference_names_an_identifier() {
        let identifier = Named::Identifier(Some("urn:oid:1.2".to_owned()), "a|b".to_owned());
        assert_eq!(named("Patient?identifier=urn:oid:1.2%7Ca|b", IDENTITY), identifier);
        assert_eq!(
            named("http://identity.example/fhir/Patient?identifier=urn:oid:1.2|a%7Cb", IDENTITY),
            identifier
        );
    }

    #[test]
    fn a_reference_to_a_foreign_server_is_an_identifier_under_its_base() {
        let identifier =
            Named::Identifier(Some("http://other.example/fhir".to_owned()), "Patient/9".to_owned());
        assert_eq!(named("http://other.example/fhir/Patient/9", IDENTITY), identifier);
    }
}
