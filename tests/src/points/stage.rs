//! A region whose actors die of what is armed in them, are started again, and are submitted to meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::{Document, Provide, oid};
use tokio::runtime::Runtime;

mod tell;

use super::Matrix;
use super::case::{Case, Scene};
use super::inspect::Promise;
use crate::answer::Answer;
use crate::conformance::{created, id_of};
use crate::region::{Actor, Plan, Region};
use crate::wire::Wire;

/// The variable that arms points.
const VARIABLE: &str = "DOCSHARE_FAILPOINTS";

/// How long anything may take until it succeeds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A document that does not fit into the journal.
const LARGE: usize = 1_500_000;

/// The stage.
pub(super) struct Stage {
    pub(super) region: Region,
    pub(super) runtime: Runtime,
    pub(super) wire: Wire,
    /// How often an armed actor is started again as it is, before it is started unarmed.
    pub(super) lives: HashMap<Actor, u32>,
    /// How actors ended by themselves during this case.
    pub(super) ends: Vec<(Actor, ExitStatus)>,
    /// Whether submissions are to be made later (`Prefer: respond-async`).
    later: bool,
    /// Ids of all documents in files of their own that were ever acknowledged here.
    pub(super) large: BTreeSet<String>,
}

/// What a case that held has shown.
pub(super) struct Report {
    pub(super) hits: usize,
    pub(super) ends: Vec<(Actor, ExitStatus)>,
    pub(super) resent: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "struck {}, sent again {}", self.hits, self.resent)?;
        for (actor, status) in &self.ends {
            write!(f, ", {}: {status}", actor.name())?;
        }
        Ok(())
    }
}

impl Stage {
    pub(super) fn start(matrix: &Matrix) -> Result<Stage> {
        let plan = Plan {
            index: matrix.index.clone(),
            log_level: "warn".into(),
            binaries: Some(matrix.binaries.clone()),
            set: vec![
                (Actor::Repository, "registry.timeout=500ms".into()),
                (Actor::Repository, format!("registry.tries={}", matrix.tries)),
                (Actor::Repository, "submission.settle_interval=100ms".into()),
                // Whoever runs this may be short of room.
                (Actor::Registry, "export.spare_volume=false".into()),
                (Actor::Registry, format!("identity.authorities=[{:?}]", tell::AUTHORITY)),
                (Actor::Registry, "mllp.listen=127.0.0.1:0".into()),
            ],
            ..Plan::default()
        };
        Ok(Stage {
            region: Region::start(&plan)?,
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
            wire: Wire::new()?,
            lives: HashMap::new(),
            ends: Vec::new(),
            later: false,
            large: BTreeSet::new(),
        })
    }

    /// Plays one case and looks at what is left.
    pub(super) fn play(&mut self, case: &Case) -> Result<Report> {
        self.ends.clear();
        self.later = case.scene == Scene::Later;
        let before = self.strikes(case);
        let early = if case.scene == Scene::Feed { None } else { Some(self.feed()?) };
        self.arm(case)?;
        let patient = match early {
            Some(patient) => patient,
            None => self.feed()?,
        };
        if case.scene == Scene::Read {
            self.read(case.point.actor, &patient);
        }
        let (promises, resent) =
            self.submit_all(&patient, (case.scene == Scene::Doubt).then_some((case, before)))?;
        if case.scene == Scene::Tell {
            self.tell()?;
        }
        if case.scene == Scene::Export {
            self.export(&patient, &promises)?;
        }
        self.inspect(&patient, &promises)?;
        if case.is_failed_sync() && self.strikes(case) > before {
            self.until_ended()?;
        }
        let report =
            Report { hits: self.strikes(case) - before, ends: std::mem::take(&mut self.ends), resent };
        judge_ends(case, &report)?;
        self.disarm()?;
        Ok(report)
    }

    /// How often the point of a case has struck since the region was started.
    fn strikes(&self, case: &Case) -> usize {
        let line = format!("failpoint {}, hit ", case.point.name);
        self.region.log(case.point.actor).matches(&line).count()
    }

    fn arm(&mut self, case: &Case) -> Result<()> {
        let mut plans: HashMap<Actor, String> = HashMap::new();
        if case.scene == Scene::Doubt {
            plans.insert(Actor::Registry, "reg.parsed=1:close;".into());
        }
        *plans.entry(case.point.actor).or_default() += &format!("{}={}", case.point.name, case.rule());
        for (actor, plan) in plans {
            self.region.environment(actor, &[(VARIABLE, plan)]);
            self.lives.insert(actor, if actor == case.point.actor { case.again } else { 0 });
            self.region.kill(actor)?;
            self.region.launch(actor)?;
            if self.region.wait_ready(actor).is_err() {
                self.revive()?;
            }
        }
        Ok(())
    }

    pub(super) fn disarm(&mut self) -> Result<()> {
        for actor in std::mem::take(&mut self.lives).into_keys() {
            self.region.environment::<&str>(actor, &[]);
            self.region.kill(actor)?;
            self.region.launch(actor)?;
            self.region.wait_ready(actor)?;
        }
        Ok(())
    }

    /// Starts again whoever has ended, with what it was armed with as long as that is wanted.
    pub(super) fn revive(&mut self) -> Result<()> {
        for actor in Actor::ALL {
            while let Some(status) = self.region.ended(actor)? {
                self.ends.push((actor, status));
                match self.lives.get_mut(&actor) {
                    Some(lives) if *lives > 0 => *lives -= 1,
                    _ => self.region.environment::<&str>(actor, &[]),
                }
                self.region.launch(actor)?;
                if let Err(error) = self.region.wait_ready(actor)
                    && self.region.ended(actor)?.is_none()
                {
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Feeds a new patient, again and again until that is acknowledged; its reference.
    pub(super) fn feed(&mut self) -> Result<String> {
        let (system, value) = ("urn:oid:2.25.2718281828", oid());
        let base = self.region.base(Actor::Identity);
        let url = format!("{base}/Patient?identifier={system}%7C{value}");
        let patient = testkit::patient(system, &value, "Punkt", "Paula");
        let begin = Instant::now();
        loop {
            let answer = self.runtime.block_on(self.wire.put(&url, &patient));
            if let Ok(answer) = answer
                && matches!(answer.status, 200 | 201)
            {
                let id = answer.header("Location").and_then(id_of);
                let id = match id {
                    Some(id) => id,
                    None => answer.json()?["id"].as_str().context("a Patient has an id")?.to_owned(),
                };
                return Ok(format!("{base}/Patient/{id}"));
            }
            self.again(begin, "a feed")?;
        }
    }

    /// Reads something of an actor, so that an audit record is written, and waits until that must be synced.
    fn read(&mut self, actor: Actor, patient: &str) {
        let url = match actor {
            Actor::Identity => patient.to_owned(),
            _ => format!("{}/DocumentReference?patient={patient}", self.region.base(Actor::Registry)),
        };
        let url = match (actor, self.large.first()) {
            (Actor::Repository, Some(id)) => format!("{}/documents/{id}", self.region.host(actor)),
            _ => url,
        };
        drop(self.runtime.block_on(self.wire.get(&url)));
        std::thread::sleep(Duration::from_millis(200));
    }

    /// Exports what a patient has, whoever dies meanwhile: every document is there, once.
    fn export(&mut self, patient: &str, promises: &[Promise]) -> Result<()> {
        let id = patient.rsplit('/').next().unwrap_or_default();
        let base = self.region.base(Actor::Registry);
        let order = format!("{base}/Patient/{id}/$export?_type=DocumentReference,List");
        let mut url: Option<String> = None;
        let begin = Instant::now();
        let manifest = loop {
            let asked = self.runtime.block_on(self.wire.get(url.as_deref().unwrap_or(&order)));
            match asked {
                Ok(answer) if answer.status == 200 => break answer.json()?,
                Ok(answer) if answer.status == 202 => {
                    url = url.or_else(|| answer.header("Content-Location").map(str::to_owned));
                }
                // An order that meets a full volume has failed for good, and says so: the next one has to succeed.
                Ok(answer) if answer.status == 500 && answer.excerpt().contains("no room") => url = None,
                Ok(answer) => {
                    ensure!(answer.status >= 429, "a good export is refused: {}", answer.excerpt());
                }
                Err(_) => {}
            }
            self.again(begin, "an export")?;
        };
        let mut found: Vec<String> = Vec::new();
        for file in manifest["output"].as_array().into_iter().flatten() {
            let url = file["url"].as_str().context("a file has an address")?;
            let answer = self.runtime.block_on(self.wire.get(url))?;
            ensure!(answer.status == 200, "a file of an export is refused: {}", answer.excerpt());
            for line in answer.body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                let resource: Value = serde_json::from_slice(line).context("a line is JSON")?;
                found.push(resource["id"].as_str().unwrap_or_default().to_owned());
            }
        }
        for id in promises.iter().flat_map(|promise| &promise.ids) {
            let times = found.iter().filter(|found| *found == id).count();
            ensure!(times == 1, "{id} is exported {times} times");
        }
        let all = found.len();
        found.sort_unstable();
        found.dedup();
        ensure!(found.len() == all, "something is exported twice");
        Ok(())
    }

    /// Submits documents of all sorts, and at last replaces one. After the first failure `wait` gives its point time.
    pub(super) fn submit_all(
        &mut self,
        patient: &str,
        mut wait: Option<(&Case, usize)>,
    ) -> Result<(Vec<Promise>, usize)> {
        let text = |words: &str, size: usize| -> Vec<u8> {
            format!("{words} {patient} ").into_bytes().into_iter().cycle().take(size).collect()
        };
        let large = Provide::new(patient).only(Document::new(text("large", LARGE)));
        let single = Provide::new(patient).only(Document::new(text("single", 500)));
        let pair = Provide::new(patient)
            .only(Document::new(text("one", 700)))
            .document(Document::new(text("other", LARGE / 3)));
        let mut promises: Vec<Promise> = Vec::new();
        let mut resent = 0;
        for provide in [large, single, pair] {
            self.submit(provide, &mut promises, &mut resent, wait.take())?;
        }
        let old = &mut promises[1];
        old.status = "superseded";
        let old = old.ids[0].clone();
        let newer =
            Document::new(text("newer", 600)).relates_to("replaces", &format!("DocumentReference/{old}"));
        let replacement = Provide::new(patient).only(newer).superseding(&old);
        self.submit(replacement, &mut promises, &mut resent, None)?;
        Ok((promises, resent))
    }

    /// Submits by the rule for sources: the same again until the answer is definite.
    fn submit(
        &mut self,
        provide: Provide,
        promises: &mut Vec<Promise>,
        resent: &mut usize,
        mut wait: Option<(&Case, usize)>,
    ) -> Result<()> {
        let bundle = provide.bundle();
        let base = self.region.base(Actor::Repository);
        let begin = Instant::now();
        let answer: Answer = loop {
            let answered = match self.later {
                true => self.post_later(&base, &bundle)?,
                false => self.runtime.block_on(self.wire.post(&base, &bundle)),
            };
            match answered {
                Ok(answer) if answer.status == 200 => break answer,
                Ok(answer) => {
                    // An acknowledged patient may still be on its way to the registry, whoever died in between.
                    let early = answer.status == 400 && answer.excerpt().contains("XDSUnknownPatientId");
                    ensure!(
                        answer.status >= 500 || early,
                        "a good submission is refused: {}: {}",
                        answer.status,
                        answer.excerpt()
                    );
                }
                Err(_) => {}
            }
            *resent += 1;
            if let Some((case, before)) = wait.take() {
                self.until_struck(case, before)?;
            }
            self.again(begin, "a submission")?;
        };
        // Behind the new documents comes the one that was replaced.
        let mut ids = created(&answer, "DocumentReference")?;
        ids.truncate(provide.documents.len());
        ensure!(ids.len() == provide.documents.len(), "not every document is answered: {}", answer.excerpt());
        promises.push(Promise::new(&provide, ids, bundle_set(&bundle)));
        Ok(())
    }

    /// Submits to be registered later, and follows the Task to its end: once it was acknowledged, it is there whoever dies.
    fn post_later(&mut self, base: &str, bundle: &Value) -> Result<Result<Answer>> {
        let request = self.wire.request(reqwest::Method::POST, base);
        let request = request.header("prefer", "respond-async").json(bundle);
        let taken = match self.runtime.block_on(self.wire.send(request)) {
            Ok(answer) if answer.status == 202 => answer,
            other => return Ok(other),
        };
        let url = taken.header("Content-Location").context("a Task has an address")?.to_owned();
        let begin = Instant::now();
        loop {
            if let Ok(answer) = self.runtime.block_on(self.wire.get(&url)) {
                ensure!(answer.status == 200 || answer.status >= 500, "a Task is lost: {}", answer.excerpt());
                let task = if answer.status == 200 { answer.json()? } else { Value::Null };
                let status = match task["status"].as_str() {
                    Some("completed") => 200,
                    Some("failed") => 400,
                    _ => 0,
                };
                if status > 0 {
                    let body = task["contained"][0].to_string();
                    return Ok(Ok(Answer { status, body: body.into(), ..answer }));
                }
            }
            self.again(begin, "a submission that is made later")?;
        }
    }

    /// Gives the repository time to settle before the source comes again.
    fn until_struck(&mut self, case: &Case, before: usize) -> Result<()> {
        let begin = Instant::now();
        while self.strikes(case) == before && begin.elapsed() < Duration::from_millis(1500) {
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// An actor looks once a second whether its store still writes.
    pub(super) fn until_ended(&mut self) -> Result<()> {
        let begin = Instant::now();
        while self.ends.is_empty() && begin.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(20));
            self.revive()?;
        }
        Ok(())
    }

    /// A pause before the next try.
    fn again(&mut self, begin: Instant, what: &str) -> Result<()> {
        std::thread::sleep(Duration::from_millis(30));
        self.revive()?;
        ensure!(begin.elapsed() < PATIENCE, "{what} does not succeed within {PATIENCE:?}");
        Ok(())
    }
}

fn bundle_set(bundle: &Value) -> String {
    bundle["entry"][0]["resource"]["identifier"][0]["value"].as_str().unwrap_or_default().to_owned()
}

/// A process ends by itself only if it was killed, or with 74 because it may not go on; and then it must.
fn judge_ends(case: &Case, report: &Report) -> Result<()> {
    for (actor, status) in &report.ends {
        let killed = case.action == "kill" && status.signal() == Some(9);
        let stopped = case.action != "kill" && status.code() == Some(74);
        ensure!(*actor == case.point.actor && (killed || stopped), "{} ended with {status}", actor.name());
    }
    let must = case.action == "kill" || case.is_failed_sync();
    ensure!(
        report.hits == 0 || !must || !report.ends.is_empty(),
        "{} goes on after {}",
        case.point.actor.name(),
        case.rule()
    );
    Ok(())
}
