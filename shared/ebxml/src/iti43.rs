//! Retrieve Document Set [ITI-43] and, of the same shape, Remove Documents [ITI-86]: requests and answers.
//!
//! Of an answer only the XML around the documents is written and read here: the bytes stream past.

use crate::element::Element;
use crate::mtom::{Piece, Reference, included};
use crate::names::namespace::{RMD, RS, XDS};
use crate::writer::Writer;

/// Name of the body of a retrieval.
pub const RETRIEVE: (&str, &str) = (XDS, "RetrieveDocumentSetRequest");
/// Name of the body of a removal.
pub const REMOVE: (&str, &str) = (RMD, "RemoveDocumentsRequest");

/// One document that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DocumentRequest {
    /// HomeCommunityId, as it was written.
    pub home: Option<String>,
    /// RepositoryUniqueId; empty: it is missing.
    pub repository: String,
    /// DocumentUniqueId; empty: it is missing.
    pub unique_id: String,
}

/// Reads the documents a request names, in its order. The elements are found in either namespace: clients copy those of ITI-43
/// into ITI-86.
pub fn read_request(body: &Element) -> Vec<DocumentRequest> {
    let requests = body.children.iter().filter(|child| &*child.name == "DocumentRequest");
    requests
        .map(|request| {
            let text = |name: &str| {
                let child = request.children.iter().find(|child| &*child.name == name);
                child.map(Element::trimmed).filter(|text| !text.is_empty()).map(str::to_owned)
            };
            DocumentRequest {
                home: text("HomeCommunityId"),
                repository: text("RepositoryUniqueId").unwrap_or_default(),
                unique_id: text("DocumentUniqueId").unwrap_or_default(),
            }
        })
        .collect()
}

/// Writes a request: [`RETRIEVE`] or [`REMOVE`].
pub fn write_request((namespace, _): (&str, &str), documents: &[DocumentRequest]) -> Vec<u8> {
    let mut xml = Writer::with_capacity(256 + documents.len() * 256);
    if namespace == RMD {
        xml.start("rmd:RemoveDocumentsRequest").attribute("xmlns:rmd", RMD).attribute("xmlns:xds", XDS);
    } else {
        xml.start("xds:RetrieveDocumentSetRequest").attribute("xmlns:xds", XDS);
    }
    for document in documents {
        xml.start("xds:DocumentRequest");
        if let Some(home) = &document.home {
            xml.leaf("xds:HomeCommunityId", home);
        }
        xml.leaf("xds:RepositoryUniqueId", &document.repository);
        xml.leaf("xds:DocumentUniqueId", &document.unique_id).end();
    }
    xml.finish()
}

/// A document in an answer.
#[derive(Debug)]
pub struct Given<D> {
    /// As it was asked for: what is said again.
    pub request: DocumentRequest,
    /// Its media type.
    pub mime_type: String,
    /// Its bytes.
    pub document: D,
}

/// Writes an answer. `response` is the `rs:RegistryResponse`, whole, with its namespaces.
pub fn write_answer<D>(response: &[u8], documents: Vec<Given<D>>) -> Vec<Piece<D>> {
    const END: &[u8] = b"</xds:Document></xds:DocumentResponse>";
    let mut pieces = Vec::with_capacity(documents.len() * 2 + 1);
    let mut head = Vec::with_capacity(response.len() + 512);
    head.extend_from_slice(b"<xds:RetrieveDocumentSetResponse xmlns:xds=\"");
    head.extend_from_slice(XDS.as_bytes());
    head.extend_from_slice(b"\">");
    head.extend_from_slice(response);
    for Given { request, mime_type, document } in documents {
        let mut xml = Writer::with_capacity(512);
        xml.start("xds:DocumentResponse");
        if let Some(home) = &request.home {
            xml.leaf("xds:HomeCommunityId", home);
        }
        xml.leaf("xds:RepositoryUniqueId", &request.repository);
        xml.leaf("xds:DocumentUniqueId", &request.unique_id);
        xml.leaf("xds:mimeType", &mime_type).start("xds:Document").text("");
        let written = xml.finish();
        head.extend_from_slice(written.strip_suffix(END).unwrap_or(&written));
        pieces.push(Piece::Xml(std::mem::take(&mut head).into()));
        pieces.push(Piece::Document(document));
        head.extend_from_slice(END);
    }
    head.extend_from_slice(b"</xds:RetrieveDocumentSetResponse>");
    pieces.push(Piece::Xml(head.into()));
    pieces
}

/// A document as an answer tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// What was asked for, as it is said again.
    pub request: DocumentRequest,
    /// NewRepositoryUniqueId and NewDocumentUniqueId, of a document that was made when it was asked for.
    pub new: (Option<String>, Option<String>),
    /// Its media type.
    pub mime_type: String,
    /// Where its bytes are.
    pub document: Option<Reference>,
}

/// Reads an answer: its `rs:RegistryResponse`, and the documents in its order.
pub fn read_answer(body: &Element) -> (Option<&Element>, Vec<Told>) {
    let responses = body.children_named(XDS, "DocumentResponse").map(|response| {
        let text = |name: &str| {
            let child = response.child(XDS, name);
            child.map(Element::trimmed).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        Told {
            request: DocumentRequest {
                home: text("HomeCommunityId"),
                repository: text("RepositoryUniqueId").unwrap_or_default(),
                unique_id: text("DocumentUniqueId").unwrap_or_default(),
            },
            new: (text("NewRepositoryUniqueId"), text("NewDocumentUniqueId")),
            mime_type: text("mimeType").unwrap_or_default(),
            document: response.child(XDS, "Document").and_then(included),
        }
    });
    (body.child(RS, "RegistryResponse"), responses.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{self, Limits};

    fn request() -> DocumentRequest {
        DocumentRequest {
            home: Some("urn:oid:1.2.3".to_owned()),
            repository: "1.2.4".to_owned(),
            unique_id: "1.2.5^a&b".to_owned(),
        }
    }

    #[test]
    fn a_request_is_read_as_it_was_written() {
        for kind in [RETRIEVE, REMOVE] {
            let documents = [request(), DocumentRequest { home: None, ..request() }];
            let xml = write_request(kind, &documents);
            let body = reader::read(&xml, &Limits::default()).unwrap();
            assert!(body.is(kind.0, kind.1));
            assert_eq!(read_request(&body), documents);
        }
    }

    #[test]
    fn an_answer_has_its_documents_between_its_xml_in_the_order_of_the_schema() {
        let response =
            b"<rs:RegistryResponse xmlns:rs=\"urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0\" status=\"s\"/>";
        let given = Given { request: request(), mime_type: "text/plain".to_owned(), document: "aGFsbG8=" };
        let pieces = write_answer(response, vec![given]);
        let xml: Vec<u8> = pieces
            .iter()
            .flat_map(|piece| match piece {
                Piece::Xml(xml) => xml.to_vec(),
                Piece::Document(base64) => base64.as_bytes().to_vec(),
            })
            .collect();
        let body = reader::read(&xml, &Limits::default()).unwrap();
        let names: Vec<&str> = body.children[1].children.iter().map(|child| &*child.name).collect();
        assert_eq!(
            names,
            ["HomeCommunityId", "RepositoryUniqueId", "DocumentUniqueId", "mimeType", "Document"]
        );
        let (status, told) = read_answer(&body);
        assert_eq!(status.and_then(|status| status.attribute("status")), Some("s"));
        assert_eq!((&told[0].request, told[0].mime_type.as_str()), (&request(), "text/plain"));
        assert_eq!(body.children[1].children[4].text, "aGFsbG8=");
    }
}
