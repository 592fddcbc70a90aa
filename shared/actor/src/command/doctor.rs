//! `doctor`: is everything there that the actor needs, and what to do where it is not.

mod network;
mod storage;

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::command::Stop;
use crate::command::output::Output;
use crate::config::Loaded;
use crate::run::Actor;
use crate::settings::{Engine, Settings};

/// What to look at besides.
#[derive(Debug, Args)]
pub(crate) struct Ask {
    /// Where backups are taken to: says how old the last one is.
    #[arg(long, value_name = "DIR")]
    backup: Option<PathBuf>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "fail",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Check {
    name: String,
    verdict: Verdict,
    words: String,
    /// What to do.
    advice: String,
}

impl Check {
    fn ok(name: &str, words: impl Into<String>) -> Check {
        Check { name: name.to_owned(), verdict: Verdict::Ok, words: words.into(), advice: String::new() }
    }

    fn warn(name: &str, words: impl Into<String>, advice: impl Into<String>) -> Check {
        let (words, advice) = (words.into(), advice.into());
        Check { name: name.to_owned(), verdict: Verdict::Warn, words, advice }
    }

    fn fail(name: &str, words: impl Into<String>, advice: impl Into<String>) -> Check {
        Check { verdict: Verdict::Fail, ..Check::warn(name, words, advice) }
    }
}

/// Runs the verb; 1 if something fails.
pub(crate) fn run<A: Actor>(loaded: &Loaded<A::Settings>, ask: &Ask, output: Output) -> Result<u8, Stop> {
    let house = &loaded.house;
    let mut checks = vec![Check::ok("configuration", "sound")];
    match house.storage.engine {
        Engine::Memory => checks.push(Check::warn(
            "storage",
            "storage.engine = \"memory\" forgets everything at the end",
            "set storage.engine = \"embedded\" where anything is to be kept",
        )),
        Engine::Embedded => checks.extend(storage::checks(house)),
    }
    checks.push(open_files(house));
    checks.extend(network::checks::<A>(loaded)?);
    checks.extend(ask.backup.as_deref().map(storage::last_backup::<A>));
    let failed = checks.iter().any(|check| check.verdict == Verdict::Fail);
    output.print(&in_json::<A>(&checks, !failed), || in_text(&checks));
    Ok(u8::from(failed))
}

/// Descriptors: connections, segments of the journal, documents being read.
fn open_files(house: &Settings) -> Check {
    const BESIDES: u64 = 512;
    let needed = house.server.limits.max_connections + BESIDES;
    match rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        Some(limit) if limit < needed => Check::warn(
            "open-files",
            format!("{limit} files may be open at once; {needed} are needed under full load"),
            "raise the limit (LimitNOFILE= of the service), or lower server.limits.max_connections",
        ),
        Some(limit) => Check::ok("open-files", format!("{limit} may be open at once")),
        None => Check::ok("open-files", "without limit"),
    }
}

fn in_json<A: Actor>(checks: &[Check], ok: bool) -> serde_json::Value {
    let check = |check: &Check| {
        json!({
            "name": check.name, "verdict": check.verdict.word(), "text": check.words, "advice": check.advice,
        })
    };
    json!({"actor": A::NAME, "ok": ok, "checks": checks.iter().map(check).collect::<Vec<_>>()})
}

fn in_text(checks: &[Check]) -> String {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    for check in checks {
        out += &format!("{:4}  {:width$}  {}\n", check.verdict.word(), check.name, check.words);
        if !check.advice.is_empty() {
            out += &format!("{:4}  {:width$}  -> {}\n", "", "", check.advice);
        }
    }
    out
}
