//! Who is the same person: links between the records of different sources.
//!
//! A link is a record of its own, one for each pair of patient records, and every decision about it is a version of it. Three
//! may speak: a feed (a source states an identifier that a record of another source holds), the matcher, and a steward, whose
//! word goes before the others'. A person is what standing links and merges hold together (`person`). Links never move
//! documents; merges do.

mod decide;
mod duplicates;
mod graph;
mod judge;
mod linker;
mod probable;
mod read;
mod record;
mod stated;

pub(crate) use decide::{Decide, Decided, Wanted, Wish};
pub(crate) use duplicates::{Duplicates, FindDuplicates, Place, WantedDuplicates};
pub(crate) use graph::{Person, person, too_many_linked};
pub(crate) use judge::Judge;
pub(crate) use linker::Linker;
pub(crate) use read::{Links, ReadLinks};
pub(crate) use record::{By, Decision, LINK, Link, Matched, Pair, Statement};
pub(crate) use stated::{Said, What, stated};
