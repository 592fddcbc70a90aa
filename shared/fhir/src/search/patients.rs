//! How a search of documents or lists names its patient: by reference, by identifier, or by what the patient is.

use jiff::tz::TimeZone;
use xds::attribute::Attribute;
use xds::filter::{Clause, PatientIs, Test};
use xds::{Finding, Token};

use super::question::{missing, unsupported_modifier};
use super::reference::{is_id, through};
use super::{Kind, Parameter, Raw, date, token, unescape, wrong_value};

/// How a parameter names the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientBy {
    /// By reference.
    Reference,
    /// By business identifier.
    Identifier,
    /// By something that holds for it.
    Being(Attribute),
}

/// How the patient of a document or list is named in a search, in the order of `/metadata`.
pub const PATIENT_PARAMETERS: &[Parameter<PatientBy>] = &[
    row(
        "patient",
        PatientBy::Reference,
        Kind::Reference,
        "The patient, by reference; patient:identifier too.",
    ),
    row("patient.identifier", PatientBy::Identifier, Kind::Token, "The patient, by any of its identifiers."),
    being("patient.family", Attribute::PatientFamily, Kind::String, "Family name of the patient."),
    being("patient.given", Attribute::PatientGiven, Kind::String, "Given name of the patient."),
    being("patient.name", Attribute::PatientName, Kind::String, "Any part of the patient's name."),
    being("patient.birthdate", Attribute::PatientBirthDate, Kind::Date, "Date of birth of the patient."),
    being(
        "patient.gender",
        Attribute::PatientGender,
        Kind::Token,
        "Gender of the patient, beside something that names few patients.",
    ),
    being(
        "patient.active",
        Attribute::PatientActive,
        Kind::Token,
        "Whether the patient's record is in use, beside something that names few patients.",
    ),
    row("subject", PatientBy::Reference, Kind::Reference, "The same as patient."),
    row("subject.identifier", PatientBy::Identifier, Kind::Token, "The same as patient.identifier."),
    being("subject.family", Attribute::PatientFamily, Kind::String, "The same as patient.family."),
    being("subject.given", Attribute::PatientGiven, Kind::String, "The same as patient.given."),
    being("subject.name", Attribute::PatientName, Kind::String, "The same as patient.name."),
    being("subject.birthdate", Attribute::PatientBirthDate, Kind::Date, "The same as patient.birthdate."),
    being("subject.gender", Attribute::PatientGender, Kind::Token, "The same as patient.gender."),
    being("subject.active", Attribute::PatientActive, Kind::Token, "The same as patient.active."),
];

const fn row(
    name: &'static str,
    asks: PatientBy,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<PatientBy> {
    Parameter { name, asks, kind, definition: None, targets: &["Patient"], documentation }
}

const fn being(
    name: &'static str,
    asks: Attribute,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<PatientBy> {
    row(name, PatientBy::Being(asks), kind, documentation)
}

/// What one parameter says of the patient.
pub(super) enum Said {
    /// One of these.
    OneOf(Vec<PatientIs>),
    /// Somebody of whom this holds.
    Being(Clause),
}

/// Reads a parameter that names the patient.
pub(super) fn read(
    parameter: &Parameter<PatientBy>,
    raw: &Raw,
    own: &[&str],
    zone: &TimeZone,
) -> Result<Said, Finding> {
    through(parameter, raw)?;
    let read: fn(&str, &[&str]) -> Result<PatientIs, String> = match (parameter.asks, raw.modifier.as_deref())
    {
        (PatientBy::Being(attribute), _) => return being_read(parameter, attribute, raw, zone),
        (PatientBy::Reference, None | Some("Patient")) => by_reference,
        (PatientBy::Reference, Some("identifier")) | (PatientBy::Identifier, None) => by_identifier,
        (PatientBy::Reference, Some(_)) => {
            return Err(unsupported_modifier(raw, &["identifier", "Patient"]));
        }
        (PatientBy::Identifier, Some(_)) => return Err(unsupported_modifier(raw, &[])),
    };
    let one = |value: &String| read(value, own).map_err(|why| wrong_value(&raw.name, value, &why));
    raw.values.iter().map(one).collect::<Result<_, _>>().map(Said::OneOf)
}

fn being_read(
    parameter: &Parameter<PatientBy>,
    attribute: Attribute,
    raw: &Raw,
    zone: &TimeZone,
) -> Result<Said, Finding> {
    let wrong = |value: &str, why: &str| wrong_value(&raw.name, value, why);
    let mut negated = false;
    let mut any = Vec::with_capacity(raw.values.len());
    for value in &raw.values {
        let test = match (parameter.kind, raw.modifier.as_deref()) {
            (_, Some("missing")) => return missing(attribute, raw).map(Said::Being),
            (Kind::String, None) => Test::Begins(unescape(value)),
            (Kind::String, Some("exact")) => Test::Exactly(unescape(value)),
            (Kind::String, Some("contains")) => Test::Contains(unescape(value)),
            (Kind::String, Some(_)) => {
                return Err(unsupported_modifier(raw, &["exact", "contains", "missing"]));
            }
            // A date of birth is a day of the calendar everywhere.
            (Kind::Date, None) => {
                let zone = if attribute == Attribute::PatientBirthDate { &TimeZone::UTC } else { zone };
                Test::Moment(date(value, zone).map_err(|why| wrong(value, &why))?)
            }
            (Kind::Token, None | Some("not")) => {
                negated = raw.modifier.is_some();
                let accepted: &[&str] = match attribute {
                    Attribute::PatientActive => &["true", "false"],
                    _ => &["male", "female", "other", "unknown"],
                };
                let Token { code, .. } = token(value).map_err(|why| wrong(value, &why))?;
                let code = code.filter(|code| accepted.contains(&code.as_str()));
                let code =
                    code.ok_or_else(|| wrong(value, &format!("accepted are {}", accepted.join(", "))))?;
                Test::Token(Token { system: None, code: Some(code) })
            }
            (Kind::Token, Some(_)) => return Err(unsupported_modifier(raw, &["not", "missing"])),
            (Kind::Date | Kind::Reference | Kind::Uri, _) => {
                return Err(unsupported_modifier(raw, &["missing"]));
            }
        };
        if matches!(&test, Test::Begins(text) | Test::Contains(text) | Test::Exactly(text) if text.trim().is_empty())
        {
            return Err(wrong(value, "it is empty"));
        }
        any.push(test);
    }
    Ok(Said::Being(Clause { attribute, any, negated }))
}

/// `[id]`, `Patient/[id]`, or absolute: ours by id, another server's by the name it is known under there.
fn by_reference(value: &str, own: &[&str]) -> Result<PatientIs, String> {
    const FORMS: &str = "it is [id], Patient/[id] or the absolute URL of a Patient";
    if value.contains('|') && !value.contains("\\|") {
        return Err(format!("{FORMS}; an identifier, system|value, is asked for by patient.identifier"));
    }
    let value = unescape(value);
    let bare = value.split("/_history/").next().unwrap_or_default();
    let Some((head, id)) = bare.rsplit_once('/') else {
        return if bare.contains(':') {
            let system = "urn:ietf:rfc:3986".to_owned();
            Ok(PatientIs::Identifier { system: Some(system), value: bare.to_owned() })
        } else if is_id(bare) {
            Ok(PatientIs::Id(bare.to_owned()))
        } else {
            Err(FORMS.to_owned())
        };
    };
    let Some(base) = (if head == "Patient" { Some("") } else { head.strip_suffix("/Patient") }) else {
        return Err(FORMS.to_owned());
    };
    if !is_id(id) {
        return Err(FORMS.to_owned());
    }
    if base.is_empty() || own.iter().any(|own| own.trim_end_matches('/') == base) {
        return Ok(PatientIs::Id(id.to_owned()));
    }
    Ok(PatientIs::Identifier { system: Some(base.to_owned()), value: format!("Patient/{id}") })
}

fn by_identifier(value: &str, _own: &[&str]) -> Result<PatientIs, String> {
    let Token { system, code } = token(value)?;
    match code {
        Some(value) => Ok(PatientIs::Identifier { system, value }),
        None => Err("the value of the identifier is missing behind the |".to_owned()),
    }
}
