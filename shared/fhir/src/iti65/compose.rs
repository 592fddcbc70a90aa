//! A submission that came by XDS.b, in the form of a Bundle: what every step behind the door works on.
//!
//! Each object becomes the entry it would have been in ITI-65, under a fullUrl made of its id in the request. What only XDS can
//! say goes with it (`crate::beyond`), so that the registry, which reads the Bundle, knows the same submission.

use std::collections::HashSet;

use serde_json::{Map, Value, json};
use uuid::Uuid;
use xds::hl7;
use xds::{
    Association, AssociationType, EntryKind, Finding, Findings, ObjectRef, Place, Rule, Side, Submission,
};

use super::documents::verify;
use super::provided::{Measured, Origin, Provided, Role};
use super::request::{Door, PROFILES};
use crate::beyond::association_place;
use crate::document_reference;
use crate::element::{identifier_value, put, set_subject};
use crate::list;

/// The fullUrl of the object that has this id in a request of XDS.b: the same id, the same fullUrl.
fn full_url(id: &str) -> String {
    format!("urn:uuid:{}", Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("ebRIM {id}").as_bytes()).hyphenated())
}

/// The fullUrl of the bytes of a document.
fn bytes_url(symbol: &str) -> String {
    full_url(&format!("bytes of {symbol}"))
}

impl Provided {
    /// The form of a submission that came by XDS.b. At the door of a repository each stable document has an entry for its
    /// bytes, which the caller measures ([`Provided::bytes_of`], [`Provided::verify`]). Symbols become the fullUrls of the
    /// Bundle; paths stay those of the request.
    pub fn of(mut submission: Submission, door: Door) -> Provided {
        hl7::fill(&mut submission);
        rename(&mut submission);
        agree_on_patient(&mut submission);
        if door == Door::Repository {
            for document in
                submission.documents.iter_mut().filter(|document| document.kind == EntryKind::Stable)
            {
                document.url = bytes_url(&document.symbol);
            }
        }
        let mut composer = Composer::default();
        composer.entries(&mut submission, door);
        let Composer { entries, roles, said_at } = composer;
        let claimed = PROFILES.iter().find(|(_, profile)| *profile == submission.profile);
        let claimed = claimed.map(|(url, _)| format!("https://{url}")).unwrap_or_default();
        let (warnings, origin) = (Vec::new(), Origin::Ebxml);
        Provided { submission, roles, patient: None, warnings, origin, entries, claimed, said_at }
    }

    /// The entry that stands for the bytes of the document with this id in the request.
    pub fn bytes_of(&self, id: &str) -> Option<usize> {
        let symbol = full_url(id);
        self.roles.iter().position(|role| matches!(role, Role::Binary(of) if *of == symbol))
    }

    /// Compares what is declared of each document with what came, and keeps what was measured. Bytes that belong to no
    /// document are the caller's to refuse.
    pub fn verify(&mut self, measured: &[Measured]) -> Findings {
        let mut findings = Findings::new();
        let bytes = self.roles.iter().enumerate().filter_map(|(index, role)| match role {
            Role::Binary(symbol) => Some((index, symbol)),
            _ => None,
        });
        for (index, symbol) in bytes {
            let place = Place::at(self.submission.place(symbol));
            let documents = &mut self.submission.documents;
            let Some(document) = documents.iter_mut().find(|document| document.symbol == *symbol) else {
                continue;
            };
            match measured.iter().find(|measured| measured.entry == index) {
                Some(measured) if measured.size > 0 => verify(document, measured, &place, &mut findings),
                Some(_) => {
                    let text = "The document has no bytes; a document of zero bytes is not taken.";
                    findings.push(Finding::error(Rule::MissingDocument, place, text));
                }
                None => {
                    let text = "The bytes of this ExtrinsicObject did not come: no Document of the request has its id, or the \
                                part of the message that its Document names (xop:Include, cid:…) is missing.";
                    findings.push(Finding::error(Rule::MissingDocument, place, text));
                }
            }
        }
        for finding in &mut findings {
            finding.at.path = self.path(&finding.at.path);
            finding.side = Side::Repository;
            // Whoever declares a size in XDS is held to it (ITI TF-2 3.41.4.1.3).
            if finding.rule == Rule::ContentMismatch {
                finding.severity = xds::Severity::Error;
            }
        }
        findings
    }
}

/// Gives every object the fullUrl of its entry for a symbol: an id in XDS may be any word, also one that stands elsewhere.
fn rename(submission: &mut Submission) {
    let renamed = |symbol: &mut String| *symbol = full_url(symbol);
    let known: HashSet<String> = symbols(submission).map(str::to_owned).collect();
    renamed(&mut submission.submission_set.symbol);
    submission.documents.iter_mut().for_each(|document| renamed(&mut document.symbol));
    submission.folders.iter_mut().for_each(|folder| renamed(&mut folder.symbol));
    submission.places.iter_mut().for_each(|(symbol, _)| renamed(symbol));
    for association in &mut submission.associations {
        if !association.symbol.is_empty() {
            renamed(&mut association.symbol);
        }
        for end in [&mut association.source, &mut association.target] {
            // What names nothing here keeps its name: a refusal says it.
            if let ObjectRef::Symbol(symbol) = end
                && known.contains(symbol)
            {
                renamed(symbol);
            }
        }
    }
}

fn symbols(submission: &Submission) -> impl Iterator<Item = &str> {
    let documents = submission.documents.iter().map(|document| &document.symbol);
    let folders = submission.folders.iter().map(|folder| &folder.symbol);
    let associations = submission.associations.iter().map(|association| &association.symbol);
    let all = documents.chain(folders).chain(associations).chain([&submission.submission_set.symbol]);
    all.map(String::as_str).filter(|symbol| !symbol.is_empty())
}

/// An object that names no patient is about the one that the others are about.
fn agree_on_patient(submission: &mut Submission) {
    let Submission { submission_set, documents, folders, .. } = submission;
    let mut patients: Vec<_> = vec![&mut submission_set.patient];
    patients.extend(documents.iter_mut().map(|document| &mut document.patient));
    patients.extend(folders.iter_mut().map(|folder| &mut folder.patient));
    let Some(first) = patients.iter().find(|patient| patient.is_named()).map(|patient| (**patient).clone())
    else {
        return;
    };
    patients.into_iter().filter(|patient| !patient.is_named()).for_each(|patient| *patient = first.clone());
}

/// The Bundle while it is made.
#[derive(Default)]
struct Composer {
    entries: Vec<Value>,
    roles: Vec<Role>,
    said_at: Vec<(String, String)>,
}

impl Composer {
    fn entries(&mut self, submission: &mut Submission, door: Door) {
        let Submission { submission_set, documents, folders, associations, places, .. } = submission;
        let is_object = |symbol: &str| {
            documents.iter().any(|d| d.symbol == symbol) || folders.iter().any(|f| f.symbol == symbol)
        };
        let is_document = |symbol: &str| documents.iter().any(|d| d.symbol == symbol);
        let said = Spoken::sort(associations, is_object, is_document);

        let beyond: Vec<Association> = said.beyond.iter().map(|index| associations[*index].clone()).collect();
        let mut set = list::compose_set(submission_set, &beyond);
        if let Some(uuid) = &submission_set.entry_uuid {
            document_reference::set_entry_uuid(&mut set, crate::element::entry_uuid_identifier(uuid));
        }
        let set_at = self.place();
        for (number, index) in said.beyond.iter().enumerate() {
            self.said_at.push((association_place(&set_at, number), associations[*index].at.clone()));
        }
        self.members(&mut set, &submission_set.symbol, &said, associations);
        set_subject(&mut set, &submission_set.patient);
        self.object(&submission_set.symbol, "List", set, places);
        submission_set.carried.fhir = self.carried();

        for document in documents.iter_mut() {
            let mut resource = document_reference::compose(document);
            let at = self.place();
            let mut relations = Vec::new();
            for index in said.of(&document.symbol, associations) {
                for code in codes(associations[index].kind) {
                    self.said_at.push((
                        at.member("relatesTo").item(relations.len()).path,
                        associations[index].at.clone(),
                    ));
                    let target = reference(&associations[index].target, "DocumentReference");
                    relations.push(json!({ "code": code, "target": target }));
                }
            }
            if !relations.is_empty() {
                resource.insert("relatesTo".to_owned(), relations.into());
            }
            set_subject(&mut resource, &document.patient);
            self.object(&document.symbol, "DocumentReference", resource, places);
            document.carried.fhir = self.carried();
        }
        for folder in folders.iter_mut() {
            let mut resource = list::compose_folder(folder);
            if let Some(uuid) = &folder.entry_uuid {
                document_reference::set_entry_uuid(
                    &mut resource,
                    crate::element::entry_uuid_identifier(uuid),
                );
            }
            self.members(&mut resource, &folder.symbol, &said, associations);
            set_subject(&mut resource, &folder.patient);
            self.object(&folder.symbol, "List", resource, places);
            folder.carried.fhir = self.carried();
        }
        if door == Door::Repository {
            for document in documents.iter().filter(|document| document.kind == EntryKind::Stable) {
                self.bytes(&document.symbol, &document.mime_type, places);
            }
        }
    }

    /// The place of the entry that comes next.
    fn place(&self) -> Place {
        Place::at(format!("Bundle.entry[{}].resource", self.entries.len()))
    }

    /// Writes those members of a list that a list can say.
    fn members(
        &mut self,
        list: &mut Map<String, Value>,
        symbol: &str,
        said: &Spoken,
        associations: &[Association],
    ) {
        let at = self.place();
        let mut members = Vec::new();
        for index in said.of(symbol, associations) {
            self.said_at.push((at.member("entry").item(members.len()).path, associations[index].at.clone()));
            members.push(json!({ "item": reference(&associations[index].target, "DocumentReference") }));
        }
        if !members.is_empty() {
            list.insert("entry".to_owned(), members.into());
        }
    }

    fn object(
        &mut self,
        symbol: &str,
        kind: &str,
        resource: Map<String, Value>,
        places: &[(String, String)],
    ) {
        self.said_at.push((format!("Bundle.entry[{}]", self.entries.len()), place_of(symbol, places)));
        self.post(symbol, kind, Value::Object(resource), Role::Object(symbol.to_owned()));
    }

    fn bytes(&mut self, symbol: &str, mime_type: &str, places: &[(String, String)]) {
        self.said_at.push((format!("Bundle.entry[{}]", self.entries.len()), place_of(symbol, places)));
        let mut binary = json!({ "resourceType": "Binary" });
        put(&mut binary, "contentType", Some(mime_type));
        self.post(&bytes_url(symbol), "Binary", binary, Role::Binary(symbol.to_owned()));
    }

    fn post(&mut self, symbol: &str, kind: &str, resource: Value, role: Role) {
        let request = json!({ "method": "POST", "url": kind });
        self.entries.push(json!({ "fullUrl": symbol, "resource": resource, "request": request }));
        self.roles.push(role);
    }

    /// The resource of the entry made last, as it is carried.
    fn carried(&self) -> Option<String> {
        self.entries.last().and_then(|entry| entry.get("resource")).map(crate::beyond::carried)
    }
}

fn place_of(symbol: &str, places: &[(String, String)]) -> String {
    places.iter().find(|(known, _)| known == symbol).map(|(_, place)| place.clone()).unwrap_or_default()
}

/// How a reference is written in FHIR; of what is registered nobody knows here whether it is a document.
fn reference(to: &ObjectRef, kind: &str) -> Value {
    match to {
        ObjectRef::Symbol(symbol) => json!({ "reference": symbol }),
        ObjectRef::Registered(id) => json!({ "reference": format!("{kind}/{}", id.as_str()) }),
        ObjectRef::Unique(name) => json!({ "identifier": identifier_value(name) }),
    }
}

/// The words of FHIR for a relation.
fn codes(kind: AssociationType) -> &'static [&'static str] {
    match kind {
        AssociationType::Replace => &["replaces"],
        AssociationType::Transform => &["transforms"],
        AssociationType::TransformReplace => &["replaces", "transforms"],
        AssociationType::Append => &["appends"],
        AssociationType::Signs => &["signs"],
        // A member of a list is an entry of it; a snapshot is told beyond FHIR.
        AssociationType::HasMember | AssociationType::IsSnapshotOf => &[],
    }
}

fn names(end: &ObjectRef, symbol: &str) -> bool {
    matches!(end, ObjectRef::Symbol(named) if named == symbol)
}

/// Which associations lists and documents say, and which only our extension says (or says more of).
struct Spoken {
    fhir: Vec<usize>,
    beyond: Vec<usize>,
}

impl Spoken {
    fn sort(
        associations: &[Association],
        is_object: impl Fn(&str) -> bool,
        is_document: impl Fn(&str) -> bool,
    ) -> Spoken {
        let mut spoken = Spoken { fhir: Vec::new(), beyond: Vec::new() };
        for (index, association) in associations.iter().enumerate() {
            let symbol = |end: &ObjectRef| match end {
                ObjectRef::Symbol(symbol) => Some(symbol.clone()),
                ObjectRef::Registered(_) | ObjectRef::Unique(_) => None,
            };
            let (source, target) = (symbol(&association.source), symbol(&association.target));
            let known_target = target.as_deref().is_none_or(&is_object);
            let of_document = source.as_deref().is_some_and(&is_document);
            let sayable = match association.kind {
                AssociationType::HasMember => source.is_some() && !of_document && known_target,
                AssociationType::IsSnapshotOf => false,
                _ => of_document && known_target,
            };
            // What replaces and transforms the same document would be read as one association.
            let is_pair = |other: &usize| {
                let other = &associations[*other];
                (&other.source, &other.target) == (&association.source, &association.target)
            };
            let sayable = sayable && !spoken.fhir.iter().any(is_pair);
            // The submission set may hold a membership of a folder, which is named by its symbol then.
            let is_held = !association.symbol.is_empty()
                && associations.iter().any(|other| names(&other.target, &association.symbol));
            let says_more = is_held
                || association.entry_uuid.is_some()
                || association.documentation.is_some()
                || !association.extra.is_empty();
            if sayable {
                spoken.fhir.push(index);
            }
            if !sayable || says_more {
                spoken.beyond.push(index);
            }
        }
        spoken
    }

    /// The associations that begin at an object.
    fn of<'a>(
        &'a self,
        symbol: &'a str,
        associations: &'a [Association],
    ) -> impl Iterator<Item = usize> + 'a {
        let begins = move |index: &usize| names(&associations[*index].source, symbol);
        self.fhir.iter().copied().filter(begins)
    }
}
