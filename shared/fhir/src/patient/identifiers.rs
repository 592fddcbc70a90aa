//! A stored patient with the identifiers of some domains only.

use serde_json::value::RawValue;

use super::text;
use crate::subset;

/// A stored patient with those identifiers whose system is wanted (PDQm 2:3.78.4.1.2.4). What cannot be read is given as it is.
pub fn restricted(rendering: &[u8], wants: impl Fn(&str) -> bool) -> Vec<u8> {
    let Some(members) = subset::members(rendering) else { return rendering.to_vec() };
    let mut out = Vec::with_capacity(rendering.len());
    for (name, raw) in &members {
        let left = if name == "identifier" { Some(left(raw, &wants)) } else { None };
        if left.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        out.push(if out.is_empty() { b'{' } else { b',' });
        out.extend_from_slice(serde_json::Value::from(name.as_ref()).to_string().as_bytes());
        out.push(b':');
        match left {
            Some(list) => {
                out.push(b'[');
                for (index, item) in list.iter().enumerate() {
                    out.extend_from_slice(if index > 0 { b"," } else { b"" });
                    out.extend_from_slice(item.get().as_bytes());
                }
                out.push(b']');
            }
            None => out.extend_from_slice(raw.get().as_bytes()),
        }
    }
    out.push(b'}');
    out
}

fn left<'a>(list: &'a RawValue, wants: &impl Fn(&str) -> bool) -> Vec<&'a RawValue> {
    let list: Vec<&RawValue> = serde_json::from_str(list.get()).unwrap_or_default();
    let is_wanted = |item: &&RawValue| {
        let item: serde_json::Value = serde_json::from_str(item.get()).unwrap_or_default();
        text(&item, "system").is_some_and(wants)
    };
    list.into_iter().filter(is_wanted).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn identifiers_of_other_domains_are_taken_out() {
        let stored = json!({
            "resourceType": "Patient",
            "id": "p-1",
            "identifier": [
                { "system": "1.2.3", "value": "A-1" },
                { "system": "http://example.org/mrn", "value": "7|7", "assigner": { "display": "\"x\"" } }
            ],
            "name": [{ "family": "Mohr" }]
        });
        let shown = |wants: &str| -> Value {
            let shown = restricted(stored.to_string().as_bytes(), |system| system == wants);
            serde_json::from_slice(&shown).expect("is JSON")
        };
        let mut expected = stored.clone();
        expected["identifier"].as_array_mut().expect("is a list").remove(0);
        assert_eq!(shown("http://example.org/mrn"), expected);
        expected.as_object_mut().expect("is an object").remove("identifier");
        assert_eq!(shown("urn:x"), expected);
        assert_eq!(restricted(b"not JSON", |_| true), b"not JSON");
    }
}
