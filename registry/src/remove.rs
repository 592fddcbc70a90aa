//! Remove Metadata [ITI-62]: objects and associations leave the registry, all that are named or none. The bytes of documents
//! stay where they are until they are removed there [ITI-86].

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use access::Grant;
use actor::{Audited, Clock, Fault, Subject, Trail, Transaction};
use audit::Action;
use bytes::Bytes;
use store::{Batch, Instant, Kind, Put, Row, Store};
use xds::{EntryUuid, Finding, Findings, Place, Rule};

use crate::amend::work::entity;
use crate::gate::Gates;
use crate::records::association::{self, Association, Object};
use crate::records::{
    DOCUMENT, DOCUMENT_PAST, LIST, LIST_PAST, document_past, document_put, folder_past, folder_put,
    set_version,
};

/// Lost races before a caller is asked to come again.
const TRIES: usize = 20;

/// Objects and associations one request removes.
const MOST: usize = 10_000;

/// The use case.
#[derive(Clone)]
pub(crate) struct Remove {
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) gates: Arc<Gates>,
}

/// It was done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Removed;

type Failure = Fault<Findings>;

impl Transaction for Remove {
    type Request = Vec<EntryUuid>;
    type Response = Removed;
    type Findings = Findings;
    const NUMBER: &'static str = "ITI-62";
    const ACTION: Action = Action::Delete;

    async fn run(
        &self,
        _: Grant<Self>,
        mut trail: Trail,
        ids: Vec<EntryUuid>,
    ) -> Result<Audited<Removed>, Failure> {
        if ids.is_empty() || ids.len() > MOST {
            let text = format!("the request names {} objects; 1 to {MOST} are accepted", ids.len());
            return Err(refused(vec![finding(Rule::InvalidRequest, text)]));
        }
        for _ in 0..TRIES {
            let patients = self.concerned(&ids)?;
            let _passes = self.gates.all_alone(patients.iter().map(String::as_str)).await;
            if self.concerned(&ids)? != patients {
                continue;
            }
            let now = self.clock.now();
            let puts = self.decide(&ids, now)?;
            let entities: Vec<String> = puts.iter().filter_map(entity).collect();
            let mut subjects = patients.into_iter().map(|patient| Subject {
                patient: Some(patient),
                entities: entities.clone(),
                query: None,
            });
            let subject = subjects.next().unwrap_or_default();
            trail = trail.also(subjects.collect());
            let batch = Batch { instant: now, puts, ..Batch::default() };
            match trail.commit(&self.store, batch, subject, |_| Removed).await {
                Ok(audited) => return Ok(audited),
                Err((back, store::Error::Lost(_))) => trail = *back,
                Err((_, error)) => return Err(error.into()),
            }
        }
        Err(Fault::Busy(Duration::from_secs(1)))
    }
}

/// What a request names.
struct Named {
    objects: HashMap<EntryUuid, Object>,
    associations: HashMap<EntryUuid, Association>,
}

impl Named {
    fn has(&self, id: &EntryUuid) -> bool {
        self.objects.contains_key(id) || self.associations.contains_key(id)
    }
}

impl Remove {
    fn concerned(&self, ids: &[EntryUuid]) -> Result<BTreeSet<String>, store::Error> {
        let mut patients = BTreeSet::new();
        for id in ids {
            let object = association::object(&self.store, id)?;
            let object = match object {
                Some(object) => Some(object),
                None => association::holder(&self.store, id)?,
            };
            patients.extend(object.map(|object| object.row().partition.clone()));
        }
        Ok(patients)
    }

    fn decide(&self, ids: &[EntryUuid], now: Instant) -> Result<Vec<Put>, Failure> {
        let named = self.named(ids)?;
        let mut findings = Findings::new();
        for id in named.objects.keys().chain(named.associations.keys()) {
            for other in association::touching(&self.store, std::slice::from_ref(id))? {
                if !named.has(&other.id) {
                    let text = format!(
                        "urn:uuid:{} is still tied by the association urn:uuid:{} (from urn:uuid:{} to urn:uuid:{}), which the request \
                         does not name. Nothing was removed",
                        id.as_str(),
                        other.id.as_str(),
                        other.source.as_str(),
                        other.target.as_str()
                    );
                    findings.push(finding(Rule::ReferencesExist, text));
                }
            }
        }
        if findings.is_empty() {
            self.nothing_alone(&named, &mut findings)?;
        }
        if !findings.is_empty() {
            return Err(refused(findings));
        }
        Ok(self.puts(&named, now)?)
    }

    fn named(&self, ids: &[EntryUuid]) -> Result<Named, Failure> {
        let mut named = Named { objects: HashMap::new(), associations: HashMap::new() };
        let mut findings = Findings::new();
        for id in ids {
            if let Some(object) = association::object(&self.store, id)? {
                named.objects.insert(id.clone(), object);
            } else if let Some(association) = association::by_id(&self.store, id)? {
                named.associations.insert(id.clone(), association);
            } else {
                let text = format!("urn:uuid:{} is not registered here. Nothing was removed", id.as_str());
                findings.push(finding(Rule::UnresolvedReference, text));
            }
        }
        if findings.is_empty() { Ok(named) } else { Err(refused(findings)) }
    }

    /// What stays has at least one association, as every object of the framework has.
    fn nothing_alone(&self, named: &Named, findings: &mut Findings) -> Result<(), store::Error> {
        let mut seen = HashSet::new();
        for end in named.associations.values().flat_map(|one| [&one.source, &one.target]) {
            if named.has(end) || !seen.insert(end) || association::object(&self.store, end)?.is_none() {
                continue;
            }
            let touching = association::touching(&self.store, std::slice::from_ref(end))?;
            if touching.iter().all(|other| named.has(&other.id)) {
                let text = format!(
                    "the request leaves urn:uuid:{} without any association; name it, too, or leave one of them. Nothing was removed",
                    end.as_str()
                );
                findings.push(finding(Rule::Unreferenced, text));
            }
        }
        Ok(())
    }

    /// Objects that are no more, and those that lose associations.
    fn puts(&self, named: &Named, now: Instant) -> Result<Vec<Put>, store::Error> {
        let mut puts: Vec<Put> = named.objects.values().map(gone).collect();
        let mut losing: HashMap<EntryUuid, Object> = HashMap::new();
        for id in named.associations.keys() {
            if let Some(holder) = association::holder(&self.store, id)?
                && let Some(source) = holder.id().cloned()
                && !named.objects.contains_key(&source)
            {
                losing.insert(source, holder);
            }
        }
        puts.extend(losing.into_values().map(|holder| without(holder, named, now)));
        Ok(puts)
    }
}

/// The version that says that an object is no more.
fn gone(object: &Object) -> Put {
    let row = object.row();
    Put {
        kind: kind(object),
        id: row.id.clone(),
        version: row.version + 1,
        partition: row.partition.clone(),
        order: row.order,
        facts: Vec::new(),
        edges: Vec::new(),
        body: row.body.clone(),
        rendering: Bytes::new(),
        deleted: true,
    }
}

fn kind(object: &Object) -> Kind {
    match object {
        Object::Document(..) if object.is_past() => DOCUMENT_PAST,
        Object::Document(..) => DOCUMENT,
        Object::Folder(..) if object.is_past() => LIST_PAST,
        Object::Folder(..) | Object::Set(..) => LIST,
    }
}

/// The next version of what an association was kept with, without those that are removed.
fn without(holder: Object, named: &Named, now: Instant) -> Put {
    let stays = |id: EntryUuid| !named.associations.contains_key(&id);
    let text = |row: &Row| String::from_utf8(row.rendering.to_vec()).ok();
    let is_current = matches!(kind(&holder), DOCUMENT | LIST);
    match holder {
        Object::Document(row, mut record) => {
            let source = record.id().clone();
            record.relations.retain(|relation| stays(relation.id(&source)));
            if !is_current {
                return Put { version: row.version + 1, ..document_past(&row.partition, row.order, *record) };
            }
            record.entry.carried.fhir = text(&row);
            let logical = record.logical().clone();
            document_put(&row.partition, &logical, row.version + 1, now, *record)
        }
        Object::Folder(row, mut record) => {
            let source = record.id().clone();
            record.members.retain(|member| stays(member.document.id(&source)));
            if !is_current {
                return Put { version: row.version + 1, ..folder_past(&row.partition, row.order, *record) };
            }
            record.folder.carried.fhir = text(&row);
            let logical = record.logical().clone();
            folder_put(&row.partition, &logical, row.version + 1, now, *record)
        }
        Object::Set(row, mut record) => {
            let id = record.set.entry_uuid.clone().expect("a registered set has its entryUUID");
            record.documents.retain(|tied| stays(tied.id(&id)));
            record.folders.retain(|tied| stays(tied.id(&id)));
            record.holdings.retain(|holding| stays(holding.id(&id)));
            record.set.carried.fhir = text(&row);
            let documents = record
                .documents
                .iter()
                .map(|tied| format!("DocumentReference/{}", tied.target.object.as_str()));
            let folders = record.folders.iter().map(|tied| format!("List/{}", tied.target.object.as_str()));
            let references: Vec<String> = documents.chain(folders).collect();
            set_version(&row.partition, &id, row.version + 1, now, *record, &references)
        }
    }
}

fn finding(rule: Rule, text: String) -> Finding {
    Finding::error(rule, Place::at("RemoveObjectsRequest/ObjectRefList").of("ObjectRef.id"), text)
}

fn refused(mut findings: Findings) -> Failure {
    xds::finding::sort(&mut findings);
    Fault::Refused(findings)
}
