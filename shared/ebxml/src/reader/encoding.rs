//! The encoding of a document: UTF-8 passes as it is, UTF-16 becomes UTF-8 on the way.

/// How a document came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// UTF-8, with or without its mark.
    #[default]
    Utf8,
    /// UTF-16 in either order.
    Utf16,
}

impl Encoding {
    /// Whether what the document (or its content type) says of its encoding is so.
    ///
    /// # Errors
    /// Says what is accepted.
    pub fn agrees(self, declared: &str) -> Result<(), String> {
        let is = |names: &[&str]| names.iter().any(|name| declared.eq_ignore_ascii_case(name));
        let (utf8, utf16) =
            (is(&["utf-8", "utf8", "us-ascii", "ascii"]), is(&["utf-16", "utf-16le", "utf-16be", "utf16"]));
        match self {
            Encoding::Utf8 if utf8 => Ok(()),
            Encoding::Utf16 if utf16 => Ok(()),
            Encoding::Utf8 if utf16 => {
                Err("the document says it is UTF-16, and its bytes are not; send what is declared".to_owned())
            }
            Encoding::Utf16 if utf8 => {
                Err("the document says it is UTF-8, and its bytes are UTF-16; send what is declared"
                    .to_owned())
            }
            Encoding::Utf8 | Encoding::Utf16 => {
                Err("the document says an encoding that is not taken; send UTF-8 or UTF-16".to_owned())
            }
        }
    }
}

/// Bytes on their way to being UTF-8. Whether UTF-8 is well formed is not looked at here.
#[derive(Debug, Default)]
pub struct Utf8 {
    state: State,
    /// Bytes that decide nothing yet.
    pending: Vec<u8>,
    /// The first half of a letter beyond the base plane.
    high: Option<u16>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Begin,
    Plain,
    Wide {
        big: bool,
    },
}

impl Utf8 {
    /// The encoding the bytes turned out to be.
    pub fn encoding(&self) -> Encoding {
        match self.state {
            State::Begin | State::Plain => Encoding::Utf8,
            State::Wide { .. } => Encoding::Utf16,
        }
    }

    /// Takes the next bytes; appends them as UTF-8, without the mark they may begin with.
    ///
    /// # Errors
    /// Halves of letters that stand alone.
    pub fn feed(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        if self.state == State::Begin {
            let take = (4 - self.pending.len()).min(bytes.len());
            self.pending.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            if self.pending.len() < 4 {
                return Ok(());
            }
            self.begin(out)?;
        }
        match self.state {
            State::Wide { big } => self.wide(bytes, big, out),
            State::Begin | State::Plain => {
                out.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Ends the document.
    ///
    /// # Errors
    /// Half a letter at the end.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        if self.state == State::Begin {
            self.begin(out)?;
        }
        if self.high.is_some() || !self.pending.is_empty() {
            return Err("the UTF-16 ends within a letter".to_owned());
        }
        Ok(())
    }

    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), String> {
        let first = std::mem::take(&mut self.pending);
        let (state, skip) = match first.as_slice() {
            [0xff, 0xfe, ..] => (State::Wide { big: false }, 2),
            [0xfe, 0xff, ..] => (State::Wide { big: true }, 2),
            [b'<', 0, _, 0] => (State::Wide { big: false }, 0),
            [0, b'<', 0, _] => (State::Wide { big: true }, 0),
            [0xef, 0xbb, 0xbf, ..] => (State::Plain, 3),
            _ => (State::Plain, 0),
        };
        self.state = state;
        match state {
            State::Wide { big } => self.wide(&first[skip..], big, out),
            State::Begin | State::Plain => {
                out.extend_from_slice(&first[skip..]);
                Ok(())
            }
        }
    }

    fn wide(&mut self, bytes: &[u8], big: bool, out: &mut Vec<u8>) -> Result<(), String> {
        for byte in bytes {
            self.pending.push(*byte);
            let [first, second] = self.pending[..] else { continue };
            self.pending.clear();
            let unit = if big { [first, second] } else { [second, first] };
            self.unit(u16::from_be_bytes(unit), out)?;
        }
        Ok(())
    }

    fn unit(&mut self, unit: u16, out: &mut Vec<u8>) -> Result<(), String> {
        let alone = || "half a letter of UTF-16 stands alone".to_owned();
        let point = match (self.high.take(), unit) {
            (None, 0xd800..0xdc00) => {
                self.high = Some(unit);
                return Ok(());
            }
            (Some(high), 0xdc00..0xe000) => {
                0x10000 + ((u32::from(high) - 0xd800) << 10) + (u32::from(unit) - 0xdc00)
            }
            (Some(_), _) => return Err(alone()),
            (None, unit) => u32::from(unit),
        };
        let letter = char::from_u32(point).ok_or_else(alone)?;
        out.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        Ok(())
    }
}
