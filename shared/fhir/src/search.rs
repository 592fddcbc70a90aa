//! Search syntax of FHIR R4, common to every type: parameters, prefixes, escapes, result parameters (rest-conventions 3).

use jiff::tz::TimeZone;
use xds::{Finding, Findings, Moment, Place, Rule};

use crate::when;

mod follow;
mod patients;
mod question;
mod reference;

pub use follow::{Follow, Following, INCLUDES, REVINCLUDES};
pub use patients::{PATIENT_PARAMETERS, PatientBy};
pub(crate) use question::{
    Ask, Asked, NARROWING, ask, is_missing, meant, not_narrowed, unsupported_modifier,
};
pub use question::{narrow, sortable};

/// What kind of value a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[system]|[code]`.
    Token,
    /// Date with prefix.
    Date,
    /// A name.
    String,
    /// A reference, or `:identifier`.
    Reference,
    /// A URI.
    Uri,
}

/// One search parameter of a type: a row of its table, from which routing and `/metadata` are printed.
#[derive(Debug, Clone, Copy)]
pub struct Parameter<A: 'static> {
    /// Name on the wire.
    pub name: &'static str,
    /// The attribute it asks for.
    pub asks: A,
    /// Its kind.
    pub kind: Kind,
    /// Canonical URL of its SearchParameter, where it is not R4's own.
    pub definition: Option<&'static str>,
    /// What it may refer to, if it is a reference (of a chain: what it may pass through).
    pub targets: &'static [&'static str],
    /// One line for `/metadata`.
    pub documentation: &'static str,
}

/// A parsed parameter: name, modifier, alternatives (still as text, unescaped).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Name without modifier, e.g. `patient.identifier`.
    pub name: String,
    /// Modifier without colon; of `_has`, all that follows.
    pub modifier: Option<String>,
    /// The type a chain passes through (`author:Practitioner.family`).
    pub through: Option<String>,
    /// Alternatives: the comma-separated values, escapes resolved per component by the typed readers.
    pub values: Vec<String>,
}

/// What a server knows of itself when it reads a search.
#[derive(Debug, Clone, Copy)]
pub struct Here<'a> {
    /// Bases under which references count as ours (identity source, registry).
    pub own: &'a [&'a str],
    /// The homeCommunityId this is known under to others.
    pub home_community: Option<&'a str>,
    /// The zone of dates that name none.
    pub zone: &'a TimeZone,
}

/// Limits of a search.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Parameters.
    pub parameters: usize,
    /// Alternatives of one.
    pub values: usize,
    /// Bytes of a value.
    pub value_bytes: usize,
    /// Largest page.
    pub count: usize,
}

/// How the answer is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultParameters {
    /// `_count`, default 50, clamped; 0 asks for the total alone.
    pub count: usize,
    /// `_sort`: names with direction (true = descending).
    pub sort: Vec<(String, bool)>,
    /// `_summary=count`.
    pub only_count: bool,
    /// `_elements`.
    pub elements: Vec<String>,
    /// `_summary=true|text|data`.
    pub summary: Option<String>,
    /// `_include` and `_revinclude` as they were asked for: name with modifier, value.
    pub include: Vec<(String, String)>,
    /// The same as they are followed.
    pub follow: Vec<Following>,
    /// `_page` token.
    pub page: Option<String>,
    /// `_total`.
    pub total: Option<String>,
    /// `Prefer: handling=strict`.
    pub strict: bool,
}

/// A search as read: the parameters honoured, and what must be said about the others.
#[derive(Debug, Clone)]
pub struct Search<F> {
    /// The question.
    pub filter: F,
    /// How the answer is wanted.
    pub result: ResultParameters,
    /// The honoured parameters, as they were written: for `link[self]`.
    pub honoured: Vec<(String, String)>,
    /// Reservations, for an `outcome` entry.
    pub warnings: Vec<Finding>,
}

/// The question and its result parameters, split: pairs that may be honoured, search parameters, result parameters.
type Split = (Vec<(String, String)>, Vec<Raw>, ResultParameters);

/// Entries of a page, if the caller says nothing.
const COUNT: usize = 50;

/// Bytes of a page token: it carries a whole question.
const TOKEN_BYTES: usize = 8 << 10;

/// Splits a query string (or form body) into parameters and result parameters, under limits.
pub fn parse(
    query: &str,
    form: Option<&str>,
    prefer: Option<&str>,
    limits: &Limits,
) -> Result<Split, Findings> {
    let mut result = ResultParameters {
        count: COUNT.min(limits.count),
        sort: Vec::new(),
        only_count: false,
        elements: Vec::new(),
        summary: None,
        include: Vec::new(),
        follow: Vec::new(),
        page: None,
        total: None,
        strict: prefer.is_some_and(|prefer| says(prefer, "handling=strict")),
    };
    let (mut honourable, mut raws, mut findings) = (Vec::new(), Vec::new(), Findings::new());
    let given = pairs(query).into_iter().chain(form.map(pairs).unwrap_or_default());
    for (count, (name, value)) in given.filter(|(_, value)| !value.is_empty()).enumerate() {
        if count == limits.parameters {
            let text = format!("More than {count} search parameters (server.limits.max_search_parameters).");
            return Err(vec![Finding::error(Rule::SearchTooCostly, Place::whole(), text)]);
        }
        if value.len()
            > if name == "_page" { TOKEN_BYTES } else { limits.value_bytes.saturating_mul(limits.values) }
        {
            findings.push(too_costly(&name, "max_search_value_bytes"));
            continue;
        }
        match result.take(&name, &value, limits) {
            Ok(true) => {}
            Ok(false) => match raw(&name, &value, limits) {
                Ok(raw) => raws.push(raw),
                Err(finding) => {
                    findings.push(finding);
                    continue;
                }
            },
            Err(why) => {
                findings.push(bad_value(&name, &why));
                continue;
            }
        }
        if !matches!(name.as_str(), "_page" | "_format" | "_pretty") {
            honourable.push((name, value));
        }
    }
    if findings.is_empty() { Ok((honourable, raws, result)) } else { Err(findings) }
}

/// Whether a `Prefer` header holds this preference.
fn says(prefer: &str, preference: &str) -> bool {
    prefer.split([',', ';']).any(|one| one.replace([' ', '"'], "").eq_ignore_ascii_case(preference))
}

impl ResultParameters {
    /// Takes a result parameter in; false if it is none.
    fn take(&mut self, name: &str, value: &str, limits: &Limits) -> Result<bool, String> {
        let list = || value.split(',').filter(|item| !item.is_empty()).map(str::to_owned);
        let bare = name.split(':').next().unwrap_or(name);
        match bare {
            "_format" | "_pretty" => {}
            "_count" => {
                let count = value.parse::<u64>().map_err(|_| "it is a whole number from 0".to_owned())?;
                self.count = usize::try_from(count).unwrap_or(usize::MAX).min(limits.count);
                self.only_count |= count == 0;
            }
            "_sort" => {
                self.sort = list()
                    .map(|item| match item.strip_prefix('-') {
                        Some(name) => (canonical(name).to_owned(), true),
                        None => (canonical(&item).to_owned(), false),
                    })
                    .collect();
            }
            "_summary" => match value {
                "count" => self.only_count = true,
                "true" | "text" | "data" | "false" => self.summary = Some(value.to_owned()),
                _ => return Err("accepted are true, text, data, count and false".to_owned()),
            },
            "_elements" => self.elements = list().collect(),
            "_include" | "_revinclude" => self.include.extend(list().map(|item| (name.to_owned(), item))),
            "_page" => self.page = Some(value.to_owned()),
            "_total" => match value {
                "none" | "estimate" | "accurate" => self.total = Some(value.to_owned()),
                _ => return Err("accepted are none, estimate and accurate".to_owned()),
            },
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Published profiles misspell one name.
fn canonical(name: &str) -> &str {
    if name == "_lastupdated" { "_lastUpdated" } else { name }
}

/// A search parameter: `name`, `name:modifier`, a chain with its type (`subject:Patient.identifier`), or `_has:…`.
fn raw(name: &str, value: &str, limits: &Limits) -> Result<Raw, Finding> {
    let mut through = None;
    let (head, modifier) = match name.split_once(':') {
        None => (name.to_owned(), None),
        Some(("_has", rest)) => ("_has".to_owned(), Some(rest)),
        Some((head, rest)) => match rest.split_once('.') {
            Some((kind, chain)) if kind.starts_with(|c: char| c.is_ascii_uppercase()) => {
                let (chain, modifier) = chain.split_once(':').map_or((chain, None), |(c, m)| (c, Some(m)));
                through = Some(kind.to_owned());
                (format!("{head}.{chain}"), modifier)
            }
            _ => (head.to_owned(), Some(rest)),
        },
    };
    let values = alternatives(value);
    if values.len() > limits.values {
        return Err(too_costly(name, "max_search_values"));
    }
    if values.iter().any(|value| value.len() > limits.value_bytes) {
        return Err(too_costly(name, "max_search_value_bytes"));
    }
    if values.iter().any(|value| value.contains('\0')) {
        return Err(bad_value(name, "it holds a control character"));
    }
    Ok(Raw { name: canonical(&head).to_owned(), modifier: modifier.map(str::to_owned), through, values })
}

/// Splits at commas that are not escaped; escapes stay for whoever reads the value.
fn alternatives(value: &str) -> Vec<String> {
    split(value, ',').into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// Splits at a letter that stands unescaped.
fn split(value: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut escaped) = (Vec::new(), 0, false);
    for (index, letter) in value.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == at {
            parts.push(&value[start..index]);
            start = index + at.len_utf8();
        }
    }
    parts.push(&value[start..]);
    parts
}

/// Resolves `\,` `\|` `\$` and `\\`; any other backslash stands for itself.
pub fn unescape(value: &str) -> String {
    if !value.contains('\\') {
        return value.to_owned();
    }
    let mut out = String::with_capacity(value.len());
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letters.peek() {
            Some(next @ (',' | '|' | '$' | '\\')) if letter == '\\' => {
                out.push(*next);
                letters.next();
            }
            _ => out.push(letter),
        }
    }
    out
}

fn too_costly(name: &str, key: &str) -> Finding {
    let text = format!("The search parameter {} is over the limit server.limits.{key}.", shortened(name));
    Finding::error(Rule::SearchTooCostly, Place::whole(), text)
}

/// A finding about the value of a parameter.
pub(crate) fn bad_value(name: &str, why: &str) -> Finding {
    let text = format!("The value of the search parameter {} cannot be used: {why}.", shortened(name));
    Finding::error(Rule::Value, Place::whole(), text)
}

/// The same of one value, which the answer repeats.
pub(crate) fn wrong_value(name: &str, value: &str, why: &str) -> Finding {
    let text = format!(
        "The value {} of the search parameter {} cannot be used: {why}.",
        shortened(value),
        shortened(name)
    );
    Finding::error(Rule::Value, Place::whole(), text)
}

/// A name as it may stand in an answer.
pub(crate) fn shortened(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(64).collect()
}

/// Reads a token value.
pub fn token(value: &str) -> Result<xds::Token, String> {
    let some = |part: &str| Some(unescape(part));
    let (system, code) = match split(value, '|').as_slice() {
        [code] => (None, some(code)),
        [system, code] => (some(system), some(code).filter(|code| !code.is_empty())),
        _ => return Err("it is written system|code, and a | within either is escaped as \\|".to_owned()),
    };
    match (&system, &code) {
        (Some(system), None) if system.is_empty() => Err("it is empty".to_owned()),
        (None, Some(code)) if code.is_empty() => Err("it is empty".to_owned()),
        _ => Ok(xds::Token { system, code }),
    }
}

/// Reads a date value with its prefix. A date without zone is taken in the one given.
pub fn date(value: &str, zone: &TimeZone) -> Result<Moment, String> {
    let value = unescape(value);
    let prefix = value.get(..2).filter(|prefix| prefix.bytes().all(|b| b.is_ascii_lowercase()));
    let text = &value[prefix.map_or(0, str::len)..];
    // A plus sign that was not escaped in the URL arrives as a space.
    let text = text.replace(' ', "+");
    let when = when::read(&text)
        .ok_or("it is not a date that exists, written like 2024-02-07 or 2024-02-07T13:28:17Z")?
        .in_zone(zone);
    let (from, to) = (when.from, when.to);
    match prefix.unwrap_or("eq") {
        "eq" => Ok(Moment::Within(from, to)),
        "ne" => Ok(Moment::Outside(from, to)),
        "gt" => Ok(Moment::EndsAfter(to)),
        "lt" => Ok(Moment::BeginsBefore(from)),
        "ge" => Ok(Moment::EndsAfterOrWithin(from, to)),
        "le" => Ok(Moment::BeginsBeforeOrWithin(from, to)),
        "sa" => Ok(Moment::BeginsFrom(to)),
        "eb" => Ok(Moment::EndsBy(from)),
        _ => Err("accepted prefixes are eq, ne, gt, lt, ge, le, sa and eb".to_owned()),
    }
}

/// The preference about parameters nobody knows, as an answer repeats it in `Preference-Applied`.
pub fn handling(prefer: Option<&str>) -> Option<&'static str> {
    ["handling=strict", "handling=lenient"].into_iter().find(|one| prefer.is_some_and(|all| says(all, one)))
}

/// The name=value pairs of a query string or form, decoded.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { parameters: 8, values: 4, value_bytes: 40, count: 100 };

    fn result(query: &str) -> Result<ResultParameters, Findings> {
        parse(query, None, None, &LIMITS).map(|(_, _, result)| result)
    }

    #[test]
    fn escapes_are_resolved_where_they_belong() {
        assert_eq!(alternatives(r"a\,b,c\\,,d"), [r"a\,b", r"c\\", "d"]);
        let token = token(r"urn:x\|y|a\,b\$c").unwrap();
        assert_eq!((token.system.as_deref(), token.code.as_deref()), (Some("urn:x|y"), Some("a,b$c")));
    }

    #[test]
    fn a_token_has_four_forms() {
        let parts = |value: &str| token(value).map(|t| (t.system, t.code));
        let own = |text: &str| Some(text.to_owned());
        assert_eq!(parts("a"), Ok((None, own("a"))));
        assert_eq!(parts("s|a"), Ok((own("s"), own("a"))));
        assert_eq!(parts("|a"), Ok((own(""), own("a"))));
        assert_eq!(parts("s|"), Ok((own("s"), None)));
        assert!(parts("|").is_err() && parts("a|b|c").is_err());
    }

    #[test]
    fn dates_take_their_prefix_and_must_exist() {
        let day = when::read("2024-02-07").unwrap();
        assert_eq!(date("2024-02-07", &TimeZone::UTC), Ok(Moment::Within(day.from, day.to)));
        assert_eq!(date("gt2024-02-07", &TimeZone::UTC), Ok(Moment::EndsAfter(day.to)));
        assert_eq!(date("lt2024-02-07", &TimeZone::UTC), Ok(Moment::BeginsBefore(day.from)));
        assert_eq!(date("ge2024-02-07", &TimeZone::UTC), Ok(Moment::EndsAfterOrWithin(day.from, day.to)));
        assert!(date("2024-02-07T13:28:17 02:00", &TimeZone::UTC).is_ok());
        for text in ["ge2024-02-30", "ap2024-02-07", "xx2024", "", "today", "é", "2024-02-07T", "eqeq2024"] {
            assert!(date(text, &TimeZone::UTC).is_err(), "{text}");
        }
    }

    #[test]
    fn a_page_is_as_long_as_asked_within_the_limit() {
        assert_eq!(result("a=b").unwrap().count, 50);
        assert_eq!(result("_count=7").unwrap().count, 7);
        assert_eq!(result("_count=1000000000000000000").unwrap().count, 100);
        assert!(result("_count=0").unwrap().only_count);
        for count in ["-1", "abc", "1.5", "%2B1x"] {
            assert_eq!(result(&format!("_count={count}")).expect_err(count)[0].rule, Rule::Value);
        }
    }

    #[test]
    fn limits_answer_400() {
        let many: String = (0..9).map(|n| format!("a{n}=b&")).collect();
        for query in [many.as_str(), "a=1,2,3,4,5", "a=01234567890123456789012345678901234567890"] {
            let findings = result(query).expect_err(query);
            assert_eq!((findings[0].rule, findings[0].rule.row().status), (Rule::SearchTooCostly, 400));
        }
    }

    #[test]
    fn a_chain_with_its_type_is_the_chain() {
        let (_, raws, result) = parse(
            "subject:Patient.identifier=a",
            Some("author:Practitioner.family:exact=x&_lastupdated=2024"),
            Some("return=minimal; handling=strict"),
            &LIMITS,
        )
        .unwrap();
        let names: Vec<_> = raws.iter().map(|raw| (raw.name.as_str(), raw.modifier.as_deref())).collect();
        assert_eq!(
            names,
            [("subject.identifier", None), ("author.family", Some("exact")), ("_lastUpdated", None)]
        );
        assert!(result.strict);
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(query in "\\PC{0,60}", value in "\\PC{0,20}") {
            let _ = parse(&query, Some(&value), Some(&value), &LIMITS);
            let _ = (token(&value), date(&value, &TimeZone::UTC), unescape(&value));
        }
    }
}
