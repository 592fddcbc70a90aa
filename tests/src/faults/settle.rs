//! The end of a storm: nothing strikes any more, everything in doubt is settled, and everything there is is looked at.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::history::{FaultKind, Gauge, Inventory, Phase, What};
use super::load::{self, Load};
use super::world::World;
use crate::region::Actor;

/// Bound of I12: nothing may stay in doubt for longer.
const IN_DOUBT: Duration = Duration::from_secs(60);

/// Lets the load end and the world come to rest; then looks at everything.
pub(super) fn settle(
    world: &mut World,
    load: &Load,
    runtime: &Runtime,
    clients: Vec<JoinHandle<Result<()>>>,
) -> Result<()> {
    world.heal()?;
    let mut ended = Vec::new();
    for actor in Actor::ALL {
        if world.region.ended(actor)?.is_some() {
            world.trouble.push(format!("{} has ended by itself", actor.name()));
            ended.push(actor);
        }
    }
    world.come_back(&ended, FaultKind::Other)?;
    let begin = world.history.now();
    for actor in Actor::ALL {
        world.await_ready(actor, begin, FaultKind::Other)?;
    }
    world.history.record(0, begin, What::Phase(Phase::Settling))?;
    load.stop();
    for client in clients {
        runtime.block_on(client).context("a client")??;
    }
    await_decisions(world)?;
    world.history.record(0, world.history.now(), What::Phase(Phase::Quiet))?;
    let found = runtime.block_on(load::everything(load)).context("looking at everything")?;
    let referenced: BTreeSet<&str> = found.iter().filter_map(|one| one.url.rsplit('/').next()).collect();
    let inventory = inventory(world, &referenced)?;
    world.history.record(0, world.history.now(), What::Inventory(inventory))?;
    world.history.flush()
}

fn await_decisions(world: &mut World) -> Result<()> {
    let begin = Instant::now();
    loop {
        let in_doubt = world.in_doubt()?;
        let gauge = Gauge { actor: Actor::Repository.name().into(), in_doubt, oldest_ms: None };
        world.history.record(0, world.history.now(), What::Gauge(gauge))?;
        if in_doubt == 0 {
            break;
        }
        if begin.elapsed() > IN_DOUBT {
            world
                .trouble
                .push(format!("{in_doubt} submissions are still in doubt after {IN_DOUBT:?} of quiet"));
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    // The gauge is as old as the last round, and files are moved after the commit that says so.
    std::thread::sleep(Duration::from_millis(1200));
    Ok(())
}

/// What the repository has on its disk, beside what is registered.
fn inventory(world: &World, referenced: &BTreeSet<&str>) -> Result<Inventory> {
    let data = world.region.data(Actor::Repository);
    let blobs = names(&data.join("blobs"))?;
    Ok(Inventory {
        actor: Actor::Repository.name().into(),
        blobs: referenced.len() as u64,
        in_doubt: world.in_doubt()?,
        unreferenced: blobs.iter().filter(|name| !referenced.contains(name.as_str())).cloned().collect(),
        staging: names(&data.join("staging"))?,
        quarantined: names(&data.join("quarantine"))?,
        ..Inventory::default()
    })
}

/// Names of all files in a folder and those below it.
fn names(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(names) };
    for entry in entries {
        let entry = entry.context("walking a data directory")?;
        if entry.path().is_dir() {
            names.extend(self::names(&entry.path())?);
        } else {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
