//! The metadata a CDA document says of itself (PCC TF-2 4.1.1).

use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use xds::{Code, EntryUuid};

use super::header::Node;
use super::{FORMATS, MIME_TYPE_SUFFICIENT, Maps, Taken, complete, concept, mapped_format, pruned};
use crate::element::{self, URI, coding_value};

/// Templates everybody knows, with the format of a structured body and of another one.
const KNOWN_FORMATS: &[(&str, &str, &str)] = &[
    (
        "2.16.840.1.113883.10.20.22.1.1",
        "urn:hl7-org:sdwg:ccda-structuredBody:2.1",
        "urn:hl7-org:sdwg:ccda-nonXMLBody:2.1",
    ),
    ("1.3.6.1.4.1.19376.1.5.3.1.1.2", "urn:ihe:pcc:xds-ms:2007", "urn:ihe:pcc:xds-ms:2007"),
    ("1.3.6.1.4.1.19376.1.2.20", "urn:ihe:iti:xds-sd:text:2008", "urn:ihe:iti:xds-sd:pdf:2008"),
];
/// The template of a consent that changes confidentiality.
const CONSENT: &str = "1.3.6.1.4.1.19376.1.5.3.1.2.5";
const LOINC: &str = "2.16.840.1.113883.6.1";

/// Takes what the header says.
pub(super) fn take(
    document: &Node,
    content_type: &str,
    maps: &Maps,
    zone: &TimeZone,
) -> Result<Taken, String> {
    let Some(master) = document.at(&["id"]).and_then(instance_identifier) else {
        return Err("The CDA document has no id with a root; its uniqueId is made of it.".to_owned());
    };
    let Some(role) = document.at(&["recordTarget", "patientRole"]) else {
        return Err("The CDA document names no patient (recordTarget).".to_owned());
    };
    let patient = patient(role);
    if patient.get("identifier").is_none() {
        return Err(
            "The CDA document names its patient (recordTarget) by no id with root and extension.".to_owned()
        );
    }
    let kind = document.at(&["code"]).and_then(|code| coded(code, Some(LOINC)));
    let mut contained = Vec::new();
    let authors: Vec<Value> =
        document.all("author").filter_map(|author| self::author(author, &mut contained)).collect();
    let authenticator = document
        .at(&["legalAuthenticator", "assignedEntity"])
        .and_then(|entity| person(entity, "assignedPerson", &mut contained));
    let mut source = patient.clone();
    element::put(&mut source, "id", Some("patient"));
    contained.push(source);
    let time = |path: &[&str]| {
        document.at(path).and_then(|node| node.attribute("value")).and_then(|ts| time(ts, zone))
    };
    let event = document.at(&["documentationOf", "serviceEvent"]);
    let within = |path: &[&str]| {
        event
            .and_then(|event| event.at(path))
            .and_then(|node| node.attribute("value"))
            .and_then(|ts| self::time(ts, zone))
    };
    let facility =
        document.at(&["componentOf", "encompassingEncounter", "location", "healthCareFacility", "code"]);
    let events = document.all("documentationOf").filter_map(|one| one.at(&["serviceEvent", "code"]));
    let context = json!({
        "event": events.filter_map(|code| coded(code, None)).map(|code| concept(&code)).collect::<Vec<_>>(),
        "period": pruned(json!({
            "start": within(&["effectiveTime", "low"]).or_else(|| within(&["effectiveTime"])),
            "end": within(&["effectiveTime", "high"]),
        })),
        "facilityType": facility.and_then(|code| coded(code, None)).map(|code| concept(&code)),
        "sourcePatientInfo": { "reference": "#patient" },
    });
    let attachment = pruned(json!({
        "contentType": content_type,
        "language": document.at(&["languageCode"]).and_then(|code| code.attribute("code")),
        "title": document.at(&["title"]).map(Node::words),
        "creation": time(&["effectiveTime"]),
    }));
    let mut reference = pruned(json!({
        "resourceType": "DocumentReference",
        "contained": contained,
        "masterIdentifier": master,
        "status": "current",
        "type": kind.as_ref().map(concept),
        "category": Value::Null,
        "author": authors,
        "authenticator": authenticator,
        "securityLabel": confidentiality(document),
        "content": [{ "attachment": attachment, "format": format(document, maps) }],
        "context": pruned(context),
    }));
    complete(&mut reference, kind.as_ref(), None, maps);
    Ok(Taken { reference, patient: Some(patient) })
}

/// An II as an Identifier: root and extension, or an OID or UUID alone.
fn instance_identifier(id: &Node) -> Option<Value> {
    let root = id.attribute("root")?;
    let urn = match EntryUuid::parse(root) {
        Some(uuid) => format!("urn:uuid:{}", uuid.as_str()),
        None => format!("urn:oid:{root}"),
    };
    Some(match id.attribute("extension") {
        Some(extension) => json!({ "system": urn, "value": extension }),
        None => json!({ "system": URI, "value": urn }),
    })
}

/// A CD or CE as a code; `default` is the system where none is said.
fn coded(node: &Node, default: Option<&str>) -> Option<Code> {
    let code = node.attribute("code")?;
    let oid = node.attribute("codeSystem").or(default).unwrap_or_default();
    let system = xds::attribute::url_of_oid(oid)
        .map_or_else(|| if oid.is_empty() { String::new() } else { format!("urn:oid:{oid}") }, str::to_owned);
    Some(Code { system, code: code.to_owned(), display: node.attribute("displayName").map(str::to_owned) })
}

fn patient(role: &Node) -> Value {
    let identifiers: Vec<Value> = role
        .all("id")
        .filter(|id| id.attribute("extension").is_some())
        .filter_map(instance_identifier)
        .collect();
    let person = role.at(&["patient"]);
    let gender = person
        .and_then(|person| person.at(&["administrativeGenderCode"]))
        .and_then(|code| code.attribute("code"));
    let gender = gender.and_then(|code| match code {
        "M" => Some("male"),
        "F" => Some("female"),
        "UN" => Some("other"),
        _ => None,
    });
    let born = person.and_then(|person| person.at(&["birthTime"])).and_then(|time| time.attribute("value"));
    pruned(json!({
        "resourceType": "Patient",
        "identifier": identifiers,
        "name": person.into_iter().flat_map(|person| person.all("name")).map(name).collect::<Vec<_>>(),
        "gender": gender,
        "birthDate": born.and_then(date),
    }))
}

/// A PN as a HumanName.
fn name(node: &Node) -> Value {
    let all =
        |part: &str| node.all(part).map(Node::words).filter(|word| !word.is_empty()).collect::<Vec<_>>();
    let family = all("family").join(" ");
    let text = if family.is_empty() { node.words() } else { String::new() };
    pruned(
        json!({ "text": text, "family": family, "given": all("given"), "prefix": all("prefix"), "suffix": all("suffix") }),
    )
}

/// An author, with their organization and role; a device, or an organization, where that wrote it.
fn author(author: &Node, contained: &mut Vec<Value>) -> Option<Value> {
    let assigned = author.at(&["assignedAuthor"])?;
    let person = match assigned.at(&["assignedAuthoringDevice"]) {
        Some(device) => {
            let name = device
                .at(&["softwareName"])
                .or_else(|| device.at(&["manufacturerModelName"]))
                .map(Node::words);
            let names =
                name.filter(|name| !name.is_empty()).map(|name| json!([{ "name": name, "type": "other" }]));
            Some(add(
                "Device",
                json!({ "identifier": identifiers(assigned), "deviceName": names }),
                contained,
            ))
        }
        None => self::person(assigned, "assignedPerson", contained),
    };
    let organization =
        assigned.at(&["representedOrganization"]).and_then(|node| organization(node, contained));
    let role = author.at(&["functionCode"]).or_else(|| author.at(&["participationFunction"]));
    let role = role.and_then(|code| coded(code, None));
    let specialty = assigned.at(&["code"]).and_then(|code| coded(code, None));
    let is_device = assigned.at(&["assignedAuthoringDevice"]).is_some();
    if is_device || (organization.is_none() && role.is_none() && specialty.is_none()) {
        return person.or(organization);
    }
    if person.is_none() && role.is_none() && specialty.is_none() {
        return organization;
    }
    let concepts = |code: Option<Code>| code.map(|code| json!([concept(&code)]));
    let role = json!({
        "practitioner": person,
        "organization": organization,
        "code": concepts(role),
        "specialty": concepts(specialty),
    });
    Some(add("PractitionerRole", role, contained))
}

fn person(assigned: &Node, role: &str, contained: &mut Vec<Value>) -> Option<Value> {
    let names: Vec<Value> = assigned.at(&[role])?.all("name").map(name).collect();
    Some(add("Practitioner", json!({ "identifier": identifiers(assigned), "name": names }), contained))
}

fn organization(node: &Node, contained: &mut Vec<Value>) -> Option<Value> {
    let name = node.at(&["name"]).map(Node::words).filter(|name| !name.is_empty());
    let identifiers = identifiers(node);
    if name.is_none() && identifiers.is_empty() {
        return None;
    }
    Some(add("Organization", json!({ "identifier": identifiers, "name": name }), contained))
}

fn identifiers(node: &Node) -> Vec<Value> {
    node.all("id").filter_map(instance_identifier).collect()
}

/// Contains a resource, once; answers a reference to it.
fn add(kind: &str, resource: Value, contained: &mut Vec<Value>) -> Value {
    let mut resource = pruned(resource);
    element::put(&mut resource, "resourceType", Some(kind));
    let members = resource.as_object().map_or(0, Map::len);
    let is_same = |known: &Value| {
        // Those that are contained have an id besides.
        known.as_object().is_some_and(|known| known.len() == members + 1)
            && resource.as_object().into_iter().flatten().all(|(name, value)| known.get(name) == Some(value))
    };
    if let Some(known) = contained.iter().find(|known| is_same(known)) {
        return json!({ "reference": format!("#{}", known["id"].as_str().unwrap_or_default()) });
    }
    let id = format!("c{}", contained.len() + 1);
    element::put(&mut resource, "id", Some(id.as_str()));
    contained.push(resource);
    json!({ "reference": format!("#{id}") })
}

fn confidentiality(document: &Node) -> Vec<Value> {
    let consents = document.all("authorization").filter_map(|one| one.at(&["consent"]));
    let consents =
        consents.filter(|consent| consent.all("templateId").any(|id| id.attribute("root") == Some(CONSENT)));
    let codes =
        document.all("confidentialityCode").chain(consents.filter_map(|consent| consent.at(&["code"])));
    codes.filter_map(|code| coded(code, Some("2.16.840.1.113883.5.25"))).map(|code| concept(&code)).collect()
}

fn format(document: &Node, maps: &Maps) -> Value {
    let templates: Vec<&str> = document.all("templateId").filter_map(|id| id.attribute("root")).collect();
    if let Some(format) = mapped_format(templates.iter().copied(), maps) {
        return format;
    }
    let is_structured = document.at(&["component", "structuredBody"]).is_some();
    let known = KNOWN_FORMATS.iter().find(|(template, _, _)| templates.contains(template));
    let code = match known {
        Some((_, structured, _)) if is_structured => structured,
        Some((_, _, other)) => other,
        None => MIME_TYPE_SUFFICIENT,
    };
    coding_value(&Code { system: FORMATS.to_owned(), code: (*code).to_owned(), display: None })
}

/// A TS as a FHIR dateTime: as precise as it is written; in UTC where it has a time of day.
fn time(ts: &str, zone: &TimeZone) -> Option<String> {
    let (clock, offset) = match ts.find(['+', '-']) {
        Some(at) => (&ts[..at], Some(&ts[at..])),
        None => (ts, None),
    };
    let digits = clock.split('.').next()?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if digits.len() < 10 {
        return date(digits);
    }
    let part = |from: usize, to: usize| digits.get(from..to).map_or(Some(0), |part| part.parse::<i8>().ok());
    let clock = jiff::civil::DateTime::new(
        digits.get(..4)?.parse().ok()?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?,
        0,
    )
    .ok()?;
    let zone = match offset {
        Some(offset) => {
            let sign = if offset.starts_with('-') { -1 } else { 1 };
            let hours: i32 = offset.get(1..3)?.parse().ok()?;
            let minutes: i32 = offset.get(3..5).map_or(Some(0), |minutes| minutes.parse().ok())?;
            jiff::tz::Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()?.to_time_zone()
        }
        None => zone.clone(),
    };
    Some(clock.to_zoned(zone).ok()?.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// The days of a TS, as precise as they are written.
fn date(ts: &str) -> Option<String> {
    let date = match ts.len() {
        4 | 5 => ts.get(..4)?.to_owned(),
        6 | 7 => format!("{}-{}", ts.get(..4)?, ts.get(4..6)?),
        _ => format!("{}-{}-{}", ts.get(..4)?, ts.get(4..6)?, ts.get(6..8)?),
    };
    crate::when::read(&date).map(|_| date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contained_resource_stands_there_once() {
        let mut contained = Vec::new();
        let mut add = |name: &str| self::add("Organization", json!({ "name": name }), &mut contained);
        let (first, other, again) = (add("A"), add("B"), add("A"));
        assert_eq!((&first, first == other), (&again, false));
        assert_eq!(contained.len(), 2);
    }

    #[test]
    fn times_become_utc_and_keep_their_precision() {
        let zone = TimeZone::get("Europe/Vienna").unwrap_or(TimeZone::UTC);
        assert_eq!(time("20240207142817+0100", &zone).as_deref(), Some("2024-02-07T13:28:17Z"));
        assert_eq!(time("20240207142817.123-0500", &zone).as_deref(), Some("2024-02-07T19:28:17Z"));
        assert_eq!(time("202402071428", &TimeZone::UTC).as_deref(), Some("2024-02-07T14:28:00Z"));
        assert_eq!(time("20240207", &zone).as_deref(), Some("2024-02-07"));
        assert_eq!(time("202402", &zone).as_deref(), Some("2024-02"));
        for wrong in ["", "2024x207", "20241399", "20240207256000"] {
            assert_eq!(time(wrong, &zone), None, "{wrong}");
        }
    }
}
