use serde_json::json;

use super::*;

const OWN: &str = "http://localhost:8083/fhir";
const DOMAIN: &str = "urn:oid:1.2.3";

fn message(entries: Value) -> Value {
    json!({
        "resourceType": "Bundle", "type": "message",
        "entry": [
            { "fullUrl": "http://source.example/fhir/MessageHeader/m-1", "resource": {
                "resourceType": "MessageHeader", "id": "m-1", "eventUri": EVENT,
                "destination": [{ "endpoint": "http://here.example/" }],
                "source": { "endpoint": "http://source.example/out" },
                "focus": [{ "reference": "http://source.example/fhir/Bundle/h-1" }]
            } },
            { "fullUrl": "http://source.example/fhir/Bundle/h-1", "resource": {
                "resourceType": "Bundle", "id": "h-1", "type": "history", "entry": entries
            } }
        ]
    })
}

fn entry(method: &str, id: &str, mut resource: Value) -> Value {
    resource["id"] = json!(id);
    let kind = resource["resourceType"].as_str().unwrap_or_default().to_owned();
    json!({
        "fullUrl": format!("http://source.example/fhir/{kind}/{id}"), "resource": resource,
        "request": { "method": method, "url": format!("{kind}/{id}") }, "response": { "status": "200" }
    })
}

fn patient(value: &str) -> Value {
    json!({
        "resourceType": "Patient", "active": true, "name": [{ "family": "Mohr" }],
        "identifier": [{ "system": DOMAIN, "value": value }]
    })
}

fn changes(entries: Value) -> Vec<Change> {
    read(message(entries), OWN, 100).expect("it is a message").changes
}

fn resource(change: &Change) -> Value {
    match &change.what {
        What::Put { patient, .. } => Value::Object(patient.resource.clone()),
        What::Remove => panic!("nothing is removed"),
    }
}

fn problems(message: Value) -> Vec<(Rule, String)> {
    let findings = read(message, OWN, 100).expect_err("is refused");
    findings.into_iter().map(|finding| (finding.rule, finding.at.path)).collect()
}

fn name(system: &str, value: &str) -> Identifier {
    Identifier { system: system.to_owned(), value: value.to_owned() }
}

const HISTORY: &str = "Bundle.entry[1].resource";

#[test]
fn a_patient_is_known_by_its_identifiers_and_by_its_url_at_the_source() {
    let changes = changes(json!([entry("POST", "101", patient("A"))]));
    let url = name("http://source.example/fhir", "Patient/101");
    assert_eq!(
        (changes[0].names.as_slice(), changes[0].url.as_ref()),
        ([name(DOMAIN, "A")].as_slice(), Some(&url))
    );
    assert_eq!(changes[0].at.path, format!("{HISTORY}.entry[0].resource"));
    assert_eq!(resource(&changes[0])["identifier"][1]["value"], "Patient/101");
}

#[test]
fn a_patient_without_identifier_has_its_url_for_one() {
    let nameless = json!({ "resourceType": "Patient", "name": [{ "family": "Riegel" }] });
    let mut created = entry("POST", "x-1", nameless);
    created["fullUrl"] = json!("urn:uuid:14298d90-b285-4c4c-8252-5d4e7bb5fdb6");
    let changes = changes(json!([created]));
    assert_eq!(changes[0].url, Some(name("http://source.example/fhir", "Patient/x-1")));
    assert!(changes[0].names.is_empty());
}

#[test]
fn whoever_is_deleted_needs_no_resource() {
    let gone = json!({
        "fullUrl": "http://source.example/fhir/Patient/101",
        "request": { "method": "DELETE", "url": "Patient/101" }, "response": { "status": "202" }
    });
    let changes = changes(json!([gone]));
    assert_eq!(changes[0].what, What::Remove);
    assert_eq!(changes[0].url, Some(name("http://source.example/fhir", "Patient/101")));
}

#[test]
fn a_merge_names_its_survivor_by_an_identifier_and_comes_behind_it() {
    let mut gone = patient("A");
    gone["active"] = json!(false);
    gone["link"] = json!([{ "other": { "reference": "Patient/102" }, "type": "replaced-by" }]);
    let changes = changes(json!([entry("PUT", "101", gone), entry("POST", "102", patient("B"))]));
    assert_eq!(changes[0].names[0], name(DOMAIN, "B"));
    let What::Put { patient, .. } = &changes[1].what else { panic!("it is a merge") };
    let survivor = patient.replaced_by.clone().expect("it is a merge");
    assert_eq!(survivor.identifier, Some(name(DOMAIN, "B")));
}

#[test]
fn a_survivor_outside_of_the_message_is_named_by_its_whole_url_or_by_its_id_here() {
    for (other, reference) in [
        (json!({ "reference": "Patient/102" }), "http://source.example/fhir/Patient/102"),
        (
            json!({ "identifier": { "value": "urn:uuid:371a3246-f77c-eb11-95e7-d067e54cbc0c" } }),
            "http://localhost:8083/fhir/Patient/371a3246-f77c-eb11-95e7-d067e54cbc0c",
        ),
    ] {
        let mut gone = patient("A");
        gone["active"] = json!(false);
        gone["link"] = json!([{ "other": other, "type": "replaced-by" }]);
        let changes = changes(json!([entry("PUT", "101", gone)]));
        let What::Put { patient, .. } = &changes[0].what else { panic!("it is a merge") };
        let survivor = patient.replaced_by.clone().expect("it is a merge");
        assert_eq!(survivor.reference.as_deref(), Some(reference));
    }
}

#[test]
fn a_mother_is_contained_in_her_child_and_her_own_patient_is_linked() {
    let mother = json!({
        "resourceType": "RelatedPerson", "patient": { "reference": "Patient/baby" },
        "identifier": [{ "system": DOMAIN, "value": "M" }], "meta": { "profile": ["http://x.example/p"] },
        "relationship": [{ "coding": [{ "system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "MTH" }] }]
    });
    let mut her = patient("M");
    her.as_object_mut().expect("it is one").remove("active");
    her["link"] = json!([{ "other": { "reference": "RelatedPerson/rp" }, "type": "seealso" }]);
    let changes = changes(json!([
        entry("POST", "baby", patient("B")),
        entry("POST", "rp", mother),
        entry("POST", "mom", her)
    ]));
    let baby = resource(&changes[0]);
    assert_eq!(baby["contained"][0]["patient"]["reference"], "#");
    assert_eq!(baby["contained"][0]["identifier"][0]["value"], "M");
    assert_eq!(baby["contained"][0].get("meta"), None);
    assert!(matches!(changes[0].what, What::Put { relatives: true, .. }));
    let her = resource(&changes[1]);
    assert_eq!(her["link"][0]["other"]["identifier"]["value"], "M");
    assert_eq!(her["active"], true);
    assert_eq!(her.get("contained"), None);
}

#[test]
fn what_a_patient_names_beside_people_goes_with_it() {
    let clinic = json!({ "resourceType": "Organization", "name": "Clinic" });
    let mut one = patient("A");
    one["managingOrganization"] = json!({ "reference": "http://source.example/fhir/Organization/o-1" });
    one["generalPractitioner"] = json!([{ "reference": "Practitioner/77" }]);
    let changes = changes(json!([entry("POST", "101", one), entry("POST", "o-1", clinic)]));
    let written = resource(&changes[0]);
    assert_eq!(written["managingOrganization"]["reference"], "#o-1");
    assert_eq!(written["contained"][0]["name"], "Clinic");
    assert_eq!(written["generalPractitioner"][0]["reference"], "http://source.example/fhir/Practitioner/77");
}

#[test]
fn what_cannot_be_taken_is_named_with_its_place() {
    let alone = json!({
        "resourceType": "RelatedPerson", "patient": { "reference": "Patient/elsewhere" },
        "relationship": [{ "text": "mother" }]
    });
    let entries = format!("{HISTORY}.entry");
    for (given, rule, place) in [
        (json!([]), Rule::Structure, entries.clone()),
        (
            json!([entry("POST", "1", patient("A")), entry("PUT", "2", patient("A"))]),
            Rule::Invariant,
            format!("{entries}[1]"),
        ),
        (
            json!([entry("POST", "1", patient("A")), entry("POST", "r", alone)]),
            Rule::NotSupported,
            format!("{entries}[1].resource"),
        ),
        (json!([entry("GET", "1", patient("A"))]), Rule::Value, format!("{entries}[0].request.method")),
        (
            json!([{ "fullUrl": "urn:uuid:1", "request": { "method": "DELETE", "url": "Patient?x=y" } }]),
            Rule::Required,
            format!("{entries}[0].fullUrl"),
        ),
    ] {
        let found = problems(message(given.clone()));
        assert!(found.contains(&(rule, place.clone())), "{rule:?} at {place}: {found:?}");
    }
}

#[test]
fn what_is_no_message_of_the_feed_is_told_what_it_is() {
    let good = || message(json!([entry("POST", "101", patient("A"))]));
    let header = "Bundle.entry[0].resource";
    let changed = |pointer: &str, value: Value| {
        let mut message = good();
        let (above, member) = pointer.rsplit_once('/').expect("it is a pointer");
        message.pointer_mut(above).expect("it is there")[member] = value;
        message
    };
    for (message, rule, place) in [
        (json!({ "resourceType": "Patient" }), Rule::Structure, "Bundle.resourceType".to_owned()),
        (changed("/type", json!("transaction")), Rule::NotSupported, "Bundle.type".to_owned()),
        (
            changed("/entry/0/resource/eventUri", json!("urn:other")),
            Rule::NotSupported,
            format!("{header}.eventUri"),
        ),
        (
            changed("/entry/0/resource/eventUri", json!(RESPONSE_EVENT)),
            Rule::NotSupported,
            format!("{header}.eventUri"),
        ),
        (
            changed("/entry/0/resource/focus", json!([{ "reference": "Bundle/other" }])),
            Rule::UnresolvedReference,
            format!("{header}.focus"),
        ),
        (
            changed("/entry/0/resource/definition", json!("http://x.example/other")),
            Rule::Value,
            format!("{header}.definition"),
        ),
        (changed("/entry/1/resource", patient("A")), Rule::Structure, HISTORY.to_owned()),
    ] {
        let found = problems(message);
        assert!(found.contains(&(rule, place.clone())), "{rule:?} at {place}: {found:?}");
    }
    let mut three = good();
    let last = three["entry"][1].clone();
    three["entry"].as_array_mut().expect("it is a list").push(last);
    assert_eq!(problems(three), [(Rule::Structure, "Bundle.entry".to_owned())]);
}

#[test]
fn the_response_is_a_message_with_one_header_and_no_destination() {
    let done = [Done { at: "Bundle.entry[1]".to_owned(), text: "taken in".to_owned() }];
    let response = Response { to: "m-1", id: "r-1", base: OWN, now: 0, done: &done };
    let written: Value = serde_json::from_slice(&write(&response)).expect("it is JSON");
    assert!(crate::schema::check(&written, &Place::at("Bundle")).is_empty());
    let header = &written["entry"][0]["resource"];
    assert_eq!(written["entry"].as_array().map(Vec::len), Some(1));
    assert_eq!(header["eventUri"], RESPONSE_EVENT);
    assert_eq!(header["response"]["identifier"], "m-1");
    assert_eq!(header["response"]["code"], "ok");
    assert_eq!(header.get("destination"), None);
}

proptest::proptest! {
    #[test]
    fn no_reference_makes_the_reader_fall(url in "\\PC{0,40}", reference in "\\PC{0,40}", id in "\\PC{0,20}") {
        let mut one = entry("PUT", "101", patient("A"));
        one["fullUrl"] = json!(url);
        one["resource"]["id"] = json!(id);
        one["resource"]["managingOrganization"] = json!({ "reference": reference });
        let _ = read(message(json!([one, entry("PUT", "102", patient("B"))])), OWN, 100);
    }
}
