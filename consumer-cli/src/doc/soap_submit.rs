//! A submission as ITI-41 has it: metadata in ebRIM, and the documents beside it.

use ebxml::iti41;
use ebxml::mtom::{Format, Frame, Piece};
use xds::{
    Association, AssociationType, Author, DocumentEntry, Hash, Identifier, ObjectRef, Patient, Profile,
    Submission, SubmissionSet, Timestamp,
};

use super::bundle::{Document, Provide, SOURCE};
use super::pending::{Attached, Pending};
use crate::exit::Failure;
use crate::query;
use crate::soap::{self, Enclosed};
use crate::token::{Code, PatientName};

const ACTION: &str = "urn:ihe:iti:2007:ProvideAndRegisterDocumentSet-b";
const URI: &str = "urn:ietf:rfc:3986";
const END: &[u8] = b"</xds:ProvideAndRegisterDocumentSetRequest>";

/// The message, ready to be sent again and again.
pub(super) fn pending(url: &str, provide: &Provide, documents: Vec<Attached>) -> Result<Pending, Failure> {
    let submission = submission(provide)?;
    let written = iti41::write_request(&submission, |_| None);
    let (body, ids) = written.map_err(|finding| Failure::other(finding.text))?;
    let Some(head) = body.strip_suffix(END) else {
        return Err(Failure::other("the message was not written as expected"));
    };
    let mut pieces = vec![Piece::Xml(head.to_vec().into())];
    for (document, entry) in provide.documents.iter().zip(&submission.documents) {
        let id = ids.of_symbol(&entry.symbol).unwrap_or(&entry.symbol);
        pieces.push(Piece::Xml(format!("<xds:Document id=\"{id}\">").into_bytes().into()));
        pieces.push(Piece::Document(Enclosed {
            content_type: document.content_type.clone(),
            size: document.size,
        }));
        pieces.push(Piece::Xml(b"</xds:Document>".as_slice().into()));
    }
    pieces.push(Piece::Xml(END.into()));
    let message = soap::message(ACTION, url, pieces, Format::Package);
    // The documents are sent in the order they were given in.
    let (mut texts, mut text) = (Vec::new(), String::new());
    for frame in message.frames {
        match frame {
            Frame::Bytes(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Frame::Document { .. } => texts.push(std::mem::take(&mut text)),
        }
    }
    texts.push(text);
    Ok(Pending {
        submission_id: provide.submission_id.clone(),
        url: url.to_owned(),
        texts,
        documents,
        package: Some(message.content_type),
    })
}

fn submission(provide: &Provide) -> Result<Submission, Failure> {
    let patient = patient(&provide.patient)?;
    let metadata = &provide.metadata;
    let source = metadata.source_id.as_deref().unwrap_or(SOURCE);
    let mut set = SubmissionSet::new("SubmissionSet01", uri(source), time(&provide.now)?);
    set.unique_id = Some(uri(&provide.submission_id));
    set.patient = patient.clone();
    set.limited_metadata = provide.minimal;
    set.content_type_codes =
        metadata.submission_type.as_ref().or(metadata.r#type.as_ref()).map(code).into_iter().collect();
    let (mut documents, mut associations) = (Vec::new(), Vec::new());
    for (number, document) in provide.documents.iter().enumerate() {
        let symbol = format!("Document{:02}", number + 1);
        documents.push(entry(&symbol, document, &patient, provide.minimal)?);
        let (source, target) = (ObjectRef::Symbol(set.symbol.clone()), ObjectRef::Symbol(symbol));
        associations.push(Association::new(AssociationType::HasMember, source, target, ""));
    }
    Ok(Submission {
        profile: if provide.minimal { Profile::Minimal } else { Profile::Comprehensive },
        submission_set: set,
        documents,
        folders: Vec::new(),
        associations,
        places: Vec::new(),
    })
}

fn entry(
    symbol: &str,
    document: &Document,
    patient: &Patient,
    minimal: bool,
) -> Result<DocumentEntry, Failure> {
    use base64::Engine as _;
    let metadata = &document.metadata;
    let mut entry = DocumentEntry::new(symbol, uri(&document.unique_id));
    entry.patient = patient.clone();
    entry.source_patient_ids = patient.identifier.clone().into_iter().collect();
    entry.type_code = metadata.r#type.as_ref().map(code);
    entry.class_codes = metadata.category.iter().map(code).collect();
    entry.confidentiality_codes = metadata.confidentiality.iter().map(code).collect();
    entry.event_codes = metadata.event.iter().map(code).collect();
    entry.facility_codes = metadata.facility.iter().map(code).collect();
    entry.practice_setting_codes = metadata.practice_setting.iter().map(code).collect();
    entry.format_code = metadata.format.as_ref().map(code);
    entry.authors = metadata.author.iter().map(|name| author(name)).collect();
    entry.comments.clone_from(&metadata.description);
    entry.title.clone_from(&metadata.title);
    entry.language.clone_from(&metadata.language);
    entry.mime_type.clone_from(&document.content_type);
    entry.size = Some(document.size);
    let hash = base64::engine::general_purpose::STANDARD.decode(&document.hash).ok();
    entry.hash = hash.and_then(|bytes| bytes.try_into().ok()).map(Hash);
    let timed = |text: &Option<String>| text.as_deref().map(time).transpose();
    entry.creation_time = timed(&metadata.creation)?;
    entry.service_start = timed(&metadata.service_start)?;
    entry.service_stop = timed(&metadata.service_stop)?;
    entry.limited_metadata = minimal;
    Ok(entry)
}

fn patient(name: &PatientName) -> Result<Patient, Failure> {
    let PatientName::Identifier(identifier) = name else {
        return Err(Failure::usage("over SOAP a patient is named by an identifier")
            .next("write --patient urn:oid:1.2.3|VALUE"));
    };
    query::cx(&format!("{}|{}", identifier.system, identifier.value))?;
    let oid = identifier.system.trim_start_matches("urn:oid:");
    let identifier = Identifier { system: format!("urn:oid:{oid}"), value: identifier.value.clone() };
    Ok(Patient { identifier: Some(identifier), ..Patient::default() })
}

fn uri(text: &str) -> Identifier {
    Identifier { system: URI.to_owned(), value: text.to_owned() }
}

fn code(code: &Code) -> xds::Code {
    xds::Code {
        system: code.system.clone(),
        code: code.code.clone(),
        display: Some(code.display.clone().unwrap_or_else(|| code.code.clone())),
    }
}

/// `Family, Given` as XCN.
fn author(name: &str) -> Author {
    let (family, given) = name.split_once(',').unwrap_or((name, ""));
    let mut given = given.split_whitespace().map(xds::hl7::escape);
    let (first, rest) = (given.next().unwrap_or_default(), given.collect::<Vec<_>>().join(" "));
    let person = format!("^{}^{first}^{rest}", xds::hl7::escape(family.trim()));
    Author { person: Some(person.trim_end_matches('^').to_owned()), ..Author::default() }
}

fn time(text: &str) -> Result<Timestamp, Failure> {
    let dtm = query::dtm(text)?;
    xds::hl7::dtm::read(&dtm).ok_or_else(|| Failure::usage(format!("this is no time: {text:?}")))
}
