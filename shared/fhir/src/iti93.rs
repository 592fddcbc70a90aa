//! Mobile Patient Identity Feed [ITI-93]: a message Bundle with what happened to patients, and the response message.
//!
//! What is read are changes in the terms of ITI-104: each Patient stands for itself, named by its identifiers. References
//! between entries are resolved: to a patient by an identifier, anything else goes into the Patient as contained.

mod entries;
mod references;
mod respond;

use serde_json::Value;
use xds::{Finding, Findings, Identifier, Place, Rule};

use crate::patient::Patient;
use crate::search::{pairs, shortened};

pub use respond::{Done, Response, write};

/// `MessageHeader.eventUri` of the feed.
pub const EVENT: &str = "urn:ihe:iti:pmir:2019:patient-feed";
/// `MessageHeader.eventUri` of the response.
pub const RESPONSE_EVENT: &str = "urn:ihe:iti:pmir:2019:patient-feed-response";
/// `MessageHeader.definition` of the feed.
pub const DEFINITION: &str = "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition";

/// A message.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// `MessageHeader.id`; that of its fullUrl, if it has none.
    pub id: String,
    /// `MessageHeader.source.endpoint`.
    pub source: String,
    /// What happened, in the order in which it is to be done: patients first, then merges, then those who were deleted.
    pub changes: Vec<Change>,
}

/// What happened to one patient.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The entry: its resource, or the entry where there is none.
    pub at: Place,
    /// What is to be done.
    pub what: What,
    /// Its business identifiers, in order.
    pub names: Vec<Identifier>,
    /// Its URL at the source: the base of that server, and `Patient/id`. There is this, or a name.
    pub url: Option<Identifier>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// POST or PUT: the patient is like this from now on; `link` of type `replaced-by` merges.
    Put {
        /// The patient.
        patient: Box<Patient>,
        /// Whether the message says who the patient's relatives are; if not, those stay who are known.
        relatives: bool,
    },
    /// DELETE.
    Remove,
}

/// Checks the parameters of the operation: answers go back on the connection, when everything is done.
///
/// # Errors
/// Words about what is not offered.
pub fn check_query(query: &str) -> Result<(), Findings> {
    for (name, value) in pairs(query) {
        let words = match name.as_str() {
            "async" if value == "true" => "messages are answered when they are done; leave async out",
            "response-url" => "the answer to a message goes back on its connection; leave response-url out",
            _ => continue,
        };
        return Err(vec![Finding::error(Rule::NotSupported, Place::at(name), words)]);
    }
    Ok(())
}

/// Reads a message. `own` is the base of this server; a history has `most` entries at most, since all are decided in one commit.
/// Answers every problem.
///
/// # Errors
/// What is not a message of the feed, with words about what it is instead; entries that cannot be taken, each by its place.
pub fn read(body: Value, own: &str, most: u64) -> Result<Message, Findings> {
    let at = Place::at("Bundle");
    if text(&body, "resourceType") != Some("Bundle") {
        let sent = text(&body, "resourceType").map_or("no resource".to_owned(), shortened);
        let words = format!("a message is a Bundle of type message; sent is {sent}");
        return Err(vec![Finding::error(Rule::Structure, at.member("resourceType"), words)]);
    }
    if text(&body, "type") != Some("message") {
        let words = "only a Bundle of type message is taken here: the feed ITI-93 (MessageHeader and a Bundle of type history)";
        return Err(vec![Finding::error(Rule::NotSupported, at.member("type"), words)]);
    }
    let findings = crate::schema::check(&body, &at);
    if !findings.is_empty() {
        return Err(findings);
    }
    let entries = items(body.get("entry"));
    let [first, second] = entries else {
        let words = format!(
            "a message of the feed has exactly two entries, the MessageHeader and the Bundle of type history; there are {}",
            entries.len()
        );
        return Err(vec![Finding::error(Rule::Structure, at.member("entry"), words)]);
    };
    let entry = at.member("entry");
    let header = read_header(first, &entry.item(0))?;
    let place = entry.item(1).member("resource");
    let history = second.get("resource").unwrap_or(&Value::Null);
    if text(history, "resourceType") != Some("Bundle") || text(history, "type") != Some("history") {
        let words =
            "the second entry of a message of the feed is a Bundle of type history, which holds the patients";
        return Err(vec![Finding::error(Rule::Structure, place, words)]);
    }
    let names_it = [text(second, "fullUrl"), text(history, "id")];
    let is_focus = names_it
        .into_iter()
        .flatten()
        .any(|name| header.focus == name || header.focus.rsplit('/').next() == name.rsplit('/').next());
    if !is_focus {
        let words = format!(
            "MessageHeader.focus names {}, which is not the Bundle of type history in the second entry",
            shortened(&header.focus)
        );
        let at = entry.item(0).member("resource").member("focus");
        return Err(vec![Finding::error(Rule::UnresolvedReference, at, words)]);
    }
    let findings = crate::schema::check(history, &place);
    if !findings.is_empty() {
        return Err(findings);
    }
    let count = items(history.get("entry")).len() as u64;
    if count > most {
        let words = format!(
            "the Bundle of type history has {count} entries; a message is stored as a whole, with {most} at most (server.limits.max_entries). Send several messages"
        );
        return Err(vec![Finding::error(Rule::TooCostly, place.member("entry"), words)]);
    }
    let changes = entries::read(items(history.get("entry")), &place.member("entry"), &header, own)?;
    Ok(Message { id: header.id, source: header.source, changes })
}

/// What is needed of a MessageHeader.
struct Header {
    id: String,
    source: String,
    focus: String,
    /// Base of the server it is on, where its fullUrl says so.
    base: Option<String>,
}

fn read_header(entry: &Value, at: &Place) -> Result<Header, Findings> {
    let place = at.member("resource");
    let header = entry.get("resource").unwrap_or(&Value::Null);
    if text(header, "resourceType") != Some("MessageHeader") {
        let words = "the first entry of a message is a MessageHeader";
        return Err(vec![Finding::error(Rule::Structure, place, words)]);
    }
    let mut findings = Findings::new();
    match text(header, "eventUri") {
        Some(EVENT) => {}
        Some(RESPONSE_EVENT) => {
            let words =
                "this is the response to a message; a response is the body of an answer and is not sent here";
            findings.push(Finding::error(Rule::NotSupported, place.member("eventUri"), words));
        }
        Some(other) => {
            let words = format!("the event {} is not taken here; accepted is {EVENT}", shortened(other));
            findings.push(Finding::error(Rule::NotSupported, place.member("eventUri"), words));
        }
        None => {
            let words = format!("MessageHeader.eventUri is required; accepted is {EVENT}");
            findings.push(Finding::error(Rule::Required, place.member("eventUri"), words));
        }
    }
    if header.get("response").is_some() && findings.is_empty() {
        let words = "a MessageHeader with response answers another message; it is not sent here";
        findings.push(Finding::error(Rule::NotSupported, place.member("response"), words));
    }
    if items(header.get("destination")).is_empty() && findings.is_empty() {
        let words = "MessageHeader.destination is required: the endpoint the message is for";
        findings.push(Finding::error(Rule::Required, place.member("destination"), words));
    }
    if let Some(definition) = text(header, "definition")
        && definition.split('|').next() != Some(DEFINITION)
    {
        let words = format!("MessageHeader.definition is {DEFINITION}, or is left out");
        findings.push(Finding::error(Rule::Value, place.member("definition"), words));
    }
    let focus = match items(header.get("focus")) {
        [one] => text(one, "reference").map(str::to_owned),
        _ => None,
    };
    if focus.is_none() {
        let words = "MessageHeader.focus is exactly one reference, to the Bundle of type history";
        findings.push(Finding::error(Rule::Required, place.member("focus"), words));
    }
    let full_url = text(entry, "fullUrl");
    if full_url.is_none() {
        findings.push(Finding::error(Rule::Required, at.member("fullUrl"), "the entry needs a fullUrl"));
    }
    let id = text(header, "id").or_else(|| full_url?.rsplit(['/', ':']).next());
    match (id, focus, findings.is_empty()) {
        (Some(id), Some(focus), true) => Ok(Header {
            id: id.to_owned(),
            source: header.pointer("/source/endpoint").and_then(Value::as_str).unwrap_or_default().to_owned(),
            focus,
            base: full_url.and_then(references::base).map(str::to_owned),
        }),
        _ => Err(findings),
    }
}

fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests;
