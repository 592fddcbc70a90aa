//! Each exit code is earned by the answer it stands for.

use crate::scripted::{Reply, Request, Server, code, command, docshare, err, out};
use serde_json::{Value, json};

fn outcome(text: &str) -> Value {
    json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid",
        "details": {"text": text}, "diagnostics": text, "expression": ["Bundle.entry[1]"]}]})
}

fn patient(id: &str) -> Value {
    json!({"resourceType": "Patient", "id": id, "name": [{"family": "Sample", "given": ["Ada"]}],
        "identifier": [{"system": "urn:oid:1.2", "value": "7"}], "active": true})
}

fn searchset(resources: &[Value]) -> Value {
    let entries: Vec<Value> =
        resources.iter().map(|r| json!({"resource": r, "search": {"mode": "match"}})).collect();
    json!({"resourceType": "Bundle", "type": "searchset", "total": resources.len(), "entry": entries})
}

fn always(status: u16, body: Value) -> Server {
    Server::start(move |_: &Request, _, _| {
        Some(Reply::json(status, body.clone()).header("x-request-id", "req-42"))
    })
}

#[test]
fn a_search_that_finds_something_exits_with_0_and_does_not_put_identifiers_in_its_url() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(200, searchset(&[patient("p1")]));
    let run =
        docshare(folder.path(), &server.host, &["patient", "find", "--identifier", "1.2|7", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(rows[0]["id"], "p1");
    assert_eq!(rows[0]["name"], "Sample, Ada");
    let request = &server.requests()[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/fhir/Patient/_search"));
    assert_eq!(String::from_utf8_lossy(&request.body), "identifier=urn%3Aoid%3A1.2%7C7");
}

#[test]
fn the_same_rows_come_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(200, searchset(&[patient("p1"), patient("p2")]));
    let shown = |format: &str| {
        let run = docshare(
            folder.path(),
            &server.host,
            &["patient", "find", "x", "-o", format, "--fields", "id,active"],
        );
        assert_eq!(code(&run), 0, "{}", err(&run));
        out(&run)
    };
    assert_eq!(shown("id"), "p1\np2\n");
    assert_eq!(shown("csv"), "id,active\r\np1,true\r\np2,true\r\n");
    assert_eq!(shown("ndjson"), "{\"id\":\"p1\",\"active\":true}\n{\"id\":\"p2\",\"active\":true}\n");
    assert_eq!(shown("fhir"), format!("{}\n", searchset(&[patient("p1"), patient("p2")])));
    let table = shown("table");
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines, [["ID", "ACTIVE"], ["p1", "true"], ["p2", "true"]]);
}

#[test]
fn an_unknown_flag_or_field_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(200, searchset(&[]));
    assert_eq!(code(&docshare(folder.path(), &server.host, &["doc", "list", "--frobnicate"])), 2);
    let run = docshare(folder.path(), &server.host, &["patient", "find", "x", "--fields", "id,shoe"]);
    assert_eq!(code(&run), 2);
    assert!(err(&run).contains("shoe") && err(&run).contains("birthDate"), "{}", err(&run));
}

#[test]
fn an_empty_search_exits_with_0_or_if_asked_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(200, searchset(&[]));
    assert_eq!(code(&docshare(folder.path(), &server.host, &["patient", "find", "x"])), 0);
    assert_eq!(code(&docshare(folder.path(), &server.host, &["patient", "find", "x", "--fail-empty"])), 3);
}

#[test]
fn getting_what_is_not_there_exits_with_3() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(404, outcome("Patient p9 is not known"));
    assert_eq!(code(&docshare(folder.path(), &server.host, &["patient", "get", "p9"])), 3);
    assert_eq!(code(&docshare(folder.path(), &server.host, &["doc", "get", "d9"])), 3);
}

#[test]
fn a_refusal_exits_with_4_and_tells_words_place_request_id_and_next_step() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(400, outcome("the birth date is no date"));
    let run = docshare(folder.path(), &server.host, &["patient", "find", "--birthdate", "yesterday"]);
    assert_eq!(code(&run), 4);
    assert_eq!(out(&run), "");
    for expected in ["the birth date is no date", "at: Bundle.entry[1]", "request id: req-42", "next: "] {
        assert!(err(&run).contains(expected), "{expected:?} is missing in\n{}", err(&run));
    }
}

#[test]
fn a_server_that_cannot_exits_with_5_and_one_that_does_not_trust_us_with_6() {
    let folder = tempfile::tempdir().unwrap();
    for (status, expected) in [(500, 5), (503, 5), (401, 6), (403, 6)] {
        let server = always(status, outcome("no"));
        assert_eq!(
            code(&docshare(folder.path(), &server.host, &["patient", "find", "x"])),
            expected,
            "{status}"
        );
    }
}

#[test]
fn a_server_that_is_not_there_exits_with_7() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let run = docshare(folder.path(), &host, &["patient", "find", "x"]);
    assert_eq!(code(&run), 7, "{}", err(&run));
}

#[test]
fn a_server_that_does_not_speak_tls_where_https_is_asked_exits_with_7() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(200, searchset(&[]));
    let host = server.host.replace("http://", "https://");
    let run = command(folder.path(), &host, &["patient", "find", "x"])
        .env("DOCSHARE_TOKEN", "s3cret")
        .output()
        .unwrap();
    assert_eq!(code(&run), 7, "{}", err(&run));
    assert!(server.requests().iter().all(|request| !request.head.contains("s3cret")));
}

#[test]
fn some_got_and_some_not_exits_with_9() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| {
        Some(match request.path.as_str() {
            "/fhir/Patient/p1" => Reply::json(200, patient("p1")),
            _ => Reply::json(404, outcome("not known")),
        })
    });
    let run = docshare(folder.path(), &server.host, &["patient", "get", "p1", "p2", "-o", "id"]);
    assert_eq!((code(&run), out(&run).as_str()), (9, "p1\n"), "{}", err(&run));
}

#[test]
fn interrupting_exits_with_130() {
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    let mut child = command(folder.path(), &host, &["patient", "find", "x"]).spawn().unwrap();
    // Connected and silent: the command is now waiting for an answer.
    let _connection = listener.accept().unwrap();
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn a_patient_is_fed_under_its_first_identifier() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, host| {
        Some(Reply::json(201, patient("p1")).header("location", format!("{host}/fhir/Patient/p1/_history/1")))
    });
    std::fs::write(folder.path().join("p.json"), patient("x").to_string()).unwrap();
    let run = docshare(folder.path(), &server.host, &["patient", "feed", "p.json", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&rows[0]["id"], &rows[0]["result"]), (&json!("p1"), &json!("added")));
    let request = &server.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("PUT", "/fhir/Patient?identifier=urn%3Aoid%3A1.2%7C7")
    );
}

#[test]
fn a_raw_answer_is_given_byte_by_byte_and_its_status_counts() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| Some(Reply::new(422, &b"{ \"odd\" :  1 }"[..])));
    let run = docshare(folder.path(), &server.host, &["raw", "get", "Patient/$x", "--at", "identity"]);
    assert_eq!((code(&run), out(&run).as_str()), (4, "{ \"odd\" :  1 }"));
    assert_eq!(server.requests()[0].path, "/fhir/Patient/$x");
}

#[test]
fn curl_lines_hide_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(200, searchset(&[]));
    let run = command(folder.path(), &server.host, &["doc", "list", "--patient", "1.2|7", "--curl"])
        .env("DOCSHARE_TOKEN", "s3cret")
        .output()
        .unwrap();
    assert!(err(&run).contains("curl -sS -X POST") && err(&run).contains("$DOCSHARE_TOKEN"), "{}", err(&run));
    assert!(!err(&run).contains("s3cret"));
    assert_eq!(server.requests()[0].header("authorization"), Some("Bearer s3cret"));
}

#[test]
fn status_tells_of_every_actor_and_is_partly_done_if_one_is_away() {
    let folder = tempfile::tempdir().unwrap();
    let server = always(
        200,
        json!({"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1",
        "software": {"name": "docshare", "version": "1"}}),
    );
    let run = docshare(folder.path(), &server.host, &["status", "-o", "id"]);
    assert_eq!((code(&run), out(&run).as_str()), (0, "registry\nrepository\nidentity\n"), "{}", err(&run));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let away = format!("http://{}/fhir", listener.local_addr().unwrap());
    drop(listener);
    let run = docshare(
        folder.path(),
        &server.host,
        &["status", "--identity", &away, "-o", "csv", "--fields", "actor,answers"],
    );
    assert_eq!(
        (code(&run), out(&run).as_str()),
        (9, "actor,answers\r\nregistry,yes\r\nrepository,yes\r\nidentity,no\r\n")
    );
}

#[test]
fn what_came_before_a_page_that_fails_is_still_json() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, host| {
        Some(match request.method.as_str() {
            "POST" => {
                let mut page = searchset(&[patient("p1")]);
                page["link"] = json!([{"relation": "next", "url": format!("{host}/fhir/Patient?_page=2")}]);
                Reply::json(200, page)
            }
            _ => Reply::json(503, outcome("the storage is full")),
        })
    });
    let run = docshare(folder.path(), &server.host, &["patient", "find", "x", "--all", "-o", "json"]);
    assert_eq!(code(&run), 5, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(rows[0]["id"], "p1");
}
