//! The XDS attribute an element of the profile is (MHD 2:4.5.1, 2:4.6.1): for findings that know only where they are.

use serde_json::Value;
use xds::Findings;

use crate::element::items;
use crate::list::{self, ListKind};

type Row = (&'static str, &'static str);

const DOCUMENT_ENTRY: &[Row] = &[
    ("masterIdentifier", "DocumentEntry.uniqueId"),
    ("identifier", "DocumentEntry.entryUUID"),
    ("status", "DocumentEntry.availabilityStatus"),
    ("type", "DocumentEntry.typeCode"),
    ("category", "DocumentEntry.classCode"),
    ("subject", "DocumentEntry.patientId"),
    ("author", "DocumentEntry.author"),
    ("authenticator", "DocumentEntry.legalAuthenticator"),
    ("description", "DocumentEntry.comments"),
    ("securityLabel", "DocumentEntry.confidentialityCode"),
    ("relatesTo", "Association"),
    ("content.attachment.contentType", "DocumentEntry.mimeType"),
    ("content.attachment.language", "DocumentEntry.languageCode"),
    ("content.attachment.url", "DocumentEntry.URI"),
    ("content.attachment.size", "DocumentEntry.size"),
    ("content.attachment.hash", "DocumentEntry.hash"),
    ("content.attachment.title", "DocumentEntry.title"),
    ("content.attachment.creation", "DocumentEntry.creationTime"),
    ("content.format", "DocumentEntry.formatCode"),
    ("context.event", "DocumentEntry.eventCodeList"),
    ("context.period.end", "DocumentEntry.serviceStopTime"),
    ("context.period", "DocumentEntry.serviceStartTime"),
    ("context.facilityType", "DocumentEntry.healthcareFacilityTypeCode"),
    ("context.practiceSetting", "DocumentEntry.practiceSettingCode"),
    ("context.sourcePatientInfo", "DocumentEntry.sourcePatientInfo"),
    ("context.related", "DocumentEntry.referenceIdList"),
    ("context.encounter", "DocumentEntry.referenceIdList"),
];

const SUBMISSION_SET: &[Row] = &[
    ("identifier", "SubmissionSet.uniqueId"),
    ("status", "SubmissionSet.availabilityStatus"),
    ("subject", "SubmissionSet.patientId"),
    ("date", "SubmissionSet.submissionTime"),
    ("source", "SubmissionSet.author"),
    ("title", "SubmissionSet.title"),
    ("note", "SubmissionSet.comments"),
    ("entry", "SubmissionSet.HasMember"),
];

const FOLDER: &[Row] = &[
    ("identifier", "Folder.uniqueId"),
    ("status", "Folder.availabilityStatus"),
    ("subject", "Folder.patientId"),
    ("date", "Folder.lastUpdateTime"),
    ("title", "Folder.title"),
    ("note", "Folder.comments"),
    ("entry", "Folder.HasMember"),
];

/// What each entry of a Bundle is, as far as it has attributes.
pub(crate) struct Objects(Vec<&'static [Row]>);

impl Objects {
    /// The objects of a Bundle.
    pub(crate) fn of(bundle: &Value) -> Objects {
        let rows = |entry: &Value| -> &'static [Row] {
            let resource = &entry["resource"];
            match resource["resourceType"].as_str() {
                Some("DocumentReference") => DOCUMENT_ENTRY,
                Some("List") => match list::kind(resource) {
                    Some(ListKind::SubmissionSet) => SUBMISSION_SET,
                    Some(ListKind::Folder) => FOLDER,
                    None => &[],
                },
                Some(_) | None => &[],
            }
        };
        Objects(items(bundle, "entry").iter().map(rows).collect())
    }

    /// Names the attribute in every finding whose place is one.
    pub(crate) fn name(&self, findings: &mut Findings) {
        for finding in findings.iter_mut().filter(|finding| finding.at.attribute.is_none()) {
            finding.at.attribute = self.attribute(&finding.at.path);
        }
    }

    /// The attribute of the longest known path at or above this one.
    fn attribute(&self, path: &str) -> Option<&'static str> {
        let (index, rest) = path.strip_prefix("Bundle.entry[")?.split_once("].resource.")?;
        let rows = self.0.get(index.parse::<usize>().ok()?)?;
        let bare: Vec<&str> = rest.split('.').map(|part| part.split('[').next().unwrap_or(part)).collect();
        let bare = bare.join(".");
        let above = |known: &str| {
            bare.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        rows.iter()
            .filter(|(known, _)| above(known))
            .max_by_key(|(known, _)| known.len())
            .map(|(_, name)| *name)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_attribute_of_a_place_is_that_of_the_longest_path_above_it() {
        let bundle =
            json!({ "entry": [{ "resource": { "resourceType": "DocumentReference" } }, { "resource": {} }] });
        let objects = Objects::of(&bundle);
        let of = |path: &str| objects.attribute(&format!("Bundle.entry[0].resource.{path}"));
        assert_eq!(of("content[0].attachment.hash"), Some("DocumentEntry.hash"));
        assert_eq!(of("type.coding[0].code"), Some("DocumentEntry.typeCode"));
        assert_eq!(of("context.period.end"), Some("DocumentEntry.serviceStopTime"));
        assert_eq!(of("typeX"), None);
        assert_eq!(objects.attribute("Bundle.entry[1].resource.type"), None);
        assert_eq!(objects.attribute("Bundle.entry[0].request"), None);
    }
}
