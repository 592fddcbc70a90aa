//! The MLLP frame: `0x0B` message `0x1C 0x0D`.

const START: u8 = 0x0B;
const END: u8 = 0x1C;
const RETURN: u8 = 0x0D;

/// A message in its frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 3);
    out.push(START);
    out.extend_from_slice(message);
    out.extend_from_slice(&[END, RETURN]);
    out
}

/// What came out of the bytes of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// A message.
    Whole(Vec<u8>),
    /// A message that is longer than the limit; how it begins. Nothing after it can be read.
    TooLong(Vec<u8>),
}

/// Bytes kept of a message that is too long: enough to find its header.
const BEGINNING: usize = 4 << 10;

/// Finds the messages in a stream of bytes. What stands outside of frames is skipped.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    buffer: Vec<u8>,
    /// How much of the buffer has been searched for the end.
    searched: usize,
    open: bool,
}

impl Reader {
    /// For frames of at most so many bytes.
    pub fn new(limit: usize) -> Reader {
        Reader { limit, buffer: Vec::new(), searched: 0, open: false }
    }

    /// Whether a frame has begun and not ended.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Takes in what was received.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, if it is there to its end.
    pub fn next_frame(&mut self) -> Option<Frame> {
        if !self.open {
            let Some(start) = self.buffer.iter().position(|byte| *byte == START) else {
                self.buffer.clear();
                return None;
            };
            self.buffer.drain(..=start);
            (self.open, self.searched) = (true, 0);
        }
        match self.buffer[self.searched..].iter().position(|byte| *byte == END) {
            Some(end) if self.searched + end <= self.limit => {
                let rest = self.buffer.split_off(self.searched + end + 1);
                let mut message = std::mem::replace(&mut self.buffer, rest);
                message.pop();
                self.open = false;
                Some(Frame::Whole(message))
            }
            None if self.buffer.len() <= self.limit => {
                self.searched = self.buffer.len();
                None
            }
            Some(_) | None => {
                let mut beginning = std::mem::take(&mut self.buffer);
                beginning.truncate(BEGINNING);
                self.open = false;
                Some(Frame::TooLong(beginning))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Frame {
        Frame::Whole(text.as_bytes().to_vec())
    }

    #[test]
    fn messages_come_out_however_they_are_cut() {
        let stream = [b"rubbish".to_vec(), frame(b"one"), b"\n".to_vec(), frame(b"two"), frame(b"")].concat();
        for size in 1..stream.len() {
            let mut reader = Reader::new(100);
            let mut frames = Vec::new();
            for piece in stream.chunks(size) {
                reader.feed(piece);
                frames.extend(std::iter::from_fn(|| reader.next_frame()));
            }
            assert_eq!(frames, [whole("one"), whole("two"), whole("")], "in pieces of {size}");
            assert!(!reader.is_open());
        }
    }

    #[test]
    fn a_message_without_an_end_stays_open() {
        let mut reader = Reader::new(100);
        reader.feed(b"\x0BMSH|");
        assert_eq!(reader.next_frame(), None);
        assert!(reader.is_open());
    }

    #[test]
    fn a_message_longer_than_the_limit_is_told_with_its_beginning() {
        for cut in [1, 3, 50] {
            let mut reader = Reader::new(10);
            let stream = frame(b"MSH|^~\\&|too long");
            let mut frames = Vec::new();
            for piece in stream.chunks(cut) {
                reader.feed(piece);
                frames.extend(reader.next_frame());
                if !frames.is_empty() {
                    break;
                }
            }
            let [Frame::TooLong(beginning)] = frames.as_slice() else { panic!("{frames:?}") };
            assert!(beginning.starts_with(b"MSH|^~\\&|t"));
        }
        let mut reader = Reader::new(3);
        reader.feed(&frame(b"abc"));
        assert_eq!(reader.next_frame(), Some(whole("abc")));
    }
}
