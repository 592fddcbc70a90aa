//! What a metadata update does to what is registered, while it is decided: objects as they will stand, versions that are taken
//! the place of, associations made again. Written in one commit, or not at all.

use std::collections::{BTreeMap, HashMap};

use store::{Instant, Put, Row, Store};
use xds::ties::{End, Relation, Tie, Tied, VersionOf};
use xds::{Availability, EntryUuid};

use crate::records::association::Object;
use crate::records::{
    DOCUMENT, DocumentRecord, FolderMember, FolderRecord, HAS_MEMBER, LIST, ListRecord, RELATION_EDGES,
    document_past, document_put, document_row, folder_past, folder_put, folder_stays, list_row,
};

/// A document as it will stand.
pub(crate) struct Doc {
    /// As it stands.
    pub(crate) row: Row,
    /// As it was read: what a version that is taken the place of stays like.
    before: DocumentRecord,
    /// As it will stand.
    pub(crate) record: DocumentRecord,
    /// Whose it will be.
    pub(crate) patient: String,
    /// Whether anything of it changes.
    touched: bool,
}

/// A folder as it will stand.
pub(crate) struct Fold {
    pub(crate) row: Row,
    before: FolderRecord,
    pub(crate) record: FolderRecord,
    pub(crate) patient: String,
    touched: bool,
    /// Whether its documents or metadata change, so that lastUpdateTime does.
    updated: bool,
}

/// What is decided so far.
pub(crate) struct Work<'a> {
    store: &'a Store,
    documents: BTreeMap<EntryUuid, Doc>,
    folders: BTreeMap<EntryUuid, Fold>,
    past: Vec<Put>,
    /// Versions that are taken the place of, and by which.
    superseded: HashMap<EntryUuid, EntryUuid>,
}

impl<'a> Work<'a> {
    pub(crate) fn new(store: &'a Store) -> Work<'a> {
        Work {
            store,
            documents: BTreeMap::new(),
            folders: BTreeMap::new(),
            past: Vec::new(),
            superseded: HashMap::new(),
        }
    }

    /// A registered document, by logicalID.
    pub(crate) fn document(&mut self, logical: &EntryUuid) -> Result<Option<&mut Doc>, store::Error> {
        if !self.documents.contains_key(logical) {
            let Some((row, record)) = document_row(self.store, logical.as_str())? else { return Ok(None) };
            let patient = row.partition.clone();
            let doc = Doc { row, before: record.clone(), record, patient, touched: false };
            self.documents.insert(logical.clone(), doc);
        }
        Ok(self.documents.get_mut(logical))
    }

    /// A registered folder, by logicalID.
    pub(crate) fn folder(&mut self, logical: &EntryUuid) -> Result<Option<&mut Fold>, store::Error> {
        if !self.folders.contains_key(logical) {
            let Some((row, ListRecord::Folder(record))) = list_row(self.store, logical.as_str())? else {
                return Ok(None);
            };
            let patient = row.partition.clone();
            let fold = Fold { row, before: record.clone(), record, patient, touched: false, updated: false };
            self.folders.insert(logical.clone(), fold);
        }
        Ok(self.folders.get_mut(logical))
    }

    /// A document gets its next version. `record` is as it will stand, but for version and relations.
    pub(crate) fn next_document(
        &mut self,
        logical: &EntryUuid,
        record: DocumentRecord,
        id: EntryUuid,
        patient: &str,
        propagate: bool,
    ) -> Result<(), store::Error> {
        let Some(doc) = self.document(logical)? else { return Ok(()) };
        let old = doc.before.id().clone();
        let number = doc.before.version.number + 1;
        let before = DocumentRecord { moves: 0, ..doc.before.clone() };
        let past = document_past(&doc.row.partition, doc.row.order, before);
        let relations = if propagate { made_again(&doc.record.relations) } else { Vec::new() };
        doc.record = DocumentRecord {
            relations,
            version: VersionOf { number, entry_uuid: Some(id.clone()) },
            ..record
        };
        patient.clone_into(&mut doc.patient);
        doc.touched = true;
        self.past.push(past);
        self.superseded.insert(old.clone(), id.clone());
        if propagate {
            self.point_to(logical, &old, &id)?;
        }
        Ok(())
    }

    /// What points to a version of a document points to the next one, too.
    fn point_to(
        &mut self,
        logical: &EntryUuid,
        old: &EntryUuid,
        new: &EntryUuid,
    ) -> Result<(), store::Error> {
        let end = End::at(logical.clone(), new.clone());
        for edge in RELATION_EDGES {
            for source in self.store.sources(DOCUMENT, edge, logical.as_str())? {
                let Some(source) = EntryUuid::parse(&source).filter(|source| source != logical) else {
                    continue;
                };
                let Some(doc) = self.document(&source)? else { continue };
                let holds = doc.record.relations.iter().filter(|one| {
                    one.kind.edge() == *edge && one.target.entry_uuid() == old && !one.tie.deprecated
                });
                let again: Vec<Relation> = holds
                    .map(|one| Relation { target: end.clone(), tie: again(&one.tie), ..one.clone() })
                    .collect();
                doc.touched |= !again.is_empty();
                doc.record.relations.extend(again);
            }
        }
        for source in self.store.sources(LIST, HAS_MEMBER, logical.as_str())? {
            let Some(source) = EntryUuid::parse(&source) else { continue };
            let Some(fold) = self.folder(&source)? else { continue };
            let holds = fold.record.members.iter().filter(|member| {
                member.document.target.entry_uuid() == old && !member.document.tie.deprecated
            });
            let again: Vec<FolderMember> = holds
                .map(|member| {
                    let tied = &member.document;
                    let document = Tied { target: end.clone(), tie: again(&tied.tie), ..tied.clone() };
                    FolderMember { document, by: member.by.clone() }
                })
                .collect();
            fold.touched |= !again.is_empty();
            fold.record.members.extend(again);
        }
        Ok(())
    }

    /// A folder gets its next version.
    pub(crate) fn next_folder(
        &mut self,
        logical: &EntryUuid,
        record: FolderRecord,
        id: EntryUuid,
        patient: &str,
        propagate: bool,
    ) -> Result<(), store::Error> {
        let Some(fold) = self.folder(logical)? else { return Ok(()) };
        let number = fold.before.version.number + 1;
        let before = FolderRecord { moves: 0, ..fold.before.clone() };
        let past = folder_past(&fold.row.partition, fold.row.order, before);
        let members = if propagate { members_again(&fold.record.members) } else { Vec::new() };
        let (old, new) = (fold.before.id().clone(), id.clone());
        fold.record = FolderRecord { members, version: VersionOf { number, entry_uuid: Some(id) }, ..record };
        patient.clone_into(&mut fold.patient);
        fold.touched = true;
        fold.updated = true;
        self.past.push(past);
        self.superseded.insert(old, new);
        Ok(())
    }

    /// The availabilityStatus of a document becomes this.
    pub(crate) fn set_document(
        &mut self,
        logical: &EntryUuid,
        availability: Availability,
    ) -> Result<(), store::Error> {
        if let Some(doc) = self.document(logical)? {
            doc.record.entry.availability = availability;
            doc.touched = true;
        }
        Ok(())
    }

    /// The same of a folder.
    pub(crate) fn set_folder(
        &mut self,
        logical: &EntryUuid,
        availability: Availability,
    ) -> Result<(), store::Error> {
        if let Some(fold) = self.folder(logical)? {
            fold.record.deprecated = availability == Availability::Deprecated;
            fold.touched = true;
            fold.updated = true;
        }
        Ok(())
    }

    /// A document gains a relation.
    pub(crate) fn relate(&mut self, logical: &EntryUuid, relation: Relation) -> Result<(), store::Error> {
        if let Some(doc) = self.document(logical)? {
            doc.record.relations.push(relation);
            doc.touched = true;
        }
        Ok(())
    }

    /// A folder gains a document.
    pub(crate) fn put_in(&mut self, logical: &EntryUuid, member: FolderMember) -> Result<(), store::Error> {
        if let Some(fold) = self.folder(logical)? {
            fold.record.members.push(member);
            fold.touched = true;
            fold.updated = true;
        }
        Ok(())
    }

    /// The availabilityStatus of an association becomes this; false if it is kept with something that does not change.
    pub(crate) fn set_association(
        &mut self,
        holder: &Object,
        id: &EntryUuid,
        availability: Availability,
    ) -> Result<bool, store::Error> {
        let deprecated = availability == Availability::Deprecated;
        match holder {
            Object::Document(_, held) if !holder.is_past() => {
                let Some(doc) = self.document(held.logical())? else { return Ok(false) };
                let source = doc.record.id().clone();
                for relation in doc.record.relations.iter_mut().filter(|one| one.id(&source) == *id) {
                    relation.tie.deprecated = deprecated;
                }
                doc.touched = true;
            }
            Object::Folder(_, held) if !holder.is_past() => {
                let Some(fold) = self.folder(held.logical())? else { return Ok(false) };
                let source = fold.record.id().clone();
                for member in fold.record.members.iter_mut().filter(|one| one.document.id(&source) == *id) {
                    member.document.tie.deprecated = deprecated;
                }
                fold.touched = true;
                fold.updated = true;
            }
            Object::Document(..) | Object::Folder(..) | Object::Set(..) => return Ok(false),
        }
        Ok(true)
    }

    /// What was made again for a version that was itself taken the place of in this request is not made at all: both ends
    /// have a next version, and those are tied.
    fn settle(&mut self) {
        let superseded = &self.superseded;
        let is_past = |end: &End| superseded.contains_key(end.entry_uuid());
        for doc in self.documents.values_mut().filter(|doc| superseded.contains_key(doc.before.id())) {
            doc.record.relations.retain(|relation| !is_past(&relation.target));
        }
        for fold in self.folders.values_mut().filter(|fold| superseded.contains_key(fold.before.id())) {
            fold.record.members.retain(|member| !is_past(&member.document.target));
        }
    }

    /// The documents and folders that change, each with its patient and what it is tied to from now on, by the logicalIDs of
    /// documents.
    pub(crate) fn ties(&mut self) -> Vec<(EntryUuid, String, Vec<EntryUuid>)> {
        self.settle();
        let documents = self.documents.iter().filter(|(_, doc)| doc.touched).map(|(id, doc)| {
            let relations =
                doc.record.relations.iter().filter(|one| !one.tie.deprecated && self.stands(&one.target));
            (id.clone(), doc.patient.clone(), relations.map(|one| one.target.object.clone()).collect())
        });
        let folders = self.folders.iter().filter(|(_, fold)| fold.touched).map(|(id, fold)| {
            let members = fold.record.members.iter().map(|member| &member.document);
            let members = members.filter(|one| !one.tie.deprecated && self.stands(&one.target));
            (id.clone(), fold.patient.clone(), members.map(|one| one.target.object.clone()).collect())
        });
        documents.chain(folders).collect()
    }

    /// Whether an end is at a version that this request leaves standing.
    fn stands(&self, end: &End) -> bool {
        !self.superseded.contains_key(end.entry_uuid())
    }

    /// Whose a document will be.
    pub(crate) fn patient_of(&mut self, logical: &EntryUuid) -> Result<Option<String>, store::Error> {
        Ok(self.document(logical)?.map(|doc| doc.patient.clone()))
    }

    /// Everything that is written, and whom it is about.
    pub(crate) fn finish(mut self, now: Instant) -> Vec<Put> {
        self.settle();
        let mut puts = self.past;
        for (id, mut doc) in self.documents.into_iter().filter(|(_, doc)| doc.touched) {
            if doc.record.entry.carried.fhir.is_none() {
                doc.record.entry.carried.fhir = String::from_utf8(doc.row.rendering.to_vec()).ok();
            }
            puts.push(document_put(&doc.patient, &id, doc.row.version + 1, now, doc.record));
        }
        for (id, mut fold) in self.folders.into_iter().filter(|(_, fold)| fold.touched) {
            if fold.record.folder.carried.fhir.is_none() {
                fold.record.folder.carried.fhir = String::from_utf8(fold.row.rendering.to_vec()).ok();
            }
            let write = if fold.updated { folder_put } else { folder_stays };
            puts.push(write(&fold.patient, &id, fold.row.version + 1, now, fold.record));
        }
        puts
    }
}

/// The tie of an association that is made again for another version: an association of its own.
fn again(tie: &Tie) -> Tie {
    Tie { id: None, ..tie.clone() }
}

fn made_again(relations: &[Relation]) -> Vec<Relation> {
    let approved = relations.iter().filter(|relation| !relation.tie.deprecated);
    approved.map(|relation| Relation { tie: again(&relation.tie), ..relation.clone() }).collect()
}

fn members_again(members: &[FolderMember]) -> Vec<FolderMember> {
    let approved = members.iter().filter(|member| !member.document.tie.deprecated);
    approved
        .map(|member| FolderMember {
            document: Tied { tie: again(&member.document.tie), ..member.document.clone() },
            by: member.by.clone(),
        })
        .collect()
}

/// The kind a put of this work is of, as an auditor names it.
pub(crate) fn entity(put: &Put) -> Option<String> {
    match put.kind {
        DOCUMENT => Some(format!("DocumentReference/{}", put.id)),
        LIST => Some(format!("List/{}", put.id)),
        _ => None,
    }
}
