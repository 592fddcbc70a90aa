//! A load generator with little work of its own: keep-alive connections, raw HTTP/1.1, one thread.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Where requests come from and answers go to.
pub(super) trait Traffic {
    /// Writes the next request into the (empty) buffer; false when there is none left.
    fn next(&mut self, request: &mut Vec<u8>) -> bool;
    /// Takes an answer.
    fn answered(&mut self, _head: &[u8], _body: &[u8]) {}
}

/// The same few requests over and over.
pub(super) struct Round {
    requests: Vec<Vec<u8>>,
    at: usize,
}

impl Round {
    pub(super) fn new(requests: Vec<Vec<u8>>) -> Round {
        Round { requests, at: 0 }
    }

    /// `GET` of these paths.
    pub(super) fn get(authority: &str, paths: impl IntoIterator<Item = String>) -> Round {
        let request = |path: String| format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes();
        Round::new(paths.into_iter().map(request).collect())
    }
}

impl Traffic for Round {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        request.extend_from_slice(&self.requests[self.at]);
        self.at = (self.at + 1) % self.requests.len();
        true
    }
}

/// What a load has shown.
pub(super) struct Measured {
    /// Requests answered with success.
    pub(super) count: u64,
    /// How long they took together.
    pub(super) elapsed: Duration,
    /// Microseconds of each.
    latency: Histogram<u64>,
    failures: u64,
    first_failure: Option<String>,
}

impl Measured {
    /// Requests in a second.
    pub(super) fn rate(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts of a bench are small")]
        let count = self.count as f64;
        count / self.elapsed.as_secs_f64()
    }

    /// Milliseconds below which this part of the requests stayed.
    pub(super) fn quantile(&self, part: f64) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "latencies of a bench are small")]
        let microseconds = self.latency.value_at_quantile(part) as f64;
        microseconds / 1000.0
    }
}

/// Sends until the traffic ends or the time is over.
pub(super) fn drive(
    authority: &str,
    clients: usize,
    traffic: &mut dyn Traffic,
    time: Option<Duration>,
) -> Result<Measured> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let latency = Histogram::new_with_bounds(1, 120_000_000, 3).context("a histogram")?;
    let measured = Measured { count: 0, elapsed: Duration::ZERO, latency, failures: 0, first_failure: None };
    let shared = Rc::new(RefCell::new((traffic, measured)));
    let begin = Instant::now();
    let end = time.map(|time| begin + time);
    let tasks = LocalSet::new();
    let outcome = tasks.block_on(&runtime, async {
        let clients = (0..clients).map(|_| client(authority, &shared, end));
        futures_util::future::try_join_all(clients).await
    });
    outcome?;
    drop(tasks);
    let (_, mut measured) = Rc::into_inner(shared).context("all clients have ended")?.into_inner();
    measured.elapsed = begin.elapsed();
    if measured.failures > 0 {
        bail!(
            "{} requests failed, the first: {}",
            measured.failures,
            measured.first_failure.unwrap_or_default()
        );
    }
    Ok(measured)
}

type Shared<'a> = Rc<RefCell<(&'a mut dyn Traffic, Measured)>>;

async fn client(authority: &str, shared: &Shared<'_>, end: Option<Instant>) -> Result<()> {
    let mut stream =
        TcpStream::connect(authority).await.with_context(|| format!("connecting to {authority}"))?;
    stream.set_nodelay(true)?;
    let (mut request, mut answer) = (Vec::new(), Vec::with_capacity(256 << 10));
    loop {
        if end.is_some_and(|end| Instant::now() >= end) {
            return Ok(());
        }
        request.clear();
        if !shared.borrow_mut().0.next(&mut request) {
            return Ok(());
        }
        let begin = Instant::now();
        stream.write_all(&request).await.context("sending")?;
        let head = receive(&mut stream, &mut answer).await?;
        let took = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut shared = shared.borrow_mut();
        let (traffic, measured) = &mut *shared;
        if answer.get(9) == Some(&b'2') {
            measured.count += 1;
            measured.latency.saturating_record(took);
            traffic.answered(&answer[..head], &answer[head..]);
        } else {
            measured.failures += 1;
            let text = || String::from_utf8_lossy(&answer).chars().take(1500).collect();
            measured.first_failure.get_or_insert_with(text);
        }
    }
}

/// Reads one answer whole; the length of its head.
async fn receive(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<usize> {
    answer.clear();
    let head = loop {
        read(stream, answer).await?;
        if let Some(at) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
    };
    match length(&answer[..head])? {
        Some(length) => {
            while answer.len() < head + length {
                read(stream, answer).await?;
            }
        }
        None => {
            while !answer.ends_with(b"0\r\n\r\n") {
                read(stream, answer).await?;
            }
        }
    }
    Ok(head)
}

async fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> Result<()> {
    if stream.read_buf(answer).await.context("receiving")? == 0 {
        bail!("the server closed the connection after {} bytes", answer.len());
    }
    Ok(())
}

/// `Content-Length`, or none when the answer is chunked.
fn length(head: &[u8]) -> Result<Option<usize>> {
    let head = std::str::from_utf8(head).context("a head is text")?;
    for line in head.split("\r\n") {
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            return Ok(Some(value.trim().parse().context("a length is a number")?));
        }
    }
    Ok(None)
}
