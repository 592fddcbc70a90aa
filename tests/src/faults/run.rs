//! A storm from beginning to end: a world, its load, faults by lot, the settling, the judgement.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::ValueEnum as _;
use tokio::runtime::Runtime;

use super::checker;
use super::history::{Phase, What};
use super::load::{self, Clients, Load};
use super::settle;
use super::strike::{self, Hand, Strike};
use super::world::{Setup, World};
use testkit::Dice;

/// What a storm is made of.
#[derive(Debug, Clone)]
pub struct Storm {
    /// Where everything random comes from.
    pub seed: u64,
    /// How long it lasts at most.
    pub within: Duration,
    /// `storage.index`.
    pub index: String,
    /// Ends after so many kills.
    pub kills: Option<u64>,
    /// Ends after so many power cuts.
    pub power_cuts: Option<u64>,
    /// Only faults of these kinds; none named: all.
    pub only: Vec<Strike>,
    /// Where the history goes.
    pub history: Option<PathBuf>,
    /// Whether the actors are to have failpoints.
    pub failpoints: bool,
    /// Whether the actors are to have disks whose power can be cut.
    pub disks: bool,
    /// Who makes the load.
    pub clients: Clients,
    /// The command that repeats it.
    pub again: String,
}

impl Default for Storm {
    fn default() -> Storm {
        Storm {
            seed: 1,
            within: Duration::from_mins(5),
            index: "redb".into(),
            kills: None,
            power_cuts: None,
            only: Vec::new(),
            history: None,
            failpoints: false,
            disks: true,
            clients: Clients::default(),
            again: "cargo run --release -p tests --bin faults".into(),
        }
    }
}

/// What came of it: cases, as every run counts them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Held.
    pub passed: usize,
    /// Did not.
    pub failed: usize,
    /// Could not be put to the test.
    pub skipped: usize,
}

impl Tally {
    /// Both together.
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            skipped: self.skipped + other.skipped,
        }
    }
}

/// Runs a storm and prints what came of it.
pub fn run(storm: &Storm, interrupted: &Arc<AtomicBool>) -> Result<Tally> {
    println!("storm with seed {} on {}", storm.seed, storm.index);
    let setup = Setup {
        index: storm.index.clone(),
        failpoints: storm.failpoints,
        disks: storm.disks,
        history: storm.history.clone(),
        ..Setup::default()
    };
    // The proxies live in the runtime, which therefore has to outlive the world.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut world = World::prepare(&setup)?;
    world.interrupted = interrupted.clone();
    world.start_behind_proxies(&runtime)?;
    let outcome = rage(storm, &mut world, &runtime);
    let judged = outcome.and_then(|hand| judge(storm, &mut world, &hand));
    if !matches!(judged, Ok(Tally { failed: 0, .. })) {
        world.keep();
        println!(
            "what is left lies in {} and {}; again: {}",
            world.folder().display(),
            world.region.folder().display(),
            storm.again
        );
    }
    judged
}

/// The storm and its settling.
fn rage(storm: &Storm, world: &mut World, runtime: &Runtime) -> Result<Hand> {
    let mut dice = Dice::new(storm.seed);
    let load = Arc::new(Load::new(storm.seed, world.doors(), world.history.clone()));
    runtime.block_on(load::feed(&load, storm.clients.patients)).context("feeding the patients")?;
    world.region.wait_fed()?;
    world.history.record(0, world.history.now(), What::Phase(Phase::Storm))?;
    let clients = load::start(&load, storm.clients, runtime, &mut dice);
    let points = if world.failpoints { strike::points(world)? } else { Vec::new() };
    let mut hand = Hand { dice, points, counts: Default::default() };
    let struck = strikes(storm, world, &mut hand);
    if let Err(error) = struck {
        // What clients were told up to here is worth reading.
        world.history.flush()?;
        return Err(error);
    }
    settle::settle(world, &load, runtime, clients)?;
    world.trouble.extend(load.wrong());
    Ok(hand)
}

/// One fault after the other, until it is enough.
fn strikes(storm: &Storm, world: &mut World, hand: &mut Hand) -> Result<()> {
    let begin = Instant::now();
    let kinds: Vec<Strike> = Strike::value_variants()
        .iter()
        .copied()
        .filter(|strike| storm.only.is_empty() || storm.only.contains(strike))
        .filter(|strike| strike.impossible(world).is_none())
        .collect();
    // Something to lose has to be there first.
    std::thread::sleep(Duration::from_millis(500));
    while begin.elapsed() < storm.within && !world.is_interrupted() && !enough(storm, hand) {
        let Some(kind) = strike::draw(&kinds, &mut hand.dice) else { break };
        let at = begin.elapsed();
        let done = hand.strike(kind, world)?;
        eprintln!("{:>7.1?} {}: {done}, over after {:.1?}", at, kind.name(), begin.elapsed() - at);
        let pause = hand.dice.between(20, 350);
        std::thread::sleep(Duration::from_millis(pause));
    }
    Ok(())
}

/// True if every number that was asked for is reached, and one was.
fn enough(storm: &Storm, hand: &Hand) -> bool {
    let count = |of: &[Strike]| -> u64 {
        of.iter().map(|strike| hand.counts.get(&strike.name()).copied().unwrap_or_default()).sum()
    };
    let kills = count(&[Strike::Kill, Strike::KillAll, Strike::CrashLoop, Strike::Point]);
    let cuts = count(&[Strike::Power, Strike::PowerAll]);
    let reached = |wanted: Option<u64>, has: u64| wanted.is_none_or(|wanted| has >= wanted);
    (storm.kills.is_some() || storm.power_cuts.is_some())
        && reached(storm.kills, kills)
        && reached(storm.power_cuts, cuts)
}

fn judge(storm: &Storm, world: &mut World, hand: &Hand) -> Result<Tally> {
    let report = checker::judge(&world.written)?;
    println!("{report}");
    let counts: Vec<String> = hand.counts.iter().map(|(name, count)| format!("{count} {name}")).collect();
    println!("faults: {}", counts.join(", "));
    for (way, proxy) in &world.proxies {
        let counts: Vec<String> =
            proxy.counts().iter().map(|(name, count)| format!("{count} {name}")).collect();
        println!("{way}: {} requests; {}", proxy.requests(), counts.join(", "));
    }
    for words in &world.missing {
        println!("SKIPPED  {words}");
    }
    for words in &world.trouble {
        println!("FAILED   storm with seed {}: {words}", storm.seed);
    }
    let (passed, failed, skipped) = report.counts();
    let unhurt = usize::from(world.trouble.is_empty());
    Ok(Tally {
        passed: passed + unhurt,
        failed: failed + world.trouble.len(),
        skipped: skipped + world.missing.len(),
    })
}
