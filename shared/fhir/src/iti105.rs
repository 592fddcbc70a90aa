//! Simplified Publish [ITI-105]: one DocumentReference with its bytes inside, read as the submission it stands for.
//!
//! The recipient makes the rest: a Binary of the data, and a SubmissionSet that says what the DocumentReference says
//! (MHD 2:3.105, PCC TF-2 4.1). From there on it is a submission as any other.

use serde_json::{Value, json};
use xds::{Finding, Findings, Place, Rule, Severity, Side};

use crate::element::{self, Purpose, items, text};
use crate::iti65::{self, Door, Measured, Origin, Provided};
use crate::list::{AUTHOR_ORGANIZATION, DESIGNATION_TYPE, LIST_TYPES, SOURCE_ID};
use crate::negotiate::Syntax;

/// Index of the entry that holds the bytes in the Bundle that is made.
pub const BINARY: usize = 2;

/// Names of the entries that are made; whatever else a source calls so is resolved to them.
const SET: &str = "urn:uuid:3a0f5cf0-7c3b-5b52-9f0e-0d9d4c6f1050";
const DOCUMENT: &str = "urn:uuid:3a0f5cf0-7c3b-5b52-9f0e-0d9d4c6f1051";
const BYTES: &str = "urn:uuid:3a0f5cf0-7c3b-5b52-9f0e-0d9d4c6f1052";

/// Until the submission has its time: no part of what makes two submissions the same.
const NO_TIME: &str = "1970-01-01T00:00:00Z";

/// Reads a DocumentReference as a submission of one document. `measured` are its bytes (entry [`BINARY`]), `source_id` is the
/// OID of the sourceId that the SubmissionSet gets. Paths of findings are those of the DocumentReference.
pub fn read_request(
    resource: Value,
    measured: &[Measured],
    door: Door,
    source_id: &str,
) -> Result<Provided, Findings> {
    if text(&resource, "resourceType") != Some("DocumentReference") {
        let text = "A DocumentReference is expected here; a Bundle of ITI-65 is posted to the base.";
        let finding = Finding::error(Rule::Structure, Place::at("resourceType"), text);
        return Err(vec![finding.by(side(door))]);
    }
    let root = Place::at("DocumentReference");
    let mut findings = Findings::new();
    profile(&resource, door, &root, &mut findings);
    let media = text(iti65::attachment(&resource), "contentType").map(str::to_owned);
    let bytes = (door == Door::Repository).then(|| {
        let mut binary = json!({ "resourceType": "Binary" });
        element::put(&mut binary, "contentType", media);
        binary
    });
    let bundle = bundle(resource, bytes, source_id);
    read_made((Syntax::Json, bundle), measured, door, Origin::DocumentReference, findings)
}

/// Reads a Bundle that was made of what a source sent. `findings` is what is known of that already.
pub(crate) fn read_made(
    (syntax, bundle): (Syntax, Value),
    measured: &[Measured],
    door: Door,
    origin: Origin,
    mut findings: Findings,
) -> Result<Provided, Findings> {
    let read = iti65::read_request_in(syntax, bundle, measured, door);
    let (provided, told) = match read {
        Ok(mut provided) => {
            let told = std::mem::take(&mut provided.warnings);
            (Some(provided), told)
        }
        Err(told) => (None, told),
    };
    // A set that is made is named once it is known whose the document is.
    let unnamed = |finding: &Finding| finding.at.attribute == Some("SubmissionSet.uniqueId");
    for mut finding in told.into_iter().filter(|finding| !unnamed(finding)) {
        finding.at.path = origin.path(&finding.at.path);
        let is_known =
            |known: &Finding| known.at.path == finding.at.path && known.severity >= finding.severity;
        if !findings.iter().any(is_known) {
            findings.push(finding);
        }
    }
    findings.iter_mut().for_each(|finding| finding.side = side(door));
    xds::finding::sort(&mut findings);
    let is_refused = findings.iter().any(|finding| finding.severity == Severity::Error);
    match provided {
        Some(mut provided) if !is_refused => {
            provided.origin = origin;
            provided.warnings = findings;
            Ok(provided)
        }
        _ => Err(findings),
    }
}

fn side(door: Door) -> Side {
    match door {
        Door::Repository => Side::Repository,
        Door::Registry => Side::Registry,
    }
}

/// What the profile of a simplified DocumentReference says beyond that of any other one.
fn profile(resource: &Value, door: Door, at: &Place, findings: &mut Findings) {
    let mut refuse = |at: Place, text: &str| findings.push(Finding::error(Rule::MetadataInvalid, at, text));
    for (index, name) in items(resource, "identifier").iter().enumerate() {
        if element::purpose(name) == Purpose::EntryUuid {
            let text =
                "The entryUUID of a published document is given by the server; leave this identifier out.";
            refuse(at.member("identifier").item(index).of("entryUUID"), text);
        }
    }
    if text(resource, "status").is_some_and(|status| status != "current") {
        let text = "status (DocumentEntry.availabilityStatus) of a document that is published is current.";
        refuse(at.member("status").of("DocumentEntry.availabilityStatus"), text);
    }
    let attachment = iti65::attachment(resource);
    let attachment_at = at.member("content").item(0).member("attachment");
    match door {
        Door::Repository => {
            if attachment.get("url").is_some() {
                let text = "attachment.url is given by the server: the bytes of the document travel in attachment.data. A \
                            document that lies on another server is published at the registry.";
                refuse(attachment_at.member("url").of("DocumentEntry.URI"), text);
            }
            if attachment.is_object() && attachment.get("data").is_none() {
                let text =
                    "attachment.data is missing: Simplified Publish takes the document itself, in base64.";
                let place = attachment_at.member("data");
                findings.push(Finding::error(Rule::MissingDocument, place, text));
            }
        }
        Door::Registry => {
            if attachment.get("data").is_some() {
                let text = "The registry takes no bytes: publish the document at a repository, or name in attachment.url where \
                            it lies.";
                refuse(attachment_at.member("data"), text);
            }
        }
    }
    if resource.get("subject").is_none() {
        let text = "subject (DocumentEntry.patientId) is missing: a document is filed under its patient.";
        let place = at.member("subject").of("DocumentEntry.patientId");
        findings.push(Finding::error(Rule::MetadataRequired, place, text));
    }
}

/// The Bundle of ITI-65 that says the same as a DocumentReference. `bytes` is what holds the document, if that is sent along:
/// a Binary, or a FHIR document.
pub(crate) fn bundle(mut resource: Value, bytes: Option<Value>, source_id: &str) -> Value {
    let set = submission_set(&resource, source_id);
    if let Some(Value::Object(attachment)) = resource.pointer_mut("/content/0/attachment") {
        attachment.shift_remove("data");
        if bytes.is_some() {
            attachment.insert("url".to_owned(), BYTES.into());
        }
    }
    if let Some(members) = resource.as_object_mut() {
        members.shift_remove("id");
    }
    let post = |symbol: &str, kind: &str, resource: Value| json!({ "fullUrl": symbol, "resource": resource, "request": { "method": "POST", "url": kind } });
    let mut entries = vec![post(SET, "List", set), post(DOCUMENT, "DocumentReference", resource)];
    if let Some(bytes) = bytes {
        let kind = text(&bytes, "resourceType").unwrap_or("Binary").to_owned();
        entries.push(post(BYTES, &kind, bytes));
    }
    json!({
        "resourceType": "Bundle",
        "meta": { "profile": ["https://profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle"] },
        "type": "transaction",
        "entry": entries,
    })
}

/// The SubmissionSet a single document came with: it says what the document says.
fn submission_set(document: &Value, source_id: &str) -> Value {
    let mut extensions = vec![json!({
        "url": SOURCE_ID,
        "valueIdentifier": { "system": element::URI, "value": source_id },
    })];
    if let Some(kind) = document.get("type").filter(|kind| kind.is_object()) {
        extensions.push(json!({ "url": DESIGNATION_TYPE, "valueCodeableConcept": kind }));
    }
    let mut set = json!({
        "resourceType": "List",
        "extension": extensions,
        // Its value is given once it is known whose the document is.
        "identifier": [{
            "use": "usual",
            "type": { "coding": [{ "system": element::IDENTIFIER_TYPES, "code": "uniqueId" }] },
        }],
        "status": "current",
        "mode": "working",
        "code": { "coding": [{ "system": LIST_TYPES, "code": "submissionset" }] },
        "date": NO_TIME,
        "entry": [{ "item": { "reference": DOCUMENT } }],
    });
    element::put(&mut set, "subject", document.get("subject").cloned());
    element::put(&mut set, "title", text(iti65::attachment(document), "title"));
    let comments = text(document, "description").map(|text| json!([{ "text": text }]));
    element::put(&mut set, "note", comments);
    if let Some(author) = items(document, "author").first() {
        let contained = with_what_it_names(document, author);
        if !contained.is_empty() {
            element::put(&mut set, "contained", Some(contained));
        }
        element::put(&mut set, "source", Some(source(document, author)));
    }
    set
}

/// `List.source` cannot be an organization: one hangs on it as an extension.
fn source(document: &Value, author: &Value) -> Value {
    let reference = text(author, "reference").unwrap_or_default();
    let kind = element::contained(document, reference).and_then(|found| text(found, "resourceType"));
    let is_organization = kind == Some("Organization")
        || (kind.is_none()
            && (reference.starts_with("Organization/") || reference.contains("/Organization/")))
        || text(author, "type") == Some("Organization");
    if is_organization {
        return json!({ "extension": [{ "url": AUTHOR_ORGANIZATION, "valueReference": author }] });
    }
    author.clone()
}

/// The contained resources a reference leads to, those they lead to among them.
fn with_what_it_names(document: &Value, reference: &Value) -> Vec<Value> {
    let mut names: Vec<String> = Vec::new();
    let mut found: Vec<Value> = Vec::new();
    inner_references(reference, &mut names);
    while let Some(name) = names.pop() {
        let Some(resource) = element::contained(document, &name) else { continue };
        if !found.contains(resource) {
            found.push(resource.clone());
            inner_references(resource, &mut names);
        }
    }
    found
}

fn inner_references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                match value.as_str().filter(|text| name == "reference" && text.starts_with('#')) {
                    Some(reference) => names.push(reference.to_owned()),
                    None => inner_references(value, names),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| inner_references(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A path in the Bundle that was made, as one in the DocumentReference it was made of.
pub(crate) fn of_document_reference(path: &str) -> String {
    let Some((index, inside)) = path.strip_prefix("Bundle.entry[").and_then(|rest| rest.split_once(']'))
    else {
        return "DocumentReference".to_owned();
    };
    let inside = inside.strip_prefix(".resource").unwrap_or_default();
    match index {
        "1" => format!("DocumentReference{inside}"),
        "2" => format!("DocumentReference.content[0].attachment{inside}"),
        _ if inside.starts_with(".subject") => format!("DocumentReference{inside}"),
        _ => "DocumentReference".to_owned(),
    }
}
