//! Too little of something, or too many at once: others go on, and everything is back to normal soon.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};

use super::Verdict;
use super::stage::{Stage, word};
use crate::faults::compile;
use crate::faults::history::Told;
use crate::faults::load;
use crate::raw;
use crate::region::Actor;

/// What others may wait, all but one in a hundred of them.
const OTHERS: Duration = Duration::from_secs(1);

/// Few descriptors: connections beyond them wait or are closed, and with them gone everything is as before.
pub(super) fn descriptors(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let known = stage.document(3_000)?;
    stage.is_served(&known)?;
    let pid = stage.world.region.pid(Actor::Repository).context("the repository runs")?.to_string();
    let mut limit = Command::new("prlimit");
    limit.args(["--pid", &pid, "--nofile=96:96"]);
    if let Err(error) = compile::run(&mut limit) {
        return Ok(Verdict::Skipped(format!("{error:#}")));
    }
    let address = raw::authority(&stage.world.region.host(Actor::Repository))?;
    let held = stage.runtime.block_on(connections(&address, Ipv4Addr::LOCALHOST, 110));
    std::thread::sleep(Duration::from_millis(500));
    ensure!(stage.world.region.ended(Actor::Repository)?.is_none(), "the repository has ended");
    let count = held.len();
    drop(held);
    let begin = Instant::now();
    let recipe = stage.recipe(&[2_000, 1_500_000]);
    stage.store(&recipe)?;
    stage.is_served(&known)?;
    ensure!(begin.elapsed() < Duration::from_secs(10), "back to normal after {:.1?}", begin.elapsed());
    stage.close()?;
    Ok(Verdict::Held(format!("{count} connections; normal again after {} ms", begin.elapsed().as_millis())))
}

/// Half-open connections and slow senders from another address: everybody else is answered as always.
pub(super) fn flood(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let known = stage.document(3_000)?;
    let url = stage.url(&known)?;
    let address = raw::authority(&stage.world.region.host(Actor::Repository))?;
    let (slow, times) = stage.runtime.block_on(async {
        let mut slow = connections(&address, Ipv4Addr::new(127, 0, 0, 2), 300).await;
        for stream in &mut slow {
            let _ = stream.write_all(b"POST /fhir HTTP/1.1\r\nHost: x\r\nContent-Type: appl").await;
        }
        let mut times = Vec::new();
        for _ in 0..300 {
            let begin = Instant::now();
            let answer = stage.wire.get(&url).send().await.context("retrieving meanwhile")?;
            ensure!(answer.status() == 200, "a retrieval meanwhile is answered {}", answer.status());
            answer.bytes().await.context("retrieving meanwhile")?;
            times.push(begin.elapsed());
        }
        anyhow::Ok((slow.len(), times))
    })?;
    let late = ninety_ninth(times);
    ensure!(late < OTHERS, "p99 of the others is {late:.1?}");
    stage.close()?;
    Ok(Verdict::Held(format!(
        "{slow} slow connections; p99 of the others {:.1} ms",
        late.as_secs_f64() * 1e3
    )))
}

/// 256 MiB of memory, and eight sources with documents of 20 MiB at once.
pub(super) fn memory(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let group = match Group::new("memory", &[("memory.limit_in_bytes", "268435456")]) {
        Ok(group) => group,
        Err(error) => return Ok(Verdict::Skipped(format!("{error:#}"))),
    };
    for actor in Actor::ALL {
        group.take(stage.world.region.pid(actor).context("an actor runs")?)?;
    }
    let recipes: Vec<_> = (0..8).map(|_| stage.recipe(&[20 << 20])).collect();
    let tasks: Vec<_> = recipes
        .iter()
        .map(|recipe| {
            let (load, wire, recipe) = (stage.load.clone(), stage.wire.clone(), recipe.clone());
            stage.runtime.spawn(async move { load::send_once(&load, &wire, &recipe).await })
        })
        .collect();
    let mut words = Vec::new();
    for task in tasks {
        let told = stage.runtime.block_on(task)??;
        ensure!(!matches!(told, Told::Refused { .. }), "a submission comes to: {}", word(&told));
        words.push(word(&told));
    }
    for actor in Actor::ALL {
        ensure!(stage.world.region.ended(actor)?.is_none(), "{} has ended", actor.name());
    }
    for recipe in &recipes {
        stage.store(recipe)?;
    }
    let most = group.read("memory.max_usage_in_bytes").unwrap_or_default() >> 20;
    stage.close()?;
    words.sort();
    words.dedup();
    Ok(Verdict::Held(format!(
        "{}; all three together held at most {most} MiB, files' pages included",
        words.join(", ")
    )))
}

/// A fifth of a processor for all three.
pub(super) fn processor(index: &str) -> Result<Verdict> {
    let mut stage = Stage::open(index)?;
    let group = match Group::new("cpu", &[("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "20000")]) {
        Ok(group) => group,
        Err(error) => return Ok(Verdict::Skipped(format!("{error:#}"))),
    };
    for actor in Actor::ALL {
        group.take(stage.world.region.pid(actor).context("an actor runs")?)?;
    }
    let recipes: Vec<_> = (0..40).map(|_| stage.recipe(&[10_000])).collect();
    let begin = Instant::now();
    for recipe in &recipes {
        let (told, _) = stage.send(recipe)?;
        ensure!(!matches!(told, Told::Refused { .. }), "a submission comes to: {}", word(&told));
    }
    let took = begin.elapsed();
    drop(group);
    for recipe in &recipes {
        stage.store(recipe)?;
    }
    stage.close()?;
    Ok(Verdict::Held(format!("{:.0} submissions a second", 40.0 / took.as_secs_f64())))
}

/// Many connections of one address.
async fn connections(address: &str, from: Ipv4Addr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    let Ok(to) = address.parse::<SocketAddr>() else { return streams };
    for _ in 0..count {
        let Ok(socket) = TcpSocket::new_v4() else { break };
        if socket.bind(SocketAddr::from((from, 0))).is_err() {
            break;
        }
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(300), socket.connect(to)).await {
            streams.push(stream);
        }
    }
    streams
}

fn ninety_ninth(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() * 99 / 100).copied().unwrap_or_default()
}

/// A control group of the kernel, which goes when nobody is in it any more.
struct Group {
    folder: PathBuf,
    above: PathBuf,
}

impl Group {
    fn new(kind: &str, values: &[(&str, &str)]) -> Result<Group> {
        let above = PathBuf::from("/sys/fs/cgroup").join(kind);
        let folder = above.join(format!("docshare-faults-{}", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("making a control group for {kind}"))?;
        let group = Group { folder, above };
        for (name, value) in values {
            fs::write(group.folder.join(name), value).with_context(|| format!("setting {name}"))?;
        }
        Ok(group)
    }

    fn take(&self, pid: u32) -> Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string()).context("moving a process into a group")
    }

    fn read(&self, name: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(name)).ok()?.trim().parse().ok()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let members = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            let _ = fs::write(self.above.join("cgroup.procs"), pid);
        }
        let _ = fs::remove_dir(&self.folder);
    }
}
