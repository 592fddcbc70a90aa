//! Documents published in one request, before a real registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use testkit::Provide;

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

#[tokio::test]
async fn a_validated_submission_is_judged_to_the_end_and_leaves_nothing() {
    let region = Region::start();
    let id = region.patient("v-1").await;
    let patient = format!("{IDENTITY}/Patient/{id}");
    let validate = async |body: &Value| {
        let path = "/fhir/Bundle/$validate";
        let answer = send(&region.repository.host, Method::POST, path, &body.to_string()).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        read(&answer)
    };
    let bundle = Provide::new(&patient).bundle();
    for body in [
        bundle.clone(),
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "resource", "resource": bundle.clone() }] }),
    ] {
        let told = validate(&body).await;
        assert_eq!(told["issue"][0]["severity"], "information", "{told}");
    }
    assert_eq!(region.store.health().documents, 0);
    assert!(region.search(&format!("patient=Patient/{id}&status=current")).await.is_empty());

    // What only the registry knows is told where it is in the Bundle.
    let mut replacing = Provide::new(&patient).bundle();
    let nobody = "DocumentReference/00000000-0000-4000-8000-000000000000";
    replacing["entry"][1]["resource"]["relatesTo"] =
        json!([{ "code": "replaces", "target": { "reference": nobody } }]);
    replacing["entry"].as_array_mut().unwrap().rotate_right(1);
    let told = validate(&replacing).await;
    assert_eq!(told["issue"][0]["details"]["coding"][0]["code"], "UnresolvedReferenceException", "{told}");
    assert_eq!(told["issue"][0]["expression"][0], "Bundle.entry[2].resource.relatesTo[0].target");

    // What is stored is told as such, and a patient that would be fed is not.
    assert_eq!(region.provide(&bundle).await.status, 200);
    let told = validate(&bundle).await;
    assert!(told["issue"].as_array().unwrap().iter().all(|one| one["severity"] == "information"), "{told}");
    assert!(told.to_string().contains("registered already"), "{told}");
    let url = testkit::urn_uuid();
    let entry = json!({
        "fullUrl": url,
        "resource": testkit::patient(DOMAIN, "v-2", "Neu", "Nora"),
        "request": { "method": "POST", "url": "Patient" }
    });
    let told = validate(&Provide::new(&url).entry(entry).bundle()).await;
    assert_eq!(told["issue"][0]["severity"], "information", "{told}");
    let found =
        send(&region.identity.host, Method::GET, &format!("/fhir/Patient?identifier={DOMAIN}%7Cv-2"), "")
            .await;
    assert_eq!(read(&found)["total"], 0);
}
