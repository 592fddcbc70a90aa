//! A peer that takes HL7 v2 messages: one is sent, and its answer waited for.

use std::sync::Arc;
use std::time::Duration;

use hl7v2::mllp::{self, Frame};
use hl7v2::{Code, Limits, Message};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;
use web::ClientTls;

use crate::tls;

/// Bytes of an answer.
const MAX_ANSWER: usize = 1 << 20;
/// A connection that was not used for so long is not used again: whatever lies between may have forgotten it.
const IDLE: Duration = Duration::from_secs(60);

/// How a peer is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerSettings {
    /// Host and port, e.g. `pix.example:2575`; empty: there is no such peer.
    pub address: String,
    /// Milliseconds to connect, the handshake of TLS included; the key is `connect_timeout`.
    #[serde(rename = "connect_timeout", with = "web::units::millis")]
    pub connect_timeout_ms: u64,
    /// Milliseconds until an answer must be complete; the key is `timeout`.
    #[serde(rename = "timeout", with = "web::units::millis")]
    pub timeout_ms: u64,
    /// TLS; without an authority the connection is plain.
    pub tls: ClientTls,
}

impl Default for PeerSettings {
    fn default() -> PeerSettings {
        PeerSettings {
            address: String::new(),
            connect_timeout_ms: 5_000,
            timeout_ms: 30_000,
            tls: ClientTls::default(),
        }
    }
}

/// What a peer answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// MSA-1; `CA`, `CE` and `CR` of the enhanced mode count as `AA`, `AE` and `AR`.
    pub code: Code,
    /// What it says of it: MSA-3, or what stands in its ERR segments.
    pub text: String,
    /// The whole answer.
    pub message: Message,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsent {
    /// Nothing was sent: no connection.
    #[error("{0}")]
    NotReached(String),
    /// It was sent, or a part of it, and no answer came: it may have been carried out. Sent again with the same MSH-10, a
    /// receiver can tell that it is the same.
    #[error("{0}")]
    Unknown(String),
    /// The same, but something came that is no acknowledgement of the message; the words repeat parts of it.
    #[error("{0}")]
    Unreadable(String),
    /// What was to be sent is no message.
    #[error("{0}")]
    NoMessage(String),
}

/// A peer, cheap to clone. It has one connection, which is used again; a second message waits for the answer to the first.
#[derive(Clone)]
pub struct Client(Arc<Line>);

struct Line {
    settings: PeerSettings,
    tls: Option<Arc<ClientConfig>>,
    connection: Mutex<Option<Connection>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

struct Connection {
    stream: Box<dyn Stream>,
    used: Instant,
}

impl Client {
    /// A peer; its certificates are read now.
    ///
    /// # Errors
    /// Words for the operator.
    pub fn new(settings: PeerSettings) -> Result<Client, String> {
        let tls = tls::client(&settings.tls)?;
        Ok(Client(Arc::new(Line { settings, tls, connection: Mutex::new(None) })))
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.0.settings.address
    }

    /// Sends a message (`MSH|…`, segments ended by carriage returns, without a frame) and waits for the answer whose MSA-2 is
    /// its MSH-10. Must be called within the runtime that drives the connection.
    ///
    /// # Errors
    /// No answer came; [`Unsent`] says whether the message may have been carried out.
    pub async fn send(&self, message: &[u8]) -> Result<Answer, Unsent> {
        let read = Message::read(message, &Limits::AMPLE)
            .map_err(|unread| Unsent::NoMessage(unread.refusal.text))?;
        let id = &read.header().control_id;
        let mut kept = self.0.connection.lock().await;
        // Taken out: whatever goes wrong from here on, the connection is not used again.
        let mut before = kept.take();
        if let Some(connection) = &mut before
            && !connection.is_usable().await
        {
            before = None;
        }
        let mut connection = match before {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        let until = Instant::now() + Duration::from_millis(self.0.settings.timeout_ms);
        let exchanged = timeout_at(until, connection.exchange(message)).await;
        let answer = match exchanged {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.unknown(&error)),
            Err(_) => return Err(self.unknown("no answer came in time")),
        };
        let address = self.address();
        let answer =
            understood(&answer, id).map_err(|text| Unsent::Unreadable(format!("{address}: {text}")))?;
        connection.used = Instant::now();
        *kept = Some(connection);
        Ok(answer)
    }

    fn unknown(&self, text: &str) -> Unsent {
        Unsent::Unknown(format!("{}: {text}", self.0.settings.address))
    }

    async fn connect(&self) -> Result<Connection, Unsent> {
        let address = &self.0.settings.address;
        let away = |error: &dyn std::fmt::Display| Unsent::NotReached(format!("{address}: {error}"));
        let limit = Duration::from_millis(self.0.settings.connect_timeout_ms);
        let stream = timeout(limit, self.open()).await.map_err(|_| away(&"no connection in time"))?;
        let stream = stream.map_err(|error| away(&error))?;
        Ok(Connection { stream, used: Instant::now() })
    }

    async fn open(&self) -> std::io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(&self.0.settings.address).await?;
        stream.set_nodelay(true)?;
        let Some(config) = &self.0.tls else { return Ok(Box::new(stream)) };
        let host = match self.0.settings.tls.server_name.trim() {
            "" => self.0.settings.address.rsplit_once(':').map_or("", |(host, _)| host),
            name => name,
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(host).map_err(std::io::Error::other)?;
        let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await?;
        Ok(Box::new(stream))
    }
}

impl Connection {
    /// Whether the peer has not closed it meanwhile, nor said anything nobody waited for.
    async fn is_usable(&mut self) -> bool {
        let mut byte = [0];
        self.used.elapsed() < IDLE && timeout(Duration::ZERO, self.stream.read(&mut byte)).await.is_err()
    }

    async fn exchange(&mut self, message: &[u8]) -> Result<Vec<u8>, String> {
        let broken = |error: std::io::Error| error.to_string();
        self.stream.write_all(&mllp::frame(message)).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)?;
        let mut frames = mllp::Reader::new(MAX_ANSWER);
        let mut piece = vec![0; 4 << 10];
        loop {
            match frames.next_frame() {
                Some(Frame::Whole(answer)) => return Ok(answer),
                Some(Frame::TooLong(_)) => {
                    return Err(format!("the answer has more than {MAX_ANSWER} bytes"));
                }
                None => {}
            }
            match self.stream.read(&mut piece).await.map_err(broken)? {
                0 => return Err("the connection was closed before an answer came".to_owned()),
                bytes => frames.feed(&piece[..bytes]),
            }
        }
    }
}

fn understood(answer: &[u8], id: &str) -> Result<Answer, String> {
    let message = Message::read(answer, &Limits::AMPLE)
        .map_err(|unread| format!("the answer cannot be read: {}", unread.refusal.text))?;
    let code = match message.field("MSA", 1).raw().trim() {
        "AA" | "CA" => Code::Accept,
        "AE" | "CE" => Code::Error,
        "AR" | "CR" => Code::Reject,
        other => return Err(format!("the answer has no acknowledgement code in MSA-1, but {other:?}")),
    };
    let meant = message.field("MSA", 2).raw().trim();
    if meant != id {
        return Err(format!("the answer is to the message {meant:?} (MSA-2), and {id:?} was sent"));
    }
    let text = said(&message);
    Ok(Answer { code, text, message })
}

/// What an answer says in words.
fn said(message: &Message) -> String {
    let texts = [
        message.field("ERR", 8).text(),
        message.field("MSA", 3).text(),
        message.field("ERR", 7).text(),
        message.field("ERR", 3).text(),
        message.field("ERR", 1).text(),
    ];
    texts.into_iter().map(|text| text.trim().to_owned()).find(|text| !text.is_empty()).unwrap_or_default()
}
