//! FHIR in XML, as a stranger's tool would write and read it: without knowing any shape, so that it shares no mistake with the
//! server.

use anyhow::{Context as _, Result, bail, ensure};
use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};
use serde_json::Value;

/// Writes a resource given in JSON; elements stand in the order of the members.
pub fn write(resource: &Value) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>");
    write_resource(resource, " xmlns=\"http://hl7.org/fhir\"", &mut out);
    out
}

fn write_resource(resource: &Value, namespace: &str, out: &mut String) {
    let name = resource["resourceType"].as_str().unwrap_or_default();
    out.push_str(&format!("<{name}{namespace}>"));
    write_members(resource, &["resourceType"], out);
    out.push_str(&format!("</{name}>"));
}

fn write_members(object: &Value, except: &[&str], out: &mut String) {
    let Some(members) = object.as_object() else { return };
    for (name, value) in members.iter().filter(|(name, _)| !except.contains(&name.as_str())) {
        match name.strip_prefix('_') {
            Some(plain) if members.contains_key(plain) => {}
            Some(plain) => write_element(plain, &Value::Null, value, out),
            None => write_element(name, value, &object[format!("_{name}")], out),
        }
    }
}

fn write_element(name: &str, value: &Value, sibling: &Value, out: &mut String) {
    let none = Value::Null;
    if value.is_array() || sibling.is_array() {
        let length = |value: &Value| value.as_array().map_or(0, Vec::len);
        for index in 0..length(value).max(length(sibling)) {
            let at = |value: &Value| value.get(index).cloned().unwrap_or(Value::Null);
            write_element(name, &at(value), &at(sibling), out);
        }
    } else if value.get("resourceType").is_some() {
        out.push_str(&format!("<{name}>"));
        write_resource(value, "", out);
        out.push_str(&format!("</{name}>"));
    } else if value.is_object() {
        let url = if name.to_ascii_lowercase().ends_with("extension") { &value["url"] } else { &none };
        out.push_str(&format!("<{name}{}{}>", attribute("id", &value["id"]), attribute("url", url)));
        write_members(value, if url.is_null() { &["id"] } else { &["id", "url"] }, out);
        out.push_str(&format!("</{name}>"));
    } else if let ("div", Some(text)) = (name, value.as_str()) {
        out.push_str(text);
    } else if !(value.is_null() && sibling.is_null()) {
        out.push_str(&format!("<{name}{}{}>", attribute("id", &sibling["id"]), attribute("value", value)));
        write_members(sibling, &["id"], out);
        out.push_str(&format!("</{name}>"));
    }
}

fn attribute(name: &str, value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => escape(text.as_str()).replace('\n', "&#10;").replace('\t', "&#9;"),
        other => other.to_string(),
    };
    format!(" {name}=\"{text}\"")
}

/// What a resource in JSON says, as `path=value`, sorted.
pub fn said_in_json(resource: &Value) -> Vec<String> {
    let mut said = Vec::new();
    say(resource, "", &mut said);
    said.sort();
    said
}

fn say(value: &Value, path: &str, said: &mut Vec<String>) {
    match value {
        Value::Null => {}
        Value::Array(items) => items.iter().for_each(|item| say(item, path, said)),
        Value::Object(members) => {
            let path = match value["resourceType"].as_str() {
                Some(name) => format!("{path}/{name}"),
                None => path.to_owned(),
            };
            for (name, member) in members.iter().filter(|(name, _)| *name != "resourceType") {
                say(member, &format!("{path}/{}", name.trim_start_matches('_')), said);
            }
        }
        Value::String(_) if path.ends_with("/div") => said.push(path.to_owned()),
        Value::String(text) => said.push(format!("{path}={text}")),
        other => said.push(format!("{path}={other}")),
    }
}

/// What a resource in XML says, in the same words; an error if it is not well formed or not FHIR's.
pub fn said_in_xml(document: &[u8]) -> Result<Vec<String>> {
    let text = std::str::from_utf8(document).context("XML is UTF-8")?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().expand_empty_elements = true;
    let (mut path, mut said): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    // A resource may say nothing, as Parameters of an answer without one.
    let mut has_root = false;
    loop {
        match reader.read_event().with_context(|| format!("well-formed XML: {text:.500}"))? {
            Event::Start(tag) => {
                let first = path.is_empty();
                has_root = true;
                let name = tag.name().as_ref().to_owned();
                path.push(name.clone());
                if name == "div" {
                    said.push(format!("/{}", path.join("/")));
                    reader.read_to_end(tag.name()).context("a narrative ends")?;
                    path.pop();
                    continue;
                }
                attributes(&tag, first, &path, &mut said)?;
            }
            Event::End(_) => drop(path.pop()),
            Event::Text(text) => ensure!(text.trim().is_empty(), "text stands between elements: {text:?}"),
            Event::Decl(_) => {}
            Event::Eof => break,
            other => bail!("FHIR in XML has no {other:?}"),
        }
    }
    ensure!(path.is_empty() && has_root, "the document is whole: {text:.500}");
    said.sort();
    Ok(said)
}

fn attributes(tag: &BytesStart<'_>, first: bool, path: &[String], said: &mut Vec<String>) -> Result<()> {
    let mut namespace = false;
    for attribute in tag.attributes() {
        let attribute = attribute.context("an attribute")?;
        let key: &str = attribute.key.as_ref();
        let value = unescape(&attribute.value).context("an attribute's value")?;
        let here = path.join("/");
        match key {
            "xmlns" => {
                ensure!(value == "http://hl7.org/fhir", "the namespace is FHIR's: {value}");
                namespace = true;
            }
            "value" => said.push(format!("/{here}={value}")),
            "id" | "url" => said.push(format!("/{here}/{key}={value}")),
            other => bail!("FHIR has no attribute {other}"),
        }
    }
    ensure!(namespace || !first, "the root names the namespace of FHIR");
    Ok(())
}

/// Checks that a document is an OperationOutcome that says what is wrong.
pub fn outcome(document: &[u8]) -> Result<()> {
    let said = said_in_xml(document)?;
    let has = |path: &str| said.iter().any(|line| line.starts_with(path));
    ensure!(
        has("/OperationOutcome/issue/code=") && has("/OperationOutcome/issue/diagnostics="),
        "the answer is an OperationOutcome with code and diagnostics: {said:?}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_says_the_same() {
        let resource = json!({
            "resourceType": "Bundle", "id": "b", "total": 1.50,
            "entry": [{ "resource": { "resourceType": "Patient", "active": true, "_active": { "id": "x" },
                "extension": [{ "url": "u", "valueString": "a & \"b\"\n<c>" }],
                "name": [{ "given": ["A", null], "_given": [null, { "extension": [{ "url": "v", "valueCode": "w" }] }] }] } }],
        });
        assert_eq!(said_in_xml(write(&resource).as_bytes()).expect("sound"), said_in_json(&resource));
        assert!(said_in_xml(b"<Patient><id value=\"a\"/></Patient>").is_err());
        assert!(said_in_xml(b"<Patient xmlns=\"http://hl7.org/fhir\"><id value=\"a\"/>").is_err());
    }
}
