//! The section `[domain]` of an actor's configuration.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use xds::affinity::{Coded, Enforce, Enforcement};

/// The affinity domain an actor belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Files and folders of files.
    pub files: Vec<PathBuf>,
    /// Which value set is that of which attribute, where its name does not say it: `attribute=canonical URL`.
    pub bindings: Vec<String>,
    /// What happens to values that are not accepted.
    pub enforce: Enforcing,
}

/// What happens to values that are not accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the attribute it is named after")]
pub struct Enforcing {
    /// Where nothing else is said of an attribute.
    pub default: Enforced,
    pub class_code: Enforced,
    pub type_code: Enforced,
    pub format_code: Enforced,
    pub healthcare_facility_type_code: Enforced,
    pub practice_setting_code: Enforced,
    pub event_code_list: Enforced,
    pub confidentiality_code: Enforced,
    pub language_code: Enforced,
    pub mime_type: Enforced,
    pub content_type_code: Enforced,
    pub folder_code_list: Enforced,
}

/// What happens to a value that is not accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforced {
    /// As `default` says; for `default` itself: `warn`.
    #[default]
    Default,
    /// Nothing.
    Off,
    /// It is stored, and the source is told.
    Warn,
    /// It is refused.
    Reject,
}

impl Enforced {
    fn or(self, default: Enforce) -> Enforce {
        match self {
            Enforced::Default => default,
            Enforced::Off => Enforce::Off,
            Enforced::Warn => Enforce::Warn,
            Enforced::Reject => Enforce::Reject,
        }
    }
}

impl Settings {
    /// What happens to values that are not accepted: nothing, where no files are named.
    pub fn enforcement(&self) -> Enforcement {
        if self.files.is_empty() {
            return Enforcement::all(Enforce::Off);
        }
        let default = self.enforce.default.or(Enforce::Warn);
        let of = Coded::ALL.iter().filter_map(|coded| Some((*coded, self.enforced(*coded)?.or(default))));
        Enforcement { default, of: of.collect() }
    }

    fn enforced(&self, attribute: Coded) -> Option<Enforced> {
        let enforce = &self.enforce;
        Some(match attribute {
            Coded::ClassCode => enforce.class_code,
            Coded::TypeCode => enforce.type_code,
            Coded::FormatCode => enforce.format_code,
            Coded::HealthcareFacilityTypeCode => enforce.healthcare_facility_type_code,
            Coded::PracticeSettingCode => enforce.practice_setting_code,
            Coded::EventCodeList => enforce.event_code_list,
            Coded::ConfidentialityCode => enforce.confidentiality_code,
            Coded::LanguageCode => enforce.language_code,
            Coded::MimeType => enforce.mime_type,
            Coded::ContentTypeCode => enforce.content_type_code,
            Coded::FolderCodeList => enforce.folder_code_list,
            Coded::AssociationDocumentation => return None,
        })
    }
}

/// The words on each key, for the manual page of an actor that has this section.
pub const KEYS: [(&str, &str); 14] = [
    (
        "domain.files",
        "The codes the affinity domain has agreed on: files, or folders of files, each a `codes.xml` or FHIR ValueSets, CodeSystems, ConceptMaps, NamingSystems (or a Bundle of them) in JSON or XML. Empty: every code is taken. Read again on SIGHUP and on `POST /reload` of the admin listener.",
    ),
    (
        "domain.bindings",
        "Which ValueSet is that of which attribute, where neither its id nor its name says it, e.g. `[\"formatCode=https://region.example/ValueSet/formats\"]`.",
    ),
    (
        "domain.enforce.default",
        "What happens to a code the domain does not accept: `off`, `warn` (stored, and the source is told) or `reject`; `default` is `warn`. Without files nothing happens.",
    ),
    ("domain.enforce.class_code", "The same for DocumentEntry.classCode alone; `default`: as above."),
    ("domain.enforce.type_code", "The same for DocumentEntry.typeCode."),
    ("domain.enforce.format_code", "The same for DocumentEntry.formatCode."),
    (
        "domain.enforce.healthcare_facility_type_code",
        "The same for DocumentEntry.healthcareFacilityTypeCode.",
    ),
    ("domain.enforce.practice_setting_code", "The same for DocumentEntry.practiceSettingCode."),
    ("domain.enforce.event_code_list", "The same for DocumentEntry.eventCodeList."),
    ("domain.enforce.confidentiality_code", "The same for DocumentEntry.confidentialityCode."),
    ("domain.enforce.language_code", "The same for DocumentEntry.languageCode."),
    ("domain.enforce.mime_type", "The same for DocumentEntry.mimeType."),
    ("domain.enforce.content_type_code", "The same for SubmissionSet.contentTypeCode."),
    ("domain.enforce.folder_code_list", "The same for Folder.codeList."),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_enforced_without_files() {
        let settings = Settings {
            enforce: Enforcing { default: Enforced::Reject, ..Enforcing::default() },
            ..Settings::default()
        };
        assert_eq!(settings.enforcement().of(Coded::FormatCode), Enforce::Off);
    }

    #[test]
    fn an_attribute_follows_the_default_unless_it_says_otherwise() {
        let settings = Settings {
            files: vec!["codes.xml".into()],
            enforce: Enforcing {
                format_code: Enforced::Reject,
                mime_type: Enforced::Off,
                ..Enforcing::default()
            },
            ..Settings::default()
        };
        let enforcement = settings.enforcement();
        assert_eq!(enforcement.of(Coded::FormatCode), Enforce::Reject);
        assert_eq!(enforcement.of(Coded::MimeType), Enforce::Off);
        assert_eq!(enforcement.of(Coded::ClassCode), Enforce::Warn);
    }
}
