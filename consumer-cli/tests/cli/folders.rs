//! Folders, additions to documents, and what would come of a submission.

use serde_json::{Value, json};

use crate::scripted::{Reply, Request, Server, code, docshare, err, out};

fn folder() -> Value {
    json!({"resourceType": "List", "id": "f1", "title": "Knee", "status": "current", "meta": {"versionId": "2"},
        "subject": {"reference": "http://i/fhir/Patient/1"},
        "code": {"coding": [{"code": "folder"}]},
        "entry": [{"item": {"reference": "DocumentReference/d1"}}]})
}

fn answer(request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/fhir/DocumentReference/d1") => Reply::json(
            200,
            json!({"resourceType": "DocumentReference", "id": "d1", "status": "current",
                "subject": {"reference": "http://i/fhir/Patient/1"},
                "content": [{"attachment": {"contentType": "text/plain", "url": "http://h/documents/1"}}]}),
        ),
        ("GET", _) => Reply::json(200, folder()),
        ("POST", "/fhir/Bundle/$validate") => Reply::json(
            200,
            json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found",
                "details": {"coding": [{"code": "XDSUnknownPatientId"}], "text": "nobody"},
                "expression": ["Bundle.entry[0].resource.subject"]}]}),
        ),
        _ => Reply::json(
            200,
            json!({"resourceType": "Bundle", "type": "transaction-response", "entry": [
                {"response": {"status": "201 Created", "location": "http://h/fhir/List/s1/_history/1"}},
                {"response": {"status": "200 OK", "location": "http://h/fhir/List/f1/_history/2"}}]}),
        ),
    }
}

#[test]
fn documents_are_put_into_a_folder_beside_those_that_are_there() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| Some(answer(request)));
    let run = docshare(home.path(), &server.host, &["folder", "add", "f1", "d1", "d2", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let requests = server.requests();
    let sent = requests.iter().find(|request| request.method == "POST").unwrap();
    let bundle: Value = serde_json::from_slice(&sent.body).unwrap();
    let entry = &bundle["entry"][1];
    assert_eq!(entry["request"], json!({"method": "PUT", "url": "List/f1"}));
    assert_eq!(entry["resource"]["entry"].as_array().unwrap().len(), 2, "{entry}");
    assert!(sent.header("idempotency-key").unwrap().starts_with("urn:oid:"));
    let told: Value = serde_json::from_str(&out(&run)).unwrap();
    assert_eq!((&told[0]["id"], &told[0]["title"]), (&json!("f1"), &json!("Knee")));
}

#[test]
fn a_folder_is_made_and_listed() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| Some(answer(request)));
    let arguments = ["folder", "create", "--patient", "urn:oid:1.2|7", "--title", "Knee", "d1"];
    let run = docshare(home.path(), &server.host, &arguments);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let requests = server.requests();
    let sent = requests.iter().find(|request| request.method == "POST").unwrap();
    let bundle: Value = serde_json::from_slice(&sent.body).unwrap();
    let entry = &bundle["entry"][1];
    assert_eq!((&entry["request"]["method"], &entry["resource"]["title"]), (&json!("POST"), &json!("Knee")));
    assert_eq!(entry["resource"]["subject"]["identifier"]["value"], "7");
}

#[test]
fn a_document_is_appended_by_relation_and_without_a_change_of_status() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("more.txt");
    std::fs::write(&file, "more").unwrap();
    let server = Server::start(|request: &Request, _, _| Some(answer(request)));
    let file = file.to_str().unwrap();
    let run =
        docshare(home.path(), &server.host, &["doc", "append", "d1", file, "--minimal", "--print-bundle"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let bundle: Value = serde_json::from_str(&out(&run)).unwrap();
    let relation = &bundle["entry"][1]["resource"]["relatesTo"][0];
    assert_eq!(relation["code"], "appends");
    assert!(relation["target"]["reference"].as_str().unwrap().ends_with("/DocumentReference/d1"));
    assert!(bundle["entry"].as_array().unwrap().iter().all(|one| one["request"]["method"] == "POST"));
}

#[test]
fn a_dry_run_lists_what_was_found_and_is_rejected_for_errors() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.txt");
    std::fs::write(&file, "a").unwrap();
    let server = Server::start(|request: &Request, _, _| Some(answer(request)));
    let file = file.to_str().unwrap();
    let patient = "urn:oid:1.2|7";
    let arguments = ["doc", "submit", file, "--patient", patient, "--minimal", "--dry-run", "-o", "json"];
    let run = docshare(home.path(), &server.host, &arguments);
    assert_eq!(code(&run), 4, "{}", err(&run));
    let told: Value = serde_json::from_str(&out(&run)).unwrap();
    assert_eq!(told[0]["code"], "XDSUnknownPatientId");
    assert_eq!(server.requests()[0].path, "/fhir/Bundle/$validate");
}

#[test]
fn one_file_is_published_in_one_request() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.txt");
    std::fs::write(&file, "a").unwrap();
    let server = Server::start(|_: &Request, _, _| {
        let document = json!({"resourceType": "DocumentReference", "id": "d9"});
        Some(Reply::json(201, document).header("location", "http://h/fhir/DocumentReference/d9/_history/1"))
    });
    let arguments =
        ["doc", "submit", file.to_str().unwrap(), "--patient", "urn:oid:1.2|7", "--simple", "-o", "json"];
    let run = docshare(home.path(), &server.host, &arguments);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let told: Value = serde_json::from_str(&out(&run)).unwrap();
    assert_eq!(told[0]["id"], "d9");
    let sent = &server.requests()[0];
    assert_eq!(sent.path, "/fhir/DocumentReference");
    assert!(sent.header("idempotency-key").is_some());
    let document: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(document["content"][0]["attachment"]["data"], "YQ==");
    assert_eq!(document["content"][0]["attachment"].get("url"), None);
}
