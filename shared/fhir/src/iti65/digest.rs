//! The digest by which a submission that is sent again is recognised.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::provided::{Measured, Provided, Role};

/// What a symbol stands for, in words that do not change when the source makes new symbols.
type Meanings<'a> = HashMap<&'a str, String>;

/// Each object is hashed with the symbols in it replaced by what they stand for; the sums are sorted and hashed again.
/// So neither fresh `fullUrl`s nor another order of entries or members make another digest.
pub(super) fn of(provided: &Provided, measured: &[Measured]) -> [u8; 32] {
    let meanings = meanings(provided, measured);
    let mut sums = Vec::new();
    for (entry, role) in provided.entries.iter().zip(&provided.roles) {
        let resource = entry.get("resource").unwrap_or(&Value::Null);
        let mut sum = Sha256::new();
        match role {
            Role::Object(_) => {
                let method = entry.pointer("/request/method").and_then(Value::as_str).unwrap_or_default();
                feed_text(&mut sum, method);
                feed_resource(&mut sum, resource, &meanings);
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

fn meanings<'a>(provided: &'a Provided, measured: &[Measured]) -> Meanings<'a> {
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
        meanings.insert(symbol, meaning);
    }
    meanings
}

/// A resource without what a sender makes afresh each time.
fn feed_resource(sum: &mut Sha256, resource: &Value, meanings: &Meanings<'_>) {
    let Some(members) = resource.as_object() else { return };
    let kept = members.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "meta"));
    feed_members(sum, kept.collect(), meanings);
    if let Some(meta) = resource.get("meta").and_then(Value::as_object) {
        let kept = meta.iter().filter(|(name, _)| !matches!(name.as_str(), "lastUpdated" | "versionId"));
        feed_members(sum, kept.collect(), meanings);
    }
}

fn feed_members(sum: &mut Sha256, mut members: Vec<(&String, &Value)>, meanings: &Meanings<'_>) {
    members.sort_unstable_by_key(|(name, _)| *name);
    sum.update(b"{");
    for (name, value) in members {
        feed_text(sum, name);
        feed(sum, value, meanings);
    }
    sum.update(b"}");
}

fn feed(sum: &mut Sha256, value: &Value, meanings: &Meanings<'_>) {
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
