//! Remove Metadata [ITI-62] (TF-2 3.62): ids of what the registry is to forget.

use std::collections::HashSet;

use xds::{EntryUuid, Finding, Findings, Place, Rule};

use crate::element::Element;
use crate::names::namespace::{LCM, RIM};
use crate::rim::{told, write_object_reference};
use crate::writer::Writer;

/// `wsa:Action` of the request and of its answer.
pub const DELETE: (&str, &str) =
    ("urn:ihe:iti:2010:DeleteDocumentSet", "urn:ihe:iti:2010:DeleteDocumentSetResponse");

/// `deletionScope`, the only one there is for us.
const DELETE_ALL: &str = "urn:oasis:names:tc:ebxml-regrep:DeletionScopeType:DeleteAll";

/// Objects of one request.
const MAX_IDS: usize = 10_000;

/// Reads the ids from a `lcm:RemoveObjectsRequest`, each once.
///
/// # Errors
/// No id, an id that is no entryUUID, and a scope other than DeleteAll.
pub fn read(body: &Element) -> Result<Vec<EntryUuid>, Findings> {
    let mut findings = Findings::new();
    let (mut ids, mut known) = (Vec::new(), HashSet::new());
    if let Some(scope) = body.attribute("deletionScope").filter(|scope| !scope.trim().ends_with(":DeleteAll"))
    {
        let text = format!("deletionScope is {scope:?}; metadata is removed as a whole, {DELETE_ALL}.");
        let place = Place::at("RemoveObjectsRequest/@deletionScope");
        findings.push(Finding::error(Rule::MetadataInvalid, place, text));
    }
    let list = body.child(RIM, "ObjectRefList");
    for reference in list.into_iter().flat_map(|list| list.children_named(RIM, "ObjectRef")) {
        let id = reference.attribute("id").unwrap_or_default().trim();
        match EntryUuid::parse(id) {
            Some(uuid) if known.contains(&uuid) => {}
            Some(uuid) => {
                known.insert(uuid.clone());
                ids.push(uuid);
            }
            None => {
                let text =
                    format!("{id:?} is no entryUUID of something registered; it is urn:uuid: and a UUID.");
                let place = Place::at(format!("ObjectRef[@id='{id}']")).of("entryUUID");
                findings.push(Finding::error(Rule::UnresolvedReference, place, text));
            }
        }
    }
    if ids.len() > MAX_IDS {
        let text = format!(
            "The request names {} objects; at most {MAX_IDS} are removed at once. Remove them in several requests.",
            ids.len()
        );
        let place = Place::at("RemoveObjectsRequest/ObjectRefList");
        findings.push(Finding::error(Rule::MetadataInvalid, place, text));
    }
    if ids.is_empty() && findings.is_empty() {
        let text = "The request names nothing to remove; rim:ObjectRefList holds a rim:ObjectRef with the id of each object.";
        let place = Place::at("RemoveObjectsRequest/ObjectRefList");
        findings.push(Finding::error(Rule::MetadataRequired, place, text));
    }
    if findings.is_empty() { Ok(ids) } else { Err(told(findings)) }
}

/// Writes the body of a request.
pub fn write_request(ids: &[EntryUuid]) -> Vec<u8> {
    let mut out = Writer::with_capacity(300 + 90 * ids.len());
    out.start("lcm:RemoveObjectsRequest").attribute("xmlns:lcm", LCM).attribute("xmlns:rim", RIM);
    out.attribute("deletionScope", DELETE_ALL).start("rim:ObjectRefList");
    for id in ids {
        write_object_reference(&mut out, &format!("urn:uuid:{}", id.as_str()), None);
    }
    out.end().end();
    out.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{self, Limits};

    #[test]
    fn a_request_names_so_many_objects_at_most() {
        let refs: String = (0..60_000)
            .map(|n| format!("<ObjectRef id='urn:uuid:10b545ea-725c-446d-9b95-{n:012x}'/>"))
            .collect();
        let xml = format!(
            "<l:RemoveObjectsRequest xmlns:l='{LCM}'><ObjectRefList xmlns='{RIM}'>{refs}</ObjectRefList></l:RemoveObjectsRequest>"
        );
        let findings = read(&reader::read(xml.as_bytes(), &Limits::default()).unwrap()).unwrap_err();
        assert!(findings[0].text.contains("10000"), "{findings:?}");
    }

    #[test]
    fn ids_come_back_as_they_were_written() {
        let ids = [EntryUuid::parse("4c5ca0e4-14d3-4b1d-9c4e-5f2c4a1d7b6a").unwrap()];
        let element = reader::read(&write_request(&ids), &Limits::default()).unwrap();
        assert_eq!(read(&element), Ok(ids.to_vec()));
    }

    #[test]
    fn a_request_that_names_nothing_or_no_uuid_is_refused() {
        let empty = reader::read(&write_request(&[]), &Limits::default()).unwrap();
        assert_eq!(read(&empty).unwrap_err()[0].rule, Rule::MetadataRequired);
        let xml = format!(
            "<l:RemoveObjectsRequest xmlns:l=\"{LCM}\" xmlns:r=\"{RIM}\" deletionScope=\"urn:x:DeleteRepositoryItemOnly\">\
             <r:ObjectRefList><r:ObjectRef id=\"Document01\"/></r:ObjectRefList></l:RemoveObjectsRequest>"
        );
        let element = reader::read(xml.as_bytes(), &Limits::default()).unwrap();
        let rules: Vec<Rule> = read(&element).unwrap_err().iter().map(|finding| finding.rule).collect();
        assert_eq!(rules, [Rule::MetadataInvalid, Rule::UnresolvedReference]);
    }
}
