//! What an actor is, and how one is started inside a test.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use access::Policy;
use futures_util::future::LocalBoxFuture;
use store::Store;
use web::{Answer, Carrier, Limits, Peer, PeerSettings, Request};

use crate::clock::Clock;
use crate::corridor::Corridor;
use crate::host::{Plan, launch};
use crate::report::Report;

/// What an actor is built with. `S` is the actor's own part of the configuration.
#[derive(Clone)]
pub struct House<S> {
    /// The actor's own sections.
    pub settings: S,
    /// The corridor, with its store.
    pub corridor: Corridor,
    /// Time.
    pub clock: Clock,
    /// Limits of requests.
    pub limits: Limits,
    /// `server.public_url`, if set: the FHIR base without trailing slash.
    pub public_url: Option<String>,
    /// `server.default_timezone`: the zone of dates that name none.
    pub time_zone: jiff::tz::TimeZone,
    /// 32 bytes that stay the same for this data directory: the key of page tokens.
    pub secret: [u8; 32],
    /// Becomes true when the actor shall stop: background tasks watch it.
    pub stopping: tokio::sync::watch::Receiver<bool>,
    /// What carries requests to peers where it is not the network: a simulation.
    pub carrier: Option<Arc<dyn Carrier>>,
    /// The listeners of the ports the actor asked for beside those of HTTP.
    pub doors: Doors,
}

/// A port an actor listens on beside those of HTTP, in a protocol of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Door {
    /// Its key in the configuration, e.g. `mllp.listen`.
    pub key: &'static str,
    /// Where.
    pub address: SocketAddr,
}

/// The listeners of an actor's own ports, by their keys. Bound before the actor is built, as its HTTP ports are; what is
/// connected meanwhile waits.
#[derive(Debug, Clone, Default)]
pub struct Doors(Arc<Vec<(&'static str, TcpListener)>>);

impl Doors {
    /// Listeners that are bound already.
    pub fn new(listeners: Vec<(&'static str, TcpListener)>) -> Doors {
        Doors(Arc::new(listeners))
    }

    /// The listener of a port, shared with whoever asked before.
    pub fn listener(&self, key: &str) -> Option<std::io::Result<TcpListener>> {
        self.0.iter().find(|(known, _)| *known == key).map(|(_, listener)| listener.try_clone())
    }

    /// Where each of them listens.
    pub fn addresses(&self) -> Vec<(&'static str, SocketAddr)> {
        let address =
            |(key, listener): &(&'static str, TcpListener)| Some((*key, listener.local_addr().ok()?));
        self.0.iter().filter_map(address).collect()
    }
}

impl<S> House<S> {
    /// A peer of this actor, under its name in the configuration.
    pub fn peer(&self, name: &'static str, settings: PeerSettings) -> Peer {
        Peer::new(name, settings).carried_by(self.carrier.clone())
    }
}

/// One thing `/readyz?verbose` tells.
#[derive(Debug, Clone)]
pub struct Check {
    /// What is checked.
    pub name: &'static str,
    /// Whether it holds.
    pub ok: bool,
    /// In words.
    pub text: String,
}

/// One line of an actor's table: method and path to a handler. `HEAD`, `OPTIONS` and 405 follow from it.
pub struct Route<A: 'static> {
    /// `GET`, `POST`, …
    pub method: &'static str,
    /// Path below the host, e.g. `/fhir/DocumentReference/{id}`.
    pub path: &'static str,
    /// `ITI-67`, or `none`: for metrics and logs.
    pub transaction: &'static str,
    /// What answers.
    pub serve: for<'a> fn(&'a A, &'a mut Request) -> LocalBoxFuture<'a, Answer>,
}

/// An actor: what it is called, how it is configured, built and asked.
pub trait Actor: Sized + Send + Sync + 'static {
    /// `registry`, `repository`, `identity`: also the name of its configuration file.
    const NAME: &'static str;
    /// The usual port of `server.listen`; that of `admin.listen` is ten more.
    const PORT: u16 = 0;
    /// The actor's own sections; unknown keys are refused (`deny_unknown_fields` throughout).
    type Settings: serde::de::DeserializeOwned + serde::Serialize + Default + Clone + Send + Sync + 'static;

    /// Builds it; refuses with words for the operator.
    fn build(house: House<Self::Settings>) -> impl Future<Output = Result<Self, String>>;
    /// The table.
    fn routes() -> &'static [Route<Self>];
    /// What is answered where no line of the table fits: 404, or 405 with the methods that do.
    fn unrouted(&self, request: &Request, allowed: &[&'static str]) -> Answer;
    /// An answer whose face has written it as `application/fhir+json`, in the form this request wants it: content type and
    /// body. None: as it is.
    fn dress(_request: &Request, _json: &[bytes::Bytes]) -> Option<(&'static str, Vec<u8>)> {
        None
    }
    /// Documentation of the actor's own keys: (dotted key, words), one for every key of `Settings`.
    fn keys() -> &'static [(&'static str, &'static str)];
    /// The ports it listens on beside those of HTTP, as its settings want them.
    fn doors(_settings: &Self::Settings) -> Vec<Door> {
        Vec::new()
    }
    /// What contradicts itself in the settings, or cannot be, in words for the operator, each with its key: told before anything
    /// is opened. `public_url` is `server.public_url`.
    fn faults(_settings: &Self::Settings, _public_url: Option<&str>) -> Vec<String> {
        Vec::new()
    }
    /// Tasks that run beside the requests until `stopping`.
    fn background(self: Arc<Self>) -> Vec<LocalBoxFuture<'static, ()>> {
        Vec::new()
    }
    /// What else must hold to be ready.
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
    /// Reads again what an operator may exchange while it runs; says in words what changed. What is bad changes nothing, and is
    /// refused with words for the operator.
    fn reload(&self) -> Result<String, String> {
        Ok("there is nothing to load again".to_owned())
    }
    /// What the admin listener answers beside its own paths.
    fn admin(&self, _request: &Request) -> Option<Answer> {
        None
    }
    /// The same for what takes a while: what operators do while it runs.
    fn operate(&self, _request: &Request) -> Option<LocalBoxFuture<'static, Answer>> {
        None
    }
    /// Compares what it keeps with what its peers know, and with `apply` puts right what can be put right; absent where
    /// there is nothing to compare. Refuses with words for the operator.
    fn reconcile(self: Arc<Self>, _apply: bool) -> Option<LocalBoxFuture<'static, Result<Report, String>>> {
        None
    }
    /// The peers it calls, under their names in the configuration: for `doctor`.
    fn peers(_settings: &Self::Settings) -> Vec<(&'static str, PeerSettings)> {
        Vec::new()
    }
    /// The actor's own failpoints.
    #[cfg(feature = "failpoints")]
    fn points() -> &'static [store::point::Point] {
        &[]
    }
}

/// An actor running inside this process, for tests.
pub struct Running {
    /// `http://127.0.0.1:port`.
    pub host: String,
    /// The same for the admin listener.
    pub admin: String,
    /// Where the ports of its own are, by their keys.
    pub doors: Vec<(&'static str, SocketAddr)>,
    /// Drop or call to stop and drain.
    pub stop: Box<dyn FnOnce() + Send>,
}

/// What an actor inside a test is started with.
pub struct Setup<S> {
    /// The actor's own sections.
    pub settings: S,
    /// Its store: share one between two starts to test a restart.
    pub store: Store,
    /// Its clock.
    pub clock: Clock,
    /// Limits of requests.
    pub limits: Limits,
    /// The key of page tokens.
    pub secret: [u8; 32],
    /// The zone of dates that name none.
    pub time_zone: jiff::tz::TimeZone,
}

impl<S> Setup<S> {
    /// A fresh memory store, the wall clock, the default limits.
    pub fn new(settings: S) -> Setup<S> {
        let store = Store::memory();
        Setup {
            settings,
            clock: Clock::wall(store.last_instant()),
            store,
            limits: Limits::default(),
            secret: fresh_secret(),
            time_zone: jiff::tz::TimeZone::UTC,
        }
    }
}

/// 32 bytes nobody knows.
pub(crate) fn fresh_secret() -> [u8; 32] {
    let mut secret = [0; 32];
    secret[..16].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    secret[16..].copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    secret
}

/// Starts an actor on port 0 with the memory engine and these settings; answers when it is ready. For tests: panics with
/// the actor's words if it cannot be built.
pub fn start<A: Actor>(settings: A::Settings) -> Running {
    start_with::<A>(Setup::new(settings))
}

/// The same with a store, a clock and limits of the test's choice.
pub fn start_with<A: Actor>(setup: Setup<A::Settings>) -> Running {
    let port = || TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
    let doors = A::doors(&setup.settings).into_iter().map(|door| {
        (door.key, TcpListener::bind(door.address).unwrap_or_else(|error| panic!("{}: {error}", door.key)))
    });
    let doors = Doors::new(doors.collect());
    let plan = Plan {
        doors: doors.clone(),
        settings: setup.settings,
        store: setup.store,
        clock: setup.clock,
        policy: Policy::LocalDevelopment,
        secret: setup.secret,
        limits: setup.limits,
        public_url: None,
        time_zone: setup.time_zone,
        trusted_proxies: Vec::new(),
        cors_origins: Vec::new(),
        workers: 2,
        drain: Duration::from_secs(5),
        listener: port(),
        admin: port(),
        shown: String::new(),
    };
    let launched =
        launch::<A>(plan).unwrap_or_else(|words| panic!("the {} does not start: {words}", A::NAME));
    Running {
        host: format!("http://{}", launched.address),
        admin: format!("http://{}", launched.admin_address),
        doors: doors.addresses(),
        stop: Box::new(move || launched.stop()),
    }
}
