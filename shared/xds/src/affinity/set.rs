//! The codes accepted for one attribute.

use std::collections::HashMap;

use super::Systems;
use crate::types::Code;

/// A set of codes.
#[derive(Debug, Clone, Default)]
pub struct CodeSet {
    /// What it is called.
    pub title: String,
    /// Its canonical URL, where it has one.
    pub url: Option<String>,
    /// The codes, in the order of their source.
    pub codes: Vec<Code>,
    /// Systems of which every code is accepted.
    pub whole_systems: Vec<String>,
    /// From a code to its places in `codes`.
    places: HashMap<String, Vec<usize>>,
    /// The canonical system of each code.
    canonical: Vec<String>,
    whole: Vec<String>,
}

impl CodeSet {
    /// A set of these codes.
    pub fn new(title: impl Into<String>, codes: Vec<Code>) -> CodeSet {
        CodeSet { title: title.into(), codes, ..CodeSet::default() }
    }

    pub(super) fn absorb(&mut self, other: CodeSet) {
        self.codes.extend(other.codes);
        self.whole_systems.extend(other.whole_systems);
    }

    /// Makes the set ready to be asked; a code that is there twice is kept once.
    pub fn index(&mut self, systems: &Systems) {
        let codes = std::mem::take(&mut self.codes);
        self.places.clear();
        self.canonical.clear();
        for code in codes {
            let system = systems.canonical(&code.system);
            let places = self.places.entry(code.code.clone()).or_default();
            if places.iter().all(|place| self.canonical[*place] != system) {
                places.push(self.codes.len());
                self.canonical.push(system);
                self.codes.push(code);
            }
        }
        self.whole = self.whole_systems.iter().map(|system| systems.canonical(system)).collect();
    }

    /// The code as the set has it: same code, same system in whatever spelling. One that was given without a system is found
    /// only if the set has it without one, too.
    pub fn find(&self, system: &str, code: &str, systems: &Systems) -> Option<&Code> {
        let system = systems.canonical(system);
        let places = self.places.get(code)?;
        places.iter().find(|place| self.canonical[**place] == system).map(|place| &self.codes[*place])
    }

    /// The codes with this word, of whatever system.
    pub fn with_code(&self, code: &str) -> impl Iterator<Item = &Code> {
        self.places.get(code).into_iter().flatten().map(|place| &self.codes[*place])
    }

    /// Whether every code of this system is accepted.
    pub fn has_whole(&self, system: &str, systems: &Systems) -> bool {
        !self.whole.is_empty() && self.whole.contains(&systems.canonical(system))
    }

    /// Whether this code is accepted.
    pub fn accepts(&self, code: &Code, systems: &Systems) -> bool {
        self.find(&code.system, &code.code, systems).is_some() || self.has_whole(&code.system, systems)
    }

    /// Whether this word is accepted, where values have no code system: media types and languages. Case does not count, and
    /// parameters of a media type only where the set names them.
    pub fn accepts_word(&self, word: &str) -> bool {
        let same = |one: &str, other: &str| one.trim().eq_ignore_ascii_case(other.trim());
        let essence = word.split(';').next().unwrap_or(word);
        self.places.contains_key(word)
            || self.codes.iter().any(|code| same(&code.code, word) || same(&code.code, essence))
    }
}
