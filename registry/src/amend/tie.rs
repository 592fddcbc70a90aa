//! New associations between what is registered (TF-2 3.57.4.1.3.3.6).

use uuid::Uuid;
use xds::ties::{End, Holding, Relation, Tie, Tied, association_id};
use xds::{Association, AssociationType, Availability, EntryKind, EntryUuid, ObjectRef, Rule};

use super::{Decision, Failure};
use crate::records::FolderMember;
use crate::records::association::{self, Object};

impl Decision<'_> {
    pub(super) fn submit(&mut self, symbol: &str, at: &str) -> Result<(), Failure> {
        let submission = &self.asked.provided.submission;
        let Some(given) = submission.associations.iter().find(|association| association.symbol == *symbol)
        else {
            let text =
                "SubmitAssociation must lead from the submission set to an association of this request";
            self.refuse(Rule::UnresolvedReference, at, "Association.targetObject", text);
            return Ok(());
        };
        let Some(source) = self.end(&given.source, given, "Association.sourceObject")? else { return Ok(()) };
        let Some(target) = self.end(&given.target, given, "Association.targetObject")? else { return Ok(()) };
        if source.row().partition != target.row().partition {
            let text = "the two objects are about different patients";
            self.refuse(Rule::PatientIdDoesNotMatch, &given.at, "Association.targetObject", text);
            return Ok(());
        }
        if source.row().partition != self.patient {
            let text = "the objects are about another patient than the submission set";
            self.refuse(Rule::PatientIdDoesNotMatch, &given.at, "SubmissionSet.patientId", text);
            return Ok(());
        }
        let Object::Document(_, to) = &target else {
            self.refuse(
                Rule::MetadataUpdate,
                &given.at,
                "Association.targetObject",
                "an association of this kind ends at a document",
            );
            return Ok(());
        };
        let end = End::at(to.logical().clone(), to.id().clone());
        match (&source, given.kind) {
            (Object::Folder(_, from), AssociationType::HasMember) => {
                let tie = self.tie(given, from.id(), &end)?;
                let document = Tied { target: end, reference: false, tie };
                self.hold(document.id(from.id()));
                let by = self.set.clone();
                self.work.put_in(from.logical(), FolderMember { document, by })?;
            }
            (Object::Document(_, from), kind) if kind != AssociationType::HasMember => {
                if kind == AssociationType::IsSnapshotOf && to.entry.kind != EntryKind::OnDemand {
                    let text = "a snapshot is that of an on-demand entry, and the target is a stable one";
                    self.refuse(Rule::MetadataInvalid, &given.at, "Association.targetObject", text);
                    return Ok(());
                }
                let relation = Relation { kind, tie: self.tie(given, from.id(), &end)?, target: end };
                self.hold(relation.id(from.id()));
                self.work.relate(from.logical(), relation)?;
                if kind.replaces() {
                    self.replaced(to.logical())?;
                }
            }
            _ => {
                let text = "HasMember leads from a folder to a document, every other kind from a document to a document";
                self.refuse(Rule::MetadataUpdate, &given.at, "Association.sourceObject", text);
            }
        }
        Ok(())
    }

    /// A document that is replaced is Deprecated, with what transforms it or was appended to it.
    fn replaced(&mut self, logical: &EntryUuid) -> Result<(), Failure> {
        let mut next = vec![logical.clone()];
        let mut seen = next.clone();
        while let Some(document) = next.pop() {
            self.work.set_document(&document, Availability::Deprecated)?;
            for kind in [AssociationType::Transform, AssociationType::Append] {
                let sources =
                    self.amending.store.sources(crate::records::DOCUMENT, kind.edge(), document.as_str())?;
                for source in sources.iter().filter_map(|source| EntryUuid::parse(source)) {
                    if !seen.contains(&source) {
                        seen.push(source.clone());
                        next.push(source);
                    }
                }
            }
        }
        Ok(())
    }

    /// One end of it: a registered object in its newest version, Approved.
    fn end(
        &mut self,
        end: &ObjectRef,
        given: &Association,
        attribute: &'static str,
    ) -> Result<Option<Object>, Failure> {
        let object = match end {
            ObjectRef::Registered(id) => association::object(&self.amending.store, id)?,
            ObjectRef::Symbol(_) | ObjectRef::Unique(_) => None,
        };
        let Some(object) = object else {
            let text = "an association that is submitted by itself ties registered objects, by their entryUUIDs; this is none";
            self.refuse(Rule::UnresolvedReference, &given.at, attribute, text);
            return Ok(None);
        };
        let stands = match &object {
            Object::Document(_, record) => record.entry.availability == Availability::Approved,
            Object::Folder(_, record) => !record.deprecated,
            Object::Set(..) => {
                let text = "nothing can be tied to a submission set after it was submitted";
                self.refuse(Rule::MetadataUpdate, &given.at, attribute, text);
                return Ok(None);
            }
        };
        if !stands || object.is_past() {
            let text = "this object is Deprecated, or not the newest version; nothing new can be tied to it";
            self.refuse(Rule::DeprecatedDocument, &given.at, attribute, text);
            return Ok(None);
        }
        Ok(Some(object))
    }

    fn tie(&mut self, given: &Association, source: &EntryUuid, target: &End) -> Result<Tie, Failure> {
        let store = &self.amending.store;
        let mut id = given.entry_uuid.clone();
        if let Some(chosen) = &id
            && (association::is_taken(store, chosen)? || !self.chosen.insert(chosen.clone()))
        {
            let text = format!("the entryUUID {} is taken by a registered object", chosen.as_str());
            self.refuse(Rule::MetadataInvalid, &given.at, "Association.entryUUID", text);
        }
        // A second one of the same kind between the same two is an association of its own.
        let derived = association_id(given.kind, source, target.entry_uuid());
        if id.is_none() && association::holder(store, &derived)?.is_some() {
            id = Some(EntryUuid::from(Uuid::new_v4()));
        }
        Ok(Tie {
            id,
            deprecated: false,
            documentation: given.documentation.clone(),
            extra: given.extra.clone(),
        })
    }

    /// The submission set holds the association.
    fn hold(&mut self, association: EntryUuid) {
        self.holdings.push(Holding { association, tie: Tie::default() });
    }
}
