//! Running an actor: as a process (`main`), or inside a test (`start`).

use std::process::ExitCode;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use web::{Answer, Limits, Request};

use crate::clock::Clock;
use crate::corridor::Corridor;

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
    /// 32 bytes that stay the same for this data directory: the key of page tokens.
    pub secret: [u8; 32],
    /// Becomes true when the actor shall stop: background tasks watch it.
    pub stopping: tokio::sync::watch::Receiver<bool>,
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
    /// The actor's own sections; unknown keys are refused (`deny_unknown_fields` throughout).
    type Settings: serde::de::DeserializeOwned + serde::Serialize + Default + Clone + Send + Sync + 'static;

    /// Builds it; refuses with words for the operator.
    fn build(house: House<Self::Settings>) -> impl Future<Output = Result<Self, String>>;
    /// The table.
    fn routes() -> &'static [Route<Self>];
    /// What is answered where no line of the table fits: 404, or 405 with the methods that do.
    fn unrouted(&self, request: &Request, allowed: &[&'static str]) -> Answer;
    /// Documentation of the actor's own keys: (dotted key, words), one for every key of `Settings`.
    fn keys() -> &'static [(&'static str, &'static str)];
    /// Tasks that run beside the requests until `stopping`.
    fn background(self: Arc<Self>) -> Vec<LocalBoxFuture<'static, ()>> {
        Vec::new()
    }
    /// What else must hold to be ready.
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}

/// Runs an actor as a process: reads arguments and configuration, opens storage, listens, stops on a signal.
pub fn main<A: Actor>() -> ExitCode {
    todo!()
}

/// An actor running inside this process, for tests.
pub struct Running {
    /// `http://127.0.0.1:port`.
    pub host: String,
    /// The same for the admin listener.
    pub admin: String,
    /// Drop or call to stop and drain.
    pub stop: Box<dyn FnOnce() + Send>,
}

/// Starts an actor on port 0 with the memory engine and these settings; answers when it is ready.
pub fn start<A: Actor>(_settings: A::Settings) -> Running {
    todo!()
}
