//! Resources as the history writes them down: those that were sent, and those that were seen.

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::history::{Kind, Seen, Sent};

/// What a source sets on a DocumentReference. Left out: what says where it is, whose it is, and what became of it.
const OF_DOCUMENT: &[&str] = &[
    "masterIdentifier",
    "type",
    "category",
    "description",
    "date",
    "author",
    "securityLabel",
    "context",
    "contained",
];
/// What a source sets on an attachment.
const OF_ATTACHMENT: &[&str] = &["contentType", "language", "title", "creation", "size", "hash"];
/// What a source sets on a List. A folder's date is when it last got a member, which the registry knows.
const OF_LIST: &[&str] = &["title", "code", "mode", "source", "contained"];

/// What a resource is; none if it is nothing that is registered.
pub fn kind(resource: &Value) -> Option<Kind> {
    match resource["resourceType"].as_str()? {
        "DocumentReference" => Some(Kind::Document),
        "List" if resource["code"].to_string().contains("submissionset") => Some(Kind::Set),
        "List" => Some(Kind::Folder),
        _ => None,
    }
}

/// A short text that is equal for equal attributes: all that a source sets, however it is ordered.
pub fn attributes(resource: &Value) -> String {
    let mut hash = Sha256::new();
    let mut put = |value: &Value, names: &[&str]| {
        for name in names {
            hash.update(format!("{name}={}\n", in_order(&value[*name])));
        }
    };
    match kind(resource) {
        Some(Kind::Document) => {
            put(resource, OF_DOCUMENT);
            put(&resource["content"][0], &["format"]);
            put(&resource["content"][0]["attachment"], OF_ATTACHMENT);
        }
        Some(Kind::Set) => {
            put(resource, OF_LIST);
            put(resource, &["date"]);
        }
        Some(Kind::Folder) => put(resource, OF_LIST),
        None => {}
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A resource of a submission, as it is sent; `bytes` are those of a document.
pub fn sent(resource: &Value, bytes: &[u8]) -> Option<Sent> {
    let kind = kind(resource)?;
    let document = kind == Kind::Document;
    Some(Sent {
        kind,
        unique_id: unique_id(resource, kind),
        attributes: attributes(resource),
        sha256: if document { sha256(bytes) } else { String::new() },
        size: bytes.len() as u64,
        replaces: replaced(resource).pop(),
    })
}

/// A resource as a registry shows it.
pub fn seen(resource: &Value) -> Option<Seen> {
    let kind = kind(resource)?;
    Some(Seen {
        kind,
        id: text(&resource["id"]),
        unique_id: unique_id(resource, kind),
        patient: last_part(&resource["subject"]["reference"]),
        version: resource["meta"]["versionId"].as_str()?.parse().ok()?,
        superseded: kind == Kind::Document && resource["status"] != "current",
        updated: resource["meta"]["lastUpdated"].as_str()?.parse::<jiff::Timestamp>().ok()?.as_microsecond(),
        attributes: attributes(resource),
        remark: remark(resource),
        hash: text(&resource["content"][0]["attachment"]["hash"]),
        replaces: replaced(resource),
        members: members(resource),
    })
}

/// Where an update leaves its remark: on no attribute a source has set.
const REMARK: &str = "http://example.org/fhir/StructureDefinition/remark";

/// The patch that leaves a remark, whatever was remarked before (RFC 6902).
pub fn remarking(remark: &str) -> Value {
    json!([{ "op": "add", "path": "/extension", "value": [{ "url": REMARK, "valueString": remark }] }])
}

/// What was remarked last.
pub fn remark(resource: &Value) -> String {
    let mut extensions = resource["extension"].as_array().into_iter().flatten();
    extensions.find(|one| one["url"] == REMARK).map(|one| text(&one["valueString"])).unwrap_or_default()
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The last part of a reference or location, without its version: the id.
pub fn last_part(reference: &Value) -> String {
    let bare = reference.as_str().unwrap_or_default().split("/_history/").next().unwrap_or_default();
    bare.rsplit('/').next().unwrap_or_default().to_owned()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn unique_id(resource: &Value, kind: Kind) -> String {
    if kind == Kind::Document {
        return text(&resource["masterIdentifier"]["value"]);
    }
    let mut identifiers = resource["identifier"].as_array().into_iter().flatten();
    let unique = identifiers.find(|identifier| identifier["type"].to_string().contains("uniqueId"));
    unique.map(|identifier| text(&identifier["value"])).unwrap_or_default()
}

fn replaced(resource: &Value) -> Vec<String> {
    let relations = resource["relatesTo"].as_array().into_iter().flatten();
    let replaces = relations.filter(|relation| relation["code"] == "replaces");
    replaces.map(|relation| last_part(&relation["target"]["reference"])).collect()
}

fn members(resource: &Value) -> Vec<String> {
    let entries = resource["entry"].as_array().into_iter().flatten();
    entries.map(|entry| last_part(&entry["item"]["reference"])).collect()
}

/// The same value with the members of every object sorted.
fn in_order(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort();
            let sorted: Map<String, Value> =
                names.into_iter().map(|name| (name.clone(), in_order(&members[name]))).collect();
            Value::Object(sorted)
        }
        Value::Array(items) => Value::Array(items.iter().map(in_order).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use testkit::{Document, Profile};

    use super::*;

    #[test]
    fn the_order_of_members_is_no_attribute_and_every_value_is_one() {
        let subject = json!({ "reference": "Patient/1" });
        let one = Document::new("x")
            .relates_to("replaces", "DocumentReference/7")
            .reference(Profile::Comprehensive, &subject);
        let mut other: Value = serde_json::from_str(&in_order(&one).to_string()).expect("JSON");
        assert_eq!(attributes(&one), attributes(&other));
        other["subject"] = json!({ "reference": "http://elsewhere/Patient/1" });
        other["content"][0]["attachment"]["url"] = json!("http://repository/documents/1");
        assert_eq!(attributes(&one), attributes(&other));
        other["context"]["period"]["start"] = json!("2020-01-30T08:00:01Z");
        assert_ne!(attributes(&one), attributes(&other));
        let sent = sent(&one, b"x").expect("a document");
        assert_eq!((sent.size, sent.replaces), (1, Some("7".into())));
    }
}
