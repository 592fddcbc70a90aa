//! The keys of the index. The first byte names the table; variable parts are escaped and ended so that keys sort as their parts do.
//!
//! | table | key | value |
//! |---|---|---|
//! | row | kind, partition, order descending, id | the encoded row |
//! | grave | kind, id | the encoded row of a deleted record |
//! | pointer | kind, id | [`super::values::Pointer`] |
//! | past | kind, id, version descending | [`super::values::Past`] |
//! | departed | kind, partition, sequence, id | nothing: the row left this place with that commit |
//! | changed | kind, sequence, id | version |
//! | term | kind, name, value, space, id | nothing |
//! | exact, folded | kind, name, text, id | nothing |
//! | stretch | kind, name, from, to, id | nothing |
//! | reach | kind, name, class, reach | nothing: such a fact has been written |
//! | source | kind, edge, target, id | nothing |
//! | claim | name | value |
//! | outgoing | peer, sequence, position | instant, stream, payload |
//! | blob | id | [`super::values::StoredBlob`] |
//! | state | | [`super::values::State`] |

use std::borrow::Cow;

use crate::record::{Instant, Reach, Sequence, Version};

pub(crate) const ROW: u8 = b'R';
pub(crate) const GRAVE: u8 = b'G';
pub(crate) const POINTER: u8 = b'P';
pub(crate) const PAST: u8 = b'V';
pub(crate) const DEPARTED: u8 = b'D';
pub(crate) const CHANGED: u8 = b'C';
pub(crate) const TERM: u8 = b'T';
pub(crate) const EXACT: u8 = b'X';
pub(crate) const FOLDED: u8 = b'F';
pub(crate) const STRETCH: u8 = b'I';
pub(crate) const REACH: u8 = b'N';
pub(crate) const SOURCE: u8 = b'S';
pub(crate) const CLAIM: u8 = b'L';
pub(crate) const OUTGOING: u8 = b'O';
pub(crate) const BLOB: u8 = b'B';
pub(crate) const STATE: u8 = b'A';

const END: u8 = 0;
const ESCAPE: u8 = 1;

/// A key that is being put together.
#[derive(Debug, Clone)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn new(table: u8) -> Key {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(table);
        Key(bytes)
    }
    /// A part of any length, ended.
    pub(crate) fn part(self, part: &[u8]) -> Key {
        let mut key = self.beginning(part);
        key.0.push(END);
        key
    }
    /// The beginning of a part.
    pub(crate) fn beginning(mut self, part: &[u8]) -> Key {
        escape(part, &mut self.0);
        self
    }
    pub(crate) fn number(mut self, value: u64) -> Key {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }
    pub(crate) fn byte(mut self, value: u8) -> Key {
        self.0.push(value);
        self
    }
    pub(crate) fn instant(self, value: Instant) -> Key {
        self.number(ascending(value))
    }
    /// The last part, as it is.
    pub(crate) fn last(mut self, part: &[u8]) -> Key {
        self.0.extend_from_slice(part);
        self
    }
    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Appends a part so that no part is the beginning of another once it is ended, and order is kept.
pub(crate) fn escape(part: &[u8], out: &mut Vec<u8>) {
    if part.iter().all(|&byte| byte > ESCAPE) {
        out.extend_from_slice(part);
        return;
    }
    for &byte in part {
        if byte <= ESCAPE {
            out.extend_from_slice(&[ESCAPE, byte + 1]);
        } else {
            out.push(byte);
        }
    }
}

/// A part as it was before it was escaped.
pub(crate) fn plain(escaped: &[u8]) -> Cow<'_, [u8]> {
    if !escaped.contains(&ESCAPE) {
        return Cow::Borrowed(escaped);
    }
    let mut out = Vec::with_capacity(escaped.len());
    let mut bytes = escaped.iter();
    while let Some(&byte) = bytes.next() {
        out.push(match byte {
            ESCAPE => bytes.next().map_or(byte, |next| next.saturating_sub(1)),
            byte => byte,
        });
    }
    Cow::Owned(out)
}

/// A signed number whose unsigned order is its own.
pub(crate) fn ascending(value: i64) -> u64 {
    (value as u64) ^ (1 << 63)
}

/// A signed number whose unsigned order is the reverse of its own.
pub(crate) fn descending(value: i64) -> u64 {
    !ascending(value)
}

/// The first key behind all keys with this beginning.
pub(crate) fn behind(beginning: &[u8]) -> Vec<u8> {
    let mut end = beginning.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; 16]
}

pub(crate) fn partition(kind: &[u8], partition: &[u8]) -> Key {
    Key::new(ROW).part(kind).part(partition)
}

pub(crate) fn row(kind: &[u8], of: &[u8], order: i64, id: &[u8]) -> Vec<u8> {
    partition(kind, of).number(descending(order)).last(id).done()
}

pub(crate) fn grave(kind: &[u8], id: &[u8]) -> Vec<u8> {
    Key::new(GRAVE).part(kind).last(id).done()
}

pub(crate) fn pointer(kind: &[u8], id: &[u8]) -> Vec<u8> {
    Key::new(POINTER).part(kind).last(id).done()
}

pub(crate) fn past_of(kind: &[u8], id: &[u8]) -> Key {
    Key::new(PAST).part(kind).part(id)
}

pub(crate) fn past(kind: &[u8], id: &[u8], version: Version) -> Vec<u8> {
    past_of(kind, id).number(!version).done()
}

pub(crate) fn departed(kind: &[u8], partition: &[u8], sequence: Sequence, id: &[u8]) -> Vec<u8> {
    Key::new(DEPARTED).part(kind).part(partition).number(sequence).last(id).done()
}

pub(crate) fn changed(kind: &[u8], sequence: Sequence, id: &[u8]) -> Vec<u8> {
    Key::new(CHANGED).part(kind).number(sequence).last(id).done()
}

pub(crate) fn reach(kind: &[u8], name: &[u8], class: u8, reach: Reach) -> Vec<u8> {
    let reach = match reach {
        Reach::Partition => b'p',
        Reach::Global => b'g',
    };
    Key::new(REACH).part(kind).part(name).byte(class).byte(reach).done()
}

pub(crate) fn sources(kind: &[u8], edge: &[u8], target: &[u8]) -> Key {
    Key::new(SOURCE).part(kind).part(edge).part(target)
}

pub(crate) fn claim(name: &str) -> Vec<u8> {
    Key::new(CLAIM).last(name.as_bytes()).done()
}

pub(crate) fn outgoing(peer: &[u8], sequence: Sequence, position: u32) -> Vec<u8> {
    Key::new(OUTGOING).part(peer).number(sequence).number(u64::from(position)).done()
}

pub(crate) fn blob(id: &[u8]) -> Vec<u8> {
    Key::new(BLOB).last(id).done()
}

pub(crate) fn state() -> Vec<u8> {
    Key::new(STATE).done()
}

/// What follows the first `parts` ended parts of a key (after its table byte); nothing if there are fewer.
pub(crate) fn after_parts(key: &[u8], parts: usize) -> Option<&[u8]> {
    let mut rest = key.get(1..)?;
    for _ in 0..parts {
        let end = memchr::memchr(END, rest)?;
        rest = &rest[end + 1..];
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_as_their_parts_do() {
        let mut parts: Vec<(&[u8], i64)> = vec![
            (b"", 5),
            (b"\0", 0),
            (b"\0\0", 0),
            (b"\x01", 0),
            (b"a", 3),
            (b"a", -3),
            (b"a\0", 9),
            (b"a\x01b", 1),
            (b"ab", 0),
        ];
        parts.sort_by(|left, right| left.0.cmp(right.0).then(right.1.cmp(&left.1)));
        let keys: Vec<_> = parts.iter().map(|(part, order)| row(b"k", part, *order, b"id")).collect();
        assert!(keys.is_sorted());
    }

    #[test]
    fn what_is_escaped_comes_back() {
        for part in [&b""[..], b"abc", b"\0", b"\x01", b"a\0\x01\x02b"] {
            let mut escaped = Vec::new();
            escape(part, &mut escaped);
            assert!(!escaped.contains(&END));
            assert_eq!(plain(&escaped).as_ref(), part);
        }
    }

    #[test]
    fn the_end_of_a_beginning_is_behind_everything_that_begins_so() {
        assert_eq!(behind(b"ab"), b"ac");
        assert_eq!(behind(b"a\xff"), b"b");
    }
}
