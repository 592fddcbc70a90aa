//! A part of a stored resource (`_summary`, `_elements`; R4 3.1.1.5.8, 3.1.1.5.9), cut out of its bytes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// What a type shows in part: its summary, and what it cannot be without.
struct Shape {
    kind: &'static str,
    summary: &'static [&'static str],
    mandatory: &'static [&'static str],
}

const SHAPES: &[Shape] = &[
    Shape {
        kind: "DocumentReference",
        summary: &[
            "masterIdentifier",
            "identifier",
            "status",
            "docStatus",
            "type",
            "category",
            "subject",
            "date",
            "author",
            "relatesTo",
            "description",
            "securityLabel",
            "content",
        ],
        mandatory: &["status", "content"],
    },
    Shape {
        kind: "List",
        summary: &["status", "mode", "title", "code", "subject", "date", "source"],
        mandatory: &["status", "mode"],
    },
    Shape {
        kind: "Patient",
        summary: &[
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
        ],
        mandatory: &[],
    },
];

/// Members that every part holds: without them a reader would take it for something else.
const ALWAYS: &[&str] = &["resourceType", "id", "meta", "implicitRules", "modifierExtension"];

/// Which part is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subset {
    only: Option<Vec<String>>,
}

impl Subset {
    /// The part that `_summary` and `_elements` ask for of this type; none if the whole is wanted. Elements may be given
    /// with their type (`List.title`); of a path the first step counts.
    pub fn asked(kind: &str, summary: Option<&str>, elements: &[String]) -> Option<Subset> {
        let shape = SHAPES.iter().find(|shape| shape.kind == kind);
        let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let mandatory = || named(shape.map_or(&[], |shape| shape.mandatory));
        let only = match summary {
            Some("true") => Some(named(shape.map_or(&[], |shape| shape.summary))),
            Some("text") => Some([mandatory(), named(&["text"])].concat()),
            Some("data") => None,
            _ => {
                let own: Vec<String> = elements.iter().filter_map(|element| own(kind, element)).collect();
                if own.is_empty() {
                    return None;
                }
                Some([mandatory(), own].concat())
            }
        };
        Some(Subset { only })
    }

    fn has(&self, member: &str) -> bool {
        let bare = member.strip_prefix('_').unwrap_or(member);
        ALWAYS.contains(&bare)
            || match &self.only {
                Some(names) => names.iter().any(|name| name == bare),
                None => bare != "text",
            }
    }

    /// This part of a stored resource, tagged SUBSETTED. What cannot be read is given as it is.
    pub fn show(&self, rendering: &[u8]) -> Vec<u8> {
        let Some(members) = members(rendering) else { return rendering.to_vec() };
        let shown: Vec<&Member<'_>> = members.iter().filter(|(name, _)| self.has(name)).collect();
        // What is shown may refer to what is contained.
        let refers =
            shown.iter().any(|(_, raw)| memchr::memmem::find(raw.get().as_bytes(), b"\"#").is_some());
        let mut out = Vec::with_capacity(rendering.len());
        for (name, raw) in &members {
            let needed = refers && name == "contained";
            if !needed && !self.has(name) {
                continue;
            }
            out.push(if out.is_empty() { b'{' } else { b',' });
            out.extend_from_slice(Value::from(name.as_ref()).to_string().as_bytes());
            out.push(b':');
            match name.as_ref() {
                "meta" => out.extend_from_slice(tagged(raw.get()).as_bytes()),
                _ => out.extend_from_slice(raw.get().as_bytes()),
            }
        }
        out.push(b'}');
        out
    }
}

/// The first step of an element, if it is one of this type.
fn own(kind: &str, element: &str) -> Option<String> {
    let mut steps = element.split('.');
    let first = steps.next()?;
    if first == kind {
        return steps.next().map(str::to_owned);
    }
    let is_type = first.starts_with(|letter: char| letter.is_ascii_uppercase());
    (!is_type && !first.is_empty()).then(|| first.to_owned())
}

/// `meta` with the tag SUBSETTED, once.
pub(crate) fn tagged(meta: &str) -> String {
    let Ok(Value::Object(mut meta)) = serde_json::from_str(meta) else { return meta.to_owned() };
    let tag = json!({
        "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"
    });
    match meta.get_mut("tag") {
        Some(Value::Array(tags)) if tags.contains(&tag) => {}
        Some(Value::Array(tags)) => tags.push(tag),
        _ => {
            meta.insert("tag".to_owned(), Value::Array(vec![tag]));
        }
    }
    Value::Object(meta).to_string()
}

pub(crate) type Member<'a> = (Cow<'a, str>, &'a RawValue);

/// The members of a stored resource as they are written; none of what is no resource.
pub(crate) fn members(rendering: &[u8]) -> Option<Vec<Member<'_>>> {
    serde_json::Deserializer::from_slice(rendering).deserialize_map(Members).ok()
}

/// Takes the members of an object as they are written.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a resource")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(24);
        while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
            members.push((Cow::Owned(member.0), member.1));
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> String {
        json!({
            "resourceType": "DocumentReference",
            "id": "d",
            "meta": { "versionId": "1", "tag": [{ "code": "X" }] },
            "text": { "status": "generated", "div": "<div/>" },
            "contained": [{ "resourceType": "Practitioner", "id": "p" }],
            "status": "current",
            "_status": { "id": "s" },
            "author": [{ "reference": "#p" }],
            "description": "a \"b\"",
            "content": [{ "attachment": { "contentType": "text/plain" } }],
            "context": { "period": { "start": "2024" } }
        })
        .to_string()
    }

    fn names(summary: Option<&str>, elements: &[&str]) -> Vec<String> {
        let elements: Vec<String> = elements.iter().map(|name| (*name).to_owned()).collect();
        let subset = Subset::asked("DocumentReference", summary, &elements).expect("a part is asked for");
        let shown: Value = serde_json::from_slice(&subset.show(document().as_bytes())).expect("is JSON");
        assert_eq!(shown["meta"]["tag"][1]["code"], "SUBSETTED");
        assert_eq!(shown["meta"]["versionId"], "1");
        shown.as_object().expect("is an object").keys().cloned().collect()
    }

    #[test]
    fn each_part_holds_what_r4_says() {
        let head = ["resourceType", "id", "meta"];
        let with = |rest: &[&str]| -> Vec<String> {
            head.iter().chain(rest).map(|name| (*name).to_owned()).collect()
        };
        assert_eq!(
            names(Some("true"), &[]),
            with(&["contained", "status", "_status", "author", "description", "content"])
        );
        assert_eq!(names(Some("text"), &[]), with(&["text", "status", "_status", "content"]));
        assert_eq!(
            names(Some("data"), &[]),
            with(&["contained", "status", "_status", "author", "description", "content", "context"])
        );
        assert_eq!(
            names(None, &["DocumentReference.context.period", "List.title"]),
            with(&["status", "_status", "content", "context"])
        );
    }

    #[test]
    fn the_whole_is_no_part() {
        assert_eq!(Subset::asked("List", None, &[]), None);
        assert_eq!(Subset::asked("List", Some("false"), &[]), None);
        assert_eq!(Subset::asked("List", None, &["Patient.name".to_owned()]), None);
        let subset = Subset::asked("List", Some("true"), &[]).expect("a part");
        assert_eq!(subset.show(b"not JSON"), b"not JSON");
    }
}
