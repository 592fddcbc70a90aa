//! What a message tells of a person (patientPerson), as members of a FHIR Patient, and back.

use ebxml::{Element, Writer};
use serde_json::{Map, Value, json};

use crate::{InstanceId, NAMESPACE, address, find, name, telecom, value};

/// The extension that carries the mother's maiden name.
const MAIDEN_NAME: &str = "http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName";
/// Codes of roles and relationships.
const ROLES: &str = "http://terminology.hl7.org/CodeSystem/v3-RoleCode";
const ROLES_OID: &str = "2.16.840.1.113883.5.111";
const GENDERS_OID: &str = "2.16.840.1.113883.5.1";
const MARITAL: &str = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus";
const MARITAL_OID: &str = "2.16.840.1.113883.5.2";
/// Id of the mother among what a Patient contains.
const MOTHER: &str = "mother";
/// Characters of a code.
const LONGEST_CODE: usize = 32;

/// The system of the identifiers that a root gives out; none: it is not known here.
pub(crate) type Systems<'a> = &'a dyn Fn(&InstanceId) -> Option<String>;

/// The root that gives out the identifiers of a system; none: it is no OID.
pub(crate) type Roots<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Members of a Patient resource, without its identifiers. Those of the mother are kept where their system is known.
pub(crate) fn read(person: &Element, system: Systems<'_>) -> Map<String, Value> {
    let mut about = Map::new();
    let all = |element: &str, read: fn(&Element) -> Option<Value>| -> Vec<Value> {
        person.children_named(NAMESPACE, element).filter_map(read).collect()
    };
    let of_person =
        |name: &str, attribute: &str| find(person, &[name]).map(|element| value(element, attribute));
    for (member, values) in [("name", all("name", name::read)), ("telecom", all("telecom", telecom::read))] {
        if !values.is_empty() {
            about.insert(member.to_owned(), Value::Array(values));
        }
    }
    let gender = match of_person("administrativeGenderCode", "code").as_deref() {
        Some("M") => Some("male"),
        Some("F") => Some("female"),
        Some("UN" | "O") => Some("other"),
        Some("U" | "UNK") => Some("unknown"),
        _ => None,
    };
    if let Some(gender) = gender {
        about.insert("gender".to_owned(), json!(gender));
    }
    let day = |name: &str| of_person(name, "value").and_then(|told| xds::hl7::birth_date(&told));
    if let Some(day) = day("birthTime") {
        about.insert("birthDate".to_owned(), json!(day));
    }
    let flag = |name: &str| of_person(name, "value").and_then(|told| told.parse::<bool>().ok());
    if let Some(day) = day("deceasedTime") {
        about.insert("deceasedDateTime".to_owned(), json!(day));
    } else if let Some(is_dead) = flag("deceasedInd") {
        about.insert("deceasedBoolean".to_owned(), json!(is_dead));
    }
    let order = of_person("multipleBirthOrderNumber", "value").and_then(|told| told.parse::<u8>().ok());
    if let Some(order) = order.filter(|order| *order > 0) {
        about.insert("multipleBirthInteger".to_owned(), json!(order));
    } else if let Some(is_multiple) = flag("multipleBirthInd") {
        about.insert("multipleBirthBoolean".to_owned(), json!(is_multiple));
    }
    let addresses = all("addr", address::read);
    if !addresses.is_empty() {
        about.insert("address".to_owned(), Value::Array(addresses));
    }
    if let Some(code) = of_person("maritalStatusCode", "code").filter(|code| is_code(code)) {
        let coding = json!([{ "system": MARITAL, "code": code }]);
        about.insert("maritalStatus".to_owned(), json!({ "coding": coding }));
    }
    let languages: Vec<Value> = person
        .children_named(NAMESPACE, "languageCommunication")
        .filter_map(|element| Some(value(find(element, &["languageCode"])?, "code")))
        .filter(|code| is_code(code))
        .map(|code| json!({ "language": { "coding": [{ "system": "urn:ietf:bcp:47", "code": code }] } }))
        .collect();
    if !languages.is_empty() {
        about.insert("communication".to_owned(), Value::Array(languages));
    }
    read_mother(person, system, &mut about);
    about
}

fn is_code(code: &str) -> bool {
    (1..=LONGEST_CODE).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// The mother: her family name as the extension for it, and who she is, where an identifier says so, as a RelatedPerson.
fn read_mother(person: &Element, system: Systems<'_>, about: &mut Map<String, Value>) {
    let mut relations = person.children_named(NAMESPACE, "personalRelationship");
    let is_mother =
        |relation: &&Element| find(relation, &["code"]).is_some_and(|code| value(code, "code") == "MTH");
    let Some(relation) = relations.find(is_mother) else { return };
    let holder = find(relation, &["relationshipHolder1"]);
    let names: Vec<Value> = holder
        .into_iter()
        .flat_map(|holder| holder.children_named(NAMESPACE, "name"))
        .filter_map(name::read)
        .collect();
    let family = |name: &Value| {
        let part = name.get("family").or_else(|| name.get("text"))?;
        part.as_str().map(str::to_owned)
    };
    let maiden = names.iter().find(|name| name.get("use").and_then(Value::as_str) == Some("maiden"));
    if let Some(family) = maiden.or(names.first()).and_then(family) {
        about.insert("extension".to_owned(), json!([{ "url": MAIDEN_NAME, "valueString": family }]));
    }
    let ids = InstanceId::all(holder, "id").into_iter().chain(InstanceId::all(Some(relation), "id"));
    let identifiers: Vec<Value> = ids
        .filter(|id| !id.extension.is_empty())
        .filter_map(|id| Some(json!({ "system": system(&id)?, "value": xds::hl7::clean(&id.extension) })))
        .collect();
    if identifiers.is_empty() {
        return;
    }
    let mut mother = Map::new();
    mother.insert("resourceType".to_owned(), json!("RelatedPerson"));
    mother.insert("id".to_owned(), json!(MOTHER));
    mother.insert("identifier".to_owned(), Value::Array(identifiers));
    mother.insert("patient".to_owned(), json!({ "reference": "#" }));
    mother.insert("relationship".to_owned(), json!([{ "coding": [{ "system": ROLES, "code": "MTH" }] }]));
    if !names.is_empty() {
        mother.insert("name".to_owned(), Value::Array(names));
    }
    about.insert("contained".to_owned(), json!([mother]));
}

/// How much of a person is written: a merge names who survives, and no more (PRPA_MT201303UV02).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Whole,
    Names,
}

/// Writes a person, in the order of the schema.
pub(crate) fn write(
    xml: &mut Writer,
    patient: &Map<String, Value>,
    others: &[InstanceId],
    (extent, roots): (Extent, Roots<'_>),
) {
    let text = |member: &str| patient.get(member).and_then(Value::as_str);
    let list =
        |member: &str| patient.get(member).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    xml.start("patientPerson").attribute("classCode", "PSN").attribute("determinerCode", "INSTANCE");
    name::write_all(xml, patient.get("name"));
    if extent == Extent::Names {
        xml.end();
        return;
    }
    for point in list("telecom") {
        telecom::write(xml, point);
    }
    match text("gender") {
        Some("male") => coded(xml, "administrativeGenderCode", "M", GENDERS_OID),
        Some("female") => coded(xml, "administrativeGenderCode", "F", GENDERS_OID),
        Some("other") => coded(xml, "administrativeGenderCode", "UN", GENDERS_OID),
        Some(_) => {
            xml.start("administrativeGenderCode").attribute("nullFlavor", "UNK").end();
        }
        None => {}
    }
    if let Some(born) = text("birthDate") {
        xml.start("birthTime").attribute("value", &digits(born)).end();
    }
    let flag = |member: &str| patient.get(member).and_then(Value::as_bool);
    if let Some(is_dead) = flag("deceasedBoolean") {
        xml.start("deceasedInd").attribute("value", if is_dead { "true" } else { "false" }).end();
    } else if let Some(died) = text("deceasedDateTime") {
        xml.start("deceasedTime").attribute("value", &digits(died)).end();
    }
    if let Some(is_multiple) = flag("multipleBirthBoolean") {
        xml.start("multipleBirthInd").attribute("value", if is_multiple { "true" } else { "false" }).end();
    } else if let Some(order) = patient.get("multipleBirthInteger").and_then(Value::as_u64) {
        xml.start("multipleBirthInd").attribute("value", "true").end();
        xml.start("multipleBirthOrderNumber").attribute("value", &order.to_string()).end();
    }
    for address in list("address") {
        address::write(xml, address);
    }
    let marital = patient.get("maritalStatus").and_then(|concept| code_of(concept, MARITAL));
    if let Some(code) = marital {
        coded(xml, "maritalStatusCode", &code, MARITAL_OID);
    }
    for id in others {
        xml.start("asOtherIDs").attribute("classCode", "PAT");
        id.write(xml);
        xml.start("scopingOrganization")
            .attribute("classCode", "ORG")
            .attribute("determinerCode", "INSTANCE");
        InstanceId::new(&id.root, "").write(xml);
        xml.end().end();
    }
    write_mother(xml, patient, roots);
    for spoken in list("communication") {
        if let Some(code) = spoken.get("language").and_then(|concept| code_of(concept, "")) {
            xml.start("languageCommunication");
            xml.start("languageCode").attribute("code", &code).end();
            xml.end();
        }
    }
    xml.end();
}

fn coded(xml: &mut Writer, name: &'static str, code: &str, system: &str) {
    xml.start(name).attribute("code", code).attribute("codeSystem", system).end();
}

/// The digits of a date or time of FHIR, down to the day.
fn digits(date: &str) -> String {
    date.split('T').next().unwrap_or(date).chars().filter(char::is_ascii_digit).collect()
}

/// The first code of a system (of any, where it is empty).
fn code_of(concept: &Value, system: &str) -> Option<String> {
    let codings = concept.get("coding")?.as_array()?;
    let text = |coding: &Value, member: &str| coding.get(member).and_then(Value::as_str).map(str::to_owned);
    let fits = |coding: &&Value| system.is_empty() || text(coding, "system").as_deref() == Some(system);
    text(codings.iter().find(fits)?, "code")
}

/// Writes who the mother is: from the RelatedPerson that says so, or by her family name alone.
fn write_mother(xml: &mut Writer, patient: &Map<String, Value>, roots: Roots<'_>) {
    let list =
        |of: &Value, member: &str| of.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    let contained = patient.get("contained").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_mother = |one: &&Value| {
        one.get("resourceType").and_then(Value::as_str) == Some("RelatedPerson")
            && list(one, "relationship").iter().any(|role| code_of(role, ROLES).as_deref() == Some("MTH"))
    };
    let mother = contained.iter().find(is_mother);
    let extensions =
        patient.get("extension").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let maiden = extensions
        .iter()
        .find(|extension| extension.get("url").and_then(Value::as_str) == Some(MAIDEN_NAME))
        .and_then(|extension| extension.get("valueString")?.as_str());
    if mother.is_none() && maiden.is_none() {
        return;
    }
    xml.start("personalRelationship").attribute("classCode", "PRS");
    coded(xml, "code", "MTH", ROLES_OID);
    xml.start("relationshipHolder1").attribute("classCode", "PSN").attribute("determinerCode", "INSTANCE");
    for identifier in mother.map(|mother| list(mother, "identifier")).unwrap_or_default() {
        let text = |member: &str| identifier.get(member).and_then(Value::as_str);
        if let (Some(root), Some(value)) = (text("system").and_then(roots), text("value")) {
            InstanceId::new(root, value).write(xml);
        }
    }
    let names = mother.map(|mother| list(mother, "name")).unwrap_or_default();
    let is_told =
        |family: &str| names.iter().any(|name| name.get("family").and_then(Value::as_str) == Some(family));
    // The maiden name comes first: it is what receivers look for here.
    if let Some(family) = maiden.filter(|family| !is_told(family)) {
        name::write(xml, &json!({ "family": family, "use": "maiden" }));
    }
    for name in &names {
        name::write(xml, name);
    }
    xml.end().end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::element;

    fn roots(system: &str) -> Option<String> {
        system.strip_prefix("urn:oid:").map(str::to_owned)
    }

    fn trip(patient: &Value) -> Value {
        let mut xml = Writer::default();
        xml.start("a").attribute("xmlns", NAMESPACE);
        write(&mut xml, patient.as_object().expect("it is one"), &[], (Extent::Whole, &roots));
        let written = element(&String::from_utf8(xml.finish()).expect("it is UTF-8"));
        let system = |id: &InstanceId| Some(format!("urn:oid:{}", id.root));
        Value::Object(read(&written.children[0], &system))
    }

    #[test]
    fn a_person_comes_back_as_it_was() {
        let patient = json!({
            "name": [{ "family": "Muster", "given": ["Maja"] }, { "family": "Tauxe", "use": "maiden" }],
            "telecom": [{ "system": "phone", "value": "012", "use": "home" }],
            "gender": "female", "birthDate": "1960-06-18", "deceasedBoolean": false, "multipleBirthInteger": 2,
            "address": [{ "line": ["Imfeldstrasse 24b"], "city": "Wettingen", "country": "CH" }],
            "maritalStatus": { "coding": [{ "system": MARITAL, "code": "M" }] },
            "communication": [{ "language": { "coding": [{ "system": "urn:ietf:bcp:47", "code": "de" }] } }],
            "extension": [{ "url": MAIDEN_NAME, "valueString": "Berger" }]
        });
        assert_eq!(trip(&patient), patient);
    }

    #[test]
    fn a_mother_with_an_identifier_is_a_person_of_her_own() {
        let patient = json!({
            "name": [{ "given": ["Baby"] }],
            "extension": [{ "url": MAIDEN_NAME, "valueString": "Berger" }],
            "contained": [{
                "resourceType": "RelatedPerson", "id": "mother",
                "identifier": [{ "system": "urn:oid:1.2.3", "value": "M-1" }],
                "patient": { "reference": "#" },
                "relationship": [{ "coding": [{ "system": ROLES, "code": "MTH" }] }],
                "name": [{ "family": "Berger", "given": ["Anna"] }]
            }]
        });
        assert_eq!(trip(&patient), patient);
    }
}
