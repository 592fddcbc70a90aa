//! What operators see of the receivers of the patient feed, and do about them, at the admin listener.

use serde_json::json;

use crate::scripted::{Reply, Server, code, docshare, out};

/// An admin listener, and the host whose neighbour it is.
fn admin() -> (Server, String) {
    let server = Server::start(|request, _, _| {
        Some(match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/receivers") => Reply::json(
                200,
                json!({ "receivers": [{
                    "name": "east", "transaction": "ITI-8", "place": "registry.east:2575",
                    "waiting": 3, "oldest_seconds": 12, "away": "no connection", "introducing": false,
                    "refused": [{
                        "message": "12.0", "patients": ["p-1", "p-2"], "answer": "AE 204", "tries": 4,
                        "since": "2026-01-01T00:00:00Z",
                    }],
                    "untold": { "count": 1, "latest": [{
                        "patient": "p-3", "what": "a merge was undone", "when": "2026-01-01T00:00:00Z",
                    }] },
                }] }),
            ),
            ("POST", "/receivers/east/skip?message=12.0") => Reply::new(200, "it will not be sent\n"),
            ("GET", "/readyz") => Reply::new(200, "ready\n"),
            ("POST", "/receivers/east/again") => Reply::new(200, "told again\n"),
            _ => Reply::new(404, "there is no receiver \"west\"\n"),
        })
    });
    let port: u16 = server.host.rsplit(':').next().unwrap().parse().unwrap();
    (server, format!("http://127.0.0.1:{}", port - 10))
}

#[test]
fn an_operator_sees_who_waits_and_has_a_refused_message_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let (server, host) = admin();
    let run = |arguments: &[&str]| docshare(folder.path(), &host, arguments);
    let list = run(&["receiver", "list", "-o", "json"]);
    assert_eq!(code(&list), 0, "{list:?}");
    assert!(out(&list).contains("\"waiting\"") && out(&list).contains("east"), "{}", out(&list));
    let open = run(&["receiver", "open"]);
    for words in ["12.0", "p-1 p-2", "AE 204", "p-3", "a merge was undone"] {
        assert!(out(&open).contains(words), "{words} in {}", out(&open));
    }
    let skipped = run(&["receiver", "skip", "east", "12.0"]);
    assert_eq!((code(&skipped), out(&skipped).as_str()), (0, "it will not be sent\n"));
    assert_eq!(code(&run(&["receiver", "again", "east"])), 0);
    let unknown = run(&["receiver", "settled", "west"]);
    assert_ne!(code(&unknown), 0);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no receiver"), "{unknown:?}");
    assert_eq!(server.requests().iter().filter(|request| request.method == "POST").count(), 3);
}

#[test]
fn the_status_of_the_identity_source_says_how_its_receivers_are() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, host) = admin();
    // Only the admin listener is there; that says enough of receivers.
    let run = docshare(folder.path(), &host, &["status", "-o", "json"]);
    let rows: serde_json::Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(
        rows[2]["receivers"],
        json!([
            "east (ITI-8): waiting 3, the oldest for 12 s; away: no connection; refused 1; to be put right by hand 1"
        ]),
        "{rows}"
    );
    assert!(rows[0]["receivers"].is_null(), "{rows}");
    let remark = rows[2]["remark"].as_str().unwrap();
    assert!(remark.ends_with("; east: away, waiting 3, refused 1, by hand 1"), "{remark}");
}
