//! Values that are written `system|value` on the command line: identifiers, codes, and who the patient is.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

/// An identifier with its name space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identifier {
    pub(crate) system: String,
    pub(crate) value: String,
}

impl FromStr for Identifier {
    type Err = String;
    fn from_str(text: &str) -> Result<Identifier, String> {
        match text.split_once('|') {
            Some((system, value)) if !system.is_empty() && !value.is_empty() => {
                Ok(Identifier { system: system_of(system), value: value.to_owned() })
            }
            _ => Err(format!(
                "an identifier is written SYSTEM|VALUE, e.g. 'urn:oid:1.2.3|4711'; this is {text:?}"
            )),
        }
    }
}

impl Identifier {
    pub(crate) fn fhir(&self) -> Value {
        json!({"system": self.system, "value": self.value})
    }
    /// As a value of a token search parameter.
    pub(crate) fn token(&self) -> String {
        format!("{}|{}", escape(&self.system), escape(&self.value))
    }
}

/// A bare OID is taken as `urn:oid:`.
fn system_of(text: &str) -> String {
    let oid = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if oid { format!("urn:oid:{text}") } else { text.to_owned() }
}

/// An OID as a URI; a bare one gets its prefix.
pub(crate) fn oid(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix("urn:oid:").unwrap_or(text);
    let arc = |arc: &str| {
        !arc.is_empty() && arc.bytes().all(|b| b.is_ascii_digit()) && (arc == "0" || !arc.starts_with('0'))
    };
    let sound = digits.len() <= 64 && digits.contains('.') && digits.split('.').all(arc);
    if sound {
        Ok(format!("urn:oid:{digits}"))
    } else {
        Err(format!("an OID is written urn:oid:1.2.3, 64 digits and dots at most; this is {text:?}"))
    }
}

/// A URI that names one thing for ever: an OID, or another with its scheme.
pub(crate) fn uri(text: &str) -> Result<String, String> {
    let other = || match text.split_once(':') {
        Some((scheme, rest)) => {
            let named = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
            named && !rest.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
        }
        None => false,
    };
    match oid(text) {
        Err(_) if !text.starts_with("urn:oid:") && other() => Ok(text.to_owned()),
        Err(_) => Err(format!("a unique id is written urn:oid:1.2.3 or urn:uuid:…; this is {text:?}")),
        oid => oid,
    }
}

/// Escapes a value of a search parameter (FHIR R4 3.1.1.4.1.1).
pub(crate) fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace(',', "\\,").replace('$', "\\$").replace('|', "\\|")
}

/// A coded value: `system|code` or `system|code|display`, or the same as an object in a metadata file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Code {
    pub(crate) system: String,
    pub(crate) code: String,
    pub(crate) display: Option<String>,
}

impl FromStr for Code {
    type Err = String;
    fn from_str(text: &str) -> Result<Code, String> {
        let mut parts = text.splitn(3, '|');
        match (parts.next(), parts.next(), parts.next()) {
            (Some(system), Some(code), display) if !system.is_empty() && !code.is_empty() => Ok(Code {
                system: system_of(system),
                code: code.to_owned(),
                display: display.filter(|d| !d.is_empty()).map(str::to_owned),
            }),
            _ => Err(format!("a code is written SYSTEM|CODE or SYSTEM|CODE|DISPLAY; this is {text:?}")),
        }
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Code, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Text(String),
            Object { system: String, code: String, display: Option<String> },
        }
        match Form::deserialize(deserializer)? {
            Form::Text(text) => text.parse().map_err(D::Error::custom),
            Form::Object { system, code, display } => Ok(Code { system, code, display }),
        }
    }
}

impl Code {
    pub(crate) fn coding(&self) -> Value {
        let mut coding = json!({"system": self.system, "code": self.code});
        if let Some(display) = &self.display {
            coding["display"] = json!(display);
        }
        coding
    }
    pub(crate) fn concept(&self) -> Value {
        json!({"coding": [self.coding()]})
    }
}

/// How a patient is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PatientName {
    /// By a business identifier.
    Identifier(Identifier),
    /// By an absolute URL.
    Url(String),
    /// By its id in this domain.
    Id(String),
}

impl FromStr for PatientName {
    type Err = String;
    fn from_str(text: &str) -> Result<PatientName, String> {
        if text.contains('|') {
            return text.parse().map(PatientName::Identifier);
        }
        if text.starts_with("http://") || text.starts_with("https://") {
            return Ok(PatientName::Url(text.to_owned()));
        }
        let id = text.strip_prefix("Patient/").unwrap_or(text);
        if is_id(id) {
            return Ok(PatientName::Id(id.to_owned()));
        }
        Err(format!("a patient is named by SYSTEM|VALUE, by URL, or by id; this is {text:?}"))
    }
}

impl PatientName {
    /// The search parameter that asks for this patient's documents.
    pub(crate) fn parameter(&self) -> (String, String) {
        match self {
            PatientName::Identifier(identifier) => ("patient.identifier".into(), identifier.token()),
            PatientName::Url(url) => ("patient".into(), escape(url)),
            PatientName::Id(id) => ("patient".into(), format!("Patient/{id}")),
        }
    }
}

/// Whether a text can be the id of a FHIR resource.
pub(crate) fn is_id(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && text.bytes().any(|b| b != b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_a_system_and_a_value_and_a_bare_oid_gets_its_prefix() {
        let identifier: Identifier = "1.2.3|47|11".parse().unwrap();
        assert_eq!(identifier, Identifier { system: "urn:oid:1.2.3".into(), value: "47|11".into() });
        assert_eq!(identifier.token(), "urn:oid:1.2.3|47\\|11");
        assert!("4711".parse::<Identifier>().is_err() && "a|".parse::<Identifier>().is_err());
    }

    #[test]
    fn a_unique_id_is_a_uri_and_a_bare_oid_gets_its_prefix() {
        for (given, taken) in [("1.2.30", "urn:oid:1.2.30"), ("urn:oid:2.25.7", "urn:oid:2.25.7")] {
            assert_eq!((uri(given), oid(given)), (Ok(taken.to_owned()), Ok(taken.to_owned())));
        }
        let uuid = "urn:uuid:0d6a7e2c-0d0f-4b7e-9f0e-3c1f5f3f9a11";
        assert_eq!(uri(uuid), Ok(uuid.to_owned()));
        for wrong in ["nonsense", "", "12", "1..2", "1.02", "urn:oid:", "urn:oid:x", "a b:c", ":x", "urn:"] {
            assert!(uri(wrong).is_err() && oid(wrong).is_err(), "{wrong:?}");
        }
        assert!(oid(uuid).is_err());
    }

    #[test]
    fn a_code_may_carry_how_it_reads() {
        let code: Code = "http://loinc.org|34133-9|Summary".parse().unwrap();
        assert_eq!(code.coding(), json!({"system":"http://loinc.org","code":"34133-9","display":"Summary"}));
        assert!("34133-9".parse::<Code>().is_err());
    }

    #[test]
    fn a_patient_is_named_by_identifier_url_or_id() {
        assert!(matches!("urn:oid:1.2|x".parse(), Ok(PatientName::Identifier(_))));
        assert!(matches!("http://h/fhir/Patient/1".parse(), Ok(PatientName::Url(_))));
        assert_eq!("Patient/a-1".parse(), Ok(PatientName::Id("a-1".into())));
        assert!("../x".parse::<PatientName>().is_err());
    }
}
