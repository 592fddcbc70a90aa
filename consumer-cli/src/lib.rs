//! The Document Consumer and Document Source for people and scripts: the command `docshare`.
//!
//! Lives here: one file per noun, the HTTP client, output formats, exit codes, and what makes hostile answers harmless
//! (terminal escapes, file names, endless pages, other bytes than promised).
//! Does not live here: rules of document sharing; the actors judge, this shows their judgement.
//! Doors: `xds`, `fhir` and `affinity` for the codes of a domain and the pages about errors, `ebxml` for what is said over SOAP; all
//! else is said over the wire.

mod affinity;
mod arguments;
mod client;
mod clock;
mod config;
mod confirm;
mod curl;
mod doc;
mod exit;
mod explain;
mod export;
mod folder;
mod outcome;
mod output;
mod patient;
mod progress;
mod query;
mod raw;
mod receiver;
mod sanitize;
mod search;
mod soap;
mod status;
mod submission;
mod task;
mod token;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Arguments, Global, Noun};
use crate::client::Client;
use crate::config::Settings;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};
use crate::progress::Progress;
use crate::soap::Via;

/// What every verb works with.
struct Context {
    settings: Settings,
    client: Client,
    output: Output,
    progress: Progress,
    via: Via,
    /// What cannot be undone is meant (`--yes`).
    yes: bool,
}

/// Reads the arguments, carries out the verb, and answers the exit code (`rest-conventions` §5 in words: see [`Exit`]).
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            return exit::report(&Failure::other(format!("starting the runtime: {error}")), false);
        }
    };
    let quiet = arguments.global.quiet;
    let ended = runtime.block_on(async {
        // The signal first: from the first request on, an interruption is an orderly end.
        tokio::select! {
            biased;
            signal = tokio::signal::ctrl_c() => match signal {
                Ok(()) => Ok(Exit::Interrupted),
                Err(error) => Err(Failure::other(format!("waiting for signals: {error}"))),
            },
            ended = run(arguments) => ended,
        }
    });
    // Reads of standard input cannot be cancelled; do not wait for them.
    runtime.shutdown_background();
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => exit::report(&failure, quiet),
    }
}

async fn run(arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { global, noun } = arguments;
    spoken(&global, &noun)?;
    match noun {
        Noun::Completions { shell } => output::text(&arguments::completions(shell)),
        Noun::Version => output::text(&format!("docshare {}\n", env!("CARGO_PKG_VERSION"))),
        Noun::Config(verb) => config::run(verb, &global),
        Noun::Patient(verb) => patient::run(verb, &context(&global)?).await,
        Noun::Doc(verb) => doc::run(verb, &context(&global)?).await,
        Noun::Submission(verb) => submission::run(verb, &context(&global)?).await,
        Noun::Folder(verb) => folder::run(verb, &context(&global)?).await,
        Noun::Affinity(verb) => affinity::run(verb, &context(&global)?).await,
        Noun::Explain(explain) => explain::run(&explain),
        Noun::Task(verb) => task::run(verb, &context(&global)?).await,
        Noun::Export(export) => export::run(export, &context(&global)?).await,
        Noun::Receiver(verb) => receiver::run(verb, &context(&global)?).await,
        Noun::Status => status::run(&context(&global)?).await,
        Noun::Query(verb) => query::run(verb, &global).await,
        Noun::Raw(verb) => raw::run(verb, &context(&global)?).await,
    }
}

/// What can be said over which face.
fn spoken(global: &Global, noun: &Noun) -> Result<(), Failure> {
    let soap = global.via == Via::Soap;
    let local = matches!(noun, Noun::Completions { .. } | Noun::Version | Noun::Config(_) | Noun::Explain(_));
    let both = matches!(noun, Noun::Doc(verb) if verb.is_soap());
    let query = matches!(noun, Noun::Query(_));
    if soap && !(local || both || query) {
        return Err(Failure::usage("this cannot be said over SOAP")
            .next("with --via soap there are doc submit, doc list, doc get, doc verify and query; leave it out for the rest"));
    }
    match global.output {
        Some(Format::Xml) if !(query || soap && both) => {
            Err(Failure::usage("-o xml shows a SOAP message, and none is sent here")
                .next("say --via soap, or -o fhir"))
        }
        Some(Format::Fhir) if query || soap => {
            Err(Failure::usage("over SOAP no FHIR resources come")
                .next("say -o xml for the message as it came"))
        }
        _ => Ok(()),
    }
}

fn context(global: &Global) -> Result<Context, Failure> {
    let settings = Settings::resolve(global)?;
    Ok(Context {
        via: global.via,
        yes: global.yes,
        client: Client::new(&settings, global),
        output: Output::new(global),
        progress: Progress::new(global),
        settings,
    })
}
