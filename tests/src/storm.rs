//! A storm of submissions while actors are killed at random moments; afterwards everything acknowledged must be there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use testkit::{Document, Provide, oid};

use crate::answer::Answer;
use crate::region::{Actor, Plan, Region};
use crate::wire::Wire;

/// What a storm is made of.
#[derive(Debug, Clone)]
pub struct Storm {
    /// `storage.index`.
    pub index: String,
    /// How many actors are killed, one after the other.
    pub kills: usize,
    /// Or until this time has gone by.
    pub within: Duration,
    /// Senders at once.
    pub senders: usize,
    /// Where the random moments come from.
    pub seed: u64,
    /// Says what happens on standard error.
    pub progress: bool,
}

impl Default for Storm {
    fn default() -> Storm {
        Storm {
            index: "redb".into(),
            kills: 20,
            within: Duration::from_secs(600),
            senders: 4,
            seed: 1,
            progress: false,
        }
    }
}

/// What a storm has shown.
#[derive(Debug, Clone, Default)]
pub struct Weather {
    /// Actors killed.
    pub kills: usize,
    /// Submissions answered with success.
    pub acknowledged: usize,
    /// Requests that were answered with a failure or not at all, and sent again.
    pub retried: usize,
    /// The longest an actor took until it was ready again.
    pub slowest_start: Duration,
}

/// What a sender knows was stored.
struct Promise {
    unique_id: String,
    set: String,
    location: String,
    bytes: Vec<u8>,
}

/// A source of random numbers that can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}

/// Runs a storm and looks for loss, doubling and damage.
pub fn run(storm: &Storm) -> Result<Weather> {
    let mut region =
        Region::start(&Plan { index: storm.index.clone(), log_level: "warn".into(), ..Plan::default() })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let bases = Bases::of(&region);
    let patient = runtime.block_on(feed(&bases)).context("feeding the patient")?;
    let (stop, retried) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let promises: Arc<Mutex<Vec<Promise>>> = Arc::default();
    let senders: Vec<_> = (0..storm.senders)
        .map(|sender| {
            let (bases, patient, promises) = (bases.clone(), patient.clone(), promises.clone());
            let (stop, retried) = (stop.clone(), retried.clone());
            runtime.spawn(async move { send(sender, &bases, &patient, &promises, &stop, &retried).await })
        })
        .collect();
    let raged = rage(storm, &mut region);
    stop.store(true, Ordering::SeqCst);
    let mut weather = raged?;
    for sender in senders {
        runtime.block_on(sender).context("a sender")??;
    }
    let promises = promises.lock().unwrap_or_else(PoisonError::into_inner);
    weather.retried = retried.load(Ordering::SeqCst);
    weather.acknowledged = promises.len();
    runtime.block_on(inspect(&bases, &patient, &promises))?;
    Ok(weather)
}

/// Kills one actor after the other, each at a random moment, and starts it again.
fn rage(storm: &Storm, region: &mut Region) -> Result<Weather> {
    let mut dice = Dice(storm.seed.max(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut weather = Weather::default();
    let begin = Instant::now();
    while weather.kills < storm.kills && begin.elapsed() < storm.within {
        std::thread::sleep(Duration::from_millis(50 + dice.roll(400)));
        let actor = Actor::ALL[usize::try_from(dice.roll(3)).unwrap_or_default()];
        region.kill(actor)?;
        std::thread::sleep(Duration::from_millis(dice.roll(150)));
        region.launch(actor)?;
        let took = region
            .wait_ready(actor)
            .with_context(|| format!("after kill {} (seed {})", weather.kills, storm.seed))?;
        weather.kills += 1;
        weather.slowest_start = weather.slowest_start.max(took);
        if storm.progress {
            eprintln!("kill {}: {}, ready again after {took:?}", weather.kills, actor.name());
        }
    }
    // Let what is in doubt settle.
    std::thread::sleep(Duration::from_secs(1));
    Ok(weather)
}

/// The three FHIR bases.
#[derive(Debug, Clone)]
struct Bases {
    registry: String,
    repository: String,
    identity: String,
}

impl Bases {
    fn of(region: &Region) -> Bases {
        Bases {
            registry: region.base(Actor::Registry),
            repository: region.base(Actor::Repository),
            identity: region.base(Actor::Identity),
        }
    }
}

async fn feed(bases: &Bases) -> Result<String> {
    let wire = Wire::new()?;
    let (system, value) = ("urn:oid:2.25.2718281828", oid());
    let url = format!("{}/Patient?identifier={system}%7C{value}", bases.identity);
    let answer = wire.put(&url, &testkit::patient(system, &value, "Sturm", "Stella")).await?;
    ensure!(answer.status == 201, "feeding answers {}: {}", answer.status, answer.excerpt());
    let id = answer.header("Location").and_then(crate::conformance::id_of).context("a Location")?;
    Ok(format!("{}/Patient/{id}", bases.identity))
}

/// Sends one submission after the other; each again with the same ids until it is answered with success.
async fn send(
    sender: usize,
    bases: &Bases,
    patient: &str,
    promises: &Mutex<Vec<Promise>>,
    stop: &AtomicBool,
    retried: &AtomicUsize,
) -> Result<()> {
    let wire = Wire::new()?;
    let mut number = 0_usize;
    while !stop.load(Ordering::SeqCst) {
        number += 1;
        // Now and then a document that does not fit into the journal.
        let size = if number.is_multiple_of(17) { 1_500_000 } else { 200 + (number * 37) % 3000 };
        let bytes: Vec<u8> =
            format!("sender {sender} number {number} ").into_bytes().into_iter().cycle().take(size).collect();
        let provide = Provide::new(patient).only(Document::new(&bytes));
        let bundle = provide.bundle();
        let answer = until_acknowledged(&wire, bases, &bundle, retried).await?;
        let promise = Promise {
            unique_id: provide.documents[0].unique_id.clone(),
            set: provide.unique_id.clone().unwrap_or_default(),
            location: crate::conformance::created(&answer, "DocumentReference")?.remove(0),
            bytes,
        };
        promises.lock().unwrap_or_else(PoisonError::into_inner).push(promise);
    }
    Ok(())
}

async fn until_acknowledged(
    wire: &Wire,
    bases: &Bases,
    bundle: &Value,
    retried: &AtomicUsize,
) -> Result<Answer> {
    let begin = Instant::now();
    loop {
        match wire.post(&bases.repository, bundle).await {
            Ok(answer) if answer.status == 200 => return Ok(answer),
            // A definite refusal of a good submission would be a defect.
            Ok(answer) => ensure!(
                answer.status >= 500,
                "a good submission is refused: {}: {}",
                answer.status,
                answer.excerpt()
            ),
            Err(_) => {}
        }
        retried.fetch_add(1, Ordering::SeqCst);
        ensure!(
            begin.elapsed() < Duration::from_secs(120),
            "a submission is not accepted within two minutes"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Everything acknowledged is found once and byte-identical, and nothing else is there.
async fn inspect(bases: &Bases, patient: &str, promises: &[Promise]) -> Result<()> {
    let wire = Wire::new()?;
    let documents =
        all(&wire, &format!("{}/DocumentReference?patient={patient}&_count=500", bases.registry)).await?;
    let sets =
        all(&wire, &format!("{}/List?patient={patient}&code=submissionset&_count=500", bases.registry))
            .await?;
    ensure!(
        documents.len() == promises.len(),
        "{} documents for {} promises",
        documents.len(),
        promises.len()
    );
    ensure!(sets.len() == promises.len(), "{} submission sets for {} promises", sets.len(), promises.len());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let by_unique_id: BTreeMap<String, &Value> =
        documents.iter().map(|one| (text(&one["masterIdentifier"]["value"]), one)).collect();
    for promise in promises {
        let found =
            by_unique_id.get(&promise.unique_id).with_context(|| format!("{} is lost", promise.unique_id))?;
        ensure!(text(&found["id"]) == promise.location, "{} is another than was promised", promise.unique_id);
        let set = sets.iter().any(|set| set.to_string().contains(&promise.set));
        ensure!(set, "the submission set {} is lost", promise.set);
        let answer = wire.get(&text(&found["content"][0]["attachment"]["url"])).await?;
        ensure!(answer.status == 200, "{} cannot be retrieved: {}", promise.unique_id, answer.status);
        ensure!(answer.body[..] == promise.bytes[..], "{} has other bytes", promise.unique_id);
    }
    Ok(())
}

/// All pages of a search.
async fn all(wire: &Wire, query: &str) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    let mut next = Some(query.to_owned());
    while let Some(url) = next {
        let page = wire.get(&url).await?;
        found.extend(page.matches()?);
        next = page.link("next")?;
    }
    Ok(found)
}
