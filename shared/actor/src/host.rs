//! The life of an actor: built on its own thread, served, drained, stopped, closed.

use std::net::{SocketAddr, TcpListener};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use access::Policy;
use futures_util::FutureExt as _;
use store::Store;
use tokio::sync::watch;
use web::{Limits, Network, Origin, Server, ServerSettings};

use crate::admin::{Admin, Probe, Reload};
use crate::clock::Clock;
use crate::corridor::Corridor;
use crate::front::Front;
use crate::run::{Actor, Doors, House};

/// How long a background task that panicked rests before it is begun again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long background tasks may take to notice that the actor stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// Everything an actor is launched with.
pub(crate) struct Plan<S> {
    pub(crate) settings: S,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) policy: Policy,
    pub(crate) secret: [u8; 32],
    pub(crate) limits: Limits,
    pub(crate) public_url: Option<String>,
    pub(crate) time_zone: jiff::tz::TimeZone,
    pub(crate) trusted_proxies: Vec<Network>,
    pub(crate) cors_origins: Vec<Origin>,
    pub(crate) workers: usize,
    pub(crate) drain: Duration,
    pub(crate) listener: TcpListener,
    pub(crate) admin: TcpListener,
    /// The actor's own ports.
    pub(crate) doors: Doors,
    /// The effective configuration, secrets taken out, for `/config`.
    pub(crate) shown: String,
}

/// A launched actor. Dropped, it stops without draining.
pub(crate) struct Launched {
    server: Option<Server>,
    admin: Option<Server>,
    life: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    ready: Arc<AtomicBool>,
    /// Loads again what can be loaded again.
    pub(crate) reload: Reload,
    pub(crate) address: SocketAddr,
    pub(crate) admin_address: SocketAddr,
}

/// Builds the actor and serves; answers when it is reachable, or with words for the operator.
pub(crate) fn launch<A: Actor>(plan: Plan<A::Settings>) -> Result<Launched, String> {
    let local = |listener: &TcpListener| listener.local_addr().map_err(|error| error.to_string());
    let own = plan.doors.addresses().into_iter().map(|(_, address)| Ok(address));
    for address in [local(&plan.listener), local(&plan.admin)].into_iter().chain(own) {
        let address = address?;
        if !plan.policy.may_listen(address) {
            return Err(format!(
                "{address} cannot be listened on under security.policy = \"local-development\""
            ));
        }
    }
    let (stop, stopping) = watch::channel(false);
    let ready = Arc::new(AtomicBool::new(false));
    let store = plan.store.clone();
    let house = House {
        settings: plan.settings,
        corridor: Corridor { policy: plan.policy, store: plan.store.clone(), clock: plan.clock.clone() },
        clock: plan.clock,
        limits: plan.limits.clone(),
        public_url: plan.public_url.clone(),
        time_zone: plan.time_zone,
        secret: plan.secret,
        stopping: stopping.clone(),
        carrier: None,
        doors: plan.doors,
    };
    let (actor, life) = live::<A>(house, store, stopping)?;
    let probe = Probe::new(Arc::clone(&actor), plan.store, Arc::clone(&ready), plan.shown);
    let reload = Arc::clone(&probe.reload);
    let settings = ServerSettings {
        workers: plan.workers,
        limits: plan.limits,
        public_url: plan.public_url,
        trusted_proxies: plan.trusted_proxies,
        cors_origins: plan.cors_origins,
        drain: plan.drain,
    };
    let in_words = |error: std::io::Error| format!("cannot serve: {error}");
    let admin = Server::start(plan.admin, Arc::new(Admin::new(probe)), admin_settings()).map_err(in_words)?;
    let server = Server::start(plan.listener, Arc::new(Front::new(actor)?), settings).map_err(in_words)?;
    ready.store(true, Ordering::Release);
    Ok(Launched {
        address: server.address(),
        admin_address: admin.address(),
        server: Some(server),
        admin: Some(admin),
        life: Some(life),
        stop,
        ready,
        reload,
    })
}

/// A comparison with the peers may take its time; what an operator may ask for is otherwise quick.
fn admin_settings() -> ServerSettings {
    let limits = Limits { submission_deadline_seconds: 15 * 60, ..Limits::default() };
    ServerSettings { limits, ..ServerSettings::default() }
}

/// Builds the actor on a thread of its own, where its background tasks then live until it stops.
fn live<A: Actor>(
    house: House<A::Settings>,
    store: Store,
    mut stopping: watch::Receiver<bool>,
) -> Result<(Arc<A>, JoinHandle<()>), String> {
    let (tell, told) = std::sync::mpsc::sync_channel::<Result<Arc<A>, String>>(1);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let work = move || {
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let actor = match A::build(house).await {
                Ok(actor) => Arc::new(actor),
                Err(words) => {
                    // Whoever launches waits for this word; if it is gone, so is the need for it.
                    drop(tell.send(Err(words)));
                    return;
                }
            };
            let count = Arc::clone(&actor).background().len();
            let tasks: Vec<_> = (0..count)
                .map(|number| tokio::task::spawn_local(lasting(Arc::clone(&actor), number, stopping.clone())))
                .collect();
            drop(tell.send(Ok(actor)));
            // An error means that the sender is gone: the actor was dropped, which is as good as stopped.
            drop(stopping.wait_for(|stop| *stop).await);
            if tokio::time::timeout(FAREWELL, futures_util::future::join_all(tasks)).await.is_err() {
                tracing::warn!("a background task did not end in time");
            }
            if let Err(error) = store.close().await {
                tracing::error!(%error, "the store was not closed cleanly");
            }
        });
    };
    let life = std::thread::Builder::new().name("life".to_owned()).spawn(work).map_err(|e| e.to_string())?;
    let actor = told.recv().map_err(|_| "the actor ended while it was built".to_owned())??;
    Ok((actor, life))
}

/// A background task for as long as the actor runs: one that panics is begun again, because nobody else does its work.
async fn lasting<A: Actor>(actor: Arc<A>, number: usize, mut stopping: watch::Receiver<bool>) {
    loop {
        let Some(task) = Arc::clone(&actor).background().into_iter().nth(number) else { return };
        if AssertUnwindSafe(task).catch_unwind().await.is_ok() {
            return;
        }
        tracing::error!(task = number, "a background task panicked and is begun again");
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
    }
}

impl Launched {
    /// Not ready, drained, background tasks ended, store closed: in this order.
    pub(crate) fn stop(mut self) {
        self.ready.store(false, Ordering::Release);
        if let Some(server) = self.server.take() {
            server.stop();
        }
        self.stop.send_replace(true);
        if let Some(life) = self.life.take()
            && life.join().is_err()
        {
            tracing::error!("the actor's own thread panicked");
        }
        if let Some(admin) = self.admin.take() {
            admin.stop();
        }
    }
}
