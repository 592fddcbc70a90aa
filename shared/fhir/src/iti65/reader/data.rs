//! The data of a document as it passes: escapes of JSON, then base64, in pieces of any size.

use memchr::memchr2;

/// A document on its way through.
#[derive(Debug, Default)]
pub(super) struct Data {
    escape: Escape,
    base64: Base64,
    /// How many bytes have been decoded.
    pub(super) bytes: u64,
    /// Characters of the text, for the column of later findings.
    pub(super) characters: u64,
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

impl Data {
    /// Decodes up to the closing quote; answers how many bytes were taken, and whether the quote was among them.
    pub(super) fn take(&mut self, chunk: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), ()> {
        let mut at = 0;
        while at < chunk.len() {
            match self.escape {
                Escape::None => {
                    let rest = &chunk[at..];
                    let run = memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
                    self.base64.take(&rest[..run], out)?;
                    at += run;
                    self.characters += run as u64;
                    match rest.get(run) {
                        None => {}
                        Some(b'"') => return Ok((at + 1, true)),
                        Some(_) => {
                            self.escape = Escape::Backslash;
                            at += 1;
                            self.characters += 1;
                        }
                    }
                }
                _ => {
                    if let Some(letter) = self.escaped(chunk[at])? {
                        self.base64.take(&[letter], out)?;
                    }
                    at += 1;
                    self.characters += 1;
                }
            }
        }
        Ok((at, false))
    }

    /// Whether what has been taken is whole.
    pub(super) fn complete(&self) -> bool {
        self.base64.complete()
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

/// A decoder of base64 that is fed in pieces. Space between the letters is passed over.
#[derive(Debug, Default)]
struct Base64 {
    /// Letters that do not fill a group of four yet.
    pending: [u8; 4],
    count: usize,
    /// Set behind a padded group: nothing but space may follow.
    ended: bool,
}

impl Base64 {
    fn take(&mut self, mut text: &[u8], out: &mut Vec<u8>) -> Result<(), ()> {
        // Letters are taken one by one until the groups of four begin in `text`, and again at its end.
        while self.count > 0 || self.ended {
            let Some((letter, rest)) = text.split_first() else { return Ok(()) };
            self.letter(*letter, out)?;
            text = rest;
        }
        let mut whole = text.len() & !3;
        // A padded group ends the text; it would spoil the block.
        if text[..whole].ends_with(b"=") {
            whole -= 4;
        }
        let start = out.len();
        if whole >= 16 && base64_simd::STANDARD_NO_PAD.decode_append(&text[..whole], out).is_ok() {
            text = &text[whole..];
        } else {
            out.truncate(start);
        }
        // What is left is short, or has space or padding in it.
        text.iter().try_for_each(|letter| self.letter(*letter, out))
    }

    fn letter(&mut self, letter: u8, out: &mut Vec<u8>) -> Result<(), ()> {
        if matches!(letter, b' ' | b'\n' | b'\r' | b'\t') {
            return Ok(());
        }
        if self.ended {
            return Err(());
        }
        self.pending[self.count] = letter;
        self.count += 1;
        if self.count == 4 {
            self.count = 0;
            self.ended = letter == b'=';
            base64_simd::STANDARD.decode_append(self.pending, out).map_err(|_| ())?;
        }
        Ok(())
    }

    fn complete(&self) -> bool {
        self.count == 0
    }
}
