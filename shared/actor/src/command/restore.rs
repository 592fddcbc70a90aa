//! `restore`: a backup takes the place of the data directory.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use store::Incarnation;
use store::restore::{Outcome, Restore, adopt};

use crate::command::output::Output;
use crate::command::{STORAGE, Stop, causes, data_directory};
use crate::run::Actor;
use crate::settings::Settings;

/// From what.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// The backup. The actor must not run, and its data directory must be empty or missing.
    #[arg(long, value_name = "DIR", required_unless_present = "adopt", conflicts_with = "adopt")]
    from: Option<PathBuf>,
    /// Put the backup in the place of what is there, which is kept in the data directory below `replaced.N`; also if the
    /// place belonged to another incarnation.
    #[arg(long)]
    force: bool,
    /// Take the data directory as it is, for example an older copy that was put back by hand, as a restored one.
    #[arg(long)]
    adopt: bool,
}

/// Runs the verb.
pub(crate) fn run<A: Actor>(house: &Settings, ask: &Ask, output: Output) -> Result<u8, Stop> {
    let directory = data_directory(house)?;
    let mark = store::mark_beside(directory);
    let unable = |error: store::Error| Stop { code: STORAGE, words: causes(&error) };
    match &ask.from {
        Some(from) => {
            let order = Restore { from, directory, mark: Some(&mark), actor: A::NAME, force: ask.force };
            let outcome = order.make().map_err(unable)?;
            output.print(&restored_json(directory, &outcome), || restored_text(directory, &outcome));
        }
        None => {
            let incarnation = adopt(directory, Some(&mark)).map_err(unable)?;
            output.print(&in_json(directory, &incarnation), || {
                format!("adopted {} as {}\n{NEXT}", directory.display(), named(&incarnation))
            });
        }
    }
    Ok(0)
}

const NEXT: &str = "Start the actor. Its peers notice the new number and compare before they trust it; what they found tells \
                    `reconcile --plan`.\n";

fn named(incarnation: &Incarnation) -> String {
    format!(
        "incarnation {}, number {}, from commit {}",
        incarnation.id,
        incarnation.number,
        incarnation.restored_sequence.unwrap_or(0)
    )
}

fn in_json(directory: &Path, incarnation: &Incarnation) -> serde_json::Value {
    json!({
        "directory": directory,
        "incarnation": incarnation.id,
        "number": incarnation.number,
        "restored_sequence": incarnation.restored_sequence,
    })
}

fn restored_json(directory: &Path, outcome: &Outcome) -> serde_json::Value {
    let mut json = in_json(directory, &outcome.incarnation);
    json["documents"] = outcome.manifest.documents.into();
    json["bytes"] = outcome.manifest.bytes.into();
    json["replaced"] = json!(outcome.replaced);
    json["damaged"] = json!(outcome.manifest.damaged);
    json
}

fn restored_text(directory: &Path, outcome: &Outcome) -> String {
    let mut out = format!(
        "restored {}: {} documents, {}\n",
        directory.display(),
        outcome.manifest.documents,
        named(&outcome.incarnation)
    );
    if let Some(replaced) = &outcome.replaced {
        out +=
            &format!("what was there before is in {}; remove it when it is not needed\n", replaced.display());
    }
    for flaw in &outcome.manifest.damaged {
        out += &format!("damaged already when the backup was taken: {}: {}\n", flaw.subject, flaw.words);
    }
    out + NEXT
}
