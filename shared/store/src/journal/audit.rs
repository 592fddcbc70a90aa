//! Reading audit records back out of the journal, along its chain.

use bytes::Bytes;

use crate::batch::AuditLine;
use crate::commit::Commit;
use crate::error::Error;
use crate::journal::entry::{self, HEADER, Head, Sort};
use crate::journal::replay::{read_at, read_head};
use crate::journal::segment::{FIRST, Segments};

/// Audit records behind an entry. Entries up to `visible` must be whole; later ones may be just being written.
pub(crate) fn lines(
    segments: &Segments,
    visible: u64,
    after: u64,
    limit: usize,
) -> Result<Vec<AuditLine>, Error> {
    let mut lines = Vec::new();
    let (mut segment, mut offset) = (segments.segment(1)?, FIRST);
    let (mut number, mut before) = (0, segments.root());
    while lines.len() < limit {
        let Some(head) = read_head(&segment, offset, segments.seed())? else {
            if !segments.exists(segment.number + 1) {
                break;
            }
            (segment, offset) = (segments.segment(segment.number + 1)?, FIRST);
            continue;
        };
        let mut meta = vec![0; head.meta as usize];
        read_at(&segment, &mut meta, offset + HEADER as u64)?;
        if head.number != number + 1 || !head.follows(&before, &meta) {
            break;
        }
        if head.number > after {
            gather(&head, &Bytes::from(meta), &mut lines)?;
        }
        (number, before) = (head.number, head.hash);
        offset += head.length();
    }
    if number < visible && lines.len() < limit {
        let (segment, entry) = (segment.number, number + 1);
        return Err(Error::Damaged(format!(
            "entry {entry} of the journal, at segment {segment}, offset {offset}"
        )));
    }
    Ok(lines)
}

fn gather(head: &Head, meta: &Bytes, lines: &mut Vec<AuditLine>) -> Result<(), Error> {
    let records = match head.sort {
        Sort::Commit => Commit::read(meta)?.audit,
        Sort::Note => entry::read_note(meta)?,
    };
    let line =
        |record| AuditLine { entry: head.number, instant: head.instant, record: meta.slice_ref(record) };
    lines.extend(records.into_iter().map(line));
    Ok(())
}
