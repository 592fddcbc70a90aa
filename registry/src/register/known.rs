//! What is registered already, as far as a submission touches it.

use std::collections::HashMap;

use actor::Fault;
use fhir::iti65::Provided;
use store::{AnyOf, Ask, Order, Row, Scope, Store, Test};
use xds::plan::{Holder, Known, KnownDocument, KnownFolder, claim_name};
use xds::ties::End;
use xds::{AssociationType, Attribute, Availability, EntryUuid, Findings, Identifier, ObjectRef, Submission};

use super::Register;
use crate::patients;
use crate::records::{
    DOCUMENT, DocumentRecord, FolderRecord, HAS_MEMBER, LIST, ListRecord, association, document_row,
    list_row, unreadable,
};

/// Entries that may share one uniqueId before we stop to look for the current one.
const MAX_SAME_UNIQUE_ID: usize = 100;

/// What the plan needs, and the rows its effects are written over.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) known: Known,
    pub(super) documents: HashMap<EntryUuid, (Row, DocumentRecord)>,
    pub(super) folders: HashMap<EntryUuid, (Row, FolderRecord)>,
}

pub(super) fn load(register: &Register, provided: &Provided) -> Result<Loaded, Fault<Findings>> {
    let submission = &provided.submission;
    let mut loader = Loader {
        store: &register.store,
        exact: provided.origin == fhir::iti65::Origin::Ebxml,
        loaded: Loaded::default(),
    };
    for patient in super::named_patients(submission) {
        if !loader.loaded.known.patients.iter().any(|(named, _)| named == patient) {
            let state =
                patients::resolve(&register.store, &register.identity, patient, provided.patient.as_ref())?;
            loader.loaded.known.patients.push((patient.clone(), state));
        }
    }
    loader.names(submission)?;
    loader.targets(submission)?;
    loader.updated_folders(submission)?;
    Ok(loader.loaded)
}

struct Loader<'a> {
    store: &'a Store,
    /// Whether an entryUUID names a version of an object (XDS), not the object whatever its version (FHIR).
    exact: bool,
    loaded: Loaded,
}

impl Loader<'_> {
    /// Ids and uniqueIds that the submission brings.
    fn names(&mut self, submission: &Submission) -> Result<(), store::Error> {
        let set = &submission.submission_set;
        let documents = submission.documents.iter().map(|d| (d.entry_uuid.as_ref(), Some(&d.unique_id)));
        let folders = submission.folders.iter().filter(|f| !f.update);
        let folders = folders.map(|f| (f.entry_uuid.as_ref(), f.unique_id.as_ref()));
        let all = std::iter::once((set.entry_uuid.as_ref(), set.unique_id.as_ref()))
            .chain(documents)
            .chain(folders);
        for (entry_uuid, unique_id) in all {
            if let Some(id) = entry_uuid
                && association::is_taken(self.store, id)?
            {
                self.loaded.known.taken.insert(id.clone());
            }
            if let Some(unique_id) = unique_id {
                self.holder(unique_id)?;
            }
        }
        for id in submission.associations.iter().filter_map(|association| association.entry_uuid.as_ref()) {
            if association::is_taken(self.store, id)? {
                self.loaded.known.taken.insert(id.clone());
            }
        }
        Ok(())
    }

    fn holder(&mut self, unique_id: &Identifier) -> Result<(), store::Error> {
        let name = claim_name(unique_id);
        if let Some(bytes) = self.store.claimed(&name)? {
            let holder = Holder::from_bytes(&bytes)
                .ok_or_else(|| store::Error::Damaged(format!("the claim of {name} cannot be read")))?;
            self.loaded.known.holders.insert(name, holder);
        }
        Ok(())
    }

    /// Registered objects that associations point to.
    fn targets(&mut self, submission: &Submission) -> Result<(), store::Error> {
        for association in &submission.associations {
            if let ObjectRef::Registered(source) = &association.source
                && association.kind == AssociationType::HasMember
                && let Some(source) = self.logical(source)?
            {
                self.folder(&source)?;
            }
            let target = match &association.target {
                ObjectRef::Symbol(_) => continue,
                ObjectRef::Registered(id) => match self.logical(id)? {
                    Some(id) => id,
                    None => continue,
                },
                ObjectRef::Unique(identifier) => match self.by_unique_id(identifier)? {
                    Some(id) => id,
                    None => continue,
                },
            };
            if !self.document(&target, association.kind.replaces())? {
                self.folder(&target)?;
            }
        }
        Ok(())
    }

    /// The object whose current version has this entryUUID; none for a version that another one has taken the place of, which
    /// is there to be read, and nothing is tied to it.
    fn logical(&mut self, id: &EntryUuid) -> Result<Option<EntryUuid>, store::Error> {
        let is_there = |kind| self.store.get(kind, id.as_str()).map(|row| row.is_some());
        if !self.exact && (is_there(DOCUMENT)? || is_there(LIST)?) {
            return Ok(Some(id.clone()));
        }
        match association::logical(self.store, id)? {
            None => Ok(Some(id.clone())),
            Some((logical, true)) => {
                if logical != *id {
                    self.loaded.known.versions.insert(id.clone(), logical.clone());
                }
                Ok(Some(logical))
            }
            Some((_, false)) => {
                if let Some((row, record)) = association::past_document(self.store, id)? {
                    let known = KnownDocument {
                        kind: record.entry.kind,
                        ..KnownDocument::new(id.clone(), row.partition, Availability::Deprecated)
                    };
                    self.loaded.known.documents.insert(id.clone(), known);
                }
                Ok(None)
            }
        }
    }

    /// Of several entries with one uniqueId the current one is meant.
    fn by_unique_id(&mut self, identifier: &Identifier) -> Result<Option<EntryUuid>, store::Error> {
        let rows = self.find(DOCUMENT, identifier)?;
        let mut found = None;
        for row in rows {
            let record: DocumentRecord =
                serde_json::from_slice(&row.body).map_err(|e| unreadable(DOCUMENT, &row.id, &e))?;
            if let Some(id) = EntryUuid::parse(&row.id)
                && (found.is_none() || record.entry.availability == Availability::Approved)
            {
                found = Some(id);
            }
        }
        if let Some(id) = &found {
            self.loaded.known.by_unique_id.insert(identifier.clone(), id.clone());
        }
        Ok(found)
    }

    fn find(&self, kind: store::Kind, identifier: &Identifier) -> Result<Vec<Row>, store::Error> {
        let test = Test::Term {
            name: Attribute::Identifier.name(),
            space: Some(xds::attribute::system(&identifier.system)),
            value: Some(xds::attribute::identifier_value(&identifier.value)),
        };
        let ask = Ask {
            kind,
            scope: Scope::Everywhere,
            all: vec![AnyOf { tests: vec![test], negated: false }],
            order: Order::Natural,
            after: None,
            limit: MAX_SAME_UNIQUE_ID,
            as_of: None,
            total: false,
        };
        Ok(self.store.find(&ask)?.rows)
    }

    /// Loads a document; for one that is replaced also what follows it.
    fn document(&mut self, id: &EntryUuid, replaced: bool) -> Result<bool, store::Error> {
        if self.loaded.documents.contains_key(id) && !replaced {
            return Ok(true);
        }
        let Some((row, record)) = document_row(self.store, id.as_str())? else { return Ok(false) };
        let (children, folders) = if replaced {
            let end = End { object: id.clone(), version: record.version.entry_uuid.clone() };
            (self.children(id)?, self.folders_of(id, &end)?)
        } else {
            (Vec::new(), Vec::new())
        };
        let known = KnownDocument {
            version: record.version.entry_uuid.clone(),
            kind: record.entry.kind,
            is_transformation: record
                .relations
                .iter()
                .any(|relation| !relation.tie.deprecated && relation.kind == AssociationType::Transform),
            children,
            folders,
            ..KnownDocument::new(id.clone(), row.partition.clone(), record.entry.availability)
        };
        self.loaded.known.documents.insert(id.clone(), known);
        self.loaded.documents.insert(id.clone(), (row, record));
        Ok(true)
    }

    /// Current documents that transform this one or were appended to it, and those that do so to one of these (TF-3 4.2.2.2.3).
    fn children(&mut self, id: &EntryUuid) -> Result<Vec<EntryUuid>, store::Error> {
        let mut children: Vec<EntryUuid> = Vec::new();
        let mut next = vec![id.clone()];
        while let Some(parent) = next.pop() {
            for kind in [AssociationType::Transform, AssociationType::Append] {
                for source in self.store.sources(DOCUMENT, kind.edge(), parent.as_str())? {
                    let Some((row, record)) = document_row(self.store, &source)? else { continue };
                    let ties = |relation: &xds::ties::Relation| {
                        relation.kind == kind && relation.target.object == parent && !relation.tie.deprecated
                    };
                    if let Some(child) = EntryUuid::parse(&source)
                        && record.entry.availability == Availability::Approved
                        && record.relations.iter().any(ties)
                        && child != *id
                        && !children.contains(&child)
                    {
                        children.push(child.clone());
                        next.push(child.clone());
                        self.loaded.documents.insert(child, (row, record));
                    }
                }
            }
        }
        Ok(children)
    }

    /// Current folders that hold the version of a document that stands.
    fn folders_of(&mut self, id: &EntryUuid, version: &End) -> Result<Vec<EntryUuid>, store::Error> {
        let mut folders = Vec::new();
        for source in self.store.sources(LIST, HAS_MEMBER, id.as_str())? {
            let Some(folder) = EntryUuid::parse(&source) else { continue };
            if !self.folder(&folder)? {
                continue;
            }
            let holds = self.loaded.folders.get(&folder).is_some_and(|(_, record)| {
                !record.deprecated
                    && record
                        .members
                        .iter()
                        .any(|member| member.document.target == *version && !member.document.tie.deprecated)
            });
            if holds {
                folders.push(folder);
            }
        }
        Ok(folders)
    }

    fn updated_folders(&mut self, submission: &Submission) -> Result<(), store::Error> {
        for folder in submission.folders.iter().filter(|f| f.update) {
            match (&folder.entry_uuid, &folder.unique_id) {
                (Some(id), _) => {
                    if let Some(id) = self.logical(id)? {
                        self.folder(&id)?;
                    }
                }
                (None, Some(unique_id)) => {
                    for row in self.find(LIST, unique_id)? {
                        if let Some(id) = EntryUuid::parse(&row.id) {
                            self.folder(&id)?;
                        }
                    }
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn folder(&mut self, id: &EntryUuid) -> Result<bool, store::Error> {
        let Some((row, record)) = list_row(self.store, id.as_str())? else { return Ok(false) };
        let ListRecord::Folder(record) = record else { return Ok(false) };
        let known = KnownFolder {
            id: id.clone(),
            version: record.version.entry_uuid.clone(),
            availability: record.availability(),
            unique_id: record.folder.unique_id.clone(),
            title: record.folder.title.clone(),
            patient: row.partition.clone(),
            members: record.shown_members(),
        };
        self.loaded.known.folders.insert(id.clone(), known);
        self.loaded.folders.insert(id.clone(), (row, record));
        Ok(true)
    }
}
