//! A commit as it is written: everything of a batch but the content of its documents, in one piece of bytes.

use std::ops::Range;

use bytes::Bytes;

use crate::batch::Batch;
use crate::blob::{Content, Staged};
use crate::encode::{self, Put as _, Take};
use crate::error::Error;
use crate::index::judge::Conditions;
use crate::record::{Instant, Sequence};
use crate::row;

/// Where a commit says its documents are.
const IN_ENTRY: u8 = 0;
const IN_FILE: u8 = 1;

/// A batch made ready by its caller's thread: only its place and instant are missing.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) instant: Instant,
    pub(crate) conditions: Conditions,
    /// Encoded, except for the place of each row.
    pub(crate) meta: Vec<u8>,
    rows: Vec<usize>,
    /// Documents, in the order in which `meta` names them.
    pub(crate) blobs: Vec<Staged>,
    pub(crate) trash: Vec<String>,
    /// Whether the batch brings anything new. What only concludes something, as settling and clearing away do, may use the
    /// room below the last mark.
    pub(crate) grows: bool,
    /// Whether its caller says that it only concludes something.
    pub(crate) concluding: bool,
}

impl Prepared {
    pub(crate) fn new(batch: Batch) -> Prepared {
        let conditions = Conditions::new(&batch.puts, &batch.claims, &batch.releases);
        let mut meta = Vec::with_capacity(4096);
        list(&mut meta, &batch.claims, |out, claim| {
            out.put_bytes(claim.name.as_bytes());
            out.put_bytes(&claim.value);
        });
        list(&mut meta, &batch.releases, |out, name| out.put_bytes(name.as_bytes()));
        let mut rows = Vec::with_capacity(batch.puts.len());
        list(&mut meta, &batch.puts, |out, put| {
            let row = row::encode(put);
            out.put_u32(encode::length(row.len()));
            rows.push(out.len());
            out.extend_from_slice(&row);
        });
        list(&mut meta, &batch.outgoing, |out, message| {
            out.put_bytes(message.peer.as_bytes());
            out.put_bytes(message.stream.as_bytes());
            out.put_bytes(&message.payload);
        });
        list(&mut meta, &batch.delivered, |out, (peer, sequence, position)| {
            out.put_bytes(peer.as_bytes());
            out.put_u64(*sequence);
            out.put_u32(*position);
        });
        list(&mut meta, &batch.blobs, document);
        list(&mut meta, &batch.trash, |out, id| out.put_bytes(id.as_bytes()));
        list(&mut meta, &batch.audit, |out, record| out.put_bytes(record));
        Prepared {
            instant: batch.instant,
            conditions,
            meta,
            rows,
            grows: !batch.concluding
                && (batch.puts.iter().any(|put| put.version == 1)
                    || !(batch.blobs.is_empty() && batch.outgoing.is_empty())),
            concluding: batch.concluding,
            blobs: batch.blobs,
            trash: batch.trash,
        }
    }

    /// Fills in the place.
    pub(crate) fn place(&mut self, sequence: Sequence, instant: Instant) {
        for &at in &self.rows {
            row::place(&mut self.meta[at..], sequence, instant);
        }
    }

    /// The contents of the documents that are written with the entry.
    pub(crate) fn inline(&self) -> impl Iterator<Item = &Bytes> {
        self.blobs.iter().filter_map(|staged| match &staged.content {
            Content::Inline(bytes) => Some(bytes),
            Content::File(_) => None,
        })
    }

    /// Files of large documents belong to the commit from now on.
    pub(crate) fn keep_files(&mut self) {
        for staged in &mut self.blobs {
            if let Content::File(file) = &mut staged.content {
                file.kept = true;
            }
        }
    }
}

fn list<T>(out: &mut Vec<u8>, items: &[T], mut write: impl FnMut(&mut Vec<u8>, &T)) {
    out.put_u32(encode::length(items.len()));
    for item in items {
        write(out, item);
    }
}

fn document(out: &mut Vec<u8>, staged: &Staged) {
    out.put_bytes(staged.id.as_bytes());
    out.push(match staged.content {
        Content::Inline(_) => IN_ENTRY,
        Content::File(_) => IN_FILE,
    });
    out.put_u64(staged.size);
    out.extend_from_slice(&staged.sha1);
    out.extend_from_slice(&staged.sha256);
    out.put_u32(encode::length(staged.checks.len()));
    for check in &staged.checks {
        out.put_u64(*check);
    }
}

/// A commit read back.
#[derive(Debug)]
pub(crate) struct Commit<'a> {
    pub(crate) claims: Vec<(&'a str, &'a [u8])>,
    pub(crate) releases: Vec<&'a str>,
    /// Where each row stands in the bytes of the commit.
    pub(crate) rows: Vec<Range<usize>>,
    pub(crate) outgoing: Vec<(&'a str, &'a str, &'a [u8])>,
    pub(crate) delivered: Vec<(&'a str, Sequence, u32)>,
    pub(crate) documents: Vec<Document<'a>>,
    pub(crate) trash: Vec<&'a str>,
    pub(crate) audit: Vec<&'a [u8]>,
}

/// A document a commit brings.
#[derive(Debug)]
pub(crate) struct Document<'a> {
    pub(crate) id: &'a str,
    pub(crate) in_entry: bool,
    pub(crate) size: u64,
    pub(crate) sha1: [u8; 20],
    pub(crate) sha256: [u8; 32],
    pub(crate) checks: Vec<u64>,
}

impl<'a> Commit<'a> {
    pub(crate) fn read(meta: &'a [u8]) -> Result<Commit<'a>, Error> {
        let mut rest = Take::new(meta);
        let commit = Commit {
            claims: each(&mut rest, |rest| Ok((rest.text()?, rest.bytes()?)))?,
            releases: each(&mut rest, Take::text)?,
            rows: each(&mut rest, |rest| {
                let length = rest.bytes()?.len();
                Ok(rest.at() - length..rest.at())
            })?,
            outgoing: each(&mut rest, |rest| Ok((rest.text()?, rest.text()?, rest.bytes()?)))?,
            delivered: each(&mut rest, |rest| Ok((rest.text()?, rest.u64()?, rest.u32()?)))?,
            documents: each(&mut rest, read_document)?,
            trash: each(&mut rest, Take::text)?,
            audit: each(&mut rest, Take::bytes)?,
        };
        if rest.is_empty() {
            Ok(commit)
        } else {
            Err(Error::Damaged("a commit goes on behind its end".into()))
        }
    }
}

fn each<'a, T>(
    rest: &mut Take<'a>,
    mut read: impl FnMut(&mut Take<'a>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let count = rest.u32()?;
    (0..count).map(|_| read(rest)).collect()
}

fn read_document<'a>(rest: &mut Take<'a>) -> Result<Document<'a>, Error> {
    Ok(Document {
        id: rest.text()?,
        in_entry: rest.u8()? == IN_ENTRY,
        size: rest.u64()?,
        sha1: rest.array()?,
        sha256: rest.array()?,
        checks: each(rest, Take::u64)?,
    })
}
