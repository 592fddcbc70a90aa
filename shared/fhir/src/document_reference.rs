//! DocumentReference: how a DocumentEntry is read from one and written as one (MHD 2:3.65.4.1.2, table of spec 4.4).

mod compose;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};
use xds::{
    Availability, Carried, DocumentEntry, EntryKind, Finding, Findings, Hash, Identifier, Place, Profile,
    Rule, Severity,
};

use crate::beyond::{self, OBJECT_TYPE, ON_DEMAND, REPOSITORY, drop_extensions};
use crate::element::{
    self, concept, concepts, contained, entry_uuid_identifier, identifier, items, missing, must_be_contained,
    require, text, well_formed,
};
pub(crate) use compose::{code, compose, time};

use crate::people::author;
use crate::when;
use crate::{reference_ids, source_patient};

/// On `content.attachment`, between our repository and our registry only: SHA-256 of the bytes, in hexadecimal digits.
pub(crate) const SHA256: &str = "https://docshare.example/StructureDefinition/sha256";

/// Version and time of a stored resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `meta.versionId`.
    pub version: u64,
    /// `meta.lastUpdated`, microseconds since 1970.
    pub updated: i64,
}

/// Reads an entry. `symbol` is its fullUrl; `profile` decides what is required.
pub fn read(resource: &Value, symbol: &str, profile: Profile, at: &Place) -> Result<DocumentEntry, Findings> {
    let mut findings = Findings::new();
    let entry = read_into(resource, symbol, profile, at, &mut findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) { Err(findings) } else { Ok(entry) }
}

/// Reads the times of an entry that name no zone in this one. What was sent stays as it was written.
pub(crate) fn zoned(entry: &mut DocumentEntry, zone: &TimeZone) {
    let times =
        [&mut entry.date, &mut entry.creation_time, &mut entry.service_start, &mut entry.service_stop];
    times.into_iter().flatten().for_each(|time| when::zoned(time, zone));
}

/// Coded attributes that Comprehensive metadata demands: element, attribute.
const REQUIRED_CODES: &[(&str, &str)] = &[
    ("type", "DocumentEntry.typeCode"),
    ("category", "DocumentEntry.classCode"),
    ("securityLabel", "DocumentEntry.confidentialityCode"),
];

/// The same, in `context`.
const REQUIRED_CONTEXT: &[(&str, &str)] = &[
    ("facilityType", "DocumentEntry.healthcareFacilityTypeCode"),
    ("practiceSetting", "DocumentEntry.practiceSettingCode"),
];

/// Reads an entry and says what is wrong with it. What is missing is left empty.
pub(crate) fn read_into(
    resource: &Value,
    symbol: &str,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) -> DocumentEntry {
    let names = element::names(resource, at, findings);
    let unique_id = unique_id(resource, profile, at, findings);
    let kind = object_type(resource, at, findings);
    let content = content(resource, (profile, kind), at, findings);
    let attachment = content.and_then(|content| content.get("attachment")).unwrap_or(&Value::Null);
    let context = resource.get("context").unwrap_or(&Value::Null);
    let content_at = at.member("content").item(0);
    let attachment_at = content_at.member("attachment");
    refuse_forbidden(resource, attachment, at, &attachment_at, findings);
    if profile != Profile::Minimal {
        require_codes(resource, context, profile, at, findings);
        require(resource, "subject", "DocumentEntry.patientId", profile, at, findings);
    }
    let source = the_source_patient(resource, context, profile, at, findings);
    let type_codes = resource.get("type").map(concept).unwrap_or_default();
    let others = names.others.into_iter().chain(names.unique_id).filter(|name| *name != unique_id);
    let time = |value: &Value, name: &str| text(value, name).and_then(when::timestamp);
    let period = context.get("period").unwrap_or(&Value::Null);
    let related = items(context, "related").iter().chain(items(context, "encounter"));
    let authenticator = resource.get("authenticator").map(|reference| author(resource, reference));
    let legal_authenticator = authenticator.as_ref().and_then(|author| author.person.clone());
    let mut entry = DocumentEntry {
        symbol: symbol.to_owned(),
        entry_uuid: names.entry_uuid,
        identifiers: others.collect(),
        availability: availability(resource, profile, at, findings),
        type_code: type_codes.first().cloned(),
        class_codes: concepts(items(resource, "category")),
        type_codes,
        patient: element::patient(resource.get("subject")),
        date: time(resource, "date"),
        authors: authors(resource, profile, at, findings),
        comments: text(resource, "description").map(str::to_owned),
        confidentiality_codes: concepts(items(resource, "securityLabel")),
        mime_type: text(attachment, "contentType").unwrap_or_default().to_owned(),
        language: text(attachment, "language").map(str::to_owned),
        size: size(attachment),
        hash: hash(attachment, &attachment_at, findings),
        sha256: sha256(attachment),
        title: text(attachment, "title").map(str::to_owned),
        url: text(attachment, "url").unwrap_or_default().to_owned(),
        creation_time: time(attachment, "creation"),
        format_code: content.and_then(|content| content.get("format")).and_then(element::coding),
        event_codes: concepts(items(context, "event")),
        service_start: time(period, "start"),
        service_stop: time(period, "end"),
        facility_codes: context.get("facilityType").map(concept).unwrap_or_default(),
        practice_setting_codes: context.get("practiceSetting").map(concept).unwrap_or_default(),
        source_patient_ids: source
            .map(|s| items(s, "identifier").iter().filter_map(identifier).collect())
            .unwrap_or_default(),
        has_source_patient_info: context.get("sourcePatientInfo").is_some(),
        reference_ids: related.clone().filter_map(|r| r.get("identifier").and_then(identifier)).collect(),
        related: related.filter_map(|r| text(r, "reference")).map(str::to_owned).collect(),
        encounters: items(context, "encounter").iter().filter_map(element::linked).collect(),
        authenticator,
        custodian: resource.get("custodian").map(|reference| author(resource, reference)),
        kind,
        source_patient_info: source.map(source_patient::read).unwrap_or_default(),
        legal_authenticator,
        reference_id_list: reference_ids::read(context),
        repository_unique_id: repository(attachment),
        home: beyond::home(resource),
        uri: None,
        online: None,
        limited_metadata: is_minimal(resource),
        extra: Vec::new(),
        carried: Carried { fhir: Some(beyond::carried(resource)), ..Carried::default() },
        unique_id,
    };
    beyond::into_document(&mut entry, resource, at, findings);
    entry
}

/// objectType: stable, unless our extension says otherwise.
fn object_type(resource: &Value, at: &Place, findings: &mut Findings) -> EntryKind {
    let Some(extension) = element::extension(resource, OBJECT_TYPE) else { return EntryKind::Stable };
    if text(extension, "valueUri") == Some(ON_DEMAND) {
        return EntryKind::OnDemand;
    }
    let text = format!("xds-object-type (DocumentEntry.objectType) is valueUri {ON_DEMAND}, or is left out.");
    findings.push(Finding::error(Rule::Value, at.member("extension").of("DocumentEntry.objectType"), text));
    EntryKind::Stable
}

/// Whether the entry says of itself that its metadata is limited.
fn is_minimal(resource: &Value) -> bool {
    let claims = resource.get("meta").map(|meta| items(meta, "profile")).unwrap_or_default();
    let is_minimal = |claim: &str| {
        claim.split('|').next().is_some_and(|bare| bare.ends_with("/IHE.MHD.Minimal.DocumentReference"))
    };
    claims.iter().filter_map(Value::as_str).any(is_minimal)
}

fn repository(attachment: &Value) -> Option<String> {
    text(element::extension(attachment, REPOSITORY)?, "valueString").map(str::to_owned)
}

/// Which repository has the bytes, as it is said in an attachment.
pub(crate) fn repository_extension(repository_unique_id: &str) -> Value {
    json!({ "url": REPOSITORY, "valueString": repository_unique_id })
}

/// Says in an attachment which repository has the bytes.
pub(crate) fn set_repository(attachment: &mut Value, repository_unique_id: &str) {
    drop_extensions(attachment, &[REPOSITORY]);
    if let Some(members) = attachment.as_object_mut() {
        beyond::add_extension(members, repository_extension(repository_unique_id));
    }
}

fn unique_id(resource: &Value, profile: Profile, at: &Place, findings: &mut Findings) -> Identifier {
    const ATTRIBUTE: &str = "DocumentEntry.uniqueId";
    let Some(master) = require(resource, "masterIdentifier", ATTRIBUTE, profile, at, findings) else {
        return Identifier { system: String::new(), value: String::new() };
    };
    let at = at.member("masterIdentifier");
    for part in ["system", "value"] {
        require(master, part, ATTRIBUTE, profile, &at, findings);
    }
    let name = identifier(master).unwrap_or(Identifier { system: String::new(), value: String::new() });
    if !well_formed(&name) {
        let text = "masterIdentifier (DocumentEntry.uniqueId) says it is an OID or a UUID and is none.";
        findings.push(Finding::error(Rule::MetadataInvalid, at.member("value").of(ATTRIBUTE), text));
    }
    name
}

fn content<'a>(
    resource: &'a Value,
    (profile, kind): (Profile, EntryKind),
    at: &Place,
    findings: &mut Findings,
) -> Option<&'a Value> {
    let contents = items(resource, "content");
    if contents.len() > 1 {
        let text = format!("{} contents are given; a DocumentEntry describes exactly one.", contents.len());
        findings.push(Finding::error(Rule::MetadataInvalid, at.member("content"), text));
    }
    let Some(content) = contents.first() else {
        missing(at.member("content"), "DocumentEntry.mimeType", profile, findings);
        return None;
    };
    let at = at.member("content").item(0);
    let attachment = require(content, "attachment", "DocumentEntry.mimeType", profile, &at, findings)?;
    let attachment_at = at.member("attachment");
    require(attachment, "contentType", "DocumentEntry.mimeType", profile, &attachment_at, findings);
    require(attachment, "url", "DocumentEntry.URI", profile, &attachment_at, findings);
    if profile != Profile::Minimal {
        require(attachment, "language", "DocumentEntry.languageCode", profile, &attachment_at, findings);
        if kind.is_stable() {
            require(attachment, "creation", "DocumentEntry.creationTime", profile, &attachment_at, findings);
        }
        if content.get("format").and_then(element::coding).is_none() {
            missing(at.member("format"), "DocumentEntry.formatCode", profile, findings);
        }
    }
    Some(content)
}

fn require_codes(resource: &Value, context: &Value, profile: Profile, at: &Place, findings: &mut Findings) {
    for (name, attribute) in REQUIRED_CODES {
        let given = match resource.get(*name) {
            Some(Value::Array(many)) => !concepts(many).is_empty(),
            Some(one) => !concept(one).is_empty(),
            None => false,
        };
        if !given {
            missing(at.member(name), attribute, profile, findings);
        }
    }
    for (name, attribute) in REQUIRED_CONTEXT {
        if context.get(*name).is_none_or(|one| concept(one).is_empty()) {
            missing(at.member("context").member(name), attribute, profile, findings);
        }
    }
}

/// Elements the profile forbids. What would change the meaning is refused, what would only be lost elsewhere is kept with a warning.
fn refuse_forbidden(
    resource: &Value,
    attachment: &Value,
    at: &Place,
    attachment_at: &Place,
    findings: &mut Findings,
) {
    if resource.get("modifierExtension").is_some() {
        let text = "modifierExtension would change the meaning of the entry; the profile forbids it.";
        findings.push(Finding::error(Rule::MetadataInvalid, at.member("modifierExtension"), text));
    }
    if attachment.get("data").is_some() {
        let text = "The bytes of a document travel in a Binary of the Bundle, not in attachment.data.";
        findings.push(Finding::error(Rule::MetadataInvalid, attachment_at.member("data"), text));
    }
    if resource.get("docStatus").is_some() {
        let text =
            "docStatus is not part of the profile; it is kept and given back, nothing is decided by it.";
        findings.push(Finding::warning(Rule::NotSupported, at.member("docStatus"), text));
    }
    if items(resource, "category").len() > 1 {
        let text = "More than one category is given; a DocumentEntry has one classCode.";
        findings.push(Finding::error(
            Rule::MetadataInvalid,
            at.member("category").of("DocumentEntry.classCode"),
            text,
        ));
    }
}

fn availability(resource: &Value, profile: Profile, at: &Place, findings: &mut Findings) -> Availability {
    match require(resource, "status", "DocumentEntry.availabilityStatus", profile, at, findings)
        .and_then(Value::as_str)
    {
        Some("superseded") => Availability::Deprecated,
        Some("current") | None => Availability::Approved,
        Some(_) => {
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                at.member("status").of("DocumentEntry.availabilityStatus"),
                "status (DocumentEntry.availabilityStatus) is current or superseded.",
            ));
            Availability::Approved
        }
    }
}

fn authors(resource: &Value, profile: Profile, at: &Place, findings: &mut Findings) -> Vec<xds::Author> {
    let given = items(resource, "author");
    for (index, reference) in given.iter().enumerate() {
        let place = at.member("author").item(index);
        must_be_contained(reference, "DocumentEntry.author", profile, &place, findings);
    }
    if let Some(reference) = resource.get("authenticator") {
        let place = at.member("authenticator");
        must_be_contained(reference, "DocumentEntry.legalAuthenticator", profile, &place, findings);
    }
    given.iter().map(|reference| author(resource, reference)).collect()
}

/// The contained Patient that says how the source knows the patient.
fn the_source_patient<'a>(
    resource: &'a Value,
    context: &Value,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) -> Option<&'a Value> {
    const ATTRIBUTE: &str = "DocumentEntry.sourcePatientInfo";
    let at = at.member("context").member("sourcePatientInfo");
    let Some(reference) = context.get("sourcePatientInfo") else {
        // The UnContained profile demands it, its narrative does not: absence is taken.
        if profile == Profile::Comprehensive {
            missing(at, ATTRIBUTE, profile, findings);
        }
        return None;
    };
    must_be_contained(reference, ATTRIBUTE, profile, &at, findings);
    match text(reference, "reference")
        .filter(|target| target.starts_with('#') || contained(resource, target).is_some())
    {
        Some(target) => contained(resource, target),
        None => None,
    }
}

fn size(attachment: &Value) -> Option<u64> {
    attachment.get("size")?.as_u64()
}

fn hash(attachment: &Value, at: &Place, findings: &mut Findings) -> Option<Hash> {
    let given = text(attachment, "hash")?;
    let hash = read_hash(given);
    if hash.is_none() {
        findings.push(Finding::error(
            Rule::ContentMismatch,
            at.member("hash").of("DocumentEntry.hash"),
            "hash (DocumentEntry.hash) is not a SHA-1: 20 bytes in base64, or 40 hexadecimal digits.",
        ));
    }
    hash
}

/// SHA-1 in base64, or in hexadecimal digits as the narrative of 4.2.3 showed it.
fn read_hash(text: &str) -> Option<Hash> {
    if text.len() == 40 {
        return hex(text).map(Hash);
    }
    STANDARD.decode(text).ok()?.try_into().ok().map(Hash)
}

fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

fn sha256(attachment: &Value) -> Option<[u8; 32]> {
    hex(text(element::extension(attachment, SHA256)?, "valueString")?)
}

/// Says in an attachment where the bytes are and what they measure.
pub(crate) fn set_attachment(
    attachment: &mut Value,
    url: &str,
    size: u64,
    hash: Hash,
    sha256: Option<[u8; 32]>,
) {
    drop_extensions(attachment, &[SHA256]);
    element::put(attachment, "url", Some(url));
    element::put(attachment, "size", Some(size));
    element::put(attachment, "hash", Some(hash_text(hash)));
    if let (Some(sum), Some(members)) = (sha256, attachment.as_object_mut()) {
        let digits: String = sum.iter().map(|b| format!("{b:02x}")).collect();
        beyond::add_extension(members, json!({ "url": SHA256, "valueString": digits }));
    }
}

/// A SHA-1 as FHIR writes it.
fn hash_text(hash: Hash) -> String {
    STANDARD.encode(hash.0)
}

/// A relation of a registered entry, ready to be written as `relatesTo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// `replaces`, `transforms`, `appends`, `signs`.
    pub code: &'static str,
    /// entryUUID of the target.
    pub target: String,
}

/// Writes a registered entry: what the source sent, with id, meta, status, identifiers (both conventions of MHD 2.1),
/// relations, url, hash and size as the registry knows them.
pub fn write(entry: &DocumentEntry, stamp: Stamp, relations: &[Relation]) -> Vec<u8> {
    let sent =
        entry.carried.fhir.as_deref().and_then(|json| serde_json::from_str::<Map<String, Value>>(json).ok());
    let mut resource = match sent {
        Some(resource) => resource,
        None => concealed(compose(entry)),
    };
    let status = match entry.availability {
        Availability::Approved => "current",
        Availability::Deprecated => "superseded",
    };
    resource.insert("status".to_owned(), status.into());
    if let Some(uuid) = &entry.entry_uuid {
        set_entry_uuid(&mut resource, entry_uuid_identifier(uuid));
    }
    element::set_subject(&mut resource, &entry.patient);
    set_relations(&mut resource, relations);
    if let Some(attachment) = resource.get_mut("content").and_then(|c| c.pointer_mut("/0/attachment")) {
        drop_extensions(attachment, &[SHA256, REPOSITORY]);
        element::put(attachment, "url", Some(entry.url.as_str()).filter(|url| !url.is_empty()));
        element::put(attachment, "size", entry.size);
        element::put(attachment, "hash", entry.hash.map(hash_text));
    }
    let written = element::with_head(resource, "DocumentReference", entry.entry_uuid.as_ref(), stamp);
    Value::Object(written).to_string().into_bytes()
}

/// Puts the entryUUID where the source had it, or at the end.
pub(crate) fn set_entry_uuid(resource: &mut Map<String, Value>, uuid: Value) {
    set_name(resource, uuid, element::Purpose::EntryUuid);
}

/// Puts an identifier in the place of the one with the same purpose, or at the end.
pub(crate) fn set_name(resource: &mut Map<String, Value>, name: Value, purpose: element::Purpose) {
    match resource.get_mut("identifier").and_then(Value::as_array_mut) {
        Some(names) => match names.iter_mut().find(|known| element::purpose(known) == purpose) {
            Some(known) => *known = name,
            None => names.push(name),
        },
        None => {
            resource.insert("identifier".to_owned(), json!([name]));
        }
    }
}

/// Rewrites the targets of what the source wrote, in its order; adds what it did not write.
fn set_relations(resource: &mut Map<String, Value>, relations: &[Relation]) {
    let written = match resource.get_mut("relatesTo").map(Value::take) {
        Some(Value::Array(written)) => written,
        _ => Vec::new(),
    };
    let mut left: Vec<&Relation> = relations.iter().collect();
    let mut known: Vec<(String, String)> = Vec::new();
    let mut out = Vec::new();
    for mut item in written {
        let sent = item.pointer("/target").map(Value::to_string).unwrap_or_default();
        let code = text(&item, "code").unwrap_or_default();
        let target = match left.iter().position(|relation| relation.code == code) {
            Some(at) => Some(left.remove(at).target.clone()),
            // Replaces and transforms of one document are one association of the registry.
            None => known.iter().find(|(target, _)| *target == sent).map(|(_, uuid)| uuid.clone()),
        };
        if let Some(target) = target {
            if let Some(reference) = item.get_mut("target") {
                element::put(reference, "reference", Some(format!("DocumentReference/{target}")));
            }
            known.push((sent, target));
            out.push(item);
        }
    }
    for relation in left {
        let target = format!("DocumentReference/{}", relation.target);
        out.push(json!({ "code": relation.code, "target": { "reference": target } }));
    }
    if out.is_empty() {
        resource.shift_remove("relatesTo");
    } else {
        resource.insert("relatesTo".to_owned(), Value::Array(out));
    }
}

/// A resource without what is between our actors only.
fn concealed(resource: Map<String, Value>) -> Map<String, Value> {
    let mut resource = Value::Object(resource);
    beyond::conceal(&mut resource);
    match resource {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
