//! A proxy between two actors that does to their messages what networks do, on command.
//!
//! It reads whole requests and whole answers (HTTP/1.1, with a length or in chunks), so that a fault can be placed at a byte
//! of either. A request nobody has meant a fault for passes unharmed.
//!
//! ```no_run
//! # async fn run() -> std::io::Result<()> {
//! use testkit::proxy::{Fault, Proxy};
//! let proxy = Proxy::listen("127.0.0.1:8081".parse().expect("an address")).await?;
//! proxy.inject("POST /fhir", Fault::DropAnswer);
//! // … a request through http://{proxy.address()} is carried out, and its answer lost …
//! assert_eq!(proxy.counts().get("drop-answer"), Some(&1));
//! # Ok(())
//! # }
//! ```

mod fault;
mod frame;
mod relay;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

pub use fault::Fault;

use crate::Dice;
use frame::Message;

/// A listening proxy. It ends, with all its connections, when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: tokio::task::JoinHandle<()>,
}

/// What the connections of a proxy share.
pub(crate) struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    injected: Vec<Injected>,
    weather: Option<Weather>,
    counts: BTreeMap<&'static str, u64>,
    requests: u64,
    /// The last complete answer, and the head of its request.
    last: Option<(Vec<u8>, Vec<u8>)>,
    /// Statuses of what was delivered late; 0: it could not be.
    late: Vec<u16>,
    waiting: JoinSet<()>,
}

struct Injected {
    prefix: String,
    fault: Fault,
    /// How often it is still to be applied; none: to every request.
    left: Option<usize>,
}

/// Random faults.
struct Weather {
    dice: Dice,
    one_in: u64,
    longest: Duration,
}

impl Proxy {
    /// Listens on a free port of this machine, in front of this address.
    pub async fn listen(target: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { target, state: Mutex::default() });
        let accepting = tokio::spawn(accept(listener, shared.clone()));
        Ok(Proxy { address, shared, accepting })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://` and where it listens.
    pub fn host(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Does this to the next request that begins so, e.g. `POST /settle`; an empty beginning is any.
    pub fn inject(&self, prefix: &str, fault: Fault) {
        self.inject_times(prefix, fault, 1);
    }

    /// Does this to the next so many requests that begin so.
    pub fn inject_times(&self, prefix: &str, fault: Fault, times: usize) {
        self.shared.state().injected.push(Injected { prefix: prefix.to_owned(), fault, left: Some(times) });
    }

    /// Does this to every request that begins so, until [`Proxy::clear`].
    pub fn always(&self, prefix: &str, fault: Fault) {
        self.shared.state().injected.push(Injected { prefix: prefix.to_owned(), fault, left: None });
    }

    /// Does any fault to about one request in so many, chosen by this seed, until [`Proxy::clear`]. No delay is longer
    /// than this.
    pub fn weather(&self, seed: u64, one_in: u64, longest: Duration) {
        self.shared.state().weather = Some(Weather { dice: Dice::new(seed), one_in: one_in.max(1), longest });
    }

    /// No more faults from now on. What is held back is still delivered.
    pub fn clear(&self) {
        let mut state = self.shared.state();
        state.injected.clear();
        state.weather = None;
    }

    /// How often each fault was applied, by name.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.shared.state().counts.clone()
    }

    /// Requests that have come in.
    pub fn requests(&self) -> u64 {
        self.shared.state().requests
    }

    /// What the target answered to requests delivered late or twice, in order; 0: it could not be reached.
    pub fn late(&self) -> Vec<u16> {
        self.shared.state().late.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped together with this task, and every connection with it.
    let mut connections = JoinSet::new();
    loop {
        if let Ok((client, _)) = listener.accept().await {
            connections.spawn(relay::serve(client, shared.clone()));
        }
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault for a request with this head.
    fn fault_for(&self, head: &[u8]) -> Option<Fault> {
        let mut state = self.state();
        state.requests += 1;
        let meant = |one: &Injected| head.starts_with(one.prefix.as_bytes()) && one.left != Some(0);
        if let Some(injected) = state.injected.iter_mut().find(|one| meant(one)) {
            if let Some(left) = &mut injected.left {
                *left -= 1;
            }
            return Some(injected.fault.clone());
        }
        let weather = state.weather.as_mut()?;
        (weather.dice.below(weather.one_in) == 0).then(|| Fault::random(&mut weather.dice, weather.longest))
    }

    fn applied(&self, fault: &Fault) {
        *self.state().counts.entry(fault.name()).or_default() += 1;
    }

    fn remember(&self, request: &Message, answer: &[u8]) {
        self.state().last = Some((request.head().to_vec(), answer.to_vec()));
    }

    /// A complete answer that was given to another request.
    fn other_answer(&self, request: &Message) -> Option<Vec<u8>> {
        let state = self.state();
        state.last.as_ref().filter(|(head, _)| *head != request.head()).map(|(_, answer)| answer.clone())
    }

    /// Delivers a request after this time, and drops what is answered.
    fn deliver_late(self: &Arc<Shared>, request: Vec<u8>, after: Duration) {
        let shared = self.clone();
        let mut state = self.state();
        while state.waiting.try_join_next().is_some() {}
        state.waiting.spawn(async move {
            tokio::time::sleep(after).await;
            let status = shared.deliver(&request).await.unwrap_or_default();
            shared.state().late.push(status);
        });
    }

    async fn deliver(&self, request: &[u8]) -> io::Result<u16> {
        let mut target = TcpStream::connect(self.target).await?;
        tokio::io::AsyncWriteExt::write_all(&mut target, request).await?;
        let answer = frame::read_answer(&mut target, &mut Vec::new(), request).await?;
        Ok(answer.status())
    }
}
