//! Search syntax of FHIR R4, common to every type: parameters, prefixes, escapes, result parameters (rest-conventions 3).

use xds::{Finding, Findings};

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
    /// One line for `/metadata`.
    pub documentation: &'static str,
}

/// A parsed parameter: name, modifier, alternatives (still as text, unescaped).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// Name without modifier, e.g. `patient.identifier`.
    pub name: String,
    /// Modifier without colon.
    pub modifier: Option<String>,
    /// Alternatives: the comma-separated values, escapes resolved per component by the typed readers.
    pub values: Vec<String>,
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
    /// `_include` values.
    pub include: Vec<String>,
    /// `_revinclude` values.
    pub revinclude: Vec<String>,
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

/// Splits a query string (or form body) into parameters and result parameters, under limits.
pub fn parse(
    _query: &str,
    _form: Option<&str>,
    _prefer: Option<&str>,
    _limits: &Limits,
) -> Result<(Vec<(String, String)>, Vec<Raw>, ResultParameters), Findings> {
    todo!()
}

/// Reads a token value.
pub fn token(_value: &str) -> Result<xds::Token, String> {
    todo!()
}

/// Reads a date value with its prefix.
pub fn date(_value: &str) -> Result<xds::Moment, String> {
    todo!()
}

/// The name=value pairs of a query string or form, decoded.
pub(crate) fn pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}
