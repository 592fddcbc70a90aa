//! A changeset, as one batch: everything it writes, and the answer that goes with it.

use std::collections::HashMap;

use actor::Subject;
use bytes::Bytes;
use fhir::iti65::{EntryReceipt, Provided, Role};
use store::{Batch, Claim, Instant, Put, Row};
use xds::plan::{Changeset, ExtendedFolder};
use xds::ties::VersionOf;
use xds::{Availability, Carried, EntryUuid, Finding};

use super::Said;
use super::known::Loaded;
use super::patches;
use crate::face::time::instant_text;
use crate::records::{
    Committed, DocumentRecord, FolderMember, FolderRecord, SubmissionRecord, document_put, folder_put,
    set_put, submission_put,
};

/// What is about to be committed.
pub(super) struct Decided {
    pub(super) batch: Batch,
    pub(super) subject: Subject,
    pub(super) answer: Bytes,
}

pub(super) fn batch(
    provided: &Provided,
    changes: Changeset,
    mut loaded: Loaded,
    said: (&Said, u64),
    before: Option<(Row, SubmissionRecord)>,
    now: Instant,
) -> Decided {
    let patient = changes.patient.clone();
    let urls = changes.documents.iter().map(|document| document.entry.url.clone()).collect();
    let mut puts = Vec::with_capacity(changes.documents.len() + 2);
    let patched = patches::targets(provided, &changes, &loaded);
    let mut receipts =
        Receipts { provided, warnings: &changes.warnings, now, written: HashMap::new(), patched };
    let claims = changes
        .claims
        .iter()
        .map(|claim| Claim { name: claim.name.clone(), value: claim.holder.to_bytes() })
        .collect();
    let set_id = changes.submission_set.id.clone();
    let references = references(provided, &changes);
    for mut document in changes.documents {
        resolve(&mut document.entry.carried, &references);
        for related in &mut document.entry.related {
            if let Some((_, reference)) = references.iter().find(|(symbol, _)| symbol == related) {
                related.clone_from(reference);
            }
        }
        receipts.written.insert(document.id.clone(), ("DocumentReference", 1));
        let record = DocumentRecord {
            entry: document.entry,
            relations: document.relations,
            submission_set: set_id.clone(),
            version: VersionOf::default(),
            moves: 0,
        };
        puts.push(document_put(&patient, &document.id, 1, now, record));
    }
    let mut set = changes.submission_set;
    resolve(&mut set.set.carried, &references);
    receipts.written.insert(set.id.clone(), ("List", 1));
    puts.push(set_put(&patient, &set.id, now, set.set, &set.members, set.holdings));
    for mut folder in changes.folders {
        resolve(&mut folder.folder.carried, &references);
        receipts.written.insert(folder.id.clone(), ("List", 1));
        let members = folder
            .members
            .into_iter()
            .map(|document| FolderMember { document, by: set_id.clone() })
            .collect();
        puts.push(folder_put(&patient, &folder.id, 1, now, FolderRecord::new(folder.folder, members)));
    }
    for id in &changes.deprecated {
        if let Some((row, record)) = loaded.documents.remove(id) {
            receipts.written.insert(id.clone(), ("DocumentReference", row.version + 1));
            puts.push(deprecated(id, &row, record, now));
        }
    }
    for folder in &changes.extended {
        if let Some((row, record)) = loaded.folders.remove(&folder.id) {
            receipts.written.insert(folder.id.clone(), ("List", row.version + 1));
            puts.push(extended(folder, &row, record, &set_id, now));
        }
    }
    // A folder that was named and gained nothing stands as it is.
    for (id, (row, _)) in &loaded.folders {
        receipts.written.entry(id.clone()).or_insert(("List", row.version));
    }
    let entries = receipts.all(&changes.assigned);
    let answer = Bytes::from(fhir::iti65::write_response(&entries));
    let entities = puts.iter().map(|put: &Put| entity(put)).collect();
    puts.push(submission(said, before, &patient, urls, answer.clone()));
    let batch = Batch { instant: now, claims, puts, ..Batch::default() };
    Decided { batch, subject: Subject { patient: Some(patient), entities, query: None }, answer }
}

/// What the symbols of the submission became: whatever else a source says about its own entries is kept true.
fn references(provided: &Provided, changes: &Changeset) -> Vec<(String, String)> {
    let is_document = |symbol: &str| provided.submission.documents.iter().any(|d| d.symbol == symbol);
    let objects = changes.assigned.iter().map(|(symbol, id)| {
        let kind = if is_document(symbol) { "DocumentReference" } else { "List" };
        (symbol.clone(), format!("{kind}/{}", id.as_str()))
    });
    let patient =
        provided.patient.as_ref().map(|(url, _)| url.clone()).zip(provided.patient().reference.clone());
    objects.chain(patient).collect()
}

fn resolve(carried: &mut Carried, references: &[(String, String)]) {
    if let Some(resource) = &mut carried.fhir {
        *resource = fhir::iti65::resolve(resource, references);
    }
}

fn entity(put: &Put) -> String {
    let what = if put.kind == crate::records::DOCUMENT { "DocumentReference" } else { "List" };
    format!("{what}/{}", put.id)
}

/// What the source sent is in the rendering of the version before.
fn text(row: &Row) -> Option<String> {
    String::from_utf8(row.rendering.to_vec()).ok()
}

fn deprecated(id: &EntryUuid, row: &Row, mut record: DocumentRecord, now: Instant) -> Put {
    record.entry.availability = Availability::Deprecated;
    record.entry.carried.fhir = text(row);
    document_put(&row.partition, id, row.version + 1, now, record)
}

fn extended(
    grown: &ExtendedFolder,
    row: &Row,
    mut record: FolderRecord,
    by: &EntryUuid,
    now: Instant,
) -> Put {
    record.folder.carried.fhir = text(row);
    let added = grown.added.iter();
    record.members.extend(added.map(|document| FolderMember { document: document.clone(), by: by.clone() }));
    folder_put(&row.partition, &grown.id, row.version + 1, now, record)
}

fn submission(
    (said, attempt): (&Said, u64),
    before: Option<(Row, SubmissionRecord)>,
    patient: &str,
    urls: Vec<String>,
    answer: Bytes,
) -> Put {
    let (version, fence) = before.map_or((0, 0), |(row, record)| (row.version, record.fence));
    let committed = Committed { attempt, digest: said.digest.clone(), patient: patient.to_owned(), urls };
    submission_put(&said.key, version + 1, &SubmissionRecord { fence, committed: Some(committed) }, answer)
}

/// What became of each entry of the request.
struct Receipts<'a> {
    provided: &'a Provided,
    warnings: &'a [Finding],
    now: Instant,
    written: HashMap<EntryUuid, (&'static str, u64)>,
    patched: patches::Targets,
}

impl Receipts<'_> {
    fn all(&self, assigned: &std::collections::BTreeMap<String, EntryUuid>) -> Vec<EntryReceipt> {
        let roles = self.provided.roles.iter().enumerate();
        roles
            .map(|(index, role)| match role {
                Role::Object(symbol) => self.object(index, symbol, assigned.get(symbol)),
                Role::Patch(reference) => self.patched(index, reference),
                Role::Patient => self.receipt(index, "200 OK", self.patient(), None),
                // Bytes do not come in by this door; a face that let them through gets no location for them.
                Role::Binary(_) | Role::FhirDocument(_, _) => {
                    self.receipt(index, "200 OK", String::new(), None)
                }
            })
            .collect()
    }

    fn patient(&self) -> String {
        self.provided.patient().reference.clone().unwrap_or_default()
    }

    fn object(&self, index: usize, symbol: &str, id: Option<&EntryUuid>) -> EntryReceipt {
        let id = id.expect("every symbol has been assigned");
        let (kind, version) = self.written.get(id).copied().expect("every object has been written");
        let update = self.provided.submission.folders.iter().any(|f| f.update && f.symbol == symbol);
        let status = if update { "200 OK" } else { "201 Created" };
        self.receipt(index, status, format!("{kind}/{}/_history/{version}", id.as_str()), Some(version))
    }

    /// The status change that accompanies a replacement: it is what the replacement did.
    fn patched(&self, index: usize, reference: &str) -> EntryReceipt {
        match self.patched.get(reference).and_then(|id| self.written.get(id).map(|w| (id, w.1))) {
            Some((id, version)) => {
                let location = format!("DocumentReference/{}/_history/{version}", id.as_str());
                self.receipt(index, "200 OK", location, Some(version))
            }
            None => self.receipt(index, "200 OK", reference.to_owned(), None),
        }
    }

    fn receipt(&self, index: usize, status: &str, location: String, version: Option<u64>) -> EntryReceipt {
        let prefix = format!("Bundle.entry[{index}]");
        let of_this = |finding: &&Finding| {
            finding.at.path.strip_prefix(&prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let own = self.provided.warnings.iter().chain(self.warnings).filter(of_this);
        EntryReceipt {
            status: status.to_owned(),
            location,
            etag: version.map(|version| format!("W/\"{version}\"")),
            last_modified: version.map(|_| instant_text(self.now)),
            warnings: own.cloned().collect(),
        }
    }
}
