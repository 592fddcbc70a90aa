//! Resources of the registry, as the history writes them down.

use serde_json::Value;

use crate::faults::history::{Kind, Seen};

/// What a DocumentReference or List shows; none if it is neither.
pub(super) fn seen(resource: &Value) -> Option<Seen> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let document = resource["resourceType"] == "DocumentReference";
    let kind = if document {
        Kind::Document
    } else if resource["code"].to_string().contains("submissionset") {
        Kind::Set
    } else if resource["resourceType"] == "List" {
        Kind::Folder
    } else {
        return None;
    };
    let attachment = &resource["content"][0]["attachment"];
    let (unique_id, attributes) = if document {
        (text(&resource["masterIdentifier"]["value"]), text(&attachment["title"]))
    } else {
        (list_unique_id(resource), text(&resource["title"]))
    };
    Some(Seen {
        kind,
        id: text(&resource["id"]),
        unique_id,
        patient: last_part(&resource["subject"]["reference"]),
        version: resource["meta"]["versionId"].as_str()?.parse().ok()?,
        superseded: document && resource["status"] != "current",
        updated: instant(&resource["meta"]["lastUpdated"])?,
        attributes,
        hash: text(&attachment["hash"]),
        replaces: replaced(resource),
        members: members(resource),
    })
}

fn list_unique_id(list: &Value) -> String {
    let identifiers = list["identifier"].as_array().into_iter().flatten();
    let mut unique = identifiers.filter(|identifier| identifier["type"].to_string().contains("uniqueId"));
    let found = unique.next().or_else(|| list["identifier"].get(0));
    found.and_then(|identifier| identifier["value"].as_str()).unwrap_or_default().to_owned()
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

fn last_part(reference: &Value) -> String {
    let bare = reference.as_str().unwrap_or_default().split("/_history/").next().unwrap_or_default();
    bare.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Microseconds since 1970.
fn instant(value: &Value) -> Option<i64> {
    value.as_str()?.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
}
