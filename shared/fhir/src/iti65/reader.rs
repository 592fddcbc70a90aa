//! The body of a submission as it comes in: documents are decoded as they pass, the rest is kept.

mod base64;
mod json;
mod shell;
mod xml;

use bytes::Bytes;
use serde_json::Value;
use xds::{Findings, Side};

use crate::negotiate::Syntax;
use json::Json;
use shell::Shell;
use xml::Xml;

/// Limits of a submission.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the Bundle without its documents.
    pub body: u64,
    /// Bytes of one document.
    pub document: u64,
    /// Bytes of all documents.
    pub submission: u64,
    /// Documents.
    pub documents: u64,
    /// Entries.
    pub entries: u64,
}

/// Where the documents are in a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A Bundle: in its Binaries, `entry[n].resource.data` [ITI-65].
    Bundle,
    /// A Bundle, bare or as the `resource` of Parameters: in its Binaries (`$validate`).
    BundleOrParameters,
    /// A DocumentReference: in `content[n].attachment.data` [ITI-105].
    DocumentReference,
    /// Parameters: in `parameter[n].resource.data` [ITI-106].
    Parameters,
}

impl Form {
    /// The data of the n-th, as a FHIRPath.
    fn data(self, n: usize) -> String {
        match self {
            Form::Bundle | Form::BundleOrParameters => format!("Bundle.entry[{n}].resource.data"),
            Form::DocumentReference => format!("DocumentReference.content[{n}].attachment.data"),
            Form::Parameters => format!("Parameters.parameter[{n}].resource.data"),
        }
    }

    /// What holds the documents, as a FHIRPath.
    fn list(self) -> &'static str {
        match self {
            Form::Bundle | Form::BundleOrParameters => "Bundle.entry",
            Form::DocumentReference => "DocumentReference.content",
            Form::Parameters => "Parameters.parameter",
        }
    }

    /// The element that holds the documents.
    fn lists(self) -> Member {
        match self {
            Form::Bundle | Form::BundleOrParameters => Member::Entry,
            Form::DocumentReference => Member::Content,
            Form::Parameters => Member::Parameter,
        }
    }

    /// The element that has the data.
    fn holds(self) -> Member {
        match self {
            Form::DocumentReference => Member::Attachment,
            Form::Bundle | Form::BundleOrParameters | Form::Parameters => Member::Resource,
        }
    }
}

/// The names on the way to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Member {
    Entry,
    Content,
    Parameter,
    Resource,
    Attachment,
    Data,
    Other,
}

impl Member {
    fn named(name: &[u8]) -> Member {
        match name {
            b"entry" => Member::Entry,
            b"content" => Member::Content,
            b"parameter" => Member::Parameter,
            b"attachment" => Member::Attachment,
            b"resource" => Member::Resource,
            b"data" => Member::Data,
            _ => Member::Other,
        }
    }
}

/// What comes out of the reader while the body goes in.
#[derive(Debug)]
pub enum Event {
    /// The data of a document begins: index of its entry, content or parameter.
    Begin(usize),
    /// Its next bytes, decoded.
    Bytes(Bytes),
    /// It ends.
    End,
}

/// A pull parser over the body: the base64 of each document (by default `entry[n].resource.data`, see [`Form`]) is decoded as
/// it passes and given out as events; everything else is kept (at most `limits.body` bytes) with the data left out.
#[derive(Debug)]
pub struct Reader {
    shell: Shell,
    lexer: Lexer,
}

#[derive(Debug)]
enum Lexer {
    Json(Json),
    Xml(Xml),
}

impl Reader {
    /// A reader at the beginning of a Bundle in JSON.
    pub fn new(limits: Limits) -> Reader {
        Reader::of(Form::Bundle, Syntax::Json, limits)
    }

    /// A reader at the beginning of a body that has its documents where its form says.
    pub fn of(form: Form, syntax: Syntax, limits: Limits) -> Reader {
        let lexer = match syntax {
            Syntax::Json => Lexer::Json(Json::new(form)),
            Syntax::Xml => Lexer::Xml(Xml::new(form)),
        };
        Reader { shell: Shell::new(form, limits), lexer }
    }

    /// Takes the next bytes of the body.
    pub fn feed(&mut self, chunk: &[u8], events: &mut Vec<Event>) -> Result<(), Findings> {
        let passed = match &mut self.lexer {
            Lexer::Json(lexer) => lexer.pass(chunk, &mut self.shell, events),
            Lexer::Xml(lexer) => lexer.pass(chunk, &mut self.shell, events),
        };
        passed.map_err(|finding| vec![finding.by(Side::Repository)])
    }

    /// Ends the body: the resource without its data, strictly parsed, in its JSON form.
    pub fn finish(self) -> Result<Value, Findings> {
        let (text, cuts) = (&self.shell.text, &self.shell.cuts);
        let limits = crate::json::Limits::default();
        let read = match self.lexer {
            Lexer::Json(_) => {
                crate::json::read(text, &limits).map_err(|fault| vec![fault.finding(text, cuts)])
            }
            Lexer::Xml(_) => {
                crate::xml::read(text, &limits).map_err(|wrong| crate::xml::faults(&wrong, text, cuts))
            }
        };
        read.map_err(|findings| findings.into_iter().map(|finding| finding.by(Side::Repository)).collect())
    }
}

#[cfg(test)]
mod tests;
