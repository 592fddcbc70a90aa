//! RegistryPackage: a SubmissionSet or a Folder.

use xds::identifier::unique_id_text;
use xds::{Folder, SubmissionSet};

use super::document::first;
use super::part::{Parts, urn};
use crate::names::{folder as folder_name, object_type, submission_set as set_name};
use crate::rim::{Standing, value};
use crate::writer::Writer;

/// Writes a submission set: under its entryUUID, or its symbol where it has none.
pub fn write_submission_set(out: &mut Writer, set: &SubmissionSet, standing: &Standing) {
    let id = set.entry_uuid.as_ref().map(urn);
    write_set_as(out, set, standing, id.as_deref().unwrap_or(&set.symbol));
}

/// Writes a submission set under this id.
pub(super) fn write_set_as(out: &mut Writer, set: &SubmissionSet, standing: &Standing, id: &str) {
    use set_name as name;
    out.start("rim:RegistryPackage");
    let mut parts = Parts::new(out, id, set.carried.ebxml.as_deref());
    parts.head(standing, set.home.as_deref());
    parts.out.attribute("objectType", object_type::REGISTRY_PACKAGE);
    parts.time("submissionTime", Some(&set.submission_time).filter(|time| !time.text.is_empty()));
    parts.slot("intendedRecipient", &set.intended_recipients);
    parts.extra(&set.extra);
    parts.names(set.title.as_deref(), set.comments.as_deref(), standing.version);
    parts.node(name::NODE);
    parts.authors(name::AUTHOR, &set.authors);
    parts.codes(name::CONTENT_TYPE_CODE, first(&set.content_type_codes));
    if set.limited_metadata {
        parts.node(name::LIMITED_METADATA);
    }
    parts.kept_classifications();
    if let Some(patient) = &set.patient.identifier {
        parts.identifier(name::PATIENT_ID, "XDSSubmissionSet.patientId", &value::write_cx(patient));
    }
    parts.identifier(name::SOURCE_ID, "XDSSubmissionSet.sourceId", &unique_id_text(&set.source_id));
    if let Some(unique_id) = &set.unique_id {
        parts.identifier(name::UNIQUE_ID, "XDSSubmissionSet.uniqueId", &unique_id_text(unique_id));
    }
    parts.kept_identifiers();
    out.end();
}

/// Writes a folder: under its entryUUID, or its symbol where it has none.
pub fn write_folder(out: &mut Writer, folder: &Folder, standing: &Standing) {
    let id = folder.entry_uuid.as_ref().map(urn);
    write_folder_as(out, folder, standing, id.as_deref().unwrap_or(&folder.symbol));
}

/// Writes a folder under this id.
pub(super) fn write_folder_as(out: &mut Writer, folder: &Folder, standing: &Standing, id: &str) {
    use folder_name as name;
    out.start("rim:RegistryPackage");
    let mut parts = Parts::new(out, id, folder.carried.ebxml.as_deref());
    parts.head(standing, folder.home.as_deref());
    parts.out.attribute("objectType", object_type::REGISTRY_PACKAGE);
    parts.time("lastUpdateTime", standing.last_update.as_ref());
    parts.extra(&folder.extra);
    parts.names(folder.title.as_deref(), folder.comments.as_deref(), standing.version);
    parts.node(name::NODE);
    parts.codes(name::CODE_LIST, &folder.codes);
    if folder.limited_metadata {
        parts.node(name::LIMITED_METADATA);
    }
    parts.kept_classifications();
    if let Some(patient) = &folder.patient.identifier {
        parts.identifier(name::PATIENT_ID, "XDSFolder.patientId", &value::write_cx(patient));
    }
    if let Some(unique_id) = &folder.unique_id {
        parts.identifier(name::UNIQUE_ID, "XDSFolder.uniqueId", &unique_id_text(unique_id));
    }
    parts.kept_identifiers();
    out.end();
}
