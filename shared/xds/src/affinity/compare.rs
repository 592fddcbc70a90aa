//! What differs between two domains.

use super::{Coded, Domain};
use crate::types::Code;

/// A difference of one attribute, seen from the first domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Of which attribute.
    pub attribute: Coded,
    /// Whether the first, and whether the second domain restricts it at all.
    pub restricted: (bool, bool),
    /// Codes only the second accepts.
    pub added: Vec<Code>,
    /// Codes only the first accepts.
    pub removed: Vec<Code>,
}

/// What differs, attribute by attribute; nothing where both accept the same. Spellings of systems do not differ if either
/// domain knows them as one.
pub fn compare(one: &Domain, other: &Domain) -> Vec<Difference> {
    let difference = |attribute: &Coded| {
        let (before, after) = (one.set(*attribute), other.set(*attribute));
        let lacks = |set: Option<&super::CodeSet>, code: &Code| {
            set.is_none_or(|set| !set.accepts(code, one.systems()) && !set.accepts(code, other.systems()))
        };
        let codes = |set: Option<&super::CodeSet>, of: Option<&super::CodeSet>| -> Vec<Code> {
            set.into_iter().flat_map(|set| &set.codes).filter(|code| lacks(of, code)).cloned().collect()
        };
        let (added, removed) = (codes(after, before), codes(before, after));
        let restricted = (before.is_some(), after.is_some());
        let differs = !added.is_empty() || !removed.is_empty() || restricted.0 != restricted.1;
        differs.then_some(Difference { attribute: *attribute, restricted, added, removed })
    };
    Coded::ALL.iter().filter_map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::affinity::{CodeSet, Systems};

    fn domain(codes: &[&str]) -> Domain {
        let codes = codes.iter().map(|code| Code {
            system: "urn:oid:1.2.3".to_owned(),
            code: (*code).to_owned(),
            display: None,
        });
        let set = CodeSet::new("classes", codes.collect());
        Domain::new([(Coded::ClassCode, set)], Systems::default(), Vec::new(), Vec::new())
    }

    #[test]
    fn what_was_added_and_removed_is_told() {
        let differences = compare(&domain(&["a", "b"]), &domain(&["b", "c"]));
        assert_eq!(differences.len(), 1);
        assert_eq!(differences[0].added[0].code, "c");
        assert_eq!(differences[0].removed[0].code, "a");
        assert!(compare(&domain(&["a"]), &domain(&["a"])).is_empty());
        assert_eq!(compare(&domain(&["a"]), &Domain::default())[0].restricted, (true, false));
    }
}
