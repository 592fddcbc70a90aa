//! Many mistakes in one submission: each is told, at its place, in the words of both faces.

use fhir::iti65::{Door, Event, Limits, Measured, Reader, read_request};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use xds::Findings;

const LIMITS: Limits =
    Limits { body: 8 << 20, document: 1 << 20, submission: 2 << 20, documents: 10, entries: 20 };

fn refused(bundle: &Value) -> Findings {
    let mut reader = Reader::new(LIMITS);
    let mut events = Vec::new();
    reader.feed(bundle.to_string().as_bytes(), &mut events).expect("the body is sound");
    let (mut measured, mut bytes, mut entry) = (Vec::new(), Vec::new(), 0);
    for event in events {
        match event {
            Event::Begin(index) => entry = index,
            Event::Bytes(more) => bytes.extend_from_slice(&more),
            Event::End => {
                let (sha1, sha256) = (Sha1::digest(&bytes).into(), Sha256::digest(&bytes).into());
                measured.push(Measured { entry, size: bytes.len() as u64, sha1, sha256 });
                bytes.clear();
            }
        }
    }
    let shell = reader.finish().expect("the body is sound");
    read_request(shell, &measured, Door::Repository).expect_err("the submission is refused")
}

fn entry_of<'a>(bundle: &'a mut Value, kind: &str) -> (usize, &'a mut Value) {
    let entries = bundle["entry"].as_array_mut().expect("a bundle has entries");
    let found = entries.iter_mut().enumerate().find(|(_, entry)| entry["resource"]["resourceType"] == kind);
    let (index, entry) = found.expect("the bundle has one");
    (index, &mut entry["resource"])
}

fn without(resource: &mut Value, name: &str) {
    resource.as_object_mut().expect("an object").remove(name).expect("it was there");
}

#[test]
fn a_submission_with_fourteen_mistakes_gets_fourteen_findings() {
    let mut bundle: Value = serde_json::from_str(include_str!("data/comprehensive.json")).expect("JSON");
    let (set, list) = entry_of(&mut bundle, "List");
    list["status"] = "retired".into();
    list["mode"] = "snapshot".into();
    without(list, "date");
    let (document, reference) = entry_of(&mut bundle, "DocumentReference");
    reference["status"] = "gone".into();
    reference["masterIdentifier"]["value"] = "urn:oid:1.02".into();
    reference["date"] = "yesterday".into();
    without(reference, "type");
    reference["context"]["period"] =
        json!({ "start": "2024-02-02T10:00:00Z", "end": "2024-02-01T10:00:00Z" });
    without(&mut reference["context"], "facilityType");
    let content = &mut reference["content"][0];
    without(content, "format");
    without(&mut content["attachment"], "language");
    content["attachment"]["hash"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=".into();
    content["attachment"]["title"] = "x".repeat(200).into();
    bundle["entry"].as_array_mut().expect("entries").push(json!({
        "fullUrl": "urn:uuid:0b6a2f6e-6b0e-4a44-9a06-5a4b6c7d00ff",
        "resource": { "resourceType": "Binary", "contentType": "text/plain", "data": "SGFsbG8=" },
        "request": { "method": "POST", "url": "Binary" },
    }));
    let extra = bundle["entry"].as_array().map_or(0, Vec::len) - 1;
    let findings = refused(&bundle);
    let expected = [
        (set, "status", Some("SubmissionSet.availabilityStatus")),
        (set, "mode", None),
        (set, "date", Some("SubmissionSet.submissionTime")),
        (document, "status", Some("DocumentEntry.availabilityStatus")),
        (document, "masterIdentifier.value", Some("DocumentEntry.uniqueId")),
        (document, "date", None),
        (document, "type", Some("DocumentEntry.typeCode")),
        (document, "context.period", Some("DocumentEntry.serviceStartTime")),
        (document, "context.facilityType", Some("DocumentEntry.healthcareFacilityTypeCode")),
        (document, "content[0].format", Some("DocumentEntry.formatCode")),
        (document, "content[0].attachment.language", Some("DocumentEntry.languageCode")),
        (document, "content[0].attachment.hash", Some("DocumentEntry.hash")),
        (document, "content[0].attachment.title", Some("DocumentEntry.title")),
        (extra, "", None),
    ];
    for (entry, element, attribute) in expected {
        let dot = if element.is_empty() { "" } else { "." };
        let path = format!("Bundle.entry[{entry}].resource{dot}{element}");
        let found: Vec<_> = findings.iter().filter(|finding| finding.at.path == path).collect();
        assert_eq!(found.len(), 1, "{path}: {findings:#?}");
        assert_eq!(found[0].at.attribute, attribute, "{path}");
    }
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
}
