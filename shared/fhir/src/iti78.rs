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
    /// Anything at all.
    Present,
}

/// All alternatives of one parameter: one must hold, or none (`:not`, `:missing=true`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    /// What is asked for.
    pub attribute: Attribute,
    /// One of these.
    pub any: Vec<Test>,
    /// None of them.
    pub negated: bool,
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
        let [Clause { attribute: Attribute::Identifier, any, negated: false }] = self.all.as_slice() else {
            return None;
        };
        let [Test::Token { system: Some(system), value: Some(value) }] = any.as_slice() else { return None };
        (!system.is_empty()).then(|| Identifier { system: system.clone(), value: value.clone() })
    }
}

/// What an answer can be sorted by.
pub const SORTS: &[(&str, Attribute)] = &[
    ("_id", Attribute::Id),
    ("_lastUpdated", Attribute::LastUpdated),
    ("active", Attribute::Active),
    ("family", Attribute::Family),
    ("given", Attribute::Given),
    ("gender", Attribute::Gender),
    ("birthdate", Attribute::BirthDate),
    ("address-city", Attribute::City),
    ("address-state", Attribute::State),
    ("address-postalcode", Attribute::PostalCode),
    ("address-country", Attribute::Country),
    ("mothersMaidenName", Attribute::MothersMaidenName),
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
    row("phone", Attribute::Telecom, Kind::Token, "A phone number, however it is punctuated"),
    row("email", Attribute::Telecom, Kind::Token, "A mail address"),
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
    let (honourable, raws, mut result) = search::parse(query, form, prefer, limits)?;
    let mut filter = Filter::default();
    let (mut findings, mut doubts) = (Findings::new(), Findings::new());
    let empty = without_value(query).or_else(|| form.and_then(without_value));
    for raw in &raws {
        match PARAMETERS.iter().find(|parameter| parameter.name == raw.name) {
            Some(parameter) => match read_clauses(parameter, raw, zone) {
                Ok(clauses) => clauses.into_iter().for_each(|clause| filter.take(clause)),
                Err(finding) => findings.push(finding),
            },
            None if raw.name == "_has" => findings.push(reverse_chain(raw)),
            None if raw.name.contains('.') => findings.push(chain(raw)),
            None if search::NARROWING.contains(&raw.name.as_str()) => {
                doubts.push(search::not_narrowed(&raw.name));
            }
            // Result parameters nobody knows are passed over without a word.
            None if raw.name.starts_with('_') => {}
            None => doubts.push(unknown_parameter(&raw.name)),
        }
    }
    for (name, value) in std::mem::take(&mut result.include) {
        let text =
            format!("{name}={} is not supported: nothing is included with a Patient.", shortened(&value));
        doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
    }
    let sorted = sort(&mut result.sort, &mut doubts);
    if result.strict {
        let doubts = doubts.drain(..);
        findings.extend(doubts.map(|doubt| Finding { severity: xds::Severity::Error, ..doubt }));
    }
    if let Some(name) = empty.filter(|_| !filter.all.iter().any(Clause::names_somebody)) {
        findings.push(lost_value(&name));
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    let mut honoured: Vec<_> = honourable.into_iter().filter(|(name, _)| is_honoured(name)).collect();
    honoured.extend(sorted.map(|keys| ("_sort".to_owned(), keys)));
    Ok(Search { filter, result, honoured, warnings: doubts })
}

/// The first parameter that says who is looked for, but for its value.
fn without_value(query: &str) -> Option<String> {
    let names = search::pairs(query).into_iter().filter(|(_, value)| value.is_empty()).map(|(name, _)| name);
    let mut bare = names.map(|name| name.split(':').next().unwrap_or_default().to_owned());
    bare.find(|name| {
        PARAMETERS.iter().any(|parameter| parameter.name == name && is_of_a_person(parameter.asks))
    })
}

/// Whether it tells people apart, rather than halves of all there are.
fn is_of_a_person(attribute: Attribute) -> bool {
    !matches!(attribute, Attribute::Active | Attribute::Gender | Attribute::LastUpdated)
}

impl Clause {
    /// Whether it asks for somebody, and not for all who have or lack something.
    fn names_somebody(&self) -> bool {
        let says_nobody = |test: &Test| matches!(test, Test::Present | Test::Token { value: None, .. });
        is_of_a_person(self.attribute) && !self.negated && !self.any.iter().all(says_nobody)
    }
}

/// Refuses a question that would be for everybody because what it was about is missing.
fn lost_value(name: &str) -> Finding {
    let text = format!(
        "{name} has no value. Parameters without one are passed over, and nothing else here says who is looked for, so that the \
         answer would be everybody. Give {name} its value, or leave it out to ask for everybody."
    );
    Finding::error(Rule::Required, Place::at(name), text)
}

impl Filter {
    /// Takes a clause in; alternatives that are all whole domains also restrict what is shown.
    fn take(&mut self, clause: Clause) {
        if clause.attribute == Attribute::Identifier && !clause.negated {
            let domain = |test: &Test| match test {
                Test::Token { system: Some(system), value: None } => Some(system.clone()),
                _ => None,
            };
            self.domains
                .extend(clause.any.iter().map(domain).collect::<Option<Vec<_>>>().unwrap_or_default());
        }
        self.all.push(clause);
    }
}

/// The modifiers a parameter takes.
fn modifiers(parameter: &Parameter<Attribute>) -> &'static [&'static str] {
    match (parameter.kind, parameter.asks) {
        (_, Attribute::Id | Attribute::LastUpdated) => &[],
        (Kind::String, _) => &["exact", "contains", "missing"],
        (Kind::Token, _) => &["not", "missing"],
        (Kind::Date | Kind::Reference | Kind::Uri, _) => &["missing"],
    }
}

/// What one parameter asks for: one condition, or for words that belong together one for each.
fn read_clauses(
    parameter: &Parameter<Attribute>,
    raw: &Raw,
    zone: &TimeZone,
) -> Result<Vec<Clause>, Finding> {
    let modifier = raw.modifier.as_deref();
    if modifier.is_some_and(|modifier| !modifiers(parameter).contains(&modifier)) {
        return Err(search::unsupported_modifier(raw, modifiers(parameter)));
    }
    if raw.values.is_empty() {
        return Err(bad_value(raw, "it is empty"));
    }
    let attribute = parameter.asks;
    if modifier == Some("missing") {
        let negated = search::is_missing(raw)?;
        let any = match system(parameter) {
            Some(system) => vec![Test::Token { system: Some(system.to_owned()), value: None }],
            None => vec![Test::Present],
        };
        return Ok(vec![Clause { attribute, any, negated }]);
    }
    let zone = if attribute == Attribute::BirthDate { &TimeZone::UTC } else { zone };
    let read = |value: &String| read_test(parameter, raw, value, zone);
    let any = raw.values.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if let (Attribute::Name | Attribute::Address, [Test::Begins(phrase)]) = (attribute, any.as_slice()) {
        return Ok(words(attribute, phrase));
    }
    Ok(vec![Clause { attribute, any, negated: modifier == Some("not") }])
}

/// Several words begin a part as they stand there, or each of them begins a part: `name=alice mohr` means a given name and a
/// family name as well as one text.
fn words(attribute: Attribute, phrase: &str) -> Vec<Clause> {
    let clause = |any: Vec<Test>| Clause { attribute, any, negated: false };
    let words: Vec<&str> = phrase.split_whitespace().collect();
    match words.as_slice() {
        [] | [_] => vec![clause(vec![Test::Begins(phrase.to_owned())])],
        words => {
            let either =
                |word: &&str| vec![Test::Begins(phrase.to_owned()), Test::Begins((*word).to_owned())];
            words.iter().map(|word| clause(either(word))).collect()
        }
    }
}

fn read_test(
    parameter: &Parameter<Attribute>,
    raw: &Raw,
    value: &str,
    zone: &TimeZone,
) -> Result<Test, Finding> {
    match (parameter.kind, raw.modifier.as_deref()) {
        (Kind::String, Some("contains")) => string(raw, value).map(Test::Contains),
        (Kind::String, Some("exact")) => string(raw, value).map(Test::Exactly),
        (Kind::String, _) => string(raw, value).map(Test::Begins),
        (Kind::Date, _) => search::date(value, zone).map(Test::Moment).map_err(|why| bad_value(raw, &why)),
        (Kind::Token | Kind::Reference | Kind::Uri, _) => read_token(parameter, raw, value),
    }
}

/// The system a parameter over telecom means.
fn system(parameter: &Parameter<Attribute>) -> Option<&'static str> {
    (parameter.asks == Attribute::Telecom && parameter.name != "telecom").then_some(parameter.name)
}

fn read_token(parameter: &Parameter<Attribute>, raw: &Raw, value: &str) -> Result<Test, Finding> {
    let token = search::token(value).map_err(|why| bad_value(raw, &why))?;
    match (parameter.asks, token.system, token.code) {
        (Attribute::Id, None, Some(id)) => Ok(Test::Id(id)),
        (Attribute::Id, _, _) => Err(bad_value(raw, "an id is given without a system")),
        (Attribute::Active, _, code) => among(raw, code, &["true", "false"]),
        (Attribute::Gender, system, code) => {
            let known = system.is_none_or(|system| system.is_empty() || system == GENDERS);
            let code = code.filter(|_| known);
            among(raw, code, &["male", "female", "other", "unknown"])
        }
        (_, None, None) => Err(bad_value(raw, "it is empty")),
        (Attribute::Telecom, given, value) => {
            let system = system(parameter).map(str::to_owned).or(given);
            Ok(Test::Token { system, value })
        }
        (_, system, value) => Ok(Test::Token { system: system.as_deref().map(canonical_system), value }),
    }
}

const GENDERS: &str = "http://hl7.org/fhir/administrative-gender";

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

/// Refuses a question about what points to a patient: nothing of that is kept here, and the answer must not tell of it.
fn reverse_chain(raw: &Raw) -> Finding {
    let asked = shortened(raw.modifier.as_deref().unwrap_or_default());
    let kind = asked.split(':').next().unwrap_or_default();
    let hint = match kind {
        "DocumentReference" | "List" => format!(
            "ask the registry of this domain: {kind}?patient.identifier=[system]|[value], and the same conditions as parameters"
        ),
        _ => format!(
            "no {kind} is kept in this domain, only documents: the registry finds those of a patient by \
             DocumentReference?patient.identifier=[system]|[value], with type, category or event for what they are about"
        ),
    };
    let text =
        format!("_has:{asked} is not supported here, where only who a patient is can be asked; {hint}.");
    Finding::error(Rule::NotSupported, Place::whole(), text)
}

/// Refuses a question through a reference.
fn chain(raw: &Raw) -> Finding {
    let text = format!(
        "'{}' asks through a reference, which is not supported here; supported are {}.",
        shortened(&raw.name),
        names()
    );
    Finding::error(Rule::NotSupported, Place::whole(), text)
}

fn bad_value(raw: &Raw, why: &str) -> Finding {
    search::bad_value(&raw.name, why)
}

fn names() -> String {
    PARAMETERS.iter().map(|parameter| parameter.name).collect::<Vec<_>>().join(", ")
}

fn unknown_parameter(name: &str) -> Finding {
    let meant = search::meant(name, PARAMETERS.iter().map(|parameter| parameter.name));
    let text =
        format!("The search parameter {} is not known here.{meant} Known are {}.", shortened(name), names());
    Finding::warning(Rule::UnknownParameter, Place::whole(), text)
}

/// Leaves out what nothing is sorted by; answers the keys that stay.
fn sort(asked: &mut Vec<(String, bool)>, doubts: &mut Findings) -> Option<String> {
    let is_known = |name: &str| SORTS.iter().any(|(known, _)| *known == name);
    for (name, _) in asked.iter().filter(|(name, _)| !is_known(name)) {
        let known: Vec<&str> = SORTS.iter().map(|(name, _)| *name).collect();
        let text =
            format!("_sort by {} is not supported; accepted are {}.", shortened(name), known.join(", "));
        doubts.push(Finding::warning(Rule::UnknownParameter, Place::whole(), text));
    }
    asked.retain(|(name, _)| is_known(name));
    let key = |(name, descending): &(String, bool)| format!("{}{name}", if *descending { "-" } else { "" });
    let keys: Vec<String> = asked.iter().map(key).collect();
    (!keys.is_empty()).then(|| keys.join(","))
}

/// Whether a parameter, as it was written, belongs into `link[self]`.
fn is_honoured(written: &str) -> bool {
    let name = written.split(':').next().unwrap_or(written);
    // As it is taken: published profiles misspell one name.
    let name = if name == "_lastupdated" { "_lastUpdated" } else { name };
    PARAMETERS.iter().any(|parameter| parameter.name == name)
        || matches!(name, "_count" | "_summary" | "_elements" | "_total")
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
        let findings =
            read_request("_has:Observation:patient:code=1234-5", None, None, &TimeZone::UTC, &LIMITS)
                .expect_err("is refused");
        let text = &findings[0].text;
        assert!(
            text.contains("_has:Observation:patient:code") && text.contains("DocumentReference?"),
            "{text}"
        );
    }

    #[test]
    fn a_domain_beside_an_identifier_restricts_nothing() {
        assert!(asked("family=mohr&identifier=urn:oid:1.2.3%7C,urn:oid:4.5.6%7C7").filter.domains.is_empty());
        assert!(asked("identifier:not=urn:oid:1.2.3%7C").filter.domains.is_empty());
    }

    #[test]
    fn words_of_a_name_may_stand_in_different_parts() {
        let begins = |text: &str| Test::Begins(text.to_owned());
        let all = asked("name=alice+mohr").filter.all;
        let expected =
            [vec![begins("alice mohr"), begins("alice")], vec![begins("alice mohr"), begins("mohr")]];
        assert_eq!(all.into_iter().map(|clause| clause.any).collect::<Vec<_>>(), expected);
        assert_eq!(asked("name:exact=alice+mohr").filter.all.len(), 1);
        assert_eq!(asked("family=van+der+berg").filter.all[0].any, [begins("van der berg")]);
    }

    #[test]
    fn conditions_can_be_turned_round() {
        let clause = |query| asked(query).filter.all.remove(0);
        assert!(clause("gender:not=male").negated);
        let missing = clause("birthdate:missing=true");
        assert_eq!((missing.any, missing.negated), (vec![Test::Present], true));
        assert!(!clause("telecom:missing=false").negated);
        assert_eq!(refused("birthdate:missing=maybe", None), Rule::Value);
        assert_eq!(refused("_id:missing=true", None), Rule::UnsupportedModifier);
    }

    #[test]
    fn phone_and_email_are_points_of_contact() {
        let test = |query| asked(query).filter.all.remove(0).any.remove(0);
        let point = |system: &str, value: &str| Test::Token {
            system: Some(system.to_owned()),
            value: Some(value.to_owned()),
        };
        assert_eq!(test("phone=0660-1"), point("phone", "0660-1"));
        assert_eq!(test("email=a@b.c"), point("email", "a@b.c"));
        assert_eq!(test("telecom=fax%7C1"), point("fax", "1"));
    }

    #[test]
    fn what_is_not_known_is_told_with_what_may_be_meant() {
        for (name, meant) in
            [("birth-date", "birthdate"), ("city", ""), ("death-date", ""), ("Family", "family")]
        {
            let search = asked(&format!("family=x&{name}=1"));
            let text = &search.warnings[0].text;
            assert!(text.contains(name) && text.contains("Known are"), "{text}");
            assert!(meant.is_empty() || text.contains(&format!("Did you mean {meant}?")), "{text}");
        }
        assert_eq!(asked("family=x&_tag=1").warnings.len(), 1, "it would narrow the answer");
        assert!(asked("family=x&_made-up=1").warnings.is_empty());
        assert_eq!(asked("family=x&_include=Patient:link").warnings.len(), 1);
    }

    #[test]
    fn answers_are_sorted_by_what_is_known() {
        let search = asked("family=x&_sort=-birthdate,shoe-size,_id");
        assert_eq!(search.result.sort, [("birthdate".to_owned(), true), ("_id".to_owned(), false)]);
        assert_eq!(search.honoured[1], ("_sort".to_owned(), "-birthdate,_id".to_owned()));
        assert_eq!(search.warnings.len(), 1);
        assert_eq!(refused("_sort=shoe-size", Some("handling=strict")), Rule::UnknownParameter);
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
        assert_eq!(refused("gender=urn:x%7Cmale", None), Rule::Value);
    }

    proptest::proptest! {
        #[test]
        fn no_search_makes_the_reader_fall(query in "[a-z_:.=&|,\\\\%0-9-]{0,80}") {
            let _ = read_request(&query, None, None, &TimeZone::UTC, &LIMITS);
        }
    }
}
