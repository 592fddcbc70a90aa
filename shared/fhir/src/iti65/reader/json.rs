//! A body in JSON: finds the data of each document while it passes.

use memchr::memchr2;
use xds::Finding;

use super::shell::{Document, Shell, too_deep};
use super::{Event, Form, Member};

#[derive(Debug)]
pub(super) struct Json {
    form: Form,
    frames: Vec<Frame>,
    state: State,
    /// The member name that is being read, as far as it can be one we look for.
    name: Vec<u8>,
    escape: Escape,
    document: Document,
}

/// Where the lexer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Between tokens; true if a string here would be a member name.
    Between(bool),
    /// In a member name; true behind a backslash.
    Name(bool),
    /// In another string; true behind a backslash.
    Text(bool),
    /// In the data of a document.
    Data,
}

/// An object or array that is open.
#[derive(Debug)]
struct Frame {
    array: bool,
    /// What is on the way to the data.
    spot: Spot,
    /// The member whose value comes next (objects).
    member: Member,
}

/// Where on the way to the data a container lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spot {
    /// The resource that is the body, or that stands for it.
    Root,
    /// What holds the documents, and is counted: `entry`, `content` or `parameter`.
    List,
    /// One of them.
    Item,
    /// `parameter`, of a Bundle in Parameters.
    Wrappers,
    /// One of them.
    Wrapper,
    /// What has the data as a member: `resource` or `attachment`.
    Holder,
    Elsewhere,
}

/// An escape of JSON that may be cut by the end of a chunk.
#[derive(Debug, Default, Clone, Copy)]
enum Escape {
    #[default]
    None,
    Backslash,
    /// `\u` and so many digits, with their value.
    Unicode(u8, u32),
}

const DEPTH: usize = 64;

impl Json {
    pub(super) fn new(form: Form) -> Json {
        Json {
            form,
            frames: Vec::new(),
            state: State::Between(false),
            name: Vec::new(),
            escape: Escape::None,
            document: Document::default(),
        }
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
            match self.state {
                State::Between(name) => {
                    if self.token(chunk[at], name, shell)? {
                        shell.keep(&chunk[kept..=at])?;
                        self.document = shell.begin(events)?;
                        self.state = State::Data;
                        kept = at + 1;
                    }
                    at += 1;
                }
                State::Name(escaped) => {
                    self.name_byte(chunk[at], escaped);
                    at += 1;
                }
                State::Text(escaped) => at += self.text(&chunk[at..], escaped),
                State::Data => {
                    at += self.data(&chunk[at..], shell, events)?;
                    kept = at;
                }
            }
        }
        shell.keep(&chunk[kept.min(at)..at])
    }

    /// Takes a byte between strings; answers whether the data of a document begins with it.
    fn token(&mut self, byte: u8, name: bool, shell: &mut Shell) -> Result<bool, Finding> {
        match byte {
            b'{' | b'[' => self.open(byte == b'[', shell)?,
            b'}' | b']' => {
                self.frames.pop();
                self.state = State::Between(false);
            }
            b',' => self.state = State::Between(self.frames.last().is_some_and(|frame| !frame.array)),
            b':' => self.state = State::Between(false),
            b'"' if name => {
                self.name.clear();
                self.state = State::Name(false);
            }
            b'"' => {
                let frame = self.frames.last();
                if frame.is_some_and(|frame| frame.spot == Spot::Holder && frame.member == Member::Data) {
                    return Ok(true);
                }
                self.state = State::Text(false);
            }
            _ => {}
        }
        Ok(false)
    }

    fn open(&mut self, array: bool, shell: &mut Shell) -> Result<(), Finding> {
        if self.frames.len() == DEPTH {
            return Err(too_deep(DEPTH));
        }
        let spot = self.spot(array);
        if spot == Spot::Item {
            shell.next_entry()?;
        }
        self.frames.push(Frame { array, spot, member: Member::Other });
        self.state = State::Between(!array);
        Ok(())
    }

    /// What the container that opens here is.
    fn spot(&self, array: bool) -> Spot {
        let Some(Frame { spot, member, .. }) = self.frames.last() else {
            return if array { Spot::Elsewhere } else { Spot::Root };
        };
        let wrapped = self.form == Form::BundleOrParameters;
        match (spot, member, array) {
            (Spot::Root, member, true) if *member == self.form.lists() => Spot::List,
            (Spot::Root, Member::Parameter, true) if wrapped => Spot::Wrappers,
            // An array in the place of an entry is counted as well; it holds no document.
            (Spot::List, _, _) => Spot::Item,
            (Spot::Item, member, false) if *member == self.form.holds() => Spot::Holder,
            (Spot::Wrappers, _, false) => Spot::Wrapper,
            (Spot::Wrapper, Member::Resource, false) => Spot::Root,
            _ => Spot::Elsewhere,
        }
    }

    fn name_byte(&mut self, byte: u8, escaped: bool) {
        match (byte, escaped) {
            (b'"', false) => {
                self.state = State::Between(false);
                let member = member(&self.name);
                if let Some(frame) = self.frames.last_mut() {
                    frame.member = member;
                }
            }
            _ => {
                // The longest name we look for, each letter written as an escape, has 60 characters.
                if self.name.len() < 64 {
                    self.name.push(byte);
                }
                self.state = State::Name(byte == b'\\' && !escaped);
            }
        }
    }

    /// Passes over a string; answers how many bytes.
    fn text(&mut self, chunk: &[u8], escaped: bool) -> usize {
        if escaped {
            self.state = State::Text(false);
            return 1;
        }
        match memchr2(b'"', b'\\', chunk) {
            None => chunk.len(),
            Some(at) => {
                self.state = if chunk[at] == b'"' { State::Between(false) } else { State::Text(true) };
                at + 1
            }
        }
    }

    /// Takes the data of a document; answers how many bytes of the chunk were its.
    fn data(&mut self, chunk: &[u8], shell: &mut Shell, events: &mut Vec<Event>) -> Result<usize, Finding> {
        let mut decoded = Shell::room(chunk.len());
        let taken = self.take(chunk, &mut decoded);
        shell.decoded(&mut self.document, decoded, events)?;
        let (used, ended) = taken.map_err(|()| shell.invalid())?;
        if ended {
            shell.end(&self.document, events)?;
            self.state = State::Between(false);
            shell.keep(b"\"")?;
        }
        Ok(used)
    }

    /// Decodes up to the closing quote; answers how many bytes were taken, and whether the quote was among them.
    fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), ()> {
        let mut at = 0;
        while at < chunk.len() {
            match self.escape {
                Escape::None => {
                    let rest = &chunk[at..];
                    let run = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    self.document.base64.take(&rest[..run], out)?;
                    at += run;
                    self.document.characters += run as u64;
                    match rest.get(run) {
                        None => {}
                        Some(b'"') => return Ok((at + 1, true)),
                        Some(_) => {
                            self.escape = Escape::Backslash;
                            at += 1;
                            self.document.characters += 1;
                        }
                    }
                }
                _ => {
                    if let Some(letter) = self.escaped(chunk[at])? {
                        self.document.base64.take(&[letter], out)?;
                    }
                    at += 1;
                    self.document.characters += 1;
                }
            }
        }
        Ok((at, false))
    }

    /// Takes the next byte of an escape; answers the letter it stands for once it is complete.
    fn escaped(&mut self, byte: u8) -> Result<Option<u8>, ()> {
        let (next, letter) = match self.escape {
            Escape::Unicode(digits, value) => {
                let value = value * 16 + char::from(byte).to_digit(16).ok_or(())?;
                if digits == 3 {
                    (Escape::None, Some(u8::try_from(value).map_err(|_| ())?))
                } else {
                    (Escape::Unicode(digits + 1, value), None)
                }
            }
            Escape::None | Escape::Backslash => match byte {
                b'n' => (Escape::None, Some(b'\n')),
                b'r' => (Escape::None, Some(b'\r')),
                b't' => (Escape::None, Some(b'\t')),
                b'/' => (Escape::None, Some(b'/')),
                b'u' => (Escape::Unicode(0, 0), None),
                _ => return Err(()),
            },
        };
        self.escape = next;
        Ok(letter)
    }
}

/// Which member a name is; escapes resolved, so that nobody hides one.
fn member(name: &[u8]) -> Member {
    if !name.contains(&b'\\') {
        return Member::named(name);
    }
    let quoted = [b"\"", name, b"\""].concat();
    serde_json::from_slice::<String>(&quoted).map_or(Member::Other, |name| Member::named(name.as_bytes()))
}
