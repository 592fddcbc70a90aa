//! `backup`: a copy of the data directory, taken while the actor runs.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use store::backup::{Backup, Taken};

use crate::clock::Clock;
use crate::command::output::Output;
use crate::command::{STORAGE, Stop, causes, data_directory, step_back};
use crate::run::Actor;
use crate::settings::Settings;

/// Where the copy goes.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// An empty directory, or one that holds an earlier backup of this actor: then only what is new is copied.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
}

/// Runs the verb; 1 if something in the data directory is damaged.
pub(crate) fn run<A: Actor>(house: &Settings, ask: &Ask, output: Output) -> Result<u8, Stop> {
    step_back();
    let order = Backup {
        directory: data_directory(house)?,
        to: &ask.to,
        actor: A::NAME,
        version: env!("CARGO_PKG_VERSION"),
        now: Clock::wall(0).now(),
    };
    let taken = order
        .take()
        .map_err(|error| Stop { code: STORAGE, words: format!("no backup was taken: {}", causes(&error)) })?;
    let damaged = !taken.manifest.damaged.is_empty();
    output.print(&in_json(&taken, ask), || in_text(&taken, ask));
    Ok(u8::from(damaged))
}

fn in_json(taken: &Taken, ask: &Ask) -> serde_json::Value {
    let manifest = &taken.manifest;
    json!({
        "actor": manifest.actor,
        "to": ask.to,
        "incarnation": manifest.incarnation,
        "number": manifest.number,
        "sequence": manifest.sequence,
        "entry": manifest.entry,
        "hash": manifest.hash,
        "documents": manifest.documents,
        "document_bytes": manifest.document_bytes,
        "bytes": manifest.bytes,
        "files_copied": taken.copied,
        "bytes_copied": taken.copied_bytes,
        "damaged": manifest.damaged,
    })
}

fn in_text(taken: &Taken, ask: &Ask) -> String {
    let manifest = &taken.manifest;
    let mut out = format!(
        "backed up the {} to {}: {} documents, up to commit {} (incarnation {}, number {})\n\
         {} bytes in all, {} of them copied now in {} files\n",
        manifest.actor,
        ask.to.display(),
        manifest.documents,
        manifest.sequence,
        manifest.incarnation,
        manifest.number,
        manifest.bytes,
        taken.copied_bytes,
        taken.copied,
    );
    for flaw in &manifest.damaged {
        out += &format!("damaged, and so in the backup or missing there: {}: {}\n", flaw.subject, flaw.words);
    }
    out
}
