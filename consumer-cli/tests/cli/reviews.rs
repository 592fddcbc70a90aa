//! What has to be decided after a merge of patients was undone.

use crate::scripted::{Reply, Request, Server, code, docshare, err};
use serde_json::{Value, json};

fn task(settled: Option<&str>) -> Value {
    let coded = |code: &str| json!({ "coding": [{ "system": "urn:x", "code": code }] });
    let mut task = json!({
        "resourceType": "Task", "id": "t1", "status": "requested", "intent": "order",
        "focus": { "reference": "DocumentReference/d1" }, "for": { "reference": "http://i/fhir/Patient/b" },
        "reasonCode": coded("submitted"),
        "input": [
            { "type": coded("other-patient"), "valueReference": { "reference": "http://i/fhir/Patient/a" } },
            { "type": coded("since"), "valueInstant": "2026-01-01T00:00:00.000Z" },
            { "type": coded("submission"), "valueString": "urn:oid:1.2.3" },
        ],
    });
    if let Some(decision) = settled {
        task["status"] = json!("completed");
        task["output"] = json!([{ "type": coded("decision"), "valueCode": decision }]);
    }
    task
}

#[test]
fn items_are_listed_and_decided() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request: &Request, _, _| {
        let found = json!({
            "resourceType": "Bundle", "type": "searchset", "total": 1,
            "entry": [{ "resource": task(None), "search": { "mode": "match" } }],
        });
        let settles = request.path.ends_with("/Task/t1/$settle");
        Some(Reply::json(200, if settles { task(Some("moves")) } else { found }))
    });
    let list = ["patient", "review", "list", "--patient", "b", "-o", "json"];
    let run = docshare(folder.path(), &server.host, &list);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    let row = &rows[0];
    assert_eq!((&row["object"], &row["why"]), (&json!("DocumentReference/d1"), &json!("submitted")));
    assert_eq!(
        (&row["other"], &row["submission"]),
        (&json!("http://i/fhir/Patient/a"), &json!("urn:oid:1.2.3"))
    );
    let run = docshare(folder.path(), &server.host, &["patient", "review", "moves", "t1", "-o", "json"]);
    assert_eq!(code(&run), 0, "{}", err(&run));
    let rows: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!((&rows[0]["status"], &rows[0]["decision"]), (&json!("completed"), &json!("moves")));
    let requests = server.requests();
    assert_eq!(requests[0].path, "/fhir/Task/_search");
    assert_eq!(String::from_utf8_lossy(&requests[0].body), "patient=b&status=requested");
    assert!(String::from_utf8_lossy(&requests[1].body).contains("\"valueCode\":\"moves\""));
}
