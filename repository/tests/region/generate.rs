//! Documents that come alone [ITI-106], before a real registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};
use web::PeerAnswer;

use crate::{DOMAIN, Region, get, json as read, send};

/// A small CDA document, written for this test.
fn cda(patient: &str) -> String {
    let root = DOMAIN.trim_start_matches("urn:oid:");
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<ClinicalDocument xmlns="urn:hl7-org:v3" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <templateId root="1.3.6.1.4.1.19376.1.5.3.1.1.2"/>
  <id root="1.2.3.4.5" extension="doc-{patient}"/>
  <code code="34133-9" codeSystem="2.16.840.1.113883.6.1" displayName="Summary of episode note"/>
  <title>Summary &amp; more</title>
  <effectiveTime value="20240207142817+0100"/>
  <confidentialityCode code="N" codeSystem="2.16.840.1.113883.5.25"/>
  <languageCode code="de-AT"/>
  <recordTarget><patientRole>
    <id nullFlavor="UNK"/><id root="1.9.9" extension="elsewhere"/><id root="{root}" extension="{patient}"/>
    <patient><name><given>Maria</given><family>Huber</family></name>
      <administrativeGenderCode code="F"/><birthTime value="19670405"/></patient>
  </patientRole></recordTarget>
  <author><functionCode code="221" codeSystem="1.2.40.0.34.5.160"/><time value="20240207"/><assignedAuthor>
    <id root="1.2.3" extension="77"/><code code="100" codeSystem="1.2.40.0.34.5.160"/>
    <assignedPerson><name><prefix>Dr.</prefix><given>Adam</given><family>Careful</family></name></assignedPerson>
    <representedOrganization><id root="1.2.3.9"/><name>Clinic</name></representedOrganization>
  </assignedAuthor></author>
  <documentationOf><serviceEvent><code code="E1" codeSystem="1.2.3.7"/>
    <effectiveTime><low value="20240201"/><high value="20240207"/></effectiveTime></serviceEvent></documentationOf>
  <component><structuredBody><component><section><text>Body</text></section></component></structuredBody></component>
</ClinicalDocument>"#
    )
}

async fn generate(region: &Region, document: Value) -> PeerAnswer {
    let parameters =
        json!({ "resourceType": "Parameters", "parameter": [{ "name": "document", "resource": document }] });
    let path = "/fhir/DocumentReference/$generate-metadata";
    send(&region.repository.host, Method::POST, path, &parameters.to_string()).await
}

async fn entry(answer: &PeerAnswer) -> Value {
    let told = read(answer);
    assert_eq!(answer.status, 200, "{told}");
    assert_eq!(told["parameter"][0]["name"], "DocumentReference");
    read(&get(told["parameter"][0]["valueReference"]["reference"].as_str().unwrap()).await)
}

#[tokio::test]
async fn a_cda_document_is_registered_with_what_it_says_of_itself() {
    let region = Region::start();
    let id = region.patient("g-1").await;
    let cda = cda("g-1");
    let binary =
        json!({ "resourceType": "Binary", "contentType": "text/xml", "data": STANDARD.encode(&cda) });
    let answer = generate(&region, binary.clone()).await;
    let entry = entry(&answer).await;
    assert!(entry["subject"]["reference"].as_str().unwrap().ends_with(&format!("/Patient/{id}")), "{entry}");
    assert_eq!(entry["masterIdentifier"], json!({ "system": "urn:oid:1.2.3.4.5", "value": "doc-g-1" }));
    assert_eq!(entry["type"]["coding"][0]["system"], "http://loinc.org");
    assert_eq!(entry["category"][0]["coding"][0]["code"], "34133-9");
    let content = &entry["content"][0];
    assert_eq!(content["attachment"]["title"], "Summary & more");
    assert_eq!(content["attachment"]["creation"], "2024-02-07T13:28:17Z");
    assert_eq!(content["attachment"]["language"], "de-AT");
    assert_eq!(content["format"]["code"], "urn:ihe:pcc:xds-ms:2007");
    assert_eq!(entry["securityLabel"][0]["coding"][0]["code"], "N");
    assert_eq!(entry["context"]["period"], json!({ "start": "2024-02-01", "end": "2024-02-07" }));
    assert_eq!(entry["context"]["event"][0]["coding"][0]["code"], "E1");
    let contained = entry["contained"].as_array().unwrap();
    let role = contained.iter().find(|one| one["resourceType"] == "PractitionerRole").unwrap();
    assert_eq!(entry["author"][0]["reference"], format!("#{}", role["id"].as_str().unwrap()));
    assert!(contained.iter().any(|one| one["name"][0]["family"] == "Careful"), "{entry}");
    let source = contained.iter().find(|one| one["resourceType"] == "Patient").unwrap();
    assert_eq!(source["birthDate"], "1967-04-05");
    assert_eq!(&get(content["attachment"]["url"].as_str().unwrap()).await.body[..], cda.as_bytes());
    let again = generate(&region, binary).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.body, answer.body);
}

#[tokio::test]
async fn a_fhir_document_is_registered_with_what_its_composition_says() {
    let region = Region::start();
    region.patient("g-2").await;
    let document = |name: &str| {
        json!({
            "resourceType": "Bundle", "type": "document",
            "identifier": { "system": "urn:ietf:rfc:3986", "value": name },
            "timestamp": "2024-02-07T13:28:17Z",
            "entry": [
                { "fullUrl": "urn:uuid:4f1d1d5e-6a34-4b3a-9b1e-0c2f3a5b6c01", "resource": {
                    "resourceType": "Composition", "status": "final", "language": "en", "title": "Summary",
                    "type": { "coding": [{ "system": "http://loinc.org", "code": "60591-5" }] },
                    "subject": { "reference": "urn:uuid:4f1d1d5e-6a34-4b3a-9b1e-0c2f3a5b6c02" },
                    "date": "2024-02-07T13:28:17Z", "confidentiality": "N",
                    "author": [{ "reference": "urn:uuid:4f1d1d5e-6a34-4b3a-9b1e-0c2f3a5b6c03" }] } },
                { "fullUrl": "urn:uuid:4f1d1d5e-6a34-4b3a-9b1e-0c2f3a5b6c02",
                  "resource": testkit::patient(DOMAIN, "g-2", "Huber", "Maria") },
                { "fullUrl": "urn:uuid:4f1d1d5e-6a34-4b3a-9b1e-0c2f3a5b6c03",
                  "resource": { "resourceType": "Practitioner", "name": [{ "family": "Careful" }] } },
            ],
        })
    };
    let (whole, serialized) = (document("urn:oid:1.2.3.61"), document("urn:oid:1.2.3.62"));
    let binary = json!({ "resourceType": "Binary", "contentType": "application/fhir+json",
                         "data": STANDARD.encode(serialized.to_string()) });
    for (sent, original) in [(whole.clone(), whole), (binary, serialized)] {
        let entry = entry(&generate(&region, sent).await).await;
        assert_eq!(entry["masterIdentifier"], original["identifier"]);
        assert_eq!(entry["type"]["coding"][0]["code"], "60591-5");
        assert_eq!(entry["securityLabel"][0]["coding"][0]["code"], "N");
        assert_eq!(entry["content"][0]["attachment"]["contentType"], "application/fhir+json");
        let bytes = get(entry["content"][0]["attachment"]["url"].as_str().unwrap()).await.body;
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), original);
    }
}

#[tokio::test]
async fn what_nothing_can_be_taken_from_is_refused_and_says_what_is_understood() {
    let region = Region::start();
    let binary = |media: &str, text: &str| json!({ "resourceType": "Binary", "contentType": media, "data": STANDARD.encode(text) });
    let cases = [
        (binary("application/pdf", "%PDF"), "CDA"),
        (binary("text/xml", "<a/>"), "ClinicalDocument"),
        (binary("text/xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>"), "DOCTYPE"),
        (binary("text/xml", "<ClinicalDocument xmlns='urn:hl7-org:v3'><id root='1.2.3'/>"), "well-formed"),
        (json!({ "resourceType": "Bundle", "type": "collection" }), "Composition"),
    ];
    for (document, words) in cases {
        let answer = generate(&region, document).await;
        let told = read(&answer);
        assert_eq!(answer.status, 422, "{told}");
        assert_eq!(told["issue"][0]["code"], "not-supported", "{told}");
        assert!(told["issue"][0]["diagnostics"].as_str().unwrap().contains(words), "{words} {told}");
    }
    let unknown = generate(&region, binary("text/xml", &cda("nobody"))).await;
    let told = read(&unknown);
    assert_eq!(
        (unknown.status, &told["issue"][0]["details"]["coding"][0]["code"]),
        (400, &json!("XDSUnknownPatientId"))
    );
    assert_eq!(region.store.health().documents, 0);
}
