//! Judging coded values by the domain's sets.

use super::{CodeSet, Coded, Domain};
use crate::finding::{Accepted, Detail, Finding, Findings, Place, Rule, Severity};
use crate::types::Code;

/// What happens to a value that the domain does not accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Enforce {
    /// Nothing.
    #[default]
    Off,
    /// It is stored, and the source is told.
    Warn,
    /// It is refused.
    Reject,
}

/// The same for each attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Enforcement {
    /// Where nothing else is said.
    pub default: Enforce,
    /// For single attributes.
    pub of: Vec<(Coded, Enforce)>,
}

impl Enforcement {
    /// The same for every attribute.
    pub fn all(default: Enforce) -> Enforcement {
        Enforcement { default, of: Vec::new() }
    }
    /// What happens to a value of this attribute.
    pub fn of(&self, attribute: Coded) -> Enforce {
        self.of.iter().find(|(named, _)| *named == attribute).map_or(self.default, |(_, enforce)| *enforce)
    }
    /// The same, with refusals turned into warnings: for what has been accepted once and must not be lost.
    #[must_use]
    pub fn lenient(&self) -> Enforcement {
        let soften = |enforce| if enforce == Enforce::Reject { Enforce::Warn } else { enforce };
        Enforcement {
            default: soften(self.default),
            of: self.of.iter().map(|(attribute, enforce)| (*attribute, soften(*enforce))).collect(),
        }
    }
}

/// One coded value as it was given: a concept with all its codings, of which one must be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// Of which attribute.
    pub attribute: Coded,
    /// Where it stands.
    pub at: Place,
    /// Its codings; the system is empty for media types and languages.
    pub codings: Vec<Code>,
}

/// Codes that are named one by one when no value is near.
const SAMPLE: usize = 8;
/// Refused values of one message for which the nearest code is looked for: each costs a walk through its set.
const HELPED: usize = 100;
/// Codings of one value that are compared by their spelling, and the length of such a code: a mistyped one is not longer.
const SPELLED: (usize, usize) = (8, 128);

impl Domain {
    /// What is to be said of these values. A display that is missing, or another one, is never a fault.
    pub fn check(&self, given: &[Given], enforcement: &Enforcement) -> Findings {
        let mut helped = 0;
        let judged = given.iter().filter_map(|value| {
            let severity = match enforcement.of(value.attribute) {
                Enforce::Off => return None,
                Enforce::Warn => Severity::Warning,
                Enforce::Reject => Severity::Error,
            };
            let finding = self.refusal(value, helped < HELPED)?;
            helped += 1;
            Some(Finding { severity, ..finding })
        });
        judged.collect()
    }

    /// Whether the domain accepts this value; what it says nothing of is accepted.
    pub fn accepts(&self, value: &Given) -> bool {
        let Some(set) = self.set(value.attribute) else { return true };
        let accepted = |code: &Code| match value.attribute.is_plain() {
            true => set.accepts_word(&code.code),
            false => set.accepts(code, self.systems()),
        };
        value.codings.is_empty() || value.codings.iter().any(accepted)
    }

    /// Why the domain does not accept this value, and if it is to help, which one comes nearest.
    fn refusal(&self, value: &Given, help: bool) -> Option<Finding> {
        if self.accepts(value) {
            return None;
        }
        let set = self.set(value.attribute)?;
        let written: Vec<String> = value.codings.iter().map(in_words).collect();
        let detail = Detail {
            value: written.join(" and "),
            accepted: Some(Accepted {
                count: set.codes.len() + set.whole_systems.len(),
                sample: set.codes.iter().take(SAMPLE).map(|code| code.code.clone()).collect(),
                by: "this affinity domain".to_owned(),
            }),
            nearest: Some(value)
                .filter(|_| help)
                .and_then(|value| self.nearest(value, set))
                .map(|near| self.nearest_in_words(near, value)),
        };
        let at = value.at.clone().of(value.attribute.attribute());
        Some(Finding::not_accepted(Rule::CodeInvalid, at, detail))
    }

    /// The accepted code a source most likely meant: a translation, the same code of another system, the same display, or
    /// the one that is spelled most alike.
    pub fn nearest<'a>(&'a self, value: &Given, set: &'a CodeSet) -> Option<&'a Code> {
        // Nobody translates one code into hundreds.
        let codings = &value.codings[..value.codings.len().min(HELPED)];
        let translated = codings.iter().find_map(|code| self.translate(code, set));
        let by_code = || codings.iter().find_map(|code| set.with_code(&code.code).next());
        let by_display = || {
            // Some write the display where the code belongs.
            let displays =
                codings.iter().flat_map(|code| [code.display.as_deref(), Some(code.code.as_str())]).flatten();
            let same = |wanted: &str, code: &Code| {
                code.display.as_deref().is_some_and(|display| display.eq_ignore_ascii_case(wanted))
            };
            displays.into_iter().find_map(|wanted| set.codes.iter().find(|code| same(wanted, code)))
        };
        let by_spelling = || {
            let (most, longest) = SPELLED;
            let codes = codings.iter().filter(|code| code.code.len() <= longest).take(most);
            let words = codes.map(|code| code.code.to_lowercase()).collect::<Vec<_>>();
            let distance = |code: &Code| {
                let known = code.code.to_lowercase();
                words.iter().map(|word| strsim::damerau_levenshtein(word, &known)).min().unwrap_or(usize::MAX)
            };
            let best = set.codes.iter().map(|code| (distance(code), code)).min_by_key(|(far, _)| *far)?;
            let longest = words.iter().map(String::len).max().unwrap_or(0).max(best.1.code.len());
            (best.0 * 5 <= longest * 2).then_some(best.1)
        };
        translated.or_else(by_code).or_else(by_display).or_else(by_spelling)
    }

    fn translate<'a>(&'a self, code: &Code, set: &'a CodeSet) -> Option<&'a Code> {
        let same = |one: &Code| {
            one.code == code.code
                && self.systems().canonical(&one.system) == self.systems().canonical(&code.system)
        };
        let to = self.translations().iter().find(|translation| same(&translation.from))?;
        set.find(&to.to.system, &to.to.code, self.systems())
    }

    /// The system is named where it makes the difference.
    fn nearest_in_words(&self, near: &Code, value: &Given) -> String {
        let systems = self.systems();
        let near_system = systems.canonical(&near.system);
        let other = value.codings.iter().any(|code| systems.canonical(&code.system) != near_system);
        let display = near.display.as_deref().filter(|display| *display != near.code);
        let display = display.map(|display| format!(" ({display})")).unwrap_or_default();
        if other && !near.system.is_empty() {
            format!("{}{display} in system {}", near.code, near.system)
        } else {
            format!("{}{display}", near.code)
        }
    }
}

fn in_words(code: &Code) -> String {
    if code.system.is_empty() {
        code.code.clone()
    } else {
        format!("{} in system {}", code.code, code.system)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affinity::{Systems, Translation};

    fn code(system: &str, code: &str) -> Code {
        Code { system: system.to_owned(), code: code.to_owned(), display: None }
    }

    fn domain() -> Domain {
        let mut systems = Systems::default();
        systems.learn("http://region.example/format", "1.2.3").unwrap();
        let formats = vec![
            code("urn:oid:1.2.3", "urn:ihe:iti:xds:2017:mimeTypeSufficient"),
            code("urn:oid:1.2.3", "urn:ihe:pcc:xphr:2007"),
        ];
        let sets = vec![
            (Coded::FormatCode, CodeSet::new("formats", formats)),
            (
                Coded::MimeType,
                CodeSet::new("types", vec![code("", "text/plain"), code("", "application/pdf")]),
            ),
        ];
        let translation =
            Translation { from: code("urn:old", "xphr"), to: code("1.2.3", "urn:ihe:pcc:xphr:2007") };
        Domain::new(sets, systems, vec![translation], Vec::new())
    }

    fn given(attribute: Coded, codings: Vec<Code>) -> Given {
        Given { attribute, at: Place::at("Bundle.entry[2].resource.content[0].format"), codings }
    }

    #[test]
    fn an_accepted_code_is_accepted_in_every_spelling_of_its_system() {
        let domain = domain();
        for system in ["1.2.3", "urn:oid:1.2.3", "http://region.example/format"] {
            assert!(domain.accepts(&given(Coded::FormatCode, vec![code(system, "urn:ihe:pcc:xphr:2007")])));
        }
        assert!(!domain.accepts(&given(Coded::FormatCode, vec![code("", "urn:ihe:pcc:xphr:2007")])));
    }

    #[test]
    fn one_accepted_coding_of_a_concept_is_enough() {
        let codings = vec![code("urn:local", "x"), code("1.2.3", "urn:ihe:pcc:xphr:2007")];
        assert!(domain().accepts(&given(Coded::FormatCode, codings)));
    }

    #[test]
    fn what_the_domain_says_nothing_of_is_accepted() {
        assert!(domain().accepts(&given(Coded::ClassCode, vec![code("urn:x", "y")])));
    }

    #[test]
    fn media_types_are_compared_without_parameters_and_case() {
        assert!(domain().accepts(&given(Coded::MimeType, vec![code("", "Text/Plain; charset=utf-8")])));
        assert!(!domain().accepts(&given(Coded::MimeType, vec![code("", "text/html")])));
    }

    #[test]
    fn a_refusal_names_both_attributes_the_value_the_set_and_the_nearest_code() {
        let value =
            given(Coded::FormatCode, vec![code("urn:oid:1.2.3", "urn:ihe:iti:xds:2017:mimeTypeSufficent")]);
        let findings = domain().check(&[value], &Enforcement::all(Enforce::Reject));
        assert_eq!(
            findings[0].text,
            "DocumentReference.content[0].format (DocumentEntry.formatCode) is urn:ihe:iti:xds:2017:mimeTypeSufficent \
             in system urn:oid:1.2.3; this affinity domain accepts urn:ihe:iti:xds:2017:mimeTypeSufficient, \
             urn:ihe:pcc:xphr:2007, nearest: urn:ihe:iti:xds:2017:mimeTypeSufficient."
        );
        assert_eq!((findings[0].severity, findings[0].rule), (Severity::Error, Rule::CodeInvalid));
        assert_eq!(findings[0].at.path, "Bundle.entry[2].resource.content[0].format");
    }

    #[test]
    fn a_code_of_another_system_and_a_translation_are_near() {
        let domain = domain();
        let near = |codings| {
            let value = given(Coded::FormatCode, codings);
            let findings = domain.check(&[value], &Enforcement::all(Enforce::Warn));
            findings[0].detail.as_ref().and_then(|detail| detail.nearest.clone())
        };
        assert_eq!(
            near(vec![code("urn:other", "urn:ihe:pcc:xphr:2007")]).as_deref(),
            Some("urn:ihe:pcc:xphr:2007 in system urn:oid:1.2.3")
        );
        assert_eq!(
            near(vec![code("urn:old", "xphr")]).as_deref(),
            Some("urn:ihe:pcc:xphr:2007 in system urn:oid:1.2.3")
        );
        assert_eq!(near(vec![code("urn:oid:1.2.3", "zzz")]), None);
    }

    #[test]
    fn each_attribute_is_off_warned_of_or_rejected() {
        let values = [
            given(Coded::FormatCode, vec![code("", "x")]),
            given(Coded::MimeType, vec![code("", "text/html")]),
        ];
        let enforcement =
            Enforcement { default: Enforce::Warn, of: vec![(Coded::FormatCode, Enforce::Reject)] };
        let domain = domain();
        let severities = |enforcement: &Enforcement| {
            domain.check(&values, enforcement).iter().map(|f| f.severity).collect()
        };
        let found: Vec<Severity> = severities(&enforcement);
        assert_eq!(found, [Severity::Error, Severity::Warning]);
        let found: Vec<Severity> = severities(&enforcement.lenient());
        assert_eq!(found, [Severity::Warning, Severity::Warning]);
        let found: Vec<Severity> = severities(&Enforcement::default());
        assert!(found.is_empty());
    }
}
