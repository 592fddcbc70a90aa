//! What holds what: submission sets and folders with their contents, folders and submission sets of a document, documents that have
//! a relation to one (TF-2 3.18.4.1.2.3.7.7 to .13).

use std::collections::HashSet;

use actor::Fault;
use xds::filter::Filter;
use xds::query::{MetadataLevel, Named};
use xds::{AssociationType, Availability, EntryUuid, Findings};

use super::StoredQueries;
use super::item::{Item, kind_of};
use super::touching::{Holders, by_id, once};
use crate::records::LIST;
use crate::records::association::{self, Association, Object};

impl StoredQueries {
    /// Submission sets that have one of these as a member, with those memberships.
    pub(super) fn submission_sets_of(
        &self,
        ids: &[EntryUuid],
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let members = self.objects(ids)?;
        let members: Vec<Object> =
            members.into_iter().filter(|object| !matches!(object, Object::Set(..))).collect();
        let wanted: HashSet<EntryUuid> = members.iter().filter_map(Object::id).cloned().collect();
        let mut found = (Vec::new(), Vec::new());
        for set in Holders::of(&self.store, &members)?.into_others() {
            if !matches!(set, Object::Set(..)) {
                continue;
            }
            let mut memberships = set.begun();
            memberships.retain(|one| wanted.contains(&one.target) && statuses.contains(&one.availability));
            if !memberships.is_empty() {
                found.0.push(Item::Object(set));
                found.1.extend(memberships.into_iter().map(Item::Association));
            }
        }
        Ok(found.0.into_iter().chain(found.1).collect())
    }

    /// A submission set, its documents of whom the filter holds, its folders, the memberships between them, and those that the set
    /// itself holds.
    pub(super) fn set_and_contents(
        &self,
        named: &Named,
        documents: &Filter,
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let sets = self.submission_sets(named)?;
        let mut begun: Vec<Association> = sets.iter().flat_map(Object::begun).collect();
        begun.retain(|one| statuses.contains(&one.availability));
        let mut members = self.objects(begun.iter().map(|one| &one.target))?;
        members.retain(|member| !matches!(member, Object::Set(..)));
        let found: HashSet<EntryUuid> = members.iter().filter_map(Object::id).cloned().collect();
        let held = self.held(begun.iter().map(|one| &one.target).filter(|id| !found.contains(*id)))?;
        let (entries, folders): (Vec<Object>, Vec<Object>) =
            members.into_iter().partition(|object| matches!(object, Object::Document(..)));
        let entries = self.passing(documents, entries)?;
        let objects: Vec<Object> = sets.into_iter().chain(entries).chain(folders).collect();
        let known = by_id(&objects);
        let between = |one: &Association| known.contains_key(&one.source) && known.contains_key(&one.target);
        let wanted: HashSet<&EntryUuid> = begun.iter().map(|one| &one.target).collect();
        let mut inner = held;
        inner.retain(|one| wanted.contains(&one.id) && between(one) && statuses.contains(&one.availability));
        let inner_ids: HashSet<&EntryUuid> = inner.iter().map(|one| &one.id).collect();
        let own = begun.iter().filter(|one| between(one) || inner_ids.contains(&one.target));
        let associations = own.chain(&inner).cloned().collect();
        Ok(with(objects, associations))
    }

    /// The memberships of folders that a set holds: what it points to that is no object.
    fn held<'a>(
        &self,
        ids: impl Iterator<Item = &'a EntryUuid>,
    ) -> Result<Vec<Association>, Fault<Findings>> {
        let mut memberships: Vec<Association> = Vec::new();
        for id in ids {
            // One folder holds many of them.
            if memberships.iter().any(|one| one.id == *id) {
                continue;
            }
            if let Some(holder) = association::holder(&self.store, id)? {
                memberships.extend(holder.begun());
            }
        }
        Ok(memberships)
    }

    /// Folders, their documents of whom the filter holds, and those memberships.
    pub(super) fn folder_and_contents(
        &self,
        named: &Named,
        level: MetadataLevel,
        documents: &Filter,
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let folders = self.folders(named, level)?;
        let mut begun: Vec<Association> = folders.iter().flat_map(Object::begun).collect();
        begun.retain(|one| statuses.contains(&one.availability));
        let members = self.objects(begun.iter().map(|one| &one.target))?;
        let members = members.into_iter().filter(|object| matches!(object, Object::Document(..))).collect();
        let entries = self.passing(documents, members)?;
        let known = by_id(&entries);
        begun.retain(|one| known.contains_key(&one.target));
        Ok(with(folders.into_iter().chain(entries).collect(), begun))
    }

    /// The folders that hold one of these documents; their past versions only where `versions` are understood.
    pub(super) fn folders_of(
        &self,
        named: &Named,
        versions: bool,
        level: MetadataLevel,
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let documents = self.documents(named, level)?;
        let wanted: HashSet<EntryUuid> = documents.iter().filter_map(Object::id).cloned().collect();
        let mut folders = Holders::of(&self.store, &documents)?.into_others();
        folders.retain(|folder| {
            matches!(folder, Object::Folder(..))
                && (versions || kind_of(folder) == LIST)
                && folder
                    .begun()
                    .iter()
                    .any(|one| wanted.contains(&one.target) && statuses.contains(&one.availability))
        });
        Ok(folders.into_iter().map(Item::Object).collect())
    }

    /// Documents with a relation of these kinds to a document or from it, with those associations; nothing if there is none.
    pub(super) fn related(
        &self,
        named: &Named,
        level: MetadataLevel,
        kinds: &[AssociationType],
        filter: &Filter,
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let documents = self.documents(named, level)?;
        let touching = Holders::of(&self.store, &documents)?.touching(&documents);
        let mut associations: Vec<Association> = touching
            .filter(|one| kinds.contains(&one.kind) && statuses.contains(&one.availability))
            .collect();
        let ends = self.objects(associations.iter().flat_map(|one| [&one.source, &one.target]))?;
        let ends = ends.into_iter().filter(|object| matches!(object, Object::Document(..))).collect();
        let ends = self.passing(filter, ends)?;
        let known = by_id(&ends);
        associations.retain(|one| known.contains_key(&one.source) && known.contains_key(&one.target));
        let kept: HashSet<EntryUuid> =
            associations.iter().flat_map(|one| [one.source.clone(), one.target.clone()]).collect();
        let ends =
            ends.into_iter().filter(|object| object.id().is_some_and(|id| kept.contains(id))).collect();
        Ok(with(ends, associations))
    }

    /// The objects of these ids, each once; what is no object is passed over.
    fn objects<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a EntryUuid>,
    ) -> Result<Vec<Object>, Fault<Findings>> {
        let mut objects = Vec::new();
        let mut seen = HashSet::new();
        for id in ids {
            if seen.insert(id) {
                objects.extend(association::object(&self.store, id)?);
            }
        }
        Ok(objects)
    }
}

fn with(objects: Vec<Object>, associations: Vec<Association>) -> Vec<Item> {
    let associations = once(associations.into_iter()).map(Item::Association);
    objects.into_iter().map(Item::Object).chain(associations).collect()
}
