//! Associations from the objects they are kept with. Each object is taken apart once, however many ends it has.

use std::collections::{HashMap, HashSet};

use store::{Kind, Store};
use xds::EntryUuid;

use super::item::kind_of;
use crate::records::association::{self, Association, Object};

/// The objects at which associations begin that touch some objects: these themselves, and others that point to them.
pub(super) struct Holders {
    others: Vec<Object>,
}

impl Holders {
    /// Finds them.
    pub(super) fn of(store: &Store, objects: &[Object]) -> Result<Holders, store::Error> {
        let mut seen: HashSet<(Kind, String)> =
            objects.iter().map(|object| (kind_of(object), object.row().id.clone())).collect();
        let mut others = Vec::new();
        for object in objects {
            let Some(logical) = association::logical_of(object) else { continue };
            for (kind, edge) in association::edges_to(object) {
                for id in store.sources(kind, edge, logical.as_str())? {
                    if seen.insert((kind, id.clone())) {
                        others.extend(association::row_of(store, kind, &id)?);
                    }
                }
            }
        }
        Ok(Holders { others })
    }

    /// The objects that point to others.
    pub(super) fn into_others(self) -> Vec<Object> {
        self.others
    }

    /// The associations that begin or end at these objects, each once.
    pub(super) fn touching(self, objects: &[Object]) -> impl Iterator<Item = Association> {
        let ids: HashSet<EntryUuid> = objects.iter().filter_map(Object::id).cloned().collect();
        let begun = objects.iter().flat_map(Object::begun).collect::<Vec<_>>();
        let ending = self.others.into_iter().flat_map(|other| other.begun());
        let ending = ending.filter(move |association| ids.contains(&association.target));
        once(begun.into_iter().chain(ending))
    }
}

/// Each association once.
pub(super) fn once(associations: impl Iterator<Item = Association>) -> impl Iterator<Item = Association> {
    let mut seen = HashSet::new();
    associations.filter(move |association| seen.insert(association.id.clone()))
}

/// Objects by their entryUUIDs.
pub(super) fn by_id(objects: &[Object]) -> HashMap<&EntryUuid, &Object> {
    objects.iter().filter_map(|object| Some((object.id()?, object))).collect()
}
