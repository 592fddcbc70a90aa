//! The scrub: everything that is stored is read again within a period, before somebody needs it and finds it damaged.
//!
//! Lives here: how a pass goes on, and what it found. It walks the journal along its chain, comparing the index with each
//! commit; then the files of large documents; then it looks for files that lie where they should not.

mod compare;
mod files;
mod journal;

use std::fmt;
use std::str::FromStr;

use crate::engine::embedded::Shared;
use crate::error::Error;
use crate::journal::index;
use crate::upkeep::strays;

use journal::Walk;

/// Documents in quarantine are looked at again until so many bytes were read.
const AGAIN: u64 = 64 << 20;

/// At most so many places are remembered one by one.
const PLACES: usize = 100;

/// What a scrub found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Entries of the journal that were read.
    pub entries: u64,
    /// Documents that are kept and were found whole.
    pub whole: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Documents that are kept and were found damaged: they are in quarantine.
    pub damaged: Vec<String>,
    /// Documents that were in quarantine and were found whole, or are not kept any more.
    pub lifted: Vec<String>,
    /// Places where the journal cannot be read or its chain does not hold.
    pub broken: Vec<String>,
    /// What the journal holds and the index does not: it is built again at the next start.
    pub missing: Vec<String>,
    /// Files that no commit cites; they are in the trash now.
    pub uncited: u64,
}

impl Scrubbed {
    /// Whether all is well.
    pub fn is_clean(&self) -> bool {
        self.damaged.is_empty() && self.broken.is_empty() && self.missing.is_empty()
    }

    fn broken(&mut self, shared: &Shared, place: String) {
        tracing::error!(place, "the journal is damaged");
        shared.quarantine.found();
        if self.broken.len() < PLACES {
            self.broken.push(place);
        }
    }

    fn missing(&mut self, shared: &Shared, what: String) {
        if self.missing.is_empty() {
            tracing::error!(
                what,
                "the index lacks what the journal holds; it is built again at the next start"
            );
            shared.quarantine.found();
            // At once: a pass lasts for weeks, and what it found so far is not known to the next process.
            if let Err(error) = index::build_again_at_next_start(shared.files.root()) {
                tracing::error!(%error, "the index cannot be marked to be built again");
            }
        }
        if self.missing.len() < PLACES {
            self.missing.push(what);
        }
    }

    /// A document that is kept was read: with what outcome.
    fn document(&mut self, shared: &Shared, id: &str, outcome: Result<(), Error>) -> Result<(), Error> {
        match outcome {
            Ok(()) => {
                self.whole += 1;
                if shared.quarantine.lift(id) {
                    self.lifted.push(id.to_owned());
                }
                Ok(())
            }
            Err(error @ Error::Damaged(_)) => {
                let known = shared.quarantine.check(id).is_err();
                shared.suspect(id, error);
                if shared.quarantine.check(id).is_err() {
                    self.damaged.push(id.to_owned());
                    if !known {
                        shared.quarantine.found();
                    }
                }
                Ok(())
            }
            // That it could not be read now does not say that it is damaged.
            Err(error @ Error::Io { .. }) => {
                self.broken(shared, format!("document {id}: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

/// How far a pass is, for the next process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// When it began, in seconds of time observed; none before the first.
    pub(crate) began: Option<u64>,
    pub(crate) place: Place,
}

/// Where a pass goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind this entry of the journal.
    Journal { segment: u32, offset: u64, entry: u64, hash: [u8; 32] },
    /// Behind this large document.
    Files { after: String },
    /// It is at its end.
    #[default]
    Done,
}

/// A pass over everything.
pub(crate) struct Pass {
    place: Place,
    walk: Option<Walk>,
    found: Scrubbed,
}

/// What a step came to.
pub(crate) enum Step {
    /// So many bytes were read.
    Read(u64),
    /// The pass is over.
    Over,
}

impl Pass {
    /// A pass from the beginning.
    pub(crate) fn new(shared: &Shared) -> Pass {
        Pass::at(Walk::beginning(shared))
    }

    /// A pass that goes on here.
    pub(crate) fn at(place: Place) -> Pass {
        Pass { place, walk: None, found: Scrubbed::default() }
    }

    /// Where another pass can go on, if that can be said just now.
    pub(crate) fn place(&self) -> Option<Place> {
        match &self.walk {
            Some(walk) => walk.place(),
            None => Some(self.place.clone()),
        }
    }

    pub(crate) fn into_found(self) -> Scrubbed {
        self.found
    }

    /// Goes on by one entry or one document. `going` is asked now and then whether to go on.
    pub(crate) fn step(&mut self, shared: &Shared, going: &dyn Fn() -> bool) -> Result<Step, Error> {
        match self.place.clone() {
            Place::Journal { segment, offset, entry, hash } => {
                let walk = match &mut self.walk {
                    Some(walk) => walk,
                    None => self.walk.insert(Walk::at(shared, segment, offset, entry, hash)?),
                };
                if let Some(read) = walk.step(shared, &mut self.found, going)? {
                    self.found.bytes += read;
                    return Ok(Step::Read(read));
                }
                self.walk = None;
                self.place = Place::Files { after: String::new() };
                Ok(Step::Read(0))
            }
            Place::Files { after } => match files::step(shared, &after, &mut self.found, going) {
                // The index cannot say which documents come behind: it is built again, and the next pass knows them.
                Err(Error::Damaged(what)) => {
                    self.found.missing(shared, what);
                    self.place = Place::Done;
                    Ok(Step::Over)
                }
                Err(error) => Err(error),
                Ok(Some((id, read))) => {
                    self.place = Place::Files { after: id };
                    self.found.bytes += read;
                    Ok(Step::Read(read))
                }
                Ok(None) => {
                    self.found.uncited = strays::collect(shared, going)?;
                    self.forget_removed(shared)?;
                    self.place = Place::Done;
                    Ok(Step::Over)
                }
            },
            Place::Done => Ok(Step::Over),
        }
    }

    /// What is in quarantine and not kept any more need not be told any more.
    fn forget_removed(&mut self, shared: &Shared) -> Result<(), Error> {
        for quarantined in shared.quarantine.list() {
            if !shared.keeps(&quarantined.id)? && shared.quarantine.lift(&quarantined.id) {
                self.found.lifted.push(quarantined.id);
            }
        }
        Ok(())
    }
}

/// Looks again at documents in quarantine, behind this one and then from the beginning: whoever put one back need not wait
/// for the next pass. Costs little, since reading ends where the damage is.
pub(crate) fn look_again(shared: &Shared, after: &mut String, going: &dyn Fn() -> bool) -> Result<(), Error> {
    let listed = shared.quarantine.list();
    let (before, behind) = listed.split_at(listed.partition_point(|found| found.id <= *after));
    let mut read = 0;
    for found in behind.iter().chain(before) {
        if read >= AGAIN || !going() {
            break;
        }
        let whole = match shared.stored_blob(&found.id)?.filter(|stored| !stored.trashed) {
            Some(stored) => {
                read += stored.size;
                match files::verify(shared, &found.id, &stored, going) {
                    Err(Error::Damaged(_) | Error::Io { .. }) => false,
                    outcome => outcome.map(|()| true)?,
                }
            }
            None => true,
        };
        if whole {
            shared.quarantine.lift(&found.id);
        }
        after.clone_from(&found.id);
    }
    Ok(())
}

/// One whole pass, as quickly as it goes.
pub(crate) fn whole(shared: &Shared, going: &dyn Fn() -> bool) -> Result<Scrubbed, Error> {
    let mut pass = Pass::new(shared);
    while let Step::Read(_) = pass.step(shared, going)? {
        shared.stopped()?;
        if !going() {
            return Err(Error::Stopped("the scrub was ended".into()));
        }
    }
    let found = pass.into_found();
    shared.scrubbed(found.clone());
    Ok(found)
}

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.began {
            Some(began) => write!(out, "{began} ")?,
            None => write!(out, "- ")?,
        }
        match &self.place {
            Place::Journal { segment, offset, entry, hash } => {
                write!(out, "journal {segment} {offset} {entry} ")?;
                hash.iter().try_for_each(|byte| write!(out, "{byte:02x}"))
            }
            Place::Files { after } => write!(out, "files {after}"),
            Place::Done => write!(out, "done"),
        }
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Cursor, ()> {
        let mut words = text.split(' ');
        let mut word = || words.next().ok_or(());
        let began = match word()? {
            "-" => None,
            seconds => Some(seconds.parse().map_err(drop)?),
        };
        let place = match word()? {
            "journal" => Place::Journal {
                segment: word()?.parse().map_err(drop)?,
                offset: word()?.parse().map_err(drop)?,
                entry: word()?.parse().map_err(drop)?,
                hash: hash(word()?).ok_or(())?,
            },
            "files" => Place::Files { after: word()?.to_owned() },
            "done" => Place::Done,
            _ => return Err(()),
        };
        Ok(Cursor { began, place })
    }
}

fn hash(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    for (at, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(hash)
}
