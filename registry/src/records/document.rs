//! Document entries.

use bytes::Bytes;
use fhir::document_reference::{Relation, Stamp};
use serde::{Deserialize, Serialize};
use store::{Edge, Instant, Put, Row, Store, Version};
use xds::{AssociationType, Carried, DocumentEntry, EntryUuid};

use super::{DOCUMENT, facts, unreadable};

/// A document entry as it is kept. What its source sent is in the rendering, not here a second time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct DocumentRecord {
    /// The metadata.
    pub(crate) entry: DocumentEntry,
    /// Its relations to other documents.
    pub(crate) relations: Vec<(AssociationType, EntryUuid)>,
    /// The submission set it came with.
    pub(crate) submission_set: EntryUuid,
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
        &relations(&record.relations),
    );
    let order = entry.date.as_ref().or(entry.creation_time.as_ref()).map_or(now, |time| time.from);
    let facts = facts(xds::attribute::of_document(entry, id));
    let edges = record
        .relations
        .iter()
        .map(|(kind, target)| Edge { name: kind.edge(), target: target.as_str().to_owned() })
        .collect();
    record.entry.carried = Carried::default();
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
