//! The answer to a submission: one entry for each of the request, in order.

use serde_json::{Map, Value, json};
use xds::{Finding, Findings, Place, Rule};

use crate::element::{items, text};
use crate::outcome;

/// What became of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryReceipt {
    /// `201 Created` or `200 OK`.
    pub status: String,
    /// Relative versioned location, e.g. `DocumentReference/…/_history/1`; absolute where it is on another actor.
    pub location: String,
    /// `W/"1"`.
    pub etag: Option<String>,
    /// FHIR instant.
    pub last_modified: Option<String>,
    /// Warnings.
    pub warnings: Vec<Finding>,
}

/// Writes the transaction-response, one entry for each of the request, in order.
pub fn write_response(entries: &[EntryReceipt]) -> Vec<u8> {
    let entries: Vec<Value> = entries.iter().map(write_entry).collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "transaction-response" });
    crate::element::put(&mut bundle, "entry", Some(entries).filter(|entries| !entries.is_empty()));
    bundle.to_string().into_bytes()
}

fn write_entry(receipt: &EntryReceipt) -> Value {
    let mut response = Map::new();
    response.insert("status".to_owned(), receipt.status.as_str().into());
    if !receipt.location.is_empty() {
        response.insert("location".to_owned(), receipt.location.as_str().into());
    }
    if let Some(etag) = &receipt.etag {
        response.insert("etag".to_owned(), etag.as_str().into());
    }
    if let Some(time) = &receipt.last_modified {
        response.insert("lastModified".to_owned(), time.as_str().into());
    }
    if !receipt.warnings.is_empty() {
        let issues = outcome::issues(&receipt.warnings);
        response.insert("outcome".to_owned(), json!({ "resourceType": "OperationOutcome", "issue": issues }));
    }
    json!({ "response": response })
}

/// Reads a transaction-response.
pub fn read_response(bytes: &[u8]) -> Result<Vec<EntryReceipt>, Findings> {
    let bundle = crate::json::parse(bytes, &crate::json::Limits::default())?;
    if text(&bundle, "resourceType") != Some("Bundle")
        || text(&bundle, "type") != Some("transaction-response")
    {
        let text = "A Bundle of type transaction-response is expected here.";
        return Err(vec![Finding::error(Rule::Structure, Place::at("Bundle.type"), text)]);
    }
    items(&bundle, "entry").iter().enumerate().map(|(index, entry)| read_entry(index, entry)).collect()
}

fn read_entry(index: usize, entry: &Value) -> Result<EntryReceipt, Findings> {
    let Some(response) = entry.get("response") else {
        let place = Place::at(format!("Bundle.entry[{index}].response"));
        return Err(vec![Finding::error(Rule::Required, place, "The entry has no response.")]);
    };
    let own = |name: &str| text(response, name).map(str::to_owned);
    Ok(EntryReceipt {
        status: own("status").unwrap_or_default(),
        location: own("location").unwrap_or_default(),
        etag: own("etag"),
        last_modified: own("lastModified"),
        warnings: response.get("outcome").and_then(outcome::of_value).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_back_as_it_was_written() {
        let receipts = vec![
            EntryReceipt {
                status: "201 Created".to_owned(),
                location: "DocumentReference/1/_history/1".to_owned(),
                etag: Some("W/\"1\"".to_owned()),
                last_modified: Some("2024-02-07T13:28:17.000Z".to_owned()),
                warnings: vec![Finding::warning(Rule::ContentMismatch, Place::at("Bundle.entry[0]"), "size")],
            },
            EntryReceipt {
                status: "200 OK".to_owned(),
                location: String::new(),
                etag: None,
                last_modified: None,
                warnings: Vec::new(),
            },
        ];
        assert_eq!(read_response(&write_response(&receipts)), Ok(receipts));
    }

    #[test]
    fn an_outcome_is_no_answer() {
        assert!(read_response(br#"{"resourceType":"OperationOutcome"}"#).is_err());
    }
}
