//! A record as it is written to storage, and how it is read there without taking it apart.
//!
//! ```text
//! format u8 · deleted u8 · 2 × 0 · version u64 · sequence u64 · instant i64 · order i64
//! lengths u32: kind, partition, id, facts, edges, body, rendering · then these seven
//! ```
//! Sequence and instant are known only when the commit has its place, so they stand at fixed offsets and are filled in then.

use bytes::Bytes;

use crate::batch::Put;
use crate::encode::{self, Put as _, Take};
use crate::error::Error;
use crate::record::{Edge, Fact, Instant, Reach, Row, Sequence, Version};

const FORMAT: u8 = 1;
const SEQUENCE: std::ops::Range<usize> = 12..20;
const INSTANT: std::ops::Range<usize> = 20..28;
const LENGTHS: usize = 36;
const SECTIONS: usize = 7;
const HEADER: usize = LENGTHS + 4 * SECTIONS;

const TERM: u8 = 1;
const STRETCH: u8 = 2;
const TEXT: u8 = 3;
const GLOBAL: u8 = 0x80;

/// The bytes of a put, without its place.
pub(crate) fn encode(put: &Put) -> Vec<u8> {
    let (facts, edges) =
        if put.deleted { (Vec::new(), Vec::new()) } else { (facts(&put.facts), edges(&put.edges)) };
    let sections: [&[u8]; SECTIONS] = [
        put.kind.0.as_bytes(),
        put.partition.as_bytes(),
        put.id.as_bytes(),
        &facts,
        &edges,
        &put.body,
        &put.rendering,
    ];
    let mut out = Vec::with_capacity(HEADER + sections.iter().map(|section| section.len()).sum::<usize>());
    out.extend_from_slice(&[FORMAT, u8::from(put.deleted), 0, 0]);
    out.put_u64(put.version);
    out.put_u64(0);
    out.put_i64(0);
    out.put_i64(put.order);
    for section in sections {
        out.put_u32(encode::length(section.len()));
    }
    for section in sections {
        out.extend_from_slice(section);
    }
    out
}

/// Writes the place of the commit into an encoded row.
pub(crate) fn place(row: &mut [u8], sequence: Sequence, instant: Instant) {
    row[SEQUENCE].copy_from_slice(&sequence.to_le_bytes());
    row[INSTANT].copy_from_slice(&instant.to_le_bytes());
}

fn facts(facts: &[Fact]) -> Vec<u8> {
    let mut out = Vec::with_capacity(facts.len() * 48);
    for fact in facts {
        match fact {
            Fact::Term { name, space, value, reach } => {
                head(&mut out, TERM, *reach, name);
                out.put_bytes(space.as_bytes());
                out.put_bytes(value.as_bytes());
            }
            Fact::Instant { name, from, to, reach } => {
                head(&mut out, STRETCH, *reach, name);
                out.put_i64(*from);
                out.put_i64(*to);
            }
            Fact::Text { name, folded, exact, reach } => {
                head(&mut out, TEXT, *reach, name);
                out.put_bytes(folded.as_bytes());
                out.put_bytes(exact.as_bytes());
            }
        }
    }
    out
}

fn head(out: &mut Vec<u8>, class: u8, reach: Reach, name: &str) {
    let reach = match reach {
        Reach::Partition => 0,
        Reach::Global => GLOBAL,
    };
    out.push(class | reach);
    out.push(name_length(name));
    out.extend_from_slice(name.as_bytes());
}

fn name_length(name: &str) -> u8 {
    u8::try_from(name.len()).expect("names of facts and edges are short words of the domain")
}

fn edges(edges: &[Edge]) -> Vec<u8> {
    let mut out = Vec::with_capacity(edges.len() * 48);
    for edge in edges {
        out.push(name_length(edge.name));
        out.extend_from_slice(edge.name.as_bytes());
        out.put_bytes(edge.target.as_bytes());
    }
    out
}

/// A fact as it lies in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StoredFact<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) reach: Reach,
    pub(crate) value: StoredValue<'a>,
}

/// What a stored fact says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoredValue<'a> {
    Term { space: &'a [u8], value: &'a [u8] },
    Stretch { from: Instant, to: Instant },
    Text { folded: &'a [u8], exact: &'a [u8] },
}

/// An encoded row, looked at in place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowView<'a> {
    bytes: &'a [u8],
    ends: [usize; SECTIONS],
}

impl<'a> RowView<'a> {
    /// Looks at the bytes of a row; refuses those that are not one.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<RowView<'a>, Error> {
        if bytes.len() < HEADER || bytes[0] != FORMAT {
            return Err(Error::Damaged("a stored record has no known form".into()));
        }
        let mut ends = [0; SECTIONS];
        let mut end = HEADER;
        for (index, slot) in ends.iter_mut().enumerate() {
            let at = LENGTHS + 4 * index;
            let length = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes of the header"));
            end += length as usize;
            *slot = end;
        }
        if end != bytes.len() {
            return Err(Error::Damaged("a stored record has not the length it says".into()));
        }
        Ok(RowView { bytes, ends })
    }
    fn section(&self, index: usize) -> &'a [u8] {
        let start = if index == 0 { HEADER } else { self.ends[index - 1] };
        &self.bytes[start..self.ends[index]]
    }
    fn number(&self, at: usize) -> [u8; 8] {
        self.bytes[at..at + 8].try_into().expect("eight bytes of the header")
    }
    pub(crate) fn deleted(&self) -> bool {
        self.bytes[1] & 1 == 1
    }
    pub(crate) fn version(&self) -> Version {
        Version::from_le_bytes(self.number(4))
    }
    pub(crate) fn sequence(&self) -> Sequence {
        Sequence::from_le_bytes(self.number(SEQUENCE.start))
    }
    pub(crate) fn instant(&self) -> Instant {
        Instant::from_le_bytes(self.number(INSTANT.start))
    }
    pub(crate) fn order(&self) -> i64 {
        i64::from_le_bytes(self.number(28))
    }
    pub(crate) fn kind(&self) -> &'a [u8] {
        self.section(0)
    }
    pub(crate) fn partition(&self) -> &'a [u8] {
        self.section(1)
    }
    pub(crate) fn id(&self) -> &'a [u8] {
        self.section(2)
    }
    /// The facts, in the order they were given.
    pub(crate) fn facts(&self) -> impl Iterator<Item = StoredFact<'a>> + use<'a> {
        let mut rest = Take::new(self.section(3));
        std::iter::from_fn(move || if rest.is_empty() { None } else { next_fact(&mut rest).ok() })
    }
    /// The edges: name and target.
    pub(crate) fn edges(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        stored_edges(self.section(4))
    }
}

/// The edges in their section of a row.
pub(crate) fn stored_edges(section: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = Take::new(section);
    std::iter::from_fn(move || if rest.is_empty() { None } else { next_edge(&mut rest).ok() })
}

fn next_fact<'a>(rest: &mut Take<'a>) -> Result<StoredFact<'a>, Error> {
    let tag = rest.u8()?;
    let name_length = rest.u8()?;
    let name = rest.slice(name_length as usize)?;
    let reach = if tag & GLOBAL == 0 { Reach::Partition } else { Reach::Global };
    let value = match tag & !GLOBAL {
        TERM => StoredValue::Term { space: rest.bytes()?, value: rest.bytes()? },
        STRETCH => StoredValue::Stretch { from: rest.i64()?, to: rest.i64()? },
        TEXT => StoredValue::Text { folded: rest.bytes()?, exact: rest.bytes()? },
        other => return Err(Error::Damaged(format!("a stored fact is of unknown sort {other}"))),
    };
    Ok(StoredFact { name, reach, value })
}

fn next_edge<'a>(rest: &mut Take<'a>) -> Result<(&'a [u8], &'a [u8]), Error> {
    let name_length = rest.u8()?;
    Ok((rest.slice(name_length as usize)?, rest.bytes()?))
}

/// The row a caller gets; body and rendering share the memory of the encoded one.
pub(crate) fn decode(bytes: &Bytes) -> Result<Row, Error> {
    let view = RowView::new(bytes)?;
    Ok(Row {
        id: encode::text(view.id())?.to_owned(),
        partition: encode::text(view.partition())?.to_owned(),
        version: view.version(),
        sequence: view.sequence(),
        instant: view.instant(),
        deleted: view.deleted(),
        order: view.order(),
        body: bytes.slice_ref(view.section(5)),
        rendering: bytes.slice_ref(view.section(6)),
        links: bytes.slice_ref(view.section(4)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kind;

    fn put() -> Put {
        Put {
            kind: Kind("document"),
            id: "d1".into(),
            version: 3,
            partition: "p1".into(),
            order: -7,
            facts: vec![
                Fact::Term { name: "code", space: "s".into(), value: "v".into(), reach: Reach::Global },
                Fact::Instant { name: "created", from: 1, to: 2, reach: Reach::Partition },
                Fact::Text { name: "title", folded: "a".into(), exact: "Ä".into(), reach: Reach::Partition },
            ],
            edges: vec![Edge { name: "replaces", target: "d0".into() }],
            body: Bytes::from_static(b"body"),
            rendering: Bytes::from_static(b"{}"),
            deleted: false,
        }
    }

    #[test]
    fn a_row_comes_back_as_it_was_put() {
        let mut bytes = encode(&put());
        place(&mut bytes, 9, 11);
        let bytes = Bytes::from(bytes);
        let view = RowView::new(&bytes).unwrap();
        assert_eq!(view.facts().count(), 3);
        assert_eq!(view.edges().collect::<Vec<_>>(), [(b"replaces".as_slice(), b"d0".as_slice())]);
        let row = decode(&bytes).unwrap();
        assert_eq!((row.version, row.sequence, row.instant, row.order), (3, 9, 11, -7));
        assert_eq!((row.body.as_ref(), row.rendering.as_ref()), (b"body".as_slice(), b"{}".as_slice()));
    }

    #[test]
    fn a_cut_row_is_damaged() {
        let bytes = encode(&put());
        for end in 0..bytes.len() {
            assert!(RowView::new(&bytes[..end]).is_err());
        }
    }
}
