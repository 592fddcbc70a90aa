//! The digest by which a submission that is sent again is recognised.

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::provided::{Measured, Origin, Provided, Role};
use crate::beyond;

/// What a symbol stands for, in words that do not change when the source makes new symbols.
type Meanings = HashMap<String, String>;

/// Each object is hashed with the symbols in it replaced by what they stand for; the sums are sorted and hashed again.
/// So neither fresh `fullUrl`s nor another order of entries or members make another digest. Of a submission of XDS.b the order
/// of its associations does not either, nor what they are called.
pub(super) fn of(provided: &Provided, measured: &[Measured]) -> [u8; 32] {
    let mut meanings = meanings(provided, measured);
    // First those between objects, then those by which the submission set holds them.
    for _ in 0..2 {
        let called: Meanings =
            beyond_fhir(provided).filter_map(|association| named(association, &meanings)).collect();
        meanings.extend(called);
    }
    let mut sums = Vec::new();
    for association in beyond_fhir(provided) {
        let mut sum = Sha256::new();
        feed_text(&mut sum, "association");
        feed(&mut sum, &association, &meanings);
        sums.push(sum.finalize());
    }
    for (entry, role) in provided.entries.iter().zip(&provided.roles) {
        let resource = entry.get("resource").unwrap_or(&Value::Null);
        let apart = beyond::apart(resource).map(|(rest, _)| rest);
        let mut resource = apart.map_or(Cow::Borrowed(resource), Cow::Owned);
        if provided.origin == Origin::Ebxml {
            sort(resource.to_mut(), &meanings);
        }
        let mut sum = Sha256::new();
        match role {
            Role::Object(_) => {
                let method = entry.pointer("/request/method").and_then(Value::as_str).unwrap_or_default();
                feed_text(&mut sum, method);
                feed_resource(&mut sum, &resource, &meanings);
            }
            // The bytes of a Binary are in the meaning of its symbol, and so in the sum of its document.
            Role::Binary(_) => continue,
            Role::FhirDocument(_, bytes) => sum.update(bytes),
            Role::Patch(_) | Role::Patient => continue,
        }
        sums.push(sum.finalize());
    }
    sums.sort_unstable();
    let mut whole = Sha256::new();
    feed_text(&mut whole, &provided.claimed);
    for sum in sums {
        whole.update(sum);
    }
    whole.finalize().into()
}

/// The associations that only XDS can say.
fn beyond_fhir(provided: &Provided) -> impl Iterator<Item = Value> {
    let resources = provided.entries.iter().filter_map(|entry| entry.get("resource"));
    resources.filter_map(beyond::apart).flat_map(|(_, associations)| associations)
}

/// The symbol of an association, and what it stands for: what the association says.
fn named(mut association: Value, meanings: &Meanings) -> Option<(String, String)> {
    let symbol = association.as_object_mut()?.remove("symbol")?.as_str()?.to_owned();
    Some((symbol, format!("association {:02x?}", sum_of(&association, meanings))))
}

fn sum_of(value: &Value, meanings: &Meanings) -> [u8; 32] {
    let mut sum = Sha256::new();
    feed(&mut sum, value, meanings);
    sum.finalize().into()
}

/// Members of a list and relations of a document stand in the order in which a message happened to say its associations.
fn sort(resource: &mut Value, meanings: &Meanings) {
    for member in ["entry", "relatesTo"] {
        if let Some(items) = resource.get_mut(member).and_then(Value::as_array_mut) {
            items.sort_by_cached_key(|item| sum_of(item, meanings));
        }
    }
}

fn meanings(provided: &Provided, measured: &[Measured]) -> Meanings {
    let mut meanings = Meanings::new();
    for (index, (entry, role)) in provided.entries.iter().zip(&provided.roles).enumerate() {
        let Some(symbol) = entry.get("fullUrl").and_then(Value::as_str) else { continue };
        let resource = entry.get("resource").unwrap_or(&Value::Null);
        let name = |member: &str| resource.get(member).map(Value::to_string).unwrap_or_default();
        let bytes = measured.iter().find(|measured| measured.entry == index);
        let meaning = match (role, bytes) {
            (_, Some(bytes)) => format!("bytes {:02x?} {}", bytes.sha256, bytes.size),
            (Role::Object(_), None) => {
                format!("object {} {} {}", name("masterIdentifier"), name("identifier"), name("code"))
            }
            (Role::Binary(_), None) => "bytes, none".to_owned(),
            (Role::FhirDocument(..), None) => "document".to_owned(),
            (Role::Patch(_), None) => "patch".to_owned(),
            (Role::Patient, None) => "patient".to_owned(),
        };
        meanings.insert(symbol.to_owned(), meaning);
    }
    meanings
}

/// A resource without what a sender makes afresh each time.
fn feed_resource(sum: &mut Sha256, resource: &Value, meanings: &Meanings) {
    let Some(members) = resource.as_object() else { return };
    let kept = members.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "meta"));
    feed_members(sum, kept.collect(), meanings);
    if let Some(meta) = resource.get("meta").and_then(Value::as_object) {
        let kept = meta.iter().filter(|(name, _)| !matches!(name.as_str(), "lastUpdated" | "versionId"));
        feed_members(sum, kept.collect(), meanings);
    }
}

fn feed_members(sum: &mut Sha256, mut members: Vec<(&String, &Value)>, meanings: &Meanings) {
    members.sort_unstable_by_key(|(name, _)| *name);
    sum.update(b"{");
    for (name, value) in members {
        feed_text(sum, name);
        feed(sum, value, meanings);
    }
    sum.update(b"}");
}

fn feed(sum: &mut Sha256, value: &Value, meanings: &Meanings) {
    match value {
        Value::Null => sum.update(b"n"),
        Value::Bool(truth) => sum.update(if *truth { b"t" } else { b"f" }),
        Value::Number(number) => feed_text(sum, &number.to_string()),
        Value::String(text) => match meanings.get(text.as_str()) {
            Some(meaning) => {
                sum.update(b"@");
                feed_text(sum, meaning);
            }
            None => feed_text(sum, text),
        },
        Value::Array(items) => {
            sum.update(b"[");
            items.iter().for_each(|item| feed(sum, item, meanings));
            sum.update(b"]");
        }
        Value::Object(members) => feed_members(sum, members.iter().collect(), meanings),
    }
}

/// A text with its length, so that two never read as one.
fn feed_text(sum: &mut Sha256, text: &str) {
    sum.update((text.len() as u64).to_le_bytes());
    sum.update(text);
}
