//! What is made later: submissions by `--no-wait` and `--wait`, tasks, and exports into a folder.

use serde_json::{Value, json};

use crate::scripted::{Reply, Server, docshare};

fn task(status: &str) -> Value {
    let response = json!({
        "resourceType": "Bundle", "id": "response", "type": "transaction-response",
        "entry": [
            { "response": { "status": "201 Created", "location": "List/s-1/_history/1" } },
            { "response": { "status": "201 Created", "location": "DocumentReference/d-1/_history/1" } },
        ],
    });
    let outcome = json!({
        "resourceType": "OperationOutcome", "id": "outcome",
        "issue": [{ "severity": "error", "code": "not-found", "diagnostics": "nobody knows the patient" }],
    });
    let contained = match status {
        "completed" => json!([response]),
        "failed" => json!([outcome]),
        _ => json!([]),
    };
    json!({ "resourceType": "Task", "id": "t-1", "status": status, "contained": contained })
}

/// A repository that takes in, is asked once in vain, and then says this.
fn repository(end: &'static str) -> Server {
    Server::start(move |request, number, host| {
        let status = if number < 2 { "received" } else { end };
        Some(match request.method.as_str() {
            "POST" => {
                Reply::json(202, task("received")).header("content-location", format!("{host}/fhir/Task/t-1"))
            }
            _ => Reply::json(200, task(status)).header("retry-after", "1"),
        })
    })
}

fn submit(server: &Server, folder: &std::path::Path, how: &str) -> std::process::Output {
    let file = folder.join("letter.txt");
    std::fs::write(&file, "Dear reader").unwrap();
    let arguments =
        ["-o", "ndjson", "doc", "submit", file.to_str().unwrap(), "--patient", "p1", "--minimal", how];
    docshare(folder, &server.host, &arguments)
}

#[test]
fn who_does_not_wait_is_told_what_to_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = repository("completed");
    let output = submit(&server, folder.path(), "--no-wait");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&told["task"], &told["status"]), (&json!("t-1"), &json!("received")));
    let requests = server.requests.lock().unwrap();
    assert_eq!((requests.len(), requests[0].header("prefer")), (1, Some("respond-async")));
}

#[test]
fn who_waits_is_told_what_became_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = submit(&repository("completed"), folder.path(), "--wait");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["id"], "d-1");
    let output = submit(&repository("failed"), folder.path(), "--wait");
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody knows the patient"));
}

#[test]
fn a_task_is_shown_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_, _, _| Some(Reply::json(200, task("failed"))));
    let output = docshare(folder.path(), &server.host, &["-o", "id", "task", "get", "t-1"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(4), &b"t-1\n"[..]));
}

/// A registry with one file of two lines, which breaks off once, and promises so many lines.
fn registry(promised: u64) -> Server {
    let file = "{\"resourceType\":\"List\",\"id\":\"a\"}\n{\"resourceType\":\"List\",\"id\":\"b\"}\n";
    Server::start(move |request, number, host| {
        let path = request.path.split('?').next().unwrap_or_default();
        Some(match (request.method.as_str(), path) {
            ("GET", "/fhir/$export") => {
                Reply::json(202, json!({})).header("content-location", format!("{host}/fhir/export/e"))
            }
            ("DELETE", "/fhir/export/e") => Reply::new(202, ""),
            ("GET", "/fhir/export/e") if number < 2 => {
                Reply::new(202, "").header("x-progress", "half").header("retry-after", "1")
            }
            ("GET", "/fhir/export/e") => Reply::json(
                200,
                json!({
                    "transactionTime": "2026-11-20T00:00:00Z", "requiresAccessToken": false, "error": [],
                    "output": [{ "type": "List", "url": format!("{host}/fhir/export/e/1.ndjson"), "count": promised }],
                }),
            ),
            ("GET", "/fhir/export/e/1.ndjson") => match request.header("range") {
                None => Reply::new(200, file).header("etag", "\"x\"").cut(40),
                Some(range) => {
                    let from: usize =
                        range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap();
                    Reply::new(206, &file.as_bytes()[from..]).header("etag", "\"x\"")
                }
            },
            _ => Reply::new(404, "{}"),
        })
    })
}

#[test]
fn an_export_is_followed_fetched_with_resume_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let arguments = ["-o", "ndjson", "export", "--out", out.to_str().unwrap(), "--type", "List"];
    let server = registry(2);
    let output = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(out.join("List-0001.ndjson")).unwrap();
    assert_eq!(text.lines().count(), 2, "{text:?}");
    assert!(out.join("manifest.json").exists());
    assert_eq!(server.requests.lock().unwrap().last().unwrap().method, "DELETE");
    let again = docshare(folder.path(), &server.host, &arguments);
    assert_eq!(again.status.code(), Some(2), "an export that is complete is not overwritten");
}

#[test]
fn a_file_with_other_lines_than_promised_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let output = docshare(folder.path(), &registry(3).host, &["export", "--out", out.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!out.join("manifest.json").exists());
}
