//! AdhocQueryResponse: a status, errors, and the objects found or references to them.

use bytes::Bytes;
use xds::{Finding, Findings, Side};

use crate::names::namespace;
use crate::response::{self, RegistryError, Status};
use crate::rim::{self, Objects};
use crate::{Element, Writer};

/// Bytes of the answer around its objects, about.
const AROUND: usize = 512;

/// What stands behind the objects.
const TAIL: &[u8] = b"</rim:RegistryObjectList></query:AdhocQueryResponse>";

/// Writes an answer with objects that are written already, with the prefix `rim`: parts that follow each other, for the objects are
/// many and stay where they are.
pub fn write_response(objects: Vec<Bytes>) -> Vec<Bytes> {
    let mut xml = Writer::with_capacity(AROUND);
    begin(&mut xml, Status::Success);
    xml.start("rim:RegistryObjectList").text("");
    let mut head = xml.finish();
    head.truncate(head.len() - TAIL.len());
    let mut parts = Vec::with_capacity(objects.len() + 2);
    parts.push(Bytes::from(head));
    parts.extend(objects);
    parts.push(Bytes::from_static(TAIL));
    parts
}

/// Writes the answer to a query that was refused.
pub fn write_refusal(findings: &[Finding]) -> Vec<u8> {
    let mut xml = Writer::with_capacity(AROUND + 512 * findings.len());
    begin(&mut xml, Status::Failure);
    response::write_errors(&mut xml, &response::errors(findings, Side::Registry));
    xml.start("rim:RegistryObjectList");
    xml.finish()
}

fn begin(xml: &mut Writer, status: Status) {
    xml.start("query:AdhocQueryResponse")
        .attribute("xmlns:query", namespace::QUERY)
        .attribute("xmlns:rim", namespace::RIM)
        .attribute("xmlns:rs", namespace::RS)
        .attribute("status", status.urn());
}

/// An answer, read.
#[derive(Debug, Clone)]
pub struct Response {
    /// How it went.
    pub status: Status,
    /// Errors and warnings.
    pub errors: Vec<RegistryError>,
    /// The objects, and references to those that are not given whole.
    pub objects: Objects,
    /// What is wrong with the objects themselves.
    pub remarks: Findings,
}

/// Reads an answer. None: it says no status we know.
pub fn read_response(answer: &Element) -> Option<Response> {
    let head = response::read(answer)?;
    let list = answer.child(namespace::RIM, "RegistryObjectList");
    let (objects, remarks) = list.map(rim::read_objects).unwrap_or_default();
    Some(Response { status: head.status, errors: head.errors, objects, remarks })
}
