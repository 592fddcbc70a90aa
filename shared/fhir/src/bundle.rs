//! Searchset and history Bundles, put together from stored bytes without parsing them.

use bytes::Bytes;
use serde_json::Value;
use xds::Finding;

use crate::{iti119, outcome, when};

/// One match.
#[derive(Debug, Clone)]
pub struct Match {
    /// Absolute URL.
    pub full_url: String,
    /// The resource as stored.
    pub resource: Bytes,
    /// False for an included resource.
    pub is_match: bool,
}

/// A searchset to be written.
#[derive(Debug, Default)]
pub struct SearchSet {
    /// `total`.
    pub total: Option<u64>,
    /// `link`: relation and URL.
    pub links: Vec<(&'static str, String)>,
    /// The matches.
    pub entries: Vec<Match>,
    /// Reservations: one `outcome` entry.
    pub warnings: Vec<Finding>,
    /// `meta.lastUpdated` of the Bundle, microseconds.
    pub now: i64,
    /// Bundle.id and OperationOutcome.id: the request id.
    pub id: String,
}

/// The answer of `$match` [ITI-119] to be written.
#[derive(Debug, Default)]
pub struct MatchSet {
    /// `total`: all that match, which can be more than are given.
    pub total: u64,
    /// `link`: relation and URL.
    pub links: Vec<(&'static str, String)>,
    /// The matches, best first.
    pub entries: Vec<iti119::Scored>,
    /// Reservations: one `outcome` entry.
    pub warnings: Vec<Finding>,
    /// `meta.lastUpdated` of the Bundle, microseconds.
    pub now: i64,
    /// Bundle.id and OperationOutcome.id: the request id.
    pub id: String,
}

/// Writes a searchset in parts.
pub fn searchset(set: &SearchSet) -> Vec<Bytes> {
    let mut parts = begin(&set.id, set.now, set.total, &set.links, set.entries.len());
    for entry in &set.entries {
        let mode = if entry.is_match { "match" } else { "include" };
        parts.entry(&entry.full_url, Some(&entry.resource));
        parts.text.push_str(r#","search":{"mode":""#);
        parts.text.push_str(mode);
        parts.text.push_str("\"}}");
    }
    parts.warnings(&set.warnings, &set.id);
    parts.end()
}

/// Writes the answer of `$match` in parts.
pub fn matches(set: &MatchSet) -> Vec<Bytes> {
    let mut parts = begin(&set.id, set.now, Some(set.total), &set.links, set.entries.len());
    for entry in &set.entries {
        parts.entry(&entry.full_url, Some(&entry.resource));
        parts.text.push_str(r#","search":"#);
        parts.text.push_str(&iti119::write_search(entry));
        parts.text.push('}');
    }
    parts.warnings(&set.warnings, &set.id);
    parts.end()
}

/// Begins a searchset.
fn begin(
    id: &str,
    now: i64,
    total: Option<u64>,
    related: &[(&'static str, String)],
    entries: usize,
) -> Parts {
    let mut head = String::with_capacity(512);
    head.push_str(r#"{"resourceType":"Bundle""#);
    if !id.is_empty() {
        head.push_str(r#","id":"#);
        quote(&mut head, id);
    }
    head.push_str(r#","meta":{"lastUpdated":""#);
    head.push_str(&when::instant(now));
    head.push_str(r#""},"type":"searchset""#);
    if let Some(total) = total {
        head.push_str(r#","total":"#);
        head.push_str(&total.to_string());
    }
    links(&mut head, related);
    Parts::new(head, entries)
}

/// One version in a history.
#[derive(Debug, Clone)]
pub struct Past {
    /// Absolute URL.
    pub full_url: String,
    /// The resource; none if this version is a deletion.
    pub resource: Option<Bytes>,
    /// Version.
    pub version: u64,
    /// Microseconds.
    pub updated: i64,
    /// Relative URL, e.g. `DocumentReference/…`.
    pub url: String,
}

/// Writes a page of a history, newest first; `total` counts the versions of all pages.
pub fn history(total: u64, entries: &[Past], pages: &[(&'static str, String)], now: i64) -> Vec<Bytes> {
    let mut head = String::with_capacity(512);
    head.push_str(r#"{"resourceType":"Bundle","meta":{"lastUpdated":""#);
    head.push_str(&when::instant(now));
    head.push_str(&format!(r#""}},"type":"history","total":{total}"#));
    links(&mut head, pages);
    let mut parts = Parts::new(head, entries.len());
    for past in entries {
        parts.entry(&past.full_url, past.resource.as_ref());
        let (method, status) = match (&past.resource, past.version) {
            (None, _) => ("DELETE", "204 No Content"),
            (Some(_), 1) => ("POST", "201 Created"),
            (Some(_), _) => ("PUT", "200 OK"),
        };
        let url =
            if method == "POST" { past.url.split('/').next().unwrap_or_default() } else { past.url.as_str() };
        parts.text.push_str(&format!(r#","request":{{"method":"{method}","url":"#));
        quote(&mut parts.text, url);
        parts.text.push_str(&format!(
            r#"}},"response":{{"status":"{status}","etag":"W/\"{}\"","lastModified":"{}"}}}}"#,
            past.version,
            when::instant(past.updated)
        ));
    }
    parts.end()
}

fn links(head: &mut String, links: &[(&'static str, String)]) {
    if links.is_empty() {
        return;
    }
    head.push_str(r#","link":["#);
    for (index, (relation, url)) in links.iter().enumerate() {
        head.push_str(if index > 0 { r#",{"relation":""# } else { r#"{"relation":""# });
        head.push_str(relation);
        head.push_str(r#"","url":"#);
        quote(head, url);
        head.push('}');
    }
    head.push(']');
}

/// A JSON string.
fn quote(out: &mut String, text: &str) {
    // Without an early end: so the processor looks at many letters at once.
    let special = text.bytes().fold(false, |any, b| any | (b < 0x20) | (b == b'"') | (b == b'\\'));
    if !special {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&Value::from(text).to_string());
    }
}

/// The parts of a Bundle: texts of ours and resources as they are stored, in turn.
struct Parts {
    parts: Vec<Bytes>,
    text: String,
    entries: usize,
}

impl Parts {
    fn new(head: String, entries: usize) -> Parts {
        Parts { parts: Vec::with_capacity(2 * entries + 3), text: head, entries: 0 }
    }

    /// The comma, or the member, before an entry.
    fn begin(&mut self) {
        self.text.push_str(if self.entries == 0 { r#","entry":["# } else { "," });
        self.entries += 1;
    }

    /// Begins an entry: its URL and its resource.
    fn entry(&mut self, full_url: &str, resource: Option<&Bytes>) {
        self.begin();
        self.text.push_str(r#"{"fullUrl":"#);
        quote(&mut self.text, full_url);
        if let Some(resource) = resource {
            self.text.push_str(r#","resource":"#);
            self.give(resource);
        }
    }

    /// An entry with an OperationOutcome, if there is something to say.
    fn warnings(&mut self, warnings: &[Finding], id: &str) {
        if !warnings.is_empty() {
            self.begin();
            let outcome = outcome::of_findings(warnings, id);
            self.text.push_str(r#"{"resource":"#);
            self.give(&Bytes::from(outcome));
            self.text.push_str(r#","search":{"mode":"outcome"}}"#);
        }
    }

    /// Adds stored bytes behind the text so far. They are shared, not copied.
    fn give(&mut self, bytes: &Bytes) {
        let text = std::mem::replace(&mut self.text, String::with_capacity(192));
        self.parts.push(Bytes::from(text));
        self.parts.push(bytes.clone());
    }

    fn end(mut self) -> Vec<Bytes> {
        self.text.push_str(if self.entries > 0 { "]}" } else { "}" });
        self.parts.push(Bytes::from(self.text));
        self.parts
    }
}

#[cfg(test)]
mod tests {
    use xds::{Place, Rule};

    use super::*;

    fn read(parts: &[Bytes]) -> Value {
        serde_json::from_slice(&parts.concat()).expect("a Bundle is JSON")
    }

    fn found(id: &str) -> Match {
        let resource = format!(r#"{{"resourceType":"DocumentReference","id":"{id}"}}"#);
        Match {
            full_url: format!("https://r/fhir/DocumentReference/{id}"),
            resource: resource.into(),
            is_match: true,
        }
    }

    #[test]
    fn a_searchset_holds_its_matches_as_they_are_stored() {
        let set = SearchSet {
            total: Some(2),
            links: vec![("self", "https://r/fhir/DocumentReference?patient=\"1".to_owned())],
            entries: vec![found("a"), Match { is_match: false, ..found("b") }],
            warnings: vec![Finding::warning(Rule::UnknownParameter, Place::whole(), "foo")],
            now: 0,
            id: "r-1".to_owned(),
        };
        let parts = searchset(&set);
        assert!(
            parts.iter().any(|part| part.as_ptr() == set.entries[0].resource.as_ptr()),
            "resources are not copied"
        );
        let bundle = read(&parts);
        assert_eq!(bundle["meta"]["lastUpdated"], "1970-01-01T00:00:00.000Z");
        assert_eq!((&bundle["type"], &bundle["total"]), (&"searchset".into(), &2.into()));
        assert_eq!(bundle["link"][0]["url"], "https://r/fhir/DocumentReference?patient=\"1");
        let modes: Vec<_> =
            bundle["entry"].as_array().unwrap().iter().map(|e| e["search"]["mode"].clone()).collect();
        assert_eq!(modes, ["match", "include", "outcome"]);
        assert_eq!(bundle["entry"][0]["resource"]["id"], "a");
    }

    #[test]
    fn an_empty_searchset_has_no_entry() {
        let bundle = read(&searchset(&SearchSet { total: Some(0), ..SearchSet::default() }));
        assert!(bundle.get("entry").is_none() && bundle.get("link").is_none() && bundle.get("id").is_none());
    }

    #[test]
    fn a_history_tells_how_each_version_came() {
        let past = |version, resource: Option<&'static str>| Past {
            full_url: "https://r/fhir/List/a".to_owned(),
            resource: resource.map(Bytes::from),
            version,
            updated: 0,
            url: "List/a".to_owned(),
        };
        let entries = [past(3, None), past(2, Some("{}")), past(1, Some("{}"))];
        let pages = [("self", "https://r/fhir/List/a/_history".to_owned())];
        let bundle = read(&history(3, &entries, &pages, 0));
        let methods: Vec<_> =
            bundle["entry"].as_array().unwrap().iter().map(|e| e["request"]["method"].clone()).collect();
        assert_eq!(methods, ["DELETE", "PUT", "POST"]);
        assert_eq!(bundle["entry"][0]["response"]["etag"], "W/\"3\"");
        assert_eq!(bundle["total"], 3);
    }
}
