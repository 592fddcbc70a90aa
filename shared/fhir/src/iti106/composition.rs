//! The metadata a FHIR document says of itself, in its Composition (PCC TF-2 4.1.2).

use std::collections::HashMap;

use serde_json::{Value, json};
use xds::Code;

use super::{FORMATS, MIME_TYPE_SUFFICIENT, Maps, Taken, complete, mapped_format, pruned};
use crate::element::{self, URI, items, text};

/// Takes what a FHIR document says that has, or is given, this media type.
pub(super) fn take(bundle: &Value, content_type: &str, maps: &Maps) -> Result<Taken, String> {
    let first = bundle.pointer("/entry/0").unwrap_or(&Value::Null);
    let composition = first.get("resource").unwrap_or(&Value::Null);
    if text(bundle, "resourceType") != Some("Bundle")
        || text(bundle, "type") != Some("document")
        || text(composition, "resourceType") != Some("Composition")
    {
        return Err(
            "The resource is no FHIR document: a Bundle of type document, a Composition first.".to_owned()
        );
    }
    let mut copies = Copies::default();
    let authors: Vec<Value> = items(composition, "author")
        .iter()
        .filter_map(|author| copied(bundle, author, &mut copies, 0))
        .collect();
    let legal = items(composition, "attester").iter().find(|one| text(one, "mode") == Some("legal"));
    let authenticator =
        legal.and_then(|one| one.get("party")).and_then(|party| copied(bundle, party, &mut copies, 0));
    let mut contained = copies.contained;
    let subject = composition.get("subject").unwrap_or(&Value::Null);
    let patient = entry(bundle, subject).filter(|found| text(found, "resourceType") == Some("Patient"));
    let patient = patient.filter(|found| !items(found, "identifier").is_empty()).map(known_patient);
    if patient.is_none() && subject.get("reference").is_none() && subject.get("identifier").is_none() {
        return Err("The FHIR document names no patient (Composition.subject).".to_owned());
    }
    let info = patient.as_ref().map(|patient| {
        let mut source = patient.clone();
        element::put(&mut source, "id", Some("patient"));
        contained.push(source);
        json!({ "reference": "#patient" })
    });
    let kind = composition.get("type").map(element::concept).and_then(|codes| codes.into_iter().next());
    let event = items(composition, "event");
    let attachment = pruned(json!({
        "contentType": content_type,
        "language": composition.get("language").or_else(|| bundle.get("language")),
        "title": composition.get("title"),
        "creation": composition.get("date"),
    }));
    let mut reference = pruned(json!({
        "resourceType": "DocumentReference",
        "contained": contained,
        "masterIdentifier": master(bundle, first, composition)?,
        "status": "current",
        "type": composition.get("type"),
        "category": Value::Null,
        "subject": subject,
        "author": authors,
        "authenticator": authenticator,
        "securityLabel": confidentiality(bundle, composition),
        "content": [{ "attachment": attachment, "format": format(bundle, composition, maps) }],
        "context": pruned(json!({
            "event": event.iter().flat_map(|one| items(one, "code").to_vec()).collect::<Vec<_>>(),
            "period": event.iter().find_map(|one| one.get("period")),
            "sourcePatientInfo": info,
        })),
    }));
    if reference.get("context").is_none() {
        element::put(&mut reference, "context", Some(json!({})));
    }
    let own_class = items(composition, "category").first().cloned();
    complete(&mut reference, kind.as_ref(), own_class, maps);
    Ok(Taken { reference: pruned(reference), patient })
}

/// What names the document: the Composition, else the Bundle, else where the Composition is.
fn master(bundle: &Value, first: &Value, composition: &Value) -> Result<Value, String> {
    let named = |resource: &Value| {
        let name = resource.get("identifier")?;
        let (system, value) = (text(name, "system")?, text(name, "value")?);
        Some(json!({ "system": system, "value": value }))
    };
    let place = || text(first, "fullUrl").map(|url| json!({ "system": URI, "value": url }));
    named(composition).or_else(|| named(bundle)).or_else(place).ok_or_else(|| {
        "The FHIR document has no identifier with system and value, and its Composition no fullUrl."
            .to_owned()
    })
}

/// The resource of the document a reference names.
fn entry<'a>(bundle: &'a Value, reference: &Value) -> Option<&'a Value> {
    let wanted = text(reference, "reference")?;
    let found = items(bundle, "entry").iter().find(|entry| {
        let url = text(entry, "fullUrl").unwrap_or_default();
        let is_relative = || {
            let resource = entry.get("resource")?;
            let id = wanted.strip_prefix(text(resource, "resourceType")?)?.strip_prefix('/')?;
            (text(resource, "id")? == id).then_some(())
        };
        url == wanted || is_relative().is_some()
    })?;
    found.get("resource")
}

/// What a Patient is known by.
fn known_patient(patient: &Value) -> Value {
    let member = |name: &str| patient.get(name);
    pruned(json!({
        "resourceType": "Patient",
        "identifier": member("identifier"),
        "name": member("name"),
        "gender": member("gender"),
        "birthDate": member("birthDate"),
        "address": member("address"),
    }))
}

/// What is contained, and under which id, by the reference that named it and how far it lies from the document: named often,
/// it is copied once.
#[derive(Default)]
struct Copies {
    contained: Vec<Value>,
    known: HashMap<(String, usize), String>,
}

/// A reference that is true outside of the document too: what it names is contained, with those that names in turn.
fn copied(bundle: &Value, reference: &Value, copies: &mut Copies, depth: usize) -> Option<Value> {
    let name = (text(reference, "reference").unwrap_or_default().to_owned(), depth);
    if let Some(id) = copies.known.get(&name) {
        return Some(json!({ "reference": format!("#{id}") }));
    }
    let Some(found) = entry(bundle, reference) else {
        let is_local =
            text(reference, "reference").is_some_and(|url| url.starts_with("urn:") || url.starts_with('#'));
        let bare = json!({ "identifier": reference.get("identifier"), "display": reference.get("display") });
        let bare = if is_local { pruned(bare) } else { reference.clone() };
        return Some(bare).filter(|bare| bare.as_object().is_some_and(|members| !members.is_empty()));
    };
    let mut copy = found.clone();
    for part in ["practitioner", "organization"] {
        let Some(inner) = found.get(part).filter(|_| depth < 2) else { continue };
        let inner = copied(bundle, inner, copies, depth + 1);
        let members = copy.as_object_mut()?;
        members.shift_remove(part);
        members.extend(inner.map(|inner| (part.to_owned(), inner)));
    }
    let members = copy.as_object_mut()?;
    for part in ["text", "meta", "contained", "extension"] {
        members.shift_remove(part);
    }
    let id = format!("c{}", copies.contained.len() + 1);
    members.insert("id".to_owned(), id.as_str().into());
    copies.contained.push(copy);
    copies.known.insert(name, id.clone());
    Some(json!({ "reference": format!("#{id}") }))
}

fn confidentiality(bundle: &Value, composition: &Value) -> Vec<Value> {
    let own = text(composition, "confidentiality").map(
        |code| json!({ "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": code }),
    );
    let labels = |resource: &Value| {
        resource.get("meta").map(|meta| items(meta, "security").to_vec()).unwrap_or_default()
    };
    let mut codings: Vec<Value> = own.into_iter().collect();
    for label in labels(composition).into_iter().chain(labels(bundle)) {
        if !codings.iter().any(|known| known["code"] == label["code"] && known["system"] == label["system"]) {
            codings.push(label);
        }
    }
    codings.into_iter().map(|coding| json!({ "coding": [coding] })).collect()
}

fn format(bundle: &Value, composition: &Value, maps: &Maps) -> Value {
    let profiles = |resource: &Value| -> Vec<String> {
        let meta = resource.get("meta").map(|meta| items(meta, "profile")).unwrap_or_default();
        let bare = |profile: &str| profile.split('|').next().unwrap_or(profile).to_owned();
        meta.iter().filter_map(Value::as_str).map(bare).collect()
    };
    let names: Vec<String> = profiles(bundle).into_iter().chain(profiles(composition)).collect();
    mapped_format(names.iter().map(String::as_str), maps).unwrap_or_else(|| {
        let code = Code { system: FORMATS.to_owned(), code: MIME_TYPE_SUFFICIENT.to_owned(), display: None };
        element::coding_value(&code)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_author_named_often_is_contained_once() {
        let bundle = json!({ "entry": [
            { "fullUrl": "urn:uuid:r", "resource": { "resourceType": "PractitionerRole", "practitioner": { "reference": "Practitioner/p" } } },
            { "fullUrl": "urn:uuid:p", "resource": { "resourceType": "Practitioner", "id": "p" } },
        ] });
        let mut copies = Copies::default();
        for _ in 0..3 {
            let role = copied(&bundle, &json!({ "reference": "urn:uuid:r" }), &mut copies, 0);
            assert_eq!(role, Some(json!({ "reference": "#c2" })));
        }
        assert_eq!(copies.contained.len(), 2);
        assert_eq!(copies.contained[1]["practitioner"]["reference"], "#c1");
    }
}
