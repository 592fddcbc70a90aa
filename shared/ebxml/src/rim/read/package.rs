//! RegistryPackage: a SubmissionSet or a Folder (TF-3 4.2.3.3, 4.2.3.4).

use xds::identifier::unique_id_of;
use xds::{Carried, Findings, Folder, Identifier, SubmissionSet, Timestamp};

use super::document::patient;
use super::object::Object;
use super::{Column, Missing, home};
use crate::names::{folder, submission_set};
use crate::rim::value;

/// Whether a submission set says that its metadata is limited.
pub(super) fn is_limited(object: &mut Object<'_>) -> bool {
    object.node(submission_set::LIMITED_METADATA)
}

/// Reads a submission set.
pub(super) fn read_submission_set(
    mut object: Object<'_>,
    column: Column,
    findings: &mut Findings,
) -> SubmissionSet {
    use submission_set as name;
    let limited = is_limited(&mut object);
    object.node(name::NODE);
    let source = object.identifier(name::SOURCE_ID, "SubmissionSet.sourceId", findings);
    let unknown = Identifier { system: String::new(), value: String::new() };
    let time = object.time("submissionTime", "SubmissionSet.submissionTime", findings);
    let (has_source, has_time) = (source.is_some(), time.is_some());
    let time_read = time.unwrap_or(Timestamp { text: String::new(), from: 0, to: 0 });
    let mut set = SubmissionSet::new(object.id, source.map_or(unknown, unique_id_of), time_read);
    set.entry_uuid = value::entry_uuid(object.id);
    set.unique_id = object.identifier(name::UNIQUE_ID, "SubmissionSet.uniqueId", findings).map(unique_id_of);
    set.patient = patient(&mut object, name::PATIENT_ID, "SubmissionSet.patientId", findings);
    set.content_type_codes =
        object.one_code(name::CONTENT_TYPE_CODE, "SubmissionSet.contentTypeCode", findings);
    set.authors = object.authors(name::AUTHOR, "SubmissionSet.author", findings);
    set.title = object.localized("Name");
    set.comments = object.localized("Description");
    set.intended_recipients = object.values("intendedRecipient");
    set.home = home(&object, "SubmissionSet.homeCommunityId", findings);
    set.limited_metadata = limited;
    if column != Column::Answer {
        let mut missing = Missing { column, findings };
        missing.unless(has_source, object.identifier_place(name::SOURCE_ID), "SubmissionSet.sourceId");
        let unique = object.identifier_place(name::UNIQUE_ID);
        missing.unless(set.unique_id.is_some(), unique, "SubmissionSet.uniqueId");
        missing.unless(has_time, object.slot_place("submissionTime"), "SubmissionSet.submissionTime");
        if !limited {
            let patient = object.identifier_place(name::PATIENT_ID);
            missing.unless(set.patient.is_named(), patient, "SubmissionSet.patientId");
            let code = object.classification_place(name::CONTENT_TYPE_CODE);
            missing.unless(!set.content_type_codes.is_empty(), code, "SubmissionSet.contentTypeCode");
        }
    }
    let (extra, ebxml) = object.rest(findings);
    set.extra = extra;
    set.carried = Carried { ebxml, ..Carried::default() };
    set
}

/// Reads a folder. Its lastUpdateTime is the registry's and given back beside it.
pub(super) fn read_folder(
    mut object: Object<'_>,
    column: Column,
    limited: bool,
    findings: &mut Findings,
) -> (Folder, Option<Timestamp>) {
    use folder as name;
    let mut folder = Folder::new(object.id);
    object.node(name::NODE);
    folder.limited_metadata = object.node(name::LIMITED_METADATA);
    folder.entry_uuid = value::entry_uuid(object.id);
    folder.unique_id = object.identifier(name::UNIQUE_ID, "Folder.uniqueId", findings).map(unique_id_of);
    folder.patient = patient(&mut object, name::PATIENT_ID, "Folder.patientId", findings);
    folder.codes = object.codes(name::CODE_LIST, "Folder.codeList", findings);
    folder.title = object.localized("Name");
    folder.comments = object.localized("Description");
    folder.home = home(&object, "Folder.homeCommunityId", findings);
    let updated = object.time("lastUpdateTime", "Folder.lastUpdateTime", findings);
    if column != Column::Answer {
        let mut missing = Missing { column, findings };
        let unique = object.identifier_place(name::UNIQUE_ID);
        missing.unless(folder.unique_id.is_some(), unique, "Folder.uniqueId");
        if !limited && !folder.limited_metadata {
            let patient = object.identifier_place(name::PATIENT_ID);
            missing.unless(folder.patient.is_named(), patient, "Folder.patientId");
            let codes = object.classification_place(name::CODE_LIST);
            missing.unless(!folder.codes.is_empty(), codes, "Folder.codeList");
            let title = xds::Place::at(format!("{}/Name", object.at));
            missing.unless(folder.title.is_some(), title, "Folder.title");
        }
    }
    let (extra, ebxml) = object.rest(findings);
    folder.extra = extra;
    folder.carried = Carried { ebxml, ..Carried::default() };
    (folder, updated)
}
