//! Links between Patients, which FHIR has no operation for: `$link`, `$unlink`, `$links` and `$duplicates` of ours, each with
//! a Parameters resource in and out.

use serde_json::{Map, Value, json};
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::patient::canonical_system;
use crate::when;

/// Which patient the decision is about beside the one of the path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Other {
    /// By the id it has here.
    Id(String),
    /// By an identifier.
    Identifier(Identifier),
}

/// A steward's decision as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The other patient.
    pub other: Other,
    /// Why.
    pub reason: Option<String>,
    /// Whether an earlier word is taken back, instead of a new one being given.
    pub withdraw: bool,
}

/// Which probable duplicates are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DuplicatesAsked {
    /// `_count`, from 1.
    pub count: Option<usize>,
    /// `_page`: the token of a later page.
    pub page: Option<String>,
    /// `patient`: only those with this one.
    pub patient: Option<Other>,
}

/// One decision about a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// `feed`, `match`, `steward`.
    pub by: &'static str,
    /// `linked`, `apart`, `withdrawn`.
    pub verdict: &'static str,
    /// Who decided.
    pub who: String,
    /// When, microseconds since 1970.
    pub when: i64,
    /// Why.
    pub reason: Option<String>,
}

/// What the matcher says of two patients.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// From 0 to 1.
    pub score: f64,
    /// Its match grade.
    pub grade: String,
    /// What counted for and against it.
    pub explanation: Vec<String>,
}

/// A link as it is told.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// URL of the other Patient.
    pub patient: String,
    /// `linked`, `apart`, `withdrawn`.
    pub state: &'static str,
    /// Who holds the two together, or apart.
    pub by: Option<&'static str>,
    /// Identifiers one source states of the other's patient.
    pub identifiers: Vec<Identifier>,
    /// What the matcher says.
    pub score: Option<Score>,
    /// What was decided, newest first.
    pub decisions: Vec<Decision>,
}

/// Two patients that may be one person.
#[derive(Debug, Clone, PartialEq)]
pub struct Duplicate {
    /// Their URLs, each with who it is in words.
    pub patients: [(String, String); 2],
    /// Whether both are of one domain: then a merge puts it right, not a link.
    pub is_within_domain: bool,
    /// What the matcher says.
    pub score: Score,
}

/// Reads a decision from a query and a Parameters resource, which may be there or not; `base` is our own.
pub fn read_decision(query: &str, body: Option<&Value>, base: &str) -> Result<Asked, Findings> {
    let mut given = Given::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        given.take(&name, value.into_owned());
    }
    if let Some(body) = body {
        read_parameters(body, &mut given)?;
    }
    let [other] = given.others.as_slice() else {
        let text = "the parameter other is required exactly once: the other Patient, as Patient/{id} or system|value";
        return Err(vec![Finding::error(Rule::Required, Place::at("other"), text)]);
    };
    let withdraw = match given.withdraw.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => {
            let text = "withdraw is true or false";
            return Err(vec![Finding::error(Rule::Value, Place::at("withdraw"), text)]);
        }
    };
    let reason = given.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > LONGEST_REASON) {
        let text = format!("a reason has at most {LONGEST_REASON} characters");
        return Err(vec![Finding::error(Rule::TooLong, Place::at("reason"), text)]);
    }
    Ok(Asked { other: read_other(other, base)?, reason, withdraw })
}

/// Reads which probable duplicates are asked for.
pub fn read_duplicates(query: &str, base: &str) -> Result<DuplicatesAsked, Findings> {
    let mut asked = DuplicatesAsked::default();
    for (name, value) in crate::search::pairs(query) {
        match name.as_str() {
            "_count" => asked.count = Some(read_count(&value)?),
            "_page" => asked.page = Some(value),
            "patient" => asked.patient = Some(read_other(&value, base)?),
            _ => {}
        }
    }
    Ok(asked)
}

/// Reads a number of results to a page.
pub fn read_count(value: &str) -> Result<usize, Findings> {
    value.parse().ok().filter(|count| *count > 0).ok_or_else(|| {
        vec![Finding::error(Rule::Value, Place::at("_count"), "_count is a whole number from 1")]
    })
}

/// Characters of a reason, at most.
const LONGEST_REASON: usize = 1_000;

#[derive(Default)]
struct Given {
    others: Vec<String>,
    reason: Option<String>,
    withdraw: Option<String>,
}

impl Given {
    fn take(&mut self, name: &str, value: String) {
        match name {
            "other" => self.others.push(value),
            "reason" => self.reason = Some(value),
            "withdraw" => self.withdraw = Some(value),
            _ => {}
        }
    }
}

fn read_parameters(body: &Value, given: &mut Given) -> Result<(), Findings> {
    if body.get("resourceType").and_then(Value::as_str) != Some("Parameters") {
        let text =
            "the body must be a Parameters resource with the parameter other, and reason if there is one";
        return Err(vec![Finding::error(Rule::Structure, Place::at("Parameters"), text)]);
    }
    let list = body.get("parameter").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, parameter) in list.iter().enumerate() {
        let Some(name) = parameter.get("name").and_then(Value::as_str) else { continue };
        if !matches!(name, "other" | "reason" | "withdraw") {
            continue;
        }
        let Some(value) = read_value(parameter) else {
            let at = Place::at(format!("Parameters.parameter[{index}]"));
            let text = "this parameter needs a value: other a valueReference, valueIdentifier or valueString, reason a \
                        valueString, withdraw a valueBoolean";
            return Err(vec![Finding::error(Rule::Value, at, text)]);
        };
        given.take(name, value);
    }
    Ok(())
}

fn read_value(parameter: &Value) -> Option<String> {
    if let Some(flag) = parameter.get("valueBoolean").and_then(Value::as_bool) {
        return Some(flag.to_string());
    }
    let token = |identifier: &Value| {
        let part = |name| identifier.get(name).and_then(Value::as_str);
        Some(format!("{}|{}", part("system")?, part("value")?))
    };
    if let Some(reference) = parameter.get("valueReference") {
        let literal = reference.get("reference").and_then(Value::as_str).map(str::to_owned);
        return literal.or_else(|| reference.get("identifier").and_then(token));
    }
    if let Some(identifier) = parameter.get("valueIdentifier") {
        return token(identifier);
    }
    ["valueString", "valueUri", "valueUrl", "valueId", "valueMarkdown"]
        .iter()
        .find_map(|name| parameter.get(name).and_then(Value::as_str))
        .map(str::to_owned)
}

fn read_other(text: &str, base: &str) -> Result<Other, Findings> {
    let refused = |text: &str| Err(vec![Finding::error(Rule::Value, Place::whole(), text)]);
    if let Some((system, value)) = text.split_once('|') {
        if system.trim().is_empty() || value.trim().is_empty() {
            return refused("an identifier is system|value with both parts");
        }
        return Ok(Other::Identifier(Identifier {
            system: canonical_system(system),
            value: value.to_owned(),
        }));
    }
    let local = text.strip_prefix(base).map_or(text, |rest| rest.trim_start_matches('/'));
    let local = local.strip_prefix("Patient/").unwrap_or(local);
    let id = local.split("/_history/").next().unwrap_or(local);
    let is_id = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if !is_id {
        return refused(
            "a Patient is named as Patient/{id} of this server, or by an identifier, as system|value",
        );
    }
    Ok(Other::Id(id.to_owned()))
}

/// Writes the links of a patient: its own URL, those of all records of the same person, and every link about which anything
/// was ever decided.
pub fn write_links(patient: &str, person: &[String], links: &[Link]) -> Vec<u8> {
    let mut parameters = vec![reference("patient", patient)];
    parameters.extend(person.iter().map(|url| reference("person", url)));
    parameters.extend(links.iter().map(|link| json!({ "name": "link", "part": link_parts(link) })));
    written(parameters)
}

/// Writes what a decision came to: the link, the records of the person it leaves the patient in, and what a steward has to
/// know beside.
pub fn write_decision(patient: &str, person: &[String], link: &Link, warnings: &[String]) -> Vec<u8> {
    let mut parameters = vec![reference("patient", patient)];
    parameters.extend(person.iter().map(|url| reference("person", url)));
    parameters.push(json!({ "name": "link", "part": link_parts(link) }));
    parameters.extend(warnings.iter().map(|text| json!({ "name": "warning", "valueString": text })));
    written(parameters)
}

/// Writes a page of probable duplicates, and where the next one is.
pub fn write_duplicates(duplicates: &[Duplicate], next: Option<&str>) -> Vec<u8> {
    let mut parameters: Vec<Value> = duplicates.iter().map(duplicate).collect();
    parameters.extend(next.map(|url| json!({ "name": "next", "valueUri": url })));
    written(parameters)
}

fn duplicate(duplicate: &Duplicate) -> Value {
    let mut parts: Vec<Value> = duplicate
        .patients
        .iter()
        .map(|(url, words)| json!({ "name": "patient", "valueReference": { "reference": url, "display": words } }))
        .collect();
    parts.push(json!({ "name": "sameDomain", "valueBoolean": duplicate.is_within_domain }));
    parts.extend(score_parts(&duplicate.score));
    json!({ "name": "pair", "part": parts })
}

fn link_parts(link: &Link) -> Vec<Value> {
    let mut parts =
        vec![reference("patient", &link.patient), json!({ "name": "state", "valueCode": link.state })];
    parts.extend(link.by.map(|by| json!({ "name": "by", "valueCode": by })));
    parts.extend(link.identifiers.iter().map(|identifier| {
        json!({
            "name": "identifier",
            "valueIdentifier": { "system": identifier.system, "value": identifier.value },
        })
    }));
    parts.extend(link.score.iter().flat_map(score_parts));
    parts.extend(
        link.decisions.iter().map(|decision| json!({ "name": "decision", "part": decision_parts(decision) })),
    );
    parts
}

fn score_parts(score: &Score) -> Vec<Value> {
    let mut parts = vec![
        json!({ "name": "score", "valueDecimal": score.score }),
        json!({ "name": "grade", "valueCode": score.grade }),
    ];
    parts.extend(score.explanation.iter().map(|line| json!({ "name": "explanation", "valueString": line })));
    parts
}

fn decision_parts(decision: &Decision) -> Vec<Value> {
    let mut parts = vec![
        json!({ "name": "verdict", "valueCode": decision.verdict }),
        json!({ "name": "by", "valueCode": decision.by }),
        json!({ "name": "who", "valueString": decision.who }),
        json!({ "name": "when", "valueInstant": when::instant(decision.when) }),
    ];
    parts.extend(decision.reason.as_ref().map(|reason| json!({ "name": "reason", "valueString": reason })));
    parts
}

fn reference(name: &str, url: &str) -> Value {
    json!({ "name": name, "valueReference": { "reference": url } })
}

fn written(parameters: Vec<Value>) -> Vec<u8> {
    let mut resource = Map::new();
    resource.insert("resourceType".to_owned(), "Parameters".into());
    // FHIR knows no empty lists.
    if !parameters.is_empty() {
        resource.insert("parameter".to_owned(), Value::Array(parameters));
    }
    serde_json::to_vec(&resource).expect("a JSON value can always be written")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "http://h/fhir";

    fn by_id(id: &str) -> Other {
        Other::Id(id.to_owned())
    }

    #[test]
    fn a_decision_is_read_from_parameters_and_from_a_query_alike() {
        let expected = Asked { other: by_id("b"), reason: Some("same card".to_owned()), withdraw: false };
        assert_eq!(read_decision("other=Patient/b&reason=same+card", None, BASE), Ok(expected.clone()));
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "other", "valueReference": { "reference": "http://h/fhir/Patient/b" } },
            { "name": "reason", "valueString": "same card" },
        ]});
        assert_eq!(read_decision("", Some(&body), BASE), Ok(expected));
    }

    #[test]
    fn the_other_patient_can_be_named_by_an_identifier() {
        let other = Other::Identifier(Identifier { system: "urn:oid:1.2".to_owned(), value: "B".to_owned() });
        let read = |query: &str| read_decision(query, None, BASE).map(|asked| asked.other);
        assert_eq!(read("other=1.2%7CB"), Ok(other.clone()));
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "other", "valueIdentifier": { "system": "urn:oid:1.2", "value": "B" } },
            { "name": "withdraw", "valueBoolean": true },
        ]});
        let asked = read_decision("", Some(&body), BASE);
        assert_eq!(asked, Ok(Asked { other, reason: None, withdraw: true }));
    }

    #[test]
    fn a_decision_about_nobody_or_several_is_refused() {
        for query in
            ["", "other=a&other=b", "other=|x", "other=urn:oid:1%7C", "other=a/b/c", "other=a&withdraw=x"]
        {
            assert!(read_decision(query, None, BASE).is_err(), "{query}");
        }
    }
}
