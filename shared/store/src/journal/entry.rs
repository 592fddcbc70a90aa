//! One entry of the journal: a commit, or a note.
//!
//! ```text
//!  0 magic u32 · sort u8 · 3 × 0 · number u64 · sequence u64 · instant i64 · durable u64
//! 40 length of the commit u32 · 0 u32 · length of the documents u64
//! 56 BLAKE3(hash of the entry before, bytes 0..56, the commit)
//! 88 xxh3-64 of bytes 0..88 under the journal's own seed
//! 96 the commit · the documents · zeros up to a multiple of 8
//! ```
//! The commit names SHA-256 and check sums of its documents, so the chain holds them too.
//! `durable` is the last entry that was known to be synced when this one was written: it tells a torn tail
//! from damage to something that was acknowledged.

use crate::encode::{Put as _, Take};
use crate::error::Error;
use crate::record::{Instant, Sequence};

pub(crate) const HEADER: usize = 96;
pub(crate) const MAGIC: u32 = 0x4a44_5331;
const HASHED: usize = 56;
const CHECKED: usize = 88;

/// Entries begin at multiples of this.
pub(crate) const ALIGNMENT: u64 = 8;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A commit: it changes the index.
    Commit,
    /// Audit records of reads.
    Note,
}

/// The head of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) sort: Sort,
    pub(crate) number: u64,
    pub(crate) sequence: Sequence,
    pub(crate) instant: Instant,
    pub(crate) durable: u64,
    pub(crate) meta: u32,
    pub(crate) documents: u64,
    pub(crate) hash: [u8; 32],
}

impl Head {
    /// Bytes of the whole entry with its padding.
    pub(crate) fn length(&self) -> u64 {
        length(u64::from(self.meta), self.documents)
    }

    /// The bytes of the head, the hash taken over them and the commit.
    pub(crate) fn seal(&mut self, before: &[u8; 32], meta: &[u8], seed: u64) -> [u8; HEADER] {
        let mut out = self.hashed();
        self.hash = chain(before, &out, meta);
        out.extend_from_slice(&self.hash);
        let check = xxhash_rust::xxh3::xxh3_64_with_seed(&out, seed);
        out.put_u64(check);
        out.try_into().expect("the head has its length")
    }

    fn hashed(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.put_u32(MAGIC);
        out.extend_from_slice(&[
            match self.sort {
                Sort::Commit => 1,
                Sort::Note => 2,
            },
            0,
            0,
            0,
        ]);
        out.put_u64(self.number);
        out.put_u64(self.sequence);
        out.put_i64(self.instant);
        out.put_u64(self.durable);
        out.put_u32(self.meta);
        out.put_u32(0);
        out.put_u64(self.documents);
        out
    }

    /// A head, if these bytes are one of this journal.
    pub(crate) fn read(bytes: &[u8], seed: u64) -> Option<Head> {
        let bytes = bytes.get(..HEADER)?;
        let (checked, check) = bytes.split_at(CHECKED);
        if checked[..4] != MAGIC.to_le_bytes()
            || xxhash_rust::xxh3::xxh3_64_with_seed(checked, seed).to_le_bytes() != check
        {
            return None;
        }
        Head::take(Take::new(&checked[4..])).ok()
    }

    fn take(mut rest: Take<'_>) -> Result<Head, Error> {
        let sort = match rest.u32()? {
            1 => Sort::Commit,
            2 => Sort::Note,
            _ => return Err(Error::Damaged("an entry is of unknown sort".into())),
        };
        let (number, sequence, instant, durable) = (rest.u64()?, rest.u64()?, rest.i64()?, rest.u64()?);
        let (meta, _, documents) = (rest.u32()?, rest.u32()?, rest.u64()?);
        Ok(Head { sort, number, sequence, instant, durable, meta, documents, hash: rest.array()? })
    }

    /// Whether this head and commit follow the entry with this hash.
    pub(crate) fn follows(&self, before: &[u8; 32], meta: &[u8]) -> bool {
        chain(before, &self.hashed(), meta) == self.hash
    }
}

fn chain(before: &[u8; 32], head: &[u8], meta: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    hasher.update(&head[..HASHED]);
    hasher.update(meta);
    hasher.finalize().into()
}

/// Bytes of an entry with its padding.
pub(crate) fn length(meta: u64, documents: u64) -> u64 {
    (HEADER as u64 + meta + documents).next_multiple_of(ALIGNMENT)
}

/// The audit records of a note.
pub(crate) fn read_note(meta: &[u8]) -> Result<Vec<&[u8]>, Error> {
    let mut rest = Take::new(meta);
    (0..rest.u32()?).map(|_| rest.bytes()).collect()
}

/// The commit of a note: its audit records.
pub(crate) fn note(records: &[bytes::Bytes]) -> Vec<u8> {
    let mut out = Vec::with_capacity(records.iter().map(|record| record.len() + 4).sum::<usize>() + 4);
    out.put_u32(crate::encode::length(records.len()));
    for record in records {
        out.put_bytes(record);
    }
    out
}
