//! The chunked coding, followed strictly and passed on in one normal form (RFC 9112 section 7.1): sizes without
//! extensions, no trailers.

/// Where in a chunked body we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Chunks {
    /// Before the line with a chunk's size.
    Size,
    /// In a chunk, with bytes left.
    Data(u64),
    /// After a chunk, before its CR LF.
    AfterData,
    /// After the last chunk, in the trailers; bytes of them so far.
    Trailers(usize),
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Not enough bytes to tell.
    More,
    /// Skip so many bytes and write this instead.
    Replace(usize, String),
    /// So many bytes are content.
    Content(u64),
    /// Skip so many bytes; the body has ended, write this.
    End(usize, &'static str),
    /// The coding is broken; write this to end the body.
    Broken(&'static str),
}

const MAX_SIZE_LINE: usize = 256;
const MAX_TRAILERS: usize = 8 << 10;

impl Chunks {
    /// Looks at the next bytes and moves on.
    pub(crate) fn step(&mut self, bytes: &[u8]) -> Step {
        match *self {
            Chunks::Size => self.size(bytes),
            Chunks::Data(left) => Step::Content(left),
            Chunks::AfterData => match bytes {
                [b'\r', b'\n', ..] => {
                    *self = Chunks::Size;
                    Step::Replace(2, "\r\n".to_owned())
                }
                [] | [b'\r'] => Step::More,
                _ => Step::Broken("\r\n0\r\n\r\n"),
            },
            Chunks::Trailers(seen) => self.trailer(seen, bytes),
        }
    }

    /// So many bytes of the chunk have been passed on.
    pub(crate) fn passed(&mut self, bytes: u64) {
        if let Chunks::Data(left) = self {
            *left -= bytes;
            if *left == 0 {
                *self = Chunks::AfterData;
            }
        }
    }

    fn size(&mut self, bytes: &[u8]) -> Step {
        let broken = Step::Broken("0\r\n\r\n");
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return if bytes.len() > MAX_SIZE_LINE { broken } else { Step::More };
        };
        if end > MAX_SIZE_LINE || end == 0 || bytes[end - 1] != b'\r' {
            return broken;
        }
        let line = &bytes[..end - 1];
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        let extension = &line[digits..];
        let sound_extension = extension.is_empty()
            || (matches!(extension[0], b';' | b' ' | b'\t')
                && extension.iter().all(|b| *b == b'\t' || (0x20..0x7f).contains(b)));
        // Fifteen digits are a petabyte and cannot overflow.
        if digits == 0 || digits > 15 || !sound_extension {
            return broken;
        }
        let text = std::str::from_utf8(&line[..digits]).unwrap_or_default();
        match u64::from_str_radix(text, 16) {
            Ok(0) => {
                *self = Chunks::Trailers(0);
                Step::Replace(end + 1, String::new())
            }
            Ok(size) => {
                *self = Chunks::Data(size);
                Step::Replace(end + 1, format!("{size:x}\r\n"))
            }
            Err(_) => broken,
        }
    }

    fn trailer(&mut self, seen: usize, bytes: &[u8]) -> Step {
        let broken = Step::Broken("0\r\n\r\n");
        let Some(end) = memchr::memchr(b'\n', bytes) else {
            return if seen + bytes.len() > MAX_TRAILERS { broken } else { Step::More };
        };
        if end == 0 || bytes[end - 1] != b'\r' || seen + end > MAX_TRAILERS {
            return broken;
        }
        if end == 1 {
            return Step::End(2, "0\r\n\r\n");
        }
        *self = Chunks::Trailers(seen + end + 1);
        Step::Replace(end + 1, String::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut bytes: &[u8]) -> (String, Option<Step>) {
        let mut chunks = Chunks::Size;
        let mut out = String::new();
        loop {
            match chunks.step(bytes) {
                Step::Replace(skip, text) => {
                    bytes = &bytes[skip..];
                    out.push_str(&text);
                }
                Step::Content(left) => {
                    let n = (left as usize).min(bytes.len());
                    if n == 0 {
                        return (out, Some(Step::More));
                    }
                    out.push_str(std::str::from_utf8(&bytes[..n]).unwrap());
                    chunks.passed(n as u64);
                    bytes = &bytes[n..];
                }
                Step::End(_, text) => {
                    out.push_str(text);
                    return (out, None);
                }
                other => return (out, Some(other)),
            }
        }
    }

    #[test]
    fn chunks_pass_in_normal_form() {
        assert_eq!(run(b"003;x=y\r\nabc\r\n0\r\nT: v\r\n\r\n"), ("3\r\nabc\r\n0\r\n\r\n".to_owned(), None));
    }

    #[test]
    fn a_size_that_overflows_is_broken() {
        assert_eq!(run(b"FFFFFFFFFFFFFFFFF\r\n").1, Some(Step::Broken("0\r\n\r\n")));
    }

    #[test]
    fn chunks_that_lie_about_their_size_are_broken() {
        assert_eq!(run(b"3\r\nabcd\r\n").1, Some(Step::Broken("\r\n0\r\n\r\n")));
        for wrong in ["\n", "x\r\n", "-1\r\n", "0x3\r\n", "3\nabc"] {
            assert_eq!(run(wrong.as_bytes()).1, Some(Step::Broken("0\r\n\r\n")), "{wrong:?}");
        }
    }

    #[test]
    fn an_unfinished_body_waits_for_more() {
        for part in ["", "3", "3\r\n", "3\r\nab", "3\r\nabc", "3\r\nabc\r", "0\r\n"] {
            assert_eq!(run(part.as_bytes()).1, Some(Step::More), "{part:?}");
        }
    }
}
