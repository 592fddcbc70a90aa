//! Metadata of documents, changed.

use serde_json::{Value, json};

use crate::scripted::{Reply, Request, Server, code, docshare, err, out};

fn document(version: &str, title: &str) -> Value {
    json!({"resourceType": "DocumentReference", "id": "d1", "status": "current", "meta": {"versionId": version},
        "content": [{"attachment": {"contentType": "text/plain", "url": "http://h/documents/1", "title": title}}]})
}

#[test]
fn what_is_set_is_patched_for_the_version_that_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| {
        Some(match request.method.as_str() {
            "GET" => Reply::json(200, document("3", "before")),
            _ => Reply::json(200, document("4", "after")),
        })
    });
    let run =
        docshare(folder.path(), &server.host, &["doc", "update", "d1", "--set", "title=after", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let told: Value = serde_json::from_str(&out(&run)).unwrap();
    assert_eq!(
        (&told[0]["id"], &told[0]["version"], &told[0]["title"]),
        (&json!("d1"), &json!("4"), &json!("after"))
    );
    let sent = &server.requests()[1];
    assert_eq!((sent.method.as_str(), sent.path.as_str()), ("PATCH", "/fhir/DocumentReference/d1"));
    assert_eq!(sent.header("if-match"), Some("W/\"3\""));
    assert_eq!(sent.header("content-type"), Some("application/json-patch+json"));
    let patch: Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(patch, json!([{"op": "add", "path": "/content/0/attachment/title", "value": "after"}]));
}

#[test]
fn a_document_is_deprecated_and_made_current_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_: &Request, _, _| Some(Reply::json(200, document("1", "x"))));
    for (arguments, status) in
        [(&["doc", "deprecate", "d1"][..], "superseded"), (&["doc", "deprecate", "d1", "--undo"], "current")]
    {
        let run = docshare(folder.path(), &server.host, arguments);
        assert_eq!(code(&run), 0, "{}", err(&run));
        let requests = server.requests();
        let patch: Value = serde_json::from_slice(&requests.last().unwrap().body).unwrap();
        assert_eq!(patch, json!([{"op": "replace", "path": "/status", "value": status}]));
    }
}

#[test]
fn a_refused_update_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| {
        Some(match request.method.as_str() {
            "GET" => Reply::json(200, document("3", "before")),
            _ => Reply::json(
                412,
                json!({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "conflict",
                    "diagnostics": "the current version is W/\"4\""}]}),
            ),
        })
    });
    let run = docshare(folder.path(), &server.host, &["doc", "update", "d1", "--set", "title=after"]);
    assert_eq!(code(&run), 4, "{}", err(&run));
    assert!(err(&run).contains("the current version is"), "{}", err(&run));
    let run = docshare(folder.path(), &server.host, &["doc", "update", "d1", "--set", "nose=x"]);
    assert_eq!(code(&run), 2);
    assert!(err(&run).contains("practice-setting"), "{}", err(&run));
}
