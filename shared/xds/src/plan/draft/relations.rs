//! Relations between documents, and what a replacement does.

use super::Draft;
use crate::finding::{Place, Rule};
use crate::plan::known::KnownDocument;
use crate::rules::append_to_a_transformation;
use crate::ties::{End, Holding, Relation, Tie, Tied};
use crate::types::{Association, AssociationType, Availability, EntryKind, EntryUuid, ObjectRef};

impl Draft<'_> {
    /// Relations, and what a replacement does to what it replaces (TF-2 3.42.4.1.3.6, TF-3 4.2.2.2).
    pub(in crate::plan) fn relations(&mut self) {
        let submission = self.submission;
        for association in submission.associations.iter().filter(|a| a.kind != AssociationType::HasMember) {
            let ObjectRef::Symbol(source) = &association.source else { continue };
            let target = match &association.target {
                ObjectRef::Symbol(symbol) => self.assigned.get(symbol).cloned().map(End::from),
                ObjectRef::Registered(_) | ObjectRef::Unique(_) => {
                    self.registered_target(association, source)
                }
            };
            if let Some(target) = target {
                let tie = self.tie(association);
                let relations = self.relations.entry(source.clone()).or_default();
                if !relations.iter().any(|known| known.kind == association.kind && known.target == target) {
                    relations.push(Relation { kind: association.kind, target, tie });
                }
            }
        }
    }

    fn registered_target(&mut self, association: &Association, source: &str) -> Option<End> {
        let at = Place::at(association.at.as_str()).of("Association.targetObject");
        let Some(target) = self.known.document(&association.target) else {
            self.unresolved(association);
            return None;
        };
        self.current(target, &at)?;
        if target.patient != self.patient && !self.patient.is_empty() {
            self.refuse(Rule::PatientIdDoesNotMatch, at, "the related document is about another patient");
            return None;
        }
        if association.kind == AssociationType::Append && target.is_transformation {
            self.findings.push(append_to_a_transformation(association));
            return None;
        }
        if association.kind == AssociationType::IsSnapshotOf && target.kind != EntryKind::OnDemand {
            let text = "a snapshot is that of an on-demand entry, and the target is a stable one";
            self.refuse(Rule::MetadataInvalid, at, text);
            return None;
        }
        if association.kind.replaces() {
            self.replace(target, source);
        }
        Some(target.end())
    }

    /// The old one, its transformations and what was appended to it become Deprecated; its folders get the new one, too.
    fn replace(&mut self, target: &KnownDocument, source: &str) {
        self.deprecated.insert(target.id.clone());
        self.deprecated.extend(target.children.iter().cloned());
        let Some(replacement) = self.assigned.get(source).cloned() else { return };
        for folder in &target.folders {
            let patient = self.known.folders.get(folder).map(|f| f.patient.as_str());
            if patient.is_some_and(|p| p != self.patient) {
                let at = self.place(source).of("Folder.patientId");
                self.refuse(
                    Rule::PatientIdDoesNotMatch,
                    at,
                    "a folder of the replaced document is about another patient",
                );
            }
            self.extend(folder, Tied::new(replacement.clone()));
        }
    }

    /// A registered folder gains a document, and the submission set holds that it does.
    pub(super) fn extend(&mut self, folder: &EntryUuid, tied: Tied) {
        let version =
            self.known.folders.get(folder).map_or(folder, |known| known.version.as_ref().unwrap_or(folder));
        let association = tied.id(version);
        let added = self.extended.entry(folder.clone()).or_default();
        if added.iter().all(|other| other.target != tied.target) {
            added.push(tied);
            self.holdings.push(Holding { association, tie: Tie::default() });
        }
    }

    pub(super) fn current(&mut self, document: &KnownDocument, at: &Place) -> Option<()> {
        match document.availability {
            Availability::Approved => Some(()),
            Availability::Deprecated => {
                let text =
                    format!("document {} is superseded; nothing new can be tied to it", document.id.as_str());
                self.refuse(Rule::DeprecatedDocument, at.clone(), text);
                None
            }
        }
    }

    pub(super) fn unresolved(&mut self, association: &Association) {
        let what = match &association.target {
            ObjectRef::Symbol(symbol) => symbol.clone(),
            ObjectRef::Registered(id) => id.as_str().to_owned(),
            ObjectRef::Unique(identifier) => identifier.value.clone(),
        };
        let at = Place::at(association.at.as_str()).of("Association.targetObject");
        self.refuse(Rule::UnresolvedReference, at, format!("{what} is not registered here"));
    }
}
