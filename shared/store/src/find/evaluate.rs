//! Whether a record matches: tests on the facts as they lie in storage.

use crate::ask::{AnyOf, Span, Test};
use crate::record::Instant;
use crate::row::{RowView, StoredFact, StoredValue};

/// Whether all of the conditions hold for a record.
pub(crate) fn matches(row: &RowView<'_>, all: &[AnyOf]) -> bool {
    all.iter().all(|any| any.tests.iter().any(|test| holds(row, test)) != any.negated)
}

fn holds(row: &RowView<'_>, test: &Test) -> bool {
    let fact = |name: &str, holds: &dyn Fn(&StoredFact<'_>) -> bool| {
        row.facts().any(|fact| fact.name == name.as_bytes() && holds(&fact))
    };
    match test {
        Test::Id(id) => row.id() == id.as_bytes(),
        Test::Term { name, space, value } => {
            fact(name, &|fact| term(fact, space.as_deref(), value.as_deref()))
        }
        Test::Instant { name, span } => fact(name, &|fact| match fact.value {
            StoredValue::Stretch { from, to } => within(*span, from, to),
            StoredValue::Term { .. } | StoredValue::Text { .. } => false,
        }),
        Test::Prefix { name, folded } => {
            fact(name, &|fact| text(fact).is_some_and(|(found, _)| found.starts_with(folded.as_bytes())))
        }
        Test::Contains { name, folded } => fact(name, &|fact| {
            text(fact).is_some_and(|(found, _)| memchr::memmem::find(found, folded.as_bytes()).is_some())
        }),
        Test::Exact { name, exact } => {
            fact(name, &|fact| text(fact).is_some_and(|(_, found)| found == exact.as_bytes()))
        }
        Test::Present { name } => fact(name, &|_| true),
        Test::Edge { name, target } => row.edges().any(|edge| edge == (name.as_bytes(), target.as_bytes())),
        Test::Linked { name } => row.edges().any(|(edge, _)| edge == name.as_bytes()),
        Test::Among(ids) => std::str::from_utf8(row.id()).is_ok_and(|id| ids.contains(id)),
        Test::Written(span) => within(*span, row.instant(), row.instant()),
    }
}

fn term(fact: &StoredFact<'_>, space: Option<&str>, value: Option<&str>) -> bool {
    match fact.value {
        StoredValue::Term { space: found_space, value: found } => {
            value.is_none_or(|value| value.as_bytes() == found)
                && space.is_none_or(|space| space.as_bytes() == found_space)
        }
        StoredValue::Stretch { .. } | StoredValue::Text { .. } => false,
    }
}

fn text<'a>(fact: &StoredFact<'a>) -> Option<(&'a [u8], &'a [u8])> {
    match fact.value {
        StoredValue::Text { folded, exact } => Some((folded, exact)),
        StoredValue::Term { .. } | StoredValue::Stretch { .. } => None,
    }
}

/// Whether a stretch compares as asked. An empty stretch counts as the moment at its beginning.
pub(crate) fn within(span: Span, begin: Instant, end: Instant) -> bool {
    let end = end.max(begin.saturating_add(1));
    match span {
        Span::Within { from, to } => begin >= from && end <= to,
        Span::Overlaps { from, to } => begin < to && end > from,
        Span::BeginsBefore(instant) => begin < instant,
        Span::BeginsFrom(instant) => begin >= instant,
        Span::EndsBy(instant) => end <= instant,
        Span::EndsAfter(instant) => end > instant,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_compare_with_their_ends_exclusive() {
        assert!(within(Span::Within { from: 10, to: 20 }, 10, 20));
        assert!(!within(Span::Within { from: 10, to: 20 }, 10, 21));
        assert!(within(Span::Overlaps { from: 10, to: 20 }, 19, 30));
        assert!(!within(Span::Overlaps { from: 10, to: 20 }, 20, 30));
        assert!(within(Span::EndsBy(20), 10, 20));
        assert!(!within(Span::EndsAfter(20), 10, 20));
        assert!(within(Span::Overlaps { from: 10, to: 11 }, 10, 10), "a moment has room for itself");
    }
}
