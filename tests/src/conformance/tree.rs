//! Comparing what was sent with what is given back.

use std::collections::BTreeSet;

use serde_json::Value;

/// What may differ between a resource as sent and as read.
pub(super) struct Comparison {
    /// References that the server resolves: full URLs of the Bundle and the patient as the source named it.
    pub(super) symbols: BTreeSet<String>,
    /// Paths the server may set or correct.
    pub(super) ignored: Vec<&'static str>,
}

impl Comparison {
    /// Everything of `sent` that is not in `given`, as paths with both values.
    pub(super) fn missing(&self, sent: &Value, given: &Value) -> Vec<String> {
        let mut missing = Vec::new();
        self.compare("", sent, given, &mut missing);
        missing
    }

    fn compare(&self, path: &str, sent: &Value, given: &Value, missing: &mut Vec<String>) {
        if self.ignored.contains(&path) {
            return;
        }
        match (sent, given) {
            (Value::Object(sent), Value::Object(given)) => {
                for (name, value) in sent {
                    let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                    self.compare(&below, value, given.get(name).unwrap_or(&Value::Null), missing);
                }
            }
            (Value::Array(sent), Value::Array(given)) => self.compare_lists(path, sent, given, missing),
            (Value::String(text), Value::String(resolved)) if self.symbols.contains(text) => {
                if !resolved.contains('/') || resolved.starts_with("urn:") {
                    missing.push(format!("{path}: {text} stays unresolved: {resolved}"));
                }
            }
            _ if sent == given => {}
            _ => missing.push(format!("{path}: sent {sent}, given {given}")),
        }
    }

    /// The server may add elements; those sent must be there, in their order.
    fn compare_lists(&self, path: &str, sent: &[Value], given: &[Value], missing: &mut Vec<String>) {
        let mut rest = given.iter();
        for value in sent {
            let found = rest.by_ref().any(|candidate| {
                let mut differences = Vec::new();
                self.compare(path, value, candidate, &mut differences);
                differences.is_empty()
            });
            if !found {
                missing.push(format!("{path}: sent {value}, given {}", Value::from(given.to_vec())));
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn comparison() -> Comparison {
        Comparison { symbols: BTreeSet::from(["urn:uuid:1".to_owned()]), ignored: vec!["id"] }
    }

    #[test]
    fn additions_of_the_server_are_no_difference() {
        let sent = json!({ "id": "a", "identifier": [{ "value": "1" }], "title": "x" });
        let given = json!({ "id": "b", "identifier": [{ "value": "0" }, { "value": "1", "use": "usual" }], "title": "x", "meta": {} });
        assert_eq!(comparison().missing(&sent, &given), Vec::<String>::new());
    }

    #[test]
    fn a_lost_element_is_named_with_its_path() {
        let missing = comparison().missing(&json!({ "text": { "div": "x" } }), &json!({ "text": {} }));
        assert_eq!(missing, ["text.div: sent \"x\", given null"]);
    }

    #[test]
    fn a_symbolic_reference_must_be_resolved() {
        let sent = json!({ "url": "urn:uuid:1" });
        assert!(comparison().missing(&sent, &json!({ "url": "http://h/documents/2" })).is_empty());
        assert_eq!(comparison().missing(&sent, &sent).len(), 1);
    }
}
