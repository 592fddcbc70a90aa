//! The listener: connections, frames, and one answer to each message, in order.
//!
//! A message is acknowledged when what it changed is synced, never before. A sender that gets no answer sends it again, which
//! changes nothing that was done already.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use access::Policy;
use actor::{Doors, House, meter};
use hl7v2::mllp::{self, Frame};
use parking_lot::RwLock;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;
use web::{AnswerBody, Request};

use crate::hearing::code;
use crate::settings::{LISTEN, Settings};
use crate::tls;

/// Bytes read at once.
const PIECE: usize = 16 << 10;
/// Rest after a connection could not be accepted: descriptors are short, say.
const REST: Duration = Duration::from_millis(100);
/// The first byte of a record of TLS that begins a handshake.
const HANDSHAKE: u8 = 0x16;

/// What a server listens with.
pub struct Ear {
    settings: Settings,
    doors: Doors,
    policy: Policy,
    /// How long a sender may take to take a further byte of an answer.
    stall: Duration,
    /// How long the answer to a message may take.
    deadline: Duration,
    tls: RwLock<Option<Arc<ServerConfig>>>,
    /// Name of the actor, for the log.
    actor: &'static str,
}

impl Ear {
    /// Of an actor, by its name; certificates are read now.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn new<S>(settings: Settings, house: &House<S>, actor: &'static str) -> Result<Ear, String> {
        settings.address()?;
        Ok(Ear {
            tls: RwLock::new(tls::server(&settings.tls)?),
            settings,
            doors: house.doors.clone(),
            policy: house.corridor.policy.clone(),
            stall: Duration::from_secs(house.limits.write_stall_seconds),
            deadline: Duration::from_secs(house.limits.submission_deadline_seconds),
            actor,
        })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How long the answer to a message may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Where it listens, in words; none: nowhere.
    pub fn place(&self) -> Option<String> {
        let (_, address) = self.doors.addresses().into_iter().find(|(key, _)| *key == LISTEN)?;
        let tls = &self.settings.tls;
        let how = match (self.tls.read().is_some(), tls.client_ca.as_os_str().is_empty()) {
            (false, _) => "",
            (true, true) => ", TLS",
            (true, false) => ", TLS with certificates of both",
        };
        Some(format!("{address}{how}"))
    }

    /// Reads the certificates again; connections that are open keep theirs.
    ///
    /// # Errors
    /// Words for the operator; then the old ones stay.
    pub fn reload(&self) -> Result<(), String> {
        let config = tls::server(&self.settings.tls)?;
        *self.tls.write() = config;
        Ok(())
    }
}

/// What became of a message.
pub struct Heard {
    /// The answer; none: its outcome is not known, and the connection ends without one.
    pub answer: Option<Vec<u8>>,
    /// Which transaction it was: `ITI-8`.
    pub transaction: &'static str,
}

/// A server that messages are sent to.
pub trait Receiver {
    /// What it listens with.
    fn ear(&self) -> &Ear;
    /// Carries out one message.
    fn hear(&self, message: &mut Request) -> impl Future<Output = Heard>;
    /// The answer to a message that is longer than the limit, by its beginning.
    fn too_long(&self, beginning: &[u8]) -> Vec<u8>;
    /// Passed between the outcome of a message and its answer; false: it is not sent, and the connection ends.
    fn may_answer(&self) -> impl Future<Output = bool> {
        std::future::ready(true)
    }
}

/// The answer of a transaction that walks the corridor for a message; none: there is none in time, or none that may be told.
pub async fn carried(deadline: Duration, walk: impl Future<Output = web::Answer>) -> Option<Vec<u8>> {
    #[cfg(feature = "failpoints")]
    let walk = async {
        let (answer, wanted) = store::point::with_caller(walk).await;
        if wanted.is_some() { crate::Hearing::silence() } else { answer }
    };
    match timeout(deadline, walk).await {
        Ok(answer) => match answer.body {
            AnswerBody::Bytes(bytes) => Some(bytes.to_vec()),
            AnswerBody::Empty | AnswerBody::Parts(_) | AnswerBody::Stream { .. } => None,
        },
        Err(_) => None,
    }
}

/// Listens until the actor stops; then what is being answered is answered to its end.
pub async fn serve<R: Receiver + 'static>(receiver: Arc<R>, mut stopping: watch::Receiver<bool>) {
    let Some(listener) = receiver.ear().doors.listener(LISTEN) else { return };
    let listener = listener.and_then(|listener| {
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener)
    });
    let listener = match listener {
        Ok(listener) => listener,
        Err(error) => return tracing::error!(%error, "HL7 v2 messages are not listened to"),
    };
    let most = usize::try_from(receiver.ear().settings.max_connections).unwrap_or(usize::MAX);
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
                connections.spawn_local(welcome(
                    Arc::clone(&receiver),
                    stream,
                    peer,
                    stopping.clone(),
                    permit,
                ));
            }
            (Err(error), _) => {
                tracing::warn!(%error, "an MLLP connection was not accepted");
                tokio::time::sleep(REST).await;
            }
            (_, Err(_)) => break,
        }
        while let Some(ended) = connections.try_join_next() {
            noted(ended);
        }
    }
    drop(listener);
    while let Some(ended) = connections.join_next().await {
        noted(ended);
    }
}

fn noted(ended: Result<(), tokio::task::JoinError>) {
    if ended.is_err_and(|error| error.is_panic()) {
        tracing::error!(
            "a handler of an MLLP connection panicked; the connection was closed without an answer"
        );
    }
}

/// Counts a connection while it lasts.
struct Open(Arc<AtomicU64>);

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

/// Serves a connection, if whoever is at its other end may connect, in the way the configuration wants it.
async fn welcome<R: Receiver>(
    receiver: Arc<R>,
    stream: TcpStream,
    peer: SocketAddr,
    mut stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
) {
    let ear = receiver.ear();
    if ear.policy.identify(peer).is_err() {
        tracing::warn!("an MLLP connection from an address that is not known was closed");
        return;
    }
    let _open = Open::new();
    let tls = ear.tls.read().clone();
    let Some(config) = tls else {
        return Connection { receiver: &*receiver, stream, peer }.serve(stopping).await;
    };
    let limit = Duration::from_secs(ear.settings.frame_timeout);
    let shaken = tokio::select! {
        shaken = timeout(limit, handshake(config, stream)) => shaken,
        _ = stopping.wait_for(|stop| *stop) => return,
    };
    match shaken {
        Ok(Ok(stream)) => Connection { receiver: &*receiver, stream: *stream, peer }.serve(stopping).await,
        Ok(Err(error)) => tracing::warn!(%peer, %error, "an MLLP connection was closed"),
        Err(_) => {
            tracing::info!(%peer, "an MLLP connection was closed: its TLS handshake did not end in time")
        }
    }
}

async fn handshake(
    config: Arc<ServerConfig>,
    stream: TcpStream,
) -> std::io::Result<Box<tokio_rustls::server::TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 1 && first[0] != HANDSHAKE {
        return Err(std::io::Error::other(
            "it is plain, and this listener speaks TLS only (mllp.tls.certificate)",
        ));
    }
    TlsAcceptor::from(config).accept(stream).await.map(Box::new)
}

struct Connection<'a, R, S> {
    receiver: &'a R,
    stream: S,
    peer: SocketAddr,
}

impl<R: Receiver, S: AsyncRead + AsyncWrite + Unpin> Connection<'_, R, S> {
    async fn serve(mut self, mut stopping: watch::Receiver<bool>) {
        let settings = self.receiver.ear().settings.clone();
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
                        let answer = self.receiver.too_long(&beginning);
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
        let mut request = Request::message(self.peer, message);
        let Heard { answer, transaction } = self.receiver.hear(&mut request).await;
        let code = answer.as_deref().map_or("none", code);
        meter::count("docshare_mllp_messages_total", &[("transaction", transaction), ("code", code)], 1);
        tracing::info!(
            target: "access",
            actor = self.receiver.ear().actor,
            request_id = %request.id,
            trace_id = request.trace.get(3..35).unwrap_or_default(),
            transaction,
            code,
            duration_ms = started.elapsed().as_micros() as f64 / 1e3,
            "answered"
        );
        if self.receiver.may_answer().await { answer } else { None }
    }

    /// Sends an answer; whether the connection can still be used.
    async fn say(&mut self, answer: &[u8]) -> bool {
        let framed = mllp::frame(answer);
        let said = async {
            self.stream.write_all(&framed).await?;
            self.stream.flush().await
        };
        matches!(timeout(self.receiver.ear().stall, said).await, Ok(Ok(())))
    }
}
