//! An actor as a process: arguments, configuration, storage, ports, signals, and the story of its end.

use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use store::{IndexKind, Options, Store};
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::Clock;
use crate::config::{Loaded, Shape, Sources};
use crate::host::{Launched, Plan, launch};
use crate::log;
use crate::process;
use crate::reference;
use crate::run::{Actor, fresh_secret};
use crate::settings::{Engine, Index, LogFormat, Policy, Settings};

const USAGE: u8 = 64;
const PORT: u8 = 69;
const STORAGE: u8 = 74;
const CONFIG: u8 = 78;

/// How often a running actor looks whether its store still writes.
const WATCH: Duration = Duration::from_secs(1);

/// Where an operator's files are.
const DIRECTORY: &str = "/etc/docshare";

/// An actor of docshare.
#[derive(Parser)]
#[command(version, subcommand_required = false)]
struct Arguments {
    /// A configuration file over all others, under the environment; may be given several times.
    #[arg(long, value_name = "FILE", global = true)]
    config: Vec<PathBuf>,
    /// One value over all files and the environment, e.g. log.level=debug; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    set: Vec<String>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Run (the default).
    Serve,
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        verb: ConfigVerb,
    },
    /// Tell the version.
    Version {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum ConfigVerb {
    /// Read it all and tell every fault.
    Check,
    /// Print what is in effect, secrets taken out.
    Print,
    /// Print the manual page of all keys.
    Reference,
}

/// Runs an actor as a process: reads arguments and configuration, opens storage, listens, stops on a signal.
pub fn main<A: Actor>() -> ExitCode {
    let arguments = match arguments(A::NAME) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help is an answer, not a mistake; if nobody reads it there is nobody to tell.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { USAGE } else { 0 });
        }
    };
    #[cfg(feature = "failpoints")]
    if let Err(words) = crate::points::arm(A::points()) {
        eprintln!("docshare-{}: {words}", A::NAME);
        return ExitCode::from(CONFIG);
    }
    let shape = Shape::<A::Settings>::new(A::NAME, A::PORT, A::keys());
    match arguments.verb.unwrap_or(Verb::Serve) {
        Verb::Version { json: true } => println!("{}", version::<A>()),
        Verb::Version { json: false } => {
            println!("docshare-{} {} ({})", A::NAME, env!("CARGO_PKG_VERSION"), process::COMMIT);
        }
        Verb::Config { verb: ConfigVerb::Reference } => print!("{}", reference::page(A::NAME, &shape)),
        verb @ (Verb::Serve | Verb::Config { .. }) => {
            let sources = Sources {
                directory: Some(PathBuf::from(DIRECTORY)),
                files: arguments.config,
                environment: environment(),
                set: arguments.set,
            };
            let loaded = match shape.load(A::NAME, &sources) {
                Ok(loaded) => loaded,
                Err(flaws) => {
                    flaws.iter().for_each(|flaw| eprintln!("{flaw}"));
                    return ExitCode::from(CONFIG);
                }
            };
            match verb {
                Verb::Config { verb: ConfigVerb::Print } => print!("{}", loaded.shown),
                Verb::Config { .. } => println!("the configuration is sound"),
                Verb::Serve | Verb::Version { .. } => return serve::<A>(loaded),
            }
        }
    }
    ExitCode::SUCCESS
}

#[cfg(not(feature = "failpoints"))]
fn version<A: Actor>() -> serde_json::Value {
    process::version(A::NAME)
}

/// The version, and which failpoints this build has.
#[cfg(feature = "failpoints")]
fn version<A: Actor>() -> serde_json::Value {
    let mut version = process::version(A::NAME);
    version["failpoints"] = crate::points::list(A::points());
    version
}

/// The variables of the environment; what is no text in one of them matters only if the variable is ours, and is then no value.
fn environment() -> Vec<(String, String)> {
    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
    std::env::vars_os().map(|(variable, value)| (text(variable), text(value))).collect()
}

fn arguments(name: &str) -> Result<Arguments, clap::Error> {
    let name: &'static str = format!("docshare-{name}").leak();
    let matches = Arguments::command().name(name).bin_name(name).try_get_matches()?;
    Arguments::from_arg_matches(&matches)
}

/// Why a process ends before it served.
struct Stop {
    code: u8,
    words: String,
}

fn serve<A: Actor>(loaded: Loaded<A::Settings>) -> ExitCode {
    let json = match loaded.house.log.format {
        LogFormat::Json => true,
        LogFormat::Text => false,
        LogFormat::Auto => !std::io::stdout().is_terminal(),
    };
    log::start(loaded.house.log.level, json, A::NAME);
    match run::<A>(loaded, json) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop { code, words }) => {
            eprintln!("docshare-{}: {words}", A::NAME);
            ExitCode::from(code)
        }
    }
}

fn run<A: Actor>(loaded: Loaded<A::Settings>, json: bool) -> Result<(), Stop> {
    let Loaded { house, own, shown } = loaded;
    let (store, secret) = storage(&house)?;
    let plan = Plan {
        settings: own,
        clock: Clock::wall(store.last_instant()),
        store: store.clone(),
        policy: match house.security.policy {
            Policy::LocalDevelopment => access::Policy::LocalDevelopment,
        },
        secret,
        limits: house.server.limits.clone(),
        public_url: Some(house.server.public_url.clone()).filter(|url| !url.is_empty()),
        time_zone: jiff::tz::TimeZone::get(&house.server.default_timezone)
            .map_err(|error| Stop { code: CONFIG, words: error.to_string() })?,
        trusted_proxies: house.server.trusted_proxies.clone(),
        workers: workers(house.server.workers),
        drain: Duration::from_secs(house.server.drain_timeout),
        listener: bind("server.listen", house.server.listen)?,
        admin: bind("admin.listen", house.admin.listen)?,
        shown,
    };
    let launched = launch::<A>(plan).map_err(|words| Stop { code: CONFIG, words })?;
    let (host, admin) =
        (format!("http://{}", launched.address), format!("http://{}", launched.admin_address));
    if json {
        println!(
            "{}",
            serde_json::json!({"event": "ready", "actor": A::NAME, "listen": host, "admin": admin})
        );
    } else {
        println!("ready {} {host} {admin}", A::NAME);
    }
    until_stopped(launched, store)
}

fn storage(house: &Settings) -> Result<(Store, [u8; 32]), Stop> {
    let in_words = |words: String| Stop { code: STORAGE, words };
    match house.storage.engine {
        Engine::Memory => Ok((Store::memory(), fresh_secret())),
        Engine::Embedded => {
            let options = Options {
                mark: Some(store::mark_beside(&house.storage.directory)),
                index: match house.storage.index {
                    Index::Redb => IndexKind::Redb,
                    Index::Sled => IndexKind::Sled,
                },
                cache_bytes: house.storage.cache,
                segment_bytes: house.storage.segment,
                reserve_bytes: house.storage.reserve,
                sync: house.storage.sync,
                ..Options::new(&house.storage.directory)
            };
            let store = Store::open(&options).map_err(|error| in_words(causes(&error)))?;
            let secret =
                secret(&house.storage.directory).map_err(|error| in_words(format!("the secret: {error}")))?;
            Ok((store, secret))
        }
    }
}

/// The secret of a data directory: made once, readable by the actor only.
fn secret(directory: &Path) -> std::io::Result<[u8; 32]> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    let path = directory.join("secret");
    match std::fs::read(&path) {
        Ok(bytes) => {
            return bytes
                .try_into()
                .map_err(|_| std::io::Error::other(format!("{} does not hold 32 bytes", path.display())));
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    // Written aside and named last, so that a crash leaves no half of it.
    let secret = fresh_secret();
    let aside = directory.join("secret.new");
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    std::fs::rename(&aside, &path)?;
    std::fs::File::open(directory)?.sync_all()?;
    Ok(secret)
}

fn workers(configured: usize) -> usize {
    match configured {
        0 => std::thread::available_parallelism().map_or(2, usize::from),
        workers => workers,
    }
}

fn bind(key: &str, address: SocketAddr) -> Result<TcpListener, Stop> {
    TcpListener::bind(address)
        .map_err(|error| Stop { code: PORT, words: format!("cannot listen on {address} ({key}): {error}") })
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push_str(&format!(": {error}"));
        cause = error.source();
    }
    words
}

/// Waits for a signal, then drains. A second signal ends the process at once; a store that stopped writing ends it too,
/// because after a failed sync only a fresh start can tell what is on disk.
fn until_stopped(launched: Launched, store: Store) -> Result<(), Stop> {
    let failed =
        |error: std::io::Error| Stop { code: PORT, words: format!("cannot wait for signals: {error}") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        let mut watch = tokio::time::interval(WATCH);
        loop {
            tokio::select! {
                _ = terminate.recv() => break,
                _ = interrupt.recv() => break,
                _ = hang_up.recv() => tracing::info!("nothing to load again: configuration is read at start only"),
                _ = watch.tick() => {
                    if let Some(words) = stopped(&store) {
                        tracing::error!(reason = words, "the store has stopped");
                        return Err(Stop { code: STORAGE, words });
                    }
                }
            }
        }
        tracing::info!("stopping: no new connections, requests under way are finished");
        let stopping = tokio::task::spawn_blocking(move || launched.stop());
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            ended = stopping => {
                if ended.is_err() {
                    tracing::error!("stopping went wrong");
                }
                tracing::info!("stopped");
                return Ok(());
            }
        }
        tracing::warn!("stopped at once, as asked twice");
        std::process::exit(0)
    })
}

fn stopped(store: &Store) -> Option<String> {
    let health = store.health();
    health.reason.filter(|_| health.stopped)
}
