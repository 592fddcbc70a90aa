//! Quoted-printable (RFC 2045, 6.7), decoded in pieces.

/// A decoder that is fed in pieces.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// An escape that is not whole yet, or blanks that may stand at the end of a line.
    pending: Vec<u8>,
}

impl Decoder {
    pub(super) fn take(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), ()> {
        for byte in bytes {
            self.byte(*byte, out)?;
        }
        // Blanks without end would be kept without end; no line is that long.
        if self.pending.len() > 1024 { Err(()) } else { Ok(()) }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), ()> {
        match (self.pending.as_slice(), byte) {
            ([b'=', ..], b'\n') if self.pending.len() < 3 => self.pending.clear(),
            ([b'='], b'\r') => self.pending.push(byte),
            ([b'='], byte) if byte.is_ascii_hexdigit() => self.pending.push(byte),
            ([b'=', first], second) if first.is_ascii_hexdigit() && second.is_ascii_hexdigit() => {
                let digit = |hex: u8| char::from(hex).to_digit(16).unwrap_or_default();
                out.push(u8::try_from(digit(*first) * 16 + digit(second)).map_err(|_| ())?);
                self.pending.clear();
            }
            ([b'=', ..], _) => return Err(()),
            (_, b' ' | b'\t') => self.pending.push(byte),
            // Blanks at the end of a line were put there on the way.
            (_, b'\r' | b'\n') => {
                self.pending.clear();
                out.push(byte);
            }
            (_, b'=') => {
                out.append(&mut self.pending);
                self.pending.push(byte);
            }
            (_, byte) => {
                out.append(&mut self.pending);
                out.push(byte);
            }
        }
        Ok(())
    }

    pub(super) fn complete(&self) -> bool {
        self.pending.first() != Some(&b'=')
    }
}
