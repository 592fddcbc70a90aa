//! The values of the index that are not rows.

use bytes::Bytes;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::encode::{Put, Take};
use crate::error::Error;
use crate::record::{Instant, Sequence, Version};

/// A row as it stands in the index: with a check sum over its bytes and its key, so that neither a damaged row nor one
/// that strayed to another key is ever taken for what was asked.
pub(crate) fn guarded(key: &[u8], row: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(row.len() + GUARD);
    out.extend_from_slice(row);
    out.put_u64(guard(key, row));
    out
}

/// The row under a key of the index.
pub(crate) fn verified<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], Error> {
    let damaged = || Error::Damaged("a record in the index".into());
    let (row, check) = value.split_last_chunk::<GUARD>().ok_or_else(damaged)?;
    if u64::from_le_bytes(*check) != guard(key, row) {
        return Err(damaged());
    }
    Ok(row)
}

const GUARD: usize = 8;

fn guard(key: &[u8], row: &[u8]) -> u64 {
    xxh3_64_with_seed(row, xxh3_64(key))
}

/// A stretch of a journal segment, with the check sum of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Location {
    /// Number of the segment, from 1; 0 where there is no journal.
    pub(crate) segment: u32,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// xxh3-64 of the bytes.
    pub(crate) check: u64,
}

impl Location {
    fn put(&self, out: &mut Vec<u8>) {
        out.put_u32(self.segment);
        out.put_u64(self.offset);
        out.put_u64(self.length);
        out.put_u64(self.check);
    }
    fn take(rest: &mut Take<'_>) -> Result<Location, Error> {
        Ok(Location { segment: rest.u32()?, offset: rest.u64()?, length: rest.u64()?, check: rest.u64()? })
    }
}

/// Where the current version of a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) version: Version,
    pub(crate) sequence: Sequence,
    /// The row in the journal.
    pub(crate) location: Location,
    /// The key under which the row stands.
    pub(crate) key: Bytes,
}

impl Pointer {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48 + self.key.len());
        out.put_u64(self.version);
        out.put_u64(self.sequence);
        self.location.put(&mut out);
        out.extend_from_slice(&self.key);
        out
    }
    pub(crate) fn from_bytes(bytes: &Bytes) -> Result<Pointer, Error> {
        let mut rest = Take::new(bytes);
        let (version, sequence) = (rest.u64()?, rest.u64()?);
        let location = Location::take(&mut rest)?;
        Ok(Pointer { version, sequence, location, key: bytes.slice(rest.at()..) })
    }
}

/// A version that is no longer current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Past {
    /// Its bytes are in the journal.
    Journal { sequence: Sequence, location: Location },
    /// There is no journal; its bytes are here.
    Here(Bytes),
}

impl Past {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Past::Journal { sequence, location } => {
                out.push(0);
                out.put_u64(*sequence);
                location.put(&mut out);
            }
            Past::Here(row) => {
                out.push(1);
                out.extend_from_slice(row);
            }
        }
        out
    }
    pub(crate) fn from_bytes(bytes: &Bytes) -> Result<Past, Error> {
        let mut rest = Take::new(bytes);
        match rest.u8()? {
            0 => Ok(Past::Journal { sequence: rest.u64()?, location: Location::take(&mut rest)? }),
            1 => Ok(Past::Here(bytes.slice(1..))),
            other => Err(Error::Damaged(format!("a past version is kept in unknown form {other}"))),
        }
    }
}

/// Where the bytes of a document are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the journal, from this offset of this segment.
    Journal { segment: u32, offset: u64 },
    /// In a file of its own.
    File,
    /// In the memory of the engine.
    Memory,
}

/// What the index knows of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredBlob {
    pub(crate) place: Place,
    pub(crate) trashed: bool,
    pub(crate) size: u64,
    pub(crate) instant: Instant,
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    /// xxh3-64 of each chunk, for a document in the journal; a file holds its own.
    pub(crate) checks: Vec<u64>,
}

impl StoredBlob {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96 + 8 * self.checks.len());
        let (tag, segment, offset) = match self.place {
            Place::Journal { segment, offset } => (0, segment, offset),
            Place::File => (1, 0, 0),
            Place::Memory => (2, 0, 0),
        };
        out.push(tag);
        out.push(u8::from(self.trashed));
        out.put_u32(segment);
        out.put_u64(offset);
        out.put_u64(self.size);
        out.put_i64(self.instant);
        out.extend_from_slice(&self.sha1);
        out.extend_from_slice(&self.sha256);
        for check in &self.checks {
            out.put_u64(*check);
        }
        out
    }
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<StoredBlob, Error> {
        let mut rest = Take::new(bytes);
        let (tag, trashed, segment, offset) = (rest.u8()?, rest.u8()? == 1, rest.u32()?, rest.u64()?);
        let place = match tag {
            0 => Place::Journal { segment, offset },
            1 => Place::File,
            2 => Place::Memory,
            other => return Err(Error::Damaged(format!("a document is kept in unknown form {other}"))),
        };
        let (size, instant, sha1, sha256) = (rest.u64()?, rest.i64()?, rest.array()?, rest.array()?);
        let mut checks = Vec::new();
        while !rest.is_empty() {
            checks.push(rest.u64()?);
        }
        Ok(StoredBlob { place, trashed, size, instant, sha1, sha256, checks })
    }
}

/// How far the index is. Written with every group of commits, so it always says what the index holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct State {
    /// The last commit.
    pub(crate) sequence: Sequence,
    /// Its instant.
    pub(crate) instant: Instant,
    /// Documents kept, and their bytes.
    pub(crate) documents: u64,
    pub(crate) document_bytes: u64,
    /// The last journal entry (a commit or a note), where it begins and ends, and its hash.
    pub(crate) entry: u64,
    pub(crate) segment: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) hash: [u8; 32],
}

impl State {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        for value in [self.sequence, self.documents, self.document_bytes, self.entry, self.start, self.end] {
            out.put_u64(value);
        }
        out.put_i64(self.instant);
        out.put_u32(self.segment);
        out.extend_from_slice(&self.hash);
        out
    }
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<State, Error> {
        let mut rest = Take::new(bytes);
        Ok(State {
            sequence: rest.u64()?,
            documents: rest.u64()?,
            document_bytes: rest.u64()?,
            entry: rest.u64()?,
            start: rest.u64()?,
            end: rest.u64()?,
            instant: rest.i64()?,
            segment: rest.u32()?,
            hash: rest.array()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_given_only_under_its_own_key_and_whole() {
        let value = guarded(b"key", b"row");
        assert_eq!(verified(b"key", &value).unwrap(), b"row");
        assert!(verified(b"kez", &value).is_err());
        for at in 0..value.len() {
            let mut damaged = value.clone();
            damaged[at] ^= 1;
            assert!(verified(b"key", &damaged).is_err());
        }
    }
}
