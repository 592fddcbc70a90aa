//! The codes of a domain, from files.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const CODES: &str = r#"<Codes>
  <CodeType name="formatCode">
    <Code code="urn:ihe:pcc:xphr:2007" display="XPHR" codingScheme="1.3.6.1.4.1.19376.1.2.3" system="http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode"/>
  </CodeType>
  <CodeType name="mimeType"><Code code="text/plain"/></CodeType>
</Codes>"#;

fn docshare(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_docshare"))
        .args(["-o", "json"])
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CONFIG_HOME", folder)
        .output()
        .expect("docshare runs")
}

fn listed(output: &Output) -> Vec<Value> {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!(
            "{error}: {} {}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        )
    })
}

#[test]
fn a_domain_is_shown_by_attribute_and_by_code() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("codes.xml"), CODES).expect("writable");
    let sets = listed(&docshare(&["affinity", "show", "codes.xml"], folder.path()));
    assert_eq!(sets[0]["attribute"], "DocumentEntry.formatCode");
    assert_eq!(sets[0]["codes"], 1);
    let codes = listed(&docshare(&["affinity", "show", "codes.xml", "-a", "formatCode"], folder.path()));
    assert_eq!(codes[0]["display"], "XPHR");
}

#[test]
fn a_bundle_is_checked_and_the_nearest_code_told() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("codes.xml"), CODES).expect("writable");
    let bundle = json!({ "resourceType": "Bundle", "type": "transaction", "entry": [{ "resource": {
        "resourceType": "DocumentReference",
        "content": [{ "attachment": { "contentType": "text/plain" },
            "format": { "system": "urn:oid:1.3.6.1.4.1.19376.1.2.3", "code": "urn:ihe:pcc:xphr:2017" } }] } }] });
    fs::write(folder.path().join("bundle.json"), bundle.to_string()).expect("writable");
    let checked = docshare(&["affinity", "check", "bundle.json", "-d", "codes.xml"], folder.path());
    assert_eq!(checked.status.code(), Some(4));
    let found = listed(&checked);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["place"], "Bundle.entry[0].resource.content[0].format");
    assert_eq!(found[0]["nearest"], "urn:ihe:pcc:xphr:2007 (XPHR)");
    let fixed = bundle.to_string().replace("xphr:2017", "xphr:2007");
    fs::write(folder.path().join("bundle.json"), fixed).expect("writable");
    let checked = docshare(&["affinity", "check", "bundle.json", "-d", "codes.xml"], folder.path());
    assert_eq!(checked.status.code(), Some(0));
}

#[test]
fn a_domain_is_converted_there_and_back_without_a_difference() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("codes.xml"), CODES).expect("writable");
    let fhir = docshare(&["affinity", "convert", "codes.xml"], folder.path());
    fs::write(folder.path().join("domain.json"), &fhir.stdout).expect("writable");
    let back = docshare(&["affinity", "convert", "domain.json"], folder.path());
    fs::write(folder.path().join("back.xml"), &back.stdout).expect("writable");
    let same = docshare(&["affinity", "diff", "codes.xml", "back.xml"], folder.path());
    assert_eq!((same.status.code(), listed(&same).len()), (Some(0), 0));
    fs::write(folder.path().join("back.xml"), CODES.replace("text/plain", "text/html")).expect("writable");
    let other = docshare(&["affinity", "diff", "codes.xml", "back.xml"], folder.path());
    assert_eq!((other.status.code(), listed(&other).len()), (Some(4), 2));
}

#[test]
fn an_error_code_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = docshare(&["explain", "code-invalid"], folder.path());
    assert!(String::from_utf8_lossy(&page.stdout).starts_with("# code-invalid"));
    let page = docshare(&["explain", "XDSUnknownPatientId"], folder.path());
    assert!(String::from_utf8_lossy(&page.stdout).starts_with("# unknown-patient"));
    assert_eq!(docshare(&["explain", "nothing"], folder.path()).status.code(), Some(2));
}
