//! The spellings of code systems and name spaces: an OID and its URLs are one system.

use std::collections::HashMap;

use crate::attribute::system;
use crate::filter::{Filter, PatientIs, Test, Token};
use crate::identifier::is_oid;

/// Which spellings mean the same system, beyond those every domain knows ([`crate::attribute::system`]).
#[derive(Debug, Clone, Default)]
pub struct Systems {
    /// From a spelling, as [`system`] writes it, to its group.
    group_of: HashMap<String, usize>,
    /// The spellings of a group, in the order they were learned; emptied when it became part of another one.
    groups: Vec<Vec<String>>,
}

impl Systems {
    /// Learns that two spellings mean one system. Refused, with words, where both already have an OID and these differ: a
    /// system has one.
    pub fn learn(&mut self, one: &str, other: &str) -> Result<(), String> {
        let (one, other) = (system(one), system(other));
        if one == other || one.is_empty() || other.is_empty() {
            return Ok(());
        }
        let (into, from) = (self.group(&one), self.group(&other));
        if into == from {
            return Ok(());
        }
        let oid = |group: usize| self.groups[group].iter().find(|name| is_oid(name));
        if let (Some(known), Some(given)) = (oid(into), oid(from)) {
            return Err(format!(
                "{one} and {other} are said to be one code system, but are {known} and {given}; they stay two"
            ));
        }
        let moved = std::mem::take(&mut self.groups[from]);
        for name in &moved {
            self.group_of.insert(name.clone(), into);
        }
        self.groups[into].extend(moved);
        Ok(())
    }

    fn group(&mut self, name: &str) -> usize {
        if let Some(group) = self.group_of.get(name) {
            return *group;
        }
        self.groups.push(vec![name.to_owned()]);
        self.group_of.insert(name.to_owned(), self.groups.len() - 1);
        self.groups.len() - 1
    }

    /// The one spelling all spellings of a system are compared by: the OID where there is one.
    pub fn canonical(&self, written: &str) -> String {
        let written = system(written);
        match self.group_of.get(&written).map(|group| &self.groups[*group]) {
            Some(names) => names.iter().find(|name| is_oid(name)).unwrap_or(&names[0]).clone(),
            None => written,
        }
    }

    /// Every spelling of a system that was learned, and the one given, each as [`system`] writes it: what a question has to
    /// ask for, because what is kept was written before the spelling was learned, or after.
    pub fn spellings(&self, written: &str) -> Vec<String> {
        let written = system(written);
        match self.group_of.get(&written) {
            Some(group) => self.groups[*group].clone(),
            None => vec![written],
        }
    }

    /// Lets a question ask for every spelling of the systems it names: of codes, and of the identifiers of patients.
    pub fn widen(&self, filter: &mut Filter) {
        if self.group_of.is_empty() {
            return;
        }
        let pointing = filter.has.iter_mut().map(|has| &mut has.clause);
        for clause in filter.all.iter_mut().chain(&mut filter.patient).chain(pointing) {
            let tests = std::mem::take(&mut clause.any);
            for test in tests {
                match &test {
                    Test::Token(Token { system: Some(named), code }) if !named.is_empty() => {
                        let others = self.others(named).into_iter();
                        let others = others
                            .map(|system| Test::Token(Token { system: Some(system), code: code.clone() }));
                        let others: Vec<Test> = others.collect();
                        clause.any.push(test);
                        clause.any.extend(others);
                    }
                    _ => clause.any.push(test),
                }
            }
        }
        for group in &mut filter.patients {
            let named = group.clone();
            for patient in named {
                let (system, value) = match patient {
                    PatientIs::Identifier { system: Some(system), value } => (system, value),
                    PatientIs::Known(identifier) => (identifier.system, identifier.value),
                    PatientIs::Identifier { system: None, .. } | PatientIs::Id(_) => continue,
                };
                let others = self.others(&system).into_iter();
                group.extend(
                    others.map(|system| PatientIs::Identifier { system: Some(system), value: value.clone() }),
                );
            }
        }
    }

    /// The other spellings of a system.
    fn others(&self, written: &str) -> Vec<String> {
        let given = system(written);
        let mut names = self.spellings(written);
        names.retain(|name| *name != given);
        names
    }

    /// Groups of spellings that mean one system, those with more than one.
    pub fn learned(&self) -> impl Iterator<Item = &[String]> {
        self.groups.iter().filter(|names| names.len() > 1).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_that_were_learned_are_one_system() {
        let mut systems = Systems::default();
        systems.learn("http://region.example/codes", "urn:oid:1.2.3").unwrap();
        systems.learn("https://region.example/codes", "http://region.example/codes").unwrap();
        assert_eq!(systems.canonical("https://region.example/codes"), "1.2.3");
        assert_eq!(systems.canonical("urn:oid:1.2.3"), "1.2.3");
        assert_eq!(systems.spellings("1.2.3").len(), 3);
        assert_eq!(systems.canonical("http://loinc.org"), "2.16.840.1.113883.6.1");
        assert_eq!(systems.spellings("http://elsewhere.example"), ["http://elsewhere.example"]);
    }

    #[test]
    fn a_question_asks_for_every_spelling() {
        use crate::Attribute;
        use crate::filter::{Clause, Of};
        let mut systems = Systems::default();
        systems.learn("http://region.example/codes", "urn:oid:1.2.3").unwrap();
        let token = |system: &str| Test::Token(Token { system: Some(system.into()), code: Some("a".into()) });
        let clause =
            Clause { attribute: Attribute::ClassCode, any: vec![token("urn:oid:1.2.3")], negated: true };
        let patient =
            PatientIs::Identifier { system: Some("http://region.example/codes".into()), value: "7".into() };
        let mut filter =
            Filter { patients: vec![vec![patient]], all: vec![clause], ..Filter::of(Of::Documents) };
        systems.widen(&mut filter);
        assert_eq!(filter.all[0].any, [token("urn:oid:1.2.3"), token("http://region.example/codes")]);
        assert_eq!(filter.patients[0].len(), 2, "{:?}", filter.patients);
    }

    #[test]
    fn a_system_with_two_oids_stays_two() {
        let mut systems = Systems::default();
        let refused = systems.learn("http://snomed.info/sct", "2.16.840.1.113883.6.1").unwrap_err();
        assert!(refused.contains("they stay two"), "{refused}");
        assert_ne!(systems.canonical("http://snomed.info/sct"), systems.canonical("http://loinc.org"));
    }
}
