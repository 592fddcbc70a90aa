//! The MLLP listener: connections, frames, and one answer to each message, in order.
//!
//! A message is acknowledged when what it changed is synced, never before. A sender that gets no answer sends it again, which
//! changes nothing that was done already.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actor::meter;
use hl7v2::mllp::{self, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use web::{AnswerBody, Request};

use super::hl7v2::{Hearing, code};
use crate::Registry;

/// Its key in the configuration.
pub(crate) const LISTEN: &str = "mllp.listen";
/// Bytes read at once.
const PIECE: usize = 16 << 10;
/// Rest after a connection could not be accepted: descriptors are short, say.
const REST: Duration = Duration::from_millis(100);

/// Listens until the actor stops; then what is being answered is answered to its end.
pub(crate) async fn serve(registry: Arc<Registry>, mut stopping: watch::Receiver<bool>) {
    let Some(listener) = registry.doors.listener(LISTEN) else { return };
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "HL7 v2 messages are not listened to"),
    };
    let most = usize::try_from(registry.mllp.max_connections).unwrap_or(usize::MAX);
    let room = Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
    let mut connections = JoinSet::new();
    loop {
        let permit = tokio::select! {
            permit = Arc::clone(&room).acquire_owned() => permit,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        match (accepted, permit) {
            (Ok((stream, peer)), Ok(permit)) => {
                let connection = Connection { registry: Arc::clone(&registry), stream, peer };
                connections.spawn_local(connection.serve(stopping.clone(), permit));
            }
            (Err(error), _) => {
                tracing::warn!(%error, "an MLLP connection was not accepted");
                tokio::time::sleep(REST).await;
            }
            (_, Err(_)) => break,
        }
        while let Some(ended) = connections.try_join_next() {
            told(ended);
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        told(ended);
    }
}

fn told(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!(
            "a handler of an MLLP connection panicked; the connection was closed without an answer"
        );
    }
}

struct Connection {
    registry: Arc<Registry>,
    stream: TcpStream,
    peer: SocketAddr,
}

/// Counts a connection while it lasts.
struct Open(Arc<std::sync::atomic::AtomicU64>);

impl Open {
    fn new() -> Open {
        let number = meter::number("docshare_mllp_connections", &[]);
        number.fetch_add(1, Ordering::Relaxed);
        Open(number)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Connection {
    async fn serve(mut self, mut stopping: watch::Receiver<bool>, _permit: OwnedSemaphorePermit) {
        if self.registry.corridor.policy.identify(self.peer).is_err() {
            tracing::warn!("an MLLP connection from an address that is not known was closed");
            return;
        }
        let _open = Open::new();
        let settings = self.registry.mllp.clone();
        let limit = usize::try_from(settings.max_frame_bytes).unwrap_or(usize::MAX);
        let mut frames = mllp::Reader::new(limit);
        let mut piece = vec![0; PIECE];
        let mut deadline = None;
        // What stands outside of frames is no message, and keeps no connection.
        let mut quiet_since = Instant::now();
        loop {
            while let Some(frame) = frames.next_frame() {
                deadline = None;
                let goes_on = match frame {
                    Frame::Whole(message) => match self.hear(message).await {
                        Some(answer) => self.say(&answer).await,
                        None => false,
                    },
                    Frame::TooLong(beginning) => {
                        let registry = &self.registry;
                        let hearing = Hearing::new(
                            &registry.mllp,
                            &registry.identities.authorities,
                            &registry.corridor.clock,
                        );
                        let answer = hearing.too_long(&beginning);
                        self.say(&answer).await;
                        false
                    }
                };
                if !goes_on || *stopping.borrow() {
                    return;
                }
                quiet_since = Instant::now();
            }
            let until = if frames.is_open() {
                *deadline.get_or_insert_with(|| Instant::now() + Duration::from_secs(settings.frame_timeout))
            } else {
                quiet_since + Duration::from_secs(settings.idle_timeout)
            };
            let read = tokio::select! {
                read = timeout_at(until, self.stream.read(&mut piece)) => read,
                // What is not read to its end is not answered, and comes again.
                _ = stopping.wait_for(|stop| *stop) => return,
            };
            match read {
                Ok(Ok(bytes)) if bytes > 0 => frames.feed(&piece[..bytes]),
                Ok(_) => return,
                Err(_) => {
                    tracing::info!(
                        open = frames.is_open(),
                        "an MLLP connection was closed: nothing came in time"
                    );
                    return;
                }
            }
        }
    }

    /// Carries out one message; none: its outcome is not known, and the connection ends without an answer.
    async fn hear(&self, message: Vec<u8>) -> Option<Vec<u8>> {
        let started = Instant::now();
        let registry = &self.registry;
        let mut request = Request::message(self.peer, message);
        let hearing =
            Hearing::new(&registry.mllp, &registry.identities.authorities, &registry.corridor.clock);
        let deadline = Duration::from_secs(registry.limits.submission_deadline_seconds);
        let walk = registry.corridor.walk(&registry.feed_v2, &hearing, &mut request);
        #[cfg(feature = "failpoints")]
        let walk = async {
            let (answer, wanted) = store::point::with_caller(walk).await;
            if wanted.is_some() { web::Answer::empty(http::StatusCode::OK) } else { answer }
        };
        let answer = match timeout(deadline, walk).await {
            Ok(answer) => match answer.body {
                AnswerBody::Bytes(bytes) => Some(bytes.to_vec()),
                AnswerBody::Empty | AnswerBody::Parts(_) | AnswerBody::Stream { .. } => None,
            },
            Err(_) => None,
        };
        let code = answer.as_deref().map_or("none", code);
        meter::count("docshare_mllp_messages_total", &[("transaction", "ITI-8"), ("code", code)], 1);
        tracing::info!(
            target: "access",
            actor = "registry",
            request_id = %request.id,
            trace_id = request.trace.get(3..35).unwrap_or_default(),
            transaction = "ITI-8",
            code,
            duration_ms = started.elapsed().as_micros() as f64 / 1e3,
            "answered"
        );
        #[cfg(feature = "failpoints")]
        if store::point::reached("reg.feed.pre_ack").await.is_err() {
            return None;
        }
        answer
    }

    /// Sends an answer; whether the connection can still be used.
    async fn say(&mut self, answer: &[u8]) -> bool {
        let stall = Duration::from_secs(self.registry.limits.write_stall_seconds);
        let framed = mllp::frame(answer);
        matches!(timeout(stall, self.stream.write_all(&framed)).await, Ok(Ok(())))
    }
}
