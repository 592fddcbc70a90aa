//! ExtrinsicObject: a DocumentEntry.

use xds::identifier::unique_id_text;
use xds::{Code, DocumentEntry, EntryKind};

use super::part::{Parts, urn};
use crate::names::document_entry as name;
use crate::rim::{Standing, value};
use crate::writer::Writer;

/// Writes an entry: under its entryUUID, or its symbol where it has none.
pub fn write_document(out: &mut Writer, entry: &DocumentEntry, standing: &Standing) {
    let id = entry.entry_uuid.as_ref().map(urn);
    write_as(out, entry, standing, id.as_deref().unwrap_or(&entry.symbol));
}

/// Writes an entry under this id.
pub(super) fn write_as(out: &mut Writer, entry: &DocumentEntry, standing: &Standing, id: &str) {
    let kind = match entry.kind {
        EntryKind::Stable => name::STABLE,
        EntryKind::OnDemand => name::ON_DEMAND,
    };
    out.start("rim:ExtrinsicObject");
    let mut parts = Parts::new(out, id, entry.carried.ebxml.as_deref());
    parts.head(standing, entry.home.as_deref());
    parts.out.attribute("mimeType", &entry.mime_type).attribute("objectType", kind);
    slots(&mut parts, entry);
    parts.names(entry.title.as_deref(), entry.comments.as_deref(), standing.version);
    classifications(&mut parts, entry);
    parts.kept_classifications();
    if let Some(patient) = &entry.patient.identifier {
        parts.identifier(name::PATIENT_ID, "XDSDocumentEntry.patientId", &value::write_cx(patient));
    }
    parts.identifier(name::UNIQUE_ID, "XDSDocumentEntry.uniqueId", &unique_id_text(&entry.unique_id));
    parts.kept_identifiers();
    out.end();
}

fn slots(parts: &mut Parts<'_>, entry: &DocumentEntry) {
    parts.time("creationTime", entry.creation_time.as_ref());
    if let Some(hash) = &entry.hash {
        parts.slot("hash", &[value::write_hash(hash)]);
    }
    parts.single("languageCode", entry.language.as_deref());
    parts.single("legalAuthenticator", entry.legal_authenticator.as_deref());
    parts.single("repositoryUniqueId", entry.repository_unique_id.as_deref());
    parts.time("serviceStartTime", entry.service_start.as_ref());
    parts.time("serviceStopTime", entry.service_stop.as_ref());
    if let Some(size) = entry.size {
        parts.slot("size", &[size.to_string()]);
    }
    if let Some(source) = entry.source_patient_ids.first() {
        parts.slot("sourcePatientId", &[value::write_cx(source)]);
    }
    parts.slot("sourcePatientInfo", &entry.source_patient_info);
    parts.single("URI", entry.uri.as_deref());
    parts.slot(name::REFERENCE_ID_LIST, &entry.reference_id_list);
    if let Some(online) = entry.online {
        parts.slot("documentAvailability", &[if online { name::ONLINE } else { name::OFFLINE }]);
    }
    parts.extra(&entry.extra);
}

fn classifications(parts: &mut Parts<'_>, entry: &DocumentEntry) {
    parts.authors(name::AUTHOR, &entry.authors);
    parts.codes(name::CLASS_CODE, first(&entry.class_codes));
    parts.codes(name::CONFIDENTIALITY_CODE, &entry.confidentiality_codes);
    parts.codes(name::EVENT_CODE_LIST, &entry.event_codes);
    parts.codes(name::FORMAT_CODE, entry.format_code.as_slice());
    parts.codes(name::FACILITY_TYPE_CODE, first(&entry.facility_codes));
    parts.codes(name::PRACTICE_SETTING_CODE, first(&entry.practice_setting_codes));
    parts.codes(name::TYPE_CODE, entry.type_code.as_slice());
    if entry.limited_metadata {
        parts.node(name::LIMITED_METADATA);
    }
}

/// XDS has one code for an attribute where FHIR may have said it in several systems.
pub(super) fn first(codes: &[Code]) -> &[Code] {
    &codes[..codes.len().min(1)]
}
