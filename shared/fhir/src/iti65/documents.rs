//! Documents and their metadata belong together one to one, and what is declared of the bytes holds.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::Value;
use xds::{DocumentEntry, Finding, Findings, Hash, Place, Profile, Rule, Submission};

use super::members::is_relative_form;
use super::provided::{Measured, Role};
use super::request::{Door, Entry, Kind, attachment};
use crate::element::text;
use crate::negotiate::{self, Syntax};
use crate::xml;

/// Which bytes belong to which document: by index of the entry that holds them.
pub(super) struct Documents {
    /// What the submission is written in, and FHIR documents in it are kept in.
    syntax: Syntax,
    of_entry: HashMap<usize, String>,
}

impl Documents {
    /// What an entry is, now that it is known whose bytes it holds.
    pub(super) fn role(&self, entry: &Entry<'_>) -> Role {
        let document = || self.of_entry.get(&entry.index).cloned().unwrap_or_default();
        match entry.kind {
            Kind::SubmissionSet | Kind::Folder { .. } | Kind::Document => {
                Role::Object(entry.symbol.to_owned())
            }
            Kind::Binary => Role::Binary(document()),
            Kind::FhirDocument => {
                let json = entry.resource.to_string();
                let bytes = match self.syntax {
                    // What was read from XML can be written so.
                    Syntax::Xml => xml::write(json.as_bytes()).unwrap_or_else(|| json.into_bytes()),
                    Syntax::Json => json.into_bytes(),
                };
                Role::FhirDocument(document(), Bytes::from(bytes))
            }
            Kind::Patch => Role::Patch(entry.url.to_owned()),
            Kind::Patient => Role::Patient,
        }
    }
}

/// Finds the bytes of each document and compares them with what is declared.
pub(super) fn attach(
    entries: &[Entry<'_>],
    submission: &mut Submission,
    measured: &[Measured],
    (door, syntax): (Door, Syntax),
    findings: &mut Findings,
) -> Documents {
    let mut of_entry = HashMap::new();
    let profile = submission.profile;
    for document in &mut submission.documents {
        let Some(entry) = entries.iter().find(|entry| entry.symbol == document.symbol) else { continue };
        let at = entry.place().member("content").item(0).member("attachment");
        if text(attachment(entry.resource), "url").is_none() {
            continue;
        }
        let bytes = entries.iter().find(|bytes| holds_bytes(bytes) && is_at(bytes, &document.url));
        match (bytes, door) {
            (Some(bytes), Door::Repository) => {
                if of_entry.insert(bytes.index, document.symbol.clone()).is_some() {
                    let text = "Two documents name the same Binary; each document has its own.";
                    findings.push(Finding::error(
                        Rule::MetadataInvalid,
                        at.member("url").of("DocumentEntry.URI"),
                        text,
                    ));
                }
                let measure = measured.iter().find(|measure| measure.entry == bytes.index);
                compare(document, bytes, measure, syntax, &at, findings);
            }
            (Some(_), Door::Registry) => {}
            (None, Door::Repository) => elsewhere(&document.url, &at.member("url"), findings),
            (None, Door::Registry) => absolute(&document.url, &at.member("url"), findings),
        }
    }
    for entry in entries.iter().filter(|entry| holds_bytes(entry)) {
        unclaimed(entry, &of_entry, door, findings);
    }
    refuse_doubles(submission, measured, &of_entry, profile, findings);
    Documents { syntax, of_entry }
}

fn holds_bytes(entry: &Entry<'_>) -> bool {
    matches!(entry.kind, Kind::Binary | Kind::FhirDocument)
}

fn is_at(entry: &Entry<'_>, url: &str) -> bool {
    entry.symbol == url || is_relative_form(entry.symbol, url)
}

fn unclaimed(entry: &Entry<'_>, of_entry: &HashMap<usize, String>, door: Door, findings: &mut Findings) {
    if door == Door::Registry {
        let text = "The registry takes no bytes; provide the document at a repository.";
        findings.push(Finding::error(Rule::NotSupported, entry.place(), text));
    } else if !of_entry.contains_key(&entry.index) {
        let text = "No DocumentReference of this Bundle names this document in content.attachment.url.";
        findings.push(Finding::error(Rule::MissingDocumentMetadata, entry.place(), text));
    }
}

/// A document whose bytes did not come along: we never fetch any.
fn elsewhere(url: &str, at: &Place, findings: &mut Findings) {
    let place = at.clone().of("DocumentEntry.URI");
    let finding = if url.starts_with("http://") || url.starts_with("https://") {
        let text = "The document lies on another server and is not fetched; send its bytes in a Binary, or register it at \
                    the registry.";
        Finding::error(Rule::NotSupported, place, text)
    } else if url.starts_with("urn:") || !url.contains(':') {
        let text = "attachment.url names a document that is not in this Bundle.";
        Finding::error(Rule::MissingDocument, place, text)
    } else {
        let text = "attachment.url is the fullUrl of a Binary in this Bundle; no other scheme is taken.";
        Finding::error(Rule::NotSupported, place, text)
    };
    findings.push(finding);
}

/// Registered metadata says where the bytes are.
fn absolute(url: &str, at: &Place, findings: &mut Findings) {
    let sound =
        url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if !sound {
        let text = "attachment.url of a registration is absolute (https: or http:): where the document can be retrieved.";
        findings.push(Finding::error(Rule::MissingDocument, at.clone().of("DocumentEntry.URI"), text));
    }
}

fn compare(
    document: &mut DocumentEntry,
    bytes: &Entry<'_>,
    measured: Option<&Measured>,
    syntax: Syntax,
    at: &Place,
    findings: &mut Findings,
) {
    if bytes.kind == Kind::FhirDocument {
        return fhir_document(document, bytes, syntax, at, findings);
    }
    same_type(document, bytes.resource, at, findings);
    let delayed = document.size == Some(0) && document.hash == Some(Hash::EMPTY);
    let Some(measured) = measured.filter(|measured| measured.size > 0) else {
        let place = bytes.place().member("data");
        let text = if delayed {
            "The Binary has no bytes, and size and hash announce a document that is assembled when somebody asks for it; this \
             repository assembles none. Register it at the registry, with the URL where it is assembled."
        } else {
            "The Binary has no bytes; a document of zero bytes is not taken."
        };
        findings.push(Finding::error(Rule::MissingDocument, place, text));
        return;
    };
    verify(document, measured, at, findings);
}

pub(super) fn verify(document: &mut DocumentEntry, measured: &Measured, at: &Place, findings: &mut Findings) {
    if document.hash.is_some_and(|hash| hash.0 != measured.sha1) {
        let place = at.member("hash").of("DocumentEntry.hash");
        let came: String = measured.sha1.iter().map(|byte| format!("{byte:02x}")).collect();
        let text =
            format!("hash (DocumentEntry.hash) is not the SHA-1 of the bytes that came, which is {came}.");
        findings.push(Finding::error(Rule::ContentMismatch, place, text));
    }
    if let Some(size) = document.size.filter(|size| *size != measured.size) {
        let place = at.member("size").of("DocumentEntry.size");
        let text = format!("size (DocumentEntry.size) says {size} bytes; {} came.", measured.size);
        if document.hash.is_some_and(|hash| hash.0 == measured.sha1) {
            let text = format!("{text} The hash is right, so the size that was measured is kept.");
            findings.push(Finding::warning(Rule::ContentMismatch, place, text));
        } else {
            findings.push(Finding::error(Rule::ContentMismatch, place, text));
        }
    }
    document.size = Some(measured.size);
    document.hash = Some(Hash(measured.sha1));
    document.sha256 = Some(measured.sha256);
}

fn same_type(document: &DocumentEntry, binary: &Value, at: &Place, findings: &mut Findings) {
    let Some(given) = text(binary, "contentType") else { return };
    if !document.mime_type.is_empty() && essence(given) != essence(&document.mime_type) {
        let place = at.member("contentType").of("DocumentEntry.mimeType");
        let text = "attachment.contentType (DocumentEntry.mimeType) is not the contentType of its Binary.";
        findings.push(Finding::error(Rule::InvalidDocumentContent, place, text));
    }
}

/// A media type without parameters.
fn essence(media: &str) -> String {
    media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A FHIR document is written out by us, so nobody can know its hash before.
fn fhir_document(
    document: &mut DocumentEntry,
    bundle: &Entry<'_>,
    syntax: Syntax,
    at: &Place,
    findings: &mut Findings,
) {
    let composition = bundle.resource.pointer("/entry/0/resource/resourceType").and_then(Value::as_str);
    if text(bundle.resource, "type") != Some("document") || composition != Some("Composition") {
        let text = "A Bundle in a submission is a FHIR document: type document, a Composition first.";
        findings.push(Finding::error(Rule::InvalidDocumentContent, bundle.place(), text));
    }
    let (own, given) = (syntax.media_type(), negotiate::named(&essence(&document.mime_type)));
    let place = || at.member("contentType").of("DocumentEntry.mimeType");
    match given {
        Some(given) if given == syntax => {}
        // The bytes are what they are: an encoding chosen for the request by a tool below the source.
        Some(_) => {
            let text = format!(
                "The FHIR document is kept as it came: contentType (DocumentEntry.mimeType) is corrected to {own}."
            );
            findings.push(Finding::warning(Rule::InvalidDocumentContent, place(), text));
            document.mime_type = own.to_owned();
        }
        None => {
            let text = format!("A FHIR document in this submission has the contentType {own}.");
            findings.push(Finding::error(Rule::InvalidDocumentContent, place(), text));
        }
    }
    if document.hash.take().is_some() | document.size.take().is_some() {
        let text = "hash and size of a FHIR document are measured when it is written out; what was declared is left out.";
        findings.push(Finding::warning(Rule::ContentMismatch, at.clone(), text));
    }
}

/// The same uniqueId twice: one document, if a Minimal source sends the same bytes; otherwise refused.
fn refuse_doubles(
    submission: &Submission,
    measured: &[Measured],
    of_entry: &HashMap<usize, String>,
    profile: Profile,
    findings: &mut Findings,
) {
    let sum = |document: &DocumentEntry| {
        let here = of_entry.iter().find(|(_, symbol)| **symbol == document.symbol).map(|(entry, _)| *entry);
        let measured =
            measured.iter().find(|measured| Some(measured.entry) == here).map(|measured| measured.sha256);
        measured.or(document.sha256).map(|sum| sum.to_vec()).or(document.hash.map(|hash| hash.0.to_vec()))
    };
    let mut seen: HashMap<_, &DocumentEntry> = HashMap::new();
    for document in &submission.documents {
        let Some(first) = seen.insert(&document.unique_id, document) else { continue };
        if document.unique_id.value.is_empty() {
            continue;
        }
        let place = Place::at(submission.place(&document.symbol))
            .member("masterIdentifier")
            .of("DocumentEntry.uniqueId");
        let identical = sum(first).is_some_and(|sum_of_first| Some(sum_of_first) == sum(document));
        if profile == Profile::Minimal && identical {
            let text = "Another document of this Bundle has the same masterIdentifier and the same bytes.";
            findings.push(Finding::warning(Rule::DuplicateUniqueIdInMessage, place, text));
        } else {
            let text =
                "Another document of this Bundle has the same masterIdentifier (DocumentEntry.uniqueId).";
            findings.push(Finding::error(Rule::DuplicateUniqueIdInMessage, place, text));
        }
    }
}
