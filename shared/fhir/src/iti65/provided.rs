//! A submission as it was read, and what the repository adds to it before it is registered.

use std::collections::HashMap;

use bytes::Bytes;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use xds::affinity::{Coded, Given};
use xds::{Finding, Hash, Identifier, Patient, Submission};

use crate::beyond::{self, HOME_COMMUNITY};
use crate::coded;
use crate::document_reference::{set_attachment, set_name, set_repository, zoned};
use crate::element::{Purpose, put, set_subject, unique_id_identifier};
use crate::when;

/// A document of a submission as it was measured while it came in.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Index of its entry in the Bundle.
    pub entry: usize,
    /// Bytes.
    pub size: u64,
    /// SHA-1.
    pub sha1: [u8; 20],
    /// SHA-256.
    pub sha256: [u8; 32],
}

/// What an entry of the Bundle is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// The submission set, a document or a folder, by symbol.
    Object(String),
    /// The bytes of a document: the symbol of the document entry they belong to.
    Binary(String),
    /// A FHIR document (Bundle): the symbol of the document entry it belongs to, and its bytes.
    FhirDocument(String, Bytes),
    /// The status change that accompanies a replace: the reference it patches.
    Patch(String),
    /// The Patient resource sent along.
    Patient,
}

/// What a source sent, of which the Bundle was read or made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The Bundle itself [ITI-65].
    Bundle,
    /// A DocumentReference with its bytes, or naming them [ITI-105].
    DocumentReference,
    /// A document, of which everything was taken [ITI-106].
    Document,
    /// A request of XDS.b [ITI-41, ITI-42, ITI-61].
    Ebxml,
}

impl Origin {
    /// Whether the source said what the SubmissionSet is, or that was made here.
    fn has_set(self) -> bool {
        match self {
            Origin::Bundle | Origin::Ebxml => true,
            Origin::DocumentReference | Origin::Document => false,
        }
    }

    /// A path in the Bundle, as one in what the source sent.
    pub fn path(self, path: &str) -> String {
        match self {
            Origin::Bundle | Origin::Ebxml => path.to_owned(),
            Origin::DocumentReference => crate::iti105::of_document_reference(path),
            Origin::Document => "Parameters.parameter.where(name='document').resource".to_owned(),
        }
    }
}

/// A Bundle read whole.
#[derive(Debug, Clone)]
pub struct Provided {
    /// The submission.
    pub submission: Submission,
    /// What each entry of the Bundle is, in order.
    pub roles: Vec<Role>,
    /// The Patient resource sent along, with its fullUrl.
    pub patient: Option<(String, Value)>,
    /// Reservations.
    pub warnings: Vec<Finding>,
    /// What the source sent.
    pub origin: Origin,
    /// `Bundle.entry`.
    pub(super) entries: Vec<Value>,
    /// The profile the Bundle claimed.
    pub(super) claimed: String,
    /// Of what came in another language: where each part of the Bundle was said, by path; the longest one counts.
    pub(super) said_at: Vec<(String, String)>,
}

impl Provided {
    /// The rules of the framework, judged for what the source sent: paths are those of its request.
    pub fn check(&self) -> Vec<Finding> {
        let mut findings = xds::rules::check(&self.submission);
        if !self.origin.has_set() {
            // A set that was made is named once it is known whose the document is.
            findings.retain(|finding| finding.at.attribute != Some("SubmissionSet.uniqueId"));
        }
        findings.iter_mut().for_each(|finding| finding.at.path = self.path(&finding.at.path));
        findings
    }

    /// A path in the Bundle, or at an object of the submission, as one in what the source sent.
    pub fn path(&self, path: &str) -> String {
        if self.origin != Origin::Ebxml {
            return self.origin.path(path);
        }
        let below = |place: &str| {
            path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '/']))
        };
        let said_at = self.said_at.iter().filter(|(part, said)| below(part) || below(said));
        let closest = said_at.max_by_key(|(part, said)| if below(part) { part.len() } else { said.len() });
        match closest {
            Some((_, said)) => said.clone(),
            None if path.starts_with("Bundle") => String::new(),
            None => path.to_owned(),
        }
    }

    /// The coded values of the submission, each with its place in the Bundle; of a set that was made here, none.
    pub fn coded(&self) -> Vec<Given> {
        let mut given = coded::of_entries(&self.entries);
        given.retain(|value| self.origin.has_set() || value.attribute != Coded::ContentTypeCode);
        given
    }

    /// How the source named the patient.
    pub fn patient(&self) -> &Patient {
        &self.submission.submission_set.patient
    }

    /// Says who the patient is: sets id and reference in every object (domain and carried), keeping a logical identifier.
    pub fn set_patient(&mut self, id: &str, reference: &str, identifier: Option<&Identifier>) {
        let submission = &mut self.submission;
        let patients = std::iter::once(&mut submission.submission_set.patient)
            .chain(submission.documents.iter_mut().map(|document| &mut document.patient))
            .chain(submission.folders.iter_mut().map(|folder| &mut folder.patient));
        for patient in patients {
            patient.id = Some(id.to_owned());
            patient.reference = Some(reference.to_owned());
            if let Some(identifier) = identifier {
                patient.identifier = Some(identifier.clone());
            }
        }
        let patient = self.submission.submission_set.patient.clone();
        for (entry, role) in self.entries.iter_mut().zip(&self.roles) {
            if let (Role::Object(_), Some(resource)) = (role, resource(entry)) {
                set_subject(resource, &patient);
            }
        }
    }

    /// Reads the times that name no zone in this one. What was sent stays as it was written.
    pub fn set_zone(&mut self, zone: &TimeZone) {
        self.submission.documents.iter_mut().for_each(|document| zoned(document, zone));
        when::zoned(&mut self.submission.submission_set.submission_time, zone);
    }

    /// Says which community holds the objects, in whatever is given back of them; one that says so itself is left as it is.
    pub fn set_home_community(&mut self, oid: &str) {
        let submission = &mut self.submission;
        let set = &mut submission.submission_set;
        let documents = submission.documents.iter_mut().map(|d| (&mut d.home, &mut d.carried));
        let folders = submission.folders.iter_mut().map(|f| (&mut f.home, &mut f.carried));
        for (home, carried) in
            std::iter::once((&mut set.home, &mut set.carried)).chain(documents).chain(folders)
        {
            if home.is_some() {
                continue;
            }
            *home = Some(oid.to_owned());
            let Some(carried) = carried.fhir.as_mut() else { continue };
            let Ok(mut resource) = serde_json::from_str(carried) else { continue };
            beyond::add_extension(&mut resource, json!({ "url": HOME_COMMUNITY, "valueOid": oid }));
            *carried = Value::Object(resource).to_string();
        }
    }

    /// Says where the bytes of a document are and what they measure (domain and carried).
    pub fn set_document(&mut self, symbol: &str, url: &str, size: u64, sha1: [u8; 20], sha256: [u8; 32]) {
        let mut mime_type = None;
        if let Some(document) =
            self.submission.documents.iter_mut().find(|document| document.symbol == symbol)
        {
            document.url = url.to_owned();
            document.size = Some(size);
            document.hash = Some(Hash(sha1));
            document.sha256 = Some(sha256);
            mime_type = Some(document.mime_type.clone());
        }
        let entry = self.entry_of(symbol);
        let attachment = entry.and_then(|entry| entry.pointer_mut("/resource/content/0/attachment"));
        if let Some(attachment) = attachment {
            set_attachment(attachment, url, size, Hash(sha1), Some(sha256));
            put(attachment, "contentType", mime_type);
        }
    }

    /// Says which repository has the documents (repositoryUniqueId, an OID without prefix), whatever the source said.
    pub fn set_repository(&mut self, repository_unique_id: &str) {
        for document in &mut self.submission.documents {
            document.repository_unique_id = Some(repository_unique_id.to_owned());
        }
        for entry in &mut self.entries {
            if let Some(attachment) = entry.pointer_mut("/resource/content/0/attachment") {
                set_repository(attachment, repository_unique_id);
            }
        }
    }

    /// Gives the submission set the uniqueId its source left out (domain and carried).
    pub fn set_unique_id(&mut self, name: &Identifier) {
        self.submission.submission_set.unique_id = Some(name.clone());
        let symbol = self.submission.submission_set.symbol.clone();
        if let Some(resource) = self.entry_of(&symbol).and_then(resource) {
            set_name(resource, unique_id_identifier(name), Purpose::UniqueId);
        }
    }

    /// SHA-256 of the canonical submission: symbolic ids replaced by what they stand for, order of entries and members
    /// without meaning, each document as SHA-256 and size (reliability 2). To be taken before `set_document`, after
    /// `set_patient`.
    pub fn digest(&self, measured: &[Measured]) -> [u8; 32] {
        super::digest::of(self, measured)
    }

    /// The document whose bytes the entry with this index holds, by symbol.
    pub fn document_of(&self, entry: usize) -> Option<String> {
        match self.roles.get(entry)? {
            Role::Binary(symbol) | Role::FhirDocument(symbol, _) => Some(symbol.clone()),
            Role::Object(_) | Role::Patch(_) | Role::Patient => None,
        }
    }

    /// Takes a path of the registration back to the Bundle the source sent: `Bundle.entry[n]` counts its entries.
    pub fn original_path(&self, path: &str) -> String {
        let moved = path.strip_prefix("Bundle.entry[").and_then(|rest| {
            let (index, rest) = rest.split_once(']')?;
            let index: usize = index.parse().ok()?;
            let (original, _) =
                self.roles.iter().enumerate().filter(|(_, role)| is_registered(role)).nth(index)?;
            Some(format!("Bundle.entry[{original}]{rest}"))
        });
        self.path(&moved.unwrap_or_else(|| path.to_owned()))
    }

    /// Says when a submission was made whose source said no time: it sent a document, and the rest was made here.
    pub fn set_submission_time(&mut self, now: i64) {
        if self.origin.has_set() {
            return;
        }
        let time = when::instant(now);
        if let Some(read) = when::timestamp(&time) {
            self.submission.submission_set.submission_time = read;
        }
        let symbol = self.submission.submission_set.symbol.clone();
        if let Some(set) = self.entry_of(&symbol).and_then(resource) {
            set.insert("date".to_owned(), time.into());
            let set = Value::Object(set.clone()).to_string();
            self.submission.submission_set.carried.fhir = Some(set);
        }
    }

    fn entry_of(&mut self, symbol: &str) -> Option<&mut Value> {
        let index = self.roles.iter().position(|role| matches!(role, Role::Object(s) if s == symbol))?;
        self.entries.get_mut(index)
    }
}

fn resource(entry: &mut Value) -> Option<&mut serde_json::Map<String, Value>> {
    entry.get_mut("resource")?.as_object_mut()
}

/// Writes the registration of a submission for the registry: the Bundle without its bytes. SHA-256 travels in an extension.
/// It holds the entries of the submission set, the documents, the folders and the patches, in the order of the source's
/// Bundle.
pub fn write_registration(provided: &Provided) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 << 10);
    out.extend_from_slice(br#"{"resourceType":"Bundle","meta":{"profile":"#);
    out.extend_from_slice(json!([provided.claimed]).to_string().as_bytes());
    out.extend_from_slice(br#"},"type":"transaction","entry":["#);
    let objects = provided.entries.iter().zip(&provided.roles).filter(|(_, role)| is_registered(role));
    for (count, (entry, _)) in objects.enumerate() {
        if count > 0 {
            out.push(b',');
        }
        serde_json::to_writer(&mut out, entry).expect("a value of text-keyed members is written to memory");
    }
    out.extend_from_slice(b"]}");
    out
}

/// Whether an entry goes on to the registry: bytes stay at the repository, the patient is the identity source's.
fn is_registered(role: &Role) -> bool {
    match role {
        Role::Object(_) | Role::Patch(_) => true,
        Role::Binary(_) | Role::FhirDocument(..) | Role::Patient => false,
    }
}

/// Replaces symbols (fullUrls) by the references they became, wherever a resource holds one as a whole string: in
/// `carried`, once ids are assigned.
pub fn resolve<S: AsRef<str>>(resource: &str, references: &[(S, S)]) -> String {
    // Most resources hold none beyond those that are rewritten anyway.
    let known: HashMap<&str, &str> =
        references.iter().map(|(symbol, to)| (symbol.as_ref(), to.as_ref())).collect();
    if !known.keys().any(|symbol| resource.contains(symbol)) {
        return resource.to_owned();
    }
    match serde_json::from_str::<Value>(resource) {
        Ok(mut value) => {
            replace(&mut value, &known);
            value.to_string()
        }
        Err(_) => resource.to_owned(),
    }
}

fn replace(value: &mut Value, known: &HashMap<&str, &str>) {
    match value {
        Value::String(text) => {
            if let Some(to) = known.get(text.as_str()) {
                *text = (*to).to_owned();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| replace(item, known)),
        Value::Object(members) => members.values_mut().for_each(|member| replace(member, known)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
