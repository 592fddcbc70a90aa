//! A List made of a submission set or folder that no FHIR source sent.

use serde_json::{Map, Value, json};
use xds::{Association, Code, Folder, Place, Profile, SubmissionSet};

use super::{
    AUTHOR_ORGANIZATION, DESIGNATION_TYPE, INTENDED_RECIPIENT, LIST_TYPES, SOURCE_ID, folder_into,
    submission_set_into,
};
use crate::beyond::{self, FURTHER_AUTHOR, HOME_COMMUNITY};
use crate::document_reference::{code, time};
use crate::element::{self, text, unique_id_identifier};
use crate::people::{self, said};
use crate::recipients;

/// The profile whose submission sets say that their metadata is limited (spec 4.5).
pub(super) const MINIMAL_SET: &str =
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.SubmissionSet";
/// The same of folders.
pub(super) const MINIMAL_FOLDER: &str =
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.Folder";

/// The resource that says of a submission set what FHIR can say; what it cannot is in an extension of ours, with those
/// associations that the lists and documents do not say.
pub(crate) fn compose_set(set: &SubmissionSet, associations: &[Association]) -> Map<String, Value> {
    let mut contained = Vec::new();
    let mut extensions = designations(&set.content_type_codes);
    extensions
        .push(json!({ "url": SOURCE_ID, "valueIdentifier": element::identifier_value(&set.source_id) }));
    for (index, recipient) in set.intended_recipients.iter().enumerate() {
        let reference = recipients::write(recipient, &format!("recipient{index}"), &mut contained);
        extensions.extend(
            reference.map(|reference| json!({ "url": INTENDED_RECIPIENT, "valueReference": reference })),
        );
    }
    let mut source = None;
    for (index, author) in set.authors.iter().enumerate() {
        let reference = people::reference_to(author, &format!("author{index}"), &mut contained);
        match (index, reference) {
            (_, None) => {}
            (0, Some(reference)) => source = Some(of_source(reference, &contained)),
            (_, Some(reference)) => {
                extensions.push(json!({ "url": FURTHER_AUTHOR, "valueReference": reference }))
            }
        }
    }
    extensions.extend(set.home.as_ref().map(|home| json!({ "url": HOME_COMMUNITY, "valueOid": home })));
    let profile = set.limited_metadata.then_some(MINIMAL_SET);
    let mut list = list("submissionset", (profile, contained, extensions));
    let name = set.unique_id.as_ref().map(|name| json!([unique_id_identifier(name)]));
    element::put(&mut list, "identifier", name);
    element::put(&mut list, "title", set.title.as_deref().and_then(said));
    element::put(&mut list, "date", time(&set.submission_time));
    element::put(&mut list, "source", source);
    element::put(
        &mut list,
        "note",
        set.comments.as_deref().and_then(said).map(|text| json!([{ "text": text }])),
    );
    let read = submission_set_into(&list, &set.symbol, Profile::Minimal, &Place::whole(), &mut Vec::new());
    let mut list = members(list);
    beyond::complete_set(&mut list, set, read, associations);
    list
}

/// The same of a folder.
pub(crate) fn compose_folder(folder: &Folder) -> Map<String, Value> {
    let mut extensions = designations(&folder.codes);
    extensions.extend(folder.home.as_ref().map(|home| json!({ "url": HOME_COMMUNITY, "valueOid": home })));
    let profile = folder.limited_metadata.then_some(MINIMAL_FOLDER);
    let mut list = list("folder", (profile, Vec::new(), extensions));
    let name = folder.unique_id.as_ref().map(|name| json!([unique_id_identifier(name)]));
    element::put(&mut list, "identifier", name);
    element::put(&mut list, "title", folder.title.as_deref().and_then(said));
    element::put(
        &mut list,
        "note",
        folder.comments.as_deref().and_then(said).map(|text| json!([{ "text": text }])),
    );
    let read =
        folder_into(&list, &folder.symbol, folder.update, Profile::Minimal, &Place::whole(), &mut Vec::new());
    let mut list = members(list);
    beyond::complete_folder(&mut list, folder, &read);
    list
}

fn designations(codes: &[Code]) -> Vec<Value> {
    let concept = |one: &Code| json!({ "coding": [code(one)] });
    codes.iter().map(|one| json!({ "url": DESIGNATION_TYPE, "valueCodeableConcept": concept(one) })).collect()
}

/// `List.source` cannot be an organization: one hangs on it as an extension.
fn of_source(reference: Value, contained: &[Value]) -> Value {
    let id = text(&reference, "reference").and_then(|reference| reference.strip_prefix('#'));
    let found = contained.iter().find(|one| text(one, "id") == id);
    if found.is_some_and(|found| text(found, "resourceType") == Some("Organization")) {
        return json!({ "extension": [{ "url": AUTHOR_ORGANIZATION, "valueReference": reference }] });
    }
    reference
}

fn list(code: &str, (profile, contained, extensions): (Option<&str>, Vec<Value>, Vec<Value>)) -> Value {
    let mut list = json!({ "resourceType": "List" });
    let some = |values: Vec<Value>| (!values.is_empty()).then_some(values);
    element::put(&mut list, "meta", profile.map(|profile| json!({ "profile": [profile] })));
    element::put(&mut list, "contained", some(contained));
    element::put(&mut list, "extension", some(extensions));
    element::put(&mut list, "status", Some("current"));
    element::put(&mut list, "mode", Some("working"));
    element::put(&mut list, "code", Some(json!({ "coding": [{ "system": LIST_TYPES, "code": code }] })));
    list
}

fn members(list: Value) -> Map<String, Value> {
    match list {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
