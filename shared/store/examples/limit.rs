//! What the disk allows and what the embedded engine makes of it: `cargo run --release -p store --example limit -- --json`.
//!
//! The bare limit is 16 writers of 64 KiB records into preallocated segments with one sync per group and nothing else.

use std::fs::File;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::{AnyOf, Ask, Batch, Fact, IndexKind, Kind, Options, Order, Put, Reach, Scope, Store, Test};

const WRITERS: usize = 16;
const RECORD: usize = 64 << 10;
const SEGMENT: u64 = 64 << 20;
const ENTRY: Kind = Kind("entry");
const PATIENTS: u64 = 2_000;
const ROWS: u64 = 20;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// What the command line says.
struct Arguments {
    json: bool,
    seconds: u64,
    directory: PathBuf,
    index: IndexKind,
}

/// One line of the answer.
struct Measured {
    name: &'static str,
    per_second: f64,
    processor_micros: f64,
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    let home = tempfile::tempdir_in(&arguments.directory)?;
    let time = Duration::from_secs(arguments.seconds);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build()?;
    let mut lines = vec![measure("journal_limit_64k", || bare(home.path(), time))?];
    let options = Options { index: arguments.index, ..Options::new(home.path().join("data")) };
    let store = Store::open(&options)?;
    lines.push(measure("apply_64k_document", || runtime.block_on(writers(&store, time, document_batch)))?);
    lines.push(measure("apply_2k_record", || runtime.block_on(writers(&store, time, record_batch)))?);
    lines.push(measure("note", || runtime.block_on(notes(&store, time)))?);
    runtime.block_on(load(&store))?;
    lines.push(measure("patient_search_20_rows", || searches(&store, time, false))?);
    runtime.block_on(store.close())?;
    let store = Store::open(&options)?;
    lines.push(measure("patient_search_20_rows_from_index", || searches(&store, time, false))?);
    lines.push(measure("patient_search_20_rows_with_total", || searches(&store, time, true))?);
    lines.push(measure("read_64k_document", || runtime.block_on(reads(&store, time)))?);
    print(&lines, arguments.json);
    Ok(())
}

fn arguments() -> Outcome<Arguments> {
    let mut found =
        Arguments { json: false, seconds: 3, directory: std::env::temp_dir(), index: IndexKind::Redb };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--json" => found.json = true,
            "--seconds" => found.seconds = words.next().ok_or("--seconds wants a number")?.parse()?,
            "--dir" => found.directory = words.next().ok_or("--dir wants a directory")?.into(),
            "--sled" => found.index = IndexKind::Sled,
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    Ok(found)
}

fn print(lines: &[Measured], json: bool) {
    if json {
        let members = lines.iter().map(|line| {
            let (name, rate, cost) = (line.name, line.per_second, line.processor_micros);
            format!("\"{name}\":{{\"per_second\":{rate:.1},\"processor_micros\":{cost:.1}}}")
        });
        println!("{{{}}}", members.collect::<Vec<_>>().join(","));
        return;
    }
    for line in lines {
        let (name, rate, cost) = (line.name, line.per_second, line.processor_micros);
        println!("{name:<36} {rate:>10.0}/s {cost:>9.1} µs of processor each");
    }
}

/// Runs work that answers how often it was done.
fn measure(name: &'static str, work: impl FnOnce() -> Outcome<u64>) -> Outcome<Measured> {
    let (begin, processor) = (Instant::now(), processor_time()?);
    let times = work()?.max(1) as f64;
    let (seconds, processor) = (begin.elapsed().as_secs_f64(), processor_time()? - processor);
    Ok(Measured { name, per_second: times / seconds, processor_micros: processor * 1e6 / times })
}

/// Seconds of processor this process has used: fields 14 and 15 of its `stat`, in hundredths.
fn processor_time() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields = stat.rsplit(')').next().unwrap_or_default();
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks as f64 / 100.0)
}

fn bare(directory: &Path, time: Duration) -> Outcome<u64> {
    let (give, take) = channel::<(Bytes, Sender<()>)>();
    let end = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..WRITERS).map(|_| spawn_writer(give.clone(), end.clone())).collect();
    drop(give);
    let segments = spawn_segments(directory.to_owned());
    let committer = std::thread::spawn(move || commit(&take, &segments));
    std::thread::sleep(time);
    end.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.join().map_err(|_| "a writer panicked")?;
    }
    committer.join().map_err(|_| "the committer panicked")?
}

fn spawn_writer(give: Sender<(Bytes, Sender<()>)>, end: Arc<AtomicBool>) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let record = Bytes::from(vec![7; RECORD]);
        let (answer, answered) = channel();
        while !end.load(Ordering::Relaxed) {
            if give.send((record.clone(), answer.clone())).is_err() || answered.recv().is_err() {
                return;
            }
        }
    })
}

/// Makes segments, one ahead.
fn spawn_segments(directory: PathBuf) -> Receiver<std::io::Result<File>> {
    let (give, take) = sync_channel(0);
    std::thread::spawn(move || {
        for number in 0u32.. {
            let made = File::create(directory.join(format!("bare-{number}"))).and_then(|file| {
                rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, SEGMENT)?;
                file.sync_all()?;
                Ok(file)
            });
            if give.send(made).is_err() {
                return;
            }
        }
    });
    take
}

fn commit(take: &Receiver<(Bytes, Sender<()>)>, segments: &Receiver<std::io::Result<File>>) -> Outcome<u64> {
    let (mut segment, mut offset, mut written) = (segments.recv()??, 0, 0);
    while let Ok(first) = take.recv() {
        let group: Vec<_> = std::iter::once(first).chain(take.try_iter()).collect();
        let length = (group.len() * RECORD) as u64;
        if offset + length > SEGMENT {
            (segment, offset) = (segments.recv()??, 0);
        }
        let slices: Vec<_> = group.iter().map(|(record, _)| IoSlice::new(record)).collect();
        if rustix::io::pwritev(&segment, &slices, offset)? as u64 != length {
            return Err("a write was short".into());
        }
        segment.sync_data()?;
        offset += length;
        written += group.len() as u64;
        for (_, answer) in group {
            let _ = answer.send(());
        }
    }
    Ok(written)
}

/// Writers that each wait for their commit before the next.
async fn writers<F>(store: &Store, time: Duration, batch: fn(Store, u64) -> F) -> Outcome<u64>
where
    F: Future<Output = Outcome<Batch>> + Send + 'static,
{
    let (number, begin) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let tasks = (0..WRITERS).map(|_| {
        let (store, number) = (store.clone(), number.clone());
        tokio::spawn(async move {
            let mut done = 0;
            while begin.elapsed() < time {
                let batch = batch(store.clone(), number.fetch_add(1, Ordering::Relaxed)).await?;
                store.apply(batch).await?;
                done += 1;
            }
            Outcome::Ok(done)
        })
    });
    let mut done = 0;
    for task in tasks.collect::<Vec<_>>() {
        done += task.await??;
    }
    Ok(done)
}

async fn document_batch(store: Store, number: u64) -> Outcome<Batch> {
    let mut content = vec![7; RECORD];
    content[..8].copy_from_slice(&number.to_le_bytes());
    let mut sink = store.stage(u64::MAX);
    sink.write(&content).await?;
    let blob = sink.finish().await?;
    let intent = record("intent", number, number);
    Ok(Batch {
        puts: vec![intent],
        blobs: vec![blob],
        audit: vec![Bytes::from_static(&[7; 500])],
        ..Batch::default()
    })
}

async fn record_batch(_: Store, number: u64) -> Outcome<Batch> {
    let put = record("record", number, number / ROWS);
    Ok(Batch { puts: vec![put], audit: vec![Bytes::from_static(&[7; 500])], ..Batch::default() })
}

/// A record of 2 KiB with 8 facts, three of them of global reach.
fn record(prefix: &str, number: u64, patient: u64) -> Put {
    let term = |name, value: String, reach| Fact::Term { name, space: "urn:oid:1.2.3".into(), value, reach };
    let stretch = |name, from| Fact::Instant { name, from, to: from + 1, reach: Reach::Partition };
    let from = number as i64 * 1_000_000;
    Put {
        kind: ENTRY,
        id: format!("{prefix}-{number:026}"),
        version: 1,
        partition: format!("{prefix}-patient-{patient:020}"),
        order: from,
        facts: vec![
            term("uniqueId", format!("{prefix}.{number}"), Reach::Global),
            term("identifier", format!("{prefix}.i.{number}"), Reach::Global),
            term("submission", format!("{prefix}.{}", number / 3), Reach::Global),
            term("status", "approved".into(), Reach::Partition),
            term("class", (number % 7).to_string(), Reach::Partition),
            term("type", (number % 31).to_string(), Reach::Partition),
            stretch("created", from),
            stretch("service", from),
        ],
        edges: Vec::new(),
        body: Bytes::from(vec![b'b'; 500]),
        rendering: Bytes::from(vec![b'r'; 1_500]),
        deleted: false,
    }
}

async fn notes(store: &Store, time: Duration) -> Outcome<u64> {
    let begin = Instant::now();
    let tasks = (0..WRITERS).map(|_| {
        let store = store.clone();
        tokio::spawn(async move {
            let mut done = 0;
            while begin.elapsed() < time {
                store.note(0, vec![Bytes::from_static(&[7; 500])]).await?;
                done += 1;
            }
            Outcome::Ok(done)
        })
    });
    let mut done = 0;
    for task in tasks.collect::<Vec<_>>() {
        done += task.await??;
    }
    Ok(done)
}

async fn load(store: &Store) -> Outcome<()> {
    for patient in 0..PATIENTS {
        let puts = (0..ROWS).map(|row| record("loaded", row * PATIENTS + patient, patient)).collect();
        store.apply(Batch { puts, ..Batch::default() }).await?;
    }
    Ok(())
}

fn searches(store: &Store, time: Duration, total: bool) -> Outcome<u64> {
    let begin = Instant::now();
    let mut done = 0;
    let status = Test::Term { name: "status", space: None, value: Some("approved".into()) };
    while begin.elapsed() < time {
        let patient = done * 7919 % PATIENTS;
        let ask = Ask {
            kind: ENTRY,
            scope: Scope::Partitions(vec![format!("loaded-patient-{patient:020}")]),
            all: vec![AnyOf { tests: vec![status.clone()], negated: false }],
            order: Order::Natural,
            after: None,
            limit: 50,
            as_of: None,
            total,
        };
        if store.find(&ask)?.rows.len() as u64 != ROWS {
            return Err("a patient's rows are missing".into());
        }
        done += 1;
    }
    Ok(done)
}

async fn reads(store: &Store, time: Duration) -> Outcome<u64> {
    use futures_util::TryStreamExt;
    let mut ids = Vec::new();
    for number in 0..1_000 {
        let batch = document_batch(store.clone(), 1 << 40 | number).await?;
        ids.extend(batch.blobs.iter().map(|blob| blob.id().to_owned()));
        store.apply(batch).await?;
    }
    let begin = Instant::now();
    let mut done = 0;
    while begin.elapsed() < time {
        let blob = store.blob(&ids[done % ids.len()])?.ok_or("a document is missing")?;
        let chunks: Vec<Bytes> = store.read(&blob, 0..blob.size).await?.try_collect().await?;
        if chunks.iter().map(Bytes::len).sum::<usize>() != RECORD {
            return Err("a document is short".into());
        }
        done += 1;
    }
    Ok(done as u64)
}
