//! List: how submission sets and folders are read from one and written as one (spec 4.5, 4.6).

mod compose;

use serde_json::{Map, Value, json};
use xds::{
    Availability, Carried, Code, EntryUuid, Finding, Findings, Folder, Identifier, Place, Profile, Rule,
    Severity, SubmissionSet, Timestamp,
};

use crate::beyond::{self, FURTHER_AUTHOR};
use crate::document_reference::{Stamp, set_entry_uuid, set_name};
use crate::element::{
    self, Purpose, concept, entry_uuid_identifier, extension, identifier, items, missing, must_be_contained,
    require, text, unique_id_identifier,
};
use crate::people;
use crate::recipients;
use crate::when;

use compose::{MINIMAL_FOLDER, MINIMAL_SET};
pub(crate) use compose::{compose_folder, compose_set};

/// System of `List.code`.
pub(crate) const LIST_TYPES: &str = "https://profiles.ihe.net/ITI/MHD/CodeSystem/MHDlistTypes";
const INTENDED_RECIPIENT: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-intendedRecipient";
pub(crate) const SOURCE_ID: &str = "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-sourceId";
pub(crate) const DESIGNATION_TYPE: &str =
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-designationType";
pub(crate) const AUTHOR_ORGANIZATION: &str =
    "https://profiles.ihe.net/ITI/MHD/StructureDefinition/ihe-authorOrg";

/// What a List is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    SubmissionSet,
    Folder,
}

/// Says what a List is, by its code.
pub(crate) fn kind(resource: &Value) -> Option<ListKind> {
    let codes = resource.get("code").map(concept).unwrap_or_default();
    codes.iter().filter(|code| code.system == LIST_TYPES).find_map(|code| match code.code.as_str() {
        "submissionset" => Some(ListKind::SubmissionSet),
        "folder" => Some(ListKind::Folder),
        _ => None,
    })
}

/// Reads a submission set.
pub fn read_submission_set(
    resource: &Value,
    symbol: &str,
    profile: Profile,
    at: &Place,
) -> Result<SubmissionSet, Findings> {
    let mut findings = Findings::new();
    let set = submission_set_into(resource, symbol, profile, at, &mut findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) { Err(findings) } else { Ok(set) }
}

/// Reads a folder; `update` for a PUT entry.
pub fn read_folder(
    resource: &Value,
    symbol: &str,
    update: bool,
    profile: Profile,
    at: &Place,
) -> Result<Folder, Findings> {
    let mut findings = Findings::new();
    let folder = folder_into(resource, symbol, update, profile, at, &mut findings);
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        Err(findings)
    } else {
        Ok(folder)
    }
}

/// Reads a submission set and says what is wrong with it.
pub(crate) fn submission_set_into(
    resource: &Value,
    symbol: &str,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) -> SubmissionSet {
    let names = element::names(resource, at, findings);
    if items(resource, "identifier").is_empty() {
        missing(at.member("identifier"), "SubmissionSet.uniqueId", profile, findings);
    }
    if let Some(name) = &names.unique_id {
        check_unique_id(resource, name, at, findings);
    }
    check_common(resource, at, findings);
    unnotified(resource, at, findings);
    if text(resource, "status").is_some_and(|status| status != "current") {
        let text = "status (SubmissionSet.availabilityStatus) of a submission set is current.";
        findings.push(Finding::error(Rule::MetadataInvalid, at.member("status"), text));
    }
    let content_type_codes = designation(resource);
    if profile != Profile::Minimal {
        if content_type_codes.is_empty() {
            missing(
                extension_place(resource, DESIGNATION_TYPE, at),
                "SubmissionSet.contentTypeCode",
                profile,
                findings,
            );
        }
        require(resource, "subject", "SubmissionSet.patientId", profile, at, findings);
    }
    let date = require(resource, "date", "SubmissionSet.submissionTime", profile, at, findings);
    let submission_time = date.and_then(Value::as_str).and_then(when::timestamp);
    let mut set = SubmissionSet {
        symbol: symbol.to_owned(),
        entry_uuid: names.entry_uuid,
        unique_id: names.unique_id,
        source_id: source_id(resource, profile, at, findings),
        patient: element::patient(resource.get("subject")),
        submission_time: submission_time.unwrap_or(Timestamp { text: String::new(), from: 0, to: 0 }),
        content_type_codes,
        authors: authors(resource, profile, at, findings),
        title: text(resource, "title").map(str::to_owned),
        comments: comments(resource),
        encounter: resource.get("encounter").and_then(element::linked),
        intended_recipients: intended_recipients(resource),
        home: beyond::home(resource),
        limited_metadata: claims(resource, MINIMAL_SET),
        extra: Vec::new(),
        carried: Carried { fhir: Some(beyond::carried(resource)), ..Carried::default() },
    };
    beyond::into_set(&mut set, resource, at, findings);
    set
}

fn intended_recipients(resource: &Value) -> Vec<String> {
    let extensions = items(resource, "extension").iter();
    let named = extensions.filter(|extension| text(extension, "url") == Some(INTENDED_RECIPIENT));
    named
        .filter_map(|extension| extension.get("valueReference"))
        .filter_map(|reference| recipients::read(resource, reference))
        .collect()
}

/// Whether a List says of itself that it follows a profile, in whatever version.
fn claims(resource: &Value, profile: &str) -> bool {
    let bare = profile.trim_start_matches("https:");
    let claims = resource.get("meta").map(|meta| items(meta, "profile")).unwrap_or_default();
    let mut claims = claims.iter().filter_map(Value::as_str).filter_map(|claim| claim.split('|').next());
    claims.any(|claim| claim.ends_with(bare))
}

/// Reads a folder and says what is wrong with it.
pub(crate) fn folder_into(
    resource: &Value,
    symbol: &str,
    update: bool,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) -> Folder {
    let names = element::names(resource, at, findings);
    check_common(resource, at, findings);
    if resource.get("source").is_some() {
        let text = "source is not part of a Folder; it is kept and given back, nothing is decided by it.";
        findings.push(Finding::warning(Rule::NotSupported, at.member("source"), text));
    }
    let codes = designation(resource);
    if profile != Profile::Minimal {
        if codes.is_empty() {
            missing(extension_place(resource, DESIGNATION_TYPE, at), "Folder.codeList", profile, findings);
        }
        require(resource, "title", "Folder.title", profile, at, findings);
        require(resource, "subject", "Folder.patientId", profile, at, findings);
    }
    let mut folder = Folder {
        symbol: symbol.to_owned(),
        entry_uuid: names.entry_uuid,
        unique_id: names.unique_id,
        patient: element::patient(resource.get("subject")),
        codes,
        title: text(resource, "title").map(str::to_owned),
        comments: comments(resource),
        encounter: resource.get("encounter").and_then(element::linked),
        update,
        home: beyond::home(resource),
        limited_metadata: claims(resource, MINIMAL_FOLDER),
        extra: Vec::new(),
        carried: Carried { fhir: Some(beyond::carried(resource)), ..Carried::default() },
    };
    beyond::into_folder(&mut folder, resource, at, findings);
    folder
}

/// Who is meant to read the documents is kept, and told by nobody here (MHD 2:3.65.4.1.3).
fn unnotified(resource: &Value, at: &Place, findings: &mut Findings) {
    let extensions = items(resource, "extension").iter().enumerate();
    for (index, _) in extensions.filter(|(_, one)| text(one, "url") == Some(INTENDED_RECIPIENT)) {
        let place = at.member("extension").item(index).of("SubmissionSet.intendedRecipient");
        let text = "Nobody here notifies an intended recipient (SubmissionSet.intendedRecipient); it is kept with the \
                    SubmissionSet, which can be found.";
        findings.push(Finding::warning(Rule::RecipientNotNotified, place, text));
    }
}

/// A submission set's uniqueId is an OID written as a URI (an invariant of its identifier profile).
fn check_unique_id(resource: &Value, name: &Identifier, at: &Place, findings: &mut Findings) {
    let sound = name.value.strip_prefix("urn:oid:").is_some_and(element::is_oid);
    if sound && (name.system.is_empty() || name.system == element::URI) {
        return;
    }
    let index =
        items(resource, "identifier").iter().position(|value| element::purpose(value) == Purpose::UniqueId);
    let place = at.member("identifier").item(index.unwrap_or(0)).member("value").of("SubmissionSet.uniqueId");
    let text = "identifier (SubmissionSet.uniqueId) is written urn:oid: and an OID, in the system urn:ietf:rfc:3986.";
    findings.push(Finding::error(Rule::MetadataInvalid, place, text));
}

/// What holds for both kinds: the fixed mode, nothing that changes the meaning, and members without flags.
fn check_common(resource: &Value, at: &Place, findings: &mut Findings) {
    if text(resource, "mode").is_some_and(|mode| mode != "working") {
        findings.push(Finding::error(
            Rule::MetadataInvalid,
            at.member("mode"),
            "mode of a List of MHD is working.",
        ));
    }
    if resource.get("modifierExtension").is_some() {
        let text = "modifierExtension would change the meaning of the list; the profile forbids it.";
        findings.push(Finding::error(Rule::MetadataInvalid, at.member("modifierExtension"), text));
    }
    for name in ["encounter", "orderedBy", "emptyReason"] {
        if resource.get(name).is_some() {
            let text = format!(
                "{name} is not part of the profile; it is kept and given back, nothing is decided by it."
            );
            findings.push(Finding::warning(Rule::NotSupported, at.member(name), text));
        }
    }
    for (index, entry) in items(resource, "entry").iter().enumerate() {
        if entry.get("deleted").and_then(Value::as_bool) == Some(true) {
            let place = at.member("entry").item(index).member("deleted");
            findings.push(Finding::error(
                Rule::MetadataInvalid,
                place,
                "A member that is marked as deleted cannot be submitted; leave the entry out.",
            ));
        }
    }
}

fn designation(resource: &Value) -> Vec<Code> {
    items(resource, "extension")
        .iter()
        .filter(|extension| text(extension, "url") == Some(DESIGNATION_TYPE))
        .filter_map(|extension| extension.get("valueCodeableConcept"))
        .flat_map(concept)
        .collect()
}

/// The place of an extension, or the place where it would stand.
fn extension_place(resource: &Value, url: &str, at: &Place) -> Place {
    let index = items(resource, "extension").iter().position(|extension| text(extension, "url") == Some(url));
    match index {
        Some(index) => at.member("extension").item(index),
        None => Place::at(format!("{}.extension('{url}')", at.path)),
    }
}

fn source_id(resource: &Value, profile: Profile, at: &Place, findings: &mut Findings) -> Identifier {
    let given = extension(resource, SOURCE_ID).and_then(|e| e.get("valueIdentifier")).and_then(identifier);
    let place = extension_place(resource, SOURCE_ID, at);
    match given {
        Some(name) if element::well_formed(&name) => name,
        Some(name) => {
            let text = "ihe-sourceId (SubmissionSet.sourceId) says it is an OID and is none.";
            findings.push(Finding::error(Rule::MetadataInvalid, place.of("SubmissionSet.sourceId"), text));
            name
        }
        None => {
            missing(place, "SubmissionSet.sourceId", profile, findings);
            Identifier { system: String::new(), value: String::new() }
        }
    }
}

/// List.source is the person; the organization hangs on it as an extension.
fn authors(resource: &Value, profile: Profile, at: &Place, findings: &mut Findings) -> Vec<xds::Author> {
    let further = items(resource, "extension").iter().filter(|one| text(one, "url") == Some(FURTHER_AUTHOR));
    let further = further.filter_map(|one| one.get("valueReference"));
    let further = further.map(|reference| people::author(resource, reference));
    let first = resource.get("source").map(|source| the_source(resource, source, profile, at, findings));
    first.into_iter().chain(further).collect()
}

fn the_source(
    resource: &Value,
    source: &Value,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) -> xds::Author {
    let at = at.member("source");
    must_be_contained(source, "SubmissionSet.author", profile, &at, findings);
    let mut author = people::author(resource, source);
    if let Some(organization) = extension(source, AUTHOR_ORGANIZATION).and_then(|e| e.get("valueReference")) {
        must_be_contained(organization, "SubmissionSet.author", profile, &at, findings);
        let organization = people::author(resource, organization);
        author.institution.extend(organization.institution);
        author.institutions.extend(organization.institutions);
        author.telecommunications.extend(organization.telecommunications);
        author.identifiers.extend(organization.identifiers);
    }
    author
}

fn comments(resource: &Value) -> Option<String> {
    let notes: Vec<&str> = items(resource, "note").iter().filter_map(|note| text(note, "text")).collect();
    (!notes.is_empty()).then(|| notes.join("\n"))
}

/// Writes a registered submission set with its members (relative references, e.g. `DocumentReference/…`, `List/…`).
pub fn write_submission_set(set: &SubmissionSet, stamp: Stamp, members: &[String]) -> Vec<u8> {
    let mut resource = sent(set.carried.fhir.as_deref()).unwrap_or_else(|| concealed(compose_set(set, &[])));
    element::set_subject(&mut resource, &set.patient);
    written(resource, set.entry_uuid.as_ref(), set.unique_id.as_ref(), stamp, members)
}

/// Writes a registered folder with its members; `updated` is its lastUpdateTime.
pub fn write_folder(
    folder: &Folder,
    availability: Availability,
    stamp: Stamp,
    members: &[String],
    updated: i64,
) -> Vec<u8> {
    let mut resource =
        sent(folder.carried.fhir.as_deref()).unwrap_or_else(|| concealed(compose_folder(folder)));
    element::set_subject(&mut resource, &folder.patient);
    let status = match availability {
        Availability::Approved => "current",
        Availability::Deprecated => "retired",
    };
    resource.insert("status".to_owned(), status.into());
    resource.insert("date".to_owned(), when::instant(updated).into());
    written(resource, folder.entry_uuid.as_ref(), folder.unique_id.as_ref(), stamp, members)
}

fn sent(carried: Option<&str>) -> Option<Map<String, Value>> {
    serde_json::from_str(carried?).ok()
}

/// A list without what is between our actors only.
fn concealed(list: Map<String, Value>) -> Map<String, Value> {
    let mut list = Value::Object(list);
    beyond::conceal(&mut list);
    match list {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn written(
    mut resource: Map<String, Value>,
    uuid: Option<&EntryUuid>,
    unique_id: Option<&Identifier>,
    stamp: Stamp,
    members: &[String],
) -> Vec<u8> {
    if let Some(uuid) = uuid {
        set_entry_uuid(&mut resource, entry_uuid_identifier(uuid));
    }
    if let Some(name) = unique_id {
        set_name(&mut resource, unique_id_identifier(name), Purpose::UniqueId);
    }
    if resource.get("extension").and_then(Value::as_array).is_some_and(Vec::is_empty) {
        resource.shift_remove("extension");
    }
    set_members(&mut resource, members);
    Value::Object(element::with_head(resource, "List", uuid, stamp)).to_string().into_bytes()
}

/// Points the entries at the members. Where their number is what the source wrote, its entries stay otherwise as they were.
fn set_members(resource: &mut Map<String, Value>, members: &[String]) {
    let entries = match resource.get_mut("entry").map(Value::take) {
        Some(Value::Array(entries)) if entries.len() == members.len() => entries,
        _ => vec![json!({ "item": {} }); members.len()],
    };
    let entries: Vec<Value> = entries
        .into_iter()
        .zip(members)
        .map(|(mut entry, member)| {
            if let Some(item) = entry.get_mut("item") {
                element::put(item, "reference", Some(member.as_str()));
            }
            entry
        })
        .collect();
    if entries.is_empty() {
        resource.shift_remove("entry");
    } else {
        resource.insert("entry".to_owned(), Value::Array(entries));
    }
}
