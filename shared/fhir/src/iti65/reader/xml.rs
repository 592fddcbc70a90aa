//! A body in XML: finds the data of each document while it passes.
//!
//! It knows of XML what it takes to find its way between tags and quotes; whether the document is sound is found out from
//! what is left of it.

use memchr::{memchr, memchr2};
use xds::Finding;

use super::shell::{Document, Shell, too_deep};
use super::{Event, Form, Member};
use crate::xml::letter;

#[derive(Debug)]
pub(super) struct Xml {
    form: Form,
    /// What is open, the innermost last.
    frames: Vec<Spot>,
    state: State,
    /// What has been read of a name or of a reference.
    name: Vec<u8>,
    document: Document,
}

/// Where the lexer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// Behind `<`: what begins is not known yet.
    Angle,
    /// In the name of a start tag.
    Name,
    /// Between the attributes of a start tag; true behind a slash.
    Tag(bool),
    /// In the name of an attribute, up to its value.
    Attribute,
    /// In the value of an attribute.
    Value(u8),
    /// In the data of a document.
    Data(u8),
    /// In a reference within it.
    Reference(u8),
    End,
    /// Up to the last of these bytes; so many of them have been seen.
    Until(&'static [u8], usize),
}

/// Where on the way to the data an element lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    /// The resource that is the body, or that stands for it.
    Root,
    /// What holds a document, and is counted: `entry`, `content` or `parameter`.
    Item,
    /// The `resource` of one: the resource itself is the next element.
    Slot,
    /// `parameter`, of a Bundle in Parameters.
    Wrapper,
    /// The `resource` of one.
    WrapperSlot,
    /// What has the data: a resource or an attachment.
    Holder,
    Data,
    Elsewhere,
}

/// Elements and those of a narrative that may lie in each other; what is read afterwards allows fewer.
const DEPTH: usize = 264;

impl Xml {
    pub(super) fn new(form: Form) -> Xml {
        Xml { form, frames: Vec::new(), state: State::Text, name: Vec::new(), document: Document::default() }
    }

    pub(super) fn pass(
        &mut self,
        chunk: &[u8],
        shell: &mut Shell,
        events: &mut Vec<Event>,
    ) -> Result<(), Finding> {
        let mut at = 0;
        // Bytes from here to `at` belong to the shell and are not copied yet.
        let mut kept = 0;
        while at < chunk.len() {
            let rest = &chunk[at..];
            match self.state {
                State::Text => match memchr(b'<', rest) {
                    Some(run) => {
                        at += run + 1;
                        self.name.clear();
                        self.state = State::Angle;
                    }
                    None => at = chunk.len(),
                },
                State::Value(quote) => match memchr(quote, rest) {
                    Some(run) => {
                        at += run + 1;
                        self.state = State::Tag(false);
                    }
                    None => at = chunk.len(),
                },
                State::Data(quote) | State::Reference(quote) => {
                    at += self.data(rest, quote, shell, events)?;
                    kept = at;
                }
                _ => {
                    at += 1;
                    if self.byte(rest[0], shell)? {
                        shell.keep(&chunk[kept..at])?;
                        self.document = shell.begin(events)?;
                        kept = at;
                    }
                }
            }
        }
        shell.keep(&chunk[kept.min(at)..at])
    }

    /// Takes a byte of markup; answers whether the data of a document begins behind it.
    fn byte(&mut self, byte: u8, shell: &mut Shell) -> Result<bool, Finding> {
        match self.state {
            State::Angle => self.angle(byte),
            State::Name => match byte {
                b'>' | b'/' | b' ' | b'\n' | b'\r' | b'\t' => {
                    self.open(shell)?;
                    self.tag(byte);
                }
                _ => self.named(byte),
            },
            State::Tag(_) => self.tag(byte),
            State::Attribute => match byte {
                b'"' | b'\'' => {
                    let is_value = self.name.trim_ascii() == b"value";
                    if is_value && self.frames.last() == Some(&Spot::Data) {
                        self.state = State::Data(byte);
                        return Ok(true);
                    }
                    self.state = State::Value(byte);
                }
                b'=' => {}
                b'>' => self.tag(byte),
                _ => self.named(byte),
            },
            State::End => {
                if byte == b'>' {
                    self.frames.pop();
                    self.state = State::Text;
                }
            }
            State::Until(end, seen) => {
                // Of `--->` and `]]]>` the last bytes count.
                let seen = if byte == end[seen] {
                    seen + 1
                } else if end.len() == 3 && seen == 2 && byte == end[0] {
                    2
                } else {
                    usize::from(byte == end[0])
                };
                self.state = if seen == end.len() { State::Text } else { State::Until(end, seen) };
            }
            State::Text | State::Value(_) | State::Data(_) | State::Reference(_) => {}
        }
        Ok(false)
    }

    fn named(&mut self, byte: u8) {
        // No name we look for is longer; longer ones are only told apart from them.
        if self.name.len() < 64 {
            self.name.push(byte);
        }
    }

    /// Takes a byte behind `<`, until it is known what begins.
    fn angle(&mut self, byte: u8) {
        self.named(byte);
        self.state = match &*self.name {
            b"/" => State::End,
            b"?" => State::Until(b"?>", 0),
            b"!--" => State::Until(b"-->", 0),
            b"![CDATA[" => State::Until(b"]]>", 0),
            b"!" | b"!-" | b"![" | b"![C" | b"![CD" | b"![CDA" | b"![CDAT" | b"![CDATA" => State::Angle,
            // A document type is refused when the rest is read, and holds no data on any way there.
            [b'!', ..] => State::Until(b">", 0),
            _ => State::Name,
        };
    }

    /// Takes a byte between attributes.
    fn tag(&mut self, byte: u8) {
        self.state = match (byte, self.state) {
            (b'>', State::Tag(true)) => {
                self.frames.pop();
                State::Text
            }
            (b'>', _) => State::Text,
            (b'/', _) => State::Tag(true),
            (b' ' | b'\n' | b'\r' | b'\t', State::Tag(slash)) => State::Tag(slash),
            (b' ' | b'\n' | b'\r' | b'\t', _) => State::Tag(false),
            _ => {
                self.name.clear();
                self.name.push(byte);
                State::Attribute
            }
        };
    }

    fn open(&mut self, shell: &mut Shell) -> Result<(), Finding> {
        if self.frames.len() == DEPTH {
            return Err(too_deep(DEPTH));
        }
        let local = memchr(b':', &self.name).map_or(&*self.name, |at| &self.name[at + 1..]);
        let spot = self.spot(Member::named(local));
        if spot == Spot::Item {
            shell.next_entry()?;
        }
        self.frames.push(spot);
        Ok(())
    }

    /// What the element that opens here is.
    fn spot(&self, name: Member) -> Spot {
        let Some(above) = self.frames.last() else { return Spot::Root };
        let attached = self.form == Form::DocumentReference;
        let wrapped = self.form == Form::BundleOrParameters;
        match (above, name) {
            (Spot::Root, name) if name == self.form.lists() => Spot::Item,
            (Spot::Root, Member::Parameter) if wrapped => Spot::Wrapper,
            (Spot::Wrapper, Member::Resource) => Spot::WrapperSlot,
            (Spot::WrapperSlot, _) => Spot::Root,
            (Spot::Item, name) if name == self.form.holds() => {
                if attached {
                    Spot::Holder
                } else {
                    Spot::Slot
                }
            }
            (Spot::Slot, _) => Spot::Holder,
            (Spot::Holder, Member::Data) => Spot::Data,
            _ => Spot::Elsewhere,
        }
    }

    /// Takes the data of a document; answers how many bytes of the chunk were its.
    fn data(
        &mut self,
        chunk: &[u8],
        quote: u8,
        shell: &mut Shell,
        events: &mut Vec<Event>,
    ) -> Result<usize, Finding> {
        let mut decoded = Shell::room(chunk.len());
        let taken = self.take(chunk, quote, &mut decoded);
        shell.decoded(&mut self.document, decoded, events)?;
        let (used, ended) = taken.map_err(|()| shell.invalid())?;
        if ended {
            shell.end(&self.document, events)?;
            self.state = State::Tag(false);
            shell.keep(&[quote])?;
        }
        Ok(used)
    }

    /// Decodes up to the closing quote; answers how many bytes were taken, and whether the quote was among them.
    fn take(&mut self, chunk: &[u8], quote: u8, out: &mut Vec<u8>) -> Result<(usize, bool), ()> {
        let mut at = 0;
        while at < chunk.len() {
            let rest = &chunk[at..];
            if let State::Reference(_) = self.state {
                at += 1;
                self.document.characters += 1;
                if rest[0] != b';' {
                    self.named(rest[0]);
                    continue;
                }
                let letter = std::str::from_utf8(&self.name).ok().and_then(letter);
                let letter = letter.and_then(|letter| u8::try_from(letter).ok()).ok_or(())?;
                self.document.base64.take(&[letter], out)?;
                self.state = State::Data(quote);
                continue;
            }
            let run = memchr2(quote, b'&', rest).unwrap_or(rest.len());
            self.document.base64.take(&rest[..run], out)?;
            at += run;
            self.document.characters += run as u64;
            match rest.get(run) {
                None => {}
                Some(b'&') => {
                    self.name.clear();
                    self.state = State::Reference(quote);
                    at += 1;
                    self.document.characters += 1;
                }
                Some(_) => return Ok((at + 1, true)),
            }
        }
        Ok((at, false))
    }
}
