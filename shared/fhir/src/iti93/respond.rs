//! The response to a message of the feed: a message Bundle with one MessageHeader, sent when everything is done.

use serde_json::{Value, json};

use super::RESPONSE_EVENT;
use crate::when;

const HEADER: &str = "https://profiles.ihe.net/ITI/PMIR/StructureDefinition/IHE.PMIR.MessageHeader.Response";
const DEFINITION: &str =
    "https://profiles.ihe.net/ITI/PMIR/MessageDefinition/IHE.PMIR.MessageDefinition.Response";

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The place of the entry in the message.
    pub at: String,
    /// In words.
    pub text: String,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response<'a> {
    /// `MessageHeader.id` of the message.
    pub to: &'a str,
    /// A UUID, plain, for this response.
    pub id: &'a str,
    /// The base of this server.
    pub base: &'a str,
    /// The time, microseconds since 1970.
    pub now: i64,
    /// What became of the entries.
    pub done: &'a [Done],
}

/// Writes a response: every entry was done.
pub fn write(response: &Response<'_>) -> Vec<u8> {
    let issue = |done: &Done| {
        json!({
            "severity": "information", "code": "informational",
            "diagnostics": done.text, "expression": [done.at]
        })
    };
    let issues: Vec<Value> = response.done.iter().map(issue).collect();
    let mut header = json!({
        "resourceType": "MessageHeader",
        "id": response.id,
        "meta": { "profile": [HEADER] },
        "eventUri": RESPONSE_EVENT,
        "source": {
            "name": "docshare patient identity source",
            "software": "docshare",
            "version": env!("CARGO_PKG_VERSION"),
            "endpoint": format!("{}/$process-message", response.base)
        },
        "response": { "identifier": response.to, "code": "ok" },
        "definition": DEFINITION
    });
    if !issues.is_empty() {
        header["contained"] = json!([{ "resourceType": "OperationOutcome", "id": "done", "issue": issues }]);
        header["response"]["details"] = json!({ "reference": "#done" });
    }
    let bundle = json!({
        "resourceType": "Bundle",
        "type": "message",
        "timestamp": when::instant(response.now),
        "entry": [{ "fullUrl": format!("urn:uuid:{}", response.id), "resource": header }]
    });
    serde_json::to_vec(&bundle).expect("a JSON value can always be written")
}
