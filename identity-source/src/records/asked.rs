//! Questions about patients as the store asks them: which word each attribute is kept under, and how values compare.

use fhir::iti78::{self, Filter};
use fhir::patient::{Attribute, Fact as PatientFact, canonical_system};
use store::{AnyOf, Ask, Cursor, Fact, Order, OrderKey, Page, Reach, Scope, Sequence, Span, Test};
use xds::authority::Authorities;
use xds::{Identifier, Moment};

use super::{PATIENT, Records};

/// A question with the place where its answer goes on.
pub(crate) struct Asked<'a> {
    /// The question.
    pub(crate) filter: &'a Filter,
    /// Names and directions (true = descending).
    pub(crate) sort: &'a [(String, bool)],
    /// Continue behind this place.
    pub(crate) after: Option<Cursor>,
    /// As things stood then.
    pub(crate) as_of: Option<Sequence>,
    /// Rows at most.
    pub(crate) limit: usize,
    /// Whether the number of all matches is wanted.
    pub(crate) total: bool,
    /// Our own address: under it a patient goes by `Patient/{id}`.
    pub(crate) base: &'a str,
}

impl Records {
    /// Answers a question.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Result<Page, store::Error> {
        let all = asked.filter.all.iter().map(|clause| self.any_of(clause, asked.base));
        self.store().find(&Ask {
            kind: PATIENT,
            scope: Scope::Everywhere,
            all: all.collect::<Result<_, _>>()?,
            order: order(asked.sort),
            after: asked.after.clone(),
            limit: asked.limit,
            as_of: asked.as_of,
            total: asked.total,
        })
    }

    /// Ids of the records that state this identifier, whether they hold it or not; at most so many.
    pub(crate) fn stating(&self, identifier: &Identifier, most: usize) -> Result<Vec<String>, store::Error> {
        let token = iti78::Test::Token {
            system: Some(identifier.system.clone()),
            value: Some(identifier.value.clone()),
        };
        let tests = tests_of(Attribute::Identifier, &token, self.authorities());
        let page = self.store().find(&Ask {
            kind: PATIENT,
            scope: Scope::Everywhere,
            all: vec![AnyOf { tests, negated: false }],
            order: Order::Natural,
            after: None,
            limit: most,
            as_of: None,
            total: false,
        })?;
        Ok(page.rows.into_iter().map(|row| row.id).collect())
    }

    fn any_of(&self, clause: &iti78::Clause, base: &str) -> Result<AnyOf, store::Error> {
        let mut tests = Vec::with_capacity(clause.any.len());
        for test in &clause.any {
            match test {
                // An identifier names one record, whoever else states it: as conditional PUT and DELETE have it.
                iti78::Test::Token { system: Some(system), value: Some(value) }
                    if clause.attribute == Attribute::Identifier && !clause.negated && !system.is_empty() =>
                {
                    let identifier = Identifier { system: system.clone(), value: value.clone() };
                    let id = match super::own_id(&identifier, base) {
                        Some(id) => Some(id.to_owned()),
                        None => self.holder(&identifier)?,
                    };
                    // No record has an empty id.
                    tests.push(Test::Id(id.unwrap_or_default()));
                }
                test => {
                    let parts = parts(clause.attribute);
                    tests.extend(parts.iter().flat_map(|part| tests_of(*part, test, self.authorities())));
                }
            }
        }
        Ok(AnyOf { tests, negated: clause.negated })
    }
}

/// The domains of which a patient has identifiers.
pub(super) const DOMAIN: &str = "identifier-domain";

/// The word an attribute is kept under, and how far it can be asked for.
pub(super) fn attribute(attribute: Attribute) -> (&'static str, Reach) {
    match attribute {
        // These two the store knows of every record.
        Attribute::Id => ("id", Reach::Partition),
        Attribute::LastUpdated => ("last-updated", Reach::Partition),
        Attribute::Identifier => ("identifier", Reach::Global),
        Attribute::Active => ("active", Reach::Global),
        Attribute::Gender => ("gender", Reach::Global),
        Attribute::BirthDate => ("birth-date", Reach::Global),
        Attribute::Name => ("name", Reach::Global),
        Attribute::Family => ("family", Reach::Global),
        Attribute::Given => ("given", Reach::Global),
        Attribute::Telecom => ("telecom", Reach::Global),
        Attribute::Address => ("address", Reach::Global),
        Attribute::City => ("city", Reach::Global),
        Attribute::State => ("state", Reach::Global),
        Attribute::PostalCode => ("postal-code", Reach::Global),
        Attribute::Country => ("country", Reach::Global),
        Attribute::MothersMaidenName => ("mothers-maiden-name", Reach::Global),
        Attribute::MothersGiven => ("mothers-given", Reach::Global),
        Attribute::MothersIdentifier => ("mothers-identifier", Reach::Global),
        Attribute::Account => ("account", Reach::Global),
    }
}

/// The attributes a question for this one looks at: a name is in all its parts, an address too.
fn parts(attribute: Attribute) -> Vec<Attribute> {
    match attribute {
        Attribute::Name => vec![Attribute::Name, Attribute::Family, Attribute::Given],
        Attribute::Address => vec![
            Attribute::Address,
            Attribute::City,
            Attribute::State,
            Attribute::PostalCode,
            Attribute::Country,
        ],
        other => vec![other],
    }
}

/// What a patient is found by, as it is kept.
pub(crate) fn facts(of: Vec<(Attribute, PatientFact)>, authorities: &Authorities) -> Vec<Fact> {
    let mut domains: Vec<String> = Vec::new();
    for (of, fact) in &of {
        if let (Attribute::Identifier, PatientFact::Term { space, .. }) = (of, fact) {
            let domain = authorities.canonical(space);
            if !domains.contains(&domain) {
                domains.push(domain);
            }
        }
    }
    let domain = |value| Fact::Term { name: DOMAIN, space: String::new(), value, reach: Reach::Global };
    of.into_iter().map(fact).chain(domains.into_iter().map(domain)).collect()
}

fn fact((of, fact): (Attribute, PatientFact)) -> Fact {
    let (name, reach) = attribute(of);
    match fact {
        PatientFact::Term { space, value } => Fact::Term { name, space, value: term_value(of, value), reach },
        PatientFact::Text(exact) => Fact::Text { name, folded: fold(&exact), exact, reach },
        PatientFact::Span(from, to) => Fact::Instant { name, from, to, reach },
    }
}

/// Phone numbers compare by their digits, mail addresses and the like without regard to case; all else as it is.
fn term_value(of: Attribute, value: String) -> String {
    if of != Attribute::Telecom {
        return value;
    }
    let punctuates = |letter: char| letter.is_whitespace() || "+-()/.".contains(letter);
    let is_number = value.chars().any(|letter| letter.is_ascii_digit())
        && value.chars().all(|letter| letter.is_ascii_digit() || punctuates(letter));
    if is_number { value.chars().filter(char::is_ascii_digit).collect() } else { value.to_lowercase() }
}

/// A text without regard to case and accents.
fn fold(text: &str) -> String {
    xds::attribute::fold(text.trim())
}

/// One alternative of a question.
fn tests_of(of: Attribute, asked: &iti78::Test, authorities: &Authorities) -> Vec<Test> {
    let (name, _) = attribute(of);
    match asked {
        iti78::Test::Id(id) => vec![Test::Id(id.clone())],
        iti78::Test::Token { system: Some(system), value } if of == Attribute::Identifier => {
            // Kept in the spelling that was the canonical one then.
            let term = |system: String| match value {
                None if !system.is_empty() => Test::Term { name: DOMAIN, space: None, value: Some(system) },
                value => Test::Term { name, space: Some(system), value: value.clone() },
            };
            authorities.spellings(system).into_iter().map(term).collect()
        }
        iti78::Test::Token { system, value } => {
            let of_identifiers = matches!(of, Attribute::MothersIdentifier | Attribute::Account);
            let space = match system {
                Some(system) if of_identifiers => Some(canonical_system(system)),
                system => system.clone(),
            };
            vec![Test::Term { name, space, value: value.clone().map(|value| term_value(of, value)) }]
        }
        iti78::Test::Begins(text) => vec![Test::Prefix { name, folded: fold(text) }],
        iti78::Test::Contains(text) => vec![Test::Contains { name, folded: fold(text) }],
        iti78::Test::Exactly(text) => vec![Test::Exact { name, exact: text.clone() }],
        iti78::Test::Present => vec![Test::Present { name }],
        iti78::Test::Moment(moment) => spans(*moment)
            .into_iter()
            .map(|span| match of {
                Attribute::LastUpdated => Test::Written(span),
                _ => Test::Instant { name, span },
            })
            .collect(),
    }
}

/// A comparison as stretches of time, one of which must fit.
fn spans(moment: Moment) -> Vec<Span> {
    match moment {
        Moment::Within(from, to) => vec![Span::Within { from, to }],
        Moment::Outside(from, to) => vec![Span::BeginsBefore(from), Span::EndsAfter(to)],
        Moment::Overlaps(from, to) => vec![Span::Overlaps { from, to }],
        Moment::EndsAfter(instant) => vec![Span::EndsAfter(instant)],
        Moment::BeginsBefore(instant) => vec![Span::BeginsBefore(instant)],
        Moment::EndsAfterOrWithin(from, to) => vec![Span::EndsAfter(to), Span::Within { from, to }],
        Moment::BeginsBeforeOrWithin(from, to) => vec![Span::BeginsBefore(from), Span::Within { from, to }],
        Moment::BeginsFrom(instant) => vec![Span::BeginsFrom(instant)],
        Moment::EndsBy(instant) => vec![Span::EndsBy(instant)],
    }
}

fn order(sort: &[(String, bool)]) -> Order {
    let key = |(wanted, descending): &(String, bool)| {
        let (_, by) = iti78::SORTS.iter().find(|(name, _)| name == wanted)?;
        let descending = *descending;
        Some(match by {
            Attribute::Id => OrderKey::Id { descending },
            Attribute::LastUpdated => OrderKey::Written { descending },
            by => OrderKey::Fact { name: attribute(*by).0, descending },
        })
    };
    let keys: Vec<OrderKey> = sort.iter().filter_map(key).collect();
    match keys.as_slice() {
        [] => Order::Natural,
        [OrderKey::Fact { name, descending }] => Order::By { name, descending: *descending },
        [OrderKey::Written { descending }] => Order::Written { descending: *descending },
        _ => Order::Keys(keys),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_number_is_its_digits_and_a_mail_address_has_no_case() {
        let value = |text: &str| term_value(Attribute::Telecom, text.to_owned());
        assert_eq!(value("+43 (1) 555-01.47"), value(" 43 1 5550147"));
        assert_eq!(value("Alice@Example.ORG"), "alice@example.org");
        assert_eq!(value("ext. 12"), "ext. 12");
        assert_eq!(term_value(Attribute::Identifier, "A-1".to_owned()), "A-1");
    }

    #[test]
    fn every_sort_is_a_key_of_the_store() {
        for (name, _) in iti78::SORTS {
            assert_ne!(order(&[((*name).to_owned(), true)]), Order::Natural, "{name}");
        }
        let keys = order(&[("family".to_owned(), false), ("_id".to_owned(), true)]);
        assert!(matches!(keys, Order::Keys(keys) if keys.len() == 2));
    }
}
