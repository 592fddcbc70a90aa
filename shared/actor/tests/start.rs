//! An actor inside a test: reached, asked, refused, stopped.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actor::{Actor, House, Route};
use futures_util::future::LocalBoxFuture;
use http::{Method, StatusCode};
use web::{Answer, Peer, PeerSettings, Request};

#[derive(Default)]
struct Echo {
    /// How often the background task was begun.
    begun: AtomicUsize,
}

impl Actor for Echo {
    const NAME: &'static str = "echo";
    type Settings = ();

    async fn build(_house: House<()>) -> Result<Echo, String> {
        Ok(Echo::default())
    }

    fn routes() -> &'static [Route<Echo>] {
        &[
            Route { method: "POST", path: "/fhir", transaction: "none", serve: echo },
            Route { method: "GET", path: "/fhir/broken", transaction: "none", serve: broken },
            Route { method: "POST", path: "/fhir/broken", transaction: "none", serve: broken },
            Route { method: "GET", path: "/fhir/begun", transaction: "none", serve: begun },
            Route { method: "GET", path: "/fhir/Thing/{id}", transaction: "ITI-0", serve: name },
        ]
    }

    fn unrouted(&self, _request: &Request, allowed: &[&'static str]) -> Answer {
        Answer::empty(if allowed.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::METHOD_NOT_ALLOWED })
    }

    fn keys() -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn background(self: Arc<Self>) -> Vec<LocalBoxFuture<'static, ()>> {
        vec![Box::pin(async move {
            if self.begun.fetch_add(1, Ordering::SeqCst) == 0 {
                panic!("as this test wants it");
            }
        })]
    }
}

fn echo<'a>(_echo: &'a Echo, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async {
        match request.body.whole(1 << 20, "server.limits.max_body_bytes").await {
            Ok(bytes) => Answer::bytes(StatusCode::OK, "application/octet-stream", bytes),
            Err(web::Error::TooLarge { .. }) => {
                let mut answer = Answer::empty(StatusCode::PAYLOAD_TOO_LARGE);
                answer.close = true;
                answer
            }
            Err(_) => Answer::empty(StatusCode::BAD_REQUEST),
        }
    })
}

fn name<'a>(_echo: &'a Echo, request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async {
        let words = format!("{} {} {}", request.params.get("id").unwrap_or("?"), request.path, request.base);
        Answer::bytes(StatusCode::OK, "text/plain", words)
    })
}

fn begun<'a>(echo: &'a Echo, _request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    let begun = echo.begun.load(Ordering::SeqCst).to_string();
    Box::pin(async { Answer::bytes(StatusCode::OK, "text/plain", begun) })
}

fn broken<'a>(_echo: &'a Echo, _request: &'a mut Request) -> LocalBoxFuture<'a, Answer> {
    Box::pin(async { panic!("as this test wants it") })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_panics_answers_an_outcome_and_harms_nobody() {
    let running = actor::start::<Echo>(());
    let host = peer(&running.host);
    for method in [Method::GET, Method::POST] {
        let answer = host.send(method, "/fhir/broken", &[], Default::default()).await.expect("it is there");
        assert_eq!(answer.status, 500);
        let outcome = String::from_utf8(answer.body.to_vec()).expect("text");
        assert!(outcome.contains("OperationOutcome") && !outcome.contains("test wants"), "{outcome}");
    }
    assert_eq!(get(&host, "/fhir/Thing/1").await.0, 200);
}

#[test]
fn a_request_that_cannot_be_read_is_answered_an_outcome() {
    let running = actor::start::<Echo>(());
    let answer = raw(&running.host, b"GET /fhir/metadata HTTP/1.1\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 400") && answer.contains("\"resourceType\":\"OperationOutcome\""),
        "{answer}"
    );
    let answer =
        raw(&running.host, b"OPTIONS /fhir/Thing/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 204") && answer.contains("allow: GET, HEAD, OPTIONS"), "{answer}");
    let answer = raw(&running.host, b"DELETE /fhir/Thing/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405") && answer.contains("allow: GET, HEAD, OPTIONS"), "{answer}");
}

fn peer(url: &str) -> Peer {
    Peer::new("echo", PeerSettings { url: url.to_owned(), timeout_ms: 5_000, ..PeerSettings::default() })
}

async fn get(peer: &Peer, path: &str) -> (u16, String) {
    let answer = peer.send(Method::GET, path, &[], Default::default()).await.expect("it is there");
    (answer.status, String::from_utf8(answer.body.to_vec()).expect("text"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_actor_is_started_asked_and_stopped() {
    let running = actor::start::<Echo>(());
    let host = peer(&running.host);
    let (status, words) = get(&host, "/fhir/Thing/a%2Db").await;
    assert_eq!((status, words), (200, format!("a-b /Thing/a%2Db {}/fhir", running.host)));
    for no_id in ["/fhir/Thing/a%20b", "/fhir/Thing/$operation"] {
        assert_eq!(get(&host, no_id).await.0, 404, "what cannot be an id reaches no handler: {no_id}");
    }
    let body = bytes::Bytes::from(vec![7u8; 300_000]);
    let answer = host.send(Method::POST, "/fhir", &[], body.clone()).await.expect("it is there");
    assert_eq!((answer.status, answer.body), (200, body));
    assert_eq!(answer.headers["x-content-type-options"], "nosniff");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["x-request-id"].len(), 36);

    let admin = peer(&running.admin);
    assert_eq!(get(&admin, "/readyz").await, (200, "ready\n".to_owned()));
    assert_eq!(get(&admin, "/livez").await.0, 200);
    let (_, metrics) = get(&admin, "/metrics").await;
    let line =
        "docshare_http_requests_total{actor=\"echo\",transaction=\"ITI-0\",method=\"GET\",status=\"200\"}";
    assert!(metrics.contains(line), "{metrics}");

    tokio::task::spawn_blocking(running.stop).await.expect("it stops");
    let gone = host.send(Method::GET, "/fhir/Thing/1", &[], Default::default()).await;
    assert!(matches!(gone, Err(web::Error::NotReached { .. })), "{gone:?}");
}

/// Sends bytes on a socket and reads until the other side closes.
fn raw(host: &str, bytes: &[u8]) -> String {
    let mut socket = TcpStream::connect(host.trim_start_matches("http://")).expect("it listens");
    socket.set_read_timeout(Some(Duration::from_secs(5))).expect("a socket has a timeout");
    socket.write_all(bytes).expect("it reads");
    let mut answer = Vec::new();
    // A reset after the answer is no worse than an orderly close.
    drop(socket.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn requests_that_follow_on_one_connection_are_answered_in_order() {
    let running = actor::start::<Echo>(());
    let answers = raw(
        &running.host,
        b"POST /fhir HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n\
          POST /fhir/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nfgh\
          HEAD /fhir/Thing/1 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    let bodies: Vec<&str> =
        answers.split("HTTP/1.1 200 OK").skip(1).map(|a| a.rsplit("\r\n\r\n").next().unwrap_or("")).collect();
    assert_eq!(bodies, ["abcde", "fgh", ""], "{answers}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_background_task_that_panics_is_begun_again() {
    let running = actor::start::<Echo>(());
    let host = peer(&running.host);
    let mut begun = get(&host, "/fhir/begun").await.1;
    for _ in 0..100 {
        if begun == "2" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        begun = get(&host, "/fhir/begun").await.1;
    }
    assert_eq!(begun, "2");
}
