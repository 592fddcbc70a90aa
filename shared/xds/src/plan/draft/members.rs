//! What folders and the submission set hold.

use super::Draft;
use crate::finding::{Finding, Place, Rule};
use crate::plan::changeset::{Member, NewFolder};
use crate::plan::known::KnownFolder;
use crate::ties::{End, Holding, Tie, Tied};
use crate::types::{Association, AssociationType, Availability, EntryUuid, ObjectRef};

impl Draft<'_> {
    /// New folders and their documents, and the documents that registered folders gain.
    pub(in crate::plan) fn folders(&mut self) {
        let submission = self.submission;
        for folder in &submission.folders {
            let Some(id) = self.assigned.get(&folder.symbol).cloned() else { continue };
            let registered = folder.update.then(|| self.known.updated(folder)).flatten();
            if let Some(known) = registered {
                self.grows(folder.title.as_deref(), known.title.as_deref(), &folder.symbol);
                if known.availability == Availability::Deprecated {
                    let at = self.place(&folder.symbol).of("Folder.availabilityStatus");
                    self.refuse(
                        Rule::DeprecatedDocument,
                        at,
                        "this folder is superseded; nothing can be put into it",
                    );
                }
                if known.patient != self.patient && !self.patient.is_empty() {
                    let at = self.place(&folder.symbol).member("subject").of("Folder.patientId");
                    self.refuse(Rule::PatientIdDoesNotMatch, at, "this folder is about another patient");
                }
            }
            let end = registered.map_or_else(|| End::from(id.clone()), KnownFolder::end);
            let version = end.entry_uuid();
            let already: &[EntryUuid] = registered.map_or(&[], |known| &known.members);
            let members = self.documents_of(&ObjectRef::Symbol(folder.symbol.clone()), version, already);
            if folder.update {
                self.unlisted(&folder.symbol, already);
                for member in members {
                    self.extend(&id, member);
                }
            } else {
                let held = members.iter().map(|member| member.id(&id));
                self.holdings.extend(held.map(|association| Holding { association, tie: Tie::default() }));
                self.folders.push(NewFolder { id, folder: folder.clone(), members });
            }
        }
    }

    /// A folder only grows by a submission: its own metadata is changed by metadata update alone (TF-3 4.2.3.4).
    fn grows(&mut self, given: Option<&str>, registered: Option<&str>, symbol: &str) {
        if given.is_some() && given != registered {
            let at = self.place(symbol).member("title").of("Folder.title");
            let text = "a submission adds documents to a folder; its title stays as it is registered";
            self.findings.push(Finding::warning(Rule::NotSupported, at, text));
        }
    }

    /// A folder that is sent without documents it holds keeps them: a submission only adds.
    fn unlisted(&mut self, symbol: &str, already: &[EntryUuid]) {
        let submission = self.submission;
        let folder = ObjectRef::Symbol(symbol.to_owned());
        let of_folder = |a: &&Association| a.kind == AssociationType::HasMember && a.source == folder;
        let listed: Vec<&EntryUuid> = submission
            .associations
            .iter()
            .filter(of_folder)
            .filter_map(|association| self.known.document(&association.target).map(|known| &known.id))
            .collect();
        let unlisted = already.iter().filter(|id| !listed.contains(id)).count();
        if unlisted > 0 {
            let at = self.place(symbol).member("entry").of("Folder.HasMember");
            let text = format!(
                "{unlisted} of the documents in this folder are not listed; they stay in it: a submission only adds documents"
            );
            self.findings.push(Finding::warning(Rule::NotSupported, at, text));
        }
    }

    fn documents_of(&mut self, folder: &ObjectRef, version: &EntryUuid, already: &[EntryUuid]) -> Vec<Tied> {
        let submission = self.submission;
        let mut members: Vec<Tied> = Vec::new();
        let of_folder = |a: &&Association| a.kind == AssociationType::HasMember && a.source == *folder;
        for association in submission.associations.iter().filter(of_folder) {
            let target = match &association.target {
                ObjectRef::Symbol(symbol) => self.assigned.get(symbol).cloned().map(End::from),
                ObjectRef::Registered(_) | ObjectRef::Unique(_) => {
                    self.registered_member(association, already)
                }
            };
            if let Some(target) = target
                && !already.contains(&target.object)
                && members.iter().all(|member| member.target != target)
            {
                let tie = self.tie(association);
                let tied = Tied { target, reference: false, tie };
                if !association.symbol.is_empty() {
                    self.placed.insert(association.symbol.clone(), tied.id(version));
                }
                members.push(tied);
            }
        }
        members
    }

    fn registered_member(&mut self, association: &Association, already: &[EntryUuid]) -> Option<End> {
        let at = Place::at(association.at.as_str()).of("Folder.HasMember");
        let Some(document) = self.known.document(&association.target) else {
            self.unresolved(association);
            return None;
        };
        if already.contains(&document.id) {
            return None;
        }
        self.current(document, &at)?;
        if document.patient != self.patient && !self.patient.is_empty() {
            self.refuse(
                Rule::PatientIdDoesNotMatch,
                at,
                "a document of another patient cannot be put into this folder",
            );
            return None;
        }
        Some(document.end())
    }

    /// Documents for registered folders that the submission names by nothing but their entryUUID, as XDS does.
    pub(in crate::plan) fn grown_folders(&mut self) {
        let submission = self.submission;
        let mut sources: Vec<&ObjectRef> = Vec::new();
        for association in &submission.associations {
            let registered = matches!(association.source, ObjectRef::Registered(_) | ObjectRef::Unique(_));
            if association.kind == AssociationType::HasMember
                && registered
                && !sources.contains(&&association.source)
            {
                sources.push(&association.source);
                self.grown_folder(association);
            }
        }
    }

    /// The folder that an association begins at gains what every association from it names.
    fn grown_folder(&mut self, first: &Association) {
        let at = Place::at(first.at.as_str()).of("Association.sourceObject");
        let Some(known) = self.known.folder(&first.source) else {
            let text = "no folder with this entryUUID is registered; what a submission ties together begins at one of its \
                        own objects, or at a registered folder that gains documents";
            self.refuse(Rule::UnresolvedReference, at, text);
            return;
        };
        if known.availability == Availability::Deprecated {
            let text = format!("folder {} is superseded; nothing can be put into it", known.id.as_str());
            self.refuse(Rule::DeprecatedDocument, at, text);
            return;
        }
        if known.patient != self.patient && !self.patient.is_empty() {
            self.refuse(
                Rule::PatientIdDoesNotMatch,
                at.of("Folder.patientId"),
                "this folder is about another patient",
            );
            return;
        }
        for member in self.documents_of(&first.source, known.end().entry_uuid(), &known.members) {
            self.extend(&known.id, member);
        }
    }

    /// The members of the submission set. A registered document may be of another patient (TF-3 4.1.9.2: mother and child).
    pub(in crate::plan) fn submission_set(&mut self) {
        let submission = self.submission;
        let set = ObjectRef::Symbol(submission.submission_set.symbol.clone());
        let of_set = |a: &&Association| a.kind == AssociationType::HasMember && a.source == set;
        for association in submission.associations.iter().filter(of_set) {
            if let Some(member) = self.member(association)
                && self.members.iter().all(|known| known.tied().target != member.tied().target)
            {
                self.members.push(member);
            }
        }
    }

    fn member(&mut self, association: &Association) -> Option<Member> {
        if let ObjectRef::Symbol(symbol) = &association.target {
            if let Some(held) = self.placed.get(symbol).cloned() {
                // The source says itself that the set holds this membership of a folder.
                let tie = self.tie(association);
                for holding in self.holdings.iter_mut().filter(|holding| holding.association == held) {
                    holding.tie.clone_from(&tie);
                }
                return None;
            }
            let target = End::from(self.assigned.get(symbol)?.clone());
            let tie = self.tie(association);
            let tied = Tied { target, reference: false, tie };
            let is_folder = self.submission.folders.iter().any(|f| f.symbol == *symbol);
            return Some(if is_folder { Member::Folder(tied) } else { Member::Document(tied) });
        }
        let at = Place::at(association.at.as_str()).of("SubmissionSet.HasMember");
        if let Some(folder) = self.known.folder(&association.target) {
            if folder.patient != self.patient && !self.patient.is_empty() {
                self.refuse(Rule::PatientIdDoesNotMatch, at, "this folder is about another patient");
                return None;
            }
            let tie = self.tie(association);
            return Some(Member::Folder(Tied { target: folder.end(), reference: false, tie }));
        }
        let Some(document) = self.known.document(&association.target) else {
            self.unresolved(association);
            return None;
        };
        self.current(document, &at)?;
        let tie = self.tie(association);
        Some(Member::Document(Tied { target: document.end(), reference: true, tie }))
    }
}
