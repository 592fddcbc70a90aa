//! Conditions that name one object: `DocumentReference?identifier=…`, and `If-None-Exist` (R4 http, conditional interactions).

use xds::{Finding, Findings, Place, Rule};

use crate::search::pairs;

/// An identifier as a condition names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identified {
    /// The name space; none: any, and an empty one: none at all.
    pub system: Option<String>,
    /// The name.
    pub value: String,
}

/// Reads a condition, the query behind the `?`. An identifier is the one thing that names one object; everything else is
/// refused rather than passed over, because a condition that was half understood would name too many.
pub fn read(query: &str) -> Result<Identified, Findings> {
    let refused = |rule, path: &str, text: &str| Err(vec![Finding::error(rule, Place::at(path), text)]);
    let mut named = None;
    for (name, value) in pairs(query) {
        match name.as_str() {
            "_format" | "_pretty" => {}
            "identifier" if named.is_none() => named = Some(value),
            "identifier" => {
                return refused(
                    Rule::Value,
                    "identifier",
                    "The condition names identifier twice; once names one object.",
                );
            }
            other => {
                let shown: String = other.chars().filter(|c| !c.is_control()).take(60).collect();
                let text = format!(
                    "The condition asks for \"{shown}\"; a condition here is identifier=system|value and nothing else."
                );
                return refused(Rule::UnknownParameter, "condition", &text);
            }
        }
    }
    let Some(named) = named else {
        let text = "There is neither an id nor a condition; name the object by its id, or by identifier=system|value.";
        return refused(Rule::Required, "identifier", text);
    };
    let identified = match named.split_once('|') {
        Some((system, value)) => Identified { system: Some(system.to_owned()), value: value.to_owned() },
        None => Identified { system: None, value: named },
    };
    if identified.value.is_empty() {
        let text = "identifier has no value; a condition names one object, identifier=system|value.";
        return refused(Rule::Value, "identifier", text);
    }
    Ok(identified)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_names_one_identifier() {
        let named = read("identifier=urn:ietf:rfc:3986%7Curn:oid:1.2&_format=json");
        let expected =
            Identified { system: Some("urn:ietf:rfc:3986".to_owned()), value: "urn:oid:1.2".to_owned() };
        assert_eq!(named, Ok(expected));
        assert_eq!(read("identifier=1.2").map(|named| named.system), Ok(None));
        for wrong in ["", "identifier=", "identifier=a|", "status=current", "identifier=1&identifier=2"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
