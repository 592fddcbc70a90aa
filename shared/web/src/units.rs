//! Values with units, as they stand in a configuration: sizes (`64MiB`) and spans of time (`30s`).

use std::fmt;
use std::time::Duration;

use serde::de::{self, Visitor};

const SIZES: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const SPANS: &[(&str, u64)] =
    &[("ms", 1), ("s", 1_000), ("min", 60_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A number of bytes from words like `64MiB`, `10MB`, `512` (bytes).
pub fn parse_size(text: &str) -> Result<u64, String> {
    parse(text, SIZES, 1).ok_or_else(|| format!("{text:?} is not a size; write it like \"64MiB\""))
}

/// A span of time from words like `30s`, `250ms`, `7d`; without a unit, seconds.
pub fn parse_span(text: &str) -> Result<Duration, String> {
    parse(text, SPANS, 1_000)
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a span of time; write it like \"30s\""))
}

fn parse(text: &str, units: &[(&str, u64)], bare: u64) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = (text.get(..digits)?, text.get(digits..)?.trim());
    let factor = match unit {
        "" => bare,
        unit => units.iter().find(|(name, _)| *name == unit)?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// A size in its largest whole unit.
pub fn write_size(bytes: u64) -> String {
    let binary = &SIZES[..4];
    match binary.iter().find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", bytes / factor),
        None => format!("{bytes}B"),
    }
}

/// A span of time in its largest whole unit.
pub fn write_span(span: Duration) -> String {
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000)];
    if millis == 0 {
        return "0s".to_owned();
    }
    match units.iter().find(|(_, factor)| millis.is_multiple_of(*factor)) {
        Some((unit, factor)) => format!("{}{unit}", millis / factor),
        None => format!("{millis}ms"),
    }
}

struct Words<F> {
    expecting: &'static str,
    parse: F,
    bare: u64,
}

impl<F: Fn(&str) -> Result<u64, String>> Visitor<'_> for Words<F> {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<u64, E> {
        value.checked_mul(self.bare).ok_or_else(|| E::custom("the number is too large"))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<u64, E> {
        let value = u64::try_from(value).map_err(|_| E::custom("the number is negative"))?;
        self.visit_u64(value)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<u64, E> {
        (self.parse)(value).map_err(E::custom)
    }
}

/// `#[serde(with = "web::units::size")]`: bytes in a `u64`, from an integer or words.
pub mod size {
    use super::{Words, parse_size, write_size};
    use serde::{Deserializer, Serializer};

    /// Reads a size.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Words { expecting: "a size like \"64MiB\"", parse: parse_size, bare: 1 })
    }

    /// Writes a size.
    pub fn serialize<S: Serializer>(bytes: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_size(*bytes))
    }
}

/// `#[serde(with = "web::units::seconds")]`: seconds in a `u64`, from an integer or words.
pub mod seconds {
    use std::time::Duration;

    use super::{Words, parse_span, write_span};
    use serde::{Deserializer, Serializer};

    fn parse(text: &str) -> Result<u64, String> {
        let span = parse_span(text)?;
        match span.subsec_nanos() {
            0 => Ok(span.as_secs()),
            _ => Err(format!("{text:?} is not in whole seconds")),
        }
    }

    /// Reads a span.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Words { expecting: "a span of time like \"30s\"", parse, bare: 1 })
    }

    /// Writes a span.
    pub fn serialize<S: Serializer>(seconds: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_span(Duration::from_secs(*seconds)))
    }
}

/// `#[serde(with = "web::units::millis")]`: milliseconds in a `u64`, from words, or from an integer (milliseconds).
pub mod millis {
    use std::time::Duration;

    use super::{Words, parse_span, write_span};
    use serde::{Deserializer, Serializer};

    fn parse(text: &str) -> Result<u64, String> {
        parse_span(text).map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX))
    }

    /// Reads a span.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
        deserializer.deserialize_any(Words { expecting: "a span of time like \"250ms\"", parse, bare: 1 })
    }

    /// Writes a span.
    pub fn serialize<S: Serializer>(millis: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write_span(Duration::from_millis(*millis)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_read_with_and_without_a_unit() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("10 MB"), Ok(10_000_000));
        assert_eq!(parse_size("512"), Ok(512));
        for wrong in ["", "MiB", "64mib", "-1", "1.5GiB", "99999999999TiB"] {
            assert!(parse_size(wrong).is_err(), "{wrong} was taken for a size");
        }
    }

    #[test]
    fn a_span_is_read_with_and_without_a_unit() {
        assert_eq!(parse_span("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_span("5min"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_span("7d"), Ok(Duration::from_secs(7 * 86_400)));
        assert_eq!(parse_span("30"), Ok(Duration::from_secs(30)));
        assert!(parse_span("30 parsecs").is_err());
    }

    #[test]
    fn what_is_written_is_read_again() {
        for bytes in [0, 1, 1023, 1024, 64 << 20, 3 << 30] {
            assert_eq!(parse_size(&write_size(bytes)), Ok(bytes));
        }
        for millis in [0, 1, 250, 1_000, 60_000, 3_600_000, 86_400_000, 86_400_001] {
            let span = Duration::from_millis(millis);
            assert_eq!(parse_span(&write_span(span)), Ok(span));
        }
    }
}
