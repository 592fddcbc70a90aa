//! Groups of patients, for exports.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use store::{Edge, Put, Row, Store, Version};

use super::{GROUP, INCLUDES, is_zero, unreadable};

/// What the registry itself needs of a group; the resource is the rendering of its row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRecord {
    /// Its members by their id in this domain, in order, each once.
    pub(crate) members: Vec<String>,
    /// How many versions were made by merges of its members.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) moves: Version,
}

/// A group, with its row.
pub(crate) fn group_row(store: &Store, id: &str) -> Result<Option<Row>, store::Error> {
    store.get(GROUP, id)
}

/// The members of a group as it was at a version.
pub(crate) fn group_members(store: &Store, id: &str, version: Version) -> Result<Vec<String>, store::Error> {
    let Some(row) = store.version(GROUP, id, version)? else { return Ok(Vec::new()) };
    let record: GroupRecord = serde_json::from_slice(&row.body).map_err(|e| unreadable(GROUP, id, &e))?;
    Ok(record.members)
}

/// A version of a group; without a resource it says that the group is no more.
pub(crate) fn group_put(id: &str, version: Version, record: &GroupRecord, resource: Option<Bytes>) -> Put {
    let deleted = resource.is_none();
    let edges = record.members.iter().map(|id| Edge { name: INCLUDES, target: id.clone() }).collect();
    Put {
        kind: GROUP,
        id: id.to_owned(),
        version,
        partition: String::new(),
        order: 0,
        facts: Vec::new(),
        edges,
        body: Bytes::from(serde_json::to_vec(record).expect("a group is writable as JSON")),
        rendering: resource.unwrap_or_default(),
        deleted,
    }
}
