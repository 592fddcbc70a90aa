//! The plan while it is made: one step for each group of rules, every broken one collected.

mod members;
mod relations;
mod unique_ids;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use uuid::Uuid;

use super::changeset::{
    Changeset, ExtendedFolder, Member, NewDocument, NewFolder, NewSubmissionSet, UniqueIdClaim,
};
use super::known::{Known, PatientState};
use crate::finding::{Finding, Findings, Place, Rule};
use crate::ties::{Holding, Relation, Tie, Tied};
use crate::types::{Association, Availability, DocumentEntry, EntryUuid, Patient, Submission};

pub(super) struct Draft<'a> {
    submission: &'a Submission,
    known: &'a Known,
    findings: Findings,
    patient: String,
    assigned: BTreeMap<String, EntryUuid>,
    relations: HashMap<String, Vec<Relation>>,
    deprecated: BTreeSet<EntryUuid>,
    extended: BTreeMap<EntryUuid, Vec<Tied>>,
    members: Vec<Member>,
    holdings: Vec<Holding>,
    /// Memberships of folders, by the symbol of the association: its entryUUID.
    placed: HashMap<String, EntryUuid>,
    folders: Vec<NewFolder>,
    claims: Vec<UniqueIdClaim>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(submission: &'a Submission, known: &'a Known) -> Draft<'a> {
        Draft {
            submission,
            known,
            findings: Findings::new(),
            patient: String::new(),
            assigned: BTreeMap::new(),
            relations: HashMap::new(),
            deprecated: BTreeSet::new(),
            extended: BTreeMap::new(),
            members: Vec::new(),
            holdings: Vec::new(),
            placed: HashMap::new(),
            folders: Vec::new(),
            claims: Vec::new(),
        }
    }

    fn refuse(&mut self, rule: Rule, at: Place, text: impl Into<String>) {
        self.findings.push(Finding::error(rule, at, text));
    }

    fn place(&self, symbol: &str) -> Place {
        Place::at(self.submission.place(symbol))
    }

    /// One active patient for everything; an object that names none is about the same one (TF-2 3.42.4.1.3.3).
    pub(super) fn patients(&mut self) {
        let submission = self.submission;
        let set = (&submission.submission_set.symbol, &submission.submission_set.patient);
        let documents = submission.documents.iter().map(|d| (&d.symbol, &d.patient));
        let folders = submission.folders.iter().map(|f| (&f.symbol, &f.patient));
        let named: Vec<(&String, &Patient)> =
            std::iter::once(set).chain(documents).chain(folders).filter(|(_, p)| p.is_named()).collect();
        let Some((first, patient)) = named.first() else {
            let at = self.place(set.0).member("subject").of("SubmissionSet.patientId");
            self.refuse(Rule::MetadataRequired, at, "no patient is named (subject, patientId)");
            return;
        };
        let at = self.place(first).member("subject").of("patientId");
        match self.known.patient(patient) {
            PatientState::Active(id) => self.patient.clone_from(id),
            PatientState::Inactive => {
                self.refuse(
                    Rule::UnknownPatient,
                    at,
                    "this patient is no longer active here; ask the identity source who took its place",
                );
            }
            PatientState::Unknown => {
                self.refuse(
                    Rule::UnknownPatient,
                    at,
                    "this patient is not known here; feed it to the identity source first",
                );
            }
        }
        for (symbol, other) in &named[1..] {
            if self.known.patient(other) != self.known.patient(patient) {
                let at = self.place(symbol).member("subject").of("patientId");
                self.refuse(
                    Rule::PatientIdDoesNotMatch,
                    at,
                    "this is about another patient than the submission set; all objects of a submission have one patient",
                );
            }
        }
    }

    /// Ids: those the source chose are kept for good, symbols get new ones (TF-2 3.42.4.1.3.7).
    pub(super) fn assign(&mut self, ids: &mut dyn Iterator<Item = Uuid>) {
        let submission = self.submission;
        let set = (&submission.submission_set.symbol, &submission.submission_set.entry_uuid);
        let documents = submission.documents.iter().map(|d| (&d.symbol, &d.entry_uuid));
        let folders = submission.folders.iter().filter(|f| !f.update).map(|f| (&f.symbol, &f.entry_uuid));
        for (symbol, chosen) in std::iter::once(set).chain(documents).chain(folders) {
            let id = match chosen {
                Some(id) => {
                    if self.known.taken.contains(id) {
                        let at = self.place(symbol).member("identifier").of("entryUUID");
                        self.refuse(
                            Rule::MetadataInvalid,
                            at,
                            format!("the entryUUID {} is taken by a registered object", id.as_str()),
                        );
                    }
                    id.clone()
                }
                None => EntryUuid::from(ids.next().expect("the ids of a plan do not end")),
            };
            self.assigned.insert(symbol.clone(), id);
        }
        for folder in submission.folders.iter().filter(|f| f.update) {
            match self.known.updated(folder) {
                Some(known) => {
                    self.assigned.insert(folder.symbol.clone(), known.id.clone());
                }
                None => {
                    let at = self.place(&folder.symbol);
                    self.refuse(
                        Rule::UnresolvedReference,
                        at,
                        "no folder with this entryUUID or uniqueId is registered",
                    );
                }
            }
        }
    }

    /// What an association says of itself; an entryUUID its source chose must be free.
    fn tie(&mut self, association: &Association) -> Tie {
        if let Some(id) = association.entry_uuid.as_ref().filter(|id| self.known.taken.contains(id)) {
            let at = Place::at(association.at.as_str()).of("Association.entryUUID");
            let text = format!("the entryUUID {} is taken by a registered object", id.as_str());
            self.refuse(Rule::MetadataInvalid, at, text);
        }
        Tie {
            id: association.entry_uuid.clone(),
            deprecated: false,
            documentation: association.documentation.clone(),
            extra: association.extra.clone(),
        }
    }

    pub(super) fn finish(mut self) -> (Changeset, Findings) {
        let submission = self.submission;
        let id_of =
            |symbol: &str| self.assigned.get(symbol).cloned().expect("every symbol has been assigned");
        let documents = submission
            .documents
            .iter()
            .map(|entry| NewDocument {
                id: id_of(&entry.symbol),
                entry: DocumentEntry { availability: Availability::Approved, ..entry.clone() },
                relations: self.relations.remove(&entry.symbol).unwrap_or_default(),
            })
            .collect();
        let set = &submission.submission_set;
        let changeset = Changeset {
            patient: self.patient,
            submission_set: NewSubmissionSet {
                id: id_of(&set.symbol),
                set: set.clone(),
                members: self.members,
                holdings: self.holdings,
            },
            documents,
            folders: self.folders,
            deprecated: self.deprecated.into_iter().collect(),
            extended: self
                .extended
                .into_iter()
                .map(|(id, added)| ExtendedFolder { id, added })
                .filter(|f| !f.added.is_empty())
                .collect(),
            claims: self.claims,
            assigned: self.assigned,
            warnings: Findings::new(),
        };
        (changeset, self.findings)
    }
}
