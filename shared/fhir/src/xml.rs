//! FHIR in XML: read into the JSON form everything else works on, and written from it.
//!
//! JSON is what is stored and what the rest of the crate speaks. Both directions are led by the table of R4 shapes, so that
//! every resource of R4 can be sent in either form: which elements repeat, what their order is, what is an attribute.

mod escape;
mod narrative;
mod parts;
mod reader;
mod tree;
mod writer;

use bytes::Bytes;
use serde_json::Value;
use xds::Findings;

use crate::json::Limits;

pub(crate) use reader::{faults, read};

/// Namespace of FHIR.
pub(crate) const FHIR: &str = "http://hl7.org/fhir";
/// Namespace of narratives.
pub(crate) const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Reads a resource in XML into the JSON form. Refuses what could hide something: document types, entities beyond the five of
/// XML, other namespaces, text between elements, a second root, excess of a limit. A finding names line, column and path.
pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Value, Findings> {
    read(bytes, limits).map_err(|found| faults(&found, bytes, &[]))
}

/// Writes a resource, given in JSON, as an XML document. None if it is not a resource of R4 in JSON.
pub fn write(json: &[u8]) -> Option<Vec<u8>> {
    writer::write(json, false)
}

/// The same of a resource that comes in parts, as Bundles do whose entries are given as they are stored.
pub fn write_parts(json: &[Bytes]) -> Option<Vec<u8>> {
    parts::write(json)
}

/// The same in lines and indented.
pub fn write_pretty(json: &[u8]) -> Option<Vec<u8>> {
    writer::write(json, true)
}

/// The letter a reference (without `&` and `;`) stands for.
pub(crate) fn letter(reference: &str) -> Option<char> {
    escape::reference(reference).ok()
}

#[cfg(test)]
mod tests;
