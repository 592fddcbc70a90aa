//! Which format a caller sends, and which it wants (rest-conventions 1).

use serde_json::value::RawValue;

/// What an answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format {
    /// `_pretty=true`.
    pub pretty: bool,
}

/// Content type of JSON answers.
pub const JSON: &str = "application/fhir+json; charset=utf-8";

const HAVE: &str = "application/fhir+json (FHIR 4.0) can be had; XML is not built yet.";

/// The format of the answer, from `_format`, `_pretty` and `Accept`; an error names what can be had (406).
/// XML is not built yet and counts as not acceptable unless JSON is acceptable too.
pub fn answer(query: &str, accept: Option<&str>) -> Result<Format, String> {
    let mut format = None;
    let mut pretty = false;
    // A question without any of ours is the common one.
    if query.contains("_format") || query.contains("_pretty") {
        for (name, value) in crate::search::pairs(query) {
            match name.as_str() {
                "_format" => format = Some(value),
                "_pretty" => pretty = value == "true",
                _ => {}
            }
        }
    }
    // In a query a plus sign means a space; `application/fhir+json` is often sent unescaped.
    let wanted = match &format {
        Some(format) => acceptable(&format.replace(' ', "+").replace(";+", "; ")),
        None => accept.is_none_or(acceptable),
    };
    if wanted {
        return Ok(Format { pretty });
    }
    let asked = format.as_deref().or(accept).unwrap_or_default();
    Err(format!("\"{}\" cannot be had here; {HAVE}", shortened(asked)))
}

/// Checks `Content-Type` of a request body; an error names what is taken (415). XML is not built yet.
pub fn request(content_type: Option<&str>) -> Result<(), String> {
    let Some(given) = content_type else {
        return Err(format!("The body names no Content-Type; {}", taken()));
    };
    let mut parts = given.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let parameters_fit = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8"),
            "fhirversion" => value.starts_with("4.0"),
            _ => true,
        }
    });
    if is_json(media) && parameters_fit {
        return Ok(());
    }
    Err(format!("\"{}\" is not taken here; {}", shortened(given), taken()))
}

/// Re-formats JSON for `_pretty`.
pub fn pretty(json: &[u8]) -> Vec<u8> {
    let value = serde_json::from_slice::<Box<RawValue>>(json)
        .ok()
        .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).ok());
    value.and_then(|value| serde_json::to_vec_pretty(&value).ok()).unwrap_or_else(|| json.to_vec())
}

fn taken() -> &'static str {
    "send application/fhir+json (FHIR 4.0) in UTF-8. XML is not built yet."
}

fn is_json(media: &str) -> bool {
    ["application/fhir+json", "application/json", "text/json", "application/json+fhir"]
        .iter()
        .any(|known| media.eq_ignore_ascii_case(known))
}

/// Whether JSON in FHIR 4.0 is among what is asked for. A quality of 0 excludes.
fn acceptable(asked: &str) -> bool {
    asked.split(',').map(str::trim).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let named = is_json(media)
            || media.is_empty()
            || ["*/*", "application/*", "text/html", "json", "*"]
                .iter()
                .any(|m| media.eq_ignore_ascii_case(m));
        named
            && parts.all(|parameter| match parameter.split_once('=') {
                Some((name, value)) if name.eq_ignore_ascii_case("q") => {
                    value.trim().parse::<f32>().is_ok_and(|q| q > 0.0)
                }
                Some((name, value)) if name.eq_ignore_ascii_case("fhirVersion") => {
                    value.trim_matches('"').starts_with("4.0")
                }
                _ => true,
            })
    })
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_given_to_whoever_can_take_it() {
        for (query, accept) in [
            ("", None),
            ("", Some("*/*")),
            ("", Some("text/html,application/xhtml+xml,*/*;q=0.8")),
            ("", Some("application/fhir+xml, application/fhir+json;q=0.5")),
            ("_format=json", Some("application/fhir+xml")),
            ("_format=application/fhir+json", None),
            ("_format=application%2Ffhir%2Bjson", None),
            ("a=b", Some("application/json+fhir")),
            ("", Some("application/fhir+json; fhirVersion=4.0")),
        ] {
            assert!(answer(query, accept).is_ok(), "{query} {accept:?}");
        }
    }

    #[test]
    fn what_we_cannot_write_is_not_acceptable() {
        for (query, accept) in [
            ("", Some("application/fhir+xml")),
            ("_format=xml", Some("application/fhir+json")),
            ("", Some("image/png")),
            ("", Some("application/fhir+json;q=0")),
            ("", Some("application/fhir+json; fhirVersion=3.0")),
        ] {
            assert!(answer(query, accept).is_err(), "{query} {accept:?}");
        }
    }

    #[test]
    fn bodies_are_json_in_utf8() {
        assert!(request(Some("application/fhir+json")).is_ok());
        assert!(request(Some("Application/JSON; charset=UTF-8")).is_ok());
        assert!(request(Some("application/fhir+json; fhirVersion=4.0")).is_ok());
        assert!(request(Some("application/fhir+json; charset=utf-16")).is_err());
        assert!(request(Some("application/fhir+xml")).is_err());
        assert!(request(None).is_err());
    }

    #[test]
    fn pretty_keeps_numbers_and_order() {
        assert_eq!(pretty(br#"{"b":1.50,"a":[]}"#), b"{\n  \"b\": 1.50,\n  \"a\": []\n}");
    }
}
