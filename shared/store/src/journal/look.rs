//! A walk over a journal that only looks: at the one of a running actor, or at that of a backup.

use std::path::Path;

use crate::error::Error;
use crate::index::values::State;
use crate::journal::entry::{HEADER, Sort};
use crate::journal::replay::{Entry, Gap, Walk};
use crate::journal::segment::Segments;
use crate::journal::tail::was_durable;

/// A journal that is looked at. Its segments are those there were when it was opened.
pub(crate) struct Look {
    segments: Segments,
    numbers: Vec<u32>,
}

/// An entry on the way.
pub(crate) enum Seen {
    /// As it was written.
    Whole(Entry),
    /// Whole but for documents it holds.
    DocumentsDamaged(Entry),
}

/// Why a walk ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// At the end, or at the entry it was to end with.
    Complete,
    /// Before an entry that was acknowledged and cannot be read.
    Broken { entry: u64, segment: u32, offset: u64 },
}

impl Look {
    pub(crate) fn open(journal: &Path) -> Result<Look, Error> {
        let (segments, numbers) = Segments::look(journal)?;
        if numbers.is_empty() {
            return Err(Error::Unusable(format!("there is no journal in {}", journal.display())));
        }
        Ok(Look { segments, numbers })
    }

    /// The segments there were.
    pub(crate) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    /// The segments themselves.
    pub(crate) fn segments(&self) -> &Segments {
        &self.segments
    }

    /// Walks on behind `from` and gives every entry to `take`, to the end or up to an entry.
    pub(crate) fn walk(
        &self,
        from: State,
        last: u64,
        mut take: impl FnMut(&Seen) -> Result<(), Error>,
    ) -> Result<(State, Ended), Error> {
        let mut state = from;
        let mut walk = Walk::start(&self.segments, &self.numbers, &from)?;
        while state.entry < last {
            let Some(seen) = next(&mut walk)? else {
                let missing = walk.number + 1;
                let ended = match was_durable(&walk, missing, walk.offset)? {
                    false => Ended::Complete,
                    // Perhaps it was written while we looked.
                    true => match next(&mut walk)? {
                        Some(seen) => {
                            advance(&mut state, &seen);
                            take(&seen)?;
                            continue;
                        }
                        None => Ended::Broken {
                            entry: missing,
                            segment: walk.segment.number,
                            offset: walk.offset,
                        },
                    },
                };
                return Ok((state, ended));
            };
            advance(&mut state, &seen);
            take(&seen)?;
        }
        Ok((state, Ended::Complete))
    }
}

fn next(walk: &mut Walk<'_>) -> Result<Option<Seen>, Error> {
    loop {
        match walk.next()? {
            Ok(entry) => return Ok(Some(Seen::Whole(entry))),
            Err(Gap::Documents(entry))
                if was_durable(walk, entry.head.number, entry.start + HEADER as u64)? =>
            {
                // Perhaps it was written while we looked.
                return Ok(Some(match walk.next()? {
                    Ok(entry) => Seen::Whole(entry),
                    Err(_) => {
                        walk.accept(&entry);
                        Seen::DocumentsDamaged(entry)
                    }
                }));
            }
            Err(_) if walk.go_to_next_segment()? => {}
            Err(_) => return Ok(None),
        }
    }
}

fn advance(state: &mut State, seen: &Seen) {
    let (Seen::Whole(entry) | Seen::DocumentsDamaged(entry)) = seen;
    if entry.head.sort == Sort::Commit {
        state.sequence = entry.head.sequence;
    }
    state.instant = entry.head.instant;
    state.entry = entry.head.number;
    state.segment = entry.segment;
    state.start = entry.start;
    state.end = entry.start + entry.head.length();
    state.hash = entry.head.hash;
}
