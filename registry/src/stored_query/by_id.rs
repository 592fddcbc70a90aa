//! Objects by their ids.

use std::collections::HashSet;

use actor::Fault;
use store::{AnyOf, Ask, Kind, Order, Row, Scope, Test};
use xds::attribute::identifier_value;
use xds::identifier::{unique_id_of, unique_id_text};
use xds::query::{MetadataLevel, Named};
use xds::{Attribute, Availability, EntryUuid, Findings};

use super::StoredQueries;
use super::item::{Item, kind_of};
use super::touching::{Holders, once};
use crate::records::association::{self, Object};
use crate::records::{DOCUMENT, DOCUMENT_PAST, LIST, LIST_PAST, VERSION_OF};

/// Objects that may share one uniqueId: document entries of the same bytes do.
const MAX_SAME_UNIQUE_ID: usize = 1000;

impl StoredQueries {
    /// Documents, each version once.
    pub(super) fn documents(
        &self,
        named: &Named,
        level: MetadataLevel,
    ) -> Result<Vec<Object>, Fault<Findings>> {
        self.named(named, level, DOCUMENT, |object| matches!(object, Object::Document(..)))
    }

    /// Folders, likewise.
    pub(super) fn folders(
        &self,
        named: &Named,
        level: MetadataLevel,
    ) -> Result<Vec<Object>, Fault<Findings>> {
        self.named(named, level, LIST, |object| matches!(object, Object::Folder(..)))
    }

    /// Submission sets, likewise.
    pub(super) fn submission_sets(&self, named: &Named) -> Result<Vec<Object>, Fault<Findings>> {
        self.named(named, MetadataLevel::Newest, LIST, |object| matches!(object, Object::Set(..)))
    }

    fn named(
        &self,
        named: &Named,
        level: MetadataLevel,
        kind: Kind,
        is_one: fn(&Object) -> bool,
    ) -> Result<Vec<Object>, Fault<Findings>> {
        let mut objects = Vec::new();
        match named {
            Named::Entry(ids) => {
                for id in ids {
                    objects.extend(association::object(&self.store, id)?);
                }
            }
            Named::Logical(ids) => {
                for id in ids {
                    objects.extend(association::row_of(&self.store, kind, id.as_str())?);
                    for version in self.store.sources(past(kind), VERSION_OF, id.as_str())? {
                        objects.extend(association::row_of(&self.store, past(kind), &version)?);
                    }
                }
            }
            Named::Unique(ids) => {
                let mut kinds = vec![kind];
                kinds.extend((level == MetadataLevel::Versions).then(|| past(kind)));
                for kind in kinds {
                    for id in ids {
                        self.unique(kind, id, &mut objects)?;
                    }
                }
            }
        }
        let mut seen = HashSet::new();
        objects.retain(|object| is_one(object) && seen.insert((kind_of(object), object.row().id.clone())));
        Ok(objects)
    }

    /// The objects with a uniqueId: found by the index of identifiers, and looked at.
    fn unique(&self, kind: Kind, id: &str, objects: &mut Vec<Object>) -> Result<(), Fault<Findings>> {
        let unique_id = unique_id_of(id);
        let asked = unique_id_text(&unique_id);
        for row in self.identified(kind, &identifier_value(&unique_id.value))? {
            let Some(object) = association::read(kind, row)? else { continue };
            let own = match &object {
                Object::Document(_, record) => Some(&record.entry.unique_id),
                Object::Folder(_, record) => record.folder.unique_id.as_ref(),
                Object::Set(_, record) => record.set.unique_id.as_ref(),
            };
            if own.is_some_and(|own| unique_id_text(own) == asked) {
                objects.push(object);
            }
        }
        Ok(())
    }

    fn identified(&self, kind: Kind, value: &str) -> Result<Vec<Row>, store::Error> {
        let name = Attribute::Identifier.name();
        let test = Test::Term { name, space: None, value: Some(value.to_owned()) };
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

    /// The associations that one of these is an end of: objects, or associations.
    pub(super) fn associations(
        &self,
        ids: &[EntryUuid],
        statuses: &[Availability],
    ) -> Result<Vec<Item>, Fault<Findings>> {
        let mut objects = Vec::new();
        let mut held = Vec::new();
        for id in ids {
            match association::object(&self.store, id)? {
                Some(object) => objects.push(object),
                None => held.extend(association::touching(&self.store, std::slice::from_ref(id))?),
            }
        }
        let touching = Holders::of(&self.store, &objects)?.touching(&objects).collect::<Vec<_>>();
        let all = once(touching.into_iter().chain(held));
        Ok(all.filter(|one| statuses.contains(&one.availability)).map(Item::Association).collect())
    }
}

/// The kind of past versions.
fn past(kind: Kind) -> Kind {
    if kind == DOCUMENT { DOCUMENT_PAST } else { LIST_PAST }
}
