//! A folder of a submission.

use serde_json::{Value, json};

use crate::{IDENTIFIER_TYPES, LIST_TYPES, MHD, Profile, URI_SYSTEM, urn_oid, urn_uuid};

/// A folder with its own ids and its members.
#[derive(Debug, Clone)]
pub struct Folder {
    /// fullUrl.
    pub url: String,
    /// Value of the uniqueId identifier.
    pub unique_id: String,
    /// Title.
    pub title: String,
    /// References of the documents in it.
    pub members: Vec<String>,
}

impl Folder {
    /// A folder with these members.
    pub fn new(title: &str, members: &[&str]) -> Folder {
        Folder {
            url: urn_uuid(),
            unique_id: urn_oid(),
            title: title.into(),
            members: members.iter().map(|member| (*member).to_owned()).collect(),
        }
    }

    /// The List.
    pub fn list(&self, profile: Profile, subject: &Value) -> Value {
        let entries: Vec<Value> =
            self.members.iter().map(|member| json!({ "item": { "reference": member } })).collect();
        let mut list = json!({
            "resourceType": "List",
            "meta": { "profile": [format!("{MHD}IHE.MHD.{}.Folder", profile.folder_word())] },
            "extension": [{
                "url": format!("{MHD}ihe-designationType"),
                "valueCodeableConcept": { "coding": [{ "system": "http://snomed.info/sct", "code": "225728007" }] }
            }],
            "identifier": [{
                "use": "usual",
                "type": { "coding": [{ "system": IDENTIFIER_TYPES, "code": "uniqueId" }] },
                "system": URI_SYSTEM, "value": self.unique_id
            }],
            "status": "current",
            "mode": "working",
            "title": self.title,
            "code": { "coding": [{ "system": LIST_TYPES, "code": "folder" }] },
            "subject": subject,
            "date": "2020-02-01T23:50:50-05:00"
        });
        if !entries.is_empty() {
            list["entry"] = Value::Array(entries);
        }
        list
    }
}
