//! Bytes in and out: little-endian numbers, strings with their length before them.

use crate::error::Error;

/// Appends values to a buffer.
pub(crate) trait Put {
    fn put_u32(&mut self, value: u32);
    fn put_u64(&mut self, value: u64);
    fn put_i64(&mut self, value: i64);
    fn put_bytes(&mut self, value: &[u8]);
}

impl Put for Vec<u8> {
    fn put_u32(&mut self, value: u32) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.extend_from_slice(&value.to_le_bytes());
    }
    fn put_bytes(&mut self, value: &[u8]) {
        self.put_u32(length(value.len()));
        self.extend_from_slice(value);
    }
}

/// A length as it is written. What is written in one piece is bounded far below 4 GiB by the limits of the faces.
pub(crate) fn length(value: usize) -> u32 {
    u32::try_from(value).expect("one value of a commit is smaller than 4 GiB")
}

/// Takes values from the front of a slice; every step that does not fit says that the bytes are damaged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Take<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Take<'a> {
    pub(crate) fn new(all: &'a [u8]) -> Take<'a> {
        Take { all, at: 0 }
    }
    /// How far the reader is.
    pub(crate) fn at(&self) -> usize {
        self.at
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.at == self.all.len()
    }
    pub(crate) fn slice(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let end = self.at.checked_add(length).ok_or_else(short)?;
        let found = self.all.get(self.at..end).ok_or_else(short)?;
        self.at = end;
        Ok(found)
    }
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.slice(N).map(|found| <[u8; N]>::try_from(found).expect("the slice has this length"))
    }
    pub(crate) fn u8(&mut self) -> Result<u8, Error> {
        self.array::<1>().map(|found| found[0])
    }
    pub(crate) fn u32(&mut self) -> Result<u32, Error> {
        self.array().map(u32::from_le_bytes)
    }
    pub(crate) fn u64(&mut self) -> Result<u64, Error> {
        self.array().map(u64::from_le_bytes)
    }
    pub(crate) fn i64(&mut self) -> Result<i64, Error> {
        self.array().map(i64::from_le_bytes)
    }
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Error> {
        let length = self.u32()? as usize;
        self.slice(length)
    }
    pub(crate) fn text(&mut self) -> Result<&'a str, Error> {
        text(self.bytes()?)
    }
}

/// Bytes that were a string when they were written.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::Damaged("a stored name is not UTF-8".into()))
}

fn short() -> Error {
    Error::Damaged("a stored value ends before its end".into())
}
