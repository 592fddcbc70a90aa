//! Making a step's metadata ready to send: symbols of earlier steps, and what the kit writes over at send time.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Done, Step};
use crate::markup::{Element, Node};

/// identificationScheme of a uniqueId.
const UNIQUE_IDS: [&str; 3] = [
    "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8",
    "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab",
    "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a",
];
/// identificationScheme of a patientId.
const PATIENT_IDS: [&str; 3] = [
    "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446",
    "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427",
    "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a",
];
const SOURCE_ID: &str = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
const SET: &str = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
/// The source of everything the cases submit.
const SOURCE: &str = "1.3.6.1.4.1.21367.2009.1.2.1";

/// Now, as XDS writes times.
#[expect(clippy::disallowed_methods, reason = "the run asks a server what time it is, by its own clock")]
pub(in crate::conformance::xds) fn now() -> String {
    Timestamp::now().strftime("%Y%m%d%H%M%S").to_string()
}

/// Puts values for symbols, longest first, so that none is taken for the beginning of another.
pub(super) fn fill(message: &mut Element, symbols: &[(String, String)]) {
    let mut symbols: Vec<_> = symbols.to_vec();
    symbols.sort_by_key(|(symbol, _)| std::cmp::Reverse(symbol.len()));
    message.strings(&mut |text| {
        for (symbol, value) in &symbols {
            if text.contains(symbol.as_str()) {
                *text = text.replace(symbol.as_str(), value);
            }
        }
    });
}

/// Parameters whose symbol nobody has filled are left out, as the kit does.
pub(super) fn drop_unfilled(query: &mut Element) {
    query.visit(&mut |element| {
        element.children.retain(|child| match child {
            Node::Element(slot) if slot.local() == "Slot" => {
                !slot.find("Value").iter().any(|value| value.text().contains("'$"))
            }
            _ => true,
        });
    });
}

/// Gives the objects of a submission the ids, times and patient of this run.
pub(super) fn refresh(message: &mut Element, step: &Step, patient: &str, before: &Element) -> Done {
    let mut done = Done { kinds: kinds(message), patient: patient.to_owned(), ..Done::default() };
    if step.flag("AssignUuids") {
        assign(message, &mut done);
    }
    let named: BTreeMap<String, String> =
        done.uuids.iter().map(|(symbol, uuid)| (uuid.clone(), symbol.clone())).collect();
    // What stood there before the symbols were filled: a uniqueId that came from an earlier step stays.
    let mut given = BTreeMap::new();
    for identifier in before.find("ExternalIdentifier") {
        let owner = identifier.attribute("registryObject").unwrap_or_default().to_owned();
        let scheme = identifier.attribute("identificationScheme").unwrap_or_default().to_owned();
        let value = identifier.attribute("value").unwrap_or_default();
        given.insert((owner, scheme), value.contains('$'));
    }
    let keep_uids = step.flag("NoAssignUids");
    message.visit(&mut |element| {
        if element.local() != "ExternalIdentifier" {
            return;
        }
        let scheme = element.attribute("identificationScheme").unwrap_or_default().to_owned();
        let owner = element.attribute("registryObject").unwrap_or_default().to_owned();
        let owner = named.get(&owner).cloned().unwrap_or(owner);
        if UNIQUE_IDS.contains(&scheme.as_str()) {
            let from_before = given.get(&(owner.clone(), scheme.clone())).copied().unwrap_or_default();
            if !keep_uids || (scheme == UNIQUE_IDS[0] && !from_before) {
                element.set("value", &testkit::oid());
            }
            done.uids.insert(owner, element.attribute("value").unwrap_or_default().to_owned());
        } else if PATIENT_IDS.contains(&scheme.as_str()) && !step.flag("NoPatientId") {
            element.set("value", patient);
        } else if scheme == SOURCE_ID {
            element.set("value", SOURCE);
        }
    });
    let time = now();
    message.visit(&mut |element| {
        if element.local() == "Slot" && element.attribute("name") == Some("submissionTime") {
            element.visit(&mut |value| {
                if value.local() == "Value" {
                    value.set_text(&time);
                }
            });
        }
    });
    done
}

fn kinds(message: &Element) -> BTreeMap<String, &'static str> {
    let sets: Vec<&str> = message
        .find("Classification")
        .into_iter()
        .filter(|class| class.attribute("classificationNode") == Some(SET))
        .filter_map(|class| class.attribute("classifiedObject"))
        .collect();
    let mut kinds = BTreeMap::new();
    for object in message.all() {
        let Some(id) = object.attribute("id") else { continue };
        let kind = match object.local() {
            "ExtrinsicObject" => "document",
            "RegistryPackage" if sets.contains(&id) => "set",
            "RegistryPackage" => "folder",
            "Association" => "association",
            _ => continue,
        };
        kinds.insert(id.to_owned(), kind);
    }
    kinds
}

/// Every object that has an id of its own making gets a UUID, and so does what names it.
fn assign(message: &mut Element, done: &mut Done) {
    for id in done.kinds.keys() {
        let uuid = if id.starts_with("urn:uuid:") { id.clone() } else { testkit::urn_uuid() };
        done.uuids.insert(id.clone(), uuid);
    }
    let uuids = &done.uuids;
    message.visit(&mut |element| {
        for name in ["id", "classifiedObject", "registryObject", "sourceObject", "targetObject"] {
            if let Some(uuid) = element.attribute(name).and_then(|id| uuids.get(id)).cloned() {
                element.set(name, &uuid);
            }
        }
    });
}
