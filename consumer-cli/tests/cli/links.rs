//! Records of one person, linked and held apart.

use serde_json::{Value, json};

use crate::scripted::{Reply, Request, Server, code, docshare, err, out};

fn decided(state: &str, warning: Option<&str>) -> Value {
    let mut parameters = vec![
        json!({ "name": "patient", "valueReference": { "reference": "http://h/fhir/Patient/a" } }),
        json!({ "name": "link", "part": [
            { "name": "patient", "valueReference": { "reference": "http://h/fhir/Patient/b" } },
            { "name": "state", "valueCode": state },
            { "name": "decision", "part": [
                { "name": "verdict", "valueCode": state },
                { "name": "by", "valueCode": "steward" },
                { "name": "who", "valueString": "local" },
            ]},
            { "name": "decision", "part": [
                { "name": "verdict", "valueCode": "linked" }, { "name": "by", "valueCode": "match" },
            ]},
        ]}),
    ];
    parameters.extend(warning.map(|text| json!({ "name": "warning", "valueString": text })));
    json!({ "resourceType": "Parameters", "parameter": parameters })
}

fn rows(run: &std::process::Output) -> Vec<Value> {
    serde_json::from_str(&out(run)).unwrap()
}

#[test]
fn two_records_are_linked_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| Some(Reply::json(200, decided("linked", None))));
    let arguments = ["patient", "link", "a", "urn:oid:1.2|B", "--reason", "same card", "-o", "json"];
    let run = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows = rows(&run);
    assert_eq!(
        (&rows[0]["id"], &rows[0]["state"], &rows[0]["by"]),
        (&json!("b"), &json!("linked"), &json!("steward"))
    );
    let sent = &server.requests()[0];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("POST", "/fhir/Patient/a/$link"));
    let body: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body["parameter"][0]["valueReference"]["identifier"]["value"], "B");
    assert_eq!(body["parameter"][1]["valueString"], "same card");
}

#[test]
fn what_a_steward_has_to_know_beside_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let server =
        Server::start(|_: &Request, _, _| Some(Reply::json(200, decided("apart", Some("still one person")))));
    let run = docshare(folder.path(), &server.host, &["patient", "unlink", "a", "b", "--withdraw"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert!(err(&run).contains("still one person"), "{}", err(&run));
    let body: Value = serde_json::from_slice(&server.requests()[0].body).unwrap();
    assert_eq!(body["parameter"][1], json!({ "name": "withdraw", "valueBoolean": true }));
}

#[test]
fn links_are_shown_as_they_stand_or_with_all_that_was_decided() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| Some(Reply::json(200, decided("apart", None))));
    let run = docshare(folder.path(), &server.host, &["patient", "links", "Patient/a", "-o", "json"]);
    assert_eq!((code(&run), rows(&run).len()), (0, 1));
    let run = docshare(folder.path(), &server.host, &["patient", "links", "a", "--history", "-o", "json"]);
    let verdicts: Vec<Value> = rows(&run).iter().map(|row| row["verdict"].clone()).collect();
    assert_eq!(verdicts, ["apart", "linked"]);
}

#[test]
fn probable_duplicates_are_listed_page_after_page() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| {
        let pair = |one: &str, other: &str| {
            let patient = |id: &str| {
                let url = format!("Patient/{id}");
                json!({ "name": "patient", "valueReference": { "reference": url, "display": id } })
            };
            json!({ "name": "pair", "part": [
                patient(one), patient(other),
                { "name": "sameDomain", "valueBoolean": true }, { "name": "score", "valueDecimal": 0.97 },
            ]})
        };
        let parameters = match request.path.contains("_page") {
            false => {
                vec![pair("a", "b"), json!({ "name": "next", "valueUri": "Patient/$duplicates?_page=x" })]
            }
            true => vec![pair("c", "d")],
        };
        Some(Reply::json(200, json!({ "resourceType": "Parameters", "parameter": parameters })))
    });
    let run = docshare(folder.path(), &server.host, &["patient", "duplicates", "--all", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows = rows(&run);
    assert_eq!((rows.len(), &rows[1]["other"]), (2, &json!("d")), "{rows:?}");
    assert!(rows[0]["within"].as_str().unwrap().contains("merge"));
}
