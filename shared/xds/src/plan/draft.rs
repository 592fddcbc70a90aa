//! The plan while it is made: one step for each group of rules, every broken one collected.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::changeset::{
    Changeset, ExtendedFolder, Member, NewDocument, NewFolder, NewSubmissionSet, UniqueIdClaim,
};
use super::known::{Content, Holder, Known, KnownDocument, PatientState, claim_name};
use crate::finding::{Finding, Findings, Place, Rule};
use crate::rules::append_to_a_transformation;
use crate::types::{
    Association, AssociationType, Availability, DocumentEntry, EntryUuid, Identifier, ObjectRef, Patient,
    Submission,
};

pub(super) struct Draft<'a> {
    submission: &'a Submission,
    known: &'a Known,
    findings: Findings,
    patient: String,
    assigned: BTreeMap<String, EntryUuid>,
    relations: HashMap<String, Vec<(AssociationType, EntryUuid)>>,
    deprecated: BTreeSet<EntryUuid>,
    extended: BTreeMap<EntryUuid, Vec<EntryUuid>>,
    members: Vec<Member>,
    folders: Vec<NewFolder>,
    claims: Vec<UniqueIdClaim>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(submission: &'a Submission, known: &'a Known) -> Draft<'a> {
        Draft {
            submission,
            known,
            findings: Findings::new(),
            patient: String::new(),
            assigned: BTreeMap::new(),
            relations: HashMap::new(),
            deprecated: BTreeSet::new(),
            extended: BTreeMap::new(),
            members: Vec::new(),
            folders: Vec::new(),
            claims: Vec::new(),
        }
    }

    fn refuse(&mut self, rule: Rule, at: Place, text: impl Into<String>) {
        self.findings.push(Finding::error(rule, at, text));
    }

    fn place(&self, symbol: &str) -> Place {
        Place::at(self.submission.place(symbol))
    }

    /// One active patient for everything; an object that names none is about the same one (TF-2 3.42.4.1.3.3).
    pub(super) fn patients(&mut self) {
        let submission = self.submission;
        let set = (&submission.submission_set.symbol, &submission.submission_set.patient);
        let documents = submission.documents.iter().map(|d| (&d.symbol, &d.patient));
        let folders = submission.folders.iter().map(|f| (&f.symbol, &f.patient));
        let named: Vec<(&String, &Patient)> =
            std::iter::once(set).chain(documents).chain(folders).filter(|(_, p)| p.is_named()).collect();
        let Some((first, patient)) = named.first() else {
            let at = self.place(set.0).member("subject").of("SubmissionSet.patientId");
            self.refuse(Rule::MetadataRequired, at, "no patient is named (subject)");
            return;
        };
        let at = self.place(first).member("subject").of("patientId");
        match self.known.patient(patient) {
            PatientState::Active(id) => self.patient.clone_from(id),
            PatientState::Inactive => {
                self.refuse(
                    Rule::UnknownPatient,
                    at,
                    "this patient is no longer active here; ask the identity source who took its place",
                );
            }
            PatientState::Unknown => {
                self.refuse(
                    Rule::UnknownPatient,
                    at,
                    "this patient is not known here; feed it to the identity source first",
                );
            }
        }
        for (symbol, other) in &named[1..] {
            if self.known.patient(other) != self.known.patient(patient) {
                let at = self.place(symbol).member("subject").of("patientId");
                self.refuse(
                    Rule::PatientIdDoesNotMatch,
                    at,
                    "this is about another patient than the submission set; all objects of a submission have one patient",
                );
            }
        }
    }

    /// Ids: those the source chose are kept for good, symbols get new ones (TF-2 3.42.4.1.3.7).
    pub(super) fn assign(&mut self, ids: &mut dyn Iterator<Item = Uuid>) {
        let submission = self.submission;
        let set = (&submission.submission_set.symbol, &submission.submission_set.entry_uuid);
        let documents = submission.documents.iter().map(|d| (&d.symbol, &d.entry_uuid));
        let folders = submission.folders.iter().filter(|f| !f.update).map(|f| (&f.symbol, &f.entry_uuid));
        for (symbol, chosen) in std::iter::once(set).chain(documents).chain(folders) {
            let id = match chosen {
                Some(id) => {
                    if self.known.taken.contains(id) {
                        let at = self.place(symbol).member("identifier").of("entryUUID");
                        self.refuse(
                            Rule::MetadataInvalid,
                            at,
                            format!("the entryUUID {} is taken by a registered object", id.as_str()),
                        );
                    }
                    id.clone()
                }
                None => EntryUuid::from(ids.next().expect("the ids of a plan do not end")),
            };
            self.assigned.insert(symbol.clone(), id);
        }
        for folder in submission.folders.iter().filter(|f| f.update) {
            match self.known.updated(folder) {
                Some(known) => {
                    self.assigned.insert(folder.symbol.clone(), known.id.clone());
                }
                None => {
                    let at = self.place(&folder.symbol);
                    self.refuse(
                        Rule::UnresolvedReference,
                        at,
                        "no folder with this entryUUID or uniqueId is registered",
                    );
                }
            }
        }
    }

    /// uniqueIds: of sets and folders unused, of documents unused or for the same bytes (TF-2 3.42.4.1.3.5).
    pub(super) fn unique_ids(&mut self) {
        let submission = self.submission;
        let set = &submission.submission_set;
        if let Some(unique_id) = &set.unique_id {
            self.claim_list(&set.symbol, unique_id, "SubmissionSet.uniqueId");
        }
        for folder in submission.folders.iter().filter(|f| !f.update) {
            if let Some(unique_id) = &folder.unique_id {
                self.claim_list(&folder.symbol, unique_id, "Folder.uniqueId");
            }
        }
        for document in &submission.documents {
            self.claim_document(document);
        }
    }

    fn claim_list(&mut self, symbol: &str, unique_id: &Identifier, attribute: &'static str) {
        let name = claim_name(unique_id);
        if self.known.holders.contains_key(&name) {
            let at = self.place(symbol).member("identifier").of(attribute);
            self.refuse(
                Rule::DuplicateUniqueId,
                at,
                format!("the uniqueId {} is taken by a registered object", unique_id.value),
            );
        } else if let Some(id) = self.assigned.get(symbol) {
            self.claims.push(UniqueIdClaim { name, holder: Holder::List(id.clone()) });
        }
    }

    fn claim_document(&mut self, document: &DocumentEntry) {
        let name = claim_name(&document.unique_id);
        let given = Content { sha256: document.sha256, hash: document.hash, size: document.size };
        let holder = match self.known.holders.get(&name) {
            None => Holder::Document(given),
            Some(Holder::List(_)) => {
                let at = self.place(&document.symbol).member("masterIdentifier").of("DocumentEntry.uniqueId");
                self.refuse(
                    Rule::MetadataInvalid,
                    at,
                    format!(
                        "the uniqueId {} is that of a registered submission set or folder",
                        document.unique_id.value
                    ),
                );
                return;
            }
            Some(Holder::Document(registered)) => {
                if let Some(finding) = self.other_bytes(document, &given, registered) {
                    self.findings.push(finding);
                    return;
                }
                Holder::Document(*registered)
            }
        };
        self.claims.push(UniqueIdClaim { name, holder });
    }

    /// Equality of content is SHA-256 and size; where one side has no SHA-256, SHA-1 and size; SHA-1 alone can be forged.
    fn other_bytes(
        &self,
        document: &DocumentEntry,
        given: &Content,
        registered: &Content,
    ) -> Option<Finding> {
        let at = self.place(&document.symbol).member("content[0].attachment");
        let unique_id = &document.unique_id.value;
        if let (Some(given), Some(registered)) = (given.size, registered.size)
            && given != registered
        {
            let text =
                format!("document {unique_id} is registered with {registered} bytes, this one has {given}");
            return Some(Finding::error(
                Rule::NonIdenticalSize,
                at.member("size").of("DocumentEntry.size"),
                text,
            ));
        }
        let differ = match (given.sha256, registered.sha256) {
            (Some(given), Some(registered)) => given != registered,
            _ => {
                matches!((given.hash, registered.hash), (Some(given), Some(registered)) if given != registered)
            }
        };
        differ.then(|| {
            let text = format!("document {unique_id} is registered with other content (hash)");
            Finding::error(Rule::NonIdenticalHash, at.member("hash").of("DocumentEntry.hash"), text)
        })
    }

    /// Relations, and what a replacement does to what it replaces (TF-2 3.42.4.1.3.6, TF-3 4.2.2.2).
    pub(super) fn relations(&mut self) {
        let submission = self.submission;
        for association in submission.associations.iter().filter(|a| a.kind != AssociationType::HasMember) {
            let ObjectRef::Symbol(source) = &association.source else { continue };
            let target = match &association.target {
                ObjectRef::Symbol(symbol) => self.assigned.get(symbol).cloned(),
                ObjectRef::Registered(_) | ObjectRef::Unique(_) => {
                    self.registered_target(association, source)
                }
            };
            if let Some(target) = target {
                let relations = self.relations.entry(source.clone()).or_default();
                if !relations.contains(&(association.kind, target.clone())) {
                    relations.push((association.kind, target));
                }
            }
        }
    }

    fn registered_target(&mut self, association: &Association, source: &str) -> Option<EntryUuid> {
        let at = Place::at(association.at.as_str()).of("Association.targetObject");
        let Some(target) = self.known.document(&association.target) else {
            self.unresolved(association);
            return None;
        };
        self.current(target, &at)?;
        if target.patient != self.patient && !self.patient.is_empty() {
            self.refuse(Rule::PatientIdDoesNotMatch, at, "the related document is about another patient");
            return None;
        }
        if association.kind == AssociationType::Append && target.is_transformation {
            self.findings.push(append_to_a_transformation(association));
            return None;
        }
        if association.kind.replaces() {
            self.replace(target, source);
        }
        Some(target.id.clone())
    }

    /// The old one, its transformations and what was appended to it become Deprecated; its folders get the new one, too.
    fn replace(&mut self, target: &KnownDocument, source: &str) {
        self.deprecated.insert(target.id.clone());
        self.deprecated.extend(target.children.iter().cloned());
        let Some(replacement) = self.assigned.get(source).cloned() else { return };
        for folder in &target.folders {
            let patient = self.known.folders.get(folder).map(|f| f.patient.as_str());
            if patient.is_some_and(|p| p != self.patient) {
                let at = self.place(source).of("Folder.patientId");
                self.refuse(
                    Rule::PatientIdDoesNotMatch,
                    at,
                    "a folder of the replaced document is about another patient",
                );
            }
            self.extend(folder, &replacement);
        }
    }

    fn extend(&mut self, folder: &EntryUuid, document: &EntryUuid) {
        let added = self.extended.entry(folder.clone()).or_default();
        if !added.contains(document) {
            added.push(document.clone());
        }
    }

    fn current(&mut self, document: &KnownDocument, at: &Place) -> Option<()> {
        match document.availability {
            Availability::Approved => Some(()),
            Availability::Deprecated => {
                let text =
                    format!("document {} is superseded; nothing new can be tied to it", document.id.as_str());
                self.refuse(Rule::DeprecatedDocument, at.clone(), text);
                None
            }
        }
    }

    fn unresolved(&mut self, association: &Association) {
        let what = match &association.target {
            ObjectRef::Symbol(symbol) => symbol.clone(),
            ObjectRef::Registered(id) => id.as_str().to_owned(),
            ObjectRef::Unique(identifier) => identifier.value.clone(),
        };
        let at = Place::at(association.at.as_str()).of("Association.targetObject");
        self.refuse(Rule::UnresolvedReference, at, format!("{what} is not registered here"));
    }

    /// New folders and their documents, and the documents that registered folders gain.
    pub(super) fn folders(&mut self) {
        let submission = self.submission;
        for folder in &submission.folders {
            let Some(id) = self.assigned.get(&folder.symbol).cloned() else { continue };
            let registered = folder.update.then(|| self.known.updated(folder)).flatten();
            if let Some(known) = registered {
                self.grows(folder.title.as_deref(), known.title.as_deref(), &folder.symbol);
                if known.patient != self.patient && !self.patient.is_empty() {
                    let at = self.place(&folder.symbol).member("subject").of("Folder.patientId");
                    self.refuse(Rule::PatientIdDoesNotMatch, at, "this folder is about another patient");
                }
            }
            let already: &[EntryUuid] = registered.map_or(&[], |known| &known.members);
            let members = self.documents_of(&ObjectRef::Symbol(folder.symbol.clone()), already);
            if folder.update {
                for member in &members {
                    self.extend(&id, member);
                }
            } else {
                self.folders.push(NewFolder { id, folder: folder.clone(), members });
            }
        }
    }

    /// A folder only grows by a submission: its own metadata is changed by metadata update alone (TF-3 4.2.3.4).
    fn grows(&mut self, given: Option<&str>, registered: Option<&str>, symbol: &str) {
        if given.is_some() && given != registered {
            let at = self.place(symbol).member("title").of("Folder.title");
            let text = "a submission adds documents to a folder; its title stays as it is registered";
            self.findings.push(Finding::warning(Rule::NotSupported, at, text));
        }
    }

    fn documents_of(&mut self, folder: &ObjectRef, already: &[EntryUuid]) -> Vec<EntryUuid> {
        let submission = self.submission;
        let mut members = Vec::new();
        let of_folder = |a: &&Association| a.kind == AssociationType::HasMember && a.source == *folder;
        for association in submission.associations.iter().filter(of_folder) {
            let id = match &association.target {
                ObjectRef::Symbol(symbol) => self.assigned.get(symbol).cloned(),
                ObjectRef::Registered(_) | ObjectRef::Unique(_) => {
                    self.registered_member(association, already)
                }
            };
            if let Some(id) = id
                && !already.contains(&id)
                && !members.contains(&id)
            {
                members.push(id);
            }
        }
        members
    }

    fn registered_member(&mut self, association: &Association, already: &[EntryUuid]) -> Option<EntryUuid> {
        let at = Place::at(association.at.as_str()).of("Folder.HasMember");
        let Some(document) = self.known.document(&association.target) else {
            self.unresolved(association);
            return None;
        };
        if already.contains(&document.id) {
            return None;
        }
        self.current(document, &at)?;
        if document.patient != self.patient && !self.patient.is_empty() {
            self.refuse(
                Rule::PatientIdDoesNotMatch,
                at,
                "a document of another patient cannot be put into this folder",
            );
            return None;
        }
        Some(document.id.clone())
    }

    /// The members of the submission set. A registered document may be of another patient (TF-3 4.1.9.2: mother and child).
    pub(super) fn submission_set(&mut self) {
        let submission = self.submission;
        let set = ObjectRef::Symbol(submission.submission_set.symbol.clone());
        let of_set = |a: &&Association| a.kind == AssociationType::HasMember && a.source == set;
        for association in submission.associations.iter().filter(of_set) {
            if let Some(member) = self.member(association)
                && !self.members.contains(&member)
            {
                self.members.push(member);
            }
        }
    }

    fn member(&mut self, association: &Association) -> Option<Member> {
        if let ObjectRef::Symbol(symbol) = &association.target {
            let id = self.assigned.get(symbol)?.clone();
            let is_folder = self.submission.folders.iter().any(|f| f.symbol == *symbol);
            return Some(if is_folder { Member::Folder(id) } else { Member::Document(id) });
        }
        if let ObjectRef::Registered(id) = &association.target
            && self.known.folders.contains_key(id)
        {
            return Some(Member::Folder(id.clone()));
        }
        let Some(document) = self.known.document(&association.target) else {
            self.unresolved(association);
            return None;
        };
        self.current(document, &Place::at(association.at.as_str()).of("SubmissionSet.HasMember"))?;
        Some(Member::Document(document.id.clone()))
    }

    pub(super) fn finish(mut self) -> (Changeset, Findings) {
        let submission = self.submission;
        let id_of =
            |symbol: &str| self.assigned.get(symbol).cloned().expect("every symbol has been assigned");
        let documents = submission
            .documents
            .iter()
            .map(|entry| NewDocument {
                id: id_of(&entry.symbol),
                entry: DocumentEntry { availability: Availability::Approved, ..entry.clone() },
                relations: self.relations.remove(&entry.symbol).unwrap_or_default(),
            })
            .collect();
        let set = &submission.submission_set;
        let changeset = Changeset {
            patient: self.patient,
            submission_set: NewSubmissionSet {
                id: id_of(&set.symbol),
                set: set.clone(),
                members: self.members,
            },
            documents,
            folders: self.folders,
            deprecated: self.deprecated.into_iter().collect(),
            extended: self
                .extended
                .into_iter()
                .map(|(id, added)| ExtendedFolder { id, added })
                .filter(|f| !f.added.is_empty())
                .collect(),
            claims: self.claims,
            assigned: self.assigned,
            warnings: Findings::new(),
        };
        (changeset, self.findings)
    }
}
