//! Another availabilityStatus for a document entry, a folder or an association (TF-2 3.57.4.1.3.3.2, .4, .5).

use xds::{Availability, EntryUuid, Rule};

use super::{Decision, Failure, logical_of};
use crate::records::association::{self, Object};
use crate::update::replaced_by;

impl Decision<'_> {
    pub(super) fn status(
        &mut self,
        target: &EntryUuid,
        (original, new): (Option<Availability>, Option<Availability>),
        at: &str,
    ) -> Result<(), Failure> {
        let (Some(original), Some(new)) = (original, new) else {
            let text = "UpdateAvailabilityStatus needs the slots OriginalStatus and NewStatus, each \
                        urn:oasis:names:tc:ebxml-regrep:StatusType:Approved or …:Deprecated. Nothing was changed";
            self.refuse(Rule::MetadataUpdate, at, "availabilityStatus", text);
            return Ok(());
        };
        let store = &self.amending.store;
        match association::object(store, target)? {
            Some(object) => self.status_of(&object, (original, new), at),
            None => self.status_of_association(target, (original, new), at),
        }
    }

    fn status_of(
        &mut self,
        object: &Object,
        (original, new): (Availability, Availability),
        at: &str,
    ) -> Result<(), Failure> {
        let Some(logical) = logical_of(object) else {
            let text = "a submission set records a submission as it was made, and is always Approved; nothing was changed";
            self.refuse(Rule::MetadataUpdate, at, "SubmissionSet.availabilityStatus", text);
            return Ok(());
        };
        let logical = logical.clone();
        if object.is_past() {
            let text = "this is not the newest version; the status of a version that another one has taken the place of stays \
                        Deprecated. Nothing was changed";
            self.refuse(Rule::MetadataUpdate, at, "Association.targetObject", text);
            return Ok(());
        }
        // The work knows what the triggers before this one have made of it.
        let is_document = matches!(object, Object::Document(..));
        let stands = if is_document {
            self.work.document(&logical)?.map(|doc| doc.record.entry.availability)
        } else {
            self.work.folder(&logical)?.map(|fold| fold.record.availability())
        };
        if stands != Some(original) {
            self.not_so(original, at);
            return Ok(());
        }
        if !is_document {
            return Ok(self.work.set_folder(&logical, new)?);
        }
        if new == Availability::Approved
            && let Some(other) = replaced_by(&self.amending.store, logical.as_str())?
                .into_iter()
                .find(|other| other.availability == Availability::Approved)
        {
            let text = format!(
                "the document stays Deprecated: urn:uuid:{} replaces it and is Approved. Deprecate that one first; nothing was changed",
                other.id.as_str()
            );
            self.refuse(Rule::MetadataUpdate, at, "DocumentEntry.availabilityStatus", text);
            return Ok(());
        }
        Ok(self.work.set_document(&logical, new)?)
    }

    fn status_of_association(
        &mut self,
        id: &EntryUuid,
        (original, new): (Availability, Availability),
        at: &str,
    ) -> Result<(), Failure> {
        let store = &self.amending.store;
        let found = association::by_id(store, id)?.zip(association::holder(store, id)?);
        let Some((association, holder)) = found else {
            let text = format!("nothing with the entryUUID urn:uuid:{} is registered here", id.as_str());
            self.refuse(Rule::UnresolvedReference, at, "Association.targetObject", text);
            return Ok(());
        };
        if association.availability != original {
            self.not_so(original, at);
        } else if matches!(holder, Object::Set(..)) {
            let text = "what a submission set submitted stays as it is: the status of its HasMember associations is not updated";
            self.refuse(Rule::MetadataUpdate, at, "Association.availabilityStatus", text);
        } else if !self.work.set_association(&holder, id, new)? {
            let text = "the association begins at a version that another one has taken the place of, and stays as it is";
            self.refuse(Rule::MetadataUpdate, at, "Association.availabilityStatus", text);
        }
        Ok(())
    }

    fn not_so(&mut self, original: Availability, at: &str) {
        let stands = match original {
            Availability::Approved => "Approved, and it is Deprecated",
            Availability::Deprecated => "Deprecated, and it is Approved",
        };
        let text = format!("OriginalStatus says {stands}; nothing was changed");
        self.refuse(Rule::MetadataUpdate, at, "OriginalStatus", text);
    }
}
