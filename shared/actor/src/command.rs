//! An actor as a process: arguments, configuration, and the verbs.

mod backup;
mod doctor;
mod output;
mod reconcile;
mod restore;
mod serve;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use store::{IndexKind, Options};

use crate::config::{Shape, Sources};
use crate::meter;
use crate::process;
use crate::reference;
use crate::run::Actor;
use crate::settings::{Engine, Index, Settings};
use output::Output;

const USAGE: u8 = 64;
const PORT: u8 = 69;
const STORAGE: u8 = 74;
const CONFIG: u8 = 78;

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
    /// Look whether everything is there that the actor needs, and say what to do; exit status 1 if something fails.
    Doctor {
        #[command(flatten)]
        ask: doctor::Ask,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Copy the data directory while the actor runs; exit status 1 if something in it is damaged.
    Backup {
        #[command(flatten)]
        ask: backup::Ask,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Put a backup in the place of the data directory of an actor that does not run.
    Restore {
        #[command(flatten)]
        ask: restore::Ask,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Look through the data directory, or a backup, for damage; changes nothing. Exit status 1 if there is any.
    Verify {
        #[command(flatten)]
        ask: verify::Ask,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Compare what the running actor keeps with what its peers know; exit status 1 if something is not put right.
    Reconcile {
        #[command(flatten)]
        ask: reconcile::Ask,
        /// How to print.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
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
        verb => {
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
            let open = A::doors(&loaded.own).into_iter().map(|door| (door.key, door.address));
            let open = crate::config::not_allowed(open);
            if !open.is_empty() {
                open.iter().for_each(|flaw| eprintln!("{flaw}"));
                return ExitCode::from(CONFIG);
            }
            if matches!(verb, Verb::Config { verb: ConfigVerb::Check } | Verb::Doctor { .. } | Verb::Serve) {
                let public_url = Some(loaded.house.server.public_url.as_str()).filter(|url| !url.is_empty());
                let faults = A::faults(&loaded.own, public_url);
                if !faults.is_empty() {
                    faults.iter().for_each(|words| eprintln!("configuration: {words}"));
                    return ExitCode::from(CONFIG);
                }
            }
            match verb {
                Verb::Config { verb: ConfigVerb::Print } => print!("{}", loaded.shown),
                Verb::Config { .. } => println!("the configuration is sound"),
                Verb::Doctor { ask, output } => return told::<A>(doctor::run::<A>(&loaded, &ask, output)),
                Verb::Backup { ask, output } => {
                    return told::<A>(backup::run::<A>(&loaded.house, &ask, output));
                }
                Verb::Restore { ask, output } => {
                    return told::<A>(restore::run::<A>(&loaded.house, &ask, output));
                }
                Verb::Verify { ask, output } => {
                    return told::<A>(verify::run(&loaded.house, &ask, output));
                }
                Verb::Reconcile { ask, output } => {
                    return told::<A>(reconcile::run::<A>(&loaded.house, &ask, output));
                }
                Verb::Serve | Verb::Version { .. } => return serve::serve::<A>(loaded),
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

/// The end of a verb: its exit code, or why it could not do its work.
fn told<A: Actor>(ended: Result<u8, Stop>) -> ExitCode {
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(Stop { code, words }) => {
            eprintln!("docshare-{}: {words}", A::NAME);
            ExitCode::from(code)
        }
    }
}

/// The data directory, where there is one.
fn data_directory(house: &Settings) -> Result<&Path, Stop> {
    match house.storage.engine {
        Engine::Embedded => Ok(&house.storage.directory),
        Engine::Memory => Err(Stop {
            code: CONFIG,
            words: "storage.engine = \"memory\" has no data directory; give the verb the actor's own configuration"
                .to_owned(),
        }),
    }
}

/// Lets the running actor go first.
fn step_back() {
    // Work that goes on at full speed is slower for the others, and right all the same.
    let _ = rustix::process::nice(10);
}

/// How the embedded store is opened.
fn options(house: &Settings) -> Options {
    Options {
        mark: Some(store::mark_beside(&house.storage.directory)),
        index: match house.storage.index {
            Index::Redb => IndexKind::Redb,
            Index::Sled => IndexKind::Sled,
        },
        cache_bytes: house.storage.cache,
        segment_bytes: house.storage.segment,
        reserve_bytes: house.storage.reserve,
        trash_period: Duration::from_secs(house.storage.trash_period),
        scrub_period: Duration::from_secs(house.storage.scrub_period),
        on_sync: Some(meter::record_sync),
        sync: house.storage.sync,
        ..Options::new(&house.storage.directory)
    }
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
