//! Every attribute an object can be found by, and which facts it gives for each: the one table of the search side.

/// An attribute that can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Attribute {
    /// entryUUID, the FHIR id.
    Id,
    /// When the registry last wrote it.
    LastUpdated,
    /// uniqueId, entryUUID and other business identifiers.
    Identifier,
    /// availabilityStatus.
    AvailabilityStatus,
    /// typeCode.
    TypeCode,
    /// classCode.
    ClassCode,
    /// practiceSettingCode.
    PracticeSettingCode,
    /// healthcareFacilityTypeCode.
    HealthcareFacilityTypeCode,
    /// formatCode.
    FormatCode,
    /// eventCodeList.
    EventCode,
    /// confidentialityCode.
    ConfidentialityCode,
    /// creationTime.
    CreationTime,
    /// `DocumentReference.date`, submissionTime, lastUpdateTime.
    Date,
    /// serviceStartTime to serviceStopTime.
    ServiceTime,
    /// authorPerson's family name.
    AuthorFamily,
    /// authorPerson's given name.
    AuthorGiven,
    /// referenceIdList.
    ReferenceId,
    /// A relation to another document.
    RelatesTo,
    /// Submission set or folder (`List.code`).
    ListKind,
    /// contentTypeCode, codeList (`designationType`).
    DesignationType,
    /// sourceId.
    SourceId,
    /// Members of a list.
    Member,
}
