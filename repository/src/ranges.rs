//! `Range` of RFC 9110 section 14: one range of bytes. Several at once are answered with the whole document, as the
//! RFC allows: nobody needs them for documents, and many small ones are a known way to make a server work.

use std::ops::Range;

/// What of a document is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes.
    Part(Range<u64>),
    /// Bytes it does not have.
    Unsatisfiable,
}

/// Reads a `Range` header for a document of `size` bytes. A header that cannot be read counts as absent.
pub(crate) fn wanted(header: &str, size: u64) -> Wanted {
    let Some(set) = header.trim().strip_prefix("bytes=") else { return Wanted::Whole };
    if set.contains(',') {
        return Wanted::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    match (number(first), number(last)) {
        (Some(first), _) if last.is_empty() => clamp(first, size, size),
        (Some(first), Some(last)) if first <= last => clamp(first, last.saturating_add(1), size),
        (None, Some(tail)) if first.is_empty() => match tail {
            0 => Wanted::Unsatisfiable,
            tail => clamp(size.saturating_sub(tail), size, size),
        },
        _ => Wanted::Whole,
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.len() <= 19 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn clamp(from: u64, to: u64, size: u64) -> Wanted {
    if from < size { Wanted::Part(from..to.min(size)) } else { Wanted::Unsatisfiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_to_the_document() {
        assert_eq!(wanted("bytes=0-4", 10), Wanted::Part(0..5));
        assert_eq!(wanted("bytes=5-", 10), Wanted::Part(5..10));
        assert_eq!(wanted("bytes=-3", 10), Wanted::Part(7..10));
        assert_eq!(wanted("bytes=-30", 10), Wanted::Part(0..10));
        assert_eq!(wanted("bytes=8-99", 10), Wanted::Part(8..10));
    }

    #[test]
    fn a_range_behind_the_end_is_unsatisfiable() {
        assert_eq!(wanted("bytes=10-", 10), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=-0", 10), Wanted::Unsatisfiable);
        assert_eq!(wanted("bytes=0-0", 0), Wanted::Unsatisfiable);
    }

    #[test]
    fn several_ranges_and_unreadable_ones_give_the_whole_document() {
        for header in
            ["bytes=0-,0-,0-", "lines=1-2", "bytes=5-2", "bytes=a-b", "bytes=-", "bytes=1--2", "bytes"]
        {
            assert_eq!(wanted(header, 10), Wanted::Whole, "{header}");
        }
    }
}
