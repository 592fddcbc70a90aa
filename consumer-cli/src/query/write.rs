//! A stored query as it is sent: names completed, values quoted and in the words of ebRIM.

use std::str::FromStr;

use ebxml::Writer;
use ebxml::names::namespace;
use xds::query::{Means, StoredQuery, Takes};

use crate::exit::Failure;

/// One parameter as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Parameter {
    pub(crate) name: String,
    /// Whether it must hold besides what was said of the same name before.
    pub(crate) and: bool,
    pub(crate) value: String,
}

impl Parameter {
    pub(crate) fn new(name: &str, value: impl Into<String>) -> Parameter {
        Parameter { name: name.to_owned(), and: false, value: value.into() }
    }
}

impl FromStr for Parameter {
    type Err = String;
    fn from_str(text: &str) -> Result<Parameter, String> {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("a parameter is written NAME=VALUE; this is {text:?}"))?;
        let (name, and) = name.strip_suffix('+').map_or((name, false), |name| (name, true));
        Ok(Parameter { name: name.to_owned(), and, value: value.to_owned() })
    }
}

/// A question.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) query: &'static StoredQuery,
    /// Ids only.
    pub(crate) references: bool,
    pub(crate) home: Option<String>,
    pub(crate) parameters: Vec<Parameter>,
}

const PREFIXES: [&str; 4] = ["XDSDocumentEntry", "XDSSubmissionSet", "XDSFolder", "XDSAssociation"];

/// The parameter of a query that somebody means.
fn meant(query: &StoredQuery, name: &str) -> Result<&'static xds::query::Parameter, Failure> {
    let said = name.trim_start_matches('$');
    let full = |known: &&xds::query::Parameter| known.name.trim_start_matches('$').eq_ignore_ascii_case(said);
    let short = |known: &&xds::query::Parameter| {
        let known = known.name.trim_start_matches('$');
        PREFIXES
            .iter()
            .any(|prefix| known.strip_prefix(prefix).is_some_and(|rest| rest.eq_ignore_ascii_case(said)))
    };
    if let Some(parameter) = query.parameters.iter().find(full) {
        return Ok(parameter);
    }
    let found: Vec<_> = query.parameters.iter().filter(short).collect();
    match found.as_slice() {
        [one] => Ok(one),
        [] => {
            let names: Vec<&str> = query.parameters.iter().map(|parameter| parameter.name).collect();
            Err(Failure::usage(format!(
                "{} has no parameter {name:?}; it has: {}",
                query.name,
                names.join(", ")
            ))
            .next(format!("docshare query describe {} says what each means", query.name)))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|parameter| parameter.name).collect();
            Err(Failure::usage(format!("{name:?} may be each of: {}", names.join(", "))))
        }
    }
}

/// `rim:Slot`s of the parameters: alternatives in one slot, what must hold besides in another.
fn slots(ask: &Ask) -> Result<Vec<(&'static xds::query::Parameter, Vec<String>)>, Failure> {
    let mut slots: Vec<(&'static xds::query::Parameter, Vec<String>)> = Vec::new();
    for given in &ask.parameters {
        let parameter = meant(ask.query, &given.name)?;
        let value = value(parameter, &given.value)?;
        let known = slots.iter_mut().rev().find(|(known, _)| known.name == parameter.name);
        match known {
            Some((_, values)) if !given.and => values.push(value),
            Some(_) if parameter.takes != Takes::AllOfAny => {
                return Err(Failure::usage(format!(
                    "{} cannot be asked for twice at once (+=); its values are alternatives (=)",
                    parameter.name
                )));
            }
            _ => slots.push((parameter, vec![value])),
        }
    }
    if let Some(missing) =
        ask.query.parameters.iter().find(|parameter| {
            parameter.required && !slots.iter().any(|(known, _)| known.name == parameter.name)
        })
    {
        return Err(Failure::usage(format!("{} needs {}", ask.query.name, missing.name)).next(format!(
            "it is written {}; docshare query describe {}",
            missing.means.form(),
            ask.query.name
        )));
    }
    Ok(slots)
}

/// A value as the framework writes it, in quotes where it has them.
fn value(parameter: &xds::query::Parameter, text: &str) -> Result<String, Failure> {
    if text.starts_with(['\'', '(', '"']) {
        return Ok(text.to_owned());
    }
    let plain = match parameter.means {
        Means::From(_) | Means::To(_) => return dtm(text),
        Means::MetadataLevel => return Ok(text.to_owned()),
        Means::Patient => cx(text)?,
        Means::Code(_) => match text.split_once('|') {
            Some((system, code)) => format!("{code}^^{}", xds::attribute::system(system)),
            None => text.to_owned(),
        },
        Means::Status(_) => match text.to_ascii_lowercase().as_str() {
            "approved" => xds::query::status_urn(xds::Availability::Approved).to_owned(),
            "deprecated" => xds::query::status_urn(xds::Availability::Deprecated).to_owned(),
            _ => text.to_owned(),
        },
        Means::EntryType => match text.to_ascii_lowercase().as_str() {
            "stable" => "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1".to_owned(),
            "on-demand" | "ondemand" => "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248".to_owned(),
            _ => text.to_owned(),
        },
        Means::AssociationTypes => association(text),
        Means::EntryUuid | Means::LogicalId => match text.starts_with("urn:") {
            true => text.to_owned(),
            false => format!("urn:uuid:{text}"),
        },
        Means::UniqueId => text.strip_prefix("urn:oid:").unwrap_or(text).to_owned(),
        _ => text.to_owned(),
    };
    Ok(format!("'{}'", plain.replace('\'', "''")))
}

fn association(text: &str) -> String {
    match text {
        "HasMember" => format!("urn:oasis:names:tc:ebxml-regrep:AssociationType:{text}"),
        "IsSnapshotOf" => format!("urn:ihe:iti:2010:AssociationType:{text}"),
        "RPLC" | "APND" | "XFRM" | "XFRM_RPLC" | "signs" => {
            format!("urn:ihe:iti:2007:AssociationType:{text}")
        }
        _ => text.to_owned(),
    }
}

/// A patient as XDS names one: `SYSTEM|VALUE` becomes CX.
pub(crate) fn cx(text: &str) -> Result<String, Failure> {
    let Some((system, value)) = text.split_once('|') else { return Ok(text.to_owned()) };
    let oid = system.strip_prefix("urn:oid:").unwrap_or(system);
    if oid.is_empty() || !oid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(Failure::usage(format!("over SOAP a patient is named under an OID; this is {text:?}"))
            .next("write urn:oid:1.2.3|VALUE"));
    }
    Ok(format!("{}^^^&{oid}&ISO", value))
}

/// A time as DTM: what FHIR writes becomes UTC.
pub(crate) fn dtm(text: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::usage(format!("this is no time: {text:?}"))
            .next("write YYYY[MM[DD[hh[mm[ss]]]]], or a date or time as FHIR has it: 2024-01-31")
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() >= 4 {
        return Ok(text.to_owned());
    }
    if text.contains('T') {
        let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        return Ok(time.strftime("%Y%m%d%H%M%S").to_string());
    }
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let sound = text.chars().all(|c| c.is_ascii_digit() || c == '-') && [4, 6, 8].contains(&digits.len());
    if sound { Ok(digits) } else { Err(wrong()) }
}

/// The body of the message.
pub(crate) fn adhoc_query(ask: &Ask) -> Result<Vec<u8>, Failure> {
    let slots = slots(ask)?;
    let mut xml = Writer::with_capacity(2048);
    xml.start("query:AdhocQueryRequest")
        .attribute("xmlns:query", namespace::QUERY)
        .attribute("xmlns:rim", namespace::RIM)
        .start("query:ResponseOption")
        .attribute("returnComposedObjects", "true")
        .attribute("returnType", if ask.references { "ObjectRef" } else { "LeafClass" })
        .end();
    xml.start("rim:AdhocQuery").attribute("id", ask.query.id).optional("home", ask.home.as_deref());
    for (parameter, values) in &slots {
        xml.start("rim:Slot").attribute("name", parameter.name).start("rim:ValueList");
        for value in values {
            let listed = parameter.takes != Takes::One && !value.starts_with('(');
            xml.leaf("rim:Value", &if listed { format!("({value})") } else { value.clone() });
        }
        xml.end().end();
    }
    xml.end().end();
    Ok(xml.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str, parameters: &[&str]) -> Result<String, Failure> {
        let query = xds::query::by_name(query).unwrap();
        let parameters = parameters.iter().map(|text| text.parse().unwrap()).collect();
        let ask = Ask { query, references: false, home: None, parameters };
        Ok(String::from_utf8(adhoc_query(&ask)?).unwrap())
    }

    #[test]
    fn short_words_become_what_the_framework_writes() {
        let text = asked(
            "FindDocuments",
            &[
                "PatientId=urn:oid:1.2.3|O'Neil",
                "status=approved",
                "$XDSDocumentEntryClassCode=http://loinc.org|11369-6",
                "EventCodeList=a^^1.2",
                "EventCodeList+=b^^1.2",
                "CreationTimeFrom=2024-01-31T23:00:00-02:00",
            ],
        )
        .unwrap();
        for expected in [
            "'O''Neil^^^&amp;1.2.3&amp;ISO'",
            "('urn:oasis:names:tc:ebxml-regrep:StatusType:Approved')",
            "('11369-6^^2.16.840.1.113883.6.1')",
            "('a^^1.2')",
            "('b^^1.2')",
            "<rim:Value>20240201010000</rim:Value>",
            "name=\"$XDSDocumentEntryPatientId\"",
        ] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert_eq!(text.matches("$XDSDocumentEntryEventCodeList").count(), 2);
    }

    #[test]
    fn what_cannot_be_asked_is_said_before_anything_is_sent() {
        for (parameters, expected) in [
            (&["PatientId=1"][..], "needs $XDSDocumentEntryStatus"),
            (&["Colour=red"], "has no parameter"),
            (&["PatientId=http://x|1", "Status=approved"], "under an OID"),
            (&["PatientId=1", "Status=approved", "CreationTimeFrom=yesterday"], "no time"),
            (&["PatientId=1", "Status=approved", "ClassCode=a", "ClassCode+=b"], "alternatives"),
        ] {
            let failure = asked("FindDocuments", parameters).unwrap_err();
            assert!(failure.text.contains(expected), "{expected}: {}", failure.text);
        }
    }
}
