//! Bytes on disk that are not what was written: the document they belong to is not served, everything else is.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::Verdict;
use super::stage::Stage;
use crate::faults::history::FaultKind;
use crate::faults::world::Polled;
use crate::region::Actor;

const LARGE: usize = 2_000_000;

pub(super) fn flipped(index: &str) -> Result<Verdict> {
    damaged(index, "a flipped bit", |file, _| flip(file, 1_000_000))
}

pub(super) fn truncated(index: &str) -> Result<Verdict> {
    damaged(index, "a cut file", |file, _| {
        OpenOptions::new().write(true).open(file)?.set_len(700_000).context("cutting a file")
    })
}

pub(super) fn missing(index: &str) -> Result<Verdict> {
    damaged(index, "a missing file", |file, _| fs::remove_file(file).context("removing a file"))
}

pub(super) fn swapped(index: &str) -> Result<Verdict> {
    damaged(index, "the file of another document", |file, other| {
        fs::copy(other, file).map(drop).context("copying a file over another one")
    })
}

/// Does something to the file of one of two documents.
fn damaged(index: &str, what: &str, harm: fn(&Path, &Path) -> Result<()>) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let (victim, other) = (stage.document(LARGE)?, stage.document(LARGE)?);
    let small = stage.document(2_000)?;
    let (file, intact) = (file_of(&mut stage, &victim)?, file_of(&mut stage, &other)?);
    let kept = fs::read(&file).context("reading a document's file")?;
    harm(&file, &intact)?;
    let (status, bytes, _) = stage.fetch(&victim)?;
    ensure!(status == 503 || status == 0, "a document with {what} is answered {status}, {bytes} bytes");
    stage.is_served(&other)?;
    stage.is_served(&small)?;
    stage.document(2_000)?;
    // Put right by the operator, it is served again, at the latest after a start.
    fs::write(&file, kept).context("putting a file back")?;
    stage.world.region.kill(Actor::Repository)?;
    stage.world.come_back(&[Actor::Repository], FaultKind::Kill)?;
    let (again, _, _) = stage.fetch(&victim)?;
    Ok(Verdict::Held(format!("{status} for it alone; {again} after it was put back")))
}

/// A flipped bit in the bytes of a document that lies in the journal.
pub(super) fn journal_document(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let recipe = stage.recipe(&[50_000]);
    let victim = stage.store(&recipe)?.remove(0);
    let other = stage.document(50_000)?;
    let bytes = stage.load.bytes(&recipe);
    let (segment, at) = find(&journal(&stage, Actor::Repository), &bytes[..64])?;
    flip(&segment, at + 20_000)?;
    let (status, count, _) = stage.fetch(&victim)?;
    ensure!(
        status == 503 || status == 0,
        "a document with a flipped bit is answered {status}, {count} bytes"
    );
    stage.is_served(&other)?;
    stage.document(2_000)?;
    Ok(Verdict::Held(format!("{status} for it alone")))
}

/// A flipped bit in the middle of a journal, met when the index has to be built again: refused, with its place.
pub(super) fn journal_flipped(index: &str) -> Result<Verdict> {
    let mut words = Vec::new();
    for actor in [Actor::Registry, Actor::Repository] {
        let mut stage = Stage::open(index)?;
        let mut victim = stage.recipe(&[5_000]);
        victim.folder = true;
        stage.store(&victim)?;
        for _ in 0..5 {
            stage.document(5_000)?;
        }
        stage.world.region.terminate(actor)?;
        let key = victim.unique_id(stage.load.seed, 0);
        let (segment, at) = find(&journal(&stage, actor), key.as_bytes())?;
        flip(&segment, at + 3)?;
        // With its index it may start, as long as nobody reads that entry; what it must not do is to lose it silently.
        let (verified, told) = stage.verb(actor, &["verify"])?;
        if verified != Some(64) {
            ensure!(verified == Some(1) || verified == Some(74), "verify ends with {verified:?}: {told}");
        }
        remove_index(&stage.world.region.data(actor))?;
        let code = stage.refuses_to_start(actor)?;
        ensure!(code == Some(74), "{} ends with {code:?}", actor.name());
        words.push(format!("{}: 74, verify {verified:?}", actor.name()));
    }
    Ok(Verdict::Held(words.join("; ")))
}

/// A journal that was cut: there are fewer entries than the index knows of.
pub(super) fn journal_cut(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    for _ in 0..5 {
        stage.document(5_000)?;
    }
    stage.world.region.terminate(Actor::Registry)?;
    // Behind the segment that is written to, the next one lies ready and empty.
    let written = journal(&stage, Actor::Registry).swap_remove(0);
    let file = OpenOptions::new().write(true).open(written).context("opening a segment")?;
    file.set_len(20_000).context("cutting a segment")?;
    let code = stage.refuses_to_start(Actor::Registry)?;
    ensure!(code == Some(74), "the registry ends with {code:?}");
    Ok(Verdict::Held("exit 74".into()))
}

/// An index that was overwritten: built again or refused, and nothing is missing.
pub(super) fn index_flipped(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let ids: Vec<String> = (0..6).map(|_| stage.document(3_000)).collect::<Result<_>>()?;
    stage.world.region.terminate(Actor::Registry)?;
    let folder = stage.world.region.data(Actor::Registry).join("index");
    let mut harmed = 0;
    for file in files(&folder) {
        let length = fs::metadata(&file).map_or(0, |about| about.len());
        let mut at = 16;
        while at < length {
            flip(&file, at)?;
            at += 499;
        }
        harmed += 1;
    }
    ensure!(harmed > 0, "there is no index in {}", folder.display());
    stage.world.region.launch(Actor::Registry)?;
    match stage.world.poll_ready(Actor::Registry, Duration::from_secs(30)) {
        Polled::Ready => {
            for id in &ids {
                stage.is_served(id)?;
            }
            stage.close()?;
            Ok(Verdict::Held("built again".into()))
        }
        Polled::Ended(Some(74)) => Ok(Verdict::Held("exit 74".into())),
        other => anyhow::bail!("the registry comes to {other:?}"),
    }
}

fn file_of(stage: &mut Stage, id: &str) -> Result<PathBuf> {
    let name = stage.blob(id)?;
    let folder = stage.world.region.data(Actor::Repository).join("blobs");
    let found = files(&folder).into_iter().find(|path| path.ends_with(&name));
    found.with_context(|| format!("{name} has no file"))
}

/// Segments of an actor's journal, oldest first.
fn journal(stage: &Stage, actor: Actor) -> Vec<PathBuf> {
    let mut segments = files(&stage.world.region.data(actor).join("journal"));
    segments.sort();
    segments
}

fn remove_index(data: &Path) -> Result<()> {
    let folder = data.join("index");
    ensure!(folder.exists(), "there is no index in {}", data.display());
    fs::remove_dir_all(folder).context("removing an index")
}

/// Where these bytes are.
fn find(segments: &[PathBuf], bytes: &[u8]) -> Result<(PathBuf, u64)> {
    for segment in segments {
        let content = fs::read(segment).context("reading a segment")?;
        if let Some(at) = content.windows(bytes.len()).position(|window| window == bytes) {
            return Ok((segment.clone(), at as u64));
        }
    }
    anyhow::bail!("what was stored is not in any of {segments:?}")
}

fn flip(path: &Path, at: u64) -> Result<()> {
    let file: File = OpenOptions::new().read(true).write(true).open(path).context("opening a file")?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).context("reading a byte")?;
    byte[0] ^= 0x10;
    file.write_all_at(&byte, at).context("flipping a bit")
}

/// All files in a folder and those below it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
