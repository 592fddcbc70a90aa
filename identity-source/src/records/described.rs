//! A description of patients as a question: what the indexes narrow down; whether one fits to the letter is seen at the record.

use fhir::patient::Attribute;
use store::{AnyOf, Ask, Order, Page, Scope, Span, Test};
use xds::Identifier;

use super::asked::attribute;
use super::{PATIENT, Records};
use crate::candidates::{Criteria, Name, Pattern, PlaceInAnswer};

impl Records {
    /// Those who may fit a description; `mothers` are identifiers of those who may be the mother.
    pub(crate) fn described(
        &self,
        criteria: &Criteria,
        mothers: &[Identifier],
        place: Option<&PlaceInAnswer>,
        limit: usize,
    ) -> Result<Page, store::Error> {
        self.store.find(&Ask {
            kind: PATIENT,
            scope: Scope::Everywhere,
            all: self.asked_by(criteria, mothers),
            order: Order::Natural,
            after: place.map(|place| place.after.clone()),
            limit,
            as_of: place.map(|place| place.as_of),
            total: false,
        })
    }

    fn asked_by(&self, criteria: &Criteria, mothers: &[Identifier]) -> Vec<AnyOf> {
        let mut all = Vec::new();
        let mut must = |tests: Vec<Test>| all.push(AnyOf { tests, negated: false });
        for (of, name) in [
            (Attribute::Identifier, &criteria.identifier),
            (Attribute::MothersIdentifier, &criteria.mother),
            (Attribute::Account, &criteria.account),
        ] {
            if let Some(name) = name {
                must(self.named_so(of, name));
            }
        }
        for (of, pattern) in [
            (Attribute::Family, &criteria.family),
            (Attribute::Given, &criteria.given),
            (Attribute::Given, &criteria.middle),
            (Attribute::Address, &criteria.street),
            (Attribute::City, &criteria.city),
            (Attribute::State, &criteria.state),
            (Attribute::PostalCode, &criteria.postal_code),
            (Attribute::Country, &criteria.country),
        ] {
            if let Some(pattern) = pattern {
                must(vec![test(of, pattern)]);
            }
        }
        for (of, pattern) in [
            (Attribute::MothersMaidenName, &criteria.mothers_family),
            (Attribute::MothersGiven, &criteria.mothers_given),
        ] {
            if let Some(pattern) = pattern {
                let hers = mothers.iter().flat_map(|one| {
                    let name = Name { value: Some(one.value.clone()), system: Some(one.system.clone()) };
                    self.named_so(Attribute::MothersIdentifier, &name)
                });
                must(std::iter::once(test(of, pattern)).chain(hers).collect());
            }
        }
        if let Some(born) = criteria.born.as_deref().and_then(fhir::when::read) {
            let span = Span::Within { from: born.from, to: born.to };
            must(vec![Test::Instant { name: attribute(Attribute::BirthDate).0, span }]);
        }
        if let Some(gender) = criteria.gender {
            let name = attribute(Attribute::Gender).0;
            must(vec![Test::Term { name, space: None, value: Some(gender.to_owned()) }]);
        }
        if let Some(telecom) = &criteria.telecom {
            let name = attribute(Attribute::Telecom).0;
            must(vec![Test::Term { name, space: None, value: Some(telecom.clone()) }]);
        }
        all
    }

    /// An identifier in every spelling of its domain.
    fn named_so(&self, of: Attribute, name: &Name) -> Vec<Test> {
        let (word, _) = attribute(of);
        let test = |space: Option<String>| Test::Term { name: word, space, value: name.value.clone() };
        match &name.system {
            None => vec![test(None)],
            Some(system) => {
                self.authorities().spellings(system).into_iter().map(|system| test(Some(system))).collect()
            }
        }
    }
}

fn test(of: Attribute, pattern: &Pattern) -> Test {
    let (name, _) = attribute(of);
    match pattern.beginning() {
        Some(beginning) => Test::Prefix { name, folded: beginning.to_owned() },
        None => Test::Contains { name, folded: pattern.part().to_owned() },
    }
}
