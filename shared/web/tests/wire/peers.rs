//! What a peer's answer, silence and absence are called.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::Method;
use web::{Carrier, Error, Letter, Peer, PeerAnswer, PeerSettings};

use crate::server::World;

fn peer(url: String, timeout_ms: u64) -> Peer {
    Peer::new(
        "registry",
        PeerSettings { url, timeout_ms, connect_timeout_ms: 500, ..PeerSettings::default() },
    )
}

#[tokio::test]
async fn a_peer_answers() {
    let world = World::new();
    let peer = peer(format!("http://{}/fhir/", world.address), 2_000);
    assert_eq!(
        (peer.url(), peer.host()),
        (&*format!("http://{}/fhir", world.address), &*format!("http://{}", world.address))
    );
    let body = Bytes::from(vec![b'x'; 100_000]);
    let headers = [("x-request-id", "abc".to_owned())];
    let answer = peer.send_beside(Method::POST, "/read", &headers, body.clone()).await.expect("it answers");
    assert_eq!((answer.status, answer.body), (200, body));
    assert_eq!(answer.headers["x-request-id"], "abc");
}

#[tokio::test]
async fn a_peer_that_is_not_there_was_not_reached_and_is_left_alone_after_a_while() {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address");
    let peer = peer(format!("http://{free}/fhir"), 2_000);
    for _ in 0..5 {
        let error = peer.send(Method::GET, "/List", &[], Bytes::new()).await.expect_err("nobody is there");
        assert!(matches!(error, Error::NotReached { .. }), "{error}");
    }
    let error = peer.send(Method::GET, "/List", &[], Bytes::new()).await.expect_err("nobody is there");
    assert!(matches!(&error, Error::NotReached { reason, .. } if reason.contains("lately")), "{error}");
}

#[tokio::test]
async fn a_peer_without_a_url_was_not_reached() {
    let error = peer(String::new(), 1).send(Method::GET, "/", &[], Bytes::new()).await.expect_err("nowhere");
    assert!(matches!(error, Error::NotReached { .. }), "{error}");
}

#[tokio::test]
async fn a_peer_that_stays_silent_or_hangs_up_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let rude = std::thread::spawn(move || {
        let (mut first, _) = listener.accept().expect("a caller");
        let mut some = [0; 64];
        first.read_exact(&mut some).expect("a request");
        let (mut second, _) = listener.accept().expect("a caller");
        second.read_exact(&mut some).expect("a request");
        second.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf").expect("it reads");
        drop(second);
        drop(first);
    });
    let peer = peer(url, 300);
    let started = Instant::now();
    let error = peer.send(Method::POST, "/x", &[], Bytes::from(vec![b'x'; 64])).await.expect_err("silence");
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(2));
    let error =
        peer.send(Method::POST, "/x", &[], Bytes::from(vec![b'x'; 64])).await.expect_err("half an answer");
    assert!(matches!(error, Error::Unknown { .. }), "{error}");
    rude.join().expect("no panic");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let sender = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a caller");
        let mut some = [0; 16];
        socket.read_exact(&mut some).expect("a request");
        socket
            .write_all(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
            .expect("it reads");
    });
    let answer = peer(url, 2_000).send(Method::GET, "/", &[], Bytes::new()).await.expect("an answer");
    assert_eq!(answer.status, 302);
    sender.join().expect("no panic");
}

#[tokio::test]
async fn an_answer_to_another_request_is_none_and_leaves_the_outcome_unknown() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let confused = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a caller");
        let mut some = [0; 16];
        socket.read_exact(&mut some).expect("a request");
        socket
            .write_all(b"HTTP/1.1 200 OK\r\nDocshare-Exchange: another\r\nContent-Length: 2\r\n\r\n{}")
            .expect("it reads");
    });
    let error = peer(url, 2_000).send(Method::GET, "/", &[], Bytes::new()).await.expect_err("not ours");
    assert!(matches!(&error, Error::Unknown { reason, .. } if reason.contains("another request")), "{error}");
    confused.join().expect("no panic");
}

#[tokio::test]
async fn every_answer_of_ours_names_the_request_it_belongs_to() {
    let world = World::new();
    let peer = peer(format!("http://{}/fhir", world.address), 2_000);
    for path in ["/read", "/nowhere"] {
        let answer = peer.send_beside(Method::POST, path, &[], Bytes::from("x")).await.expect("it answers");
        let name = answer.headers.get("docshare-exchange").map(|name| name.len());
        assert_eq!(name, Some(36), "{path} answers {} with its name", answer.status);
    }
}

/// Brings an answer to what is asked at `/answered`, and nothing to anything else.
struct Pigeon;

impl Carrier for Pigeon {
    fn carry(&self, letter: Letter) -> BoxFuture<'static, Result<PeerAnswer, Error>> {
        if letter.url != "http://registry.example/fhir/answered" {
            return std::future::pending().boxed();
        }
        let answer = PeerAnswer { status: 200, headers: http::HeaderMap::new(), body: letter.body };
        std::future::ready(Ok(answer)).boxed()
    }
}

#[tokio::test]
async fn a_carrier_takes_the_place_of_the_network_under_the_same_deadline_and_breaker() {
    let peer = peer("http://registry.example/fhir".to_owned(), 20).carried_by(Some(Arc::new(Pigeon)));
    let answer = peer.send(Method::POST, "/answered", &[], Bytes::from("x")).await.expect("it answers");
    assert_eq!((answer.status, &answer.body[..]), (200, &b"x"[..]));
    for _ in 0..5 {
        let error = peer.send(Method::POST, "/lost", &[], Bytes::new()).await.expect_err("it is lost");
        assert!(matches!(error, Error::Unknown { .. }), "{error}");
    }
    let error =
        peer.send(Method::POST, "/answered", &[], Bytes::new()).await.expect_err("the breaker is open");
    assert!(matches!(error, Error::NotReached { .. }), "{error}");
}
