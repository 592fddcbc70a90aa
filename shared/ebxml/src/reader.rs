//! XML read into an [`Element`], under limits: no document type, nothing fetched, nothing expanded but what XML itself defines.

mod encoding;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::{PrefixDeclaration, ResolveResult};

use crate::element::{Attribute, Element};

pub use encoding::{Encoding, Utf8};

/// What one message may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Elements within each other.
    pub depth: u64,
    /// Attributes of a tag, declarations of namespaces not counted.
    pub attributes: u64,
    /// Declarations of namespaces of a tag.
    pub namespaces: u64,
    /// Bytes of a text or of the value of an attribute.
    pub text: u64,
    /// Elements and attributes of a message.
    pub nodes: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 64, attributes: 64, namespaces: 32, text: 1 << 20, nodes: 200_000 }
    }
}

/// Bytes of the name of a namespace. None is that long; each element says it again.
const NAMESPACE: usize = 512;

/// Configuration keys of the limits.
pub mod key {
    /// Of [`super::Limits::depth`].
    pub const DEPTH: &str = "server.limits.max_xml_depth";
    /// Of [`super::Limits::attributes`].
    pub const ATTRIBUTES: &str = "server.limits.max_xml_attributes";
    /// Of [`super::Limits::namespaces`].
    pub const NAMESPACES: &str = "server.limits.max_xml_namespaces";
    /// Of [`super::Limits::text`].
    pub const TEXT: &str = "server.limits.max_xml_text_bytes";
    /// Of [`super::Limits::nodes`].
    pub const NODES: &str = "server.limits.max_xml_nodes";
}

/// Why a message could not be read. The words repeat nothing that was sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text} (line {line})")]
pub struct Broken {
    /// What is wrong, and what is accepted.
    pub text: String,
    /// Line, from 1; 0: not known.
    pub line: u64,
}

/// Reads a whole document: UTF-8, or UTF-16 that begins with its mark or its declaration.
///
/// # Errors
/// What is not well-formed, holds a document type, or passes a limit.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Element, Broken> {
    let mut utf8 = Utf8::default();
    let mut text = Vec::with_capacity(bytes.len());
    utf8.feed(bytes, &mut text).map_err(|text| Broken { text, line: 0 })?;
    utf8.finish(&mut text).map_err(|text| Broken { text, line: 0 })?;
    read_text(&text, utf8.encoding(), limits)
}

/// Reads a whole document that is UTF-8 now, and came in `encoding`.
pub(crate) fn read_text(bytes: &[u8], encoding: Encoding, limits: &Limits) -> Result<Element, Broken> {
    let line_at = |at: usize| 1 + memchr::memchr_iter(b'\n', &bytes[..at.min(bytes.len())]).count() as u64;
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let text = "these bytes are not UTF-8; send UTF-8, or UTF-16 with its byte order mark".to_owned();
            return Err(Broken { text, line: line_at(error.valid_up_to()) });
        }
    };
    if let Some(at) = text.find(|letter| !is_xml(letter)) {
        return Err(Broken { text: "a control character that XML does not have".into(), line: line_at(at) });
    }
    let mut xml = NsReader::from_str(text);
    xml.config_mut().expand_empty_elements = true;
    xml.config_mut().check_comments = true;
    let mut builder = Builder {
        xml,
        limits,
        encoding,
        lines: Lines { text: bytes, at: 0, line: 1 },
        nodes: 0,
        spaces: HashSet::new(),
    };
    builder.document().map_err(|(at, text)| Broken { text, line: line_at(at) })
}

/// Whether XML 1.0 has this letter.
fn is_xml(letter: char) -> bool {
    !matches!(letter, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')
}

/// Lines, counted on the way.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, at: usize) -> u64 {
        let at = at.min(self.text.len());
        if at > self.at {
            self.line += memchr::memchr_iter(b'\n', &self.text[self.at..at]).count() as u64;
            self.at = at;
        }
        self.line
    }
}

struct Builder<'a> {
    xml: NsReader<&'a [u8]>,
    limits: &'a Limits,
    encoding: Encoding,
    lines: Lines<'a>,
    nodes: u64,
    /// Names of namespaces, each kept once however many elements are in it.
    spaces: HashSet<Arc<str>>,
}

/// Where, and what.
type Wrong = (usize, String);

impl Builder<'_> {
    fn at(&self) -> usize {
        usize::try_from(self.xml.buffer_position()).unwrap_or(usize::MAX)
    }

    fn wrong<T>(&self, text: impl Into<String>) -> Result<T, Wrong> {
        Err((self.at(), text.into()))
    }

    fn document(&mut self) -> Result<Element, Wrong> {
        let mut open: Vec<Element> = Vec::new();
        let mut root = None;
        loop {
            let start = self.at();
            let event = self.xml.read_event().map_err(|error| (start, words(&error).to_owned()))?;
            match event {
                Event::Start(tag) => {
                    if root.is_some() {
                        return self.wrong("a second root element; a message has one");
                    }
                    if open.len() as u64 >= self.limits.depth {
                        let most = self.limits.depth;
                        return self.wrong(format!("nested deeper than {most} levels ({})", key::DEPTH));
                    }
                    let element = self.element(&tag, start)?;
                    open.push(element);
                }
                Event::End(_) => {
                    let Some(element) = open.pop() else { return self.wrong("an end tag stands alone") };
                    match open.last_mut() {
                        Some(parent) => parent.children.push(element),
                        None => root = Some(element),
                    }
                }
                Event::Text(text) => self.text(open.last_mut(), &text)?,
                Event::CData(text) => self.text(open.last_mut(), &text)?,
                Event::GeneralRef(reference) => {
                    let letter = letter_of(&reference).map_err(|why| (start, why.to_owned()))?;
                    self.text(open.last_mut(), letter.encode_utf8(&mut [0; 4]))?;
                }
                Event::Decl(declaration) => {
                    let declared = declaration.encoding().and_then(Result::ok);
                    if let Some(declared) = declared {
                        self.encoding.agrees(&declared).map_err(|why| (start, why))?;
                    }
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::DocType(_) | Event::Empty(_) => {
                    return self
                        .wrong("a document type is not taken: nothing is defined within a message, nothing is fetched");
                }
                Event::Eof if !open.is_empty() => return self.wrong("the document ends within an element"),
                Event::Eof => {
                    return root.map_or_else(|| self.wrong("there is no element at all"), Ok);
                }
            }
        }
    }

    fn text(&self, open: Option<&mut Element>, text: &str) -> Result<(), Wrong> {
        let Some(element) = open else {
            return if text.bytes().all(|byte| byte.is_ascii_whitespace()) {
                Ok(())
            } else {
                self.wrong("text stands outside of the root element")
            };
        };
        if (element.text.len() + text.len()) as u64 > self.limits.text {
            let most = self.limits.text;
            return self.wrong(format!("a text of more than {most} bytes ({})", key::TEXT));
        }
        // XML 1.0, 2.11: every end of a line is one line feed, unless a reference says it otherwise.
        if text.contains('\r') && text != "\r" {
            element.text.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
        } else {
            element.text.push_str(text);
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), Wrong> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let most = self.limits.nodes;
            return self.wrong(format!("more than {most} elements and attributes ({})", key::NODES));
        }
        Ok(())
    }

    fn element(&mut self, tag: &BytesStart<'_>, start: usize) -> Result<Element, Wrong> {
        self.count()?;
        let line = self.lines.of(start);
        let (space, name) = self.xml.resolver().resolve_element(tag.name());
        let namespace = bound(&space, &mut self.spaces).map_err(|why| (start, why.to_owned()))?;
        let name = name.as_ref().into();
        let (mut attributes, mut declarations, mut seen) = (Vec::new(), 0_u64, 0_u64);
        for attribute in tag.attributes().with_checks(false) {
            let attribute = attribute.map_err(|_| (start, "an attribute is not well formed".to_owned()))?;
            let declares = matches!(
                attribute.key.as_namespace_binding(),
                Some(PrefixDeclaration::Default | PrefixDeclaration::Named(_))
            );
            if declares {
                declarations += 1;
                if attribute.value.len() > NAMESPACE {
                    return self.wrong(format!("the name of a namespace has more than {NAMESPACE} bytes"));
                }
                if declarations > self.limits.namespaces {
                    let most = self.limits.namespaces;
                    return self
                        .wrong(format!("a tag declares more than {most} namespaces ({})", key::NAMESPACES));
                }
                continue;
            }
            seen += 1;
            if seen > self.limits.attributes {
                let most = self.limits.attributes;
                return self.wrong(format!("a tag with more than {most} attributes ({})", key::ATTRIBUTES));
            }
            self.count()?;
            let (space, local) = self.xml.resolver().resolve_attribute(attribute.key);
            let namespace = bound(&space, &mut self.spaces).map_err(|why| (start, why.to_owned()))?;
            let value = unescape(attribute.value.as_ref()).map_err(|why| (start, why.to_owned()))?;
            if value.len() as u64 > self.limits.text {
                let most = self.limits.text;
                return self.wrong(format!("an attribute of more than {most} bytes ({})", key::TEXT));
            }
            let attribute = Attribute { namespace, name: local.as_ref().into(), value: value.into_owned() };
            let same =
                |other: &Attribute| other.name == attribute.name && other.namespace == attribute.namespace;
            if attributes.iter().any(same) {
                return self.wrong("an attribute is there twice");
            }
            attributes.push(attribute);
        }
        Ok(Element { namespace, name, attributes, line, ..Element::default() })
    }
}

fn bound(found: &ResolveResult<'_>, known: &mut HashSet<Arc<str>>) -> Result<Arc<str>, &'static str> {
    let name: &str = match found {
        ResolveResult::Bound(namespace) if namespace.0.len() > NAMESPACE => {
            return Err("the name of a namespace is too long");
        }
        ResolveResult::Bound(namespace) => namespace.0,
        ResolveResult::Unbound => "",
        ResolveResult::Unknown(_) => return Err("a prefix is not declared"),
    };
    if let Some(known) = known.get(name) {
        return Ok(Arc::clone(known));
    }
    let name: Arc<str> = name.into();
    known.insert(Arc::clone(&name));
    Ok(name)
}

/// The letter a reference stands for. Only those of XML itself are known.
fn letter_of(reference: &BytesRef<'_>) -> Result<char, &'static str> {
    match reference.resolve_char_ref() {
        Ok(Some(letter)) if is_xml(letter) => return Ok(letter),
        Ok(Some(_)) | Err(_) => return Err("a reference to a letter that XML does not have"),
        Ok(None) => {}
    }
    let name: &str = reference;
    named(name).ok_or("an entity that XML does not define; only lt, gt, amp, quot and apos are known")
}

fn named(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

/// The value of an attribute: references resolved, white space as blanks (XML 1.0, 3.3.3).
fn unescape(raw: &str) -> Result<Cow<'_, str>, &'static str> {
    if raw.contains('<') {
        return Err("a \"<\" stands in the value of an attribute");
    }
    if !raw.contains(['&', '\t', '\n', '\r']) {
        return Ok(Cow::Borrowed(raw));
    }
    let mut out = String::with_capacity(raw.len());
    let plain = raw.replace("\r\n", " ").replace(['\t', '\n', '\r'], " ");
    let mut rest = plain.as_str();
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(';').ok_or("an \"&\" that begins no reference")?;
        let letter = letter_of(&BytesRef::new(&rest[at + 1..at + end]))?;
        out.push(letter);
        rest = &rest[at + end + 1..];
    }
    out.push_str(rest);
    Ok(Cow::Owned(out))
}

/// What the parser found wrong, without repeating what was sent.
fn words(error: &Error) -> &'static str {
    match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            "an end tag does not fit the open element"
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "an end tag stands alone",
        Error::IllFormed(IllFormedError::MissingEndTag(_)) => "an element has no end tag",
        Error::InvalidAttr(_) => "an attribute is not well formed, or is there twice",
        Error::Namespace(_) => "a namespace is not declared as XML wants it",
        _ => "this is not well-formed XML",
    }
}

#[cfg(test)]
mod tests;
