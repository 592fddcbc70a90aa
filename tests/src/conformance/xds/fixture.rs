//! A submission of our own in ebRIM.

use anyhow::Result;

use super::super::world::Person;
use crate::markup::Element;

/// One document with its metadata.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Its id in the message, `Document01` or a UUID.
    pub(super) id: String,
    pub(super) unique_id: String,
    pub(super) title: String,
    pub(super) mime: String,
    pub(super) bytes: Vec<u8>,
    /// Further slots.
    pub(super) slots: Vec<(String, String)>,
    /// Relations to registered entries: type and entryUUID.
    pub(super) relations: Vec<(&'static str, String)>,
}

impl Entry {
    pub(super) fn new(id: &str, text: &str) -> Entry {
        Entry {
            id: id.to_owned(),
            unique_id: testkit::oid(),
            title: text.to_owned(),
            mime: "text/plain".to_owned(),
            bytes: text.as_bytes().to_vec(),
            slots: Vec::new(),
            relations: Vec::new(),
        }
    }
}

/// A submission set with its documents.
#[derive(Debug, Clone)]
pub(super) struct Set {
    pub(super) patient: String,
    pub(super) unique_id: String,
    pub(super) entries: Vec<Entry>,
    /// uniqueId of a new folder that holds all of them.
    pub(super) folder: Option<String>,
}

/// CX of a patient.
pub(super) fn cx(person: &Person) -> String {
    format!("{}^^^&{}&ISO", person.value, person.system.trim_start_matches("urn:oid:"))
}

fn code(owner: &str, scheme: &str, code: &str, system: &str, display: &str) -> String {
    format!(
        "<rim:Classification id=\"{}\" classificationScheme=\"urn:uuid:{scheme}\" classifiedObject=\"{owner}\" nodeRepresentation=\"{code}\">\
         <rim:Slot name=\"codingScheme\"><rim:ValueList><rim:Value>{system}</rim:Value></rim:ValueList></rim:Slot>\
         <rim:Name><rim:LocalizedString value=\"{display}\"/></rim:Name></rim:Classification>",
        testkit::urn_uuid()
    )
}

fn identifier(owner: &str, scheme: &str, value: &str, name: &str) -> String {
    format!(
        "<rim:ExternalIdentifier id=\"{}\" registryObject=\"{owner}\" identificationScheme=\"urn:uuid:{scheme}\" value=\"{}\">\
         <rim:Name><rim:LocalizedString value=\"{name}\"/></rim:Name></rim:ExternalIdentifier>",
        testkit::urn_uuid(),
        quick_xml::escape::escape(value)
    )
}

fn slot(name: &str, value: &str) -> String {
    let value = quick_xml::escape::escape(value);
    format!(
        "<rim:Slot name=\"{name}\"><rim:ValueList><rim:Value>{value}</rim:Value></rim:ValueList></rim:Slot>"
    )
}

fn member(source: &str, target: &str, id: &str, original: bool) -> String {
    let status = if original { slot("SubmissionSetStatus", "Original") } else { String::new() };
    format!(
        "<rim:Association id=\"{id}\" associationType=\"urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember\" \
         sourceObject=\"{source}\" targetObject=\"{target}\">{status}</rim:Association>"
    )
}

impl Set {
    pub(super) fn new(person: &Person, entries: Vec<Entry>) -> Set {
        Set { patient: cx(person), unique_id: testkit::oid(), entries, folder: None }
    }

    /// `lcm:SubmitObjectsRequest`; with what a repository adds, if it goes to a registry.
    pub(super) fn write(&self, registry: bool) -> Result<Element> {
        let mut text = String::from(
            "<lcm:SubmitObjectsRequest xmlns:lcm=\"urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0\" \
             xmlns:rim=\"urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0\"><rim:RegistryObjectList>",
        );
        for entry in &self.entries {
            text += &self.entry(entry, registry);
        }
        text += "<rim:RegistryPackage id=\"Set\">";
        text += &slot("submissionTime", "20240506070809");
        text += &code(
            "Set",
            "aa543740-bdda-424e-8c96-df4873be8500",
            "11369-6",
            "2.16.840.1.113883.6.1",
            "History",
        );
        text += &identifier(
            "Set",
            "96fdda7c-d067-4183-912e-bf5ee74998a8",
            &self.unique_id,
            "XDSSubmissionSet.uniqueId",
        );
        text += &identifier(
            "Set",
            "554ac39e-e3fe-47fe-b233-965d2a147832",
            "1.2.3.4.5",
            "XDSSubmissionSet.sourceId",
        );
        text += &identifier(
            "Set",
            "6b5aea1a-874d-4603-a4bc-96a0a7b38446",
            &self.patient,
            "XDSSubmissionSet.patientId",
        );
        text += "</rim:RegistryPackage>";
        text += "<rim:Classification id=\"is-set\" classifiedObject=\"Set\" classificationNode=\"urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd\"/>";
        if let Some(folder) = &self.folder {
            text += "<rim:RegistryPackage id=\"Folder\"><rim:Name><rim:LocalizedString value=\"A folder\"/></rim:Name>";
            text += &code(
                "Folder",
                "1ba97051-7806-41a8-a48b-8fce7af683c5",
                "11369-6",
                "2.16.840.1.113883.6.1",
                "History",
            );
            text +=
                &identifier("Folder", "75df8f67-9973-4fbe-a900-df66cefecc5a", folder, "XDSFolder.uniqueId");
            text += &identifier(
                "Folder",
                "f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a",
                &self.patient,
                "XDSFolder.patientId",
            );
            text += "</rim:RegistryPackage>";
            text += "<rim:Classification id=\"is-folder\" classifiedObject=\"Folder\" classificationNode=\"urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2\"/>";
            text += &member("Set", "Folder", "holds-folder", false);
        }
        for (number, entry) in self.entries.iter().enumerate() {
            text += &member("Set", &entry.id, &format!("holds-{number}"), true);
            if self.folder.is_some() {
                text += &member("Folder", &entry.id, &format!("in-folder-{number}"), false);
                text += &member(
                    "Set",
                    &format!("in-folder-{number}"),
                    &format!("holds-membership-{number}"),
                    false,
                );
            }
            for (index, (kind, target)) in entry.relations.iter().enumerate() {
                text += &format!(
                    "<rim:Association id=\"relates-{number}-{index}\" associationType=\"urn:ihe:iti:2007:AssociationType:{kind}\" \
                     sourceObject=\"{}\" targetObject=\"{target}\"/>",
                    entry.id
                );
            }
        }
        text += "</rim:RegistryObjectList></lcm:SubmitObjectsRequest>";
        Element::parse(text.as_bytes())
    }

    fn entry(&self, entry: &Entry, registry: bool) -> String {
        let id = entry.id.as_str();
        let mut text = format!(
            "<rim:ExtrinsicObject id=\"{id}\" mimeType=\"{}\" objectType=\"urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1\">",
            entry.mime
        );
        text += &slot("creationTime", "20240506");
        text += &slot("languageCode", "en-US");
        text += &slot("sourcePatientId", &self.patient);
        for (name, value) in &entry.slots {
            text += &slot(name, value);
        }
        if registry {
            use sha1::Digest as _;
            let hash: String =
                sha1::Sha1::digest(&entry.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
            text += &slot("hash", &hash);
            text += &slot("size", &entry.bytes.len().to_string());
            text += &slot("repositoryUniqueId", "1.2.3.4.5.6");
        }
        text += &format!("<rim:Name><rim:LocalizedString value=\"{}\"/></rim:Name>", entry.title);
        let loinc = "2.16.840.1.113883.6.1";
        let snomed = "2.16.840.1.113883.6.96";
        text += &code(id, "41a5887f-8865-4c09-adf7-e362475b143a", "11369-6", loinc, "History");
        text += &code(id, "f4f85eac-e6cb-4883-b524-f2705394840f", "N", "2.16.840.1.113883.5.25", "normal");
        text += &code(
            id,
            "a09d5840-386c-46f2-b5ad-9c3699a4309d",
            "urn:ihe:iti:xds-sd:text:2008",
            "1.3.6.1.4.1.19376.1.2.3",
            "text",
        );
        text += &code(id, "f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1", "82242000", snomed, "Hospital");
        text += &code(id, "cccf5598-8b07-4b77-a05e-ae952c785ead", "408467006", snomed, "Mental health");
        text += &code(id, "f0306f51-975f-434e-a61c-c59651d33983", "60591-5", loinc, "Patient summary");
        text += &identifier(
            id,
            "58a6f841-87b3-4a3e-92fd-a8ffeff98427",
            &self.patient,
            "XDSDocumentEntry.patientId",
        );
        text += &identifier(
            id,
            "2e82c1f6-a085-4c72-9da3-8640a32e42ab",
            &entry.unique_id,
            "XDSDocumentEntry.uniqueId",
        );
        text + "</rim:ExtrinsicObject>"
    }

    /// The documents as ITI-41 has them beside the metadata.
    pub(super) fn documents(&self) -> Vec<super::ask::Document> {
        self.entries.iter().map(|entry| (entry.id.clone(), entry.mime.clone(), entry.bytes.clone())).collect()
    }
}
