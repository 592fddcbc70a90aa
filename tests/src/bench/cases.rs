//! The cases of the bench, in the order they run.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::bare::Bare;
use super::load::{self, Measured, Round, Traffic};
use super::nginx::Nginx;
use super::region::{self, DOMAIN, Loaded, PROBES, Provides};
use super::table::{Goal, Row, Table};
use super::{identity, limit, work};
use crate::process;
use crate::region::{Actor, Plan as RegionPlan, Region};

const CLIENTS: usize = 16;

/// How much to load and how long to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Patients.
    pub patients: usize,
    /// Numbers of documents at which everything is measured, rising.
    pub stages: Vec<usize>,
    /// How long each case is measured.
    pub time: Duration,
    /// `storage.index`.
    pub index: String,
    /// Patients of the identity source when it is measured by itself.
    pub people: usize,
}

/// Runs the bench; the table in Markdown.
pub fn run(plan: &Plan) -> Result<String> {
    let region_plan =
        RegionPlan { index: plan.index.clone(), log_level: "warn".into(), ..RegionPlan::default() };
    let mut region = Region::start(&region_plan)?;
    let mut table = Table::default();
    std::thread::sleep(Duration::from_millis(500));
    for actor in Actor::ALL {
        table.bar(&format!("{} idle and empty", actor.name()), resident(&region, actor)?, "MiB", 40.0);
    }
    let journal = limit::measure(region.folder(), CLIENTS, plan.time)?;
    eprintln!("journal limit: {journal:.0} records of 64 KiB a second");
    let mut loaded = Loaded::default();
    region::feed(&region, &mut loaded, plan.patients)?;
    region::submit_large(&region, &mut loaded)?;
    region::submit_many(&region, &mut loaded)?;
    let mut submitted = 0;
    for documents in &plan.stages {
        region::submit(&region, &mut loaded, *documents)?;
        stage(&mut region, plan, &loaded, journal, &mut submitted, &mut table)?;
    }
    memory(&region, &loaded, &mut table)?;
    restart(&mut region, &loaded, &mut table)?;
    durability(&region, plan, &loaded, submitted, &mut table)?;
    drop(region);
    populated(plan, &mut table)?;
    table.notes.push(format!("Index {}, {CLIENTS} clients, journal limit {journal:.0}/s.", plan.index));
    Ok(table.markdown())
}

/// Measures the identity source by itself, with the patients of a whole region; the table in Markdown.
pub fn run_identity(plan: &Plan) -> Result<String> {
    let mut table = Table::default();
    populated(plan, &mut table)?;
    Ok(table.markdown())
}

/// An identity source of its own, which tells nobody: a registry beside it would be measured with it.
fn populated(plan: &Plan, table: &mut Table) -> Result<()> {
    let region_plan = RegionPlan {
        index: plan.index.clone(),
        log_level: "warn".into(),
        set: vec![(Actor::Identity, "registry.url=".into())],
        ..RegionPlan::default()
    };
    let mut region = Region::prepare(&region_plan)?;
    region.launch(Actor::Identity)?;
    region.wait_ready(Actor::Identity)?;
    identity::measure(&region, plan.time, plan.people, table)
}

/// All cases, with what is loaded now.
fn stage(
    region: &mut Region,
    plan: &Plan,
    loaded: &Loaded,
    journal: f64,
    submitted: &mut u64,
    table: &mut Table,
) -> Result<()> {
    let bench = Bench { region, time: plan.time, documents: loaded.documents };
    retrievals(&bench, loaded, table)?;
    searches(&bench, table)?;
    large_searches(&bench, loaded, table)?;
    identities(&bench, loaded, table)?;
    submissions(&bench, loaded, journal, submitted, table)
}

/// A region that is measured.
pub(super) struct Bench<'a> {
    pub(super) region: &'a Region,
    pub(super) time: Duration,
    /// What each row says of the size.
    pub(super) documents: usize,
}

/// The first request of a traffic, and the body of its answer.
struct One<'a> {
    traffic: &'a mut dyn Traffic,
    asked: bool,
    body: Vec<u8>,
}

impl Traffic for One<'_> {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        !std::mem::replace(&mut self.asked, true) && self.traffic.next(request)
    }
    fn answered(&mut self, _head: &[u8], body: &[u8]) {
        self.body = body.to_vec();
    }
}

impl Bench<'_> {
    /// Measures traffic at an actor, and the processor time all actors spent on it.
    pub(super) fn measure(
        &self,
        name: &str,
        actor: Actor,
        traffic: &mut dyn Traffic,
    ) -> Result<(Row, Measured)> {
        let authority = region::authority(self.region, actor)?;
        load::drive(&authority, CLIENTS, traffic, Some(self.time / 4))
            .with_context(|| format!("warming up {name}"))?;
        let before = self.processor();
        let measured =
            load::drive(&authority, CLIENTS, traffic, Some(self.time)).with_context(|| name.to_owned())?;
        let spent = self.processor().saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
        let each = spent.as_secs_f64() * 1e6 / (measured.count.max(1) as f64);
        Ok((Row::of(name, self.documents, &measured, Some(each)), measured))
    }

    fn processor(&self) -> Duration {
        let pids = Actor::ALL.into_iter().filter_map(|actor| self.region.pid(actor));
        pids.filter_map(process::processor_time).sum()
    }

    /// One answer of an actor, and its body.
    pub(super) fn fetch(&self, actor: Actor, path: &str) -> Result<Vec<u8>> {
        let authority = region::authority(self.region, actor)?;
        let mut round = Round::get(&authority, [path.to_owned()]);
        self.first(actor, &mut round).with_context(|| path.to_owned())
    }

    /// The body of the first answer to a traffic.
    pub(super) fn first(&self, actor: Actor, traffic: &mut dyn Traffic) -> Result<Vec<u8>> {
        let mut one = One { traffic, asked: false, body: Vec::new() };
        load::drive(&region::authority(self.region, actor)?, 1, &mut one, None)?;
        Ok(one.body)
    }

    /// What nginx does with these bodies as files; none if it is not installed.
    fn nginx(&self, bodies: &[Vec<u8>], table: &mut Table) -> Result<Option<f64>> {
        let Some(nginx) = Nginx::start(self.region.folder(), bodies)? else {
            table.notes.push("nginx is not installed: what is compared with it is skipped.".into());
            return Ok(None);
        };
        let paths = (0..bodies.len()).map(|number| format!("/{number}"));
        let mut round = Round::get(&nginx.authority, paths);
        load::drive(&nginx.authority, CLIENTS, &mut round, Some(self.time / 4))
            .context("warming nginx up")?;
        Ok(Some(load::drive(&nginx.authority, CLIENTS, &mut round, Some(self.time)).context("nginx")?.rate()))
    }

    /// What a bare handler does with this body.
    pub(super) fn bare(&self, body: &[u8]) -> Result<f64> {
        let bare = Bare::start(self.region.folder(), body)?;
        let mut round = Round::get(&bare.authority, ["/".to_owned()]);
        load::drive(&bare.authority, CLIENTS, &mut round, Some(self.time / 4))
            .context("warming the bare handler up")?;
        Ok(load::drive(&bare.authority, CLIENTS, &mut round, Some(self.time))
            .context("the bare handler")?
            .rate())
    }
}

fn retrievals(bench: &Bench<'_>, loaded: &Loaded, table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Repository)?;
    let bodies: Vec<Vec<u8>> = (0..loaded.large.len()).map(region::large).collect();
    ensure!(
        bench.fetch(Actor::Repository, &loaded.large[0])?.len() == bodies[0].len(),
        "a document of 64 KiB is retrieved"
    );
    let nginx = bench.nginx(&bodies, table)?;
    let mut round = Round::get(&authority, loaded.large.clone());
    let (row, _) = bench.measure("ITI-68, 64 KiB", Actor::Repository, &mut round)?;
    table.add(row.beside("nginx", nginx, Goal::AtLeast(0.4)));
    Ok(())
}

fn searches(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Registry)?;
    let chained = |number: usize| {
        format!("/fhir/DocumentReference?patient.identifier={DOMAIN}%7Cbench-{number}&status=current")
    };
    let answer = bench.fetch(Actor::Registry, &chained(0))?;
    let entries = String::from_utf8_lossy(&answer).matches("\"fullUrl\"").count();
    ensure!(entries == 20, "a search for a probe finds 20 documents, found {entries}");
    table.notes.push(format!("An ITI-67 answer with {entries} entries has {} bytes.", answer.len()));
    let nginx = bench.nginx(std::slice::from_ref(&answer), table)?;
    let mut round = Round::get(&authority, (0..PROBES).map(chained));
    let (row, measured) =
        bench.measure("ITI-67 patient.identifier=, 20 entries", Actor::Registry, &mut round)?;
    table.add(row.beside("nginx", nginx, Goal::AtLeast(0.15)));
    let chained_rate = measured.rate();
    stored_query(bench, &authority, chained_rate, table)?;
    let subject = |body: &[u8]| -> Result<String> {
        let bundle: serde_json::Value = serde_json::from_slice(body).context("a searchset")?;
        let reference =
            bundle["entry"][0]["resource"]["subject"]["reference"].as_str().context("a subject")?.to_owned();
        Ok(reference)
    };
    let mut paths = Vec::new();
    for number in 0..PROBES {
        let patient = subject(&bench.fetch(Actor::Registry, &chained(number))?)?;
        paths.push(format!("/fhir/DocumentReference?patient={patient}&status=current"));
    }
    let (row, direct) =
        bench.measure("ITI-67 patient=, 20 entries", Actor::Registry, &mut Round::get(&authority, paths))?;
    let direct_rate = direct.rate();
    table.add(row);
    let mut cost = Row::of("chained beside patient=", bench.documents, &measured, None);
    cost.rate = chained_rate;
    table.add(cost.beside("patient=", Some(direct_rate), Goal::AtMost(1.15)));
    Ok(())
}

/// The same question in the other language: FindDocuments [ITI-18], objects whole.
fn stored_query(bench: &Bench<'_>, authority: &str, search: f64, table: &mut Table) -> Result<()> {
    let mut one = Round::new(vec![region::find_documents(authority, 0)]);
    let answer = bench.first(Actor::Registry, &mut one)?;
    let answer = String::from_utf8_lossy(&answer);
    let entries = answer.matches("<rim:ExtrinsicObject").count();
    ensure!(entries == 20, "FindDocuments for a probe finds 20 documents, found {entries}: {answer}");
    table.notes.push(format!("An ITI-18 answer with {entries} entries has {} bytes.", answer.len()));
    let questions = (0..PROBES).map(|number| region::find_documents(authority, number));
    let mut round = Round::new(questions.collect());
    let name = "ITI-18 FindDocuments LeafClass, 20 entries";
    let (row, _) = bench.measure(name, Actor::Registry, &mut round)?;
    table.add(row.beside("ITI-67", Some(search), Goal::AtLeast(0.5)));
    Ok(())
}

/// Searches over one patient with many documents, and what includes and reverse chains cost beside them.
fn large_searches(bench: &Bench<'_>, loaded: &Loaded, table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Registry)?;
    let patient = loaded.patients.last().context("patients are fed")?;
    let documents = format!("/fhir/DocumentReference?patient={patient}");
    let narrowed = format!(
        "{documents}&status=current&type=http://loinc.org%7C60591-5&creation=ge2012-01-01&creation=lt2019-01-01\
         &format=urn:ihe:iti:xds-sd:text:2008&_count=50"
    );
    let lists = format!("/fhir/List?patient={patient}&code=submissionset&status=current&_count=50");
    for (name, path) in [
        ("ITI-67 patient, type, dates, format; 50 of 1,000", &narrowed),
        ("ITI-66 patient, code, status; 50 of 1,000", &lists),
    ] {
        let answer = bench.fetch(Actor::Registry, path)?;
        let entries = String::from_utf8_lossy(&answer).matches("\"fullUrl\"").count();
        ensure!(entries == 50, "{path} gives 50 entries, not {entries}");
        table.notes.push(format!("The answer of “{name}” has {} bytes.", answer.len()));
        let nginx = bench.nginx(std::slice::from_ref(&answer), table)?;
        let mut round = Round::get(&authority, [path.clone()]);
        let (row, measured) = bench.measure(name, Actor::Registry, &mut round)?;
        table.add(row.beside("nginx", nginx, Goal::AtLeast(0.15)));
        let spread = measured.quantile(0.99) / measured.quantile(0.5);
        table.bar(&format!("{name}: p99 beside p50"), spread, "×", 5.0);
        let mut round = Round::get(&authority, [format!("{path}&_format=xml")]);
        let (row, _) = bench.measure("the same in XML", Actor::Registry, &mut round)?;
        table.add(row.beside("in JSON", Some(measured.rate()), Goal::AtLeast(0.3)));
    }
    for (name, more, plain) in [
        ("_include=DocumentReference:patient", "&_count=50&_include=DocumentReference:patient", 51),
        ("_revinclude=List:item", "&_count=25&_revinclude=List:item", 50),
        ("_has:List:item:code", "&_count=50&_has:List:item:code=submissionset", 50),
    ] {
        let path = format!("{documents}{more}");
        let answer = bench.fetch(Actor::Registry, &path)?;
        let entries = String::from_utf8_lossy(&answer).matches("\"fullUrl\"").count();
        ensure!(entries == plain, "{path} gives {plain} entries, not {entries}");
        let mut round = Round::get(&authority, [format!("{documents}&_count={plain}")]);
        let (_, beside) = bench.measure("the plain search", Actor::Registry, &mut round)?;
        let (row, _) = bench.measure(name, Actor::Registry, &mut Round::get(&authority, [path]))?;
        table.add(row.beside("the plain search", Some(beside.rate()), Goal::AtMost(2.0)));
    }
    Ok(())
}

fn identities(bench: &Bench<'_>, loaded: &Loaded, table: &mut Table) -> Result<()> {
    let authority = region::authority(bench.region, Actor::Identity)?;
    let many = loaded.patients.len().min(5000);
    type Path = fn(usize) -> String;
    let cases: [(&str, Path); 2] = [
        ("Patient?identifier=", |number| format!("/fhir/Patient?identifier={DOMAIN}%7Cbench-{number}")),
        ("$ihe-pix", |number| format!("/fhir/Patient/$ihe-pix?sourceIdentifier={DOMAIN}%7Cbench-{number}")),
    ];
    for (name, path) in cases {
        let bare = bench.bare(&bench.fetch(Actor::Identity, &path(0))?)?;
        let mut round = Round::get(&authority, (0..many).map(path));
        let (row, _) = bench.measure(name, Actor::Identity, &mut round)?;
        table.add(row.beside("bare handler", Some(bare), Goal::AtLeast(0.2)));
    }
    Ok(())
}

fn submissions(
    bench: &Bench<'_>,
    loaded: &Loaded,
    journal: f64,
    submitted: &mut u64,
    table: &mut Table,
) -> Result<()> {
    let mut provides = Provides::new(bench.region, &loaded.patients, *submitted)?;
    let (row, measured) = bench.measure("ITI-65, 64 KiB", Actor::Repository, &mut provides)?;
    *submitted += 4 * (measured.count + 100_000);
    let processor = row.processor.unwrap_or_default();
    table.add(row.beside("journal limit", Some(journal), Goal::AtLeast(0.2)));
    let bundle = region::bundle(&bench.region.base(Actor::Identity));
    let bare = work::measure(bundle.as_bytes())?.as_secs_f64() * 1e6;
    table.bar("ITI-65 processor time beside the bare work", processor / bare, "×", 4.0);
    table.notes.push(format!(
        "Bare work of a bundle of {} bytes: {bare:.0} µs; the actors: {processor:.0} µs ({} documents).",
        bundle.len(),
        bench.documents
    ));
    Ok(())
}

fn memory(region: &Region, loaded: &Loaded, table: &mut Table) -> Result<()> {
    for (actor, most) in [(Actor::Registry, 1024.0), (Actor::Repository, 256.0), (Actor::Identity, 256.0)] {
        let name = format!("{} with {} documents", actor.name(), loaded.documents);
        table.bar(&name, resident(region, actor)?, "MiB", most);
    }
    Ok(())
}

/// How an actor ended before a start that is measured.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// SIGTERM, and everything in the index.
    Good,
    /// SIGKILL.
    Kill,
    /// SIGKILL, and the index is gone: it is built again from the journal, as `sled` is after every power cut.
    IndexLost,
}

/// Ends all actors and starts them again, once in each way.
fn restart(region: &mut Region, loaded: &Loaded, table: &mut Table) -> Result<()> {
    let whole = if loaded.documents > 20_000 { 30.0 } else { 2.0 };
    for (end, words, most) in [
        (End::Good, "good end", 1.0),
        (End::Kill, "kill", 1.0),
        (End::IndexLost, "kill and the index lost", whole),
    ] {
        for actor in Actor::ALL {
            match end {
                End::Good => drop(region.terminate(actor)?),
                End::Kill | End::IndexLost => region.kill(actor)?,
            }
            if end == End::IndexLost {
                std::fs::remove_dir_all(region.data(actor).join("index")).context("removing an index")?;
            }
            region.launch(actor)?;
            let took = region.wait_ready(actor)?;
            let name =
                format!("{} ready after start ({words}), {} documents", actor.name(), loaded.documents);
            table.bar(&name, took.as_secs_f64(), "s", most);
        }
    }
    Ok(())
}

/// Rounds of the comparison with and without syncs, one after the other so that both see the same machine.
const ROUNDS: u32 = 4;

/// What durability costs: submissions of 64 KiB beside those of a region of the same build that syncs nothing.
fn durability(
    durable: &Region,
    plan: &Plan,
    loaded: &Loaded,
    submitted: u64,
    table: &mut Table,
) -> Result<()> {
    let hasty_plan = RegionPlan {
        index: plan.index.clone(),
        log_level: "warn".into(),
        sync: false,
        ..RegionPlan::default()
    };
    let hasty = Region::start(&hasty_plan)?;
    let mut fed = Loaded::default();
    region::feed(&hasty, &mut fed, plan.patients)?;
    region::submit(&hasty, &mut fed, loaded.documents.min(10_000))?;
    let mut sides = [
        (durable, Provides::new(durable, &loaded.patients, submitted)?, 0.0),
        (&hasty, Provides::new(&hasty, &fed.patients, submitted)?, 0.0),
    ];
    let mut last = None;
    for _ in 0..ROUNDS {
        for (region, provides, rate) in &mut sides {
            let authority = region::authority(region, Actor::Repository)?;
            load::drive(&authority, CLIENTS, provides, Some(plan.time / 4)).context("warming up")?;
            let measured = load::drive(&authority, CLIENTS, provides, Some(plan.time))
                .context("submissions with and without syncs")?;
            *rate += measured.rate() / f64::from(ROUNDS);
            if std::ptr::eq(*region, durable) {
                last = Some(measured);
            }
        }
    }
    let measured = last.context("it has been measured")?;
    let mut row = Row::of("ITI-65, 64 KiB, durable beside all syncs off", loaded.documents, &measured, None);
    row.rate = sides[0].2;
    table.add(row.beside("syncs off", Some(sides[1].2), Goal::AtLeast(0.7)));
    Ok(())
}

pub(super) fn resident(region: &Region, actor: Actor) -> Result<f64> {
    let pid = region.pid(actor).context("the actor runs")?;
    let kib = process::resident_kib(pid).context("the actor has memory")?;
    #[expect(clippy::cast_precision_loss, reason = "memory of an actor is small")]
    let mib = kib as f64 / 1024.0;
    Ok(mib)
}
