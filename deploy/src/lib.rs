//! A whole affinity domain on one machine: registry, repository and identity source as processes of their own.
//!
//! Lives here: building and starting the actors, sample patients and documents, a first look at what works, and an end that
//! leaves no process behind.
//! Does not live here: anything an actor does; this only starts them and speaks to them over the wire.
//! Doors: none of our crates is called; the actors are found as programs beside this one. They are dependencies all the same,
//! so that cargo compiles everything at once (see `Cargo.toml`).

mod actor;
mod arguments;
mod compile;
mod guard;
mod plan;
mod samples;
mod steps;
mod submission;
mod tour;
mod wire;

use std::process::ExitCode;

use clap::Parser;

use crate::actor::Running;
use crate::arguments::{Arguments, Hidden};
use crate::plan::Plan;
use crate::steps::Steps;
use crate::wire::Wire;

/// Starts the domain, shows that it works, and stays until it is told to end (`--exit`: ends at once).
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Hidden::Guard { parent, command }) = arguments.hidden {
        return guard::run(parent, &command);
    }
    // One thread: the kernel ends the actors when the thread that started them ends.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run(arguments)),
        Err(error) => Err(format!("starting the runtime: {error}")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            eprintln!("error: {words}");
            ExitCode::FAILURE
        }
    }
}

/// Why the domain could not be started, or did not hold, in words.
type Outcome<T> = Result<T, String>;

async fn run(arguments: Arguments) -> Outcome<()> {
    let steps = Steps::new();
    let mut stop = Stop::listen()?;
    tokio::select! {
        built = compile::run(&steps) => built?,
        () = stop.asked() => return stopped_early(&arguments),
    }
    let plan = Plan::make(&arguments)?;
    let mut running = Running::default();
    let ended = tokio::select! {
        ended = live(&arguments, &plan, &mut running, &steps) => ended,
        () = stop.asked() => stopped_early(&arguments),
    };
    let stopped = tokio::select! {
        stopped = running.stop(&steps) => stopped,
        () = stop.asked() => {
            running.kill().await;
            Err("ended at once, as asked twice".to_owned())
        }
    };
    ended.and(stopped)
}

/// To be told to end is how a domain usually ends; `--exit` has promised to do every step before.
fn stopped_early(arguments: &Arguments) -> Outcome<()> {
    if arguments.exit { Err("told to end before every step was done".to_owned()) } else { Ok(()) }
}

/// From the first process to the last look; ends only with `--exit`, or when an actor ends by itself.
async fn live(arguments: &Arguments, plan: &Plan, running: &mut Running, steps: &Steps) -> Outcome<()> {
    running.start(plan, steps).await?;
    let wire = Wire::new(plan)?;
    let mut shown = None;
    if !arguments.no_samples {
        let told = samples::feed(&wire, steps);
        running.beside(told).await?;
        let submitted = samples::submit(&wire, steps);
        running.beside(submitted).await?;
        shown = Some(running.beside(tour::walk(&wire, steps)).await?);
    }
    println!("{}", tour::table(plan, shown.as_ref()));
    if arguments.exit {
        return Ok(());
    }
    println!("The domain is up. Ctrl-C ends it.");
    Err(running.ended().await)
}

/// Ctrl-C or a polite signal.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> Outcome<Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| format!("listening for signals: {error}"));
        Ok(Stop { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
