//! Parameters as they were given, held to the table: which are missing, doubled or of another form. All findings at once.

use std::collections::HashSet;

use super::build::{self, Values};
use super::{Asked, Given, Limits, Means, Parameter, StoredQuery, Takes, value};
use crate::finding::{Finding, Findings, Place, Rule};

/// Where a parameter that is not there would stand.
const QUERY: &str = "AdhocQuery";

/// Makes the question of a stored query. What the query does not know is passed over (ebRS allows it, and what older
/// editions of the framework took beside a code, its scheme in a parameter of its own, is among it).
///
/// Refused are values beyond the limits, missing and doubled parameters, several values where one is taken, and values that
/// are not of their form; all of them are told.
pub fn read(query: &StoredQuery, given: &[Given], limits: &Limits) -> Result<Asked, Findings> {
    costly(given, limits)?;
    let mut reading = Reading { query, values: Values::default(), findings: Findings::new() };
    let mut before = HashSet::new();
    for one in given {
        let Some(parameter) = query.parameter(&one.name) else { continue };
        let again = !before.insert(one.name.as_str());
        reading.take(parameter, one, again);
    }
    reading.complete(given);
    if reading.findings.is_empty() { Ok(build::asked(query, reading.values)) } else { Err(reading.findings) }
}

fn costly(given: &[Given], limits: &Limits) -> Result<(), Findings> {
    let refuse =
        |at: &str, text: String| Err(vec![Finding::error(Rule::StoredQueryTooCostly, Place::at(at), text)]);
    let count: usize = given.iter().map(|one| one.values.len()).sum();
    if count > limits.values {
        let most = limits.values;
        let text = format!(
            "The query has {count} values; {most} are taken at once (stored_query.max_values). Ask in several queries."
        );
        return refuse(QUERY, text);
    }
    for one in given {
        if one.values.iter().any(|value| value.len() > limits.value_bytes) {
            let text = format!(
                "A value is longer than {} bytes (server.limits.max_search_value_bytes).",
                limits.value_bytes
            );
            return refuse(&one.at, text);
        }
    }
    Ok(())
}

struct Reading<'a> {
    query: &'a StoredQuery,
    values: Values,
    findings: Findings,
}

impl Reading<'_> {
    fn refuse(&mut self, rule: Rule, at: &str, text: String) {
        self.findings.push(Finding::error(rule, Place::at(at), text));
    }

    fn take(&mut self, parameter: &'static Parameter, given: &Given, again: bool) {
        if given.values.is_empty() {
            // Nothing is asked by it; what is required is missed below.
            return;
        }
        if again && parameter.takes != Takes::AllOfAny {
            let text = format!(
                "{} is given twice; it is given once, with all its values in one Slot. Only the lists of codes and identifiers can be repeated.",
                parameter.name
            );
            return self.refuse(Rule::StoredQueryParameter, &given.at, text);
        }
        if parameter.takes == Takes::One && given.values.len() > 1 {
            let text = format!("{} takes one value; {} are given.", parameter.name, given.values.len());
            return self.refuse(Rule::StoredQueryParameter, &given.at, text);
        }
        let wrong = match self.values.add(parameter, &given.values) {
            Ok(()) => return,
            Err(wrong) => wrong,
        };
        let text = value::wrong(parameter, &wrong);
        self.refuse(Rule::StoredQueryParameter, &given.at, text);
    }

    /// What is missing, and what excludes each other.
    fn complete(&mut self, given: &[Given]) {
        let is_given = |name: &str| given.iter().any(|one| one.name == name && !one.values.is_empty());
        for parameter in self.query.parameters.iter().filter(|parameter| parameter.required) {
            let lacks_meaning =
                matches!(parameter.means, Means::Status(object) if self.values.status(object).is_empty());
            if !is_given(parameter.name) || lacks_meaning {
                let text = format!(
                    "{} requires {}, and {}; it is written {}.",
                    self.query.name,
                    parameter.name,
                    if is_given(parameter.name) { "none of its values is known" } else { "it is not given" },
                    parameter.means.form()
                );
                self.refuse(Rule::StoredQueryMissingParameter, QUERY, text);
            }
        }
        let names: Vec<&str> = self.query.names().map(|parameter| parameter.name).collect();
        let named: Vec<&str> = names.iter().copied().filter(|name| is_given(name)).collect();
        match named.as_slice() {
            [] if !names.is_empty() => {
                let text = format!("{} requires {}; none is given.", self.query.name, names.join(" or "));
                self.refuse(Rule::StoredQueryMissingParameter, QUERY, text);
            }
            [_, _, ..] => {
                let text = format!("{} exclude each other; one of them is given.", named.join(" and "));
                self.refuse(Rule::StoredQueryParameter, QUERY, text);
            }
            _ => {}
        }
        let one_of = self.query.one_of;
        let patient = self.query.parameters.iter().find(|parameter| parameter.means == Means::Patient);
        let narrowed = patient.is_none_or(|parameter| is_given(parameter.name));
        if !one_of.is_empty() && !narrowed && !one_of.iter().any(|name| is_given(name)) {
            let text = format!(
                "{} without a patient requires one of {}; none is given.",
                self.query.name,
                one_of.join(", ")
            );
            self.refuse(Rule::StoredQueryMissingParameter, QUERY, text);
        }
    }
}
