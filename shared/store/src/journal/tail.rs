//! The end of the journal: a commit that never happened, or damage to one that did?
//!
//! Every head says which entry was already synced when it was written. If anything behind a gap says so of the entry
//! that is missing, that entry was acknowledged: the start is refused. Otherwise the rest is what a crash left of a
//! group of commits that nobody was told of, and is wiped.

use std::os::unix::fs::FileExt;

use crate::error::Error;
use crate::journal::entry::{ALIGNMENT, HEADER, Head, MAGIC};
use crate::journal::replay::{End, Walk, read_at};
use crate::journal::segment::{FIRST, Segment};

const WINDOW: usize = 1 << 20;

/// Whether anything behind this offset says that the entry was synced.
pub(crate) fn was_durable(walk: &Walk<'_>, number: u64, offset: u64) -> Result<bool, Error> {
    let seed = walk.segments.seed();
    if proof(&walk.segment, offset, number, seed)?.is_some() {
        return Ok(true);
    }
    for &later in walk.numbers.iter().filter(|later| **later > walk.segment.number) {
        if let Some(segment) = walk.segments.unless_blank(later)?
            && proof(&segment, FIRST, number, seed)?.is_some()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Ends the walk at a gap: refuses if something acknowledged is missing, wipes what was not.
pub(crate) fn settle(walk: Walk<'_>) -> Result<End, Error> {
    let missing = walk.number + 1;
    if was_durable(&walk, missing, walk.offset)? {
        return Err(Error::Unusable(format!(
            "the journal is broken at segment {}, offset {}: entry {missing} was acknowledged and cannot be read",
            walk.segment.number, walk.offset
        )));
    }
    remove_unacknowledged(&walk)?;
    wipe(&walk.segment, walk.offset)?;
    Ok(End { segment: walk.segment, offset: walk.offset })
}

/// Removes the first later segment that was written, and those behind it, the last one first: numbers stay without a gap.
fn remove_unacknowledged(walk: &Walk<'_>) -> Result<(), Error> {
    let later: Vec<u32> = walk.numbers.iter().copied().filter(|later| *later > walk.segment.number).collect();
    for (index, number) in later.iter().enumerate() {
        let written = match walk.segments.unless_blank(*number)? {
            Some(segment) => used(&segment, FIRST)?.is_some(),
            None => true,
        };
        if written {
            return later[index..].iter().rev().try_for_each(|number| walk.segments.remove(*number));
        }
    }
    Ok(())
}

/// The offset of a head behind `from` that says that the entry was synced.
fn proof(segment: &Segment, from: u64, number: u64, seed: u64) -> Result<Option<u64>, Error> {
    first_head(segment, from, seed, |head| head.durable >= number)
}

/// The offset of the first head behind `from` of an entry behind this one.
pub(crate) fn next_head(segment: &Segment, from: u64, entry: u64, seed: u64) -> Result<Option<u64>, Error> {
    first_head(segment, from, seed, |head| head.number > entry)
}

fn first_head(
    segment: &Segment,
    from: u64,
    seed: u64,
    wanted: impl Fn(&Head) -> bool,
) -> Result<Option<u64>, Error> {
    let mut found = None;
    windows(segment, from.next_multiple_of(ALIGNMENT), |offset, bytes| {
        for at in (0..bytes.len().saturating_sub(HEADER - 1)).step_by(ALIGNMENT as usize) {
            let head = &bytes[at..];
            if head[..4] == MAGIC.to_le_bytes()
                && let Some(head) = Head::read(head, seed)
                && wanted(&head)
            {
                found = Some(offset + at as u64);
                return false;
            }
        }
        true
    })?;
    Ok(found)
}

/// The stretch behind `from` that is not zero, if any.
fn used(segment: &Segment, from: u64) -> Result<Option<(u64, u64)>, Error> {
    let mut stretch: Option<(u64, u64)> = None;
    windows(segment, from, |offset, bytes| {
        if let Some(first) = bytes.iter().position(|byte| *byte != 0) {
            let last = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(first);
            let start = stretch.map_or(offset + first as u64, |(start, _)| start);
            stretch = Some((start, offset + last as u64 + 1));
        }
        true
    })?;
    Ok(stretch)
}

fn wipe(segment: &Segment, from: u64) -> Result<(), Error> {
    let Some((start, end)) = used(segment, from)? else { return Ok(()) };
    let attempt = || Error::io(format!("wiping the torn tail of segment {}", segment.number));
    tracing::warn!(
        segment = segment.number,
        offset = from,
        "the journal ended in a commit that was never acknowledged"
    );
    let zeros = vec![0; WINDOW];
    let mut at = start;
    while at < end {
        let length = (end - at).min(WINDOW as u64) as usize;
        segment.file.write_all_at(&zeros[..length], at).map_err(attempt())?;
        at += length as u64;
    }
    segment.file.sync_data().map_err(attempt())
}

/// Whether there is nothing in these bytes. Looks at all of them, which is quicker than to stop early: nearly all of what
/// is behind the last entry is room that nothing was written to.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |seen, byte| seen | byte) == 0
}

/// Visits what is not zero of the rest of a segment in windows that overlap by a head, until the visitor has enough.
fn windows(segment: &Segment, from: u64, mut visit: impl FnMut(u64, &[u8]) -> bool) -> Result<(), Error> {
    let mut window = Vec::new();
    let mut at = from;
    while at < segment.size {
        let length = (segment.size - at).min((WINDOW + HEADER) as u64) as usize;
        window.resize(length, 0);
        read_at(segment, &mut window, at)?;
        if !is_zero(&window) && !visit(at, &window) {
            break;
        }
        at += WINDOW as u64;
    }
    Ok(())
}
