//! What is registered already, as far as a submission touches it.

use std::collections::HashMap;

use actor::Fault;
use fhir::iti65::Provided;
use store::{AnyOf, Ask, Order, Row, Scope, Store, Test};
use xds::plan::{Holder, Known, KnownDocument, KnownFolder, claim_name};
use xds::{AssociationType, Attribute, Availability, EntryUuid, Findings, Identifier, ObjectRef, Submission};

use super::Register;
use crate::patients;
use crate::records::{
    DOCUMENT, DocumentRecord, HAS_MEMBER, LIST, ListRecord, document_row, list_row, unreadable,
};

/// Entries that may share one uniqueId before we stop to look for the current one.
const MAX_SAME_UNIQUE_ID: usize = 100;

/// What the plan needs, and the rows its effects are written over.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) known: Known,
    pub(super) documents: HashMap<EntryUuid, (Row, DocumentRecord)>,
    pub(super) folders: HashMap<EntryUuid, (Row, ListRecord)>,
}

pub(super) fn load(register: &Register, provided: &Provided) -> Result<Loaded, Fault<Findings>> {
    let submission = &provided.submission;
    let mut loader = Loader { store: &register.store, loaded: Loaded::default() };
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
                && (self.store.get(DOCUMENT, id.as_str())?.is_some()
                    || self.store.get(LIST, id.as_str())?.is_some())
            {
                self.loaded.known.taken.insert(id.clone());
            }
            if let Some(unique_id) = unique_id {
                self.holder(unique_id)?;
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
            let target = match &association.target {
                ObjectRef::Symbol(_) => continue,
                ObjectRef::Registered(id) => id.clone(),
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
        let (children, folders) =
            if replaced { (self.children(id)?, self.folders_of(id)?) } else { (Vec::new(), Vec::new()) };
        let known = KnownDocument {
            id: id.clone(),
            patient: row.partition.clone(),
            availability: record.entry.availability,
            is_transformation: record.relations.iter().any(|(kind, _)| {
                matches!(kind, AssociationType::Transform | AssociationType::TransformReplace)
            }),
            children,
            folders,
        };
        self.loaded.known.documents.insert(id.clone(), known);
        self.loaded.documents.insert(id.clone(), (row, record));
        Ok(true)
    }

    /// Current documents that transform this one or were appended to it.
    fn children(&mut self, id: &EntryUuid) -> Result<Vec<EntryUuid>, store::Error> {
        let mut children = Vec::new();
        for kind in [AssociationType::Transform, AssociationType::Append] {
            for source in self.store.sources(DOCUMENT, kind.edge(), id.as_str())? {
                let Some((row, record)) = document_row(self.store, &source)? else { continue };
                if let Some(child) = EntryUuid::parse(&source)
                    && record.entry.availability == Availability::Approved
                {
                    children.push(child.clone());
                    self.loaded.documents.insert(child, (row, record));
                }
            }
        }
        Ok(children)
    }

    fn folders_of(&mut self, id: &EntryUuid) -> Result<Vec<EntryUuid>, store::Error> {
        let mut folders = Vec::new();
        for source in self.store.sources(LIST, HAS_MEMBER, id.as_str())? {
            if let Some(folder) = EntryUuid::parse(&source)
                && self.folder(&folder)?
            {
                folders.push(folder);
            }
        }
        Ok(folders)
    }

    fn updated_folders(&mut self, submission: &Submission) -> Result<(), store::Error> {
        for folder in submission.folders.iter().filter(|f| f.update) {
            match (&folder.entry_uuid, &folder.unique_id) {
                (Some(id), _) => {
                    self.folder(id)?;
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
        let ListRecord::Folder { folder, members } = &record else { return Ok(false) };
        let known = KnownFolder {
            id: id.clone(),
            unique_id: folder.unique_id.clone(),
            title: folder.title.clone(),
            patient: row.partition.clone(),
            members: members.iter().map(|member| member.document.clone()).collect(),
        };
        self.loaded.known.folders.insert(id.clone(), known);
        self.loaded.folders.insert(id.clone(), (row, record));
        Ok(true)
    }
}
