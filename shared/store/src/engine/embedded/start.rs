//! The start: take the lock, walk the journal behind the index, set the threads going.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use parking_lot::Mutex;
use rustix::fs::FlockOperation;

use crate::commit::Commit;
use crate::engine::embedded::{Embedded, Shared, Threads};
use crate::error::Error;
use crate::files::{self, Files};
use crate::halt::Halt;
use crate::incarnation;
use crate::index::derive::{Derive, SeenFacts};
use crate::index::keys;
use crate::index::layers::Layers;
use crate::index::overlay::Run;
use crate::index::values::State;
use crate::index::view::Working;
use crate::journal::checkpoint::{self, Checkpoint};
use crate::journal::committer::Committer;
use crate::journal::entry::Sort;
use crate::journal::index::{self, Library};
use crate::journal::queue::Queue;
use crate::journal::replay::{End, Entry, replay};
use crate::journal::segment::{FIRST, Segment, Segments};
use crate::open::Options;
use crate::progress::Progress;
use crate::quarantine::Quarantine;
use crate::space::Space;
use crate::upkeep::{self, Upkeep};

/// So many bytes of journal become visible at once while it is replayed.
const GROUP: u64 = 4 << 20;

/// So many bytes of news go to the library while the journal is replayed.
const NEWS: usize = 32 << 20;

/// With less room than this the start gives up what is kept back for such a case.
const START: u64 = 64 << 20;

/// No segment is made smaller for want of room.
const LEAST_SEGMENT: u64 = 64 << 10;

/// Opens or makes a data directory.
pub(crate) fn open(options: &Options) -> Result<Embedded, Error> {
    incarnation::judge(&options.directory, options.mark.as_deref())?;
    files::make_directory(&options.directory)?;
    let lock = lock(&options.directory)?;
    let halt = Arc::new(Halt::default());
    let space = Arc::new(Space::new(&options.directory, &lock, options.reserve_bytes)?);
    if !space.has(START) {
        // Opening may have to write before anything can be read.
        space.give_way();
    }
    let files = Arc::new(Files::open(&options.directory, options.sync, halt.clone(), space.clone())?);
    let journal = options.directory.join("journal");
    let (segments, mut numbers) = Segments::open(&journal, options.sync, halt.clone())?;
    let mut library = index::open(options.index, &options.directory.join("index"), options.cache_bytes)?;
    let state = index::held_by(&*library)?;
    if numbers.is_empty() {
        if state.entry > 0 {
            return Err(Error::Unusable("there is an index, but the journal is gone".into()));
        }
        if options.directory.join(incarnation::NAME).exists() {
            return Err(Error::Unusable("there is an incarnation mark, but the journal is gone; put it back, or restore a backup into an empty directory".into()));
        }
        segments.make(1, space.segment(options.segment_bytes).max(FIRST * 2))?;
        numbers.push(1);
    }
    if options.sync {
        sync_names(&options.directory, &halt)?;
        sync_tail(&segments, &numbers)?;
    }
    let incarnation = incarnation::settle(&options.directory, options.mark.as_deref())?;
    let quarantine = Quarantine::open(&options.directory)?;
    let layers = Layers::new(Some(library.base()?), state);
    let (state, end) = catch_up(&segments, &numbers, &layers, &mut library, (&files, &options.progress))?;
    let view = layers.view();
    files.sweep(|id| Ok(crate::index::view::Lookup::get(&*view, &keys::blob(id.as_bytes()))?.is_some()))?;
    drop(view);
    let shared = Arc::new(Shared {
        segments,
        files,
        layers,
        queue: Queue::default(),
        checkpoint: Checkpoint::new(options.news_bytes),
        space,
        upkeep: Upkeep::new(options.trash_period, options.scrub_period),
        quarantine,
        scrubbed: Mutex::default(),
        on_sync: options.on_sync,
        segment_bytes: options.segment_bytes,
        sync: options.sync,
        halt,
    });
    let threads = set_going(&shared, library, state, end, options.segment_bytes, lock)?;
    Ok(Embedded { shared, incarnation, threads: Arc::new(Mutex::new(Some(threads))) })
}

/// The lock of the directory, held as long as the file is open.
pub(crate) fn lock(directory: &Path) -> Result<File, Error> {
    lock_file(&directory.join("lock"), directory)
}

/// A lock of its own name.
pub(crate) fn lock_file(path: &Path, directory: &Path) -> Result<File, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(Error::io(format!("opening the lock {}", path.display())))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Error::Unusable(format!("{} is in use by another process", directory.display())))
        }
        Err(errno) => Err(Error::io("locking the data directory")(errno.into())),
    }
}

/// The data directory and what is directly in it were perhaps made just now: what is kept in them lasts no longer than
/// their names.
fn sync_names(directory: &Path, halt: &Halt) -> Result<(), Error> {
    files::sync_directory(directory, halt)?;
    let whole = directory.canonicalize().map_err(Error::io("finding the data directory"))?;
    match whole.parent() {
        // Whoever may not read the directory above did not make this one in it.
        Some(parent) if File::open(parent).is_ok() => files::sync_directory(parent, halt),
        Some(_) | None => Ok(()),
    }
}

/// What a killed process wrote may not be on the disk yet; what is replayed must be. The last segments suffice: one that
/// is left behind was synced.
fn sync_tail(segments: &Segments, numbers: &[u32]) -> Result<(), Error> {
    for number in numbers.iter().rev().take(3) {
        segments.file(*number)?.sync_data().map_err(Error::io("syncing the tail of the journal"))?;
    }
    Ok(())
}

/// Replays what the library does not hold yet.
fn catch_up(
    segments: &Segments,
    numbers: &[u32],
    layers: &Layers,
    library: &mut Box<dyn Library>,
    (files, progress): (&Files, &Progress),
) -> Result<(State, End), Error> {
    progress.begins(numbers.len());
    let mut replayed = Replayed {
        layers,
        library,
        files,
        progress,
        state: layers.view().state,
        working: Working::new(layers.view()),
        seen: SeenFacts::default(),
        bytes: 0,
    };
    if replayed.state.entry == 0 {
        replayed.state.hash = segments.root();
    }
    let from = replayed.state;
    let end = replay(segments, numbers, &from, |entry| replayed.take(&entry))?;
    replayed.publish()?;
    if replayed.state.entry > from.entry {
        tracing::info!(entries = replayed.state.entry - from.entry, "replayed the tail of the journal");
    }
    Ok((replayed.state, end))
}

struct Replayed<'a> {
    layers: &'a Layers,
    library: &'a mut Box<dyn Library>,
    files: &'a Files,
    progress: &'a Progress,
    state: State,
    working: Working,
    seen: SeenFacts,
    /// Since the last time it became visible.
    bytes: u64,
}

impl Replayed<'_> {
    fn take(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.head.sort == Sort::Commit {
            let derive = Derive {
                meta: &entry.meta,
                sequence: entry.head.sequence,
                instant: entry.head.instant,
                place: Some(entry.place()),
                working: &mut self.working,
                state: &mut self.state,
                seen: &mut self.seen,
            };
            derive.run()?;
            self.working.accept();
            for id in Commit::read(&entry.meta)?.trash {
                self.files.trash(id)?;
            }
        }
        self.state.instant = entry.head.instant;
        self.state.entry = entry.head.number;
        self.state.segment = entry.segment;
        self.state.start = entry.start;
        self.state.end = entry.start + entry.head.length();
        self.state.hash = entry.head.hash;
        self.progress.taken(entry.segment);
        self.bytes += entry.head.length();
        if self.bytes > GROUP { self.publish() } else { Ok(()) }
    }

    fn publish(&mut self) -> Result<(), Error> {
        let mut changes = std::mem::take(&mut self.working.group);
        if self.bytes > 0 {
            changes.insert(keys::state(), Some(self.state.to_bytes().into()));
            self.layers.publish(Run::new(changes), self.state);
        }
        self.bytes = 0;
        if self.layers.backlog().0 > NEWS {
            let (news, _) = self.layers.freeze();
            self.library.write(&news)?;
            self.layers.arrived(self.library.base()?);
            tracing::info!(entry = self.state.entry, "building the index from the journal");
        }
        self.working = Working::new(self.layers.view());
        Ok(())
    }
}

/// Stops the store if its thread panics, so that nobody waits for an answer that will not come.
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop(&Error::Stopped("a thread of the store panicked".into()));
            self.0.queue.abandon();
        }
    }
}

fn set_going(
    shared: &Arc<Shared>,
    library: Box<dyn Library>,
    state: State,
    end: End,
    segment_bytes: u64,
    lock: File,
) -> Result<Threads, Error> {
    let starting = || Error::io("starting a thread of the store");
    let (supply, segments) = supply(shared, end.segment.number + 1, segment_bytes.max(FIRST * 2))?;
    let for_committer = shared.clone();
    let committer = Committer::new(shared.clone(), supply, state, end);
    let committer = std::thread::Builder::new()
        .name("store-committer".into())
        .spawn(move || {
            let _guard = Guard(for_committer);
            committer.run();
        })
        .map_err(starting())?;
    let for_checkpoints = shared.clone();
    let checkpoints = std::thread::Builder::new()
        .name("store-checkpoint".into())
        .spawn(move || {
            let _guard = Guard(for_checkpoints.clone());
            checkpoint::run(&for_checkpoints, library)
        })
        .map_err(starting())?;
    let for_upkeep = shared.clone();
    let upkeep = std::thread::Builder::new()
        .name("store-upkeep".into())
        .spawn(move || {
            let _guard = Guard(for_upkeep.clone());
            upkeep::run(&for_upkeep);
        })
        .map_err(starting())?;
    Ok(Threads { committer, checkpoints, segments, upkeep, lock })
}

/// Makes a segment, on a full volume out of the room that was kept back, and a smaller one where there is no room for it.
fn make_fitting(shared: &Shared, number: u32, size: u64) -> Result<Segment, Error> {
    let mut size = shared.space.segment(size).max(FIRST * 2);
    loop {
        match shared.segments.make(number, size) {
            Err(Error::NoRoom(_)) if shared.space.give_way() => {}
            Err(Error::NoRoom(_)) if size / 4 >= LEAST_SEGMENT => size /= 4,
            made => return made,
        }
    }
}

/// Segments as they are made.
type Supply = Receiver<Result<Segment, Error>>;

/// Makes segments, one ahead of the committer.
fn supply(shared: &Arc<Shared>, first: u32, size: u64) -> Result<(Supply, JoinHandle<()>), Error> {
    let (give, take) = sync_channel(0);
    let shared = Arc::downgrade(shared);
    let work = move || {
        let mut number = first;
        loop {
            let Some(shared) = shared.upgrade() else { return };
            let made = if shared.segments.exists(number) {
                shared.segments.segment(number)
            } else {
                make_fitting(&shared, number, size)
            };
            drop(shared);
            number += u32::from(made.is_ok());
            if give.send(made).is_err() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new()
        .name("store-segments".into())
        .spawn(work)
        .map_err(Error::io("starting a thread of the store"))?;
    Ok((take, thread))
}
