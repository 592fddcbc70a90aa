//! An actor that ends, is gone, or does not answer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Verdict;
use super::stage::{Stage, word};
use crate::faults::history::{FaultKind, Told};
use crate::faults::load;
use crate::faults::world::Ending;
use crate::region::Actor;

/// SIGTERM while submissions are under way: all of them are answered as if nothing was, and the exit code is 0.
pub(super) fn sigterm(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    if stage.world.controls.is_empty() {
        return Ok(Verdict::Skipped(stage.world.missing.join("; ")));
    }
    let mut answered = 0;
    for actor in [Actor::Repository, Actor::Registry, Actor::Identity] {
        let recipes: Vec<_> = (0..12).map(|number| stage.recipe(&[2_000 * (number + 1)])).collect();
        // They are held where they wait for storage, so that all of them are under way when the signal comes.
        stage.world.control(actor)?.delay_syncs(400)?;
        let tasks: Vec<_> = recipes
            .into_iter()
            .map(|recipe| {
                let (load, wire) = (stage.load.clone(), stage.wire.clone());
                stage.runtime.spawn(async move { load::send_once(&load, &wire, &recipe).await })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(250));
        let begin = stage.world.history.now();
        let status = stage.world.region.terminate(actor)?;
        stage.world.control(actor)?.delay_syncs(0)?;
        ensure!(status.code() == Some(0), "{} ends with {status} after SIGTERM", actor.name());
        stage.world.did(begin, actor.name(), FaultKind::Terminate, "SIGTERM", Ending::Exit(status.code()))?;
        for task in tasks {
            let told = stage.runtime.block_on(task)??;
            // A repository that waits for a draining registry longer than it may says that nobody knows.
            let fine = match actor {
                Actor::Repository => matches!(told, Told::Acknowledged { .. }),
                Actor::Registry | Actor::Identity => !matches!(told, Told::Refused { .. }),
            };
            ensure!(
                fine,
                "a submission accepted before SIGTERM of {} comes to: {}",
                actor.name(),
                word(&told)
            );
            answered += usize::from(matches!(told, Told::Acknowledged { .. }));
        }
        stage.world.come_back(&[actor], FaultKind::Terminate)?;
    }
    stage.close()?;
    Ok(Verdict::Held(format!("{answered} of 36 submissions acknowledged while an actor drained")))
}

/// A registry that is down costs a source at most two seconds, and nothing of what is known already.
pub(super) fn registry_down(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let known = stage.document(3000)?;
    stage.is_served(&known)?;
    stage.world.region.kill(Actor::Registry)?;
    let recipe = stage.recipe(&[1000]);
    let (told, took) = stage.send(&recipe)?;
    ensure!(
        matches!(told, Told::Declined { status: 503, .. }),
        "a submission while the registry is down comes to: {}",
        word(&told)
    );
    ensure!(took <= Duration::from_secs(2), "it costs the source {took:.1?}");
    stage.is_served(&known)?;
    stage.world.come_back(&[Actor::Registry], FaultKind::Kill)?;
    stage.store(&recipe)?;
    stage.close()?;
    Ok(Verdict::Held(format!("503 after {} ms", took.as_millis())))
}

/// An identity source that is down: as the registry, for patients the repository has to ask about.
pub(super) fn identity_down(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let known = stage.document(3000)?;
    stage.world.region.kill(Actor::Identity)?;
    let recipe = stage.recipe(&[1000]);
    let (told, took) = stage.send(&recipe)?;
    ensure!(
        !matches!(told, Told::Refused { .. }),
        "a submission while the identity source is down comes to: {}",
        word(&told)
    );
    ensure!(took <= Duration::from_secs(2), "it costs the source {took:.1?}");
    stage.is_served(&known)?;
    stage.world.come_back(&[Actor::Identity], FaultKind::Kill)?;
    stage.store(&recipe)?;
    stage.close()?;
    Ok(Verdict::Held(format!("{} after {} ms", word(&told), took.as_millis())))
}

/// A registry that stands still past every deadline: the source hears that nobody knows, and the same id succeeds later.
pub(super) fn registry_paused(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let known = stage.document(3000)?;
    stage.is_served(&known)?;
    stage.world.region.pause(Actor::Registry, true)?;
    let recipe = stage.recipe(&[1000, 2_000_000]);
    let (told, took) = stage.send(&recipe)?;
    let (fetched, _, _) = stage.fetch(&known)?;
    stage.world.region.pause(Actor::Registry, false)?;
    ensure!(matches!(told, Told::Unknown { .. }), "the source is told: {}", word(&told));
    ensure!(fetched == 200, "a document retrieved meanwhile is answered {fetched}");
    stage.store(&recipe)?;
    stage.close()?;
    Ok(Verdict::Held(format!("unknown after {:.1} s, then stored once", took.as_secs_f64())))
}

/// A repository that stands still while its sources wait.
pub(super) fn repository_paused(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let recipe = stage.recipe(&[500_000]);
    let (load, wire, sent) = (stage.load.clone(), stage.wire.clone(), recipe.clone());
    let task = stage.runtime.spawn(async move { load::send_once(&load, &wire, &sent).await });
    std::thread::sleep(Duration::from_millis(3));
    stage.world.region.pause(Actor::Repository, true)?;
    std::thread::sleep(Duration::from_secs(4));
    stage.world.region.pause(Actor::Repository, false)?;
    let told = stage.runtime.block_on(task)??;
    let begin = Instant::now();
    stage.store(&recipe)?;
    stage.close()?;
    Ok(Verdict::Held(format!("{}, and definite {} ms after", word(&told), begin.elapsed().as_millis())))
}
