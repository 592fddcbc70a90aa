//! A search of documents or lists becomes the registry's own question: one reading for both, each with its table.

use jiff::tz::TimeZone;
use xds::filter::{Clause, Of, PatientIs, Test};
use xds::{Attribute, Availability, EntryUuid, Filter, Finding, Findings, Place, Rule, Token};

use super::{
    Here, Kind, Limits, Parameter, Raw, ResultParameters, Search, bad_value, date, parse, shortened, token,
    unescape,
};

/// How a parameter names the patient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientBy {
    /// By reference.
    Reference,
    /// By business identifier.
    Identifier,
}

/// How the patient of a document or list is named in a search, in the order of `/metadata`.
pub const PATIENT_PARAMETERS: &[Parameter<PatientBy>] = &[
    named(
        "patient",
        PatientBy::Reference,
        Kind::Reference,
        "The patient, by reference; patient:identifier too.",
    ),
    named(
        "patient.identifier",
        PatientBy::Identifier,
        Kind::Token,
        "The patient, by any of its identifiers.",
    ),
    named("subject", PatientBy::Reference, Kind::Reference, "The same as patient."),
    named("subject.identifier", PatientBy::Identifier, Kind::Token, "The same as patient.identifier."),
];

const fn named(
    name: &'static str,
    asks: PatientBy,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<PatientBy> {
    Parameter { name, asks, kind, definition: None, documentation }
}

/// Which table a search is read by.
pub(crate) struct Ask {
    pub(crate) of: Of,
    pub(crate) parameters: &'static [Parameter<Attribute>],
    pub(crate) sorts: &'static [&'static str],
    /// Code systems under which a status may be asked for.
    pub(crate) status_system: &'static str,
}

/// The search as it came.
pub(crate) struct Asked<'a> {
    pub(crate) query: &'a str,
    pub(crate) form: Option<&'a str>,
    pub(crate) prefer: Option<&'a str>,
    pub(crate) here: Here<'a>,
}

/// Reads a search by its table.
pub(crate) fn ask(ask: &Ask, asked: &Asked<'_>, limits: &Limits) -> Result<Search<Filter>, Findings> {
    let (honourable, raws, mut result) = parse(asked.query, asked.form, asked.prefer, limits)?;
    let mut filter = Filter { of: ask.of, patients: Vec::new(), all: Vec::new() };
    let (mut findings, mut doubts) = (Findings::new(), Findings::new());
    let mut unknown = Vec::new();
    for raw in &raws {
        if let Some(parameter) = PATIENT_PARAMETERS.iter().find(|parameter| parameter.name == raw.name) {
            match patients(parameter, raw, asked.here.own) {
                Ok(group) => filter.patients.push(group),
                Err(finding) => findings.push(finding),
            }
        } else if let Some(parameter) = ask.parameters.iter().find(|parameter| parameter.name == raw.name) {
            match clause(parameter, raw, ask, asked.here.zone) {
                Ok(clause) => filter.all.push(clause),
                Err(finding) => findings.push(finding),
            }
        } else {
            unknown.push(raw.name.clone());
            // Result parameters nobody knows are passed over without a word.
            if !raw.name.starts_with('_') {
                doubts.push(unknown_parameter(&raw.name, ask));
            }
        }
    }
    let ignored = drop_unsupported(&mut result, ask, &mut doubts);
    if result.strict {
        findings.extend(doubts.drain(..).map(|doubt| Finding { severity: xds::Severity::Error, ..doubt }));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let mut honoured: Vec<(String, String)> =
        honourable.into_iter().filter(|(name, _)| is_honoured(name, &unknown, &ignored)).collect();
    for (_, keys) in honoured.iter_mut().filter(|(name, _)| name == "_sort") {
        keys.truncate(keys.find(',').unwrap_or(keys.len()));
    }
    Ok(Search { filter, result, honoured, warnings: doubts })
}

/// Leaves out the result parameters that are not built; answers their names.
fn drop_unsupported(result: &mut ResultParameters, ask: &Ask, doubts: &mut Findings) -> Vec<&'static str> {
    let mut ignored = Vec::new();
    if let Some((name, _)) = result.sort.iter().find(|(name, _)| !ask.sorts.contains(&name.as_str())) {
        let text =
            format!("_sort by {} is not supported; accepted are {}.", shortened(name), ask.sorts.join(", "));
        doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
        result.sort.clear();
        ignored.push("_sort");
    } else if result.sort.len() > 1 {
        let text = format!("_sort takes one key; accepted are {}.", ask.sorts.join(", "));
        doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
        result.sort.truncate(1);
    }
    for (name, values) in [("_include", &mut result.include), ("_revinclude", &mut result.revinclude)] {
        if !values.is_empty() {
            let text = format!("{name} is not supported.");
            doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
            values.clear();
            ignored.push(name);
        }
    }
    ignored
}

fn is_honoured(name: &str, unknown: &[String], ignored: &[&str]) -> bool {
    let bare = name.split(':').next().unwrap_or(name);
    !unknown
        .iter()
        .any(|unknown| name == unknown || bare == unknown || unknown.starts_with(&format!("{bare}.")))
        && !ignored.contains(&bare)
}

fn unknown_parameter(name: &str, ask: &Ask) -> Finding {
    let known: Vec<&str> = PATIENT_PARAMETERS
        .iter()
        .map(|parameter| parameter.name)
        .chain(ask.parameters.iter().map(|parameter| parameter.name))
        .collect();
    let text = format!(
        "The search parameter {} is not known here; known are {}.",
        shortened(name),
        known.join(", ")
    );
    Finding::warning(Rule::UnknownParameter, Place::whole(), text)
}

fn unsupported_modifier(raw: &Raw) -> Finding {
    let modifier = raw.modifier.as_deref().unwrap_or_default();
    let text =
        format!("The modifier :{} is not supported for {}.", shortened(modifier), shortened(&raw.name));
    Finding::error(Rule::UnsupportedModifier, Place::whole(), text)
}

fn patients(parameter: &Parameter<PatientBy>, raw: &Raw, own: &[&str]) -> Result<Vec<PatientIs>, Finding> {
    let read: fn(&str, &[&str]) -> Result<PatientIs, String> = match (parameter.asks, raw.modifier.as_deref())
    {
        (PatientBy::Reference, None | Some("Patient")) => patient_by_reference,
        (PatientBy::Reference, Some("identifier")) | (PatientBy::Identifier, None) => patient_by_identifier,
        (PatientBy::Reference | PatientBy::Identifier, Some(_)) => return Err(unsupported_modifier(raw)),
    };
    raw.values.iter().map(|value| read(value, own).map_err(|why| bad_value(&raw.name, &why))).collect()
}

/// `[id]`, `Patient/[id]`, or absolute: ours by id, another server's by the name it is known under there.
fn patient_by_reference(value: &str, own: &[&str]) -> Result<PatientIs, String> {
    const FORMS: &str = "it is [id], Patient/[id] or the absolute URL of a Patient";
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

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
}

fn patient_by_identifier(value: &str, _own: &[&str]) -> Result<PatientIs, String> {
    let Token { system, code } = token(value)?;
    match code {
        Some(value) => Ok(PatientIs::Identifier { system, value }),
        None => Err("the value of the identifier is missing behind the |".to_owned()),
    }
}

fn clause(
    parameter: &Parameter<Attribute>,
    raw: &Raw,
    ask: &Ask,
    zone: &TimeZone,
) -> Result<Clause, Finding> {
    let attribute = parameter.asks;
    let test =
        |value: &String| test(parameter, raw, value, ask, zone).map_err(|why| bad_value(&raw.name, &why));
    check_modifier(parameter, raw)?;
    let any = raw.values.iter().map(test).collect::<Result<Vec<Option<Test>>, Finding>>()?;
    let any: Vec<Test> = any.into_iter().flatten().collect();
    if any.is_empty() {
        return Ok(nothing());
    }
    Ok(Clause { attribute, any, negated: false })
}

/// A clause that holds for no object: no id is all zeros.
fn nothing() -> Clause {
    let id = EntryUuid::from(uuid::Uuid::nil());
    Clause { attribute: Attribute::Id, any: vec![Test::Id(id)], negated: false }
}

fn check_modifier(parameter: &Parameter<Attribute>, raw: &Raw) -> Result<(), Finding> {
    match (parameter.kind, raw.modifier.as_deref()) {
        (_, None) | (Kind::String, Some("exact" | "contains")) | (Kind::Reference, Some("identifier")) => {
            Ok(())
        }
        (Kind::Token | Kind::Date | Kind::String | Kind::Reference | Kind::Uri, Some(_)) => {
            Err(unsupported_modifier(raw))
        }
    }
}

/// One alternative; none if it is sound but no object can meet it.
fn test(
    parameter: &Parameter<Attribute>,
    raw: &Raw,
    value: &str,
    ask: &Ask,
    zone: &TimeZone,
) -> Result<Option<Test>, String> {
    match (parameter.asks, parameter.kind) {
        (Attribute::AvailabilityStatus, _) => status(value, ask).map(|status| status.map(Test::Status)),
        (Attribute::Id, _) => {
            let id = unescape(value);
            if is_id(&id) {
                Ok(EntryUuid::parse(&id).map(Test::Id))
            } else {
                Err("it is not an id".to_owned())
            }
        }
        (_, Kind::Date) => date(value, zone).map(|moment| Some(Test::Moment(moment))),
        (_, Kind::String) => {
            let text = unescape(value);
            Ok(Some(match raw.modifier.as_deref() {
                Some("exact") => Test::Exactly(text),
                Some("contains") => Test::Contains(text),
                _ => Test::Begins(text),
            }))
        }
        (attribute, Kind::Reference) if raw.modifier.is_none() => {
            let reference = unescape(value);
            if reference.is_empty() {
                Err(format!("{attribute:?} is empty"))
            } else {
                Ok(Some(Test::Reference(reference)))
            }
        }
        (attribute, Kind::Token | Kind::Reference | Kind::Uri) => {
            token(value).map(|token| Some(Test::Token(spelled(attribute, token))))
        }
    }
}

/// A token in the one spelling facts are kept in.
fn spelled(attribute: Attribute, token: Token) -> Token {
    let names = matches!(attribute, Attribute::Identifier | Attribute::ReferenceId | Attribute::SourceId);
    Token {
        // sourceId is a plain OID: its system does not count.
        system: token
            .system
            .filter(|_| attribute != Attribute::SourceId)
            .map(|system| xds::attribute::system(&system)),
        code: token.code.map(|code| if names { xds::attribute::identifier_value(&code) } else { code }),
    }
}

fn status(value: &str, ask: &Ask) -> Result<Option<Availability>, String> {
    let Token { system, code } = token(value)?;
    if system.is_some_and(|system| !system.is_empty() && system != ask.status_system) {
        return Ok(None);
    }
    match code.as_deref() {
        Some("current") => Ok(Some(Availability::Approved)),
        Some("superseded") => Ok(Some(Availability::Deprecated)),
        Some("retired") if ask.of == Of::Lists => Ok(Some(Availability::Deprecated)),
        Some("entered-in-error") => Ok(None),
        _ => Err("accepted are current and superseded".to_owned()),
    }
}

/// Refuses a search that nothing narrows: one patient, an identifier or an id must be named, or only the number asked for.
pub fn narrow(filter: &Filter, result: &ResultParameters) -> Result<(), Finding> {
    // A name space alone (`system|`) is that of most documents there are.
    let whole = |test: &Test| !matches!(test, Test::Token(Token { code: None, .. }));
    let named = filter.all.iter().any(|clause| {
        !clause.negated
            && matches!(clause.attribute, Attribute::Identifier | Attribute::Id)
            && clause.any.iter().all(whole)
    });
    if named || !filter.patients.is_empty() || result.only_count {
        return Ok(());
    }
    let text =
        "The search names no patient; one of patient, patient.identifier, identifier or _id is needed.";
    Err(Finding::error(Rule::SearchTooBroad, Place::whole(), text))
}
