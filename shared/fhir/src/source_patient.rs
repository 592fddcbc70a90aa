//! sourcePatientInfo: lines `PID-n|value` in XDS, a contained Patient in FHIR (spec 4.4).

use std::borrow::Cow;

use serde_json::{Value, json};
use xds::Identifier;
use xds::hl7::{Cx, Xcn, escape, unescape};

use crate::element::{self, identifier, items, text};
use crate::people::{human_name, name_of, said};

/// Administrative sex (HL7 table 0001) and gender of FHIR.
const GENDERS: &[(&str, &str)] =
    &[("M", "male"), ("F", "female"), ("O", "other"), ("U", "unknown"), ("A", "other")];

/// The lines a Patient stands for.
pub(crate) fn read(patient: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for name in items(patient, "identifier").iter().filter_map(identifier) {
        lines.push(format!("PID-3|{}", Cx { type_code: None, ..Cx::of(&name) }.write()));
    }
    for name in items(patient, "name") {
        lines.push(format!("PID-5|{}", xpn(&name_of(name))));
    }
    if let Some(born) = text(patient, "birthDate") {
        lines.push(format!("PID-7|{}", born.replace('-', "")));
    }
    let gender = text(patient, "gender").and_then(|gender| GENDERS.iter().find(|(_, word)| *word == gender));
    if let Some((sex, _)) = gender {
        lines.push(format!("PID-8|{sex}"));
    }
    for address in items(patient, "address") {
        lines.push(format!("PID-11|{}", xad(address)));
    }
    lines.retain(|line| !line.ends_with('|'));
    // The one name the source has for the patient is sourcePatientId, and says nothing more here.
    if matches!(lines.as_slice(), [only] if only.starts_with("PID-3|")) {
        lines.clear();
    }
    lines
}

/// A person's name: as XCN without the id.
fn xpn(name: &Xcn) -> String {
    name.write().strip_prefix('^').unwrap_or_default().to_owned()
}

/// Street, other designation, city, state, postal code, country.
fn xad(address: &Value) -> String {
    let line = |at: usize| items(address, "line").get(at).and_then(Value::as_str).unwrap_or_default();
    let member = |name: &str| text(address, name).unwrap_or_default();
    let parts = [line(0), line(1), member("city"), member("state"), member("postalCode"), member("country")];
    let mut out = parts.map(escape).join("^");
    out.truncate(out.trim_end_matches('^').len());
    out
}

/// The Patient that sourcePatientId and sourcePatientInfo stand for, as far as FHIR has words for it.
pub(crate) fn write(ids: &[Identifier], lines: &[String], id: &str) -> Value {
    let mut identifiers: Vec<Identifier> = ids.to_vec();
    let (mut names, mut addresses) = (Vec::new(), Vec::new());
    let (mut born, mut gender) = (None, None);
    for (field, value) in lines.iter().filter_map(|line| line.split_once('|')) {
        for value in value.split('~') {
            match field {
                "PID-3" => {
                    let name = Cx::read(value).map(|cx| cx.identifier());
                    identifiers
                        .extend(name.filter(|name| !ids.contains(name) && said(&name.value).is_some()));
                }
                "PID-5" => names.extend(human_name(&Xcn::read(&format!("^{value}")))),
                "PID-7" => born = born.or_else(|| date(value)),
                "PID-8" => {
                    let word = GENDERS.iter().find(|(sex, _)| *sex == value).map(|(_, word)| *word);
                    gender = gender.or(word);
                }
                "PID-11" => addresses.extend(address(value)),
                _ => {}
            }
        }
    }
    let mut patient = json!({ "resourceType": "Patient", "id": id });
    let identifiers: Vec<Value> = identifiers.iter().map(element::identifier_value).collect();
    let some = |values: Vec<Value>| (!values.is_empty()).then_some(values);
    element::put(&mut patient, "identifier", some(identifiers));
    element::put(&mut patient, "name", some(names));
    element::put(&mut patient, "gender", gender);
    element::put(&mut patient, "birthDate", born);
    element::put(&mut patient, "address", some(addresses));
    patient
}

/// The day in a DTM.
fn date(written: &str) -> Option<String> {
    xds::hl7::dtm::read(written)?;
    let parts = [written.get(..4), written.get(4..6), written.get(6..8)];
    Some(parts.into_iter().flatten().collect::<Vec<_>>().join("-"))
}

fn address(written: &str) -> Option<Value> {
    let parts: Vec<Cow<'_, str>> = written.split('^').map(unescape).collect();
    let part = |at: usize| parts.get(at - 1).and_then(|part| said(part));
    let lines: Vec<&str> = [part(1), part(2)].into_iter().flatten().collect();
    let mut address = json!({});
    element::put(&mut address, "line", (!lines.is_empty()).then(|| json!(lines)));
    for (name, at) in [("city", 3), ("state", 4), ("postalCode", 5), ("country", 6)] {
        element::put(&mut address, name, part(at));
    }
    address.as_object().is_some_and(|members| !members.is_empty()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_patient_comes_back() {
        let id = Identifier { system: "urn:oid:1.2.3".to_owned(), value: "pid1".to_owned() };
        let lines = [
            "PID-3|pid1^^^&1.2.3&ISO",
            "PID-5|Doe^John^Q^Jr.^Dr.",
            "PID-7|19560527",
            "PID-8|M",
            "PID-11|100 Main St^^Metropolis^Il^44130^USA",
        ]
        .map(str::to_owned);
        let patient = write(&[id], &lines, "p");
        assert_eq!(read(&patient), lines);
        assert_eq!(patient["birthDate"], "1956-05-27");
        assert_eq!(patient["name"][0]["family"], "Doe");
    }

    #[test]
    fn repetitions_are_names_and_identifiers_each() {
        let lines = ["PID-3|1^^^&1.2&ISO~2^^^&1.2&ISO", "PID-5|A^B~C^D", "PID-7|195605"].map(str::to_owned);
        let patient = write(&[], &lines, "p");
        assert_eq!(
            (patient["identifier"].as_array().unwrap().len(), patient["name"].as_array().unwrap().len()),
            (2, 2)
        );
        assert_eq!(patient["birthDate"], "1956-05");
    }
}
