//! A Provide Document Bundle [ITI-65].

use serde_json::{Value, json};

use crate::{Document, Folder, IDENTIFIER_TYPES, LIST_TYPES, MHD, URI_SYSTEM, urn_oid, urn_uuid};

/// The rule set a bundle claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Minimal metadata.
    Minimal,
    /// Comprehensive metadata, references contained.
    Comprehensive,
    /// Comprehensive metadata, references to directories allowed.
    UnContained,
}

impl Profile {
    /// As it stands in the canonical URLs.
    pub fn word(self) -> &'static str {
        match self {
            Profile::Minimal => "Minimal",
            Profile::Comprehensive => "Comprehensive",
            Profile::UnContained => "UnContained.Comprehensive",
        }
    }

    /// The same for folders, of which there is no UnContained profile.
    pub fn folder_word(self) -> &'static str {
        match self {
            Profile::Minimal => "Minimal",
            Profile::Comprehensive | Profile::UnContained => "Comprehensive",
        }
    }
}

/// A submission: one SubmissionSet, its documents, its folders. Starts with one small text document.
#[derive(Debug, Clone)]
pub struct Provide {
    /// The rule set.
    pub profile: Profile,
    /// `subject` of every object.
    pub subject: Value,
    /// fullUrl of the SubmissionSet.
    pub url: String,
    /// Value of its uniqueId; none when the source does not give one.
    pub unique_id: Option<String>,
    /// `List.title`.
    pub title: String,
    /// Value of `ihe-sourceId`.
    pub source_id: String,
    /// The documents.
    pub documents: Vec<Document>,
    /// The folders.
    pub folders: Vec<Folder>,
    /// Further members of the SubmissionSet: references to what is registered already.
    pub references: Vec<String>,
    /// Entries put behind all others.
    pub extra: Vec<Value>,
}

impl Provide {
    /// `B65`: Comprehensive, one text document, for the patient of this reference.
    pub fn new(patient: &str) -> Provide {
        Provide::with_subject(json!({ "reference": patient }))
    }

    /// The same for a subject of any form.
    pub fn with_subject(subject: Value) -> Provide {
        Provide {
            profile: Profile::Comprehensive,
            subject,
            url: urn_uuid(),
            unique_id: Some(urn_oid()),
            title: "Befunde".into(),
            source_id: "urn:oid:1.2.3.4".into(),
            documents: vec![Document::new("Hello World")],
            folders: Vec::new(),
            references: Vec::new(),
            extra: Vec::new(),
        }
    }

    /// A Minimal bundle with one text document.
    pub fn minimal(patient: &str) -> Provide {
        Provide::new(patient).profile(Profile::Minimal)
    }

    /// Claims this rule set.
    pub fn profile(mut self, profile: Profile) -> Provide {
        self.profile = profile;
        self
    }

    /// With this title of the SubmissionSet.
    pub fn title(mut self, title: &str) -> Provide {
        self.title = title.into();
        self
    }

    /// With this uniqueId of the SubmissionSet (`urn:oid:…`).
    pub fn unique_id(mut self, unique_id: &str) -> Provide {
        self.unique_id = Some(unique_id.into());
        self
    }

    /// Without a uniqueId of the SubmissionSet.
    pub fn without_unique_id(mut self) -> Provide {
        self.unique_id = None;
        self
    }

    /// With these documents only.
    pub fn documents(mut self, documents: Vec<Document>) -> Provide {
        self.documents = documents;
        self
    }

    /// With one more document.
    pub fn document(mut self, document: Document) -> Provide {
        self.documents.push(document);
        self
    }

    /// With only this document.
    pub fn only(mut self, document: Document) -> Provide {
        self.documents = vec![document];
        self
    }

    /// With a folder.
    pub fn folder(mut self, folder: Folder) -> Provide {
        self.folders.push(folder);
        self
    }

    /// With the status change that accompanies a replace of this document.
    pub fn superseding(mut self, id: &str) -> Provide {
        self.extra.push(json!({
            "fullUrl": urn_uuid(),
            "resource": {
                "resourceType": "Parameters",
                "meta": { "profile": [format!("{MHD}IHE.MHD.Patch.Parameters")] },
                "parameter": [{ "name": "operation", "part": [
                    { "name": "type", "valueCode": "replace" },
                    { "name": "path", "valueString": "DocumentReference.status" },
                    { "name": "value", "valueCode": "superseded" }
                ] }]
            },
            "request": { "method": "PATCH", "url": format!("DocumentReference/{id}") }
        }));
        self
    }

    /// With this entry behind all others.
    pub fn entry(mut self, entry: Value) -> Provide {
        self.extra.push(entry);
        self
    }

    /// The Bundle: SubmissionSet, then each DocumentReference with its Binary behind it, then the folders, then what was added.
    pub fn bundle(&self) -> Value {
        let mut entries = vec![entry(&self.url, self.submission_set(), "List")];
        for document in &self.documents {
            let reference = document.reference(self.profile, &self.subject);
            entries.push(entry(&document.url, reference, "DocumentReference"));
            if document.with_binary {
                entries.push(entry(&document.binary_url, document.binary(), "Binary"));
            }
        }
        for folder in &self.folders {
            entries.push(entry(&folder.url, folder.list(self.profile, &self.subject), "List"));
        }
        entries.extend(self.extra.iter().cloned());
        json!({
            "resourceType": "Bundle",
            "meta": { "profile": [format!("{MHD}IHE.MHD.{}.ProvideBundle", self.profile.word())] },
            "type": "transaction",
            "timestamp": "2020-02-01T23:50:50-05:00",
            "entry": entries
        })
    }

    fn submission_set(&self) -> Value {
        let members = self.documents.iter().map(|document| document.url.as_str());
        let members = members.chain(self.folders.iter().map(|folder| folder.url.as_str()));
        let members = members.chain(self.references.iter().map(String::as_str));
        let members: Vec<Value> = members.map(|url| json!({ "item": { "reference": url } })).collect();
        let mut list = json!({
            "resourceType": "List",
            "meta": { "profile": [format!("{MHD}IHE.MHD.{}.SubmissionSet", self.profile.word())] },
            "contained": [{ "resourceType": "Practitioner", "id": "submitter",
                            "name": [{ "family": "Huber", "given": ["Maria"] }] }],
            "extension": [
                { "url": format!("{MHD}ihe-designationType"),
                  "valueCodeableConcept": { "coding": [{ "system": "http://snomed.info/sct", "code": "225728007" }] } },
                { "url": format!("{MHD}ihe-sourceId"), "valueIdentifier": { "value": self.source_id } }
            ],
            "status": "current",
            "mode": "working",
            "title": self.title,
            "code": { "coding": [{ "system": LIST_TYPES, "code": "submissionset" }] },
            "subject": self.subject,
            "date": "2020-02-01T23:50:50-05:00",
            "source": { "reference": "#submitter" },
            "entry": members
        });
        if let Some(unique_id) = &self.unique_id {
            list["identifier"] = json!([{
                "use": "usual",
                "type": { "coding": [{ "system": IDENTIFIER_TYPES, "code": "uniqueId" }] },
                "system": URI_SYSTEM, "value": unique_id
            }]);
        }
        list
    }
}

fn entry(full_url: &str, resource: Value, url: &str) -> Value {
    json!({ "fullUrl": full_url, "resource": resource, "request": { "method": "POST", "url": url } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attachment_names_its_binary() {
        let bundle = Provide::new("Patient/1").bundle();
        let attachment = &bundle["entry"][1]["resource"]["content"][0]["attachment"];
        assert_eq!(attachment["url"], bundle["entry"][2]["fullUrl"]);
        assert_eq!(attachment["hash"], "Ck1VqNd45QIvq3AZd8XYQLvEhtA=");
        assert_eq!(attachment["size"], 11);
    }

    #[test]
    fn two_bundles_share_no_unique_id() {
        let (one, two) = (Provide::new("Patient/1").bundle(), Provide::new("Patient/1").bundle());
        assert_ne!(
            one["entry"][1]["resource"]["masterIdentifier"],
            two["entry"][1]["resource"]["masterIdentifier"]
        );
        assert_ne!(one["entry"][0]["resource"]["identifier"], two["entry"][0]["resource"]["identifier"]);
    }

    #[test]
    fn a_folder_and_a_document_belong_to_the_submission_set() {
        let document = Document::new("x");
        let folder = Folder::new("Mappe", &[&document.url]);
        let bundle = Provide::new("Patient/1").only(document.clone()).folder(folder.clone()).bundle();
        let members = bundle["entry"][0]["resource"]["entry"].as_array().unwrap();
        assert_eq!(members[0]["item"]["reference"], document.url);
        assert_eq!(members[1]["item"]["reference"], folder.url);
    }
}
