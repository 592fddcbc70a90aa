//! Backups of a region that is being used, and a life after losing everything but them.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Document, Provide, oid};
use tests::region::{Actor, Plan, Region};
use tests::wire::Wire;

const DOMAIN: &str = "urn:oid:2.25.2718281828";

/// The order that loses least: who is told of something is copied before who tells.
const ORDER: [Actor; 3] = [Actor::Identity, Actor::Registry, Actor::Repository];

/// A document whose source was told that it is kept.
#[derive(Clone)]
struct Kept {
    unique_id: String,
    bytes: Vec<u8>,
}

/// Sources that submit one document after the other.
struct Load {
    kept: Arc<Mutex<Vec<Kept>>>,
    stop: Arc<AtomicBool>,
    senders: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn begin(repository: &str, patient: &str) -> Load {
        let (kept, stop): (Arc<Mutex<Vec<Kept>>>, Arc<AtomicBool>) = Default::default();
        let sender = |number: usize| {
            let (kept, stop) = (kept.clone(), stop.clone());
            let (repository, patient) = (repository.to_owned(), patient.to_owned());
            tokio::spawn(async move {
                let wire = Wire::new().expect("a client");
                let mut count = 0_usize;
                while !stop.load(Ordering::SeqCst) {
                    count += 1;
                    // Now and then one that gets a file of its own.
                    let size = if count.is_multiple_of(7) { 1_300_000 } else { 500 + count };
                    let text = format!("sender {number} document {count} ").into_bytes();
                    let bytes: Vec<u8> = text.into_iter().cycle().take(size).collect();
                    let provide = Provide::new(&patient).only(Document::new(&bytes));
                    let answer = wire.post(&repository, &provide.bundle()).await.expect("an answer");
                    assert_eq!(answer.status, 200, "{}", answer.excerpt());
                    let unique_id = provide.documents[0].unique_id.clone();
                    kept.lock().expect("nobody panics with it").push(Kept { unique_id, bytes });
                    // Sources are not machines that only send; and a slow machine must not drown in what they sent.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            })
        };
        let senders = (0..3).map(sender).collect();
        Load { kept, stop, senders }
    }

    fn kept(&self) -> Vec<Kept> {
        self.kept.lock().expect("nobody panics with it").clone()
    }

    async fn until(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.kept().len() < count {
            assert!(Instant::now() < deadline, "only {} submissions in a minute", self.kept().len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn end(self) {
        self.stop.store(true, Ordering::SeqCst);
        for sender in self.senders {
            sender.await.expect("a sender ends well");
        }
    }
}

async fn feed(wire: &Wire, region: &Region) -> String {
    let value = oid();
    let url = format!("{}/Patient?identifier={DOMAIN}%7C{value}", region.base(Actor::Identity));
    let patient = testkit::patient(DOMAIN, &value, "Sicher", "Sina");
    let answer = wire.put(&url, &patient).await.expect("the feed answers");
    assert_eq!(answer.status, 201, "{}", answer.excerpt());
    let location = answer.header("Location").expect("a Location");
    location.split("/_history").next().expect("a split has a first part").to_owned()
}

/// Every document of the patient the registry shows, by its unique id.
async fn shown(wire: &Wire, region: &Region, patient: &str) -> Vec<Value> {
    let registry = region.base(Actor::Registry);
    let mut next = Some(format!("{registry}/DocumentReference?patient={patient}&_count=500"));
    let mut found = Vec::new();
    while let Some(url) = next {
        let page = wire.get(&url).await.expect("the registry answers");
        found.extend(page.matches().expect("a searchset"));
        next = page.link("next").expect("links");
    }
    found
}

/// Everything that was kept is shown once and byte-identical.
async fn is_all_there(region: &Region, patient: &str, kept: &[Kept]) {
    let wire = Wire::new().expect("a client");
    let shown = shown(&wire, region, patient).await;
    for kept in kept {
        let of_it: Vec<&Value> =
            shown.iter().filter(|one| one["masterIdentifier"]["value"] == kept.unique_id[..]).collect();
        assert_eq!(of_it.len(), 1, "{} is there once", kept.unique_id);
        let url = of_it[0]["content"][0]["attachment"]["url"].as_str().expect("a URL");
        let answer = wire.get(url).await.expect("the repository answers");
        assert_eq!(answer.status, 200, "{}: {}", kept.unique_id, answer.excerpt());
        assert!(answer.body[..] == kept.bytes[..], "{} has other bytes", kept.unique_id);
    }
}

fn verb(region: &Region, actor: Actor, arguments: &[&str]) -> Output {
    region.verb(actor, arguments).expect("the verb can be run")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

fn backup_of(region: &Region, actor: Actor) -> PathBuf {
    region.folder().join("backups").join(actor.name())
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of letters")
}

fn back_up(region: &Region) {
    std::fs::create_dir_all(region.folder().join("backups")).expect("a folder");
    for actor in ORDER {
        let to = backup_of(region, actor);
        let output = verb(region, actor, &["backup", "--to", text(&to), "-o", "json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(json(&output)["actor"], actor.name());
        let output = verb(region, actor, &["verify", "--from", text(&to)]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
}

fn wipe(region: &mut Region) {
    for actor in Actor::ALL {
        region.kill(actor).expect("it can be killed");
        std::fs::remove_dir_all(region.data(actor)).expect("it is there");
    }
}

/// Starts an actor and waits for its end.
fn refused(region: &mut Region, actor: Actor) -> String {
    region.launch(actor).expect("it can be started");
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = region.ended(actor).expect("it is ours") {
            assert_eq!(status.code(), Some(74), "{}", region.log(actor));
            region.kill(actor).expect("it has ended");
            return region.log(actor);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the {} started", actor.name());
}

/// The repository and the registry compare until nothing differs.
fn reconciled(region: &Region) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let output = verb(region, Actor::Repository, &["reconcile", "--plan", "-o", "json"]);
        if output.status.code() == Some(0) {
            return;
        }
        assert!(Instant::now() < deadline, "they still differ: {output:?}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn clean(region: &Region, actor: Actor) {
    let output = verb(region, actor, &["verify", "--deep", "-o", "json"]);
    let report = json(&output);
    assert_eq!((output.status.code(), &report["clean"]), (Some(0), &Value::Bool(true)), "{report:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_began_outlives_the_loss_of_everything_else() {
    for index in ["redb", "sled"] {
        let plan = Plan { index: index.into(), log_level: "warn".into(), ..Plan::default() };
        let mut region = Region::start(&plan).expect("a region starts");
        let wire = Wire::new().expect("a client");
        let patient = feed(&wire, &region).await;
        let load = Load::begin(&region.base(Actor::Repository), &patient);
        load.until(20).await;
        back_up(&region);
        Actor::ALL.into_iter().for_each(|actor| clean(&region, actor));
        load.until(load.kept().len() + 10).await;
        // Taken again into the same place, with what came meanwhile.
        let kept = load.kept();
        back_up(&region);
        load.end().await;
        wipe(&mut region);
        for actor in Actor::ALL {
            let words = refused(&mut region, actor);
            assert!(words.contains("is missing") && words.contains("restore --from"), "{words}");
        }
        for actor in ORDER {
            let from = backup_of(&region, actor);
            let output = verb(&region, actor, &["restore", "--from", text(&from), "-o", "json"]);
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            assert_eq!(json(&output)["number"], 2);
            clean(&region, actor);
        }
        region.start_all().expect("what was restored starts");
        is_all_there(&region, &patient, &kept).await;
        reconciled(&region);
        Actor::ALL.into_iter().for_each(|actor| clean(&region, actor));
        // Life goes on.
        let load = Load::begin(&region.base(Actor::Repository), &patient);
        load.until(5).await;
        let later = load.kept();
        load.end().await;
        is_all_there(&region, &patient, &later).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_that_is_killed_leaves_nothing_that_starts_and_a_backup_that_is_killed_nothing_to_restore()
{
    let plan = Plan { log_level: "warn".into(), ..Plan::default() };
    let mut region = Region::start(&plan).expect("a region starts");
    let wire = Wire::new().expect("a client");
    let patient = feed(&wire, &region).await;
    let load = Load::begin(&region.base(Actor::Repository), &patient);
    load.until(40).await;
    let kept = load.kept();
    load.end().await;
    let to = backup_of(&region, Actor::Repository);
    std::fs::create_dir_all(to.parent().expect("it lies in a folder")).expect("a folder");
    let killed = |region: &Region, arguments: &[&str], after: u64| {
        let mut child = region.command(Actor::Repository, arguments).spawn().expect("it can be started");
        std::thread::sleep(Duration::from_millis(after));
        child.kill().expect("it can be killed");
        child.wait().expect("it is ours").success()
    };
    let arguments = ["backup", "--to", text(&to)];
    for after in [4, 8, 12, 20, 30] {
        if !killed(&region, &arguments, after) && to.exists() && !to.join("backup.json").exists() {
            let output = verb(&region, Actor::Repository, &["verify", "--from", text(&to)]);
            assert_eq!(output.status.code(), Some(74), "{output:?}");
        }
    }
    let output = verb(&region, Actor::Repository, &arguments);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let data = region.data(Actor::Repository);
    region.kill(Actor::Repository).expect("it can be killed");
    std::fs::remove_dir_all(&data).expect("it is there");
    let arguments = ["restore", "--from", text(&to)];
    let mut unfinished = 0;
    for after in (4..60).step_by(4) {
        if killed(&region, &arguments, after) {
            break;
        }
        let begun = data.join("restoring").exists();
        unfinished += usize::from(begun);
        let words = refused(&mut region, Actor::Repository);
        assert!(words.contains(if begun { "was not completed" } else { "restore --from" }), "{words}");
    }
    println!("{unfinished} restores were killed half way");
    if data.join("restoring").exists() || !data.join("incarnation").exists() {
        let output = verb(&region, Actor::Repository, &arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
    }
    clean(&region, Actor::Repository);
    region.launch(Actor::Repository).expect("it can be started");
    region.wait_ready(Actor::Repository).expect("what was restored starts");
    is_all_there(&region, &patient, &kept).await;
}
