//! A region of our own: the three actors as processes, in a folder that goes away with it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::binaries;

/// How long an actor may take until it says it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Actor {
    /// Document Registry.
    Registry,
    /// Document Repository.
    Repository,
    /// Patient Identity Source.
    Identity,
}

impl Actor {
    /// All, in the order they start.
    pub const ALL: [Actor; 3] = [Actor::Identity, Actor::Registry, Actor::Repository];

    /// Name of its folder, configuration and log.
    pub fn name(self) -> &'static str {
        match self {
            Actor::Registry => "registry",
            Actor::Repository => "repository",
            Actor::Identity => "identity",
        }
    }

    fn binary(self) -> &'static str {
        match self {
            Actor::Registry => "docshare-registry",
            Actor::Repository => "docshare-repository",
            Actor::Identity => "docshare-identity",
        }
    }

    fn index(self) -> usize {
        match self {
            Actor::Registry => 0,
            Actor::Repository => 1,
            Actor::Identity => 2,
        }
    }
}

/// How a region is set up.
#[derive(Debug, Clone)]
pub struct Plan {
    /// `storage.index`.
    pub index: String,
    /// `log.level`.
    pub log_level: String,
    /// Whether commits are synced: a comparison may do without.
    pub sync: bool,
    /// Further configuration, put behind each actor's own: TOML with whole tables.
    pub extra: String,
    /// Where the actors' binaries are; none: see [`binaries::folder`].
    pub binaries: Option<PathBuf>,
    /// Data directories of actors that do not have them in the region's own folder.
    pub data: HashMap<Actor, PathBuf>,
    /// Values of an actor's configuration, laid over everything else: `--set key=value`.
    pub set: Vec<(Actor, String)>,
}

impl Default for Plan {
    fn default() -> Plan {
        Plan {
            index: "redb".into(),
            log_level: "info".into(),
            sync: true,
            extra: String::new(),
            binaries: None,
            data: HashMap::new(),
            set: Vec::new(),
        }
    }
}

/// Three running actors.
pub struct Region {
    folder: TempDir,
    binaries: PathBuf,
    plan: Plan,
    routes: HashMap<(Actor, Actor), String>,
    environment: HashMap<Actor, Vec<(OsString, OsString)>>,
    ports: [u16; 6],
    children: [Option<Child>; 3],
}

impl Region {
    /// Writes the configurations, starts the actors and waits until they are ready.
    pub fn start(plan: &Plan) -> Result<Region> {
        let mut region = Region::prepare(plan)?;
        region.start_all()?;
        Ok(region)
    }

    /// Finds folder, binaries and ports, and starts nothing yet.
    pub fn prepare(plan: &Plan) -> Result<Region> {
        let folder = tempfile::Builder::new().prefix("docshare-").tempdir().context("making a folder")?;
        let binaries = match &plan.binaries {
            Some(folder) => folder.clone(),
            None => binaries::folder()?,
        };
        let region = Region {
            folder,
            binaries,
            plan: plan.clone(),
            routes: HashMap::new(),
            environment: HashMap::new(),
            ports: free_ports()?,
            children: [None, None, None],
        };
        for actor in Actor::ALL {
            fs::create_dir_all(region.data(actor)).context("making a data folder")?;
        }
        Ok(region)
    }

    /// Starts every actor and waits until all are ready.
    pub fn start_all(&mut self) -> Result<()> {
        for actor in Actor::ALL {
            self.launch(actor)?;
        }
        for actor in Actor::ALL {
            self.wait_ready(actor)?;
        }
        Ok(())
    }

    /// From its next start on, one actor reaches another one through this `http://host:port`, which is known to nobody else.
    pub fn route(&mut self, from: Actor, to: Actor, host: &str) {
        self.routes.insert((from, to), format!("{host}/fhir"));
    }

    /// Variables an actor gets with its next start, instead of those it had.
    pub fn environment<V: AsRef<OsStr>>(&mut self, actor: Actor, variables: &[(&str, V)]) {
        let owned = variables.iter().map(|(name, value)| ((*name).into(), value.as_ref().into())).collect();
        self.environment.insert(actor, owned);
    }

    /// Where everything of the region lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Leaves the folder behind, for whoever wants to see what happened.
    pub fn keep(&mut self) {
        self.folder.disable_cleanup(true);
    }

    /// Where an actor keeps its data.
    pub fn data(&self, actor: Actor) -> PathBuf {
        self.plan.data.get(&actor).cloned().unwrap_or_else(|| self.folder().join(actor.name()))
    }

    /// An actor's binary.
    pub fn binary(&self, actor: Actor) -> PathBuf {
        self.binaries.join(actor.binary())
    }

    /// `http://127.0.0.1:port` of an actor.
    pub fn host(&self, actor: Actor) -> String {
        format!("http://127.0.0.1:{}", self.ports[actor.index()])
    }

    /// FHIR base of an actor.
    pub fn base(&self, actor: Actor) -> String {
        format!("{}/fhir", self.host(actor))
    }

    /// `http://127.0.0.1:port` of an actor's admin listener.
    pub fn admin(&self, actor: Actor) -> String {
        format!("http://127.0.0.1:{}", self.ports[3 + actor.index()])
    }

    /// Process id of an actor, if it was started.
    pub fn pid(&self, actor: Actor) -> Option<u32> {
        self.children[actor.index()].as_ref().map(Child::id)
    }

    /// What an actor has written to its log so far.
    pub fn log(&self, actor: Actor) -> String {
        let bytes = fs::read(self.log_path(actor)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Starts an actor (again) without waiting.
    pub fn launch(&mut self, actor: Actor) -> Result<()> {
        self.configure(actor)?;
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path(actor))
            .context("opening a log")?;
        let errors: File = log.try_clone().context("sharing a log")?;
        let environment = self.environment.get(&actor).into_iter().flatten();
        let child = Command::new(self.binary(actor))
            .arg("serve")
            .arg("--config")
            .arg(self.config_path(actor))
            .args(self.set(actor))
            .envs(environment.map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {}", actor.binary()))?;
        self.children[actor.index()] = Some(child);
        Ok(())
    }

    /// A verb of an actor, under its configuration; the actor itself may run or not.
    pub fn command(&self, actor: Actor, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.binary(actor));
        command.args(arguments).arg("--config").arg(self.config_path(actor)).args(self.set(actor));
        command.stdin(Stdio::null());
        command
    }

    /// Runs a verb of an actor to its end.
    pub fn verb(&self, actor: Actor, arguments: &[&str]) -> Result<Output> {
        self.command(actor, arguments).output().with_context(|| format!("running {}", actor.binary()))
    }

    /// Waits until an actor answers `/readyz` with 200; how long that took.
    pub fn wait_ready(&mut self, actor: Actor) -> Result<Duration> {
        let begin = Instant::now();
        let port = self.ports[3 + actor.index()];
        while begin.elapsed() < START_TIMEOUT {
            if crate::raw::ready(port) {
                return Ok(begin.elapsed());
            }
            if let Some(status) = self.ended(actor)? {
                bail!(
                    "{} ended with {status} before it was ready:\n{}",
                    actor.name(),
                    tail(&self.log(actor))
                );
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("{} was not ready within {START_TIMEOUT:?}:\n{}", actor.name(), tail(&self.log(actor)))
    }

    /// Waits until the registry was told of every patient the identity source knows: a feed is answered without it.
    pub fn wait_fed(&self) -> Result<()> {
        let begin = Instant::now();
        let mut health = String::new();
        while begin.elapsed() < START_TIMEOUT {
            health = crate::raw::get_blocking(&self.admin(Actor::Identity), "/readyz?verbose")?;
            if health.contains("the registry knows every patient") {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the registry was not told of every patient within {START_TIMEOUT:?}: {health}")
    }

    /// Whether an actor says it is ready.
    pub fn is_ready(&self, actor: Actor) -> bool {
        crate::raw::ready(self.ports[3 + actor.index()])
    }

    /// `kill -9`, and nothing else.
    pub fn kill(&mut self, actor: Actor) -> Result<()> {
        if let Some(mut child) = self.children[actor.index()].take() {
            child.kill().context("killing an actor")?;
            child.wait().context("waiting for a killed actor")?;
        }
        Ok(())
    }

    /// SIGTERM, and the status it ends with.
    pub fn terminate(&mut self, actor: Actor) -> Result<ExitStatus> {
        let mut child = self.children[actor.index()].take().context("the actor was not running")?;
        signal(&child, Signal::TERM)?;
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(45) {
            if let Some(status) = child.try_wait().context("waiting for an actor")? {
                return Ok(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.kill().context("killing an actor that does not end")?;
        bail!("{} did not end within 45 s of SIGTERM:\n{}", actor.name(), tail(&self.log(actor)))
    }

    /// SIGSTOP or SIGCONT.
    pub fn pause(&self, actor: Actor, paused: bool) -> Result<()> {
        let child = self.children[actor.index()].as_ref().context("the actor is not running")?;
        signal(child, if paused { Signal::STOP } else { Signal::CONT })
    }

    /// The status an actor ended with, if it did.
    pub fn ended(&mut self, actor: Actor) -> Result<Option<ExitStatus>> {
        match &mut self.children[actor.index()] {
            Some(child) => child.try_wait().context("asking for an actor's end"),
            None => Ok(None),
        }
    }

    fn configure(&self, actor: Actor) -> Result<()> {
        fs::write(self.config_path(actor), self.config(actor)).context("writing a configuration")
    }

    fn set(&self, actor: Actor) -> impl Iterator<Item = String> {
        let ours = self.plan.set.iter().filter(move |(whose, _)| *whose == actor);
        ours.flat_map(|(_, value)| ["--set".to_owned(), value.clone()])
    }

    fn config(&self, actor: Actor) -> String {
        let env = if self.plan.sync { "production" } else { "development" };
        let mut text = format!(
            "version = 1\nenv = \"{env}\"\n\n[server]\nlisten = \"127.0.0.1:{}\"\npublic_url = \"{}\"\n\n[admin]\nlisten = \"127.0.0.1:{}\"\n\n\
             [storage]\ndirectory = \"{}\"\nindex = \"{}\"\nsync = {}\n\n[log]\nlevel = \"{}\"\n\n",
            self.ports[actor.index()],
            self.base(actor),
            self.ports[3 + actor.index()],
            self.data(actor).display(),
            self.plan.index,
            self.plan.sync,
            self.plan.log_level,
        );
        let peers: &[Actor] = match actor {
            Actor::Registry => &[Actor::Identity],
            Actor::Repository => &[Actor::Registry, Actor::Identity],
            Actor::Identity => &[Actor::Registry],
        };
        for peer in peers {
            let public = self.base(*peer);
            text += &match self.routes.get(&(actor, *peer)) {
                Some(route) if actor == Actor::Repository => {
                    format!("[{}]\nurl = \"{route}\"\npublic_url = \"{public}\"\n\n", peer.name())
                }
                Some(route) if actor == Actor::Identity => {
                    format!("[{}]\nurl = \"{route}\"\n\n", peer.name())
                }
                // The registry never calls the identity source: it only knows its name.
                Some(_) | None => format!("[{}]\nurl = \"{public}\"\n\n", peer.name()),
            };
        }
        text + &self.plan.extra
    }

    /// Where an actor's configuration is.
    pub fn config_path(&self, actor: Actor) -> PathBuf {
        self.folder().join(format!("{}.toml", actor.name()))
    }

    fn log_path(&self, actor: Actor) -> PathBuf {
        self.folder().join(format!("{}.log", actor.name()))
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        for child in self.children.iter_mut().flatten() {
            // They are only killed: nobody looks at their data any more.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a child has a process id")?;
    kill_process(pid, signal).context("sending a signal")
}

/// Where the next ports are looked for, beyond what the process adds of its own.
static NEXT_PORT: AtomicU16 = AtomicU16::new(0);

/// Six ports nobody listens on. They are held together, so that they differ, and released together. They lie below those that
/// the system gives to callers: while an actor is down, no connection takes the port it comes back to.
fn free_ports() -> Result<[u16; 6]> {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    let own = u16::try_from(std::process::id() % 1_000)? * 7;
    let mut held = Vec::new();
    let mut ports = [0; 6];
    for port in &mut ports {
        let mut tries = 0;
        *port = loop {
            let candidate = FIRST + NEXT_PORT.fetch_add(1, Ordering::Relaxed).wrapping_add(own) % PORTS;
            match TcpListener::bind((Ipv4Addr::LOCALHOST, candidate)) {
                Ok(listener) => {
                    held.push(listener);
                    break candidate;
                }
                Err(error) if tries == PORTS => return Err(error).context("looking for a free port"),
                Err(_) => tries += 1,
            }
        };
    }
    Ok(ports)
}

fn tail(log: &str) -> &str {
    let from = log.char_indices().rev().nth(3000).map_or(0, |(at, _)| at);
    &log[from..]
}
