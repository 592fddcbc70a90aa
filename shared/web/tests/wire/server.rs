//! A small server to try things on, and a socket to try them with.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use web::{Answer, AnswerBody, Error, Limits, Refusal, Request, Server, ServerSettings, Service};

/// Counts what reaches it, and answers by the path.
#[derive(Default)]
pub(crate) struct Probe {
    pub(crate) asked: AtomicUsize,
    pub(crate) finished: AtomicUsize,
}

pub(crate) const LONG: usize = 300_000;

impl Service for Probe {
    async fn answer(&self, request: &mut Request) -> Answer {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match (&request.method, request.path.as_str()) {
            (_, "/read") => match request.body.whole(1 << 20, "server.limits.max_body_bytes").await {
                Ok(bytes) => Answer::bytes(StatusCode::OK, "application/octet-stream", bytes),
                Err(error) => refusal(&error),
            },
            (_, "/count") => {
                let mut count = 0;
                loop {
                    match request.body.next().await {
                        None => return Answer::bytes(StatusCode::OK, "text/plain", count.to_string()),
                        Some(Ok(bytes)) => count += bytes.len(),
                        Some(Err(error)) => return refusal(&error),
                    }
                }
            }
            (_, "/slow") => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                self.finished.fetch_add(1, Ordering::SeqCst);
                Answer::empty(StatusCode::OK)
            }
            (_, "/parts") => {
                let parts = vec![
                    Bytes::from_static(b"[1,"),
                    Bytes::new(),
                    Bytes::from(vec![b'2'; LONG]),
                    Bytes::from_static(b"]"),
                ];
                Answer::empty(StatusCode::OK)
                    .with(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/fhir+json"))
                    .body(AnswerBody::Parts(parts))
            }
            (_, "/cut") => {
                let parts = [Ok(Bytes::from_static(b"begun")), Err(Error::Source("damaged".to_owned()))];
                let stream = Box::pin(futures_util::stream::iter(parts));
                Answer::empty(StatusCode::OK).body(AnswerBody::Stream { length: 10, stream })
            }
            (_, "/echo-head") => {
                let words = format!("{} {} {}", request.base, request.id, request.trace);
                Answer::bytes(StatusCode::OK, "text/plain", words)
            }
            (&Method::GET | &Method::HEAD, _) => Answer::bytes(StatusCode::OK, "text/plain", "hello"),
            _ => Answer::empty(StatusCode::METHOD_NOT_ALLOWED)
                .with(http::header::ALLOW, http::HeaderValue::from_static("GET, HEAD")),
        }
    }

    fn refused(&self, refusal: &Refusal, _id: &str) -> Answer {
        Answer::bytes(refusal.status(), "text/plain", refusal.told().2)
    }
}

fn refusal(error: &Error) -> Answer {
    let status = match error {
        Error::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Error::Slow => StatusCode::REQUEST_TIMEOUT,
        Error::Coding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut answer = Answer::bytes(status, "text/plain", error.to_string());
    answer.close = true;
    answer
}

/// A server for one test.
pub(crate) struct World {
    pub(crate) probe: Arc<Probe>,
    pub(crate) address: SocketAddr,
    _server: Server,
}

impl World {
    pub(crate) fn new() -> World {
        World::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> World {
        let probe = Arc::new(Probe::default());
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("loopback has a free port");
        let settings = ServerSettings { limits, ..ServerSettings::default() };
        let server = Server::start(listener, Arc::clone(&probe), settings).expect("it starts");
        World { probe, address: server.address(), _server: server }
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).expect("it listens");
        socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket has a timeout");
        socket
    }

    /// Sends bytes and reads until the other side closes.
    pub(crate) fn exchange(&self, bytes: &[u8]) -> String {
        let mut socket = self.connect();
        // The server may refuse before it has read everything.
        drop(socket.write_all(bytes));
        read_to_close(&mut socket)
    }

    pub(crate) fn asked(&self) -> usize {
        self.probe.asked.load(Ordering::SeqCst)
    }

    /// A healthy request is still answered.
    pub(crate) fn is_well(&self) {
        let answer = self.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
    }
}

pub(crate) fn read_to_close(socket: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    if let Err(error) = socket.read_to_end(&mut answer) {
        assert!(error.kind() == std::io::ErrorKind::ConnectionReset, "the connection stayed open: {error}");
    }
    String::from_utf8_lossy(&answer).into_owned()
}

pub(crate) fn statuses(answers: &str) -> Vec<u16> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)?.parse().ok()).collect()
}
