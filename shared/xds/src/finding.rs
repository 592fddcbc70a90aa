//! Broken rules, under the names the framework gives them. Said once here; every face prints from it.

mod detail;
mod page;
mod row;
mod rule;

use std::fmt;

pub use detail::{Accepted, Detail};
pub use page::Page;
pub use row::Row;
pub use rule::Rule;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing failed.
    Information,
    /// Accepted, with a reservation.
    Warning,
    /// Refused.
    Error,
}

/// Where in the request: a FHIRPath, and the XDS attribute it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// e.g. `Bundle.entry[2].resource.content[0].format`; empty for the request as a whole.
    pub path: String,
    /// e.g. `DocumentEntry.formatCode`.
    pub attribute: Option<&'static str>,
    /// Line and column of a syntax error, from 1.
    pub line: Option<(u64, u64)>,
}

impl Place {
    /// The request as a whole.
    pub fn whole() -> Place {
        Place::default()
    }
    /// A path.
    pub fn at(path: impl Into<String>) -> Place {
        Place { path: path.into(), attribute: None, line: None }
    }
    /// The same, naming the XDS attribute.
    pub fn of(mut self, attribute: &'static str) -> Place {
        self.attribute = Some(attribute);
        self
    }
    /// The place as a person looks for it: from the resource on, under its type where the attribute tells it.
    pub fn element(&self) -> String {
        let Some((_, element)) = self.path.rsplit_once(".resource.") else { return self.path.clone() };
        let object = self.attribute.and_then(|attribute| attribute.split_once('.')).map(|(object, _)| object);
        match object {
            Some("DocumentEntry") => format!("DocumentReference.{element}"),
            Some("SubmissionSet" | "Folder") => format!("List.{element}"),
            Some(_) | None => element.to_owned(),
        }
    }
    /// A member below this place.
    pub fn member(&self, name: &str) -> Place {
        Place::at(if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) })
    }
    /// An item below this place.
    pub fn item(&self, index: usize) -> Place {
        Place::at(format!("{}[{index}]", self.path))
    }
}

/// Which actor speaks: some XDS codes have a registry form and a repository form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The registry's form.
    #[default]
    Registry,
    /// The repository's form.
    Repository,
}

/// One broken rule: which, where, and in a sentence what was found and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// Which rule.
    pub rule: Rule,
    /// Where.
    pub at: Place,
    /// One sentence: what, where, what to do. Never another patient's data.
    pub text: String,
    /// Whose form of the XDS code is printed.
    pub side: Side,
    /// What was given and what is accepted, where the finding is about a value; the text is made of it.
    pub detail: Option<Box<Detail>>,
}

impl Finding {
    /// An error.
    pub fn error(rule: Rule, at: Place, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Error, rule, at, text: text.into(), side: Side::Registry, detail: None }
    }
    /// A warning.
    pub fn warning(rule: Rule, at: Place, text: impl Into<String>) -> Finding {
        Finding { severity: Severity::Warning, ..Finding::error(rule, at, text) }
    }
    /// An error about a value that is not one of those accepted: the sentence is composed of place and detail, and is the
    /// same wherever such a finding is made.
    pub fn not_accepted(rule: Rule, at: Place, detail: Detail) -> Finding {
        let text = detail.sentence(&at);
        Finding { detail: Some(Box::new(detail)), ..Finding::error(rule, at, text) }
    }
    /// The same, as the repository says it.
    #[must_use]
    pub fn by(mut self, side: Side) -> Finding {
        self.side = side;
        self
    }
    /// The XDS error code it is reported as.
    pub fn xds_code(&self) -> Option<&'static str> {
        self.rule.xds_code(self.side)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// All findings of a request.
pub type Findings = Vec<Finding>;

/// Puts the worst first: by severity, then by what must be mended first; otherwise the order of the request stays.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by_key(|finding| (std::cmp::Reverse(finding.severity), finding.rule.rank()));
}

#[cfg(test)]
mod tests {
    use super::row::{REGISTRY_METADATA, REPOSITORY_METADATA};
    use super::*;

    #[test]
    fn every_rule_has_a_code_of_its_own() {
        let mut codes: Vec<_> = Rule::ALL.iter().map(|rule| rule.row().code).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Rule::ALL.len());
    }

    #[test]
    fn codes_are_kebab_case() {
        for rule in Rule::ALL {
            let code = rule.row().code;
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code}");
        }
    }

    #[test]
    fn the_repository_speaks_of_metadata_in_its_own_form() {
        assert_eq!(Rule::MetadataRequired.xds_code(Side::Repository), Some(REPOSITORY_METADATA));
        assert_eq!(Rule::MetadataRequired.xds_code(Side::Registry), Some(REGISTRY_METADATA));
        assert_eq!(Rule::UnknownPatient.xds_code(Side::Repository), Some("XDSUnknownPatientId"));
    }

    #[test]
    fn errors_come_before_warnings_and_shape_before_metadata() {
        let mut findings = vec![
            Finding::warning(Rule::Structure, Place::whole(), "a"),
            Finding::error(Rule::DuplicateUniqueId, Place::whole(), "b"),
            Finding::error(Rule::MetadataRequired, Place::whole(), "c"),
            Finding::error(Rule::TooLong, Place::whole(), "d"),
        ];
        sort(&mut findings);
        let texts: Vec<_> = findings.iter().map(|f| f.text.as_str()).collect();
        assert_eq!(texts, ["d", "c", "b", "a"]);
    }
}
