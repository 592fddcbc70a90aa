//! Names of people (PN) as FHIR HumanNames, and back.

use ebxml::{Element, Writer};
use serde_json::{Map, Value, json};

use crate::{NAMESPACE, texts, value};

/// Reads a name; none where it says nothing.
pub(crate) fn read(element: &Element) -> Option<Value> {
    let mut name = Map::new();
    let family = texts(element, "family").join(" ");
    if !family.is_empty() {
        name.insert("family".to_owned(), json!(family));
    }
    for part in ["given", "prefix", "suffix"] {
        let texts = texts(element, part);
        if !texts.is_empty() {
            name.insert(part.to_owned(), json!(texts));
        }
    }
    if name.is_empty() {
        // A name in one piece.
        let text = xds::hl7::clean(&element.text);
        if text.is_empty() {
            return None;
        }
        name.insert("text".to_owned(), json!(text));
    }
    let maiden = element
        .children_named(NAMESPACE, "family")
        .any(|family| value(family, "qualifier").split_whitespace().any(|word| word == "BR"));
    let usage = value(element, "use");
    let usage = usage.split_whitespace().find_map(|usage| match usage {
        "L" | "C" => Some("official"),
        "P" => Some("nickname"),
        "A" | "ANON" => Some("anonymous"),
        _ => None,
    });
    if let Some(usage) = if maiden { Some("maiden") } else { usage } {
        name.insert("use".to_owned(), json!(usage));
    }
    Some(Value::Object(name))
}

/// Writes the names of a person or what stands for them: an element that says that none is known.
pub(crate) fn write_all(xml: &mut Writer, names: Option<&Value>) {
    let before = names.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut any = false;
    for name in before {
        any |= write(xml, name);
    }
    if !any {
        xml.start("name").attribute("nullFlavor", "NI").end();
    }
}

/// Writes a name; answers whether there was one.
pub(crate) fn write(xml: &mut Writer, name: &Value) -> bool {
    let text = |member: &str| name.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    let list = |member: &str| {
        let items = name.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter_map(Value::as_str).filter(|text| !text.is_empty())
    };
    let parts = ["prefix", "given", "suffix"];
    if text("family").is_none() && parts.iter().all(|part| list(part).next().is_none()) {
        let Some(whole) = text("text") else { return false };
        xml.start("name").optional("use", usage(text("use"))).text(whole).end();
        return true;
    }
    xml.start("name").optional("use", usage(text("use")));
    for prefix in list("prefix") {
        xml.leaf("prefix", prefix);
    }
    for given in list("given") {
        xml.leaf("given", given);
    }
    if let Some(family) = text("family") {
        xml.start("family");
        if text("use") == Some("maiden") {
            xml.attribute("qualifier", "BR");
        }
        xml.text(family).end();
    }
    for suffix in list("suffix") {
        xml.leaf("suffix", suffix);
    }
    xml.end();
    true
}

fn usage(of: Option<&str>) -> Option<&'static str> {
    match of {
        Some("official") => Some("L"),
        Some("nickname") => Some("P"),
        Some("anonymous") => Some("ANON"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element;

    #[test]
    fn a_name_comes_back_as_it_was() {
        for name in [
            json!({ "family": "Muster", "given": ["Maja", "Zoë"], "prefix": ["Dr."], "suffix": ["II"], "use": "official" }),
            json!({ "family": "Tauxe & <Söhne>", "use": "maiden" }),
            json!({ "given": ["Maja"] }),
            json!({ "text": "Maja Muster" }),
        ] {
            let mut xml = Writer::default();
            xml.start("a").attribute("xmlns", NAMESPACE);
            assert!(write(&mut xml, &name), "{name}");
            let written = element(&String::from_utf8(xml.finish()).expect("it is UTF-8"));
            let back = written.children.first().and_then(read).expect("it is a name");
            assert_eq!(back, name);
        }
    }

    #[test]
    fn where_no_name_is_known_that_is_said() {
        let mut xml = Writer::default();
        write_all(&mut xml, Some(&json!([{ "use": "official" }])));
        assert_eq!(xml.finish(), b"<name nullFlavor=\"NI\"/>");
    }
}
