//! The message itself while it passes: its XML is kept, base64 within a Document is not.

use bytes::Bytes;

use super::base64::Decoder;
use super::{Event, Limits, Refusal, Source, broken, key};
use crate::element::Element;
use crate::reader::{self as xml, Encoding, Utf8};

/// What the reference to base64 that passed by begins with.
pub(super) const PLACE: &str = "docshare-inline:";

/// Bytes of base64 decoded at a time, at most.
const PIECE: usize = 256 << 10;

#[derive(Debug)]
pub(super) struct Root {
    utf8: Utf8,
    /// The XML without base64.
    kept: Vec<u8>,
    at: At,
    document: Option<Document>,
    /// Documents that have begun.
    count: usize,
    limits: Limits,
}

/// In what the next byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Text,
    /// In a tag that begins there.
    Tag {
        start: usize,
        quote: Option<u8>,
    },
    /// In something that ends with these bytes, not before so many are kept.
    Until {
        end: &'static [u8],
        from: usize,
    },
    /// In a CDATA section of a Document, of which so many closing letters have come.
    Data {
        closing: usize,
    },
}

/// An element called Document that is open.
#[derive(Debug, Default)]
struct Document {
    base64: Decoder,
    begun: bool,
    has_child: bool,
    /// A reference to a letter that has begun.
    reference: Vec<u8>,
}

impl Root {
    pub(super) fn new(limits: Limits) -> Root {
        Root { utf8: Utf8::default(), kept: Vec::new(), at: At::Text, document: None, count: 0, limits }
    }

    pub(super) fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Refusal> {
        for piece in bytes.chunks(PIECE) {
            let mut text = Vec::with_capacity(piece.len() + 4);
            self.utf8.feed(piece, &mut text).map_err(Refusal::Broken)?;
            self.text(&text, events)?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self, events: &mut Vec<Event>) -> Result<(Element, Encoding), Refusal> {
        let mut text = Vec::new();
        self.utf8.finish(&mut text).map_err(Refusal::Broken)?;
        self.text(&text, events)?;
        if self.document.is_some() {
            return broken("The message ends within a Document.");
        }
        let encoding = self.utf8.encoding();
        let read = xml::read_text(&self.kept, encoding, &self.limits.xml);
        read.map(|element| (element, encoding)).map_err(|wrong| {
            let place = if wrong.line > 0 { format!(" (line {})", wrong.line) } else { String::new() };
            Refusal::Broken(format!("The message cannot be read as XML: {}{place}.", wrong.text))
        })
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if (self.kept.len() + bytes.len()) as u64 > self.limits.root {
            return Err(Refusal::TooLarge { limit: self.limits.root, key: key::ROOT });
        }
        self.kept.extend_from_slice(bytes);
        Ok(())
    }

    fn text(&mut self, mut text: &[u8], events: &mut Vec<Event>) -> Result<(), Refusal> {
        while !text.is_empty() {
            let used = match self.at {
                At::Text => self.content(text, events)?,
                At::Tag { start, quote } => self.tag(text, start, quote, events)?,
                At::Until { end, from } => self.until(text, end, from)?,
                At::Data { closing } => self.data(text, closing, events)?,
            };
            text = &text[used..];
        }
        Ok(())
    }

    /// Text between tags; answers how much of it was used.
    fn content(&mut self, text: &[u8], events: &mut Vec<Event>) -> Result<usize, Refusal> {
        let end = memchr::memchr(b'<', text);
        let content = &text[..end.unwrap_or(text.len())];
        if self.document.is_some() {
            self.base64(content, events)?;
        } else {
            self.keep(content)?;
        }
        if end.is_some() {
            self.at = At::Tag { start: self.kept.len(), quote: None };
            self.keep(b"<")?;
        }
        Ok(content.len() + usize::from(end.is_some()))
    }

    fn tag(
        &mut self,
        text: &[u8],
        start: usize,
        mut quote: Option<u8>,
        events: &mut Vec<Event>,
    ) -> Result<usize, Refusal> {
        for (at, byte) in text.iter().enumerate() {
            self.keep(&[*byte])?;
            let used = at + 1;
            let so_far = self.kept.get(start..).unwrap_or_default();
            match (quote, byte) {
                (Some(open), byte) => {
                    if open == *byte {
                        quote = None;
                    }
                    continue;
                }
                (None, b'?') if so_far == b"<?" => {
                    self.at = At::Until { end: b"?>", from: self.kept.len() };
                    return Ok(used);
                }
                (None, b'-') if so_far == b"<!--" => {
                    self.at = At::Until { end: b"-->", from: self.kept.len() };
                    return Ok(used);
                }
                (None, b'[') if so_far == b"<![CDATA[" => {
                    self.at = if self.document.is_some() {
                        self.kept.truncate(start);
                        At::Data { closing: 0 }
                    } else {
                        At::Until { end: b"]]>", from: self.kept.len() }
                    };
                    return Ok(used);
                }
                (None, b'"' | b'\'') => quote = Some(*byte),
                (None, b'>') => {
                    self.at = At::Text;
                    self.closed(start, events)?;
                    return Ok(used);
                }
                (None, _) if so_far == b"<!D" => {
                    return broken(
                        "A document type is not taken: nothing is defined within a message, nothing is fetched.",
                    );
                }
                (None, _) => {}
            }
        }
        self.at = At::Tag { start, quote };
        Ok(text.len())
    }

    fn until(&mut self, text: &[u8], end: &'static [u8], from: usize) -> Result<usize, Refusal> {
        let last = end.last().copied().unwrap_or(b'>');
        let mut used = 0;
        while let Some(at) = memchr::memchr(last, &text[used..]) {
            self.keep(&text[used..=used + at])?;
            used += at + 1;
            if self.kept.get(from..).unwrap_or_default().ends_with(end) {
                self.at = At::Text;
                return Ok(used);
            }
        }
        self.keep(&text[used..])?;
        Ok(text.len())
    }

    /// Base64 in a CDATA section, which ends with `]]>`.
    fn data(&mut self, text: &[u8], closing: usize, events: &mut Vec<Event>) -> Result<usize, Refusal> {
        if closing > 0 {
            let wanted = if closing == 1 { b']' } else { b'>' };
            if text[0] != wanted {
                return broken("A Document is not base64.");
            }
            self.at = if closing == 1 { At::Data { closing: 2 } } else { At::Text };
            return Ok(1);
        }
        let end = memchr::memchr(b']', text);
        self.base64(&text[..end.unwrap_or(text.len())], events)?;
        let Some(end) = end else { return Ok(text.len()) };
        self.at = At::Data { closing: 1 };
        Ok(end + 1)
    }

    /// A tag is whole: whether a Document begins or ends with it.
    fn closed(&mut self, start: usize, events: &mut Vec<Event>) -> Result<(), Refusal> {
        if !self.limits.inline {
            return Ok(());
        }
        let tag = &self.kept[start..];
        let (is_end, is_empty) = (tag.starts_with(b"</"), tag.ends_with(b"/>"));
        let is_document = local_name(tag) == b"Document";
        match (&mut self.document, is_document && is_end) {
            (Some(_), true) => self.end(start, events),
            (Some(document), false) => {
                document.has_child = true;
                if document.begun { broken("A Document holds both base64 and an element.") } else { Ok(()) }
            }
            (None, _) => {
                if is_document && !is_end && !is_empty {
                    self.document = Some(Document::default());
                }
                Ok(())
            }
        }
    }

    fn base64(&mut self, text: &[u8], events: &mut Vec<Event>) -> Result<(), Refusal> {
        let Some(document) = &mut self.document else { return Ok(()) };
        let mut rest = text;
        let mut out = Vec::with_capacity(text.len() / 4 * 3 + 4);
        let wrong = |()| Refusal::Broken("A Document is not base64.".to_owned());
        while !rest.is_empty() {
            if document.reference.is_empty() {
                let end = memchr::memchr(b'&', rest);
                let plain = &rest[..end.unwrap_or(rest.len())];
                if plain.iter().any(|byte| !byte.is_ascii_whitespace()) && !document.begun {
                    document.begun = true;
                    if document.has_child {
                        return broken("A Document holds both base64 and an element.");
                    }
                    events.push(Event::Begin(Source::Inline(self.count)));
                }
                document.base64.take(plain, &mut out).map_err(wrong)?;
                rest = &rest[plain.len()..];
                if end.is_some() {
                    document.reference.push(b'&');
                    rest = &rest[1..];
                }
            } else {
                let (byte, after) = (rest[0], &rest[1..]);
                rest = after;
                document.reference.push(byte);
                if byte == b';' {
                    let letter =
                        referred(&std::mem::take(&mut document.reference)).ok_or(()).map_err(wrong)?;
                    document.base64.take(&[letter], &mut out).map_err(wrong)?;
                } else if document.reference.len() > 10 {
                    return Err(wrong(()));
                }
            }
        }
        if !out.is_empty() {
            events.push(Event::Bytes(Bytes::from(out)));
        }
        Ok(())
    }

    /// A Document ends with the tag that begins there.
    fn end(&mut self, start: usize, events: &mut Vec<Event>) -> Result<(), Refusal> {
        let Some(document) = self.document.take() else { return Ok(()) };
        if !document.base64.complete() || !document.reference.is_empty() {
            return broken("A Document is not base64: it ends within a group of four letters.");
        }
        if document.has_child {
            return Ok(());
        }
        if !document.begun {
            events.push(Event::Begin(Source::Inline(self.count)));
        }
        events.push(Event::End);
        let include = format!("<Include xmlns=\"{}\" href=\"{PLACE}{}\"/>", super::XOP, self.count);
        self.count += 1;
        self.kept.splice(start..start, include.into_bytes());
        Ok(())
    }
}

/// The name of a tag without its prefix.
fn local_name(tag: &[u8]) -> &[u8] {
    let name = tag.strip_prefix(b"</").or_else(|| tag.strip_prefix(b"<")).unwrap_or(tag);
    let end = name.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'));
    let name = &name[..end.unwrap_or(name.len())];
    name.iter().position(|byte| *byte == b':').map_or(name, |colon| &name[colon + 1..])
}

/// The letter of base64 a numeric reference stands for.
fn referred(reference: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(reference).ok()?.strip_prefix("&#")?.strip_suffix(';')?;
    match text.strip_prefix('x') {
        Some(hex) => u8::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}
