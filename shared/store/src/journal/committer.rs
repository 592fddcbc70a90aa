//! The one thread that writes the journal.
//!
//! It takes everything that waits, judges each batch against the index and the batches before it, drops those that
//! lose, writes the others as one stretch, syncs once, makes them visible, and only then answers all of them.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant as Moment};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::batch::Applied;
use crate::commit::Prepared;
use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::failpoint;
use crate::index::derive::{Derive, EntryPlace, SeenFacts};
use crate::index::keys;
use crate::index::overlay::{Changes, Run};
use crate::index::values::State;
use crate::index::view::Working;
use crate::journal::checkpoint::Headroom;
use crate::journal::entry::{self, HEADER, Head, Sort};
use crate::journal::queue::{Request, Work};
use crate::journal::replay::End;
use crate::journal::segment::{FIRST, Segment};
use crate::record::{Instant, Sequence};

/// A note is synced after at most this time.
const NOTE_SYNC: Duration = Duration::from_millis(100);

/// After so many bytes of notes alone the index learns how far the journal is, so that a start need not walk over them.
const NOTES_UNMARKED: u64 = 8 << 20;

/// At most so many buffers go into one system call.
const BUFFERS: usize = 1024;

static ZEROS: [u8; 8] = [0; 8];

pub(crate) struct Committer {
    shared: Arc<Shared>,
    supply: Receiver<Result<Segment, Error>>,
    /// A segment that was taken from the supply and could not be used yet; numbers must not have gaps.
    spare: Option<Segment>,
    /// The last entry written, synced or not.
    state: State,
    segment: Segment,
    offset: u64,
    /// The last entry that is synced.
    durable: u64,
    /// What is not yet written, and where it begins.
    buffers: Vec<Bytes>,
    buffers_at: u64,
    seen: SeenFacts,
    /// When notes were written that are not synced.
    notes_since: Option<Moment>,
    notes_unmarked: u64,
    /// Documents that could not be moved to the trash yet.
    untrashed: Vec<String>,
    /// Documents that have not lost the name yet under which they were received.
    unstaged: Vec<String>,
}

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// A group of commits on its way.
struct Group {
    working: Working,
    accepted: Vec<(Prepared, Applied, Answer<Applied>)>,
    refused: Vec<(Error, Answer<Applied>)>,
    notes: Vec<Answer<()>>,
    audit: Vec<Bytes>,
    instant: Instant,
    /// Why the notes could not be written, though the commits can be.
    unnoted: Option<Error>,
}

impl Committer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        supply: Receiver<Result<Segment, Error>>,
        state: State,
        end: End,
    ) -> Committer {
        Committer {
            shared,
            supply,
            spare: None,
            state,
            segment: end.segment,
            offset: end.offset,
            durable: state.entry,
            buffers: Vec::new(),
            buffers_at: end.offset,
            seen: SeenFacts::default(),
            notes_since: None,
            notes_unmarked: 0,
            untrashed: Vec::new(),
            unstaged: Vec::new(),
        }
    }

    /// Works until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        loop {
            let within = self.notes_since.map(|since| NOTE_SYNC.saturating_sub(since.elapsed()));
            match self.shared.queue.take(within) {
                Work::Requests(requests) => self.group(requests),
                Work::Nothing => {}
                Work::End => break,
            }
            if self.notes_since.is_some_and(|since| since.elapsed() >= NOTE_SYNC) {
                self.end_notes();
            }
        }
        self.end_notes();
    }

    /// Syncs the notes, unless the store has stopped: then they are left as they are, and a failed sync is not repeated.
    fn end_notes(&mut self) {
        if self.shared.stopped().is_err() {
            self.notes_since = None;
        } else if let Err(error) = self.sync_notes() {
            self.shared.stop(&error);
            self.notes_since = None;
        }
    }

    fn group(&mut self, requests: Vec<Request>) {
        if let Err(error) = self.shared.stopped() {
            return requests.into_iter().for_each(|request| refuse(request, &error));
        }
        if let Err(error) = self.shared.space.ground() {
            return requests.into_iter().for_each(|request| refuse(request, &error));
        }
        let room = self.shared.checkpoint.wait_for_room(&self.shared);
        let mut group = Group {
            working: Working::new(self.shared.layers.view()),
            accepted: Vec::new(),
            refused: Vec::new(),
            notes: Vec::new(),
            audit: Vec::new(),
            instant: self.state.instant,
            unnoted: None,
        };
        for request in requests {
            self.admit(&mut group, request, room);
        }
        match self.complete(&mut group) {
            Ok(()) => answer(group),
            Err(error) => {
                self.shared.stop(&error);
                fail(group, &self.shared);
            }
        }
    }

    fn admit(&mut self, group: &mut Group, request: Request, room: Headroom) {
        match request {
            Request::Note { instant, audit, answer } => {
                group.instant = group.instant.max(instant);
                group.audit.extend(audit);
                group.notes.push(answer);
            }
            Request::Commit { prepared, answer } if room < needed(&prepared) => {
                let full = Error::NoRoom("the index cannot take what is new".into());
                group.refused.push((full, answer));
            }
            Request::Commit { mut prepared, answer } => {
                match self.commit(&mut group.working, &mut prepared) {
                    Ok(applied) => {
                        group.working.accept();
                        group.accepted.push((prepared, applied, answer));
                    }
                    Err(error) => {
                        group.working.drop_batch();
                        group.refused.push((error, answer));
                    }
                }
            }
        }
    }

    /// Judges a batch and puts its entry behind those before it. On an error nothing of it stays.
    fn commit(&mut self, working: &mut Working, prepared: &mut Prepared) -> Result<Applied, Error> {
        prepared.conditions.judge(working)?;
        let sequence = self.state.sequence + 1;
        let instant = prepared.instant.max(self.state.instant);
        prepared.place(sequence, instant);
        let meta = Bytes::from(std::mem::take(&mut prepared.meta));
        let documents: Vec<Bytes> = prepared.inline().cloned().collect();
        let documents_length = documents.iter().map(|document| document.len() as u64).sum();
        self.make_room(entry::length(meta.len() as u64, documents_length))?;
        let at = self.offset + HEADER as u64;
        let place = EntryPlace { segment: self.segment.number, meta: at, documents: at + meta.len() as u64 };
        let mut state = self.state;
        let seen = &mut self.seen;
        Derive { meta: &meta, sequence, instant, place: Some(place), working, state: &mut state, seen }
            .run()?;
        self.state = state;
        self.append(Sort::Commit, sequence, instant, meta, documents);
        // Whether it is synced or not is no longer in our hands, so its files must stay.
        prepared.keep_files();
        Ok(Applied { sequence, instant })
    }

    /// Goes to the next segment if an entry of this length does not fit into this one.
    fn make_room(&mut self, length: u64) -> Result<(), Error> {
        if self.offset + length <= self.segment.size {
            return Ok(());
        }
        let next = self.next_segment(FIRST + length)?;
        self.write().and_then(|()| self.sync()).inspect_err(|error| self.shared.stop(error))?;
        self.segment = next;
        self.offset = FIRST;
        self.buffers_at = FIRST;
        Ok(())
    }

    fn next_segment(&mut self, size: u64) -> Result<Segment, Error> {
        let next = match self.spare.take() {
            Some(spare) => spare,
            // A refusal may be as old as the segment before; only one that was asked for now counts.
            None => match self.made()? {
                Ok(next) => next,
                Err(_) => self.made()??,
            },
        };
        if size <= next.size {
            return Ok(next);
        }
        let enlarged = self.shared.segments.enlarge(&next, size);
        if enlarged.is_err() {
            self.spare = Some(next);
        }
        enlarged
    }

    /// What the thread that makes segments has to give; that it has ended is for good.
    fn made(&self) -> Result<Result<Segment, Error>, Error> {
        let ended = |_| Error::Stopped("no segment is made any more".into());
        self.supply.recv().map_err(ended).inspect_err(|error| self.shared.stop(error))
    }

    fn append(
        &mut self,
        sort: Sort,
        sequence: Sequence,
        instant: Instant,
        meta: Bytes,
        documents: Vec<Bytes>,
    ) {
        let documents_length = documents.iter().map(|document| document.len() as u64).sum();
        let mut head = Head {
            sort,
            number: self.state.entry + 1,
            sequence,
            instant,
            durable: self.durable,
            meta: crate::encode::length(meta.len()),
            documents: documents_length,
            hash: [0; 32],
        };
        let sealed = head.seal(&self.state.hash, &meta, self.shared.segments.seed());
        let length = head.length();
        let padding = (length - HEADER as u64 - meta.len() as u64 - documents_length) as usize;
        self.buffers.push(Bytes::copy_from_slice(&sealed));
        self.buffers.push(meta);
        self.buffers.extend(documents);
        self.buffers.push(Bytes::from_static(&ZEROS).slice(..padding));
        self.state.entry = head.number;
        self.state.hash = head.hash;
        self.state.segment = self.segment.number;
        self.state.start = self.offset;
        self.offset += length;
        self.state.end = self.offset;
    }

    fn complete(&mut self, group: &mut Group) -> Result<(), Error> {
        if !group.audit.is_empty()
            && let Err(error) = self.note(&group.audit, group.instant)
        {
            group.unnoted = Some(error);
        }
        self.shared.stopped()?;
        self.write()?;
        answer_notes(group);
        if group.accepted.is_empty() {
            return Ok(());
        }
        failpoint!("commit.mid");
        self.sync()?;
        // What was synced in a directory that was taken away meanwhile is acknowledged to nobody.
        self.shared.space.ground()?;
        self.publish(std::mem::take(&mut group.working.group));
        self.file_away(group);
        Ok(())
    }

    fn note(&mut self, audit: &[Bytes], instant: Instant) -> Result<(), Error> {
        let meta = Bytes::from(entry::note(audit));
        let length = entry::length(meta.len() as u64, 0);
        self.make_room(length)?;
        let instant = instant.max(self.state.instant);
        self.append(Sort::Note, self.state.sequence, instant, meta, Vec::new());
        self.state.instant = instant;
        self.notes_since.get_or_insert_with(Moment::now);
        self.notes_unmarked += length;
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        for buffers in self.buffers.chunks(BUFFERS) {
            let write = || write_all(&self.segment, buffers, self.buffers_at);
            let length = match write() {
                // Not everywhere a segment has all its room from the beginning.
                Err(Error::NoRoom(_)) if self.shared.space.give_way() => write()?,
                written => written?,
            };
            self.buffers_at += length;
        }
        self.buffers.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        if self.shared.sync {
            let began = Moment::now();
            self.segment.file.sync_data().map_err(Error::io("syncing the journal"))?;
            if let Some(on_sync) = self.shared.on_sync {
                on_sync(began.elapsed());
            }
        }
        self.durable = self.state.entry;
        self.notes_since = None;
        Ok(())
    }

    fn publish(&mut self, mut changes: Changes) {
        changes.insert(keys::state(), Some(self.state.to_bytes().into()));
        self.shared.layers.publish(Run::new(changes), self.state);
        self.shared.checkpoint.published(&self.shared, self.state.end);
        self.notes_unmarked = 0;
    }

    fn sync_notes(&mut self) -> Result<(), Error> {
        if self.notes_since.is_some() {
            failpoint!("audit.pre_sync");
            self.sync()?;
            failpoint!("audit.post_sync");
        }
        let closing = self.shared.queue.is_closed() && self.notes_unmarked > 0;
        if self.notes_unmarked > NOTES_UNMARKED || closing {
            self.publish(Changes::new());
        }
        Ok(())
    }

    /// Large documents get out of `staging/`, or into the trash. What a crash leaves undone the next start does; what the
    /// file system refuses (a full disk may have no room for a name) is tried again with the next group.
    fn file_away(&mut self, group: &Group) {
        for (prepared, _, _) in &group.accepted {
            for staged in &prepared.blobs {
                if matches!(staged.content, crate::blob::Content::File(_)) {
                    self.unstaged.push(staged.id.clone());
                }
            }
            self.untrashed.extend(prepared.trash.iter().cloned());
        }
        let Shared { files, space, .. } = &*self.shared;
        self.unstaged.retain(|id| !files.unstage(id));
        self.untrashed.retain(|id| {
            let moved = match files.trash(id) {
                Err(Error::NoRoom(_)) if space.give_way() => files.trash(id),
                moved => moved,
            };
            moved.inspect_err(|error| tracing::warn!(%error, "a document stays for now")).is_err()
        });
    }
}

fn write_all(segment: &Segment, buffers: &[Bytes], at: u64) -> Result<u64, Error> {
    let attempt = |error: std::io::Error| {
        Error::io(format!("writing segment {} of the journal", segment.number))(error)
    };
    let mut slices: Vec<IoSlice<'_>> = buffers.iter().map(|buffer| IoSlice::new(buffer)).collect();
    let mut rest = slices.as_mut_slice();
    let mut written = 0;
    while !rest.is_empty() {
        match rustix::io::pwritev(&segment.file, rest, at + written) {
            Ok(0) if rest.iter().all(|slice| slice.is_empty()) => break,
            Ok(0) => return Err(attempt(std::io::ErrorKind::WriteZero.into())),
            Ok(length) => {
                written += length as u64;
                IoSlice::advance_slices(&mut rest, length);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(attempt(errno.into())),
        }
    }
    Ok(written)
}

/// A caller that is gone needs no answer; its commit stands all the same.
fn answer(group: Group) {
    for (_, applied, answer) in group.accepted {
        let _ = answer.send(Ok(applied));
    }
    for (error, answer) in group.refused {
        let _ = answer.send(Err(error));
    }
}

/// A note counts from when it is written: it does not wait for the sync of the commits it came with.
fn answer_notes(group: &mut Group) {
    for answer in group.notes.drain(..) {
        let _ = answer.send(match &group.unnoted {
            None => Ok(()),
            Some(error) => Err(Error::NoRoom(error.to_string())),
        });
    }
}

fn fail(group: Group, shared: &Shared) {
    let stopped =
        || shared.stopped().err().unwrap_or_else(|| Error::Stopped("a write did not succeed".into()));
    let commits = group.accepted.into_iter().map(|(_, _, answer)| answer);
    for answer in commits.chain(group.refused.into_iter().map(|(_, answer)| answer)) {
        let _ = answer.send(Err(stopped()));
    }
    for answer in group.notes {
        let _ = answer.send(Err(stopped()));
    }
}

/// What there must be room for, to take a commit.
fn needed(prepared: &Prepared) -> Headroom {
    if prepared.concluding { Headroom::Concluding } else { Headroom::All }
}

/// Nothing of the request was written.
fn refuse(request: Request, error: &Error) {
    let error = match error {
        Error::Unwritable(why) => Error::Unwritable(why.clone()),
        Error::Stopped(why) => Error::Stopped(why.clone()),
        other => Error::Stopped(other.to_string()),
    };
    match request {
        Request::Commit { answer, .. } => drop(answer.send(Err(error))),
        Request::Note { answer, .. } => drop(answer.send(Err(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::open::Options;

    /// A segment that takes every write and cannot be synced.
    fn unsyncable() -> End {
        let file = std::fs::OpenOptions::new().write(true).open("/dev/null").unwrap();
        End { segment: Segment { number: 1, file: Arc::new(file), size: 1 << 20 }, offset: FIRST }
    }

    #[test]
    fn a_failed_sync_of_notes_stops_the_store_and_is_not_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let engine = crate::engine::embedded::open(&Options::new(directory.path())).unwrap();
        let shared = engine.shared();
        let (_give, supply) = std::sync::mpsc::sync_channel(0);
        let mut committer = Committer::new(shared.clone(), supply, State::default(), unsyncable());
        committer.note(&[Bytes::from_static(b"read")], 1).unwrap();
        committer.end_notes();
        assert!(matches!(shared.stopped(), Err(Error::Stopped(why)) if why.contains("syncing the journal")));
        assert_eq!(committer.notes_since, None, "nothing is left that could be tried again");
        assert_eq!(committer.durable, 0);
        committer.notes_since = Some(Moment::now());
        committer.end_notes();
        assert_eq!(committer.notes_since, None);
    }

    #[test]
    fn a_note_does_not_wait_for_the_sync_of_the_commits_it_came_with() {
        let directory = tempfile::tempdir().unwrap();
        let engine = crate::engine::embedded::open(&Options::new(directory.path())).unwrap();
        let shared = engine.shared();
        let (_give, supply) = std::sync::mpsc::sync_channel(0);
        let mut committer = Committer::new(shared.clone(), supply, State::default(), unsyncable());
        let (answer, mut committed) = oneshot::channel();
        let prepared = Prepared::new(crate::batch::Batch { instant: 1, ..crate::batch::Batch::default() });
        let commit = Request::Commit { prepared, answer };
        let (answer, mut noted) = oneshot::channel();
        let note = Request::Note { instant: 1, audit: vec![Bytes::from_static(b"read")], answer };
        committer.group(vec![commit, note]);
        assert!(committed.try_recv().unwrap().is_err(), "what was not synced is not acknowledged");
        noted.try_recv().unwrap().expect("a note counts from when it is written");
    }
}
