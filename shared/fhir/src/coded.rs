//! The coded values of a Bundle or resource, each with its place, for an affinity domain to judge.
//!
//! They are taken from the JSON itself and not from the objects of the domain: so they are judged also where something else
//! keeps the objects from being read, and a caller learns of all faults at once.

use serde_json::Value;
use xds::affinity::{Coded, Given};
use xds::{Code, Place};

use crate::element::{coding, concept, items, text};
use crate::list::{self, ListKind};

const DESIGNATION_TYPE: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType";

/// The coded values of a Bundle's DocumentReferences and Lists.
pub fn of_bundle(bundle: &Value) -> Vec<Given> {
    of_entries(items(bundle, "entry"))
}

/// The same of `Bundle.entry`.
pub(crate) fn of_entries(entries: &[Value]) -> Vec<Given> {
    let mut given = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        if let Some(resource) = entry.get("resource") {
            collect(resource, &Place::at(format!("Bundle.entry[{index}].resource")), &mut given);
        }
    }
    given
}

/// The coded values of one resource: a DocumentReference or a List. `at` is its place, e.g. `DocumentReference`.
pub fn of_resource(resource: &Value, at: &Place) -> Vec<Given> {
    let mut given = Vec::new();
    collect(resource, at, &mut given);
    given
}

fn collect(resource: &Value, at: &Place, given: &mut Vec<Given>) {
    match text(resource, "resourceType") {
        Some("DocumentReference") => document(resource, at, given),
        Some("List") => designations(resource, at, given),
        _ => {}
    }
}

fn document(resource: &Value, at: &Place, given: &mut Vec<Given>) {
    let mut take = |attribute, at: Place, codings: Vec<Code>| {
        if !codings.is_empty() {
            given.push(Given { attribute, at, codings });
        }
    };
    let mut one = |parent: &Value, at: &Place, name: &str, attribute| {
        take(attribute, at.member(name), parent.get(name).map(concept).unwrap_or_default());
    };
    one(resource, at, "type", Coded::TypeCode);
    let context = resource.get("context").unwrap_or(&Value::Null);
    let context_at = at.member("context");
    one(context, &context_at, "facilityType", Coded::HealthcareFacilityTypeCode);
    one(context, &context_at, "practiceSetting", Coded::PracticeSettingCode);
    let mut many = |parent: &Value, at: &Place, name: &str, attribute| {
        for (index, value) in items(parent, name).iter().enumerate() {
            take(attribute, at.member(name).item(index), concept(value));
        }
    };
    many(resource, at, "category", Coded::ClassCode);
    many(resource, at, "securityLabel", Coded::ConfidentialityCode);
    many(context, &context_at, "event", Coded::EventCodeList);
    for (index, content) in items(resource, "content").iter().enumerate() {
        let at = at.member("content").item(index);
        take(
            Coded::FormatCode,
            at.member("format"),
            content.get("format").and_then(coding).into_iter().collect(),
        );
        let Some(attachment) = content.get("attachment") else { continue };
        let at = at.member("attachment");
        for (name, attribute) in [("contentType", Coded::MimeType), ("language", Coded::LanguageCode)] {
            take(attribute, at.member(name), text(attachment, name).map(word).into_iter().collect());
        }
    }
}

fn word(word: &str) -> Code {
    Code { system: String::new(), code: word.to_owned(), display: None }
}

/// `ihe-designationType`: contentTypeCode of a submission set, codeList of a folder.
fn designations(resource: &Value, at: &Place, given: &mut Vec<Given>) {
    let attribute = match list::kind(resource) {
        Some(ListKind::SubmissionSet) => Coded::ContentTypeCode,
        Some(ListKind::Folder) => Coded::FolderCodeList,
        None => return,
    };
    for (index, extension) in items(resource, "extension").iter().enumerate() {
        if text(extension, "url") != Some(DESIGNATION_TYPE) {
            continue;
        }
        let codings = extension.get("valueCodeableConcept").map(concept).unwrap_or_default();
        if !codings.is_empty() {
            let at = at.member("extension").item(index).member("valueCodeableConcept");
            given.push(Given { attribute, at, codings });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_coded_value_is_found_at_its_place() {
        let code = |code: &str| json!({ "coding": [{ "system": "urn:oid:1.2", "code": code }] });
        let bundle = json!({ "resourceType": "Bundle", "entry": [
            { "resource": {
                "resourceType": "List",
                "code": { "coding": [{ "system": list::LIST_TYPES, "code": "submissionset" }] },
                "extension": [{ "url": "x" }, { "url": DESIGNATION_TYPE, "valueCodeableConcept": code("consult") }],
            } },
            { "resource": {
                "resourceType": "DocumentReference", "type": code("t"), "category": [code("c")],
                "securityLabel": [code("N"), code("R")],
                "content": [{ "attachment": { "contentType": "text/plain", "language": "en" }, "format": { "code": "f" } }],
                "context": { "event": [code("e")], "facilityType": code("ft"), "practiceSetting": code("ps") },
            } },
        ] });
        let given = of_bundle(&bundle);
        let mut found: Vec<String> = given
            .iter()
            .map(|value| format!("{} {} {}", value.attribute.name(), value.codings[0].code, value.at.path))
            .collect();
        found.sort();
        let mut expected = [
            "classCode c Bundle.entry[1].resource.category[0]",
            "confidentialityCode N Bundle.entry[1].resource.securityLabel[0]",
            "confidentialityCode R Bundle.entry[1].resource.securityLabel[1]",
            "contentTypeCode consult Bundle.entry[0].resource.extension[1].valueCodeableConcept",
            "eventCodeList e Bundle.entry[1].resource.context.event[0]",
            "formatCode f Bundle.entry[1].resource.content[0].format",
            "healthcareFacilityTypeCode ft Bundle.entry[1].resource.context.facilityType",
            "languageCode en Bundle.entry[1].resource.content[0].attachment.language",
            "mimeType text/plain Bundle.entry[1].resource.content[0].attachment.contentType",
            "practiceSettingCode ps Bundle.entry[1].resource.context.practiceSetting",
            "typeCode t Bundle.entry[1].resource.type",
        ];
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}
