//! What is said about a document: from flags, a metadata file, the file itself, and the defaults of the profile.

use std::path::Path;

use clap::Args;
use serde::Deserialize;

use crate::exit::{self, Failure};
use crate::token::Code;

/// Metadata, as far as it is said. The same words serve as flags, in `--meta FILE` and in a profile's `defaults`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[command(next_help_heading = "Metadata; codes are SYSTEM|CODE or SYSTEM|CODE|DISPLAY")]
pub(crate) struct Metadata {
    /// Title [default: the file's name]
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// Remarks
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// What kind of document (typeCode)
    #[arg(long, value_name = "CODE")]
    pub(crate) r#type: Option<Code>,
    /// Class of document (classCode)
    #[arg(long, value_name = "CODE")]
    pub(crate) category: Option<Code>,
    /// Format beyond the media type (formatCode) [default: the media type suffices, unless CDA or FHIR]
    #[arg(long, value_name = "CODE")]
    pub(crate) format: Option<Code>,
    /// Language [default: en]
    #[arg(long, value_name = "TAG")]
    pub(crate) language: Option<String>,
    /// When the document was made [default: the file's modification]
    #[arg(long, value_name = "TIME")]
    pub(crate) creation: Option<String>,
    /// Confidentiality [default: N, normal]
    #[arg(long, value_name = "CODE")]
    pub(crate) confidentiality: Vec<Code>,
    /// Kind of facility
    #[arg(long, value_name = "CODE")]
    pub(crate) facility: Option<Code>,
    /// Clinical specialty
    #[arg(long, value_name = "CODE")]
    pub(crate) practice_setting: Option<Code>,
    /// Event documented
    #[arg(long, value_name = "CODE")]
    pub(crate) event: Vec<Code>,
    /// Begin of what is documented
    #[arg(long, value_name = "TIME")]
    pub(crate) service_start: Option<String>,
    /// End of what is documented
    #[arg(long, value_name = "TIME")]
    pub(crate) service_stop: Option<String>,
    /// Author: "Family, Given"
    #[arg(long, value_name = "NAME")]
    pub(crate) author: Vec<String>,
    /// Media type [default: found from the content]
    #[arg(long, value_name = "TYPE")]
    pub(crate) content_type: Option<String>,
    /// What the submission is about (contentTypeCode) [default: the type]
    #[arg(long, value_name = "CODE")]
    pub(crate) submission_type: Option<Code>,
    /// OID of this source of documents
    #[arg(long, value_name = "urn:oid:…")]
    pub(crate) source_id: Option<String>,
}

impl Metadata {
    /// This, and what `fallback` says where this is silent.
    pub(crate) fn or(self, fallback: &Metadata) -> Metadata {
        fn list<T: Clone>(own: Vec<T>, other: &[T]) -> Vec<T> {
            if own.is_empty() { other.to_vec() } else { own }
        }
        let f = fallback.clone();
        Metadata {
            title: self.title.or(f.title),
            description: self.description.or(f.description),
            r#type: self.r#type.or(f.r#type),
            category: self.category.or(f.category),
            format: self.format.or(f.format),
            language: self.language.or(f.language),
            creation: self.creation.or(f.creation),
            confidentiality: list(self.confidentiality, &f.confidentiality),
            facility: self.facility.or(f.facility),
            practice_setting: self.practice_setting.or(f.practice_setting),
            event: list(self.event, &f.event),
            service_start: self.service_start.or(f.service_start),
            service_stop: self.service_stop.or(f.service_stop),
            author: list(self.author, &f.author),
            content_type: self.content_type.or(f.content_type),
            submission_type: self.submission_type.or(f.submission_type),
            source_id: self.source_id.or(f.source_id),
        }
    }

    /// What a Comprehensive submission still needs: flags by name.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let needed = [
            ("--type", self.r#type.is_some()),
            ("--category", self.category.is_some()),
            ("--format", self.format.is_some()),
            ("--facility", self.facility.is_some()),
            ("--practice-setting", self.practice_setting.is_some()),
        ];
        needed.into_iter().filter(|(_, there)| !there).map(|(flag, _)| flag).collect()
    }
}

/// Reads `--meta FILE`: JSON if it is called so, else TOML.
pub(crate) fn read(path: &Path) -> Result<Metadata, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|error| exit::file("reading the metadata", path, &error))?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let read = if is_json {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    } else {
        toml::from_str(&text).map_err(|error| error.to_string())
    };
    read.map_err(|error| Failure::usage(format!("the metadata in {} is not valid: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flag_wins_over_the_default_of_the_profile() {
        let flags = Metadata { language: Some("de".into()), ..Metadata::default() };
        let defaults: Metadata =
            toml::from_str("language = 'en'\ntype = 'http://loinc.org|1-8|x'\nauthor = ['A, B']").unwrap();
        let both = flags.or(&defaults);
        assert_eq!(both.language.as_deref(), Some("de"));
        assert_eq!(both.r#type.as_ref().unwrap().code, "1-8");
        assert_eq!(both.author, ["A, B"]);
        assert_eq!(both.missing(), ["--category", "--format", "--facility", "--practice-setting"]);
    }

    #[test]
    fn a_misspelt_key_of_a_metadata_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("m.json");
        std::fs::write(&path, r#"{"titel":"x"}"#).unwrap();
        assert!(read(&path).unwrap_err().text.contains("titel"));
    }
}
