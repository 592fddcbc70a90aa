//! Base64 of a document, both ways, in pieces.

/// A decoder that is fed in pieces. White space between the letters is passed over.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Letters that do not fill a group of four yet.
    pending: [u8; 4],
    count: usize,
    /// Set behind a padded group: nothing but space may follow.
    ended: bool,
}

impl Decoder {
    pub(super) fn take(&mut self, mut text: &[u8], out: &mut Vec<u8>) -> Result<(), ()> {
        while !text.is_empty() {
            if self.count == 0 && !self.ended {
                let run = text.iter().position(|byte| is_space(*byte) || *byte == b'=').unwrap_or(text.len());
                let whole = run & !3;
                if whole > 0 {
                    base64_simd::STANDARD_NO_PAD.decode_append(&text[..whole], out).map_err(|_| ())?;
                    text = &text[whole..];
                    continue;
                }
            }
            self.letter(text[0], out)?;
            text = &text[1..];
        }
        Ok(())
    }

    fn letter(&mut self, letter: u8, out: &mut Vec<u8>) -> Result<(), ()> {
        if is_space(letter) {
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

    pub(super) fn complete(&self) -> bool {
        self.count == 0
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
}

/// An encoder that is fed in pieces.
#[derive(Debug, Default)]
pub struct Encoder {
    pending: Vec<u8>,
}

impl Encoder {
    /// What becomes of the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(bytes);
        let whole = self.pending.len() / 3 * 3;
        let text = base64_simd::STANDARD.encode_to_string(&self.pending[..whole]).into_bytes();
        self.pending.drain(..whole);
        text
    }

    /// What becomes of the last bytes.
    pub fn finish(self) -> Vec<u8> {
        base64_simd::STANDARD.encode_to_string(&self.pending).into_bytes()
    }

    /// Letters so many bytes become.
    pub fn length(bytes: u64) -> u64 {
        bytes.div_ceil(3) * 4
    }
}
