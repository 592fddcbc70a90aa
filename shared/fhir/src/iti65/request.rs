//! Reading a whole Bundle: its profile, what each entry is, and the objects with their relations.

use serde_json::Value;
use xds::{
    Finding, Findings, Identifier, Patient, Place, Profile, Rule, Severity, Side, Submission, finding,
};

use super::documents::attach;
use super::members::{self, Links};
use super::patch;
use super::provided::{Measured, Origin, Provided, Role};
use crate::attributes::Objects;
use crate::beyond;
use crate::document_reference;
use crate::element::{self, items, text};
use crate::list::{self, ListKind};
use crate::negotiate::Syntax;
use crate::schema;

/// At which door a Bundle came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The repository's: Binaries belong to it.
    Repository,
    /// The registry's: metadata of bytes that are elsewhere; `attachment.url` is absolute.
    Registry,
}

/// The three Bundle profiles, without scheme: sources write http: and https:.
pub(super) const PROFILES: &[(&str, Profile)] = &[
    ("profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Minimal.ProvideBundle", Profile::Minimal),
    (
        "profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.Comprehensive.ProvideBundle",
        Profile::Comprehensive,
    ),
    (
        "profiles.ihe.net/ITI/MHD/StructureDefinition/IHE.MHD.UnContained.Comprehensive.ProvideBundle",
        Profile::UnContained,
    ),
];

/// Reads a Bundle: checks its shape and its profile, verifies declared hash and size against the measured ones (Repository door).
/// Answers all problems.
pub fn read_request(bundle: Value, measured: &[Measured], door: Door) -> Result<Provided, Findings> {
    read_request_in(Syntax::Json, bundle, measured, door)
}

/// The same of a Bundle that came in this syntax: FHIR documents in it are kept in the same.
pub fn read_request_in(
    syntax: Syntax,
    bundle: Value,
    measured: &[Measured],
    door: Door,
) -> Result<Provided, Findings> {
    let mut bundle = bundle;
    let root = Place::at("Bundle");
    let mut findings = schema::check(&bundle, &root);
    if !findings.is_empty() {
        let mended = schema::mend(&mut bundle, &root);
        if !mended.is_empty() {
            findings = schema::check(&bundle, &root);
            findings.extend(mended);
        }
    }
    let objects = Objects::of(&bundle);
    let read = read(bundle, measured, door, syntax, &mut findings);
    objects.name(&mut findings);
    if door == Door::Repository {
        for finding in &mut findings {
            finding.side = Side::Repository;
        }
    }
    finding::sort(&mut findings);
    match read {
        Some(provided) if findings.iter().all(|finding| finding.severity != Severity::Error) => {
            Ok(Provided { warnings: findings, ..provided })
        }
        _ => Err(findings),
    }
}

/// Writes subjects that name a patient of ours in full (under one of these bases) as `Patient/[id]`: one patient is then
/// named in one way, also by an object that was read here and sent back beside new ones.
pub fn local_subjects(bundle: &mut Value, own: &[&str]) {
    let entries = bundle.get_mut("entry").and_then(Value::as_array_mut);
    for resource in entries.into_iter().flatten().filter_map(|entry| entry.get_mut("resource")) {
        local_subject(resource, own);
    }
}

/// The same, of one resource.
pub fn local_subject(resource: &mut Value, own: &[&str]) {
    let Some(Value::String(reference)) = resource.pointer_mut("/subject/reference") else { return };
    let below = |base: &&str| reference.strip_prefix(base.trim_end_matches('/'))?.strip_prefix('/');
    if let Some(local) = own.iter().filter(|base| !base.is_empty()).find_map(below)
        && local.starts_with("Patient/")
    {
        *reference = local.to_owned();
    }
}

/// What an entry is, before its references are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    SubmissionSet,
    Folder { update: bool },
    Document,
    Binary,
    FhirDocument,
    Patch,
    Patient,
}

/// An entry of known kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) index: usize,
    pub(super) kind: Kind,
    pub(super) symbol: &'a str,
    pub(super) resource: &'a Value,
    pub(super) url: &'a str,
}

impl Entry<'_> {
    pub(super) fn place(&self) -> Place {
        Place::at(format!("Bundle.entry[{}].resource", self.index))
    }
}

fn read(
    mut bundle: Value,
    measured: &[Measured],
    door: Door,
    syntax: Syntax,
    findings: &mut Findings,
) -> Option<Provided> {
    // What the shape check found is not said again in other words.
    let shape = findings.len();
    if text(&bundle, "resourceType") != Some("Bundle") {
        if shape == 0 {
            let text = "A Bundle of type transaction is expected here.";
            findings.push(Finding::error(Rule::Structure, Place::at("resourceType"), text));
        }
        return None;
    }
    if let Some(kind) = text(&bundle, "type").filter(|kind| *kind != "transaction") {
        let text = format!("Bundle.type is {kind}; documents are provided in a transaction.");
        findings.push(Finding::error(Rule::Value, Place::at("Bundle.type"), text));
    }
    let claimed = claimed_profile(&bundle, findings);
    let mut sent = match bundle.get_mut("entry").map(Value::take) {
        Some(Value::Array(sent)) => sent,
        _ => Vec::new(),
    };
    if door == Door::Repository {
        // What our actors tell each other, no source tells us.
        sent.iter_mut().filter_map(|entry| entry.get_mut("resource")).for_each(beyond::conceal);
    }
    let symbols: Vec<String> =
        sent.iter().enumerate().map(|(index, entry)| symbol_of(index, entry)).collect();
    name_looked_up_patients(&mut sent, &symbols);
    let (profile, claimed) = claimed?;
    let entries = classify(&sent, &symbols, findings);
    refuse_doubles(&entries, findings);
    let mut submission = objects(&entries, profile, findings)?;
    agree_on_patient(&mut submission, findings);
    let links = Links { entries: &entries };
    links.follow(&mut submission, findings);
    patch::check(&entries, &submission, findings);
    let documents = attach(&entries, &mut submission, measured, (door, syntax), findings);
    drop_repeated(findings, shape);
    if findings.iter().any(|finding| finding.severity == Severity::Error) || entries.len() != sent.len() {
        besides(findings, xds::rules::check(&submission));
        return None;
    }
    let roles = entries.iter().map(|entry| documents.role(entry)).collect::<Vec<Role>>();
    let patient = entries.iter().find(|entry| entry.kind == Kind::Patient && entry.resource.is_object());
    let patient = patient.map(|entry| (entry.symbol.to_owned(), entry.resource.clone()));
    let origin = Origin::Bundle;
    let (warnings, said_at) = (Vec::new(), Vec::new());
    Some(Provided { submission, roles, patient, warnings, origin, entries: sent, claimed, said_at })
}

/// Adds the rules of the framework that are broken besides, so that a source mends all at once; what follows from a finding
/// that is there is left out.
fn besides(findings: &mut Findings, broken: Findings) {
    let is_object = |path: &str| path.ends_with(".resource");
    let told: Vec<String> = findings.iter().map(|finding| finding.at.path.clone()).collect();
    let follows = |path: &str| {
        told.iter().any(|other| {
            path == other
                || (!other.is_empty() && path.starts_with(other.as_str()))
                || (!is_object(path) && other.starts_with(path))
        })
    };
    findings.extend(broken.into_iter().filter(|finding| !follows(&finding.at.path)));
}

/// Leaves out what follows from a fault of shape: findings at or below its place.
fn drop_repeated(findings: &mut Findings, shape: usize) {
    let shapes: Vec<String> = findings[..shape]
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.at.path.clone())
        .collect();
    let mut index = 0;
    findings.retain(|finding| {
        index += 1;
        index <= shape || !shapes.iter().any(|path| finding.at.path.starts_with(path.as_str()))
    });
}

fn claimed_profile(bundle: &Value, findings: &mut Findings) -> Option<(Profile, String)> {
    let claims = bundle.get("meta").map(|meta| items(meta, "profile")).unwrap_or_default();
    let mut known = claims.iter().filter_map(Value::as_str).filter_map(|claim| {
        let bare = claim.strip_prefix("https://").or_else(|| claim.strip_prefix("http://"))?;
        let bare = bare.split('|').next()?;
        PROFILES.iter().find(|(name, _)| *name == bare).map(|(_, profile)| (*profile, claim.to_owned()))
    });
    // A source that claims several is held to the first.
    if let Some(found) = known.next() {
        return Some(found);
    }
    let accepted: Vec<String> = PROFILES.iter().map(|(name, _)| format!("https://{name}")).collect();
    let text = format!(
        "Bundle.meta.profile names no profile that is known here; accepted are {}.",
        accepted.join(", ")
    );
    findings.push(Finding::error(Rule::UnknownProfile, Place::at("Bundle.meta.profile"), text));
    None
}

/// A Patient that is only looked up (GET) is the one its `request.url` names: whoever refers to the entry, refers to it.
fn name_looked_up_patients(sent: &mut [Value], symbols: &[String]) {
    let looked_up: Vec<(String, String)> = sent
        .iter()
        .zip(symbols)
        .filter_map(|(entry, symbol)| {
            let request = entry.get("request")?;
            let url = text(request, "url").filter(|_| text(request, "method") == Some("GET"))?;
            names_a_patient(url).then(|| (symbol.clone(), url.to_owned()))
        })
        .collect();
    if looked_up.is_empty() {
        return;
    }
    for entry in sent {
        if let Some(Value::String(reference)) = entry.pointer_mut("/resource/subject/reference")
            && let Some((_, url)) = looked_up.iter().find(|(symbol, _)| symbol == reference)
        {
            reference.clone_from(url);
        }
    }
}

/// Whether a URL is that of one Patient: by id, or by an identifier.
fn names_a_patient(url: &str) -> bool {
    let bare = url.rsplit_once("Patient").map(|(base, rest)| (base.is_empty() || base.ends_with('/'), rest));
    bare.is_some_and(|(is_type, rest)| {
        is_type && (rest.len() > 1 && rest.starts_with('/') || rest.starts_with("?identifier="))
    })
}

/// The fullUrl; an entry without one gets a name of its own, so that nothing refers to it.
fn symbol_of(index: usize, entry: &Value) -> String {
    text(entry, "fullUrl").map_or_else(|| format!("#entry{index}"), str::to_owned)
}

fn classify<'a>(sent: &'a [Value], symbols: &'a [String], findings: &mut Findings) -> Vec<Entry<'a>> {
    let mut entries = Vec::with_capacity(sent.len());
    for (index, (entry, symbol)) in sent.iter().zip(symbols).enumerate() {
        let request = entry.get("request").unwrap_or(&Value::Null);
        let (method, url) = (text(request, "method"), text(request, "url").unwrap_or_default());
        let resource = entry.get("resource").unwrap_or(&Value::Null);
        match kind_of(resource, method, request) {
            Ok(kind) => {
                let entry = Entry { index, kind, symbol, resource, url };
                check_url(&entry, method, findings);
                entries.push(entry);
            }
            Err((rule, member, text)) => {
                let place = Place::at(format!("Bundle.entry[{index}].{member}"));
                findings.push(Finding::error(rule, place, text));
            }
        }
    }
    entries
}

type Unfit = (Rule, &'static str, String);

/// What an entry is; a Bundle of ITI-65 is closed, so anything else is refused.
fn kind_of(resource: &Value, method: Option<&str>, request: &Value) -> Result<Kind, Unfit> {
    let Some(method) = method else {
        return Err((Rule::Required, "request.method", "The entry names no request.method.".to_owned()));
    };
    if method == "DELETE" {
        let text = "A transaction of ITI-65 deletes nothing.";
        return Err((Rule::BusinessRule, "request.method", text.to_owned()));
    }
    let Some(kind) = text(resource, "resourceType") else {
        let url = text(request, "url").unwrap_or_default();
        if method == "GET" && names_a_patient(url) {
            return Ok(Kind::Patient);
        }
        return Err((Rule::Required, "resource", "The entry has no resource.".to_owned()));
    };
    for condition in ["ifNoneExist", "ifMatch", "ifNoneMatch", "ifModifiedSince"] {
        if request.get(condition).is_some() && kind != "Patient" {
            let text = format!(
                "request.{condition} is not supported in ITI-65. A submission that is sent again is recognised by the uniqueId \
                 of its SubmissionSet, or by an Idempotency-Key."
            );
            return Err((Rule::NotSupported, "request", text));
        }
    }
    let found = match (kind, method) {
        ("List", "POST" | "PUT") => match (list::kind(resource), method) {
            (Some(ListKind::SubmissionSet), "POST") => Kind::SubmissionSet,
            (Some(ListKind::Folder), _) => Kind::Folder { update: method == "PUT" },
            (Some(ListKind::SubmissionSet), _) => {
                let text = "A submission set is created by POST; it is never changed.";
                return Err((Rule::BusinessRule, "request.method", text.to_owned()));
            }
            (None, _) => {
                let text = format!("List.code is submissionset or folder, of {}.", list::LIST_TYPES);
                return Err((Rule::CodeInvalid, "resource.code", text));
            }
        },
        ("DocumentReference", "POST") => Kind::Document,
        ("Binary", "POST") => Kind::Binary,
        ("Bundle", "POST") => Kind::FhirDocument,
        ("Parameters", "PATCH") => Kind::Patch,
        ("Patient", "GET" | "POST" | "PUT") => Kind::Patient,
        ("Binary", "PATCH") => {
            let text = "The patch of ITI-65 is a Parameters resource (FHIRPath Patch) that replaces DocumentReference.status by \
                        superseded; a JSON Patch in a Binary is not taken.";
            return Err((Rule::NotSupported, "request", text.to_owned()));
        }
        _ => {
            let text = format!("{method} of a {kind} has no place in a transaction of ITI-65.");
            return Err((Rule::BusinessRule, "request", text));
        }
    };
    Ok(found)
}

/// The url of a POST is the type; some sources repeat the fullUrl there.
fn check_url(entry: &Entry<'_>, method: Option<&str>, findings: &mut Findings) {
    let kind = text(entry.resource, "resourceType").unwrap_or_default();
    if method == Some("POST") && entry.url != kind && entry.url != entry.symbol && entry.kind != Kind::Patient
    {
        let place = Place::at(format!("Bundle.entry[{}].request.url", entry.index));
        let text = format!("request.url of a POST is the type, {kind}; the server gives the id.");
        findings.push(Finding::error(Rule::Value, place, text));
    }
}

fn refuse_doubles(entries: &[Entry<'_>], findings: &mut Findings) {
    let mut seen = std::collections::HashMap::new();
    for entry in entries {
        if let Some(first) = seen.insert(entry.symbol, entry.index) {
            let place = Place::at(format!("Bundle.entry[{}].fullUrl", entry.index));
            let text = format!("Bundle.entry[{first}] has the same fullUrl; each entry has its own.");
            findings.push(Finding::error(Rule::DuplicateFullUrl, place, text));
        }
    }
    let patients: Vec<&Entry<'_>> = entries.iter().filter(|entry| entry.kind == Kind::Patient).collect();
    for entry in patients.iter().skip(1) {
        findings.push(Finding::error(
            Rule::Invariant,
            entry.place(),
            "A submission is about one Patient; this is a second one.",
        ));
    }
}

/// Reads the submission set, the documents and the folders.
fn objects(entries: &[Entry<'_>], profile: Profile, findings: &mut Findings) -> Option<Submission> {
    let mut sets = Vec::new();
    let (mut documents, mut folders, mut places) = (Vec::new(), Vec::new(), Vec::new());
    for entry in entries {
        let at = entry.place();
        let symbol = entry.symbol;
        match entry.kind {
            Kind::SubmissionSet => {
                sets.push(list::submission_set_into(entry.resource, symbol, profile, &at, findings));
                if sets.len() > 1 {
                    let text = "A Bundle holds one SubmissionSet; this is a second one.";
                    findings.push(Finding::error(Rule::Invariant, at.clone(), text));
                }
            }
            Kind::Folder { update } => {
                let mut folder = list::folder_into(entry.resource, symbol, update, profile, &at, findings);
                if update {
                    members::name_folder(entry, &mut folder, findings);
                }
                folders.push(folder);
            }
            Kind::Document => {
                let read = document_reference::read_into(entry.resource, symbol, profile, &at, findings);
                if read.availability == xds::Availability::Deprecated {
                    let text = "A document that is submitted is current; it becomes superseded when another one replaces it.";
                    let place = at.member("status").of("DocumentEntry.availabilityStatus");
                    findings.push(Finding::warning(Rule::NotSupported, place, text));
                }
                documents.push(read);
            }
            Kind::Binary | Kind::FhirDocument | Kind::Patch | Kind::Patient => continue,
        }
        places.push((symbol.to_owned(), at.path));
    }
    let mut sets = sets.into_iter();
    let Some(submission_set) = sets.next() else {
        let text = "The Bundle holds no SubmissionSet: a List with the code submissionset, created by POST.";
        findings.push(Finding::error(Rule::Required, Place::at("Bundle.entry"), text));
        return None;
    };
    Some(Submission { profile, submission_set, documents, folders, associations: Vec::new(), places })
}

/// All objects are about one patient, and say so in the same way; one that says nothing follows the others.
fn agree_on_patient(submission: &mut Submission, findings: &mut Findings) {
    let Submission { submission_set, documents, folders, places, .. } = submission;
    let mut named: Vec<(&str, &mut Patient)> =
        vec![(submission_set.symbol.as_str(), &mut submission_set.patient)];
    named.extend(documents.iter_mut().map(|document| (document.symbol.as_str(), &mut document.patient)));
    named.extend(folders.iter_mut().map(|folder| (folder.symbol.as_str(), &mut folder.patient)));
    let first = named.iter().map(|(_, patient)| &**patient).find(|patient| is_named(patient)).cloned();
    let Some(first) = first else {
        let path =
            places.iter().find(|(symbol, _)| *symbol == submission_set.symbol).map(|(_, path)| path.clone());
        let place = Place::at(path.unwrap_or_default()).member("subject").of("SubmissionSet.patientId");
        let already = findings.iter().any(|finding| finding.at.path == place.path);
        if !already {
            let text = "subject (SubmissionSet.patientId) is missing; this registry files every document under its patient.";
            findings.push(Finding::error(Rule::MetadataRequired, place, text));
        }
        return;
    };
    for (symbol, patient) in named {
        if !is_named(patient) {
            *patient = first.clone();
        } else if !same(&first, patient) {
            let path = places.iter().find(|(s, _)| s == symbol).map_or("Bundle", |(_, path)| path.as_str());
            let place = Place::at(path).member("subject").of("patientId");
            let text = "subject (patientId) is not the patient of the other objects; all of a submission are about one \
                        patient, and name it in the same way.";
            findings.push(Finding::error(Rule::PatientIdDoesNotMatch, place, text));
        }
    }
}

fn is_named(patient: &Patient) -> bool {
    patient.reference.is_some() || patient.identifier.is_some()
}

fn same(one: &Patient, other: &Patient) -> bool {
    let identifiers = |a: &Identifier, b: &Identifier| a == b;
    match (&one.reference, &other.reference) {
        (Some(a), Some(b)) => {
            unversioned(a) == unversioned(b)
                && one
                    .identifier
                    .as_ref()
                    .zip(other.identifier.as_ref())
                    .is_none_or(|(a, b)| identifiers(a, b))
        }
        _ => one.identifier.as_ref().zip(other.identifier.as_ref()).is_some_and(|(a, b)| identifiers(a, b)),
    }
}

fn unversioned(reference: &str) -> &str {
    reference.split("/_history/").next().unwrap_or(reference)
}

/// The attachment of a document.
pub(crate) fn attachment(resource: &Value) -> &Value {
    element::items(resource, "content")
        .first()
        .and_then(|content| content.get("attachment"))
        .unwrap_or(&Value::Null)
}
