//! Patient Identity Feed FHIR [ITI-104]: the conditional update, and how its condition is written.

use serde_json::Value;
use xds::authority::Authorities;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::patient::{self, Patient};
use crate::search::shortened;

/// What a source feeds: the identifier it knows the patient by, and the patient.
#[derive(Debug, Clone)]
pub struct Feed {
    /// From the URL; always with system and value.
    pub identifier: Identifier,
    /// From the body.
    pub patient: Patient,
}

/// Reads the condition of a conditional update: exactly one `identifier=system|value`.
pub fn read_condition(query: &str) -> Result<Identifier, Findings> {
    let mut found = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match name.as_ref() {
            "identifier" => found.push(value.into_owned()),
            // About the answer, not about who is meant.
            "_format" | "_pretty" | "_summary" | "_elements" => {}
            other => {
                let text = format!(
                    "a Patient is fed under its identifier only; the condition '{}' is not supported",
                    shortened(other)
                );
                return Err(vec![Finding::error(Rule::NotSupported, Place::whole(), text)]);
            }
        }
    }
    let [value] = found.as_slice() else {
        let text = if found.is_empty() {
            "the condition is missing that says which Patient is meant: [base]/Patient?identifier=system|value, for PUT \
             and DELETE alike"
        } else {
            "the condition must have exactly one identifier"
        };
        return Err(vec![Finding::error(Rule::Required, Place::whole(), text)]);
    };
    read_identifier(value).ok_or_else(|| {
        let text = "the condition must be identifier=system|value, one identifier with both parts";
        vec![Finding::error(Rule::Value, Place::whole(), text)]
    })
}

/// One `system|value` with both parts; escapes resolved, alternatives refused.
fn read_identifier(value: &str) -> Option<Identifier> {
    let mut parts = vec![String::new()];
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let part = parts.last_mut().expect("begins with one part");
        match character {
            '\\' => part.push(characters.next()?),
            '|' => parts.push(String::new()),
            ',' => return None,
            other => part.push(other),
        }
    }
    let [system, value] = parts.as_slice() else { return None };
    if system.trim().is_empty() || value.trim().is_empty() {
        return None;
    }
    Some(Identifier { system: patient::canonical_system(system), value: value.clone() })
}

/// Reads a feed: the condition, the body, and that both speak of one patient. `own` is the base of this server, under which
/// a patient goes by its id here (`identifier={own}|Patient/{id}`); `authorities` say which spellings of a domain are one.
pub fn read_request(
    query: &str,
    body: Value,
    own: &str,
    authorities: &Authorities,
) -> Result<Feed, Findings> {
    let identifier = read_condition(query)?;
    let canonical = authorities.identifier(&identifier);
    let at = Place::at("Patient");
    let id = body.get("id").and_then(Value::as_str).map(str::to_owned);
    let mut patient = patient::read(body, &at)?;
    check_values(&patient, &at)?;
    if !patient.identifiers.iter().any(|stated| authorities.identifier(stated) == canonical) {
        if id.is_some_and(|id| identifier.value == format!("Patient/{id}")) {
            // The source's own server as the domain: its base and the resource's id there (PIXm 2:3.104.4.1.2).
            if identifier.system != own {
                patient.add_identifier(&identifier);
            }
        } else {
            let text = format!(
                "the condition names {}|{}, which is not among the identifiers of the Patient sent",
                identifier.system, identifier.value
            );
            return Err(vec![Finding::error(Rule::Value, at.member("identifier"), text)]);
        }
    }
    Ok(Feed { identifier, patient })
}

/// Padded and unpadded, an identifier would name two patients.
fn check_values(patient: &Patient, at: &Place) -> Result<(), Findings> {
    let items = patient.resource.get("identifier").and_then(Value::as_array).into_iter().flatten();
    let is_padded =
        |item: &Value| item.get("value").and_then(Value::as_str).is_some_and(|value| value != value.trim());
    let padded = items.enumerate().filter(|(_, item)| is_padded(item)).map(|(index, _)| {
        let text = "the value begins or ends with a space, and so would name another patient than without it; send it without. \
                    Nothing was stored";
        Finding::error(Rule::Value, at.member("identifier").item(index).member("value"), text)
    });
    let findings: Findings = padded.collect();
    if findings.is_empty() { Ok(()) } else { Err(findings) }
}

/// The path and query of a feed, below the base.
pub fn write_path(identifier: &Identifier) -> String {
    let token = format!("{}|{}", escaped(&identifier.system), escaped(&identifier.value));
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("identifier", &token);
    format!("/Patient?{}", query.finish())
}

/// A token component with the characters escaped that separate components (R4 3.1.1.4.0.1).
fn escaped(component: &str) -> String {
    let mut text = String::with_capacity(component.len());
    for character in component.chars() {
        if matches!(character, '\\' | '|' | ',' | '$') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const OWN: &str = "http://localhost:8083/fhir";

    fn identifier(system: &str, value: &str) -> Identifier {
        Identifier { system: system.to_owned(), value: value.to_owned() }
    }

    fn body(system: &str, value: &str) -> Value {
        json!({
            "resourceType": "Patient", "id": "123",
            "identifier": [{ "system": system, "value": value }],
            "name": [{ "family": "Mohr" }]
        })
    }

    #[test]
    fn the_condition_is_one_identifier_however_it_is_escaped() {
        let red = identifier("urn:oid:1.3.6.1.4.1.21367.13.20.1000", "IHERED-994");
        for query in [
            "identifier=urn:oid:1.3.6.1.4.1.21367.13.20.1000|IHERED-994",
            "identifier=urn%3Aoid%3A1.3.6.1.4.1.21367.13.20.1000%7CIHERED-994",
            "_format=json&identifier=1.3.6.1.4.1.21367.13.20.1000%7CIHERED-994",
        ] {
            assert_eq!(read_condition(query), Ok(red.clone()), "{query}");
        }
    }

    #[test]
    fn anything_but_one_whole_identifier_is_refused() {
        for (query, rule) in [
            ("", Rule::Required),
            ("identifier=a|1&identifier=b|2", Rule::Required),
            ("identifier=a|1,b|2", Rule::Value),
            ("identifier=1", Rule::Value),
            ("identifier=|1", Rule::Value),
            ("identifier=a|", Rule::Value),
            ("family=Mohr", Rule::NotSupported),
        ] {
            let findings = read_condition(query).expect_err(query);
            assert_eq!(findings.first().map(|finding| finding.rule), Some(rule), "{query}");
        }
    }

    #[test]
    fn the_path_of_a_feed_is_read_back_as_the_same_identifier() {
        for given in [identifier("urn:oid:1.2", "a&b|c,d$e\\f +ü"), identifier("http://x/y?z", "1")] {
            let path = write_path(&given);
            let query = path.strip_prefix("/Patient?").expect("begins with the type");
            assert_eq!(read_condition(query), Ok(given));
        }
    }

    #[test]
    fn condition_and_body_must_speak_of_one_patient() {
        let findings =
            read_request("identifier=urn:oid:1.2|A", body("urn:oid:1.2", "B"), OWN, &Authorities::default())
                .expect_err("two patients");
        assert_eq!(findings[0].rule, Rule::Value);
        assert!(findings[0].text.contains("urn:oid:1.2|A"), "{}", findings[0].text);
    }

    #[test]
    fn a_source_may_use_its_own_server_as_the_domain() {
        let feed = read_request(
            "identifier=http://source.example/fhir|Patient/123",
            body("urn:oid:1.2", "B"),
            OWN,
            &Authorities::default(),
        )
        .expect("its id is in the body");
        assert!(feed.patient.identifiers.contains(&identifier("http://source.example/fhir", "Patient/123")));
        assert_eq!(feed.patient.resource["identifier"][1]["value"], "Patient/123");
    }

    #[test]
    fn our_own_server_is_not_written_down_as_a_domain() {
        let query = format!("identifier={OWN}|Patient/123");
        let feed = read_request(&query, body("urn:oid:1.2", "B"), OWN, &Authorities::default())
            .expect("its id is in the body");
        assert_eq!(feed.patient.identifiers, [identifier("urn:oid:1.2", "B")]);
    }

    proptest::proptest! {
        #[test]
        fn any_identifier_survives_the_trip_through_a_path(
            system in "[a-zA-Z:/.|,$\\\\&=+%# ]{0,20}[a-z]",
            value in "\\PC{0,20}[a-z|,]",
        ) {
            let given = identifier(&system, &value);
            let path = write_path(&given);
            let query = path.strip_prefix("/Patient?").expect("begins with the type");
            proptest::prop_assert_eq!(read_condition(query), Ok(given));
        }

        #[test]
        fn no_query_makes_the_reader_fall(query in "\\PC{0,60}") {
            let _ = read_condition(&query);
        }
    }
}
