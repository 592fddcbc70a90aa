//! Postal addresses (AD) as FHIR Addresses, and back.

use ebxml::{Element, Writer};
use serde_json::{Map, Value, json};

use crate::{texts, value};

/// Elements with one text, and what FHIR calls them.
const PARTS: &[(&str, &str)] = &[
    ("city", "city"),
    ("county", "district"),
    ("state", "state"),
    ("postalCode", "postalCode"),
    ("country", "country"),
];

/// Reads an address; none where it says nothing.
pub(crate) fn read(element: &Element) -> Option<Value> {
    let mut address = Map::new();
    let mut lines = texts(element, "streetAddressLine");
    let street: Vec<String> =
        ["streetName", "houseNumber", "unitID"].iter().flat_map(|part| texts(element, part)).collect();
    // A house number beside a whole line repeats it, or is of no use without its street.
    if !street.is_empty() && (lines.is_empty() || !texts(element, "streetName").is_empty()) {
        lines.insert(0, street.join(" "));
    }
    lines.extend(texts(element, "additionalLocator"));
    if let Some(box_number) = texts(element, "postBox").first() {
        lines.push(box_number.clone());
    }
    if !lines.is_empty() {
        address.insert("line".to_owned(), json!(lines));
    }
    for (part, member) in PARTS {
        let text = texts(element, part).join(" ");
        if !text.is_empty() {
            address.insert((*member).to_owned(), json!(text));
        }
    }
    if address.is_empty() {
        let text = xds::hl7::clean(&element.text);
        if text.is_empty() {
            return None;
        }
        address.insert("text".to_owned(), json!(text));
    }
    let usage = value(element, "use");
    let usage = usage.split_whitespace().find_map(|usage| match usage {
        "H" | "HP" | "HV" => Some("home"),
        "WP" | "DIR" | "PUB" => Some("work"),
        "TMP" => Some("temp"),
        "BAD" | "OLD" => Some("old"),
        _ => None,
    });
    if let Some(usage) = usage {
        address.insert("use".to_owned(), json!(usage));
    }
    Some(Value::Object(address))
}

/// Writes an address, if it says anything.
pub(crate) fn write(xml: &mut Writer, address: &Value) {
    let text = |member: &str| address.get(member).and_then(Value::as_str).filter(|text| !text.is_empty());
    let lines = address.get("line").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).filter(|line| !line.is_empty()).collect();
    let usage = match text("use") {
        Some("home") => Some("HP"),
        Some("work") => Some("WP"),
        Some("temp") => Some("TMP"),
        Some("old") => Some("BAD"),
        _ => None,
    };
    let parts: Vec<(&'static str, &str)> =
        PARTS.iter().filter_map(|(part, member)| Some((*part, text(member)?))).collect();
    if lines.is_empty() && parts.is_empty() {
        if let Some(whole) = text("text") {
            xml.start("addr").optional("use", usage).text(whole).end();
        }
        return;
    }
    xml.start("addr").optional("use", usage);
    for line in lines {
        xml.leaf("streetAddressLine", line);
    }
    for (part, text) in parts {
        xml.leaf(part, text);
    }
    xml.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NAMESPACE, element};

    #[test]
    fn an_address_comes_back_as_it_was() {
        for address in [
            json!({ "line": ["Imfeldstrasse 24b", "c/o Muster"], "city": "Wettingen", "district": "Baden",
                "state": "AG", "postalCode": "5430", "country": "CH", "use": "home" }),
            json!({ "country": "CH" }),
            json!({ "text": "Wettingen, Imfeldstrasse" }),
        ] {
            let mut xml = Writer::default();
            xml.start("a").attribute("xmlns", NAMESPACE);
            write(&mut xml, &address);
            let written = element(&String::from_utf8(xml.finish()).expect("it is UTF-8"));
            assert_eq!(written.children.first().and_then(read), Some(address));
        }
    }

    #[test]
    fn a_street_in_pieces_is_a_line() {
        let told = "<addr xmlns='urn:hl7-org:v3'><houseNumber>24b</houseNumber><streetName>Imfeldstrasse</streetName></addr>";
        assert_eq!(read(&element(told)), Some(json!({ "line": ["Imfeldstrasse 24b"] })));
    }
}
