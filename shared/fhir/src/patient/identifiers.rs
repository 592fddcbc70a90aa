//! A stored patient with the identifiers of some domains only.

use serde_json::value::RawValue;

use super::text;
use crate::subset;

/// A stored patient with those identifiers whose system is wanted (PDQm 2:3.78.4.1.2.4), tagged SUBSETTED if others were left
/// out: fed back, it would lose them. What cannot be read is given as it is.
pub fn restricted(rendering: &[u8], wants: impl Fn(&str) -> bool) -> Vec<u8> {
    let Some(members) = subset::members(rendering) else { return rendering.to_vec() };
    let all = members.iter().find(|(name, _)| name == "identifier").map(|(_, raw)| items(raw));
    let all = all.unwrap_or_default();
    let left: Vec<&RawValue> = all.iter().copied().filter(|item| is_wanted(item, &wants)).collect();
    let is_part = left.len() < all.len();
    let mut out = Vec::with_capacity(rendering.len());
    for (name, raw) in &members {
        let left = (name == "identifier").then_some(&left);
        if left.is_some_and(Vec::is_empty) {
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
            None if is_part && name == "meta" => {
                out.extend_from_slice(subset::tagged(raw.get()).as_bytes());
            }
            None => out.extend_from_slice(raw.get().as_bytes()),
        }
    }
    out.push(b'}');
    out
}

fn items(list: &RawValue) -> Vec<&RawValue> {
    serde_json::from_str(list.get()).unwrap_or_default()
}

fn is_wanted(item: &RawValue, wants: &impl Fn(&str) -> bool) -> bool {
    let item: serde_json::Value = serde_json::from_str(item.get()).unwrap_or_default();
    text(&item, "system").is_some_and(wants)
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
            "meta": { "versionId": "1" },
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
        let all = restricted(stored.to_string().as_bytes(), |_| true);
        assert_eq!(serde_json::from_slice::<Value>(&all).expect("is JSON"), stored);
        expected["identifier"].as_array_mut().expect("is a list").remove(0);
        expected["meta"]["tag"] = json!([{
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"
        }]);
        assert_eq!(shown("http://example.org/mrn"), expected);
        expected.as_object_mut().expect("is an object").remove("identifier");
        assert_eq!(shown("urn:x"), expected);
        assert_eq!(restricted(b"not JSON", |_| true), b"not JSON");
    }
}
