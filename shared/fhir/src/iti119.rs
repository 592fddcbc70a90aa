//! Patient Demographics Match [ITI-119]: `$match`.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use xds::{Finding, Findings, Place, Rule};

use crate::search::shortened;

/// Says how sure a match is (FHIR R4).
pub const MATCH_GRADE: &str = "http://hl7.org/fhir/StructureDefinition/match-grade";
/// Says how the score came about: an extension of ours on `entry.search`.
pub const EXPLANATION: &str = "https://docshare.example/StructureDefinition/match-explanation";

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The patient looked for, as far as it is known.
    pub patient: Map<String, Value>,
    /// Whether only a match that is certain is wanted.
    pub only_certain: bool,
    /// Matches at most, if the caller says so.
    pub count: Option<usize>,
}

/// One match.
#[derive(Debug, Clone)]
pub struct Scored {
    /// Absolute URL.
    pub full_url: String,
    /// The Patient as stored.
    pub resource: Bytes,
    /// Probability that it is the person looked for, 0 to 1.
    pub score: f64,
    /// Code of the value set match-grade.
    pub grade: &'static str,
    /// The whole weight in bits.
    pub weight: f64,
    /// Field, how it compares, and what that is worth in bits.
    pub fields: Vec<(String, String, f64)>,
    /// Why it is not called certain though much agrees.
    pub held: Option<String>,
}

/// Refuses what a URL asks for beside the body: passed over, `onlyCertainMatches` would let uncertain matches through.
pub fn check_query(query: &str) -> Result<(), Findings> {
    let mut names = crate::search::pairs(query).into_iter().map(|(name, _)| name);
    let Some(name) = names.find(|name| !name.starts_with('_')) else { return Ok(()) };
    let text = format!(
        "{} stands in the URL; the parameters of $match are sent in a Parameters resource, beside `resource`",
        shortened(&name)
    );
    Err(vec![Finding::error(Rule::NotSupported, Place::at(shortened(&name)), text)])
}

/// Reads a question: Parameters with `resource` and at most `onlyCertainMatches` and `count`, or the bare Patient.
pub fn read_request(body: Value) -> Result<Question, Findings> {
    match body.get("resourceType").and_then(Value::as_str) {
        Some("Parameters") => read_parameters(&body),
        Some("Patient") => {
            let patient = read_patient(body, &Place::at("Patient"))?;
            Ok(Question { patient, only_certain: false, count: None })
        }
        _ => {
            let text = "the body must be a Parameters resource with the parameter resource (a Patient), or a bare Patient";
            Err(vec![Finding::error(Rule::Structure, Place::whole(), text)])
        }
    }
}

fn read_parameters(body: &Value) -> Result<Question, Findings> {
    let (mut patient, mut only_certain, mut count) = (None, None, None);
    let mut findings = Findings::new();
    let list = body.get("parameter").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (index, parameter) in list.iter().enumerate() {
        let at = Place::at(format!("Parameters.parameter[{index}]"));
        let name = parameter.get("name").and_then(Value::as_str).unwrap_or_default();
        let repeated = match name {
            "resource" => match parameter.get("resource") {
                Some(resource) => patient.replace((resource.clone(), at.member("resource"))).is_some(),
                None => {
                    let text = "the parameter resource needs a resource, the Patient looked for";
                    findings.push(Finding::error(Rule::Required, at.member("resource"), text));
                    false
                }
            },
            "onlyCertainMatches" => match parameter.get("valueBoolean").and_then(Value::as_bool) {
                Some(only) => only_certain.replace(only).is_some(),
                None => {
                    let text = "onlyCertainMatches needs a valueBoolean";
                    findings.push(Finding::error(Rule::Value, at, text));
                    false
                }
            },
            "count" => match read_count(parameter) {
                Some(most) => count.replace(most).is_some(),
                None => {
                    let text = "count needs a valueInteger of 1 or more";
                    findings.push(Finding::error(Rule::Value, at, text));
                    false
                }
            },
            other => {
                let text = format!(
                    "the parameter '{}' is not known; accepted are resource, onlyCertainMatches and count",
                    shortened(other)
                );
                findings.push(Finding::error(Rule::NotSupported, at.member("name"), text));
                false
            }
        };
        if repeated {
            let at = Place::at(format!("Parameters.parameter[{index}]"));
            let text = format!("the parameter {name} is given more than once");
            findings.push(Finding::error(Rule::Value, at, text));
        }
    }
    if patient.is_none() && findings.is_empty() {
        let text = "the parameter resource is required: the Patient looked for";
        findings.push(Finding::error(Rule::Required, Place::at("Parameters.parameter"), text));
    }
    let read = patient.map(|(patient, at)| read_patient(patient, &at)).transpose();
    match read {
        Ok(Some(patient)) if findings.is_empty() => {
            Ok(Question { patient, only_certain: only_certain.unwrap_or(false), count })
        }
        Ok(_) => Err(findings),
        Err(further) => {
            findings.extend(further);
            Err(findings)
        }
    }
}

/// A count, in any of the types clients use for it.
fn read_count(parameter: &Value) -> Option<usize> {
    let names = ["valueInteger", "valuePositiveInt", "valueUnsignedInt"];
    let count = names.iter().find_map(|name| parameter.get(name)).and_then(Value::as_u64)?;
    usize::try_from(count).ok().filter(|count| *count >= 1)
}

/// Reads the Patient looked for: the R4 shape, and what the profile for input asks. It needs no identifier.
fn read_patient(resource: Value, at: &Place) -> Result<Map<String, Value>, Findings> {
    if resource.get("resourceType").and_then(Value::as_str) != Some("Patient") {
        let text = "the resource to match must be a Patient";
        return Err(vec![Finding::error(Rule::Structure, at.member("resourceType"), text)]);
    }
    let mut findings = crate::schema::check(&resource, at);
    for name in ["implicitRules", "modifierExtension"] {
        if resource.get(name).is_some() {
            let text =
                format!("Patient.{name} is not allowed in the Patient to match (PDQm MatchInputPatient)");
            findings.push(Finding::error(Rule::NotSupported, at.member(name), text));
        }
    }
    match resource {
        Value::Object(patient) if findings.iter().all(|finding| finding.severity != xds::Severity::Error) => {
            Ok(patient)
        }
        _ => Err(findings),
    }
}

/// A question as an auditor is told it: without pictures, narrative, and what lies beside the patient.
pub fn written(question: &Question) -> String {
    let mut patient = question.patient.clone();
    for name in ["photo", "text", "contained"] {
        patient.shift_remove(name);
    }
    write_request(&Question { patient, ..question.clone() }).to_string()
}

/// Writes a question.
pub fn write_request(question: &Question) -> Value {
    let mut parameters = vec![json!({ "name": "resource", "resource": question.patient })];
    if question.only_certain {
        parameters.push(json!({ "name": "onlyCertainMatches", "valueBoolean": true }));
    }
    if let Some(count) = question.count {
        parameters.push(json!({ "name": "count", "valueInteger": count }));
    }
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

/// `entry.search` of a match.
pub(crate) fn write_search(scored: &Scored) -> String {
    let mut parts = Vec::with_capacity(scored.fields.len() + 2);
    for (field, says, weight) in &scored.fields {
        parts.push(json!({ "url": "field", "extension": [
            { "url": "name", "valueCode": field },
            { "url": "says", "valueString": says },
            { "url": "weight", "valueDecimal": weight },
        ]}));
    }
    parts.push(json!({ "url": "weight", "valueDecimal": scored.weight }));
    if let Some(why) = &scored.held {
        parts.push(json!({ "url": "notCertainBecause", "valueString": why }));
    }
    let search = json!({
        "extension": [
            { "url": MATCH_GRADE, "valueCode": scored.grade },
            { "url": EXPLANATION, "extension": parts },
        ],
        "mode": "match",
        "score": scored.score,
    });
    search.to_string()
}

/// A match as a reader of an answer sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// The Patient.
    pub patient: Value,
    /// `search.score`.
    pub score: Option<f64>,
    /// The code of the match-grade, empty if there is none.
    pub grade: String,
    /// What was said of the score: field, words, bits; none from servers that do not explain.
    pub fields: Vec<(String, String, f64)>,
    /// Why it is not called certain though much agrees.
    pub held: Option<String>,
}

/// Reads the matches of an answer, in order.
pub fn read_response(bundle: &Value) -> Vec<Told> {
    let entries = bundle.get("entry").and_then(Value::as_array).into_iter().flatten();
    let patients = entries.filter(|entry| entry["resource"]["resourceType"] == "Patient");
    patients.map(read_told).collect()
}

fn read_told(entry: &Value) -> Told {
    let search = &entry["search"];
    let extensions = |value: &Value| value["extension"].as_array().cloned().unwrap_or_default();
    let mut told = Told {
        patient: entry["resource"].clone(),
        score: search["score"].as_f64(),
        grade: String::new(),
        fields: Vec::new(),
        held: None,
    };
    for extension in extensions(search) {
        if extension["url"] == MATCH_GRADE {
            told.grade = extension["valueCode"].as_str().unwrap_or_default().to_owned();
        } else if extension["url"] == EXPLANATION {
            for part in extensions(&extension) {
                if part["url"] == "field" {
                    let parts = extensions(&part);
                    let text = |index: usize, name: &str| {
                        parts.get(index).and_then(|one| one[name].as_str()).unwrap_or_default().to_owned()
                    };
                    let weight =
                        parts.get(2).and_then(|one| one["valueDecimal"].as_f64()).unwrap_or_default();
                    told.fields.push((text(0, "valueCode"), text(1, "valueString"), weight));
                } else if part["url"] == "notCertainBecause" {
                    told.held = part["valueString"].as_str().map(str::to_owned);
                }
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(parameter: Value) -> Result<Question, Findings> {
        read_request(json!({ "resourceType": "Parameters", "parameter": parameter }))
    }

    fn alice() -> Value {
        json!({ "resourceType": "Patient", "name": [{ "family": "Mohr", "given": ["Alice"] }] })
    }

    #[test]
    fn a_question_is_parameters_or_a_bare_patient() {
        let bare = read_request(alice()).expect("is a Patient");
        assert_eq!((bare.only_certain, bare.count), (false, None));
        let whole = parameters(json!([
            { "name": "count", "valueInteger": 3 },
            { "name": "resource", "resource": alice() },
            { "name": "onlyCertainMatches", "valueBoolean": true },
        ]))
        .expect("is a question");
        assert_eq!((whole.only_certain, whole.count), (true, Some(3)));
        assert_eq!(whole.patient, bare.patient);
        assert_eq!(read_request(write_request(&whole)), Ok(whole));
    }

    #[test]
    fn anything_else_is_refused_with_its_place() {
        let resource = || json!({ "name": "resource", "resource": alice() });
        for (parameter, rule) in [
            (json!([]), Rule::Required),
            (json!([{ "name": "resource" }]), Rule::Required),
            (json!([{ "name": "resource", "resource": { "resourceType": "Person" } }]), Rule::Structure),
            (json!([resource(), resource()]), Rule::Value),
            (json!([resource(), { "name": "count", "valueInteger": 0 }]), Rule::Value),
            (json!([resource(), { "name": "count", "valueInteger": -1 }]), Rule::Value),
            (json!([resource(), { "name": "count", "valueString": "3" }]), Rule::Value),
            (json!([resource(), { "name": "onlyCertainMatches", "valueString": "true" }]), Rule::Value),
            (json!([resource(), { "name": "onlyCertainMatch", "valueBoolean": true }]), Rule::NotSupported),
        ] {
            let findings = parameters(parameter.clone()).expect_err("is refused");
            assert_eq!(findings[0].rule, rule, "{parameter}");
        }
        assert!(read_request(json!({ "resourceType": "Bundle" })).is_err());
        let mut ruled = alice();
        ruled["implicitRules"] = json!("http://x");
        assert!(read_request(ruled).is_err(), "implicitRules are not allowed");
    }

    #[test]
    fn an_answer_is_read_back_as_it_was_written() {
        let scored = Scored {
            full_url: "http://h/fhir/Patient/1".into(),
            resource: Bytes::from(alice().to_string()),
            score: 0.9996,
            grade: "certain",
            weight: 12.5,
            fields: vec![("family".into(), "family name equal".into(), 11.0)],
            held: Some("why".into()),
        };
        let set = crate::bundle::MatchSet { entries: vec![scored.clone()], ..Default::default() };
        let written = crate::bundle::matches(&set).concat();
        let bundle: Value = serde_json::from_slice(&written).expect("is JSON");
        let told = read_response(&bundle);
        assert_eq!(told[0].patient, alice());
        assert_eq!((told[0].score, told[0].grade.as_str()), (Some(0.9996), "certain"));
        assert_eq!((&told[0].fields, &told[0].held), (&scored.fields, &scored.held));
    }
}
