//! `reconcile`: asks the running actor to compare what it keeps with what its peers know.

use std::time::Duration;

use clap::Args;
use http::Method;
use serde_json::Value;
use web::{Peer, PeerAnswer, PeerSettings};

use crate::command::output::Output;
use crate::command::{PORT, Stop, USAGE};
use crate::report::Report;
use crate::run::Actor;
use crate::settings::Settings;

/// The longest a comparison is waited for in one request; beyond, it is asked for again.
const PATIENCE: Duration = Duration::from_secs(14 * 60);

/// How often a comparison under way is asked for.
const PAUSE: Duration = Duration::from_secs(2);

/// What to do.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Ask {
    /// Tell the differences, change nothing.
    #[arg(long)]
    plan: bool,
    /// Put right what can be put right, and tell the rest.
    #[arg(long)]
    apply: bool,
}

/// Runs the verb.
pub(crate) fn run<A: Actor>(house: &Settings, ask: &Ask, output: Output) -> Result<u8, Stop> {
    let unable = |error: std::io::Error| Stop { code: PORT, words: format!("cannot ask: {error}") };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unable)?;
    let admin = Admin::new(house, A::NAME)?;
    let report = runtime.block_on(admin.reconcile(ask.apply))?;
    Ok(output.report(&report))
}

/// The admin listener of the running actor.
struct Admin {
    peer: Peer,
    actor: &'static str,
}

impl Admin {
    fn new(house: &Settings, actor: &'static str) -> Result<Admin, Stop> {
        let address = house.admin.listen;
        if address.port() == 0 {
            return Err(Stop {
                code: USAGE,
                words: "admin.listen takes any free port, so the running actor cannot be found; give the verb its \
                        address: --set admin.listen=127.0.0.1:PORT"
                    .to_owned(),
            });
        }
        let url = format!("http://{address}");
        let timeout_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        let settings = PeerSettings { url, timeout_ms, ..PeerSettings::default() };
        Ok(Admin { peer: Peer::new("admin", settings), actor })
    }

    async fn reconcile(&self, apply: bool) -> Result<Report, Stop> {
        let mut answer = self.send(Method::POST, &format!("/reconcile?apply={apply}")).await?;
        // It lasts longer than a request may, and goes on; its report is kept.
        while answer.status == 202 || answer.status == 503 {
            tokio::time::sleep(PAUSE).await;
            answer = self.send(Method::GET, "/reconcile").await?;
        }
        let words = || String::from_utf8_lossy(&answer.body).trim().to_owned();
        let refused = |code| Err(Stop { code, words: words() });
        match answer.status {
            200 => {
                let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
                json.as_ref().and_then(Report::read).ok_or_else(|| Stop {
                    code: PORT,
                    words: format!("{} did not answer with a report", self.peer.url()),
                })
            }
            404 => refused(USAGE),
            _ => refused(PORT),
        }
    }

    async fn send(&self, method: Method, path: &str) -> Result<PeerAnswer, Stop> {
        self.peer.send(method, path, &[], bytes::Bytes::new()).await.map_err(|error| Stop {
            code: PORT,
            words: format!(
                "the {} does not answer at {} (admin.listen): {error}; reconcile works through the running actor, so \
                 start it first, and give this verb the same configuration. Nothing was changed by this verb.",
                self.actor,
                self.peer.url()
            ),
        })
    }
}
