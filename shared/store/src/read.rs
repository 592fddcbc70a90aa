//! Reads other than questions: one record, its past, what points to it, what waits, what changed.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;

use crate::batch::{Backlog, Pending};
use crate::blob::Blob;
use crate::encode::Take;
use crate::error::Error;
use crate::index::keys::{self, Key};
use crate::index::values::{self, Location, Past, Pointer, StoredBlob};
use crate::index::view::{Lookup as _, View};
use crate::record::{Kind, Row, Sequence, Version};
use crate::row;

/// Where versions are that are no longer current.
pub(crate) trait Archive {
    /// The bytes of a row, verified.
    fn past(&self, location: &Location) -> Result<Bytes, Error>;
}

/// One state of the index with the archive behind it.
pub(crate) struct Reader<'a> {
    pub(crate) view: Arc<View>,
    pub(crate) archive: &'a dyn Archive,
}

impl Reader<'_> {
    pub(crate) fn pointer(&self, kind: &[u8], id: &[u8]) -> Result<Option<Pointer>, Error> {
        self.view.get(&keys::pointer(kind, id))?.map(|found| Pointer::from_bytes(&found)).transpose()
    }

    /// The encoded row as it stands, deleted or not.
    pub(crate) fn current(&self, kind: &[u8], id: &[u8]) -> Result<Option<Bytes>, Error> {
        let Some(pointer) = self.pointer(kind, id)? else { return Ok(None) };
        match self.view.get(&pointer.key)? {
            Some(value) => Ok(Some(value.slice_ref(values::verified(&pointer.key, &value)?))),
            None => Err(Error::Damaged("a pointer leads to no record".into())),
        }
    }

    pub(crate) fn get(&self, kind: Kind, id: &str) -> Result<Option<Row>, Error> {
        self.current(kind.0.as_bytes(), id.as_bytes())?.map(|bytes| row::decode(&bytes)).transpose()
    }

    pub(crate) fn version(&self, kind: Kind, id: &str, version: Version) -> Result<Option<Row>, Error> {
        let (kind, id) = (kind.0.as_bytes(), id.as_bytes());
        let Some(pointer) = self.pointer(kind, id)? else { return Ok(None) };
        if pointer.version == version {
            return self.current(kind, id)?.map(|bytes| row::decode(&bytes)).transpose();
        }
        match self.view.get(&keys::past(kind, id, version))? {
            Some(past) => row::decode(&self.open(&Past::from_bytes(&past)?)?).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn history(&self, kind: Kind, id: &str) -> Result<Vec<Row>, Error> {
        let (kind, id) = (kind.0.as_bytes(), id.as_bytes());
        let Some(current) = self.current(kind, id)? else { return Ok(Vec::new()) };
        let mut rows = vec![row::decode(&current)?];
        self.each_past(kind, id, |past| {
            rows.push(row::decode(&self.open(past)?)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(rows)
    }

    /// The encoded row as it stood after a commit, unless it was deleted or not there.
    pub(crate) fn version_at(&self, kind: &[u8], id: &[u8], as_of: Sequence) -> Result<Option<Bytes>, Error> {
        let mut found = match self.current(kind, id)? {
            Some(current) if row::RowView::new(&current)?.sequence() <= as_of => Some(current),
            Some(_) => None,
            None => return Ok(None),
        };
        if found.is_none() {
            self.each_past(kind, id, |past| {
                let too_new = matches!(past, Past::Journal { sequence, .. } if *sequence > as_of);
                if too_new {
                    return Ok(ControlFlow::Continue(()));
                }
                let bytes = self.open(past)?;
                if row::RowView::new(&bytes)?.sequence() > as_of {
                    return Ok(ControlFlow::Continue(()));
                }
                found = Some(bytes);
                Ok(ControlFlow::Break(()))
            })?;
        }
        match found {
            Some(bytes) if !row::RowView::new(&bytes)?.deleted() => Ok(Some(bytes)),
            _ => Ok(None),
        }
    }

    /// Visits versions that are no longer current, newest first.
    fn each_past(
        &self,
        kind: &[u8],
        id: &[u8],
        mut visit: impl FnMut(&Past) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let beginning = keys::past_of(kind, id).done();
        let _ = self.view.scan_beginning(&beginning, &mut |_, value| {
            visit(&Past::from_bytes(&Bytes::copy_from_slice(value))?)
        })?;
        Ok(())
    }

    fn open(&self, past: &Past) -> Result<Bytes, Error> {
        match past {
            Past::Here(bytes) => Ok(bytes.clone()),
            Past::Journal { location, .. } => self.archive.past(location),
        }
    }

    pub(crate) fn sources(&self, kind: Kind, edge: &str, target: &str) -> Result<Vec<String>, Error> {
        let beginning = keys::sources(kind.0.as_bytes(), edge.as_bytes(), target.as_bytes()).done();
        let mut ids = Vec::new();
        let _ = self.view.scan_beginning(&beginning, &mut |key, _| {
            ids.push(text(&key[beginning.len()..])?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(ids)
    }

    pub(crate) fn claimed(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.view.get(&keys::claim(name))?.map(|value| value.to_vec()))
    }

    /// A commit is never cut in two: its rows come all, beyond the limit only if they are the first.
    pub(crate) fn changes(&self, kind: Kind, since: Sequence, limit: usize) -> Result<Vec<Row>, Error> {
        let kind = kind.0.as_bytes();
        let start = keys::changed(kind, since.saturating_add(1), b"");
        let end = keys::behind(&Key::new(keys::CHANGED).part(kind).done());
        let mut found: Vec<(Sequence, Vec<u8>)> = Vec::new();
        let _ = self.view.scan(&start, &end, &mut |key, _| {
            let rest = keys::after_parts(key, 1).unwrap_or_default();
            if let Some((sequence, id)) = rest.split_first_chunk() {
                let sequence = Sequence::from_be_bytes(*sequence);
                if found.len() >= limit && found.last().is_none_or(|(last, _)| *last != sequence) {
                    return Ok(ControlFlow::Break(()));
                }
                found.push((sequence, id.to_vec()));
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if found.len() > limit {
            let last = found[found.len() - 1].0;
            let whole = found.partition_point(|(sequence, _)| *sequence < last);
            if whole > 0 {
                found.truncate(whole);
            }
        }
        let rows = found.iter().map(|(_, id)| self.current(kind, id));
        rows.filter_map(|row| row.and_then(|row| row.map(|row| row::decode(&row)).transpose()).transpose())
            .collect()
    }

    /// Leaps from partition to partition: what lies in them is not looked at.
    pub(crate) fn partitions(&self, kind: Kind, after: &str, limit: usize) -> Result<Vec<String>, Error> {
        let kind = kind.0.as_bytes();
        let end = keys::behind(&Key::new(keys::ROW).part(kind).done());
        let mut from = match after {
            "" => Key::new(keys::ROW).part(kind).done(),
            after => keys::behind(&keys::partition(kind, after.as_bytes()).done()),
        };
        let mut found = Vec::new();
        while found.len() < limit {
            let mut next = None;
            let _ = self.view.scan(&from, &end, &mut |key, value| {
                next = Some(row::RowView::new(values::verified(key, value)?)?.partition().to_vec());
                Ok(ControlFlow::Break(()))
            })?;
            let Some(partition) = next else { break };
            from = keys::behind(&keys::partition(kind, &partition).done());
            found.push(text(&partition)?);
        }
        Ok(found)
    }

    pub(crate) fn pending(
        &self,
        peer: &str,
        behind: Option<(Sequence, u32)>,
        limit: usize,
    ) -> Result<Vec<Pending>, Error> {
        let beginning = Key::new(keys::OUTGOING).part(peer.as_bytes()).done();
        let from = match behind {
            None => beginning.clone(),
            Some((sequence, position)) => keys::behind(&keys::outgoing(peer.as_bytes(), sequence, position)),
        };
        let mut pending = Vec::new();
        let _ = self.view.scan(&from, &keys::behind(&beginning), &mut |key, value| {
            if pending.len() == limit {
                return Ok(ControlFlow::Break(()));
            }
            pending.push(message(peer, &key[beginning.len()..], value)?);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(pending)
    }

    pub(crate) fn backlog(&self, peer: &str) -> Result<Backlog, Error> {
        let beginning = Key::new(keys::OUTGOING).part(peer.as_bytes()).done();
        let mut backlog = Backlog::default();
        let _ = self.view.scan_beginning(&beginning, &mut |_, value| {
            if backlog.messages == 0 {
                backlog.oldest = Some(Take::new(value).i64()?);
            }
            backlog.messages += 1;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(backlog)
    }

    pub(crate) fn stored_blob(&self, id: &str) -> Result<Option<StoredBlob>, Error> {
        let found = self.view.get(&keys::blob(id.as_bytes()))?;
        let found = found.map(|found| StoredBlob::from_bytes(&found)).transpose()?;
        Ok(found.filter(|blob| !blob.trashed))
    }

    pub(crate) fn blob(&self, id: &str) -> Result<Option<Blob>, Error> {
        Ok(self.stored_blob(id)?.map(|stored| Blob {
            id: id.to_owned(),
            size: stored.size,
            sha1: stored.sha1,
            sha256: stored.sha256,
            instant: stored.instant,
        }))
    }
}

fn message(peer: &str, place: &[u8], value: &[u8]) -> Result<Pending, Error> {
    let mut place = Take::new(place);
    let sequence = Sequence::from_be_bytes(place.array()?);
    let position = u64::from_be_bytes(place.array()?);
    let mut value = Take::new(value);
    Ok(Pending {
        sequence,
        position: u32::try_from(position).map_err(|_| Error::Damaged("a message has no place".into()))?,
        instant: value.i64()?,
        peer: peer.to_owned(),
        stream: value.text()?.to_owned(),
        payload: Bytes::copy_from_slice(value.bytes()?),
    })
}

fn text(bytes: &[u8]) -> Result<String, Error> {
    crate::encode::text(bytes).map(str::to_owned)
}
