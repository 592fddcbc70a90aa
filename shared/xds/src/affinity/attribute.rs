//! The coded attributes, under the name each writer gives them: one row for each.

/// An attribute whose values an affinity domain may restrict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coded {
    /// DocumentEntry.classCode.
    ClassCode,
    /// DocumentEntry.typeCode.
    TypeCode,
    /// DocumentEntry.formatCode.
    FormatCode,
    /// DocumentEntry.healthcareFacilityTypeCode.
    HealthcareFacilityTypeCode,
    /// DocumentEntry.practiceSettingCode.
    PracticeSettingCode,
    /// DocumentEntry.eventCodeList.
    EventCodeList,
    /// DocumentEntry.confidentialityCode.
    ConfidentialityCode,
    /// DocumentEntry.languageCode.
    LanguageCode,
    /// DocumentEntry.mimeType.
    MimeType,
    /// SubmissionSet.contentTypeCode.
    ContentTypeCode,
    /// Folder.codeList.
    FolderCodeList,
    /// Association.associationDocumentation: kept for the domains that have it; FHIR has no place for its value.
    AssociationDocumentation,
}

struct Row {
    /// In our configuration.
    key: &'static str,
    /// In a codes.xml.
    name: &'static str,
    /// In the framework.
    attribute: &'static str,
    /// In FHIR, below the resource.
    element: &'static str,
    /// ebRIM classification scheme; none where the attribute is a slot or an XML attribute.
    scheme: Option<&'static str>,
    /// Where the framework describes it.
    section: &'static str,
}

impl Coded {
    /// Every one, in the order they are shown.
    pub const ALL: &'static [Coded] = &[
        Coded::ClassCode,
        Coded::TypeCode,
        Coded::FormatCode,
        Coded::HealthcareFacilityTypeCode,
        Coded::PracticeSettingCode,
        Coded::EventCodeList,
        Coded::ConfidentialityCode,
        Coded::LanguageCode,
        Coded::MimeType,
        Coded::ContentTypeCode,
        Coded::FolderCodeList,
        Coded::AssociationDocumentation,
    ];

    fn row(self) -> Row {
        let row = |key, name, attribute, element, scheme| {
            let section = match self {
                Coded::ContentTypeCode => "TF-3 4.2.3.3",
                Coded::FolderCodeList => "TF-3 4.2.3.4",
                Coded::AssociationDocumentation => "TF-3 4.2.2",
                _ => "TF-3 4.2.3.2",
            };
            Row { key, name, attribute, element, scheme, section }
        };
        match self {
            Coded::ClassCode => row(
                "class_code",
                "classCode",
                "DocumentEntry.classCode",
                "DocumentReference.category",
                Some("urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"),
            ),
            Coded::TypeCode => row(
                "type_code",
                "typeCode",
                "DocumentEntry.typeCode",
                "DocumentReference.type",
                Some("urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"),
            ),
            Coded::FormatCode => row(
                "format_code",
                "formatCode",
                "DocumentEntry.formatCode",
                "DocumentReference.content.format",
                Some("urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"),
            ),
            Coded::HealthcareFacilityTypeCode => row(
                "healthcare_facility_type_code",
                "healthcareFacilityTypeCode",
                "DocumentEntry.healthcareFacilityTypeCode",
                "DocumentReference.context.facilityType",
                Some("urn:uuid:f33fb8ac-18af-42cc-ae0e-ed0b0bdb91e1"),
            ),
            Coded::PracticeSettingCode => row(
                "practice_setting_code",
                "practiceSettingCode",
                "DocumentEntry.practiceSettingCode",
                "DocumentReference.context.practiceSetting",
                Some("urn:uuid:cccf5598-8b07-4b77-a05e-ae952c785ead"),
            ),
            Coded::EventCodeList => row(
                "event_code_list",
                "eventCodeList",
                "DocumentEntry.eventCodeList",
                "DocumentReference.context.event",
                Some("urn:uuid:2c6b8cb7-8b2a-4051-b291-b1ae6a575ef4"),
            ),
            Coded::ConfidentialityCode => row(
                "confidentiality_code",
                "confidentialityCode",
                "DocumentEntry.confidentialityCode",
                "DocumentReference.securityLabel",
                Some("urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"),
            ),
            Coded::LanguageCode => row(
                "language_code",
                "languageCode",
                "DocumentEntry.languageCode",
                "DocumentReference.content.attachment.language",
                None,
            ),
            Coded::MimeType => row(
                "mime_type",
                "mimeType",
                "DocumentEntry.mimeType",
                "DocumentReference.content.attachment.contentType",
                None,
            ),
            Coded::ContentTypeCode => row(
                "content_type_code",
                "contentTypeCode",
                "SubmissionSet.contentTypeCode",
                "List.extension(designationType)",
                Some("urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"),
            ),
            Coded::FolderCodeList => row(
                "folder_code_list",
                "folderCodeList",
                "Folder.codeList",
                "List.extension(designationType)",
                Some("urn:uuid:1ba97051-7806-41a8-a48b-8fce7af683c5"),
            ),
            Coded::AssociationDocumentation => row(
                "association_documentation",
                "associationDocumentation",
                "Association.associationDocumentation",
                "none in FHIR",
                Some("urn:uuid:abd807a3-4432-4053-87b4-fd82c643d1f3"),
            ),
        }
    }

    /// In our configuration: `format_code`.
    pub fn key(self) -> &'static str {
        self.row().key
    }

    /// In a codes.xml, and as the id of the value set: `formatCode`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// In the framework: `DocumentEntry.formatCode`.
    pub fn attribute(self) -> &'static str {
        self.row().attribute
    }

    /// In FHIR: `DocumentReference.content.format`.
    pub fn element(self) -> &'static str {
        self.row().element
    }

    /// The ebRIM classification scheme (TF-3 4.2.5).
    pub fn scheme(self) -> Option<&'static str> {
        self.row().scheme
    }

    /// Where the framework describes it.
    pub fn section(self) -> &'static str {
        self.row().section
    }

    /// The attribute somebody means: by key, by name, by attribute, in any case and with any punctuation, also at the end of a
    /// longer name (`EprDocumentEntry.formatCode`).
    pub fn named(text: &str) -> Option<Coded> {
        let bare = plain(text);
        let exact = |attribute: &&Coded| {
            [attribute.name(), attribute.attribute(), attribute.key()].iter().any(|name| plain(name) == bare)
        };
        let ends = |attribute: &&Coded| {
            bare.ends_with(&plain(attribute.name())) || bare.ends_with(&plain(attribute.attribute()))
        };
        // The longest name wins: folderCodeList also ends with codeList.
        let all = || Coded::ALL.iter();
        all().find(exact).or_else(|| all().filter(ends).max_by_key(|a| a.name().len())).copied()
    }

    /// Whether the values are plain words, without a code system.
    pub fn is_plain(self) -> bool {
        matches!(self, Coded::MimeType | Coded::LanguageCode)
    }
}

fn plain(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_is_found_under_each_of_its_names() {
        for attribute in Coded::ALL {
            for name in [attribute.key(), attribute.name(), attribute.attribute()] {
                assert_eq!(Coded::named(name), Some(*attribute), "{name}");
            }
        }
        assert_eq!(Coded::named("EprDocumentEntry.formatCode"), Some(Coded::FormatCode));
        assert_eq!(Coded::named("Region-Submission-Set-content-type-code"), Some(Coded::ContentTypeCode));
        assert_eq!(Coded::named("my-folderCodeList"), Some(Coded::FolderCodeList));
        assert_eq!(Coded::named("colours"), None);
    }
}
