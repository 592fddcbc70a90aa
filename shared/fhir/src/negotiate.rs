//! Which format a caller sends, and which it wants (rest-conventions 1).

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;
use xds::Findings;

use crate::json::Limits;
use crate::{json, xml};

/// The two ways FHIR is written here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use]
pub enum Syntax {
    /// JSON.
    #[default]
    Json,
    /// XML.
    Xml,
}

impl Syntax {
    /// The media type of a resource written so.
    pub fn media_type(self) -> &'static str {
        match self {
            Syntax::Json => "application/fhir+json",
            Syntax::Xml => "application/fhir+xml",
        }
    }

    /// The other one.
    pub fn other(self) -> Syntax {
        match self {
            Syntax::Json => Syntax::Xml,
            Syntax::Xml => Syntax::Json,
        }
    }

    /// The content type of an answer.
    pub fn content_type(self) -> &'static str {
        match self {
            Syntax::Json => JSON,
            Syntax::Xml => XML,
        }
    }

    /// Reads one resource, strictly, into its JSON form.
    pub fn parse(self, body: &[u8], limits: &Limits) -> Result<Value, Findings> {
        match self {
            Syntax::Json => json::parse(body, limits),
            Syntax::Xml => xml::parse(body, limits),
        }
    }
}

/// What an answer is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Format {
    /// JSON or XML.
    pub syntax: Syntax,
    /// `_pretty=true`.
    pub pretty: bool,
}

impl Format {
    /// The content type and body of an answer that has been written as JSON; none if it can stay as it is.
    pub fn dress(self, json: &[Bytes]) -> Option<(&'static str, Vec<u8>)> {
        let whole;
        let json: &[u8] = match (self, json) {
            (Format { syntax: Syntax::Json, pretty: false }, _) | (_, []) => return None,
            (_, [one]) => one,
            (Format { syntax: Syntax::Xml, pretty: false }, parts) => {
                return Some((XML, xml::write_parts(parts)?));
            }
            (_, parts) => {
                whole = parts.concat();
                &whole
            }
        };
        match (self.syntax, self.pretty) {
            (Syntax::Json, _) => Some((JSON, pretty(json))),
            (Syntax::Xml, false) => Some((XML, xml::write(json)?)),
            (Syntax::Xml, true) => Some((XML, xml::write_pretty(json)?)),
        }
    }
}

/// Content type of JSON answers.
pub const JSON: &str = "application/fhir+json; charset=utf-8";
/// Content type of XML answers.
pub const XML: &str = "application/fhir+xml; charset=utf-8";

const HAVE: &str = "application/fhir+json and application/fhir+xml (FHIR 4.0) can be had.";

/// The format of the answer, from `_format`, `_pretty` and `Accept`; an error names what can be had (406).
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
        Some(format) => preferred(&format.replace(' ', "+").replace(";+", "; ")),
        None => accept.map_or(Some(Syntax::Json), preferred),
    };
    if let Some(syntax) = wanted {
        return Ok(Format { syntax, pretty });
    }
    let asked = format.as_deref().or(accept).unwrap_or_default();
    Err(format!("\"{}\" cannot be had here; {HAVE}", shortened(asked)))
}

/// The parameters of a query or form that say in which format an answer is wanted, each behind an `&`: what a link to a
/// further page repeats, and what of a form belongs to the request as a whole.
pub fn format_parameters(query: &str) -> String {
    let mut kept = String::new();
    if query.contains("_format") || query.contains("_pretty") {
        for (name, value) in crate::search::pairs(query) {
            if matches!(name.as_str(), "_format" | "_pretty") && !value.is_empty() {
                let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
                kept.push_str(&format!("&{name}={value}"));
            }
        }
    }
    kept
}

/// What a request body is written in, by its `Content-Type`; an error names what is taken (415).
pub fn request(content_type: Option<&str>) -> Result<Syntax, String> {
    let Some(given) = content_type else {
        return Err(format!("The body names no Content-Type; {TAKEN}"));
    };
    let mut parts = given.split(';').map(str::trim);
    let syntax = named(parts.next().unwrap_or_default());
    let parameters_fit = parts.all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "charset" => value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8"),
            "fhirversion" => value.starts_with("4.0"),
            _ => true,
        }
    });
    let refused = || format!("\"{}\" is not taken here; {TAKEN}", shortened(given));
    syntax.filter(|_| parameters_fit).ok_or_else(refused)
}

/// Re-formats JSON for `_pretty`.
pub fn pretty(json: &[u8]) -> Vec<u8> {
    let value = serde_json::from_slice::<Box<RawValue>>(json)
        .ok()
        .and_then(|raw| serde_json::from_str::<serde_json::Value>(raw.get()).ok());
    value.and_then(|value| serde_json::to_vec_pretty(&value).ok()).unwrap_or_else(|| json.to_vec())
}

const TAKEN: &str = "send application/fhir+json or application/fhir+xml (FHIR 4.0) in UTF-8.";

/// The syntax of a media type that means FHIR.
pub fn named(media: &str) -> Option<Syntax> {
    let is = |known: &[&str]| known.iter().any(|known| media.eq_ignore_ascii_case(known));
    if is(&["application/fhir+json", "application/json", "text/json", "application/json+fhir"]) {
        Some(Syntax::Json)
    } else if is(&["application/fhir+xml", "application/xml", "text/xml", "application/xml+fhir"]) {
        Some(Syntax::Xml)
    } else {
        None
    }
}

/// How well a range fits: the narrower of two counts (RFC 9110, 12.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Anything,
    Named,
}

/// The better liked of the two syntaxes in FHIR 4.0 that a list of media ranges takes, JSON where it does not matter. A
/// quality of 0 excludes.
fn preferred(asked: &str) -> Option<Syntax> {
    let mut json: Option<(Fit, f32)> = None;
    let mut xml: Option<(Fit, f32)> = None;
    for range in asked.split(',').map(str::trim) {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let Some(quality) = quality(parts) else { continue };
        let short = match media.to_ascii_lowercase().as_str() {
            "json" => Some(Syntax::Json),
            "xml" => Some(Syntax::Xml),
            // A browser, or its user, is given what it can show best.
            "text/html" | "html" | "" => Some(Syntax::Json),
            _ => named(media),
        };
        let anything = ["*/*", "application/*", "*"].contains(&media);
        let take = |slot: &mut Option<(Fit, f32)>, fit: Fit| {
            if slot.is_none_or(|(known, best)| fit > known || (fit == known && quality > best)) {
                *slot = Some((fit, quality));
            }
        };
        match short {
            Some(Syntax::Json) => take(&mut json, Fit::Named),
            Some(Syntax::Xml) => take(&mut xml, Fit::Named),
            None if anything => {
                take(&mut json, Fit::Anything);
                take(&mut xml, Fit::Anything);
            }
            None => {}
        }
    }
    let weight =
        |slot: Option<(Fit, f32)>| slot.filter(|(_, quality)| *quality > 0.0).map(|(fit, q)| (q, fit));
    match (weight(json), weight(xml)) {
        // Of two that are liked alike, the one that is named goes before the one that is among others.
        (Some(json), Some(xml)) if xml > json => Some(Syntax::Xml),
        (Some(_), _) => Some(Syntax::Json),
        (None, Some(_)) => Some(Syntax::Xml),
        (None, None) => None,
    }
}

/// The quality of a range by its parameters; none if it is of another version of FHIR.
fn quality<'a>(parameters: impl Iterator<Item = &'a str>) -> Option<f32> {
    let mut quality = 1.0;
    for (name, value) in parameters.filter_map(|parameter| parameter.split_once('=')) {
        let value = value.trim().trim_matches('"');
        if name.trim().eq_ignore_ascii_case("q") {
            quality = value.parse::<f32>().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0);
        } else if name.trim().eq_ignore_ascii_case("fhirVersion") && !value.starts_with("4.0") {
            return None;
        }
    }
    Some(quality)
}

fn shortened(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_given_to_whoever_likes_it_as_well() {
        for (query, accept) in [
            ("", None),
            ("", Some("*/*")),
            ("", Some("")),
            ("", Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")),
            ("", Some("application/fhir+xml, application/fhir+json")),
            ("", Some("application/fhir+xml;q=0.5, application/fhir+json;q=0.9")),
            ("", Some("application/fhir+json, */*;q=0.1")),
            ("_format=json", Some("application/fhir+xml")),
            ("_format=html", None),
            ("_format=application/fhir+json", None),
            ("_format=application%2Ffhir%2Bjson", None),
            ("a=b", Some("application/json+fhir")),
            ("", Some("application/fhir+json; fhirVersion=4.0")),
            ("", Some("application/fhir+xml; fhirVersion=3.0, application/fhir+json;q=0.1")),
        ] {
            assert_eq!(answer(query, accept).map(|f| f.syntax), Ok(Syntax::Json), "{query} {accept:?}");
        }
    }

    #[test]
    fn xml_is_given_to_whoever_likes_it_better() {
        for (query, accept) in [
            ("", Some("application/fhir+xml")),
            ("", Some("application/xml")),
            ("", Some("text/xml; charset=utf-8")),
            ("", Some("application/xml+fhir")),
            ("", Some("application/fhir+xml, application/fhir+json;q=0.5")),
            ("", Some("application/fhir+xml, */*;q=0.1")),
            ("", Some("application/fhir+xml, */*")),
            ("", Some("application/fhir+json;q=0, */*")),
            ("_format=xml", Some("application/fhir+json")),
            ("_format=application/fhir+xml", None),
            ("_format=text/xml", None),
            ("_format=application%2Ffhir%2Bxml%3BfhirVersion%3D4.0", None),
        ] {
            assert_eq!(answer(query, accept).map(|f| f.syntax), Ok(Syntax::Xml), "{query} {accept:?}");
        }
    }

    #[test]
    fn what_we_cannot_write_is_not_acceptable() {
        for (query, accept) in [
            ("_format=ttl", Some("application/fhir+json")),
            ("", Some("image/png")),
            ("", Some("application/fhir+json;q=0")),
            ("", Some("application/fhir+json; fhirVersion=3.0")),
            ("", Some("application/fhir+xml; fhirVersion=5.0")),
        ] {
            assert!(answer(query, accept).is_err(), "{query} {accept:?}");
        }
    }

    #[test]
    fn bodies_are_in_utf8() {
        assert_eq!(request(Some("application/fhir+json")), Ok(Syntax::Json));
        assert_eq!(request(Some("Application/JSON; charset=UTF-8")), Ok(Syntax::Json));
        assert_eq!(request(Some("application/fhir+json; fhirVersion=4.0")), Ok(Syntax::Json));
        assert_eq!(request(Some("application/fhir+xml")), Ok(Syntax::Xml));
        assert_eq!(request(Some("text/xml;charset=utf-8")), Ok(Syntax::Xml));
        assert!(request(Some("application/fhir+json; charset=utf-16")).is_err());
        assert!(request(Some("application/fhir+xml; fhirVersion=5.0")).is_err());
        assert!(request(Some("application/x-www-form-urlencoded")).is_err());
        assert!(request(None).is_err());
    }

    #[test]
    fn pretty_keeps_numbers_and_order() {
        assert_eq!(pretty(br#"{"b":1.50,"a":[]}"#), b"{\n  \"b\": 1.50,\n  \"a\": []\n}");
    }
}
