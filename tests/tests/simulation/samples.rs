//! What is submitted: five keys, each with two contents, made once.

use std::sync::LazyLock;

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use testkit::{Document, Provide};
use tests::faults::history::{Kind, Sent};

/// The name space of the patients' identifiers.
pub(crate) const DOMAIN: &str = "urn:oid:1.2.36.146.595.217.0.1";
/// How many keys there are.
pub(crate) const KEYS: u8 = 5;
/// How many patients.
pub(crate) const PATIENTS: u8 = 2;
/// Two documents of different submissions have this unique id; equal bytes in the first content, others in the second.
const SHARED: &str = "urn:oid:1.2.3.903.1";

/// A submission, ready to be sent.
pub(crate) struct Sample {
    pub(crate) key: String,
    pub(crate) patient: u8,
    pub(crate) content: String,
    pub(crate) bundle: Bytes,
    /// As the history has it: the SubmissionSet, then the documents.
    pub(crate) objects: Vec<Sent>,
}

static SAMPLES: LazyLock<Vec<Sample>> =
    LazyLock::new(|| (0..KEYS * 2).map(|number| sample(number / 2, number % 2 == 1)).collect());

/// The submission of a key.
pub(crate) fn submission(key: u8, other: bool) -> &'static Sample {
    &SAMPLES[usize::from(key % KEYS) * 2 + usize::from(other)]
}

/// Unique id of a document of a key.
pub(crate) fn unique_id(key: u8, document: u8) -> String {
    match (key % KEYS, document) {
        (2 | 3, 0) => SHARED.to_owned(),
        (key, document) => format!("urn:oid:1.2.3.902.{key}.{document}"),
    }
}

/// The identifier of a patient.
pub(crate) fn patient_value(patient: u8) -> String {
    format!("p{patient}")
}

/// What the source has set of a document, to be compared with what is found.
pub(crate) fn attributes(resource: &Value) -> String {
    let attachment = &resource["content"][0]["attachment"];
    let told = [
        &attachment["title"],
        &attachment["contentType"],
        &attachment["creation"],
        &attachment["size"],
        &attachment["hash"],
        &resource["description"],
        &resource["type"]["coding"][0]["code"],
        &resource["securityLabel"][0]["coding"][0]["code"],
        &resource["masterIdentifier"]["value"],
    ];
    told.map(Value::to_string).join(" ")
}

/// Keys 0 to 2 are of the first patient, and 1 and 2 replace the same document of 0; 3 and 4 are of the second.
fn sample(key: u8, other: bool) -> Sample {
    let (patient, count) = match key {
        0 => (0, 2),
        1 => (0, 1),
        2 => (0, 2),
        3 => (1, 1),
        _ => (1, 3),
    };
    let documents: Vec<Document> = (0..count).map(|number| document(key, number, other)).collect();
    let subject = json!({ "identifier": { "system": DOMAIN, "value": patient_value(patient) } });
    let unique = format!("urn:oid:1.2.3.901.{key}");
    let mut provide = Provide::with_subject(subject.clone()).unique_id(&unique);
    provide.url = uuid(9_000 + u32::from(key));
    let provide = provide.documents(documents.clone());
    let mut objects = vec![Sent {
        kind: Kind::Set,
        unique_id: unique.clone(),
        attributes: String::new(),
        sha256: String::new(),
        size: 0,
        replaces: None,
    }];
    objects.extend(documents.iter().map(|document| Sent {
        kind: Kind::Document,
        unique_id: document.unique_id.clone(),
        attributes: attributes(&document.reference(provide.profile, &subject)),
        sha256: sha256(&document.bytes),
        size: document.bytes.len() as u64,
        replaces: document.relates_to.first().map(|_| entry_id(0, 0)),
    }));
    Sample {
        key: unique,
        patient,
        content: if other { "other" } else { "first" }.to_owned(),
        bundle: provide.bundle().to_string().into(),
        objects,
    }
}

fn document(key: u8, number: u8, other: bool) -> Document {
    let shared = unique_id(key, number) == SHARED && !other;
    let text = if shared { "shared".to_owned() } else { format!("document {key}.{number} {other}") };
    let mut document = Document::new(&text).unique_id(&unique_id(key, number)).title(&text);
    document.entry_uuid = Some(format!("urn:uuid:{}", entry_id(key, number)));
    document.url = uuid(1_000 + u32::from(key) * 16 + u32::from(number));
    document.binary_url = uuid(2_000 + u32::from(key) * 16 + u32::from(number));
    if matches!((key, number), (1 | 2, 0)) {
        document = document.relates_to("replaces", &format!("DocumentReference/{}", entry_id(0, 0)));
    }
    document
}

/// Id of a document entry, chosen by the source.
fn entry_id(key: u8, number: u8) -> String {
    let urn = uuid(3_000 + u32::from(key) * 16 + u32::from(number));
    urn.trim_start_matches("urn:uuid:").to_owned()
}

/// A UUID that is the same in every run.
fn uuid(number: u32) -> String {
    format!("urn:uuid:7d9e1b52-3c41-4c1e-9b1a-0000{number:08x}")
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
