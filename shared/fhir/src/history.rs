//! The parameters of a history: `_since`, `_at`, `_count` (R4 http, history).

use jiff::tz::TimeZone;
use xds::{Finding, Findings, Place, Rule};

use crate::negotiate::format_parameters;
use crate::search::pairs;
use crate::when;

/// Entries of a page, whatever is asked for: what was changed often has more versions than one answer can hold.
const MOST: usize = 1000;

/// Which versions are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asked {
    /// Only versions made at or after this instant, microseconds.
    since: Option<i64>,
    /// Only versions that stood at some moment of this stretch.
    at: Option<(i64, i64)>,
    /// Entries of a page.
    count: Option<usize>,
    /// Only versions before this one: where a page before ended.
    before: Option<u64>,
    /// What links to further pages repeat of the wish for a format.
    format: String,
}

/// A version, as far as a history asks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// `meta.versionId`.
    pub version: u64,
    /// When, microseconds.
    pub instant: i64,
}

/// A page of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The versions, newest first.
    pub versions: Vec<T>,
    /// How many match on all pages.
    pub total: u64,
    /// `link`: relation and query.
    pub links: Vec<(&'static str, String)>,
}

impl<T> Page<T> {
    /// The links as a Bundle has them, for a history at this URL.
    pub fn links_of(&self, url: &str) -> Vec<(&'static str, String)> {
        self.links.iter().map(|(relation, query)| (*relation, format!("{url}{query}"))).collect()
    }
}

impl Asked {
    /// Reads the query. Parameters that are not of a history are passed over; a bad value is told with its name.
    pub fn read(query: &str, zone: &TimeZone) -> Result<Asked, Findings> {
        let mut asked = Asked { format: format_parameters(query), ..Asked::default() };
        let mut findings = Findings::new();
        for (name, value) in pairs(query) {
            match name.as_str() {
                "_since" => match when::read(&value).filter(|when| when.precision >= when::Precision::Minute) {
                    Some(when) => asked.since = Some(when.in_zone(zone).from),
                    None => findings.push(wrong("_since", &value, "an instant, 2026-11-20T08:30:00Z")),
                },
                "_at" => match stretch(&value, zone) {
                    Some(stretch) => asked.at = Some(stretch),
                    None => findings.push(wrong(
                        "_at",
                        &value,
                        "a date or instant, 2026-11-20, or several with ge, gt, le, lt before them and commas in between",
                    )),
                },
                "_count" => match value.parse() {
                    Ok(count) => asked.count = Some(count),
                    Err(_) => findings.push(wrong("_count", &value, "a whole number")),
                },
                "_before" => match value.parse() {
                    Ok(before) => asked.before = Some(before),
                    Err(_) => findings.push(wrong("_before", &value, "a version, as a link of ours has it")),
                },
                _ => {}
            }
        }
        if findings.is_empty() { Ok(asked) } else { Err(findings) }
    }

    /// The page that is asked for, of all versions newest first.
    pub fn page<T>(&self, versions: Vec<T>, made: impl Fn(&T) -> Made) -> Page<T> {
        let mut until = i64::MAX;
        let mut matching = Vec::with_capacity(versions.len());
        for version in versions {
            let Made { instant, .. } = made(&version);
            let stood = self.at.is_none_or(|(from, to)| instant < to && until > from);
            if stood && self.since.is_none_or(|since| instant >= since) {
                matching.push(version);
            }
            until = instant;
        }
        let total = matching.len() as u64;
        if let Some(before) = self.before {
            matching.retain(|version| made(version).version < before);
        }
        let mut links = vec![("self", self.query(self.before))];
        let count = self.count.unwrap_or(MOST).min(MOST);
        if matching.len() > count {
            matching.truncate(count);
            if let Some(last) = matching.last() {
                links.push(("next", self.query(Some(made(last).version))));
            }
        }
        Page { versions: matching, total, links }
    }

    /// The query of a page of the same history.
    fn query(&self, before: Option<u64>) -> String {
        let since = self.since.map(|since| format!("_since={}", when::instant(since)));
        let at = self.at.map(|(from, to)| match (from, to) {
            (i64::MIN, to) => format!("_at=lt{}", when::instant(to)),
            (from, i64::MAX) => format!("_at=ge{}", when::instant(from)),
            (from, to) => format!("_at=ge{},lt{}", when::instant(from), when::instant(to)),
        });
        let count = self.count.map(|count| format!("_count={count}"));
        let before = before.map(|before| format!("_before={before}"));
        let format = Some(self.format.trim_start_matches('&').to_owned()).filter(|format| !format.is_empty());
        let all: Vec<String> = [since, at, count, before, format].into_iter().flatten().collect();
        if all.is_empty() { String::new() } else { format!("?{}", all.join("&")) }
    }
}

/// The stretch of `_at`: the moment or day that is named, or what its comparisons leave.
fn stretch(value: &str, zone: &TimeZone) -> Option<(i64, i64)> {
    let (mut from, mut to) = (i64::MIN, i64::MAX);
    for part in value.split(',') {
        let (prefix, date) = match part.get(..2) {
            Some(prefix @ ("eq" | "ge" | "gt" | "sa" | "le" | "lt" | "eb")) => (prefix, &part[2..]),
            _ => ("eq", part),
        };
        let when = when::read(date)?.in_zone(zone);
        match prefix {
            "ge" => from = from.max(when.from),
            "gt" | "sa" => from = from.max(when.to),
            "le" => to = to.min(when.to),
            "lt" | "eb" => to = to.min(when.from),
            _ => (from, to) = (from.max(when.from), to.min(when.to)),
        }
    }
    (from < to).then_some((from, to))
}

fn wrong(name: &str, value: &str, expected: &str) -> Finding {
    let shown: String = value.chars().filter(|c| !c.is_control()).take(60).collect();
    Finding::error(Rule::Value, Place::at(name), format!("{name} is \"{shown}\"; expected is {expected}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000_000;

    /// Versions 3, 2, 1, made at minutes 30, 20, 10.
    fn asked(query: &str) -> Page<Made> {
        let made = |version: u64| Made { version, instant: version as i64 * 10 * MINUTE };
        let asked = Asked::read(query, &TimeZone::UTC).expect("a good query");
        asked.page(vec![made(3), made(2), made(1)], |made| *made)
    }

    fn versions(query: &str) -> Vec<u64> {
        asked(query).versions.iter().map(|made| made.version).collect()
    }

    #[test]
    fn further_pages_come_in_the_same_format() {
        let page = asked("_count=1&_format=xml");
        let next = page.links.iter().find(|(relation, _)| *relation == "next").expect("there is more");
        assert_eq!(next.1, "?_count=1&_before=3&_format=xml");
    }

    #[test]
    fn a_history_begins_at_an_instant() {
        assert_eq!(versions(""), [3, 2, 1]);
        assert_eq!(versions("_since=1970-01-01T00:20:00Z"), [3, 2]);
        assert_eq!(versions("_since=1970-01-01T00:20:00.001Z&_format=json"), [3]);
    }

    #[test]
    fn what_stood_at_a_moment_is_the_version_before_the_next() {
        assert_eq!(versions("_at=1970-01-01T00:25:00Z"), [2]);
        assert_eq!(versions("_at=1970-01-01T00:20:00Z"), [2]);
        assert_eq!(versions("_at=1970-01-01T00:05:00Z"), [0; 0]);
        assert_eq!(versions("_at=1970-01-01"), [3, 2, 1]);
        assert_eq!(versions("_at=2026"), [3]);
        assert_eq!(versions("_at=ge1970-01-01T00:15:00Z,lt1970-01-01T00:30:00Z"), [2, 1]);
    }

    #[test]
    fn pages_follow_each_other() {
        let first = asked("_count=2&_since=1970-01-01T00:00:00Z");
        assert_eq!((first.versions.len(), first.total), (2, 3));
        let (relation, query) = &first.links[1];
        assert_eq!(
            (*relation, query.as_str()),
            ("next", "?_since=1970-01-01T00:00:00.000Z&_count=2&_before=2")
        );
        let second = asked(&query[1..]);
        assert_eq!((second.versions[0].version, second.total, second.links.len()), (1, 3, 1));
    }

    #[test]
    fn no_page_is_without_end() {
        for query in ["", "_count=100000"] {
            let made = (1..=2500).rev().map(|version| Made { version, instant: MINUTE }).collect();
            let page = Asked::read(query, &TimeZone::UTC).expect("a good query").page(made, |made| *made);
            assert_eq!((page.versions.len(), page.total, page.links[1].0), (MOST, 2500, "next"), "{query}");
        }
    }

    #[test]
    fn a_bad_value_is_told() {
        let query = "_since=yesterday&_at=gt2020,lt2019&_count=many&_since=2020";
        let findings = Asked::read(query, &TimeZone::UTC).expect_err("four bad values");
        assert_eq!(findings.len(), 4);
        assert_eq!(findings[0].at.path, "_since");
    }
}
