//! The constants of XDS.b: namespaces, and the UUIDs and URNs ebRIM says things with (ITI TF-3 4.2.5, TF-2 Appendix V).

/// Namespaces. The prefixes in brackets are those we write.
pub mod namespace {
    /// SOAP 1.2 (`soap`).
    pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
    /// WS-Addressing 1.0 (`wsa`).
    pub const ADDRESSING: &str = "http://www.w3.org/2005/08/addressing";
    /// XOP (`xop`).
    pub const XOP: &str = "http://www.w3.org/2004/08/xop/include";
    /// ebRS life cycle (`lcm`).
    pub const LCM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0";
    /// ebRIM (`rim`).
    pub const RIM: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0";
    /// ebRS (`rs`).
    pub const RS: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0";
    /// ebRS queries (`query`).
    pub const QUERY: &str = "urn:oasis:names:tc:ebxml-regrep:xsd:query:3.0";
    /// XDS.b (`xds`).
    pub const XDS: &str = "urn:ihe:iti:xds-b:2007";
    /// Removal of documents, ITI-86 (`rmd`).
    pub const RMD: &str = "urn:ihe:iti:rmd:2017";
}

/// What a SubmissionSet is said with (TF-3 4.2.5.1).
pub mod submission_set {
    /// The classification node that makes a package one.
    pub const NODE: &str = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd";
    /// author.
    pub const AUTHOR: &str = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d";
    /// contentTypeCode.
    pub const CONTENT_TYPE_CODE: &str = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500";
    /// patientId.
    pub const PATIENT_ID: &str = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446";
    /// sourceId.
    pub const SOURCE_ID: &str = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832";
    /// uniqueId.
    pub const UNIQUE_ID: &str = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8";
    /// The classification node of limited metadata.
    pub const LIMITED_METADATA: &str = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707";
}

/// What a DocumentEntry is said with (TF-3 4.2.5.2).
pub mod document_entry {
    /// objectType of a stable one.
    pub const STABLE: &str = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1";
    /// objectType of an on-demand one.
    pub const ON_DEMAND: &str = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248";
    /// author.
    pub const AUTHOR: &str = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d";
    /// classCode.
    pub const CLASS_CODE: &str = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a";
    /// confidentialityCode.
    pub const CONFIDENTIALITY_CODE: &str = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f";
    /// eventCodeList.
    pub const EVENT_CODE_LIST: &str = "urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4";
    /// formatCode.
    pub const FORMAT_CODE: &str = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d";
    /// healthcareFacilityTypeCode.
    pub const FACILITY_TYPE_CODE: &str = "urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1";
    /// practiceSettingCode.
    pub const PRACTICE_SETTING_CODE: &str = "urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead";
    /// typeCode.
    pub const TYPE_CODE: &str = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983";
    /// patientId.
    pub const PATIENT_ID: &str = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427";
    /// uniqueId.
    pub const UNIQUE_ID: &str = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab";
    /// The classification node of limited metadata.
    pub const LIMITED_METADATA: &str = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85";
    /// The name of the slot of referenceIdList.
    pub const REFERENCE_ID_LIST: &str = "urn:ihe:iti:xds:2013:referenceIdList";
    /// documentAvailability: the bytes can be had.
    pub const ONLINE: &str = "urn:ihe:iti:2010:DocumentAvailability:Online";
    /// documentAvailability: they cannot.
    pub const OFFLINE: &str = "urn:ihe:iti:2010:DocumentAvailability:Offline";
}

/// What a Folder is said with (TF-3 4.2.5.3).
pub mod folder {
    /// The classification node that makes a package one.
    pub const NODE: &str = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2";
    /// codeList.
    pub const CODE_LIST: &str = "urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5";
    /// patientId.
    pub const PATIENT_ID: &str = "urn:uuid:f64ffdf0-4b97-4e06-b79f-a52b38ec2f8a";
    /// uniqueId.
    pub const UNIQUE_ID: &str = "urn:uuid:75df8f67-9973-4fbe-a900-df66cefecc5a";
    /// The classification node of limited metadata.
    pub const LIMITED_METADATA: &str = "urn:uuid:2c144a76-29a9-4b7c-af54-b25409fe7d03";
}

/// What an Association is said with (TF-3 4.2.2, 4.2.5.4; TF-2 3.57).
pub mod association {
    /// Association documentation.
    pub const DOCUMENTATION: &str = "urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3";
    /// Membership.
    pub const HAS_MEMBER: &str = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember";
    /// Replace.
    pub const REPLACE: &str = "urn:ihe:iti:2007:AssociationType:RPLC";
    /// Transform.
    pub const TRANSFORM: &str = "urn:ihe:iti:2007:AssociationType:XFRM";
    /// Append.
    pub const APPEND: &str = "urn:ihe:iti:2007:AssociationType:APND";
    /// Transform and replace.
    pub const TRANSFORM_REPLACE: &str = "urn:ihe:iti:2007:AssociationType:XFRM_RPLC";
    /// Signature.
    pub const SIGNS: &str = "urn:ihe:iti:2007:AssociationType:signs";
    /// Stable snapshot of an on-demand entry.
    pub const IS_SNAPSHOT_OF: &str = "urn:ihe:iti:2010:AssociationType:IsSnapshotOf";
    /// Metadata update: another availability status.
    pub const UPDATE_AVAILABILITY_STATUS: &str = "urn:ihe:iti:2010:AssociationType:UpdateAvailabilityStatus";
    /// Metadata update: a further association.
    pub const SUBMIT_ASSOCIATION: &str = "urn:ihe:iti:2010:AssociationType:SubmitAssociation";
}

/// The kinds of registry objects (`objectType`).
pub mod object_type {
    /// A package: submission set or folder.
    pub const REGISTRY_PACKAGE: &str =
        "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:RegistryPackage";
    /// An association.
    pub const ASSOCIATION: &str = "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Association";
    /// A classification.
    pub const CLASSIFICATION: &str =
        "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:Classification";
    /// An external identifier.
    pub const EXTERNAL_IDENTIFIER: &str =
        "urn:oasis:names:tc:ebxml-regrep:ObjectType:RegistryObject:ExternalIdentifier";
}

/// availabilityStatus.
pub mod status {
    /// In use.
    pub const APPROVED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Approved";
    /// Superseded.
    pub const DEPRECATED: &str = "urn:oasis:names:tc:ebxml-regrep:StatusType:Deprecated";
}

/// How a request went, and how bad an error is (TF-3 4.2.4).
pub mod response {
    /// All went well.
    pub const SUCCESS: &str = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Success";
    /// Nothing did.
    pub const FAILURE: &str = "urn:oasis:names:tc:ebxml-regrep:ResponseStatusType:Failure";
    /// Something did. Mind the other prefix.
    pub const PARTIAL_SUCCESS: &str = "urn:ihe:iti:2007:ResponseStatusType:PartialSuccess";
    /// Refused.
    pub const ERROR: &str = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Error";
    /// Accepted, with a reservation.
    pub const WARNING: &str = "urn:oasis:names:tc:ebxml-regrep:ErrorSeverityType:Warning";
}
