//! Small readers and writers of FHIR elements in JSON, shared by the codecs.

use serde_json::{Map, Value, json};
use xds::{Code, EntryUuid, Finding, Findings, Identifier, Linked, Patient, Place, Profile, Rule};

/// Name space of URIs used as identifiers.
pub(crate) const URI: &str = "urn:ietf:rfc:3986";

/// System of the identifier types of MHD 4.2.4.
pub(crate) const IDENTIFIER_TYPES: &str =
    "https://profiles.ihe.net/ITI/MHD/CodeSystem/IHE.MHD.MHDIdentifierType";

/// The text of a member.
pub(crate) fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name)?.as_str()
}

/// The items of a member; none if it is not there.
pub(crate) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The extension with this canonical.
pub(crate) fn extension<'a>(value: &'a Value, url: &str) -> Option<&'a Value> {
    items(value, "extension").iter().find(|extension| text(extension, "url") == Some(url))
}

/// An Identifier; none without a value.
pub(crate) fn identifier(value: &Value) -> Option<Identifier> {
    let name = text(value, "value")?;
    Some(Identifier { system: text(value, "system").unwrap_or_default().to_owned(), value: name.to_owned() })
}

/// A Coding; none without a code.
pub(crate) fn coding(value: &Value) -> Option<Code> {
    Some(Code {
        system: text(value, "system").unwrap_or_default().to_owned(),
        code: text(value, "code")?.to_owned(),
        display: text(value, "display").map(str::to_owned),
    })
}

/// The codings of a CodeableConcept. One without display reads as the concept's text.
pub(crate) fn concept(value: &Value) -> Vec<Code> {
    let reads = text(value, "text");
    let mut codes: Vec<Code> = items(value, "coding").iter().filter_map(coding).collect();
    for code in &mut codes {
        if code.display.is_none() {
            code.display = reads.map(str::to_owned);
        }
    }
    codes
}

/// The codings of several CodeableConcepts.
pub(crate) fn concepts(values: &[Value]) -> Vec<Code> {
    values.iter().flat_map(concept).collect()
}

/// The patient a reference names.
pub(crate) fn patient(subject: Option<&Value>) -> Patient {
    let Some(subject) = subject else { return Patient::default() };
    Patient {
        reference: text(subject, "reference").map(str::to_owned),
        identifier: subject.get("identifier").and_then(identifier),
        id: None,
    }
}

/// A reference to something outside of document sharing; none where it names nothing.
pub(crate) fn linked(reference: &Value) -> Option<Linked> {
    let linked = Linked {
        reference: text(reference, "reference").filter(|url| !url.starts_with('#')).map(str::to_owned),
        identifier: reference.get("identifier").and_then(identifier),
    };
    (linked != Linked::default()).then_some(linked)
}

/// The contained resource a reference names (`#id`; some write `Type/id`).
pub(crate) fn contained<'a>(resource: &'a Value, reference: &str) -> Option<&'a Value> {
    let inside = items(resource, "contained");
    let find = |id: &str| inside.iter().find(|r| text(r, "id") == Some(id));
    match reference.strip_prefix('#') {
        Some(id) => find(id),
        None => {
            let (kind, id) = reference.split_once('/')?;
            find(id).filter(|r| text(r, "resourceType") == Some(kind))
        }
    }
}

/// What an identifier of an object is for, by either convention of MHD (type since 4.2.4, use before).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    EntryUuid,
    UniqueId,
    Other,
}

/// Judges an identifier of an object.
pub(crate) fn purpose(value: &Value) -> Purpose {
    let types = value.get("type").map(|kind| items(kind, "coding")).unwrap_or_default();
    let named =
        types.iter().find(|t| text(t, "system") == Some(IDENTIFIER_TYPES)).and_then(|t| text(t, "code"));
    match (named, text(value, "use")) {
        (Some("entryUUID"), _) => Purpose::EntryUuid,
        (Some("uniqueId"), _) => Purpose::UniqueId,
        (None, Some("official")) if text(value, "value").is_some_and(|v| v.starts_with("urn:uuid:")) => {
            Purpose::EntryUuid
        }
        (None, Some("usual")) => Purpose::UniqueId,
        _ => Purpose::Other,
    }
}

/// The identifiers of an object: entryUUID, uniqueId, and the others.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) entry_uuid: Option<EntryUuid>,
    pub(crate) unique_id: Option<Identifier>,
    pub(crate) others: Vec<Identifier>,
}

/// Reads the identifiers of an object. Refuses an entryUUID that is none, and two of a kind.
pub(crate) fn names(resource: &Value, at: &Place, findings: &mut Findings) -> Names {
    let mut names = Names::default();
    for (index, value) in items(resource, "identifier").iter().enumerate() {
        let Some(name) = identifier(value) else { continue };
        let place = at.member("identifier").item(index);
        match purpose(value) {
            Purpose::EntryUuid => match EntryUuid::parse(&name.value) {
                Some(uuid) if names.entry_uuid.as_ref().is_none_or(|known| *known == uuid) => {
                    names.entry_uuid = Some(uuid);
                }
                Some(_) => findings.push(Finding::error(
                    Rule::MetadataInvalid,
                    place.of("entryUUID"),
                    "An object has one entryUUID; this is a second one.",
                )),
                None => findings.push(Finding::error(
                    Rule::Value,
                    place.member("value").of("entryUUID"),
                    "An entryUUID is written urn:uuid: and a UUID.",
                )),
            },
            Purpose::UniqueId if names.unique_id.is_none() => names.unique_id = Some(name),
            Purpose::UniqueId | Purpose::Other => names.others.push(name),
        }
    }
    names
}

/// Whether an identifier that says it is an OID or a UUID is one.
pub(crate) fn well_formed(identifier: &Identifier) -> bool {
    if let Some(oid) = identifier.value.strip_prefix("urn:oid:") {
        return is_oid(oid);
    }
    identifier.value.strip_prefix("urn:uuid:").is_none_or(|_| EntryUuid::parse(&identifier.value).is_some())
}

/// Whether this is an OID (without `urn:oid:`).
pub(crate) fn is_oid(text: &str) -> bool {
    let mut parts = 0;
    let sound = text.split('.').all(|part| {
        parts += 1;
        !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_digit())
            && (part.len() == 1 || !part.starts_with('0'))
    });
    sound && parts > 1 && text.len() <= 256 && matches!(text.as_bytes()[0], b'0'..=b'2')
}

/// A member, or a finding that it is missing, naming the XDS attribute and who demands it.
pub(crate) fn require<'a>(
    resource: &'a Value,
    name: &str,
    attribute: &'static str,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) -> Option<&'a Value> {
    let found = resource.get(name);
    if found.is_none() {
        missing(at.member(name), attribute, profile, findings);
    }
    found
}

/// Says that an attribute the profile demands is missing.
pub(crate) fn missing(place: Place, attribute: &'static str, profile: Profile, findings: &mut Findings) {
    let text = format!(
        "{} ({attribute}) is missing; {} metadata requires it.",
        element_of(&place.path),
        profile_word(profile)
    );
    findings.push(Finding::error(Rule::MetadataRequired, place.of(attribute), text));
}

/// The path from the resource on: what a person looks for.
pub(crate) fn element_of(path: &str) -> &str {
    path.rsplit_once(".resource.").map_or(path, |(_, element)| element)
}

/// The profile's name in a sentence.
pub(crate) fn profile_word(profile: Profile) -> &'static str {
    match profile {
        Profile::Minimal => "Minimal",
        Profile::Comprehensive => "Comprehensive",
        Profile::UnContained => "UnContained Comprehensive",
    }
}

/// Refuses a reference that leaves the resource where the profile wants it contained.
pub(crate) fn must_be_contained(
    reference: &Value,
    attribute: &'static str,
    profile: Profile,
    at: &Place,
    findings: &mut Findings,
) {
    let outside = text(reference, "reference").is_some_and(|target| !target.starts_with('#'));
    if profile == Profile::Comprehensive && outside {
        findings.push(Finding::error(
            Rule::MetadataInvalid,
            at.member("reference").of(attribute),
            format!(
                "{} ({attribute}) refers to a resource elsewhere; Comprehensive metadata contains it, UnContained may refer.",
                element_of(&at.path)
            ),
        ));
    }
}

/// The identifier under which an entryUUID is written: both conventions at once.
pub(crate) fn entry_uuid_identifier(uuid: &EntryUuid) -> Value {
    json!({
        "use": "official",
        "type": { "coding": [{ "system": IDENTIFIER_TYPES, "code": "entryUUID" }] },
        "system": URI,
        "value": format!("urn:uuid:{}", uuid.as_str()),
    })
}

/// The identifier under which a list's uniqueId is written: both conventions at once.
pub(crate) fn unique_id_identifier(name: &Identifier) -> Value {
    let mut value = json!({
        "use": "usual",
        "type": { "coding": [{ "system": IDENTIFIER_TYPES, "code": "uniqueId" }] },
    });
    put(&mut value, "system", Some(name.system.as_str()).filter(|s| !s.is_empty()));
    put(&mut value, "value", Some(name.value.as_str()));
    value
}

/// Adds a member if there is something to add.
pub(crate) fn put(object: &mut Value, name: &str, value: Option<impl Into<Value>>) {
    if let (Some(members), Some(value)) = (object.as_object_mut(), value) {
        members.insert(name.to_owned(), value.into());
    }
}

/// An Identifier as JSON.
pub(crate) fn identifier_value(name: &Identifier) -> Value {
    let mut value = json!({});
    put(&mut value, "system", uri(&name.system));
    put(&mut value, "value", Some(name.value.as_str()));
    value
}

/// A name space as FHIR can write it: a URI has no white space. None for an empty one.
pub(crate) fn uri(written: &str) -> Option<String> {
    let uri = written.split_whitespace().collect::<Vec<_>>().join("%20");
    (!uri.is_empty()).then_some(uri)
}

/// A Coding as JSON.
pub(crate) fn coding_value(code: &Code) -> Value {
    let mut value = json!({});
    put(&mut value, "system", Some(code.system.as_str()).filter(|s| !s.is_empty()));
    put(&mut value, "code", Some(code.code.as_str()));
    put(&mut value, "display", code.display.as_deref());
    value
}

/// Sets the reference and identifier of a subject, keeping what else it says.
pub(crate) fn set_subject(resource: &mut Map<String, Value>, patient: &Patient) {
    if patient.reference.is_none() && patient.identifier.is_none() {
        return;
    }
    let mut subject = match resource.get_mut("subject").map(Value::take) {
        Some(Value::Object(members)) => members,
        _ => Map::new(),
    };
    if let Some(reference) = &patient.reference {
        subject.insert("reference".to_owned(), reference.as_str().into());
    }
    if let (Some(name), false) = (&patient.identifier, subject.contains_key("identifier")) {
        subject.insert("identifier".to_owned(), identifier_value(name));
    }
    resource.insert("subject".to_owned(), Value::Object(subject));
}

/// Puts id and meta in front, keeping what the source said in meta and the order of all else.
pub(crate) fn with_head(
    resource: Map<String, Value>,
    kind: &str,
    id: Option<&EntryUuid>,
    stamp: crate::document_reference::Stamp,
) -> Map<String, Value> {
    let mut out = Map::with_capacity(resource.len() + 3);
    out.insert("resourceType".to_owned(), kind.into());
    out.insert("id".to_owned(), id.map_or(Value::Null, |id| id.as_str().into()));
    out.insert("meta".to_owned(), Value::Null);
    let mut meta = Map::new();
    for (name, value) in resource {
        match name.as_str() {
            "resourceType" | "id" => {}
            "meta" => {
                if let Value::Object(given) = value {
                    meta = given;
                }
            }
            _ => {
                out.insert(name, value);
            }
        }
    }
    meta.insert("versionId".to_owned(), stamp.version.to_string().into());
    meta.insert("lastUpdated".to_owned(), crate::when::instant(stamp.updated).into());
    out.insert("meta".to_owned(), Value::Object(meta));
    if id.is_none() {
        out.shift_remove("id");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_conventions_of_naming_are_understood() {
        let old = json!({"use": "official", "system": URI, "value": "urn:uuid:7d5bb8ac-68ee-4926-85e7-b8aac8e1f09d"});
        let new = json!({"type": {"coding": [{"system": IDENTIFIER_TYPES, "code": "entryUUID"}]}, "value": "urn:uuid:x"});
        let both = json!({"use": "official", "type": {"coding": [{"system": IDENTIFIER_TYPES, "code": "uniqueId"}]}, "value": "urn:uuid:x"});
        assert_eq!(purpose(&old), Purpose::EntryUuid);
        assert_eq!(purpose(&new), Purpose::EntryUuid);
        assert_eq!(purpose(&both), Purpose::UniqueId);
        assert_eq!(purpose(&json!({"use": "official", "value": "1"})), Purpose::Other);
    }

    #[test]
    fn a_uuid_is_not_an_oid() {
        assert!(is_oid("1.2.840.113556"));
        for text in ["6848d77b-8c45-4e05-90d4-be9210bb1f6d", "1", "", "1..2", "1.02", "3.1", "1.2."] {
            assert!(!is_oid(text), "{text}");
        }
    }
}
