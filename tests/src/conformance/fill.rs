//! Making a stored bundle ready to send: fresh ids, a patient the server knows.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::Value;
use testkit::{urn_oid, urn_uuid};
use uuid::Uuid;

use super::world::{Person, text};

/// Reads a JSON file, with or without a byte order mark.
pub(super) fn read(path: &Path) -> Result<Value> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let plain = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&bytes);
    serde_json::from_slice(plain).with_context(|| format!("{} is JSON", path.display()))
}

/// Fills placeholders, sets the subject of documents and lists unless it is an entry of the bundle, and gives every object ids
/// of its own. The structure stays.
pub(super) fn fill(bundle: &Value, patient: &Person) -> Value {
    let mut bundle = bundle.clone();
    each_string(&mut bundle, &mut |text| {
        if text.contains("@{RandomUUID}") {
            *text = text.replace("@{RandomUUID}", &Uuid::new_v4().to_string());
        }
        if text == "${patientResourceId}" {
            text.clone_from(&patient.reference);
        }
    });
    for entry in bundle.get_mut("entry").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(resource) = entry.get_mut("resource") {
            refresh(resource);
        }
    }
    bundle
}

/// Says of every document and list that it is about this patient.
pub(super) fn about(bundle: &mut Value, patient: &Person) {
    for entry in bundle.get_mut("entry").and_then(Value::as_array_mut).into_iter().flatten() {
        let resource = &mut entry["resource"];
        if ["DocumentReference", "List"].contains(&text(&resource["resourceType"]).as_str())
            && !resource["subject"].is_null()
        {
            resource["subject"]["reference"] = Value::from(patient.reference.clone());
        }
    }
}

/// Fresh values for the master identifier and the identifiers of one object; equal ones stay equal.
fn refresh(resource: &mut Value) {
    if !["DocumentReference", "List"].contains(&text(&resource["resourceType"]).as_str()) {
        return;
    }
    let mut fresh = BTreeMap::new();
    let mut renew = |value: &mut Value| {
        let Value::String(old) = value else { return };
        let new = fresh.entry(old.clone()).or_insert_with(|| {
            let uuid = old.strip_prefix("urn:uuid:").is_some();
            if uuid { urn_uuid() } else { urn_oid() }
        });
        *value = Value::from(new.clone());
    };
    if let Some(value) = resource.pointer_mut("/masterIdentifier/value") {
        renew(value);
    }
    let identifiers = resource.get_mut("identifier").and_then(Value::as_array_mut);
    for identifier in identifiers.into_iter().flatten() {
        if let Some(value) = identifier.get_mut("value") {
            renew(value);
        }
    }
}

/// Visits every string value.
pub(super) fn each_string(value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) => visit(text),
        Value::Array(items) => items.iter_mut().for_each(|item| each_string(item, visit)),
        Value::Object(members) => members.values_mut().for_each(|member| each_string(member, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
