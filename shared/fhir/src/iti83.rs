//! Mobile Patient Identifier Cross-reference Query [ITI-83]: `$ihe-pix`.

use serde_json::Value;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::patient::canonical_system;
use crate::search;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The identifier that is known: a business identifier, or a server's base and `Patient/{id}`.
    pub source: Identifier,
    /// The domains to answer for; empty: all.
    pub targets: Vec<String>,
}

/// One identifier of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The identifier.
    pub identifier: Identifier,
    /// `assigner.display`, where the source named it.
    pub assigner: Option<String>,
}

/// What one record of the person is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its Patient resource, if it is to be named.
    pub patient: Option<String>,
    /// Its identifiers.
    pub targets: Vec<Target>,
}

/// Reads the GET form.
pub fn read_query(query: &str) -> Result<Question, Findings> {
    let (sources, targets) = asked(query);
    question(&sources, targets, &Place::at("sourceIdentifier"))
}

/// What a query says: source identifiers and target systems.
fn asked(query: &str) -> (Vec<Identifier>, Vec<String>) {
    let mut sources = Vec::new();
    let mut targets = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "sourceIdentifier" => sources.push(read_token(&value)),
            "targetSystem" => targets.push(value.into_owned()),
            _ => {}
        }
    }
    (sources, targets)
}

/// `system|value`, escaped as in any search or not: systems are URIs and hold no bar, the value keeps any further one.
fn read_token(token: &str) -> Identifier {
    let (system, value) = token.split_once('|').unwrap_or_default();
    Identifier { system: search::unescape(system), value: search::unescape(value) }
}

/// Reads the POST form: a Parameters resource, and what the URL says beside it.
pub fn read_parameters(query: &str, body: &Value) -> Result<Question, Findings> {
    if body.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
        let text = "the body must be a Parameters resource with sourceIdentifier";
        return Err(vec![Finding::error(Rule::Structure, Place::at("Parameters"), text)]);
    }
    let (mut sources, mut targets) = asked(query);
    let list = body.get("parameter").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, parameter) in list.iter().enumerate() {
        let at = Place::at(format!("Parameters.parameter[{index}]"));
        let missing = || {
            let text = "this parameter needs a value: sourceIdentifier a valueString system|value, targetSystem a valueUri";
            vec![Finding::error(Rule::Value, at, text)]
        };
        match parameter.get("name").and_then(Value::as_str) {
            Some("sourceIdentifier") => sources.push(read_source(parameter).ok_or_else(missing)?),
            Some("targetSystem") => {
                targets.push(read_text(parameter).map(str::to_owned).ok_or_else(missing)?);
            }
            _ => {}
        }
    }
    question(&sources, targets, &Place::at("Parameters.parameter"))
}

/// The text of a parameter in any of the types clients use for it.
fn read_text(parameter: &Value) -> Option<&str> {
    let names = ["valueString", "valueUri", "valueUrl", "valueCanonical"];
    names.iter().find_map(|name| parameter.get(name).and_then(Value::as_str))
}

fn read_source(parameter: &Value) -> Option<Identifier> {
    if let Some(token) = read_text(parameter) {
        return Some(read_token(token));
    }
    let identifier = parameter.get("valueIdentifier")?;
    let part = |name| identifier.get(name).and_then(Value::as_str).map(str::to_owned);
    Some(Identifier { system: part("system")?, value: part("value")? })
}

fn question(sources: &[Identifier], targets: Vec<String>, at: &Place) -> Result<Question, Findings> {
    let [Identifier { system, value }] = sources else {
        let text = "sourceIdentifier is required exactly once, as system|value";
        return Err(vec![Finding::error(Rule::Required, at.clone(), text)]);
    };
    if system.trim().is_empty() || value.trim().is_empty() {
        let text = "sourceIdentifier must be system|value with both parts";
        return Err(vec![Finding::error(Rule::Value, at.clone(), text)]);
    }
    if targets.iter().any(|target| target.trim().is_empty()) {
        let text = "targetSystem must be the URI of a domain";
        return Err(vec![Finding::error(Rule::Value, Place::at("targetSystem"), text)]);
    }
    let source = Identifier { system: canonical_system(system), value: value.clone() };
    let targets = targets.iter().map(|target| canonical_system(target.trim_end_matches('|'))).collect();
    Ok(Question { source, targets })
}

/// Writes an answer: of each record its Patient resource, if it is to be named, and its identifiers. Written straight to
/// text: this is asked for every patient of every encounter.
pub fn write_response(names: &[Named]) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + 320 * names.len());
    out.extend_from_slice(br#"{"resourceType":"Parameters""#);
    let mut separator: &[u8] = br#","parameter":["#;
    for name in names {
        if let Some(reference) = &name.patient {
            out.extend_from_slice(separator);
            out.extend_from_slice(br#"{"name":"targetId","valueReference":{"reference":"#);
            put(&mut out, reference);
            out.extend_from_slice(b"}}");
            separator = b",";
        }
        for target in &name.targets {
            out.extend_from_slice(separator);
            put_target(&mut out, target);
            separator = b",";
        }
    }
    out.extend_from_slice(if separator == b"," { b"]}" } else { b"}" });
    out
}

fn put_target(out: &mut Vec<u8>, target: &Target) {
    out.extend_from_slice(br#"{"name":"targetIdentifier","valueIdentifier":{"system":"#);
    put(out, &target.identifier.system);
    out.extend_from_slice(br#","value":"#);
    put(out, &target.identifier.value);
    if let Some(assigner) = &target.assigner {
        out.extend_from_slice(br#","assigner":{"display":"#);
        put(out, assigner);
        out.push(b'}');
    }
    out.extend_from_slice(b"}}");
}

/// Writes a string of JSON.
fn put(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("a string can always be written to memory");
}

/// What an answer says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CrossReference {
    /// References of Patient resources.
    pub patients: Vec<String>,
    /// Identifiers in other domains.
    pub identifiers: Vec<Identifier>,
}

/// Reads an answer.
pub fn read_response(body: &Value) -> CrossReference {
    let mut found = CrossReference::default();
    for parameter in body.get("parameter").and_then(Value::as_array).into_iter().flatten() {
        let reference = parameter.pointer("/valueReference/reference").and_then(Value::as_str);
        found.patients.extend(reference.map(str::to_owned));
        let identifier = parameter.get("valueIdentifier").and_then(crate::patient::read_identifier);
        found.identifiers.extend(identifier);
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identifier(system: &str, value: &str) -> Identifier {
        Identifier { system: system.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn the_question_is_read_from_a_query_and_from_parameters_alike() {
        let expected = Question {
            source: identifier("urn:oid:1.3.6.1.4.1.21367.13.20.1000", "IHERED-994"),
            targets: vec!["urn:oid:1.3.6.1.4.1.21367.13.20.3000".to_owned(), "http://x".to_owned()],
        };
        let query = "sourceIdentifier=urn:oid:1.3.6.1.4.1.21367.13.20.1000%7CIHERED-994\
                     &targetSystem=1.3.6.1.4.1.21367.13.20.3000&targetSystem=http://x&_format=json";
        assert_eq!(read_query(query), Ok(expected.clone()));
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "sourceIdentifier", "valueString": "urn:oid:1.3.6.1.4.1.21367.13.20.1000|IHERED-994" },
            { "name": "targetSystem", "valueUri": "urn:oid:1.3.6.1.4.1.21367.13.20.3000" },
            { "name": "targetSystem", "valueUri": "http://x" },
        ]});
        assert_eq!(read_parameters("_format=json", &body), Ok(expected));
    }

    #[test]
    fn a_source_identifier_without_both_parts_is_refused() {
        for query in ["", "sourceIdentifier=x", "sourceIdentifier=|x", "sourceIdentifier=urn:oid:1.2|"] {
            assert!(read_query(query).is_err(), "{query}");
        }
        let twice = "sourceIdentifier=urn:oid:1.2|a&sourceIdentifier=urn:oid:1.2|b";
        assert!(read_query(twice).is_err(), "one patient at a time");
    }

    #[test]
    fn an_answer_without_counterparts_is_empty_parameters() {
        assert_eq!(write_response(&[]), br#"{"resourceType":"Parameters"}"#);
    }

    #[test]
    fn an_answer_is_read_back_as_it_was_written() {
        let target = Target { identifier: identifier("urn:oid:1.2", "B"), assigner: Some("Blue".into()) };
        let written = write_response(&[Named {
            patient: Some("http://h/fhir/Patient/1".into()),
            targets: vec![target],
        }]);
        let written: Value = serde_json::from_slice(&written).expect("is JSON");
        assert_eq!(written["parameter"][1]["valueIdentifier"]["assigner"]["display"], "Blue");
        let read = read_response(&written);
        assert_eq!(read.patients, ["http://h/fhir/Patient/1"]);
        assert_eq!(read.identifiers, [identifier("urn:oid:1.2", "B")]);
    }
}
