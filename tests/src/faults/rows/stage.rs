//! What a single fault is tried on: a small region with a few clients' worth of helpers, judged like a storm in the end.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::runtime::Runtime;

use crate::faults::checker;
use crate::faults::history::Told;
use crate::faults::load::{self, Doors, Load, Person, Recipe};
use crate::faults::settle;
use crate::faults::world::{Setup, World};
use crate::region::Actor;
use testkit::Dice;

/// A region, and whoever speaks with it.
pub(super) struct Stage {
    pub(super) world: World,
    pub(super) runtime: Runtime,
    pub(super) load: Arc<Load>,
    pub(super) wire: reqwest::Client,
    pub(super) dice: Dice,
    next: u64,
    /// `attachment.url` by the id of the document.
    urls: HashMap<String, String>,
}

impl Stage {
    pub(super) fn open(index: &str) -> Result<Stage> {
        Stage::with(&Setup { index: index.to_owned(), ..Setup::default() })
    }

    pub(super) fn with(setup: &Setup) -> Result<Stage> {
        let world = World::start(setup)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let load = Arc::new(Load::new(77, Doors::of(&world.region), world.history.clone()));
        runtime.block_on(load::feed(&load, 2)).context("feeding the patients")?;
        world.region.wait_fed()?;
        let wire = load::http(Duration::from_secs(30))?;
        Ok(Stage { world, runtime, load, wire, dice: Dice::new(1), next: 1, urls: HashMap::new() })
    }

    pub(super) fn patient(&self) -> Person {
        self.load.patients()[0].clone()
    }

    /// A submission nobody has seen, of documents of these sizes.
    pub(super) fn recipe(&mut self, sizes: &[usize]) -> Recipe {
        self.next += 1;
        let patient = self.patient();
        Recipe {
            number: self.next,
            variant: 0,
            patient,
            sizes: sizes.to_vec(),
            replaces: None,
            folder: false,
        }
    }

    /// Sends a submission once; what the source is told, and after how long.
    pub(super) fn send(&self, recipe: &Recipe) -> Result<(Told, Duration)> {
        let begin = Instant::now();
        let told = self.runtime.block_on(load::send_once(&self.load, &self.wire, recipe))?;
        Ok((told, begin.elapsed()))
    }

    /// Sends a submission until the answer is definite, which has to be success; ids of its documents.
    pub(super) fn store(&mut self, recipe: &Recipe) -> Result<Vec<String>> {
        let sending = load::submit(&self.load, &self.wire, 1, recipe, &mut self.dice);
        let told =
            self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), sending).await });
        let told = told.context("a submission is not accepted within a minute")??;
        let ids = told.ids().with_context(|| format!("a good submission comes to {told:?}"))?;
        Ok(ids[1..=recipe.sizes.len()].to_vec())
    }

    /// Submits one document; its id.
    pub(super) fn document(&mut self, size: usize) -> Result<String> {
        let recipe = self.recipe(&[size]);
        Ok(self.store(&recipe)?.remove(0))
    }

    /// Where the bytes of a document are.
    pub(super) fn url(&mut self, id: &str) -> Result<String> {
        if let Some(url) = self.urls.get(id) {
            return Ok(url.clone());
        }
        let address = format!("{}/DocumentReference/{id}", self.load.doors.registry);
        let wire = self.wire.clone();
        let resource: serde_json::Value = self
            .runtime
            .block_on(async move { wire.get(address).send().await?.error_for_status()?.json().await })?;
        let url =
            resource["content"][0]["attachment"]["url"].as_str().context("a document says where it is")?;
        self.urls.insert(id.to_owned(), url.to_owned());
        Ok(url.to_owned())
    }

    /// Name of the bytes of a document.
    pub(super) fn blob(&mut self, id: &str) -> Result<String> {
        let url = self.url(id)?;
        Ok(url.rsplit('/').next().unwrap_or_default().to_owned())
    }

    /// Retrieves a document: status (0: no whole answer), how many bytes came, and after how long.
    pub(super) fn fetch(&mut self, id: &str) -> Result<(u16, usize, Duration)> {
        let url = self.url(id)?;
        let begin = Instant::now();
        let (status, size) = self.runtime.block_on(async {
            match self.wire.get(url).send().await {
                Ok(answer) => {
                    let status = answer.status().as_u16();
                    answer.bytes().await.map_or((0, 0), |body| (status, body.len()))
                }
                Err(_) => (0, 0),
            }
        });
        Ok((status, size, begin.elapsed()))
    }

    /// A document that nothing happened to can be retrieved.
    pub(super) fn is_served(&mut self, id: &str) -> Result<()> {
        let (status, _, took) = self.fetch(id)?;
        ensure!(status == 200, "a document nothing happened to is answered {status} after {took:.1?}");
        Ok(())
    }

    /// Ends the row: everything settles, and everything clients were told is judged.
    pub(super) fn close(mut self) -> Result<()> {
        settle::settle(&mut self.world, &self.load, &self.runtime, Vec::new())?;
        self.world.trouble.extend(self.load.wrong());
        let report = checker::judge(&self.world.written)?;
        if !report.is_sound() || !self.world.trouble.is_empty() {
            self.world.keep();
        }
        ensure!(report.is_sound(), "the history is not sound ({}):\n{report}", self.world.folder().display());
        ensure!(self.world.trouble.is_empty(), "{}", self.world.trouble.join("\n"));
        Ok(())
    }

    /// Runs an actor's binary beside the one that serves, with its configuration; exit code and what it says.
    pub(super) fn verb(&self, actor: Actor, words: &[&str]) -> Result<(Option<i32>, String)> {
        let mut command = std::process::Command::new(self.world.region.binary(actor));
        command.args(words).arg("--config").arg(self.world.region.config_path(actor));
        let output = command.output().context("running an actor's verb")?;
        let words =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status.code(), words))
    }

    /// Starts an actor that must not come up; its exit code.
    pub(super) fn refuses_to_start(&mut self, actor: Actor) -> Result<Option<i32>> {
        self.world.region.launch(actor)?;
        let ended = self.world.poll_end(actor, Duration::from_secs(20))?;
        ended.with_context(|| format!("{} starts all the same", actor.name()))
    }
}

/// What a told word is called, for messages and comparison.
pub(super) fn word(told: &Told) -> String {
    match told {
        Told::Acknowledged { replayed: false, .. } => "acknowledged".into(),
        Told::Acknowledged { replayed: true, .. } => "replayed".into(),
        Told::Refused { status, code } => format!("refused {status} {code}"),
        Told::Declined { status, code } => format!("declined {status} {code}"),
        Told::Unknown { why } => format!("unknown: {why}"),
    }
}
