//! The shapes of R4 resources, as a table; and the check of a value against them.

mod mend;
mod path;
pub(crate) mod primitive;
mod step;
pub(crate) mod table;
mod xhtml;

use serde_json::{Map, Value};
use xds::{Finding, Findings, Place, Rule};

pub(crate) use mend::mend;
use path::Path;
pub(crate) use step::repeats;
use table::{Field, Kind, Shape, Table};

/// Checks a resource against the R4 shapes: unknown members, types, cardinality, required codes, nulls, control characters,
/// impossible dates, contained references that lead nowhere. Answers every problem.
pub fn check(resource: &Value, at: &Place) -> Findings {
    let mut check = Check { table: table::r4(), findings: Findings::new(), contained: Vec::new() };
    check.resource(resource, &Path::root(&at.path), Within::Nothing);
    check.findings
}

/// Problems of one message that are worth telling.
const MOST: usize = 200;

/// In what a resource lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Within {
    Nothing,
    Bundle,
    Resource,
}

struct Check<'a> {
    table: &'static Table,
    findings: Findings,
    /// Ids of what the resource at hand contains.
    contained: Vec<&'a str>,
}

impl<'a> Check<'a> {
    fn say(&mut self, rule: Rule, path: &Path<'_>, text: impl FnOnce() -> String) {
        if self.findings.len() < MOST {
            self.findings.push(Finding::error(rule, Place::at(path.to_string()), text()));
        }
    }

    fn resource(&mut self, value: &'a Value, path: &Path<'_>, within: Within) {
        let Some(members) = value.as_object() else {
            return self
                .say(Rule::Structure, path, || "A resource is expected here, a JSON object.".to_owned());
        };
        let Some(name) = members.get("resourceType").and_then(Value::as_str) else {
            return self.say(Rule::Structure, path, || "The resource names no resourceType.".to_owned());
        };
        let Some(shape) = self.table.resource(name) else {
            // What it is made of cannot be judged.
            return self.say(Rule::NotSupported, &path.member("resourceType"), || {
                format!("{:?} is not a resource type of FHIR R4; upper and lower case differ.", told(name))
            });
        };
        if !shape.strict {
            return self.open(value, path);
        }
        // What a FHIR document says within is its author's; it is kept as it is.
        let document = within == Within::Bundle && name == "Bundle";
        let outer = std::mem::take(&mut self.contained);
        if within == Within::Resource {
            self.contained.clone_from(&outer);
        } else {
            self.contain(members, path);
        }
        self.object(shape, members, path, document);
        self.contained = outer;
    }

    fn contain(&mut self, members: &'a Map<String, Value>, path: &Path<'_>) {
        let inside =
            members.get("contained").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (index, resource) in inside.iter().enumerate() {
            let list = path.member("contained");
            let place = list.item(index);
            match resource.get("id").and_then(Value::as_str) {
                Some(id) if self.contained.contains(&id) => {
                    self.say(Rule::Invariant, &place.member("id"), || {
                        "Another contained resource has the same id.".to_owned()
                    })
                }
                Some(id) => self.contained.push(id),
                None => self.say(Rule::Invariant, &place, || "A contained resource needs an id.".to_owned()),
            }
        }
    }

    fn object(
        &mut self,
        shape: &'static Shape,
        members: &'a Map<String, Value>,
        path: &Path<'_>,
        document: bool,
    ) {
        if members.is_empty() {
            return self.say(Rule::Structure, path, || "An object may not be empty.".to_owned());
        }
        let mut choices: Vec<(u16, &str)> = Vec::new();
        for (name, value) in members {
            if name == "resourceType" && shape.is_resource {
                continue;
            }
            let plain = name.strip_prefix('_');
            let field =
                shape.field(plain.unwrap_or(name)).filter(|field| plain.is_none() || field.is_primitive());
            let place = path.member(name);
            let Some(field) = field else {
                self.say(Rule::Structure, &place, || {
                    format!("{} has no element {}.{}", shape.name, told(name), meant(shape, name))
                });
                continue;
            };
            if let Some(choice) = field.choice {
                let bare = plain.unwrap_or(name);
                if choices.iter().any(|(known, other)| *known == choice && *other != bare) {
                    self.say(Rule::Structure, &place, || {
                        "Only one form of this element may be given.".to_owned()
                    });
                }
                choices.push((choice, bare));
            }
            match plain {
                Some(_) => self.sibling(field, value, &place),
                None if document && name == "entry" => {}
                None => self.field(field, value, members, &place),
            }
        }
        for field in shape.required() {
            if !members.contains_key(&*field.name) && !members.contains_key(&format!("_{}", field.name)) {
                let place = path.member(&field.name);
                self.say(Rule::Required, &place, || format!("{}.{} is required.", shape.name, field.name));
            }
        }
    }

    fn field(
        &mut self,
        field: &'static Field,
        value: &'a Value,
        members: &'a Map<String, Value>,
        path: &Path<'_>,
    ) {
        match (field.many, value) {
            (true, Value::Array(items)) if items.is_empty() => {
                self.say(Rule::Structure, path, || "An array may not be empty.".to_owned());
            }
            (true, Value::Array(items)) => {
                // A null stands for an item that has only extensions, in the sibling array.
                let nulls = field.is_primitive() && members.contains_key(&format!("_{}", field.name));
                for (index, item) in items.iter().enumerate() {
                    if !(nulls && item.is_null()) {
                        self.value(field, item, &path.item(index));
                    }
                }
            }
            (true, _) => self.say(Rule::Structure, path, || "An array is expected here.".to_owned()),
            (false, Value::Array(_)) => {
                self.say(Rule::Structure, path, || "One value is expected here, not an array.".to_owned());
            }
            (false, value) => self.value(field, value, path),
        }
    }

    fn value(&mut self, field: &'static Field, value: &'a Value, path: &Path<'_>) {
        if value.is_null() {
            return self.say(Rule::Structure, path, || {
                "null is no value in FHIR; leave the element out.".to_owned()
            });
        }
        match &field.kind {
            Kind::Primitive(primitive) => {
                if let Err((rule, why)) = primitive.check(value) {
                    self.say(rule, path, || why.to_owned());
                }
            }
            Kind::Code(codes) => match value.as_str() {
                Some(code) if codes.contains(&code) => {}
                Some(given) => self.say(Rule::Value, path, || {
                    let given = crate::search::shortened(given);
                    let nearest = codes.iter().find(|code| code.eq_ignore_ascii_case(&given));
                    let nearest = nearest.map(|code| (*code).to_owned());
                    let nearest = nearest.or_else(|| xds::Detail::one_of(&given, "FHIR", codes).nearest);
                    let nearest = nearest.map(|code| format!(", nearest: {code}")).unwrap_or_default();
                    format!("\"{given}\" is not a code for this; accepted are {}{nearest}.", codes.join(", "))
                }),
                None => {
                    self.say(Rule::Structure, path, || "A code, a JSON string, is expected here.".to_owned())
                }
            },
            Kind::Shape(index) => {
                let shape = self.table.shape(*index);
                if !shape.strict {
                    return self.open(value, path);
                }
                match value.as_object() {
                    Some(members) => {
                        self.object(shape, members, path, false);
                        if shape.name == "Reference" {
                            self.reference(members, path);
                        }
                    }
                    None => self.say(Rule::Structure, path, || {
                        format!("{}, a JSON object, is expected here.", shape.name)
                    }),
                }
            }
            Kind::Entry => self.resource(value, path, Within::Bundle),
            Kind::Contained => self.resource(value, path, Within::Resource),
        }
    }

    fn reference(&mut self, members: &'a Map<String, Value>, path: &Path<'_>) {
        let inside = members.get("reference").and_then(Value::as_str).and_then(|r| r.strip_prefix('#'));
        if let Some(id) = inside.filter(|id| !id.is_empty() && !self.contained.contains(id)) {
            self.say(Rule::UnresolvedReference, &path.member("reference"), || {
                format!("No contained resource has the id {}.", told(id))
            });
        }
    }

    /// The extensions of a primitive, or of each of several.
    fn sibling(&mut self, field: &'static Field, value: &'a Value, path: &Path<'_>) {
        let element = self.table.element();
        let mut one = |value: &'a Value, path: &Path<'_>| match value.as_object() {
            Some(members) => self.object(element, members, path, false),
            None => self
                .say(Rule::Structure, path, || "The extensions of an element are a JSON object.".to_owned()),
        };
        match (field.many, value) {
            (true, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
                    one(item, &path.item(index));
                }
            }
            (_, value) => one(value, path),
        }
    }

    /// What has no table: nothing null, nothing empty, no control characters.
    fn open(&mut self, value: &'a Value, path: &Path<'_>) {
        match value {
            Value::Null => self.say(Rule::Structure, path, || "null is no value in FHIR.".to_owned()),
            Value::String(_) => {
                if let Err((rule, why)) = primitive::Primitive::String.check(value) {
                    self.say(rule, path, || why.to_owned());
                }
            }
            Value::Array(items) if items.is_empty() => {
                self.say(Rule::Structure, path, || "An array may not be empty.".to_owned());
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_null()) {
                    self.open(item, &path.item(index));
                }
            }
            Value::Object(members) if members.is_empty() => {
                self.say(Rule::Structure, path, || "An object may not be empty.".to_owned());
            }
            Value::Object(members) => {
                members.iter().for_each(|(name, member)| self.open(member, &path.member(name)));
            }
            Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// A name of the sender's as it may stand in an answer.
/// The element that was probably meant by a name that is none.
fn meant(shape: &Shape, name: &str) -> String {
    const CLOSE: f64 = 0.92;
    let lower = told(name).to_ascii_lowercase();
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_ascii_lowercase(), &lower);
    let nearest = shape.fields.iter().map(|field| (likeness(&field.name), &field.name));
    match nearest.max_by(|a, b| a.0.total_cmp(&b.0)) {
        Some((likeness, known)) if likeness >= CLOSE => format!(" Did you mean {known}?"),
        Some(_) | None => String::new(),
    }
}

fn told(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn problems(resource: &Value) -> Vec<(Rule, String)> {
        let findings = check(resource, &Place::at("X"));
        findings.into_iter().map(|finding| (finding.rule, finding.at.path)).collect()
    }

    fn document() -> Value {
        json!({
            "resourceType": "DocumentReference",
            "id": "a-1",
            "meta": { "profile": ["https://example.org/p"], "lastUpdated": "2024-02-07T13:28:17Z" },
            "text": { "status": "empty", "div": "<div xmlns=\"http://www.w3.org/1999/xhtml\">Comment</div>" },
            "contained": [{ "resourceType": "Patient", "id": "p", "name": [{ "given": ["A", null], "_given": [null, { "extension": [{ "url": "x", "valueCode": "y" }] }] }] }],
            "status": "current",
            "_status": { "extension": [{ "url": "http://x", "extension": [{ "url": "y", "valueBoolean": true }] }] },
            "subject": { "reference": "Patient/1" },
            "content": [{ "attachment": { "contentType": "text/plain", "url": "urn:uuid:1", "size": 3 } }],
            "context": { "sourcePatientInfo": { "reference": "#p" } },
        })
    }

    fn with(pointer: &str, name: &str, value: Value) -> Value {
        let mut resource = document();
        resource.pointer_mut(pointer).unwrap()[name] = value;
        resource
    }

    #[test]
    fn a_sound_resource_has_no_problem() {
        assert_eq!(problems(&document()), []);
    }

    #[test]
    fn a_name_or_code_that_is_nearly_right_is_told_what_was_meant() {
        let text = |resource: &Value| check(resource, &Place::at("X")).remove(0).text;
        for (resource, meant) in [
            (with("", "Subject", json!({})), "Did you mean subject?"),
            (with("", "descripton", json!("x")), "Did you mean description?"),
            (with("", "dokument", json!("x")), "has no element dokument."),
            (with("", "status", json!("Current")), "nearest: current."),
            (with("", "status", json!("superceded")), "nearest: superseded."),
            (with("", "status", json!("final")), "entered-in-error."),
        ] {
            let text = text(&resource);
            assert!(text.ends_with(meant), "{text}");
        }
    }

    #[test]
    fn what_is_no_resource_is_not_judged_by_its_parts() {
        let wrong = json!({ "resourceType": "bundle", "entry": [{ "resource": { "resourceType": "Binary", "data": "" } }] });
        assert_eq!(problems(&wrong), [(Rule::NotSupported, "X.resourceType".to_owned())]);
    }

    #[test]
    fn every_mistake_is_named_where_it_is() {
        let cases = [
            (with("", "dokumentType", json!("x")), Rule::Structure, "X.dokumentType"),
            (with("", "author", json!([null])), Rule::Structure, "X.author[0]"),
            (with("", "author", json!([])), Rule::Structure, "X.author"),
            (with("", "author", json!({"reference": "#p"})), Rule::Structure, "X.author"),
            (with("", "subject", json!([{"reference": "#p"}])), Rule::Structure, "X.subject"),
            (with("", "subject", json!({})), Rule::Structure, "X.subject"),
            (with("", "subject", json!("Patient/1")), Rule::Structure, "X.subject"),
            (with("", "description", json!("")), Rule::Value, "X.description"),
            (with("", "description", json!("a\u{0}b")), Rule::Value, "X.description"),
            (with("", "description", Value::Null), Rule::Structure, "X.description"),
            (with("", "status", json!("final")), Rule::Value, "X.status"),
            (with("", "id", json!("../../etc")), Rule::Value, "X.id"),
            (with("", "date", json!("2024-02-07")), Rule::Value, "X.date"),
            (
                with("/content/0/attachment", "size", json!("5")),
                Rule::Structure,
                "X.content[0].attachment.size",
            ),
            (with("/content/0/attachment", "size", json!(-1)), Rule::Value, "X.content[0].attachment.size"),
            (with("/content/0/attachment", "size", json!(1.5)), Rule::Value, "X.content[0].attachment.size"),
            (
                with("/content/0/attachment", "size", serde_json::from_str("1e400").unwrap()),
                Rule::Value,
                "X.content[0].attachment.size",
            ),
            (
                with("/content/0/attachment", "contentType", json!("text/plain\r\nSet-Cookie: a=b")),
                Rule::Value,
                "X.content[0].attachment.contentType",
            ),
            (
                with("/content/0/attachment", "creation", json!("2024-13-45T99:99:99Z")),
                Rule::Value,
                "X.content[0].attachment.creation",
            ),
            (
                with("/context", "sourcePatientInfo", json!({"reference": "#nobody"})),
                Rule::UnresolvedReference,
                "X.context.sourcePatientInfo.reference",
            ),
            (
                with("/contained/0", "resourceType", json!("Patienz")),
                Rule::NotSupported,
                "X.contained[0].resourceType",
            ),
            (
                with(
                    "/text",
                    "div",
                    json!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><img src=x onerror=alert(1)></div>"),
                ),
                Rule::Value,
                "X.text.div",
            ),
            (
                with("", "extension", json!([{"url": "x", "valueCode": "a", "valueString": "b"}])),
                Rule::Structure,
                "X.extension[0].valueString",
            ),
            (with("", "extension", json!([{"valueCode": "a"}])), Rule::Required, "X.extension[0].url"),
            (with("", "_subject", json!({"id": "x"})), Rule::Structure, "X._subject"),
        ];
        for (resource, rule, path) in cases {
            assert_eq!(problems(&resource), [(rule, path.to_owned())], "{path}");
        }
    }

    #[test]
    fn a_document_within_a_bundle_is_its_authors() {
        let inner = json!({ "resourceType": "Bundle", "type": "document", "entry": [{ "resource": { "resourceType": "Composition", "odd": null } }] });
        let outer =
            json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{ "resource": inner }] });
        assert_eq!(problems(&outer), []);
    }

    #[test]
    fn r4_types_without_a_table_are_looked_through() {
        assert_eq!(problems(&json!({ "resourceType": "Observation", "status": "final" })), []);
        assert_eq!(problems(&json!({ "resourceType": "Observation", "status": "" })).len(), 1);
        assert_eq!(problems(&json!({ "resourceType": "DocumentReferenze" }))[0].0, Rule::NotSupported);
        assert_eq!(problems(&json!({ "resourceType": 5 }))[0].0, Rule::Structure);
    }
}
