//! Documents published in one request, before a real registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use crate::{DOMAIN, IDENTITY, Region, get, json as read, send};

fn document(subject: Value, text: &str, unique_id: &str) -> Value {
    json!({
        "resourceType": "DocumentReference",
        "masterIdentifier": { "system": "urn:ietf:rfc:3986", "value": unique_id },
        "status": "current",
        "subject": subject,
        "content": [{ "attachment": { "contentType": "text/plain", "data": STANDARD.encode(text) } }],
    })
}

#[tokio::test]
async fn a_published_document_is_found_fetched_and_replaced_by_the_next() {
    let region = Region::start();
    let id = region.patient("p-1").await;
    let subject = json!({ "identifier": { "system": DOMAIN, "value": "p-1" } });
    let first = document(subject.clone(), "first", "urn:oid:1.2.3.1");
    let publish = async |document: &Value| {
        send(&region.repository.host, Method::POST, "/fhir/DocumentReference", &document.to_string()).await
    };
    let answer = publish(&first).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let old = read(&answer);
    assert_eq!(old["subject"]["reference"], format!("{IDENTITY}/Patient/{id}"));
    assert_eq!(old["meta"]["versionId"], "1");
    assert_eq!(&get(old["content"][0]["attachment"]["url"].as_str().unwrap()).await.body[..], b"first");

    let mut second = document(subject, "second", "urn:oid:1.2.3.2");
    let target = json!({ "identifier": { "system": "urn:ietf:rfc:3986", "value": "urn:oid:1.2.3.1" } });
    second["relatesTo"] = json!([{ "code": "replaces", "target": target }]);
    let answer = publish(&second).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let reference = format!("DocumentReference/{}", old["id"].as_str().unwrap());
    assert_eq!(read(&answer)["relatesTo"][0]["target"]["reference"], reference);
    let current = region.search(&format!("patient=Patient/{id}&status=current")).await;
    assert_eq!((current.len(), &current[0]["id"]), (1, &read(&answer)["id"]));
    let superseded = region.search(&format!("patient=Patient/{id}&status=superseded")).await;
    assert_eq!((superseded.len(), &superseded[0]["id"]), (1, &old["id"]));

    let third = publish(&second).await;
    assert_eq!(third.headers["idempotency-replayed"], "true");
    assert_eq!(third.headers["location"], answer.headers["location"]);
}
