//! A listener that nobody should ever connect to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use tokio::net::TcpListener;

/// Counts the connections made to it.
pub struct Canary {
    port: u16,
    seen: Arc<AtomicUsize>,
}

impl Canary {
    /// Listens on a free port of the loopback.
    pub async fn listen() -> Result<Canary> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listening as canary")?;
        let port = listener.local_addr().context("asking for the canary's port")?.port();
        let seen = Arc::new(AtomicUsize::new(0));
        let counter = seen.clone();
        tokio::spawn(async move {
            while listener.accept().await.is_ok() {
                counter.fetch_add(1, Ordering::SeqCst);
            }
        });
        Ok(Canary { port, seen })
    }

    /// `http://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How many connections there were.
    pub fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}
