//! Patients and documents to begin with: invented, and the same at every start, so that a second start adds nothing.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::Outcome;
use crate::steps::Steps;
use crate::submission::{self, Code};
use crate::wire::{Wire, matches};

/// The name space of the sample patients' numbers.
pub(crate) const PATIENTS: &str = "urn:oid:2.25.329800735698586629295641978511506172918";

/// How long a patient just fed may take to be known to the registry.
const FEED: Duration = Duration::from_secs(15);

const PATIENT_FILES: &[(&str, &str)] = &[
    ("1001", include_str!("../samples/patients/1001-birch.json")),
    ("1002", include_str!("../samples/patients/1002-olivares.json")),
    ("1003", include_str!("../samples/patients/1003-lindqvist.json")),
    ("1004", include_str!("../samples/patients/1004-dvorak-novotny.json")),
    ("1005", include_str!("../samples/patients/1005-haddad.json")),
];

/// One sample document.
pub(crate) struct Document {
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
    pub(crate) content_type: &'static str,
    pub(crate) title: &'static str,
    pub(crate) kind: Code,
    pub(crate) format: Code,
    pub(crate) creation: &'static str,
    /// Family and given name.
    pub(crate) author: (&'static str, &'static str),
}

/// What is sent together.
pub(crate) struct Submission {
    pub(crate) name: &'static str,
    /// Number of the patient.
    pub(crate) patient: &'static str,
    pub(crate) date: &'static str,
    pub(crate) setting: Code,
    pub(crate) documents: &'static [Document],
}

const FORMATS: &str = "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode";
const PLAIN: Code = Code(FORMATS, "urn:ihe:iti:xds:2017:mimeTypeSufficient", "mimeType Sufficient");
const SUMMARY: Code = Code(FORMATS, "urn:ihe:pcc:ips:2020", "International Patient Summary");
const REFERRAL: Code = Code(FORMATS, "urn:ihe:pcc:xds-ms:2007", "Medical Summaries");
const LOINC: &str = "http://loinc.org";
const SNOMED: &str = "http://snomed.info/sct";
const CARDIOLOGY: Code = Code(SNOMED, "394579002", "Cardiology");
const GENERAL: Code = Code(SNOMED, "394802001", "General medicine");

pub(crate) const SUBMISSIONS: &[Submission] = &[
    Submission {
        name: "discharge",
        patient: "1001",
        date: "2026-02-11T14:05:00Z",
        setting: CARDIOLOGY,
        documents: &[Document {
            name: "discharge-note.txt",
            bytes: include_bytes!("../samples/documents/discharge-note.txt"),
            content_type: "text/plain",
            title: "Discharge note",
            kind: Code(LOINC, "18842-5", "Discharge summary"),
            format: PLAIN,
            creation: "2026-02-11T13:50:00Z",
            author: ("Falk", "Ingrid"),
        }],
    },
    Submission {
        name: "findings",
        patient: "1001",
        date: "2026-02-11T14:20:00Z",
        setting: CARDIOLOGY,
        documents: &[
            Document {
                name: "laboratory-report.pdf",
                bytes: include_bytes!("../samples/documents/laboratory-report.pdf"),
                content_type: "application/pdf",
                title: "Laboratory report",
                kind: Code(LOINC, "11502-2", "Laboratory report"),
                format: PLAIN,
                creation: "2026-02-10T08:30:00Z",
                author: ("Sørensen", "Pia"),
            },
            Document {
                name: "rhythm-strip.png",
                bytes: include_bytes!("../samples/documents/rhythm-strip.png"),
                content_type: "image/png",
                title: "Rhythm strip",
                kind: Code(LOINC, "11524-6", "EKG study"),
                format: PLAIN,
                creation: "2026-02-10T09:10:00Z",
                author: ("Sørensen", "Pia"),
            },
        ],
    },
    Submission {
        name: "referral",
        patient: "1002",
        date: "2026-03-02T09:40:00Z",
        setting: GENERAL,
        documents: &[Document {
            name: "referral-letter.cda.xml",
            bytes: include_bytes!("../samples/documents/referral-letter.cda.xml"),
            content_type: "text/xml",
            title: "Referral to cardiology",
            kind: Code(LOINC, "57133-1", "Referral note"),
            format: REFERRAL,
            creation: "2026-03-02T09:30:00Z",
            author: ("Falk", "Ingrid"),
        }],
    },
    Submission {
        name: "summary",
        patient: "1003",
        date: "2026-03-05T10:20:00Z",
        setting: GENERAL,
        documents: &[Document {
            name: "patient-summary.fhir.json",
            bytes: include_bytes!("../samples/documents/patient-summary.fhir.json"),
            content_type: "application/fhir+json",
            title: "Patient summary",
            kind: Code(LOINC, "60591-5", "Patient summary Document"),
            format: SUMMARY,
            creation: "2026-03-05T10:15:00Z",
            author: ("Okafor", "Chidi"),
        }],
    },
];

/// Feeds the patients the identity source does not know yet.
pub(crate) async fn feed(wire: &Wire, steps: &Steps) -> Outcome<()> {
    let feeding = async {
        for (number, patient) in PATIENT_FILES {
            if find_patient(wire, number).await?.is_none() {
                wire.feed(&format!("{PATIENTS}|{number}"), patient).await?;
            }
        }
        Ok(())
    };
    steps.step(&format!("make {} sample patients known", PATIENT_FILES.len()), feeding).await
}

/// Looks a patient up by number, as a source of documents does [ITI-78].
async fn find_patient(wire: &Wire, number: &str) -> Outcome<Option<String>> {
    let found =
        wire.search(&wire.identity, "Patient", &[("identifier", &format!("{PATIENTS}|{number}"))]).await?;
    Ok(matches(&found).first().and_then(|patient| patient["id"].as_str().map(str::to_owned)))
}

/// Submits what the registry does not know yet.
pub(crate) async fn submit(wire: &Wire, steps: &Steps) -> Outcome<()> {
    let documents: usize = SUBMISSIONS.iter().map(|submission| submission.documents.len()).sum();
    let submitting = async {
        for submission in SUBMISSIONS {
            submit_one(wire, submission).await?;
        }
        Ok(())
    };
    steps.step(&format!("store and register {documents} sample documents"), submitting).await
}

async fn submit_one(wire: &Wire, submission: &Submission) -> Outcome<()> {
    let mut known = 0;
    for document in submission.documents {
        known += registered(wire, document).await?.len();
    }
    if known == submission.documents.len() {
        return Ok(());
    }
    let patient = find_patient(wire, submission.patient)
        .await?
        .ok_or_else(|| format!("sample patient {} is not known", submission.patient))?;
    let bundle = submission::bundle(submission, &format!("{}/Patient/{patient}", wire.identity));
    let until = Instant::now() + FEED;
    loop {
        match wire.provide(&bundle).await {
            Ok(_) => return Ok(()),
            // The feed of the patient to the registry may still be on its way.
            Err(refusal)
                if refusal.codes.iter().any(|code| code == "XDSUnknownPatientId")
                    && Instant::now() < until =>
            {
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
}

/// What the registry has under the unique id of a sample document.
pub(crate) async fn registered(wire: &Wire, document: &Document) -> Outcome<Vec<Value>> {
    let identifier = format!("urn:ietf:rfc:3986|{}", submission::unique_id(document.name));
    let found = wire.search(&wire.registry, "DocumentReference", &[("identifier", &identifier)]).await?;
    Ok(matches(&found).into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_patient_is_a_patient_under_its_number() {
        for (number, text) in PATIENT_FILES {
            let patient: Value = serde_json::from_str(text).unwrap();
            assert_eq!(patient["resourceType"], "Patient");
            assert_eq!(patient["identifier"][0]["system"], PATIENTS);
            assert_eq!(patient["identifier"][0]["value"], *number);
        }
    }

    #[test]
    fn every_sample_document_belongs_to_a_sample_patient_and_begins_like_its_type() {
        for submission in SUBMISSIONS {
            assert!(PATIENT_FILES.iter().any(|(number, _)| *number == submission.patient));
            for document in submission.documents {
                let magic: &[u8] = match document.content_type {
                    "application/pdf" => b"%PDF-1.4",
                    "image/png" => b"\x89PNG\r\n",
                    "text/xml" => b"<?xml",
                    "application/fhir+json" => b"{\n  \"resourceType\": \"Bundle\"",
                    _ => b"Discharge note",
                };
                assert!(document.bytes.starts_with(magic), "{}", document.name);
            }
        }
    }
}
