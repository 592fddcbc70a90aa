//! How quickly everything is exported, what memory that takes, and what searches beside it notice: patients with fifty
//! documents each, written straight into the store as copies of one that was registered.
//!
//! `cargo run --release -p registry --example export [patients] [directory]`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actor::{Clock, Setup};
use registry::{Export, Identity, Registry, Settings};
use serde_json::{Value, json};
use store::{Batch, Fact, Kind, Options, Put, Reach, Row, Store};
use testkit::{Document, Provide};

const DOCUMENTS: usize = 50;
const IDENTITY: &str = "http://identity.example/fhir";
const DOCUMENT: Kind = Kind("document");
const PATIENT: Kind = Kind("patient");
/// Puts in one commit.
const AT_ONCE: usize = 1000;

fn main() {
    let mut words = std::env::args().skip(1);
    let patients: usize = words.next().and_then(|n| n.parse().ok()).unwrap_or(2_000);
    let home = words.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = home.join(format!("docshare-export-{}", std::process::id()));
    let options = Options::new(&directory);
    let store = Store::open(&options).expect("the directory can be used");
    let export = Export { spare_volume: false, ..Export::default() };
    let settings = Settings {
        identity: Identity { url: IDENTITY.to_owned(), ..Identity::default() },
        export,
        ..Settings::default()
    };
    let clock = Clock::wall(0);
    let running =
        actor::start_with::<Registry>(Setup { store: store.clone(), clock, ..Setup::new(settings) });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("there are threads");
    runtime.block_on(async {
        let client = reqwest::Client::new();
        let template = register(&client, &running.host, &store).await;
        let started = Instant::now();
        load(&store, &template, patients).await;
        let loaded = patients * (DOCUMENTS + 1);
        println!("{loaded} resources written in {:.1} s", started.elapsed().as_secs_f64());
        let alone = search(&client, &running.host, patients, || false).await;
        println!("searches alone: p50 {:?}, p99 {:?}, {} of them", alone.0, alone.1, alone.2);
        let before = resident();
        let (seconds, resources, most, _) = follow(&client, &running.host, None).await;
        let rate = resources as f64 / seconds;
        println!("export alone: {resources} resources in {seconds:.2} s, {rate:.0}/s, memory {before} MiB before, {most} MiB at most");
        let done = Arc::new(AtomicBool::new(false));
        let (mark, host, other) = (Arc::clone(&done), running.host.clone(), client.clone());
        let searches = tokio::spawn(async move {
            search(&other, &host, patients, || !mark.load(Ordering::Relaxed)).await
        });
        let (seconds, resources, most, _) = follow(&client, &running.host, Some(&done)).await;
        let beside = searches.await.expect("searches go on");
        let rate = resources as f64 / seconds;
        println!("export beside searches: {rate:.0}/s, memory {most} MiB at most");
        println!("searches beside it: p50 {:?}, p99 {:?}, {} of them", beside.0, beside.1, beside.2);
    });
    (running.stop)();
    std::fs::remove_dir_all(&directory).expect("the directory is ours");
}

/// One document, registered as any other: the others are copies of it.
async fn register(client: &reqwest::Client, host: &str, store: &Store) -> Row {
    let patient = json!({ "resourceType": "Patient", "id": "p", "meta": { "versionId": "1" } });
    let fed = client.put(format!("{host}/fhir/Patient/p")).json(&patient).send().await;
    assert_eq!(fed.expect("the registry answers").status(), 201);
    let document = Document::new("text").elsewhere("http://repository.example/documents/1");
    let bundle = Provide::new(&format!("{IDENTITY}/Patient/p")).only(document).bundle();
    let answer =
        client.post(format!("{host}/fhir")).json(&bundle).send().await.expect("the registry answers");
    let answer: Value = answer.json().await.expect("it answers JSON");
    let locations = answer["entry"].as_array().into_iter().flatten();
    let mut locations = locations.filter_map(|entry| entry["response"]["location"].as_str());
    let location = locations.find_map(|location| location.strip_prefix("DocumentReference/"));
    let id = location.and_then(|rest| rest.split('/').next()).expect("it names the document");
    store.get(DOCUMENT, id).expect("it can be read").expect("it is there")
}

async fn load(store: &Store, template: &Row, patients: usize) {
    let mut puts = Vec::with_capacity(AT_ONCE);
    for number in 0..patients {
        let partition = format!("patient-{number:07}");
        let body = json!({ "fed": 1, "active": true, "replaced_by": null, "identifiers": [] });
        puts.push(put(
            PATIENT,
            partition.clone(),
            &partition,
            0,
            body.to_string().into(),
            bytes::Bytes::new(),
        ));
        for document in 0..DOCUMENTS {
            let id = uuid::Uuid::from_u128((number * DOCUMENTS + document) as u128).to_string();
            let rendering =
                String::from_utf8_lossy(&template.rendering).replace(template.id.as_str(), &id).into_bytes();
            let order = i64::try_from(document).expect("it is small");
            puts.push(put(DOCUMENT, id, &partition, order, template.body.clone(), rendering.into()));
        }
        if puts.len() >= AT_ONCE || number + 1 == patients {
            let batch = Batch { puts: std::mem::take(&mut puts), ..Batch::default() };
            store.apply(batch).await.expect("there is room");
        }
    }
}

fn put(
    kind: Kind,
    id: String,
    partition: &str,
    order: i64,
    body: bytes::Bytes,
    rendering: bytes::Bytes,
) -> Put {
    let status =
        Fact::Term { name: "status", space: String::new(), value: "current".into(), reach: Reach::Partition };
    Put {
        kind,
        id,
        version: 1,
        partition: partition.to_owned(),
        order,
        facts: vec![status],
        edges: Vec::new(),
        body,
        rendering,
        deleted: false,
    }
}

/// Orders an export and follows it: seconds, resources, the most memory meanwhile, bytes.
async fn follow(client: &reqwest::Client, host: &str, done: Option<&AtomicBool>) -> (f64, u64, u64, u64) {
    let started = Instant::now();
    let order = client.get(format!("{host}/fhir/$export")).send().await.expect("the registry answers");
    let url = order.headers()["content-location"].to_str().expect("an address is text").to_owned();
    let mut most = 0;
    let manifest: Value = loop {
        tokio::time::sleep(Duration::from_millis(120)).await;
        most = most.max(resident());
        let answer = client.get(&url).send().await.expect("the registry answers");
        if answer.status() == 200 {
            break answer.json().await.expect("a manifest is JSON");
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    if let Some(done) = done {
        done.store(true, Ordering::Relaxed);
    }
    let files = manifest["output"].as_array().cloned().unwrap_or_default();
    let resources = files.iter().filter_map(|file| file["count"].as_u64()).sum();
    let size = async |file: &Value| {
        let head = client.head(file["url"].as_str().unwrap_or_default()).send().await;
        head.ok()
            .and_then(|head| head.headers().get("content-length")?.to_str().ok()?.parse::<u64>().ok())
            .unwrap_or_default()
    };
    let mut bytes = 0;
    for file in &files {
        bytes += size(file).await;
    }
    println!("{} files, {} MiB", files.len(), bytes >> 20);
    client.delete(&url).send().await.expect("the registry answers");
    (seconds, resources, most, bytes)
}

/// Searches one patient after the other, while that is wanted and three seconds at least: p50, p99, how many.
async fn search(
    client: &reqwest::Client,
    host: &str,
    patients: usize,
    wanted: impl Fn() -> bool,
) -> (Duration, Duration, usize) {
    let begun = Instant::now();
    let mut times = Vec::new();
    let mut number = 0;
    while wanted() || begun.elapsed() < Duration::from_secs(3) {
        number = (number + 7919) % patients;
        let url = format!("{host}/fhir/DocumentReference?patient=patient-{number:07}&_count=20");
        let started = Instant::now();
        let answer = client.get(url).send().await.expect("the registry answers");
        assert_eq!(answer.status(), 200);
        answer.bytes().await.expect("it answers whole");
        times.push(started.elapsed());
    }
    times.sort_unstable();
    (times[times.len() / 2], times[times.len() * 99 / 100], times.len())
}

/// Memory of this process, MiB.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("the kernel tells");
    let pages: u64 = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or_default();
    (pages * 4096) >> 20
}
