//! What hostile or broken callers send, byte by byte.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use web::Limits;

use crate::server::{World, read_to_close, statuses};

/// Each of these gets one answer with this status, and then the connection closes.
fn refused(world: &World, request: &[u8], status: u16) {
    let before = world.asked();
    let answer = world.exchange(request);
    let shown = String::from_utf8_lossy(&request[..request.len().min(80)]).into_owned();
    assert_eq!(statuses(&answer), [status], "{shown:?} was answered {answer}");
    assert!(answer.contains("connection: close"), "{shown:?} was answered {answer}");
    assert_eq!(world.asked(), before, "{shown:?} reached a handler");
}

#[test]
fn length_and_coding_together_smuggle_nothing() {
    let world = World::new();
    refused(
        &world,
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
        400,
    );
    world.is_well();
}

#[test]
fn two_lengths_are_refused() {
    let world = World::new();
    refused(
        &world,
        b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        400,
    );
    world.is_well();
}

#[test]
fn an_obscured_coding_is_refused() {
    let world = World::new();
    for coding in
        ["Transfer-Encoding: xchunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding : chunked"]
    {
        let request = format!("POST /read HTTP/1.1\r\nHost: a\r\n{coding}\r\n\r\n0\r\n\r\n");
        refused(&world, request.as_bytes(), 400);
    }
    world.is_well();
}

#[test]
fn a_chunk_size_that_overflows_ends_the_body_and_the_connection() {
    let world = World::new();
    let answer = world.exchange(
        b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nabc\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(statuses(&answer), [400], "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    world.is_well();
}

#[test]
fn a_chunk_that_lies_about_its_size_ends_the_body_and_the_connection() {
    let world = World::new();
    let answer = world.exchange(
        b"POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
    );
    assert_eq!(statuses(&answer), [400], "{answer}");
    world.is_well();
}

#[test]
fn a_missing_or_second_host_is_refused() {
    let world = World::new();
    refused(&world, b"GET /fhir/metadata HTTP/1.1\r\n\r\n", 400);
    refused(&world, b"GET /fhir/metadata HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400);
    refused(&world, b"GET http://elsewhere/fhir/metadata HTTP/1.1\r\nHost: a\r\n\r\n", 400);
    world.is_well();
}

#[test]
fn a_head_over_its_limits_is_refused() {
    let world = World::new();
    let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat((32 << 10) + 1));
    refused(&world, long.as_bytes(), 431);
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200));
    refused(&world, many.as_bytes(), 431);
    let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(8 << 10));
    refused(&world, target.as_bytes(), 414);
    let endless = vec![b'x'; 1 << 20];
    refused(&world, &endless, 414);
    world.is_well();
}

#[test]
fn control_characters_are_refused() {
    let world = World::new();
    refused(&world, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400);
    refused(&world, b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400);
    refused(&world, b"GET / HTTP/1.1\nHost: a\n\n", 400);
    refused(&world, b"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n", 400);
    refused(&world, "GET /ä HTTP/1.1\r\nHost: a\r\n\r\n".as_bytes(), 400);
    world.is_well();
}

#[test]
fn slow_heads_are_cut_off_and_disturb_nobody() {
    let world = World::with(Limits { header_timeout_seconds: 1, ..Limits::default() });
    let started = Instant::now();
    let mut slow: Vec<_> = (0..50).map(|_| world.connect()).collect();
    for socket in &mut slow {
        socket.write_all(b"GET / HT").expect("it reads");
    }
    let asked = Instant::now();
    world.is_well();
    assert!(asked.elapsed() < Duration::from_secs(1), "others wait");
    for socket in &mut slow {
        let answer = read_to_close(socket);
        assert_eq!(statuses(&answer), [408], "{answer}");
    }
    let mut silent = world.connect();
    assert_eq!(read_to_close(&mut silent), "", "who asks nothing is answered nothing");
    assert!(started.elapsed() < Duration::from_secs(9), "they were cut off late");
}

#[test]
fn a_second_head_must_come_in_time_too() {
    let world = World::with(Limits { header_timeout_seconds: 1, ..Limits::default() });
    let mut socket = world.connect();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTT").expect("it reads");
    let answer = read_to_close(&mut socket);
    assert_eq!(statuses(&answer), [200, 408], "{answer}");
}

#[test]
fn methods_that_are_not_served_are_told_so() {
    let world = World::new();
    for method in ["TRACE", "PROPFIND", "get"] {
        let answer = world.exchange(
            format!("{method} / HTTP/1.1\r\nHost: a\r\nX-Marker: echoed\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        );
        assert_eq!(statuses(&answer), [405], "{answer}");
        assert!(answer.contains("allow: GET, HEAD") && !answer.contains("echoed"), "{answer}");
    }
    refused(&world, b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501);
    refused(&world, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    world.is_well();
}

#[test]
fn a_path_that_climbs_is_refused() {
    let world = World::new();
    for path in ["/fhir/%2e%2e/%2e%2e/etc/passwd", "/fhir/Binary/..%2f..%2fx", "/fhir/Binary/%00", "/../x"] {
        refused(&world, format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes(), 400);
    }
    world.is_well();
}

#[test]
fn connections_over_the_limit_of_an_address_are_told_to_come_later() {
    let world = World::with(Limits { max_connections_per_address: 2, ..Limits::default() });
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut socket = world.connect();
            socket.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").expect("it reads");
            let mut first = [0; 12];
            socket.read_exact(&mut first).expect("it answers");
            socket
        })
        .collect();
    let answer = world.exchange(b"");
    assert_eq!(statuses(&answer), [503], "{answer}");
    assert!(answer.contains("Retry-After: "), "{answer}");
    drop(held);
    let deadline = Instant::now() + Duration::from_secs(5);
    while statuses(&world.exchange(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) != [200] {
        assert!(Instant::now() < deadline, "a place that was given back is not taken again");
    }
}
