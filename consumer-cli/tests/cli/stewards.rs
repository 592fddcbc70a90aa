//! What a steward does to patients.

use crate::scripted::{Reply, Request, Server, code, docshare, err, out};
use serde_json::{Value, json};

fn patient(id: &str, merged_into: Option<&str>) -> Value {
    let mut patient = json!({"resourceType": "Patient", "id": id, "meta": {"versionId": "4"},
        "identifier": [{"system": "urn:oid:1.2", "value": id}], "name": [{"family": "Sample"}], "active": true});
    if let Some(survivor) = merged_into {
        patient["active"] = json!(false);
        patient["link"] = json!([
            {"other": {"reference": "Patient/x"}, "type": "seealso"},
            {"other": {"reference": format!("Patient/{survivor}")}, "type": "replaced-by"}
        ]);
    }
    patient
}

/// An identity source that calls itself by another name than its clients do, knows these, and takes every feed.
fn source(patients: Vec<Value>) -> Server {
    Server::start(move |request: &Request, _, _| {
        let asked = String::from_utf8_lossy(&request.body).into_owned();
        Some(match request.method.as_str() {
            "POST" => {
                let named = |patient: &&Value| {
                    let id = patient["id"].as_str().unwrap();
                    asked.ends_with(&format!("={id}")) || asked.ends_with(&format!("%7C{id}"))
                };
                let entry = |patient: &Value| {
                    let url =
                        format!("https://region.example/fhir/Patient/{}", patient["id"].as_str().unwrap());
                    json!({"fullUrl": url, "resource": patient, "search": {"mode": "match"}})
                };
                let entries: Vec<Value> = patients.iter().filter(named).map(entry).collect();
                Reply::json(200, json!({"resourceType": "Bundle", "type": "searchset", "entry": entries}))
            }
            "PUT" => Reply::new(200, asked),
            _ => Reply::json(200, json!({"resourceType": "OperationOutcome", "issue": []}))
                .header("etag", "W/\"5\""),
        })
    })
}

/// The last request: method, decoded condition, version it builds on, body.
fn changed(server: &Server) -> (String, String, String, Value) {
    let request = server.requests().pop().unwrap();
    let (_, query) = request.path.split_once('?').unwrap();
    let condition = url::form_urlencoded::parse(query.as_bytes()).next().unwrap().1.into_owned();
    let body = serde_json::from_slice(&request.body).unwrap_or_default();
    (request.method.clone(), condition, request.header("if-match").unwrap_or_default().to_owned(), body)
}

#[test]
fn a_duplicate_is_merged_under_its_id_and_the_version_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = source(vec![patient("a", None), patient("b", None)]);
    let run = docshare(folder.path(), &server.host, &["patient", "merge", "1.2|a", "b", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let (method, condition, if_match, body) = changed(&server);
    assert_eq!((method.as_str(), if_match.as_str()), ("PUT", "W/\"4\""));
    assert_eq!(condition, "https://region.example/fhir|Patient/a");
    assert_eq!(
        (&body["active"], &body["link"][0]["other"]["reference"]),
        (&json!(false), &json!("Patient/b"))
    );
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&rows[0]["result"], &rows[0]["survivor"]), (&json!("merged"), &json!("Patient/b")));
    let itself = docshare(folder.path(), &server.host, &["patient", "merge", "1.2|a", "a"]);
    assert_eq!(code(&itself), 2, "{}", err(&itself));
}

#[test]
fn an_undone_merge_says_active_and_keeps_other_links() {
    let folder = tempfile::tempdir().unwrap();
    let server = source(vec![patient("a", Some("b")), patient("c", None)]);
    let run = docshare(folder.path(), &server.host, &["patient", "unmerge", "a"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let (_, _, _, body) = changed(&server);
    assert_eq!((&body["active"], body["link"].as_array().map(Vec::len)), (&json!(true), Some(1)));
    assert_eq!(body["link"][0]["type"], "seealso");
    let whole = docshare(folder.path(), &server.host, &["patient", "unmerge", "c"]);
    assert_eq!(code(&whole), 2, "one that is not merged cannot be unmerged: {}", err(&whole));
}

#[test]
fn patients_are_removed_one_by_one_and_one_nobody_knows_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = source(vec![patient("a", None)]);
    // Nobody can be asked here, so it has to be said.
    let silent = docshare(folder.path(), &server.host, &["patient", "remove", "1.2|a"]);
    assert_eq!((code(&silent), out(&silent).as_str()), (2, ""), "{}", err(&silent));
    assert!(err(&silent).contains("--yes") && server.requests().is_empty(), "{}", err(&silent));
    let run = docshare(folder.path(), &server.host, &["patient", "remove", "1.2|a", "--yes", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let (method, condition, ..) = changed(&server);
    assert_eq!((method.as_str(), condition.as_str()), ("DELETE", "https://region.example/fhir|Patient/a"));
    assert!(out(&run).contains("\"5\""), "{}", out(&run));
    let nobody = docshare(folder.path(), &server.host, &["patient", "remove", "-y", "1.2|z"]);
    assert_eq!(code(&nobody), 3, "{}", err(&nobody));
}

#[test]
fn a_history_says_what_every_version_was() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |method: &str, version: u32, resource: Value| {
        let etag = format!("W/\"{version}\"");
        json!({"resource": resource, "request": {"method": method}, "response": {"etag": etag}})
    };
    let server = Server::start(move |_: &Request, _, _| {
        let entries = [
            entry("DELETE", 4, Value::Null),
            entry("PUT", 3, patient("a", None)),
            entry("PUT", 2, patient("a", Some("b"))),
            entry("POST", 1, patient("a", None)),
        ];
        Some(Reply::json(200, json!({"resourceType": "Bundle", "type": "history", "entry": entries})))
    });
    let run = docshare(
        folder.path(),
        &server.host,
        &["patient", "history", "a", "-o", "csv", "--fields", "version,change"],
    );
    assert_eq!(code(&run), 0, "{}", err(&run));
    assert_eq!(out(&run), "version,change\r\n4,removed\r\n3,unmerged\r\n2,merged\r\n1,created\r\n");
}

#[test]
fn a_history_whose_pages_go_in_a_circle_or_elsewhere_ends() {
    let folder = tempfile::tempdir().unwrap();
    for next in ["/fhir/Patient/a/_history?_count=100", "http://elsewhere.example/fhir"] {
        let server = Server::start(move |_: &Request, _, _| {
            let link = json!([{"relation": "next", "url": next}]);
            let entry = json!([{"resource": patient("a", None), "request": {"method": "POST"}}]);
            Some(Reply::json(
                200,
                json!({"resourceType": "Bundle", "type": "history", "entry": entry, "link": link}),
            ))
        });
        let run = docshare(folder.path(), &server.host, &["patient", "history", "a", "-o", "json"]);
        assert_eq!(code(&run), 1, "{}", err(&run));
    }
}
