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
        Test::Like { name, pattern } => fact(name, &|fact| {
            text(fact).is_some_and(|(_, found)| like(&String::from_utf8_lossy(found), pattern))
        }),
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

/// Whether a text is like a pattern. Each piece between two `%` is looked for where it comes first, and never given back: no
/// pattern takes more steps than letters of the text times letters of its longest piece.
fn like(text: &str, pattern: &str) -> bool {
    let fits = |text: &[char], piece: &[char]| {
        text.len() >= piece.len()
            && piece.iter().zip(text).all(|(wanted, found)| *wanted == '_' || wanted == found)
    };
    let text: Vec<char> = text.chars().collect();
    let pieces: Vec<Vec<char>> = pattern.split('%').map(|piece| piece.chars().collect()).collect();
    let [first, between @ .., last] = pieces.as_slice() else {
        let whole = &pieces[0];
        return text.len() == whole.len() && fits(&text, whole);
    };
    if text.len() < first.len() + last.len()
        || !fits(&text, first)
        || !fits(&text[text.len() - last.len()..], last)
    {
        return false;
    }
    let mut rest = &text[first.len()..text.len() - last.len()];
    for piece in between {
        let Some(at) = (0..=rest.len().saturating_sub(piece.len())).find(|at| fits(&rest[*at..], piece))
        else {
            return false;
        };
        rest = &rest[at + piece.len()..];
    }
    true
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

    /// The same by the definition, letter by letter.
    fn like_by_definition(text: &[char], pattern: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['%', rest @ ..] => (0..=text.len()).any(|at| like_by_definition(&text[at..], rest)),
            [letter, rest @ ..] => {
                !text.is_empty()
                    && (*letter == '_' || *letter == text[0])
                    && like_by_definition(&text[1..], rest)
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_like_a_pattern_by_the_definition(text in "[abü]{0,8}", pattern in "[abü%_]{0,6}") {
            let letters = |text: &str| text.chars().collect::<Vec<char>>();
            proptest::prop_assert_eq!(like(&text, &pattern), like_by_definition(&letters(&text), &letters(&pattern)));
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let pattern = format!("{}%b", "%a".repeat(400));
        let text = "a".repeat(100_000);
        assert!(!like(&text, &pattern), "and it ends at all");
    }

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
