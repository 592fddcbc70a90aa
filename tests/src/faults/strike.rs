//! The faults of a storm: each strikes, is written down, and is over, its actors ready again, when it returns.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::disk::Filling;
use super::history::{FaultKind, Recovery, What};
use super::world::{Ending, Polled, World};
use crate::region::Actor;
use testkit::Dice;

/// Kinds of faults that can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Strike {
    /// `kill -9` of one actor.
    Kill,
    /// `kill -9` of all actors.
    KillAll,
    /// One actor is killed again and again while it starts.
    CrashLoop,
    /// One actor meets a failpoint.
    Point,
    /// SIGSTOP, and SIGCONT later than some deadlines.
    Pause,
    /// SIGTERM: it drains and ends with 0.
    Terminate,
    /// No room on one disk.
    Full,
    /// No inodes on one disk.
    Inodes,
    /// One actor's sync fails.
    Sync,
    /// One actor's syncs take long.
    SlowSync,
    /// The power of one actor's machine goes.
    Power,
    /// The power of all goes.
    PowerAll,
    /// One actor's wall clock jumps.
    Clock,
    /// For a while, messages on one way are lost, late, doubled, cut, or rubbish.
    Network,
}

impl Strike {
    /// How often it is drawn, beside the others.
    fn weight(self) -> u64 {
        match self {
            Strike::Kill => 30,
            Strike::Point => 30,
            Strike::Power => 12,
            Strike::PowerAll => 6,
            Strike::KillAll | Strike::CrashLoop | Strike::Terminate => 6,
            Strike::Sync | Strike::Pause | Strike::Clock => 6,
            Strike::Network => 12,
            Strike::Full | Strike::Inodes | Strike::SlowSync => 3,
        }
    }

    /// Why this cannot be done in this world.
    pub(super) fn impossible(self, world: &World) -> Option<&'static str> {
        match self {
            Strike::Point if !world.failpoints => Some("the actors have no failpoints"),
            Strike::Full | Strike::Inodes | Strike::Power | Strike::PowerAll if world.disks.is_empty() => {
                Some("the actors have no disks of their own")
            }
            Strike::Full | Strike::Inodes if world.index == "sled" => {
                Some("sled writes when it likes, and an actor it finds no room for ends with 74")
            }
            Strike::Sync | Strike::SlowSync | Strike::Clock if world.controls.is_empty() => {
                Some("there is no hand on the actors' clocks and syncs")
            }
            Strike::Network if world.proxies.is_empty() => Some("nothing stands between the actors"),
            _ => None,
        }
    }

    /// As it is written on the command line.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// One of these, by weight.
pub(super) fn draw(of: &[Strike], dice: &mut Dice) -> Option<Strike> {
    let sum: u64 = of.iter().map(|strike| strike.weight()).sum();
    let mut at = dice.below(sum);
    of.iter().copied().find(|strike| {
        let hit = at < strike.weight();
        at = at.saturating_sub(strike.weight());
        hit
    })
}

/// The hand that strikes: chance, the names of the failpoints, and how often what was done.
pub(super) struct Hand {
    pub(super) dice: Dice,
    /// Names of failpoints, by actor.
    pub(super) points: Vec<(Actor, String)>,
    pub(super) counts: BTreeMap<String, u64>,
}

impl Hand {
    /// Strikes; one line about it.
    pub(super) fn strike(&mut self, strike: Strike, world: &mut World) -> Result<String> {
        let actor = *self.dice.pick(&Actor::ALL).expect("there are three");
        *self.counts.entry(strike.name()).or_default() += 1;
        let done = match strike {
            Strike::Kill => self.kill(world, &[actor]),
            Strike::KillAll => self.kill(world, &Actor::ALL),
            Strike::CrashLoop => self.crash_loop(world, actor),
            Strike::Point => self.point(world),
            Strike::Pause => self.pause(world, actor),
            Strike::Terminate => terminate(world, actor),
            Strike::Full => self.full(world, actor, Filling::Bytes),
            Strike::Inodes => self.full(world, actor, Filling::Inodes),
            Strike::Sync => self.failed_sync(world, actor),
            Strike::SlowSync => self.slow_sync(world, actor),
            Strike::Power => self.power(world, &[actor]),
            Strike::PowerAll => self.power(world, &Actor::ALL),
            Strike::Clock => self.clock(world, actor),
            Strike::Network => self.network(world),
        };
        done.with_context(|| format!("{} of {}", strike.name(), actor.name()))
    }

    fn rest(&mut self, least: u64, most: u64) {
        std::thread::sleep(Duration::from_millis(self.dice.between(least, most)));
    }

    fn kill(&mut self, world: &mut World, actors: &[Actor]) -> Result<String> {
        for actor in actors {
            let begin = world.history.now();
            world.region.kill(*actor)?;
            world.did(begin, actor.name(), FaultKind::Kill, "kill -9", Ending::Killed)?;
        }
        self.rest(0, 150);
        world.come_back(actors, FaultKind::Kill)?;
        Ok(names(actors))
    }

    fn crash_loop(&mut self, world: &mut World, actor: Actor) -> Result<String> {
        let times = self.dice.between(3, 8);
        for _ in 0..times {
            let begin = world.history.now();
            world.region.kill(actor)?;
            world.did(begin, actor.name(), FaultKind::Kill, "kill -9 while it starts", Ending::Killed)?;
            let begin = world.history.now();
            world.region.launch(actor)?;
            self.rest(0, 60);
            let recovery =
                Recovery { actor: actor.name().into(), from: FaultKind::Kill, ready: false, by_hand: false };
            world.history.record(0, begin, What::Recovery(recovery))?;
        }
        let begin = world.history.now();
        world.await_ready(actor, begin, FaultKind::Kill)?;
        Ok(format!("{} {times} times", actor.name()))
    }

    /// Starts an actor with a failpoint armed, waits until that strikes, and starts it without.
    fn point(&mut self, world: &mut World) -> Result<String> {
        let (actor, name) = self.dice.pick(&self.points).context("there are no failpoints")?.clone();
        let hit = self.dice.between(1, 6);
        let action = match self.dice.below(10) {
            0 => "error(503)".to_owned(),
            1 => "delay(3500)".to_owned(),
            2 => "panic".to_owned(),
            3 => "close".to_owned(),
            _ => "kill".to_owned(),
        };
        let plan = format!("{name}={hit}:{action}");
        let begin = world.history.now();
        world.region.kill(actor)?;
        world.did(begin, actor.name(), FaultKind::Kill, "kill -9, to arm a failpoint", Ending::Killed)?;
        world.arm(actor, Some(&plan));
        let begin = world.history.now();
        world.region.launch(actor)?;
        // It may meet its point while it starts.
        let mut ended = matches!(world.poll_ready(actor, Duration::from_secs(30)), Polled::Ended(_));
        let last = if action == "kill" { 1500 } else { 700 };
        if !ended {
            ended = world.poll_end(actor, Duration::from_millis(last))?.is_some();
        }
        if ended {
            *self.counts.entry("point kills met".to_owned()).or_default() += 1;
        }
        world.region.kill(actor)?;
        world.did(begin, actor.name(), FaultKind::Kill, &plan, Ending::Killed)?;
        world.arm(actor, None);
        world.come_back(&[actor], FaultKind::Kill)?;
        Ok(format!("{} {plan}{}", actor.name(), if ended { ", met" } else { "" }))
    }

    fn pause(&mut self, world: &mut World, actor: Actor) -> Result<String> {
        let length = if self.dice.per_mille(300) {
            self.dice.between(3000, 6000)
        } else {
            self.dice.between(50, 1500)
        };
        let begin = world.history.now();
        world.region.pause(actor, true)?;
        std::thread::sleep(Duration::from_millis(length));
        world.region.pause(actor, false)?;
        world.did(begin, actor.name(), FaultKind::Pause, &format!("{length} ms"), Ending::Lives)?;
        let begin = world.history.now();
        world.await_ready(actor, begin, FaultKind::Pause)?;
        Ok(format!("{} for {length} ms", actor.name()))
    }

    fn full(&mut self, world: &mut World, actor: Actor, filling: Filling) -> Result<String> {
        let begin = world.history.now();
        let filled = world.disk(actor)?.fill(filling);
        self.rest(300, 2500);
        world.disk(actor)?.free()?;
        filled?;
        world.did(begin, actor.name(), FaultKind::DiskFull, &format!("{filling:?}"), Ending::Lives)?;
        let begin = world.history.now();
        world.await_ready(actor, begin, FaultKind::DiskFull)?;
        Ok(actor.name().to_owned())
    }

    fn failed_sync(&mut self, world: &mut World, actor: Actor) -> Result<String> {
        let before = world.control(actor)?.failed_syncs()?;
        world.control(actor)?.fail_syncs(i64::try_from(self.dice.between(1, 3)).expect("it is small"))?;
        let waiting = Instant::now();
        while world.control(actor)?.failed_syncs()? == before && waiting.elapsed() < Duration::from_secs(3) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if world.control(actor)?.failed_syncs()? == before {
            world.control(actor)?.fail_syncs(0)?;
            return Ok(format!("{} synced nothing", actor.name()));
        }
        let begin = world.history.now();
        let ended = world.poll_end(actor, Duration::from_secs(10))?;
        world.control(actor)?.fail_syncs(0)?;
        let exit = ended.flatten();
        if exit != Some(74) {
            world.trouble.push(format!(
                "{} goes on after a failed sync, or ends with another code than 74: {ended:?}",
                actor.name()
            ));
        }
        world.region.kill(actor)?;
        world.did(begin, actor.name(), FaultKind::SyncFailed, "EIO", Ending::Exit(exit))?;
        world.come_back(&[actor], FaultKind::SyncFailed)?;
        Ok(actor.name().to_owned())
    }

    fn slow_sync(&mut self, world: &mut World, actor: Actor) -> Result<String> {
        let delay = self.dice.between(50, 1500);
        let begin = world.history.now();
        world.control(actor)?.delay_syncs(i64::try_from(delay).expect("it is small"))?;
        self.rest(500, 3000);
        world.control(actor)?.delay_syncs(0)?;
        world.did(
            begin,
            actor.name(),
            FaultKind::Other,
            &format!("each sync takes {delay} ms"),
            Ending::Lives,
        )?;
        Ok(format!("{} {delay} ms", actor.name()))
    }

    fn power(&mut self, world: &mut World, actors: &[Actor]) -> Result<String> {
        let begin = world.history.now();
        world.cut_power(actors)?;
        for actor in actors {
            world.did(begin, actor.name(), FaultKind::PowerCut, "ext4 shut down", Ending::Killed)?;
        }
        world.come_back(actors, FaultKind::PowerCut)?;
        Ok(names(actors))
    }

    fn network(&mut self, world: &mut World) -> Result<String> {
        let at = usize::try_from(self.dice.below(world.proxies.len() as u64)).expect("it is below a length");
        let begin = world.history.now();
        let (seed, one_in) = (self.dice.draw(), self.dice.between(1, 5));
        let (way, proxy) = &world.proxies[at];
        let way = *way;
        proxy.weather(seed, one_in, Duration::from_secs(4));
        self.rest(500, 3000);
        world.proxies[at].1.clear();
        let detail = format!("one request in {one_in}");
        world.did(begin, way, FaultKind::Network, &detail, Ending::Lives)?;
        Ok(format!("{way}, {detail}"))
    }

    /// The clock stays where it is put until it jumps again.
    fn clock(&mut self, world: &mut World, actor: Actor) -> Result<String> {
        let far = if self.dice.per_mille(500) { 300 } else { 30 * 3600 };
        let seconds = i64::try_from(self.dice.below(2 * far)).expect("it is small")
            - i64::try_from(far).expect("it is small");
        let begin = world.history.now();
        world.control(actor)?.set_clock(seconds)?;
        world.did(begin, actor.name(), FaultKind::Clock, &format!("{seconds} s"), Ending::Lives)?;
        Ok(format!("{} by {seconds} s", actor.name()))
    }
}

fn terminate(world: &mut World, actor: Actor) -> Result<String> {
    let begin = world.history.now();
    let status = world.region.terminate(actor)?;
    if status.code() != Some(0) {
        world.trouble.push(format!("{} ends with {status} after SIGTERM", actor.name()));
    }
    world.did(begin, actor.name(), FaultKind::Terminate, "SIGTERM", Ending::Exit(status.code()))?;
    world.come_back(&[actor], FaultKind::Terminate)?;
    Ok(actor.name().to_owned())
}

fn names(actors: &[Actor]) -> String {
    actors.iter().map(|actor| actor.name()).collect::<Vec<_>>().join(", ")
}

/// Names of the failpoints an actor has, as its binary tells.
pub(super) fn points(world: &World) -> Result<Vec<(Actor, String)>> {
    let mut points = Vec::new();
    for actor in Actor::ALL {
        let mut command = std::process::Command::new(world.region.binary(actor));
        let output =
            command.args(["version", "--json"]).output().context("asking an actor for its failpoints")?;
        let told: serde_json::Value =
            serde_json::from_slice(&output.stdout).context("an actor's version is JSON")?;
        for point in told["failpoints"].as_array().into_iter().flatten() {
            points.extend(point["name"].as_str().map(|name| (actor, name.to_owned())));
        }
    }
    Ok(points)
}
