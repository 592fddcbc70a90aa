//! A message while it arrives: its documents pass by, the message itself is kept.

use bytes::Bytes;

use super::parts::{Head, Parts, Token};
use super::root::Root;
use super::{
    ContentType, Event, Format, Limits, Refusal, Source, base64, broken, content_id, key, quoted, same_part,
};

/// A reader that is fed in pieces.
#[derive(Debug)]
pub struct Reader {
    limits: Limits,
    format: Format,
    /// The `charset` the message says.
    charset: Option<String>,
    parts: Option<Parts>,
    /// Content id of the root; none: the first part is.
    start: Option<String>,
    root: Option<Root>,
    is_root_read: bool,
    open: Open,
    documents: u64,
    document: u64,
    submission: u64,
}

/// The part that is being read.
#[derive(Debug)]
enum Open {
    Nothing,
    Root(Coding),
    Document(Coding),
}

/// How the bytes of a part are written.
#[derive(Debug)]
enum Coding {
    Plain,
    Base64(base64::Decoder),
    Quoted(quoted::Decoder),
}

impl Reader {
    /// Of a message in this content type, as [`ContentType::format`] says it can be read.
    ///
    /// # Errors
    /// A content type that is none of a message, or lacks what is needed.
    pub fn new(content_type: &ContentType, limits: Limits) -> Result<Reader, Refusal> {
        let Some(format) = content_type.format() else {
            return broken(
                "The content type is not one of a SOAP message; send multipart/related with application/xop+xml, or \
                 application/soap+xml.",
            );
        };
        let (parts, root) = match format {
            Format::Simple => (None, Some(Root::new(limits))),
            Format::Package => (Some(Parts::new(content_type, limits)?), None),
        };
        Ok(Reader {
            limits,
            format,
            charset: content_type
                .parameter("charset")
                .map(str::to_owned)
                .filter(|_| format == Format::Simple),
            parts,
            start: content_type.parameter("start").map(content_id).filter(|id| !id.is_empty()),
            root,
            is_root_read: false,
            open: Open::Nothing,
            documents: 0,
            document: 0,
            submission: 0,
        })
    }

    /// Whether it is a package.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// What is not as it should be, or passes a limit. Nothing more can be fed then.
    pub fn feed(&mut self, bytes: &[u8], events: &mut Vec<Event>) -> Result<(), Refusal> {
        let first = events.len();
        match (&mut self.parts, &mut self.root) {
            (Some(parts), _) => {
                let mut tokens = Vec::new();
                parts.feed(bytes, &mut tokens)?;
                for token in tokens {
                    self.token(token, events)?;
                }
            }
            (None, Some(root)) => root.feed(bytes, events)?,
            (None, None) => {}
        }
        self.measure(&events[first..])
    }

    /// Ends the message.
    ///
    /// # Errors
    /// As for [`Reader::feed`].
    pub fn finish(&mut self, events: &mut Vec<Event>) -> Result<(), Refusal> {
        let first = events.len();
        match self.parts.take() {
            Some(parts) => {
                parts.finish()?;
                if !self.is_root_read {
                    return broken(
                        "The start of the package names none of its parts, so there is no message.",
                    );
                }
            }
            None => self.end_root(events)?,
        }
        self.measure(&events[first..])
    }

    fn token(&mut self, token: Token, events: &mut Vec<Event>) -> Result<(), Refusal> {
        match token {
            Token::Begin(head) => {
                let coding = coding(&head)?;
                let is_root = !self.is_root_read
                    && self.start.as_ref().is_none_or(|start| same_part(start, &head.content_id));
                if is_root {
                    self.root = Some(Root::new(self.limits));
                    self.open = Open::Root(coding);
                } else {
                    events.push(Event::Begin(Source::Part(head.content_id)));
                    self.open = Open::Document(coding);
                }
                Ok(())
            }
            Token::Bytes(bytes) => match &mut self.open {
                Open::Nothing => Ok(()),
                Open::Root(coding) => {
                    let bytes = coding.take(bytes)?;
                    self.root.as_mut().map_or(Ok(()), |root| root.feed(&bytes, events))
                }
                Open::Document(coding) => {
                    let bytes = coding.take(bytes)?;
                    if !bytes.is_empty() {
                        events.push(Event::Bytes(bytes));
                    }
                    Ok(())
                }
            },
            Token::End => match std::mem::replace(&mut self.open, Open::Nothing) {
                Open::Nothing => Ok(()),
                Open::Root(coding) => {
                    coding.finish()?;
                    self.end_root(events)
                }
                Open::Document(coding) => {
                    coding.finish()?;
                    events.push(Event::End);
                    Ok(())
                }
            },
        }
    }

    fn end_root(&mut self, events: &mut Vec<Event>) -> Result<(), Refusal> {
        let Some(root) = self.root.take() else { return Ok(()) };
        let (element, encoding) = root.finish(events)?;
        if let Some(charset) = &self.charset {
            encoding
                .agrees(charset)
                .map_err(|why| Refusal::Broken(format!("The content type is wrong: {why}.")))?;
        }
        self.is_root_read = true;
        events.push(Event::Root(Box::new(element)));
        Ok(())
    }

    /// Holds what has come against the limits.
    fn measure(&mut self, events: &[Event]) -> Result<(), Refusal> {
        for event in events {
            match event {
                Event::Begin(_) => {
                    self.document = 0;
                    self.documents += 1;
                    if self.documents > self.limits.documents {
                        return Err(Refusal::TooLarge { limit: self.limits.documents, key: key::DOCUMENTS });
                    }
                }
                Event::Bytes(bytes) => {
                    self.document += bytes.len() as u64;
                    self.submission += bytes.len() as u64;
                    if self.document > self.limits.document {
                        return Err(Refusal::TooLarge { limit: self.limits.document, key: key::DOCUMENT });
                    }
                    if self.submission > self.limits.submission {
                        return Err(Refusal::TooLarge {
                            limit: self.limits.submission,
                            key: key::SUBMISSION,
                        });
                    }
                }
                Event::Root(_) | Event::End => {}
            }
        }
        Ok(())
    }
}

fn coding(head: &Head) -> Result<Coding, Refusal> {
    Ok(match head.encoding.as_str() {
        "" | "binary" | "8bit" | "7bit" => Coding::Plain,
        "base64" => Coding::Base64(base64::Decoder::default()),
        "quoted-printable" => Coding::Quoted(quoted::Decoder::default()),
        _ => {
            return broken(
                "A part has a Content-Transfer-Encoding that is not taken; send binary, 8bit, 7bit, base64 or quoted-printable.",
            );
        }
    })
}

impl Coding {
    fn take(&mut self, bytes: Bytes) -> Result<Bytes, Refusal> {
        let mut out = Vec::new();
        match self {
            Coding::Plain => return Ok(bytes),
            Coding::Base64(decoder) => {
                decoder.take(&bytes, &mut out).map_err(|()| wrong_coding())?;
            }
            Coding::Quoted(decoder) => {
                decoder.take(&bytes, &mut out).map_err(|()| wrong_coding())?;
            }
        }
        Ok(Bytes::from(out))
    }

    fn finish(self) -> Result<(), Refusal> {
        let complete = match self {
            Coding::Plain => true,
            Coding::Base64(decoder) => decoder.complete(),
            Coding::Quoted(decoder) => decoder.complete(),
        };
        if complete { Ok(()) } else { Err(wrong_coding()) }
    }
}

fn wrong_coding() -> Refusal {
    Refusal::Broken("A part is not what its Content-Transfer-Encoding says.".to_owned())
}
