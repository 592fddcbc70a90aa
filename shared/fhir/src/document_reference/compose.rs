//! A DocumentReference made of a document entry that no FHIR source sent.

use serde_json::{Map, Value, json};
use xds::{Author, Code, DocumentEntry, EntryKind, Place, Profile, Timestamp, attribute, hl7};

use super::read_into;
use crate::beyond::{self, HOME_COMMUNITY, OBJECT_TYPE, ON_DEMAND, add_extension};
use crate::element;
use crate::people::{self, said};
use crate::{reference_ids, source_patient};

/// The profile whose entries say that their metadata is limited (spec 4.4).
pub(crate) const MINIMAL: &str =
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.DocumentReference";

/// The resource that says of an entry what FHIR can say; what it cannot is in an extension of ours.
pub(crate) fn compose(entry: &DocumentEntry) -> Map<String, Value> {
    let mut resource = resource(entry);
    let read = read_into(
        &Value::Object(resource.clone()),
        &entry.symbol,
        Profile::Minimal,
        &Place::whole(),
        &mut Vec::new(),
    );
    beyond::complete_document(&mut resource, entry, read);
    resource
}

fn resource(entry: &DocumentEntry) -> Map<String, Value> {
    let mut contained = Vec::new();
    let authors: Vec<Value> = entry
        .authors
        .iter()
        .enumerate()
        .filter_map(|(index, author)| people::reference_to(author, &format!("author{index}"), &mut contained))
        .collect();
    let authenticator = authenticator(entry, &mut contained);
    let custodian = entry.custodian.as_ref().and_then(|who| keeper(who, &mut contained));
    let context = context(entry, &mut contained);

    let mut resource = json!({ "resourceType": "DocumentReference" });
    let profile = entry.limited_metadata.then(|| json!({ "profile": [MINIMAL] }));
    element::put(&mut resource, "meta", profile);
    element::put(&mut resource, "contained", some(contained));
    element::put(&mut resource, "extension", some(extensions(entry)));
    element::put(&mut resource, "masterIdentifier", Some(element::identifier_value(&entry.unique_id)));
    let own = entry.entry_uuid.iter().map(element::entry_uuid_identifier);
    let names = own.chain(entry.identifiers.iter().map(element::identifier_value)).collect();
    element::put(&mut resource, "identifier", some(names));
    element::put(&mut resource, "status", Some(entry.availability.word()));
    let kind = if entry.type_codes.is_empty() { entry.type_code.as_slice() } else { &entry.type_codes };
    element::put(&mut resource, "type", one_concept(kind));
    element::put(&mut resource, "category", one_concept(&entry.class_codes).map(|concept| json!([concept])));
    element::put(&mut resource, "date", entry.date.as_ref().and_then(time));
    element::put(&mut resource, "author", some(authors));
    element::put(&mut resource, "authenticator", authenticator);
    element::put(&mut resource, "custodian", custodian);
    element::put(&mut resource, "description", entry.comments.as_deref().and_then(said));
    element::put(&mut resource, "securityLabel", concepts(&entry.confidentiality_codes));
    element::put(&mut resource, "content", Some(json!([content(entry)])));
    element::put(
        &mut resource,
        "context",
        Some(context).filter(|c| c.as_object().is_some_and(|c| !c.is_empty())),
    );
    match resource {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn some(values: Vec<Value>) -> Option<Vec<Value>> {
    (!values.is_empty()).then_some(values)
}

fn extensions(entry: &DocumentEntry) -> Vec<Value> {
    let home = entry.home.as_ref().map(|home| json!({ "url": HOME_COMMUNITY, "valueOid": home }));
    let kind = match entry.kind {
        EntryKind::Stable => None,
        EntryKind::OnDemand => Some(json!({ "url": OBJECT_TYPE, "valueUri": ON_DEMAND })),
    };
    home.into_iter().chain(kind).collect()
}

fn content(entry: &DocumentEntry) -> Value {
    let mut attachment = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            attachment.insert(name.to_owned(), value.into());
        }
    };
    put("contentType", Some(&entry.mime_type));
    put("language", entry.language.as_deref());
    put("url", Some(&entry.url));
    put("title", entry.title.as_deref().and_then(said));
    put("creation", entry.creation_time.as_ref().and_then(time).as_deref());
    if let Some(size) = entry.size {
        attachment.insert("size".to_owned(), size.into());
    }
    if let Some(hash) = &entry.hash {
        attachment.insert("hash".to_owned(), super::hash_text(*hash).into());
    }
    if let Some(repository) = &entry.repository_unique_id {
        add_extension(&mut attachment, super::repository_extension(repository));
    }
    let mut content = json!({ "attachment": attachment });
    element::put(&mut content, "format", entry.format_code.as_ref().map(code));
    content
}

fn context(entry: &DocumentEntry, contained: &mut Vec<Value>) -> Value {
    let mut context = json!({});
    let (mut related, mut encounters) = (Vec::new(), Vec::new());
    if entry.reference_id_list.is_empty() {
        let names = entry.reference_ids.iter();
        related.extend(names.map(|name| json!({ "identifier": element::identifier_value(name) })));
    }
    reference_ids::write(&entry.reference_id_list, &mut related, &mut encounters);
    related.extend(entry.related.iter().map(|url| json!({ "reference": url })));
    element::put(&mut context, "encounter", some(encounters));
    element::put(&mut context, "event", concepts(&entry.event_codes));
    let mut period = json!({});
    element::put(&mut period, "start", entry.service_start.as_ref().and_then(time));
    element::put(&mut period, "end", entry.service_stop.as_ref().and_then(time));
    element::put(&mut context, "period", period.as_object().filter(|p| !p.is_empty()).cloned());
    element::put(&mut context, "facilityType", one_concept(&entry.facility_codes));
    element::put(&mut context, "practiceSetting", one_concept(&entry.practice_setting_codes));
    if !entry.source_patient_ids.is_empty() || !entry.source_patient_info.is_empty() {
        const ID: &str = "sourcePatient";
        contained.push(source_patient::write(&entry.source_patient_ids, &entry.source_patient_info, ID));
        element::put(&mut context, "sourcePatientInfo", Some(json!({ "reference": format!("#{ID}") })));
    }
    element::put(&mut context, "related", some(related));
    context
}

fn authenticator(entry: &DocumentEntry, contained: &mut Vec<Value>) -> Option<Value> {
    let author = match (&entry.legal_authenticator, &entry.authenticator) {
        (Some(person), _) => Author { person: Some(person.clone()), ..Author::default() },
        (None, Some(author)) => author.clone(),
        (None, None) => return None,
    };
    people::reference_to(&author, "authenticator", contained)
}

/// The custodian, which XDS does not know: kept where an entry that FHIR sent is written anew.
fn keeper(who: &Author, contained: &mut Vec<Value>) -> Option<Value> {
    match who.institutions.first() {
        Some(institution) => {
            contained.push(people::organization_of(institution, "custodian", None));
            Some(json!({ "reference": "#custodian" }))
        }
        None => who.reference.as_ref().map(|url| json!({ "reference": url })),
    }
}

/// A code as FHIR can write it: a system that everybody knows by its URL, an OID in full, no white space where none may be.
pub(crate) fn code(code: &Code) -> Value {
    let system = code.system.trim();
    let system = match xds::identifier::oid(system).unwrap_or(system) {
        oid if xds::identifier::is_oid(oid) => {
            attribute::url_of_oid(oid).map_or_else(|| format!("urn:oid:{oid}"), str::to_owned)
        }
        other => element::uri(other).unwrap_or_default(),
    };
    let word = code.code.split_whitespace().collect::<Vec<_>>().join(" ");
    element::coding_value(&Code {
        system,
        code: word,
        display: code.display.as_deref().and_then(said).map(str::to_owned),
    })
}

fn one_concept(codes: &[Code]) -> Option<Value> {
    let codings: Vec<Value> = codes.iter().map(code).collect();
    (!codings.is_empty()).then(|| json!({ "coding": codings }))
}

/// A concept of one coding for each code.
pub(crate) fn concepts(codes: &[Code]) -> Option<Vec<Value>> {
    some(codes.iter().map(|one| json!({ "coding": [code(one)] })).collect())
}

/// A time as FHIR writes it: an hour or minute begins with its first second.
pub(crate) fn time(time: &Timestamp) -> Option<String> {
    if crate::when::read(&time.text).is_some_and(|when| when.precision != crate::when::Precision::Minute) {
        return Some(time.text.clone());
    }
    hl7::dtm::read(&time.text)?;
    let digits = time.text.as_str();
    Some(match digits.len() {
        6 => format!("{}-{}", &digits[..4], &digits[4..]),
        8 => format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]),
        _ => {
            let written = crate::when::instant(time.from);
            written.replace(".000Z", "Z")
        }
    })
}
