//! The affinity domain: which codes it accepts for which attribute, how its code systems are spelled, and what is said of a
//! value it does not accept (TF-3 4.2.3.1.2; TF-1 10.4.13).
//!
//! Pure, like the rest of this crate: files are read elsewhere, and handed in as [`CodeSet`]s.

mod attribute;
mod compare;
mod judge;
mod set;
mod systems;

pub use attribute::Coded;
pub use compare::{Difference, compare};
pub use judge::{Enforce, Enforcement, Given};
pub use set::CodeSet;
pub use systems::Systems;

use std::collections::BTreeMap;

use crate::types::Code;

/// A code of one system that stands for a code of another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translation {
    /// What is written elsewhere.
    pub from: Code,
    /// What this domain says instead.
    pub to: Code,
}

/// What an affinity domain has agreed on.
#[derive(Debug, Clone, Default)]
pub struct Domain {
    sets: BTreeMap<Coded, CodeSet>,
    systems: Systems,
    translations: Vec<Translation>,
    authorities: Vec<Authority>,
}

/// An assigning authority: who gives out patient identifiers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Authority {
    /// Its OID, without prefix.
    pub oid: String,
    /// What it is called.
    pub display: String,
}

impl Domain {
    /// A domain of these sets; two for one attribute become one that accepts what either does.
    pub fn new(
        sets: impl IntoIterator<Item = (Coded, CodeSet)>,
        systems: Systems,
        translations: Vec<Translation>,
        authorities: Vec<Authority>,
    ) -> Domain {
        let mut bound: BTreeMap<Coded, CodeSet> = BTreeMap::new();
        for (attribute, set) in sets {
            match bound.get_mut(&attribute) {
                Some(known) => known.absorb(set),
                None => {
                    bound.insert(attribute, set);
                }
            }
        }
        for (attribute, set) in &mut bound {
            if attribute.is_plain() {
                set.codes.iter_mut().for_each(|code| code.system.clear());
            }
            set.index(&systems);
        }
        Domain { sets: bound, systems, translations, authorities }
    }

    /// The codes accepted for an attribute; none where the domain says nothing of it.
    pub fn set(&self, attribute: Coded) -> Option<&CodeSet> {
        self.sets.get(&attribute)
    }

    /// All sets, in the order of the attributes.
    pub fn sets(&self) -> impl Iterator<Item = (Coded, &CodeSet)> {
        self.sets.iter().map(|(attribute, set)| (*attribute, set))
    }

    /// How code systems are spelled.
    pub fn systems(&self) -> &Systems {
        &self.systems
    }

    /// Codes that stand for codes of this domain.
    pub fn translations(&self) -> &[Translation] {
        &self.translations
    }

    /// Who gives out patient identifiers.
    pub fn authorities(&self) -> &[Authority] {
        &self.authorities
    }

    /// Whether the domain says nothing at all.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}
