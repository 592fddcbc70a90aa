//! What XDS says and FHIR has no word for. It travels between our actors in one extension of our own on each resource and is
//! kept with the record; nobody else is shown it.
//!
//! An object of the domain is written as FHIR, read again, and what came out different goes into the extension. So whatever
//! the framework can say arrives, also in values that FHIR would write another way.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use xds::{
    Association, Author, DocumentEntry, Finding, Findings, Folder, Place, Rule, SubmissionSet, Timestamp, hl7,
};

use crate::document_reference::SHA256;
use crate::element::{self, items, text};
use crate::people;

/// Of a DocumentReference or List: what else XDS says of it, as a JSON text.
pub(crate) const BEYOND: &str = "https://docshare.example/StructureDefinition/xds-metadata";
/// Of an attachment: which repository has the bytes (repositoryUniqueId).
pub(crate) const REPOSITORY: &str = "https://docshare.example/StructureDefinition/xds-repository-unique-id";
/// Of a DocumentReference: objectType, where it is not that of a stable document. Everybody may see it.
pub(crate) const OBJECT_TYPE: &str = "https://docshare.example/StructureDefinition/xds-object-type";
/// objectType of an on-demand entry (TF-3 4.2.5.2).
pub(crate) const ON_DEMAND: &str = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";
/// Of a List: an author beside `source`, which is one. Everybody may see it.
pub(crate) const FURTHER_AUTHOR: &str = "https://docshare.example/StructureDefinition/further-author";
/// What a registered object says of the community that holds it (MHD, Target Communities).
pub(crate) const HOME_COMMUNITY: &str =
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-HomeCommunityId";

/// Under which elements that nobody has a name for stand in the extension.
const EBXML: &str = "ebxml";
/// Under which the associations stand.
const ASSOCIATIONS: &str = "associations";

/// Attributes of a document entry that the extension may say. What names the object, whose it is and what its bytes measure is
/// said by FHIR alone.
const DOCUMENT: &[&str] = &[
    "type_code",
    "type_codes",
    "class_codes",
    "authors",
    "comments",
    "confidentiality_codes",
    "language",
    "title",
    "creation_time",
    "format_code",
    "event_codes",
    "service_start",
    "service_stop",
    "facility_codes",
    "practice_setting_codes",
    "source_patient_info",
    "legal_authenticator",
    "reference_id_list",
    "uri",
    "online",
    "limited_metadata",
    "extra",
];
/// The same of a submission set.
const SUBMISSION_SET: &[&str] = &[
    "submission_time",
    "content_type_codes",
    "authors",
    "title",
    "comments",
    "intended_recipients",
    "limited_metadata",
    "extra",
];
/// The same of a folder.
const FOLDER: &[&str] = &["codes", "title", "comments", "limited_metadata", "extra"];

/// Adds to a resource what reading it would not give of this entry. `read` is what reading gives.
pub(crate) fn complete_document(
    resource: &mut Map<String, Value>,
    entry: &DocumentEntry,
    mut read: DocumentEntry,
) {
    for (own, other) in [
        (&entry.creation_time, &mut read.creation_time),
        (&entry.service_start, &mut read.service_start),
        (&entry.service_stop, &mut read.service_stop),
    ] {
        same_time(own.as_ref(), other.as_mut());
    }
    same_authors(&entry.authors, &mut read.authors);
    add(resource, differing(entry, &read, DOCUMENT), entry.carried.ebxml.as_deref(), &[]);
}

/// The same of a submission set, with the associations that only it can say.
pub(crate) fn complete_set(
    resource: &mut Map<String, Value>,
    set: &SubmissionSet,
    mut read: SubmissionSet,
    associations: &[Association],
) {
    same_time(Some(&set.submission_time), Some(&mut read.submission_time));
    same_authors(&set.authors, &mut read.authors);
    add(resource, differing(set, &read, SUBMISSION_SET), set.carried.ebxml.as_deref(), associations);
}

/// The same of a folder.
pub(crate) fn complete_folder(resource: &mut Map<String, Value>, folder: &Folder, read: &Folder) {
    add(resource, differing(folder, read, FOLDER), folder.carried.ebxml.as_deref(), &[]);
}

/// Whether two spellings of a time mean the same stretch in every zone a reader may be in.
fn same_time(own: Option<&Timestamp>, other: Option<&mut Timestamp>) {
    if let (Some(own), Some(other)) = (own, other)
        && (own.from, own.to) == (other.from, other.to)
        && other.text.contains('T')
    {
        other.text.clone_from(&own.text);
    }
}

/// Authors that are the same in what XDS says of them are the same; the rest is derived.
fn same_authors(own: &[Author], other: &mut Vec<Author>) {
    if own.iter().map(people::strings).eq(other.iter().map(people::strings)) {
        *other = own.to_vec();
    }
}

fn members<T: Serialize>(object: &T) -> Map<String, Value> {
    match serde_json::to_value(object) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The attributes that differ, as they are in the first object; null for one that is not there.
fn differing<T: Serialize>(object: &T, read: &T, attributes: &[&str]) -> Map<String, Value> {
    let (mut own, other) = (members(object), members(read));
    let mut differing = Map::new();
    for name in attributes {
        if own.get(*name) != other.get(*name) {
            differing.insert((*name).to_owned(), own.remove(*name).unwrap_or(Value::Null));
        }
    }
    differing
}

fn add(
    resource: &mut Map<String, Value>,
    mut says: Map<String, Value>,
    ebxml: Option<&str>,
    associations: &[Association],
) {
    if let Some(xml) = ebxml {
        says.insert(EBXML.to_owned(), xml.into());
    }
    if !associations.is_empty() {
        says.insert(ASSOCIATIONS.to_owned(), json!(associations));
    }
    if !says.is_empty() {
        add_extension(resource, json!({ "url": BEYOND, "valueString": Value::Object(says).to_string() }));
    }
}

/// Adds an extension to an element.
pub(crate) fn add_extension(element: &mut Map<String, Value>, extension: Value) {
    match element.get_mut("extension").and_then(Value::as_array_mut) {
        Some(extensions) => extensions.push(extension),
        None => {
            element.insert("extension".to_owned(), json!([extension]));
        }
    }
}

/// What a resource says beyond FHIR.
struct Said {
    says: Map<String, Value>,
    place: Place,
}

fn said(resource: &Value, at: &Place, findings: &mut Findings) -> Option<Said> {
    let index = items(resource, "extension").iter().position(|one| text(one, "url") == Some(BEYOND))?;
    let place = at.member("extension").item(index);
    let written = text(&items(resource, "extension")[index], "valueString").unwrap_or_default();
    match serde_json::from_str(written) {
        Ok(says) => Some(Said { says, place }),
        Err(_) => {
            refuse(place, findings);
            None
        }
    }
}

fn refuse(place: Place, findings: &mut Findings) {
    let text =
        "This extension holds what our own actors tell each other of XDS, and cannot be read; leave it out.";
    findings.push(Finding::error(Rule::Value, place.member("valueString"), text));
}

/// Lays what the extension says over an object.
fn overlay<T: Serialize + DeserializeOwned>(
    object: &mut T,
    said: &Said,
    attributes: &[&str],
    findings: &mut Findings,
) {
    let mut whole = members(object);
    for name in attributes {
        match said.says.get(*name) {
            None => {}
            Some(Value::Null) => {
                // Some attributes are written even where they are empty.
                if let Some(known) = whole.get_mut(*name) {
                    *known = Value::Null;
                }
            }
            Some(value) => {
                whole.insert((*name).to_owned(), value.clone());
            }
        }
    }
    match serde_json::from_value(without_nulls(whole, attributes)) {
        Ok(laid) => *object = laid,
        Err(_) => refuse(said.place.clone(), findings),
    }
}

/// Attributes that are not there are left out where the object has a word for that.
fn without_nulls(mut whole: Map<String, Value>, attributes: &[&str]) -> Value {
    const SKIPPED: &[&str] =
        &["source_patient_info", "reference_id_list", "extra", "limited_metadata", "intended_recipients"];
    whole.retain(|name, value| {
        !(value.is_null() && attributes.contains(&name.as_str()) && SKIPPED.contains(&name.as_str()))
    });
    Value::Object(whole)
}

/// Elements that nobody has a name for, if they are what they should be.
fn ebxml(said: &Said, findings: &mut Findings) -> Option<String> {
    let written = said.says.get(EBXML)?;
    match written.as_str().filter(|xml| is_ebrim(xml)) {
        Some(xml) => Some(xml.to_owned()),
        None => {
            refuse(said.place.clone(), findings);
            None
        }
    }
}

/// Whether a text is elements of ebRIM and nothing else: it is given back among others as it is.
fn is_ebrim(xml: &str) -> bool {
    use quick_xml::events::Event;
    let mut reader = quick_xml::Reader::from_str(xml);
    let mut open = 0_usize;
    let named = |name: &str| name.starts_with("rim:");
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) if named(tag.name().as_ref()) => open += 1,
            Ok(Event::Empty(tag)) if named(tag.name().as_ref()) => {}
            Ok(Event::End(_)) if open > 0 => open -= 1,
            Ok(Event::Text(text)) if open > 0 || text.trim().is_empty() => {}
            Ok(Event::GeneralRef(_)) if open > 0 => {}
            Ok(Event::Eof) => return open == 0,
            _ => return false,
        }
    }
}

/// Lays what XDS says beyond FHIR over an entry that was read.
pub(crate) fn into_document(
    entry: &mut DocumentEntry,
    resource: &Value,
    at: &Place,
    findings: &mut Findings,
) {
    if let Some(said) = said(resource, at, findings) {
        let legal = entry.legal_authenticator.clone();
        overlay(entry, &said, DOCUMENT, findings);
        entry.carried.ebxml = ebxml(&said, findings);
        if entry.legal_authenticator != legal {
            entry.authenticator = None;
        }
        hl7::fill_document(entry);
    }
}

/// The same over a submission set.
pub(crate) fn into_set(set: &mut SubmissionSet, resource: &Value, at: &Place, findings: &mut Findings) {
    if let Some(said) = said(resource, at, findings) {
        overlay(set, &said, SUBMISSION_SET, findings);
        set.carried.ebxml = ebxml(&said, findings);
        set.authors.iter_mut().for_each(hl7::fill_author);
    }
}

/// The same over a folder.
pub(crate) fn into_folder(folder: &mut Folder, resource: &Value, at: &Place, findings: &mut Findings) {
    if let Some(said) = said(resource, at, findings) {
        overlay(folder, &said, FOLDER, findings);
        folder.carried.ebxml = ebxml(&said, findings);
    }
}

/// What a resource says beyond FHIR, taken apart for a digest: its associations, without the places where a request said them,
/// and the resource with the rest.
pub(crate) fn apart(resource: &Value) -> Option<(Value, Vec<Value>)> {
    let index = items(resource, "extension").iter().position(|one| text(one, "url") == Some(BEYOND))?;
    let written = text(&items(resource, "extension")[index], "valueString")?;
    let mut says: Map<String, Value> = serde_json::from_str(written).ok()?;
    let Some(Value::Array(mut associations)) = says.remove(ASSOCIATIONS) else { return None };
    for association in associations.iter_mut().filter_map(Value::as_object_mut) {
        association.remove("at");
    }
    let mut rest = resource.clone();
    let extensions = rest.get_mut("extension").and_then(Value::as_array_mut)?;
    if says.is_empty() {
        extensions.remove(index);
    } else {
        extensions[index]["valueString"] = Value::Object(says).to_string().into();
    }
    Some((rest, associations))
}

/// Lays what associations say of themselves over those that were read, and adds those that FHIR cannot say.
pub(crate) fn into_associations(
    known: &mut Vec<Association>,
    set: &Value,
    at: &Place,
    findings: &mut Findings,
) {
    let Some(said) = said(set, at, findings) else { return };
    let Some(written) = said.says.get(ASSOCIATIONS) else { return };
    let Ok(beyond) = serde_json::from_value::<Vec<Association>>(written.clone()) else {
        return refuse(said.place, findings);
    };
    for (index, association) in beyond.into_iter().enumerate() {
        let same = |other: &&mut Association| {
            (other.kind, &other.source, &other.target)
                == (association.kind, &association.source, &association.target)
        };
        let at = association_place(at, index);
        match known.iter_mut().find(same) {
            Some(other) => *other = Association { at: std::mem::take(&mut other.at), ..association },
            None => known.push(Association { at, ..association }),
        }
    }
}

/// The place of an association that only the extension says.
pub(crate) fn association_place(set: &Place, index: usize) -> String {
    format!("{}.association[{index}]", set.path)
}

/// The resource as it is carried: as sent, without what is between our actors only.
pub(crate) fn carried(resource: &Value) -> String {
    let attachment = resource.pointer("/content/0/attachment");
    let told = attachment.is_some_and(|attachment| {
        [SHA256, REPOSITORY].iter().any(|url| element::extension(attachment, url).is_some())
    });
    if !told && element::extension(resource, BEYOND).is_none() {
        return resource.to_string();
    }
    let mut resource = resource.clone();
    conceal(&mut resource);
    resource.to_string()
}

/// Takes out what is between our actors only.
pub(crate) fn conceal(resource: &mut Value) {
    if let Some(attachment) = resource.pointer_mut("/content/0/attachment") {
        drop_extensions(attachment, &[SHA256, REPOSITORY]);
    }
    drop_extensions(resource, &[BEYOND]);
}

/// Drops extensions of an element.
pub(crate) fn drop_extensions(element: &mut Value, urls: &[&str]) {
    let Some(members) = element.as_object_mut() else { return };
    let Some(extensions) = members.get_mut("extension").and_then(Value::as_array_mut) else { return };
    extensions.retain(|extension| !text(extension, "url").is_some_and(|url| urls.contains(&url)));
    if extensions.is_empty() {
        members.shift_remove("extension");
    }
}

/// homeCommunityId, as a resource says it.
pub(crate) fn home(resource: &Value) -> Option<String> {
    text(element::extension(resource, HOME_COMMUNITY)?, "valueOid").map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_elements_of_ebrim_are_given_back_as_they_are() {
        for xml in
            ["<rim:Classification id=\"a\"><rim:Name/></rim:Classification><rim:VersionInfo/>", "", " "]
        {
            assert!(is_ebrim(xml), "{xml}");
        }
        for xml in [
            "<a/>",
            "</rim:Slot>",
            "<rim:Slot>",
            "text",
            "<!DOCTYPE x><rim:Slot/>",
            "<rim:Slot/><?x?>",
            "<rim:A></rim:A></rim:B>",
            "&x;",
        ] {
            assert!(!is_ebrim(xml), "{xml}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_where_it_stands() {
        let resource =
            json!({ "extension": [{ "url": "x" }, { "url": BEYOND, "valueString": "{\"codes\":1}" }] });
        let mut folder = Folder::new("a");
        let mut findings = Findings::new();
        into_folder(&mut folder, &resource, &Place::at("List"), &mut findings);
        assert_eq!(findings[0].at.path, "List.extension[1].valueString");
    }
}
