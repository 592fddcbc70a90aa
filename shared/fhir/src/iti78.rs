//! Mobile Patient Demographics Query [ITI-78]: the search.

use jiff::tz::TimeZone;
use xds::{Finding, Findings, Identifier, Moment, Place, Rule};

use crate::patient::{Attribute, canonical_system};
use crate::search::{self, Kind, Limits, Parameter, Raw, Search, shortened};

/// One alternative of a clause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// A code or identifier; a system of `None` is any.
    Token {
        /// The name space; `Some("")` asks for none.
        system: Option<String>,
        /// The value; `None` is any.
        value: Option<String>,
    },
    /// A stretch of time.
    Moment(Moment),
    /// A text that begins with this (any case, accents ignored).
    Begins(String),
    /// A text that contains this.
    Contains(String),
    /// A text that is exactly this.
    Exactly(String),
    /// The id of the resource.
    Id(String),
}

/// All alternatives of one parameter: one must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What is asked for.
    pub attribute: Attribute,
    /// One of these.
    pub any: Vec<Test>,
}

/// A question about patients.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// All of these must hold.
    pub all: Vec<Clause>,
    /// Domains the answer is restricted to: identifiers of others are taken out (2:3.78.4.1.2.4). Empty: all.
    pub domains: Vec<String>,
}

impl Filter {
    /// The identifier, if the question is for that one and nothing else.
    pub fn one_identifier(&self) -> Option<Identifier> {
        let [Clause { attribute: Attribute::Identifier, any }] = self.all.as_slice() else { return None };
        let [Test::Token { system: Some(system), value: Some(value) }] = any.as_slice() else { return None };
        (!system.is_empty()).then(|| Identifier { system: system.clone(), value: value.clone() })
    }
}

/// What a sort can be asked by, beside `_lastUpdated`.
pub const SORTS: &[(&str, Attribute)] = &[
    ("family", Attribute::Family),
    ("given", Attribute::Given),
    ("birthdate", Attribute::BirthDate),
    ("_lastUpdated", Attribute::LastUpdated),
];

const MOTHERS_MAIDEN_NAME: &str =
    "http://hl7.org/fhir/SearchParameter/patient-extensions-Patient-mothersMaidenName";

/// Every parameter, in the order of `/metadata`.
pub const PARAMETERS: &[Parameter<Attribute>] = &[
    row("_id", Attribute::Id, Kind::Token, "The id of the Patient resource"),
    row("_lastUpdated", Attribute::LastUpdated, Kind::Date, "When the resource was last written"),
    row(
        "identifier",
        Attribute::Identifier,
        Kind::Token,
        "An identifier, or a domain (system|) to restrict to",
    ),
    row("active", Attribute::Active, Kind::Token, "Whether the record is in use; absent counts as in use"),
    row("name", Attribute::Name, Kind::String, "Any part of a name"),
    row("family", Attribute::Family, Kind::String, "Family name"),
    row("given", Attribute::Given, Kind::String, "Given name"),
    row("gender", Attribute::Gender, Kind::Token, "Administrative gender"),
    row("birthdate", Attribute::BirthDate, Kind::Date, "Date of birth"),
    row("telecom", Attribute::Telecom, Kind::Token, "Phone, mail and so on"),
    row("address", Attribute::Address, Kind::String, "Any part of an address"),
    row("address-city", Attribute::City, Kind::String, "City"),
    row("address-state", Attribute::State, Kind::String, "State"),
    row("address-postalcode", Attribute::PostalCode, Kind::String, "Postal code"),
    row("address-country", Attribute::Country, Kind::String, "Country"),
    Parameter {
        name: "mothersMaidenName",
        asks: Attribute::MothersMaidenName,
        kind: Kind::String,
        definition: Some(MOTHERS_MAIDEN_NAME),
        targets: &[],
        documentation: "Mother's maiden name",
    },
];

const fn row(
    name: &'static str,
    asks: Attribute,
    kind: Kind,
    documentation: &'static str,
) -> Parameter<Attribute> {
    Parameter { name, asks, kind, definition: None, targets: &[], documentation }
}

/// Reads a search. `zone` is that of points in time that name none; a date of birth is a day of the calendar everywhere.
pub fn read_request(
    query: &str,
    form: Option<&str>,
    prefer: Option<&str>,
    zone: &TimeZone,
    limits: &Limits,
) -> Result<Search<Filter>, Findings> {
    let (honourable, raws, result) = search::parse(query, form, prefer, limits)?;
    let mut filter = Filter::default();
    let mut findings = Findings::new();
    let mut unknown = Vec::new();
    for raw in &raws {
        match PARAMETERS.iter().find(|parameter| parameter.name == raw.name) {
            Some(parameter) => match read_clause(parameter, raw, zone) {
                Ok(clause) => filter.take(clause),
                Err(finding) => findings.push(finding),
            },
            None if is_chain(raw) => findings.push(chained(raw)),
            None if raw.name.starts_with('_') => {}
            None => unknown.push(raw.name.as_str()),
        }
    }
    let mut warnings = Findings::new();
    for name in &unknown {
        let finding = unknown_parameter(name, result.strict);
        if result.strict { findings.push(finding) } else { warnings.push(finding) }
    }
    findings.extend(check_sort(&result.sort));
    if !findings.is_empty() {
        return Err(findings);
    }
    let honoured = honourable.into_iter().filter(|(name, _)| is_honoured(name)).collect();
    Ok(Search { filter, result, honoured, warnings })
}

impl Filter {
    /// Takes a clause in; alternatives that are all whole domains also restrict what is shown.
    fn take(&mut self, clause: Clause) {
        if clause.attribute == Attribute::Identifier {
            let domains: Vec<&String> = clause
                .any
                .iter()
                .filter_map(|test| match test {
                    Test::Token { system: Some(system), value: None } => Some(system),
                    _ => None,
                })
                .collect();
            self.domains.extend(domains.into_iter().cloned());
        }
        self.all.push(clause);
    }
}

fn read_clause(parameter: &Parameter<Attribute>, raw: &Raw, zone: &TimeZone) -> Result<Clause, Finding> {
    if raw.values.is_empty() {
        return Err(bad_value(raw, "it is empty"));
    }
    let zone = if parameter.asks == Attribute::BirthDate { &TimeZone::UTC } else { zone };
    let any =
        raw.values.iter().map(|value| read_test(parameter, raw, value, zone)).collect::<Result<_, _>>()?;
    Ok(Clause { attribute: parameter.asks, any })
}

fn read_test(
    parameter: &Parameter<Attribute>,
    raw: &Raw,
    value: &str,
    zone: &TimeZone,
) -> Result<Test, Finding> {
    let modifier = raw.modifier.as_deref();
    match (parameter.kind, modifier) {
        (Kind::String, None) => string(raw, value).map(Test::Begins),
        (Kind::String, Some("contains")) => string(raw, value).map(Test::Contains),
        (Kind::String, Some("exact")) => string(raw, value).map(Test::Exactly),
        (Kind::Date, None) => search::date(value, zone).map(Test::Moment).map_err(|why| bad_value(raw, &why)),
        (Kind::Token, None) => read_token(parameter.asks, raw, value),
        (Kind::String | Kind::Date | Kind::Token | Kind::Reference | Kind::Uri, _) => {
            Err(modified(parameter))
        }
    }
}

fn read_token(attribute: Attribute, raw: &Raw, value: &str) -> Result<Test, Finding> {
    let token = search::token(value).map_err(|why| bad_value(raw, &why))?;
    match (attribute, token.system, token.code) {
        (Attribute::Id, None, Some(id)) => Ok(Test::Id(id)),
        (Attribute::Id, _, _) => Err(bad_value(raw, "an id is given without a system")),
        (Attribute::Active, _, code) => among(raw, code, &["true", "false"]),
        (Attribute::Gender, _, code) => among(raw, code, &["male", "female", "other", "unknown"]),
        (_, None, None) => Err(bad_value(raw, "it is empty")),
        (_, system, value) => Ok(Test::Token { system: system.as_deref().map(canonical_system), value }),
    }
}

/// A code of a closed list; the system is implied.
fn among(raw: &Raw, code: Option<String>, accepted: &[&str]) -> Result<Test, Finding> {
    match code {
        Some(code) if accepted.contains(&code.as_str()) => {
            Ok(Test::Token { system: None, value: Some(code) })
        }
        _ => Err(bad_value(raw, &format!("accepted are {}", accepted.join(", ")))),
    }
}

/// A string value with its escapes resolved.
fn string(raw: &Raw, value: &str) -> Result<String, Finding> {
    let text = search::unescape(value);
    if text.trim().is_empty() { Err(bad_value(raw, "it is empty")) } else { Ok(text) }
}

/// Whether a parameter asks through a reference: reverse chaining, or a member of another resource.
fn is_chain(raw: &Raw) -> bool {
    raw.name == "_has" || raw.name.starts_with("_has:") || raw.name.contains('.')
}

fn chained(raw: &Raw) -> Finding {
    let text = format!(
        "'{}' asks through other resources, which is not supported here; search the documents at the registry with patient.identifier",
        shortened(&raw.name)
    );
    Finding::error(Rule::NotSupported, Place::whole(), text)
}

fn modified(parameter: &Parameter<Attribute>) -> Finding {
    let accepted = match parameter.kind {
        Kind::String => "supported are :exact and :contains",
        Kind::Token | Kind::Date | Kind::Reference | Kind::Uri => "it takes none",
    };
    let text = format!("the modifier of parameter {} is not supported; {accepted}", parameter.name);
    Finding::error(Rule::UnsupportedModifier, Place::whole(), text)
}

fn bad_value(raw: &Raw, why: &str) -> Finding {
    search::bad_value(&raw.name, why)
}

fn unknown_parameter(name: &str, strict: bool) -> Finding {
    let supported: Vec<&str> = PARAMETERS.iter().map(|parameter| parameter.name).collect();
    let supported = supported.join(", ");
    let name = shortened(name);
    if strict {
        let text = format!("parameter '{name}' is not supported; supported are {supported}");
        Finding::error(Rule::UnknownParameter, Place::whole(), text)
    } else {
        let text = format!("parameter '{name}' is not supported and was ignored; supported are {supported}");
        Finding::warning(Rule::UnknownParameter, Place::whole(), text)
    }
}

fn check_sort(sort: &[(String, bool)]) -> Option<Finding> {
    let names = || SORTS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    if sort.iter().any(|(name, _)| !SORTS.iter().any(|(known, _)| known == name)) {
        let text = format!("_sort by this is not supported; supported are {}", names());
        return Some(Finding::error(Rule::NotSupported, Place::whole(), text));
    }
    (sort.len() > 1).then(|| {
        let text = format!("_sort takes one of {}, not several", names());
        Finding::error(Rule::NotSupported, Place::whole(), text)
    })
}

/// Whether a parameter, as it was written, belongs into `link[self]`.
fn is_honoured(written: &str) -> bool {
    let name = written.split(':').next().unwrap_or(written);
    PARAMETERS.iter().any(|parameter| parameter.name == name)
        || matches!(name, "_count" | "_sort" | "_summary" | "_elements" | "_total")
}

/// The URL of a search, from its parameters as they were written.
pub fn write_url(base: &str, parameters: &[(String, String)]) -> String {
    if parameters.is_empty() {
        return format!("{base}/Patient");
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(parameters);
    format!("{base}/Patient?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { parameters: 64, values: 100, value_bytes: 1_024, count: 1_000 };

    fn asked(query: &str) -> Search<Filter> {
        read_request(query, None, None, &TimeZone::UTC, &LIMITS).expect("is a search")
    }

    fn refused(query: &str, prefer: Option<&str>) -> Rule {
        let findings = read_request(query, None, prefer, &TimeZone::UTC, &LIMITS).expect_err("is refused");
        findings[0].rule
    }

    #[test]
    fn one_whole_identifier_is_known_as_such() {
        let identifier = asked("identifier=1.2.3%7CA-1").filter.one_identifier().expect("one identifier");
        assert_eq!((identifier.system.as_str(), identifier.value.as_str()), ("urn:oid:1.2.3", "A-1"));
        for query in [
            "identifier=A-1",
            "identifier=urn:oid:1.2|",
            "identifier=a|1,b|2",
            "identifier=a|1&family=x",
            "family=x",
            "",
        ] {
            assert_eq!(asked(query).filter.one_identifier(), None, "{query}");
        }
    }

    #[test]
    fn a_system_alone_restricts_the_domains_shown() {
        let search = asked("family=mohr&identifier=urn:oid:1.2.3%7C,urn:oid:4.5.6%7C");
        assert_eq!(search.filter.domains, ["urn:oid:1.2.3", "urn:oid:4.5.6"]);
        assert_eq!(search.filter.all.len(), 2);
    }

    #[test]
    fn names_begin_contain_or_are_exactly() {
        let tests = |query| asked(query).filter.all[0].any.clone();
        assert_eq!(tests("family=mo"), [Test::Begins("mo".into())]);
        assert_eq!(tests("given:contains=a,b"), [Test::Contains("a".into()), Test::Contains("b".into())]);
        assert_eq!(tests("address-city:exact=Wien%5C,+3"), [Test::Exactly("Wien, 3".into())]);
    }

    #[test]
    fn chains_are_refused_with_a_hint() {
        for query in ["_has:DocumentReference:patient:type=x", "general-practitioner.name=x"] {
            assert_eq!(refused(query, None), Rule::NotSupported, "{query}");
        }
    }

    #[test]
    fn an_unknown_parameter_is_ignored_with_a_warning_or_refused_strictly() {
        let search = asked("family=x&shoe-size=44");
        assert_eq!(search.warnings.len(), 1);
        assert_eq!(search.honoured, [("family".to_owned(), "x".to_owned())]);
        assert_eq!(refused("family=x&shoe-size=44", Some("handling=strict")), Rule::UnknownParameter);
    }

    #[test]
    fn values_and_modifiers_that_cannot_be_meant_are_refused() {
        assert_eq!(refused("gender=femal", None), Rule::Value);
        assert_eq!(refused("active=yes", None), Rule::Value);
        assert_eq!(refused("birthdate=2021-02-30", None), Rule::Value);
        assert_eq!(refused("family:phonetic=x", None), Rule::UnsupportedModifier);
        assert_eq!(refused("_sort=shoe-size", None), Rule::NotSupported);
    }

    proptest::proptest! {
        #[test]
        fn no_search_makes_the_reader_fall(query in "[a-z_:.=&|,\\\\%0-9-]{0,80}") {
            let _ = read_request(&query, None, None, &TimeZone::UTC, &LIMITS);
        }
    }
}
