//! Bodies, in and out.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use web::Limits;

use crate::server::{LONG, World, read_to_close, statuses};

fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

#[test]
fn a_body_over_its_limit_is_refused_before_it_is_sent() {
    let world = World::new();
    let mut socket = world.connect();
    socket
        .write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
        .expect("it reads");
    let answer = read_to_close(&mut socket);
    assert_eq!(statuses(&answer), [413], "{answer}");
    assert!(answer.contains("server.limits.max_body_bytes"), "{answer}");
}

#[test]
fn a_caller_that_keeps_sending_still_sees_the_refusal() {
    let world = World::new();
    let mut request = b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for _ in 0..400 {
        request.extend_from_slice(b"2000\r\n");
        request.extend_from_slice(&[b'x'; 0x2000]);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = world.exchange(&request);
    assert_eq!(statuses(&answer), [413], "{answer}");
    world.is_well();
}

#[test]
fn a_body_that_stalls_is_given_up() {
    let world = World::with(Limits { body_stall_seconds: 1, ..Limits::default() });
    let mut socket = world.connect();
    socket.write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc").expect("it reads");
    let answer = read_to_close(&mut socket);
    assert_eq!(statuses(&answer), [408], "{answer}");
    world.is_well();
}

#[test]
fn a_compressed_body_is_counted_as_it_unfolds() {
    let world = World::new();
    let zeros = vec![0; 900_000];
    let encoded = zstd::encode_all(zeros.as_slice(), 3).expect("it encodes");
    let answer = world.exchange(&post("/count", "Content-Encoding: zstd\r\n", &encoded));
    assert_eq!(statuses(&answer), [413], "a bomb of 100 to 1: {answer}");
    assert!(answer.contains("max_compression_ratio"), "{answer}");

    let text: Vec<u8> = (0..50_000u32).flat_map(|n| n.to_string().into_bytes()).collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(&text).expect("it encodes");
    let encoded = gzip.finish().expect("it encodes");
    let answer = world.exchange(&post("/count", "Content-Encoding: gzip\r\n", &encoded));
    assert!(answer.ends_with(&text.len().to_string()), "{answer}");

    let answer =
        world.exchange(&post("/count", "Content-Encoding: gzip\r\n", b"not gzip at all, and long enough"));
    assert_eq!(statuses(&answer), [400], "{answer}");
    let answer = world.exchange(&post("/count", "Content-Encoding: compress\r\n", b"x"));
    assert_eq!(statuses(&answer), [415], "{answer}");
}

#[test]
fn a_head_request_is_told_the_length_and_given_no_bytes() {
    let world = World::new();
    let answer = world.exchange(b"HEAD /parts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert!(
        answer.contains(&format!("content-length: {}", LONG + 4)) && answer.ends_with("\r\n\r\n"),
        "{answer}"
    );
}

#[test]
fn parts_are_sent_one_behind_the_other_and_compressed_only_when_asked() {
    let world = World::new();
    let plain = world.exchange(b"GET /parts HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let body = plain.split_once("\r\n\r\n").expect("a head").1;
    assert_eq!(body.len(), LONG + 4);
    assert!(body.starts_with("[1,22") && body.ends_with("2]"));
    let mut socket = world.connect();
    socket
        .write_all(b"GET /parts HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("it answers");
    let start = answer.windows(4).position(|w| w == b"\r\n\r\n").expect("a head") + 4;
    assert!(String::from_utf8_lossy(&answer[..start]).contains("content-encoding: gzip"));
    let mut text = String::new();
    flate2::read::GzDecoder::new(&answer[start..]).read_to_string(&mut text).expect("it decodes");
    assert_eq!(text, body);
}

#[test]
fn a_stream_that_fails_cuts_the_connection() {
    let world = World::new();
    let answer = world.exchange(b"GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    assert!(body.len() < 10, "an answer that broke off looks whole: {answer}");
    world.is_well();
}

#[test]
fn a_caller_that_waits_for_leave_to_send_gets_it() {
    let world = World::new();
    let mut socket = world.connect();
    socket
        .write_all(b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut leave = [0; 25];
    socket.read_exact(&mut leave).expect("it gives leave");
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    socket.write_all(b"abc").expect("it reads");
    assert!(read_to_close(&mut socket).ends_with("abc"));
}

#[test]
fn every_answer_has_the_headers_that_are_promised() {
    let world = World::new();
    let answer = world.exchange(
        b"GET /echo-head HTTP/1.1\r\nHost: some.where:99\r\nX-Request-Id: Mine-1\r\nConnection: close\r\n\r\n",
    );
    for line in [
        "x-request-id: Mine-1",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "date: ",
        "traceparent: 00-",
        "vary: Accept, Accept-Encoding, Prefer, Origin",
    ] {
        assert!(answer.contains(line), "{line} is missing in {answer}");
    }
    assert!(answer.contains("http://some.where:99/fhir Mine-1 00-"), "{answer}");
}

#[test]
fn a_caller_who_takes_nothing_of_the_answer_is_left() {
    let world = World::with(Limits { write_stall_seconds: 1, ..Limits::default() });
    let mut socket = world.connect();
    for _ in 0..60 {
        socket.write_all(b"GET /parts HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
    }
    std::thread::sleep(Duration::from_secs(3));
    let mut all = Vec::new();
    drop(socket.read_to_end(&mut all));
    assert!(all.len() < 60 * LONG, "all of it was sent to a caller who took nothing for long");
}

#[test]
fn what_a_caller_began_is_finished_though_the_caller_hangs_up() {
    let world = World::new();
    let mut socket = world.connect();
    socket.write_all(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx").expect("it reads");
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.asked() == 0 {
        assert!(Instant::now() < deadline, "the request did not arrive");
    }
    // Closing with bytes unread resets the connection, the rudest way to leave.
    drop(socket);
    while world.probe.finished.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the work was given up with its caller");
    }
    world.is_well();
}

#[test]
fn a_question_that_takes_too_long_is_given_up_and_said_so() {
    let world = World::with(Limits { read_deadline_seconds: 0, ..Limits::default() });
    for head in ["GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", "HEAD /slow HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let answer = world.exchange(head.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nretry-after: "), "{answer}");
        assert_eq!(answer.contains("server.limits.read_deadline"), head.starts_with("GET"), "{answer}");
    }
    std::thread::sleep(Duration::from_millis(600));
    assert_eq!(world.probe.finished.load(Ordering::SeqCst), 0, "nobody waits for the answer any more");
}

#[test]
fn a_change_that_takes_too_long_is_finished_though_its_caller_is_told_to_come_again() {
    let world = World::with(Limits { submission_deadline_seconds: 0, ..Limits::default() });
    let answer = world.exchange(&post("/slow", "", b"x"));
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("server.limits.submission_deadline"), "{answer}");
    let deadline = Instant::now() + Duration::from_secs(5);
    while world.probe.finished.load(Ordering::SeqCst) == 0 {
        assert!(Instant::now() < deadline, "the work was given up with its deadline");
    }
    // A MiB more to read is a second more to answer.
    let large = vec![b'x'; 1 << 20];
    let answer = world.exchange(&post("/slow", "", &large));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
