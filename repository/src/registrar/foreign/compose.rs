//! A submission as a registry of another make is sent it: ebRIM, with ids that are the same whenever it is sent.

use std::collections::HashMap;

use actor::Clock;
use bytes::Bytes;
use ebxml::Writer;
use fhir::iti65::{EntryReceipt, Provided, Role};
use uuid::Uuid;
use xds::identifier::{oid, oid_of_name, unique_id_text};
use xds::{
    Association, AssociationType, EntryUuid, Finding, Findings, Identifier, ObjectRef, Patient, Place, Rule,
    Side, Submission,
};

use super::{Expected, Foreign, Registered};
use crate::answer;
use crate::naming::hexadecimal;

/// A registration, ready to be sent.
pub(crate) struct Composed {
    /// `lcm:SubmitObjectsRequest`.
    pub(crate) body: Bytes,
    /// What the registry holds once it has committed it.
    pub(crate) expected: Expected,
}

impl Foreign {
    /// Writes the registration of a submission whose documents have their places. `patient` is the id that this registry knows
    /// the patient by.
    pub(crate) fn compose(
        &self,
        provided: &Provided,
        (key, digest): (&str, &str),
        patient: &Identifier,
    ) -> Result<Composed, Findings> {
        let findings = unsayable(provided);
        if !findings.is_empty() {
            return Err(findings);
        }
        let mut submission = provided.submission.clone();
        let patient = Patient { reference: None, id: None, identifier: Some(patient.clone()) };
        let ids = assign(&mut submission, key, digest, &patient);
        let objects = provided.roles.iter().filter_map(|role| match role {
            Role::Object(symbol) => {
                let id = ids.get(symbol).map(EntryUuid::as_str).unwrap_or_default();
                let is_document = submission.documents.iter().any(|document| document.symbol == urn(id));
                Some(format!("{}/{id}", if is_document { "DocumentReference" } else { "List" }))
            }
            Role::Patch(target) => Some(target.clone()),
            Role::Binary(_) | Role::FhirDocument(..) | Role::Patient => None,
        });
        let documents = submission.documents.iter().map(|document| Registered {
            unique_id: unique_id_text(&document.unique_id),
            hash: document.hash.map(|hash| hexadecimal(&hash.0)).unwrap_or_default(),
            size: document.size.unwrap_or_default(),
        });
        let expected = Expected { objects: objects.collect(), documents: documents.collect() };
        let mut xml = Writer::with_capacity(16 << 10);
        ebxml::rim::write_submission(&mut xml, &submission)
            .map_err(|finding| vec![finding.by(Side::Repository)])?;
        Ok(Composed { body: xml.finish().into(), expected })
    }
}

/// A receipt of an object at this place, `[type]/[id]`: its first version, as of now.
pub(super) fn receipt(place: &str, clock: &Clock) -> EntryReceipt {
    let is_new = !place.contains("/_history/");
    EntryReceipt {
        status: if is_new { "201 Created" } else { "200 OK" }.to_owned(),
        location: format!("{place}/_history/1"),
        etag: Some("W/\"1\"".to_owned()),
        last_modified: answer::instant(clock.now()),
        warnings: Vec::new(),
    }
}

/// What a Bundle can say and ITI-42 cannot.
fn unsayable(provided: &Provided) -> Findings {
    let submission = &provided.submission;
    let place = |symbol: &str| Place::at(submission.place(symbol).to_owned());
    let folders = submission.folders.iter().filter(|folder| folder.update).map(|folder| {
        let text = "the registry behind this repository speaks XDS.b, where a registered folder is not written anew; add the \
                    document by ITI-41, with a HasMember association from the folder's entryUUID";
        Finding::error(Rule::NotSupported, place(&folder.symbol), text)
    });
    let references = submission.associations.iter().filter_map(|association| {
        let ends = [&association.source, &association.target];
        ends.iter().any(|end| matches!(end, ObjectRef::Unique(_))).then(|| {
            let text = "the registry behind this repository speaks XDS.b, where a registered object is referred to by its \
                        entryUUID; name it DocumentReference/[entryUUID]";
            Finding::error(Rule::UnresolvedReference, Place::at(association.at.clone()), text)
        })
    });
    folders.chain(references).map(|finding| finding.by(Side::Repository)).collect()
}

/// Gives every object its id, the one its source chose or one made of the key, the content and its name, and lets everything
/// refer to it by that; says who the patient is. Answers the ids by symbol.
fn assign(
    submission: &mut Submission,
    key: &str,
    digest: &str,
    patient: &Patient,
) -> HashMap<String, EntryUuid> {
    let made = |what: &str, name: &str| {
        let name = format!("{key}\n{digest}\n{what}\n{name}");
        EntryUuid::from(Uuid::new_v5(&Uuid::NAMESPACE_OID, name.as_bytes()))
    };
    let mut ids = HashMap::new();
    let mut known = |symbol: &mut String, given: &mut Option<EntryUuid>, made: EntryUuid| {
        let id = given.get_or_insert(made).clone();
        ids.insert(std::mem::replace(symbol, urn(id.as_str())), id);
    };
    let set = &mut submission.submission_set;
    set.patient = patient.clone();
    known(&mut set.symbol, &mut set.entry_uuid, made("SubmissionSet", ""));
    for document in &mut submission.documents {
        let name = made("DocumentEntry", &unique_id_text(&document.unique_id));
        document.patient = patient.clone();
        // Where the bytes are, for readers who speak no SOAP; an address its source gave stays.
        document.uri.get_or_insert_with(|| document.url.clone());
        document.source_patient_ids.iter_mut().for_each(by_authority);
        known(&mut document.symbol, &mut document.entry_uuid, name);
    }
    for (index, folder) in submission.folders.iter_mut().enumerate() {
        let name = folder.unique_id.as_ref().map_or_else(|| index.to_string(), unique_id_text);
        folder.patient = patient.clone();
        known(&mut folder.symbol, &mut folder.entry_uuid, made("Folder", &name));
    }
    let set = ObjectRef::Symbol(submission.submission_set.symbol.clone());
    let mut held = Vec::new();
    for association in &mut submission.associations {
        // An association may be the end of another one that stands before it.
        let symbol = association.symbol.clone();
        let ends: Vec<String> =
            [&association.source, &association.target].into_iter().map(|end| named(end, &ids)).collect();
        let name = made("Association", &format!("{:?} {}", association.kind, ends.join(" ")));
        let id = association.entry_uuid.get_or_insert(name).clone();
        association.symbol = urn(id.as_str());
        if !symbol.is_empty() {
            ids.insert(symbol, id);
        }
    }
    for association in &mut submission.associations {
        for end in [&mut association.source, &mut association.target] {
            if let ObjectRef::Symbol(symbol) = end
                && let Some(id) = ids.get(symbol)
            {
                *symbol = urn(id.as_str());
            }
        }
    }
    // Every membership of a folder is a member of the set too (TF-3 4.2.1.4); FHIR does not say so.
    for association in &submission.associations {
        let of =
            |end: &ObjectRef| association.kind == AssociationType::HasMember && *end == association.source;
        let is_held = submission.associations.iter().any(|other| {
            other.kind == AssociationType::HasMember
                && other.source == set
                && other.target == ObjectRef::Symbol(association.symbol.clone())
        });
        if association.kind == AssociationType::HasMember && !of(&set) && !is_held {
            let target = ObjectRef::Symbol(association.symbol.clone());
            let mut holding =
                Association::new(AssociationType::HasMember, set.clone(), target, association.at.clone());
            let id = made("Association", &format!("holds {}", association.symbol));
            holding.symbol = urn(id.as_str());
            holding.entry_uuid = Some(id);
            held.push(holding);
        }
    }
    submission.associations.extend(held);
    ids
}

/// An identifier of the source as XDS can write it: under an OID, which is made of the address of its name space where that has
/// none (TF-3 4.2.3.1.7, CX).
fn by_authority(identifier: &mut Identifier) {
    if !identifier.system.is_empty() && oid(&identifier.system).is_none() {
        identifier.system = oid_of_name(&identifier.system);
    }
}

/// The end of an association as a name that does not depend on symbols.
fn named(end: &ObjectRef, ids: &HashMap<String, EntryUuid>) -> String {
    match end {
        ObjectRef::Symbol(symbol) => {
            ids.get(symbol).map_or_else(|| symbol.clone(), |id| id.as_str().to_owned())
        }
        ObjectRef::Registered(id) => id.as_str().to_owned(),
        ObjectRef::Unique(name) => unique_id_text(name),
    }
}

fn urn(id: &str) -> String {
    format!("urn:uuid:{id}")
}
