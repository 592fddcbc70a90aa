//! A message and its documents, written as a stream.

use bytes::Bytes;

use super::Format;
use super::base64::Encoder;
use crate::addressing::Addressing;
use crate::names::namespace::XOP;
use crate::soap;

/// A document that goes with a message.
pub trait Enclosed {
    /// Its media type.
    fn content_type(&self) -> &str;
    /// Its bytes.
    fn length(&self) -> u64;
}

/// A piece of the element of a body: its XML, and documents where their base64 would stand.
#[derive(Debug)]
pub enum Piece<D> {
    /// XML.
    Xml(Bytes),
    /// A document.
    Document(D),
}

/// A piece of the bytes of a message.
#[derive(Debug)]
pub enum Frame<D> {
    /// Bytes at hand.
    Bytes(Bytes),
    /// The bytes of a document, as base64 ([`Encoder`]) or as they are.
    Document {
        /// The document.
        document: D,
        /// Whether it is written in base64.
        base64: bool,
    },
}

/// A message ready to be sent.
#[derive(Debug)]
pub struct Package<D> {
    /// Its content type.
    pub content_type: String,
    /// Its bytes in all.
    pub length: u64,
    /// What it consists of.
    pub frames: Vec<Frame<D>>,
}

/// Puts a message together. `unique` names its parts and stands in none of the documents: a UUID made for it.
pub fn package<D: Enclosed>(
    addressing: &Addressing,
    body: Vec<Piece<D>>,
    format: Format,
    unique: &str,
) -> Package<D> {
    let action = addressing.action.as_deref().unwrap_or_default();
    let (head, tail) = soap::around(addressing);
    let mut package = Package { content_type: String::new(), length: 0, frames: Vec::new() };
    match format {
        Format::Simple => {
            package.content_type =
                format!("{}; charset=UTF-8{}", soap::MEDIA_TYPE, parameter("action", action));
            package.bytes(head);
            for piece in body {
                match piece {
                    Piece::Xml(xml) => package.bytes(xml),
                    Piece::Document(document) => package.document(document, true),
                }
            }
            package.bytes(Bytes::from_static(tail));
        }
        Format::Package => {
            package.content_type = format!(
                "multipart/related; type=\"application/xop+xml\"; boundary=\"MIME-{unique}\"; start=\"<root.{unique}@docshare>\"; \
                 start-info=\"{}\"{}",
                soap::MEDIA_TYPE,
                parameter("action", action)
            );
            let mut root = format!(
                "--MIME-{unique}\r\nContent-Type: application/xop+xml; charset=UTF-8; type=\"{}\"\r\n\
                 Content-Transfer-Encoding: binary\r\nContent-ID: <root.{unique}@docshare>\r\n\r\n",
                soap::MEDIA_TYPE
            )
            .into_bytes();
            root.extend_from_slice(&head);
            let mut documents = Vec::new();
            for piece in body {
                match piece {
                    Piece::Xml(xml) => root.extend_from_slice(&xml),
                    Piece::Document(document) => {
                        documents.push(document);
                        let number = documents.len();
                        let include = format!(
                            "<xop:Include xmlns:xop=\"{XOP}\" href=\"cid:{number}.{unique}@docshare\"/>"
                        );
                        root.extend_from_slice(include.as_bytes());
                    }
                }
            }
            root.extend_from_slice(tail);
            package.bytes(root);
            for (index, document) in documents.into_iter().enumerate() {
                let head = format!(
                    "\r\n--MIME-{unique}\r\nContent-Type: {}\r\nContent-Transfer-Encoding: binary\r\nContent-ID: \
                     <{}.{unique}@docshare>\r\n\r\n",
                    media_type(document.content_type()),
                    index + 1
                );
                package.bytes(head.into_bytes());
                package.document(document, false);
            }
            package.bytes(format!("\r\n--MIME-{unique}--\r\n").into_bytes());
        }
    }
    package
}

impl<D: Enclosed> Package<D> {
    fn bytes(&mut self, bytes: impl Into<Bytes>) {
        let bytes = bytes.into();
        self.length += bytes.len() as u64;
        self.frames.push(Frame::Bytes(bytes));
    }

    fn document(&mut self, document: D, base64: bool) {
        let length = document.length();
        self.length += if base64 { Encoder::length(length) } else { length };
        self.frames.push(Frame::Document { document, base64 });
    }
}

/// A parameter of a content type, if its value is sound.
fn parameter(name: &str, value: &str) -> String {
    let sound =
        !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    if sound { format!("; {name}=\"{value}\"") } else { String::new() }
}

/// A media type as the head of a part may hold it.
fn media_type(text: &str) -> &str {
    let sound = text.contains('/') && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    if sound { text } else { "application/octet-stream" }
}
