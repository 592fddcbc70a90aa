//! `DocumentReference/$docref`: the documents of a patient, as International Patient Access and US Core ask for them. The
//! question is one of ITI-67 in other words, and is answered by it.

use serde_json::Value;
use xds::filter::{Clause, Test};
use xds::{Attribute, Filter, Finding, Findings, Place, Rule, Token};

use crate::element::{items, text};
use crate::iti67;
use crate::search::{self, Here, Limits, Search, bad_value, shortened};

/// Canonical of the operation.
pub const DEFINITION: &str = "http://hl7.org/fhir/uv/ipa/OperationDefinition/docref";

/// The parameters of the operation.
const PARAMETERS: &[&str] = &["patient", "start", "end", "type", "on-demand", "profile"];

/// Reads the question. `form` holds the parameters of a POST, as [`form`] writes them.
pub fn read_request(
    query: &str,
    form: Option<&str>,
    prefer: Option<&str>,
    here: Here<'_>,
    limits: &Limits,
) -> Result<Search<Filter>, Findings> {
    let given = search::pairs(query).into_iter().chain(form.map(search::pairs).unwrap_or_default());
    let given: Vec<(String, String)> = given.filter(|(_, value)| !value.is_empty()).collect();
    let mut asked = url::form_urlencoded::Serializer::new(String::new());
    let (mut findings, mut doubts, mut honoured) = (Findings::new(), Findings::new(), Vec::new());
    let mut on_demand = false;
    let mut patients = 0;
    for (name, value) in &given {
        match name.as_str() {
            "patient" => {
                patients += 1;
                asked.append_pair("patient", value);
            }
            "start" | "end" if value.starts_with(|letter: char| letter.is_ascii_alphabetic()) => {
                findings.push(bad_value(name, "it is a date without a prefix, written like 2024-02-07"));
            }
            // What was done between both is meant, not when the documents were written.
            "start" => drop(asked.append_pair("period", &format!("ge{value}"))),
            "end" => drop(asked.append_pair("period", &format!("le{value}"))),
            "type" => drop(asked.append_pair("type", value)),
            "on-demand" if value == "true" || value == "false" => on_demand |= value == "true",
            "on-demand" => findings.push(bad_value(name, "it is true or false")),
            "profile" => {
                let text = "profile is not looked at: the registry does not know what is inside a document; use type.";
                doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
                continue;
            }
            other if other.starts_with('_') => drop(asked.append_pair(other, value)),
            other => {
                let text = format!(
                    "The parameter {} is not known to $docref; known are {}.",
                    shortened(other),
                    PARAMETERS.join(", ")
                );
                doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
                continue;
            }
        }
        if !matches!(name.as_str(), "_page" | "_format" | "_pretty") {
            honoured.push((name.clone(), value.clone()));
        }
    }
    if patients != 1 {
        let text = format!("$docref takes one patient, by id or reference; {patients} are given.");
        findings.push(Finding::error(Rule::Required, Place::at("patient"), text));
    }
    asked.append_pair("status", "current");
    let mut search = match iti67::read_request(&asked.finish(), None, prefer, here, limits) {
        Ok(search) => search,
        Err(more) => return Err([findings, more].concat()),
    };
    if search.result.strict {
        findings.extend(doubts.drain(..).map(|doubt| Finding { severity: xds::Severity::Error, ..doubt }));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    if on_demand {
        let yes = Test::Token(Token { system: None, code: Some("true".to_owned()) });
        let clause = Clause { attribute: Attribute::OnDemand, any: vec![yes], negated: false };
        search.filter.all.push(clause);
    }
    search.warnings.extend(doubts);
    search.honoured = honoured;
    Ok(search)
}

/// The parameters of a POST, as a form would hold them.
pub fn form(body: &Value) -> Result<String, Findings> {
    let refused =
        |path: String, text: String| Err(vec![Finding::error(Rule::Structure, Place::at(path), text)]);
    if text(body, "resourceType") != Some("Parameters") {
        return refused("resourceType".to_owned(), "$docref is posted as a Parameters resource.".to_owned());
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (index, parameter) in items(body, "parameter").iter().enumerate() {
        let at = format!("Parameters.parameter[{index}]");
        let Some(name) = text(parameter, "name") else {
            return refused(format!("{at}.name"), "A parameter has a name.".to_owned());
        };
        match value(parameter) {
            Some(value) => drop(form.append_pair(name, &value)),
            None => {
                let text = format!(
                    "The value of {} is a string, id, date, boolean, canonical, Coding or CodeableConcept.",
                    shortened(name)
                );
                return refused(at, text);
            }
        }
    }
    Ok(form.finish())
}

/// The value of a parameter as a search would write it.
fn value(parameter: &Value) -> Option<String> {
    let (name, value) = parameter.as_object()?.iter().find(|(name, _)| name.starts_with("value"))?;
    match name.as_str() {
        "valueCodeableConcept" => {
            let codings: Vec<String> = items(value, "coding").iter().filter_map(coding).collect();
            (!codings.is_empty()).then(|| codings.join(","))
        }
        "valueCoding" => coding(value),
        "valueReference" => text(value, "reference").map(str::to_owned),
        "valueBoolean" => value.as_bool().map(|yes| yes.to_string()),
        _ => value.as_str().map(str::to_owned),
    }
}

fn coding(value: &Value) -> Option<String> {
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('|', "\\|").replace(',', "\\,");
    let code = escaped(text(value, "code")?);
    Some(match text(value, "system") {
        Some(system) => format!("{}|{code}", escaped(system)),
        None => code,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIMITS: Limits = Limits { parameters: 64, values: 100, value_bytes: 1024, count: 1000 };

    fn ask(query: &str, form: Option<&str>) -> Result<Search<Filter>, Findings> {
        let here = Here { own: &[], home_community: None, zone: &jiff::tz::TimeZone::UTC };
        read_request(query, form, None, here, &LIMITS)
    }

    #[test]
    fn the_question_is_one_of_iti_67() {
        let asked =
            ask("patient=1&start=2020&end=2021&type=http://loinc.org|1,2&_count=3&on-demand=false", None)
                .unwrap();
        let attributes: Vec<Attribute> = asked.filter.all.iter().map(|clause| clause.attribute).collect();
        assert_eq!(
            attributes,
            [
                Attribute::ServiceTime,
                Attribute::ServiceTime,
                Attribute::TypeCode,
                Attribute::AvailabilityStatus
            ]
        );
        assert_eq!((asked.result.count, asked.honoured.len()), (3, 6));
        assert!(ask("patient=1&on-demand=true", None).unwrap().filter.all.len() == 2);
        assert_eq!(ask("patient=1&profile=http://x&status=current", None).unwrap().warnings.len(), 2);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for query in [
            "start=2020",
            "patient=1&patient=2",
            "patient=1&start=ge2020",
            "patient=1&on-demand=yes",
            "patient=1&end=2020-13",
        ] {
            assert!(ask(query, None).is_err(), "{query}");
        }
    }

    #[test]
    fn parameters_that_are_posted_say_the_same() {
        let body = json!({ "resourceType": "Parameters", "parameter": [
            { "name": "patient", "valueId": "1" },
            { "name": "start", "valueDate": "2020" },
            { "name": "type", "valueCodeableConcept": { "coding": [{ "system": "a|b", "code": "c,d" }, { "code": "e" }] } },
            { "name": "on-demand", "valueBoolean": true }
        ] });
        let posted = ask("", Some(&form(&body).unwrap())).unwrap();
        let got = ask(r"patient=1&start=2020&type=a\|b|c\,d,e&on-demand=true", None).unwrap();
        assert_eq!(posted.filter, got.filter);
        assert!(form(&json!({ "resourceType": "Patient" })).is_err());
        assert!(
            form(&json!({ "resourceType": "Parameters", "parameter": [{ "name": "patient" }] })).is_err()
        );
    }
}
