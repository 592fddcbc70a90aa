//! Base64 of a document, decoded while it passes.

/// A decoder of base64 that is fed in pieces. Space between the letters is passed over.
#[derive(Debug, Default)]
pub(super) struct Base64 {
    /// Letters that do not fill a group of four yet.
    pending: [u8; 4],
    count: usize,
    /// Set behind a padded group: nothing but space may follow.
    ended: bool,
}

impl Base64 {
    pub(super) fn take(&mut self, mut text: &[u8], out: &mut Vec<u8>) -> Result<(), ()> {
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

    pub(super) fn complete(&self) -> bool {
        self.count == 0
    }
}
