//! Ranges, entity tags and dates of HTTP (RFC 9110 sections 5.6.7, 8.8.3, 13, 14).

use std::ops::Range;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// What of a document is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// All of it, with 200: nothing was asked, or what was asked is not worth an answer in parts.
    Whole,
    /// These bytes, with 206.
    Part(Range<u64>),
    /// Nothing, with 416: the range lies beyond the end.
    Beyond,
}

impl Selection {
    /// The value of `Content-Range` for a document of this length: for a part and for 416.
    pub fn content_range(&self, length: u64) -> Option<String> {
        match self {
            Selection::Whole => None,
            Selection::Part(range) => Some(format!("bytes {}-{}/{length}", range.start, range.end - 1)),
            Selection::Beyond => Some(format!("bytes */{length}")),
        }
    }
}

/// What a `Range` header selects of a document. Several ranges select the whole, as RFC 9110 section 14.2 lets a server do:
/// an answer in many parts can be made to cost more than the document. What is not a sound range counts as not asked.
pub fn select(range: Option<&str>, length: u64) -> Selection {
    let Some(set) = range.and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Selection::Whole;
    };
    let set = set.trim();
    if set.contains(',') {
        return Selection::Whole;
    }
    let Some((first, last)) = set.split_once('-') else { return Selection::Whole };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", suffix) => match number(suffix) {
            None => Selection::Whole,
            Some(_) if length == 0 => Selection::Beyond,
            Some(0) => Selection::Beyond,
            Some(suffix) => Selection::Part(length.saturating_sub(suffix)..length),
        },
        (first, last) => {
            let (Some(first), last) =
                (number(first), if last.is_empty() { Some(u64::MAX) } else { number(last) })
            else {
                return Selection::Whole;
            };
            match last {
                None => Selection::Whole,
                Some(last) if last < first => Selection::Whole,
                Some(_) if first >= length => Selection::Beyond,
                Some(last) => Selection::Part(first..last.saturating_add(1).min(length)),
            }
        }
    }
}

/// Whether a `Range` still counts: `If-Range` must name the strong tag, or the very date, of what is there now.
pub fn if_range_holds(if_range: Option<&str>, etag: &str, last_modified: Option<Timestamp>) -> bool {
    let Some(condition) = if_range.map(str::trim) else { return true };
    if condition.starts_with('"') {
        return condition == etag;
    }
    if condition.starts_with("W/") {
        return false;
    }
    match (parse_date(condition), last_modified) {
        (Some(date), Some(modified)) => date.as_second() == modified.as_second(),
        _ => false,
    }
}

/// Whether a list of entity tags (`If-Match`, `If-None-Match`) names this one. `*` names any. Tags are taken as `"3"`,
/// `W/"3"` and bare `3`; `weak` tells whether weak tags count as equal to strong ones.
pub fn names_tag(list: &str, etag: &str, weak: bool) -> bool {
    let opaque = |tag: &str| tag.trim_matches('"').to_owned();
    let strip =
        |tag: &str| tag.strip_prefix("W/").map_or_else(|| (tag.to_owned(), false), |t| (t.to_owned(), true));
    let (current, current_weak) = strip(etag.trim());
    list.split(',').map(str::trim).filter(|tag| !tag.is_empty()).any(|tag| {
        if tag == "*" {
            return true;
        }
        let (tag, tag_weak) = strip(tag);
        opaque(&tag) == opaque(&current) && (weak || !(tag_weak || current_weak))
    })
}

/// A date as HTTP writes it: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub fn http_date(instant: Timestamp) -> String {
    instant.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// A date as HTTP writes it, in its current form and that of RFC 850.
pub fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_single_range_selects_its_bytes() {
        assert_eq!(select(None, 10), Selection::Whole);
        assert_eq!(select(Some("bytes=0-3"), 10), Selection::Part(0..4));
        assert_eq!(select(Some("bytes=4-"), 10), Selection::Part(4..10));
        assert_eq!(select(Some("bytes=-3"), 10), Selection::Part(7..10));
        assert_eq!(select(Some("bytes=-30"), 10), Selection::Part(0..10));
        assert_eq!(select(Some("bytes=0-99999999999999999999999"), 10), Selection::Part(0..10));
    }

    #[test]
    fn a_range_beyond_the_end_selects_nothing() {
        for range in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(select(Some(range), 10), Selection::Beyond, "{range}");
        }
        assert_eq!(select(Some("bytes=0-"), 0), Selection::Beyond);
        assert_eq!(Selection::Beyond.content_range(10).as_deref(), Some("bytes */10"));
    }

    #[test]
    fn ranges_that_are_many_or_unsound_select_the_whole() {
        let many = format!("bytes={}", "0-,".repeat(1000));
        for range in [many.as_str(), "bytes=3-1", "bytes=a-b", "bytes=", "lines=1-2", "bytes=1", "bytes=--1"]
        {
            assert_eq!(select(Some(range), 10), Selection::Whole, "{range:.20}");
        }
    }

    #[test]
    fn a_range_counts_only_for_the_same_bytes() {
        let date: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert!(if_range_holds(None, "\"a\"", None));
        assert!(if_range_holds(Some("\"a\""), "\"a\"", None));
        assert!(!if_range_holds(Some("\"b\""), "\"a\"", None));
        assert!(!if_range_holds(Some("W/\"a\""), "\"a\"", None));
        assert!(if_range_holds(Some("Sun, 06 Nov 1994 08:49:37 GMT"), "\"a\"", Some(date)));
        assert!(!if_range_holds(Some("Sun, 06 Nov 1994 08:49:38 GMT"), "\"a\"", Some(date)));
        assert!(!if_range_holds(Some("yesterday"), "\"a\"", Some(date)));
    }

    #[test]
    fn tags_are_compared_in_every_form_that_clients_send() {
        assert!(names_tag("W/\"2\", \"3\"", "W/\"3\"", true));
        assert!(names_tag("3", "W/\"3\"", true));
        assert!(names_tag("*", "W/\"3\"", true));
        assert!(!names_tag("\"3\"", "W/\"3\"", false));
        assert!(names_tag("\"abc\"", "\"abc\"", false));
        assert!(!names_tag("W/\"abc\"", "\"abc\"", false));
        assert!(!names_tag("", "\"abc\"", true));
    }

    #[test]
    fn dates_are_written_and_read() {
        let date: Timestamp = "1994-11-06T08:49:37Z".parse().unwrap();
        assert_eq!(http_date(date), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(parse_date(&http_date(date)), Some(date));
        assert_eq!(parse_date("not a date"), None);
    }
}
