//! MTOM/XOP: a message and its documents as one package, read and written as a stream; and the same message without a package,
//! its documents as base64 within it. Documents pass by in pieces; only the message itself is kept.

mod base64;
mod content_type;
mod package;
mod parts;
mod quoted;
mod reader;
mod root;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use crate::element::Element;
use crate::names::namespace::XOP;
use crate::reader as xml;

pub use base64::Encoder;
pub use content_type::{ContentType, Format};
pub use package::{Enclosed, Frame, Package, Piece, package};
pub use reader::Reader;

/// What one message may cost. Sizes in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Of the XML.
    pub xml: xml::Limits,
    /// The message without its documents.
    pub root: u64,
    /// One document.
    pub document: u64,
    /// All documents.
    pub submission: u64,
    /// Documents.
    pub documents: u64,
    /// Parts of a package.
    pub parts: u64,
    /// The head of a part.
    pub part_header: u64,
    /// Whether base64 within elements called Document passes by; else it is text like any other.
    pub inline: bool,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            xml: xml::Limits::default(),
            root: 8 << 20,
            document: 100 << 20,
            submission: 250 << 20,
            documents: 100,
            parts: 102,
            part_header: 8 << 10,
            inline: true,
        }
    }
}

/// Configuration keys of the limits.
pub mod key {
    /// Of [`super::Limits::root`].
    pub const ROOT: &str = "server.limits.max_body_bytes";
    /// Of [`super::Limits::document`].
    pub const DOCUMENT: &str = "server.limits.max_document_bytes";
    /// Of [`super::Limits::submission`].
    pub const SUBMISSION: &str = "server.limits.max_submission_bytes";
    /// Of [`super::Limits::documents`].
    pub const DOCUMENTS: &str = "server.limits.max_documents";
    /// Of [`super::Limits::parts`].
    pub const PARTS: &str = "server.limits.max_parts";
    /// Of [`super::Limits::part_header`].
    pub const PART_HEADER: &str = "server.limits.max_part_header_bytes";
}

/// Where the bytes of a document come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A part of the package, by its content id without angle brackets; empty: it has none.
    Part(String),
    /// Base64 within the message: the so manieth, from 0.
    Inline(usize),
}

/// What a reader has come to.
#[derive(Debug)]
pub enum Event {
    /// The message itself. An element whose base64 passed by has an `xop:Include` in its place.
    Root(Box<Element>),
    /// A document begins.
    Begin(Source),
    /// Bytes of the document that has begun.
    Bytes(Bytes),
    /// The document ends.
    End,
}

/// Why a message is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is not what it should be.
    #[error("{0}")]
    Broken(String),
    /// It is larger than a limit.
    #[error("larger than {limit} ({key})")]
    TooLarge {
        /// The limit.
        limit: u64,
        /// Its key.
        key: &'static str,
    },
}

fn broken<T>(text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Broken(text.into()))
}

/// What an `xop:Include` points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// Bytes of this message.
    Here(Source),
    /// Something else, which is never fetched.
    Elsewhere,
}

/// The reference an element holds in place of its content; none: it holds none.
pub fn included(element: &Element) -> Option<Reference> {
    let href = element.child(XOP, "Include")?.attribute("href").unwrap_or_default().trim();
    if let Some(number) = href.strip_prefix(root::PLACE) {
        return Some(number.parse().map_or(Reference::Elsewhere, |n| Reference::Here(Source::Inline(n))));
    }
    let cid = href.get(..4).filter(|scheme| scheme.eq_ignore_ascii_case("cid:")).map(|_| &href[4..]);
    Some(cid.map_or(Reference::Elsewhere, |id| Reference::Here(Source::Part(content_id(&decoded(id))))))
}

/// A content id without the brackets and blanks around it.
fn content_id(text: &str) -> String {
    let text = text.trim();
    text.strip_prefix('<').and_then(|rest| rest.strip_suffix('>')).unwrap_or(text).trim().to_owned()
}

/// Text with its percent-encoding taken away; what is not such stays as it is.
fn decoded(text: &str) -> String {
    let (mut out, bytes, mut at) = (Vec::with_capacity(text.len()), text.as_bytes(), 0);
    while let Some(byte) = bytes.get(at) {
        let hex = text.get(at + 1..at + 3).filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
        match (byte, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            _ => {
                out.push(*byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Whether two ways of writing a content id mean the same part.
pub fn same_part(one: &str, other: &str) -> bool {
    one == other || decoded(one) == decoded(other)
}
