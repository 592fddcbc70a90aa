//! A configured peer: requests with deadlines, and an honest word about what became of them.

use bytes::Bytes;
use http::HeaderMap;
use serde::{Deserialize, Serialize};

use crate::error::Error;

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// Base URL, e.g. `http://127.0.0.1:8081/fhir`; empty: there is no such peer.
    pub url: String,
    /// Milliseconds to connect.
    pub connect_timeout_ms: u64,
    /// Milliseconds until an answer must be complete.
    pub timeout_ms: u64,
    /// Tries of a request that is safe to repeat.
    pub tries: u32,
}

impl Default for PeerSettings {
    fn default() -> PeerSettings {
        PeerSettings { url: String::new(), connect_timeout_ms: 2_000, timeout_ms: 15_000, tries: 3 }
    }
}

/// What a peer answered.
#[derive(Debug, Clone)]
pub struct PeerAnswer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, at most 16 MiB.
    pub body: Bytes,
}

/// A peer. Cheap to clone.
#[derive(Clone)]
pub struct Peer {
    name: &'static str,
    settings: PeerSettings,
}

impl Peer {
    /// A peer under its name in the configuration.
    pub fn new(name: &'static str, settings: PeerSettings) -> Peer {
        Peer { name, settings }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its base URL without trailing slash.
    pub fn url(&self) -> &str {
        self.settings.url.trim_end_matches('/')
    }

    /// Sends one request to `url` + `path_and_query` and waits for the whole answer. Tried once: `NotReached` if nothing
    /// was sent (connection refused, breaker open), `Unknown` if it may have been carried out.
    pub async fn send(
        &self,
        _method: http::Method,
        _path_and_query: &str,
        _headers: &[(&'static str, String)],
        _body: Bytes,
    ) -> Result<PeerAnswer, Error> {
        todo!()
    }
}
