//! The affinity domain: what is done with codes it does not accept, its exchange while the registry runs, and its value sets.

use std::fs;
use std::path::Path;
use std::time::Duration;

use registry::{Domain, Enforced, Enforcing, Settings};
use serde_json::{Value, json};

use crate::world::{World, document, provide, settings};

/// A domain that accepts what the builders of the tests write, under one more spelling of the format's system.
const CODES: &str = r#"<Codes>
  <CodeType name="formatCode">
    <Code code="urn:ihe:iti:xds-sd:text:2008" display="Scanned text" codingScheme="1.3.6.1.4.1.19376.1.2.3" system="http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"/>
    <Code code="urn:ihe:iti:xds-sd:pdf:2008" codingScheme="1.3.6.1.4.1.19376.1.2.3" system="http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"/>
  </CodeType>
  <CodeType name="confidentialityCode">
    <Code code="N" display="normal" codingScheme="2.16.840.1.113883.5.25" system="http://region.example/confidentiality"/>
  </CodeType>
  <CodeType name="mimeType"><Code code="text/plain"/></CodeType>
</Codes>"#;

fn domain(folder: &Path, enforce: Enforcing) -> Settings {
    let file = folder.join("codes.xml");
    if !file.exists() {
        fs::write(&file, CODES).expect("the folder is writable");
    }
    Settings { domain: Domain { files: vec![file], enforce, ..Domain::default() }, ..settings() }
}

fn rejecting() -> Enforcing {
    Enforcing { default: Enforced::Reject, ..Enforcing::default() }
}

/// A submission whose document has this format.
fn with_format(format: &str) -> Value {
    let mut bundle = provide("p1", document("Befund")).bundle();
    for entry in bundle["entry"].as_array_mut().expect("a bundle has entries") {
        if entry["resource"]["resourceType"] == "DocumentReference" {
            entry["resource"]["content"][0]["format"]["code"] = format.into();
        }
    }
    bundle
}

const MISTYPED: &str = "urn:ihe:iti:xds-sd:text:2OO8";

#[tokio::test]
async fn without_files_every_code_is_taken() {
    let world = World::new().await;
    world.post(&with_format(MISTYPED)).await.expect(200);
    assert_eq!(world.get("/fhir/ValueSet").await.expect(200).body["total"].to_string(), "0");
}

#[tokio::test]
async fn an_accepted_code_is_taken_by_any_spelling_of_its_system() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    world.post(&with_format("urn:ihe:iti:xds-sd:text:2008")).await.expect(200);
    let other = provide("p1", document("other")).bundle().to_string().replace(
        "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
        "urn:oid:1.3.6.1.4.1.19376.1.2.3",
    );
    world.post(&serde_json::from_str(&other).expect("JSON")).await.expect(200);
}

#[tokio::test]
async fn a_code_that_is_not_accepted_is_refused_with_the_nearest_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let reply = world.post(&with_format(MISTYPED)).await.expect(400);
    let issue = &reply.body["issue"][0];
    assert_eq!(issue["code"], "code-invalid");
    assert_eq!(issue["details"]["coding"][0]["code"], "XDSRegistryMetadataError");
    assert_eq!(issue["details"]["coding"][1]["code"], "code-invalid");
    let text = issue["details"]["text"].as_str().expect("it has words");
    assert!(text.contains("DocumentReference.content[0].format (DocumentEntry.formatCode) is"), "{text}");
    assert!(text.contains("nearest: urn:ihe:iti:xds-sd:text:2008"), "{text}");
    let path = issue["expression"][0].as_str().expect("it has a place");
    assert!(path.starts_with("Bundle.entry[") && path.ends_with(".resource.content[0].format"), "{path}");
    let found = world.get("/fhir/DocumentReference?patient=p1").await.expect(200);
    assert_eq!(found.body["total"].to_string(), "0", "nothing was stored");
}

#[tokio::test]
async fn a_warning_is_told_and_the_document_stored() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), Enforcing::default())).await;
    let reply = world.post(&with_format(MISTYPED)).await.expect(200);
    let outcome = reply.body["entry"]
        .as_array()
        .and_then(|entries| entries.iter().find_map(|entry| entry["response"].get("outcome").cloned()))
        .expect("an entry has an outcome");
    assert_eq!(outcome["issue"][0]["severity"], "warning", "{outcome}");
    assert_eq!(outcome["issue"][0]["code"], "code-invalid");
    assert_eq!(world.get("/fhir/DocumentReference?patient=p1").await.body["total"].to_string(), "1");
}

#[tokio::test]
async fn an_attribute_may_be_free_while_others_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let enforce = Enforcing { format_code: Enforced::Off, ..rejecting() };
    let world = World::with(domain(folder.path(), enforce)).await;
    world.post(&with_format(MISTYPED)).await.expect(200);
}

#[tokio::test]
async fn faults_of_shape_do_not_hide_those_of_codes() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let mut bundle = with_format(MISTYPED);
    for entry in bundle["entry"].as_array_mut().expect("entries") {
        if entry["resource"]["resourceType"] == "DocumentReference" {
            entry["resource"]["status"] = "gone".into();
            entry["resource"].as_object_mut().expect("a resource").remove("type");
        }
    }
    let codes = world.post(&bundle).await.expect(400).codes();
    for code in ["code-invalid", "metadata-required"] {
        assert!(codes.iter().any(|known| known == code), "{code} is told: {codes:?}");
    }
}

#[tokio::test]
async fn what_was_accepted_once_is_answered_as_it_was_then() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let bundle = with_format("urn:ihe:iti:xds-sd:pdf:2008");
    let first = world.post(&bundle).await.expect(200);
    fs::write(folder.path().join("codes.xml"), CODES.replace("xds-sd:pdf", "xds-sd:tiff")).expect("writable");
    reload(&world).await.expect(200);
    let again = world.post(&bundle).await.expect(200);
    assert_eq!(again.body, first.body);
    world.post(&with_format("urn:ihe:iti:xds-sd:pdf:2008")).await.expect(400);
}

async fn reload(world: &World) -> crate::world::Reply {
    world.send(world.client.post(format!("{}/reload", world.admin))).await
}

async fn survey(world: &World) -> Value {
    for _ in 0..500 {
        let report = world.get(&format!("{}/affinity/diff", world.admin)).await.expect(200).body;
        if report["state"] == "done" {
            return report;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the walk through what is stored does not end");
}

#[tokio::test]
async fn after_a_reload_it_is_told_what_stored_entries_would_violate() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let registered = world.post(&with_format("urn:ihe:iti:xds-sd:pdf:2008")).await.expect(200);
    let id = registered.located("DocumentReference").remove(0);
    fs::write(folder.path().join("codes.xml"), CODES.replace("xds-sd:pdf", "xds-sd:tiff")).expect("writable");
    reload(&world).await.expect(200);
    let report = survey(&world).await;
    assert_eq!(report["violating"], 1, "{report}");
    let violation = &report["violations"][0];
    assert_eq!(violation["attribute"], "DocumentEntry.formatCode");
    assert_eq!((&violation["entries"], &violation["current"]), (&json!(1), &json!(1)));
    assert_eq!(violation["samples"][0], format!("DocumentReference/{id}"));
}

#[tokio::test]
async fn bad_files_leave_the_old_codes_in_use() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    fs::write(folder.path().join("codes.xml"), "<Codes><CodeType/></Codes>").expect("writable");
    reload(&world).await.expect(422);
    world.post(&with_format(MISTYPED)).await.expect(400);
    world.post(&with_format("urn:ihe:iti:xds-sd:text:2008")).await.expect(200);
    let ready = world.get(&format!("{}/readyz?verbose", world.admin)).await.expect(200);
    let checks = ready.body["checks"].as_array().cloned().unwrap_or_default();
    let domain = checks.iter().find(|check| check["name"] == "domain").expect("the domain is told of");
    assert!(domain["text"].as_str().is_some_and(|text| text.starts_with("OLD CODES ARE IN USE")), "{domain}");
}

#[tokio::test]
async fn a_search_finds_a_code_by_every_spelling_the_domain_has_learned() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), Enforcing::default())).await;
    world.post(&with_format("urn:ihe:iti:xds-sd:text:2008")).await.expect(200);
    for system in ["2.16.840.1.113883.5.25", "http://region.example/confidentiality"] {
        let path = format!("/fhir/DocumentReference?patient=p1&security-label={system}%7CN");
        assert_eq!(world.get(&path).await.expect(200).body["total"].to_string(), "1", "{system}");
    }
}

#[tokio::test]
async fn the_codes_are_served_as_value_sets() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let found = world.get("/fhir/ValueSet").await.expect(200);
    assert_eq!(found.ids(), ["formatCode", "confidentialityCode", "mimeType"]);
    let read = world.get("/fhir/ValueSet/formatCode").await.expect(200);
    let url = read.body["url"].as_str().expect("a value set has a URL").to_owned();
    assert_eq!(url, format!("{}/fhir/ValueSet/formatCode", world.host));
    assert_eq!(world.get(&format!("/fhir/ValueSet?url={url}")).await.ids(), ["formatCode"]);
    let expanded = world.get("/fhir/ValueSet/formatCode/$expand?filter=PDF").await.expect(200);
    assert_eq!(expanded.body["expansion"]["total"].to_string(), "1");
    let by_url = world.get(&format!("/fhir/ValueSet/$expand?url={url}&count=1")).await.expect(200);
    assert_eq!(by_url.body["expansion"]["contains"].as_array().map(Vec::len), Some(1));
    world.get("/fhir/ValueSet/$expand").await.expect(400);
    let unknown = world.get(&format!("/fhir/ValueSet/$expand?url={url}s")).await.expect(404);
    assert!(
        unknown.body["issue"][0]["details"]["text"].as_str().is_some_and(|text| text.contains("nearest"))
    );
    world.get("/fhir/ValueSet/nothing").await.expect(404);
    world.get("/fhir/CodeSystem").await.expect(200);
}

#[tokio::test]
async fn a_code_can_be_validated_by_url_and_by_parameters() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let path =
        "/fhir/ValueSet/confidentialityCode/$validate-code?system=urn:oid:2.16.840.1.113883.5.25&code=N";
    let yes = world.get(path).await.expect(200);
    assert_eq!(yes.body["parameter"][0]["valueBoolean"], true, "{}", yes.body);
    let body = json!({ "resourceType": "Parameters", "parameter": [
        { "name": "url", "valueUri": format!("{}/fhir/ValueSet/confidentialityCode", world.host) },
        { "name": "coding", "valueCoding": { "system": "2.16.840.1.113883.5.25", "code": "M" } }] });
    let request = world.request(reqwest::Method::POST, "/fhir/ValueSet/$validate-code").json(&body);
    let no = world.send(request).await.expect(200);
    assert_eq!(no.body["parameter"][0]["valueBoolean"], false, "{}", no.body);
    world.get("/fhir/ValueSet/confidentialityCode/$validate-code").await.expect(400);
}

#[tokio::test]
async fn the_statement_claims_the_operations() {
    let world = World::new().await;
    let statement = world.get("/fhir/metadata").await.expect(200).body;
    let resources = statement["rest"][0]["resource"].as_array().cloned().unwrap_or_default();
    let value_set = resources.iter().find(|resource| resource["type"] == "ValueSet").expect("it is claimed");
    let operations: Vec<_> =
        value_set["operation"].as_array().expect("operations").iter().map(|o| &o["name"]).collect();
    assert_eq!(operations, ["expand", "validate-code"]);
}

#[tokio::test]
async fn an_update_is_judged_by_the_codes_it_brings_and_not_by_those_that_stand() {
    let folder = tempfile::tempdir().expect("a folder");
    let world = World::with(domain(folder.path(), rejecting())).await;
    let registered = world.post(&with_format("urn:ihe:iti:xds-sd:pdf:2008")).await.expect(200);
    let path = format!("/fhir/DocumentReference/{}", registered.located("DocumentReference")[0]);
    fs::write(folder.path().join("codes.xml"), CODES.replace("xds-sd:pdf", "xds-sd:tiff")).expect("writable");
    reload(&world).await.expect(200);
    let put = async |document: &Value, version: &str| {
        world
            .send(world.request(reqwest::Method::PUT, &path).header("If-Match", version).json(document))
            .await
    };
    let mut document = world.get(&path).await.expect(200).body;
    document["description"] = "Another description".into();
    put(&document, "W/\"1\"").await.expect(200);
    let mut document = world.get(&path).await.expect(200).body;
    document["content"][0]["format"]["code"] = MISTYPED.into();
    let refused = put(&document, "W/\"2\"").await.expect(400);
    assert!(refused.codes().contains(&"code-invalid".to_owned()), "{}", refused.body);
}
