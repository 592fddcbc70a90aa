//! A sample submission as a Comprehensive transaction Bundle [ITI-65], equal at every start.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use uuid::Uuid;

use crate::samples::{Document, PATIENTS, Submission};

const STRUCTURE: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/";
const URI: &str = "urn:ietf:rfc:3986";

/// OID of this source of documents.
pub(crate) const SOURCE: &str = "urn:oid:2.25.217304915637218450917263540918273645518";

/// System, code and display.
#[derive(Clone, Copy)]
pub(crate) struct Code(pub(crate) &'static str, pub(crate) &'static str, pub(crate) &'static str);

impl Code {
    fn coding(self) -> Value {
        json!({"system": self.0, "code": self.1, "display": self.2})
    }
    fn concept(self) -> Value {
        json!({"coding": [self.coding()]})
    }
}

/// The unique id of a sample: always the same for the same name.
pub(crate) fn unique_id(name: &str) -> String {
    format!("urn:oid:2.25.{}", named(name).as_u128())
}

fn named(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("urn:docshare:sample:{name}").as_bytes())
}

/// The Bundle of a submission for a patient, named by absolute reference.
pub(crate) fn bundle(submission: &Submission, patient: &str) -> Value {
    let symbol = |kind: &str, name: &str| format!("urn:uuid:{}", named(&format!("{kind}:{name}")));
    let mut entries = vec![entry(&symbol("set", submission.name), set(submission, patient, &symbol), "List")];
    for document in submission.documents {
        let binary = symbol("binary", document.name);
        let resource = document_reference(submission, document, patient, &binary);
        entries.push(entry(&symbol("document", document.name), resource, "DocumentReference"));
    }
    for document in submission.documents {
        let data = STANDARD.encode(document.bytes);
        let resource = json!({"resourceType": "Binary", "contentType": document.content_type, "data": data});
        entries.push(entry(&symbol("binary", document.name), resource, "Binary"));
    }
    json!({
        "resourceType": "Bundle",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Comprehensive.ProvideBundle")]},
        "type": "transaction",
        "entry": entries,
    })
}

fn entry(full_url: &str, resource: Value, url: &str) -> Value {
    json!({"fullUrl": full_url, "resource": resource, "request": {"method": "POST", "url": url}})
}

fn set(submission: &Submission, patient: &str, symbol: &dyn Fn(&str, &str) -> String) -> Value {
    let kind = submission.documents.first().map(|document| document.kind.concept());
    let items: Vec<Value> = submission
        .documents
        .iter()
        .map(|document| json!({"item": {"reference": symbol("document", document.name)}}))
        .collect();
    json!({
        "resourceType": "List",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Comprehensive.SubmissionSet")]},
        "extension": [
            {"url": format!("{STRUCTURE}ihe-designationType"), "valueCodeableConcept": kind},
            {"url": format!("{STRUCTURE}ihe-sourceId"), "valueIdentifier": {"value": SOURCE}},
        ],
        "identifier": [{"use": "usual", "system": URI, "value": unique_id(&format!("set:{}", submission.name))}],
        "status": "current",
        "mode": "working",
        "code": {"coding": [{"system": "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes", "code": "submissionset"}]},
        "subject": {"reference": patient},
        "date": submission.date,
        "entry": items,
    })
}

fn document_reference(submission: &Submission, document: &Document, patient: &str, binary: &str) -> Value {
    let (family, given) = document.author;
    json!({
        "resourceType": "DocumentReference",
        "meta": {"profile": [format!("{STRUCTURE}IHE.MHD.Comprehensive.DocumentReference")]},
        "contained": [
            {"resourceType": "Practitioner", "id": "author", "name": [{"family": family, "given": [given]}]},
            {"resourceType": "Patient", "id": "source-patient",
                "identifier": [{"system": PATIENTS, "value": submission.patient}]},
        ],
        "masterIdentifier": {"system": URI, "value": unique_id(document.name)},
        "status": "current",
        "type": document.kind.concept(),
        "category": [Code("urn:oid:1.3.6.1.4.1.19376.1.2.6.1", "REPORTS", "Reports").concept()],
        "subject": {"reference": patient},
        "date": submission.date,
        "author": [{"reference": "#author"}],
        "securityLabel": [Code("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "N", "normal").concept()],
        "content": [{
            "attachment": {
                "contentType": document.content_type,
                "language": "en",
                "url": binary,
                "size": document.bytes.len(),
                "hash": STANDARD.encode(Sha1::digest(document.bytes)),
                "title": document.title,
                "creation": document.creation,
            },
            "format": document.format.coding(),
        }],
        "context": {
            "facilityType": Code("http://snomed.info/sct", "22232009", "Hospital").concept(),
            "practiceSetting": submission.setting.concept(),
            "sourcePatientInfo": {"reference": "#source-patient"},
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::SUBMISSIONS;

    #[test]
    fn a_sample_is_the_same_at_every_start() {
        for submission in SUBMISSIONS {
            assert_eq!(
                bundle(submission, "http://i/fhir/Patient/1"),
                bundle(submission, "http://i/fhir/Patient/1")
            );
        }
        assert!(unique_id("a").starts_with("urn:oid:2.25."));
    }

    #[test]
    fn the_set_lists_its_documents_and_each_points_at_its_bytes() {
        let bundle = bundle(&SUBMISSIONS[1], "http://i/fhir/Patient/1");
        let entry = |n: usize| &bundle["entry"][n];
        for n in [0, 1] {
            assert_eq!(entry(0)["resource"]["entry"][n]["item"]["reference"], entry(1 + n)["fullUrl"]);
            assert_eq!(entry(1 + n)["resource"]["content"][0]["attachment"]["url"], entry(3 + n)["fullUrl"]);
        }
    }
}
