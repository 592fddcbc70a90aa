//! A filter, as a question to the store.

use store::{AnyOf, Ask, Order, Scope, Span};
use xds::attribute::{RELATED, fold, identifier_value, system};
use xds::filter::{Clause, Filter, Of, Test};
use xds::{AssociationType, Attribute, Moment, Token};

use super::{DOCUMENT, HAS_MEMBER, LIST, SUBMITS};

/// Every relation a document can have to another.
const RELATIONS: [AssociationType; 5] = [
    AssociationType::Replace,
    AssociationType::Transform,
    AssociationType::TransformReplace,
    AssociationType::Append,
    AssociationType::Signs,
];

/// The question a filter is. `scope` says whose objects; none if nothing can match.
pub(crate) fn ask(filter: &Filter, scope: Scope, order: Order, limit: usize) -> Option<Ask> {
    if filter.all.iter().any(|clause| clause.any.is_empty() && !clause.negated) {
        return None;
    }
    Some(Ask {
        kind: match filter.of {
            Of::Documents => DOCUMENT,
            Of::Lists => LIST,
        },
        scope,
        all: filter.all.iter().map(any_of).collect(),
        order,
        after: None,
        limit,
        as_of: None,
        total: true,
    })
}

fn any_of(clause: &Clause) -> AnyOf {
    let mut tests = Vec::with_capacity(clause.any.len());
    for test in &clause.any {
        add(clause.attribute, test, &mut tests);
    }
    AnyOf { tests, negated: clause.negated }
}

fn add(attribute: Attribute, test: &Test, tests: &mut Vec<store::Test>) {
    let name = attribute.name();
    match test {
        Test::Token(token) => tests.push(term(attribute, token)),
        Test::Moment(moment) => {
            tests.extend(spans(*moment).into_iter().flatten().map(|span| match attribute {
                Attribute::LastUpdated => store::Test::Written(span),
                _ => store::Test::Instant { name, span },
            }))
        }
        Test::Begins(text) => tests.push(store::Test::Prefix { name, folded: fold(text) }),
        Test::Contains(text) => tests.push(store::Test::Contains { name, folded: fold(text) }),
        Test::Exactly(text) => tests.push(store::Test::Exact { name, exact: text.clone() }),
        Test::Id(id) => tests.push(store::Test::Id(id.as_str().to_owned())),
        Test::Status(status) => {
            tests.push(store::Test::Term { name, space: None, value: Some(status.word().to_owned()) })
        }
        Test::Reference(reference) => references(attribute, reference, tests),
    }
}

fn term(attribute: Attribute, token: &Token) -> store::Test {
    let names_a_thing =
        matches!(attribute, Attribute::Identifier | Attribute::ReferenceId | Attribute::SourceId);
    // A sourceId is a plain OID: a system in the question says nothing (MHD 2:3.66).
    let space = token.system.as_deref().filter(|_| attribute != Attribute::SourceId).map(system);
    let value = token
        .code
        .as_deref()
        .map(|code| if names_a_thing { identifier_value(code) } else { code.to_owned() });
    store::Test::Term { name: attribute.name(), space, value }
}

fn references(attribute: Attribute, reference: &str, tests: &mut Vec<store::Test>) {
    let target = || reference.rsplit('/').next().unwrap_or(reference).to_owned();
    match attribute {
        Attribute::RelatesTo => {
            tests.extend(RELATIONS.map(|kind| store::Test::Edge { name: kind.edge(), target: target() }));
        }
        Attribute::Member => {
            tests.extend([SUBMITS, HAS_MEMBER].map(|name| store::Test::Edge { name, target: target() }));
        }
        _ => tests.push(store::Test::Term { name: RELATED, space: None, value: Some(reference.to_owned()) }),
    }
}

/// FHIR's comparisons, each as one or two of the store's: one of them must hold.
fn spans(moment: Moment) -> [Option<Span>; 2] {
    match moment {
        Moment::Within(from, to) => [Some(Span::Within { from, to }), None],
        Moment::Outside(from, to) => [Some(Span::BeginsBefore(from)), Some(Span::EndsAfter(to))],
        Moment::Overlaps(from, to) => [Some(Span::Overlaps { from, to }), None],
        Moment::EndsAfter(instant) => [Some(Span::EndsAfter(instant)), None],
        Moment::BeginsBefore(instant) => [Some(Span::BeginsBefore(instant)), None],
        Moment::EndsAfterOrWithin(from, to) => [Some(Span::EndsAfter(to)), Some(Span::Within { from, to })],
        Moment::BeginsBeforeOrWithin(from, to) => {
            [Some(Span::BeginsBefore(from)), Some(Span::Within { from, to })]
        }
        Moment::BeginsFrom(instant) => [Some(Span::BeginsFrom(instant)), None],
        Moment::EndsBy(instant) => [Some(Span::EndsBy(instant)), None],
    }
}
