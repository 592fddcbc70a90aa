//! ExtrinsicObject: a DocumentEntry (TF-3 4.2.3.2).

use xds::identifier::{is_oid, unique_id_of};
use xds::{Availability, Carried, DocumentEntry, EntryKind, Finding, Findings, Identifier, Patient, Rule};

use super::object::{Object, invalid, is_scheme};
use super::{Column, given, status};
use crate::names::document_entry as name;
use crate::rim::value;

/// Reads an entry. `limited`: the submission set says that metadata is.
pub(super) fn read(
    mut object: Object<'_>,
    column: Column,
    limited: bool,
    findings: &mut Findings,
) -> DocumentEntry {
    let unique_id = object.identifier(name::UNIQUE_ID, "DocumentEntry.uniqueId", findings);
    let unknown = Identifier { system: String::new(), value: String::new() };
    let mut entry = DocumentEntry::new(object.id, unique_id.map_or(unknown, unique_id_of));
    entry.entry_uuid = value::entry_uuid(object.id);
    entry.kind = kind(&object, column, findings);
    attributes(&mut entry, &object, findings);
    entry.availability = match column {
        Column::Update | Column::Answer => status(object.element).unwrap_or(Availability::Approved),
        Column::Source | Column::Repository | Column::OnDemand => Availability::Approved,
    };
    slots(&mut entry, &mut object, findings);
    identity(&mut entry, &mut object, findings);
    classifications(&mut entry, &mut object, findings);
    entry.limited_metadata = object.node(name::LIMITED_METADATA);
    entry.title = object.localized("Name");
    entry.comments = object.localized("Description");
    demand(&entry, &object, column, limited || entry.limited_metadata, findings);
    let (extra, ebxml) = object.rest(findings);
    entry.extra = extra;
    entry.carried = Carried { ebxml, ..Carried::default() };
    entry
}

fn kind(object: &Object<'_>, column: Column, findings: &mut Findings) -> EntryKind {
    const ATTRIBUTE: &str = "DocumentEntry.objectType";
    let given = object.element.attribute("objectType");
    let kind = [(name::STABLE, EntryKind::Stable), (name::ON_DEMAND, EntryKind::OnDemand)]
        .into_iter()
        .find_map(|(scheme, kind)| is_scheme(given, scheme).then_some(kind));
    let fault = match (kind, column) {
        (None, Column::Answer) => return EntryKind::Stable,
        (None, _) => format!(
            "objectType ({ATTRIBUTE}) is {:?}; it is {} for a stable document and {} for an on-demand one.",
            given.unwrap_or_default(),
            name::STABLE,
            name::ON_DEMAND
        ),
        (Some(EntryKind::OnDemand), Column::Source | Column::Repository) => {
            "An on-demand entry is registered by ITI-61 (urn:ihe:iti:2010:RegisterOnDemandDocumentEntry), not here."
                .to_owned()
        }
        (Some(EntryKind::Stable), Column::OnDemand) => {
            format!("ITI-61 registers on-demand entries only; their objectType is {}.", name::ON_DEMAND)
        }
        (Some(kind), _) => return kind,
    };
    let rule = if given.is_none() { Rule::MetadataRequired } else { Rule::MetadataInvalid };
    findings.push(Finding::error(rule, object.attribute_place("objectType").of(ATTRIBUTE), fault));
    kind.unwrap_or_default()
}

/// What stands in XML attributes.
fn attributes(entry: &mut DocumentEntry, object: &Object<'_>, findings: &mut Findings) {
    entry.mime_type = given(object.element, "mimeType").unwrap_or_default().to_owned();
    if object.strict && !entry.mime_type.is_empty() && !value::is_media_type(&entry.mime_type) {
        let text = format!(
            "mimeType (DocumentEntry.mimeType) is {:?}; it is a media type such as text/xml, in one line.",
            entry.mime_type
        );
        findings.push(invalid(object.attribute_place("mimeType"), "DocumentEntry.mimeType", text));
    }
    entry.home = super::home(object, "DocumentEntry.homeCommunityId", findings);
}

fn slots(entry: &mut DocumentEntry, object: &mut Object<'_>, findings: &mut Findings) {
    entry.creation_time = object.time("creationTime", "DocumentEntry.creationTime", findings);
    entry.service_start = object.time("serviceStartTime", "DocumentEntry.serviceStartTime", findings);
    entry.service_stop = object.time("serviceStopTime", "DocumentEntry.serviceStopTime", findings);
    const HASH: &str = "a SHA-1: 40 hexadecimal digits";
    entry.hash = object.typed("hash", "DocumentEntry.hash", value::read_hash, HASH, findings);
    const SIZE: &str = "a number of bytes";
    entry.size = object.typed("size", "DocumentEntry.size", |text| text.parse().ok(), SIZE, findings);
    const LANGUAGE: &str = "a language as BCP 47 writes it, such as en-US";
    let language = |text: &str| value::is_language(text).then(|| text.to_owned());
    entry.language = object.typed("languageCode", "DocumentEntry.languageCode", language, LANGUAGE, findings);
    const REPOSITORY: &str = "an OID: digits with dots, without prefix, at most 64 characters";
    let repository = |text: &str| {
        let oid = text.strip_prefix("urn:oid:").unwrap_or(text);
        (is_oid(oid) && oid.len() <= 64).then(|| oid.to_owned())
    };
    let attribute = "DocumentEntry.repositoryUniqueId";
    entry.repository_unique_id =
        object.typed("repositoryUniqueId", attribute, repository, REPOSITORY, findings);
    let person = |text: &str| {
        let mut parts = text.split('^');
        parts.next().into_iter().chain(parts.next()).any(|part| !part.is_empty()).then(|| text.to_owned())
    };
    const PERSON: &str = "a person (XCN): id^family name^given name, with an id or a family name";
    let attribute = "DocumentEntry.legalAuthenticator";
    entry.legal_authenticator = object.typed("legalAuthenticator", attribute, person, PERSON, findings);
    const AVAILABLE: &str =
        "urn:ihe:iti:2010:DocumentAvailability:Online or urn:ihe:iti:2010:DocumentAvailability:Offline";
    let online = |text: &str| match text {
        name::ONLINE => Some(true),
        name::OFFLINE => Some(false),
        _ => None,
    };
    let attribute = "DocumentEntry.documentAvailability";
    entry.online = object.typed("documentAvailability", attribute, online, AVAILABLE, findings);
    entry.uri = uri(&object.slot("URI"));
}

/// A URI in one value, or the long ones of old in pieces that number themselves: `1|http://…`, `2|…`.
fn uri(values: &[&str]) -> Option<String> {
    if let [_, _, ..] = values {
        let pieces: Option<Vec<(u32, &str)>> = values
            .iter()
            .map(|value| value.split_once('|').and_then(|(at, piece)| Some((at.parse().ok()?, piece))))
            .collect();
        if let Some(mut pieces) = pieces {
            pieces.sort_by_key(|(at, _)| *at);
            return Some(pieces.into_iter().map(|(_, piece)| piece).collect());
        }
    }
    values.first().map(|value| (*value).to_owned())
}

/// Who the patient is, here and at the source, and what the entry refers to.
fn identity(entry: &mut DocumentEntry, object: &mut Object<'_>, findings: &mut Findings) {
    entry.patient = patient(object, name::PATIENT_ID, "DocumentEntry.patientId", findings);
    let cx = if object.strict { value::read_patient_id } else { value::read_any_cx };
    const CX: &str = "an identifier with its authority: id^^^&OID&ISO";
    let source = object.typed("sourcePatientId", "DocumentEntry.sourcePatientId", cx, CX, findings);
    entry.source_patient_ids = source.into_iter().collect();
    entry.source_patient_info = object.values("sourcePatientInfo");
    entry.has_source_patient_info = !entry.source_patient_info.is_empty();
    entry.reference_id_list = object.values(name::REFERENCE_ID_LIST);
    if !object.strict {
        return;
    }
    for line in &entry.source_patient_info {
        let field = line.split_once('|').and_then(|(field, _)| field.strip_prefix("PID-"));
        if field.is_none_or(|number| number.parse::<u8>().is_err()) {
            let text = format!(
                "{line:?} is no field of sourcePatientInfo (DocumentEntry.sourcePatientInfo); each value is written PID-n|value."
            );
            let place = object.slot_place("sourcePatientInfo");
            findings.push(invalid(place, "DocumentEntry.sourcePatientInfo", text));
        }
    }
    for field in ["PID-7|", "PID-8|"] {
        let given = entry
            .source_patient_info
            .iter()
            .filter(|line| line.starts_with(field) && line.len() > field.len());
        if given.count() > 1 {
            let text = format!(
                "sourcePatientInfo (DocumentEntry.sourcePatientInfo) gives {} more than once.",
                &field[..5]
            );
            let place = object.slot_place("sourcePatientInfo");
            findings.push(invalid(place, "DocumentEntry.sourcePatientInfo", text));
        }
    }
    for reference in &entry.reference_id_list {
        let mut parts = reference.split('^');
        let id = parts.next().unwrap_or_default();
        if id.is_empty() || parts.nth(3).is_none_or(str::is_empty) {
            let text = format!(
                "{reference:?} is no reference id (DocumentEntry.referenceIdList); it is written id^^^&OID&ISO^type, and says its type."
            );
            let place = object.slot_place(name::REFERENCE_ID_LIST);
            findings.push(invalid(place, "DocumentEntry.referenceIdList", text));
        }
    }
}

/// patientId of an object.
pub(super) fn patient(
    object: &mut Object<'_>,
    scheme: &str,
    attribute: &'static str,
    findings: &mut Findings,
) -> Patient {
    let Some(text) = object.identifier(scheme, attribute, findings) else { return Patient::default() };
    let read = if object.strict { value::read_patient_id(text) } else { value::read_any_cx(text) };
    if read.is_none() {
        let text = format!("{text:?} ({attribute}) is no patient id; it names its authority: id^^^&OID&ISO.");
        findings.push(invalid(object.identifier_place(scheme), attribute, text));
    }
    Patient { identifier: read, ..Patient::default() }
}

fn classifications(entry: &mut DocumentEntry, object: &mut Object<'_>, findings: &mut Findings) {
    entry.authors = object.authors(name::AUTHOR, "DocumentEntry.author", findings);
    entry.class_codes = object.one_code(name::CLASS_CODE, "DocumentEntry.classCode", findings);
    entry.type_codes = object.one_code(name::TYPE_CODE, "DocumentEntry.typeCode", findings);
    entry.type_code = entry.type_codes.first().cloned();
    entry.format_code =
        object.one_code(name::FORMAT_CODE, "DocumentEntry.formatCode", findings).into_iter().next();
    let attribute = "DocumentEntry.healthcareFacilityTypeCode";
    entry.facility_codes = object.one_code(name::FACILITY_TYPE_CODE, attribute, findings);
    let attribute = "DocumentEntry.practiceSettingCode";
    entry.practice_setting_codes = object.one_code(name::PRACTICE_SETTING_CODE, attribute, findings);
    let attribute = "DocumentEntry.confidentialityCode";
    entry.confidentiality_codes = object.codes(name::CONFIDENTIALITY_CODE, attribute, findings);
    entry.event_codes = object.codes(name::EVENT_CODE_LIST, "DocumentEntry.eventCodeList", findings);
}

/// What the column of the transaction demands, and what it forbids (TF-3 4.3.1).
fn demand(
    entry: &DocumentEntry,
    object: &Object<'_>,
    column: Column,
    limited: bool,
    findings: &mut Findings,
) {
    let registered = match column {
        Column::Answer => return,
        Column::Source => false,
        Column::Repository | Column::OnDemand | Column::Update => true,
    };
    let (slot, scheme) =
        (|name: &str| object.slot_place(name), |name: &str| object.classification_place(name));
    let mut missing = super::Missing { column, findings };
    let unique = object.identifier_place(name::UNIQUE_ID);
    missing.unless(!entry.unique_id.value.is_empty(), unique, "DocumentEntry.uniqueId");
    missing.unless(!entry.mime_type.is_empty(), object.attribute_place("mimeType"), "DocumentEntry.mimeType");
    if registered {
        let given = entry.repository_unique_id.is_some();
        missing.unless(given, slot("repositoryUniqueId"), "DocumentEntry.repositoryUniqueId");
    }
    if registered && entry.kind.is_stable() {
        missing.unless(entry.hash.is_some(), slot("hash"), "DocumentEntry.hash");
        missing.unless(entry.size.is_some(), slot("size"), "DocumentEntry.size");
    }
    if !limited {
        let created = entry.creation_time.is_some() || !entry.kind.is_stable();
        missing.unless(created, slot("creationTime"), "DocumentEntry.creationTime");
        missing.unless(entry.language.is_some(), slot("languageCode"), "DocumentEntry.languageCode");
        let source = !entry.source_patient_ids.is_empty();
        missing.unless(source, slot("sourcePatientId"), "DocumentEntry.sourcePatientId");
        let patient = object.identifier_place(name::PATIENT_ID);
        missing.unless(entry.patient.is_named(), patient, "DocumentEntry.patientId");
        let codes: [(bool, &str, &'static str); 6] = [
            (!entry.class_codes.is_empty(), name::CLASS_CODE, "DocumentEntry.classCode"),
            (
                !entry.confidentiality_codes.is_empty(),
                name::CONFIDENTIALITY_CODE,
                "DocumentEntry.confidentialityCode",
            ),
            (entry.format_code.is_some(), name::FORMAT_CODE, "DocumentEntry.formatCode"),
            (
                !entry.facility_codes.is_empty(),
                name::FACILITY_TYPE_CODE,
                "DocumentEntry.healthcareFacilityTypeCode",
            ),
            (
                !entry.practice_setting_codes.is_empty(),
                name::PRACTICE_SETTING_CODE,
                "DocumentEntry.practiceSettingCode",
            ),
            (entry.type_code.is_some(), name::TYPE_CODE, "DocumentEntry.typeCode"),
        ];
        for (given, code, attribute) in codes {
            missing.unless(given, scheme(code), attribute);
        }
    }
    if !entry.kind.is_stable() {
        for (given, what, attribute) in [
            (entry.creation_time.is_some(), "creationTime", "DocumentEntry.creationTime"),
            (entry.hash.is_some(), "hash", "DocumentEntry.hash"),
            (entry.size.is_some(), "size", "DocumentEntry.size"),
        ] {
            if given {
                let text = format!(
                    "An on-demand entry has no {what} ({attribute}): its document is made when it is asked for."
                );
                missing.findings.push(invalid(slot(what), attribute, text));
            }
        }
    }
}
