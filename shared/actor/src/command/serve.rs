//! Serving: storage, ports, signals, and the story of the end.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{RecvError, RecvTimeoutError, sync_channel};
use std::time::Duration;

use store::{Options, Progress, Store};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::clock::Clock;
use crate::command::{CONFIG, PORT, STORAGE, Stop, causes, options};
use crate::config::Loaded;
use crate::host::{Launched, Plan, launch};
use crate::log;
use crate::opening::{Meanwhile, PATIENCE};
use crate::run::{Actor, Door, Doors, fresh_secret};
use crate::settings::{Engine, LogFormat, Policy, Settings};

/// How often a running actor looks whether its store still writes.
const WATCH: Duration = Duration::from_secs(1);

/// Runs until a signal.
pub(crate) fn serve<A: Actor>(loaded: Loaded<A::Settings>) -> ExitCode {
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
    let doc_url = house.server.doc_url.trim_end_matches('/');
    if !doc_url.is_empty() {
        // There is one configuration in a process.
        let _ = crate::DOCUMENTED.set(format!("{doc_url}/errors"));
    }
    let own_doors = A::doors(&own);
    let Opened { store, secret, listener, admin, doors } = open(A::NAME, &house, &own_doors)?;
    let addresses = doors.addresses();
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
        cors_origins: house.server.cors_origins.clone(),
        workers: workers(house.server.workers),
        drain: Duration::from_secs(house.server.drain_timeout),
        listener,
        admin,
        doors,
        shown,
    };
    let signals = Signals::listen()?;
    let launched = launch::<A>(plan).map_err(|words| Stop { code: CONFIG, words })?;
    let (host, admin) =
        (format!("http://{}", launched.address), format!("http://{}", launched.admin_address));
    if json {
        println!(
            "{}",
            serde_json::json!({
                "event": "ready", "actor": A::NAME, "listen": host, "admin": admin,
                "doors": addresses.iter().map(|(key, at)| (*key, at.to_string())).collect::<BTreeMap<_, _>>(),
            })
        );
    } else {
        let own: String = addresses.iter().map(|(key, at)| format!(" {key}={at}")).collect();
        println!("ready {} {host} {admin}{own}", A::NAME);
    }
    signals.until_stopped(launched, store)
}

/// Storage and ports.
struct Opened {
    store: Store,
    secret: [u8; 32],
    listener: TcpListener,
    admin: TcpListener,
    doors: Doors,
}

/// All ports of an actor.
type Ports = (TcpListener, TcpListener, Doors);

fn ports(house: &Settings, doors: &[Door]) -> Result<Ports, Stop> {
    let listener = bind("server.listen", house.server.listen)?;
    let admin = bind("admin.listen", house.admin.listen)?;
    let own = doors.iter().map(|door| Ok((door.key, bind(door.key, door.address)?)));
    Ok((listener, admin, Doors::new(own.collect::<Result<_, Stop>>()?)))
}

/// Storage first: whoever may not have it takes no port either. If it takes its time the ports answer meanwhile.
fn open(name: &'static str, house: &Settings, doors: &[Door]) -> Result<Opened, Stop> {
    let progress = Progress::default();
    let (tell, told) = sync_channel(1);
    let work = {
        let (house, progress) = (house.clone(), progress.clone());
        move || drop(tell.send(storage(&house, progress)))
    };
    let cannot =
        |what: &str, error: std::io::Error| Stop { code: STORAGE, words: format!("{what}: {error}") };
    std::thread::Builder::new()
        .name("opening".to_owned())
        .spawn(work)
        .map_err(|error| cannot("cannot start a thread", error))?;
    let ended = |_| Stop { code: STORAGE, words: "opening the storage ended in a panic".to_owned() };
    let ((store, secret), (listener, admin, doors)) = match told.recv_timeout(PATIENCE) {
        Ok(opened) => (opened?, ports(house, doors)?),
        Err(RecvTimeoutError::Disconnected) => return Err(ended(RecvError)),
        Err(RecvTimeoutError::Timeout) => {
            let (listener, admin, doors) = ports(house, doors)?;
            let meanwhile = Meanwhile::serve(name, &listener, &admin, &progress)
                .map_err(|error| Stop { code: PORT, words: format!("cannot serve: {error}") })?;
            let opened = told.recv().map_err(ended)??;
            meanwhile.end();
            (opened, (listener, admin, doors))
        }
    };
    Ok(Opened { store, secret, listener, admin, doors })
}

fn storage(house: &Settings, progress: Progress) -> Result<(Store, [u8; 32]), Stop> {
    let in_words = |words: String| Stop { code: STORAGE, words };
    match house.storage.engine {
        Engine::Memory => Ok((Store::memory(), fresh_secret())),
        Engine::Embedded => {
            let options = Options { progress, ..options(house) };
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

/// The signals of this process. They are listened to before anybody is told that the actor is ready: whoever is told may ask
/// it to end at once.
struct Signals {
    runtime: tokio::runtime::Runtime,
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn listen() -> Result<Signals, Stop> {
        let failed =
            |error: std::io::Error| Stop { code: PORT, words: format!("cannot wait for signals: {error}") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let inside = runtime.enter();
        let terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let hang_up = signal(SignalKind::hangup()).map_err(failed)?;
        drop(inside);
        Ok(Signals { runtime, terminate, interrupt, hang_up })
    }

    /// Waits for a signal, then drains. A second signal ends the process at once; a store that stopped writing ends it too,
    /// because after a failed sync only a fresh start can tell what is on disk.
    fn until_stopped(self, launched: Launched, store: Store) -> Result<(), Stop> {
        let Signals { runtime, mut terminate, mut interrupt, mut hang_up } = self;
        runtime.block_on(async {
            let mut watch = tokio::time::interval(WATCH);
            loop {
                tokio::select! {
                    _ = terminate.recv() => break,
                    _ = interrupt.recv() => break,
                    _ = hang_up.recv() => {
                        let reload = std::sync::Arc::clone(&launched.reload);
                        // What it came to is in the log; reading may be slow, and the store is watched meanwhile.
                        drop(tokio::task::spawn_blocking(move || reload()));
                    }
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
}

fn stopped(store: &Store) -> Option<String> {
    let health = store.health();
    health.reason.filter(|_| health.stopped)
}
