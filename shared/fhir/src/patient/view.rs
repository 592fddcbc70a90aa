//! How much of a stored patient is shown: which domains' identifiers, which elements.

use serde_json::{Map, Value};

use super::{canonical_system, text};

/// How much of a patient is shown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct View {
    /// Only identifiers of these domains (PDQm 2:3.78.4.1.2.4); empty: all.
    pub domains: Vec<String>,
    /// Which elements.
    pub elements: Elements,
}

/// Which elements of a resource are shown (R4 3.1.1.5.8, 3.1.1.5.9).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Elements {
    /// All of them.
    #[default]
    All,
    /// These (`_elements`, `_summary=true`, `_summary=text`).
    Only(Vec<String>),
    /// All but the narrative (`_summary=data`).
    Data,
}

/// Elements R4 marks as the summary of a Patient.
const SUMMARY: &[&str] = &[
    "identifier",
    "active",
    "name",
    "telecom",
    "gender",
    "birthDate",
    "deceasedBoolean",
    "deceasedDateTime",
    "address",
    "managingOrganization",
    "link",
];

impl Elements {
    /// What `_summary` and `_elements` ask for.
    pub fn asked(summary: Option<&str>, elements: &[String]) -> Elements {
        match summary {
            Some("true") => Elements::Only(SUMMARY.iter().map(|name| (*name).to_owned()).collect()),
            Some("text") => Elements::Only(vec!["text".to_owned()]),
            Some("data") => Elements::Data,
            _ if elements.is_empty() => Elements::All,
            _ => Elements::Only(elements.to_vec()),
        }
    }

    fn has(&self, member: &str) -> bool {
        let bare = member.strip_prefix('_').unwrap_or(member);
        match self {
            Elements::All => true,
            Elements::Data => bare != "text",
            Elements::Only(names) => {
                matches!(bare, "resourceType" | "id" | "meta") || names.iter().any(|name| name == bare)
            }
        }
    }
}

impl View {
    /// Whether a patient is shown as it is stored.
    pub fn is_whole(&self) -> bool {
        self.domains.is_empty() && self.elements == Elements::All
    }

    /// A stored patient as this view shows it. With elements left out it is tagged SUBSETTED.
    pub fn show(&self, rendering: &[u8]) -> Vec<u8> {
        let Ok(Value::Object(mut members)) = serde_json::from_slice(rendering) else {
            return rendering.to_vec();
        };
        if !self.domains.is_empty() {
            restrict(&mut members, &self.domains);
        }
        if self.elements != Elements::All {
            members.retain(|name, _| self.elements.has(name));
            tag_subsetted(&mut members);
        }
        serde_json::to_vec(&members).expect("a JSON value can always be written")
    }
}

/// Leaves only the identifiers of these domains.
fn restrict(members: &mut Map<String, Value>, domains: &[String]) {
    let Some(Value::Array(list)) = members.get_mut("identifier") else { return };
    list.retain(|item| {
        text(item, "system").is_some_and(|system| domains.contains(&canonical_system(system)))
    });
    if list.is_empty() {
        members.shift_remove("identifier");
    }
}

fn tag_subsetted(members: &mut Map<String, Value>) {
    let tag = serde_json::json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"
    });
    let Some(Value::Object(meta)) = members.get_mut("meta") else { return };
    match meta.get_mut("tag") {
        Some(Value::Array(tags)) => tags.push(tag),
        _ => {
            meta.insert("tag".to_owned(), Value::Array(vec![tag]));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn alice() -> Value {
        json!({
            "resourceType": "Patient",
            "id": "p-1",
            "meta": { "versionId": "1" },
            "identifier": [
                { "system": "1.2.3", "value": "A-1" },
                { "system": "http://example.org/mrn", "value": "7|7" }
            ],
            "name": [{ "family": "Mohr" }],
            "gender": "female"
        })
    }

    fn shown(view: &View) -> Value {
        let stored = alice().to_string();
        serde_json::from_slice(&view.show(stored.as_bytes())).expect("is JSON")
    }

    #[test]
    fn identifiers_of_other_domains_are_taken_out() {
        let domains = vec!["http://example.org/mrn".to_owned()];
        let shown = shown(&View { domains, elements: Elements::All });
        assert_eq!(shown["identifier"], json!([{ "system": "http://example.org/mrn", "value": "7|7" }]));
        assert_eq!(shown["name"], alice()["name"]);
    }

    #[test]
    fn a_patient_shown_in_part_says_so() {
        let elements = Elements::asked(None, &["gender".to_owned()]);
        let shown = shown(&View { domains: Vec::new(), elements });
        let names: Vec<&str> = shown.as_object().expect("is an object").keys().map(String::as_str).collect();
        assert_eq!(names, ["resourceType", "id", "meta", "gender"]);
        assert_eq!(shown["meta"]["tag"][0]["code"], "SUBSETTED");
    }
}
