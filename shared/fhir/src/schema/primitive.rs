//! The primitive types of R4.

use serde_json::Value;
use xds::Rule;

use super::xhtml;
use crate::when::{self, Precision};

/// A primitive type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Primitive {
    Base64Binary,
    Boolean,
    Code,
    /// The data of a Binary: it may have been taken out already.
    Data,
    Date,
    DateTime,
    Decimal,
    Id,
    Instant,
    Integer,
    Markdown,
    Oid,
    PositiveInt,
    String,
    Time,
    UnsignedInt,
    Uri,
    Uuid,
    Xhtml,
}

type Wrong = (Rule, &'static str);

impl Primitive {
    /// The type of this name.
    pub(crate) fn named(name: &str) -> Option<Primitive> {
        Some(match name {
            "base64Binary" => Primitive::Base64Binary,
            "boolean" => Primitive::Boolean,
            "code" => Primitive::Code,
            "data" => Primitive::Data,
            "date" => Primitive::Date,
            "dateTime" => Primitive::DateTime,
            "decimal" => Primitive::Decimal,
            "id" => Primitive::Id,
            "instant" => Primitive::Instant,
            "integer" => Primitive::Integer,
            "markdown" => Primitive::Markdown,
            "oid" => Primitive::Oid,
            "positiveInt" => Primitive::PositiveInt,
            "string" => Primitive::String,
            "time" => Primitive::Time,
            "unsignedInt" => Primitive::UnsignedInt,
            "uri" | "url" | "canonical" => Primitive::Uri,
            "uuid" => Primitive::Uuid,
            "xhtml" => Primitive::Xhtml,
            _ => return None,
        })
    }

    /// Says what is wrong with a value.
    pub(super) fn check(self, value: &Value) -> Result<(), Wrong> {
        match self {
            Primitive::Boolean if value.is_boolean() => Ok(()),
            Primitive::Boolean => Err((Rule::Structure, "true or false is expected here.")),
            Primitive::Integer | Primitive::PositiveInt | Primitive::UnsignedInt | Primitive::Decimal => {
                match value {
                    Value::Number(number) => self.number(&number.to_string()),
                    _ => Err((Rule::Structure, "A number is expected here.")),
                }
            }
            _ => match value {
                Value::String(text) => self.text(text),
                _ => Err((Rule::Structure, "A JSON string is expected here.")),
            },
        }
    }

    fn number(self, digits: &str) -> Result<(), Wrong> {
        let lowest = match self {
            Primitive::PositiveInt => 1,
            Primitive::UnsignedInt => 0,
            Primitive::Integer => i64::from(i32::MIN),
            _ => return Ok(()),
        };
        match digits.parse::<i64>() {
            Ok(number) if (lowest..=i64::from(i32::MAX)).contains(&number) => Ok(()),
            _ => Err((Rule::Value, "This number is outside the range of its type, or not whole.")),
        }
    }

    fn text(self, text: &str) -> Result<(), Wrong> {
        if text.is_empty() && self != Primitive::Data {
            return Err((Rule::Value, "A string may not be empty."));
        }
        if text.bytes().any(|b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r')) {
            return Err((Rule::Value, "A control character is not allowed here."));
        }
        let sound = match self {
            Primitive::String | Primitive::Markdown => !text.trim().is_empty(),
            Primitive::Code => is_code(text),
            Primitive::Uri => !text.contains(char::is_whitespace),
            Primitive::Id => is_id(text),
            Primitive::Oid => text.strip_prefix("urn:oid:").is_some_and(crate::element::is_oid),
            Primitive::Uuid => {
                text.strip_prefix("urn:uuid:").is_some_and(|uuid| xds::EntryUuid::parse(uuid).is_some())
            }
            Primitive::Date => when::read(text).is_some_and(|when| when.precision <= Precision::Day),
            Primitive::DateTime => when::read(text).is_some_and(|when| {
                when.precision <= Precision::Day || (when.precision == Precision::Second && when.zoned)
            }),
            Primitive::Instant => {
                when::read(text).is_some_and(|when| when.precision == Precision::Second && when.zoned)
            }
            Primitive::Time => {
                text.len() >= 8 && when::read(&format!("2000-01-01T{text}")).is_some_and(|w| !w.zoned)
            }
            Primitive::Base64Binary | Primitive::Data => text.bytes().all(|b| {
                b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b' ' | b'\n' | b'\r' | b'\t')
            }),
            Primitive::Xhtml => return xhtml::check(text).map_err(|why| (Rule::Value, why)),
            Primitive::Boolean
            | Primitive::Integer
            | Primitive::PositiveInt
            | Primitive::UnsignedInt
            | Primitive::Decimal => true,
        };
        if sound { Ok(()) } else { Err((Rule::Value, self.form())) }
    }

    /// How a value of the type is written.
    fn form(self) -> &'static str {
        match self {
            Primitive::String | Primitive::Markdown => "A string may not be blank.",
            Primitive::Code => "A code has no line break, no space at its ends and no two together.",
            Primitive::Uri => "A URI has no space.",
            Primitive::Id => "An id has 1 to 64 letters, digits, hyphens and dots.",
            Primitive::Oid => "An OID is written urn:oid: and numbers with dots.",
            Primitive::Uuid => "A UUID is written urn:uuid: and 36 characters.",
            Primitive::Date => "This is not a date that exists, written like 2024-02-07.",
            Primitive::DateTime => {
                "This is not a time that exists, written like 2024-02-07 or 2024-02-07T13:28:17+01:00."
            }
            Primitive::Instant => {
                "This is not an instant that exists, written like 2024-02-07T13:28:17+01:00."
            }
            Primitive::Time => "This is not a time of day, written like 13:28:17.",
            Primitive::Base64Binary | Primitive::Data => "This is not base64.",
            Primitive::Boolean
            | Primitive::Integer
            | Primitive::PositiveInt
            | Primitive::UnsignedInt
            | Primitive::Decimal
            | Primitive::Xhtml => "This value is outside its type.",
        }
    }
}

fn is_code(text: &str) -> bool {
    let blank = |c: char| c.is_whitespace();
    !text.starts_with(blank)
        && !text.ends_with(blank)
        && !text.contains(['\n', '\r', '\t'])
        && !text.contains("  ")
}

fn is_id(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn primitives_accept_what_is_theirs_and_nothing_else() {
        for (name, good, bad) in [
            ("instant", json!("2015-02-07T13:28:17.239+02:00"), json!("2015-02-07T13:28:17")),
            ("dateTime", json!("2015-02"), json!("2015-02-07T13:28Z")),
            ("dateTime", json!("2015-02-07T13:28:17Z"), json!("2015-02-30")),
            ("date", json!("2015-02-07"), json!("2015-02-07T13:28:17Z")),
            ("time", json!("13:28:17"), json!("13:28")),
            ("code", json!("Accident and Emergency"), json!(" a")),
            ("code", json!("a"), json!("a\nb")),
            ("uri", json!("urn:oid:1.2"), json!("a b")),
            ("oid", json!("urn:oid:1.2"), json!("urn:oid:6848d77b-8c45")),
            ("positiveInt", json!(1), json!(0)),
            ("integer", json!(-5), json!(2_147_483_648_u64)),
            ("boolean", json!(true), json!("true")),
            ("base64Binary", json!("SGVsbG8="), json!("SGVsbG8*")),
            ("string", json!("a\nb"), json!("  ")),
            ("decimal", json!(1.5), json!("1.5")),
        ] {
            let primitive = Primitive::named(name).unwrap();
            assert_eq!(primitive.check(&good), Ok(()), "{name} {good}");
            assert!(primitive.check(&bad).is_err(), "{name} {bad}");
        }
    }
}
