//! An object of the JSON form while its elements come in.

use serde_json::{Map, Value, json};

use crate::schema::table::Field;

/// Extension with a value that was given before the one that counts.
const REPEATED: &str = "https://docshare.example/StructureDefinition/repeated-value";

#[derive(Debug, Default)]
pub(super) struct Object {
    pub(super) members: Map<String, Value>,
    /// Repeating primitives of which an item has no value, or more than one.
    uneven: Vec<&'static str>,
}

fn sibling_name(name: &str) -> String {
    format!("_{name}")
}

impl Object {
    /// The number the next element of this field has.
    pub(super) fn next_item(&self, field: &Field) -> usize {
        match self.members.get(&*field.name) {
            Some(Value::Array(items)) => items.len(),
            Some(_) => 1,
            None => 0,
        }
    }

    /// Whether an element that is given once is there already.
    pub(super) fn is_repeated(&self, field: &Field) -> bool {
        !field.many
            && (self.members.contains_key(&*field.name)
                || (field.is_primitive() && self.members.contains_key(&sibling_name(&field.name))))
    }

    /// Puts an element in: its value, and what hangs on a primitive. What is given more often than it may be becomes an array,
    /// which the check refuses by its place; of a primitive the last value counts, as widely used readers have it, and those
    /// before it are kept in an extension.
    pub(super) fn put(
        &mut self,
        field: &'static Field,
        value: Option<Value>,
        sibling: Option<Map<String, Value>>,
    ) {
        if !field.many && !self.is_repeated(field) {
            if let Some(value) = value {
                self.members.insert(field.name.clone().into_owned(), value);
            }
            if let Some(sibling) = sibling {
                self.members.insert(sibling_name(&field.name), Value::Object(sibling));
            }
            return;
        }
        if !field.many && field.is_primitive() {
            return self.put_last(&field.name, value, sibling);
        }
        let items = array(&mut self.members, &field.name);
        let index = items.len();
        if (value.is_none() || sibling.is_some()) && !self.uneven.contains(&&*field.name) {
            self.uneven.push(&field.name);
        }
        items.push(value.unwrap_or(Value::Null));
        if let Some(sibling) = sibling {
            let siblings = array(&mut self.members, &sibling_name(&field.name));
            siblings.resize(index, Value::Null);
            siblings.push(Value::Object(sibling));
        }
    }

    fn put_last(&mut self, name: &str, value: Option<Value>, sibling: Option<Map<String, Value>>) {
        let before = value.and_then(|value| self.members.insert(name.to_owned(), value));
        let before = before.map(|before| before.as_str().map_or_else(|| before.to_string(), str::to_owned));
        let kept = before.map(|before| json!({ "url": REPEATED, "valueString": before }));
        let (id, sent) = match sibling {
            Some(mut sibling) => (sibling.remove("id"), sibling.remove("extension")),
            None => (None, None),
        };
        let sent = match sent {
            Some(Value::Array(sent)) => sent,
            _ => Vec::new(),
        };
        let extensions: Vec<Value> = kept.into_iter().chain(sent).collect();
        if id.is_none() && extensions.is_empty() {
            return;
        }
        let slot = self.members.entry(sibling_name(name)).or_insert_with(|| Value::Object(Map::new()));
        let Value::Object(slot) = slot else { return };
        if let Some(id) = id {
            slot.insert("id".to_owned(), id);
        }
        if !extensions.is_empty() {
            array(slot, "extension").extend(extensions);
        }
    }

    /// Puts in an element the table does not know.
    pub(super) fn put_unknown(&mut self, name: &str, value: Value) {
        if self.members.contains_key(name) {
            array(&mut self.members, name).push(value);
        } else {
            self.members.insert(name.to_owned(), value);
        }
    }

    /// The members, values and what hangs on them at the same index.
    pub(super) fn finish(mut self) -> Map<String, Value> {
        for name in std::mem::take(&mut self.uneven) {
            let Some(Value::Array(items)) = self.members.get(name) else { continue };
            let (length, empty) = (items.len(), items.iter().all(Value::is_null));
            if empty {
                self.members.shift_remove(name);
            }
            if let Some(Value::Array(siblings)) = self.members.get_mut(&sibling_name(name)) {
                siblings.resize(length, Value::Null);
            }
        }
        self.members
    }
}

/// The array of this name; one value that stands there alone becomes its first item.
fn array<'m>(members: &'m mut Map<String, Value>, name: &str) -> &'m mut Vec<Value> {
    let value = members.entry(name.to_owned()).or_insert_with(|| Value::Array(Vec::new()));
    if !value.is_array() {
        *value = Value::Array(vec![value.take()]);
    }
    match value {
        Value::Array(items) => items,
        _ => unreachable!("made an array just now"),
    }
}
