//! The parts of a multipart body while they pass (RFC 2046, 5.1).

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::{ContentType, Limits, Refusal, broken, content_id, key};

/// The head of a part, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    /// Without brackets; empty: there is none.
    pub(super) content_id: String,
    /// In small letters; empty: there is none.
    pub(super) encoding: String,
}

/// What is found on the way.
#[derive(Debug)]
pub(super) enum Token {
    Begin(Head),
    Bytes(Bytes),
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first boundary.
    Preamble,
    Head,
    Content,
    /// Behind the last boundary.
    Epilogue,
}

#[derive(Debug)]
pub(super) struct Parts {
    state: State,
    pending: BytesMut,
    /// `\n--boundary`.
    delimiter: Finder<'static>,
    limits: Limits,
    count: u64,
    /// Bytes that end the head of the part, and may begin a boundary.
    skip: usize,
}

/// Blanks between a boundary and the end of its line, at most.
const PADDING: usize = 128;

/// Letters of the longest boundary (RFC 2046, 5.1.1).
const LONGEST: usize = 70;

/// What stands where a boundary may be.
enum Found {
    /// Content up to here, a delimiter, and so many bytes of both.
    Delimiter { content: usize, used: usize, last: bool },
    /// Content up to here; what follows decides later.
    Content(usize),
}

impl Parts {
    pub(super) fn new(content_type: &ContentType, limits: Limits) -> Result<Parts, Refusal> {
        let boundary = content_type.parameter("boundary").unwrap_or_default();
        if boundary.is_empty() {
            return broken("Content-Type multipart/related names no boundary.");
        }
        if boundary.len() > LONGEST || !boundary.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return broken(format!("The boundary has 1 to {LONGEST} characters of ASCII (RFC 2046, 5.1.1)."));
        }
        let delimiter = Finder::new(format!("\n--{boundary}").as_bytes()).into_owned();
        // As if a line had ended before: the first boundary may stand at once.
        let pending = BytesMut::from(&b"\n"[..]);
        Ok(Parts { state: State::Preamble, pending, delimiter, limits, count: 0, skip: 0 })
    }

    pub(super) fn feed(&mut self, bytes: &[u8], out: &mut Vec<Token>) -> Result<(), Refusal> {
        if self.state == State::Epilogue {
            return Ok(());
        }
        self.pending.extend_from_slice(bytes);
        loop {
            let goes_on = match self.state {
                State::Preamble => self.content(false, out)?,
                State::Content => self.content(true, out)?,
                State::Head => self.head(out)?,
                State::Epilogue => {
                    self.pending.clear();
                    false
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    pub(super) fn finish(&self) -> Result<(), Refusal> {
        match self.state {
            State::Epilogue => Ok(()),
            State::Preamble => broken("The body does not hold the boundary its Content-Type names."),
            State::Head | State::Content => broken("The body ends before its last boundary."),
        }
    }

    /// Passes on content up to the next delimiter. True: there is more to look at.
    fn content(&mut self, is_part: bool, out: &mut Vec<Token>) -> Result<bool, Refusal> {
        let (content, delimiter) = match self.look()? {
            Found::Delimiter { content, used, last } => (content, Some((used, last))),
            Found::Content(content) => (content, None),
        };
        if delimiter.is_none() && content <= self.skip {
            return Ok(false);
        }
        let mut bytes = self.pending.split_to(content);
        drop(bytes.split_to(std::mem::take(&mut self.skip).min(content)));
        if is_part && !bytes.is_empty() {
            out.push(Token::Bytes(bytes.freeze()));
        }
        let Some((used, last)) = delimiter else { return Ok(false) };
        drop(self.pending.split_to(used - content));
        if is_part {
            out.push(Token::End);
        }
        self.state = if last { State::Epilogue } else { State::Head };
        Ok(true)
    }

    /// Looks for the next delimiter.
    fn look(&self) -> Result<Found, Refusal> {
        let bytes = &self.pending[..];
        let length = self.delimiter.needle().len();
        let mut from = 0;
        while let Some(at) = self.delimiter.find(&bytes[from..]) {
            let at = from + at;
            let content = if at > 0 && bytes[at - 1] == b'\r' { at - 1 } else { at };
            let behind = &bytes[at + length..];
            match behind {
                [b'-', b'-', ..] => {
                    return Ok(Found::Delimiter { content, used: at + length + 2, last: true });
                }
                [] | [b'-'] => return Ok(Found::Content(content)),
                _ => {}
            }
            let blanks = behind.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            if blanks > PADDING {
                return broken("A boundary is followed by too many blanks.");
            }
            match &behind[blanks..] {
                [b'\n', ..] => {
                    return Ok(Found::Delimiter { content, used: at + length + blanks + 1, last: false });
                }
                [b'\r', b'\n', ..] => {
                    return Ok(Found::Delimiter { content, used: at + length + blanks + 2, last: false });
                }
                [] | [b'\r'] => return Ok(Found::Content(content)),
                // Longer than the boundary: content that only begins like it.
                _ => from = at + 1,
            }
        }
        // A delimiter may have begun at the end.
        Ok(Found::Content(bytes.len().saturating_sub(length + 1).max(from)))
    }

    fn head(&mut self, out: &mut Vec<Token>) -> Result<bool, Refusal> {
        let most = self.limits.part_header;
        let too_large = Refusal::TooLarge { limit: most, key: key::PART_HEADER };
        let Some((length, line_end)) = end_of_head(&self.pending) else {
            return if self.pending.len() as u64 > most { Err(too_large) } else { Ok(false) };
        };
        if length as u64 > most {
            return Err(too_large);
        }
        self.count += 1;
        if self.count > self.limits.parts {
            return Err(Refusal::TooLarge { limit: self.limits.parts, key: key::PARTS });
        }
        let head = self.pending.split_to(length);
        out.push(Token::Begin(head_of(&String::from_utf8_lossy(&head))));
        self.state = State::Content;
        // The end of the empty line may be the beginning of the next boundary: a part with nothing in it.
        self.skip = line_end;
        Ok(true)
    }
}

/// Bytes before the end of the empty line, and those of that end.
fn end_of_head(bytes: &[u8]) -> Option<(usize, usize)> {
    if bytes.starts_with(b"\r\n") {
        return Some((0, 2));
    }
    if bytes.starts_with(b"\n") {
        return Some((0, 1));
    }
    memchr::memchr_iter(b'\n', bytes).find_map(|at| match &bytes[at + 1..] {
        [b'\r', b'\n', ..] => Some((at + 1, 2)),
        [b'\n', ..] => Some((at + 1, 1)),
        _ => None,
    })
}

fn head_of(text: &str) -> Head {
    let mut head = Head::default();
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match lines.last_mut() {
            Some(before) if line.starts_with([' ', '\t']) => before.push_str(line),
            _ => lines.push(line.to_owned()),
        }
    }
    for (name, value) in lines.iter().filter_map(|line| line.split_once(':')) {
        match name.trim().to_ascii_lowercase().as_str() {
            "content-id" => head.content_id = content_id(value),
            "content-transfer-encoding" => head.encoding = value.trim().to_ascii_lowercase(),
            _ => {}
        }
    }
    head
}
