//! Instants as FHIR and HTTP write them.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use store::Instant;

fn timestamp(instant: Instant) -> Timestamp {
    Timestamp::from_microsecond(instant).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// As a FHIR instant, in milliseconds.
pub(crate) fn instant_text(instant: Instant) -> String {
    format!("{:.3}", timestamp(instant))
}

/// As `Last-Modified` has it.
pub(crate) fn http_date(instant: Instant) -> String {
    timestamp(instant).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Whether nothing is newer than the second of `If-Modified-Since`.
pub(crate) fn not_since(instant: Instant, since: &str) -> bool {
    let parser = DateTimeParser::new();
    parser
        .parse_timestamp(since.trim())
        .is_ok_and(|since| timestamp(instant).as_second() <= since.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_as_fhir_and_as_http_want_it() {
        assert_eq!(instant_text(1_700_000_000_123_456), "2023-11-14T22:13:20.123Z");
        assert_eq!(http_date(784_111_777_000_000), "Sun, 06 Nov 1994 08:49:37 GMT");
    }

    #[test]
    fn what_was_written_within_the_second_is_not_newer() {
        assert!(not_since(784_111_777_900_000, "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!not_since(784_111_778_000_000, "Sun, 06 Nov 1994 08:49:37 GMT"));
        assert!(!not_since(784_111_777_000_000, "yesterday"));
    }
}
