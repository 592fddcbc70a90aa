//! The scrub of large documents: header, every check sum, and SHA-256.

use std::ops::ControlFlow;

use sha2::{Digest, Sha256};

use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::index::keys;
use crate::index::values::{Place, StoredBlob};
use crate::scrub::Scrubbed;
use crate::serve;

/// Reads the next large document behind an id. Answers its id and how much was read; none at the end.
pub(crate) fn step(
    shared: &Shared,
    after: &str,
    found: &mut Scrubbed,
    going: &dyn Fn() -> bool,
) -> Result<Option<(String, u64)>, Error> {
    let Some((id, stored)) = next(shared, after)? else { return Ok(None) };
    let outcome = verify(shared, &id, &stored, going);
    found.document(shared, &id, outcome)?;
    Ok(Some((id, stored.size)))
}

fn next(shared: &Shared, after: &str) -> Result<Option<(String, StoredBlob)>, Error> {
    let beginning = keys::blob(b"");
    let mut from = keys::blob(after.as_bytes());
    // The first key behind this one.
    from.push(0);
    let mut next = None;
    let view = shared.view()?;
    let _ = view.scan(&from, &keys::behind(&beginning), &mut |key, value| {
        let stored = StoredBlob::from_bytes(value)?;
        if stored.place != Place::File || stored.trashed {
            return Ok(ControlFlow::Continue(()));
        }
        next = Some((crate::encode::text(&key[beginning.len()..])?.to_owned(), stored));
        Ok(ControlFlow::Break(()))
    })?;
    Ok(next)
}

/// Reads a document that is kept.
pub(super) fn verify(
    shared: &Shared,
    id: &str,
    stored: &StoredBlob,
    going: &dyn Fn() -> bool,
) -> Result<(), Error> {
    if let Place::Journal { segment, offset } = stored.place {
        let segment = shared.segments.file(segment)?;
        return serve::from_journal(id, stored, &segment, offset, 0..stored.size).map(drop);
    }
    let document = shared.files.read(id, stored.size, &stored.sha256)?;
    // What is still in memory says nothing about the disk.
    let _ = rustix::fs::fadvise(&document.file, 0, None, rustix::fs::Advice::DontNeed);
    let mut hasher = Sha256::new();
    for chunk in serve::verified(id, stored.size, &document) {
        hasher.update(&chunk?);
        if !going() {
            return Err(Error::Stopped("the scrub was ended".into()));
        }
    }
    if <[u8; 32]>::from(hasher.finalize()) == stored.sha256 {
        Ok(())
    } else {
        Err(Error::Damaged(format!("document {id}: its content is another one")))
    }
}
