//! `docshare patient match`.

use crate::scripted::{Reply, Request, Server, code, docshare, err};
use serde_json::{Value, json};

fn answer() -> Value {
    let says = json!({ "url": "field", "extension": [
        { "url": "name", "valueCode": "family" }, { "url": "says", "valueString": "family name equal" },
        { "url": "weight", "valueDecimal": 11.2 } ] });
    json!({ "resourceType": "Bundle", "type": "searchset", "entry": [
        {
            "resource": { "resourceType": "Patient", "id": "p1", "name": [{ "family": "Sample" }] },
            "search": { "mode": "match", "score": 0.9712, "extension": [
                { "url": fhir::iti119::MATCH_GRADE, "valueCode": "probable" },
                { "url": fhir::iti119::EXPLANATION, "extension": [
                    says, { "url": "notCertainBecause", "valueString": "given names differ" } ] } ] }
        },
        {
            "resource": { "resourceType": "OperationOutcome", "issue": [
                { "severity": "warning", "code": "too-costly", "diagnostics": "too many of that name" } ] },
            "search": { "mode": "outcome" }
        }
    ] })
}

#[test]
fn what_is_known_of_somebody_is_asked_for_and_the_score_explained() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| Some(Reply::json(200, answer())));
    let arguments = [
        "patient",
        "match",
        "--family",
        "Sample",
        "--given",
        "Ada",
        "--birthdate",
        "1970-05-17",
        "--certain",
        "--count",
        "3",
        "--explain",
        "-o",
        "json",
    ];
    let run = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(
        (&rows[0]["id"], &rows[0]["grade"], &rows[0]["score"]),
        (&json!("p1"), &json!("probable"), &json!(0.9712))
    );
    assert_eq!(rows[0]["explanation"], json!(["family name equal +11.2", "not certain: given names differ"]));
    assert!(err(&run).contains("too many of that name"), "{}", err(&run));
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/fhir/Patient/$match"));
    let asked: Value = serde_json::from_slice(&request.body).unwrap();
    let patient = &asked["parameter"][0]["resource"];
    assert_eq!(patient["name"], json!([{ "family": "Sample", "given": ["Ada"] }]));
    assert_eq!(asked["parameter"][1], json!({ "name": "onlyCertainMatches", "valueBoolean": true }));
    assert_eq!(asked["parameter"][2], json!({ "name": "count", "valueInteger": 3 }));
}

#[test]
fn nothing_said_is_a_usage_fault() {
    let folder = tempfile::tempdir().unwrap();
    let run = docshare(folder.path(), "http://127.0.0.1:9", &["patient", "match"]);
    assert_eq!(code(&run), 2, "{}", err(&run));
}
