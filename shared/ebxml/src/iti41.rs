//! Provide and Register Document Set-b [ITI-41] (TF-2 3.41): the metadata, and which element holds which document. The
//! documents themselves pass by in a stream (`mtom`).

use std::collections::HashSet;

use xds::{Finding, Findings, Place, Rule, Submission};

use crate::element::Element;
use crate::names::namespace::{LCM, XDS, XOP};
use crate::rim::{self, Column, Ids};
use crate::writer::Writer;

/// `wsa:Action` of the request and of the answer.
pub const PROVIDE: (&str, &str) = (
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b",
    "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-bResponse",
);

/// A request, without the bytes of its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request<'a> {
    /// What is submitted.
    pub submission: Submission,
    /// The elements of the documents, each with the symbol of its entry, in the order of the message.
    pub documents: Vec<(&'a str, &'a Element)>,
}

/// Reads the request from its `xds:ProvideAndRegisterDocumentSetRequest`. It is worth nothing where a finding is an error.
/// Documents without entry are said; entries without document are for whoever knows which bytes arrived.
pub fn read_request(body: &Element) -> (Request<'_>, Findings) {
    let (submission, mut findings) = match body.child(LCM, "SubmitObjectsRequest") {
        Some(request) => rim::read_submission(request, Column::Source),
        None => {
            let text = "The request holds no lcm:SubmitObjectsRequest with the metadata of its documents.";
            let (submission, _) = rim::read_submission(&Element::default(), Column::Source);
            let place = Place::at("ProvideAndRegisterDocumentSetRequest/SubmitObjectsRequest");
            (submission, vec![Finding::error(Rule::MetadataInvalid, place, text)])
        }
    };
    let mut documents: Vec<(&str, &Element)> = Vec::new();
    let symbols = submission.documents.iter().map(|entry| entry.symbol.as_str());
    let exact: HashSet<&str> = symbols.clone().collect();
    let folded: HashSet<String> = symbols.map(str::to_ascii_lowercase).collect();
    let has_entry = |id: &str| {
        exact.contains(id) || (id.starts_with("urn:uuid:") && folded.contains(&id.to_ascii_lowercase()))
    };
    let mut known = HashSet::new();
    for element in body.children_named(XDS, "Document") {
        let id = element.attribute("id").unwrap_or_default().trim();
        let place = Place::at(format!("Document[@id='{id}']"));
        if !known.insert(id) {
            let text =
                format!("Two documents have the id {id:?}; each has the id of its own ExtrinsicObject.");
            findings.push(Finding::error(Rule::MetadataInvalid, place, text));
        } else if has_entry(id) {
            documents.push((id, element));
        } else {
            let text = format!(
                "The document {id:?} has no metadata: no ExtrinsicObject of the submission has this id."
            );
            findings.push(Finding::error(Rule::MissingDocumentMetadata, place, text));
        }
    }
    drop((exact, folded));
    (Request { submission, documents }, rim::told(findings))
}

impl<'a> Request<'a> {
    /// The element that holds the document of an entry.
    pub fn document(&self, symbol: &str) -> Option<&'a Element> {
        self.documents.iter().find(|(id, _)| same_id(symbol, id)).map(|(_, element)| *element)
    }
}

/// The finding for an entry whose document did not come.
pub fn missing_document(submission: &Submission, symbol: &str) -> Finding {
    let text = format!(
        "The document of the entry {symbol} did not come: the message holds no Document with the id {symbol:?}."
    );
    Finding::error(Rule::MissingDocument, Place::at(submission.place(symbol)), text)
}

/// Ids of entry and document are the same text; UUIDs in any case.
fn same_id(symbol: &str, id: &str) -> bool {
    symbol == id || (id.starts_with("urn:uuid:") && symbol.eq_ignore_ascii_case(id))
}

/// Writes the body of a request. `content_id` gives the id of the part that carries the document of an entry, by its symbol;
/// entries without one are written without document.
///
/// # Errors
/// An association to something that only its uniqueId names.
pub fn write_request(
    submission: &Submission,
    content_id: impl Fn(&str) -> Option<String>,
) -> Result<(Vec<u8>, Ids), Finding> {
    let mut out = Writer::with_capacity(8192 * (1 + submission.documents.len()));
    out.start("xds:ProvideAndRegisterDocumentSetRequest").attribute("xmlns:xds", XDS);
    let ids = rim::write_submission(&mut out, submission)?;
    for entry in &submission.documents {
        let Some(part) = content_id(&entry.symbol) else { continue };
        out.start("xds:Document").attribute("id", ids.of_symbol(&entry.symbol).unwrap_or_default());
        out.start("xop:Include").attribute("xmlns:xop", XOP).attribute("href", &format!("cid:{part}")).end();
        out.end();
    }
    out.end();
    Ok((out.finish(), ids))
}
