//! Clients: sources that follow the source rule, some that do not, readers, and whoever feeds patients. Everything they do
//! and are told goes into the history.

mod feed;
mod merger;
mod reader;
mod recipe;
mod source;

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};

pub(super) use feed::{Person, feed};
pub(super) use reader::everything;
pub(super) use recipe::Recipe;
pub(super) use source::{send_once, submit};

use super::content::Content;
use super::history::{History, What};
use crate::region::{Actor, Region};
use testkit::Dice;

/// Clients that merge patients.
const MERGERS: u32 = 2;

/// Acknowledged submissions that may be sent again.
const REMEMBERED: usize = 4096;

/// Where the actors are spoken to.
#[derive(Debug, Clone)]
pub(super) struct Doors {
    /// FHIR base sources send to.
    pub(super) repository: String,
    /// FHIR base of the registry.
    pub(super) registry: String,
    /// FHIR base of the identity source.
    pub(super) identity: String,
}

impl Doors {
    pub(super) fn of(region: &Region) -> Doors {
        Doors {
            repository: region.base(Actor::Repository),
            registry: region.base(Actor::Registry),
            identity: region.base(Actor::Identity),
        }
    }
}

/// How many clients there are of each kind.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    /// Sources.
    pub sources: u32,
    /// Readers.
    pub readers: u32,
    /// Patients there are from the beginning.
    pub patients: u32,
}

impl Default for Clients {
    fn default() -> Clients {
        Clients { sources: 8, readers: 3, patients: 40 }
    }
}

/// What all clients share.
pub(super) struct Load {
    pub(super) seed: u64,
    pub(super) doors: Doors,
    pub(super) history: Arc<History>,
    stop: AtomicBool,
    next: AtomicU64,
    patients: Mutex<Vec<Person>>,
    /// Patients that are merged, by a client of their own.
    merged: Mutex<Vec<Person>>,
    known: Mutex<Known>,
    wrong: Mutex<Vec<String>>,
}

/// What is known to be stored.
#[derive(Default)]
struct Known {
    /// Acknowledged submissions.
    recipes: VecDeque<Recipe>,
    /// Documents that may be replaced: id, and patient.
    targets: Vec<(String, Person)>,
    /// One that several sources replace at this moment, and how many more may join.
    contested: Option<(String, Person, u64)>,
    /// The bytes of documents, by unique id.
    contents: HashMap<String, Content>,
}

impl Load {
    pub(super) fn new(seed: u64, doors: Doors, history: Arc<History>) -> Load {
        Load {
            seed,
            doors,
            history,
            stop: AtomicBool::new(false),
            next: AtomicU64::new(1),
            patients: Mutex::default(),
            merged: Mutex::default(),
            known: Mutex::default(),
            wrong: Mutex::default(),
        }
    }

    /// Nobody begins anything new; what is in flight is brought to its end.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// What clients found wrong that a history has no word for.
    pub(super) fn wrong(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }

    fn complain(&self, words: String) {
        lock(&self.wrong).push(words);
    }

    pub(super) fn record(&self, client: u32, begin: u64, what: What) -> Result<()> {
        self.history.record(client, begin, what)
    }

    /// Everybody.
    pub(super) fn patients(&self) -> Vec<Person> {
        [lock(&self.patients).clone(), lock(&self.merged).clone()].concat()
    }

    fn patient(&self, dice: &mut Dice) -> Option<Person> {
        dice.pick(&lock(&self.patients)).cloned()
    }

    /// The bytes of a submission's first document.
    pub(super) fn bytes(&self, recipe: &Recipe) -> Vec<u8> {
        recipe.contents(self.seed).first().map(|(_, content)| content.bytes()).unwrap_or_default()
    }

    fn content(&self, unique_id: &str) -> Option<Content> {
        lock(&self.known).contents.get(unique_id).copied()
    }

    /// A submission was acknowledged with these ids of its documents.
    fn remember(&self, recipe: &Recipe, documents: &[String]) {
        let mut known = lock(&self.known);
        for id in documents {
            known.targets.push((id.clone(), recipe.patient.clone()));
        }
        if known.targets.len() > REMEMBERED {
            known.targets.drain(..REMEMBERED / 2);
        }
        known.recipes.push_back(recipe.clone());
        if known.recipes.len() > REMEMBERED {
            known.recipes.pop_front();
        }
    }

    /// The bytes of what is about to be sent can be compared with from now on.
    fn announce(&self, recipe: &Recipe) {
        let mut known = lock(&self.known);
        for (unique_id, content) in recipe.contents(self.seed) {
            known.contents.insert(unique_id, content);
        }
    }

    fn acknowledged(&self, dice: &mut Dice) -> Option<Recipe> {
        let known = lock(&self.known);
        let at = usize::try_from(dice.below(known.recipes.len() as u64)).expect("it is below a length");
        known.recipes.get(at).cloned()
    }

    /// A document to replace: two to four sources are given the same one.
    fn target(&self, dice: &mut Dice) -> Option<(String, Person)> {
        let mut known = lock(&self.known);
        if let Some((id, person, left)) = known.contested.take() {
            if left > 1 {
                known.contested = Some((id.clone(), person.clone(), left - 1));
            }
            return Some((id, person));
        }
        let at = usize::try_from(dice.below(known.targets.len() as u64)).expect("it is below a length");
        if at >= known.targets.len() {
            return None;
        }
        let (id, person) = known.targets.swap_remove(at);
        known.contested = Some((id.clone(), person.clone(), dice.between(1, 3)));
        Some((id, person))
    }
}

/// An HTTP client as every client of a storm has one.
pub(super) fn http(timeout: Duration) -> Result<reqwest::Client> {
    let builder = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_gzip();
    builder.timeout(timeout).build().context("making an HTTP client")
}

/// Starts the clients; they run until [`Load::stop`].
pub(super) fn start(
    load: &Arc<Load>,
    clients: Clients,
    runtime: &tokio::runtime::Runtime,
    dice: &mut Dice,
) -> Vec<tokio::task::JoinHandle<Result<()>>> {
    let mut tasks = Vec::new();
    for client in 1..=clients.sources {
        let (load, dice) = (load.clone(), dice.fork(u64::from(client)));
        tasks.push(runtime.spawn(async move { source::run(&load, client, dice).await }));
    }
    for client in clients.sources + 1..=clients.sources + clients.readers {
        let (load, dice) = (load.clone(), dice.fork(u64::from(client)));
        tasks.push(runtime.spawn(async move { reader::run(&load, client, dice).await }));
    }
    for number in 0..MERGERS {
        let (load, dice) = (load.clone(), dice.fork(u64::from(8000 + number)));
        tasks.push(runtime.spawn(async move { merger::run(&load, 8000 + number, dice).await }));
    }
    let (load, dice) = (load.clone(), dice.fork(0));
    tasks.push(runtime.spawn(async move { feed::run(&load, clients.patients, dice).await }));
    tasks
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
