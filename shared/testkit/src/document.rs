//! One document of a submission: its DocumentReference and its Binary.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};

use crate::{IDENTIFIER_TYPES, MHD, Profile, URI_SYSTEM, urn_oid, urn_uuid};

/// A document with the metadata that the Comprehensive profile wants, and every id fresh.
#[derive(Debug, Clone)]
pub struct Document {
    /// fullUrl of the DocumentReference.
    pub url: String,
    /// fullUrl of the Binary, which `attachment.url` names.
    pub binary_url: String,
    /// Value of `masterIdentifier`, `urn:oid:…`.
    pub unique_id: String,
    /// `identifier` entryUUID, `urn:uuid:…`, when the source gives one.
    pub entry_uuid: Option<String>,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// `attachment.contentType`.
    pub content_type: String,
    /// `attachment.title`.
    pub title: String,
    /// `attachment.creation`.
    pub creation: String,
    /// LOINC code of `type`.
    pub type_code: String,
    /// Code of the confidentiality.
    pub confidentiality: String,
    /// Whether hash and size are declared.
    pub measured: bool,
    /// `relatesTo`: code and reference of the target.
    pub relates_to: Vec<(String, String)>,
    /// Whether the Binary travels along.
    pub with_binary: bool,
}

impl Document {
    /// A text document with these bytes.
    pub fn new(bytes: impl AsRef<[u8]>) -> Document {
        Document {
            url: urn_uuid(),
            binary_url: urn_uuid(),
            unique_id: urn_oid(),
            entry_uuid: None,
            bytes: bytes.as_ref().to_vec(),
            content_type: "text/plain".into(),
            title: "Befund vom 2. Februar".into(),
            creation: "2020-02-01T23:50:50-05:00".into(),
            type_code: "60591-5".into(),
            confidentiality: "N".into(),
            measured: true,
            relates_to: Vec::new(),
            with_binary: true,
        }
    }

    /// With this media type.
    pub fn content_type(mut self, content_type: &str) -> Document {
        self.content_type = content_type.into();
        self
    }

    /// With this title.
    pub fn title(mut self, title: &str) -> Document {
        self.title = title.into();
        self
    }

    /// With this unique id (`urn:oid:…`).
    pub fn unique_id(mut self, unique_id: &str) -> Document {
        self.unique_id = unique_id.into();
        self
    }

    /// With this entryUUID (`urn:uuid:…`).
    pub fn entry_uuid(mut self, entry_uuid: &str) -> Document {
        self.entry_uuid = Some(entry_uuid.into());
        self
    }

    /// Related to another document: `replaces`, `appends`, `transforms`, `signs`.
    pub fn relates_to(mut self, code: &str, target: &str) -> Document {
        self.relates_to.push((code.into(), target.into()));
        self
    }

    /// Without hash and size, which the recipient then fills.
    pub fn unmeasured(mut self) -> Document {
        self.measured = false;
        self
    }

    /// Without its Binary; `attachment.url` then names what is given here.
    pub fn elsewhere(mut self, url: &str) -> Document {
        self.binary_url = url.into();
        self.with_binary = false;
        self
    }

    /// SHA-1 of the bytes in base64, as `attachment.hash` says it.
    pub fn sha1_base64(&self) -> String {
        STANDARD.encode(Sha1::digest(&self.bytes))
    }

    /// The DocumentReference.
    pub fn reference(&self, profile: Profile, subject: &Value) -> Value {
        let mut attachment = json!({
            "contentType": self.content_type,
            "language": "en",
            "url": self.binary_url,
            "title": self.title,
            "creation": self.creation
        });
        if self.measured {
            attachment["size"] = json!(self.bytes.len());
            attachment["hash"] = json!(self.sha1_base64());
        }
        let mut reference = json!({
            "resourceType": "DocumentReference",
            "meta": { "profile": [format!("{MHD}IHE.MHD.{}.DocumentReference", profile.word())] },
            "contained": [
                { "resourceType": "Patient", "id": "source-patient",
                  "identifier": [{ "system": "http://example.org/patients", "value": "mrn-1234" }],
                  "name": [{ "family": "Schmidt", "given": ["Dee"] }], "gender": "female", "birthDate": "1923-07-25" },
                { "resourceType": "Practitioner", "id": "author",
                  "identifier": [{ "system": "urn:oid:1.2.3.4.5", "value": "doc-7" }],
                  "name": [{ "family": "Huber", "given": ["Maria"] }] }
            ],
            "masterIdentifier": { "system": URI_SYSTEM, "value": self.unique_id },
            "status": "current",
            "type": codeable("http://loinc.org", &self.type_code),
            "category": [codeable("http://loinc.org", "11369-6")],
            "subject": subject,
            "date": "2020-02-01T23:50:50-05:00",
            "author": [{ "reference": "#author" }],
            "description": "Ein Befund",
            "securityLabel": [codeable(
                "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", &self.confidentiality)],
            "content": [{
                "attachment": attachment,
                "format": { "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
                            "code": "urn:ihe:iti:xds-sd:text:2008" }
            }],
            "context": {
                "event": [codeable("http://snomed.info/sct", "35971002")],
                "period": { "start": "2020-01-30T08:00:00Z", "end": "2020-02-01T10:00:00Z" },
                "facilityType": codeable("http://snomed.info/sct", "82242000"),
                "practiceSetting": codeable("http://snomed.info/sct", "408467006"),
                "sourcePatientInfo": { "reference": "#source-patient" }
            }
        });
        if let Some(entry_uuid) = &self.entry_uuid {
            reference["identifier"] = json!([{
                "use": "official",
                "type": { "coding": [{ "system": IDENTIFIER_TYPES, "code": "entryUUID" }] },
                "system": URI_SYSTEM, "value": entry_uuid
            }]);
        }
        if !self.relates_to.is_empty() {
            reference["relatesTo"] = self
                .relates_to
                .iter()
                .map(|(code, target)| json!({ "code": code, "target": { "reference": target } }))
                .collect();
        }
        reference
    }

    /// The Binary.
    pub fn binary(&self) -> Value {
        json!({
            "resourceType": "Binary",
            "contentType": self.content_type,
            "data": STANDARD.encode(&self.bytes)
        })
    }
}

fn codeable(system: &str, code: &str) -> Value {
    json!({ "coding": [{ "system": system, "code": code }] })
}
