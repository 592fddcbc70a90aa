//! Disks that are full, fail, or are gone.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Verdict;
use super::stage::{Stage, word};
use crate::faults::disk::Filling;
use crate::faults::history::{FaultKind, Told};
use crate::faults::world::{Ending, Polled};
use crate::region::Actor;

/// How long recovery from a full disk may take.
const RECOVERY: Duration = Duration::from_secs(10);

pub(super) fn repository_full(index: &str) -> Result<Verdict> {
    full(index, Actor::Repository, Filling::Bytes)
}

pub(super) fn registry_full(index: &str) -> Result<Verdict> {
    full(index, Actor::Registry, Filling::Bytes)
}

pub(super) fn repository_without_inodes(index: &str) -> Result<Verdict> {
    full(index, Actor::Repository, Filling::Inodes)
}

/// New things are declined, known documents are read, and with room again everything goes on in the same process.
fn full(index: &str, actor: Actor, filling: Filling) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    if stage.world.disks.is_empty() {
        return Ok(Verdict::Skipped(stage.world.missing.join("; ")));
    }
    let known = stage.document(3_000)?;
    stage.is_served(&known)?;
    let before = stage.world.region.pid(actor);
    stage.world.disk(actor)?.fill(filling)?;
    // The room is looked at once a second.
    std::thread::sleep(Duration::from_millis(1100));
    let mut words = Vec::new();
    for size in [2_000, 1_500_000] {
        let recipe = stage.recipe(&[size]);
        let (told, _) = stage.send(&recipe)?;
        words.push(word(&told));
        let without_inodes = filling == Filling::Inodes && matches!(told, Told::Acknowledged { .. });
        ensure!(
            without_inodes || matches!(told, Told::Declined { status: 503, .. } | Told::Unknown { .. }),
            "a submission to a full disk comes to: {}",
            word(&told)
        );
    }
    for _ in 0..5 {
        stage.is_served(&known)?;
    }
    stage.world.disk(actor)?.free()?;
    let begin = std::time::Instant::now();
    let recipe = stage.recipe(&[2_000, 1_500_000]);
    stage.store(&recipe)?;
    ensure!(begin.elapsed() < RECOVERY, "with room again, it takes {:.1?}", begin.elapsed());
    ensure!(stage.world.region.pid(actor) == before, "{} was started again", actor.name());
    let took = begin.elapsed();
    stage.close()?;
    Ok(Verdict::Held(format!("{}; stored {} ms after there was room", words.join(", "), took.as_millis())))
}

/// An actor starts on a disk without room, serves what it has, and declines what is new.
pub(super) fn start_on_full(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    if stage.world.disks.is_empty() {
        return Ok(Verdict::Skipped(stage.world.missing.join("; ")));
    }
    let known = stage.document(3_000)?;
    stage.is_served(&known)?;
    stage.world.region.kill(Actor::Repository)?;
    stage.world.disk(Actor::Repository)?.fill(Filling::Bytes)?;
    stage.world.region.launch(Actor::Repository)?;
    let polled = stage.world.poll_ready(Actor::Repository, Duration::from_secs(5));
    ensure!(!matches!(polled, Polled::Ended(_)), "it does not start: {polled:?}");
    stage.is_served(&known)?;
    let recipe = stage.recipe(&[2_000]);
    let (told, _) = stage.send(&recipe)?;
    ensure!(matches!(told, Told::Declined { status: 503, .. }), "a submission comes to: {}", word(&told));
    stage.world.disk(Actor::Repository)?.free()?;
    stage.store(&recipe)?;
    stage.close()?;
    Ok(Verdict::Held(word(&told)))
}

/// A sync that fails once: the process acknowledges nothing more and ends with 74.
pub(super) fn sync_fails(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    if stage.world.controls.is_empty() {
        return Ok(Verdict::Skipped(stage.world.missing.join("; ")));
    }
    for actor in [Actor::Repository, Actor::Registry] {
        let known = stage.document(3_000)?;
        stage.world.control(actor)?.fail_syncs(1)?;
        let recipe = stage.recipe(&[2_000]);
        let (told, _) = stage.send(&recipe)?;
        let begin = stage.world.history.now();
        ensure!(!matches!(told, Told::Refused { .. }), "a submission comes to: {}", word(&told));
        let ended = stage.world.poll_end(actor, Duration::from_secs(10))?;
        ensure!(ended == Some(Some(74)), "{} ends with {ended:?}, and has to with 74", actor.name());
        stage.world.did(begin, actor.name(), FaultKind::SyncFailed, "EIO", Ending::Exit(Some(74)))?;
        stage.world.come_back(&[actor], FaultKind::SyncFailed)?;
        stage.store(&recipe)?;
        stage.is_served(&known)?;
    }
    stage.close()?;
    Ok(Verdict::Held("exit 74 of repository and registry".into()))
}

/// Syncs that take five seconds: submissions and reads wait for one of them or are declined; nothing piles up.
pub(super) fn sync_slow(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    if stage.world.controls.is_empty() {
        return Ok(Verdict::Skipped(stage.world.missing.join("; ")));
    }
    let known = stage.document(3_000)?;
    stage.is_served(&known)?;
    stage.world.control(Actor::Repository)?.delay_syncs(5_000)?;
    let recipe = stage.recipe(&[2_000]);
    let (load, wire, sent) = (stage.load.clone(), stage.wire.clone(), recipe.clone());
    let task = stage.runtime.spawn(async move { crate::faults::load::send_once(&load, &wire, &sent).await });
    std::thread::sleep(Duration::from_millis(300));
    let (status, _, took) = stage.fetch(&known)?;
    stage.world.control(Actor::Repository)?.delay_syncs(0)?;
    let told = stage.runtime.block_on(task)??;
    // The audit record of a read stands before its answer, so that it may have to wait for the sync under way.
    ensure!(status == 200 || status == 503, "a retrieval meanwhile is answered {status}");
    ensure!(took < Duration::from_secs(6), "a retrieval meanwhile takes {took:.1?}");
    ensure!(!matches!(told, Told::Refused { .. }), "the submission comes to: {}", word(&told));
    stage.store(&recipe)?;
    stage.close()?;
    Ok(Verdict::Held(format!("{}; a retrieval meanwhile took {} ms", word(&told), took.as_millis())))
}

/// A file system that turns read-only: nothing new is acknowledged, and nothing is lost once it can be written again.
pub(super) fn read_only(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    if stage.world.disks.is_empty() {
        return Ok(Verdict::Skipped(stage.world.missing.join("; ")));
    }
    let known = stage.document(3_000)?;
    stage.world.disk(Actor::Repository)?.abort()?;
    let recipe = stage.recipe(&[2_000]);
    let (told, _) = stage.send(&recipe)?;
    ensure!(
        matches!(told, Told::Declined { .. } | Told::Unknown { .. }),
        "a submission to a disk that cannot be written comes to: {}",
        word(&told)
    );
    std::thread::sleep(Duration::from_millis(500));
    ensure!(!stage.world.region.is_ready(Actor::Repository), "it says it is ready");
    let ended = stage.world.region.ended(Actor::Repository)?;
    stage.world.region.kill(Actor::Repository)?;
    stage.world.disk(Actor::Repository)?.restore()?;
    stage.world.come_back(&[Actor::Repository], FaultKind::Other)?;
    stage.store(&recipe)?;
    stage.is_served(&known)?;
    stage.close()?;
    Ok(Verdict::Held(format!("{}; process: {ended:?}", word(&told))))
}

/// A data directory that is gone, and one that is empty: no new store is begun in its place.
pub(super) fn directory_gone(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let known = stage.document(3_000)?;
    for actor in [Actor::Repository, Actor::Registry] {
        let data = stage.world.region.data(actor);
        let aside = data.with_extension("aside");
        stage.world.region.kill(actor)?;
        fs::rename(&data, &aside).context("moving a data directory away")?;
        for empty in [false, true] {
            if empty {
                fs::create_dir(&data).context("making an empty directory")?;
            }
            let code = stage.refuses_to_start(actor)?;
            ensure!(code == Some(74), "{} ends with {code:?} without its data", actor.name());
            let left = fs::read_dir(&data).map_or(0, Iterator::count);
            ensure!(left == 0, "{} has begun something new in {}", actor.name(), data.display());
        }
        fs::remove_dir(&data).context("removing the empty directory")?;
        fs::rename(&aside, &data).context("moving a data directory back")?;
        stage.world.come_back(&[actor], FaultKind::Other)?;
    }
    stage.is_served(&known)?;
    stage.close()?;
    Ok(Verdict::Held("exit 74, and nothing made".into()))
}

/// A second process on the same data directory.
pub(super) fn second_process(index: &str) -> Result<Verdict> {
    let stage = Stage::open(index)?;
    for actor in Actor::ALL {
        let journal = |stage: &Stage| listing(&stage.world.region.data(actor));
        let before = journal(&stage)?;
        let ports = ["serve", "--set", "server.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0"];
        let (code, words) = stage.verb(actor, &ports)?;
        ensure!(code == Some(74), "a second {} ends with {code:?}: {words}", actor.name());
        ensure!(journal(&stage)? == before, "a second {} has changed the data directory", actor.name());
    }
    stage.close()?;
    Ok(Verdict::Held("exit 74 of all three".into()))
}

/// Names in a data directory.
fn listing(folder: &std::path::Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).context("reading a data directory")? {
        names.push(entry.context("reading a data directory")?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
