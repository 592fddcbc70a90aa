//! Document entries.

use bytes::Bytes;
use fhir::document_reference::{Relation, Stamp};
use serde::{Deserialize, Serialize};
use store::{Instant, Put, Row, Store, Version};
use xds::ties::VersionOf;
use xds::{AssociationType, Availability, DocumentEntry, EntryUuid};

use super::{ASSOCIATION, DOCUMENT, DOCUMENT_PAST, VERSION_OF, edges, facts, is_zero, unreadable};

/// A version of a document entry as it is kept. What its source sent is in the rendering, not here a second time. The
/// entryUUID of the metadata is the logicalID, whatever the version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DocumentRecord {
    /// The metadata.
    pub(crate) entry: DocumentEntry,
    /// Its relations to other documents.
    pub(crate) relations: Vec<xds::ties::Relation>,
    /// The submission set it came with.
    pub(crate) submission_set: EntryUuid,
    /// Which version this is.
    #[serde(default, skip_serializing_if = "VersionOf::is_first")]
    pub(crate) version: VersionOf,
    /// How many versions of the record were made by moving it to another patient.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) moves: Version,
}

impl DocumentRecord {
    /// logicalID.
    pub(crate) fn logical(&self) -> &EntryUuid {
        self.entry.entry_uuid.as_ref().expect("a registered document has its logicalID")
    }
    /// entryUUID of this version.
    pub(crate) fn id(&self) -> &EntryUuid {
        self.version.id(self.logical())
    }
    /// Its relations as FHIR shows them: Approved ones to documents, each once, whatever their versions.
    pub(crate) fn shown_relations(&self) -> Vec<(AssociationType, EntryUuid)> {
        let mut shown = Vec::with_capacity(self.relations.len());
        for relation in self.relations.iter().filter(|relation| !relation.tie.deprecated) {
            // FHIR has no word for a snapshot; MHD calls it a transformation, which is near.
            let kind = match relation.kind {
                AssociationType::IsSnapshotOf => AssociationType::Transform,
                kind => kind,
            };
            let pair = (kind, relation.target.object.clone());
            if !codes(kind).is_empty() && !shown.contains(&pair) {
                shown.push(pair);
            }
        }
        shown
    }
}

/// A registered document entry, with its row.
pub(crate) fn document_row(store: &Store, id: &str) -> Result<Option<(Row, DocumentRecord)>, store::Error> {
    let Some(row) = store.get(DOCUMENT, id)?.filter(|row| !row.deleted) else { return Ok(None) };
    let record = serde_json::from_slice(&row.body).map_err(|e| unreadable(DOCUMENT, id, &e))?;
    Ok(Some((row, record)))
}

/// A version of a document entry. `record.entry` carries what its source sent: from the submission, or out of the rendering
/// of the version before.
pub(crate) fn document_put(
    patient: &str,
    id: &EntryUuid,
    version: Version,
    now: Instant,
    mut record: DocumentRecord,
) -> Put {
    record.entry.entry_uuid = Some(id.clone());
    let entry = &record.entry;
    let rendering = fhir::document_reference::write(
        entry,
        Stamp { version, updated: now },
        &relations(&record.shown_relations()),
    );
    let order = entry.date.as_ref().or(entry.creation_time.as_ref()).map_or(now, |time| time.from);
    let facts = facts(of_version(entry, id, &record.version));
    let edges = edges(ends(&record));
    // The rendering has it.
    record.entry.carried.fhir = None;
    let body = serde_json::to_vec(&record).expect("a document entry is writable as JSON");
    Put {
        kind: DOCUMENT,
        id: id.as_str().to_owned(),
        version,
        partition: patient.to_owned(),
        order,
        facts,
        edges,
        body: Bytes::from(body),
        rendering: Bytes::from(rendering),
        deleted: false,
    }
}

/// A version of a document entry that another one has taken the place of: found by stored queries alone.
pub(crate) fn document_past(patient: &str, order: i64, mut record: DocumentRecord) -> Put {
    record.entry.availability = Availability::Deprecated;
    record.entry.carried.fhir = None;
    let logical = record.logical().clone();
    let id = record.id().clone();
    let mut ends = ends(&record);
    ends.push((VERSION_OF, logical.as_str().to_owned()));
    Put {
        kind: DOCUMENT_PAST,
        id: id.as_str().to_owned(),
        version: 1,
        partition: patient.to_owned(),
        order,
        facts: facts(of_version(&record.entry, &id, &VersionOf::default())),
        edges: edges(ends),
        body: Bytes::from(serde_json::to_vec(&record).expect("a document entry is writable as JSON")),
        rendering: Bytes::new(),
        deleted: false,
    }
}

/// What a version can be found by: also by its own entryUUID, where that is not the logicalID.
fn of_version(entry: &DocumentEntry, id: &EntryUuid, version: &VersionOf) -> Vec<xds::attribute::Fact> {
    let mut facts = xds::attribute::of_document(entry, id);
    facts.extend(version.entry_uuid.as_ref().map(xds::attribute::of_entry_uuid));
    facts
}

/// What its relations point to, and the associations they are.
fn ends(record: &DocumentRecord) -> Vec<(&'static str, String)> {
    let mut ends = Vec::with_capacity(record.relations.len() * 2 + 1);
    for relation in &record.relations {
        ends.push((relation.kind.edge(), relation.target.object.as_str().to_owned()));
        ends.push((ASSOCIATION, relation.id(record.id()).as_str().to_owned()));
    }
    ends
}

/// Relations as FHIR says them: what transforms and replaces at once is said with both words (MHD 2:3.65.4.1.2).
fn relations(relations: &[(AssociationType, EntryUuid)]) -> Vec<Relation> {
    relations
        .iter()
        .flat_map(|(kind, target)| {
            codes(*kind).iter().map(|code| Relation { code, target: target.as_str().to_owned() })
        })
        .collect()
}

fn codes(kind: AssociationType) -> &'static [&'static str] {
    match kind {
        AssociationType::HasMember | AssociationType::IsSnapshotOf => &[],
        AssociationType::Replace => &["replaces"],
        AssociationType::Transform => &["transforms"],
        AssociationType::TransformReplace => &["replaces", "transforms"],
        AssociationType::Append => &["appends"],
        AssociationType::Signs => &["signs"],
    }
}
