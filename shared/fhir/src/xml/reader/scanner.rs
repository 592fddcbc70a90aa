//! The tokens of an XML document that FHIR uses; everything else is refused here.

use memchr::memmem;
use quick_xml::NsReader;
use quick_xml::errors::{Error, IllFormedError};
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use xds::Rule;

use super::super::escape::{is_xml, reference};
use super::super::{FHIR, XHTML};
use crate::json::{Fault, Limits};

/// A namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Space {
    Fhir,
    Xhtml,
    Other,
}

/// A tag. An empty element is a start and an end.
pub(super) enum Token<'a> {
    Start(BytesStart<'a>, Space),
    End,
    Eof,
}

/// Elements within one narrative that may lie in each other.
const NARRATIVE_DEPTH: usize = 200;

pub(super) struct Scanner<'a> {
    xml: NsReader<&'a [u8]>,
    text: &'a str,
    /// Bytes before `text` (a byte order mark).
    skipped: usize,
    /// Where the last token begins.
    at: usize,
    depth: usize,
    nodes: usize,
    pub(super) limits: &'a Limits,
}

/// The text of a document: UTF-8, without letters XML does not have.
pub(super) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Fault::new(Rule::Structure, 0, "this is UTF-16; send UTF-8"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Fault::new(Rule::Structure, error.valid_up_to(), "these bytes are not UTF-8"))?;
    let control = bytes.iter().position(|byte| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r'));
    let beyond = || memmem::find(bytes, b"\xef\xbf\xbe").or_else(|| memmem::find(bytes, b"\xef\xbf\xbf"));
    match control.or_else(beyond) {
        Some(at) => Err(Fault::new(Rule::Structure, at, "a control character that XML does not have")),
        None => Ok(text),
    }
}

impl<'a> Scanner<'a> {
    pub(super) fn new(whole: &'a str, limits: &'a Limits) -> Scanner<'a> {
        let text = whole.strip_prefix('\u{feff}').unwrap_or(whole);
        let mut xml = NsReader::from_str(text);
        xml.config_mut().expand_empty_elements = true;
        xml.config_mut().check_comments = true;
        Scanner { xml, text, skipped: whole.len() - text.len(), at: 0, depth: 0, nodes: 0, limits }
    }

    pub(super) fn fault(&self, text: impl Into<String>) -> Fault {
        self.fault_of(Rule::Structure, text)
    }

    pub(super) fn fault_of(&self, rule: Rule, text: impl Into<String>) -> Fault {
        Fault::new(rule, self.at + self.skipped, text)
    }

    /// Counts what a document holds against the limits.
    pub(super) fn count(&mut self) -> Result<(), Fault> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes {
            let text = format!("more than {} values in one message", self.limits.nodes);
            return Err(self.fault_of(Rule::TooCostly, text));
        }
        Ok(())
    }

    /// The next tag; space, comments and processing instructions between are passed over.
    pub(super) fn next(&mut self) -> Result<Token<'a>, Fault> {
        loop {
            match self.event()? {
                (Event::Start(tag), space) => {
                    self.depth += 1;
                    if self.depth > self.limits.depth {
                        return Err(self.fault(format!("nested deeper than {} levels", self.limits.depth)));
                    }
                    self.count()?;
                    return Ok(Token::Start(tag, space));
                }
                (Event::End(_), _) => {
                    self.depth -= 1;
                    return Ok(Token::End);
                }
                (Event::Eof, _) if self.depth == 0 => return Ok(Token::Eof),
                (Event::Eof, _) => return Err(self.fault("the document ends within an element")),
                (Event::Text(text), _) if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
                (Event::Text(_) | Event::CData(_) | Event::GeneralRef(_), _) => {
                    return Err(self.fault("text stands between the elements; FHIR puts it into attributes"));
                }
                (Event::Decl(declaration), _) => {
                    let encoding = declaration.encoding().and_then(Result::ok);
                    if let Some(encoding) = encoding
                        && !["utf-8", "utf8", "us-ascii"]
                            .iter()
                            .any(|ours| encoding.eq_ignore_ascii_case(ours))
                    {
                        return Err(self.fault("the document says another encoding than UTF-8"));
                    }
                }
                (Event::Comment(_) | Event::PI(_), _) => {}
                (Event::DocType(_) | Event::Empty(_), _) => return Err(self.doctype()),
            }
        }
    }

    fn doctype(&self) -> Fault {
        self.fault("a document type is not taken: nothing is defined within a message, nothing is fetched")
    }

    fn event(&mut self) -> Result<(Event<'a>, Space), Fault> {
        self.at = usize::try_from(self.xml.buffer_position()).unwrap_or(usize::MAX);
        let (space, event) = match self.xml.read_resolved_event() {
            Ok((space, event)) => (namespace(&space), event),
            Err(error) => {
                self.at = usize::try_from(self.xml.error_position()).unwrap_or(usize::MAX);
                return Err(self.fault(words(&error)));
            }
        };
        Ok((event, space))
    }

    /// Reads to the end of the narrative that has begun; answers its text as it stands there. Hands every event to `see`,
    /// which answers whether the text can stay as it stands.
    pub(super) fn narrative(&mut self, mut see: impl FnMut(&Event<'a>)) -> Result<&'a str, Fault> {
        let start = self.at;
        let mut open = 1;
        while open > 0 {
            let (event, space) = self.event()?;
            match &event {
                Event::Start(_) => {
                    if space != Space::Xhtml {
                        return Err(self.fault("an element of a narrative is not in the namespace of XHTML"));
                    }
                    open += 1;
                    self.count()?;
                    if open > NARRATIVE_DEPTH {
                        return Err(self.fault(format!("nested deeper than {NARRATIVE_DEPTH} levels")));
                    }
                }
                Event::End(_) => open -= 1,
                Event::GeneralRef(name) => {
                    reference(name).map_err(|why| self.fault(why))?;
                }
                Event::Eof => return Err(self.fault("the document ends within a narrative")),
                Event::DocType(_) | Event::Empty(_) => return Err(self.doctype()),
                Event::Text(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_) | Event::Decl(_) => {}
            }
            see(&event);
        }
        self.depth -= 1;
        let end = usize::try_from(self.xml.buffer_position()).unwrap_or(usize::MAX);
        let text = self.text.get(start..end).unwrap_or_default();
        if text.len() > self.limits.string {
            let text = format!("a narrative of more than {} bytes", self.limits.string);
            return Err(self.fault_of(Rule::TooLong, text));
        }
        debug_assert!(text.chars().all(is_xml), "checked for the whole document");
        Ok(text)
    }
}

fn namespace(found: &ResolveResult<'_>) -> Space {
    match found {
        ResolveResult::Bound(namespace) if namespace.0 == FHIR => Space::Fhir,
        ResolveResult::Bound(namespace) if namespace.0 == XHTML => Space::Xhtml,
        ResolveResult::Bound(_) | ResolveResult::Unbound | ResolveResult::Unknown(_) => Space::Other,
    }
}

/// What the parser found wrong, without repeating what was sent.
fn words(error: &Error) -> &'static str {
    match error {
        Error::IllFormed(IllFormedError::MismatchedEndTag { .. }) => {
            "an end tag does not fit the open element"
        }
        Error::IllFormed(IllFormedError::UnmatchedEndTag(_)) => "an end tag stands alone",
        Error::IllFormed(IllFormedError::MissingEndTag(_)) => "an element has no end tag",
        Error::IllFormed(_) | Error::Syntax(_) => "this is not well-formed XML",
        Error::InvalidAttr(_) => "an attribute is not well formed, or is there twice",
        Error::Namespace(_) => "a namespace is not declared as XML wants it",
        _ => "this cannot be read as XML",
    }
}
