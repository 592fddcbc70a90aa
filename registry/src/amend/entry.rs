//! Next versions of document entries and folders (TF-2 3.57.4.1.3.3.1, 3.57.4.1.3.3.3).

use uuid::Uuid;
use xds::attribute::{identifier_value, system};
use xds::plan::{Member, NewVersion};
use xds::ties::{End, Tie, Tied};
use xds::{AssociationType, Availability, DocumentEntry, EntryUuid, Identifier, ObjectRef, Rule};

use super::{Decision, Failure, Freedom};
use crate::records::association::{self, Object};
use crate::records::{DocumentRecord, FolderRecord};

impl Decision<'_> {
    /// Which registered object is meant; none: what is wrong has been said.
    fn meant(
        &mut self,
        version: &NewVersion,
        number: impl Fn(&Object) -> Option<u64>,
    ) -> Result<Option<Object>, Failure> {
        let Some(logical) = &version.logical_id else {
            let text = "this object has no logicalID (lid) of a registered one; an original version is registered by Register \
                        Document Set-b [ITI-42]. Nothing was changed";
            self.refuse(Rule::MetadataUpdate, &version.at, "logicalID", text);
            return Ok(None);
        };
        let standing = association::standing(&self.amending.store, logical)?;
        let stands = standing.as_ref().and_then(&number);
        let Some((object, stands)) = standing.zip(stands) else {
            let text =
                format!("no such object with the logicalID urn:uuid:{} is registered here", logical.as_str());
            self.refuse(Rule::MetadataVersion, &version.at, "logicalID", text);
            return Ok(None);
        };
        match version.previous_version {
            Some(previous) if previous == stands => {}
            Some(previous) => {
                let text = format!(
                    "PreviousVersion is {previous} and version {stands} stands: somebody else has updated it; make the change on \
                     that version. Nothing was changed"
                );
                self.refuse(Rule::MetadataVersion, &version.at, "PreviousVersion", text);
                return Ok(None);
            }
            None => {
                let text = format!(
                    "the HasMember from the submission set says no PreviousVersion; it must be {stands}, the version this one was \
                     made from. Nothing was changed"
                );
                self.refuse(Rule::MetadataUpdate, &version.at, "PreviousVersion", text);
                return Ok(None);
            }
        }
        if !self.versioned.insert(logical.clone()) {
            let text = "one request updates an object once; send the second update after the first. Nothing was changed";
            self.refuse(Rule::MetadataUpdate, &version.at, "logicalID", text);
            return Ok(None);
        }
        Ok(Some(object))
    }

    /// entryUUID of the new version: the one that was chosen, where it is free.
    fn entry_uuid(&mut self, chosen: Option<&EntryUuid>, at: &str) -> Result<EntryUuid, Failure> {
        let Some(id) = chosen else { return Ok(EntryUuid::from(Uuid::new_v4())) };
        if association::is_taken(&self.amending.store, id)? || !self.chosen.insert(id.clone()) {
            let text = format!("the entryUUID {} is taken; every version has one of its own", id.as_str());
            self.refuse(Rule::MetadataUpdate, at, "entryUUID", text);
        }
        Ok(id.clone())
    }

    /// The membership of the submission set that asks for the version.
    fn asking(&self, symbol: &str) -> Tie {
        let submission = &self.asked.provided.submission;
        let of_set = submission.associations.iter().find(|association| {
            association.kind == AssociationType::HasMember
                && association.target == ObjectRef::Symbol(symbol.to_owned())
                && association.source == ObjectRef::Symbol(submission.submission_set.symbol.clone())
        });
        of_set.map_or_else(Tie::default, |association| Tie {
            id: association.entry_uuid.clone(),
            deprecated: false,
            documentation: association.documentation.clone(),
            extra: association.extra.clone(),
        })
    }

    pub(super) fn document(&mut self, version: &NewVersion) -> Result<(), Failure> {
        let submission = &self.asked.provided.submission;
        let Some(given) = submission.documents.iter().find(|document| document.symbol == version.symbol)
        else {
            let text = "the HasMember asks for an update of a document entry that is not in this request";
            self.refuse(Rule::UnresolvedReference, &version.at, "Association.targetObject", text);
            return Ok(());
        };
        let of_document = |object: &Object| match object {
            Object::Document(_, record) => Some(record.version.number),
            Object::Folder(..) | Object::Set(..) => None,
        };
        let Some(Object::Document(_, record)) = self.meant(version, of_document)? else { return Ok(()) };
        let at = submission.place(&version.symbol).to_owned();
        let old = &record.entry;
        let restricted = self.freedom == Freedom::Restricted;
        if old.availability == Availability::Deprecated && !restricted {
            let text = "the newest version of this entry is Deprecated; approve it first (UpdateAvailabilityStatus), or use Restricted \
                        Update Document Set [ITI-92]. Nothing was changed";
            self.refuse(Rule::MetadataUpdate, &at, "DocumentEntry.availabilityStatus", text);
        }
        self.stays(old, given, &at)?;
        let id = self.entry_uuid(given.entry_uuid.as_ref(), &at)?;
        let logical = record.logical().clone();
        let availability = if restricted { old.availability } else { Availability::Approved };
        let mut entry = DocumentEntry {
            symbol: old.symbol.clone(),
            entry_uuid: Some(logical.clone()),
            availability,
            url: old.url.clone(),
            sha256: old.sha256,
            // FHIR alone has these; an update in XDS says nothing of them.
            date: old.date.clone(),
            custodian: old.custodian.clone(),
            ..given.clone()
        };
        let row = self.work.document(&logical)?.map(|doc| doc.row.rendering.clone()).unwrap_or_default();
        entry.carried.fhir = entry.carried.fhir.map(|composed| fhir::update::keep_unsaid(&composed, &row));
        let tied = Tied {
            target: End::at(logical.clone(), id.clone()),
            reference: false,
            tie: self.asking(&version.symbol),
        };
        self.members.push(Member::Document(tied));
        let record = DocumentRecord { entry, submission_set: self.set.clone(), ..*record };
        let patient = self.patient.clone();
        self.work.next_document(&logical, record, id, &patient, version.propagate)?;
        Ok(())
    }

    /// What names a document and what it is stays; a restricted update changes less.
    fn stays(&mut self, old: &DocumentEntry, new: &DocumentEntry, at: &str) -> Result<(), Failure> {
        let restricted = self.freedom == Freedom::Restricted;
        let of = |whole: Rule, rule: Rule| if restricted { rule } else { whole };
        if !same(&old.unique_id, &new.unique_id) {
            let text = format!("the uniqueId of the entry is {} and stays", old.unique_id.value);
            self.refuse(
                of(Rule::MetadataUpdate, Rule::IdentifierChanged),
                at,
                "DocumentEntry.uniqueId",
                text,
            );
        }
        if old.kind != new.kind {
            let text = "the objectType of an entry (stable or on-demand) stays";
            self.refuse(
                of(Rule::MetadataUpdate, Rule::ObjectTypeChanged),
                at,
                "DocumentEntry.objectType",
                text,
            );
        }
        // What our own repository measured cannot be told otherwise: readers are served those bytes.
        if old.sha256.is_some()
            && (old.hash != new.hash || old.size != new.size || old.mime_type != new.mime_type)
        {
            let text = "hash, size and mimeType were measured where the bytes are kept, and stay. Other bytes are a new document that \
                        replaces this one";
            self.refuse(Rule::Unmodifiable, at, "DocumentEntry.hash", text);
        }
        if !restricted {
            return Ok(());
        }
        if old.patient.id.as_ref() != Some(&self.patient) {
            let text = "a restricted update does not move an entry to another patient; Update Document Set [ITI-57] does";
            self.refuse(Rule::PatientChanged, at, "DocumentEntry.patientId", text);
        }
        let mut unmodifiable = |changed: bool, attribute: &'static str| {
            if changed {
                let text = format!("a restricted update does not change {attribute}; nothing was changed");
                self.refuse(Rule::Unmodifiable, at, attribute, text);
            }
        };
        unmodifiable(old.source_patient_ids != new.source_patient_ids, "DocumentEntry.sourcePatientId");
        unmodifiable(
            old.repository_unique_id != new.repository_unique_id,
            "DocumentEntry.repositoryUniqueId",
        );
        unmodifiable(
            old.online.unwrap_or(true) != new.online.unwrap_or(true),
            "DocumentEntry.documentAvailability",
        );
        let deprecates =
            new.availability == Availability::Deprecated && old.availability == Availability::Approved;
        unmodifiable(deprecates, "DocumentEntry.availabilityStatus");
        Ok(())
    }

    pub(super) fn folder(&mut self, version: &NewVersion) -> Result<(), Failure> {
        let submission = &self.asked.provided.submission;
        let Some(given) = submission.folders.iter().find(|folder| folder.symbol == version.symbol) else {
            let text = "the HasMember asks for an update of a folder that is not in this request";
            self.refuse(Rule::UnresolvedReference, &version.at, "Association.targetObject", text);
            return Ok(());
        };
        let of_folder = |object: &Object| match object {
            Object::Folder(_, record) => Some(record.version.number),
            Object::Document(..) | Object::Set(..) => None,
        };
        let Some(Object::Folder(_, record)) = self.meant(version, of_folder)? else { return Ok(()) };
        let at = submission.place(&version.symbol).to_owned();
        if record.deprecated {
            let text = "the newest version of this folder is Deprecated; approve it first (UpdateAvailabilityStatus). Nothing was changed";
            self.refuse(Rule::MetadataUpdate, &at, "Folder.availabilityStatus", text);
        }
        let unchanged = match (&record.folder.unique_id, &given.unique_id) {
            (Some(old), Some(new)) => same(old, new),
            (old, new) => old == new,
        };
        if !unchanged {
            self.refuse(Rule::MetadataUpdate, &at, "Folder.uniqueId", "the uniqueId of the folder stays");
        }
        let id = self.entry_uuid(given.entry_uuid.as_ref(), &at)?;
        let logical = record.logical().clone();
        let mut folder = xds::Folder {
            symbol: record.folder.symbol.clone(),
            entry_uuid: Some(logical.clone()),
            update: false,
            encounter: record.folder.encounter.clone(),
            ..given.clone()
        };
        let row = self.work.folder(&logical)?.map(|fold| fold.row.rendering.clone()).unwrap_or_default();
        folder.carried.fhir = folder.carried.fhir.map(|composed| fhir::update::keep_unsaid(&composed, &row));
        let tied = Tied {
            target: End::at(logical.clone(), id.clone()),
            reference: false,
            tie: self.asking(&version.symbol),
        };
        self.members.push(Member::Folder(tied));
        let patient = self.patient.clone();
        self.work.next_folder(
            &logical,
            FolderRecord { folder, ..*record },
            id,
            &patient,
            version.propagate,
        )?;
        Ok(())
    }
}

fn same(one: &Identifier, other: &Identifier) -> bool {
    system(&one.system) == system(&other.system)
        && identifier_value(&one.value) == identifier_value(&other.value)
}
