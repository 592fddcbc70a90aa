//! A filter, as a question to the store.

use store::{AnyOf, Ask, Order, Scope, Span};
use xds::attribute::{fold, identifier_value, system};
use xds::filter::{Clause, Filter, Of, Test};
use xds::{Attribute, Moment, Token};

use super::{DOCUMENT, LIST, MEMBER_EDGES};

/// From a document to those it has a relation to, whatever relation.
pub(crate) const RELATION_EDGES: &[&str] =
    &["replaces", "transforms", "transform-replaces", "appends", "signs", "snapshots"];

/// The question a filter is, beside other conditions. `scope` says whose objects; none if nothing can match.
pub(crate) fn ask(
    filter: &Filter,
    mut besides: Vec<AnyOf>,
    scope: Scope,
    order: Order,
    limit: usize,
) -> Option<Ask> {
    if filter.all.iter().any(|clause| clause.any.is_empty() && !clause.negated) {
        return None;
    }
    besides.extend(filter.all.iter().map(any_of));
    Some(Ask {
        kind: match filter.of {
            Of::Documents => DOCUMENT,
            Of::Lists => LIST,
        },
        scope,
        all: besides,
        order,
        after: None,
        limit,
        as_of: None,
        total: true,
    })
}

/// A clause, as a condition of the store.
pub(crate) fn any_of(clause: &Clause) -> AnyOf {
    let mut tests = Vec::with_capacity(clause.any.len());
    for test in &clause.any {
        add(clause.attribute, test, &mut tests);
    }
    AnyOf { tests, negated: clause.negated }
}

/// The attributes whose facts answer for one.
fn facts_of(attribute: &Attribute) -> &[Attribute] {
    match attribute.shown_by() {
        [] => std::slice::from_ref(attribute),
        several => several,
    }
}

fn add(attribute: Attribute, test: &Test, tests: &mut Vec<store::Test>) {
    let name = attribute.name();
    // Any part of a name may be meant.
    let names = || facts_of(&attribute).iter().map(|one| one.name());
    match test {
        Test::Token(token) => tests.push(term(attribute, token)),
        Test::Moment(moment) => {
            tests.extend(spans(*moment).into_iter().flatten().map(|span| match attribute {
                Attribute::LastUpdated => store::Test::Written(span),
                _ => store::Test::Instant { name, span },
            }))
        }
        Test::Begins(text) => {
            tests.extend(names().map(|name| store::Test::Prefix { name, folded: fold(text) }));
        }
        Test::Contains(text) => {
            tests.extend(names().map(|name| store::Test::Contains { name, folded: fold(text) }));
        }
        Test::Exactly(text) => {
            tests.extend(names().map(|name| store::Test::Exact { name, exact: text.clone() }));
        }
        Test::Like(pattern) => {
            tests.extend(names().map(|name| store::Test::Like { name, pattern: pattern.clone() }));
        }
        Test::Id(id) => tests.push(store::Test::Id(id.as_str().to_owned())),
        Test::Status(status) => {
            tests.push(store::Test::Term { name, space: None, value: Some(status.word().to_owned()) })
        }
        Test::Reference(reference) => references(attribute, reference, tests),
        Test::Relation(kinds) => {
            tests.extend(kinds.iter().map(|kind| store::Test::Linked { name: kind.edge() }));
        }
        Test::Present => match attribute {
            Attribute::RelatesTo => {
                tests.extend(RELATION_EDGES.iter().map(|name| store::Test::Linked { name }));
            }
            Attribute::Member => tests.extend(MEMBER_EDGES.iter().map(|name| store::Test::Linked { name })),
            _ => {
                tests.extend(facts_of(&attribute).iter().map(|one| store::Test::Present { name: one.name() }))
            }
        },
    }
}

/// A token as the face wrote it is in the one spelling facts are kept in already; what came from elsewhere becomes so.
fn term(attribute: Attribute, token: &Token) -> store::Test {
    let space = token.system.as_deref().filter(|_| attribute != Attribute::SourceId).map(system);
    let names_a_thing =
        matches!(attribute, Attribute::Identifier | Attribute::ReferenceId | Attribute::SourceId);
    let value = token
        .code
        .as_deref()
        .map(|code| if names_a_thing { identifier_value(code) } else { code.to_owned() });
    store::Test::Term { name: attribute.name(), space, value }
}

fn references(attribute: Attribute, reference: &str, tests: &mut Vec<store::Test>) {
    let edges = match attribute {
        Attribute::RelatesTo => RELATION_EDGES,
        Attribute::Member => MEMBER_EDGES,
        _ => {
            let value = Some(reference.to_owned());
            tests.push(store::Test::Term { name: attribute.name(), space: None, value });
            return;
        }
    };
    let target = || reference.rsplit('/').next().unwrap_or(reference).to_owned();
    tests.extend(edges.iter().map(|name| store::Test::Edge { name, target: target() }));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_relation_has_its_edge() {
        let relations = [
            xds::AssociationType::Replace,
            xds::AssociationType::Transform,
            xds::AssociationType::TransformReplace,
            xds::AssociationType::Append,
            xds::AssociationType::Signs,
            xds::AssociationType::IsSnapshotOf,
        ];
        assert_eq!(RELATION_EDGES, relations.map(xds::AssociationType::edge));
    }
}
