//! A region on disks of its own, with a hand on each actor's clock and syncs, and everything done to it written down.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use tempfile::TempDir;
use testkit::proxy::Proxy;
use tokio::runtime::Runtime;

use super::control::Control;
use super::disk::Disk;
use super::history::{Fault, FaultKind, History, Recovery, What};
use super::load::Doors;
use super::{binaries, compile};
use crate::raw;
use crate::region::{Actor, Plan, Region};

/// Short, so that a fault is over soon; long enough that nothing but a fault meets them.
const REPOSITORY: [&str; 8] = [
    "submission.settle_interval=500ms",
    "submission.deadline=8s",
    "submission.same_id_wait=4s",
    "registry.timeout=3s",
    "registry.connect_timeout=1s",
    "identity.timeout=3s",
    "identity.connect_timeout=500ms",
    "registry.tries=2",
];
/// How long an actor may take until it is ready (I15).
const READY: Duration = Duration::from_secs(30);

/// How a world is set up.
#[derive(Debug, Clone)]
pub struct Setup {
    /// `storage.index`.
    pub index: String,
    /// Whether the actors get disks whose power can be cut, where the machine allows it.
    pub disks: bool,
    /// Whether the actors have failpoints, where they can be built.
    pub failpoints: bool,
    /// Where the history goes; none: into the world's folder.
    pub history: Option<PathBuf>,
    /// Further values of actors' configurations.
    pub set: Vec<(Actor, String)>,
}

impl Default for Setup {
    fn default() -> Setup {
        Setup { index: "redb".into(), disks: true, failpoints: false, history: None, set: Vec::new() }
    }
}

/// Actors, disks, controls. What is dropped first must not be used by what comes after it: actors before their disks.
pub struct World {
    pub(super) region: Region,
    pub(super) disks: HashMap<Actor, Disk>,
    pub(super) controls: HashMap<Actor, Control>,
    pub(super) history: Arc<History>,
    /// The history on disk.
    pub(super) written: PathBuf,
    /// The program that cuts the power.
    power: Option<PathBuf>,
    /// The library that stands before clock and syncs.
    library: Option<PathBuf>,
    /// Whether the actors have failpoints.
    pub(super) failpoints: bool,
    /// `storage.index`.
    pub(super) index: String,
    /// What stands before the repository, between it and the registry, and between the identity source and the registry.
    pub(super) proxies: Vec<(&'static str, Proxy)>,
    /// What this machine does not allow, in words.
    pub(super) missing: Vec<String>,
    /// What must not have happened, and is not in the history.
    pub(super) trouble: Vec<String>,
    /// Set from outside: end soon.
    pub(super) interrupted: Arc<AtomicBool>,
    folder: TempDir,
}

impl World {
    /// Prepares everything and starts nothing.
    pub fn prepare(setup: &Setup) -> Result<World> {
        let folder =
            tempfile::Builder::new().prefix("docshare-faults-").tempdir().context("making a folder")?;
        let mut missing = Vec::new();
        let (power, disks) = match setup.disks.then(|| disks(folder.path())) {
            Some(Ok((power, disks))) => (Some(power), disks),
            Some(Err(error)) => {
                missing.push(format!("disks of their own, and power cuts with them: {error:#}"));
                (None, HashMap::new())
            }
            None => (None, HashMap::new()),
        };
        let library = compile::control(folder.path());
        let library =
            library.map_err(|error| missing.push(format!("clock and failing syncs: {error:#}"))).ok();
        let with_failpoints = if setup.failpoints { binaries::with_failpoints()? } else { None };
        if setup.failpoints && with_failpoints.is_none() {
            missing.push("failpoints: no actors with them, and no cargo to build them".into());
        }
        let mut set: Vec<_> = REPOSITORY.map(|value| (Actor::Repository, value.to_owned())).to_vec();
        set.extend(setup.set.clone());
        let plan = Plan {
            index: setup.index.clone(),
            log_level: "warn".into(),
            data: disks.iter().map(|(actor, disk)| (*actor, disk.path().join("data"))).collect(),
            binaries: with_failpoints.clone(),
            set,
            ..Plan::default()
        };
        let region = Region::prepare(&plan)?;
        let written = setup.history.clone().unwrap_or_else(|| folder.path().join("history.jsonl"));
        let history = Arc::new(History::create(&written)?);
        let mut controls = HashMap::new();
        if library.is_some() {
            for actor in Actor::ALL {
                let path = folder.path().join(format!("{}.control", actor.name()));
                controls.insert(actor, Control::create(&path)?);
            }
        }
        Ok(World {
            region,
            disks,
            controls,
            history,
            written,
            power,
            library,
            failpoints: with_failpoints.is_some(),
            index: setup.index.clone(),
            proxies: Vec::new(),
            missing,
            trouble: Vec::new(),
            interrupted: Arc::default(),
            folder,
        })
    }

    /// Prepares and starts.
    pub fn start(setup: &Setup) -> Result<World> {
        let mut world = World::prepare(setup)?;
        for actor in Actor::ALL {
            world.arm(actor, None);
        }
        world.region.start_all()?;
        Ok(world)
    }

    /// Starts what was prepared, with a proxy on each way between actors and before the repository.
    pub(super) fn start_behind_proxies(&mut self, runtime: &Runtime) -> Result<()> {
        let ways = [
            ("source to repository", None, Actor::Repository),
            ("repository to registry", Some(Actor::Repository), Actor::Registry),
            ("identity source to registry", Some(Actor::Identity), Actor::Registry),
        ];
        for (way, from, to) in ways {
            let target = raw::authority(&self.region.host(to))?.parse().context("an actor has an address")?;
            let proxy = runtime.block_on(Proxy::listen(target)).context("starting a proxy")?;
            if let Some(from) = from {
                self.region.route(from, to, &proxy.host());
            }
            self.proxies.push((way, proxy));
        }
        for actor in Actor::ALL {
            self.arm(actor, None);
        }
        self.region.start_all()
    }

    /// Where sources find the repository.
    pub(super) fn doors(&self) -> Doors {
        let mut doors = Doors::of(&self.region);
        if let Some((_, proxy)) = self.proxies.first() {
            doors.repository = format!("{}/fhir", proxy.host());
        }
        doors
    }

    /// Where images and history lie.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves everything behind but the mounts.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
        self.region.keep();
    }

    /// True if somebody wants the run to end.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    /// With its next start, an actor gets its control, and this failpoint.
    pub(super) fn arm(&mut self, actor: Actor, point: Option<&str>) {
        let mut variables: Vec<(&str, PathBuf)> = Vec::new();
        if let (Some(library), Some(control)) = (&self.library, self.controls.get(&actor)) {
            variables.push(("LD_PRELOAD", library.clone()));
            variables.push(("FAULTS_CONTROL", control.path().to_owned()));
        }
        variables.extend(point.map(|point| ("DOCSHARE_FAILPOINTS", PathBuf::from(point))));
        self.region.environment(actor, &variables);
    }

    /// Writes down what was done to an actor since `begin`.
    pub(super) fn did(
        &self,
        begin: u64,
        actor: &str,
        kind: FaultKind,
        detail: &str,
        end: Ending,
    ) -> Result<()> {
        let (ends_process, exit) = match end {
            Ending::Lives => (false, None),
            Ending::Killed => (true, None),
            Ending::Exit(code) => (true, code),
        };
        let fault = Fault { kind, actor: actor.to_owned(), detail: detail.to_owned(), ends_process, exit };
        self.history.record(0, begin, What::Fault(fault))
    }

    /// Starts actors that have ended, all at once, and waits until they are ready.
    pub(super) fn come_back(&mut self, actors: &[Actor], from: FaultKind) -> Result<()> {
        let begin = self.history.now();
        for actor in actors {
            self.region.launch(*actor)?;
        }
        for actor in actors {
            self.await_ready(*actor, begin, from)?;
        }
        Ok(())
    }

    /// Waits until an actor is ready again. One that ends instead, or takes too long, needs hands, which is trouble.
    pub(super) fn await_ready(&mut self, actor: Actor, begin: u64, from: FaultKind) -> Result<()> {
        let started = Instant::now();
        let outcome = self.poll_ready(actor, READY);
        let ready = matches!(outcome, Polled::Ready);
        let recovery = Recovery { actor: actor.name().into(), from, ready: true, by_hand: !ready };
        self.history.record(0, begin, What::Recovery(recovery))?;
        if ready {
            return Ok(());
        }
        self.trouble.push(format!(
            "{} is not ready {:.1?} after {from:?}: {outcome:?}\n{}",
            actor.name(),
            started.elapsed(),
            last_lines(&self.region.log(actor)),
        ));
        // Whether it would come with another try is worth knowing; the promise is broken already.
        if let Polled::Ended(_) = outcome {
            self.region.launch(actor)?;
        }
        match self.poll_ready(actor, READY) {
            Polled::Ready => Ok(()),
            other => bail!("{} does not come back: {other:?} (after {from:?})", actor.name()),
        }
    }

    /// Waits until an actor is ready, has ended, or the time is over.
    pub(super) fn poll_ready(&mut self, actor: Actor, within: Duration) -> Polled {
        let begin = Instant::now();
        while begin.elapsed() < within {
            if let Ok(Some(status)) = self.region.ended(actor) {
                return Polled::Ended(status.code());
            }
            if self.region.is_ready(actor) {
                return Polled::Ready;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Polled::Neither
    }

    /// Waits until an actor has ended by itself; its exit status.
    pub(super) fn poll_end(&mut self, actor: Actor, within: Duration) -> Result<Option<Option<i32>>> {
        let begin = Instant::now();
        while begin.elapsed() < within {
            if let Some(status) = self.region.ended(actor)? {
                return Ok(Some(status.code()));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(None)
    }

    /// The power of these actors' disks goes; they are dead, and their disks are mounted again.
    pub(super) fn cut_power(&mut self, actors: &[Actor]) -> Result<()> {
        let power = self.power.clone().context("there are no disks whose power can be cut")?;
        // A file system is shut down while its machine runs on, and a sync under way may end well that carried nothing: where
        // power goes, nobody hears of it any more. So the actor stands still before, whatever it waits for in the kernel;
        // what it told until then must be there. One that has ended by itself needs no stopping.
        for actor in actors {
            let _ = self.region.pause(*actor, true);
        }
        for actor in actors {
            self.stand_still(*actor)?;
        }
        for actor in actors {
            self.disk(*actor)?.cut(&power)?;
        }
        for actor in actors {
            self.region.kill(*actor)?;
        }
        for actor in actors {
            self.disk(*actor)?.restore()?;
        }
        Ok(())
    }

    fn stand_still(&self, actor: Actor) -> Result<()> {
        let Some(pid) = self.region.pid(actor) else { return Ok(()) };
        let begin = Instant::now();
        while !crate::process::stands_still(pid) {
            ensure!(begin.elapsed() < Duration::from_secs(5), "{} does not stand still", actor.name());
            std::hint::spin_loop();
        }
        Ok(())
    }

    pub(super) fn disk(&self, actor: Actor) -> Result<&Disk> {
        self.disks.get(&actor).context("the actors have no disks of their own")
    }

    pub(super) fn control(&self, actor: Actor) -> Result<&Control> {
        self.controls.get(&actor).context("there is no hand on the actors' clocks and syncs")
    }

    /// Undoes everything that lasts, so that only what happened is left. Actors are as they are.
    pub(super) fn heal(&mut self) -> Result<()> {
        for actor in Actor::ALL {
            if let Some(control) = self.controls.get(&actor) {
                control.fail_syncs(0)?;
                control.delay_syncs(0)?;
                control.set_clock(0)?;
            }
            if let Some(disk) = self.disks.get(&actor) {
                disk.free()?;
            }
            self.arm(actor, None);
        }
        for (_, proxy) in &self.proxies {
            proxy.clear();
        }
        Ok(())
    }

    /// Submissions in doubt, as the repository tells.
    pub(super) fn in_doubt(&self) -> Result<u64> {
        let text = raw::get_blocking(&self.region.admin(Actor::Repository), "/readyz?verbose")?;
        let before = text.split(" submissions in doubt").next().unwrap_or_default();
        let number = before.rsplit(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        ensure!(before.len() < text.len(), "/readyz does not tell of submissions in doubt: {text}");
        number.parse().with_context(|| format!("/readyz tells of submissions in doubt: {text}"))
    }
}

/// What became of a process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ending {
    Lives,
    Killed,
    Exit(Option<i32>),
}

/// What came of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Polled {
    Ready,
    Ended(Option<i32>),
    Neither,
}

fn disks(folder: &Path) -> Result<(PathBuf, HashMap<Actor, Disk>)> {
    let power = compile::power(folder)?;
    let mut disks = HashMap::new();
    for actor in Actor::ALL {
        disks.insert(actor, Disk::create(folder, &format!("disk-{}", actor.name()))?);
    }
    Ok((power, disks))
}

/// The end of a log.
pub(super) fn last_lines(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
